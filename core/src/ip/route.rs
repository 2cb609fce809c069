//! Which way a packet goes: out of which interface, to which neighbour, from which address.
//! The table of routes that are not those to the interfaces' own networks.
use core::cell::Cell;
use core::cmp::Ordering;
use core::net::Ipv4Addr;

use crate::error::Error;
use crate::netif::driver::Checksums;
use crate::netif::{Netif, NetifId, loopback};

use super::calls::is_unicast;
use super::straight::Familiar;
use super::{Destination, Ip, Subnet};

/// The way of packets to one destination; valid until interfaces, addresses or routes change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Route {
    pub(crate) netif: NetifId,
    /// The source address: the one asked for, or the interface's.
    pub(crate) src: Ipv4Addr,
    /// The neighbour (a gateway, or the destination), or a group.
    pub(crate) next_hop: Ipv4Addr,
    /// Largest packet in bytes, IP header included.
    pub(crate) mtu: u16,
    /// Who is at the destination.
    pub(crate) to: Destination,
    /// What members on this host get of a packet to a group.
    pub(crate) own_copy: OwnCopy,
    /// What the transport may leave out. (Of packets that have to be fragmented IP computes it.)
    pub(crate) tx_checksums: Checksums,
}

/// Whether members on this host get a copy of a packet to a group.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum OwnCopy {
    /// They don't.
    No,
    /// They do: RFC 1112 §6.1.
    Yes,
}

/// The way last found, with what was asked for: most packets ask for it again.
///
/// To be forgotten ([`Ip::ways_changed`]) whenever interfaces, addresses or routes change.
#[derive(Debug, Default)]
pub(crate) struct LastWay(Cell<Option<Found>>);

#[derive(Clone, Copy, Debug)]
struct Found {
    dst: Ipv4Addr,
    src: Option<Ipv4Addr>,
    route: Route,
}

impl Found {
    /// Whether it is what a search with this source would find.
    fn is_from(&self, src: Option<Ipv4Addr>) -> bool {
        // The way found without a source is the best, so it is if its own source speaks for it.
        self.src == src || self.src.is_none() && src == Some(self.route.src)
    }
}

/// Storage for one route.
#[derive(Clone, Copy, Debug, Default)]
pub struct RouteSlot(Option<Entry>);

impl RouteSlot {
    /// An unused slot.
    pub const fn new() -> Self {
        Self(None)
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Entry {
    to: Subnet,
    gateway: Ipv4Addr,
}

/// Routes through gateways.
#[derive(Debug)]
pub(crate) struct Routes(&'static mut [RouteSlot]);

impl Routes {
    pub(super) fn new(slots: &'static mut [RouteSlot]) -> Self {
        Self(slots)
    }

    /// Adds a route, unless it is there.
    pub(super) fn add(&mut self, to: Subnet, gateway: Ipv4Addr) -> Result<(), Error> {
        if self.iter().any(|entry| entry.is(to, gateway)) {
            return Ok(());
        }
        let free = self.0.iter_mut().find(|slot| slot.0.is_none());
        free.ok_or(Error::NoMemory)?.0 = Some(Entry { to, gateway });
        Ok(())
    }

    /// Removes a route; `false` if it was not there.
    pub(super) fn remove(&mut self, to: Subnet, gateway: Ipv4Addr) -> bool {
        let fits = |slot: &&mut RouteSlot| slot.0.is_some_and(|entry| entry.is(to, gateway));
        self.0
            .iter_mut()
            .find(fits)
            .and_then(|slot| slot.0.take())
            .is_some()
    }

    /// The gateway of the first route to exactly this network.
    pub(super) fn gateway(&self, to: Subnet) -> Option<Ipv4Addr> {
        self.iter()
            .find(|entry| entry.to.same_network(to))
            .map(|entry| entry.gateway)
    }

    /// Whether packets to others go to `addr`.
    pub(crate) fn is_gateway(&self, addr: Ipv4Addr) -> bool {
        self.iter().any(|entry| entry.gateway == addr)
    }

    fn iter(&self) -> impl Iterator<Item = &Entry> {
        self.0.iter().filter_map(|slot| slot.0.as_ref())
    }
}

impl Entry {
    fn is(&self, to: Subnet, gateway: Ipv4Addr) -> bool {
        self.to.same_network(to) && self.gateway == gateway
    }
}

/// A way out that leads to the destination.
struct Candidate<'a> {
    id: NetifId,
    netif: &'a Netif,
    next_hop: Ipv4Addr,
    rank: Rank,
}

/// How good a way is, most important first.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Rank {
    /// RFC 1122 §3.3.1.2, RFC 1812 §5.2.4.3: the longest prefix.
    prefix: u8,
    /// A second gateway to the same network serves when the first one's link is down.
    usable: bool,
    /// RFC 1122 §3.3.4.2: rather out of the interface that has the source address.
    has_source: bool,
    on_link: bool,
}

impl Ip {
    /// The way to `dst`. `src` must be an own address if it is given (and not unspecified).
    ///
    /// # Errors
    /// [`Error::NoRoute`]; [`Error::LinkDown`] if the way is known but the interface not usable.
    pub(crate) fn route(&self, dst: Ipv4Addr, src: Option<Ipv4Addr>) -> Result<Route, Error> {
        if let Some(route) = self.last_way(dst, src) {
            return Ok(route);
        }
        let route = self.find_route(dst, src)?;
        self.last_way.0.set(Some(Found { dst, src, route }));
        Ok(route)
    }

