//! A web client with blocking sockets: fetches a URL and writes the body to standard output.
use std::io::{self, Write};
use std::net::{Ipv4Addr, SocketAddr};
use std::process::ExitCode;
use std::sync::OnceLock;
use std::time::Duration;

use clap::Parser;
use gannet_examples::board::Board;
use gannet_examples::options::Network;
use gannet_examples::{Program, run};
use gannet_port_freertos::host::masked;
use gannet_sockets::{Error, Shutdown, TcpStream};
use url::{Host, Url};

gannet_port_freertos::host!();

/// A web client on a simulated FreeRTOS board.
///
/// The built-in gateway lets the board reach this machine only, at the gateway's address: a server
/// at 127.0.0.1:8000 is http://10.0.0.1:8000/ to the board. Try: python3 -m http.server
#[derive(Parser)]
#[command(name = "fetch")]
struct Options {
    /// `http://ADDRESS:PORT/PATH`, the port 80 if left out; names are not resolved.
    url: Url,

    #[command(flatten)]
    network: Network,
}

/// For an answer to the attempt to connect.
const PATIENCE: Duration = Duration::from_secs(20);

/// For the main task, which is given nothing.
static TARGET: OnceLock<Url> = OnceLock::new();

fn main() -> ExitCode {
    let options = Options::parse();
    TARGET.get_or_init(|| options.url);
    run(
        options.network,
        Program {
            forwards: &[],
            raw: None,
            main: fetch_target,
        },
    )
}

fn fetch_target(_: &Board) -> Result<(), String> {
    fetch(TARGET.get().ok_or("no URL")?)
}

fn fetch(url: &Url) -> Result<(), String> {
    let server = server(url)?;
    let stream = TcpStream::connect_timeout(server, PATIENCE)
        .map_err(|error| format!("{server}: {error}"))?;
    exchange(&stream, url).map_err(|error| format!("{server}: {error}"))
}

fn server(url: &Url) -> Result<SocketAddr, String> {
    if url.scheme() != "http" {
        return Err(format!("{url}: only http is known here"));
    }
    let addr: Ipv4Addr = match url.host() {
        Some(Host::Ipv4(addr)) => addr,
        _ => {
            return Err(format!(
                "{url}: an IPv4 address is wanted, names are not resolved"
            ));
        }
    };
    Ok((addr, url.port_or_known_default().unwrap_or(80)).into())
}

/// What went wrong on the connection, or with the answer.
enum Failure {
    Connection(Error),
    Answer(String),
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Self::Connection(error)
    }
}

impl core::fmt::Display for Failure {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self {
            Self::Connection(error) => error.fmt(f),
            Self::Answer(error) => error.fmt(f),
        }
    }
}

fn exchange(stream: &TcpStream, url: &Url) -> Result<(), Failure> {
    let host = &url[url::Position::BeforeHost..url::Position::AfterPort];
    let path = &url[url::Position::BeforePath..url::Position::AfterQuery];
    // HTTP/1.0: the answer ends with the connection, and is never chunked.
    let request = format!("GET {path} HTTP/1.0\r\nHost: {host}\r\nUser-Agent: gannet\r\n\r\n");
    stream.write_all(request.as_bytes())?;
    stream.shutdown(Shutdown::Write)?;
    let mut buffer = [0; 8 * 1024];
    let mut filled = 0;
    let (head, status, wanted) = loop {
        if let Some(head) = parse(buffer.get(..filled).unwrap_or(&[])).map_err(Failure::Answer)? {
            break head;
        }
        let n = stream.read(buffer.get_mut(filled..).unwrap_or(&mut []))?;
        if n == 0 {
            return Err(Failure::Answer("the answer has no end of its head".into()));
        }
        filled += n;
    };
    let mut got = filled - head;
    write_out(buffer.get(head..filled).unwrap_or(&[]))?;
    loop {
        let n = stream.read(&mut buffer)?;
        if n == 0 {
            break;
        }
        got += n;
        write_out(buffer.get(..n).unwrap_or(&[]))?;
    }
    match wanted {
        Some(wanted) if wanted != got as u64 => {
            Err(Failure::Answer(format!("{got} of {wanted} bytes arrived")))
        }
        _ if !(200..300).contains(&status) => Err(Failure::Answer(format!("status {status}"))),
        _ => Ok(()),
    }
}

/// Length of the head, status, length of the body if the server says; `None`: not complete.
fn parse(bytes: &[u8]) -> Result<Option<(usize, u16, Option<u64>)>, String> {
    let mut fields = [httparse::EMPTY_HEADER; 64];
    let mut head = httparse::Response::new(&mut fields);
    let len = match head.parse(bytes) {
        Ok(httparse::Status::Complete(len)) => len,
        Ok(httparse::Status::Partial) => return Ok(None),
        Err(error) => return Err(format!("not an answer of HTTP: {error}")),
    };
    let length = head
        .headers
        .iter()
        .find(|field| field.name.eq_ignore_ascii_case("content-length"));
    let length = length.and_then(|field| core::str::from_utf8(field.value).ok()?.parse().ok());
    Ok(Some((len, head.code.unwrap_or(0), length)))
}

fn write_out(data: &[u8]) -> Result<(), Failure> {
    masked(|| io::stdout().write_all(data)).map_err(|error| Failure::Answer(error.to_string()))
}
