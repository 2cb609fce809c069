//! TLP: when the last segments of a flight are lost nothing that follows can tell; a probe after
//! two round trips makes the peer say what it has (RFC 8985 §7).
use crate::time::{Instant, Span};
use crate::wire::tcp::SeqNum;
use crate::wire::tcp_options::SackBlock;

use super::input::Context;
use super::pcb::Pcb;
use super::retransmit::Phase;
use super::timers::Timer;
use super::undo::Undo;

/// Never less than the clock of an embedded system can tell.
const LEAST: Span = Span::from_millis(2);
/// Without a measurement (RFC 8985 §7.2).
const FIRST: Span = Span::from_secs(1);
/// Probes while losses are repaired, before the retransmission timer decides.
const REPAIR_PROBES: u8 = 3;

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

    pub(crate) const fn is_idle(self) -> bool {
        matches!(self, Self::Idle)
    }

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
    pub(super) fn schedule_tail_probe(&mut self, now: Instant) {
        let Some(wait) = self.tail_patience() else {
            self.timers.stop(Timer::TailProbe);
            return;
        };
        // Not later than the retransmission timer, which starts anew after the probe.
        let at = (now + wait).min(self.timers.deadline(Timer::Retransmit));
        self.timers.start_at(Timer::TailProbe, at);
    }

    /// How long to wait for news of what is in flight, if there is something to be done then.
    fn tail_patience(&self) -> Option<Span> {
        let flight = self.snd.in_flight();
        // After a timeout without an answer only the backed-off timer tries again.
        if flight == 0 || self.snd.wnd == 0 || self.recovery.attempts > 0 {
            return None;
        }
        let srtt = self.rtt.srtt();
        if self.recovery.in_recovery()
            && let Some(srtt) = srtt
        {
            return self.repair_patience(srtt);
        }
        let board = &self.selective.board;
        if board.sacked() | board.missing() != 0 || !self.selective.tail.is_idle() {
            return None;
        }
        // RFC 8985 §7.2 "TLP_calc_PTO": a lone segment may be acknowledged late.
        Some(match srtt {
            Some(srtt) if flight <= self.effective_mss() => {
                srtt.times(2).saturating_add(self.rtt.ack_delay())
            }
            Some(srtt) => srtt.times(2).max(LEAST),
            None => FIRST,
        })
    }

    /// How long to wait for news of what was sent again. A retransmission that is lost with
    /// nothing sent after it, because its gap closes the window, is as silent as a lost tail;
    /// RFC 8985 §7.2 leaves it to the retransmission timer, RFC 9002 §6.2 (QUIC) does not.
    fn repair_patience(&self, srtt: Span) -> Option<Span> {
        let tries = self.selective.repair_probes;
        (tries < REPAIR_PROBES).then(|| srtt.times(2).max(LEAST).times(1 << tries))
    }

    /// The timer expired (RFC 8985 §7.3 "TLP_send_probe").
    pub(super) fn on_tail_probe_timeout(&mut self, cx: &mut Context<'_>) {
        if self.snd.in_flight() == 0 {
            return;
        }
        cx.stats.tail_probes += 1;
        if self.recovery.phase != Phase::Open {
            self.probe_repair(cx);
            return;
        }
        self.selective.tail = TailProbe::Due;
        let deadline = self.rtt.deadline(cx.now);
        self.timers.start_at(Timer::Retransmit, deadline);
    }

    /// The first segment in flight is lost once more.
    fn probe_repair(&mut self, cx: &mut Context<'_>) {
        let sel = &mut self.selective;
        sel.repair_probes += 1;
        if sel.board.missing() == 0 {
            let mut first = true;
            sel.board
                .mark_missing(cx.sends, |_, _| core::mem::take(&mut first));
        }
        let room = self.pipe() + self.effective_mss();
        self.congestion.set_cwnd(self.congestion.cwnd().max(room));
        self.selective.tail_moved = true;
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
