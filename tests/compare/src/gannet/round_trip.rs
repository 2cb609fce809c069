//! Requests and responses over one or many connections.
use alloc::{vec, vec::Vec};

use gannet_core::tcp::{Data, More, Nagle};
use gannet_core::{Error, Handler, Instant, Owner, Pbuf, Refused, Stack, Tcp, TcpListener, TcpPcb};

use super::bulk::listen;
use super::{Client, Server, server_addr};

pub(super) struct Asker {
    message: Vec<u8>,
    connections: usize,
    /// The first so many take turns.
    busy: usize,
    pcbs: Vec<TcpPcb>,
    connected: usize,
    /// Whose turn it is.
    turn: usize,
    to_ask: u64,
    /// Bytes of the response that are still to come.
    missing: usize,
}

pub(super) struct Answerer {
    message: Vec<u8>,
}

pub(super) fn apps(len: usize, busy: usize, idle: usize) -> (Asker, Answerer) {
    let message = vec![0x5a; len];
    let asker = Asker {
        message: message.clone(),
        connections: busy + idle,
        busy,
        pcbs: Vec::new(),
        connected: 0,
        turn: 0,
        to_ask: 0,
        missing: 0,
    };
    (asker, Answerer { message })
}

impl Asker {
    fn ask(&mut self, tcp: &mut Tcp<'_>) {
        if self.to_ask == 0 {
            return;
        }
        self.to_ask -= 1;
        let pcb = self.pcbs[self.turn];
        self.turn = (self.turn + 1) % self.busy;
        self.missing = self.message.len();
        tcp.write(pcb, Data::Copy(&self.message), More::No)
            .expect("room");
    }
}

impl Handler for Asker {
    fn connected(&mut self, tcp: &mut Tcp<'_>, pcb: TcpPcb) {
        tcp.nagle(pcb, Nagle::Disabled).expect("a connection");
        self.connected += 1;
        self.pcbs.push(pcb);
        if self.connected == self.connections {
            self.ask(tcp);
        } else {
            self.call(tcp);
        }
    }

    fn recv(&mut self, tcp: &mut Tcp<'_>, pcb: TcpPcb, data: Option<Pbuf>) -> Result<(), Refused> {
        let data = data.expect("the server never closes");
        let len = data.tot_len();
        tcp.recved(pcb, len).expect("the connection in a callback");
        self.missing -= len;
        if self.missing == 0 {
            self.ask(tcp);
        }
        Ok(())
    }
}

impl Asker {
    fn call(&mut self, tcp: &mut Tcp<'_>) {
        let pcb = tcp.new(Owner(0)).expect("a free block");
        tcp.connect(pcb, server_addr()).expect("a route");
    }
}

impl Client for Asker {
    fn start(&mut self, stack: &mut Stack, now: Instant, units: u64) {
        self.to_ask += units;
        let mut tcp = stack.tcp(now);
        if self.connected < self.connections {
            self.call(&mut tcp);
        } else {
            self.ask(&mut tcp);
        }
    }

    fn is_done(&self) -> bool {
        self.to_ask == 0 && self.missing == 0
    }
}

impl Handler for Answerer {
    fn accept(&mut self, tcp: &mut Tcp<'_>, _: TcpListener, pcb: TcpPcb) -> Result<(), Error> {
        tcp.nagle(pcb, Nagle::Disabled)
    }

    fn recv(&mut self, tcp: &mut Tcp<'_>, pcb: TcpPcb, data: Option<Pbuf>) -> Result<(), Refused> {
        let data = data.expect("the client never closes");
        // One request is one segment.
        tcp.recved(pcb, data.tot_len())
            .expect("the connection in a callback");
        tcp.write(pcb, Data::Copy(&self.message), More::No)
            .expect("room");
        Ok(())
    }
}

impl Server for Answerer {
    fn listen(&mut self, stack: &mut Stack, now: Instant) {
        listen(stack, now);
    }
}
