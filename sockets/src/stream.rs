//! [`TcpStream`]: a TCP connection that its tasks block on.
use core::net::SocketAddr;
use core::time::Duration;

use crate::options::{blocks, owns_connection};
use gannet_core::Pbuf;
use gannet_core::tcp::{Keepalive, Nagle, Shutdown};
use gannet_netconn::{Error, Flow, Kind, Net, Netconn, Patience, Peek};

/// A TCP connection, in the shape of `std::net::TcpStream`. Dropping it closes it: what was
/// written still leaves in the background, and nothing blocks.
///
/// ```no_run
/// use gannet_sockets::TcpStream;
/// # use gannet_port_std as _;
///
/// fn daytime(server: core::net::SocketAddr, line: &mut [u8]) -> Result<usize, gannet_sockets::Error> {
///     let stream = TcpStream::connect(server)?;
///     stream.read(line)
/// }
/// ```
#[derive(Debug)]
pub struct TcpStream(Netconn);

owns_connection!(TcpStream);
blocks!(TcpStream both ways);

impl TcpStream {
    /// Connects over the default net, and sleeps until it has.
    ///
    /// # Errors
    /// [`Error::Refused`], [`Error::TimedOut`], [`Error::NetworkUnreachable`],
    /// [`Error::HostUnreachable`]; [`Error::TooMany`], [`Error::NoBuffers`]: out of connections.
    pub fn connect(addr: SocketAddr) -> Result<Self, Error> {
        Self::connect_on(Net::default_net()?, addr)
    }

    /// As [`TcpStream::connect`], over `net`.
    pub fn connect_on(net: &'static Net, addr: SocketAddr) -> Result<Self, Error> {
        Self::connect_within(net, addr, Patience::Forever)
    }

    /// As [`TcpStream::connect`], for at most `timeout`.
    ///
    /// # Errors
    /// Also [`Error::TimedOut`] after `timeout`; [`Error::Invalid`] if it is zero.
    pub fn connect_timeout(addr: SocketAddr, timeout: Duration) -> Result<Self, Error> {
        if timeout.is_zero() {
            return Err(Error::Invalid);
        }
        let patience = Patience::from_timeout(Some(timeout));
        match Self::connect_within(Net::default_net()?, addr, patience) {
            Err(Error::InProgress) => Err(Error::TimedOut),
            outcome => outcome,
        }
    }

    fn connect_within(
        net: &'static Net,
        addr: SocketAddr,
        patience: Patience,
    ) -> Result<Self, Error> {
        // Owned from here on: closed on any error.
        let stream = Self(Netconn::new(net, Kind::Tcp)?);
        stream.0.connect(addr, patience)?;
        Ok(stream)
    }

    /// The stream of a connection that is connected already; it owns it.
    pub const fn from_netconn(conn: Netconn) -> Self {
        Self(conn)
    }

    /// Gives the connection up without closing it.
    pub fn into_netconn(self) -> Netconn {
        let conn = self.0;
        core::mem::forget(self);
        conn
    }

    /// Reads up to `buf.len()` bytes; sleeps until there is at least one. 0: the end of the
    /// stream.
    ///
    /// # Errors
    /// [`Error::WouldBlock`] after the read time-out; [`Error::Reset`], [`Error::TimedOut`] and
    /// others, once: how the connection ended. [`Error::Closed`]: another task closed it.
    pub fn read(&self, buf: &mut [u8]) -> Result<usize, Error> {
        self.0.recv(buf)
    }

    /// As [`TcpStream::read`], leaving the bytes to be read again.
    pub fn peek(&self, buf: &mut [u8]) -> Result<usize, Error> {
        self.0.recv_within(buf, Peek::Keep, self.0.recv_patience()?)
    }

    /// Writes; sleeps while the send buffer is full. Returns how much was queued: all of it,
    /// unless the write time-out or the connection's end came in between.
    ///
    /// # Errors
    /// As [`TcpStream::read`]; [`Error::BrokenPipe`]: this side was shut down, or the connection
    /// is over.
    pub fn write(&self, data: &[u8]) -> Result<usize, Error> {
        self.0.send(data)
    }

    /// Writes all of `data`.
    ///
    /// # Errors
    /// As [`TcpStream::write`]; how much was queued is not known then.
    pub fn write_all(&self, data: &[u8]) -> Result<(), Error> {
        let mut rest = data;
        while !rest.is_empty() {
            let n = self.write(rest)?;
            rest = rest.get(n..).unwrap_or(&[]);
        }
        Ok(())
    }

    /// Reads exactly `buf.len()` bytes.
    ///
    /// # Errors
    /// As [`TcpStream::read`]; [`Error::NotConnected`] if the stream ended before.
    pub fn read_exact(&self, buf: &mut [u8]) -> Result<(), Error> {
        let mut rest = buf;
        while !rest.is_empty() {
            let n = self.read(rest)?;
            if n == 0 {
                return Err(Error::NotConnected);
            }
            rest = rest
                .split_at_mut_checked(n)
                .map_or(&mut [], |(_, rest)| rest);
        }
        Ok(())
    }

    /// Reads up to `max` bytes without copying; `None`: the end of the stream.
    pub fn read_pbuf(&self, max: usize) -> Result<Option<Pbuf>, Error> {
        self.0.recv_pbuf(max, self.0.recv_patience()?)
    }

    /// Sends a buffer without copying.
    ///
    /// # Errors
    /// As [`TcpStream::write`], with the buffer.
    pub fn write_pbuf(&self, data: Pbuf) -> Result<(), gannet_netconn::PbufError> {
        match self.0.send_patience() {
            Ok(patience) => self.0.send_pbuf(data, Flow::Ends, patience),
            Err(error) => Err(gannet_netconn::PbufError {
                error,
                data: Some(data),
            }),
        }
    }

    /// Sends constant data without copying.
    pub fn write_static(&self, data: &'static [u8]) -> Result<(), Error> {
        self.0
            .send_static(data, Flow::Ends, self.0.send_patience()?)
    }

    /// Closes one direction or both, for all tasks that use the stream.
    pub fn shutdown(&self, how: Shutdown) -> Result<(), Error> {
        self.0.shutdown(how)
    }

    /// The peer's address.
    pub fn peer_addr(&self) -> Result<SocketAddr, Error> {
        self.0.peer_addr()
    }

    /// Whether small segments leave at once (`TCP_NODELAY`).
    pub fn set_nodelay(&self, nodelay: bool) -> Result<(), Error> {
        let nagle = if nodelay {
            Nagle::Disabled
        } else {
            Nagle::Enabled
        };
        self.0.change_settings(|settings| settings.nagle = nagle)
    }

    /// See [`TcpStream::set_nodelay`].
    pub fn nodelay(&self) -> Result<bool, Error> {
        Ok(self.0.settings()?.nagle == Nagle::Disabled)
    }

    /// Probes of a silent peer (`SO_KEEPALIVE` and the `TCP_KEEP...` times); `None`: none.
    pub fn set_keepalive(&self, keepalive: Option<Keepalive>) -> Result<(), Error> {
        self.0.change_settings(|settings| {
            settings.keepalive = keepalive.is_some();
            if let Some(times) = keepalive {
                settings.keepalive_times = times;
            }
        })
    }
}
