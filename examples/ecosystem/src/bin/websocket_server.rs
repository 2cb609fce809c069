//! A websocket server with `embedded-websocket` on blocking sockets: it echoes.
use std::net::Ipv4Addr;
use std::process::ExitCode;
use std::time::Duration;

use clap::Parser;
use embedded_websocket::framer::{Framer, FramerError, ReadResult, Stream};
use embedded_websocket::{
    WebSocketContext, WebSocketSendMessageType, WebSocketServer, read_http_header,
};
use gannet_ecosystem::{run_server, say};
use gannet_examples::board::Board;
use gannet_examples::options::Network;
use gannet_examples::tasks::Workers;
use gannet_sockets::{Error, TcpListener, TcpStream};

gannet_port_freertos::host!();

/// An echo server for websockets, at any path: ws://127.0.0.1:8080/ as the host sees it.
#[derive(Parser)]
#[command(name = "websocket_server")]
struct Options {
    #[command(flatten)]
    network: Network,
}

/// Connections served at a time.
const TASKS: usize = 8;
const PATIENCE: Duration = Duration::from_secs(30);
/// The largest frame of the network, and the largest message.
const FRAME: usize = 1_024;
const MESSAGE: usize = 8_192;

fn main() -> ExitCode {
    run_server(Options::parse().network, serve)
}

type Failure = FramerError<Error>;

/// A socket as the framer wants it.
struct Socket<'a>(&'a TcpStream);

impl Stream<Error> for Socket<'_> {
    fn read(&mut self, buf: &mut [u8]) -> Result<usize, Error> {
        self.0.read(buf)
    }

    fn write_all(&mut self, buf: &[u8]) -> Result<(), Error> {
        self.0.write_all(buf)
    }
}

fn serve(board: &Board) -> Result<(), String> {
    let listener =
        TcpListener::bind((Ipv4Addr::UNSPECIFIED, 80).into()).map_err(|error| error.to_string())?;
    let listener: &'static TcpListener = Box::leak(Box::new(listener));
    let workers = Workers::start(TASKS, |stream: TcpStream| {
        if let Err(error) = echo(&stream) {
            say(format_args!("{error:?}"));
        }
    })
    .map_err(|error| error.to_string())?;
    gannet_port_freertos::spawn(
        "accept",
        gannet_port_freertos::Priority::APPLICATION,
        gannet_examples::board::STACK_WORDS,
        || {
            // Who finds all tasks busy and the queue full is turned away.
            while let Ok((stream, _)) = listener.accept() {
                let _ = workers.push(stream);
            }
        },
    )
    .map_err(|error| error.to_string())?;
    board.serve_until_stopped();
    Ok(())
}

fn echo(stream: &TcpStream) -> Result<(), Failure> {
    stream
        .set_read_timeout(Some(PATIENCE))
        .map_err(FramerError::Io)?;
    let (mut read, mut write) = ([0; FRAME], [0; MESSAGE + 16]);
    let mut message = [0; MESSAGE];
    let Some(context) = handshake(stream, &mut read).map_err(FramerError::Io)? else {
        let answer =
            b"HTTP/1.1 426 Upgrade Required\r\nConnection: close\r\nUpgrade: websocket\r\n\
            Content-Length: 0\r\n\r\n";
        return stream.write_all(answer).map_err(FramerError::Io);
    };
    // A client sends nothing behind its handshake before it has the answer.
    let mut read_to = 0;
    let mut websocket = WebSocketServer::new_server();
    let mut framer = Framer::new(&mut read, &mut read_to, &mut write, &mut websocket);
    let mut socket = Socket(stream);
    framer.accept(&mut socket, &context)?;
    // Pings are answered inside.
    loop {
        let (kind, data) = match framer.read(&mut socket, &mut message)? {
            ReadResult::Text(text) => (WebSocketSendMessageType::Text, text.as_bytes()),
            ReadResult::Binary(data) => (WebSocketSendMessageType::Binary, data),
            ReadResult::Pong(_) => continue,
            ReadResult::Closed => return Ok(()),
        };
        framer.write(&mut socket, kind, true, data)?;
    }
}

/// Reads a request; `None` if it does not ask for a websocket.
fn handshake(stream: &TcpStream, buffer: &mut [u8]) -> Result<Option<WebSocketContext>, Error> {
    let mut filled = 0;
    loop {
        let n = stream.read(buffer.get_mut(filled..).unwrap_or(&mut []))?;
        filled += n;
        let mut fields = [httparse::EMPTY_HEADER; 32];
        let mut request = httparse::Request::new(&mut fields);
        match request.parse(buffer.get(..filled).unwrap_or(&[])) {
            Ok(httparse::Status::Complete(_)) => {
                let fields = request
                    .headers
                    .iter()
                    .map(|field| (field.name, field.value));
                return Ok(read_http_header(fields).ok().flatten());
            }
            // The end, or a request that does not fit, or is none.
            _ if n == 0 => return Ok(None),
            Err(_) => return Ok(None),
            Ok(httparse::Status::Partial) => {}
        }
    }
}
