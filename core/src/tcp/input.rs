//! A segment arrives at a connection: RFC 9293 §3.10.7.3 (SYN-SENT) and §3.10.7.4 (all others),
//! in the order of the RFC. What it does with acknowledgements is in `ack`, with data in `data`.
use crate::config::TcpConfig;
use crate::error::Error;
use crate::time::Instant;
use crate::wire::tcp::SeqNum;
use crate::wire::tcp_options::Timestamps;

use super::State;
use super::out_of_order::Runs;
use super::pcb::{Life, Pcb};
use super::receive::AckDue;
use super::segment::Arrived;
use super::send::Fin;
use super::sent_store::SentStore;
use super::stats::TcpStats;
use super::timers::Timer;

/// What the processing of one segment may use besides the connection.
pub(crate) struct Context<'a> {
    pub(crate) now: Instant,
    pub(crate) config: &'a TcpConfig,
    pub(crate) runs: &'a mut Runs,
    pub(crate) sends: &'a mut SentStore,
    pub(crate) stats: &'a mut TcpStats,
}

/// What the caller has to do after a segment was processed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// Nothing: the control block says what to send.
    Done,
    /// Answer `<SEQ=seq><CTL=RST>` and keep the connection.
    Reset { seq: SeqNum },
    /// The connection ended.
    End(Life),
    /// The connection ended with a reset to the peer, because data arrived for nobody.
    Abort(Life),
    /// The connection enters TIME-WAIT.
    TimeWait,
}

/// RFC 7323 §5.5: a timestamp older than this says nothing.
const PAWS_IDLE: core::time::Duration = core::time::Duration::from_secs(24 * 86_400);

impl Pcb {
    /// Processes a segment for this connection.
    pub(crate) fn segment_arrives(
        &mut self,
        segment: &mut Arrived,
        cx: &mut Context<'_>,
    ) -> Verdict {
        self.counters.segments_received = self.counters.segments_received.wrapping_add(1);
        match self.state {
            // A block that was only bound has no peer to hear from.
            State::Closed | State::TimeWait => Verdict::Done,
            State::SynSent => self.arrives_in_syn_sent(segment, cx),
            _ => match self.take_farewell(segment, cx) {
                Some(verdict) => verdict,
                None => self.arrives_otherwise(segment, cx),
            },
        }
    }

    /// RFC 9293 §3.10.7.3.
    fn arrives_in_syn_sent(&mut self, segment: &mut Arrived, cx: &mut Context<'_>) -> Verdict {
        // First, the ACK bit.
        if let Some(ack) = segment.ack
            && (ack.before_eq(self.snd.iss) || ack.after(self.snd.nxt))
        {
            return if segment.rst() {
                Verdict::Done
            } else {
                Verdict::Reset { seq: ack }
            };
        }
        // Second, the RST bit: believed only with an acceptable ACK.
        if segment.rst() {
            return match segment.ack {
                Some(_) => Verdict::End(Life::Failed(Error::Refused)),
                None => Verdict::Done,
            };
        }
        // Fourth, the SYN bit; fifth, a segment without it is dropped.
        if !segment.syn() {
            return Verdict::Done;
        }
        self.apply_syn_options(&segment.options, cx.config);
        self.ecn_of_peers_syn(segment, cx.config);
        self.rcv.synchronized(segment.seq);
        if let Some(timestamps) = segment.options.timestamps {
            (self.rcv.ts_recent, self.rcv.ts_recent_at) = (timestamps.value, cx.now);
        }
        // RFC 7323 §2.2: the window in a SYN is never scaled.
        self.snd.wnd = u32::from(segment.window);
        self.snd.max_wnd = self.snd.wnd;
        self.last_heard = cx.now;
        let Some(ack) = segment.ack else {
            // Simultaneous open (RFC 9293 §3.5, figure 8): the SYN is sent again, with an ACK.
            self.state = State::SynReceived;
            self.syn_due = true;
            return Verdict::Done;
        };
        self.snd.acknowledge(ack);
        (self.snd.wl1, self.snd.wl2) = (segment.seq, ack);
        self.establish(cx);
        self.restart_user_timer(cx.now);
        if self.measure(segment, cx).is_none() {
            self.rtt.nothing_learnt();
        }
        self.rcv.acknowledge(AckDue::Now);
        // Data and FIN may come with the SYN.
        segment.trim_front(self.rcv.nxt);
        // ... but no more than our SYN offered.
        segment.trim_back(self.rcv.edge);
        self.take_data(segment, cx)
    }

