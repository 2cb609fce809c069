//! What to send next: RFC 9293 §3.10.2 and §3.8.6, one segment at a time. A plan is made without
//! changing anything and carried out by the engine; `sent` then records it.
use crate::config::TcpConfig;
use crate::time::Instant;
use crate::wire::tcp::{Flags, SeqNum};

use super::input::Context;
use super::pcb::{Force, Pcb};
use super::receive::AckDue;
use super::send::Fin;
use super::sent_store::SentStore;
use super::timers::Timer;
use super::{Cork, Nagle, State};

/// A segment to send.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Plan {
    pub(crate) seq: SeqNum,
    /// Payload bytes.
    pub(crate) len: u32,
    /// Without ACK, which all but the first SYN carry.
    pub(crate) flags: Flags,
    pub(crate) kind: Kind,
}

/// Why a segment is sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Syn,
    /// Sent before.
    Again,
    /// Data or FIN never sent before.
    New,
    Keepalive,
    /// An acknowledgement by itself.
    Ack,
}

impl Pcb {
    /// The next segment to send. `None`: nothing (more) may be sent now.
    #[inline]
    pub(crate) fn plan(&self) -> Option<Plan> {
        let unsent = self.snd.unsent() > 0 || self.snd.fin == Fin::Queued;
        let other = self.syn_due || self.keepalive_due || self.rcv.ack == AckDue::Now;
        match unsent || other || !self.sends_new_only() {
            true => self.plan_something(),
            false => None,
        }
    }

    #[inline(never)]
    fn plan_something(&self) -> Option<Plan> {
        if !self.is_synchronized() || self.state == State::TimeWait {
            return self.plan_handshake();
        }
        let new = self.plan_new();
        let data = match self.sends_new_only() {
            true => new,
            false => self.plan_among(new),
        };
        if data.is_some() {
            return data;
        }
        if self.keepalive_due {
            return Some(self.plan_keepalive());
        }
        self.plan_ack()
    }

    #[cold]
    fn plan_handshake(&self) -> Option<Plan> {
        match self.state {
            State::SynSent | State::SynReceived if self.syn_due => Some(Plan {
                seq: self.snd.iss,
                len: 0,
                flags: Flags::SYN,
                kind: Kind::Syn,
            }),
            State::SynReceived => self.plan_ack(),
            _ => None,
        }
    }

    /// Whether nothing is to be sent again, and nothing holds new data back.
    pub(super) fn sends_new_only(&self) -> bool {
        let quiet = self.recovery.pending().is_none() && !self.is_paced();
        #[cfg(feature = "sack")]
        let quiet = quiet && self.selective.board.resend().is_none() && !self.tail_probe_is_due();
        quiet
    }

    /// Data of what is to be sent again and `new`.
    #[inline(never)]
    fn plan_among(&self, new: Option<Plan>) -> Option<Plan> {
        if self.is_paced() {
            return None;
        }
        match self.to_resend(new.is_some()) {
            Some((from, until)) => self.plan_again(from, until),
            None => new,
        }
    }

