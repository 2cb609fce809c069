//! What the sender knows about every segment in flight (RFC 2018 §5, RFC 6675 §3): one record for
//! each transmission, in order of sequence numbers, kept in the `sent_store`.
//!
//! Who is believed lost is decided in `rack`; here are only the records and their sums.
//!
//! Invariant: the records of a connection cover what is between its `start` and the end of the
//! last record without gaps or overlaps; `sacked` and `missing` are the bytes of the records in
//! that state, `sacked_segments` the number of the former, `repeated` that of records sent more
//! than once.
use crate::time::Instant;
use crate::wire::tcp::SeqNum;

use super::list::NONE;
use super::sent_store::SentStore;
use super::stamp::Stamp;

/// Where the bytes of a record are believed to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Whereabouts {
    /// On its way, or its acknowledgement is.
    Flying,
    /// The peer has it, and said so (RFC 2018).
    Sacked,
    /// Lost, and to be sent again.
    Missing,
}

/// How often the bytes of a record were sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Sent {
    Once,
    Again,
}

/// One transmission.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Record {
    /// The number behind its last one.
    pub(crate) end: SeqNum,
    /// When it was sent last.
    pub(crate) at: Stamp,
    pub(crate) is: Whereabouts,
    pub(crate) sent: Sent,
    /// What the delivery rate is measured against.
    #[cfg(feature = "bbr")]
    pub(crate) snapshot: super::delivery_rate::Snapshot,
}

/// What was acknowledged of records that were all sent once and in order.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Front {
    /// When the first of them was sent, and the last.
    pub(crate) oldest: Stamp,
    pub(crate) newest: Stamp,
    /// Where the last of them ends, as far as it is acknowledged.
    pub(crate) end: SeqNum,
}

/// The scoreboard of one connection.
#[derive(Clone, Debug)]
pub(crate) struct Scoreboard {
    head: u16,
    tail: u16,
    /// Where the first record starts.
    start: SeqNum,
    /// Where the last one starts.
    tail_start: SeqNum,
    sacked: u32,
    missing: u32,
    sacked_segments: u16,
    repeated: u16,
    /// The first range to be sent again.
    resend: Option<(SeqNum, SeqNum)>,
    /// Bytes the next new segment may have, for want of records.
    room: u32,
}

impl Scoreboard {
    pub(crate) const EMPTY: Self = Self {
        head: NONE,
        tail: NONE,
        start: SeqNum(0),
        tail_start: SeqNum(0),
        sacked: 0,
        missing: 0,
        sacked_segments: 0,
        repeated: 0,
        resend: None,
        room: u32::MAX,
    };

    /// Bytes selectively acknowledged.
    pub(crate) const fn sacked(&self) -> u32 {
        self.sacked
    }

    /// Segments selectively acknowledged.
    pub(crate) const fn sacked_segments(&self) -> u16 {
        self.sacked_segments
    }

    /// Bytes lost and not sent again yet.
    pub(crate) const fn missing(&self) -> u32 {
        self.missing
    }

    /// Bytes believed to be in the network, of `flight` between SND.UNA and SND.NXT
    /// (RFC 6675 §2, "pipe").
    pub(crate) const fn pipe(&self, flight: u32) -> u32 {
        flight
            .saturating_sub(self.sacked)
            .saturating_sub(self.missing)
    }

    /// The first range to be sent again.
    pub(crate) const fn resend(&self) -> Option<(SeqNum, SeqNum)> {
        self.resend
    }

    /// Bytes the next new segment may have, for want of records.
    pub(crate) const fn room(&self) -> u32 {
        self.room
    }

    /// Whether something unacknowledged was sent more than once.
    pub(crate) const fn has_repeated(&self) -> bool {
        self.repeated > 0
    }

    /// Whether all records are flying for the first time, and `ack` covers something of them.
    pub(crate) const fn is_quiet_before(&self, ack: SeqNum) -> bool {
        self.sacked | self.missing | self.repeated as u32 == 0 && ack.after(self.start)
    }

    /// The first record.
    pub(crate) fn first(&self, store: &SentStore) -> Option<Record> {
        store.at(self.head).map(|slot| slot.record)
    }

