//! Pacing: not before its time does the next segment leave. A deadline, not a thread: the timer
//! table wakes the connection.
use crate::time::{Instant, Span};

/// Bursts are worth so much time of the rate, so that a wake-up sends more than one segment.
const BURST: Span = Span::from_millis(1);

/// When the next segment may leave.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Pacing {
    /// Bytes per second; `None`: no limit.
    rate: Option<u64>,
    /// When what was sent is paid for.
    next: Instant,
    /// Nothing leaves before `next`.
    blocked: bool,
}

impl Pacing {
    pub(crate) const OFF: Self = Self {
        rate: None,
        next: Instant::ZERO,
        blocked: false,
    };

    /// Whether there is a rate.
    pub(crate) const fn has_rate(&self) -> bool {
        self.rate.is_some()
    }

    /// Sets the rate in bytes per second.
    pub(crate) fn set_rate(&mut self, rate: Option<u64>) {
        self.rate = rate.map(|rate| rate.max(1));
        if rate.is_none() {
            self.blocked = false;
        }
    }

    /// Whether the next segment has to wait.
    pub(crate) const fn is_blocked(&self) -> bool {
        self.blocked
    }

    /// When it may leave, if it has to wait.
    pub(crate) fn deadline(&self) -> Option<Instant> {
        self.blocked.then_some(self.next)
    }

    /// It is `now`.
    pub(crate) fn refresh(&mut self, now: Instant) {
        self.blocked &= self.next > now;
    }

    /// `len` bytes are sent; bursts may be two segments of `mss` in any case.
    pub(crate) fn sent(&mut self, now: Instant, len: u32, mss: u32) {
        let Some(rate) = self.rate else { return };
        self.next = self.next.max(now) + time_for(len, rate);
        let burst = BURST.max(time_for(2 * mss, rate));
        self.blocked = self.next >= now + burst;
    }
}

fn time_for(len: u32, rate: u64) -> Span {
    Span::saturated(u64::from(len) * 1_000_000 / rate)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_sends_what_the_rate_says() {
        let mut pacing = Pacing::OFF;
        pacing.set_rate(Some(1_000_000));
        let (mut now, mut sent) = (Instant::from_millis(1_000), 0);
        while now < Instant::from_millis(2_000) {
            while !pacing.is_blocked() {
                pacing.sent(now, 1_000, 1_000);
                sent += 1_000;
            }
            now = pacing.deadline().expect("blocked");
            pacing.refresh(now);
            assert!(!pacing.is_blocked());
        }
        assert!((1_000_000..1_003_000).contains(&sent), "{sent}");
    }

    #[test]
    fn without_a_rate_nothing_waits() {
        let mut pacing = Pacing::OFF;
        pacing.sent(Instant::ZERO, u32::MAX, 1);
        assert!(!pacing.is_blocked());
    }
}
