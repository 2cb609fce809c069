//! Sending: the IP header in front of a transport's packet, and the choice between loopback, the
//! link, and fragments (which `fragment` makes).
use core::net::Ipv4Addr;

use crate::error::Error;
use crate::netif::driver::HwAddr;
use crate::netif::{NetifId, ethernet};
use crate::pbuf::{Pbuf, Pool};
use crate::random::{Entropy, Keyed};
use crate::time::Instant;
use crate::wire::NoRoom;
use crate::wire::checksum::ComputedBy;
use crate::wire::ethernet::{EtherType, Header};
use crate::wire::ipv4::{self, Ecn, Fields, HEADER_LEN, MAX_PAYLOAD, Protocol};

use super::stats::count;
use super::{Destination, Fragmentation, Ip, Outgoing, OwnCopy, Route};

/// Room in front of a transport's header for those of IP and the link.
pub(super) const HEADROOM: usize = ethernet::HEADROOM + HEADER_LEN;

impl Ip {
    /// Sends a transport's packet, header first, along a route of [`Ip::route`].
    ///
    /// # Errors
    /// [`Error::NoMemory`]: no buffer, or the device or loopback is full: worth trying again.
    /// [`Error::LinkDown`], [`Error::TooLong`].
    #[inline(always)]
    pub(crate) fn send(
        &mut self,
        now: Instant,
        route: &Route,
        out: &Outgoing,
        packet: Pbuf,
    ) -> Result<(), Error> {
        count(&mut self.stats.out_requests);
        let sent = match self.send_plain(now, route, out, packet) {
            Ok(sent) => sent,
            Err(packet) => self.send_any(now, route, out, packet),
        };
        match sent {
            Ok(()) => {}
            Err(Error::LinkDown) => count(&mut self.stats.out_link_down),
            Err(Error::TooLong) => count(&mut self.stats.out_too_long),
            Err(_) => count(&mut self.stats.out_discards),
        }
        sent
    }

    /// The straight way of most packets: whole, to a known neighbour on Ethernet, with room for
    /// both headers in front, which are written at once. `Err` gives back what is not like that.
    #[inline(always)]
    fn send_plain(
        &mut self,
        now: Instant,
        route: &Route,
        out: &Outgoing,
        mut packet: Pbuf,
    ) -> Result<Result<(), Error>, Pbuf> {
        let len = packet.tot_len();
        let Some((own, hw)) = self.plain_way(now, route, len) else {
            return Err(packet);
        };
        // None: no room, or not ours alone.
        let room = packet.add_header(HEADROOM);
        let Some(room) = room.and_then(|room| room.first_chunk_mut::<HEADROOM>()) else {
            return Err(packet);
        };
        let (link, network) = room.split_at_mut(ethernet::HEADROOM);
        let (fragmentation, ident) = self.idents.of(out);
        // Not longer than the MTU, which is 16 bits.
        let fields = fields(out, fragmentation, ident, len as u16);
        let written = Header::new(hw, own, EtherType::IPV4)
            .emit(link)
            .and_then(|()| fields.emit(network, ip_checksum_by(route)));
        Ok(match (written, self.netifs.at_mut(route.netif)) {
            (Ok(()), Some(netif)) => netif.transmit_bytes(packet, len + HEADROOM),
            _ => Err(Error::NoMemory), // room was made for it: not reached
        })
    }

    /// The own hardware address and the one of the next hop for a packet of `len` bytes behind
    /// the IP header, if that is all it needs.
    #[inline]
    fn plain_way(&mut self, now: Instant, route: &Route, len: usize) -> Option<(HwAddr, HwAddr)> {
        if self.observed {
            return None;
        }
        // Loopback has no slot.
        let netif = self.netifs.at(route.netif)?;
        let fits = len <= usize::from(route.mtu).saturating_sub(HEADER_LEN);
        // The next hop of what goes to one host is no group.
        if !fits || !netif.is_usable() || route.to != Destination::Unicast {
            return None;
        }
        let own = netif.hw_addr()?;
        let hw = self.neighbors.at_hand(now, route.netif, route.next_hop)?;
        Some((own, hw))
    }

