//! gannet's ends of a bulk transfer.
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use gannet_core::tcp::{Data, More};
use gannet_core::{Error, Handler, Owner, Pbuf, Refused, Tcp, TcpListener as Listener, TcpPcb};

use crate::linux_ends::PORT;
use crate::station::Station;
use crate::stream::{is_stream, stream};

/// Connects to `to`.
pub(crate) fn connect_to<H: Handler>(
    gannet: &mut Station<H>,
    to: SocketAddr,
) -> Result<TcpPcb, String> {
    let mut tcp = gannet.tcp();
    let pcb = tcp.new(Owner(0)).map_err(|error| error.to_string())?;
    tcp.connect(pcb, to).map_err(|error| error.to_string())?;
    Ok(pcb)
}

/// Listens.
pub(crate) fn listen<H: Handler>(gannet: &mut Station<H>) -> Result<Listener, String> {
    let addr = (gannet.address(), PORT).into();
    let mut tcp = gannet.tcp();
    let pcb = tcp.new(Owner(0)).map_err(|error| error.to_string())?;
    tcp.bind(pcb, addr).map_err(|error| error.to_string())?;
    tcp.listen(pcb, 4).map_err(|error| error.to_string())
}

/// Sends the stream for ever.
#[derive(Debug, Default)]
pub(crate) struct Source {
    written: u64,
    /// The connection is gone.
    pub(crate) error: Option<Error>,
}

impl Source {
    fn fill(&mut self, tcp: &mut Tcp<'_>, pcb: TcpPcb) {
        loop {
            let room = tcp.sndbuf(pcb).unwrap_or(0);
            let next = stream(self.written);
            let next = next.get(..room).unwrap_or(next);
            if next.is_empty() || tcp.write(pcb, Data::Static(next), More::Yes).is_err() {
                return;
            }
            self.written += next.len() as u64;
        }
    }
}

impl Handler for Source {
    fn connected(&mut self, tcp: &mut Tcp<'_>, pcb: TcpPcb) {
        self.fill(tcp, pcb);
    }

    fn sent(&mut self, tcp: &mut Tcp<'_>, pcb: TcpPcb, _: usize) {
        self.fill(tcp, pcb);
    }

    fn err(&mut self, _: &mut Tcp<'_>, _: TcpPcb, error: Error) {
        self.error = Some(error);
    }
}

/// Receives the stream and says, after a while, how fast it came.
#[derive(Debug)]
pub(crate) struct Sink {
    span: Duration,
    accepted: Option<Instant>,
    received: u64,
    goodput: Option<f64>,
    /// The connection.
    pub(crate) pcb: Option<TcpPcb>,
    /// The connection is gone.
    pub(crate) error: Option<Error>,
}

impl Sink {
    pub(crate) fn new(span: Duration) -> Self {
        Self {
            span,
            accepted: None,
            received: 0,
            goodput: None,
            pcb: None,
            error: None,
        }
    }

    /// Bytes per second, once the time is over.
    pub(crate) fn goodput(&mut self) -> Option<f64> {
        let elapsed = self.accepted?.elapsed();
        if self.goodput.is_none() && elapsed >= self.span {
            self.goodput = Some(self.received as f64 / elapsed.as_secs_f64());
        }
        self.goodput
    }
}

impl Handler for Sink {
    fn accept(&mut self, _: &mut Tcp<'_>, _: Listener, pcb: TcpPcb) -> Result<(), Error> {
        self.pcb = Some(pcb);
        self.accepted = Some(Instant::now());
        Ok(())
    }

    fn recv(&mut self, tcp: &mut Tcp<'_>, pcb: TcpPcb, data: Option<Pbuf>) -> Result<(), Refused> {
        let Some(data) = data else {
            // The sender ends by a reset only.
            let _ = tcp.close(pcb);
            return Ok(());
        };
        for part in data.parts() {
            assert!(
                is_stream(self.received, part),
                "the data received is not the data sent"
            );
            self.received += part.len() as u64;
        }
        // Not stale: this is its callback.
        let _ = tcp.recved(pcb, data.tot_len());
        Ok(())
    }

    fn err(&mut self, _: &mut Tcp<'_>, _: TcpPcb, error: Error) {
        self.error = Some(error);
    }
}
