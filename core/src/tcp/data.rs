//! Segment text and FIN: RFC 9293 §3.10.7.4, seventh and eighth step.
use crate::error::Error;
use crate::pbuf::Pbuf;
use crate::time::Instant;
use crate::wire::tcp_options::Timestamps;

use super::input::{Context, Verdict};
use super::pcb::{Attached, Life, Pcb};
use super::receive::{AckDue, PeerFin};
use super::segment::Arrived;
use super::send::Fin;
use super::{QuickAck, State};

impl Pcb {
    /// Takes the data of a segment that was trimmed to the window.
    pub(super) fn take_data(&mut self, segment: &mut Arrived, cx: &mut Context<'_>) -> Verdict {
        let may_receive = matches!(
            self.state,
            State::Established | State::FinWait1 | State::FinWait2
        );
        if !may_receive || self.rcv.fin != PeerFin::Open {
            // Behind the FIN there is nothing; a retransmitted FIN wants its acknowledgement.
            if segment.seg_len() > 0 {
                self.rcv.acknowledge(AckDue::Now);
            }
            return Verdict::Done;
        }
        if segment.len == 0 && !segment.fin() {
            return Verdict::Done;
        }
        if segment.len > 0 {
            // RFC 9293 §3.10.4 (SHLD-3) and RFC 2525 §2.17: data for nobody resets, so that the
            // peer learns that it was lost.
            if self.attached == Attached::Orphan {
                return Verdict::Abort(Life::Ended);
            }
            if self.read_shut {
                return Verdict::Abort(Life::Failed(Error::Aborted));
            }
            cx.stats.bytes_received = cx.stats.bytes_received.wrapping_add(u64::from(segment.len));
        }
        if segment.seq != self.rcv.nxt {
            self.take_early(segment, cx);
            return Verdict::Done;
        }
        self.take_in_order(segment, cx)
    }

    fn take_early(&mut self, segment: &mut Arrived, cx: &mut Context<'_>) {
        let (seq, fin) = (segment.seq, segment.fin());
        let Some(data) = segment.payload.take() else {
            return;
        };
        let end = seq + segment.len;
        // RFC 2883 §4.2: the part that is stored already.
        let known = cx.runs.overlap(&self.rcv.runs, seq, end);
        if let Some((left, right)) = known {
            self.rcv.arrived_twice(left, right);
        }
        let stored = cx
            .runs
            .insert(&mut self.rcv.runs, seq, data, fin, cx.config);
        match stored {
            super::out_of_order::Stored::Kept => cx.stats.out_of_order += 1,
            super::out_of_order::Stored::Dropped => cx.stats.out_of_order_dropped += 1,
        }
        // RFC 5681 §4.2: at once, to tell the sender which segment is missing.
        self.rcv.acknowledge(AckDue::Now);
    }

    /// Takes the data and the FIN of a segment that starts at RCV.NXT.
    pub(super) fn take_in_order(&mut self, segment: &mut Arrived, cx: &mut Context<'_>) -> Verdict {
        let mut fin = segment.fin();
        if segment.len > 0
            && let Some(data) = segment.payload.take()
        {
            self.take_next(data, segment.len, segment.options.timestamps, cx.now);
        }
        let had_gap = !self.rcv.runs.is_empty();
        while had_gap && !fin {
            let Some((mut data, last)) = cx.runs.take_ready(&mut self.rcv.runs, self.rcv.nxt)
            else {
                break;
            };
            let len = self.rcv.append(&mut data);
            self.counters.received(len, cx.now);
            fin = last;
        }
        // RFC 5681 §4.2: a filled gap at once.
        if fin || had_gap {
            self.rcv.acknowledge(AckDue::Now);
        }
        if fin {
            self.take_fin(cx)
        } else {
            Verdict::Done
        }
    }

    /// Takes `len` bytes, the data of a segment that starts at RCV.NXT.
    pub(super) fn take_next(
        &mut self,
        data: Pbuf,
        len: u32,
        timestamps: Option<Timestamps>,
        now: Instant,
    ) {
        // A device may have put several segments together.
        if len <= 2 * self.effective_mss() {
            self.rcv.largest = self.rcv.largest.max(len);
        }
        self.rcv.unacked_bytes = self.rcv.unacked_bytes.saturating_add(len);
        self.counters.received(len, now);
        self.measure_as_receiver(timestamps, now);
        self.rcv.append_segment(data, len);
        self.pending.refused = false;
        // RFC 9293 §3.8.6.3 and RFC 5681 §4.2: every second full segment at once, the rest may wait
        // for data to ride on.
        let quick = self.settings.quick_ack == QuickAck::On;
        let due = if quick || self.rcv.unacked_bytes > self.rcv.largest {
            AckDue::Now
        } else {
            AckDue::Delayed
        };
        self.rcv.acknowledge(due);
    }

    pub(super) fn take_fin(&mut self, cx: &mut Context<'_>) -> Verdict {
        self.rcv.nxt += 1;
        self.rcv.edge = self.rcv.edge.max(self.rcv.nxt);
        self.rcv.fin = PeerFin::Arrived;
        self.pending.refused = false;
        cx.runs.clear(&mut self.rcv.runs);
        match self.state {
            State::Established => self.state = State::CloseWait,
            State::FinWait1 if self.snd.fin != Fin::Acked => self.state = State::Closing,
            State::FinWait1 | State::FinWait2 => return Verdict::TimeWait,
            _ => {}
        }
        Verdict::Done
    }
}
