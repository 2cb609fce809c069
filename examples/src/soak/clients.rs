//! What clients do to the services: each activity is one connection, or a few datagrams, whose data
//! is compared with what it has to be.
use core::time::Duration;
use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::thread;
use std::time::Instant;

use fastrand::Rng;
use rustix::net::sockopt::set_socket_linger;
use serde_json::Value;

use crate::classic::{CHARACTERS, port};
use crate::pattern;
use crate::running::{Port, Running};

/// When waiting counts as hanging.
const LIMIT: Duration = Duration::from_secs(120);
/// Until a datagram is asked for again.
const AGAIN: Duration = Duration::from_millis(500);

/// The ports that [`services`](crate::services) has.
pub(super) const PORTS: [Port; 7] = [
    Port::Tcp(port::HTTP),
    Port::Tcp(port::ECHO),
    Port::Tcp(port::DISCARD),
    Port::Tcp(port::DAYTIME),
    Port::Tcp(port::CHARGEN),
    Port::Udp(port::ECHO),
    Port::Udp(port::CONTROL),
];

/// Where the board's services are, and its name for this host.
#[derive(Clone, Copy, Debug)]
pub(super) struct Client<'a> {
    pub(super) board: &'a Running,
    pub(super) host: Ipv4Addr,
}

/// Bytes that arrived as they should, in both directions.
type Outcome = io::Result<u64>;

