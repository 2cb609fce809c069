//! A source that keeps its send buffer full, and a sink.
use alloc::{vec, vec::Vec};

use gannet_core::tcp::{Data, More};
use gannet_core::{Error, Handler, Instant, Owner, Pbuf, Refused, Stack, Tcp, TcpListener, TcpPcb};

use super::{Client, PORT, Server, server_addr};
use crate::cell::{Api, MSS};

/// What is sent, over and over; as constant data it can be sent in place.
static CONTENT: [u8; 8 * MSS as usize] = [0x5a; 8 * MSS as usize];

pub(super) struct Source {
    api: Api,
    /// Bytes of one write.
    piece: usize,
    pcb: Option<TcpPcb>,
    connected: bool,
    to_write: u64,
    to_be_acked: u64,
}

pub(super) struct Sink {
    api: Api,
    buffer: Vec<u8>,
    /// Bytes read so far.
    taken: u64,
}

pub(super) fn apps(window: usize, api: Api) -> (Source, Sink) {
    let source = Source {
        api,
        piece: crate::clock::piece(window),
        pcb: None,
        connected: false,
        to_write: 0,
        to_be_acked: 0,
    };
    (source, Sink::new(api, window))
}

impl Sink {
    /// One that reads at most `most` bytes at once, if it copies them.
    pub(super) fn new(api: Api, most: usize) -> Self {
        Self {
            api,
            buffer: vec![0; most],
            taken: 0,
        }
    }

    pub(super) fn taken(&self) -> u64 {
        self.taken
    }
}

impl Source {
    fn fill(&mut self, tcp: &mut Tcp<'_>, pcb: TcpPcb) {
        while self.to_write > 0 {
            let len = self.to_write.min(self.piece as u64) as usize;
            let data = match self.api {
                Api::ZeroCopy => Data::Static(&CONTENT[..len]),
                Api::Copying => Data::Copy(&CONTENT[..len]),
            };
            match tcp.write(pcb, data, More::Yes) {
                Ok(()) => self.to_write -= len as u64,
                Err(refused) if refused.error == Error::NoMemory => return,
                Err(other) => panic!("write: {:?}", other.error),
            }
        }
    }
}

impl Handler for Source {
    fn connected(&mut self, tcp: &mut Tcp<'_>, pcb: TcpPcb) {
        self.connected = true;
        self.fill(tcp, pcb);
    }

    fn sent(&mut self, tcp: &mut Tcp<'_>, pcb: TcpPcb, len: usize) {
        self.to_be_acked -= len as u64;
        self.fill(tcp, pcb);
    }
}

impl Client for Source {
    fn start(&mut self, stack: &mut Stack, now: Instant, units: u64) {
        self.to_write += units * MSS;
        self.to_be_acked += units * MSS;
        let mut tcp = stack.tcp(now);
        match self.pcb {
            Some(pcb) => self.fill(&mut tcp, pcb),
            None => {
                let pcb = tcp.new(Owner(0)).expect("a free block");
                tcp.connect(pcb, server_addr()).expect("a route");
                self.pcb = Some(pcb);
            }
        }
    }

    fn is_done(&self) -> bool {
        self.to_be_acked == 0
    }
}

impl Handler for Sink {
    fn accept(&mut self, _: &mut Tcp<'_>, _: TcpListener, _: TcpPcb) -> Result<(), Error> {
        Ok(())
    }

    fn recv(&mut self, tcp: &mut Tcp<'_>, pcb: TcpPcb, data: Option<Pbuf>) -> Result<(), Refused> {
        let data = data.expect("the source never closes");
        let len = match self.api {
            Api::ZeroCopy => data.tot_len(),
            Api::Copying => data.copy_to(0, &mut self.buffer),
        };
        self.taken += len as u64;
        tcp.recved(pcb, len).expect("the connection in a callback");
        Ok(())
    }
}

impl Server for Sink {
    fn listen(&mut self, stack: &mut Stack, now: Instant) {
        listen(stack, now);
    }
}

/// Listens at the server's port.
pub(super) fn listen(stack: &mut Stack, now: Instant) {
    let mut tcp = stack.tcp(now);
    let pcb = tcp.new(Owner(0)).expect("a free block");
    tcp.bind(pcb, (super::ADDRS[1], PORT).into())
        .expect("a free port");
    tcp.listen(pcb, u16::MAX).expect("a free listener");
}
