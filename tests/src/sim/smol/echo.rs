//! Datagrams of a smoltcp host: sent back by servers, sent and compared by clients.
use gannet_core::Instant;
use smoltcp::iface::{SocketHandle, SocketSet};
use smoltcp::socket::udp::{PacketBuffer, PacketMetadata, Socket};
use smoltcp::wire::IpEndpoint;

use super::super::ledger::{Ledger, content};
use super::super::node::Place;
use super::super::plan::{Kind, UdpFlow};

#[derive(Debug)]
struct Client {
    flow: usize,
    plan: UdpFlow,
    to: IpEndpoint,
    sent: u32,
    next: Option<Instant>,
    socket: SocketHandle,
}

/// See the module.
#[derive(Debug)]
pub struct Echo {
    clients: Vec<Client>,
    servers: Vec<SocketHandle>,
}

fn bound(sockets: &mut SocketSet<'static>, port: u16) -> SocketHandle {
    let buffer = || PacketBuffer::new(vec![PacketMetadata::EMPTY; 16], vec![0; 16_384]);
    let mut socket = Socket::new(buffer(), buffer());
    socket.bind(port).expect("each flow has its own port");
    sockets.add(socket)
}

impl Echo {
    /// The part of the application of the host at `place` that begins at `start`.
    pub fn new(place: &Place, sockets: &mut SocketSet<'static>, start: Instant) -> Self {
        let (mut clients, mut servers) = (Vec::new(), Vec::new());
        for (flow, of) in place.plan.flows.iter().enumerate() {
            let Kind::Udp(plan) = of.kind else { continue };
            if of.server == place.n {
                servers.push(bound(sockets, of.port));
            }
            if of.client == place.n {
                clients.push(Client {
                    flow,
                    plan,
                    to: IpEndpoint::new(place.plan.addr(of.server).into(), of.port),
                    sent: 0,
                    next: Some(start + of.start),
                    socket: bound(sockets, 40_000 + flow as u16),
                });
            }
        }
        Self { clients, servers }
    }

    /// Clients do not come back.
    pub fn rebooted(&mut self) {
        for client in &mut self.clients {
            client.next = None;
        }
    }

    /// Whether all was sent.
    pub fn is_finished(&self) -> bool {
        self.next_wake().is_none()
    }

    /// When the next datagram is to be sent.
    pub fn next_wake(&self) -> Option<Instant> {
        self.clients.iter().filter_map(|client| client.next).min()
    }

    /// Sends back, sends, compares.
    pub fn turn(&mut self, sockets: &mut SocketSet<'static>, ledger: &mut Ledger, now: Instant) {
        for server in &self.servers {
            let socket = sockets.get_mut::<Socket<'_>>(*server);
            while socket.can_send()
                && let Ok((data, from)) = socket.recv().map(|(data, from)| (data.to_vec(), from))
            {
                // Port 0 expects no answer.
                let _ = socket.send_slice(&data, from.endpoint);
            }
        }
        for client in &mut self.clients {
            let socket = sockets.get_mut::<Socket<'_>>(client.socket);
            let id = client.flow as u32;
            while let Ok((data, from)) = socket.recv() {
                let right = (0..).zip(data).all(|(n, byte)| *byte == content(id, 1, n));
                if !right || data.len() != client.plan.size || from.endpoint != client.to {
                    ledger.suspect(format!("flow {id}: a datagram came back damaged"));
                }
                ledger.datagrams[1] += 1;
            }
            if client.next.is_none_or(|next| next > now) {
                continue;
            }
            client.sent += 1;
            let more = client.sent < client.plan.count;
            client.next = more.then(|| now + client.plan.interval);
            let bytes: Vec<u8> = (0..client.plan.size as u64)
                .map(|n| content(id, 1, n))
                .collect();
            if socket.send_slice(&bytes, client.to).is_ok() {
                ledger.datagrams[0] += 1;
            }
        }
    }
}
