//! TLP: when the last segments of a flight are lost nothing that follows can tell; a probe after
//! two round trips makes the peer say what it has (RFC 8985 §7).
use core::time::Duration;

use crate::config::TcpConfig;
use crate::time::Instant;
use crate::wire::tcp::SeqNum;
use crate::wire::tcp_options::SackBlock;

use super::input::Context;
use super::pcb::Pcb;
use super::retransmit::Phase;
use super::timers::Timer;
use super::undo::Undo;

/// The probe of one connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum TailProbe {
    /// None is out.
    Idle,
    /// One is to be sent.
    Due,
    /// One is out: TLP.end_seq and TLP.is_retrans.
    Out { end: SeqNum, what: Probe },
}

/// What a probe carried.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Probe {
    New,
    Again,
}

impl TailProbe {
    pub(crate) const NONE: Self = Self::Idle;

    pub(crate) const fn is_due(self) -> bool {
        matches!(self, Self::Due)
    }

    pub(crate) fn cancel(&mut self) {
        *self = Self::Idle;
    }

    /// The probe was sent; it, or what was sent last, ends at `end`.
    pub(crate) fn sent(&mut self, end: SeqNum, what: Probe) {
        *self = Self::Out { end, what };
    }
}

impl Pcb {
    /// RFC 8985 §7.2: sets the timer, if a probe makes sense.
    pub(super) fn schedule_tail_probe(&mut self, now: Instant, config: &TcpConfig) {
        let sel = &self.selective;
        let quiet = self.recovery.phase == Phase::Open
            && sel.board.sacked() == 0
            && sel.board.missing() == 0
            && sel.tail == TailProbe::Idle
            && self.snd.wnd > 0
            && self.recovery.attempts == 0;
        if !quiet || self.snd.in_flight() == 0 {
            self.timers.stop(Timer::TailProbe);
            return;
        }
        let wait = match self.rtt.srtt() {
            // RFC 8985 §7.2 "TLP_calc_PTO": a lone segment may be acknowledged late.
            Some(srtt) if self.snd.in_flight() <= self.effective_mss() => {
                2 * srtt + config.max_ack_delay
            }
            // Never less than the clock of an embedded system can tell.
            Some(srtt) => (2 * srtt).max(Duration::from_millis(2)),
            None => Duration::from_secs(1),
        };
        self.timers.start(Timer::TailProbe, now, wait);
        // Not later than the retransmission timer, which starts anew after the probe.
        self.timers.limit(Timer::TailProbe, Timer::Retransmit);
    }

    /// The timer expired (RFC 8985 §7.3 "TLP_send_probe").
    pub(super) fn on_tail_probe_timeout(&mut self, cx: &mut Context<'_>) {
        if self.snd.in_flight() == 0 || self.recovery.phase != Phase::Open {
            return;
        }
        self.selective.tail = TailProbe::Due;
        cx.stats.tail_probes += 1;
        let rto = self.rtt.rto(cx.config);
        self.timers.start(Timer::Retransmit, cx.now, rto);
    }

    /// RFC 8985 §7.4 "TLP_process_ack". Returns bytes in flight to answer for if the probe
    /// repaired a loss nobody noticed.
    pub(super) fn take_tail_ack(
        &mut self,
        ack: SeqNum,
        dsack: Option<&SackBlock>,
        news: bool,
    ) -> Option<u32> {
        let TailProbe::Out { end, what } = self.selective.tail else {
            return None;
        };
        if ack.before(end) {
            return None;
        }
        let reported = dsack.is_some_and(|block| block.right == end);
        let repaired = match what {
            Probe::New => false,
            // The original and the probe both arrived.
            Probe::Again if reported => false,
            Probe::Again if ack.after(end) => true,
            // A pure duplicate: the same, from a peer without D-SACK.
            Probe::Again if !news => false,
            Probe::Again => return None,
        };
        self.selective.tail = TailProbe::Idle;
        repaired.then(|| self.snd.in_flight())
    }

    /// Reduces the window for a loss that is repaired already.
    pub(super) fn respond_to_repaired_tail(&mut self, flight: u32) {
        if self.recovery.phase != Phase::Open {
            return;
        }
        let mss = self.effective_mss();
        self.congestion
            .reduce(flight.max(self.congestion.cwnd()), mss);
        self.congestion.set_cwnd(self.congestion.ssthresh());
        self.recovery.undo = Undo::NOTHING;
    }
}