    #[inline(never)]
    fn send_any(
        &mut self,
        now: Instant,
        route: &Route,
        out: &Outgoing,
        packet: Pbuf,
    ) -> Result<(), Error> {
        let len = u16::try_from(packet.tot_len()).map_err(|_| Error::TooLong)?;
        if len > MAX_PAYLOAD {
            return Err(Error::TooLong);
        }
        if route.own_copy == OwnCopy::Yes && self.groups.is_member(route.netif, out.dst) {
            self.loop_back(route, out, &packet);
        }
        if route.netif == NetifId::LOOPBACK {
            let whole = ipv4::Fragmentation::Forbidden;
            let packet = self.with_ip_header(packet, route, out, whole, 0)?;
            self.show_leaving(NetifId::LOOPBACK, &packet);
            return self.loopback_push(packet);
        }
        if len <= route.mtu.saturating_sub(HEADER_LEN as u16) {
            let (fragmentation, ident) = self.idents.of(out);
            let packet = self.with_ip_header(packet, route, out, fragmentation, ident)?;
            return self.link_output(now, route.netif, route.next_hop, packet);
        }
        if out.fragmentation == Fragmentation::Forbidden {
            count(&mut self.stats.fragment_fails);
            return Err(Error::TooLong);
        }
        let ident = self.idents.next(out);
        self.send_fragments(now, route, out, ident, packet)
    }

    /// Hands a packet of this host to itself.
    pub(crate) fn loopback_push(&mut self, packet: Pbuf) -> Result<(), Error> {
        self.loopback.push(packet).map_err(|_| Error::NoMemory)
    }

    /// Sends a packet that has its IP header already and is not longer than the MTU.
    #[cfg(feature = "raw")]
    pub(crate) fn send_whole(
        &mut self,
        now: Instant,
        route: &Route,
        packet: Pbuf,
    ) -> Result<(), Error> {
        count(&mut self.stats.out_requests);
        if route.netif == NetifId::LOOPBACK {
            self.show_leaving(NetifId::LOOPBACK, &packet);
            return self.loopback_push(packet);
        }
        self.link_output(now, route.netif, route.next_hop, packet)
    }

    /// An identification for a packet that may be fragmented on its way.
    #[cfg(feature = "raw")]
    pub(crate) fn next_ident(&mut self, out: &Outgoing) -> u16 {
        self.idents.next(out)
    }

    /// RFC 1112 §6.1: members on this host get a copy, a view of the same buffers. Without room for
    /// it they don't, as if it was lost on the way.
    fn loop_back(&mut self, route: &Route, out: &Outgoing, packet: &Pbuf) {
        let copy = packet
            .slice(0, packet.tot_len())
            .map_err(Error::from)
            .and_then(|copy| {
                self.with_ip_header(copy, route, out, ipv4::Fragmentation::Forbidden, 0)
            })
            .and_then(|copy| {
                let pushed = self.loopback.push_via(route.netif, copy);
                pushed.map_err(|_| Error::NoMemory)
            });
        if copy.is_err() {
            count(&mut self.stats.out_copies_lost);
        }
    }

    /// `packet` with an IP header in front, in place if there is room.
    pub(super) fn with_ip_header(
        &self,
        packet: Pbuf,
        route: &Route,
        out: &Outgoing,
        fragmentation: ipv4::Fragmentation,
        ident: u16,
    ) -> Result<Pbuf, Error> {
        let payload_len = u16::try_from(packet.tot_len()).map_err(|_| Error::TooLong)?;
        let fields = fields(out, fragmentation, ident, payload_len);
        let by = ip_checksum_by(route);
        let pool = self.header_pool;
        with_header(pool, packet, ethernet::HEADROOM, HEADER_LEN, |room| {
            fields.emit(room, by)
        })
    }
}

fn fields(
    out: &Outgoing,
    fragmentation: ipv4::Fragmentation,
    ident: u16,
    payload_len: u16,
) -> Fields {
    Fields {
        src: out.src,
        dst: out.dst,
        protocol: out.protocol,
        ttl: out.ttl,
        dscp: out.tos >> 2,
        ecn: match out.tos & 3 {
            0 => Ecn::NotEct,
            1 => Ecn::Ect1,
            2 => Ecn::Ect0,
            _ => Ecn::Ce,
        },
        ident,
        fragmentation,
        payload_len,
    }
}

