//! All of UDP's state: endpoints, how they are taken, found and freed, and what their owners have
//! to be told. What a call does is in `calls`, what a datagram does in `input`.
use core::net::{Ipv4Addr, SocketAddrV4};
use core::num::NonZeroU16;

use crate::config::UdpConfig;
use crate::error::Error;
use crate::handle::{Owner, RawHandle, UdpPcb, next_generation};
use crate::icmp_report::{IcmpReport, Reports};
use crate::ip::{Ip, NetifId};
use crate::random::{Entropy, Keyed};

use super::Options;
use super::membership::{MembershipSlot, Memberships};
use super::queue::{DatagramSlot, Queue, Waiting};
use super::stats::{UdpStats, count};
use super::template::Template;

/// Storage of one endpoint.
#[derive(Debug)]
pub struct UdpSlot {
    generation: NonZeroU16,
    used: bool,
    pcb: Pcb,
}

impl UdpSlot {
    /// An unused slot.
    pub const fn new() -> Self {
        Self {
            generation: NonZeroU16::MIN,
            used: false,
            pcb: Pcb::UNUSED,
        }
    }

    fn handle(&self, index: u16) -> UdpPcb {
        UdpPcb(RawHandle {
            slot: index,
            generation: self.generation,
        })
    }
}

impl Default for UdpSlot {
    fn default() -> Self {
        Self::new()
    }
}

/// UDP's share of a stack's storage.
#[derive(Debug)]
pub struct UdpStorage {
    /// One for each endpoint, at most 65,535.
    pub pcbs: &'static mut [UdpSlot],
    /// Received datagrams that have to wait for a moment: those to several endpoints (broadcasts,
    /// multicasts), and what arrives behind them. They are delivered within the turn that received
    /// them: twice the 32 frames of a turn is plenty. Without any, only datagrams to one endpoint
    /// are received.
    pub datagrams: &'static mut [DatagramSlot],
    /// Memberships in multicast groups, one for each endpoint in each group.
    pub memberships: &'static mut [MembershipSlot],
}

/// One endpoint.
#[derive(Debug)]
pub(super) struct Pcb {
    pub(super) owner: Owner,
    pub(super) arg: usize,
    /// Port 0: not bound. Unspecified address: all addresses.
    pub(super) local: SocketAddrV4,
    /// The connected peer.
    pub(super) remote: Option<SocketAddrV4>,
    pub(super) options: Options,
    /// Datagrams in the queue.
    pub(super) queued: u16,
}

impl Pcb {
    pub(super) const UNUSED: Self = Self {
        owner: Owner(0),
        arg: 0,
        local: SocketAddrV4::new(Ipv4Addr::UNSPECIFIED, 0),
        remote: None,
        options: Options::DEFAULT,
        queued: 0,
    };
}

/// A datagram on its way to its endpoint's owner.
#[derive(Debug)]
pub(crate) struct Delivery {
    pub(crate) owner: Owner,
    pub(crate) pcb: UdpPcb,
    /// Small, as this is moved: what the owner gets is made where it is handed over.
    pub(crate) datagram: Waiting,
}

/// Which endpoint matches a datagram best.
#[derive(Clone, Copy, Debug)]
pub(super) struct LastMatch {
    pub(super) from: SocketAddrV4,
    pub(super) to: SocketAddrV4,
    pub(super) endpoint: u16,
}

/// UDP of one stack.
#[derive(Debug)]
pub(crate) struct Engine {
    slots: &'static mut [UdpSlot],
    /// No slot from this one on was ever used.
    limit: usize,
    /// The last datagram's addresses, and the endpoint that matched best: often the next one's.
    /// To be forgotten ([`Engine::endpoints_changed`]) whenever addresses of endpoints change.
    pub(super) last_match: Option<LastMatch>,
    /// For datagrams like the last one sent. To be forgotten whenever addresses or options of
    /// endpoints change.
    pub(super) template: Option<Template>,
    queue: Queue,
    pub(super) memberships: Memberships,
    /// The most datagrams of one endpoint that may wait.
    share: usize,
    /// ICMP errors not yet told.
    pub(super) reports: Reports,
    /// Where ephemeral ports come from.
    pub(super) ports: Keyed,
    pub(super) stats: UdpStats,
}

impl Engine {
    pub(crate) fn new(storage: UdpStorage, config: UdpConfig, entropy: Entropy<'_>) -> Self {
        let capacity = storage.datagrams.len();
        Self {
            slots: storage.pcbs,
            limit: 0,
            last_match: None,
            template: None,
            queue: Queue::new(storage.datagrams),
            memberships: Memberships::new(storage.memberships),
            // One endpoint never takes the whole table: a quarter is left to the others.
            share: (capacity - capacity / 4).min(usize::from(config.max_queued)),
            reports: Reports::NONE,
            ports: Keyed::new(entropy),
            stats: UdpStats::default(),
        }
    }

    pub(crate) fn stats(&self) -> &UdpStats {
        &self.stats
    }

