//! Receiving: which packets are for this host and plausible, and to which protocol they go. All
//! others are counted and dropped.
use core::net::Ipv4Addr;

use crate::netif::NetifId;
use crate::netif::ethernet::{Arrival, HEADROOM, LinkDestination};
use crate::pbuf::Pbuf;
use crate::time::Instant;
use crate::wire::igmp;
use crate::wire::ipv4::{Ecn, Packet, Protocol};

use super::calls::is_unicast;
use super::icmp_error::PROTOCOL_UNREACHABLE;
use super::stats::count;
use super::{ChecksumState, Destination, Input, Ip, Offered, Received};

/// Where a fragment belongs, in bytes of the payload of the whole packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) offset: usize,
    pub(super) more: bool,
}

/// What is remembered of an IP header.
#[derive(Clone, Copy, Debug)]
pub(super) struct Head {
    pub(super) src: Ipv4Addr,
    pub(super) dst: Ipv4Addr,
    pub(super) protocol: Protocol,
    pub(super) tos: u8,
    pub(super) ttl: u8,
    pub(super) ident: u16,
    pub(super) header_len: u8,
    pub(super) payload_len: usize,
    /// `None`: the packet is whole.
    pub(super) place: Option<Place>,
}

impl Ip {
    /// Processes one received frame, or a packet from this host. What is not for a transport is
    /// dealt with here.
    pub(crate) fn input(&mut self, now: Instant, netif: NetifId, frame: Pbuf) -> Option<Input> {
        if self.observed {
            self.show_received(netif, &frame);
        }
        let (arrival, packet) = if netif == NetifId::LOOPBACK {
            (Arrival::looped(self.loopback.via()), frame)
        } else {
            self.link_input(now, netif, frame)?
        };
        count(&mut self.stats.in_receives);
        let (head, to, packet) = self.check(&arrival, packet)?;
        if head.place.is_some() {
            return self.fragment_arrives(now, &arrival, head, to, packet);
        }
        self.deliver(now, &arrival, head, to, packet, ChecksumState::ToVerify)
    }

    /// RFC 1122 §3.2.1: everything that makes a packet one for this host.
    fn check(&mut self, arrival: &Arrival, packet: Pbuf) -> Option<(Head, Destination, Pbuf)> {
        let arrived = packet.tot_len();
        let header = usize::from(first_byte(&packet).unwrap_or(0x45) & 0xf) * 4;
        let Some(mut packet) = self.contiguous(packet, header) else {
            count(&mut self.stats.in_discards);
            return None;
        };
        let Ok(parsed) = Packet::parse(packet.data(), arrived) else {
            count(&mut self.stats.in_header_errors);
            return None;
        };
        // RFC 1122 §3.2.1.2.
        if !arrival.verified.ipv4 && !parsed.checksum_is_valid() {
            count(&mut self.stats.in_checksum_errors);
            return None;
        }
        if parsed.has_source_route() {
            count(&mut self.stats.in_source_routes);
            return None;
        }
        let head = Head::of(&parsed);
        let total_len = parsed.total_len();
        // RFC 3376 §4.2.13, RFC 4541 §2.1.1: hosts and switches without an address speak IGMP too.
        let nobody = head.protocol == Protocol::IGMP && head.src.is_unspecified();
        let from_wire = arrival.link != LinkDestination::Loopback;
        let martian = from_wire && self.is_martian(head.src, head.dst);
        if martian && !(cfg!(feature = "igmp") && nobody) {
            count(&mut self.stats.in_martians);
            return None;
        }
        let Some(to) = self.destination(arrival.netif, head.dst) else {
            count(&mut self.stats.in_address_errors);
            return None;
        };
        // RFC 1122 §3.3.6: or an answer to a broadcast would be asked of one host.
        if to == Destination::Unicast && arrival.link == LinkDestination::Group {
            count(&mut self.stats.in_link_broadcasts);
            return None;
        }
        // RFC 894: short packets are padded to the smallest frame.
        if arrived > total_len {
            packet.truncate(total_len);
        }
        Some((head, to, packet))
    }

    /// Whether a packet from the wire has a source that no host there can have, or a destination
    /// that never leaves a host.
    pub(super) fn is_martian(&self, src: Ipv4Addr, dst: Ipv4Addr) -> bool {
        // RFC 1122 §3.2.1.3, RFC 1812 §5.3.7.
        !is_unicast(src)
            || src.is_loopback()
            || dst.is_loopback()
            || self.owner_of(src).is_some()
            || self.is_broadcast(src)
    }

    /// To whom `dst` is addressed when it arrives at `netif`; `None` if not to this host.
    fn destination(&self, netif: NetifId, dst: Ipv4Addr) -> Option<Destination> {
        if dst.is_multicast() {
            let member = self.groups.is_member(netif, dst);
            return member.then_some(Destination::Multicast);
        }
        if netif == NetifId::LOOPBACK {
            return self.is_own(dst).then_some(Destination::Unicast);
        }
        if dst.is_broadcast() {
            return Some(Destination::Broadcast);
        }
        // RFC 1122 §3.3.4.2, the strong model: the address of another interface is not for this
        // one, so that what is bound to an inner address cannot be reached from outside.
        let subnet = self.netifs.at(netif)?.subnet?;
        if dst == subnet.addr() {
            return Some(Destination::Unicast);
        }
        (Some(dst) == subnet.broadcast()).then_some(Destination::Broadcast)
    }