    /// The first range to be sent again, unless new data, if it may be sent, goes first.
    #[cfg_attr(
        not(feature = "sack"),
        expect(unused_variables, reason = "the scoreboard's rules")
    )]
    fn to_resend(&self, may_send_new: bool) -> Option<(SeqNum, SeqNum)> {
        let pending = self.recovery.pending();
        #[cfg(feature = "sack")]
        if self.selective.is_on() {
            if self.selective.tail.is_due() && pending.is_none() {
                // RFC 8985 §7.3: new data if there is any, else the last segment.
                return (!may_send_new).then(|| self.last_segment());
            }
            let new_first = self.selective.new_first > 0 && may_send_new;
            return pending.or_else(|| match new_first {
                true => None,
                false => self.selective.board.resend(),
            });
        }
        pending
    }

    fn plan_again(&self, from: SeqNum, until: SeqNum) -> Option<Plan> {
        let mss = self.segment_room();
        let offset = from.since(self.snd.una);
        // The peer's window bounds resending too, but its first byte may always be asked about.
        let window = self.snd.wnd.max(1);
        let whole = until.since(from).min(mss);
        // What the scoreboard misses waits for its room; a probe of the first byte does not.
        let probes = self.recovery.pending().is_some() || !self.is_selective();
        let fits = (offset == 0 && probes) || self.fits_again(offset, whole);
        if !fits || offset >= window {
            return None;
        }
        let numbers = whole.min(window - offset);
        let end = self.snd.queue_end();
        let data = if end.after(from) {
            end.since(from).min(numbers)
        } else {
            0
        };
        // What is left of the numbers behind the data is the FIN.
        let fin = numbers > data && self.snd.fin == Fin::Sent;
        if data == 0 && !fin {
            return None;
        }
        let flags = if fin { Flags::FIN } else { Flags::NONE };
        Some(self.with_push(Plan {
            seq: from,
            len: data,
            flags,
            kind: Kind::Again,
        }))
    }

    #[inline]
    fn plan_new(&self) -> Option<Plan> {
        let unsent = self.snd.unsent();
        let fin = self.snd.fin == Fin::Queued;
        if unsent == 0 {
            return if fin { self.plan_fin() } else { None };
        }
        let mss = self
            .path_probe_room()
            .unwrap_or_else(|| self.segment_room());
        let wanted = unsent.min(mss);
        let usable = match self.force {
            // RFC 9293 §3.8.6.1: a probe carries one byte beyond the window.
            Force::Probe => self.usable().max(1),
            Force::Flush | Force::No => self.usable(),
        };
        let len = wanted.min(usable);
        if len == 0 || !self.congestion_allows(wanted) || len > self.record_room() {
            return None;
        }
        // RFC 9293 §3.8.6.2.1, conditions (1) to (4) for sending.
        let last = len == unsent;
        let nagle_allows = self.settings.nagle == Nagle::Disabled
            || self.snd.in_flight() == 0
            || fin
            || self.force == Force::Flush
            || self.tail_probe_is_due();
        // A cork holds what is not full back until the override timer expires.
        let corked = self.settings.cork == Cork::On && self.force == Force::No && !fin;
        let send = len == mss
            || (last && nagle_allows && !corked)
            || len >= (self.snd.max_wnd / 2).max(1)
            || self.force == Force::Probe;
        if !send {
            return None;
        }
        let flags = if fin && last { Flags::FIN } else { Flags::NONE };
        Some(self.with_push(Plan {
            seq: self.snd.nxt,
            len,
            flags,
            kind: Kind::New,
        }))
    }

    /// A FIN behind all data.
    fn plan_fin(&self) -> Option<Plan> {
        // Into a closed window only when nothing else is out: it then is the probe.
        let may = (self.usable() > 0 || self.snd.in_flight() == 0) && self.record_room() > 0;
        may.then_some(Plan {
            seq: self.snd.nxt,
            len: 0,
            flags: Flags::FIN,
            kind: Kind::New,
        })
    }

    fn plan_keepalive(&self) -> Plan {
        // RFC 9293 §3.8.4: a number already acknowledged, no data.
        Plan {
            seq: self.snd.nxt - 1,
            len: 0,
            flags: Flags::NONE,
            kind: Kind::Keepalive,
        }
    }

    fn plan_ack(&self) -> Option<Plan> {
        if self.rcv.ack != AckDue::Now {
            return None;
        }
        Some(Plan {
            seq: self.snd.nxt,
            len: 0,
            flags: Flags::NONE,
            kind: Kind::Ack,
        })
    }

    /// PSH on the segment that holds the last byte of a write (RFC 9293 §3.9.1.2).
    pub(super) fn with_push(&self, plan: Plan) -> Plan {
        Plan {
            flags: plan.flags | self.push_within(plan.seq, plan.len),
            ..plan
        }
    }

    /// PSH if a write ends within the `len` bytes from `seq` on.
    pub(super) fn push_within(&self, seq: SeqNum, len: u32) -> Flags {
        let within = |push: SeqNum| push.after(seq) && !push.after(seq + len);
        match self.snd.push.is_some_and(within) {
            true => Flags::PSH,
            false => Flags::NONE,
        }
    }

    /// Payload bytes of a segment sent now: less while SACK blocks ride along.
    fn segment_room(&self) -> u32 {
        let blocks = match self.rcv.runs.is_empty() {
            _ if !self.negotiated.sack => 0,
            true if self.rcv.duplicate.is_none() => 0,
            true => 12,
            false => 36,
        };
        self.effective_mss().saturating_sub(blocks).max(1)
    }

    /// Bytes of the peer's window that nothing was sent into.
    pub(crate) fn usable(&self) -> u32 {
        self.snd.wnd.saturating_sub(self.snd.in_flight())
    }

    fn congestion_allows(&self, len: u32) -> bool {
        // RFC 8985 §7.3: a probe may exceed the congestion window.
        if self.tail_probe_is_due() {
            return true;
        }
        let flight = self.believed_in_flight();
        flight == 0
            || flight.saturating_add(len) <= self.congestion.cwnd() + self.limited_transmit()
    }

    /// Whether the congestion window has room for `len` bytes again, `offset` behind SND.UNA.
    fn fits_again(&self, offset: u32, len: u32) -> bool {
        if self.is_selective() {
            return self.congestion_allows(len);
        }
        offset.saturating_add(len) <= self.congestion.cwnd()
    }

    /// Bytes in flight that the congestion window has to cover.
    pub(super) fn believed_in_flight(&self) -> u32 {
        #[cfg(feature = "sack")]
        if self.selective.is_on() {
            return self.pipe();
        }
        self.recovery.believed_in_flight(self.snd.una, self.snd.nxt)
    }

    /// Bytes that could leave now if they were queued.
    pub(crate) fn sendable(&self) -> u32 {
        if !self.is_synchronized() || self.to_resend(self.plan_new().is_some()).is_some() {
            return 0;
        }
        let flight = self.believed_in_flight();
        let congestion = self.congestion.cwnd().saturating_sub(flight);
        self.usable()
            .min(congestion)
            .saturating_sub(self.snd.unsent())
    }

    /// Records that `plan` was handed to IP at `now`.
    pub(crate) fn sent(&mut self, plan: &Plan, cx: &mut Context<'_>) {
        let now = cx.now;
        let takes = plan.len
            + u32::from(plan.flags.contains(Flags::SYN))
            + u32::from(plan.flags.contains(Flags::FIN));
        let end = plan.seq + takes;
        match plan.kind {
            Kind::Syn => {
                self.syn_due = false;
                // Karn's rule: a SYN sent twice is not timed.
                let first = self.snd.nxt == self.snd.iss;
                self.timed = first.then_some((end, now));
            }
            Kind::Again => {
                let clock = Self::timestamp(self.negotiated.timestamps.unwrap_or(0), now);
                self.recovery.resent(plan.seq, end, clock);
            }
            Kind::New => {
                if self.timed.is_none() && !self.recovery.in_recovery() && !self.is_selective() {
                    self.timed = Some((end, now));
                }
                if plan.flags.contains(Flags::FIN) {
                    self.snd.fin = Fin::Sent;
                }
                self.force = Force::No;
            }
            Kind::Keepalive => self.keepalive_due = false,
            Kind::Ack => {}
        }
        if takes > 0 {
            self.path_sent(plan, end);
            self.snd.nxt = self.snd.nxt.max(end);
            self.timers_due = true;
            self.record(plan, end, now, cx.sends);
        }
        if plan.kind != Kind::Syn || self.state == State::SynReceived {
            self.rcv.acknowledged();
        }
    }

    /// Prepares for output at `now`: a window that was idle is not trusted (RFC 5681 §4.1).
    pub(crate) fn before_output(&mut self, now: Instant, sends: &SentStore) {
        self.ask_path_again(now);
        self.refresh_records(sends);
        self.refresh_pacing(now);
        if self.snd.in_flight() == 0
            && self.snd.unsent() > 0
            && now > self.rtt.deadline(self.last_sent)
            && self.is_synchronized()
        {
            let mss = self.effective_mss();
            let idle = now.saturating_since(self.last_sent);
            self.congestion.restart_after_idle(mss, idle);
        }
    }

    /// Sets the timers that what was sent, and what was not, needs. With this no state waits
    /// without a timer.
    pub(crate) fn after_output(&mut self, now: Instant, config: &TcpConfig) {
        if self.force == Force::Flush {
            self.force = Force::No;
        }
        if core::mem::take(&mut self.timers_due) {
            self.last_sent = now;
            // RFC 6298 §5.1: the timer runs while something is unacknowledged.
            if !self.timers.is_running(Timer::Retransmit) {
                let deadline = self.rtt.deadline(now);
                self.timers.start_at(Timer::Retransmit, deadline);
            }
            self.timers.stop(Timer::Persist);
        }
        self.settle_pacing();
        self.settle_tail_probe(now);
        match self.rcv.ack {
            AckDue::No => self.timers.stop(Timer::DelayedAck),
            AckDue::Delayed if !self.timers.is_running(Timer::DelayedAck) => {
                self.timers
                    .start(Timer::DelayedAck, now, config.delayed_ack);
            }
            AckDue::Delayed | AckDue::Now => {}
        }
        if self.snd.in_flight() == 0 {
            self.wait_for_window(now);
        }
        self.run_user_timer(now);
        if self.pending.refused && !self.timers.is_running(Timer::Refused) {
            self.timers
                .start(Timer::Refused, now, core::time::Duration::from_millis(250));
        }
    }

    /// Nothing is in flight: what waits is looked after by a timer.
    fn wait_for_window(&mut self, now: Instant) {
        let waits =
            self.is_synchronized() && (self.snd.unsent() > 0 || self.snd.fin == Fin::Queued);
        if waits && !self.timers.is_running(Timer::Persist) {
            let deadline = self.rtt.deadline(now);
            self.timers.start_at(Timer::Persist, deadline);
        }
    }
}
