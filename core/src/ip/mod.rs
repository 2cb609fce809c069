//! IPv4 (RFC 791, RFC 1122 §3): what transports use of it, and its state. A host, not a router:
//! nothing is forwarded.
//!
//! `input` checks what arrives, `reassembly` puts fragments together, `icmp` and `icmp_error`
//! answer; `route` chooses ways out, `head` makes the headers for them, `output` and
//! `fragment` send. Frames and neighbours are in
//! [`netif`](crate::netif), the public calls on interfaces and routes in `calls`.
mod calls;
mod fragment;
mod head;
mod icmp;
mod icmp_error;
#[cfg(feature = "igmp")]
mod igmp;
#[cfg(not(feature = "igmp"))]
#[path = "igmp_none.rs"]
mod igmp;
mod input;
mod limit;
mod mtu_discovery;
mod observe;
pub(crate) mod output;
mod reassembly;
mod route;
pub(crate) mod stats;
mod straight;
mod subnet;
mod via;

use core::net::{Ipv4Addr, SocketAddrV4};

use crate::config::IpConfig;
use crate::netif::loopback::Loopback;
use crate::netif::neighbor::Neighbors;
use crate::netif::{LoopbackSlot, NeighborSlot, NetifSlot, Netifs, PendingSlot};
use crate::packet::PacketStorage;
use crate::pbuf::{NoBufs, Pbuf, Pool};
use crate::random::{Entropy, Keyed};
use crate::raw::RawStorage;
use crate::time::Instant;
use crate::wire::ipv4::Protocol;
use crate::wire::tcp::SeqNum;

pub use crate::netif::NetifId;
pub use igmp::GroupSlot;
#[cfg(feature = "igmp")]
pub use igmp::IgmpStats;
pub use mtu_discovery::MtuDiscovery;
pub use reassembly::ReassemblySlot;
pub use route::RouteSlot;
pub use stats::{ArpStats, IcmpStats, IpStats};
pub use subnet::Subnet;
pub use via::Via;

pub(crate) use head::{HEADROOM, Head};
pub(crate) use igmp::Groups;
#[cfg(feature = "igmp")]
pub(crate) use igmp::{Member, Querier};
pub(crate) use observe::Offered;
pub(crate) use route::{OwnCopy, Route};
pub(crate) use straight::Straight;

use limit::Bucket;
use output::Idents;
use reassembly::Reassembly;
use stats::count;

/// RFC 1112 §4: the group every host that knows multicast is in.
pub(crate) const ALL_HOSTS: Ipv4Addr = Ipv4Addr::new(224, 0, 0, 1);

/// IP's share of a stack's storage.
#[derive(Debug)]
pub struct IpStorage {
    /// One for each interface, at most 255; loopback needs none.
    pub netifs: &'static mut [NetifSlot],
    /// Neighbours whose hardware address is known or asked for (`ARP_TABLE_SIZE`): the gateway
    /// and as many hosts of the own networks as are talked to at the same time.
    pub neighbors: &'static mut [NeighborSlot],
    /// Packets that wait for neighbours, of all neighbours together.
    pub pending: &'static mut [PendingSlot],
    /// Routes that are not those to the interfaces' own networks; a default gateway is one.
    pub routes: &'static mut [RouteSlot],
    /// Packets being put together from fragments (`MEMP_NUM_REASSDATA`).
    pub reassembly: &'static mut [ReassemblySlot],
    /// Packets from this host to itself that wait to be received (`LWIP_LOOPBACK_MAX_PBUFS`).
    pub loopback: &'static mut [LoopbackSlot],
    /// Multicast groups joined, one for each on each interface (`MEMP_NUM_IGMP_GROUP`).
    pub groups: &'static mut [GroupSlot],
}

/// Whether routers, and IP here, may fragment a packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fragmentation {
    /// Longer than the MTU: in pieces.
    Allowed,
    /// DF is set; longer than the MTU is an error.
    Forbidden,
}

/// What IP needs to know of a packet to send.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Outgoing {
    pub(crate) src: Ipv4Addr,
    pub(crate) dst: Ipv4Addr,
    pub(crate) protocol: Protocol,
    pub(crate) ttl: u8,
    /// Differentiated services and ECN, as on the wire.
    pub(crate) tos: u8,
    pub(crate) fragmentation: Fragmentation,
}

/// To whom a packet was addressed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Destination {
    /// To this host.
    Unicast,
    /// To all hosts of a network.
    Broadcast,
    /// To a group.
    Multicast,
}

