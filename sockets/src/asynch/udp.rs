//! UDP for tasks of an executor.
use core::net::SocketAddr;

use gannet_netconn::{Error, Kind, Net, Netconn, Patience, Peek, Ready, Received};

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
}
