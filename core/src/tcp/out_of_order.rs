//! Data that arrived before what precedes it: runs of adjacent segments, sorted, in slots shared
//! by all connections and capped for each.
//!
//! The runs of a connection are a skip list: an eighth of them, chosen by chance, is on a second
//! list besides, an eighth of those on a third, and a search walks the sparse ones first. So it takes
//! the logarithm of their number, whatever order a peer sends in (CVE-2018-5390 is the attack on
//! lists that are only walked). A segment usually goes behind the one that came before it, so that
//! place is looked at first.
use crate::config::TcpConfig;
use crate::pbuf::{Chain, Pbuf};
use crate::random::Entropy;
use crate::wire::tcp::SeqNum;

use super::list::NONE;
use super::receive::join;

/// Lists that a run can be on. With three, a search among a thousand takes some twenty steps.
const LEVELS: usize = 3;

/// One link for each level, the whole list first.
type Links = [u16; LEVELS];

/// On no list.
const NOWHERE: Links = [NONE; LEVELS];

/// Storage for one run of out-of-order data.
#[derive(Debug)]
pub struct RunSlot {
    /// The next run on each level; of a free slot the first is the next free one.
    next: Links,
    seq: SeqNum,
    data: Chain,
    fin: bool,
}

impl RunSlot {
    /// An unused slot.
    pub const fn new() -> Self {
        Self::linked(NOWHERE)
    }

    /// An unused slot in front of the free one `next`.
    const fn free_before(next: u16) -> Self {
        Self::linked([next, NONE, NONE])
    }

    const fn linked(next: Links) -> Self {
        Self {
            next,
            seq: SeqNum(0),
            data: Chain::new(),
            fin: false,
        }
    }

    /// The next run in order.
    const fn following(&self) -> u16 {
        let [first, ..] = self.next;
        first
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
    /// The first run on each level.
    heads: Links,
    /// The run with what arrived last; [`NONE`] if that is gone.
    newest: u16,
    count: u16,
    /// Buffers of all of them.
    parts: usize,
}

impl RunList {
    pub(crate) const EMPTY: Self = Self {
        heads: NOWHERE,
        newest: NONE,
        count: 0,
        parts: 0,
    };

    pub(crate) const fn is_empty(&self) -> bool {
        self.head() == NONE
    }

    /// The first run.
    const fn head(&self) -> u16 {
        let [first, ..] = self.heads;
        first
    }
}

/// The slots of all connections.
#[derive(Debug)]
pub(crate) struct Runs {
    slots: &'static mut [RunSlot],
    /// First unused slot.
    free: u16,
    /// Decides which runs are on the sparse lists; never zero.
    dice: u32,
}

impl Runs {
    /// `entropy`, so that nobody can choose which runs are on the sparse lists.
    pub(crate) fn new(slots: &'static mut [RunSlot], entropy: Entropy<'_>) -> Self {
        let mut seed = [0; 4];
        entropy(&mut seed);
        let mut free = NONE;
        // Slots are numbered with 16 bits.
        for (index, slot) in (0..NONE).zip(slots.iter_mut()) {
            *slot = RunSlot::free_before(core::mem::replace(&mut free, index));
        }
        Self {
            slots,
            free,
            dice: u32::from_ne_bytes(seed) | 1,
        }
    }

    fn at(&self, index: u16) -> Option<&RunSlot> {
        self.slots.get(usize::from(index))
    }

    fn at_mut(&mut self, index: u16) -> Option<&mut RunSlot> {
        self.slots.get_mut(usize::from(index))
    }

    /// The runs of `list`, in order: start and end.
    pub(crate) fn ranges(&self, list: &RunList) -> impl Iterator<Item = (SeqNum, SeqNum)> + '_ {
        self.runs_from(list.head()).map(|run| (run.seq, run.end()))
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
        self.runs_from(list.head()).map(|run| &run.data)
    }

    /// Whether each of the sparse lists has some of the runs of the fuller one, in their order.
    #[cfg(any(test, feature = "invariants"))]
    pub(crate) fn is_indexed(&self, list: &RunList) -> bool {
        (1..LEVELS).all(|level| {
            let mut fuller = self.on_level(list, level - 1);
            self.on_level(list, level)
                .all(|index| fuller.any(|other| other == index))
        })
    }