/// Something a client does.
pub(super) type Activity = fn(Client<'_>, &mut Rng) -> Outcome;

/// All of them, by name.
pub(super) const ACTIVITIES: [(&str, Activity); 12] = [
    ("download", |c, r| c.download(r.u64(..1 << 20))),
    ("upload", |c, r| c.upload(r.u64(..1 << 20))),
    ("half-close", |c, r| c.echo_then_end(r.usize(..200_000), r)),
    ("questions", |c, r| c.questions(r.usize(1..50), r)),
    ("churn", |c, _| c.churn()),
    ("daytime", |c, _| c.daytime()),
    ("characters", |c, r| c.characters(r.usize(..300_000))),
    ("slow reader", |c, r| c.slow_reader(r.usize(..20_000))),
    ("discard", |c, r| c.discard(r.usize(..300_000))),
    ("datagrams", |c, r| c.datagrams(r.usize(1..10), r)),
    ("board sends", |c, r| c.board_sends(r.u64(..200_000))),
    ("board connects", |c, r| {
        c.board_connects(r.usize(..50_000), r)
    }),
];

impl Client<'_> {
    fn connect(self, port: u16) -> io::Result<TcpStream> {
        let stream = TcpStream::connect_timeout(&self.board.addr(Port::Tcp(port)), LIMIT)?;
        limit(&stream)?;
        Ok(stream)
    }

    fn http(
        self,
        head: &str,
        body: impl FnOnce(&TcpStream) -> io::Result<()> + Send,
    ) -> io::Result<Vec<u8>> {
        let stream = self.connect(port::HTTP)?;
        let answer = thread::scope(|scope| {
            let sender = scope.spawn(|| {
                (&stream).write_all(
                    format!("{head}\r\nHost: board\r\nConnection: close\r\n\r\n").as_bytes(),
                )?;
                body(&stream)
            });
            let mut answer = Vec::new();
            (&stream).read_to_end(&mut answer)?;
            sender
                .join()
                .unwrap_or_else(|_| Err(wrong("the sender panicked")))?;
            Ok::<_, io::Error>(answer)
        })?;
        let end = answer.windows(4).position(|four| four == b"\r\n\r\n");
        match (answer.starts_with(b"HTTP/1.1 200"), end) {
            (true, Some(end)) => Ok(answer.get(end + 4..).unwrap_or(&[]).to_vec()),
            _ => Err(wrong("no whole answer of 200")),
        }
    }

    /// The board's counters.
    pub(super) fn stats(self) -> io::Result<Value> {
        let body = self.http("GET /stats HTTP/1.1", |_| Ok(()))?;
        serde_json::from_slice(&body).map_err(io::Error::other)
    }

    fn download(self, len: u64) -> Outcome {
        let body = self.http(&format!("GET /bytes/{len} HTTP/1.1"), |_| Ok(()))?;
        let is_right = body.len() as u64 == len && crc32fast::hash(&body) == pattern::crc(len);
        is_right
            .then_some(len)
            .ok_or_else(|| wrong("a download is not what it should be"))
    }

    fn upload(self, len: u64) -> Outcome {
        let head = format!("POST /upload HTTP/1.1\r\nContent-Length: {len}");
        let body = self.http(&head, |stream| write_pattern(stream, len))?;
        let answer: Value = serde_json::from_slice(&body).map_err(io::Error::other)?;
        let is_right =
            answer["bytes"] == len && answer["crc32"] == format!("{:08x}", pattern::crc(len));
        is_right
            .then_some(len)
            .ok_or_else(|| wrong("an upload is not what it should be"))
    }

    fn echo_then_end(self, len: usize, random: &mut Rng) -> Outcome {
        echoed(&self.connect(port::ECHO)?, &noise(len, random))
    }

    fn questions(self, count: usize, random: &mut Rng) -> Outcome {
        let mut stream = self.connect(port::ECHO)?;
        stream.set_nodelay(true)?;
        let mut bytes = 0;
        for _ in 0..count {
            let question = noise(random.usize(1..2_000), random);
            stream.write_all(&question)?;
            let mut answer = vec![0; question.len()];
            stream.read_exact(&mut answer)?;
            if answer != question {
                return Err(wrong("an echo is not what was sent"));
            }
            bytes += 2 * question.len() as u64;
        }
        Ok(bytes)
    }

    /// Ends as it begins.
    fn churn(self) -> Outcome {
        drop(self.connect(port::ECHO)?);
        Ok(0)
    }

    fn daytime(self) -> Outcome {
        let mut text = String::new();
        self.connect(port::DAYTIME)?.read_to_string(&mut text)?;
        match text.ends_with("GMT\r\n") {
            true => Ok(text.len() as u64),
            false => Err(wrong("no time of day")),
        }
    }

    /// Has enough some time, and resets the connection.
    fn characters(self, len: usize) -> Outcome {
        let stream = self.connect(port::CHARGEN)?;
        read_characters(&stream, len)?;
        set_socket_linger(&stream, Some(Duration::ZERO))?;
        Ok(len as u64)
    }

    /// Lets the board's window close again and again.
    fn slow_reader(self, len: usize) -> Outcome {
        let stream = self.connect(port::CHARGEN)?;
        let mut received = Vec::new();
        while received.len() < len {
            thread::sleep(Duration::from_millis(20));
            let mut piece = [0; 1_000];
            let n = (&stream).read(&mut piece)?;
            received.extend_from_slice(piece.get(..n).unwrap_or(&[]));
        }
        are_characters(&received)?;
        Ok(received.len() as u64)
    }

    fn discard(self, len: usize) -> Outcome {
        let stream = self.connect(port::DISCARD)?;
        write_pattern(&stream, len as u64)?;
        stream.shutdown(Shutdown::Write)?;
        match (&stream).read(&mut [0])? {
            0 => Ok(len as u64),
            _ => Err(wrong("something came from the discard service")),
        }
    }

    /// Of up to six fragments, each asked for until it comes back.
    fn datagrams(self, count: usize, random: &mut Rng) -> Outcome {
        let socket = self.socket(port::ECHO)?;
        let mut bytes = 0;
        for _ in 0..count {
            let question = noise(random.usize(..8_000), random);
            ask(&socket, &question, |answer| answer == question)?;
            bytes += 2 * question.len() as u64;
        }
        Ok(bytes)
    }

    fn board_sends(self, len: u64) -> Outcome {
        let stream = self.commanded("send", &len.to_string())?;
        let mut received = Vec::new();
        (&stream).read_to_end(&mut received)?;
        let is_right =
            received.len() as u64 == len && crc32fast::hash(&received) == pattern::crc(len);
        is_right
            .then_some(len)
            .ok_or_else(|| wrong("the board sent something else"))
    }

    fn board_connects(self, len: usize, random: &mut Rng) -> Outcome {
        echoed(&self.commanded("connect", "")?, &noise(len, random))
    }

    /// A connection that the board opens on command. A command can get lost, and can arrive twice:
    /// what the board opens in vain ends with the listener.
    fn commanded(self, command: &str, argument: &str) -> io::Result<TcpStream> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        listener.set_nonblocking(true)?;
        let port = listener.local_addr()?.port();
        let socket = self.socket(port::CONTROL)?;
        let command = format!("{command} {} {port} {argument}", self.host);
        let start = Instant::now();
        while start.elapsed() < LIMIT {
            socket.send(command.trim_end().as_bytes())?;
            let asked = Instant::now();
            while asked.elapsed() < 10 * AGAIN {
                match listener.accept() {
                    Ok((stream, _)) => {
                        stream.set_nonblocking(false)?;
                        limit(&stream)?;
                        return Ok(stream);
                    }
                    Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                        thread::sleep(Duration::from_millis(5));
                    }
                    Err(error) => return Err(error),
                }
            }
        }
        Err(wrong("the board does not connect"))
    }

    fn socket(self, port: u16) -> io::Result<UdpSocket> {
        let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0))?;
        socket.connect::<SocketAddr>(self.board.addr(Port::Udp(port)))?;
        socket.set_read_timeout(Some(AGAIN))?;
        Ok(socket)
    }
}

