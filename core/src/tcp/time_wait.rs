//! TIME-WAIT: a closed connection in 80 bytes, so that its old segments find an answer
//! (RFC 9293 §3.6.1) without holding a control block. Records are found by the hash connections
//! are filed under, and end in the order of a heap: ten thousand cost hardly more than one.
use core::net::SocketAddrV4;

use crate::time::Instant;
use crate::wire::tcp::SeqNum;

use super::chains::{Chained, Chains};
use super::due::{DueHeap, Place, Timed};
use super::limit::Limiter;
use super::list::FreeList;
use super::pcb::NO_ADDR;
use super::segment::Arrived;

/// Storage for one connection in TIME-WAIT.
#[derive(Clone, Copy, Debug)]
pub struct TimeWaitSlot {
    /// By the addresses; while the slot is free, the list of free ones.
    chain: Chained,
    due: Place,
    remains: Remains,
    challenges: Limiter,
}

impl TimeWaitSlot {
    /// An unused slot.
    pub const fn new() -> Self {
        Self {
            chain: Chained::UNUSED,
            due: Place::UNUSED,
            remains: Remains::NONE,
            challenges: Limiter::FULL,
        }
    }
}

impl Timed for TimeWaitSlot {
    fn place(&self) -> &Place {
        &self.due
    }

    fn place_mut(&mut self) -> &mut Place {
        &mut self.due
    }
}

const BY_PAIR: Chains<TimeWaitSlot> = Chains {
    part: |slot| &slot.chain,
    part_mut: |slot| &mut slot.chain,
};

impl Default for TimeWaitSlot {
    fn default() -> Self {
        Self::new()
    }
}

/// What is remembered of a connection.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Remains {
    pub(crate) local: SocketAddrV4,
    pub(crate) remote: SocketAddrV4,
    pub(crate) snd_nxt: SeqNum,
    pub(crate) rcv_nxt: SeqNum,
    /// The window last advertised, as on the wire.
    pub(crate) window: u16,
    /// The peer's last timestamp, if timestamps were in use.
    pub(crate) ts_recent: Option<u32>,
    pub(crate) ts_offset: u32,
}

impl Remains {
    const NONE: Self = Self {
        local: NO_ADDR,
        remote: NO_ADDR,
        snd_nxt: SeqNum(0),
        rcv_nxt: SeqNum(0),
        window: 0,
        ts_recent: None,
        ts_offset: 0,
    };
}

/// What to do with a segment for a connection in TIME-WAIT.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Reply {
    Ignore,
    Ack(Remains),
    /// RFC 6191: a new connection may take the place; its initial number has to lie beyond.
    Reuse {
        beyond: SeqNum,
    },
}

#[derive(Debug)]
pub(crate) struct TimeWaits {
    slots: &'static mut [TimeWaitSlot],
    free: FreeList,
    due: DueHeap,
    len: u16,
}

impl TimeWaits {
    pub(crate) fn new(slots: &'static mut [TimeWaitSlot]) -> Self {
        Self {
            slots,
            free: FreeList::ALL,
            due: DueHeap::EMPTY,
            len: 0,
        }
    }

    /// Files a connection under the hash of its addresses; when all slots are taken, the one that
    /// ends first gives way.
    pub(crate) fn insert(&mut self, hash: u32, remains: Remains, until: Instant) {
        let index = match self.take() {
            Some(index) => index,
            None => {
                self.remove(self.due.first(self.slots).1);
                let Some(index) = self.take() else { return };
                index
            }
        };
        let Some(slot) = self.slots.get_mut(usize::from(index)) else {
            return;
        };
        slot.remains = remains;
        slot.challenges = Limiter::FULL;
        BY_PAIR.insert(self.slots, index, hash);
        self.due.set(self.slots, index, until);
        self.len += 1;
    }

    fn take(&mut self) -> Option<u16> {
        self.free.take(self.slots, |slot| slot.chain.link_mut())
    }

    fn remove(&mut self, index: u16) {
        if self.slots.get(usize::from(index)).is_none() {
            return;
        }
        BY_PAIR.remove(self.slots, index);
        self.due.set(self.slots, index, Instant::MAX);
        self.free
            .give(self.slots, index, |slot| slot.chain.link_mut());
        self.len -= 1;
    }

    fn find(&self, hash: u32, local: SocketAddrV4, remote: SocketAddrV4) -> Option<u16> {
        let mut chain = BY_PAIR.walk(self.slots, hash);
        let found =
            chain.find(|(_, slot)| slot.remains.local == local && slot.remains.remote == remote)?;
        Some(found.0)
    }

    /// A segment arrived, whose addresses have this hash. `None`: its connection is not in
    /// TIME-WAIT.
    pub(crate) fn arrives(
        &mut self,
        hash: u32,
        segment: &Arrived,
        now: Instant,
        restart: core::time::Duration,
    ) -> Option<Reply> {
        let index = self.find(hash, segment.local, segment.remote)?;
        let slot = self.slots.get_mut(usize::from(index))?;
        let remains = slot.remains;
        // RFC 1337: a reset does not end TIME-WAIT.
        if segment.rst() {
            return Some(Reply::Ignore);
        }
        // RFC 6191 §2 and RFC 9293 §3.6.1 (MAY-2): a SYN that is provably not an old duplicate.
        let beyond = segment.seq.after(remains.rcv_nxt);
        let fresh = match (remains.ts_recent, segment.options.timestamps) {
            (Some(last), Some(new)) => {
                let (last, new) = (SeqNum(last), SeqNum(new.value));
                new.after(last) || (new == last && beyond)
            }
            // Timestamps are new: no segment of the old connection had them.
            (None, Some(_)) => true,
            (_, None) => beyond,
        };
        if segment.syn() && segment.ack.is_none() && fresh {
            self.remove(index);
            return Some(Reply::Reuse {
                beyond: remains.snd_nxt,
            });
        }
        // RFC 9293 §3.10.7.4: only the peer's FIN can arrive; it is acknowledged, and the wait
        // starts again.
        let fin = segment.fin() && segment.seq + segment.len + 1 == remains.rcv_nxt;
        if !fin && segment.seg_len() == 0 && segment.seq == remains.rcv_nxt {
            return Some(Reply::Ignore);
        }
        let answer = slot.challenges.allow(now, 10);
        if fin {
            self.due.set(self.slots, index, now + restart);
        }
        Some(if answer {
            Reply::Ack(remains)
        } else {
            Reply::Ignore
        })
    }

    /// Whether the pair, which has this hash, is in TIME-WAIT.
    pub(crate) fn contains(&self, hash: u32, local: SocketAddrV4, remote: SocketAddrV4) -> bool {
        self.find(hash, local, remote).is_some()
    }

    /// Frees what has waited long enough.
    pub(crate) fn expire(&mut self, now: Instant) {
        if self.due.earliest() <= now {
            self.remove_due(now);
        }
    }

    #[inline(never)]
    fn remove_due(&mut self, now: Instant) {
        while self.len > 0 && self.due.earliest() <= now {
            self.remove(self.due.first(self.slots).1);
        }
    }

    pub(crate) fn next_deadline(&self) -> Instant {
        self.due.earliest()
    }

    /// Connections in TIME-WAIT.
    pub(crate) fn len(&self) -> usize {
        self.len.into()
    }
}
