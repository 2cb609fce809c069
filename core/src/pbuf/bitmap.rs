//! Which slots of a pool are in use, and how many handles a block has: the two concurrent
//! algorithms of the crate. No `unsafe` is in here, so loom can check both as plain logic
//! (`tests/loom.rs`); what a slot or block *is* belongs to `pool`.
#![cfg_attr(
    not(loom),
    allow(
        unreachable_pub,
        reason = "public for the models, where this module is"
    )
)]
use core::num::NonZeroU32;

use super::sync::{AtomicU16, AtomicU32, Ordering, fence};

/// The most slots a [`Bitmap`] can have, and so the most blocks or descriptors of a pool.
pub const MAX_SLOTS: usize = u16::MAX as usize;

const WORD_BITS: usize = 32;

/// How many [`Word`]s a bitmap of `slots` slots needs.
pub const fn words(slots: usize) -> usize {
    slots.div_ceil(WORD_BITS)
}

/// 32 slots of a bitmap: a set bit is a slot in use.
#[derive(Debug)]
pub struct Word(AtomicU32);

impl Word {
    /// All slots free.
    #[cfg(not(loom))]
    #[allow(clippy::new_without_default, reason = "for statics only")]
    pub const fn new() -> Self {
        Self(AtomicU32::new(0))
    }

    /// All slots free (loom's atomics are not const-constructible).
    #[cfg(loom)]
    #[allow(clippy::new_without_default, reason = "for models only")]
    pub fn new() -> Self {
        Self(AtomicU32::new(0))
    }
}

/// A lock-free slot allocator, which gives the lowest free slot.
///
/// The all-zero state is "everything free", so its words cost no initialiser in flash. A free list
/// would have to read a link from a slot that another thread may own by then; here there is no
/// link, hence no ABA problem and no tag: one compare-exchange takes a slot, one fetch-and returns
/// it, from any thread or interrupt handler.
///
/// Nothing is counted on the way: slots in use are the set bits. When a slot is given, all below
/// it are in use; so the most that were ever in use are those up to the highest ever given.
#[derive(Debug)]
pub struct Bitmap {
    words: &'static [Word],
    slots: u16,
    /// One more than the highest slot that was ever given.
    peak: AtomicU32,
    /// No word before this one has a free slot: where a search starts. Only a hint, any value is
    /// correct; between two threads it may pass over a slot just returned, which the search of all
    /// words finds, and then the slot given is not the lowest.
    hint: AtomicU32,
}

macro_rules! bitmap_new {
    ($($const:tt)?) => {
        /// A bitmap of `slots` slots, all free; `words` must be new and used by no other bitmap.
        ///
        /// # Panics
        ///
        /// If `slots` exceeds [`MAX_SLOTS`] or `words` is too short; for a static, at compile time.
        pub $($const)? fn new(words: &'static [Word], slots: usize) -> Self {
            assert!(slots <= MAX_SLOTS, "too many slots for one pool");
            assert!(words.len() >= self::words(slots), "too few words for the slots");
            Self {
                words,
                slots: slots as u16,
                peak: AtomicU32::new(0),
                hint: AtomicU32::new(0),
            }
        }
    };
}

impl Bitmap {
    #[cfg(not(loom))]
    bitmap_new!(const);
    #[cfg(loom)]
    bitmap_new!();

    /// Takes a free slot, or `None` when all are in use.
    ///
    /// The acquire edge pairs with the release in [`Bitmap::release`], so the new owner sees
    /// everything the previous one did to the slot.
    pub fn take(&self) -> Option<u16> {
        self.take_again().or_else(|| self.search())
    }

    /// As [`Bitmap::take`], if the slot is to be had at once: one where a search starts that was
    /// given before.
    #[inline]
    pub fn take_again(&self) -> Option<u16> {
        let start = self.hint.load(Ordering::Relaxed) as usize;
        self.take_in(start, self.peak())
    }

    /// Takes a free slot of any word, those behind the hint first.
    #[cold]
    fn search(&self) -> Option<u16> {
        let count = words(self.slots());
        let start = (self.hint.load(Ordering::Relaxed) as usize).min(count);
        let (at, index) = (start..count)
            .chain(0..start)
            .find_map(|at| Some((at, self.take_in(at, self.slots())?)))?;
        self.hint.store(at as u32, Ordering::Relaxed);
        self.peak.fetch_max(u32::from(index) + 1, Ordering::Relaxed);
        Some(index)
    }

