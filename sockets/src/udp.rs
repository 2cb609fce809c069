//! [`UdpSocket`]: datagrams.
use core::net::SocketAddr;

use gannet_core::Pbuf;
use gannet_netconn::{Error, Kind, Net, Netconn, Patience, PbufError, Peek};

use crate::options::{blocks, has_peer, owns_connection};

/// A UDP endpoint, in the shape of `std::net::UdpSocket`.
///
/// ```no_run
/// use gannet_sockets::{Error, UdpSocket};
/// # use gannet_port_std as _;
///
/// fn echo() -> Result<(), Error> {
///     let socket = UdpSocket::bind(([0, 0, 0, 0], 7).into())?;
///     let mut buf = [0; 1472];
///     loop {
///         let (n, from) = socket.recv_from(&mut buf)?;
///         socket.send_to(&buf[..n], from)?;
///     }
/// }
/// ```
#[derive(Debug)]
pub struct UdpSocket(Netconn);

owns_connection!(UdpSocket);
blocks!(UdpSocket both ways);
has_peer!(UdpSocket);

impl UdpSocket {
    /// Binds to `addr` of the default net; port 0 picks one.
    ///
    /// # Errors
    /// [`Error::InUse`], [`Error::AddressNotAvailable`]; [`Error::TooMany`],
    /// [`Error::NoBuffers`]: out of endpoints.
    pub fn bind(addr: SocketAddr) -> Result<Self, Error> {
        Self::bind_on(Net::default_net()?, addr)
    }

    /// As [`UdpSocket::bind`], on `net`.
    pub fn bind_on(net: &'static Net, addr: SocketAddr) -> Result<Self, Error> {
        let socket = Self(Netconn::new(net, Kind::Udp)?);
        socket.0.bind(addr)?;
        Ok(socket)
    }

    /// Fixes the peer: only its datagrams are received, and [`UdpSocket::send`] goes there.
    pub fn connect(&self, addr: SocketAddr) -> Result<(), Error> {
        self.0.connect(addr, Patience::Forever)
    }

    /// Receives a datagram and its sender; what does not fit `buf` is cut off.
    ///
    /// # Errors
    /// [`Error::WouldBlock`] after the read time-out; [`Error::Closed`]; [`Error::Refused`] and
    /// others: an ICMP error from the connected peer, told once.
    pub fn recv_from(&self, buf: &mut [u8]) -> Result<(usize, SocketAddr), Error> {
        let received = self.0.recv_from(buf, Peek::Take, self.0.recv_patience()?)?;
        Ok((received.len, received.from))
    }

    /// As [`UdpSocket::recv_from`], leaving the datagram to be received again.
    pub fn peek_from(&self, buf: &mut [u8]) -> Result<(usize, SocketAddr), Error> {
        let received = self.0.recv_from(buf, Peek::Keep, self.0.recv_patience()?)?;
        Ok((received.len, received.from))
    }

    /// Receives a datagram from the connected peer.
    ///
    /// # Errors
    /// [`Error::NotConnected`]; else as [`UdpSocket::recv_from`].
    pub fn recv(&self, buf: &mut [u8]) -> Result<usize, Error> {
        self.0.peer_addr()?;
        Ok(self.recv_from(buf)?.0)
    }

    /// Receives a datagram without copying.
    ///
    /// # Errors
    /// As [`UdpSocket::recv_from`]; [`Error::BrokenPipe`] after a shutdown.
    pub fn recv_pbuf_from(&self) -> Result<(Pbuf, SocketAddr), Error> {
        let (data, from, _) = self.0.recv_pbuf_from(self.0.recv_patience()?)?;
        Ok((data.ok_or(Error::BrokenPipe)?, from))
    }

    /// Sends a datagram; sleeps while there is no buffer for it.
    ///
    /// # Errors
    /// [`Error::TooLong`] above 65,507 bytes, [`Error::NetworkUnreachable`],
    /// [`Error::NetworkDown`], [`Error::Denied`]: a broadcast without permission;
    /// [`Error::WouldBlock`] after the write time-out; and errors of earlier datagrams, told once.
    pub fn send_to(&self, data: &[u8], to: SocketAddr) -> Result<usize, Error> {
        self.0.send_to(data, Some(to))?;
        Ok(data.len())
    }

    /// Sends a datagram to the connected peer.
    ///
    /// # Errors
    /// [`Error::NotConnected`]; else as [`UdpSocket::send_to`].
    pub fn send(&self, data: &[u8]) -> Result<usize, Error> {
        self.0.send_to(data, None)?;
        Ok(data.len())
    }

    /// Sends a buffer without copying; does not wait for room.
    pub fn send_pbuf_to(&self, data: Pbuf, to: SocketAddr) -> Result<(), PbufError> {
        self.0.send_pbuf_to(data, Some(to))
    }
}
