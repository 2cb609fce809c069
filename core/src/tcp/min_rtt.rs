//! The shortest round-trip time of the last minutes (RFC 8985 §6.2.1, "windowed min-filter").
use crate::time::{Instant, Span};

/// A route that became longer is believed after so long.
const WINDOW: Span = Span::from_secs(300);
const HALF: Span = WINDOW.part(2);

/// The minimum of one window and of the half of it that is newer.
#[derive(Clone, Copy, Debug)]
pub(crate) struct MinRtt {
    best: Option<(Span, Instant)>,
    next: Option<(Span, Instant)>,
}

impl MinRtt {
    pub(crate) const NEW: Self = Self {
        best: None,
        next: None,
    };

    pub(crate) fn value(&self) -> Option<Span> {
        self.best.map(|(rtt, _)| rtt)
    }

    /// Takes a measurement.
    pub(crate) fn measured(&mut self, rtt: Span, now: Instant) {
        let sample = Some((rtt, now));
        if self.best.is_none_or(|(best, _)| rtt <= best) {
            (self.best, self.next) = (sample, None);
            return;
        }
        let old = |at: Instant, limit: Span| now.since(at) > limit;
        // The second best is from the newer half of the window, so that it can take over.
        if self
            .next
            .is_none_or(|(next, at)| rtt <= next || old(at, HALF))
            && self.best.is_some_and(|(_, at)| old(at, HALF))
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
        let ms = Span::from_millis;
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