fn limit(stream: &TcpStream) -> io::Result<()> {
    stream.set_read_timeout(Some(LIMIT))?;
    stream.set_write_timeout(Some(LIMIT))
}

fn wrong(what: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, what)
}

fn noise(len: usize, random: &mut Rng) -> Vec<u8> {
    let mut bytes = vec![0; len];
    random.fill(&mut bytes);
    bytes
}

fn write_pattern(mut stream: &TcpStream, len: u64) -> io::Result<()> {
    let mut offset = 0;
    while offset < len {
        let piece = pattern::at(offset, len - offset);
        stream.write_all(piece)?;
        offset += piece.len() as u64;
    }
    Ok(())
}

/// Sends `data` to an echo, and the end of the stream; all has to come back.
fn echoed(stream: &TcpStream, data: &[u8]) -> Outcome {
    thread::scope(|scope| {
        let sender = scope.spawn(|| {
            (&mut &*stream).write_all(data)?;
            stream.shutdown(Shutdown::Write)
        });
        let mut received = Vec::new();
        (&mut &*stream).read_to_end(&mut received)?;
        sender
            .join()
            .unwrap_or_else(|_| Err(wrong("the sender panicked")))?;
        match received == data {
            true => Ok(2 * data.len() as u64),
            false => Err(wrong("an echo is not what was sent")),
        }
    })
}

fn read_characters(mut stream: &TcpStream, len: usize) -> io::Result<()> {
    let mut received = vec![0; len];
    stream.read_exact(&mut received)?;
    are_characters(&received)
}

fn are_characters(received: &[u8]) -> io::Result<()> {
    match received
        .iter()
        .zip(CHARACTERS.iter().cycle())
        .all(|(a, b)| a == b)
    {
        true => Ok(()),
        false => Err(wrong("other characters than those of the generator")),
    }
}

/// Sends `question` until an answer is `right`.
fn ask(socket: &UdpSocket, question: &[u8], right: impl Fn(&[u8]) -> bool) -> io::Result<()> {
    let start = Instant::now();
    let mut answer = vec![0; 65_536];
    while start.elapsed() < LIMIT {
        socket.send(question)?;
        // An answer to an earlier one may have come twice, or late.
        while let Ok(len) = socket.recv(&mut answer) {
            if answer.get(..len).is_some_and(&right) {
                return Ok(());
            }
        }
    }
    Err(wrong("a datagram does not come back"))
}
