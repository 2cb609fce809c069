//! Finding the control block of a segment: a hash table whose chains run through the blocks, so
//! that a thousand connections cost as much as one.
use core::net::SocketAddrV4;

use super::engine::PcbSlot;
use super::list::NONE;

/// One chain of the table; storage is declared with the stack's resources.
#[derive(Clone, Copy, Debug)]
pub struct Bucket(u16);

impl Bucket {
    /// An empty chain.
    pub const fn new() -> Self {
        Self(NONE)
    }
}

impl Default for Bucket {
    fn default() -> Self {
        Self::new()
    }
}

#[derive(Debug)]
pub(crate) struct Demux {
    buckets: &'static mut [Bucket],
    /// What was found last: segments come in trains.
    last: u16,
}

impl Demux {
    pub(crate) fn new(buckets: &'static mut [Bucket]) -> Self {
        Self {
            buckets,
            last: NONE,
        }
    }

    fn bucket(&mut self, hash: u32) -> Option<&mut Bucket> {
        let n = self.buckets.len();
        // The remainder of a non-zero length is an index; without buckets there is none.
        self.buckets.get_mut((hash as usize).checked_rem(n)?)
    }

    /// Files slot `index` under `hash`.
    pub(crate) fn insert(&mut self, slots: &mut [PcbSlot], index: u16, hash: u32) {
        let Some(bucket) = self.bucket(hash) else {
            return;
        };
        let Some(slot) = slots.get_mut(usize::from(index)) else {
            return;
        };
        slot.hash_next = core::mem::replace(&mut bucket.0, index);
        slot.filed = Some(hash);
    }

    /// Takes slot `index` out, if it is in.
    pub(crate) fn remove(&mut self, slots: &mut [PcbSlot], index: u16) {
        let Some(slot) = slots.get_mut(usize::from(index)) else {
            return;
        };
        let Some(hash) = slot.filed.take() else {
            return;
        };
        let next = core::mem::replace(&mut slot.hash_next, NONE);
        let Some(bucket) = self.bucket(hash) else {
            return;
        };
        if bucket.0 == index {
            bucket.0 = next;
            return;
        }
        let mut at = bucket.0;
        while let Some(slot) = slots.get_mut(usize::from(at)) {
            if slot.hash_next == index {
                slot.hash_next = next;
                return;
            }
            at = slot.hash_next;
        }
    }

    /// Whether slot `index` is found under the hash it is filed under.
    #[cfg(feature = "invariants")]
    pub(crate) fn finds(&self, slots: &[PcbSlot], index: usize) -> bool {
        let Some(hash) = slots.get(index).and_then(|slot| slot.filed) else {
            return false;
        };
        let n = (hash as usize).checked_rem(self.buckets.len());
        let bucket = n.and_then(|n| self.buckets.get(n));
        let mut at = bucket.map_or(NONE, |bucket| bucket.0);
        // A chain is not longer than there are slots, unless it is a circle.
        for _ in slots {
            match slots.get(usize::from(at)) {
                Some(_) if usize::from(at) == index => return true,
                Some(slot) => at = slot.hash_next,
                None => return false,
            }
        }
        false
    }

    /// The slot of the connection between `local` and `remote`, if it is the one found last.
    pub(crate) fn find_again(
        &self,
        slots: &[PcbSlot],
        local: SocketAddrV4,
        remote: SocketAddrV4,
    ) -> Option<u16> {
        let slot = slots.get(usize::from(self.last))?;
        let same = slot.pcb.remote == remote && slot.pcb.local == local && slot.filed.is_some();
        same.then_some(self.last)
    }

    /// The slot of the connection between `local` and `remote`.
    pub(crate) fn find(
        &mut self,
        slots: &[PcbSlot],
        hash: u32,
        local: SocketAddrV4,
        remote: SocketAddrV4,
    ) -> Option<u16> {
        let mut at = self.bucket(hash)?.0;
        while let Some(slot) = slots.get(usize::from(at)) {
            if slot.pcb.local == local && slot.pcb.remote == remote {
                self.last = at;
                return Some(at);
            }
            at = slot.hash_next;
        }
        None
    }
}
