//! Connections from the board: for each SYN the gateway first connects to the same port of the
//! host, and only then lets its stack see the SYN. So the board is refused where the host refuses,
//! and no port needs to be known beforehand.
use core::net::{Ipv4Addr, SocketAddrV4};
use core::time::Duration;
use std::collections::VecDeque;
use std::io;
use std::net::TcpStream;
use std::os::fd::{AsFd, BorrowedFd};
use std::time::Instant;

use gannet_core::wire::checksum::Checksum;
use gannet_core::wire::ethernet::{self, EtherType};
use gannet_core::wire::ipv4::{Packet, Protocol};
use gannet_core::wire::tcp::{Flags, Segment, SeqNum};
use gannet_core::{Owner, Tcp, TcpListener};
use rustix::io::Errno;
use rustix::net::{AddressFamily, SocketFlags, SocketType, sockopt};

/// Connections to the host that wait for the board's third segment; the oldest gives way.
const MAX_WAITING: usize = 256;
/// How long they wait at most: a handshake is given up after two minutes.
const PATIENCE: Duration = Duration::from_secs(150);
/// Ports listened on; the longest unused gives way.
const MAX_LISTENERS: usize = 32;
const BACKLOG: u16 = 128;

/// Who wants to connect whereto.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Attempt {
    from: SocketAddrV4,
    port: u16,
    /// Tells a SYN that comes late, or twice, from that of another connection.
    isn: SeqNum,
}

/// What to do with a frame from the board.
pub(super) enum Verdict {
    /// The stack may see it.
    Pass,
    /// It waits for the host, or is one more of those that do.
    Hold,
}

/// Attempts under way.
#[derive(Debug)]
pub(super) struct Admissions {
    gateway: Ipv4Addr,
    owner: Owner,
    connecting: Vec<(Attempt, TcpStream, Vec<u8>)>,
    /// Connected to the host; the board's handshake goes on.
    connected: Vec<(Attempt, TcpStream, Instant)>,
    /// Of late; one more SYN of theirs is no attempt.
    accepted: VecDeque<Attempt>,
    listeners: Vec<(u16, TcpListener)>,
}

impl Admissions {
    pub(super) fn new(gateway: Ipv4Addr, owner: Owner) -> Self {
        Self {
            gateway,
            owner,
            connecting: Vec::new(),
            connected: Vec::new(),
            accepted: VecDeque::new(),
            listeners: Vec::new(),
        }
    }

    /// Looks at a frame before the stack does.
    pub(super) fn inspect(&mut self, tcp: &mut Tcp<'_>, frame: &[u8]) -> Verdict {
        let Some(attempt) = syn(frame, self.gateway) else {
            return Verdict::Pass;
        };
        let known = |(other, ..): &(Attempt, TcpStream, Vec<u8>)| *other == attempt;
        if self.connecting.iter().any(known) {
            return Verdict::Hold;
        }
        let is_known = self.connected.iter().any(|(other, ..)| *other == attempt);
        if is_known || self.accepted.contains(&attempt) {
            return Verdict::Pass;
        }
        match connect(attempt.port) {
            Ok(host) => {
                if self.connecting.len() >= MAX_WAITING {
                    self.connecting.remove(0);
                }
                self.connecting.push((attempt, host, frame.to_vec()));
                Verdict::Hold
            }
            Err(_) => {
                self.stop_listening(tcp, attempt.port);
                Verdict::Pass
            }
        }
    }

