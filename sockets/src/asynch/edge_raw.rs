//! The raw traits of `edge-nal`: IPv4 packets below the stack's IP, which is how a DHCP client
//! speaks before the interface has an address.
use edge_nal::{MacAddr, RawBind, RawReceive, RawSend, RawSplit, Readable};
use embedded_io_async::ErrorType;
use gannet_core::packet::{EtherType, Filter};
use gannet_core::wire::ethernet::{HEADER_LEN, Header};
use gannet_core::{HwAddr, Medium, NetifId};
use gannet_netconn::{Error, Net};

use super::PacketSocket;
use crate::io::IoError;

/// Where the source is in an Ethernet header.
const SOURCE: usize = 6;

/// An interface of a stack as the raw traits want it.
///
/// ```no_run
/// # use gannet_port_std as _;
/// use edge_nal::{RawBind, RawReceive};
/// use gannet_sockets::asynch::Interface;
/// use gannet_sockets::{Net, NetifId, io::IoError};
///
/// /// Who sends the next IPv4 packet, to whomever.
/// async fn neighbor(net: &'static Net) -> Result<[u8; 6], IoError> {
///     let first = Interface::new(net, NetifId::with_index(0));
///     let (_len, from) = first.bind().await?.receive(&mut [0; 1500]).await?;
///     Ok(from)
/// }
/// ```
#[derive(Clone, Copy, Debug)]
pub struct Interface {
    net: &'static Net,
    netif: NetifId,
}

impl Interface {
    /// The interface `netif` of the stack behind `net`.
    pub const fn new(net: &'static Net, netif: NetifId) -> Self {
        Self { net, netif }
    }
}

impl RawBind for Interface {
    type Error = IoError;
    type Socket<'a> = LinkSocket;

    async fn bind(&self) -> Result<LinkSocket, IoError> {
        LinkSocket::new(self.net, self.netif).map_err(IoError)
    }
}

/// The IPv4 packets that an interface receives, each with the hardware address it comes from; and
/// packets to send, to a hardware address (`SOCK_DGRAM` of `AF_PACKET`). The stack handles what is
/// received as well; the limits are those of [`crate::PacketSocket`].
///
/// On an interface of bare IP the addresses are zeros, and are ignored.
#[derive(Debug)]
pub struct LinkSocket {
    socket: PacketSocket,
    netif: NetifId,
    medium: Medium,
}

impl LinkSocket {
    /// A socket on the interface `netif` of `net`'s stack.
    ///
    /// # Errors
    /// [`Error::Invalid`]: there is no such interface, or it is loopback. [`Error::TooMany`],
    /// [`Error::NoBuffers`]: out of endpoints.
    pub fn new(net: &'static Net, netif: NetifId) -> Result<Self, Error> {
        let medium = net.netif_status(netif)?.medium;
        let filter = Filter::EtherType(EtherType::IPV4);
        let socket = PacketSocket::new_on(net, filter, Some(netif))?;
        Ok(Self {
            socket,
            netif,
            medium,
        })
    }
}

impl ErrorType for LinkSocket {
    type Error = IoError;
}

impl ErrorType for &LinkSocket {
    type Error = IoError;
}

/// The traits of a socket and of its parts, which are references to it.
macro_rules! traits {
    ($($socket:ty),*) => {$(
        impl RawReceive for $socket {
            async fn receive(&mut self, buffer: &mut [u8]) -> Result<(usize, MacAddr), IoError> {
                let (frame, _) = self.socket.recv_pbuf().await.map_err(IoError)?;
                let mut from = MacAddr::default();
                let header = match self.medium {
                    Medium::Ethernet(_) => {
                        frame.copy_to(SOURCE, &mut from);
                        HEADER_LEN
                    }
                    Medium::Ip => 0,
                };
                frame.copy_to(header, buffer);
                Ok((frame.tot_len().saturating_sub(header), from))
            }
        }

        impl RawSend for $socket {
            async fn send(&mut self, addr: MacAddr, data: &[u8]) -> Result<(), IoError> {
                let sent = match self.medium {
                    Medium::Ethernet(own) => {
                        let mut header = [0; HEADER_LEN];
                        // It has room for one.
                        let _ = Header::new(HwAddr(addr), own, EtherType::IPV4).emit(&mut header);
                        self.socket.send_vectored(&[&header, data], self.netif).await
                    }
                    Medium::Ip => self.socket.send(data, self.netif).await,
                };
                sent.map_err(IoError)
            }
        }

        impl Readable for $socket {
            async fn readable(&mut self) -> Result<(), IoError> {
                self.socket.readable().await.map_err(IoError)
            }
        }
    )*};
}

traits!(LinkSocket, &LinkSocket);

impl RawSplit for LinkSocket {
    type Receive<'a> = &'a Self;
    type Send<'a> = &'a Self;

    fn split(&mut self) -> (&Self, &Self) {
        (self, self)
    }
}
