//! BBR, version 3 (draft-ietf-ccwg-bbr): the window and the pace come from a model of the path,
//! its bandwidth and its shortest round-trip time. The model is in `bbr/model`; the states and
//! what they do with it are here.
//!
//! Where this differs from the draft: it takes loss for a sign of congestion only if a queue shows
//! in the round-trip time, or if it is heavy ([`HEAVY_LOSS`]), because the paths it is built in
//! for are radios. Aggregation of acknowledgements (draft §5.5.9) is not measured: windows are of
//! at least twice the model.
mod model;

use crate::time::{Instant, Span};

use super::super::delivery_rate::{Limited, Sample};
use model::Model;

/// Gains in hundredths (draft §2.4).
const STARTUP_PACING: u64 = 277;
const DRAIN_PACING: u64 = 50;
const DOWN_PACING: u64 = 90;
const UP_PACING: u64 = 125;
const CWND: u64 = 200;
const UP_CWND: u64 = 225;
const PROBE_RTT_CWND: u64 = 50;
/// Draft §2.4 "BBRLossThresh", for loss with a queue, in hundredths.
const LOSS_THRESHOLD: u64 = 2;
/// The same without a queue.
const HEAVY_LOSS: u64 = 20;
/// Draft §2.4 "BBRBeta" and "BBRHeadroom", in hundredths.
const BETA: u64 = 70;
const HEADROOM: u64 = 85;
/// Draft §2.4 "BBRMinPipeCwnd", in segments.
const MIN_PIPE: u32 = 4;
/// Draft §2.4 "ProbeRTTSpan" and "ProbeRTTInterval".
const PROBE_RTT_TIME: Span = Span::from_millis(200);
const PROBE_RTT_INTERVAL: Span = Span::from_secs(5);
/// Draft §5.3.3.8: rounds until a flow probes as often as NewReno would.
const MOST_ROUNDS: u32 = 63;

/// The states of draft §5.3.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Startup,
    Drain,
    Down,
    Cruise,
    Refill,
    Up,
    /// Until then, once the pipe is nearly empty.
    ProbeRtt(Option<Instant>),
}

#[derive(Clone, Debug)]
pub(crate) struct Bbr {
    state: State,
    model: Model,
    /// The window before it was lowered for a timeout or to probe the round-trip time.
    prior_cwnd: u32,
    cycle_start: Instant,
    probe_wait: Span,
    rounds_since_probe: u32,
    /// Rounds of this probe, each of which adds twice as much.
    up_rounds: u8,
    /// Losses are of what this probe sent: they are its limit.
    probing: bool,
    pacing_rate: Option<u64>,
}

impl Bbr {
    pub(super) const NEW: Self = Self {
        state: State::Startup,
        model: Model::NEW,
        prior_cwnd: 0,
        cycle_start: Instant::ZERO,
        probe_wait: Span::from_secs(2),
        rounds_since_probe: 0,
        up_rounds: 0,
        probing: false,
        pacing_rate: None,
    };

    /// Bytes per second to send at.
    pub(super) fn pacing_rate(&self) -> Option<u64> {
        self.pacing_rate
    }

    /// Draft §5.2.3 "BBRUpdateOnACK": takes a sample and returns the new window.
    pub(super) fn on_sample(&mut self, cwnd: u32, sample: &Sample) -> u32 {
        let was_full = self.model.full_pipe();
        self.model.update(sample);
        if self.model.round_start() {
            self.rounds_since_probe = self.rounds_since_probe.saturating_add(1);
        }
        self.react_to_loss(sample);
        match self.state {
            State::Startup => {
                self.model.check_full_pipe(sample);
                if self.model.full_pipe() || self.too_much_loss(sample) {
                    self.leave_startup(was_full);
                }
            }
            State::Drain => {}
            State::ProbeRtt(_) => {}
            _ => self.advance_cycle(sample),
        }
        if self.state == State::Drain && sample.in_flight <= self.model.bdp(100) {
            self.enter_down(sample.now);
        }
        let probed = matches!(self.state, State::ProbeRtt(_));
        self.check_probe_rtt(cwnd, sample);
        self.set_pacing(cwnd, sample);
        let window = self.window(cwnd, sample);
        match self.state {
            State::ProbeRtt(_) => window,
            _ if probed => self.restored(window),
            _ => window,
        }
    }

