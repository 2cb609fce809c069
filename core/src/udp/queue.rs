//! Datagrams that have to wait before they are delivered, of all endpoints in order of arrival: a
//! ring in the user's storage. How many each endpoint may have is the engine's business.
use core::net::SocketAddrV4;

use crate::ip::NetifId;
use crate::pbuf::Pbuf;
use crate::queue::Entry;

use super::Datagram;

/// Storage of one received datagram that waits for its endpoint.
#[derive(Debug, Default)]
pub struct DatagramSlot(Option<Waiting>);

impl DatagramSlot {
    /// An empty slot.
    pub const fn new() -> Self {
        Self(None)
    }
}

/// A datagram and the endpoint it is for; a third of the size of a [`Datagram`].
#[derive(Debug)]
pub(crate) struct Waiting {
    /// Number of the endpoint; its datagrams are removed before the number is given away again.
    pub(super) endpoint: u16,
    pub(super) netif: NetifId,
    pub(super) tos: u8,
    pub(super) ttl: u8,
    pub(super) from: SocketAddrV4,
    pub(super) to: SocketAddrV4,
    pub(super) data: Pbuf,
}

impl Waiting {
    #[inline]
    pub(crate) fn into_datagram(self) -> Datagram {
        Datagram {
            data: self.data,
            from: self.from.into(),
            to: self.to.into(),
            netif: self.netif,
            tos: self.tos,
            ttl: self.ttl,
        }
    }
}

impl Entry for DatagramSlot {
    type Item = Waiting;

    #[inline]
    fn place(&mut self) -> &mut Option<Waiting> {
        &mut self.0
    }
}

pub(super) type Queue = crate::queue::Queue<DatagramSlot>;

#[cfg(test)]
mod tests;
