//! A moment in 32 bits, for the records of what was sent: microseconds that wrap after 71 minutes.
use crate::time::{Instant, Span};

/// When a segment was sent. Of two stamps more than 35 minutes apart the order is lost; nothing
/// stays unacknowledged that long without having been sent again.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Stamp(u32);

impl Stamp {
    pub(crate) const ZERO: Self = Self(0);

    /// The moment `at`.
    pub(crate) const fn of(at: Instant) -> Self {
        // Wraps by intention.
        Self(at.as_micros() as u32)
    }

    /// How long ago this was at `now`; nothing if it seems to lie ahead.
    pub(crate) const fn age(self, now: Instant) -> Span {
        Self::of(now).since(self)
    }

    /// Time from `earlier` to this; nothing if `earlier` is later.
    pub(crate) const fn since(self, earlier: Self) -> Span {
        let micros = self.0.wrapping_sub(earlier.0) as i32;
        Span::from_micros(if micros < 0 { 0 } else { micros as u32 })
    }

    /// Whether this is later than `other`.
    pub(crate) const fn after(self, other: Self) -> bool {
        (self.0.wrapping_sub(other.0) as i32) > 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn order_and_age_survive_the_wrap() {
        let before = Instant::from_micros((1 << 32) - 5);
        let after = Instant::from_micros((1 << 32) + 5);
        let (a, b) = (Stamp::of(before), Stamp::of(after));
        assert!(b.after(a) && !a.after(b) && !a.after(a));
        assert_eq!(a.age(after), Span::from_micros(10));
        assert_eq!(b.age(before), Span::ZERO);
    }
}
