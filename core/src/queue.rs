//! A bounded FIFO in slots that the user gave: a ring. What its entries are, and whose they are, is
//! the business of who keeps it.

/// Storage of one entry.
pub(crate) trait Entry {
    type Item;

    fn place(&mut self) -> &mut Option<Self::Item>;
}

/// `len` slots from `head` on, around the end, are occupied.
#[derive(Debug)]
pub(crate) struct Queue<S: 'static> {
    slots: &'static mut [S],
    head: usize,
    len: usize,
}

impl<S: Entry> Queue<S> {
    pub(crate) fn new(slots: &'static mut [S]) -> Self {
        Self {
            slots,
            head: 0,
            len: 0,
        }
    }

    #[cfg(any(feature = "raw", feature = "packet"))]
    pub(crate) fn capacity(&self) -> usize {
        self.slots.len()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.len == 0
    }

    pub(crate) fn is_full(&self) -> bool {
        self.len == self.slots.len()
    }

    /// Appends; gives it back if the queue is full.
    #[inline]
    pub(crate) fn push(&mut self, item: S::Item) -> Result<(), S::Item> {
        if self.is_full() {
            return Err(item);
        }
        let Some(slot) = self.at(self.len) else {
            return Err(item);
        };
        *slot = Some(item);
        self.len += 1;
        Ok(())
    }

    #[inline]
    pub(crate) fn pop(&mut self) -> Option<S::Item> {
        if self.len == 0 {
            return None;
        }
        let first = self.at(0)?.take();
        self.head = self.wrapped(self.head + 1);
        self.len -= 1;
        first
    }

    /// Drops what `keep` does not want; the order stays.
    pub(crate) fn retain(&mut self, mut keep: impl FnMut(&S::Item) -> bool) {
        let mut kept = 0;
        for n in 0..self.len {
            let Some(item) = self.at(n).and_then(Option::take) else {
                continue;
            };
            if keep(&item)
                && let Some(slot) = self.at(kept)
            {
                *slot = Some(item);
                kept += 1;
            }
        }
        self.len = kept;
    }

    /// A number of at most twice the slots, around the end.
    fn wrapped(&self, index: usize) -> usize {
        index.checked_sub(self.slots.len()).unwrap_or(index)
    }

    /// The `n`-th slot from the front; `n` is not more than there are.
    fn at(&mut self, n: usize) -> Option<&mut Option<S::Item>> {
        let index = self.wrapped(self.head + n);
        self.slots.get_mut(index).map(Entry::place)
    }
}
