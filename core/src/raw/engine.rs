//! All raw endpoints and what waits for them; what their owners have to be told.
use core::net::Ipv4Addr;

use crate::error::Error;
use crate::handle::{Owner, RawPcb};
use crate::icmp_report::{IcmpReport, Reports};
use crate::ip::NetifId;
use crate::ip::stats::count;
use crate::pbuf::Pbuf;
use crate::queue::{Entry, Queue};
use crate::table::{Slot, Table};
use crate::wire::ipv4::Protocol;

use super::stats::RawStats;
use super::{Options, Packet};

/// Storage of one endpoint.
pub type RawSlot = Slot<Pcb>;

/// Storage of one received packet that waits for its endpoint.
#[derive(Debug, Default)]
pub struct PacketSlot(Option<Waiting>);

impl PacketSlot {
    /// An empty slot.
    pub const fn new() -> Self {
        Self(None)
    }
}

impl Entry for PacketSlot {
    type Item = Waiting;

    fn place(&mut self) -> &mut Option<Waiting> {
        &mut self.0
    }
}

/// Raw IP's share of a stack's storage; by default, nothing.
#[derive(Debug, Default)]
pub struct RawStorage {
    /// One for each endpoint.
    pub pcbs: &'static mut [RawSlot],
    /// Received packets that were not delivered yet. They are delivered within the turn that
    /// received them: 16 for each endpoint are plenty.
    pub packets: &'static mut [PacketSlot],
}

/// One endpoint.
#[expect(unnameable_types, reason = "users name its slot")]
#[derive(Debug)]
pub struct Pcb {
    pub(super) owner: Owner,
    pub(super) arg: usize,
    pub(super) protocol: Protocol,
    /// Unspecified: all addresses.
    pub(super) local: Ipv4Addr,
    /// The connected peer.
    pub(super) remote: Option<Ipv4Addr>,
    pub(super) options: Options,
    /// Packets in the queue.
    queued: usize,
}

/// A packet and the endpoint it is for.
#[derive(Debug)]
pub(crate) struct Waiting {
    /// Number of the endpoint; its packets are removed before the number is given away again.
    pub(super) endpoint: u16,
    pub(super) netif: NetifId,
    pub(super) tos: u8,
    pub(super) ttl: u8,
    pub(super) from: Ipv4Addr,
    pub(super) to: Ipv4Addr,
    pub(super) data: Pbuf,
}

/// Raw IP of one stack.
#[derive(Debug)]
pub(crate) struct Engine {
    pub(super) pcbs: Table<Pcb>,
    queue: Queue<PacketSlot>,
    /// The most packets of one endpoint that may wait.
    share: usize,
    /// ICMP errors not yet told.
    pub(super) reports: Reports,
    pub(super) stats: RawStats,
}

impl Engine {
    pub(crate) fn new(storage: RawStorage) -> Self {
        let queue = Queue::new(storage.packets);
        let capacity = queue.capacity();
        Self {
            pcbs: Table::new(storage.pcbs),
            queue,
            // One endpoint never takes the whole table: a quarter is left to the others.
            share: capacity - capacity / 4,
            reports: Reports::NONE,
            stats: RawStats::default(),
        }
    }

    pub(crate) fn stats(&self) -> &RawStats {
        &self.stats
    }

    pub(super) fn create(&mut self, protocol: Protocol, owner: Owner) -> Result<RawPcb, Error> {
        let pcb = Pcb {
            owner,
            arg: 0,
            protocol,
            local: Ipv4Addr::UNSPECIFIED,
            remote: None,
            options: Options::DEFAULT,
            queued: 0,
        };
        self.pcbs.insert(pcb).map(RawPcb)
    }

    pub(super) fn close(&mut self, pcb: RawPcb) -> Result<(), Error> {
        self.pcbs.remove(pcb.0)?;
        self.queue.retain(|waiting| waiting.endpoint != pcb.0.slot);
        self.reports.forget(pcb.0.slot);
        Ok(())
    }

    pub(super) fn pcb(&self, pcb: RawPcb) -> Result<&Pcb, Error> {
        self.pcbs.of(pcb.0)
    }

    pub(super) fn pcb_mut(&mut self, pcb: RawPcb) -> Result<&mut Pcb, Error> {
        self.pcbs.of_mut(pcb.0)
    }

    /// Whether some endpoint wants what TCP or UDP get on the straight way.
    pub(crate) fn wants_transports(&self) -> bool {
        let wants = |pcb: &Pcb| matches!(pcb.protocol, Protocol::TCP | Protocol::UDP);
        self.pcbs.iter().any(wants)
    }

    /// Queues a packet, unless its endpoint has its share of the table waiting already.
    pub(super) fn enqueue(&mut self, waiting: Waiting) {
        let Some((_, pcb)) = self.pcbs.at_mut(waiting.endpoint) else {
            return; // the caller has just found it: not reached
        };
        if pcb.queued < self.share && self.queue.push(waiting).is_ok() {
            pcb.queued += 1;
            count(&mut self.stats.packets_received);
        } else {
            count(&mut self.stats.queue_full);
        }
    }

    /// Drops what waits for an endpoint and does not come from `peer`.
    pub(super) fn keep_only(&mut self, index: u16, peer: Ipv4Addr) {
        let mut left = 0;
        self.queue.retain(|waiting| {
            let own = waiting.endpoint == index;
            let keep = !own || waiting.from == peer;
            left += usize::from(own && keep);
            keep
        });
        if let Some((_, pcb)) = self.pcbs.at_mut(index) {
            pcb.queued = left;
        }
    }

    /// The next packet to deliver, in order of arrival.
    pub(crate) fn next_packet(&mut self) -> Option<(Owner, RawPcb, Packet)> {
        let waiting = self.queue.pop()?;
        // What waits for a closed endpoint was removed with it: this one exists.
        let (handle, pcb) = self.pcbs.at_mut(waiting.endpoint)?;
        pcb.queued = pcb.queued.saturating_sub(1);
        let packet = Packet {
            data: waiting.data,
            from: waiting.from.into(),
            to: waiting.to.into(),
            netif: waiting.netif,
            tos: waiting.tos,
            ttl: waiting.ttl,
        };
        Some((pcb.owner, RawPcb(handle), packet))
    }

    /// The next error to report.
    pub(crate) fn next_error(&mut self) -> Option<(Owner, RawPcb, IcmpReport)> {
        let (index, report) = self.reports.pop()?;
        // Those of a closed endpoint were forgotten with it: this one exists.
        let (handle, pcb) = self.pcbs.at_mut(index)?;
        Some((pcb.owner, RawPcb(handle), report))
    }
}
