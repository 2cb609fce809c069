//! Discard (RFC 863) and character generator (RFC 864) on the raw API, in the tcpip task: they need
//! neither task nor buffer for a connection.
use gannet_core::tcp::{Data, More};
use gannet_core::{Error, Handler, Owner, Pbuf, PcbMap, Refused, Stack, Tcp, TcpListener, TcpPcb};

use crate::board::CONNECTIONS;

const DISCARD: u16 = 9;
const CHARGEN: u16 = 19;
const BACKLOG: u16 = 4;

/// Lines of 72 printable characters, each beginning one further (RFC 864).
static CHARACTERS: [u8; LINE * LINES] = characters();
const LINE: usize = 74;
const LINES: usize = 95;

const fn characters() -> [u8; LINE * LINES] {
    let mut all = [0; LINE * LINES];
    let mut i = 0;
    while i < all.len() {
        let (line, column) = (i / LINE, i % LINE);
        all[i] = match column {
            72 => b'\r',
            73 => b'\n',
            _ => b' ' + ((line + column) % 95) as u8,
        };
        i += 1;
    }
    all
}

/// The two services.
pub(crate) struct Bulk {
    chargen: TcpListener,
    /// Connections that want characters.
    senders: PcbMap<(), CONNECTIONS>,
}

impl Bulk {
    /// Listens.
    pub(crate) fn start(stack: &mut Stack, owner: Owner) -> Result<Self, Error> {
        let tcp = &mut stack.tcp_now();
        listen(tcp, owner, DISCARD)?;
        Ok(Self {
            chargen: listen(tcp, owner, CHARGEN)?,
            senders: PcbMap::new(),
        })
    }
}

fn listen(tcp: &mut Tcp<'_>, owner: Owner, port: u16) -> Result<TcpListener, Error> {
    let pcb = tcp.new(owner)?;
    tcp.bind(pcb, ([0, 0, 0, 0], port).into())?;
    tcp.listen(pcb, BACKLOG)
}

/// Until the send buffer is full; goes on when some of it is acknowledged.
fn send_characters(tcp: &mut Tcp<'_>, pcb: TcpPcb) {
    while tcp.write(pcb, Data::Static(&CHARACTERS), More::Yes).is_ok() {}
}

impl Handler for Bulk {
    fn accept(
        &mut self,
        tcp: &mut Tcp<'_>,
        listener: TcpListener,
        pcb: TcpPcb,
    ) -> Result<(), Error> {
        if listener == self.chargen {
            self.senders.insert(pcb, ()).map_err(|()| Error::NoMemory)?;
            send_characters(tcp, pcb);
        }
        Ok(())
    }

    fn recv(&mut self, tcp: &mut Tcp<'_>, pcb: TcpPcb, data: Option<Pbuf>) -> Result<(), Refused> {
        // Both fail only if the connection has gone, which `err` tells.
        let _ = match data {
            Some(data) => tcp.recved(pcb, data.tot_len()),
            None if self.senders.remove(pcb).is_some() => tcp.abort(pcb), // it has had enough
            None => tcp.close(pcb),
        };
        Ok(())
    }

    fn sent(&mut self, tcp: &mut Tcp<'_>, pcb: TcpPcb, _len: usize) {
        if self.senders.find(pcb).is_some() {
            send_characters(tcp, pcb);
        }
    }

    fn err(&mut self, _tcp: &mut Tcp<'_>, pcb: TcpPcb, _error: Error) {
        self.senders.remove(pcb);
    }
}
