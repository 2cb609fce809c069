//! NewReno: slow start, congestion avoidance with appropriate byte counting (RFC 5681, RFC 3465)
//! and the window arithmetic of fast recovery (RFC 6582). When to retransmit is decided in
//! `retransmit`.
use super::{Again, initial_window};

/// Largest window; keeps all sums below 2^32.
const MAX_CWND: u32 = 1 << 30;

#[derive(Clone, Debug)]
pub(crate) struct NewReno {
    cwnd: u32,
    ssthresh: u32,
    /// Bytes acknowledged towards the next increase in congestion avoidance.
    counted: u32,
}

impl NewReno {
    pub(super) const UNUSED: Self = Self {
        cwnd: 0,
        ssthresh: MAX_CWND,
        counted: 0,
    };

    pub(super) const fn new(mss: u32) -> Self {
        // RFC 5681 §3.1: ssthresh is arbitrarily high at first.
        Self {
            cwnd: initial_window(mss),
            ssthresh: MAX_CWND,
            counted: 0,
        }
    }

    pub(super) const fn cwnd(&self) -> u32 {
        self.cwnd
    }

    pub(super) const fn ssthresh(&self) -> u32 {
        self.ssthresh
    }

    pub(super) fn acked(&mut self, acked: u32, mss: u32) {
        if self.cwnd < self.ssthresh {
            // RFC 3465 §2.2: at most L = 2 segments for each acknowledgement, so that splitting
            // acknowledgements gains a dishonest receiver nothing.
            self.grow(acked.min(2 * mss));
            return;
        }
        // RFC 3465 §2.1: one segment for each window's worth of acknowledged bytes.
        self.counted = self.counted.saturating_add(acked);
        if self.counted >= self.cwnd {
            self.counted -= self.cwnd;
            self.grow(mss);
        }
    }

    pub(super) fn enter_recovery(&mut self, flight: u32, mss: u32) {
        // RFC 5681 §3.2 (2) and (3): equation (4), inflated by the three segments that left.
        self.ssthresh = (flight / 2).max(2 * mss);
        self.cwnd = self.ssthresh;
        self.counted = 0;
        self.grow(3 * mss);
    }

    pub(super) fn duplicate_in_recovery(&mut self, mss: u32) {
        // RFC 5681 §3.2 (4).
        self.grow(mss);
    }

    pub(super) fn partial_ack(&mut self, acked: u32, mss: u32) {
        // RFC 6582 §3.2 (3): deflate by what was acknowledged, add back one segment.
        self.cwnd = self.cwnd.saturating_sub(acked).max(mss);
        if acked >= mss {
            self.grow(mss);
        }
    }

    pub(super) fn exit_recovery(&mut self, flight: u32, mss: u32) {
        // RFC 6582 §3.2 (3), option 1: no burst when little is in flight.
        self.cwnd = self.ssthresh.min(flight.max(mss) + mss);
        self.counted = 0;
    }

    pub(super) fn timed_out(&mut self, flight: u32, mss: u32, again: Again) {
        if again == Again::First {
            // RFC 5681 §3.1 (4): held constant when the same segment times out again.
            self.ssthresh = (flight / 2).max(2 * mss);
        }
        self.cwnd = mss;
        self.counted = 0;
    }

    pub(super) fn ecn_echo(&mut self, flight: u32, mss: u32) {
        // RFC 3168 §6.1.2: as for a loss, but nothing is retransmitted and nothing inflated.
        self.ssthresh = (flight / 2).max(2 * mss);
        self.cwnd = self.ssthresh;
        self.counted = 0;
    }

    pub(super) fn restart_after_idle(&mut self, mss: u32) {
        self.cwnd = self.cwnd.min(initial_window(mss));
        self.counted = 0;
    }

    fn grow(&mut self, by: u32) {
        self.cwnd = self.cwnd.saturating_add(by).min(MAX_CWND);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MSS: u32 = 1460;

    #[test]
    fn slow_start_doubles_in_a_round_trip() {
        let mut c = NewReno::new(MSS);
        let before = c.cwnd();
        for _ in 0..before / MSS {
            c.acked(MSS, MSS);
        }
        assert_eq!(c.cwnd(), 2 * before);
    }

    #[test]
    fn avoidance_adds_one_segment_in_a_round_trip() {
        let mut c = NewReno::new(MSS);
        c.enter_recovery(20 * MSS, MSS);
        c.exit_recovery(10 * MSS, MSS);
        let before = c.cwnd();
        for _ in 0..before / MSS {
            c.acked(MSS, MSS);
        }
        assert_eq!(c.cwnd(), before + MSS);
    }

    #[test]
    fn split_acknowledgements_gain_nothing() {
        let (mut one, mut split) = (NewReno::new(MSS), NewReno::new(MSS));
        one.acked(MSS, MSS);
        for _ in 0..MSS {
            split.acked(1, MSS);
        }
        assert_eq!(one.cwnd(), split.cwnd());
    }

    #[test]
    fn the_window_never_overflows() {
        let mut c = NewReno::new(MSS);
        for _ in 0..10 {
            c.acked(u32::MAX, u32::MAX / 2);
        }
        assert_eq!(c.cwnd(), MAX_CWND);
    }
}
