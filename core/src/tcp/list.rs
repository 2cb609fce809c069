//! Lists of control blocks threaded through the blocks themselves: constant cost, no storage.

/// "No index" in a link.
pub(crate) const NONE: u16 = u16::MAX;

/// A control block's place in one list.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Link {
    next: u16,
    queued: bool,
}

impl Link {
    pub(crate) const UNLINKED: Self = Self {
        next: NONE,
        queued: false,
    };

    pub(crate) fn is_queued(self) -> bool {
        self.queued
    }
}

/// First in, first out; a block is at most once in it.
#[derive(Debug)]
pub(crate) struct IndexQueue {
    head: u16,
    tail: u16,
}

impl IndexQueue {
    pub(crate) const EMPTY: Self = Self {
        head: NONE,
        tail: NONE,
    };

    /// Appends `index` unless it is queued already; `link` finds an element's link.
    pub(crate) fn push<T>(&mut self, all: &mut [T], index: u16, link: fn(&mut T) -> &mut Link) {
        let Some(element) = all.get_mut(usize::from(index)) else {
            return;
        };
        let own = link(element);
        if own.queued {
            return;
        }
        *own = Link {
            next: NONE,
            queued: true,
        };
        let last = core::mem::replace(&mut self.tail, index);
        if last == NONE {
            self.head = index;
        } else if let Some(last) = all.get_mut(usize::from(last)) {
            link(last).next = index;
        }
    }

    /// Takes the first element out.
    pub(crate) fn pop<T>(&mut self, all: &mut [T], link: fn(&mut T) -> &mut Link) -> Option<u16> {
        let index = self.head;
        let own = link(all.get_mut(usize::from(index))?);
        self.head = own.next;
        *own = Link::UNLINKED;
        if self.head == NONE {
            self.tail = NONE;
        }
        Some(index)
    }

    /// How many elements there are, counted by walking: bounds a pass over a list that grows.
    pub(crate) fn count<T>(&self, all: &mut [T], link: fn(&mut T) -> &mut Link) -> usize {
        let (mut at, mut n) = (self.head, 0);
        while let Some(element) = all.get_mut(usize::from(at)) {
            n += 1;
            at = link(element).next;
        }
        n
    }
}

/// The elements of a table that are free: those given back, the last one first, and behind them
/// those that were never taken.
#[derive(Debug)]
pub(crate) struct FreeList {
    given_back: u16,
    /// The first that was never taken.
    fresh: u16,
}

impl FreeList {
    /// Of a table of which nothing is taken.
    pub(crate) const ALL: Self = Self {
        given_back: NONE,
        fresh: 0,
    };

    /// Takes an element; `next` finds the link that a free one lends.
    pub(crate) fn take<T>(&mut self, all: &mut [T], next: fn(&mut T) -> &mut u16) -> Option<u16> {
        if let Some(element) = all.get_mut(usize::from(self.given_back)) {
            let after = core::mem::replace(next(element), NONE);
            return Some(core::mem::replace(&mut self.given_back, after));
        }
        let index = self.fresh;
        if index == NONE || usize::from(index) >= all.len() {
            return None;
        }
        self.fresh += 1;
        Some(index)
    }

    /// Gives back an element that was taken.
    pub(crate) fn give<T>(&mut self, all: &mut [T], index: u16, next: fn(&mut T) -> &mut u16) {
        if let Some(element) = all.get_mut(usize::from(index)) {
            *next(element) = core::mem::replace(&mut self.given_back, index);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_free_element_is_taken_once() {
        let mut links = [NONE; 3];
        let mut free = FreeList::ALL;
        let mut take = |free: &mut FreeList| free.take(&mut links, |link| link);
        assert_eq!([take(&mut free), take(&mut free)], [Some(0), Some(1)]);
        free.give(&mut links, 0, |link| link);
        let out: Vec<_> = core::iter::from_fn(|| free.take(&mut links, |link| link)).collect();
        assert_eq!(out, [0, 2]);
    }

    fn same(l: &mut Link) -> &mut Link {
        l
    }

    #[test]
    fn elements_come_out_once_and_in_order() {
        let mut links = [Link::UNLINKED; 4];
        let mut queue = IndexQueue::EMPTY;
        for i in [2, 0, 2, 3, 0] {
            queue.push(&mut links, i, same);
        }
        assert_eq!(queue.count(&mut links, same), 3);
        let out: Vec<_> = core::iter::from_fn(|| queue.pop(&mut links, same)).collect();
        assert_eq!(out, [2, 0, 3]);
        assert_eq!(queue.pop(&mut links, same), None);
        queue.push(&mut links, 1, same);
        assert_eq!(queue.pop(&mut links, same), Some(1));
    }
}
