//! Datagrams to forwarded ports: an endpoint on the gateway for each sender on the host, so that
//! the board's answers find back.
use core::net::SocketAddr;
use std::io;
use std::net::UdpSocket;

use gannet_core::{Owner, Pbuf, Pool, Udp, UdpPcb};

/// Senders remembered, over all ports; the longest silent gives way.
const MAX_SENDERS: usize = 64;
/// Largest payload of a UDP datagram over IPv4.
const LARGEST: usize = 65_507;
/// Datagrams taken from a port in one go.
const BATCH: usize = 32;

#[derive(Debug)]
struct Sender {
    /// Which of the ports it sends to.
    port: usize,
    addr: SocketAddr,
    pcb: UdpPcb,
}

/// Forwarded UDP ports.
#[derive(Debug)]
pub(super) struct Datagrams {
    owner: Owner,
    pool: &'static Pool,
    ports: Vec<(UdpSocket, SocketAddr)>,
    /// The longest silent first.
    senders: Vec<Sender>,
}

impl Datagrams {
    /// Forwards from each socket to the board's address beside it.
    pub(super) fn new(
        ports: Vec<(UdpSocket, SocketAddr)>,
        pool: &'static Pool,
        owner: Owner,
    ) -> io::Result<Self> {
        for (socket, _) in &ports {
            socket.set_nonblocking(true)?;
        }
        Ok(Self {
            owner,
            pool,
            ports,
            senders: Vec::new(),
        })
    }

    /// The sockets to read from.
    pub(super) fn sockets(&self) -> impl Iterator<Item = &UdpSocket> {
        self.ports.iter().map(|(socket, _)| socket)
    }

    /// Forwards what has arrived at `port`; what can't be sent is lost, as datagrams may be.
    pub(super) fn forward(&mut self, udp: &mut Udp<'_>, port: usize) {
        let mut buffer = [0; LARGEST];
        for _ in 0..BATCH {
            let Some((socket, _)) = self.ports.get(port) else {
                return;
            };
            // Errors tell of earlier answers that nobody wanted.
            let Ok((len, from)) = socket.recv_from(&mut buffer) else {
                return;
            };
            let Some(pcb) = self.endpoint(udp, port, from) else {
                return;
            };
            if let Ok(mut data) = Pbuf::alloc(self.pool, 0, len) {
                data.copy_from(buffer.get(..len).unwrap_or(&[]));
                let _ = udp.send(pcb, data);
            }
        }
    }

    /// An answer of the board.
    pub(super) fn answer(&mut self, pcb: UdpPcb, data: &Pbuf) {
        let Some(sender) = self.senders.iter().find(|sender| sender.pcb == pcb) else {
            return;
        };
        if let Some((socket, _)) = self.ports.get(sender.port) {
            let mut bytes = vec![0; data.tot_len()];
            data.copy_to(0, &mut bytes);
            let _ = socket.send_to(&bytes, sender.addr);
        }
    }

    /// The endpoint of the sender `addr`.
    fn endpoint(&mut self, udp: &mut Udp<'_>, port: usize, addr: SocketAddr) -> Option<UdpPcb> {
        let is_it = |sender: &Sender| sender.port == port && sender.addr == addr;
        if let Some(at) = self.senders.iter().position(is_it) {
            let sender = self.senders.remove(at);
            let pcb = sender.pcb;
            self.senders.push(sender);
            return Some(pcb);
        }
        if self.senders.len() >= MAX_SENDERS {
            let _ = udp.close(self.senders.remove(0).pcb);
        }
        let board = self.ports.get(port)?.1;
        let pcb = udp.new(self.owner).ok()?;
        if udp.connect(pcb, board).is_err() {
            let _ = udp.close(pcb);
            return None;
        }
        self.senders.push(Sender { port, addr, pcb });
        Some(pcb)
    }
}
