//! What happens to a received datagram, and to an ICMP error about one that was sent.
use core::net::SocketAddrV4;

use crate::icmp_report::HearsErrors;
use crate::ip::{
    ChecksumState, Destination, IcmpError, IcmpErrorKind, Ip, MtuDiscovery, NetifId, Received,
};
use crate::time::Instant;
use crate::wire::Checksum;
use crate::wire::ipv4::Protocol;
use crate::wire::udp;

use super::engine::{Delivery, Engine, LastMatch, Pcb};
use super::queue::Waiting;
use super::stats::count;

/// How well an endpoint matches a datagram; the better is greater.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Match {
    Wildcard,
    BoundToAddress,
    Connected,
    ConnectedAndBoundToAddress,
}

/// Who hears what is sent to many.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Audience {
    /// All that are bound to the port.
    All,
    /// Of those the ones that joined the group on this interface.
    Members(NetifId),
}

impl Engine {
    /// Takes a UDP packet from the IP layer.
    ///
    /// A unicast datagram goes to the endpoint that matches best: connected to the sender, else
    /// bound to the destination address, else bound to all. A broadcast goes to every endpoint that
    /// matches, a multicast to those of them that are in the group. What is not returned,
    /// to be delivered now, waits.
    #[inline]
    pub(crate) fn input(
        &mut self,
        ip: &mut Ip,
        now: Instant,
        mut received: Received,
    ) -> Option<Delivery> {
        let total = received.payload.tot_len();
        let (from, to, len, summed) = {
            let Ok(datagram) = udp::Datagram::parse(received.payload.data(), total) else {
                count(&mut self.stats.malformed);
                return None;
            };
            (
                SocketAddrV4::new(received.src, datagram.src_port()),
                SocketAddrV4::new(received.dst, datagram.dst_port()),
                datagram.len(),
                datagram.has_checksum(),
            )
        };
        // RFC 768: the length field counts; what follows is not part of the datagram.
        if len < total {
            received.payload.truncate(len);
        }
        // RFC 1122 §4.1.3.4: a wrong checksum is discarded silently; none at all is accepted.
        let verify = summed && received.checksum == ChecksumState::ToVerify;
        if verify && !checksum_is_valid(&received, len) {
            count(&mut self.stats.checksum_errors);
            return None;
        }
        match received.to {
            Destination::Unicast => match self.best_match(from, to) {
                Some(endpoint) => self.deliver(endpoint, received, from, to),
                None => {
                    count(&mut self.stats.no_ports);
                    // RFC 1122 §4.1.3.1: SHOULD send port unreachable.
                    ip.port_unreachable(now, received);
                    None
                }
            },
            // RFC 1122 §3.2.2: no ICMP error about a broadcast or multicast.
            Destination::Broadcast | Destination::Multicast => {
                self.receive_all(ip, received, from, to);
                None
            }
        }
    }

    /// Takes an ICMP error about a datagram sent from here. Only a connected endpoint learns of
    /// it: no other one knows who it is talking to, and anybody can forge the rest. Else one that
    /// asked for that ([`HearsErrors::OfAll`]).
    pub(crate) fn icmp_error(&mut self, error: &IcmpError) {
        // RFC 1122 §4.1.3.3: UDP MUST pass ICMP errors to the application layer.
        // About datagrams that are sent without DF no router has a reason to say this.
        let too_long = matches!(error.kind, IcmpErrorKind::FragmentationNeeded { .. });
        let concerns = |pcb: &Pcb| !too_long || pcb.options.mtu_discovery == MtuDiscovery::Discover;
        let find = |talks: &dyn Fn(&Pcb) -> bool| {
            self.pcbs()
                .filter(|(_, pcb)| talks(pcb) && concerns(pcb))
                .find(|(_, pcb)| pcb.local.port() == error.local.port() && pcb.is_at(error.local))
                .map(|(index, pcb)| (index, pcb.options.hears_errors))
        };
        let endpoint = find(&|pcb| pcb.remote == Some(error.remote)).or_else(|| {
            // Port 0: not bound, nothing was sent.
            let hears = |pcb: &Pcb| pcb.options.hears_errors == HearsErrors::OfAll;
            find(&|pcb| pcb.remote.is_none() && hears(pcb) && pcb.local.port() != 0)
        });
        if let Some((index, hears)) = endpoint {
            self.reports.push(index, hears, *error);
        }
    }

