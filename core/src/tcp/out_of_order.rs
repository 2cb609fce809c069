//! Data that arrived before what precedes it: runs of adjacent segments, sorted, in slots shared
//! by all connections and capped for each.
//!
//! A segment usually goes behind the one that came before it, so the search starts there: it then
//! costs the same however many runs there are. Otherwise it walks, past at most
//! `max_out_of_order_runs`.
use crate::config::TcpConfig;
use crate::pbuf::{Chain, Pbuf};
use crate::wire::tcp::SeqNum;

use super::list::NONE;
use super::receive::join;

/// Storage for one run of out-of-order data.
#[derive(Debug)]
pub struct RunSlot {
    /// The next run of its list, or the next free slot.
    next: u16,
    seq: SeqNum,
    data: Chain,
    fin: bool,
}

impl RunSlot {
    /// An unused slot.
    pub const fn new() -> Self {
        Self {
            next: NONE,
            seq: SeqNum(0),
            data: Chain::new(),
            fin: false,
        }
    }

    fn end(&self) -> SeqNum {
        self.seq + u32::try_from(self.data.len()).unwrap_or(u32::MAX)
    }
}

impl Default for RunSlot {
    fn default() -> Self {
        Self::new()
    }
}

/// What became of an out-of-order segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stored {
    /// All of it, or it was there already.
    Kept,
    /// A cap was reached; the peer will send it again.
    Dropped,
}

/// The runs of one connection.
#[derive(Clone, Debug)]
pub(crate) struct RunList {
    head: u16,
    /// The run with what arrived last; [`NONE`] if that is gone.
    newest: u16,
    count: u16,
    /// Buffers of all of them.
    parts: usize,
}

impl RunList {
    pub(crate) const EMPTY: Self = Self {
        head: NONE,
        newest: NONE,
        count: 0,
        parts: 0,
    };

    pub(crate) const fn is_empty(&self) -> bool {
        self.head == NONE
    }
}

/// The slots of all connections.
#[derive(Debug)]
pub(crate) struct Runs {
    slots: &'static mut [RunSlot],
    /// First unused slot.
    free: u16,
}

impl Runs {
    pub(crate) fn new(slots: &'static mut [RunSlot]) -> Self {
        let mut free = NONE;
        // Slots are numbered with 16 bits.
        for (index, slot) in (0..NONE).zip(slots.iter_mut()) {
            slot.next = core::mem::replace(&mut free, index);
        }
        Self { slots, free }
    }

    fn at(&self, index: u16) -> Option<&RunSlot> {
        self.slots.get(usize::from(index))
    }

    fn at_mut(&mut self, index: u16) -> Option<&mut RunSlot> {
        self.slots.get_mut(usize::from(index))
    }

