//! Applications for tests: a sender of a known pattern, and a receiver that checks it.
use gannet_core::tcp::{Data, More};
use gannet_core::{Error, Handler, Instant, Owner, Pbuf, Refused, Tcp, TcpListener, TcpPcb};

/// Byte `n` of the stream every test sends.
pub fn byte(n: u64) -> u8 {
    (n.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 56) as u8
}

/// Connects, sends `total` pattern bytes, closes.
#[derive(Debug)]
pub struct Source {
    /// Bytes to send.
    pub total: u64,
    /// Bytes written.
    pub written: u64,
    /// Bytes acknowledged.
    pub acked: u64,
    /// Why the connection died.
    pub error: Option<Error>,
    /// The connection.
    pub pcb: Option<TcpPcb>,
    /// The peer's end of stream was told.
    pub eof: bool,
}

impl Source {
    /// A source of `total` bytes.
    pub fn new(total: u64) -> Self {
        Self {
            total,
            written: 0,
            acked: 0,
            error: None,
            pcb: None,
            eof: false,
        }
    }

    fn fill(&mut self, tcp: &mut Tcp<'_>, pcb: TcpPcb) {
        while self.written < self.total {
            let n = (self.total - self.written).min(1460) as usize;
            let bytes: Vec<u8> = (0..n as u64).map(|i| byte(self.written + i)).collect();
            match tcp.write(pcb, Data::Copy(&bytes), More::No) {
                Ok(()) => self.written += n as u64,
                Err(refused) if refused.error == Error::NoMemory => return,
                Err(other) => panic!("write: {:?}", other.error),
            }
        }
        // A second call (from `sent`) finds the connection closing already.
        let _ = tcp.close(pcb);
    }
}

impl Handler for Source {
    fn connected(&mut self, tcp: &mut Tcp<'_>, pcb: TcpPcb) {
        self.fill(tcp, pcb);
    }

    fn sent(&mut self, tcp: &mut Tcp<'_>, pcb: TcpPcb, len: usize) {
        self.acked += len as u64;
        if self.written < self.total {
            self.fill(tcp, pcb);
        }
    }

    fn recv(&mut self, _: &mut Tcp<'_>, _: TcpPcb, data: Option<Pbuf>) -> Result<(), Refused> {
        self.eof |= data.is_none();
        Ok(())
    }

    fn err(&mut self, _: &mut Tcp<'_>, _: TcpPcb, error: Error) {
        self.error = Some(error);
    }
}

/// Accepts, checks that what arrives is the pattern, closes at the end of the stream.
#[derive(Debug, Default)]
pub struct Sink {
    /// Bytes received, all of them right.
    pub received: u64,
    /// Connections accepted.
    pub accepted: u32,
    /// The end of the stream was reached.
    pub eof: bool,
    /// Why the connection died.
    pub error: Option<Error>,
    /// When data last arrived.
    pub last: Option<Instant>,
    /// The longest time without data, in milliseconds.
    pub longest_silence_ms: u64,
}

impl Handler for Sink {
    fn accept(&mut self, _: &mut Tcp<'_>, _: TcpListener, _: TcpPcb) -> Result<(), Error> {
        self.accepted += 1;
        Ok(())
    }

    fn recv(&mut self, tcp: &mut Tcp<'_>, pcb: TcpPcb, data: Option<Pbuf>) -> Result<(), Refused> {
        let Some(data) = data else {
            self.eof = true;
            let _ = tcp.close(pcb);
            return Ok(());
        };
        for got in data.parts().flatten() {
            assert_eq!(
                *got,
                byte(self.received),
                "byte {} of the stream",
                self.received
            );
            self.received += 1;
        }
        let now = tcp.stack().now();
        if let Some(last) = self.last.replace(now) {
            let silence = now.saturating_since(last).as_millis() as u64;
            self.longest_silence_ms = self.longest_silence_ms.max(silence);
        }
        let _ = tcp.recved(pcb, data.tot_len());
        Ok(())
    }

    fn err(&mut self, _: &mut Tcp<'_>, _: TcpPcb, error: Error) {
        self.error = Some(error);
    }
}

/// Opens a listener on `port` for owner 0.
pub fn listen(tcp: &mut Tcp<'_>, port: u16, backlog: u16) -> TcpListener {
    let pcb = tcp.new(Owner(0)).expect("a free control block");
    tcp.bind(pcb, ([0, 0, 0, 0], port).into())
        .expect("a free port");
    tcp.listen(pcb, backlog).expect("a free listener")
}
