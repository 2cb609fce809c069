//! Connections made and closed at once, one after the other, perhaps beside others.
use core::time::Duration;

use gannet_core::{Error, Handler, Instant, Owner, Pbuf, Refused, Stack, Tcp, TcpListener, TcpPcb};

use super::bulk::listen;
use super::{ADDRS, Client, PORT, Server, server_addr};
use crate::cell::Beside;

/// Where the server leaves connections half open: until data comes, which never does.
const SILENT_PORT: u16 = PORT + 1;

/// Makes the others, then connects, and closes as soon as it is connected.
pub(super) struct Caller {
    /// Others still to be made, and the port for them.
    others: usize,
    others_port: u16,
    to_call: u64,
    calling: bool,
}

/// Closes when the peer has closed, as `recv` does by default.
pub(super) struct Callee;

pub(super) fn apps(others: usize, beside: Beside) -> (Caller, Callee) {
    let (others, others_port) = match beside {
        Beside::Established => (others, PORT),
        Beside::HalfOpen => (others, SILENT_PORT),
        // Those that were made and closed are the others.
        Beside::TimeWait => (0, PORT),
    };
    let caller = Caller {
        others,
        others_port,
        to_call: 0,
        calling: false,
    };
    (caller, Callee)
}

impl Caller {
    fn call(&mut self, tcp: &mut Tcp<'_>) {
        self.calling = self.to_call > 0;
        if self.calling {
            let pcb = tcp.new(Owner(0)).expect("a free block");
            let addr = match self.others {
                0 => server_addr(),
                _ => (ADDRS[1], self.others_port).into(),
            };
            tcp.connect(pcb, addr).expect("a route");
        }
    }
}

impl Handler for Caller {
    fn connected(&mut self, tcp: &mut Tcp<'_>, pcb: TcpPcb) {
        if self.others > 0 {
            self.others -= 1;
            return self.call(tcp);
        }
        self.to_call -= 1;
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

impl Handler for Callee {
    fn accept(&mut self, _: &mut Tcp<'_>, _: TcpListener, _: TcpPcb) -> Result<(), Error> {
        Ok(())
    }
}

impl Server for Callee {
    fn listen(&mut self, stack: &mut Stack, now: Instant) {
        listen(stack, now);
        let mut tcp = stack.tcp(now);
        let pcb = tcp.new(Owner(0)).expect("a free block");
        tcp.bind(pcb, (ADDRS[1], SILENT_PORT).into())
            .expect("a free port");
        tcp.defer_accept(pcb, Some(Duration::from_secs(86_400)))
            .expect("a block not connected yet");
        tcp.listen(pcb, u16::MAX).expect("a free listener");
    }
}
