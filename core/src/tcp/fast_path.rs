//! The common case of RFC 9293 §3.10.7.4, found by comparing with what was predicted (V. Jacobson's
//! header prediction): an established connection, the next segment in sequence, nothing unusual in
//! it. Steps of the RFC that then do nothing are left out; everything else is left to `input`, and
//! the tests hold the two against each other.
use crate::pbuf::Pbuf;
use crate::wire::tcp::{Headline, SeqNum};

use super::State;
use super::events::News;
use super::input::Context;
use super::pcb::{Attached, Pcb};
use super::receive::PeerFin;
use super::sent_store::SentStore;

/// What the acknowledgement of a predicted segment says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Foreseen {
    /// It can at most move an open window.
    NothingNew,
    /// Something that was in flight arrived, and nothing is amiss.
    #[cfg(feature = "sack")]
    Calm,
}

impl Foreseen {
    /// What the application will be told of the segment.
    #[inline]
    pub(super) fn news(self, head: &Headline) -> News {
        match self {
            Self::NothingNew if head.len == 0 => News::None,
            _ => News::Some,
        }
    }
}

impl Pcb {
    /// What the acknowledgement of the segment says, if [`Pcb::take_predicted`] may process it:
    /// one with neither SYN, FIN, RST, URG nor congestion marks, see [`Headline`].
    #[inline]
    pub(super) fn predicted(
        &self,
        head: &Headline,
        tos: u8,
        sends: &SentStore,
    ) -> Option<Foreseen> {
        // In ESTABLISHED our FIN is not sent, so no acknowledgement can change the state.
        let fits = self.state == State::Established
            // Nothing to trim, neither in front nor behind, and acceptable whatever the window is.
            && head.seq == self.rcv.nxt
            && head.len <= self.rcv.window()
            // Data has a reader, and a place right behind the last.
            && self.rcv.runs.is_empty()
            && self.rcv.fin == PeerFin::Open
            && self.attached == Attached::Yes
            && !self.read_shut
            && self.ecn.is_quiet(tos)
            && self.is_stamped_in_order(head);
        if !fits {
            return None;
        }
        if self.says_nothing_new(head) {
            return Some(Foreseen::NothingNew);
        }
        #[cfg(feature = "sack")]
        if self.is_calm(head, sends) {
            return Some(Foreseen::Calm);
        }
        let _ = sends;
        None
    }

    /// RFC 7323 §5.3: no older than the last; and with a timestamp or without, as was agreed on.
    #[inline]
    fn is_stamped_in_order(&self, head: &Headline) -> bool {
        match head.timestamps {
            None => self.negotiated.timestamps.is_none(),
            Some(timestamps) => {
                self.negotiated.timestamps.is_some()
                    && SeqNum(timestamps.value).after_eq(SeqNum(self.rcv.ts_recent))
            }
        }
    }

    /// Whether the acknowledgement can at most move an open window: nothing is in flight, and
    /// nothing is left to be found out about what was. So it is for whoever only receives.
    #[inline]
    fn says_nothing_new(&self, head: &Headline) -> bool {
        #[cfg(feature = "sack")]
        let settled = self.selective.tail.is_idle();
        #[cfg(not(feature = "sack"))]
        let settled = true;
        head.ack == self.snd.una
            && self.snd.nxt == self.snd.una
            && settled
            && !self.recovery.in_recovery()
            // To a closed window belong probes and their answers.
            && self.snd.wnd > 0
            && head.window > 0
    }

    /// What is left of [`Pcb::arrives_otherwise`] for a segment as predicted: the fifth step and
    /// the seventh. The data starts at `data_at` of `packet`.
    #[inline]
    pub(super) fn take_predicted(
        &mut self,
        foreseen: Foreseen,
        head: &Headline,
        packet: Pbuf,
        data_at: usize,
        cx: &mut Context<'_>,
    ) {
        self.counters.segments_received = self.counters.segments_received.wrapping_add(1);
        self.heard(head.seq, head.timestamps, cx);
        self.update_window(head.ack, head.seq, head.window);
        match foreseen {
            Foreseen::NothingNew => {}
            #[cfg(feature = "sack")]
            Foreseen::Calm => {
                self.take_calm_ack(head, cx);
                self.path_acked();
                self.restart_user_timer(cx.now);
            }
        }
        if head.len > 0 {
            cx.stats.bytes_received = cx.stats.bytes_received.wrapping_add(u64::from(head.len));
            let mut data = packet;
            // A part that held headers only is freed: the data may be queued for long.
            data.advance(data_at);
            self.take_next(data, head.len, head.timestamps, cx.now);
        }
    }
}

#[cfg(all(test, not(loom)))]
mod tests;
