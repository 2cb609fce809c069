//! Congestion control: how much may be in flight. The window and what recovery does to it are
//! here; how it grows, and by how much it shrinks, is in one file per algorithm, chosen by enum.
//! When something is lost is decided in `rack` and `retransmit`.
#[cfg(feature = "bbr")]
mod bbr;
#[cfg(feature = "cubic")]
mod cubic;
#[cfg(feature = "cubic")]
mod hystart;
mod newreno;

use core::time::Duration;

use crate::time::{Instant, Span};
use crate::wire::tcp::SeqNum;

#[cfg(feature = "bbr")]
use super::delivery_rate::Sample;
#[cfg(feature = "bbr")]
use bbr::Bbr;
#[cfg(feature = "cubic")]
use cubic::Cubic;
use newreno::NewReno;

/// Largest window; keeps all sums below 2^32.
const MAX_CWND: u32 = 1 << 30;

/// Which algorithm decides how much may be in flight (`TCP_CONGESTION`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum CongestionControl {
    /// NewReno (RFC 5681, RFC 6582) with appropriate byte counting (RFC 3465).
    NewReno,
    /// CUBIC (RFC 9438) with HyStart++ (RFC 9406).
    #[cfg(feature = "cubic")]
    Cubic,
    /// BBR version 3 (draft-ietf-ccwg-bbr), for paths that lose packets at random. Needs a peer
    /// that acknowledges selectively; without, the default is used.
    #[cfg(feature = "bbr")]
    Bbr,
}

impl CongestionControl {
    /// The name, as Linux has it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::NewReno => "reno",
            #[cfg(feature = "cubic")]
            Self::Cubic => "cubic",
            #[cfg(feature = "bbr")]
            Self::Bbr => "bbr",
        }
    }

    /// This, or for a connection without SACK an algorithm that works without.
    #[cfg(feature = "bbr")]
    pub(crate) fn without_sack(self) -> Self {
        match self {
            Self::Bbr => Self::default(),
            other => other,
        }
    }
}

#[cfg(feature = "cubic")]
const DEFAULT: CongestionControl = CongestionControl::Cubic;
#[cfg(not(feature = "cubic"))]
const DEFAULT: CongestionControl = CongestionControl::NewReno;

impl Default for CongestionControl {
    /// CUBIC if it is built in, else NewReno.
    fn default() -> Self {
        DEFAULT
    }
}

#[derive(Clone, Debug)]
#[cfg_attr(
    feature = "bbr",
    allow(clippy::large_enum_variant, reason = "there is no heap to box in")
)]
enum Algorithm {
    NewReno(NewReno),
    #[cfg(feature = "cubic")]
    Cubic(Cubic),
    #[cfg(feature = "bbr")]
    Bbr(Bbr),
}

/// What an acknowledgement of new data says to the algorithm.
#[derive(Clone, Copy, Debug)]
#[cfg_attr(
    not(feature = "cubic"),
    allow(dead_code, reason = "CUBIC reads them all")
)]
pub(crate) struct Acked {
    pub(crate) now: Instant,
    /// New bytes acknowledged.
    pub(crate) bytes: u32,
    /// Bytes of a full segment.
    pub(crate) mss: u32,
    /// SND.UNA and SND.NXT.
    pub(crate) una: SeqNum,
    pub(crate) nxt: SeqNum,
    /// The round-trip time the acknowledgement shows.
    pub(crate) rtt: Option<Span>,
    /// The smoothed round-trip time.
    pub(crate) srtt: Span,
}

/// The congestion state of one connection.
#[derive(Clone, Debug)]
pub(crate) struct Congestion {
    cwnd: u32,
    ssthresh: u32,
    algorithm: Algorithm,
    /// `cwnd` and `ssthresh` before the last reduction.
    saved: Option<(u32, u32)>,
}

impl Congestion {
    pub(crate) const UNUSED: Self = Self {
        cwnd: 0,
        ..Self::new(DEFAULT, 1)
    };

    /// The state of a connection just established, with segments of `mss` bytes.
    pub(crate) const fn new(which: CongestionControl, mss: u32) -> Self {
        // RFC 5681 §3.1: ssthresh is arbitrarily high at first.
        Self {
            cwnd: initial_window(mss),
            ssthresh: MAX_CWND,
            algorithm: match which {
                CongestionControl::NewReno => Algorithm::NewReno(NewReno::NEW),
                #[cfg(feature = "cubic")]
                CongestionControl::Cubic => Algorithm::Cubic(Cubic::NEW),
                #[cfg(feature = "bbr")]
                CongestionControl::Bbr => Algorithm::Bbr(Bbr::NEW),
            },
            saved: None,
        }
    }

    /// As [`Congestion::new`], of one that is [`Congestion::UNUSED`] or was switched since.
    pub(crate) fn start(&mut self, which: CongestionControl, mss: u32) {
        self.switch(which);
        self.cwnd = initial_window(mss);
    }

    /// Changes the algorithm; the window stays.
    pub(crate) fn switch(&mut self, which: CongestionControl) {
        if self.which() != which {
            self.algorithm = Self::new(which, 1).algorithm;
        }
    }

