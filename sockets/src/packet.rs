//! [`PacketSocket`]: frames as they enter and leave the interfaces.
pub use gannet_core::NetifId;
use gannet_core::Pbuf;
pub use gannet_core::packet::{Class, EtherType, Filter};
use gannet_netconn::{Error, Net, Netconn, Peek, Received};

use crate::options::{blocks, owns_connection};

/// A packet endpoint: whole frames, link header first. It sees what the stack receives and, with
/// [`Filter::All`], what it sends, and changes nothing about it.
///
/// A task that does not read costs the stack nothing: at most 16 frames wait
/// (`Settings::recv_queue`), none is taken when buffers get short, and
/// [`PacketSocket::take_dropped`] counts what was missed.
///
/// ```no_run
/// use gannet_sockets::packet::{EtherType, Filter};
/// use gannet_sockets::{Error, PacketSocket};
/// # use gannet_port_std as _;
///
/// /// The next ARP packet, whoever sends it.
/// fn arp(frame: &mut [u8]) -> Result<usize, Error> {
///     let socket = PacketSocket::new(Filter::EtherType(EtherType::ARP), None)?;
///     Ok(socket.recv(frame)?.len)
/// }
/// ```
#[derive(Debug)]
pub struct PacketSocket(Netconn);

owns_connection!(PacketSocket);
blocks!(PacketSocket both ways);

impl PacketSocket {
    /// Sees the frames of `filter`, of one interface of the default net's stack or of all.
    ///
    /// # Errors
    /// [`Error::TooMany`], [`Error::NoBuffers`]: out of endpoints. [`Error::Invalid`]: there is no
    /// such interface.
    pub fn new(filter: Filter, netif: Option<NetifId>) -> Result<Self, Error> {
        Self::new_on(Net::default_net()?, filter, netif)
    }

    /// As [`PacketSocket::new`], over `net`.
    pub fn new_on(
        net: &'static Net,
        filter: Filter,
        netif: Option<NetifId>,
    ) -> Result<Self, Error> {
        Ok(Self(Netconn::packet(net, filter, netif)?))
    }

    /// Sees other frames from now on.
    ///
    /// # Errors
    /// [`Error::Invalid`]: there is no such interface.
    pub fn watch(&self, filter: Filter, netif: Option<NetifId>) -> Result<(), Error> {
        self.0.watch(filter, netif)
    }

    /// The next frame; what does not fit `buf` is cut off.
    ///
    /// # Errors
    /// [`Error::WouldBlock`] after the read time-out; [`Error::Closed`].
    pub fn recv(&self, buf: &mut [u8]) -> Result<Received, Error> {
        self.0.recv_from(buf, Peek::Take, self.0.recv_patience()?)
    }

    /// The next frame without copying: a view of the stack's own buffer, which is kept from it as
    /// long as the view lives.
    ///
    /// # Errors
    /// As [`PacketSocket::recv`].
    pub fn recv_pbuf(&self) -> Result<(Pbuf, Received), Error> {
        let received = self.0.recv_datagram(self.0.recv_patience()?)?;
        received.ok_or(Error::BrokenPipe)
    }

    /// Sends a frame, link header first, out of `netif`; sleeps while there is no buffer for it.
    ///
    /// # Errors
    /// [`Error::Invalid`]: no such interface, or shorter than the header. [`Error::TooLong`],
    /// [`Error::NetworkDown`], [`Error::WouldBlock`].
    pub fn send(&self, frame: &[u8], netif: NetifId) -> Result<usize, Error> {
        self.0
            .send_frame(&[frame], netif, self.0.send_patience()?)?;
        Ok(frame.len())
    }

    /// Frames that were missed since the last call.
    pub fn take_dropped(&self) -> Result<u32, Error> {
        self.0.take_dropped()
    }
}