/// Whether the transport's checksum has been verified.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ChecksumState {
    /// Not yet.
    ToVerify,
    /// By the device, or there was no wire.
    Verified,
}

/// A packet for a transport.
#[derive(Debug)]
pub(crate) struct Received {
    pub(crate) netif: NetifId,
    pub(crate) src: Ipv4Addr,
    pub(crate) dst: Ipv4Addr,
    pub(crate) to: Destination,
    /// Differentiated services and ECN, as on the wire.
    pub(crate) tos: u8,
    /// Hops it might still have taken.
    pub(crate) ttl: u8,
    pub(crate) checksum: ChecksumState,
    /// Length of the IP header, which is still there in front of `payload`: as long as nobody has
    /// used that headroom, [`Ip::send_icmp_error`] can quote it.
    pub(crate) header_len: u8,
    /// The transport's header, contiguous, and what follows it.
    pub(crate) payload: Pbuf,
}

impl Received {
    pub(crate) fn envelope(&self) -> Envelope {
        Envelope {
            src: self.src,
            dst: self.dst,
            tos: self.tos,
            checksum: self.checksum,
            start: 0,
        }
    }
}

/// What headers in front of a transport's packet say about it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Envelope {
    pub(crate) src: Ipv4Addr,
    pub(crate) dst: Ipv4Addr,
    pub(crate) tos: u8,
    pub(crate) checksum: ChecksumState,
    /// Bytes of them that are there still.
    pub(crate) start: u8,
}

/// What a router or host reported.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum IcmpErrorKind {
    PortUnreachable,
    ProtocolUnreachable,
    /// Host or network.
    Unreachable,
    /// The packet was longer than the MTU of a link on the way: `mtu` bytes, header included, at
    /// least 68 and less than the packet.
    FragmentationNeeded {
        mtu: u16,
    },
    TimeExceeded,
    ParameterProblem,
}

/// An ICMP error about a packet with these addresses, which this host may have sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct IcmpError {
    pub(crate) kind: IcmpErrorKind,
    pub(crate) local: SocketAddrV4,
    pub(crate) remote: SocketAddrV4,
    /// Who reported it, with the message's type and code.
    pub(crate) offender: Ipv4Addr,
    pub(crate) icmp_type: u8,
    pub(crate) code: u8,
    /// The sequence number of a TCP segment.
    pub(crate) quoted_seq: Option<SeqNum>,
}

/// What a frame brought for a transport.
#[derive(Debug)]
pub(crate) enum Input {
    Tcp(Received),
    Udp(Received),
    TcpError(IcmpError),
    UdpError(IcmpError),
}

/// IP of one stack, with its interfaces.
#[derive(Debug)]
pub(crate) struct Ip {
    pub(crate) header_pool: &'static Pool,
    ttl: u8,
    #[cfg(feature = "raw")]
    pub(crate) raw: crate::raw::Engine,
    #[cfg(feature = "packet")]
    pub(crate) packet: crate::packet::Engine,
    /// Somebody looks on: no packet takes the straight ways.
    observed: bool,
    pub(crate) netifs: Netifs,
    pub(crate) neighbors: Neighbors,
    pub(crate) routes: route::Routes,
    /// The way last found.
    last_way: route::LastWay,
    /// The headers last made.
    last_head: Option<output::LastHead>,
    /// Counts the changes of ways.
    ways_generation: u32,
    /// When [`Ip::generation`] changes although nothing has.
    renewal: Instant,
    familiar: straight::Familiar,
    loopback: Loopback,
    /// Multicast groups joined.
    pub(crate) groups: Groups,
    reassembly: Reassembly,
    idents: Idents,
    error_bucket: Bucket,
    echo_bucket: Bucket,
    /// What an error costs of its bucket.
    error_cost: Keyed,
    stats: IpStats,
    icmp_stats: IcmpStats,
    pub(crate) arp_stats: ArpStats,
}

