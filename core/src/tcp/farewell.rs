//! The last segments of a connection whose both sides are done: the acknowledgement of our FIN,
//! and the peer's FIN. What an acknowledgement tells about the path, and most of what `input` asks,
//! matters to nobody any more, for the connection ends with it.
use crate::wire::tcp::Flags;

use super::State;
use super::input::{Context, Verdict};
use super::pcb::Pcb;
use super::receive::{AckDue, PeerFin};
use super::segment::Arrived;
use super::send::Fin;

impl Pcb {
    /// What [`Pcb::arrives_otherwise`] decides about a segment without data that is next in order,
    /// acknowledges all there is, and ends the connection. `None`, and nothing is changed: it is
    /// another segment.
    #[inline]
    pub(super) fn take_farewell(
        &mut self,
        segment: &Arrived,
        cx: &mut Context<'_>,
    ) -> Option<Verdict> {
        let (with_fin, open) = match self.state {
            State::FinWait1 | State::FinWait2 => (true, true),
            State::Closing | State::LastAck => (false, false),
            _ => return None,
        };
        let flags = match with_fin {
            true => Flags::ACK | Flags::FIN,
            false => Flags::ACK,
        };
        let last = segment.flags.without(Flags::PSH) == flags
            && segment.len == 0
            && segment.seq == self.rcv.nxt
            && segment.ack == Some(self.snd.nxt)
            && segment.options.sack.is_empty();
        // All was sent, and of what was acknowledged the application has been told.
        let sent_all = matches!(self.snd.fin, Fin::Sent | Fin::Acked) && self.snd.queue.is_empty();
        if !last
            || !sent_all
            || open != (self.rcv.fin == PeerFin::Open)
            || !self.rcv.runs.is_empty()
            || self.is_from_the_past(segment, cx)
        {
            return None;
        }
        self.heard(segment.seq, segment.options.timestamps, cx);
        (self.snd.una, self.snd.fin) = (self.snd.nxt, Fin::Acked);
        match self.state {
            State::Closing => Some(Verdict::TimeWait),
            State::LastAck => Some(Verdict::End(super::pcb::Life::Ended)),
            _ => {
                self.state = State::FinWait2;
                self.rcv.acknowledge(AckDue::Now);
                Some(self.take_fin(cx))
            }
        }
    }
}

#[cfg(all(test, not(loom)))]
mod tests;
