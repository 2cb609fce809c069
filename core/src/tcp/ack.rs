//! What an acknowledgement does to the sender: the queue, the window, the clock.
use crate::wire::tcp::SeqNum;

use super::input::Context;
use super::pcb::Pcb;
use super::segment::Arrived;
use super::timers::Timer;

impl Pcb {
    /// RFC 9293 §3.10.7.4, fifth step. `ack` lies in the acceptable range.
    pub(super) fn take_ack(&mut self, ack: SeqNum, segment: &Arrived, cx: &mut Context<'_>) {
        let old_window = self.snd.wnd;
        let updated = self.update_window(ack, segment);
        if ack.after(self.snd.una) {
            self.take_new_ack(ack, segment, cx);
        } else if old_window == 0 && self.snd.wnd == 0 {
            self.on_probe_answered();
        } else if ack == self.snd.una
            && self.snd.nxt != self.snd.una
            && segment.len == 0
            && !segment.fin()
            && (self.snd.wnd == old_window || !segment.options.sack.is_empty())
        {
            // RFC 5681 §2: a duplicate acknowledgement.
            cx.stats.duplicate_acks += 1;
            self.on_duplicate_ack();
        }
        if updated && old_window == 0 && self.snd.wnd > 0 {
            self.window_opened(cx);
        }
    }

    fn take_new_ack(&mut self, ack: SeqNum, segment: &Arrived, cx: &mut Context<'_>) {
        let mss = self.effective_mss();
        let flight = self.snd.in_flight();
        // RFC 7661 §4.2 in spirit: a window that was not used is not made larger.
        let cwnd = self.congestion.cwnd();
        let window_limited = !self.ecn.echoed
            && (flight + 3 * mss >= cwnd
                || (cwnd < self.congestion.ssthresh() && 2 * flight >= cwnd));
        let acked = ack.since(self.snd.una);
        let bytes = self.snd.acknowledge(ack);
        self.pending.acked = self.pending.acked.saturating_add(bytes as usize);
        self.measure(segment, cx);
        self.on_new_ack(acked, window_limited);
        // RFC 6298 §5.2, §5.3.
        if self.snd.in_flight() == 0 {
            self.timers.stop(Timer::Retransmit);
        } else {
            let rto = self.rtt.rto(cx.config);
            self.timers.start(Timer::Retransmit, cx.now, rto);
        }
    }

    /// Takes a round-trip measurement if the segment offers one.
    pub(super) fn measure(&mut self, segment: &Arrived, cx: &Context<'_>) {
        if let Some((end, sent)) = self.timed
            && self.snd.una.after_eq(end)
        {
            self.timed = None;
            self.rtt.measured(cx.now.saturating_since(sent));
            return;
        }
        // RFC 7323 §4.1: the echoed timestamp, also of retransmissions.
        if let (Some(offset), Some(timestamps)) =
            (self.negotiated.timestamps, segment.options.timestamps)
        {
            let elapsed = Self::timestamp(offset, cx.now).wrapping_sub(timestamps.echo);
            // An echo from the future, or older than any connection waits, is no measurement.
            if u64::from(elapsed) <= cx.config.rto_max.as_millis() as u64 {
                self.rtt
                    .measured(core::time::Duration::from_millis(u64::from(elapsed)));
                return;
            }
        }
        self.rtt.progress();
    }

    /// RFC 9293 §3.10.7.4: the window counts if the segment is newer than the last that set it.
    fn update_window(&mut self, ack: SeqNum, segment: &Arrived) -> bool {
        if ack.before(self.snd.una) {
            return false;
        }
        let newer = self.snd.wl1.before(segment.seq)
            || (self.snd.wl1 == segment.seq && self.snd.wl2.before_eq(ack));
        if newer {
            self.snd.wnd = u32::from(segment.window) << self.snd.shift;
            self.snd.max_wnd = self.snd.max_wnd.max(self.snd.wnd);
            (self.snd.wl1, self.snd.wl2) = (segment.seq, ack);
        }
        newer
    }

    /// A closed window opened: a probe in flight was refused then, so it goes again now, and the
    /// back-off of the probes ends.
    fn window_opened(&mut self, cx: &Context<'_>) {
        self.rtt.progress();
        self.timers.stop(Timer::Persist);
        if self.snd.in_flight() > 0 {
            self.recovery.resend_all(self.snd.una, self.snd.nxt);
            let rto = self.rtt.rto(cx.config);
            self.timers.start(Timer::Retransmit, cx.now, rto);
        }
    }
}
