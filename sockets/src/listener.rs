//! [`TcpListener`]: accepts TCP connections.
use core::net::SocketAddr;
use core::time::Duration;

use gannet_netconn::{Error, Kind, Net, Netconn};

use crate::options::{blocks, owns_connection, set_recv_timeout};
use crate::stream::TcpStream;

/// How many connections may wait to be accepted if nothing else is said; as `std` does.
const BACKLOG: u16 = 128;

/// A listening TCP endpoint, in the shape of `std::net::TcpListener`. Dropping it resets the
/// connections that were not accepted.
///
/// ```no_run
/// use gannet_sockets::{Error, TcpListener};
/// # use gannet_port_std as _;
///
/// fn echo() -> Result<(), Error> {
///     let listener = TcpListener::bind(([0, 0, 0, 0], 7).into())?;
///     for stream in listener.incoming() {
///         let stream = stream?;
///         let mut buf = [0; 512];
///         loop {
///             let n = stream.read(&mut buf)?;
///             if n == 0 {
///                 break;
///             }
///             stream.write_all(&buf[..n])?;
///         }
///     }
///     Ok(())
/// }
/// ```
#[derive(Debug)]
pub struct TcpListener(Netconn);

owns_connection!(TcpListener);
blocks!(TcpListener);

impl TcpListener {
    /// Listens on `addr` of the default net with a backlog of 128; port 0 picks one.
    ///
    /// # Errors
    /// [`Error::InUse`], [`Error::AddressNotAvailable`]; [`Error::TooMany`],
    /// [`Error::NoBuffers`]: out of connections or listeners.
    pub fn bind(addr: SocketAddr) -> Result<Self, Error> {
        Self::bind_on(Net::default_net()?, addr, BACKLOG)
    }

    /// As [`TcpListener::bind`], on `net`, with `backlog` connections that may wait.
    pub fn bind_on(net: &'static Net, addr: SocketAddr, backlog: u16) -> Result<Self, Error> {
        // Owned from here on: closed on any error.
        let listener = Self(Netconn::new(net, Kind::Tcp)?);
        listener.0.bind(addr)?;
        listener.0.listen(backlog)?;
        Ok(listener)
    }

    /// The next connection and its peer; sleeps until there is one.
    ///
    /// # Errors
    /// [`Error::WouldBlock`] after the accept time-out; [`Error::Closed`].
    pub fn accept(&self) -> Result<(TcpStream, SocketAddr), Error> {
        let conn = self.0.accept()?;
        let stream = TcpStream::from_netconn(conn);
        let peer = stream.peer_addr()?;
        Ok((stream, peer))
    }

    /// The connections, one after another, for ever.
    pub const fn incoming(&self) -> Incoming<'_> {
        Incoming(self)
    }

    /// How long accepting may sleep; `None`: for ever.
    ///
    /// # Errors
    /// [`Error::Invalid`]: zero.
    pub fn set_timeout(&self, timeout: Option<Duration>) -> Result<(), Error> {
        set_recv_timeout(&self.0, timeout)
    }
}

/// See [`TcpListener::incoming`].
#[derive(Debug)]
pub struct Incoming<'a>(&'a TcpListener);

impl Iterator for Incoming<'_> {
    type Item = Result<TcpStream, Error>;

    fn next(&mut self) -> Option<Self::Item> {
        Some(self.0.accept().map(|(stream, _)| stream))
    }
}
