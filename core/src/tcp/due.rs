//! Which connection is due first: a binary heap threaded through the elements of a table, so that
//! one deadline among ten thousand costs the logarithm of that, and needs no storage of its own.
//!
//! Element `p` of the table lends its [`Place`] to position `p` of the heap and says who is there;
//! it also knows at which position it is itself. Invariant: for each position below `len`, the
//! element named there has this position, and is due no earlier than the one at the parent.
use crate::time::Instant;

use super::list::NONE;

/// What an element keeps for the heap.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Place {
    /// When the element is due.
    due: Instant,
    /// Where it is in the heap; [`NONE`]: it waits for nothing.
    position: u16,
    /// Who is at the position with this element's number.
    holds: u16,
}

impl Place {
    pub(crate) const UNUSED: Self = Self {
        due: Instant::MAX,
        position: NONE,
        holds: NONE,
    };
}

/// An element that can be in a heap.
pub(crate) trait Timed {
    fn place(&self) -> &Place;
    fn place_mut(&mut self) -> &mut Place;
}

/// The heap. The elements are the caller's, always the same ones.
#[derive(Debug)]
pub(crate) struct DueHeap {
    len: u16,
    /// When the first is due: asked for twice a turn.
    earliest: Instant,
}

impl DueHeap {
    pub(crate) const EMPTY: Self = Self {
        len: 0,
        earliest: Instant::MAX,
    };

    /// When the first is due. [`Instant::MAX`]: nobody waits.
    pub(crate) fn earliest(&self) -> Instant {
        self.earliest
    }

    /// When the first is due, and who that is. [`Instant::MAX`]: nobody waits.
    pub(crate) fn first<T: Timed>(&self, all: &[T]) -> (Instant, u16) {
        match self.len {
            0 => (Instant::MAX, NONE),
            _ => (self.earliest, holder(all, 0)),
        }
    }

    /// Element `index` is due at `at`, whatever it was before. [`Instant::MAX`]: never.
    pub(crate) fn set<T: Timed>(&mut self, all: &mut [T], index: u16, at: Instant) {
        let Some(element) = all.get_mut(usize::from(index)) else {
            return;
        };
        let place = element.place_mut();
        let position = place.position;
        if at == Instant::MAX {
            if position != NONE {
                self.remove(all, index);
            }
            return;
        }
        let before = core::mem::replace(&mut place.due, at);
        if position == NONE {
            let end = self.len;
            self.len += 1;
            rise(all, end, index, at);
        } else if at < before {
            rise(all, position, index, at);
        } else {
            self.sink(all, position, index, at);
            if position == 0 {
                self.earliest = due(all, holder(all, 0));
            }
        }
        self.earliest = self.earliest.min(at);
    }

    /// Element `index` is due at `at`, if that is earlier than what it waits for.
    pub(crate) fn lower<T: Timed>(&mut self, all: &mut [T], index: u16, at: Instant) {
        if at < due(all, index) {
            self.set(all, index, at);
        }
    }

    fn remove<T: Timed>(&mut self, all: &mut [T], index: u16) {
        let Some(element) = all.get_mut(usize::from(index)) else {
            return;
        };
        let place = element.place_mut();
        place.due = Instant::MAX;
        let hole = core::mem::replace(&mut place.position, NONE);
        self.len -= 1;
        if hole != self.len {
            // The last one fills the hole, and finds its place from there.
            let last = holder(all, self.len);
            let at = due(all, last);
            if hole > 0 && at < due(all, holder(all, (hole - 1) / 2)) {
                rise(all, hole, last, at);
            } else {
                self.sink(all, hole, last, at);
            }
        }
        if hole == 0 {
            self.earliest = match self.len {
                0 => Instant::MAX,
                _ => due(all, holder(all, 0)),
            };
        }
    }