    /// RFC 9293 §3.10.7.4.
    pub(super) fn arrives_otherwise(
        &mut self,
        segment: &mut Arrived,
        cx: &mut Context<'_>,
    ) -> Verdict {
        if self.state == State::SynReceived
            && segment.syn()
            && segment.seq + 1 == self.rcv.nxt
            && segment.ack.is_some()
        {
            // The peer's SYN,ACK of a simultaneous open; its SYN is the one that is known.
            segment.trim_front(self.rcv.nxt);
        }
        // First, the sequence number. RFC 7323 §5.3 (R1) puts the timestamp before it.
        if self.is_from_the_past(segment, cx) {
            cx.stats.paws_rejected += 1;
            self.answer_unacceptable(segment, cx);
            return Verdict::Done;
        }
        if !self.is_acceptable(segment) {
            self.answer_unacceptable(segment, cx);
            return Verdict::Done;
        }
        let in_sequence = segment.seq == self.rcv.nxt;
        // RFC 2883 §4.1: the part that was delivered already.
        self.rcv
            .arrived_twice(segment.seq, self.rcv.nxt.min(segment.seq + segment.len));
        segment.trim_front(self.rcv.nxt);
        if segment.trim_back(self.rcv.edge) {
            // A probe of a closed window, or more than was offered: say again what is.
            self.rcv.acknowledge(AckDue::Now);
        }
        // Second, the RST bit.
        if segment.rst() {
            return self.reset_arrives(in_sequence, cx);
        }
        // Fourth, the SYN bit. RFC 5961 §4.2: a challenge, whatever the sequence number.
        if segment.syn() {
            cx.stats.challenge_acks += u32::from(self.challenge(cx));
            return Verdict::Done;
        }
        // Fifth, the ACK field.
        let Some(ack) = segment.ack else {
            return Verdict::Done;
        };
        if self.state == State::SynReceived {
            if !(ack.after(self.snd.una) && ack.before_eq(self.snd.nxt)) {
                return Verdict::Reset { seq: ack };
            }
            // The SYN's window, like all after it, is scaled now.
            self.snd.wnd = u32::from(segment.window) << self.snd.shift;
            self.snd.max_wnd = self.snd.wnd;
            (self.snd.wl1, self.snd.wl2) = (segment.seq, ack);
            self.establish(cx);
            self.heard(segment.seq, segment.options.timestamps, cx);
            self.take_ack_of_syn(ack, segment, cx);
            return self.take_data(segment, cx);
        }
        // RFC 5961 §5.2: SND.UNA - MAX.SND.WND <= SEG.ACK <= SND.NXT, else it is blind.
        let oldest = self.snd.una - self.snd.max_wnd.min(1 << 30);
        if ack.before(oldest) || ack.after(self.snd.nxt) {
            cx.stats.challenge_acks += u32::from(self.challenge(cx));
            return Verdict::Done;
        }
        self.heard(segment.seq, segment.options.timestamps, cx);
        let fin_was_acked = self.snd.fin == Fin::Acked;
        self.take_ecn(ack, segment);
        let una = self.snd.una;
        self.take_ack(ack, segment, cx);
        if self.snd.una != una {
            self.path_acked();
            self.restart_user_timer(cx.now);
        }
        if !fin_was_acked && self.snd.fin == Fin::Acked {
            match self.state {
                State::FinWait1 => self.enter_fin_wait_2(cx.now, cx.config),
                State::Closing => return Verdict::TimeWait,
                State::LastAck => return Verdict::End(Life::Ended),
                _ => {}
            }
        }
        // Sixth, the URG bit: RFC 6093 §6; urgent data is delivered in line.
        // Seventh and eighth, data and FIN.
        self.take_data(segment, cx)
    }

    /// The peer acknowledges our SYN, and with it all that was sent.
    fn take_ack_of_syn(&mut self, ack: SeqNum, segment: &Arrived, cx: &mut Context<'_>) {
        self.snd.acknowledge(ack);
        self.restart_user_timer(cx.now);
        // RFC 5681 §3.1: it makes the congestion window no larger.
        self.measure(segment, cx);
    }

    /// RFC 9293 §3.4: does the segment touch the window? A window of zero takes segments without
    /// data at its edge, and of those with data the acknowledgement (§3.10.7.4).
    fn is_acceptable(&self, segment: &Arrived) -> bool {
        let (nxt, window) = (self.rcv.nxt, self.rcv.window());
        let len = segment.seg_len();
        if len == 0 || window == 0 {
            return segment.seq == nxt || segment.seq.in_window(nxt, window);
        }
        let last = segment.seq + (len - 1);
        segment.seq.in_window(nxt, window)
            || last.in_window(nxt, window)
            || (segment.seq.before(nxt) && last.after_eq(nxt))
            // A FIN directly behind a full window takes no room.
            || (segment.seq == self.rcv.edge && segment.fin() && segment.len == 0)
    }