    /// The sockets to wait for, until they can be written to.
    pub(super) fn fds(&self) -> impl Iterator<Item = BorrowedFd<'_>> {
        self.connecting.iter().map(|(_, host, _)| host.as_fd())
    }

    /// Looks how the attempts stand; the frames that the stack may see now.
    pub(super) fn progress(&mut self, tcp: &mut Tcp<'_>) -> Vec<Vec<u8>> {
        self.connected
            .retain(|(.., since)| since.elapsed() < PATIENCE);
        let mut frames = Vec::new();
        for (attempt, host, frame) in core::mem::take(&mut self.connecting) {
            match is_connected(&host) {
                Ok(false) => self.connecting.push((attempt, host, frame)),
                Ok(true) => {
                    if self.listen(tcp, attempt.port) {
                        if self.connected.len() >= MAX_WAITING {
                            self.connected.remove(0);
                        }
                        self.connected.push((attempt, host, Instant::now()));
                    }
                    frames.push(frame);
                }
                Err(_) => {
                    self.stop_listening(tcp, attempt.port);
                    frames.push(frame);
                }
            }
        }
        frames
    }

    /// The connection to the host behind one that the stack has accepted.
    pub(super) fn take(&mut self, from: SocketAddrV4, port: u16) -> Option<TcpStream> {
        let is_it = |attempt: &Attempt| (attempt.from, attempt.port) == (from, port);
        let at = self.connected.iter().position(|(it, ..)| is_it(it))?;
        let (attempt, host, _) = self.connected.remove(at);
        self.accepted.truncate(MAX_WAITING - 1);
        self.accepted.push_front(attempt);
        Some(host)
    }

    fn listen(&mut self, tcp: &mut Tcp<'_>, port: u16) -> bool {
        if let Some(at) = self.listeners.iter().position(|(of, _)| *of == port) {
            let used = self.listeners.remove(at);
            self.listeners.push(used);
            return true;
        }
        if self.listeners.len() >= MAX_LISTENERS {
            // Without its listener a handshake that is under way would end in a reset.
            let is_waited_for = |port: u16| self.connected.iter().any(|(a, ..)| a.port == port);
            let unused = self
                .listeners
                .iter()
                .position(|(of, _)| !is_waited_for(*of));
            let Some(unused) = unused else { return false };
            let _ = tcp.close_listener(self.listeners.remove(unused).1);
        }
        let Ok(pcb) = tcp.new(self.owner) else {
            return false;
        };
        let bound = tcp.bind(pcb, (self.gateway, port).into());
        match bound.and_then(|()| tcp.listen(pcb, BACKLOG)) {
            Ok(listener) => {
                self.listeners.push((port, listener));
                true
            }
            Err(_) => {
                let _ = tcp.abort(pcb);
                false
            }
        }
    }

    /// The host refuses the port, so the stack shall.
    fn stop_listening(&mut self, tcp: &mut Tcp<'_>, port: u16) {
        if let Some(at) = self.listeners.iter().position(|(of, _)| *of == port) {
            let _ = tcp.close_listener(self.listeners.remove(at).1);
        }
    }
}

/// The attempt that `frame` begins, if it is a SYN to the gateway.
fn syn(frame: &[u8], gateway: Ipv4Addr) -> Option<Attempt> {
    let (header, packet) = ethernet::parse(frame).ok()?;
    if header.ethertype() != EtherType::IPV4 {
        return None;
    }
    let packet = Packet::parse(packet, packet.len()).ok()?;
    let is_whole = !packet.is_fragment() && packet.protocol() == Protocol::TCP;
    if !is_whole || packet.dst() != gateway {
        return None;
    }
    let bytes = packet.first_payload();
    // What is damaged may name a port that the board did not. RFC 9293 §3.1.
    let mut sum = Checksum::new();
    sum.pseudo_header(
        packet.src(),
        gateway,
        Protocol::TCP,
        u16::try_from(bytes.len()).ok()?,
    );
    sum.add(bytes);
    if !packet.checksum_is_valid() || !sum.is_valid() {
        return None;
    }
    let segment = Segment::parse(bytes, packet.payload_len()).ok()?;
    let flags = segment.flags();
    (flags.contains(Flags::SYN) && !flags.contains(Flags::ACK)).then(|| Attempt {
        from: SocketAddrV4::new(packet.src(), segment.src_port()),
        port: segment.dst_port(),
        isn: segment.seq(),
    })
}

/// Starts to connect to the host.
fn connect(port: u16) -> io::Result<TcpStream> {
    let flags = SocketFlags::NONBLOCK | SocketFlags::CLOEXEC;
    let socket = rustix::net::socket_with(AddressFamily::INET, SocketType::STREAM, flags, None)?;
    let host = SocketAddrV4::new(Ipv4Addr::LOCALHOST, port);
    match rustix::net::connect(&socket, &host) {
        Ok(()) | Err(Errno::INPROGRESS) => Ok(socket.into()),
        Err(error) => Err(error.into()),
    }
}

fn is_connected(host: &TcpStream) -> io::Result<bool> {
    sockopt::socket_error(host)??;
    match host.peer_addr() {
        Ok(_) => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::NotConnected => Ok(false),
        Err(error) => Err(error),
    }
}
