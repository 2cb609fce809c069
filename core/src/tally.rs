//! How many bytes of packets this crate copied and summed, in the whole process: for who measures
//! (feature `tally`). Without it the calls are nothing.
#[cfg(feature = "tally")]
use core::sync::atomic::{AtomicUsize, Ordering};

#[cfg(feature = "tally")]
static COPIED: AtomicUsize = AtomicUsize::new(0);
#[cfg(feature = "tally")]
static SUMMED: AtomicUsize = AtomicUsize::new(0);

/// `len` bytes of a packet were copied.
#[inline]
pub(crate) fn copied(len: usize) {
    #[cfg(feature = "tally")]
    COPIED.fetch_add(len, Ordering::Relaxed);
    let _ = len;
}

/// `len` bytes went into a checksum.
#[inline]
pub(crate) fn summed(len: usize) {
    #[cfg(feature = "tally")]
    SUMMED.fetch_add(len, Ordering::Relaxed);
    let _ = len;
}

/// Bytes copied from, to and within packet buffers, and bytes that went into checksums, since the
/// process began. Both wrap.
#[cfg(feature = "tally")]
pub fn tally() -> (usize, usize) {
    (
        COPIED.load(Ordering::Relaxed),
        SUMMED.load(Ordering::Relaxed),
    )
}
