//! Sending: the headers of `head` in front of a transport's packet, or of each of the fragments
//! that `fragment` makes of it.
use core::net::Ipv4Addr;

use crate::error::Error;
use crate::netif::NetifId;
use crate::pbuf::{Pbuf, Pool};
use crate::random::{Entropy, Keyed};
use crate::time::Instant;
use crate::wire::NoRoom;
use crate::wire::ipv4::{self, Ecn, HEADER_LEN, MAX_PAYLOAD, Mark, Protocol};

use super::head::{HEADROOM, Head};
use super::stats::count;
use super::{Fragmentation, Ip, Outgoing, OwnCopy, Route};

/// The headers of the last packet, often those of the next, and what they were made of.
#[derive(Debug)]
pub(super) struct LastHead {
    next_hop: Ipv4Addr,
    out: Outgoing,
    head: Head,
}

impl Ip {
    /// Sends a transport's packet, header first, along a route of [`Ip::route`].
    ///
    /// # Errors
    /// [`Error::NoMemory`]: no buffer, or the device or loopback is full: worth trying again.
    /// [`Error::LinkDown`], [`Error::TooLong`].
    pub(crate) fn send(
        &mut self,
        now: Instant,
        route: &Route,
        out: &Outgoing,
        packet: Pbuf,
    ) -> Result<(), Error> {
        count(&mut self.stats.out_requests);
        let sent = self.send_or_fragment(now, route, out, packet);
        if let Err(error) = sent {
            self.count_unsent(error);
        }
        sent
    }

    /// Sends a packet that has the headers of `head`, which is current; `len` bytes with them.
    ///
    /// # Errors
    /// As [`Ip::send`].
    #[inline]
    pub(crate) fn send_headed(
        &mut self,
        head: &Head,
        packet: Pbuf,
        len: usize,
    ) -> Result<(), Error> {
        count(&mut self.stats.out_requests);
        let sent = self.send_on(head, packet, len);
        if let Err(error) = sent {
            self.count_unsent(error);
        }
        sent
    }

    /// As [`Ip::head_at_hand`], of a packet to be sent, which counts as not sent if there is none.
    ///
    /// # Errors
    /// As [`Ip::head`].
    pub(crate) fn head_to_send(
        &mut self,
        now: Instant,
        route: &Route,
        out: &Outgoing,
    ) -> Result<Head, Error> {
        let head = self.head_at_hand(now, route, out);
        if let Err(error) = head {
            count(&mut self.stats.out_requests);
            self.count_unsent(error);
        }
        head
    }

    /// Sends a packet that is nothing but a transport's header of `len` bytes, which `write` makes,
    /// behind `head`, which it fits.
    ///
    /// # Errors
    /// As [`Ip::send`].
    pub(crate) fn send_header(
        &mut self,
        head: &Head,
        mark: Mark,
        len: usize,
        write: impl FnOnce(&mut [u8]) -> Result<(), NoRoom>,
    ) -> Result<(), Error> {
        count(&mut self.stats.out_requests);
        let front = head.len();
        // Who waits for its neighbour needs room for the link's header then.
        let room_in_front = HEADROOM.saturating_sub(front);
        let packet = Pbuf::alloc(self.header_pool, room_in_front, front + len);
        let sent = packet.map_err(Error::from).and_then(|mut packet| {
            let room = packet.data_mut().ok_or(Error::NoMemory)?;
            // It is short: 16 bits.
            let header = head.write(room, len as u16, mark).ok_or(Error::NoMemory)?;
            write(header).map_err(|_| Error::NoMemory)?;
            self.send_on(head, packet, front + len)
        });
        if let Err(error) = sent {
            self.count_unsent(error);
        }
        sent
    }

    /// Sends `data` of `len` bytes with a transport's `header`, and `head` in front, which is
    /// current: all at once, in its own block. `Err` gives the data back, untouched, if the device
    /// has no room now, or if in front of the data is none that nobody else views.
    #[inline]
    pub(crate) fn send_behind<const N: usize>(
        &mut self,
        head: &Head,
        mark: Mark,
        header: &[u8; N],
        mut data: Pbuf,
        len: usize,
    ) -> Result<Result<(), Error>, Pbuf> {
        let Some(netif) = self.netifs.at_mut(head.netif()) else {
            return Err(data); // a current one leads to a device: not reached
        };
        if !netif.can_transmit() {
            return Err(data);
        }
        let Some(room) = data.add_header(head.len() + N) else {
            return Err(data);
        };
        // Not longer than the MTU, which is 16 bits.
        let rest = head.write(room, (N + len) as u16, mark);
        if let Some(rest) = rest.and_then(|rest| rest.first_chunk_mut()) {
            *rest = *header;
        }
        count(&mut self.stats.out_requests);
        let sent = netif.transmit_bytes(data, head.len() + N + len);
        if let Err(error) = sent {
            self.count_unsent(error);
        }
        Ok(sent)
    }

    #[cold]
    fn count_unsent(&mut self, error: Error) {
        count(match error {
            Error::LinkDown => &mut self.stats.out_link_down,
            Error::TooLong => &mut self.stats.out_too_long,
            _ => &mut self.stats.out_discards,
        });
    }

