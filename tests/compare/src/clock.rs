//! What all stacks share: virtual time, and how the applications cut their data.
use core::time::Duration;

use crate::cell::MSS;

/// Virtual time that passes while each side gets one turn.
pub const TICK_US: Duration = Duration::from_micros(10);

/// Bytes of one write of a bulk transfer: whole segments, some of which fit the send buffer.
pub fn piece(window: usize) -> usize {
    let mss = MSS as usize;
    mss * (window / mss / 8).clamp(1, 4)
}