    /// The way to `dst` from `src`, if it is the one found last: then whoever had it found has seen
    /// that `src` can be a source, and nothing has changed since.
    #[inline]
    pub(crate) fn last_way(&self, dst: Ipv4Addr, src: Option<Ipv4Addr>) -> Option<Route> {
        let last = self.last_way.0.get();
        last.filter(|found| found.dst == dst && found.is_from(src))
            .map(|found| found.route)
    }

    /// Interfaces, addresses or routes are not what they were.
    pub(super) fn ways_changed(&mut self) {
        self.ways_generation = self.ways_generation.wrapping_add(1);
        self.last_way = LastWay::default();
        self.familiar = Familiar::NONE;
    }

    fn find_route(&self, dst: Ipv4Addr, src: Option<Ipv4Addr>) -> Result<Route, Error> {
        let src = src.filter(|src| !src.is_unspecified());
        // RFC 1122 §3.3.4.2, §3.2.1.3: never from an address that is not ours; 0.0.0.0 names
        // nobody.
        if src.is_some_and(|src| !self.is_own(src)) || dst.is_unspecified() {
            return Err(Error::NoRoute);
        }
        if self.is_own(dst) {
            return Ok(Route {
                netif: NetifId::LOOPBACK,
                src: src.unwrap_or(dst),
                next_hop: dst,
                mtu: loopback::MTU,
                to: Destination::Unicast,
                own_copy: OwnCopy::No,
                tx_checksums: Checksums::ALL,
            });
        }
        // RFC 1122 §3.2.1.3 (g): 127.0.0.0/8 never leaves the host.
        if src.is_some_and(|src| src.is_loopback()) {
            return Err(Error::NoRoute);
        }
        let best = if dst.is_broadcast() || dst.is_multicast() {
            self.to_group(dst, src)
        } else if is_unicast(dst) {
            self.to_host(dst, src)
        } else {
            None
        };
        self.route_by(best.ok_or(Error::NoRoute)?, dst, src)
    }

    /// The way to the group `dst` out of the interface `id`; `src` as for [`Ip::route`].
    ///
    /// # Errors
    /// As [`Ip::route`]; [`Error::NoRoute`] also if there is no such interface.
    pub(crate) fn route_to_group(
        &self,
        id: NetifId,
        dst: Ipv4Addr,
        src: Option<Ipv4Addr>,
    ) -> Result<Route, Error> {
        let src = src.filter(|src| !src.is_unspecified());
        if id == NetifId::LOOPBACK {
            return Ok(Route {
                netif: id,
                src: src.unwrap_or(Ipv4Addr::LOCALHOST),
                next_hop: dst,
                mtu: loopback::MTU,
                to: Destination::Multicast,
                own_copy: OwnCopy::No,
                tx_checksums: Checksums::ALL,
            });
        }
        if src.is_some_and(|src| src.is_loopback()) {
            return Err(Error::NoRoute);
        }
        let netif = self.netifs.at(id).ok_or(Error::NoRoute)?;
        self.route_by(candidate(id, netif, dst, src, 0, OnLink::Yes), dst, src)
    }