    /// Where the first bytes start that the peer has selectively: what is before them it lacks.
    pub(crate) fn first_gap_end(&self, store: &SentStore) -> Option<SeqNum> {
        self.records(store)
            .find(|(_, record)| record.is == Whereabouts::Sacked)
            .map(|(start, _)| start)
    }

    /// The last record and where it starts.
    #[cfg(test)]
    pub(crate) fn last(&self, store: &SentStore) -> Option<(SeqNum, Record)> {
        store
            .at(self.tail)
            .map(|slot| (self.tail_start, slot.record))
    }

    /// The records in order, each with its start.
    pub(crate) fn records<'a>(
        &self,
        store: &'a SentStore,
    ) -> impl Iterator<Item = (SeqNum, Record)> + 'a {
        let (mut at, mut start) = (self.head, self.start);
        core::iter::from_fn(move || {
            let slot = store.at(at)?;
            let item = (start, slot.record);
            (at, start) = (slot.next, slot.record.end);
            Some(item)
        })
    }

    /// Records that `start..record.end` was sent for the first time. Segments may be `mss` bytes.
    pub(crate) fn push(&mut self, store: &mut SentStore, start: SeqNum, record: Record, mss: u32) {
        let empty = self.head == NONE;
        let may_take = empty || store.spare() > 0;
        if !may_take || !self.link(store, start, record) {
            // No record is free: the last one grows. `refresh` saw to it that it stays a segment.
            self.grow_last(store, record);
        }
        self.refresh(store, mss);
    }

    fn link(&mut self, store: &mut SentStore, start: SeqNum, record: Record) -> bool {
        let Some(index) = store.take(record) else {
            return false;
        };
        match store.at_mut(self.tail) {
            Some(tail) => tail.next = index,
            None => {
                store.holders += 1;
                (self.head, self.start) = (index, start);
            }
        }
        (self.tail, self.tail_start) = (index, start);
        true
    }

    fn grow_last(&mut self, store: &mut SentStore, record: Record) {
        if let Some(tail) = store.at_mut(self.tail) {
            let by = record.end.since(tail.record.end);
            match tail.record.is {
                Whereabouts::Flying => {}
                Whereabouts::Sacked => self.sacked += by,
                Whereabouts::Missing => self.missing += by,
            }
            (tail.record.end, tail.record.at) = (record.end, record.at);
        }
    }

    /// Looks again how many bytes a new segment may have: any if a record is free, else so many
    /// that the last record stays one segment.
    pub(crate) fn refresh(&mut self, store: &SentStore, mss: u32) {
        if store.spare() > 0 {
            self.room = u32::MAX;
            return;
        }
        self.room = match store.at(self.tail).map(|slot| slot.record) {
            Some(tail) => match tail.is {
                Whereabouts::Flying => mss.saturating_sub(tail.end.since(self.tail_start)),
                Whereabouts::Sacked | Whereabouts::Missing => 0,
            },
            None => u32::MAX,
        };
    }

    /// SND.UNA is `ack` now: takes out what it covers, and shows each piece that was not known to
    /// have arrived, with its start, to `delivered`.
    pub(crate) fn acknowledge(
        &mut self,
        store: &mut SentStore,
        ack: SeqNum,
        mut delivered: impl FnMut(SeqNum, Record),
    ) {
        while let Some(slot) = store.at(self.head) {
            if !ack.after(self.start) {
                break;
            }
            let (record, next) = (slot.record, slot.next);
            let upto = record.end.min(ack);
            let bytes = upto.since(self.start);
            let whole = upto == record.end;
            match record.is {
                Whereabouts::Sacked => {
                    self.sacked = self.sacked.saturating_sub(bytes);
                    self.sacked_segments -= u16::from(whole && self.sacked_segments > 0);
                }
                Whereabouts::Missing => self.missing = self.missing.saturating_sub(bytes),
                Whereabouts::Flying => {}
            }
            if record.is != Whereabouts::Sacked {
                delivered(
                    self.start,
                    Record {
                        end: upto,
                        ..record
                    },
                );
            }
            self.start = upto;
            if !whole {
                break;
            }
            self.repeated -= u16::from(record.sent == Sent::Again && self.repeated > 0);
            store.give(self.head);
            self.head = next;
        }
        if self.head == NONE && self.tail != NONE {
            self.tail = NONE;
            store.holders = store.holders.saturating_sub(1);
        }
        if self.tail == self.head {
            self.tail_start = self.start;
        }
        self.find_resend(store);
    }

    /// As [`Scoreboard::acknowledge`], if [`Scoreboard::is_quiet_before`].
    pub(crate) fn acknowledge_quiet(
        &mut self,
        store: &mut SentStore,
        ack: SeqNum,
    ) -> Option<Front> {
        let first = store.at(self.head)?.record;
        let mut front = Front {
            oldest: first.at,
            newest: first.at,
            end: ack,
        };
        self.start = ack;
        while let Some(slot) = store.at(self.head) {
            let (record, next) = (&slot.record, slot.next);
            front.newest = record.at;
            front.end = record.end.min(ack);
            if record.end.after(ack) {
                break;
            }
            let done = record.end == ack;
            store.give(self.head);
            self.head = next;
            if done {
                break;
            }
        }
        if self.head == NONE {
            self.start = front.end;
            self.tail = NONE;
            store.holders = store.holders.saturating_sub(1);
        }
        if self.tail == self.head {
            self.tail_start = self.start;
        }
        Some(front)
    }

    /// The peer has `left..right` (RFC 2018 §5): marks the records, and shows those that are new
    /// to `delivered`.
    pub(crate) fn sack(
        &mut self,
        store: &mut SentStore,
        left: SeqNum,
        right: SeqNum,
        mut delivered: impl FnMut(SeqNum, Record),
    ) {
        let (mut at, mut start) = (self.head, self.start);
        while let Some(slot) = store.at(at) {
            let record = slot.record;
            if !right.after(start) {
                break;
            }
            if !record.end.after(left) || record.is == Whereabouts::Sacked {
                (at, start) = (slot.next, record.end);
                continue;
            }
            // A block that begins or ends inside a record splits it. Without a free record the
            // part is not believed: nothing is lost by that but time.
            let begins_inside = left.after(start);
            let ends_inside = right.before(record.end);
            if begins_inside {
                if !self.split(store, at, start, left) {
                    (at, start) = (slot_next(store, at), record.end);
                }
                continue;
            }
            if ends_inside && !self.split(store, at, start, right) {
                break;
            }
            let Some(slot) = store.at_mut(at) else { break };
            let bytes = slot.record.end.since(start);
            if slot.record.is == Whereabouts::Missing {
                self.missing = self.missing.saturating_sub(bytes);
            }
            delivered(start, slot.record);
            slot.record.is = Whereabouts::Sacked;
            self.sacked += bytes;
            self.sacked_segments = self.sacked_segments.saturating_add(1);
            (at, start) = (slot.next, slot.record.end);
        }
        self.find_resend(store);
    }

    /// Cuts the record `index`, which starts at `start`, in two at `cut`. `false` if no record is
    /// free.
    fn split(&mut self, store: &mut SentStore, index: u16, start: SeqNum, cut: SeqNum) -> bool {
        if store.spare() == 0 {
            return false;
        }
        let Some(whole) = store.at(index).map(|slot| slot.record) else {
            return false;
        };
        debug_assert!(cut.after(start) && cut.before(whole.end), "a cut inside");
        let Some(rest) = store.take(whole) else {
            return false;
        };
        let next = match store.at_mut(index) {
            Some(slot) => {
                slot.record.end = cut;
                core::mem::replace(&mut slot.next, rest)
            }
            None => NONE,
        };
        if let Some(slot) = store.at_mut(rest) {
            slot.next = next;
        }
        self.repeated += u16::from(whole.sent == Sent::Again);
        self.sacked_segments += u16::from(whole.is == Whereabouts::Sacked);
        if self.tail == index {
            (self.tail, self.tail_start) = (rest, cut);
        }
        true
    }

    /// Records that `from..until` was sent again at `at`.
    pub(crate) fn sent_again(
        &mut self,
        store: &mut SentStore,
        from: SeqNum,
        until: SeqNum,
        sent: Record,
    ) {
        let (mut at, mut start) = (self.head, self.start);
        while let Some(slot) = store.at(at) {
            let record = slot.record;
            if !until.after(start) {
                break;
            }
            let relevant = record.end.after(from) && record.is != Whereabouts::Sacked;
            if relevant && from.after(start) && self.split(store, at, start, from) {
                continue;
            }
            if relevant && until.before(record.end) {
                // Without a free record all of it counts as sent: the rest waits for its turn
                // until `rack` or the timeout miss it.
                let _ = self.split(store, at, start, until);
            }
            let Some(slot) = store.at_mut(at) else { break };
            if relevant {
                let bytes = slot.record.end.since(start);
                if slot.record.is == Whereabouts::Missing {
                    self.missing = self.missing.saturating_sub(bytes);
                }
                let first = slot.record.sent == Sent::Once;
                self.repeated = self.repeated.saturating_add(u16::from(first));
                slot.record = Record {
                    end: slot.record.end,
                    is: Whereabouts::Flying,
                    sent: Sent::Again,
                    ..sent
                };
            }
            (at, start) = (slot.next, slot.record.end);
        }
        self.find_resend(store);
    }

    /// Marks the flying records that `is_lost` says are lost; returns how many bytes that is.
    pub(crate) fn mark_missing(
        &mut self,
        store: &mut SentStore,
        mut is_lost: impl FnMut(SeqNum, &Record) -> bool,
    ) -> u32 {
        let before = self.missing;
        let (mut at, mut start) = (self.head, self.start);
        while let Some(slot) = store.at_mut(at) {
            if slot.record.is == Whereabouts::Flying && is_lost(start, &slot.record) {
                slot.record.is = Whereabouts::Missing;
                self.missing += slot.record.end.since(start);
            }
            (at, start) = (slot.next, slot.record.end);
        }
        self.find_resend(store);
        self.missing.saturating_sub(before)
    }

    /// What was believed missing is on its way after all.
    pub(crate) fn forgive(&mut self, store: &mut SentStore) {
        self.change(store, Whereabouts::Missing, Whereabouts::Flying);
        self.missing = 0;
        self.resend = None;
    }

    /// The peer threw away what it had acknowledged selectively (RFC 2018 §8).
    pub(crate) fn renege(&mut self, store: &mut SentStore) {
        self.change(store, Whereabouts::Sacked, Whereabouts::Flying);
        (self.sacked, self.sacked_segments) = (0, 0);
    }

    fn change(&mut self, store: &mut SentStore, from: Whereabouts, to: Whereabouts) {
        let mut at = self.head;
        while let Some(slot) = store.at_mut(at) {
            if slot.record.is == from {
                slot.record.is = to;
            }
            at = slot.next;
        }
    }

    /// Gives all records back.
    pub(crate) fn clear(&mut self, store: &mut SentStore) {
        if self.head == NONE {
            return;
        }
        store.holders = store.holders.saturating_sub(1);
        while let Some(next) = store.at(self.head).map(|slot| slot.next) {
            store.give(self.head);
            self.head = next;
        }
        *self = Self::EMPTY;
    }

    fn find_resend(&mut self, store: &SentStore) {
        self.resend = None;
        if self.missing > 0 {
            self.resend = self
                .records(store)
                .find(|(_, record)| record.is == Whereabouts::Missing)
                .map(|(start, record)| (start, record.end));
        }
    }
}

fn slot_next(store: &SentStore, index: u16) -> u16 {
    store.at(index).map_or(NONE, |slot| slot.next)
}

impl Record {
    /// The record of a segment that ends at `end`, sent for the first time at `now`.
    pub(crate) fn new(end: SeqNum, now: Instant) -> Self {
        Self {
            end,
            at: Stamp::of(now),
            is: Whereabouts::Flying,
            sent: Sent::Once,
            #[cfg(feature = "bbr")]
            snapshot: super::delivery_rate::Snapshot::NONE,
        }
    }
}

#[cfg(test)]
mod tests;
