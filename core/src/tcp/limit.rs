//! A token bucket: so many a second, no timer needed.
use crate::time::{Instant, Span};

/// Counts what was allowed in the current second.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Limiter {
    since: Instant,
    spent: u16,
}

impl Limiter {
    /// Nothing spent.
    pub(crate) const FULL: Self = Self {
        since: Instant::ZERO,
        spent: 0,
    };

    /// Whether one more is allowed at `now`, of `per_second`.
    pub(crate) fn allow(&mut self, now: Instant, per_second: u16) -> bool {
        if now.since(self.since) >= Span::from_secs(1) {
            *self = Self {
                since: now,
                spent: 0,
            };
        }
        let allowed = self.spent < per_second;
        self.spent += u16::from(allowed);
        allowed
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use core::time::Duration;

    #[test]
    fn so_many_are_allowed_each_second() {
        let mut limiter = Limiter::FULL;
        let start = Instant::from_millis(5_000);
        let in_a_second =
            |limiter: &mut Limiter, at: Instant| (0..100).filter(|_| limiter.allow(at, 10)).count();
        assert_eq!(in_a_second(&mut limiter, start), 10);
        assert_eq!(
            in_a_second(&mut limiter, start + Duration::from_millis(999)),
            0
        );
        assert_eq!(
            in_a_second(&mut limiter, start + Duration::from_millis(1_000)),
            10
        );
    }
}