    /// Hands a whole packet, IP header first, to its protocol. `checksum` is what is known beyond
    /// what the interface promises.
    pub(super) fn deliver(
        &mut self,
        now: Instant,
        arrival: &Arrival,
        head: Head,
        to: Destination,
        packet: Pbuf,
        checksum: ChecksumState,
    ) -> Option<Input> {
        let header_len = usize::from(head.header_len);
        let transport = packet.data().get(header_len..).unwrap_or_default();
        let transport = transport_header(head.protocol, transport).min(head.payload_len);
        // What does not fit a header buffer is cut short there, and will not parse.
        let wanted = (header_len + transport).min(self.header_pool.block_size());
        let Some(mut payload) = self.contiguous(packet, wanted) else {
            count(&mut self.stats.in_discards);
            return None;
        };
        let offered = self.offer_raw(arrival.netif, &head, &payload);
        if !payload.remove_header(header_len) {
            count(&mut self.stats.in_header_errors); // it was contiguous: not reached
            return None;
        }
        // Fragments were not verified by the device (nor sent over loopback): the whole is.
        let verified = match head.protocol {
            Protocol::TCP => arrival.verified.tcp,
            Protocol::UDP => arrival.verified.udp,
            Protocol::ICMP => arrival.verified.icmpv4,
            _ => false,
        };
        let verified = verified && head.place.is_none();
        let received = Received {
            netif: arrival.netif,
            src: head.src,
            dst: head.dst,
            to,
            tos: head.tos,
            ttl: head.ttl,
            checksum: match verified {
                true => ChecksumState::Verified,
                false => checksum,
            },
            header_len: head.header_len,
            payload,
        };
        match head.protocol {
            Protocol::TCP => {
                count(&mut self.stats.in_delivers);
                Some(Input::Tcp(received))
            }
            Protocol::UDP => {
                count(&mut self.stats.in_delivers);
                Some(Input::Udp(received))
            }
            Protocol::ICMP => {
                count(&mut self.stats.in_delivers);
                self.icmp_input(now, received)
            }
            #[cfg(feature = "igmp")]
            Protocol::IGMP => {
                count(&mut self.stats.in_delivers);
                self.igmp_input(now, arrival.link, head.ttl, &received);
                None
            }
            _ => {
                if offered == Offered::Wanted {
                    count(&mut self.stats.in_delivers);
                    return None;
                }
                // RFC 1122 §3.2.2.1.
                count(&mut self.stats.in_unknown_protocols);
                self.send_icmp_error(now, PROTOCOL_UNREACHABLE, received);
                None
            }
        }
    }

    /// `packet` with its first `n` bytes (or all) in one part; they are copied to a header buffer
    /// if they are not. `None` if none is free or `n` more than it holds.
    #[inline]
    pub(crate) fn contiguous(&mut self, packet: Pbuf, n: usize) -> Option<Pbuf> {
        if packet.first_len() >= n {
            return Some(packet);
        }
        self.gathered(packet, n)
    }

    #[cold]
    fn gathered(&mut self, mut packet: Pbuf, n: usize) -> Option<Pbuf> {
        let n = n.min(packet.tot_len());
        if packet.first_len() >= n {
            return Some(packet);
        }
        let spare = self.header_pool.block_size().checked_sub(n)?;
        let mut head = Pbuf::alloc(self.header_pool, HEADROOM.min(spare), n).ok()?;
        packet.copy_to(0, head.data_mut()?);
        packet.advance(n);
        if !packet.is_empty() {
            head.cat(packet);
        }
        Some(head)
    }
}

impl Head {
    fn of(packet: &Packet<'_>) -> Self {
        let ecn = match packet.ecn() {
            Ecn::NotEct => 0,
            Ecn::Ect1 => 1,
            Ecn::Ect0 => 2,
            Ecn::Ce => 3,
        };
        Self {
            src: packet.src(),
            dst: packet.dst(),
            protocol: packet.protocol(),
            tos: packet.dscp() << 2 | ecn,
            ttl: packet.ttl(),
            ident: packet.ident(),
            // At most 60.
            header_len: packet.header_len() as u8,
            payload_len: packet.payload_len(),
            place: packet.is_fragment().then(|| Place {
                offset: packet.fragment_offset(),
                more: packet.more_fragments(),
            }),
        }
    }
}

/// The first byte, in whatever part it is.
fn first_byte(packet: &Pbuf) -> Option<u8> {
    packet.parts().find_map(|part| part.first().copied())
}

/// How many bytes of a transport's packet have to be contiguous, judged by its first ones.
pub(super) fn transport_header(protocol: Protocol, first: &[u8]) -> usize {
    match protocol {
        // The data offset, in words.
        Protocol::TCP => first
            .get(12)
            .map_or(60, |b| usize::from(b >> 4) * 4)
            .max(20),
        Protocol::UDP => 8,
        // An error with the header it quotes and eight bytes behind that.
        Protocol::ICMP => 8 + 60 + 8,
        Protocol::IGMP => igmp::QUERY_LEN,
        _ => 0,
    }
}
