//! A look at one TCP connection from any thread: the tcpip thread writes it down on request.
use core::cell::Cell;

use critical_section::Mutex;
use gannet_core::tcp::TcpInfo;

use crate::control::{Control, Kind};
use crate::error::Error;
use crate::net::Net;
use crate::netconn::Netconn;

/// Where the tcpip thread leaves the answer, and of which slot it is: one for the net, because the
/// question is rare and the answer large.
#[derive(Debug)]
pub(crate) struct InfoCell(Mutex<Cell<Option<(u16, TcpInfo)>>>);

/// How often to ask again when another thread's answer came in between.
const TRIES: usize = 16;

impl InfoCell {
    pub(crate) const fn new() -> Self {
        Self(Mutex::new(Cell::new(None)))
    }
}

impl Netconn {
    /// How a TCP connection is doing: asks the tcpip thread, and sleeps until it has answered.
    ///
    /// # Errors
    /// [`Error::NotSupported`]: not TCP. [`Error::NotConnected`]: neither bound nor connected, a
    /// listener, or over. [`Error::NoBuffers`]: no waiter is free, or too many threads ask at the
    /// same time.
    #[doc(alias = "TCP_INFO")]
    pub fn tcp_info(&self) -> Result<TcpInfo, Error> {
        for _ in 0..TRIES {
            self.ask(Control::Info, |shared| match shared.kind {
                Kind::Tcp => Ok(()),
                _ => Err(Error::NotSupported),
            })?;
            let left = critical_section::with(|cs| self.net.info.0.borrow(cs).get());
            if let Some((_, info)) = left.filter(|(index, _)| *index == self.index) {
                return Ok(info);
            }
        }
        Err(Error::NoBuffers)
    }
}

impl Net {
    pub(crate) fn leave_info(&self, index: u16, info: TcpInfo) {
        critical_section::with(|cs| self.info.0.borrow(cs).set(Some((index, info))));
    }
}
