//! A token bucket: so many messages a second, with bursts of as many; no timer needed.
use crate::time::Instant;

/// Millionths of a message, so that microseconds refill whole numbers.
const ONE: u64 = 1_000_000;

/// Messages that may be sent now.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Bucket {
    credit: u64,
    filled: Instant,
    per_second: u16,
}

impl Bucket {
    /// A full bucket.
    pub(crate) fn new(per_second: u16) -> Self {
        Self {
            credit: u64::from(per_second) * ONE,
            filled: Instant::ZERO,
            per_second,
        }
    }

    /// Whether one more message may be sent, which then costs `cost` messages, or what is left.
    pub(crate) fn take(&mut self, now: Instant, cost: u64) -> bool {
        let rate = u64::from(self.per_second);
        let passed = now.saturating_since(self.filled).as_micros();
        let passed = u64::try_from(passed).unwrap_or(u64::MAX);
        self.filled = self.filled.max(now);
        self.credit = passed
            .saturating_mul(rate)
            .saturating_add(self.credit)
            .min(rate * ONE);
        let allowed = self.credit >= ONE;
        if allowed {
            self.credit = self.credit.saturating_sub(cost.saturating_mul(ONE));
        }
        allowed
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use core::time::Duration;

    fn taken(bucket: &mut Bucket, at: Instant) -> usize {
        (0..1000).filter(|_| bucket.take(at, 1)).count()
    }

    #[test]
    fn so_many_a_second_and_a_burst() {
        let mut bucket = Bucket::new(10);
        let start = Instant::from_millis(5_000);
        assert_eq!(taken(&mut bucket, start), 10);
        assert_eq!(taken(&mut bucket, start + Duration::from_millis(99)), 0);
        assert_eq!(taken(&mut bucket, start + Duration::from_millis(100)), 1);
        assert_eq!(taken(&mut bucket, start + Duration::from_secs(3600)), 10);
        assert_eq!(taken(&mut Bucket::new(0), start), 0);
    }
}