    /// Puts `index`, due at `at`, where `hole` is or below.
    fn sink<T: Timed>(&self, all: &mut [T], mut hole: u16, index: u16, at: Instant) {
        loop {
            // In 32 bits: twice a position may not fit into 16.
            let left = 2 * u32::from(hole) + 1;
            let earlier = (left..=left + 1)
                .filter(|&child| child < u32::from(self.len))
                .map(|child| holder(all, child as u16))
                .zip(left..)
                .map(|(child, position)| (due(all, child), child, position))
                .min_by_key(|&(due, ..)| due);
            let Some((_, child, position)) = earlier.filter(|&(due, ..)| due < at) else {
                break;
            };
            put(all, child, hole);
            hole = position as u16;
        }
        put(all, index, hole);
    }
}

/// Puts `index`, due at `at`, where `hole` is or above.
fn rise<T: Timed>(all: &mut [T], mut hole: u16, index: u16, at: Instant) {
    while hole > 0 {
        let parent = (hole - 1) / 2;
        let above = holder(all, parent);
        if due(all, above) <= at {
            break;
        }
        put(all, above, hole);
        hole = parent;
    }
    put(all, index, hole);
}

fn put<T: Timed>(all: &mut [T], index: u16, position: u16) {
    if let Some(element) = all.get_mut(usize::from(index)) {
        element.place_mut().position = position;
    }
    if let Some(lender) = all.get_mut(usize::from(position)) {
        lender.place_mut().holds = index;
    }
}

fn holder<T: Timed>(all: &[T], position: u16) -> u16 {
    all.get(usize::from(position))
        .map_or(NONE, |lender| lender.place().holds)
}

fn due<T: Timed>(all: &[T], index: u16) -> Instant {
    all.get(usize::from(index))
        .map_or(Instant::MAX, |element| element.place().due)
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    impl Timed for Place {
        fn place(&self) -> &Place {
            self
        }
        fn place_mut(&mut self) -> &mut Place {
            self
        }
    }

    fn check(heap: &DueHeap, all: &[Place]) {
        for position in 0..heap.len {
            let index = holder(all, position);
            assert_eq!(all[usize::from(index)].position, position);
            if position > 0 {
                assert!(due(all, holder(all, (position - 1) / 2)) <= due(all, index));
            }
        }
        let waiting = all.iter().filter(|place| place.position != NONE).count();
        assert_eq!(waiting, usize::from(heap.len));
        let earliest = all.iter().map(|place| place.due).min();
        assert_eq!(heap.first(all).0, earliest.unwrap_or(Instant::MAX));
    }

    #[test]
    fn the_first_is_the_first_after_any_change() {
        let mut all = [Place::UNUSED; 37];
        let mut heap = DueHeap::EMPTY;
        let mut random = 1u32;
        for _ in 0..20_000 {
            random = random.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            let index = (random >> 8) as u16 % 37;
            let at = Instant::from_micros(u64::from(random >> 20) % 64);
            match random >> 29 {
                0 | 1 => heap.set(&mut all, index, Instant::MAX),
                2 | 3 => heap.lower(&mut all, index, at),
                _ => heap.set(&mut all, index, at),
            }
            check(&heap, &all);
        }
    }

    #[test]
    fn they_come_out_in_order() {
        let mut all = [Place::UNUSED; 100];
        let mut heap = DueHeap::EMPTY;
        for index in 0..100 {
            let at = Instant::from_micros(u64::from(index * 37 % 100));
            heap.set(&mut all, index, at);
        }
        for micros in 0..100 {
            let (at, index) = heap.first(&all);
            assert_eq!(at, Instant::from_micros(micros));
            heap.set(&mut all, index, Instant::MAX);
        }
        assert_eq!(heap.first(&all).0, Instant::MAX);
    }

    #[test]
    fn a_single_element_and_one_that_is_not_there() {
        let mut all = [Place::UNUSED; 1];
        let mut heap = DueHeap::EMPTY;
        heap.set(&mut all, 1, Instant::ZERO);
        heap.set(&mut all, 0, Instant::MAX);
        assert_eq!(heap.first(&all).0, Instant::MAX);
        heap.lower(&mut all, 0, Instant::ZERO);
        heap.lower(&mut all, 0, Instant::from_micros(1));
        assert_eq!(heap.first(&all), (Instant::ZERO, 0));
    }
}
