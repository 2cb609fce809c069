//! All of UDP's state: endpoints, how they are taken, found and freed, and what their owners have
//! to be told. What a call does is in `calls`, what a datagram does in `input`.
use core::net::{Ipv4Addr, SocketAddrV4};
use core::num::NonZeroU16;

use crate::config::UdpConfig;
use crate::error::Error;
use crate::handle::{Owner, RawHandle, UdpPcb, next_generation};
use crate::random::{Entropy, Keyed};

use super::queue::{DatagramSlot, Queue, Waiting};
use super::stats::{UdpStats, count};
use super::{Options, UdpEvent};

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
    /// Received datagrams that were not delivered yet. They are delivered within the turn that
    /// received them: twice the 32 frames of a turn is plenty. Without any, nothing is received.
    pub datagrams: &'static mut [DatagramSlot],
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
    /// An ICMP error not yet reported.
    pub(super) error: Option<Error>,
}

impl Pcb {
    pub(super) const UNUSED: Self = Self {
        owner: Owner(0),
        arg: 0,
        local: SocketAddrV4::new(Ipv4Addr::UNSPECIFIED, 0),
        remote: None,
        options: Options::DEFAULT,
        queued: 0,
        error: None,
    };
}

/// UDP of one stack.
#[derive(Debug)]
pub(crate) struct Engine {
    slots: &'static mut [UdpSlot],
    queue: Queue,
    /// Some endpoint may have an error to report.
    errors: bool,
    /// Where ephemeral ports come from.
    pub(super) ports: Keyed,
    config: UdpConfig,
    pub(super) stats: UdpStats,
}

impl Engine {
    pub(crate) fn new(storage: UdpStorage, config: UdpConfig, entropy: Entropy<'_>) -> Self {
        Self {
            slots: storage.pcbs,
            queue: Queue::new(storage.datagrams),
            errors: false,
            ports: Keyed::new(entropy),
            config,
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
        slot.used = true;
        slot.pcb = Pcb {
            owner,
            ..Pcb::UNUSED
        };
        Ok(slot.handle(index))
    }

    pub(super) fn close(&mut self, pcb: UdpPcb) -> Result<(), Error> {
        self.pcb(pcb)?;
        let index = pcb.0.slot;
        self.queue.retain(|waiting| waiting.endpoint != index);
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

    /// All endpoints, with their numbers.
    pub(super) fn pcbs(&self) -> impl Iterator<Item = (u16, &Pcb)> {
        (0..=u16::MAX)
            .zip(self.slots.iter())
            .filter(|(_, slot)| slot.used)
            .map(|(index, slot)| (index, &slot.pcb))
    }

    /// Queues a datagram, unless its endpoint has its share of the table waiting already.
    pub(super) fn enqueue(&mut self, waiting: Waiting) {
        // One endpoint never takes the whole table: a quarter is left to the others.
        let capacity = self.queue.capacity();
        let share = (capacity - capacity / 4).min(usize::from(self.config.max_queued));
        let index = waiting.endpoint;
        let queued = self.at_mut(index).map_or(u16::MAX, |pcb| pcb.queued);
        if usize::from(queued) >= share || self.queue.push(waiting).is_err() {
            count(&mut self.stats.queue_full);
            return;
        }
        count(&mut self.stats.datagrams_received);
        if let Some(pcb) = self.at_mut(index) {
            pcb.queued += 1;
        }
    }

    /// Drops what waits for an endpoint and does not come from `peer`.
    pub(super) fn keep_only(&mut self, index: u16, peer: SocketAddrV4) {
        let mut left = 0;
        self.queue.retain(|waiting| {
            let own = waiting.endpoint == index;
            let keep = !own || waiting.datagram.from == peer.into();
            left += u16::from(own && keep);
            keep
        });
        if let Some(pcb) = self.at_mut(index) {
            pcb.queued = left;
        }
    }

    /// Remembers an error to report.
    pub(super) fn raise(&mut self, index: u16, error: Error) {
        if let Some(pcb) = self.at_mut(index) {
            pcb.error = Some(error);
            self.errors = true;
        }
    }

    /// The next thing to tell an application: datagrams in order of arrival, then errors.
    pub(crate) fn next_event(&mut self) -> Option<(Owner, UdpEvent)> {
        while let Some(Waiting { endpoint, datagram }) = self.queue.pop() {
            // What waits for a closed endpoint was removed with it: this one exists.
            let Some(slot) = self.slots.get_mut(usize::from(endpoint)) else {
                continue;
            };
            slot.pcb.queued = slot.pcb.queued.saturating_sub(1);
            let (owner, pcb) = (slot.pcb.owner, slot.handle(endpoint));
            return Some((owner, UdpEvent::Recv { pcb, datagram }));
        }
        if !self.errors {
            return None;
        }
        for (index, slot) in (0..=u16::MAX).zip(self.slots.iter_mut()) {
            if let Some(error) = slot.pcb.error.take() {
                let pcb = slot.handle(index);
                return Some((slot.pcb.owner, UdpEvent::Err { pcb, error }));
            }
        }
        self.errors = false;
        None
    }
}
