//! Finding the control block of a segment: a hash table whose chains run through the blocks, so
//! that a thousand connections cost as much as one.
use core::net::{Ipv4Addr, SocketAddrV4};

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

/// Between whom a segment is, in the words of the headers of what is received: quick to compare.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Pair {
    /// The remote one first.
    addresses: u64,
    ports: u32,
}

impl Pair {
    /// Of no segment: IP lets none pass from such an address.
    const NONE: Self = Self {
        addresses: 0,
        ports: 0,
    };

    /// Of a received segment, whose header starts with `ports`.
    #[inline]
    pub(crate) fn of_received(src: Ipv4Addr, dst: Ipv4Addr, ports: [u8; 4]) -> Self {
        let ([a, b, c, d], [e, f, g, h]) = (src.octets(), dst.octets());
        Self {
            addresses: u64::from_ne_bytes([a, b, c, d, e, f, g, h]),
            ports: u32::from_ne_bytes(ports),
        }
    }

    pub(crate) fn of(local: SocketAddrV4, remote: SocketAddrV4) -> Self {
        let ([a, b], [c, d]) = (remote.port().to_be_bytes(), local.port().to_be_bytes());
        Self::of_received(*remote.ip(), *local.ip(), [a, b, c, d])
    }

    /// Here and there.
    pub(crate) fn endpoints(self) -> (SocketAddrV4, SocketAddrV4) {
        let [a, b, c, d, e, f, g, h] = self.addresses.to_ne_bytes();
        let [i, j, k, l] = self.ports.to_ne_bytes();
        let remote = SocketAddrV4::new([a, b, c, d].into(), u16::from_be_bytes([i, j]));
        let local = SocketAddrV4::new([e, f, g, h].into(), u16::from_be_bytes([k, l]));
        (local, remote)
    }
}

#[derive(Debug)]
pub(crate) struct Demux {
    buckets: &'static mut [Bucket],
    /// What was found last, and is filed still: segments come in trains.
    last: u16,
    last_pair: Pair,
}

impl Demux {
    pub(crate) fn new(buckets: &'static mut [Bucket]) -> Self {
        Self {
            buckets,
            last: NONE,
            last_pair: Pair::NONE,
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
        // It is new: the next segment is its.
        (self.last, self.last_pair) = (index, Pair::of(slot.pcb.local, slot.pcb.remote));
    }

    /// Takes slot `index` out, if it is in.
    pub(crate) fn remove(&mut self, slots: &mut [PcbSlot], index: u16) {
        let Some(slot) = slots.get_mut(usize::from(index)) else {
            return;
        };
        let Some(hash) = slot.filed.take() else {
            return;
        };
        if self.last == index {
            (self.last, self.last_pair) = (NONE, Pair::NONE);
        }
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

    /// The slot of the connection of `pair`, if it is the one found last.
    #[inline]
    pub(crate) fn find_again(&self, pair: Pair) -> Option<u16> {
        (self.last_pair == pair).then_some(self.last)
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
                (self.last, self.last_pair) = (at, Pair::of(local, remote));
                return Some(at);
            }
            at = slot.hash_next;
        }
        None
    }
}
