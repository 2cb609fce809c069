//! Loss recovery of the sender without SACK: fast retransmit and NewReno recovery (RFC 5681,
//! RFC 6582), and what follows a timeout with and without (RFC 6298 §5). The window arithmetic is
//! in `congestion`, recovery with SACK in `selective`.
use crate::error::Error;
use crate::wire::tcp::SeqNum;

use super::State;
use super::congestion::{Acked, Again};
use super::input::Context;
use super::pcb::Pcb;
use super::send::Fin;
use super::timers::Timer;
use super::undo::Undo;

/// RFC 5681 §3.2: the third duplicate acknowledgement.
const DUPLICATES: u8 = 3;

/// What the sender believes was lost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Phase {
    /// Nothing.
    Open,
    /// Some of what was sent before `recover`: an acknowledgement of all of it ends this
    /// (RFC 6582 §3.2).
    Fast { recover: SeqNum },
    /// A timeout: everything up to `recover`.
    Timeout { recover: SeqNum },
}

/// Recovery state of one connection.
#[derive(Clone, Debug)]
pub(crate) struct Recovery {
    pub(super) phase: Phase,
    duplicates: u8,
    /// Next number to send again, up to (not including) `until`.
    resend: Option<(SeqNum, SeqNum)>,
    /// RFC 6582 §3.2 "recover": duplicate acknowledgements below it are echoes of our own
    /// retransmissions.
    guard: Option<SeqNum>,
    /// Timeouts or unanswered probes since the last progress.
    pub(crate) attempts: u8,
    /// What shows that the last recovery was for nothing.
    pub(super) undo: Undo,
    /// The end of what was sent again, and our timestamp clock at the last time.
    resent: Option<(SeqNum, u32)>,
}

impl Recovery {
    pub(crate) const NONE: Self = Self {
        phase: Phase::Open,
        duplicates: 0,
        resend: None,
        guard: None,
        attempts: 0,
        undo: Undo::NOTHING,
        resent: None,
    };

    /// What to send again: the range of numbers.
    pub(crate) fn pending(&self) -> Option<(SeqNum, SeqNum)> {
        self.resend
    }

    /// Numbers from `from` up to `upto` were sent again when our timestamp clock was at `clock`.
    pub(crate) fn resent(&mut self, from: SeqNum, upto: SeqNum, clock: u32) {
        self.undo.sent_again(from, clock);
        let end = self.resent.map_or(upto, |(end, _)| end.max(upto));
        self.resent = Some((end, clock));
        if let Some((from, until)) = &mut self.resend {
            *from = upto;
            if !from.before(*until) {
                self.resend = None;
            }
        }
    }

    /// Whether an acknowledgement of numbers from `una` on, which echoes `echo`, may have been
    /// caused by any of several copies, or by what came before a lost acknowledgement.
    pub(super) fn is_ambiguous(&self, una: SeqNum, echo: u32) -> bool {
        self.resent
            .is_some_and(|(end, clock)| una.before(end) && SeqNum(echo).before(SeqNum(clock)))
    }

    /// Everything from `una` to `nxt` goes again.
    pub(crate) fn resend_all(&mut self, una: SeqNum, nxt: SeqNum) {
        self.resend = Some((una, nxt));
    }

    /// Nothing needs to be sent again.
    #[cfg(feature = "sack")]
    pub(super) fn stop_resending(&mut self) {
        self.resend = None;
    }

    /// Everything before `una` is acknowledged.
    pub(super) fn trim(&mut self, una: SeqNum) {
        if let Some((from, until)) = self.resend {
            let from = from.max(una);
            self.resend = from.before(until).then_some((from, until));
        }
        if self.resent.is_some_and(|(end, _)| una.after_eq(end)) {
            self.resent = None;
        }
    }

    pub(crate) fn in_recovery(&self) -> bool {
        !matches!(self.phase, Phase::Open)
    }

    /// Bytes the congestion window counts as in flight: after a timeout only what was sent again
    /// counts, the rest is believed lost.
    pub(crate) fn believed_in_flight(&self, una: SeqNum, nxt: SeqNum) -> u32 {
        match (self.phase, self.resend) {
            (Phase::Timeout { .. }, Some((from, _))) => from.since(una),
            _ => nxt.since(una),
        }
    }
}

impl Pcb {
    /// An acknowledgement that acknowledges nothing new while data is in flight
    /// (RFC 5681 §2, "duplicate acknowledgement").
    pub(crate) fn on_duplicate_ack(&mut self) {
        let mss = self.effective_mss();
        match self.recovery.phase {
            Phase::Fast { recover } => {
                let flight = recover.since(self.snd.una);
                self.congestion.duplicate_in_recovery(flight, mss);
            }
            Phase::Timeout { .. } => {}
            Phase::Open => {
                self.recovery.duplicates = self.recovery.duplicates.saturating_add(1);
                // RFC 6582 §3.2 (2): not for duplicates caused by our own retransmissions.
                let fresh = self
                    .recovery
                    .guard
                    .is_none_or(|guard| self.snd.una.after(guard));
                if self.recovery.duplicates == DUPLICATES && fresh {
                    let recover = self.snd.nxt;
                    self.congestion.enter_recovery(self.snd.in_flight(), mss);
                    self.recovery.phase = Phase::Fast { recover };
                    self.recovery.guard = Some(recover);
                    self.recovery.undo = Undo::start(self.snd.una, recover);
                    self.recovery.resend = Some((self.snd.una, self.first_segment_end()));
                    // RFC 6298: Karn's rule; a segment sent twice is not timed.
                    self.timed = None;
                }
            }
        }
    }

