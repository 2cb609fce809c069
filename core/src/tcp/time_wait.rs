//! TIME-WAIT: a closed connection in 80 bytes, so that its old segments find an answer
//! (RFC 9293 §3.6.1) without holding a control block. Records are found by the hash connections
//! are filed under; all wait equally long, so they stand in a queue: ten thousand cost as much as one.
use core::net::SocketAddrV4;

use crate::time::Instant;
use crate::wire::tcp::SeqNum;

use super::chains::{Chained, Chains};
use super::limit::Limiter;
use super::list::{FreeList, NONE};
use super::pcb::NO_ADDR;
use super::segment::Arrived;

/// Storage for one connection in TIME-WAIT.
#[derive(Clone, Copy, Debug)]
pub struct TimeWaitSlot {
    /// By the addresses; while the slot is free, the list of free ones.
    chain: Chained,
    /// The end of the wait.
    until: Instant,
    /// Who ends before and after it.
    before: u16,
    after: u16,
    remains: Remains,
    challenges: Limiter,
}

impl TimeWaitSlot {
    /// An unused slot.
    pub const fn new() -> Self {
        Self {
            chain: Chained::UNUSED,
            until: Instant::MAX,
            before: NONE,
            after: NONE,
            remains: Remains::NONE,
            challenges: Limiter::FULL,
        }
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
    /// Who ends first and last.
    first: u16,
    last: u16,
    len: u16,
}

impl TimeWaits {
    pub(crate) fn new(slots: &'static mut [TimeWaitSlot]) -> Self {
        Self {
            slots,
            free: FreeList::ALL,
            first: NONE,
            last: NONE,
            len: 0,
        }
    }

    /// Files a connection under the hash of its addresses; when all slots are taken, the one that
    /// ends first gives way.
    pub(crate) fn insert(&mut self, hash: u32, remains: Remains, until: Instant) {
        let index = match self.take() {
            Some(index) => index,
            None => {
                self.remove(self.first);
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
        self.queue(index, until);
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
        self.unqueue(index);
        self.free
            .give(self.slots, index, |slot| slot.chain.link_mut());
        self.len -= 1;
    }

    /// Record `index` ends last, at `until`; not before the one ahead of it, if the wait should have
    /// become shorter meanwhile.
    fn queue(&mut self, index: u16, until: Instant) {
        let before = core::mem::replace(&mut self.last, index);
        let until = match self.slots.get_mut(usize::from(before)) {
            Some(ahead) => {
                ahead.after = index;
                until.max(ahead.until)
            }
            None => {
                self.first = index;
                until
            }
        };
        if let Some(slot) = self.slots.get_mut(usize::from(index)) {
            (slot.until, slot.before, slot.after) = (until, before, NONE);
        }
    }

    fn unqueue(&mut self, index: u16) {
        let Some(slot) = self.slots.get(usize::from(index)) else {
            return;
        };
        let (before, after) = (slot.before, slot.after);
        match self.slots.get_mut(usize::from(before)) {
            Some(ahead) => ahead.after = after,
            None => self.first = after,
        }
        match self.slots.get_mut(usize::from(after)) {
            Some(behind) => behind.before = before,
            None => self.last = before,
        }
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
            self.unqueue(index);
            self.queue(index, now + restart);
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
        while self.next_deadline() <= now {
            self.remove(self.first);
        }
    }

    pub(crate) fn next_deadline(&self) -> Instant {
        self.slots
            .get(usize::from(self.first))
            .map_or(Instant::MAX, |slot| slot.until)
    }

    /// Connections in TIME-WAIT.
    pub(crate) fn len(&self) -> usize {
        self.len.into()
    }
}

#[cfg(test)]
mod tests {
    use core::net::Ipv4Addr;

    use super::*;

    fn remains(n: u16) -> Remains {
        Remains {
            local: SocketAddrV4::new(Ipv4Addr::LOCALHOST, n),
            ..Remains::NONE
        }
    }

    fn waits(of: &TimeWaits, n: u16) -> bool {
        let Remains { local, remote, .. } = remains(n);
        of.contains(n.into(), local, remote)
    }

    fn at(seconds: u64) -> Instant {
        Instant::from_millis(1_000 * seconds)
    }

    #[test]
    fn they_end_in_the_order_of_the_queue_wherever_one_leaves_it() {
        // Who leaves and comes again, with whom it ends then, and when the first of the others does.
        for (leaves, with, first) in [(0, 3, at(2)), (1, 3, at(1)), (3, 2, at(1))] {
            let slots: Vec<_> = (0..4).map(|_| TimeWaitSlot::new()).collect();
            let mut all = TimeWaits::new(slots.leak());
            for n in 0..4 {
                all.insert(n.into(), remains(n), at(u64::from(n) + 1));
            }
            all.remove(leaves);
            assert_eq!((all.next_deadline(), all.len()), (first, 3));
            // Its wait would be shorter than that of those ahead.
            all.insert(leaves.into(), remains(leaves), at(2));
            for n in 0..4 {
                all.expire(at(u64::from(n) + 1));
                let lasts = |other| n < if other == leaves { with } else { other };
                assert!((0..4).all(|other| waits(&all, other) == lasts(other)));
            }
            assert_eq!((all.next_deadline(), all.len()), (Instant::MAX, 0));
        }
    }

    #[test]
    fn the_oldest_gives_way_and_of_none_none() {
        let slots: Vec<_> = (0..2).map(|_| TimeWaitSlot::new()).collect();
        let mut all = TimeWaits::new(slots.leak());
        for n in 0..5 {
            all.insert(n.into(), remains(n), at(u64::from(n)));
            assert!((0..5).all(|other| waits(&all, other) == (other <= n && other + 2 > n)));
        }
        let mut none = TimeWaits::new(&mut []);
        none.insert(1, remains(1), at(1));
        assert_eq!((none.next_deadline(), none.len()), (Instant::MAX, 0));
    }
}