    /// Bytes that may be in flight.
    pub(crate) const fn cwnd(&self) -> u32 {
        self.cwnd
    }

    /// The slow start threshold in bytes.
    pub(crate) const fn ssthresh(&self) -> u32 {
        self.ssthresh
    }

    const fn in_slow_start(&self) -> bool {
        self.cwnd < self.ssthresh
    }

    /// New bytes were acknowledged outside fast recovery, while the window was the limit.
    pub(crate) fn acked(&mut self, acked: &Acked) {
        if self.in_slow_start() {
            self.slow_start(acked);
            return;
        }
        let grow = match &mut self.algorithm {
            Algorithm::NewReno(newreno) => newreno.avoid(self.cwnd, acked),
            #[cfg(feature = "cubic")]
            Algorithm::Cubic(cubic) => cubic.avoid(self.cwnd, acked),
            #[cfg(feature = "bbr")]
            Algorithm::Bbr(_) => 0,
        };
        self.grow(grow);
    }

    fn slow_start(&mut self, acked: &Acked) {
        // RFC 3465 §2.2: at most L = 2 segments for each acknowledgement, so that splitting
        // acknowledgements gains a dishonest receiver nothing.
        let bytes = acked.bytes.min(2 * acked.mss);
        match &mut self.algorithm {
            Algorithm::NewReno(_) => self.grow(bytes),
            #[cfg(feature = "cubic")]
            Algorithm::Cubic(cubic) => {
                let step = cubic.slow_start(bytes, acked);
                self.grow(step.grow);
                if step.done {
                    // RFC 9406 §4.2: the end of slow start.
                    self.ssthresh = self.cwnd;
                }
            }
            // The samples move the window.
            #[cfg(feature = "bbr")]
            Algorithm::Bbr(_) => {}
        }
    }

    /// A loss: sets the slow start threshold, for `flight` bytes in flight (RFC 5681 §3.2 (2)).
    /// The window follows by PRR or by [`Congestion::enter_recovery`].
    pub(crate) fn reduce(&mut self, flight: u32, mss: u32) {
        #[cfg(feature = "bbr")]
        if self.is_model_based() {
            return;
        }
        self.saved = Some((self.cwnd, self.ssthresh));
        let target = match &mut self.algorithm {
            Algorithm::NewReno(newreno) => newreno.reduced(flight),
            #[cfg(feature = "cubic")]
            Algorithm::Cubic(cubic) => cubic.reduced(self.cwnd, flight, mss),
            #[cfg(feature = "bbr")]
            Algorithm::Bbr(_) => self.ssthresh,
        };
        self.ssthresh = target.max(2 * mss);
    }

    /// Sets the window as PRR computes it.
    #[cfg(feature = "sack")]
    pub(crate) fn set_cwnd(&mut self, cwnd: u32) {
        #[cfg(feature = "bbr")]
        if self.is_model_based() {
            return;
        }
        self.cwnd = cwnd.min(MAX_CWND);
    }

    /// Whether window and pace come from samples of the delivery rate, not from losses.
    #[cfg(feature = "bbr")]
    pub(crate) const fn is_model_based(&self) -> bool {
        matches!(self.algorithm, Algorithm::Bbr(_))
    }

    /// Takes a sample of the delivery rate.
    #[cfg(feature = "bbr")]
    pub(crate) fn on_sample(&mut self, sample: &Sample) {
        if let Algorithm::Bbr(bbr) = &mut self.algorithm {
            self.cwnd = bbr.on_sample(self.cwnd, sample).min(MAX_CWND);
        }
    }

    /// A recovery is over.
    #[cfg(feature = "bbr")]
    pub(crate) fn recovered(&mut self) {
        if let Algorithm::Bbr(bbr) = &mut self.algorithm {
            self.cwnd = bbr.restored(self.cwnd);
        }
    }

    /// Bytes per second to send at, if the algorithm paces.
    #[cfg(feature = "bbr")]
    pub(crate) fn pacing_rate(&self) -> Option<u64> {
        match &self.algorithm {
            Algorithm::Bbr(bbr) => bbr.pacing_rate(),
            _ => None,
        }
    }

    /// A loss was found by duplicate acknowledgements, with `flight` bytes in flight.
    pub(crate) fn enter_recovery(&mut self, flight: u32, mss: u32) {
        self.reduce(flight, mss);
        // RFC 5681 §3.2 (3): inflated by the three segments that left the network.
        self.cwnd = self.ssthresh;
        self.grow(3 * mss);
    }

    /// One more duplicate acknowledgement in recovery: a segment has left the network.
    pub(crate) fn duplicate_in_recovery(&mut self, flight: u32, mss: u32) {
        // RFC 5681 §3.2 (4). No more than is in flight can have left: a forger gains nothing by
        // repeating acknowledgements.
        let limit = self.ssthresh.saturating_add(flight);
        self.cwnd = self.cwnd.saturating_add(mss).min(limit).max(mss);
    }

