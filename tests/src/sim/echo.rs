//! Datagrams that a client sends and a server sends back, without copying.
use std::cell::RefCell;
use std::net::SocketAddr;
use std::rc::Rc;

use gannet_core::udp::Datagram;
use gannet_core::{Instant, Owner, Pbuf, Pool, Stack, Udp, UdpPcb};

use super::ledger::{Ledger, content};
use super::plan::{Kind, Plan, UdpFlow};

#[derive(Debug)]
struct Client {
    flow: usize,
    plan: UdpFlow,
    to: SocketAddr,
    sent: u32,
    next: Option<Instant>,
    pcb: Option<UdpPcb>,
}

/// See the module.
#[derive(Debug)]
pub struct Echo {
    ledger: Rc<RefCell<Ledger>>,
    tx: &'static Pool,
    clients: Vec<Client>,
    servers: Vec<(u16, Option<UdpPcb>)>,
}

impl Echo {
    /// The part of host `host`.
    pub fn new(
        host: usize,
        plan: &Plan,
        ledger: &Rc<RefCell<Ledger>>,
        tx: &'static Pool,
        start: Instant,
    ) -> Self {
        let (mut clients, mut servers) = (Vec::new(), Vec::new());
        for (n, flow) in plan.flows.iter().enumerate() {
            let addr = plan.addr(flow.server);
            let Kind::Udp(plan) = flow.kind else { continue };
            if flow.server == host {
                servers.push((flow.port, None));
            }
            if flow.client == host {
                clients.push(Client {
                    flow: n,
                    plan,
                    to: (addr, flow.port).into(),
                    sent: 0,
                    next: Some(start + flow.start),
                    pcb: None,
                });
            }
        }
        Self {
            ledger: ledger.clone(),
            tx,
            clients,
            servers,
        }
    }

    /// Clients do not come back.
    pub fn rebooted(&mut self) {
        self.clients.clear();
    }

    /// Whether all was sent.
    pub fn is_finished(&self) -> bool {
        self.clients.iter().all(|client| client.next.is_none())
    }

    /// When the next datagram is to be sent.
    pub fn next_wake(&self) -> Option<Instant> {
        self.clients.iter().filter_map(|client| client.next).min()
    }

    /// Binds the servers.
    pub fn listen(&mut self, stack: &mut Stack, now: Instant) {
        for (port, server) in &mut self.servers {
            let mut udp = stack.udp(now);
            let pcb = udp.new(Owner(0)).expect("nothing is open yet");
            let any = SocketAddr::from(([0, 0, 0, 0], *port));
            udp.bind(pcb, any).expect("each flow has its own port");
            *server = Some(pcb);
        }
    }

    /// Closes everything.
    pub fn shut_down(&mut self, stack: &mut Stack, now: Instant) {
        let servers = self.servers.iter_mut().map(|(_, pcb)| pcb);
        let clients = self.clients.iter_mut().map(|client| &mut client.pcb);
        for pcb in servers.chain(clients).filter_map(Option::take) {
            let _ = stack.udp(now).close(pcb);
        }
    }

    /// Sends what is due.
    pub fn tick(&mut self, stack: &mut Stack) {
        let now = stack.now();
        for client in &mut self.clients {
            if client.next.is_none_or(|next| next > now) {
                continue;
            }
            client.sent += 1;
            let more = client.sent < client.plan.count;
            client.next = more.then(|| now + client.plan.interval);
            let mut udp = stack.udp_now();
            if client.pcb.is_none() {
                client.pcb = udp.new(Owner(0)).ok();
            }
            let Some(pcb) = client.pcb else { continue };
            let (id, size) = (client.flow as u32, client.plan.size);
            let bytes: Vec<u8> = (0..size as u64).map(|n| content(id, 1, n)).collect();
            let Ok(mut data) = Pbuf::alloc(self.tx, 42, size) else {
                continue;
            };
            data.copy_from(&bytes);
            if udp.send_to(pcb, data, client.to).is_ok() {
                self.ledger.borrow_mut().datagrams[0] += 1;
            }
        }
    }

    /// Sends a request back, and checks an answer.
    pub fn received(&mut self, udp: &mut Udp<'_>, pcb: UdpPcb, datagram: Datagram) {
        if self.servers.iter().any(|(_, server)| *server == Some(pcb)) {
            // Port 0 expects no answer.
            let _ = udp.send_to(pcb, datagram.data, datagram.from);
            return;
        }
        let client = self.clients.iter().find(|client| client.pcb == Some(pcb));
        let Some(client) = client else { return };
        let mut ledger = self.ledger.borrow_mut();
        let id = client.flow as u32;
        let bytes = datagram.data.parts().flatten();
        let right = bytes.zip(0..).all(|(byte, n)| *byte == content(id, 1, n));
        if !right || datagram.data.tot_len() != client.plan.size || datagram.from != client.to {
            ledger.suspect(format!("flow {id}: a datagram came back damaged"));
        }
        ledger.datagrams[1] += 1;
    }
}
