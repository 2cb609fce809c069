//! The common case of RFC 9293 §3.10.7.4, found by comparing with what was predicted (V. Jacobson's
//! header prediction): an established connection, the next segment in sequence, nothing unusual in
//! it. Steps of the RFC that then do nothing are left out; everything else is left to `input`, and
//! the tests hold the two against each other.
use crate::wire::tcp::{Flags, SeqNum};

use super::State;
use super::input::Context;
use super::pcb::{Attached, Pcb};
use super::receive::PeerFin;
use super::segment::Arrived;

impl Pcb {
    /// The acknowledgement of `segment`, if [`Pcb::take_predicted`] may process it.
    pub(super) fn predicted(&self, segment: &Arrived, cx: &Context<'_>) -> Option<SeqNum> {
        let ack = segment.ack?;
        // In ESTABLISHED our FIN is not sent, so no acknowledgement can change the state.
        let fits = self.state == State::Established
            // Neither SYN, FIN, RST nor congestion marks.
            && segment.flags.without(Flags::PSH) == Flags::ACK
            // Nothing to trim, neither in front nor behind, and acceptable whatever the window is.
            && segment.seq == self.rcv.nxt
            && segment.len <= self.rcv.window()
            // RFC 5961 §5.2 accepts more, namely old ones. By distance: of two numbers 2^31 apart each
            // is before the other, so with nothing in flight comparisons let one through.
            && ack.since(self.snd.una) <= self.snd.in_flight()
            // Data has a reader, and a place right behind the last.
            && self.rcv.runs.is_empty()
            && self.rcv.fin == PeerFin::Open
            && self.attached == Attached::Yes
            && !self.read_shut
            && !self.is_from_the_past(segment, cx);
        fits.then_some(ack)
    }

    /// What is left of [`Pcb::arrives_otherwise`] for a segment as predicted: the fifth step and
    /// the seventh.
    pub(super) fn take_predicted(
        &mut self,
        ack: SeqNum,
        segment: &mut Arrived,
        cx: &mut Context<'_>,
    ) {
        self.counters.segments_received = self.counters.segments_received.wrapping_add(1);
        self.heard(segment, cx);
        // Of the flags there is none, see above.
        if !self.ecn.is_quiet(segment.tos) {
            self.take_ecn(ack, segment);
        }
        if self.says_nothing_new(ack, segment) {
            self.update_window(ack, segment);
        } else {
            self.take_predicted_ack(ack, segment, cx);
        }
        if segment.len > 0 {
            cx.stats.bytes_received = cx.stats.bytes_received.wrapping_add(u64::from(segment.len));
            self.take_next(segment, cx);
        }
    }

    fn take_predicted_ack(&mut self, ack: SeqNum, segment: &Arrived, cx: &mut Context<'_>) {
        let una = self.snd.una;
        if self.is_calm(ack, segment, cx) {
            self.update_window(ack, segment);
            self.take_calm_ack(ack, segment, cx);
        } else {
            self.take_ack(ack, segment, cx);
        }
        if self.snd.una != una {
            self.path_acked();
            self.restart_user_timer(cx.now);
        }
    }

    #[cfg(not(feature = "sack"))]
    fn is_calm(&self, _: SeqNum, _: &Arrived, _: &Context<'_>) -> bool {
        false
    }

    #[cfg(not(feature = "sack"))]
    fn take_calm_ack(&mut self, _: SeqNum, _: &Arrived, _: &mut Context<'_>) {}

    /// Whether the acknowledgement in `segment` can at most move an open window: nothing is in
    /// flight, and nothing is left to be found out about what was. So it is for whoever only
    /// receives.
    fn says_nothing_new(&self, ack: SeqNum, segment: &Arrived) -> bool {
        #[cfg(feature = "sack")]
        let settled = self.selective.tail.is_idle();
        #[cfg(not(feature = "sack"))]
        let settled = true;
        settled
            && ack == self.snd.una
            && self.snd.in_flight() == 0
            && !self.recovery.in_recovery()
            && segment.options.sack.is_empty()
            // To a closed window belong probes and their answers.
            && self.snd.wnd > 0
            && segment.window > 0
    }
}

#[cfg(all(test, not(loom)))]
mod tests;
