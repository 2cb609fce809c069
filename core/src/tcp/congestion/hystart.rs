//! HyStart++: leaving slow start before the queue overflows, when the round-trip time grows
//! (RFC 9406).
use crate::time::Span;
use crate::wire::tcp::SeqNum;

use super::Acked;

/// RFC 9406 §4.3.
const MIN_RTT_THRESH: Span = Span::from_millis(4);
const MAX_RTT_THRESH: Span = Span::from_millis(16);
const MIN_RTT_DIVISOR: u32 = 8;
const N_RTT_SAMPLE: u8 = 8;
const CSS_GROWTH_DIVISOR: u32 = 4;
const CSS_ROUNDS: u8 = 5;

/// The phases of RFC 9406 §4.2.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    SlowStart,
    /// Conservative slow start: so many rounds, and the round-trip time it began with.
    Conservative {
        rounds: u8,
        baseline: Span,
    },
}

/// The state of one slow start.
#[derive(Clone, Debug)]
pub(crate) struct HyStart {
    /// RFC 9406 §4.2 "windowEnd": the round ends when this is acknowledged.
    window_end: Option<SeqNum>,
    last_round: Option<Span>,
    this_round: Option<Span>,
    samples: u8,
    phase: Phase,
}

/// What slow start does with an acknowledgement.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Step {
    /// Grow by all of it.
    Full,
    /// Grow by a part: the divisor.
    Part(u32),
    /// Slow start is over.
    Done,
}

impl HyStart {
    pub(crate) const NEW: Self = Self {
        window_end: None,
        last_round: None,
        this_round: None,
        samples: 0,
        phase: Phase::SlowStart,
    };

    /// RFC 9406 §4.2, for each acknowledgement in slow start.
    pub(crate) fn acked(&mut self, acked: &Acked) -> Step {
        let round_over = self.window_end.is_none_or(|end| acked.una.after_eq(end));
        if round_over {
            self.window_end = Some(acked.nxt);
            self.last_round = self.this_round.take();
            self.samples = 0;
            if let Phase::Conservative { rounds, baseline } = self.phase {
                let rounds = rounds + 1;
                if rounds >= CSS_ROUNDS {
                    return Step::Done;
                }
                self.phase = Phase::Conservative { rounds, baseline };
            }
        }
        if let Some(rtt) = acked.rtt {
            self.this_round = Some(self.this_round.map_or(rtt, |least| least.min(rtt)));
            self.samples = self.samples.saturating_add(1);
        }
        if self.samples >= N_RTT_SAMPLE {
            self.compare();
        }
        match self.phase {
            Phase::SlowStart => Step::Full,
            Phase::Conservative { .. } => Step::Part(CSS_GROWTH_DIVISOR),
        }
    }

    fn compare(&mut self) {
        let (Some(this), Some(last)) = (self.this_round, self.last_round) else {
            return;
        };
        match self.phase {
            Phase::SlowStart => {
                let threshold = last
                    .part(MIN_RTT_DIVISOR)
                    .clamp(MIN_RTT_THRESH, MAX_RTT_THRESH);
                if this >= last.saturating_add(threshold) {
                    self.phase = Phase::Conservative {
                        rounds: 0,
                        baseline: this,
                    };
                }
            }
            // The growth was a passing matter: back to slow start.
            Phase::Conservative { baseline, .. } if this < baseline => {
                self.phase = Phase::SlowStart;
            }
            Phase::Conservative { .. } => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::time::Instant;

    /// One round: ten acknowledgements with these round-trip times.
    fn round(hystart: &mut HyStart, n: u32, ms: u32) -> Step {
        let mut last = Step::Full;
        for i in 0..10 {
            let acked = Acked {
                now: Instant::ZERO,
                bytes: 1000,
                mss: 1000,
                una: SeqNum(n * 10 + i),
                nxt: SeqNum(n * 10 + 10),
                rtt: Some(Span::from_millis(ms)),
                srtt: Span::from_millis(ms),
            };
            last = hystart.acked(&acked);
            if last == Step::Done {
                return last;
            }
        }
        last
    }

    #[test]
    fn a_growing_round_trip_time_slows_slow_start_and_ends_it_after_five_rounds() {
        let mut hystart = HyStart::NEW;
        assert_eq!(round(&mut hystart, 0, 40), Step::Full);
        // An eighth of 40 ms is 5 ms.
        assert_eq!(round(&mut hystart, 1, 44), Step::Full);
        assert_eq!(round(&mut hystart, 2, 50), Step::Part(4));
        for n in 3..7 {
            assert_eq!(round(&mut hystart, n, 50), Step::Part(4));
        }
        assert_eq!(round(&mut hystart, 7, 50), Step::Done);
    }

    #[test]
    fn a_passing_growth_is_forgiven() {
        let mut hystart = HyStart::NEW;
        round(&mut hystart, 0, 40);
        assert_eq!(round(&mut hystart, 1, 60), Step::Part(4));
        assert_eq!(round(&mut hystart, 2, 41), Step::Full);
    }
}
