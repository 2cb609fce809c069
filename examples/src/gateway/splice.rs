//! One TCP connection between the board and the host, made of two: data, the end of each
//! direction, and resets cross over. What one side does not take yet, the other must hold.
use core::time::Duration;
use std::io::{self, Read, Write};
use std::net::{self, TcpStream};
use std::os::fd::{AsFd, BorrowedFd};

use gannet_core::tcp::{Data, More, Shutdown};
use gannet_core::{Chain, Error, Pbuf, Tcp, TcpPcb};
use rustix::event::PollFlags;
use rustix::net::sockopt;

/// Bytes moved from the host in one go, before others have their turn.
const TURN: usize = 64 * 1024;
const BUFFER: usize = 16 * 1024;

/// Two connections that are one.
#[derive(Debug)]
pub(super) struct Splice {
    host: TcpStream,
    pcb: TcpPcb,
    stage: Stage,
    /// From the board, for the host. The board's window is closed by as much.
    to_host: Chain,
    /// From the host, for the board, when the stack had no buffers.
    to_board: Vec<u8>,
    host_side: Side,
    board_side: Side,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    /// To the board.
    Connecting,
    Open,
}

/// What one side sends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Side {
    Open,
    /// It has ended; the other does not know yet.
    Ended,
    /// It has ended, and the other was told.
    Told,
}

/// Whether there is anything left to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum State {
    Goes,
    Over,
}

impl Splice {
    /// `pcb` connects to the board for `host`.
    pub(super) fn connecting(host: TcpStream, pcb: TcpPcb) -> io::Result<Self> {
        Self::new(host, pcb, Stage::Connecting)
    }

    /// `pcb` was accepted from the board, `host` is connected.
    pub(super) fn open(host: TcpStream, pcb: TcpPcb) -> io::Result<Self> {
        Self::new(host, pcb, Stage::Open)
    }

    fn new(host: TcpStream, pcb: TcpPcb, stage: Stage) -> io::Result<Self> {
        host.set_nonblocking(true)?;
        host.set_nodelay(true)?;
        Ok(Self {
            host,
            pcb,
            stage,
            to_host: Chain::new(),
            to_board: Vec::new(),
            host_side: Side::Open,
            board_side: Side::Open,
        })
    }

    /// The board has accepted.
    pub(super) fn connected(&mut self, tcp: &mut Tcp<'_>) -> State {
        self.stage = Stage::Open;
        self.pump(tcp)
    }

    /// The host's socket and what to wait for; `None`: nothing.
    pub(super) fn interest(&self, tcp: &Tcp<'_>) -> Option<(BorrowedFd<'_>, PollFlags)> {
        let mut flags = PollFlags::empty();
        let takes = self.to_board.is_empty() && tcp.sndbuf(self.pcb).is_ok_and(|room| room > 0);
        if self.stage == Stage::Open && self.host_side == Side::Open && takes {
            flags |= PollFlags::IN;
        }
        if !self.to_host.is_empty() {
            flags |= PollFlags::OUT;
        }
        // A socket both of whose directions have ended reports so for ever.
        let silent = flags.is_empty() && self.board_side == Side::Told;
        (!silent).then(|| (self.host.as_fd(), flags))
    }

    /// The host's socket reported `flags`.
    pub(super) fn host_ready(&mut self, tcp: &mut Tcp<'_>, flags: PollFlags) -> State {
        if flags.contains(PollFlags::ERR) {
            return self.host_failed(tcp);
        }
        self.pump(tcp)
    }

    /// Data or the end of stream from the board.
    pub(super) fn board_sent(&mut self, tcp: &mut Tcp<'_>, data: Option<Pbuf>) -> State {
        match data {
            Some(data) => self.to_host.push(data),
            None => self.board_side = Side::Ended,
        }
        self.pump(tcp)
    }

    /// Moves what can be moved.
    pub(super) fn pump(&mut self, tcp: &mut Tcp<'_>) -> State {
        let moved = self
            .pump_to_host(tcp)
            .and_then(|()| self.pump_to_board(tcp));
        if moved.is_err() {
            return self.host_failed(tcp);
        }
        if (self.host_side, self.board_side) == (Side::Told, Side::Told) {
            // Stale is as good as gone.
            let _ = tcp.orphan(self.pcb);
            return State::Over;
        }
        State::Goes
    }

    fn pump_to_host(&mut self, tcp: &mut Tcp<'_>) -> io::Result<()> {
        while !self.to_host.is_empty() {
            match self.host.write(self.to_host.front()) {
                Ok(n) => {
                    self.to_host.consume(n);
                    // Stale if both sides have ended: what is here is still the host's.
                    let _ = tcp.recved(self.pcb, n);
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(()),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        if self.board_side == Side::Ended {
            self.board_side = Side::Told;
            self.host.shutdown(net::Shutdown::Write)?;
        }
        Ok(())
    }

    fn pump_to_board(&mut self, tcp: &mut Tcp<'_>) -> io::Result<()> {
        if self.stage == Stage::Connecting {
            return Ok(());
        }
        let mut buffer = [0; BUFFER];
        let mut moved = 0;
        while moved < TURN && self.host_side == Side::Open {
            if !self.flush(tcp)? {
                return Ok(());
            }
            let room = tcp.sndbuf(self.pcb).map_err(io::Error::other)?.min(BUFFER);
            let Some(free) = buffer.get_mut(..room).filter(|free| !free.is_empty()) else {
                return Ok(());
            };
            match self.host.read(free) {
                Ok(0) => self.host_side = Side::Ended,
                Ok(n) => {
                    moved += n;
                    self.to_board
                        .extend_from_slice(buffer.get(..n).unwrap_or(&[]));
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(()),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        if self.flush(tcp)? && self.host_side == Side::Ended {
            self.host_side = Side::Told;
            tcp.shutdown(self.pcb, Shutdown::Write)
                .map_err(io::Error::other)?;
        }
        Ok(())
    }

    /// Writes what waits for the board; whether nothing waits any more.
    fn flush(&mut self, tcp: &mut Tcp<'_>) -> io::Result<bool> {
        if self.to_board.is_empty() {
            return Ok(true);
        }
        match tcp.write(self.pcb, Data::Copy(&self.to_board), More::No) {
            Ok(()) => {
                self.to_board.clear();
                Ok(true)
            }
            Err(refused) if refused.error == Error::NoMemory => Ok(false),
            Err(refused) => Err(io::Error::other(refused.error)),
        }
    }

    /// The host has reset its connection, or it can't be used.
    fn host_failed(&mut self, tcp: &mut Tcp<'_>) -> State {
        let _ = tcp.abort(self.pcb);
        State::Over
    }

    /// The board's connection has failed: so does the host's.
    pub(super) fn board_failed(self) {
        reset(&self.host);
    }
}

/// Has `socket` reset its connection when it is closed.
pub(crate) fn reset(socket: &TcpStream) {
    // Fails only on what is no socket.
    let _ = sockopt::set_socket_linger(socket, Some(Duration::ZERO));
}
