//! One gannet and one Linux for tests of a single connection: gannet on the left with an
//! application that records what it is told, Linux's sockets without blocking, all in one thread.
use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::time::Duration;

use gannet_core::tcp::{Data, More, TcpInfo};
use gannet_core::{Config, Tcp, TcpPcb};
use gannet_tests::recorder::Recorder;

use crate::gannet_ends::{connect_to, listen};
use crate::linux::Linux;
use crate::linux_ends::{self, PORT};
use crate::middle::{Middle, Port, Side};
use crate::pipe::Faults;
use crate::skip;
use crate::station::Station;
use crate::stream::stream;

/// How long anything may take; far longer than it does.
const LIMIT: Duration = Duration::from_secs(60);

/// gannet, a path, and Linux.
#[derive(Debug)]
pub struct Rig {
    /// gannet, station 1, on the left.
    pub gannet: Station<Recorder>,
    /// Linux, station 2, on the right.
    pub linux: Linux,
    /// What is in between.
    pub middle: Middle,
}

impl Rig {
    /// gannet with `config`; the path has `faults` both ways. `None`, and a line that says why: the
    /// permission for it is missing.
    ///
    /// # Panics
    /// It should be possible, but is not.
    pub fn or_skip(config: Config, faults: Faults) -> Option<Self> {
        let (linux, right) = match Linux::new(2) {
            Ok(made) => made,
            Err(why) => {
                skip(&why);
                return None;
            }
        };
        let station = Station::new(1, config, Recorder::default(), 1);
        let (gannet, left) = station.expect("a socket pair");
        let ports = [(Side::Left, left), (Side::Right, right)];
        let ports = ports.map(|(side, fd)| Port { side, fd });
        let middle = Middle::start(ports.into(), faults, faults, 1, None).expect("a thread");
        Some(Self {
            gannet,
            linux,
            middle,
        })
    }

    /// Drives gannet until `done`.
    ///
    /// # Panics
    /// That took too long.
    #[track_caller]
    pub fn until(&mut self, what: &str, done: impl FnMut(&mut Station<Recorder>) -> bool) {
        let reached = self.gannet.run_until(LIMIT, done);
        assert!(reached, "waited for: {what}; log {:?}", self.gannet.app.log);
    }

    /// Drives gannet for a while.
    pub fn pass(&mut self, time: Duration) {
        self.gannet.run_until(time, |_| false);
    }

    /// Drives gannet until its application was told `what`.
    #[track_caller]
    pub fn told(&mut self, what: &str) {
        self.until(what, |gannet| {
            gannet.app.log.iter().any(|line| line == what)
        });
    }

    /// A listener of Linux that does not block.
    ///
    /// # Panics
    /// There is none to be had.
    pub fn linux_listener(&self) -> TcpListener {
        let listener = linux_ends::listen(&self.linux, PORT).expect("a free port");
        listener.set_nonblocking(true).expect("a socket");
        listener
    }

    /// gannet starts to connect to Linux.
    ///
    /// # Panics
    /// It cannot.
    pub fn start_connect(&mut self) -> TcpPcb {
        let to = (self.linux.address(), PORT).into();
        connect_to(&mut self.gannet, to).expect("a route")
    }

    /// gannet connects to Linux: Linux's socket.
    ///
    /// # Panics
    /// It does not come about.
    #[track_caller]
    pub fn connect(&mut self) -> TcpStream {
        let listener = self.linux_listener();
        self.start_connect();
        let mut accepted = None;
        self.until("Linux to accept", |_| {
            accepted = listener.accept().ok();
            accepted.is_some()
        });
        self.told("connected");
        let (stream, _) = accepted.expect("waited for");
        stream.set_nonblocking(true).expect("a socket");
        stream
    }

    /// Linux starts to connect to gannet.
    ///
    /// # Panics
    /// It cannot.
    pub fn linux_starts_connect(&self) -> TcpStream {
        let to = SocketAddr::from((self.gannet.address(), PORT));
        linux_ends::start_connect(&self.linux, to)
    }

