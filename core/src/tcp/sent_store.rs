//! Where the records of segments in flight are: in one store for all connections, in which each that
//! holds one is certain of it.
use crate::wire::tcp::SeqNum;

use super::list::NONE;
use super::scoreboard::{Record, Sent, Whereabouts};
use super::stamp::Stamp;

/// Storage for the record of one segment in flight.
#[derive(Debug)]
pub struct SentSlot {
    pub(super) next: u16,
    pub(super) record: Record,
}

impl SentSlot {
    /// An unused slot.
    pub const fn new() -> Self {
        Self {
            next: NONE,
            record: Record {
                end: SeqNum(0),
                at: Stamp::ZERO,
                is: Whereabouts::Flying,
                sent: Sent::Once,
                #[cfg(feature = "bbr")]
                snapshot: super::delivery_rate::Snapshot::NONE,
            },
        }
    }
}

impl Default for SentSlot {
    fn default() -> Self {
        Self::new()
    }
}

/// The records of all connections.
#[derive(Debug)]
pub(crate) struct SentStore {
    slots: &'static mut [SentSlot],
    /// First unused slot.
    free: u16,
    pub(super) free_count: usize,
    /// Connections that may come, and those that hold a record: each has one for certain.
    connections: usize,
    pub(super) holders: usize,
}

impl SentStore {
    pub(crate) fn new(slots: &'static mut [SentSlot], connections: usize) -> Self {
        // Slots are numbered with 16 bits.
        let count = slots.len().min(usize::from(NONE));
        let mut free = NONE;
        for (index, slot) in slots.iter_mut().enumerate().take(count).rev() {
            slot.next = free;
            free = u16::try_from(index).unwrap_or(NONE);
        }
        Self {
            slots,
            free,
            free_count: count,
            connections,
            holders: 0,
        }
    }

    /// Whether there is a record for every connection. If not, none keeps any.
    pub(crate) fn is_sufficient(&self) -> bool {
        self.slots.len() >= self.connections
    }

    pub(super) fn at(&self, index: u16) -> Option<&SentSlot> {
        self.slots.get(usize::from(index))
    }

    pub(super) fn at_mut(&mut self, index: u16) -> Option<&mut SentSlot> {
        self.slots.get_mut(usize::from(index))
    }

    /// Slots a connection that has records already may take.
    pub(crate) fn spare(&self) -> usize {
        let promised = self.connections.saturating_sub(self.holders);
        self.free_count.saturating_sub(promised)
    }

    /// Takes a free slot for `record`.
    pub(super) fn take(&mut self, record: Record) -> Option<u16> {
        let index = self.free;
        let slot = self.at_mut(index)?;
        let free = core::mem::replace(&mut slot.next, NONE);
        slot.record = record;
        self.free = free;
        self.free_count = self.free_count.saturating_sub(1);
        Some(index)
    }

    pub(super) fn give(&mut self, index: u16) {
        let free = self.free;
        if let Some(slot) = self.at_mut(index) {
            slot.next = free;
            self.free = index;
            self.free_count += 1;
        }
    }
}
