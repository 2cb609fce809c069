//! Where the connection meets the sender's half of SACK and pacing, which may be left out (features
//! `sack` and `bbr`).
use crate::time::Instant;
use crate::wire::tcp::SeqNum;

use super::congestion::CongestionControl;
use super::input::Context;
#[cfg(feature = "sack")]
use super::output::Kind;
use super::output::Plan;
use super::pcb::Pcb;
use super::sent_store::SentStore;
#[cfg(feature = "sack")]
use super::timers::Timer;

#[cfg(feature = "sack")]
impl Pcb {
    /// Whether the scoreboard is in use.
    pub(super) fn is_selective(&self) -> bool {
        self.selective.is_on()
    }

    pub(super) fn tail_probe_is_due(&self) -> bool {
        self.selective.is_on() && self.selective.tail.is_due()
    }

    /// The end of what the peer certainly lacks.
    pub(super) fn lacking_until(&self, sends: &SentStore) -> SeqNum {
        let gap = self.selective.board.first_gap_end(sends);
        gap.unwrap_or(self.snd.nxt)
    }

    /// Marks what is lost after a timeout; bytes that may still arrive.
    pub(super) fn believed_after_timeout(&mut self, cx: &mut Context<'_>) -> u32 {
        if !self.selective.is_on() {
            return 0;
        }
        self.selective_timeout(cx.now, cx.sends);
        self.pipe()
    }

    /// Bytes the next new segment may have, for want of records.
    pub(super) fn record_room(&self) -> u32 {
        self.selective.board.room()
    }

    /// Segments that records are at hand for.
    pub(super) fn records_for(&self, sends: &SentStore) -> u32 {
        match self.selective.is_on() {
            true => u32::try_from(sends.spare()).unwrap_or(u32::MAX),
            false => u32::MAX,
        }
    }

    pub(super) fn start_records(&mut self, sends: &SentStore) {
        self.selective.establish(self.negotiated.sack, sends);
        // Not every algorithm works without.
        self.follow(self.congestion.which());
    }

    pub(super) fn stop_records(&mut self, sends: &mut SentStore) {
        self.selective.clear(sends);
    }

    pub(super) fn refresh_records(&mut self, sends: &SentStore) {
        if self.selective.is_on() {
            let mss = self.effective_mss();
            self.selective.board.refresh(sends, mss);
        }
    }

    /// `plan`, which ends at `end`, was sent.
    pub(super) fn record(&mut self, plan: &Plan, end: SeqNum, now: Instant, sends: &mut SentStore) {
        use super::tail_probe::Probe;
        if !self.selective.is_on() {
            return;
        }
        #[cfg(feature = "bbr")]
        self.pacing
            .sent(now, end.since(plan.seq), self.effective_mss());
        match plan.kind {
            Kind::New => self.record_new(plan.seq, end, now, sends),
            Kind::Again => {
                let flight = self.snd.in_flight();
                self.selective
                    .sent_again(sends, (plan.seq, end), flight, now);
            }
            Kind::Syn | Kind::Keepalive | Kind::Ack => return,
        }
        if self.selective.tail.is_due() {
            let what = match plan.kind {
                Kind::New => Probe::New,
                _ => Probe::Again,
            };
            self.selective.tail.sent(self.snd.nxt, what);
            return;
        }
        if plan.seq == self.snd.una && plan.kind == Kind::Again && self.recovery.attempts == 0 {
            // The timer guards what is first in flight, from when it was sent.
            let deadline = self.rtt.deadline(now);
            self.timers.start_at(Timer::Retransmit, deadline);
        }
        self.watch_tail();
    }

    /// `start..end` was sent for the first time.
    pub(super) fn record_new(
        &mut self,
        start: SeqNum,
        end: SeqNum,
        now: Instant,
        sends: &mut SentStore,
    ) {
        let flight = start.since(self.snd.una);
        let mss = self.effective_mss();
        self.selective
            .sent_new(sends, (start, end), flight, mss, now);
    }

    /// New data was sent last: RFC 8985 §7.2.
    pub(super) fn watch_tail(&mut self) {
        self.selective.tail_moved = true;
    }