    #[inline]
    fn best_match(&mut self, from: SocketAddrV4, to: SocketAddrV4) -> Option<u16> {
        let last = self.last_match.as_ref();
        if let Some(last) = last.filter(|last| last.from == from && last.to == to) {
            return Some(last.endpoint);
        }
        let endpoint = self.find_best_match(from, to)?;
        self.last_match = Some(LastMatch { from, to, endpoint });
        Some(endpoint)
    }

    #[inline(never)]
    fn find_best_match(&self, from: SocketAddrV4, to: SocketAddrV4) -> Option<u16> {
        self.pcbs()
            .filter_map(|(index, pcb)| Some((pcb.matches(from, to)?, index)))
            // Of equals the first.
            .max_by(|(a, i), (b, j)| a.cmp(b).then(j.cmp(i)))
            .map(|(_, index)| index)
    }

    /// Gives a datagram to each endpoint that matches; all but the last get views of it.
    #[inline(never)]
    fn receive_all(&mut self, ip: &Ip, received: Received, from: SocketAddrV4, to: SocketAddrV4) {
        let netif = received.netif;
        let open = received.to == Destination::Broadcast || ip.groups.is_for_all(netif, *to.ip());
        let audience = match open {
            true => Audience::All,
            false => Audience::Members(netif),
        };
        let mut current = self.next_match(0, from, to, audience);
        if current.is_none() {
            count(&mut self.stats.no_ports);
        }
        while let Some(endpoint) = current {
            current = endpoint
                .checked_add(1)
                .and_then(|next| self.next_match(next, from, to, audience));
            if current.is_none() {
                self.enqueue(waiting(endpoint, received, from, to));
                return;
            }
            match received.payload.slice(0, received.payload.tot_len()) {
                Ok(payload) => {
                    let copy = Received {
                        payload,
                        ..received
                    };
                    self.enqueue(waiting(endpoint, copy, from, to));
                }
                Err(_) => count(&mut self.stats.no_buffers),
            }
        }
    }

    /// What can be delivered at once: nothing that came before it waits. Else it has to wait, too.
    #[inline]
    fn deliver(
        &mut self,
        endpoint: u16,
        received: Received,
        from: SocketAddrV4,
        to: SocketAddrV4,
    ) -> Option<Delivery> {
        let datagram = waiting(endpoint, received, from, to);
        if self.has_waiting() {
            self.enqueue(datagram);
            return None;
        }
        count(&mut self.stats.datagrams_received);
        self.delivery(datagram)
    }

    /// The first endpoint from number `first` on that matches.
    fn next_match(
        &self,
        first: u16,
        from: SocketAddrV4,
        to: SocketAddrV4,
        audience: Audience,
    ) -> Option<u16> {
        let hears = |index| match audience {
            Audience::All => true,
            Audience::Members(netif) => self.memberships.has(index, netif, *to.ip()),
        };
        self.pcbs()
            .skip_while(|(index, _)| *index < first)
            .find(|(index, pcb)| pcb.matches(from, to).is_some() && hears(*index))
            .map(|(index, _)| index)
    }
}

/// The datagram for one endpoint, without its header.
#[inline]
fn waiting(endpoint: u16, received: Received, from: SocketAddrV4, to: SocketAddrV4) -> Waiting {
    let mut data = received.payload;
    data.advance(udp::HEADER_LEN);
    Waiting {
        endpoint,
        netif: received.netif,
        tos: received.tos,
        ttl: received.ttl,
        from,
        to,
        data,
    }
}

impl Pcb {
    fn matches(&self, from: SocketAddrV4, to: SocketAddrV4) -> Option<Match> {
        if self.local.port() != to.port() || !self.is_at(to) {
            return None;
        }
        match (self.remote, self.local.ip().is_unspecified()) {
            (Some(remote), _) if remote != from => None,
            (Some(_), false) => Some(Match::ConnectedAndBoundToAddress),
            (Some(_), true) => Some(Match::Connected),
            (None, false) => Some(Match::BoundToAddress),
            (None, true) => Some(Match::Wildcard),
        }
    }

    /// Whether the endpoint is bound to the address of `local`, or to all.
    fn is_at(&self, local: SocketAddrV4) -> bool {
        self.local.ip().is_unspecified() || self.local.ip() == local.ip()
    }
}

fn checksum_is_valid(received: &Received, len: usize) -> bool {
    let mut sum = Checksum::new();
    // The length is that of the header: 16 bits.
    let len = u16::try_from(len).unwrap_or(u16::MAX);
    sum.pseudo_header(received.src, received.dst, Protocol::UDP, len);
    // The first by itself: nearly always there is no other.
    let mut parts = received.payload.parts();
    sum.add(parts.next().unwrap_or_default());
    for part in parts {
        sum.add(part);
    }
    sum.is_valid()
}
