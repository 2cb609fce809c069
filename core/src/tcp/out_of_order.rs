//! Data that arrived before what precedes it: runs of adjacent segments, sorted, in slots shared
//! by all connections and capped for each.
use crate::config::TcpConfig;
use crate::pbuf::{Chain, Pbuf};
use crate::wire::tcp::SeqNum;

use super::list::NONE;
use super::receive::join;

/// Storage for one run of out-of-order data.
#[derive(Debug)]
pub struct RunSlot {
    used: bool,
    next: u16,
    seq: SeqNum,
    data: Chain,
    fin: bool,
}

impl RunSlot {
    /// An unused slot.
    pub const fn new() -> Self {
        Self {
            used: false,
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

/// The slots of all connections.
#[derive(Debug)]
pub(crate) struct Runs {
    slots: &'static mut [RunSlot],
}

impl Runs {
    pub(crate) fn new(slots: &'static mut [RunSlot]) -> Self {
        Self { slots }
    }

    fn at(&self, index: u16) -> Option<&RunSlot> {
        self.slots.get(usize::from(index))
    }

    fn at_mut(&mut self, index: u16) -> Option<&mut RunSlot> {
        self.slots.get_mut(usize::from(index))
    }

    /// The runs of the list that starts at `head`, in order: start and end.
    pub(crate) fn ranges(&self, head: u16) -> impl Iterator<Item = (SeqNum, SeqNum)> + '_ {
        let mut at = head;
        core::iter::from_fn(move || {
            let run = self.at(at)?;
            at = run.next;
            Some((run.seq, run.end()))
        })
    }

    /// The bytes of the runs of that list.
    #[cfg(feature = "invariants")]
    pub(crate) fn chains(&self, head: u16) -> impl Iterator<Item = &Chain> + '_ {
        let mut at = head;
        core::iter::from_fn(move || {
            let run = self.at(at)?;
            at = run.next;
            Some(&run.data)
        })
    }

    /// Files `data`, which starts at `seq` behind the next number expected, into the list `head`.
    ///
    /// Bytes that are there already win over newer ones: a later segment cannot change what was
    /// acknowledged selectively.
    pub(crate) fn insert(
        &mut self,
        head: &mut u16,
        mut seq: SeqNum,
        mut data: Pbuf,
        fin: bool,
        config: &TcpConfig,
    ) -> Stored {
        let mut len = u32::try_from(data.tot_len()).unwrap_or(u32::MAX);
        // The last run that starts at or before `seq`.
        let (mut before, mut after) = (NONE, *head);
        let (mut count, mut buffers) = (0u32, 0usize);
        let mut at = *head;
        while let Some(run) = self.at(at) {
            count += 1;
            buffers += run.data.parts();
            if run.seq.before_eq(seq) {
                (before, after) = (at, run.next);
            }
            at = run.next;
        }
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
                return Stored::Kept;
            }
            data.advance(cut as usize);
            (seq, len) = (seq + cut, len - cut);
        }
        // Refused as a whole or not at all: what was acknowledged selectively stays (RFC 2018 §8).
        let mut covered = 0;
        let mut at = after;
        while let Some(run) = self.at(at)
            && (seq + len).after(run.end())
        {
            covered += run.data.parts();
            at = run.next;
        }
        if buffers - covered + data.clen() > usize::from(config.max_out_of_order_buffers) {
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
            fin |= self.at(after).is_some_and(|run| run.fin);
            self.free(after);
            self.set_next(head, before, following);
            after = following;
            count -= 1;
        }
        if len == 0 && !fin {
            return Stored::Kept;
        }
        let touches = self.at(before).is_some_and(|run| run.end() == seq);
        let index = if touches {
            if let Some(run) = self.at_mut(before) {
                join(&mut run.data, &mut Chain::from(data));
                run.fin |= fin;
            }
            before
        } else {
            if count >= u32::from(config.max_out_of_order_runs) {
                return Stored::Dropped;
            }
            let Some(free) = self.slots.iter().position(|slot| !slot.used) else {
                return Stored::Dropped;
            };
            let free = u16::try_from(free).unwrap_or(NONE);
            if let Some(slot) = self.at_mut(free) {
                slot.used = true;
                slot.seq = seq;
                slot.fin = fin;
                slot.next = after;
                slot.data.push(data);
            }
            self.set_next(head, before, free);
            free
        };
        self.join_next(index);
        Stored::Kept
    }

    /// Takes the first run out if it starts at or before `nxt`: its data, cut to start there, and
    /// whether a FIN follows.
    pub(crate) fn take_ready(&mut self, head: &mut u16, nxt: SeqNum) -> Option<(Chain, bool)> {
        let run = self.at_mut(*head)?;
        if run.seq.after(nxt) {
            return None;
        }
        let mut data = core::mem::replace(&mut run.data, Chain::new());
        let overlap = nxt.since(run.seq);
        data.consume(overlap as usize);
        let fin = run.fin;
        let next = run.next;
        self.free(*head);
        *head = next;
        Some((data, fin))
    }

    /// Frees all runs of a list.
    pub(crate) fn clear(&mut self, head: &mut u16) {
        while let Some(next) = self.at(*head).map(|run| run.next) {
            self.free(*head);
            *head = next;
        }
        *head = NONE;
    }

    fn join_next(&mut self, index: u16) {
        let Some((next, end)) = self.at(index).map(|run| (run.next, run.end())) else {
            return;
        };
        let Some(following) = self.at_mut(next) else {
            return;
        };
        if following.seq != end {
            return;
        }
        let mut data = core::mem::replace(&mut following.data, Chain::new());
        let (fin, after) = (following.fin, following.next);
        self.free(next);
        if let Some(run) = self.at_mut(index) {
            join(&mut run.data, &mut data);
            run.fin |= fin;
            run.next = after;
        }
    }

    fn set_next(&mut self, head: &mut u16, before: u16, next: u16) {
        match self.at_mut(before) {
            Some(run) => run.next = next,
            None => *head = next,
        }
    }

    fn free(&mut self, index: u16) {
        if let Some(run) = self.at_mut(index) {
            *run = RunSlot::new();
        }
    }
}

#[cfg(all(test, not(loom)))]
mod tests;
