//! [`Via`]: which interface a group is joined on, or multicasts leave through.
use core::net::Ipv4Addr;

use crate::error::Error;
use crate::netif::NetifId;

use super::Ip;

/// Names an interface for multicasts (`imr_interface`, `imr_ifindex`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Via {
    /// The one that a packet to the group would take: with the default route, else the first that
    /// is up (`INADDR_ANY`).
    #[default]
    Route,
    /// The one with this address.
    Addr(Ipv4Addr),
    /// This one.
    Netif(NetifId),
}

impl From<Ipv4Addr> for Via {
    /// The unspecified address leaves it to the route.
    fn from(addr: Ipv4Addr) -> Self {
        if addr.is_unspecified() {
            Self::Route
        } else {
            Self::Addr(addr)
        }
    }
}

impl From<NetifId> for Via {
    fn from(netif: NetifId) -> Self {
        Self::Netif(netif)
    }
}

impl Ip {
    /// The interface meant for `group`.
    ///
    /// # Errors
    /// [`Error::NoInterface`].
    pub(crate) fn interface(&self, via: Via, group: Ipv4Addr) -> Result<NetifId, Error> {
        match via {
            Via::Route => self.interface_to_group(group),
            Via::Addr(addr) if addr.is_loopback() => Some(NetifId::LOOPBACK),
            Via::Addr(addr) => self.owner_of(addr),
            Via::Netif(NetifId::LOOPBACK) => Some(NetifId::LOOPBACK),
            Via::Netif(id) => self.netifs.at(id).map(|_| id),
        }
        .ok_or(Error::NoInterface)
    }
}
