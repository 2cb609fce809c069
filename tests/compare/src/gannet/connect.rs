//! Connections made and closed at once, one after the other.
use gannet_core::{Error, Handler, Instant, Owner, Pbuf, Refused, Stack, Tcp, TcpListener, TcpPcb};

use super::bulk::listen;
use super::{Client, Server, server_addr};

/// Connects, and closes as soon as it is connected.
#[derive(Default)]
pub(super) struct Caller {
    to_call: u64,
    calling: bool,
}

impl Caller {
    fn call(&mut self, tcp: &mut Tcp<'_>) {
        self.calling = self.to_call > 0;
        if self.calling {
            self.to_call -= 1;
            let pcb = tcp.new(Owner(0)).expect("a free block");
            tcp.connect(pcb, server_addr()).expect("a route");
        }
    }
}

impl Handler for Caller {
    fn connected(&mut self, tcp: &mut Tcp<'_>, pcb: TcpPcb) {
        tcp.close(pcb).expect("the connection in a callback");
    }

    fn recv(&mut self, tcp: &mut Tcp<'_>, _: TcpPcb, data: Option<Pbuf>) -> Result<(), Refused> {
        // The peer's end of stream: this connection is over.
        assert!(data.is_none(), "nobody sends data here");
        self.call(tcp);
        Ok(())
    }
}

impl Client for Caller {
    fn start(&mut self, stack: &mut Stack, now: Instant, units: u64) {
        self.to_call += units;
        self.call(&mut stack.tcp(now));
    }

    fn is_done(&self) -> bool {
        !self.calling
    }
}

/// Closes when the peer has closed, as `recv` does by default.
pub(super) struct Callee;

impl Handler for Callee {
    fn accept(&mut self, _: &mut Tcp<'_>, _: TcpListener, _: TcpPcb) -> Result<(), Error> {
        Ok(())
    }
}

impl Server for Callee {
    fn listen(&mut self, stack: &mut Stack, now: Instant) {
        listen(stack, now);
    }
}