    /// Linux connects to gannet: Linux's socket.
    ///
    /// # Panics
    /// It does not come about.
    #[track_caller]
    pub fn accept(&mut self) -> TcpStream {
        listen(&mut self.gannet).expect("a free port");
        let stream = self.linux_starts_connect();
        self.told("accept");
        stream
    }

    /// gannet's TCP and its connection.
    pub fn tcp(&mut self) -> (Tcp<'_>, TcpPcb) {
        let pcb = self.gannet.app.pcb();
        (self.gannet.tcp(), pcb)
    }

    /// How gannet's connection is doing.
    ///
    /// # Panics
    /// It is gone.
    #[track_caller]
    pub fn info(&mut self) -> TcpInfo {
        let (tcp, pcb) = self.tcp();
        tcp.info(pcb).expect("a connection")
    }

    /// gannet sends `bytes`, and Linux receives them.
    ///
    /// # Panics
    /// They do not arrive as sent.
    #[track_caller]
    pub fn to_linux(&mut self, linux: &TcpStream, bytes: &[u8]) {
        let pcb = self.gannet.app.pcb();
        let (mut written, mut received) = (0, Vec::new());
        self.until("Linux to receive", |gannet| {
            written += write(&mut gannet.tcp(), pcb, &bytes[written..]);
            read(linux, &mut received);
            received.len() >= bytes.len()
        });
        assert!(received == bytes, "what arrived is not what was sent");
    }

    /// Linux sends `bytes`, and gannet receives them.
    ///
    /// # Panics
    /// They do not arrive as sent.
    #[track_caller]
    pub fn to_gannet(&mut self, mut linux: &TcpStream, bytes: &[u8]) {
        let mut written = 0;
        let before = self.gannet.app.data.len();
        self.until("gannet to receive", |gannet| {
            written += would_block(linux.write(&bytes[written..]));
            gannet.app.data.len() - before >= bytes.len()
        });
        assert!(
            self.gannet.app.data[before..] == *bytes,
            "what arrived is not what was sent"
        );
    }
}

/// Writes what fits of `bytes`: how much that was.
///
/// # Panics
/// The connection takes no data.
#[track_caller]
pub fn write(tcp: &mut Tcp<'_>, pcb: TcpPcb, bytes: &[u8]) -> usize {
    // In pieces, as it is all or nothing and buffers may be short.
    for piece in [16_384, 1_024] {
        let room = tcp.sndbuf(pcb).expect("a connection").min(piece);
        let bytes = &bytes[..room.min(bytes.len())];
        if !bytes.is_empty() && tcp.write(pcb, Data::Copy(bytes), More::No).is_ok() {
            return bytes.len();
        }
    }
    0
}

/// Reads what is there.
///
/// # Panics
/// The connection has failed.
#[track_caller]
pub fn read(mut linux: &TcpStream, into: &mut Vec<u8>) {
    let mut buffer = [0; 16_384];
    loop {
        match would_block(linux.read(&mut buffer)) {
            0 => return,
            n => into.extend_from_slice(&buffer[..n]),
        }
    }
}

/// Whether Linux sees the end of the stream. Data that is there is lost.
pub fn is_end(mut linux: &TcpStream) -> bool {
    matches!(linux.read(&mut [0; 1]), Ok(0))
}

/// The error Linux's socket reports, if any.
pub fn error(mut linux: &TcpStream) -> Option<ErrorKind> {
    let pending = linux.take_error().ok().flatten();
    let error = pending.or_else(|| linux.read(&mut [0; 1]).err())?;
    (error.kind() != ErrorKind::WouldBlock).then(|| error.kind())
}

/// `n` bytes to send.
pub fn bytes(n: usize) -> Vec<u8> {
    let mut bytes = Vec::new();
    while bytes.len() < n {
        bytes.extend_from_slice(stream(bytes.len() as u64));
    }
    bytes.truncate(n);
    bytes
}

#[track_caller]
fn would_block(outcome: std::io::Result<usize>) -> usize {
    match outcome {
        Ok(n) => n,
        Err(error) if error.kind() == ErrorKind::WouldBlock => 0,
        Err(error) => panic!("Linux's connection: {error}"),
    }
}