    /// Limited transmit (RFC 3042): bytes of new data the first two duplicates allow beyond the
    /// congestion window.
    pub(crate) fn limited_transmit(&self) -> u32 {
        match self.recovery.phase {
            Phase::Open => u32::from(self.recovery.duplicates.min(2)) * self.effective_mss(),
            _ => 0,
        }
    }

    /// New bytes or flags were acknowledged; `una` is updated. `echo`: the timestamp of ours that
    /// the acknowledgement carries.
    pub(crate) fn on_new_ack(&mut self, acked: &Acked, window_limited: bool, echo: Option<u32>) {
        let mss = self.effective_mss();
        let una = self.snd.una;
        self.recovery.attempts = 0;
        self.recovery.duplicates = 0;
        self.recovery.trim(una);
        if self.recovery.in_recovery() && self.recovery.undo.original_arrived(una, echo) {
            // RFC 4015 §3.2: the original is only late.
            self.congestion.undo();
            self.recovery.phase = Phase::Open;
            self.recovery.resend = None;
            self.recovery.undo = Undo::NOTHING;
        }
        match self.recovery.phase {
            Phase::Open => {
                if window_limited {
                    self.congestion.acked(acked);
                }
            }
            Phase::Fast { recover } if una.before(recover) => {
                // RFC 6582 §3.2 (3): a partial acknowledgement names the next hole.
                self.congestion.partial_ack(acked.bytes, mss);
                self.recovery.resend = Some((una, self.first_segment_end()));
            }
            Phase::Fast { .. } => {
                self.congestion.exit_recovery(self.snd.in_flight(), mss);
                self.recovery.phase = Phase::Open;
            }
            Phase::Timeout { recover } => {
                self.congestion.acked(acked);
                if !una.before(recover) {
                    self.recovery.phase = Phase::Open;
                    self.recovery.resend = None;
                }
            }
        }
    }

    /// The retransmission timer expired with something unacknowledged.
    ///
    /// # Errors
    /// The connection is to be given up.
    pub(crate) fn on_retransmit_timeout(&mut self, cx: &mut Context<'_>) -> Result<(), Error> {
        let (now, config) = (cx.now, cx.config);
        self.recovery.attempts = self.recovery.attempts.saturating_add(1);
        self.rtt.timed_out();
        self.timed = None;
        let deadline = self.rtt.deadline(now);
        if matches!(self.state, State::SynSent | State::SynReceived) {
            if self.retransmits_exhausted(config) {
                return Err(Error::TimedOut);
            }
            self.syn_due = true;
            self.timers.start_at(Timer::Retransmit, deadline);
            return Ok(());
        }
        if self.retransmits_exhausted(config) {
            return Err(Error::TimedOut);
        }
        self.timers.start_at(Timer::Retransmit, deadline);
        let una = self.snd.una;
        if self.snd.wnd == 0 {
            // A probe that got no new window: the network lost nothing, so no congestion
            // response, and one byte is enough to ask again (RFC 9293 §3.8.6.1).
            self.recovery.resend = Some((una, una + 1));
            return Ok(());
        }
        let mss = self.effective_mss();
        let again = match self.recovery.phase {
            Phase::Timeout { .. } => Again::Repeated,
            Phase::Open | Phase::Fast { .. } => Again::First,
        };
        let recover = self.snd.nxt;
        if again == Again::First {
            self.recovery.undo = Undo::start(una, recover);
        }
        self.recovery.phase = Phase::Timeout { recover };
        self.recovery.guard = Some(recover);
        self.recovery.duplicates = 0;
        let flight = self.snd.in_flight();
        let pipe = self.believed_after_timeout(cx);
        self.congestion.timed_out(flight, pipe, mss, again);
        // RFC 6298 §5.4: the earliest first; the rest follows as acknowledgements open the window.
        self.recovery.resend = match self.is_selective() {
            // The scoreboard knows what is missing.
            true => None,
            false => Some((una, recover)),
        };
        Ok(())
    }

    /// An acceptable acknowledgement arrived while the window is closed: the peer lives, however
    /// long it keeps it so (RFC 9293 §3.8.6.1, MUST-36).
    pub(crate) fn on_probe_answered(&mut self) {
        self.recovery.attempts = 0;
    }

    /// Where the segment at `una` ends.
    fn first_segment_end(&self) -> SeqNum {
        let fin = u32::from(self.snd.fin == Fin::Sent);
        let end = self.snd.queue_end() + fin;
        (self.snd.una + self.effective_mss())
            .min(end)
            .min(self.snd.nxt)
    }
}
