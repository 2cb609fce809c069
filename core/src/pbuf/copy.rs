//! The one copy of payload: the platform's `memcpy` where that is good, else a routine of our own.
//!
//! On a Cortex-M, Rust links one of its own, which takes five instructions for four bytes of
//! aligned data and thirteen if source and destination are apart by less than a word.
use crate::tally;

/// Copies as much as both hold.
pub(super) fn copy(from: &[u8], to: &mut [u8]) {
    let len = from.len().min(to.len());
    if let (Some(from), Some(to)) = (from.get(..len), to.get_mut(..len)) {
        routine(from, to);
        tally::copied(len);
    }
}

/// Copies between slices of the same length.
#[cfg(not(thumb2))]
#[inline]
fn routine(from: &[u8], to: &mut [u8]) {
    to.copy_from_slice(from);
}

#[cfg(thumb2)]
use super::thumb2::copy as routine;
