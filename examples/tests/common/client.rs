//! Clients of the board's services: HTTP, and plain sockets.
use std::io::{self, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream, UdpSocket};
use std::thread;
use std::time::Duration;

use gannet_examples::pattern;
use serde_json::Value;

use super::{LIMIT, wait_until};

/// Fetches `path`: the body of an answer of 200.
pub(crate) fn get(server: SocketAddr, path: &str) -> Vec<u8> {
    let mut answer = ureq::get(format!("http://{server}{path}"))
        .call()
        .unwrap_or_else(|e| panic!("{path}: {e}"));
    answer
        .body_mut()
        .with_config()
        .limit(u64::MAX)
        .read_to_vec()
        .expect("the whole body")
}

pub(crate) fn status(server: SocketAddr, path: &str) -> u16 {
    match ureq::get(format!("http://{server}{path}")).call() {
        Ok(answer) => answer.status().as_u16(),
        Err(ureq::Error::StatusCode(status)) => status,
        Err(error) => panic!("{path}: {error}"),
    }
}

pub(crate) fn stats(server: SocketAddr) -> Value {
    serde_json::from_slice(&get(server, "/stats")).expect("JSON")
}

/// Downloads `len` bytes and compares each.
pub(crate) fn download(server: SocketAddr, len: u64) {
    let body = get(server, &format!("/bytes/{len}"));
    assert_eq!(body.len() as u64, len);
    assert_eq!(crc32fast::hash(&body), pattern::crc(len));
}

/// Uploads `len` bytes; the board's checksum has to be right.
pub(crate) fn upload(server: SocketAddr, len: u64) {
    let mut answer = ureq::post(format!("http://{server}/upload"))
        .header("Content-Length", &len.to_string())
        .send(ureq::SendBody::from_owned_reader(Pattern {
            len,
            offset: 0,
        }))
        .expect("an answer");
    let answer: Value =
        serde_json::from_str(&answer.body_mut().read_to_string().expect("text")).expect("JSON");
    assert_eq!(answer["bytes"], len);
    assert_eq!(answer["crc32"], format!("{:08x}", pattern::crc(len)));
}

/// The pattern as a stream.
struct Pattern {
    offset: u64,
    len: u64,
}

impl Read for Pattern {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let piece = pattern::at(self.offset, self.len - self.offset);
        let n = piece.len().min(buf.len());
        buf[..n].copy_from_slice(&piece[..n]);
        self.offset += n as u64;
        Ok(n)
    }
}

/// A connection with a limit on all waiting.
pub(crate) fn connect(server: SocketAddr) -> TcpStream {
    let stream = TcpStream::connect_timeout(&server, LIMIT).expect("a connection");
    stream.set_read_timeout(Some(LIMIT)).expect("a limit");
    stream.set_write_timeout(Some(LIMIT)).expect("a limit");
    stream
}

/// Sends `data` while it receives until the end of the stream; what it has received.
pub(crate) fn exchange(stream: &TcpStream, data: &[u8]) -> io::Result<Vec<u8>> {
    thread::scope(|scope| {
        scope.spawn(|| {
            let mut writer = stream;
            // What is missing shows in the answer.
            let _ = writer.write_all(data);
            let _ = stream.shutdown(Shutdown::Write);
        });
        let mut received = Vec::new();
        let mut reader = stream;
        reader.read_to_end(&mut received)?;
        Ok(received)
    })
}

/// A socket for datagrams to `server`.
pub(crate) fn datagrams(server: SocketAddr) -> UdpSocket {
    let socket = UdpSocket::bind((std::net::Ipv4Addr::UNSPECIFIED, 0)).expect("a port");
    socket.connect(server).expect("an address");
    socket
        .set_read_timeout(Some(Duration::from_secs(1)))
        .expect("a limit");
    socket
}

/// Asks until there is an answer: datagrams may be lost.
pub(crate) fn ask(socket: &UdpSocket, question: &[u8]) -> Vec<u8> {
    let mut answer = vec![0; 65_536];
    let mut len = 0;
    wait_until("an answer", || {
        socket.send(question).expect("it can be sent");
        match socket.recv(&mut answer) {
            Ok(n) => {
                len = n;
                true
            }
            Err(_) => false,
        }
    });
    answer.truncate(len);
    answer
}

/// Waits until the board has nothing left of all connections but the one that asks, whose answer
/// is on its way. Some timers run for two minutes.
pub(crate) fn assert_comes_to_rest(server: SocketAddr, listening_sockets: u64) {
    let mut last = Value::Null;
    let start = std::time::Instant::now();
    loop {
        // A connection of its own for each look: none is kept alive by the client.
        last = match one_look(server) {
            Some(stats) => stats,
            None => last,
        };
        let connections = &last["connections"];
        let is_resting = connections["tcp"] == 1
            && connections["half_open"] == 0
            && connections["sockets"] == listening_sockets + 1
            && ["rx", "tx", "headers"].iter().all(|pool| {
                let pool = &last["pools"][pool];
                pool["available"] == pool["blocks"]
                    && pool["descriptors_available"] == pool["descriptors"]
            });
        if is_resting {
            return;
        }
        assert!(start.elapsed() < 2 * LIMIT, "not at rest: {last:#}");
        thread::sleep(Duration::from_millis(20));
    }
}

fn one_look(server: SocketAddr) -> Option<Value> {
    let stream = connect(server);
    let request = b"GET /stats HTTP/1.1\r\nHost: board\r\nConnection: close\r\n\r\n";
    let answer = exchange(&stream, request).ok()?;
    let body = answer.windows(4).position(|four| four == b"\r\n\r\n")? + 4;
    serde_json::from_slice(answer.get(body..)?).ok()
}
