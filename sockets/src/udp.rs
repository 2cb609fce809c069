//! [`UdpSocket`]: datagrams.
use core::net::{Ipv4Addr, SocketAddr};

use gannet_core::Pbuf;
use gannet_netconn::{Error, Kind, MulticastLoop, Net, Netconn, Patience, PbufError, Peek, Via};

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

    /// Joins a multicast group on the interface that has the address `interface`; 0.0.0.0: on the one
    /// the route leads through. What others on this host have joined does not arrive here.
    ///
    /// # Errors
    /// [`Error::Invalid`]: not a group. [`Error::NoInterface`]. [`Error::InUse`]: joined already.
    /// [`Error::NoBuffers`]: the stack's table of groups is full.
    pub fn join_multicast_v4(&self, group: &Ipv4Addr, interface: &Ipv4Addr) -> Result<(), Error> {
        self.0.join_multicast(*group, *interface)
    }

    /// Leaves a multicast group; closing does too.
    ///
    /// # Errors
    /// [`Error::AddressNotAvailable`]: it was not joined. [`Error::Invalid`]: not a group.
    /// [`Error::NoInterface`].
    pub fn leave_multicast_v4(&self, group: &Ipv4Addr, interface: &Ipv4Addr) -> Result<(), Error> {
        self.0.leave_multicast(*group, *interface)
    }

    /// Whether multicasts reach members on this host too, perhaps this socket (`IP_MULTICAST_LOOP`).
    pub fn set_multicast_loop_v4(&self, looped: bool) -> Result<(), Error> {
        let looped = if looped {
            MulticastLoop::On
        } else {
            MulticastLoop::Off
        };
        self.0
            .change_settings(|settings| settings.multicast_loop = looped)
    }

    /// Whether multicasts reach members on this host too.
    pub fn multicast_loop_v4(&self) -> Result<bool, Error> {
        Ok(self.0.settings()?.multicast_loop == MulticastLoop::On)
    }

    /// Hops a multicast may take; 1, the link, at first (`IP_MULTICAST_TTL`).
    ///
    /// # Errors
    /// [`Error::Invalid`]: 0, or more than 255.
    pub fn set_multicast_ttl_v4(&self, ttl: u32) -> Result<(), Error> {
        let hops = u8::try_from(ttl).ok().filter(|hops| *hops > 0);
        let hops = hops.ok_or(Error::Invalid)?;
        self.0
            .change_settings(|settings| settings.multicast_ttl = hops)
    }

    /// Hops a multicast may take.
    pub fn multicast_ttl_v4(&self) -> Result<u32, Error> {
        Ok(self.0.settings()?.multicast_ttl.into())
    }

    /// Through which interface multicasts leave (`IP_MULTICAST_IF`); the route decides at first.
    ///
    /// # Errors
    /// [`Error::NoInterface`].
    pub fn set_multicast_interface(&self, interface: impl Into<Via>) -> Result<(), Error> {
        self.0.set_multicast_interface(interface)
    }
}