    fn too_much_loss(&self, sample: &Sample) -> bool {
        self.model.losses_in_round() >= 6 && self.is_excessive(sample)
    }

    /// Draft §5.3.1.3: losses that the path, not the radio, caused end startup too.
    fn leave_startup(&mut self, was_full: bool) {
        if !was_full && !self.model.full_pipe() {
            self.model.settle_for_what_flows();
        }
        self.state = State::Drain;
    }

    /// Draft §5.5.10.2 "IsInflightTooHigh", see the module.
    fn is_excessive(&self, sample: &Sample) -> bool {
        let threshold = if self.model.has_queue() {
            LOSS_THRESHOLD
        } else {
            HEAVY_LOSS
        };
        u64::from(sample.lost) * 100 > u64::from(sample.tx_in_flight) * threshold
    }

    fn react_to_loss(&mut self, sample: &Sample) {
        if sample.lost == 0 || !self.is_excessive(sample) {
            return;
        }
        if self.probing {
            // Draft §5.3.3.6 "BBRHandleInflightTooHigh".
            self.probing = false;
            if sample.limited == Limited::No {
                let target = hundredths(self.model.bdp(100).max(sample.mss), BETA);
                self.model.set_inflight_hi(sample.tx_in_flight.max(target));
            }
            if self.state == State::Up {
                self.enter_down(sample.now);
            }
        } else if matches!(self.state, State::Down | State::Cruise | State::Drain) {
            self.model.lower_bounds_due();
        }
        if self.model.round_start() {
            self.model.adapt_lower_bounds(BETA);
        }
    }

    /// Draft §5.3.3 "BBRUpdateProbeBWCyclePhase".
    fn advance_cycle(&mut self, sample: &Sample) {
        match self.state {
            State::Down if self.is_time_to_probe(sample) => self.enter_refill(),
            State::Down => {
                let target = self
                    .model
                    .bdp(100)
                    .min(self.model.inflight_hi_with(HEADROOM));
                if sample.in_flight <= target {
                    self.state = State::Cruise;
                }
            }
            State::Cruise if self.is_time_to_probe(sample) => self.enter_refill(),
            State::Refill if self.model.round_start() => {
                // Draft §5.3.3.4: what is lost from here on is lost by probing.
                self.probing = true;
                self.up_rounds = 0;
                self.model.restart_full_pipe_check();
                self.state = State::Up;
                self.cycle_start = sample.now;
            }
            State::Up => {
                if self.model.round_start() {
                    self.model.check_full_pipe(sample);
                    let step = sample.mss << self.up_rounds.min(10);
                    self.model.raise_inflight_hi(step, sample);
                    self.up_rounds = self.up_rounds.saturating_add(1);
                }
                let enough = sample.in_flight > self.model.bdp(UP_PACING);
                let long = sample.now.since(self.cycle_start) > self.model.min_rtt();
                if (long && enough) || self.model.full_pipe_now() {
                    self.enter_down(sample.now);
                }
            }
            _ => {}
        }
    }

    fn is_time_to_probe(&self, sample: &Sample) -> bool {
        // Draft §5.3.3.8: as often as NewReno would at this window, at least.
        let segments = self.model.bdp(100) / sample.mss.max(1);
        sample.now.since(self.cycle_start) >= self.probe_wait
            || self.rounds_since_probe >= segments.clamp(1, MOST_ROUNDS)
    }

    fn enter_down(&mut self, now: Instant) {
        self.state = State::Down;
        self.probing = false;
        self.model.next_cycle();
        self.rounds_since_probe = 0;
        self.cycle_start = now;
        // Draft §5.3.3.8: 2 to 3 s, so that flows do not probe together. The low bits of the
        // clock are random enough for that.
        let spread = now.as_micros().wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 44;
        self.probe_wait = Span::from_secs(2).saturating_add(Span::saturated(spread));
    }

    fn enter_refill(&mut self) {
        self.state = State::Refill;
        self.model.forget_lower_bounds();
        self.model.start_round();
        self.rounds_since_probe = 0;
    }