    #[cfg(any(test, feature = "invariants"))]
    fn on_level(&self, list: &RunList, level: usize) -> impl Iterator<Item = u16> + '_ {
        let first = list.heads.get(level).copied();
        core::iter::successors(first, move |at| self.at(*at)?.next.get(level).copied())
            .take_while(|index| *index != NONE)
    }

    /// Whether the sums in `list` are those of its runs.
    #[cfg(feature = "invariants")]
    pub(crate) fn adds_up(&self, list: &RunList) -> bool {
        let count = self.runs_from(list.head()).count();
        let parts = self
            .runs_from(list.head())
            .map(|run| run.data.parts())
            .sum();
        usize::from(list.count) == count && list.parts == parts
    }

    fn runs_from(&self, mut at: u16) -> impl Iterator<Item = &RunSlot> + '_ {
        core::iter::from_fn(move || {
            let run = self.at(at)?;
            at = run.following();
            Some(run)
        })
    }

    /// The last run that starts at or before `seq`, and the one behind it.
    fn neighbours(&self, list: &RunList, seq: SeqNum) -> (u16, u16) {
        if let Some(newest) = self.at(list.newest)
            && newest.seq.before_eq(seq)
            && self
                .at(newest.following())
                .is_none_or(|run| run.seq.after(seq))
        {
            return (list.newest, newest.following());
        }
        let [before, ..] = self.path(list, seq + 1);
        let after = self.at(before).map_or(list.head(), RunSlot::following);
        (before, after)
    }

    /// The last run on each level that starts before `seq`; [`NONE`]: that would be the first.
    fn path(&self, list: &RunList, seq: SeqNum) -> Links {
        let mut path = NOWHERE;
        let (mut at, mut links) = (NONE, &list.heads);
        for (level, last) in path.iter_mut().enumerate().rev() {
            while let Some(&next) = links.get(level)
                && let Some(run) = self.at(next).filter(|run| run.seq.before(seq))
            {
                (at, links) = (next, &run.next);
            }
            *last = at;
        }
        path
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
            let (start, end, following) = (next.seq, next.end(), next.following());
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
            let path = self.path(list, start);
            self.unlink(list, path, after);
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
            if list.count >= config.max_out_of_order_runs {
                return Stored::Dropped;
            }
            let run = RunSlot {
                seq,
                fin,
                data: Chain::from(data),
                ..RunSlot::new()
            };
            match self.link(list, run) {
                Some(index) => index,
                None => return Stored::Dropped,
            }
        };
        list.newest = index;
        self.join_next(list, index);
        Stored::Kept
    }

    /// Takes the first run out if it starts at or before `nxt`: its data, cut to start there, and
    /// whether a FIN follows.
    pub(crate) fn take_ready(&mut self, list: &mut RunList, nxt: SeqNum) -> Option<(Chain, bool)> {
        let run = self.at(list.head())?;
        if run.seq.after(nxt) {
            return None;
        }
        let overlap = nxt.since(run.seq);
        let fin = run.fin;
        let mut data = self.unlink(list, NOWHERE, list.head());
        data.consume(overlap as usize);
        Some((data, fin))
    }

    /// Frees all runs of a list.
    #[inline]
    pub(crate) fn clear(&mut self, list: &mut RunList) {
        while !list.is_empty() {
            self.unlink(list, NOWHERE, list.head());
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
        let Some((next, end)) = self.at(index).map(|run| (run.following(), run.end())) else {
            return;
        };
        let Some(following) = self.at(next).filter(|run| run.seq == end) else {
            return;
        };
        let fin = following.fin;
        let path = self.path(list, end);
        let data = self.unlink(list, path, next);
        self.join(list, index, data, fin);
    }

    /// Puts `run` into a free slot and in its place in `list`. `None` if no slot is free.
    fn link(&mut self, list: &mut RunList, mut run: RunSlot) -> Option<u16> {
        let path = self.path(list, run.seq);
        let index = self.free;
        let next_free = self.at(index)?.following();
        let height = self.throw();
        for (level, (before, next)) in path.into_iter().zip(&mut run.next).enumerate().take(height)
        {
            if let Some(link) = self.link_behind(list, before, level) {
                *next = core::mem::replace(link, index);
            }
        }
        list.count += 1;
        list.parts += run.data.parts();
        self.free = next_free;
        *self.at_mut(index)? = run;
        Some(index)
    }

    /// On how many lists the next run is to be: on each with an eighth of the chance.
    fn throw(&mut self) -> usize {
        // xorshift32 (Marsaglia).
        self.dice ^= self.dice << 13;
        self.dice ^= self.dice >> 17;
        self.dice ^= self.dice << 5;
        1 + self.dice.trailing_zeros() as usize / 3
    }

    /// The link on `level` that run `before`, or the list itself, has to what follows.
    fn link_behind<'a>(
        &'a mut self,
        list: &'a mut RunList,
        before: u16,
        level: usize,
    ) -> Option<&'a mut u16> {
        match self.at_mut(before) {
            Some(run) => run.next.get_mut(level),
            None => list.heads.get_mut(level),
        }
    }

    /// Takes run `index` out of its list and frees it: its data. `path` leads to where it starts.
    fn unlink(&mut self, list: &mut RunList, path: Links, index: u16) -> Chain {
        let free = self.free;
        let Some(run) = self.at_mut(index) else {
            return Chain::new();
        };
        let run = core::mem::replace(run, RunSlot::free_before(free));
        self.free = index;
        for (level, (before, next)) in path.into_iter().zip(run.next).enumerate() {
            match self.link_behind(list, before, level) {
                Some(link) if *link == index => *link = next,
                // It is not on this list, nor on the sparser ones.
                _ => break,
            }
        }
        list.count -= 1;
        list.parts -= run.data.parts();
        if list.newest == index {
            let [before, ..] = path;
            list.newest = before;
        }
        run.data
    }
}

#[cfg(all(test, not(loom)))]
mod tests;