    /// The runs of `list`, in order: start and end.
    pub(crate) fn ranges(&self, list: &RunList) -> impl Iterator<Item = (SeqNum, SeqNum)> + '_ {
        self.runs_from(list.head).map(|run| (run.seq, run.end()))
    }

    /// Where the run with what arrived last starts and ends.
    pub(crate) fn newest_range(&self, list: &RunList) -> Option<(SeqNum, SeqNum)> {
        self.at(list.newest).map(|run| (run.seq, run.end()))
    }

    /// The first part of `start..end` that is in a run already.
    pub(crate) fn overlap(
        &self,
        list: &RunList,
        start: SeqNum,
        end: SeqNum,
    ) -> Option<(SeqNum, SeqNum)> {
        let (before, after) = self.neighbours(list, start);
        let first = if before == NONE { after } else { before };
        self.runs_from(first)
            .take_while(|run| run.seq.before(end))
            .map(|run| (run.seq.max(start), run.end().min(end)))
            .find(|(left, right)| left.before(*right))
    }

    /// The bytes of the runs of that list.
    #[cfg(feature = "invariants")]
    pub(crate) fn chains(&self, list: &RunList) -> impl Iterator<Item = &Chain> + '_ {
        self.runs_from(list.head).map(|run| &run.data)
    }

    /// Whether the sums in `list` are those of its runs.
    #[cfg(feature = "invariants")]
    pub(crate) fn adds_up(&self, list: &RunList) -> bool {
        let count = self.runs_from(list.head).count();
        let parts = self.runs_from(list.head).map(|run| run.data.parts()).sum();
        usize::from(list.count) == count && list.parts == parts
    }

    fn runs_from(&self, mut at: u16) -> impl Iterator<Item = &RunSlot> + '_ {
        core::iter::from_fn(move || {
            let run = self.at(at)?;
            at = run.next;
            Some(run)
        })
    }

    /// The last run that starts at or before `seq`, and the one behind it.
    fn neighbours(&self, list: &RunList, seq: SeqNum) -> (u16, u16) {
        let newest = self.at(list.newest).filter(|run| run.seq.before_eq(seq));
        let (mut before, mut after) = match newest {
            Some(run) => (list.newest, run.next),
            None => (NONE, list.head),
        };
        while let Some(run) = self.at(after).filter(|run| run.seq.before_eq(seq)) {
            (before, after) = (after, run.next);
        }
        (before, after)
    }

    /// Files `data`, which starts at `seq` behind the next number expected, into `list`.
    ///
    /// Bytes that are there already win over newer ones: a later segment cannot change what was
    /// acknowledged selectively.
    pub(crate) fn insert(
        &mut self,
        list: &mut RunList,
        mut seq: SeqNum,
        mut data: Pbuf,
        fin: bool,
        config: &TcpConfig,
    ) -> Stored {
        let mut len = u32::try_from(data.tot_len()).unwrap_or(u32::MAX);
        let (before, mut after) = self.neighbours(list, seq);
        // Cut the front that the run before covers.
        if let Some(run) = self.at(before)
            && run.end().after(seq)
        {
            let cut = run.end().since(seq).min(len);
            if cut == len {
                // RFC 9293 §3.10.7.4: a FIN on a covered segment still counts.
                let ends_here = fin && run.end() == seq + len;
                if let Some(run) = self.at_mut(before) {
                    run.fin |= ends_here;
                }
                list.newest = before;
                return Stored::Kept;
            }
            data.advance(cut as usize);
            (seq, len) = (seq + cut, len - cut);
        }
        // Refused as a whole or not at all: what was acknowledged selectively stays (RFC 2018 §8).
        let covered: usize = self
            .runs_from(after)
            .take_while(|run| (seq + len).after(run.end()))
            .map(|run| run.data.parts())
            .sum();
        if list.parts - covered + data.clen() > usize::from(config.max_out_of_order_buffers) {
            return Stored::Dropped;
        }
        // Fill the gap up to each following run; what lies behind a run goes on to the next gap.
        let mut fin = fin;
        while let Some(next) = self.at(after) {
            let (start, end, following) = (next.seq, next.end(), next.next);
            if !(seq + len).after(start) {
                break;
            }
            if !(seq + len).after(end) {
                // Reaches into the run: the overlap is dropped.
                if fin
                    && seq + len == end
                    && let Some(next) = self.at_mut(after)
                {
                    next.fin = true;
                }
                fin = false;
                len = start.since(seq);
                data.truncate(len as usize);
                break;
            }
            // Covers the whole run: the run's bytes give way to the newer segment's, which are
            // one piece; they are the same in any honest stream.
            fin |= next.fin;
            self.unlink(list, before, after);
            after = following;
        }
        if len == 0 && !fin {
            list.newest = after;
            return Stored::Kept;
        }
        let touches = self.at(before).is_some_and(|run| run.end() == seq);
        let index = if touches {
            self.join(list, before, Chain::from(data), fin);
            before
        } else {
            if list.count >= config.max_out_of_order_runs.into() {
                return Stored::Dropped;
            }
            let free = self.free;
            let Some(slot) = self.at_mut(free) else {
                return Stored::Dropped;
            };
            let next_free = core::mem::replace(&mut slot.next, after);
            (slot.seq, slot.fin, slot.data) = (seq, fin, Chain::from(data));
            let parts = slot.data.parts();
            self.free = next_free;
            list.count += 1;
            list.parts += parts;
            self.set_next(list, before, free);
            free
        };
        list.newest = index;
        self.join_next(list, index);
        Stored::Kept
    }

    /// Takes the first run out if it starts at or before `nxt`: its data, cut to start there, and
    /// whether a FIN follows.
    pub(crate) fn take_ready(&mut self, list: &mut RunList, nxt: SeqNum) -> Option<(Chain, bool)> {
        let run = self.at(list.head)?;
        if run.seq.after(nxt) {
            return None;
        }
        let overlap = nxt.since(run.seq);
        let fin = run.fin;
        let mut data = self.unlink(list, NONE, list.head);
        data.consume(overlap as usize);
        Some((data, fin))
    }

    /// Frees all runs of a list.
    #[inline]
    pub(crate) fn clear(&mut self, list: &mut RunList) {
        while !list.is_empty() {
            self.unlink(list, NONE, list.head);
        }
    }

    /// Appends to run `index`.
    fn join(&mut self, list: &mut RunList, index: u16, mut data: Chain, fin: bool) {
        if let Some(run) = self.at_mut(index) {
            let before = run.data.parts();
            join(&mut run.data, &mut data);
            run.fin |= fin;
            // Small parts are copied behind the last one.
            list.parts += run.data.parts() - before;
        }
    }

    /// Makes run `index` and the one behind it one, if they touch.
    fn join_next(&mut self, list: &mut RunList, index: u16) {
        let Some((next, end)) = self.at(index).map(|run| (run.next, run.end())) else {
            return;
        };
        let Some(following) = self.at(next).filter(|run| run.seq == end) else {
            return;
        };
        let fin = following.fin;
        let data = self.unlink(list, index, next);
        self.join(list, index, data, fin);
    }

    fn set_next(&mut self, list: &mut RunList, before: u16, next: u16) {
        match self.at_mut(before) {
            Some(run) => run.next = next,
            None => list.head = next,
        }
    }

    /// Takes run `index`, which comes behind `before`, out of its list and frees it: its data.
    fn unlink(&mut self, list: &mut RunList, before: u16, index: u16) -> Chain {
        let free = self.free;
        let Some(run) = self.at_mut(index) else {
            return Chain::new();
        };
        let run = core::mem::replace(
            run,
            RunSlot {
                next: free,
                ..RunSlot::new()
            },
        );
        self.free = index;
        list.count -= 1;
        list.parts -= run.data.parts();
        if list.newest == index {
            list.newest = before;
        }
        self.set_next(list, before, run.next);
        run.data
    }
}

#[cfg(all(test, not(loom)))]
mod tests;