    /// Draft §5.3.4: now and then the pipe has to be nearly empty, to see how long it is.
    fn check_probe_rtt(&mut self, cwnd: u32, sample: &Sample) {
        if let State::ProbeRtt(until) = self.state {
            let low = self.probe_rtt_window(sample.mss);
            match until {
                None if sample.in_flight <= low => {
                    let end = sample.now + PROBE_RTT_TIME.max(self.model.min_rtt());
                    self.state = State::ProbeRtt(Some(end));
                }
                Some(end) if sample.now >= end => {
                    self.model.min_rtt_probed(sample.now);
                    self.leave_probe_rtt(sample.now);
                }
                _ => {}
            }
        } else if self.model.min_rtt_age(sample.now) > PROBE_RTT_INTERVAL {
            self.prior_cwnd = self.prior_cwnd.max(cwnd);
            self.state = State::ProbeRtt(None);
        }
    }

    fn leave_probe_rtt(&mut self, now: Instant) {
        self.model.forget_lower_bounds();
        if self.model.full_pipe() {
            self.enter_down(now);
            self.state = State::Cruise;
        } else {
            self.state = State::Startup;
        }
    }

    fn probe_rtt_window(&self, mss: u32) -> u32 {
        self.model.bdp(PROBE_RTT_CWND).max(MIN_PIPE * mss)
    }

    /// Draft §5.6.2.
    fn set_pacing(&mut self, cwnd: u32, sample: &Sample) {
        let gain = match self.state {
            State::Startup => STARTUP_PACING,
            State::Drain => DRAIN_PACING,
            State::Down => DOWN_PACING,
            State::Up => UP_PACING,
            State::Cruise | State::Refill | State::ProbeRtt(_) => 100,
        };
        let bandwidth = match self.model.bandwidth() {
            0 => initial_rate(cwnd, sample.rtt),
            known => known,
        };
        // 1 % below, so that the queue drains.
        let rate = bandwidth * gain / 100 * 99 / 100;
        // Draft §5.6.2: before the pipe is known to be full the rate only rises.
        if self.model.full_pipe() || self.pacing_rate.is_none_or(|known| rate > known) {
            self.pacing_rate = Some(rate.max(1));
        }
    }

    /// Draft §5.6.4: the window.
    fn window(&mut self, cwnd: u32, sample: &Sample) -> u32 {
        let gain = if self.state == State::Up {
            UP_CWND
        } else {
            CWND
        };
        // Draft §5.6.3: acknowledgements come for two segments at a time, and more on top.
        let most = self
            .model
            .bdp(gain)
            .saturating_add(3 * sample.mss)
            .max(MIN_PIPE * sample.mss);
        let mut window = cwnd.saturating_sub(sample.newly_lost).max(
            // Draft §5.6.4.4: what leaves the network may be replaced at least.
            sample.in_flight.saturating_add(sample.newly_acked),
        );
        let grown = window.saturating_add(sample.newly_acked);
        window = if self.model.full_pipe() {
            grown.min(most)
        } else if cwnd < most || sample.total_delivered < super::initial_window(sample.mss) {
            grown
        } else {
            window
        };
        window = window.max(MIN_PIPE * sample.mss);
        if let State::ProbeRtt(_) = self.state {
            return window.min(self.probe_rtt_window(sample.mss));
        }
        window.min(self.bound().max(MIN_PIPE * sample.mss))
    }

    /// Draft §5.6.4.7 "BBRBoundCwndForModel".
    fn bound(&self) -> u32 {
        let high = match self.state {
            State::Cruise => self.model.inflight_hi_with(HEADROOM),
            _ => self.model.inflight_hi_with(100),
        };
        high.min(self.model.inflight_lo())
    }

    /// Draft §5.6.4.4: the window before a timeout, to come back to.
    pub(super) fn timed_out(&mut self, cwnd: u32) {
        self.prior_cwnd = self.prior_cwnd.max(cwnd);
    }

    /// A recovery or a probe of the round-trip time is over: the window from before.
    pub(super) fn restored(&mut self, cwnd: u32) -> u32 {
        core::mem::take(&mut self.prior_cwnd).max(cwnd)
    }

    /// The window was lowered for nothing.
    pub(super) fn undo(&mut self) {
        self.model.forget_lower_bounds();
    }
}

/// Draft §5.6.2: the initial window in a round trip, or in a millisecond while none is known.
fn initial_rate(cwnd: u32, rtt: Option<Span>) -> u64 {
    let micros = rtt.map_or(1_000, |rtt| rtt.as_micros().max(1));
    u64::from(cwnd) * 1_000_000 / u64::from(micros)
}

fn hundredths(value: u32, by: u64) -> u32 {
    u32::try_from(u64::from(value) * by / 100).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests;