impl Ip {
    pub(crate) fn new(
        storage: IpStorage,
        header_pool: &'static Pool,
        config: IpConfig,
        entropy: Entropy<'_>,
    ) -> Self {
        let idents = Idents::new(entropy);
        let error_cost = Keyed::new(entropy);
        Self {
            header_pool,
            ttl: config.ttl,
            #[cfg(feature = "raw")]
            raw: crate::raw::Engine::new(crate::raw::RawStorage::default()),
            #[cfg(feature = "packet")]
            packet: crate::packet::Engine::new(crate::packet::PacketStorage::default()),
            observed: false,
            netifs: Netifs::new(storage.netifs),
            neighbors: Neighbors::new(
                storage.neighbors,
                storage.pending,
                config.neighbor_lifetime,
                config.neighbor_queue,
            ),
            routes: route::Routes::new(storage.routes),
            last_way: route::LastWay::default(),
            last_head: None,
            ways_generation: 0,
            renewal: Instant::ZERO,
            familiar: straight::Familiar::NONE,
            loopback: Loopback::new(storage.loopback),
            groups: Groups::new(storage.groups, error_cost.derive(b"igmp")),
            reassembly: Reassembly::new(
                storage.reassembly,
                config.reassembly_timeout,
                config.reassembly_max_bytes,
            ),
            idents,
            error_bucket: Bucket::new(config.icmp_errors_per_second),
            echo_bucket: Bucket::new(config.echo_replies_per_second),
            error_cost,
            stats: IpStats::default(),
            icmp_stats: IcmpStats::default(),
            arp_stats: ArpStats::default(),
        }
    }

    /// Gives storage to those who look on.
    pub(crate) fn with_observers(self, raw: RawStorage, packet: PacketStorage) -> Self {
        #[cfg(not(all(feature = "raw", feature = "packet")))]
        let _ = (&raw, &packet);
        Self {
            #[cfg(feature = "raw")]
            raw: crate::raw::Engine::new(raw),
            #[cfg(feature = "packet")]
            packet: crate::packet::Engine::new(packet),
            ..self
        }
    }

    /// Whether packets to `addr` are for this host alone.
    pub(crate) fn is_own(&self, addr: Ipv4Addr) -> bool {
        addr.is_loopback() || self.owner_of(addr).is_some()
    }

    /// The interface that has `addr`.
    fn owner_of(&self, addr: Ipv4Addr) -> Option<NetifId> {
        self.netifs
            .iter()
            .find(|(_, netif)| netif.subnet.is_some_and(|subnet| subnet.addr() == addr))
            .map(|(id, _)| id)
    }

    /// Whether `addr` means all hosts: 255.255.255.255, or those of a network of an interface.
    pub(crate) fn is_broadcast(&self, addr: Ipv4Addr) -> bool {
        addr.is_broadcast()
            || self
                .netifs
                .iter()
                .filter_map(|(_, netif)| netif.subnet)
                .any(|subnet| subnet.addr() != addr && subnet.is_broadcast(addr))
    }

    /// A buffer for a transport's header of `len` bytes, with room for those of IP and the link
    /// in front.
    pub(crate) fn transport_header(&self, len: usize) -> Result<Pbuf, NoBufs> {
        Pbuf::alloc(self.header_pool, HEADROOM, len)
    }

    /// Whether an interface would take a packet now.
    pub(crate) fn can_transmit(&mut self, netif: NetifId) -> bool {
        if netif == NetifId::LOOPBACK {
            return !self.loopback.is_full();
        }
        self.netifs
            .at_mut(netif)
            .is_some_and(|netif| netif.can_transmit())
    }

    /// The default time to live.
    pub(crate) fn ttl(&self) -> u8 {
        self.ttl
    }

    /// The next frame that an interface has received, or the next packet of this host to itself;
    /// and its length in bytes.
    #[inline]
    pub(crate) fn receive(&mut self, source: NetifId) -> Option<(Pbuf, usize)> {
        match self.netifs.at_mut(source) {
            Some(netif) => netif.receive(),
            None if source == NetifId::LOOPBACK => {
                let packet = self.loopback.pop()?;
                let len = packet.tot_len();
                Some((packet, len))
            }
            None => None, // it was removed
        }
    }

    /// Whether packets of this host wait for itself, of which no device will tell.
    pub(crate) fn has_input(&self) -> bool {
        !self.loopback.is_empty()
    }

    /// When [`Ip::expire`] has something to do; [`Instant::MAX`]: nothing waits.
    pub(crate) fn next_deadline(&self) -> Instant {
        self.neighbors
            .next_deadline()
            .min(self.groups.next_deadline())
            .min(self.reassembly.next_deadline().unwrap_or(Instant::MAX))
    }

    /// Once a turn: runs due timers.
    pub(crate) fn expire(&mut self, now: Instant) {
        self.neighbor_timers(now);
        self.igmp_expire(now);
        while let Some(first) = self.reassembly.expired(now) {
            count(&mut self.stats.reassembly_timeouts);
            if let Some(first) = first.into_received() {
                self.send_icmp_error(now, icmp_error::REASSEMBLY_TIMEOUT, first);
            }
        }
    }
}

#[cfg(test)]
mod tests;
