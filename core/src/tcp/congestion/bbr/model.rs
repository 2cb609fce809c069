//! What BBR knows about the path (draft-ietf-ccwg-bbr §5.5): rounds, the highest bandwidth of the
//! last two cycles, the shortest round-trip time, and bounds that losses taught.
use crate::time::{Instant, Span};

use super::super::super::delivery_rate::{Limited, Sample};
use super::hundredths;

/// Draft §5.5.7 "MinRTTFilterLen".
const MIN_RTT_WINDOW: Span = Span::from_secs(10);
/// Draft §5.3.1.2: growth by less than a quarter in three rounds is none.
const GROWTH: u64 = 125;
const FLAT_ROUNDS: u8 = 3;

#[derive(Clone, Debug)]
pub(crate) struct Model {
    /// A round ends when what was in flight at its start is delivered.
    round_end: u32,
    round_start: bool,
    started: bool,
    /// Highest bandwidth of the last cycle and of this one, in bytes per second.
    max_bw: [u64; 2],
    min_rtt: Option<(Span, Instant)>,
    /// The shortest round-trip time of the last round and of this one.
    round_rtt: [Option<Span>; 2],
    full_bw: u64,
    flat_rounds: u8,
    full_now: bool,
    full: bool,
    /// Bounds (draft §2.8): `u32::MAX` and `u64::MAX` are none.
    bw_lo: u64,
    inflight_hi: u32,
    inflight_lo: u32,
    /// The best of this round.
    bw_latest: u64,
    inflight_latest: u32,
    /// The best of the last round.
    last_round: (u64, u32),
    /// The sum of all deliveries.
    delivered: u32,
    losses: u16,
    lower_due: bool,
}

impl Model {
    pub(super) const NEW: Self = Self {
        round_end: 0,
        round_start: false,
        started: false,
        max_bw: [0; 2],
        min_rtt: None,
        round_rtt: [None; 2],
        full_bw: 0,
        flat_rounds: 0,
        full_now: false,
        full: false,
        bw_lo: u64::MAX,
        inflight_hi: u32::MAX,
        inflight_lo: u32::MAX,
        bw_latest: 0,
        inflight_latest: 0,
        last_round: (0, 0),
        delivered: 0,
        losses: 0,
        lower_due: false,
    };

    /// Draft §5.5: rounds, bandwidth, round-trip time.
    pub(super) fn update(&mut self, sample: &Sample) {
        // Draft §5.5.1.
        let reached = sample.prior_delivered.wrapping_sub(self.round_end) as i32 >= 0;
        self.round_start = reached || !self.started;
        self.started = true;
        if self.round_start {
            self.round_end = sample.total_delivered;
            self.round_rtt = [self.round_rtt[1], None];
            self.last_round = (self.bw_latest, self.inflight_latest);
            (self.bw_latest, self.inflight_latest) = (0, 0);
            self.losses = 0;
        }
        self.delivered = sample.total_delivered;
        self.losses = self.losses.saturating_add(u16::from(sample.newly_lost > 0));
        if let Some(rate) = sample.rate {
            self.bw_latest = self.bw_latest.max(rate);
            self.inflight_latest = self.inflight_latest.max(sample.delivered);
            // Draft §5.5.5: a rate the application limited counts only as a lower bound.
            let [last, this] = self.max_bw;
            if sample.limited == Limited::No || rate > last.max(this) {
                self.max_bw[1] = this.max(rate);
            }
        }
        if let Some(rtt) = sample.rtt {
            let old = self
                .min_rtt
                .is_none_or(|(_, at)| sample.now.since(at) > MIN_RTT_WINDOW);
            if old || self.min_rtt.is_some_and(|(least, _)| rtt <= least) {
                self.min_rtt = Some((rtt, sample.now));
            }
            let shortest = self.round_rtt[1].map_or(rtt, |least| least.min(rtt));
            self.round_rtt[1] = Some(shortest);
        }
    }

    pub(super) fn round_start(&self) -> bool {
        self.round_start
    }

    pub(super) fn losses_in_round(&self) -> u16 {
        self.losses
    }

    /// A round starts now, whatever is in flight.
    pub(super) fn start_round(&mut self) {
        self.round_end = self.delivered;
        self.round_start = false;
    }

    /// Bytes per second the path carries.
    pub(super) fn bandwidth(&self) -> u64 {
        self.max_bw[0].max(self.max_bw[1]).min(self.bw_lo)
    }

    pub(super) fn min_rtt(&self) -> Span {
        self.min_rtt.map_or(Span::ZERO, |(rtt, _)| rtt)
    }

