//! What an acknowledgement does to the sender: the queue, the window, the clock. What it means for
//! lost segments is in `retransmit`, and if the peer acknowledges selectively in `selective`.
use crate::time::{Instant, Span};
use crate::wire::tcp::SeqNum;
use crate::wire::tcp_options::Timestamps;

use super::congestion::Acked;
use super::input::Context;
use super::pcb::Pcb;
use super::segment::Arrived;
use super::timers::Timer;

impl Pcb {
    /// RFC 9293 §3.10.7.4, fifth step. `ack` lies in the acceptable range.
    pub(super) fn take_ack(&mut self, ack: SeqNum, segment: &Arrived, cx: &mut Context<'_>) {
        let old_window = self.snd.wnd;
        let updated = self.update_window(ack, segment.seq, segment.window);
        if old_window == 0 && self.snd.wnd == 0 && ack == self.snd.una {
            self.on_probe_answered();
        }
        self.take_number(ack, old_window, segment, cx);
        if updated && old_window == 0 && self.snd.wnd > 0 {
            self.window_opened(cx);
        }
    }

    fn take_number(
        &mut self,
        ack: SeqNum,
        old_window: u32,
        segment: &Arrived,
        cx: &mut Context<'_>,
    ) {
        #[cfg(feature = "sack")]
        if self.selective.is_on() {
            self.take_selective_ack(ack, segment, cx);
            return;
        }
        let probing = old_window == 0 && self.snd.wnd == 0;
        if ack.after(self.snd.una) {
            self.take_new_ack(ack, segment, cx);
        } else if !probing
            && ack == self.snd.una
            && self.snd.nxt != self.snd.una
            && segment.len == 0
            && !segment.fin()
            && (self.snd.wnd == old_window || !segment.options.sack.is_empty())
        {
            // RFC 5681 §2: a duplicate acknowledgement.
            cx.stats.duplicate_acks += 1;
            self.on_duplicate_ack();
        }
    }

    fn take_new_ack(&mut self, ack: SeqNum, segment: &Arrived, cx: &mut Context<'_>) {
        let window_limited = self.is_window_limited(self.snd.in_flight()) && !self.ecn.echoed;
        let old_una = self.snd.una;
        let bytes = self.snd.acknowledge(ack);
        self.pending.acked = self.pending.acked.saturating_add(bytes as usize);
        // Karn's rule: of what was sent more than once the echo has to tell which copy it was,
        // else there is no measurement and the back-off stays.
        let ambiguous = self
            .echo(segment.options.timestamps)
            .is_some_and(|echo| self.recovery.is_ambiguous(old_una, echo));
        let rtt = match ambiguous {
            true => None,
            false => self.measure(segment, cx),
        };
        let acked = Acked {
            now: cx.now,
            bytes: ack.since(old_una),
            mss: self.effective_mss(),
            una: ack,
            nxt: self.snd.nxt,
            rtt,
            srtt: self.srtt(),
        };
        self.on_new_ack(
            &acked,
            window_limited,
            self.echo(segment.options.timestamps),
        );
        // RFC 6298 §5.2, §5.3.
        if self.snd.in_flight() == 0 {
            self.timers.stop(Timer::Retransmit);
        } else {
            let deadline = self.rtt.deadline(cx.now);
            self.timers.start_at(Timer::Retransmit, deadline);
        }
    }

    /// RFC 7661 §4.2 in spirit: a window that was not used is not made larger.
    pub(super) fn is_window_limited(&self, flight: u32) -> bool {
        let cwnd = self.congestion.cwnd();
        flight + 3 * self.effective_mss() >= cwnd
            || (cwnd < self.congestion.ssthresh() && 2 * flight >= cwnd)
    }

    /// The value of our timestamp clock that a segment with `timestamps` echoes.
    pub(super) fn echo(&self, timestamps: Option<Timestamps>) -> Option<u32> {
        self.negotiated.timestamps?;
        timestamps.map(|timestamps| timestamps.echo)
    }

    /// How long ago our timestamp clock had the value `echo`.
    pub(super) fn echo_age(&self, echo: u32, now: Instant) -> Span {
        let offset = self.negotiated.timestamps.unwrap_or(0);
        let elapsed = Self::timestamp(offset, now).wrapping_sub(echo);
        Span::from_millis(elapsed)
    }

    /// The smoothed round-trip time, or what is assumed without one.
    pub(super) fn srtt(&self) -> Span {
        self.rtt.srtt().unwrap_or(Span::from_secs(1))
    }

    /// Takes a round-trip measurement if the segment offers one.
    pub(super) fn measure(&mut self, segment: &Arrived, cx: &Context<'_>) -> Option<Span> {
        let measured = self.measurement(segment, cx);
        match measured {
            Some(rtt) => self.rtt.measured(rtt),
            None => self.rtt.progress(),
        }
        measured
    }

    fn measurement(&mut self, segment: &Arrived, cx: &Context<'_>) -> Option<Span> {
        if let Some((end, sent)) = self.timed
            && self.snd.una.after_eq(end)
        {
            self.timed = None;
            return Some(cx.now.since(sent));
        }
        // RFC 7323 §4.1: the echoed timestamp, also of retransmissions. An echo from the future,
        // or older than any connection waits, is no measurement.
        self.echo(segment.options.timestamps)
            .map(|echo| self.echo_age(echo, cx.now))
            .filter(|age| *age <= self.rtt.most())
    }

    /// RFC 9293 §3.10.7.4: the window counts if the segment is newer than the last that set it.
    /// Beyond the RFC, what acknowledges something new is newer whatever its number is (Linux does
    /// the same): else one forged segment with a number ahead of the peer's, and a closed window,
    /// leaves a byte for each probe from then on.
    pub(super) fn update_window(&mut self, ack: SeqNum, seq: SeqNum, window: u16) -> bool {
        if ack.before(self.snd.una) {
            return false;
        }
        let newer = ack.after(self.snd.una)
            || self.snd.wl1.before(seq)
            || (self.snd.wl1 == seq && self.snd.wl2.before_eq(ack));
        if newer {
            self.snd.wnd = u32::from(window) << self.snd.shift;
            self.snd.max_wnd = self.snd.max_wnd.max(self.snd.wnd);
            (self.snd.wl1, self.snd.wl2) = (seq, ack);
        }
        newer
    }

    /// A closed window opened: a probe in flight was refused then, so it goes again now, and the
    /// back-off of the probes ends.
    fn window_opened(&mut self, cx: &Context<'_>) {
        self.rtt.progress();
        self.timers.stop(Timer::Persist);
        if self.snd.in_flight() > 0 {
            let until = self.lacking_until(cx.sends);
            self.recovery.resend_all(self.snd.una, until);
            let deadline = self.rtt.deadline(cx.now);
            self.timers.start_at(Timer::Retransmit, deadline);
        }
    }
}
