//! [`RawSocket`]: packets of one IP protocol.
use core::net::{IpAddr, SocketAddr};

use gannet_core::Pbuf;
pub use gannet_core::raw::{Header, Protocol};
use gannet_netconn::{Error, Net, Netconn, Patience, Peek, Received};

use crate::options::{blocks, has_peer, owns_connection};

/// A raw IP endpoint, in the shape of [`UdpSocket`](crate::UdpSocket): it receives all packets of
/// its protocol for this host, IP header included, beside the stack that handles them as well.
///
/// Addresses have no port: it is 0 in those returned. The payload's own checksum is the
/// application's business.
///
/// ```no_run
/// use gannet_sockets::{Error, Protocol, RawSocket};
/// # use gannet_port_std as _;
///
/// /// Sends an ICMP message and waits for the next one from there.
/// fn ask(host: core::net::IpAddr, message: &[u8], answer: &mut [u8]) -> Result<usize, Error> {
///     let socket = RawSocket::new(Protocol::ICMP)?;
///     socket.connect(host)?;
///     socket.send(message)?;
///     socket.recv(answer)
/// }
/// ```
#[derive(Debug)]
pub struct RawSocket(Netconn);

owns_connection!(RawSocket);
blocks!(RawSocket both ways);
has_peer!(RawSocket);

impl RawSocket {
    /// An endpoint for packets of `protocol`, over the default net.
    ///
    /// # Errors
    /// [`Error::TooMany`], [`Error::NoBuffers`]: out of endpoints.
    pub fn new(protocol: Protocol) -> Result<Self, Error> {
        Self::new_on(Net::default_net()?, protocol)
    }

    /// As [`RawSocket::new`], over `net`.
    pub fn new_on(net: &'static Net, protocol: Protocol) -> Result<Self, Error> {
        Ok(Self(Netconn::raw(net, protocol)?))
    }

    /// Receives only what is sent to `addr`, and sends from there.
    ///
    /// # Errors
    /// [`Error::AddressNotAvailable`].
    pub fn bind(&self, addr: IpAddr) -> Result<(), Error> {
        self.0.bind((addr, 0).into())
    }

    /// Receives only what comes from `addr`, and sends there.
    pub fn connect(&self, addr: IpAddr) -> Result<(), Error> {
        self.0.connect((addr, 0).into(), Patience::Forever)
    }

    /// Says who writes the IP header of packets to send (`IP_HDRINCL`); the stack at first.
    pub fn set_header(&self, header: Header) -> Result<(), Error> {
        self.0
            .change_settings(|settings| settings.header_included = header == Header::Included)
    }

    /// Receives a packet, IP header first, and its sender; what does not fit `buf` is cut off.
    ///
    /// # Errors
    /// [`Error::WouldBlock`] after the read time-out; [`Error::Closed`]; [`Error::Refused`] and
    /// others: an ICMP error about what was sent to the connected peer, told once.
    pub fn recv_from(&self, buf: &mut [u8]) -> Result<(usize, IpAddr), Error> {
        let received = self.0.recv_from(buf, Peek::Take, self.0.recv_patience()?)?;
        Ok((received.len, received.from.ip()))
    }

    /// As [`RawSocket::recv_from`], without the sender.
    pub fn recv(&self, buf: &mut [u8]) -> Result<usize, Error> {
        Ok(self.recv_from(buf)?.0)
    }

    /// Receives a packet without copying, with all that is known of it.
    ///
    /// # Errors
    /// As [`RawSocket::recv_from`]; [`Error::BrokenPipe`] after a shutdown.
    pub fn recv_pbuf(&self) -> Result<(Pbuf, Received), Error> {
        let received = self.0.recv_datagram(self.0.recv_patience()?)?;
        received.ok_or(Error::BrokenPipe)
    }

    /// Sends a payload, or with [`Header::Included`] a packet; sleeps while there is no buffer for
    /// it.
    ///
    /// # Errors
    /// [`Error::TooLong`], [`Error::NetworkUnreachable`], [`Error::NetworkDown`],
    /// [`Error::Denied`]: a broadcast without permission; [`Error::Invalid`]: a wrong header.
    pub fn send_to(&self, data: &[u8], to: IpAddr) -> Result<usize, Error> {
        self.0.send_to(data, Some(SocketAddr::new(to, 0)))?;
        Ok(data.len())
    }

    /// As [`RawSocket::send_to`], to the connected peer.
    ///
    /// # Errors
    /// [`Error::NotConnected`]; else as [`RawSocket::send_to`].
    pub fn send(&self, data: &[u8]) -> Result<usize, Error> {
        self.0.send_to(data, None)?;
        Ok(data.len())
    }
}
