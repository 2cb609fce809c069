//! A web server with `edge-http` on async sockets: one task for all connections.
use core::fmt::{Debug, Display};
use std::net::Ipv4Addr;
use std::process::ExitCode;

use clap::Parser;
use edge_http::Method;
use edge_http::io::Error;
use edge_http::io::server::{Connection, Handler, Server};
use edge_nal::{TcpBind, TcpSplit};
use embedded_io_async::{Read, Write};
use gannet_ecosystem::{run_server, say};
use gannet_examples::board::{NET, STACK_WORDS};
use gannet_examples::options::Network;
use gannet_port_freertos::{Priority, spawn};
use gannet_sockets::asynch::{Stack, TcpListener, block_on};

gannet_port_freertos::host!();

/// A web server on a simulated FreeRTOS board: GET / is a page, POST /echo sends the body back.
#[derive(Parser)]
#[command(name = "web_edge")]
struct Options {
    #[command(flatten)]
    network: Network,
}

/// Connections served at a time; more wait in the backlog.
const CONNECTIONS: usize = 8;
/// Of each: for the head of a request.
const BUFFER: usize = 2_048;
const FIELDS: usize = 32;
const KEEP_ALIVE_MS: u32 = 10_000;

fn main() -> ExitCode {
    run_server(Options::parse().network, |board| {
        let listener = block_on(Stack::new(&NET).bind((Ipv4Addr::UNSPECIFIED, 80).into()))
            .map_err(|error| error.to_string())?
            .map_err(|error| error.to_string())?;
        spawn("web", Priority::APPLICATION, STACK_WORDS, move || {
            if let Err(error) = serve(listener) {
                say(error);
            }
        })
        .map_err(|error| error.to_string())?;
        board.serve_until_stopped();
        Ok(())
    })
}

fn serve(listener: TcpListener) -> Result<(), String> {
    let mut server: Box<Server<CONNECTIONS, BUFFER, FIELDS>> = Box::default();
    block_on(server.run(Some(KEEP_ALIVE_MS), listener, Pages))
        .map_err(|error| error.to_string())?
        .map_err(|error| format!("{error:?}"))
}

struct Pages;

impl Handler for Pages {
    type Error<E: Debug> = Error<E>;

    async fn handle<T, const N: usize>(
        &self,
        _: impl Display + Copy,
        connection: &mut Connection<'_, T, N>,
    ) -> Result<(), Error<T::Error>>
    where
        T: Read + Write + TcpSplit,
    {
        let request = connection.headers()?;
        let text = [("Content-Type", "text/plain")];
        match (request.method, request.path) {
            (Method::Get, "/") => {
                connection.initiate_response(200, None, &text).await?;
                connection
                    .write_all(b"This is edge-http on gannet.\n")
                    .await
            }
            (Method::Post, "/echo") => echo(connection).await,
            _ => connection.initiate_response(404, None, &text).await,
        }
    }
}

/// Sends the body back, which is read first: in this crate the answer ends the request.
async fn echo<T, const N: usize>(
    connection: &mut Connection<'_, T, N>,
) -> Result<(), Error<T::Error>>
where
    T: Read + Write + TcpSplit,
{
    let mut body = [0; 4_096];
    let mut len = 0;
    loop {
        match connection
            .read(body.get_mut(len..).unwrap_or(&mut []))
            .await?
        {
            0 if len == body.len() => {
                return connection.initiate_response(413, None, &[]).await;
            }
            0 => break,
            n => len += n,
        }
    }
    connection.initiate_response(200, None, &[]).await?;
    connection.write_all(body.get(..len).unwrap_or(&[])).await
}