    /// After output, and so after whatever else was done: when to probe for a lost tail.
    pub(super) fn settle_tail_probe(&mut self, now: Instant) {
        if core::mem::take(&mut self.selective.tail_moved) {
            self.schedule_tail_probe(now);
        }
    }

    /// The last segment in flight.
    pub(super) fn last_segment(&self) -> (SeqNum, SeqNum) {
        let (una, nxt) = (self.snd.una, self.snd.nxt);
        let len = nxt.since(una).min(self.effective_mss());
        (nxt - len, nxt)
    }
}

#[cfg(feature = "bbr")]
impl Pcb {
    /// Changes the congestion control algorithm.
    pub(super) fn follow(&mut self, algorithm: CongestionControl) {
        self.congestion
            .switch(match self.is_synchronized() && !self.selective.is_on() {
                true => algorithm.without_sack(),
                false => algorithm,
            });
        self.pacing.set_rate(None);
        self.selective.rate.measures = self.congestion.is_model_based();
    }

    /// Whether congestion control models the path.
    pub(super) fn is_modelled(&self) -> bool {
        self.congestion.is_model_based()
    }

    /// Whether pacing holds the next segment back.
    pub(super) fn is_paced(&self) -> bool {
        self.pacing.is_blocked()
    }

    /// Whether segments are sent at a rate.
    pub(super) fn has_rate(&self) -> bool {
        self.pacing.has_rate()
    }

    pub(super) fn refresh_pacing(&mut self, now: Instant) {
        self.pacing.refresh(now);
    }

    /// What was not sent: until its time, or because the application has no more.
    pub(super) fn settle_pacing(&mut self) {
        match self.pacing.deadline() {
            Some(deadline) => self.timers.start_at(Timer::Pacing, deadline),
            None => {
                self.timers.stop(Timer::Pacing);
                if !self.congestion.is_model_based() {
                    return;
                }
                let pipe = self.pipe();
                let idle = self.snd.unsent() == 0 || self.usable() == 0;
                if idle && self.selective.board.missing() == 0 && pipe < self.congestion.cwnd() {
                    self.selective.rate.limited_by_application(pipe);
                }
            }
        }
    }
}

#[cfg(not(feature = "bbr"))]
impl Pcb {
    /// Changes the congestion control algorithm.
    pub(super) fn follow(&mut self, algorithm: CongestionControl) {
        self.congestion.switch(algorithm);
    }

    #[cfg(feature = "sack")]
    pub(super) fn is_modelled(&self) -> bool {
        false
    }

    pub(super) fn is_paced(&self) -> bool {
        false
    }

    pub(super) fn has_rate(&self) -> bool {
        false
    }

    pub(super) fn refresh_pacing(&mut self, _: Instant) {}

    pub(super) fn settle_pacing(&mut self) {}
}

#[cfg(not(feature = "sack"))]
impl Pcb {
    pub(super) fn is_selective(&self) -> bool {
        false
    }

    pub(super) fn tail_probe_is_due(&self) -> bool {
        false
    }

    pub(super) fn lacking_until(&self, _: &SentStore) -> SeqNum {
        self.snd.nxt
    }

    pub(super) fn believed_after_timeout(&mut self, _: &mut Context<'_>) -> u32 {
        0
    }

    pub(super) fn record_room(&self) -> u32 {
        u32::MAX
    }

    pub(super) fn start_records(&mut self, _: &SentStore) {}

    pub(super) fn stop_records(&mut self, _: &mut SentStore) {}

    pub(super) fn refresh_records(&mut self, _: &SentStore) {}

    pub(super) fn records_for(&self, _: &SentStore) -> u32 {
        u32::MAX
    }

    pub(super) fn settle_tail_probe(&mut self, _: Instant) {}

    pub(super) fn record(&mut self, _: &Plan, _: SeqNum, _: Instant, _: &mut SentStore) {}

    pub(super) fn record_new(&mut self, _: SeqNum, _: SeqNum, _: Instant, _: &mut SentStore) {}

    pub(super) fn watch_tail(&mut self) {}
}
