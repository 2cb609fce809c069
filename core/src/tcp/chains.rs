//! A hash table threaded through the elements of another table: element `b` lends the head of
//! chain `b` and keeps the link of its own, so that a look-up costs the same however many elements
//! there are, and needs no storage of its own. Whoever files something chooses a hash that
//! strangers cannot foresee.
use super::list::NONE;

/// What an element keeps for a table of chains.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Chained {
    /// The first element of the chain with this element's number.
    head: u16,
    /// The next element of the chain this element is in.
    next: u16,
    hash: u32,
    /// How many are in the chain with this element's number.
    len: u16,
}

impl Chained {
    pub(crate) const UNUSED: Self = Self {
        head: NONE,
        next: NONE,
        hash: 0,
        len: 0,
    };

    /// The link of an element that is in no chain, for other use.
    pub(crate) fn link_mut(&mut self) -> &mut u16 {
        &mut self.next
    }
}

/// How the chains of one kind run through elements of type `T`.
pub(crate) struct Chains<T> {
    pub(crate) part: fn(&T) -> &Chained,
    pub(crate) part_mut: fn(&mut T) -> &mut Chained,
}

impl<T> Chains<T> {
    /// Files element `index`, which is in no chain, under `hash`.
    pub(crate) fn insert(&self, all: &mut [T], index: u16, hash: u32) {
        let Some(bucket) = bucket(all, hash) else {
            return;
        };
        let Some(head) = all.get_mut(bucket).map(self.part_mut) else {
            return;
        };
        head.len += 1;
        let next = core::mem::replace(&mut head.head, index);
        if let Some(own) = all.get_mut(usize::from(index)).map(self.part_mut) {
            (own.next, own.hash) = (next, hash);
        }
    }

    /// Takes element `index` out of the chain it is in.
    pub(crate) fn remove(&self, all: &mut [T], index: u16) {
        let Some(own) = all.get_mut(usize::from(index)).map(self.part_mut) else {
            return;
        };
        let (hash, next) = (own.hash, core::mem::replace(&mut own.next, NONE));
        let Some(bucket) = bucket(all, hash) else {
            return;
        };
        let Some(first) = all.get_mut(bucket).map(self.part_mut) else {
            return;
        };
        first.len = first.len.saturating_sub(1);
        if first.head == index {
            first.head = next;
            return;
        }
        let mut at = first.head;
        while let Some(element) = all.get_mut(usize::from(at)).map(self.part_mut) {
            if element.next == index {
                element.next = next;
                return;
            }
            at = element.next;
        }
    }

    /// How many elements are filed under `hash` or one that shares its chain.
    pub(crate) fn len(&self, all: &[T], hash: u32) -> usize {
        let first = bucket(all, hash).and_then(|bucket| all.get(bucket));
        first.map_or(0, |element| (self.part)(element).len.into())
    }

    /// The elements filed under `hash` or one that shares its chain, the last one filed first.
    pub(crate) fn walk<'a>(&self, all: &'a [T], hash: u32) -> Walk<'a, T> {
        let first = bucket(all, hash).and_then(|bucket| all.get(bucket));
        Walk {
            all,
            at: first.map_or(NONE, |element| (self.part)(element).head),
            part: self.part,
        }
    }
}

fn bucket<T>(all: &[T], hash: u32) -> Option<usize> {
    (hash as usize).checked_rem(all.len())
}

/// See [`Chains::walk`].
pub(crate) struct Walk<'a, T> {
    all: &'a [T],
    at: u16,
    part: fn(&T) -> &Chained,
}

impl<'a, T> Iterator for Walk<'a, T> {
    type Item = (u16, &'a T);

    fn next(&mut self) -> Option<Self::Item> {
        let index = self.at;
        let element = self.all.get(usize::from(index))?;
        self.at = (self.part)(element).next;
        Some((index, element))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PLAIN: Chains<Chained> = Chains {
        part: |own| own,
        part_mut: |own| own,
    };

    fn under(all: &[Chained], hash: u32) -> Vec<u16> {
        let same = |found: &(u16, &Chained)| found.1.hash == hash;
        PLAIN.walk(all, hash).filter(same).map(|(i, _)| i).collect()
    }

    #[test]
    fn what_is_filed_is_found_until_it_is_taken_out() {
        let mut all = [Chained::UNUSED; 5];
        // 7, 12 and 2 share a chain.
        for (index, hash) in [(0, 7), (3, 12), (2, 7), (4, 2), (1, 9)] {
            PLAIN.insert(&mut all, index, hash);
        }
        assert_eq!(under(&all, 7), [2, 0]);
        assert_eq!([2, 9, 1].map(|hash| PLAIN.len(&all, hash)), [4, 1, 0]);
        for (taken, left) in [(3, vec![2, 0]), (2, vec![0]), (0, vec![])] {
            PLAIN.remove(&mut all, taken);
            assert_eq!(under(&all, 7), left);
            assert_eq!(under(&all, 2), [4]);
            assert_eq!(under(&all, 9), [1]);
        }
        assert_eq!(PLAIN.len(&all, 7), 1);
    }

    #[test]
    fn a_table_without_elements_finds_nothing() {
        PLAIN.insert(&mut [], 0, 7);
        PLAIN.remove(&mut [], 0);
        assert_eq!(PLAIN.walk(&[], 7).count(), 0);
    }
}
