//! Packet sockets for tasks of an executor.
use gannet_core::packet::Filter;
use gannet_core::{NetifId, Pbuf};
use gannet_netconn::{Error, Net, Netconn, Patience, Peek, Ready, Received};

use crate::options::owns_connection;

/// A packet endpoint: whole frames, link header first. As [`crate::PacketSocket`], with futures.
#[derive(Debug)]
pub struct PacketSocket(pub(super) Netconn);

owns_connection!(PacketSocket);

impl PacketSocket {
    /// Sees the frames of `filter`, of one interface of `net`'s stack or of all.
    ///
    /// # Errors
    /// As [`crate::PacketSocket::new`].
    pub fn new_on(
        net: &'static Net,
        filter: Filter,
        netif: Option<NetifId>,
    ) -> Result<Self, Error> {
        Ok(Self(Netconn::packet(net, filter, netif)?))
    }

    /// The next frame; what does not fit `buf` is cut off.
    ///
    /// # Errors
    /// [`Error::Closed`].
    pub async fn recv(&self, buf: &mut [u8]) -> Result<Received, Error> {
        let attempt = || self.0.recv_from(buf, Peek::Take, Patience::Never);
        self.0.ready_for(Ready::READ, attempt).await
    }

    /// The next frame without copying, as [`crate::PacketSocket::recv_pbuf`].
    ///
    /// # Errors
    /// [`Error::Closed`].
    pub async fn recv_pbuf(&self) -> Result<(Pbuf, Received), Error> {
        let attempt = || self.0.recv_datagram(Patience::Never);
        let received = self.0.ready_for(Ready::READ, attempt).await?;
        received.ok_or(Error::BrokenPipe)
    }

    /// Sends a frame, link header first, out of `netif`; waits while there is no buffer for it.
    ///
    /// # Errors
    /// As [`crate::PacketSocket::send`].
    pub async fn send(&self, frame: &[u8], netif: NetifId) -> Result<(), Error> {
        self.send_vectored(&[frame], netif).await
    }

    /// As [`PacketSocket::send`]: the buffers, one after another, are one frame.
    pub async fn send_vectored(&self, bufs: &[&[u8]], netif: NetifId) -> Result<(), Error> {
        let attempt = || self.0.send_frame(bufs, netif, Patience::Never);
        self.0.ready_for(Ready::WRITE, attempt).await
    }

    /// Waits until receiving would not.
    pub async fn readable(&self) -> Result<(), Error> {
        self.0.readable().await
    }
}