    pub(super) fn create(&mut self, owner: Owner) -> Result<UdpPcb, Error> {
        let (index, slot) = (0..=u16::MAX)
            .zip(self.slots.iter_mut())
            .find(|(_, slot)| !slot.used)
            .ok_or(Error::NoMemory)?;
        self.limit = self.limit.max(usize::from(index) + 1);
        slot.used = true;
        slot.pcb = Pcb {
            owner,
            ..Pcb::UNUSED
        };
        Ok(slot.handle(index))
    }

    pub(super) fn close(&mut self, ip: &mut Ip, pcb: UdpPcb) -> Result<(), Error> {
        self.pcb(pcb)?;
        let index = pcb.0.slot;
        self.leave_all(ip, index);
        self.endpoints_changed();
        self.queue.retain(|waiting| waiting.endpoint != index);
        self.reports.forget(index);
        if let Some(slot) = self.slots.get_mut(usize::from(index)) {
            slot.generation = next_generation(slot.generation);
            slot.used = false;
            slot.pcb = Pcb::UNUSED;
        }
        Ok(())
    }

    pub(super) fn pcb(&self, pcb: UdpPcb) -> Result<&Pcb, Error> {
        self.slots
            .get(usize::from(pcb.0.slot))
            .filter(|slot| slot.used && slot.generation == pcb.0.generation)
            .map(|slot| &slot.pcb)
            .ok_or(Error::Closed)
    }

    pub(super) fn pcb_mut(&mut self, pcb: UdpPcb) -> Result<&mut Pcb, Error> {
        self.slots
            .get_mut(usize::from(pcb.0.slot))
            .filter(|slot| slot.used && slot.generation == pcb.0.generation)
            .map(|slot| &mut slot.pcb)
            .ok_or(Error::Closed)
    }

    pub(super) fn at_mut(&mut self, index: u16) -> Option<&mut Pcb> {
        self.slots
            .get_mut(usize::from(index))
            .filter(|slot| slot.used)
            .map(|slot| &mut slot.pcb)
    }

    /// The interface is gone.
    pub(crate) fn forget_netif(&mut self, netif: NetifId) {
        self.forget_memberships(netif);
        for slot in &mut *self.slots {
            let options = &mut slot.pcb.options;
            options.multicast_interface.take_if(|of| *of == netif);
        }
    }

    /// The addresses of endpoints are not what they were.
    pub(super) fn endpoints_changed(&mut self) {
        self.last_match = None;
        self.template = None;
    }

    /// All endpoints, with their numbers.
    pub(super) fn pcbs(&self) -> impl Iterator<Item = (u16, &Pcb)> {
        (0..=u16::MAX)
            .zip(self.slots.iter().take(self.limit))
            .filter(|(_, slot)| slot.used)
            .map(|(index, slot)| (index, &slot.pcb))
    }

    /// Queues a datagram, unless its endpoint has its share of the table waiting already.
    pub(super) fn enqueue(&mut self, waiting: Waiting) {
        // The caller has just found it.
        let slot = self.slots.get_mut(usize::from(waiting.endpoint));
        if let Some(slot) = slot
            && usize::from(slot.pcb.queued) < self.share
            && self.queue.push(waiting).is_ok()
        {
            slot.pcb.queued += 1;
            count(&mut self.stats.datagrams_received);
        } else {
            count(&mut self.stats.queue_full);
        }
    }

    /// Drops what waits for an endpoint and does not come from `peer`.
    pub(super) fn keep_only(&mut self, index: u16, peer: SocketAddrV4) {
        let mut left = 0;
        self.queue.retain(|waiting| {
            let own = waiting.endpoint == index;
            let keep = !own || waiting.from == peer;
            left += u16::from(own && keep);
            keep
        });
        if let Some(pcb) = self.at_mut(index) {
            pcb.queued = left;
        }
    }

    /// The next datagram that waits, in order of arrival.
    pub(crate) fn next_delivery(&mut self) -> Option<Delivery> {
        let waiting = self.queue.pop()?;
        // What waits for a closed endpoint was removed with it: this one exists.
        let slot = self.slots.get_mut(usize::from(waiting.endpoint))?;
        slot.pcb.queued = slot.pcb.queued.saturating_sub(1);
        self.delivery(waiting)
    }

    /// A datagram for the owner of its endpoint.
    #[inline]
    pub(super) fn delivery(&self, datagram: Waiting) -> Option<Delivery> {
        let slot = self.slots.get(usize::from(datagram.endpoint))?;
        Some(Delivery {
            owner: slot.pcb.owner,
            pcb: slot.handle(datagram.endpoint),
            datagram,
        })
    }

    /// Whether some datagram waits.
    pub(super) fn has_waiting(&self) -> bool {
        !self.queue.is_empty()
    }

    /// The next error to report.
    #[inline]
    pub(crate) fn next_error(&mut self) -> Option<(Owner, UdpPcb, IcmpReport)> {
        let (index, report) = self.reports.pop()?;
        // Those of a closed endpoint were forgotten with it: this one exists.
        let slot = self.slots.get(usize::from(index))?;
        Some((slot.pcb.owner, slot.handle(index), report))
    }
}
