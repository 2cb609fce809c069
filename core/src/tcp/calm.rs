//! An acknowledgement while nothing is amiss: it covers what was sent once and in order, nothing is
//! lost, kept selectively, sent again or probed for. Then of all that `selective` does a few sums
//! are left. Only `fast_path` comes here, whose tests hold the two against each other.
use crate::wire::tcp::Headline;

use super::congestion::Acked;
use super::input::Context;
use super::pcb::Pcb;
use super::rack::TICK;
use super::sent_store::SentStore;
use super::timers::Timer;

impl Pcb {
    /// Whether [`Pcb::take_calm_ack`] may process the acknowledgement of a segment that says
    /// nothing selectively.
    #[inline(always)] // one caller, and a call in its middle costs it more than this
    pub(super) fn is_calm(&self, head: &Headline, sends: &SentStore) -> bool {
        let sel = &self.selective;
        // By distance, at least one, and at most what is in flight: comparisons could let a number
        // through that is 2^31 away.
        let acked = head.ack.since(self.snd.una);
        sel.is_on()
            && acked.wrapping_sub(1) < self.snd.in_flight()
            && !self.recovery.in_recovery()
            && sel.tail.is_idle()
            // A model of the path wants to know more.
            && !self.is_modelled()
            // A window that was closed tells about probes.
            && self.snd.wnd > 0
            && sel.board.is_quiet_before(head.ack)
            // RFC 8985 §6.2.5: what is still in flight was sent after all that arrived.
            && sel
                .board
                .first(sends)
                .is_some_and(|first| !sel.rack.suspects(&first))
            && !self
                .recovery
                .undo
                .original_arrived(head.ack, self.echo(head.timestamps))
    }

    /// What [`Pcb::take_ack`] does with an acknowledgement that [`Pcb::is_calm`]. The window is
    /// updated.
    #[inline]
    pub(super) fn take_calm_ack(&mut self, head: &Headline, cx: &mut Context<'_>) {
        let ack = head.ack;
        let flight = self.snd.in_flight();
        let acked = self.snd.acknowledge_data(ack);
        self.pending.acked = self.pending.acked.saturating_add(acked as usize);
        let sel = &mut self.selective;
        let Some(front) = sel.board.acknowledge_quiet(cx.sends, ack) else {
            return;
        };
        let (longest, shortest) = (front.oldest.age(cx.now), front.newest.age(cx.now));
        sel.rack.update_calm(&front, shortest, cx.now);
        // RFC 6298 §3, as in `measure_selective`.
        self.timed = None;
        let rtt = match self.echo(head.timestamps) {
            Some(echo) => longest.min(self.echo_age(echo, cx.now).saturating_add(TICK)),
            None => longest,
        };
        self.rtt.measured(rtt);
        self.recovery.attempts = 0;
        self.recovery.trim(ack);
        if self.is_window_limited(flight) {
            self.congestion.acked(&Acked {
                now: cx.now,
                bytes: flight - self.snd.in_flight(),
                mss: self.effective_mss(),
                una: ack,
                nxt: self.snd.nxt,
                rtt: Some(shortest),
                srtt: self.srtt(),
            });
        }
        self.timers.stop(Timer::Reorder);
        // RFC 6298 §5.2, §5.3, and RFC 8985 §7.2.
        if self.snd.in_flight() == 0 {
            self.timers.stop(Timer::Retransmit);
            self.timers.stop(Timer::TailProbe);
        } else {
            self.selective.repair_probes = 0;
            let deadline = self.rtt.deadline(cx.now);
            self.timers.start_at(Timer::Retransmit, deadline);
            self.selective.tail_moved = true;
        }
    }
}
