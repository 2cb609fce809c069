//! `websocket_server` (embedded-websocket) and `websocket_client` (edge-ws) against tungstenite on
//! the kernel's sockets.
mod common;

use std::net::{SocketAddr, TcpListener, TcpStream};
use std::process::ExitCode;
use std::thread;

use common::{LIMIT, Outcome, PASSED, Port, Wire, pattern, run_on_links};
use tungstenite::protocol::CloseFrame;
use tungstenite::protocol::frame::Frame;
use tungstenite::protocol::frame::coding::{CloseCode, Data, OpCode};
use tungstenite::{Message, WebSocket};

fn main() -> ExitCode {
    run_on_links(link_tests![
        the_board_echoes,
        the_board_echoes_to_many_at_once,
        the_board_says_hello,
        what_is_no_websocket_is_told_so,
    ])
}

const SERVER: &str = env!("CARGO_BIN_EXE_websocket_server");
const CLIENT: &str = env!("CARGO_BIN_EXE_websocket_client");

fn connect(server: SocketAddr) -> TcpStream {
    let stream = TcpStream::connect_timeout(&server, LIMIT).expect("a connection");
    stream.set_read_timeout(Some(LIMIT)).expect("a limit");
    stream
}

/// A websocket to the board.
fn open(server: SocketAddr) -> WebSocket<TcpStream> {
    let (socket, answer) =
        tungstenite::client(format!("ws://{server}/echo"), connect(server)).expect("a websocket");
    assert_eq!(answer.status(), 101);
    socket
}

fn exchange(socket: &mut WebSocket<TcpStream>, message: Message) -> Message {
    socket.send(message).expect("it is open");
    socket.read().expect("an answer")
}

/// Says goodbye, and waits for the other's.
fn close(mut socket: WebSocket<TcpStream>) {
    let frame = CloseFrame {
        code: CloseCode::Normal,
        reason: "enough".into(),
    };
    socket.close(Some(frame)).expect("it is open");
    match socket.read().expect("an answer") {
        Message::Close(Some(frame)) => assert_eq!(frame.code, CloseCode::Normal),
        other => panic!("{other:?}"),
    }
    // The server ends the connection.
    assert!(matches!(
        socket.read(),
        Err(tungstenite::Error::ConnectionClosed)
    ));
}

fn the_board_echoes(wire: &Wire) -> Outcome {
    let (running, server) = wire.serve(SERVER, Port::Tcp(80), &[]);
    let mut socket = open(server);
    for message in [
        Message::text("hello"),
        Message::text("grüß dich"),
        Message::text(""),
        Message::binary(vec![]),
        Message::binary(pattern(125)),
        // Lengths of two more bytes.
        Message::binary(pattern(126)),
        Message::binary(pattern(8_000)),
    ] {
        assert_eq!(exchange(&mut socket, message.clone()), message);
    }
    let pong = exchange(&mut socket, Message::Ping(b"are you there"[..].into()));
    assert_eq!(pong, Message::Pong(b"are you there"[..].into()));
    // One message in three frames, with a ping in between.
    let part = |text: &'static str, code, is_last| {
        Message::Frame(Frame::message(text, OpCode::Data(code), is_last))
    };
    socket.send(part("one ", Data::Text, false)).expect("open");
    socket.send(Message::Ping(b"now"[..].into())).expect("open");
    socket
        .send(part("two ", Data::Continue, false))
        .expect("open");
    socket
        .send(part("three", Data::Continue, true))
        .expect("open");
    let answers = [(); 2].map(|()| socket.read().expect("an answer"));
    assert_eq!(
        answers,
        [
            Message::Pong(b"now"[..].into()),
            Message::text("one two three")
        ]
    );
    close(socket);
    assert!(running.stop().success());
    PASSED
}

fn the_board_echoes_to_many_at_once(wire: &Wire) -> Outcome {
    let (_running, server) = wire.serve(SERVER, Port::Tcp(80), &[]);
    // More than the board has tasks: the others wait for one.
    thread::scope(|scope| {
        for n in 0..12 {
            scope.spawn(move || {
                let mut socket = open(server);
                for round in 0..20 {
                    let message = Message::binary(pattern(n * 100 + round));
                    assert_eq!(exchange(&mut socket, message.clone()), message);
                }
                close(socket);
            });
        }
    });
    PASSED
}

fn the_board_says_hello(wire: &Wire) -> Outcome {
    let listener = TcpListener::bind((wire.host(), 0)).expect("a port");
    let port = listener.local_addr().expect("bound").port();
    let server = thread::spawn(move || {
        let (stream, _) = listener.accept().expect("the board comes");
        stream.set_read_timeout(Some(LIMIT)).expect("a limit");
        let mut socket = tungstenite::accept(stream).expect("a websocket");
        // At once: it may arrive together with the answer to the handshake.
        socket.send(Message::text("welcome")).expect("open");
        let hello = socket.read().expect("open");
        socket
            .send(Message::Ping(b"there?"[..].into()))
            .expect("open");
        let pong = socket.read().expect("open");
        assert_eq!(pong, Message::Pong(b"there?"[..].into()));
        socket.send(Message::text(long())).expect("open");
        socket.send(hello.clone()).expect("open");
        let goodbye = socket.read().expect("open");
        // Answers with a goodbye of its own.
        let end = socket.read();
        (hello, goodbye, end)
    });
    let args = [&wire.seen_by_board(port), "hello from a board"];
    let (status, said, errors) = wire.run(CLIENT, &args);
    let (hello, goodbye, end) = server.join().expect("no panic");
    assert!(status.success(), "{errors}");
    assert_eq!(hello, Message::text("hello from a board"));
    match goodbye {
        Message::Close(Some(frame)) => assert_eq!(frame.code, CloseCode::Normal),
        other => panic!("{other:?}"),
    }
    assert!(matches!(end, Err(tungstenite::Error::ConnectionClosed)));
    let said = String::from_utf8_lossy(&said);
    let lines: Vec<&str> = said.lines().collect();
    assert_eq!(lines, ["welcome", &long(), "hello from a board", "closed"]);
    PASSED
}

/// A text of several segments.
fn long() -> String {
    "you said hello ".repeat(300)
}

fn what_is_no_websocket_is_told_so(wire: &Wire) -> Outcome {
    use std::io::{Read, Write};
    let (_running, server) = wire.serve(SERVER, Port::Tcp(80), &[]);
    for request in ["GET / HTTP/1.1\r\nHost: board\r\n\r\n", "nonsense\r\n\r\n"] {
        let mut stream = connect(server);
        stream.write_all(request.as_bytes()).expect("open");
        let mut answer = String::new();
        stream.read_to_string(&mut answer).expect("text");
        assert!(answer.starts_with("HTTP/1.1 426 "), "{answer}");
    }
    PASSED
}