    fn send_or_fragment(
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
            self.loop_back(now, route, out, &packet, len);
        }
        // Loopback's MTU is advice: it takes packets as long as there are.
        if route.netif == NetifId::LOOPBACK || len <= route.mtu.saturating_sub(HEADER_LEN as u16) {
            let mark = self.mark(out.fragmentation, out.flow());
            return self.send_whole(now, route, out, mark, packet, len);
        }
        if out.fragmentation == Fragmentation::Forbidden {
            count(&mut self.stats.fragment_fails);
            return Err(Error::TooLong);
        }
        let ident = self.idents.next(out.flow());
        self.send_fragments(now, route, out, ident, packet)
    }

    /// RFC 1112 §6.1: members on this host get a copy, a view of the same buffers. Without room for
    /// it they don't, as if it was lost on the way.
    #[inline(never)]
    fn loop_back(&mut self, now: Instant, route: &Route, out: &Outgoing, packet: &Pbuf, len: u16) {
        let inside = Route {
            netif: NetifId::LOOPBACK,
            ..*route
        };
        let mark = self.mark(Fragmentation::Forbidden, out.flow());
        let copy = self.head(now, &inside, out).and_then(|head| {
            let copy = packet.slice(0, packet.tot_len())?;
            let pool = self.header_pool;
            with_header(pool, copy, 0, head.len(), |room| {
                head.write(room, len, mark).map(|_| ()).ok_or(NoRoom)
            })
        });
        let pushed = copy.map(|copy| self.loopback.push_via(route.netif, copy).is_ok());
        if pushed != Ok(true) {
            count(&mut self.stats.out_copies_lost);
        }
    }

    /// Sends a packet, or a fragment of one, that fits the link, with `len` bytes behind the IP
    /// header.
    pub(super) fn send_whole(
        &mut self,
        now: Instant,
        route: &Route,
        out: &Outgoing,
        mark: Mark,
        packet: Pbuf,
        len: u16,
    ) -> Result<(), Error> {
        let head = self.head_at_hand(now, route, out)?;
        // Who waits for its neighbour needs room for the link's header then.
        let room_in_front = HEADROOM.saturating_sub(head.len());
        let pool = self.header_pool;
        let headed = with_header(pool, packet, room_in_front, head.len(), |room| {
            head.write(room, len, mark).map(|_| ()).ok_or(NoRoom)
        });
        match headed {
            Ok(packet) => self.send_on(&head, packet, usize::from(len) + head.len()),
            Err(error) => {
                if let Some(netif) = self.netifs.at_mut(route.netif) {
                    count(&mut netif.stats.out_discards);
                }
                Err(error)
            }
        }
    }

    /// As [`Ip::head`], without a look if the last packet was like this one.
    pub(crate) fn head_at_hand(
        &mut self,
        now: Instant,
        route: &Route,
        out: &Outgoing,
    ) -> Result<Head, Error> {
        let generation = self.generation(now);
        if let Some(last) = &self.last_head
            && last.head.is_current(generation)
            && last.out == *out
            // What else there is to a route cannot have changed.
            && last.head.netif() == route.netif
            && last.next_hop == route.next_hop
        {
            return Ok(last.head);
        }
        let head = match self.head(now, route, out) {
            Ok(head) => head,
            Err(error) => {
                if error == Error::NoMemory {
                    count(&mut self.arp_stats.table_full);
                }
                return Err(error);
            }
        };
        self.last_head = Some(LastHead {
            next_hop: route.next_hop,
            out: *out,
            head,
        });
        Ok(head)
    }

    /// Hands a packet of this host to itself.
    pub(crate) fn loopback_push(&mut self, packet: Pbuf) -> Result<(), Error> {
        self.loopback.push(packet).map_err(|_| Error::NoMemory)
    }

    /// An identification for a packet that may be fragmented on its way.
    #[cfg(feature = "raw")]
    pub(crate) fn next_ident(&mut self, flow: Flow) -> u16 {
        self.idents.next(flow)
    }

    /// What is different in a packet that is short enough to be sent whole.
    #[inline]
    pub(crate) fn mark(&mut self, fragmentation: Fragmentation, flow: Flow) -> Mark {
        let (fragmentation, ident) = match fragmentation {
            // RFC 6864 §4.1: the identification of packets that are never fragmented says nothing;
            // here it tells nothing either.
            Fragmentation::Forbidden => (ipv4::Fragmentation::Forbidden, 0),
            Fragmentation::Allowed => (ipv4::Fragmentation::Allowed, self.idents.next(flow)),
        };
        Mark::new(ident, fragmentation, Ecn::NotEct)
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
pub(crate) type Flow = (Ipv4Addr, Ipv4Addr, Protocol);

impl Outgoing {
    pub(super) fn flow(&self) -> Flow {
        (self.src, self.dst, self.protocol)
    }
}

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

    #[inline(always)]
    fn next(&mut self, flow: Flow) -> u16 {
        let hash = match self.last {
            Some((last, hash)) if last == flow => hash,
            _ => self.hash(flow),
        };
        let which = (hash >> 32) as usize % COUNTERS;
        let Some(counter) = self.counters.get_mut(which) else {
            return hash as u16; // below COUNTERS: not reached
        };
        *counter = counter.wrapping_add(1);
        (hash as u16).wrapping_add(*counter)
    }

    #[cold]
    fn hash(&mut self, flow: Flow) -> u64 {
        let (src, dst, protocol) = flow;
        let parts = [&src.octets()[..], &dst.octets(), &[protocol.0]];
        let hash = self.key.hash(&parts);
        self.last = Some((flow, hash));
        hash
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
            let seen: std::collections::HashSet<_> =
                (0..1000).map(|_| idents.next(out.flow())).collect();
            assert_eq!(seen.len(), 1000, "to host {host}");
            first.insert(idents.next(out.flow()));
        }
        assert!(first.len() > 40, "flows start at different numbers");
    }
}
