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
        match all.get_mut(usize::from(self.tail)) {
            Some(last) => link(last).next = index,
            None => self.head = index,
        }
        self.tail = index;
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

#[cfg(test)]
mod tests {
    use super::*;

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
