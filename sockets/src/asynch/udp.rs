//! UDP for tasks of an executor.
use core::net::{Ipv4Addr, SocketAddr};

use gannet_netconn::{Error, Kind, Net, Netconn, Patience, Peek, Ready, Received, Via};

use crate::options::owns_connection;

/// A UDP endpoint.
#[derive(Debug)]
pub struct UdpSocket(pub(super) Netconn);

owns_connection!(UdpSocket);

impl UdpSocket {
    /// Binds to `addr` of `net`; port 0 picks one.
    ///
    /// # Errors
    /// As [`crate::UdpSocket::bind`].
    pub fn bind_on(net: &'static Net, addr: SocketAddr) -> Result<Self, Error> {
        let socket = Self(Netconn::new(net, Kind::Udp)?);
        socket.0.bind(addr)?;
        Ok(socket)
    }

    /// Fixes the peer.
    ///
    /// # Errors
    /// As [`crate::UdpSocket::connect`].
    pub fn connect(&self, addr: SocketAddr) -> Result<(), Error> {
        self.0.connect(addr, Patience::Forever)
    }

    /// Receives a datagram; what does not fit `buf` is cut off.
    ///
    /// # Errors
    /// As [`crate::UdpSocket::recv_from`].
    pub async fn recv_from(&self, buf: &mut [u8]) -> Result<Received, Error> {
        let attempt = || self.0.recv_from(buf, Peek::Take, Patience::Never);
        self.0.ready_for(Ready::READ, attempt).await
    }

    /// Sends a datagram; to the connected peer if `to` is `None`. Waits while there is no buffer
    /// for it.
    ///
    /// # Errors
    /// As [`crate::UdpSocket::send_to`].
    pub async fn send_to(&self, data: &[u8], to: Option<SocketAddr>) -> Result<(), Error> {
        let attempt = || self.0.send_to_vectored(&[data], to, Patience::Never);
        self.0.ready_for(Ready::WRITE, attempt).await
    }

    /// Waits until receiving would not.
    pub async fn readable(&self) -> Result<(), Error> {
        self.0.readable().await
    }

    /// Joins a multicast group on the interface that has the address `interface`; 0.0.0.0: on the one
    /// the route leads through.
    ///
    /// # Errors
    /// As [`crate::UdpSocket::join_multicast_v4`].
    pub fn join_multicast(&self, group: Ipv4Addr, interface: impl Into<Via>) -> Result<(), Error> {
        self.0.join_multicast(group, interface)
    }

    /// Leaves a multicast group; closing does too.
    ///
    /// # Errors
    /// As [`crate::UdpSocket::leave_multicast_v4`].
    pub fn leave_multicast(&self, group: Ipv4Addr, interface: impl Into<Via>) -> Result<(), Error> {
        self.0.leave_multicast(group, interface)
    }

    /// The connected peer.
    ///
    /// # Errors
    /// [`Error::NotConnected`].
    pub fn peer_addr(&self) -> Result<SocketAddr, Error> {
        self.0.peer_addr()
    }
}