    /// `acked` bytes were acknowledged, but not all that were in flight when recovery began.
    pub(crate) fn partial_ack(&mut self, acked: u32, mss: u32) {
        // RFC 6582 §3.2 (3): deflate by what was acknowledged, add back one segment.
        self.cwnd = self.cwnd.saturating_sub(acked).max(mss);
        if acked >= mss {
            self.grow(mss);
        }
    }

    /// Everything that was in flight when recovery began is acknowledged.
    pub(crate) fn exit_recovery(&mut self, flight: u32, mss: u32) {
        // RFC 6582 §3.2 (3), option 1: no burst when little is in flight.
        self.cwnd = self.ssthresh.min(flight.max(mss) + mss);
    }

    /// The retransmission timer expired, with `flight` bytes in flight of which `pipe` are not
    /// believed lost.
    pub(crate) fn timed_out(&mut self, flight: u32, pipe: u32, mss: u32, again: Again) {
        if again == Again::First {
            // RFC 5681 §3.1 (4): held constant when the same segment times out again.
            self.reduce(flight, mss);
        }
        #[cfg(feature = "bbr")]
        if let Algorithm::Bbr(bbr) = &mut self.algorithm {
            bbr.timed_out(self.cwnd);
        }
        // RFC 5681 §3.1: the loss window, one segment beyond what is still believed to arrive.
        self.cwnd = pipe.saturating_add(mss).min(MAX_CWND);
        match &mut self.algorithm {
            Algorithm::NewReno(newreno) => newreno.restart(),
            #[cfg(feature = "cubic")]
            Algorithm::Cubic(cubic) => cubic.timed_out(),
            #[cfg(feature = "bbr")]
            Algorithm::Bbr(_) => {}
        }
    }

    /// The last reduction was for nothing (RFC 4015 §3.2, RFC 9438 §4.9).
    pub(crate) fn undo(&mut self) {
        #[cfg(feature = "bbr")]
        if let Algorithm::Bbr(bbr) = &mut self.algorithm {
            bbr.undo();
            self.cwnd = bbr.restored(self.cwnd);
            return;
        }
        if let Some((cwnd, ssthresh)) = self.saved.take() {
            self.cwnd = self.cwnd.max(cwnd);
            self.ssthresh = self.ssthresh.max(ssthresh);
            match &mut self.algorithm {
                Algorithm::NewReno(_) => {}
                #[cfg(feature = "cubic")]
                Algorithm::Cubic(cubic) => cubic.undo(),
                #[cfg(feature = "bbr")]
                Algorithm::Bbr(_) => {}
            }
        }
    }

    /// Routers on the way marked what was sent (RFC 3168 §6.1.2), once for each window of data: as
    /// for a loss, but nothing is retransmitted and nothing inflated.
    pub(crate) fn ecn_echo(&mut self, flight: u32, mss: u32) {
        self.reduce(flight, mss);
        self.cwnd = self.ssthresh;
        // It was no mistake: nothing to undo.
        self.saved = None;
    }

    /// The algorithm in use.
    pub(crate) const fn which(&self) -> CongestionControl {
        match self.algorithm {
            Algorithm::NewReno(_) => CongestionControl::NewReno,
            #[cfg(feature = "cubic")]
            Algorithm::Cubic(_) => CongestionControl::Cubic,
            #[cfg(feature = "bbr")]
            Algorithm::Bbr(_) => CongestionControl::Bbr,
        }
    }

    /// Nothing was sent for `idle`, longer than the retransmission timeout (RFC 5681 §4.1).
    pub(crate) fn restart_after_idle(&mut self, mss: u32, idle: Duration) {
        #[cfg(feature = "bbr")]
        if self.is_model_based() {
            // Paced, an old window makes no burst (draft-ietf-ccwg-bbr §5.4.1).
            return;
        }
        if self.cwnd > initial_window(mss) {
            // RFC 2861 §3.1: the path was able to carry that; slow start may go back up to it.
            self.ssthresh = self.ssthresh.max(self.cwnd / 4 * 3);
            self.cwnd = initial_window(mss);
        }
        match &mut self.algorithm {
            Algorithm::NewReno(newreno) => newreno.restart(),
            #[cfg(feature = "cubic")]
            Algorithm::Cubic(cubic) => cubic.idled(idle),
            #[cfg(feature = "bbr")]
            Algorithm::Bbr(_) => {}
        }
        let _ = idle;
    }

    fn grow(&mut self, by: u32) {
        self.cwnd = self.cwnd.saturating_add(by).min(MAX_CWND);
    }
}

/// Whether a timeout is the first for this data or a repetition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Again {
    First,
    Repeated,
}

/// The initial window: ten segments (RFC 6928), fewer if they are large.
pub(crate) const fn initial_window(mss: u32) -> u32 {
    // RFC 6928 §2: min(10 MSS, max(2 MSS, 14600)).
    let floor = if 2 * mss > 14_600 { 2 * mss } else { 14_600 };
    if 10 * mss < floor { 10 * mss } else { floor }
}

#[cfg(test)]
mod tests;