fn ip_checksum_by(route: &Route) -> ComputedBy {
    match route.tx_checksums.ipv4 {
        true => ComputedBy::Device,
        false => ComputedBy::Software,
    }
}

/// `packet` with `len` bytes in front that `write` fills: in place if there is room and nobody
/// else views the block, else in a block of `pool` with `headroom` for further headers.
#[inline]
pub(crate) fn with_header(
    pool: &'static Pool,
    mut packet: Pbuf,
    headroom: usize,
    len: usize,
    write: impl FnOnce(&mut [u8]) -> Result<(), NoRoom>,
) -> Result<Pbuf, Error> {
    if let Some(room) = packet.add_header(len) {
        write(room).map_err(|_| Error::NoMemory)?;
        return Ok(packet);
    }
    let mut header = Pbuf::alloc(pool, headroom, len)?;
    write(header.data_mut().ok_or(Error::NoMemory)?).map_err(|_| Error::NoMemory)?;
    Ok(packet.prepend(header))
}

/// Counters that identifications start from.
const COUNTERS: usize = 32;

/// Identifications of packets that may be fragmented.
///
/// RFC 7739 §5.3: an offset that only this host can compute for each pair of addresses and
/// protocol, plus one of several counters. Others cannot guess the numbers of a flow they are not
/// part of, nor count its packets (CVE-2024-10604); within a flow none repeats for long.
#[derive(Debug)]
pub(super) struct Idents {
    key: Keyed,
    counters: [u16; COUNTERS],
    /// The flow of the last packet, often that of the next, and its hash.
    last: Option<(Flow, u64)>,
}

/// Source, destination, protocol.
type Flow = (Ipv4Addr, Ipv4Addr, Protocol);

impl Idents {
    pub(super) fn new(entropy: Entropy<'_>) -> Self {
        let mut key = Keyed::new(entropy);
        let counters = core::array::from_fn(|_| key.next() as u16);
        Self {
            key,
            counters,
            last: None,
        }
    }

    /// How a packet that is short enough to be sent whole is marked, and its identification.
    fn of(&mut self, out: &Outgoing) -> (ipv4::Fragmentation, u16) {
        match out.fragmentation {
            // RFC 6864 §4.1: the identification of packets that are never fragmented says nothing;
            // here it tells nothing either.
            Fragmentation::Forbidden => (ipv4::Fragmentation::Forbidden, 0),
            Fragmentation::Allowed => (ipv4::Fragmentation::Allowed, self.next(out)),
        }
    }

    pub(super) fn next(&mut self, out: &Outgoing) -> u16 {
        let hash = self.hash((out.src, out.dst, out.protocol));
        let which = (hash >> 32) as usize % COUNTERS;
        let Some(counter) = self.counters.get_mut(which) else {
            return hash as u16; // below COUNTERS: not reached
        };
        *counter = counter.wrapping_add(1);
        (hash as u16).wrapping_add(*counter)
    }

    fn hash(&mut self, flow: Flow) -> u64 {
        match self.last {
            Some((last, hash)) if last == flow => hash,
            _ => {
                let (src, dst, protocol) = flow;
                let parts = [&src.octets()[..], &dst.octets(), &[protocol.0]];
                let hash = self.key.hash(&parts);
                self.last = Some((flow, hash));
                hash
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn identifications_do_not_repeat_within_a_flow_and_differ_between_flows() {
        let mut seed = 1u8;
        let mut idents = Idents::new(&mut |bytes| {
            bytes.iter_mut().for_each(|b| {
                seed = seed.wrapping_mul(29).wrapping_add(7);
                *b = seed;
            });
        });
        let mut first = std::collections::HashSet::new();
        for host in 1..=50 {
            let out = Outgoing {
                src: [10, 0, 0, 1].into(),
                dst: [10, 0, 0, host].into(),
                protocol: Protocol::UDP,
                ttl: 1,
                tos: 0,
                fragmentation: Fragmentation::Allowed,
            };
            let seen: std::collections::HashSet<_> = (0..1000).map(|_| idents.next(&out)).collect();
            assert_eq!(seen.len(), 1000, "to host {host}");
            first.insert(idents.next(&out));
        }
        assert!(first.len() > 40, "flows start at different numbers");
    }
}
