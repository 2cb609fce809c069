//! The shortest round-trip time of the last minutes (RFC 8985 §6.2.1, "windowed min-filter").
use core::time::Duration;

use crate::time::Instant;

/// A route that became longer is believed after so long.
const WINDOW: Duration = Duration::from_secs(300);

/// The minimum of one window and of the half of it that is newer.
#[derive(Clone, Copy, Debug)]
pub(crate) struct MinRtt {
    best: Option<(Duration, Instant)>,
    next: Option<(Duration, Instant)>,
}

impl MinRtt {
    pub(crate) const NEW: Self = Self {
        best: None,
        next: None,
    };

    pub(crate) fn value(&self) -> Option<Duration> {
        self.best.map(|(rtt, _)| rtt)
    }

    /// Takes a measurement.
    pub(crate) fn measured(&mut self, rtt: Duration, now: Instant) {
        let sample = Some((rtt, now));
        if self.best.is_none_or(|(best, _)| rtt <= best) {
            (self.best, self.next) = (sample, None);
            return;
        }
        let old = |at: Instant, limit: Duration| now.saturating_since(at) > limit;
        // The second best is from the newer half of the window, so that it can take over.
        if self
            .next
            .is_none_or(|(next, at)| rtt <= next || old(at, WINDOW / 2))
            && self.best.is_some_and(|(_, at)| old(at, WINDOW / 2))
        {
            self.next = sample;
        }
        if self.best.is_some_and(|(_, at)| old(at, WINDOW)) {
            self.best = self.next.take().or(sample);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_minimum_holds_for_five_minutes() {
        let mut min = MinRtt::NEW;
        let at = |seconds: u64| Instant::from_millis(seconds * 1_000);
        let ms = Duration::from_millis;
        min.measured(ms(10), at(0));
        min.measured(ms(20), at(1));
        assert_eq!(min.value(), Some(ms(10)));
        min.measured(ms(30), at(200));
        min.measured(ms(25), at(250));
        assert_eq!(min.value(), Some(ms(10)));
        min.measured(ms(40), at(301));
        assert_eq!(min.value(), Some(ms(25)));
        min.measured(ms(5), at(302));
        assert_eq!(min.value(), Some(ms(5)));
    }
}