    /// The interface that a packet to a group takes.
    pub(super) fn interface_to_group(&self, group: Ipv4Addr) -> Option<NetifId> {
        self.to_group(group, None).map(|best| best.id)
    }

    fn route_by(
        &self,
        best: Candidate<'_>,
        dst: Ipv4Addr,
        src: Option<Ipv4Addr>,
    ) -> Result<Route, Error> {
        if !best.rank.usable {
            return Err(Error::LinkDown);
        }
        let own = best.netif.subnet.map(Subnet::addr);
        let src = match src.or(own) {
            Some(src) => src,
            // RFC 1122 §3.2.1.3 (a): only a host that is learning its address sends without, to
            // all.
            None if dst.is_broadcast() => Ipv4Addr::UNSPECIFIED,
            None => return Err(Error::NoRoute),
        };
        Ok(Route {
            netif: best.id,
            src,
            next_hop: best.next_hop,
            mtu: best.netif.mtu(),
            to: if dst.is_multicast() {
                Destination::Multicast
            } else if self.is_broadcast(dst) {
                Destination::Broadcast
            } else {
                Destination::Unicast
            },
            own_copy: OwnCopy::No,
            tx_checksums: best.netif.capabilities.tx_checksums,
        })
    }

    /// Interfaces' own networks, and networks behind gateways.
    fn to_host(&self, dst: Ipv4Addr, src: Option<Ipv4Addr>) -> Option<Candidate<'_>> {
        let connected = self.netifs.iter().filter_map(|(id, netif)| {
            let subnet = netif.subnet.filter(|subnet| subnet.contains(dst))?;
            Some(candidate(id, netif, dst, src, subnet.prefix(), OnLink::Yes))
        });
        let fitting = self.routes.iter().filter(|entry| entry.to.contains(dst));
        let behind = fitting.filter_map(|entry| {
            let (id, netif) = self.link_of(entry.gateway)?;
            let prefix = entry.to.prefix();
            let gateway = entry.gateway;
            Some(candidate(id, netif, gateway, src, prefix, OnLink::No))
        });
        first_best(connected.chain(behind))
    }

    /// All hosts or a group: out of the interface with the source address, else of the one with
    /// the default route, else of the first that is usable.
    fn to_group(&self, dst: Ipv4Addr, src: Option<Ipv4Addr>) -> Option<Candidate<'_>> {
        let default = self.routes.gateway(Subnet::ANY);
        let default = default.and_then(|gateway| self.link_of(gateway));
        let default = default.map(|(id, _)| id);
        first_best(self.netifs.iter().map(|(id, netif)| {
            let on_link = match default == Some(id) {
                true => OnLink::Yes,
                false => OnLink::No,
            };
            candidate(id, netif, dst, src, 0, on_link)
        }))
    }

    /// The interface on whose link a gateway is.
    pub(super) fn link_of(&self, gateway: Ipv4Addr) -> Option<(NetifId, &Netif)> {
        self.netifs
            .iter()
            .filter(|(_, netif)| netif.subnet.is_some_and(|subnet| subnet.is_host(gateway)))
            .max_by_key(|(_, netif)| netif.subnet.map(Subnet::prefix))
    }
}

/// Whether the destination itself is the neighbour; of two equal ways the direct one is taken.
#[derive(Clone, Copy, PartialEq, Eq)]
enum OnLink {
    Yes,
    No,
}

fn candidate(
    id: NetifId,
    netif: &Netif,
    next_hop: Ipv4Addr,
    src: Option<Ipv4Addr>,
    prefix: u8,
    on_link: OnLink,
) -> Candidate<'_> {
    Candidate {
        id,
        netif,
        next_hop,
        rank: Rank {
            prefix,
            usable: netif.is_usable(),
            has_source: src.is_some() && netif.subnet.map(Subnet::addr) == src,
            on_link: on_link == OnLink::Yes,
        },
    }
}

fn first_best<'a>(candidates: impl Iterator<Item = Candidate<'a>>) -> Option<Candidate<'a>> {
    candidates.reduce(|best, next| match next.rank.cmp(&best.rank) {
        Ordering::Greater => next,
        _ => best,
    })
}