    pub(super) fn min_rtt_age(&self, now: Instant) -> Span {
        self.min_rtt.map_or(Span::ZERO, |(_, at)| now.since(at))
    }

    /// The round-trip time was probed: what is known now is as good as new.
    pub(super) fn min_rtt_probed(&mut self, now: Instant) {
        if let (Some((_, at)), Some(shortest)) =
            (&mut self.min_rtt, self.round_rtt[1].or(self.round_rtt[0]))
        {
            *at = now;
            self.min_rtt = Some((shortest, now));
        }
    }

    /// Whether packets wait in a queue: a round trip took a quarter longer than the shortest.
    pub(super) fn has_queue(&self) -> bool {
        let least = self.min_rtt();
        let shortest = self.round_rtt[0].or(self.round_rtt[1]).unwrap_or(least);
        shortest > least.saturating_add(least.part(4).max(Span::from_millis(1)))
    }

    /// The product of bandwidth and delay, times `gain` hundredths.
    pub(super) fn bdp(&self, gain: u64) -> u32 {
        let micros = u64::from(self.min_rtt().as_micros());
        let bytes = self.bandwidth().saturating_mul(micros) / 1_000_000;
        u32::try_from(bytes.saturating_mul(gain) / 100).unwrap_or(u32::MAX)
    }

    /// Draft §5.3.1.2 "BBRCheckFullBWReached".
    pub(super) fn check_full_pipe(&mut self, sample: &Sample) {
        if !self.round_start || sample.limited == Limited::Application {
            return;
        }
        let bandwidth = self.max_bw[0].max(self.max_bw[1]);
        if bandwidth * 100 >= self.full_bw * GROWTH || self.full_bw == 0 {
            (self.full_bw, self.flat_rounds) = (bandwidth, 0);
            self.full_now = false;
            return;
        }
        self.flat_rounds = self.flat_rounds.saturating_add(1);
        self.full_now = self.flat_rounds >= FLAT_ROUNDS;
        self.full |= self.full_now;
    }

    pub(super) fn restart_full_pipe_check(&mut self) {
        (self.full_bw, self.flat_rounds, self.full_now) = (0, 0, false);
    }

    /// The pipe was filled once.
    pub(super) fn full_pipe(&self) -> bool {
        self.full
    }

    pub(super) fn full_pipe_now(&self) -> bool {
        self.full_now
    }

    /// Draft §5.3.1.3: losses ended startup.
    pub(super) fn settle_for_what_flows(&mut self) {
        self.full = true;
        self.inflight_hi = self.bdp(100).max(self.inflight_latest);
    }

    /// A new cycle: the bandwidth of the one before the last is forgotten.
    pub(super) fn next_cycle(&mut self) {
        if self.max_bw[1] > 0 {
            self.max_bw = [self.max_bw[1], 0];
        }
    }

    pub(super) fn set_inflight_hi(&mut self, bytes: u32) {
        self.inflight_hi = bytes;
    }

    /// Draft §5.3.3.6 "BBRProbeInflightHiUpward".
    pub(super) fn raise_inflight_hi(&mut self, step: u32, sample: &Sample) {
        if self.inflight_hi != u32::MAX {
            self.inflight_hi = self
                .inflight_hi
                .saturating_add(step)
                .max(sample.tx_in_flight);
        }
    }

    pub(super) fn inflight_hi_with(&self, headroom: u64) -> u32 {
        if self.inflight_hi == u32::MAX {
            return u32::MAX;
        }
        hundredths(self.inflight_hi, headroom)
    }

    pub(super) fn inflight_lo(&self) -> u32 {
        self.inflight_lo
    }

    /// Losses of this round lower the bounds at its end.
    pub(super) fn lower_bounds_due(&mut self) {
        self.lower_due = true;
    }

    /// Draft §5.5.10.3 "BBRAdaptLowerBoundsFromCongestion".
    pub(super) fn adapt_lower_bounds(&mut self, beta: u64) {
        if !core::mem::take(&mut self.lower_due) {
            return;
        }
        let known = self.bandwidth();
        let (bandwidth, inflight) = self.last_round;
        self.bw_lo = bandwidth.max(known.saturating_mul(beta) / 100);
        let known = self.inflight_lo.min(self.inflight_hi).min(self.bdp(200));
        self.inflight_lo = inflight.max(hundredths(known, beta));
    }

    pub(super) fn forget_lower_bounds(&mut self) {
        (self.bw_lo, self.inflight_lo) = (u64::MAX, u32::MAX);
        self.lower_due = false;
    }
}
