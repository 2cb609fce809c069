//! Lock-free slot allocator and reference count: the two concurrent algorithms
//! of this crate, free of `unsafe` and therefore checkable as plain logic.
use super::sync::{AtomicU16, AtomicU32, Ordering, fence};

/// Largest number of slots one pool may have.
pub const MAX_SLOTS: usize = 128;
const WORDS: usize = MAX_SLOTS / 32;

/// Which slots of a pool are in use.
///
/// A set bit is a slot in use, so the all-zero state is "everything free" and a
/// pool costs no initialiser in flash. Unlike a Treiber free list there is no
/// link to read from a slot another thread may own, hence no ABA problem and no
/// tag: one CAS takes a slot, one `fetch_and` returns it, from any thread or ISR.
#[derive(Debug)]
pub struct Bitmap {
    used: [AtomicU32; WORDS],
}

impl Bitmap {
    /// All slots free.
    #[cfg(not(loom))]
    pub const fn new() -> Self {
        Self {
            used: [const { AtomicU32::new(0) }; WORDS],
        }
    }

    /// All slots free (loom atomics are not const-constructible).
    #[cfg(loom)]
    pub fn new() -> Self {
        Self {
            used: core::array::from_fn(|_| AtomicU32::new(0)),
        }
    }

    /// Takes a free slot below `limit`, or `None` when all are in use.
    ///
    /// The acquire edge pairs with the release in [`Bitmap::release`], so the
    /// new owner sees everything the previous one did to the slot.
    pub fn take(&self, limit: usize) -> Option<usize> {
        for (w, word) in self.used.iter().enumerate().take(limit.div_ceil(32)) {
            let in_word = (limit - w * 32).min(32);
            let valid = (((1u64 << in_word) - 1) & 0xffff_ffff) as u32;
            let mut used = word.load(Ordering::Relaxed);
            while !used & valid != 0 {
                let bit = (!used & valid).trailing_zeros();
                match word.compare_exchange_weak(
                    used,
                    used | (1 << bit),
                    Ordering::Acquire,
                    Ordering::Relaxed,
                ) {
                    Ok(_) => return Some(w * 32 + bit as usize),
                    Err(now) => used = now,
                }
            }
        }
        None
    }

    /// Returns slot `index`, which the caller got from [`Bitmap::take`].
    pub fn release(&self, index: usize) {
        let bit = 1 << (index % 32);
        let was = self.used[index / 32].fetch_and(!bit, Ordering::Release);
        debug_assert!(was & bit != 0, "slot {index} released twice");
    }

    /// Slots in use right now.
    pub fn in_use(&self) -> usize {
        self.used
            .iter()
            .map(|w| w.load(Ordering::Relaxed).count_ones() as usize)
            .sum()
    }
}

impl Default for Bitmap {
    fn default() -> Self {
        Self::new()
    }
}

/// Number of handles to one storage block; the protocol is `Arc`'s.
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

    /// One more handle, made from an existing one.
    ///
    /// # Panics
    ///
    /// On the 65535th handle: a leak so large that continuing would be unsound.
    pub fn acquire(&self) {
        let was = self.0.fetch_add(1, Ordering::Relaxed);
        assert!(was < u16::MAX - 1, "too many references to one buffer");
    }

    /// Gives a handle up; `true` means it was the last and the block is free.
    #[must_use]
    pub fn release(&self) -> bool {
        if self.0.fetch_sub(1, Ordering::Release) != 1 {
            return false;
        }
        fence(Ordering::Acquire);
        true
    }

    /// Whether the one handle the caller holds is the only one.
    pub fn is_unique(&self) -> bool {
        self.0.load(Ordering::Acquire) == 1
    }
}
