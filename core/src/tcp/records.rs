//! Where the connection meets the sender's half of SACK, which may be left out (feature `sack`).
use crate::config::TcpConfig;
use crate::time::Instant;
use crate::wire::tcp::SeqNum;

use super::output::{Kind, Plan};
use super::pcb::Pcb;
use super::scoreboard::SentStore;
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

    /// Bytes the next new segment may have, for want of records.
    pub(super) fn record_room(&self) -> u32 {
        self.selective.board.room()
    }

    pub(super) fn start_records(&mut self, sends: &SentStore) {
        self.selective.establish(self.negotiated.sack, sends);
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
    pub(super) fn record(
        &mut self,
        plan: Plan,
        end: SeqNum,
        now: Instant,
        config: &TcpConfig,
        sends: &mut SentStore,
    ) {
        use super::tail_probe::Probe;
        if !self.selective.is_on() || end == plan.seq {
            return;
        }
        let mss = self.effective_mss();
        let probing = self.selective.tail.is_due();
        match plan.kind {
            Kind::New => self.selective.sent_new(sends, plan.seq, end, mss, now),
            Kind::Again => self.selective.sent_again(sends, plan.seq, end, now),
            Kind::Syn | Kind::Keepalive | Kind::Ack => return,
        }
        if probing {
            let what = match plan.kind {
                Kind::New => Probe::New,
                _ => Probe::Again,
            };
            self.selective.tail.sent(self.snd.nxt, what);
            return;
        }
        if plan.seq == self.snd.una && plan.kind == Kind::Again && self.recovery.attempts == 0 {
            // The timer guards what is first in flight, from when it was sent.
            let rto = self.rtt.rto(config);
            self.timers.start(Timer::Retransmit, now, rto);
        }
        // RFC 8985 §7.2: after each transmission of new data.
        self.schedule_tail_probe(now, config);
    }

    /// The last segment in flight.
    pub(super) fn last_segment(&self) -> (SeqNum, SeqNum) {
        let (una, nxt) = (self.snd.una, self.snd.nxt);
        let len = nxt.since(una).min(self.effective_mss());
        (nxt - len, nxt)
    }
}

#[cfg(not(feature = "sack"))]
impl Pcb {
    pub(super) fn is_selective(&self) -> bool {
        false
    }

    pub(super) fn tail_probe_is_due(&self) -> bool {
        false
    }

    pub(super) fn record_room(&self) -> u32 {
        u32::MAX
    }

    pub(super) fn start_records(&mut self, _: &SentStore) {}

    pub(super) fn stop_records(&mut self, _: &mut SentStore) {}

    pub(super) fn refresh_records(&mut self, _: &SentStore) {}

    pub(super) fn record(
        &mut self,
        _: Plan,
        _: SeqNum,
        _: Instant,
        _: &TcpConfig,
        _: &mut SentStore,
    ) {
    }
}