    /// RFC 7323 §5.3: PAWS. Resets are exempt (§5.2).
    pub(super) fn is_from_the_past(&self, segment: &Arrived, cx: &Context<'_>) -> bool {
        if self.negotiated.timestamps.is_none() || segment.rst() {
            return false;
        }
        match segment.options.timestamps {
            Some(timestamps) => {
                SeqNum(timestamps.value).before(SeqNum(self.rcv.ts_recent))
                    && cx.now.saturating_since(self.rcv.ts_recent_at) < PAWS_IDLE
            }
            // RFC 7323 §3.2: once negotiated, a segment without the option SHOULD be dropped.
            None => true,
        }
    }

    /// RFC 9293 §3.10.7.4: what is not acceptable is answered with an acknowledgement, unless it
    /// is a reset. Rate limited like a challenge: a spoofed flood must not be reflected, and two
    /// confused peers must not answer each other for ever.
    fn answer_unacceptable(&mut self, segment: &Arrived, cx: &mut Context<'_>) {
        cx.stats.unacceptable += 1;
        if segment.rst() {
            return;
        }
        // Retransmissions and window probes are honest needs; everything else is a challenge.
        if segment.seg_len() > 0 && segment.seq.before_eq(self.rcv.nxt) && !segment.syn() {
            let end = self.rcv.nxt.min(segment.seq + segment.len);
            if self.rcv.nxt.since(segment.seq) <= self.rcv.limit {
                self.rcv.arrived_twice(segment.seq, end);
            }
            self.rcv.acknowledge(AckDue::Now);
        } else {
            self.challenge(cx);
        }
    }

    /// Queues a challenge acknowledgement if this connection's limit allows (RFC 5961 §10; per
    /// connection, because a global count can be read from outside, CVE-2016-5696).
    fn challenge(&mut self, cx: &mut Context<'_>) -> bool {
        let allowed = self
            .challenges
            .allow(cx.now, u16::from(cx.config.challenge_acks_per_second));
        if allowed {
            self.rcv.acknowledge(AckDue::Now);
        }
        allowed
    }

    /// RFC 5961 §3.2: only the exact next number resets; one elsewhere in the window is asked
    /// about.
    fn reset_arrives(&mut self, in_sequence: bool, cx: &mut Context<'_>) -> Verdict {
        if !in_sequence {
            cx.stats.challenge_acks += u32::from(self.challenge(cx));
            return Verdict::Done;
        }
        cx.stats.resets_received += 1;
        match self.state {
            State::SynReceived => Verdict::End(Life::Failed(Error::Refused)),
            State::Closing | State::LastAck => Verdict::End(Life::Ended),
            _ => Verdict::End(Life::Failed(Error::Reset)),
        }
    }

    /// The handshake is complete.
    fn establish(&mut self, cx: &Context<'_>) {
        self.state = State::Established;
        self.syn_due = false;
        self.recovery.attempts = 0;
        self.timers.stop(Timer::Retransmit);
        let algorithm = self.settings.congestion.unwrap_or(cx.config.congestion);
        self.congestion.start(algorithm, self.effective_mss());
        self.start_records(cx.sends);
        // An accepted connection is announced by `accept`.
        self.pending.connected = self.pending.accept.is_none();
        self.start_keepalive_timer(cx.now);
        self.start_poll_timer(cx.now);
        match self.snd.fin {
            // Closed while the handshake went on.
            Fin::Queued => self.state = State::FinWait1,
            Fin::Open | Fin::Sent | Fin::Acked => {}
        }
    }

    /// The segment is acceptable: the peer lives.
    #[inline]
    pub(super) fn heard(&mut self, seq: SeqNum, timestamps: Option<Timestamps>, cx: &Context<'_>) {
        self.last_heard = cx.now;
        if self.timers.is_running(Timer::Keepalive) {
            self.start_keepalive_timer(cx.now);
        }
        if self.timers.is_running(Timer::Poll) {
            self.start_poll_timer(cx.now);
        }
        // RFC 7323 §4.3 (2): only from a segment that covers what was last acknowledged.
        if let Some(timestamps) = timestamps
            && SeqNum(timestamps.value).after_eq(SeqNum(self.rcv.ts_recent))
            && seq.before_eq(self.rcv.last_ack_sent)
        {
            (self.rcv.ts_recent, self.rcv.ts_recent_at) = (timestamps.value, cx.now);
        }
    }

    pub(super) fn enter_fin_wait_2(&mut self, now: Instant, config: &TcpConfig) {
        self.state = State::FinWait2;
        // RFC 9293 §3.6.1 allows a limit once the application is gone (MAY-… "half-duplex").
        if self.closed {
            self.timers.start(Timer::FinWait2, now, config.fin_wait_2);
        }
    }
}

#[cfg(all(test, not(loom)))]
mod tests;