    /// Takes a free slot of word `at` below `limit`, which is not more than there are.
    #[inline]
    fn take_in(&self, at: usize, limit: usize) -> Option<u16> {
        let word = &self.words.get(at)?.0;
        let mut used = word.load(Ordering::Relaxed);
        loop {
            let bit = NonZeroU32::new(!used)?.trailing_zeros() as usize;
            let index = at * WORD_BITS + bit;
            // The lowest free bit: not below the limit only if no slot below it is free here.
            if index >= limit {
                return None;
            }
            match word.compare_exchange_weak(
                used,
                used | (1 << bit),
                Ordering::Acquire,
                Ordering::Relaxed,
            ) {
                // Below the number of slots, which is a u16.
                Ok(_) => return Some(index as u16),
                Err(now) => used = now,
            }
        }
    }

    /// Returns slot `index`, which the caller got from [`Bitmap::take`] and has not returned yet.
    #[inline]
    pub fn release(&self, index: u16) {
        let (at, bit) = (
            usize::from(index) / WORD_BITS,
            1 << (usize::from(index) % WORD_BITS),
        );
        let Some(word) = self.words.get(at) else {
            return;
        };
        let was = word.0.fetch_and(!bit, Ordering::Release);
        debug_assert!(was & bit != 0, "slot {index} released twice");
        if (at as u32) < self.hint.load(Ordering::Relaxed) {
            self.hint.store(at as u32, Ordering::Relaxed);
        }
    }

    /// Number of slots.
    pub fn slots(&self) -> usize {
        self.slots.into()
    }

    /// Slots in use right now; those that others take or return meanwhile may be seen or not.
    pub fn in_use(&self) -> usize {
        let set = |word: &Word| word.0.load(Ordering::Relaxed).count_ones() as usize;
        self.words.iter().map(set).sum()
    }

    /// The most slots that were ever in use at once; perhaps a few more if several threads have
    /// taken and returned some at the same time.
    pub fn peak(&self) -> usize {
        self.peak.load(Ordering::Relaxed) as usize
    }
}

/// Number of handles to one storage block; the protocol is that of `Arc`.
#[derive(Debug)]
pub struct RefCount(AtomicU16);

impl RefCount {
    /// A block nobody holds.
    #[cfg(not(loom))]
    pub const fn zero() -> Self {
        Self(AtomicU16::new(0))
    }

    /// A block nobody holds.
    #[cfg(loom)]
    pub fn zero() -> Self {
        Self(AtomicU16::new(0))
    }

    /// First handle; the caller has just taken the slot, so nobody else looks.
    pub fn start(&self) {
        self.0.store(1, Ordering::Relaxed);
    }

    /// Second handle; the caller has the only one, and to itself, so nobody else counts meanwhile.
    #[inline]
    pub fn start_second(&self) {
        // Relaxed for the reason `acquire` has.
        self.0.store(2, Ordering::Relaxed);
    }

    /// One more handle, made from an existing one; `false` if 65,535 exist already.
    #[must_use]
    pub fn acquire(&self) -> bool {
        // Relaxed, as in `Arc`: the new handle reaches another thread only by a synchronised way.
        self.0
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |count| {
                count.checked_add(1)
            })
            .is_ok()
    }

    /// Gives a handle up; `true` means it was the last and the block is free.
    #[must_use]
    #[inline]
    pub fn release(&self) -> bool {
        // The only handle is the caller's, and handles are made from handles: nobody else can
        // count up or down any more. The acquire load sees what all earlier owners did before
        // their release, as the fence below would; the count is set anew with the next start.
        if self.is_unique() {
            return true;
        }
        if self.0.fetch_sub(1, Ordering::Release) != 1 {
            return false;
        }
        fence(Ordering::Acquire);
        true
    }

    /// Whether the one handle the caller holds is the only one.
    #[inline]
    pub fn is_unique(&self) -> bool {
        self.0.load(Ordering::Acquire) == 1
    }
}
