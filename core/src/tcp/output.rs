//! What to send next: RFC 9293 §3.10.2 and §3.8.6, one segment at a time. A plan is made without
//! changing anything and carried out by the engine; `sent` then records it.
use crate::config::TcpConfig;
use crate::time::Instant;
use crate::wire::tcp::{Flags, SeqNum};

use super::pcb::{Force, Pcb};
use super::receive::AckDue;
use super::scoreboard::SentStore;
use super::send::Fin;
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
    /// The next segment to send with options of `options` bytes less than
    /// [`Pcb::effective_mss`] already accounts for. `None`: nothing (more) may be sent now.
    pub(crate) fn plan(&self) -> Option<Plan> {
        match self.state {
            State::Closed | State::TimeWait => return None,
            State::SynSent | State::SynReceived if self.syn_due => {
                let (seq, kind) = (self.snd.iss, Kind::Syn);
                return Some(Plan {
                    seq,
                    len: 0,
                    flags: Flags::SYN,
                    kind,
                });
            }
            State::SynSent => return None,
            State::SynReceived => return self.plan_ack(),
            _ => {}
        }
        let data = match self.to_resend() {
            _ if self.is_paced() => None,
            Some((from, until)) => self.plan_again(from, until),
            None => self.plan_new(),
        };
        if data.is_some() {
            return data;
        }
        if self.keepalive_due {
            return Some(self.plan_keepalive());
        }
        self.plan_ack()
    }

    /// The first range to be sent again, unless new data goes first.
    fn to_resend(&self) -> Option<(SeqNum, SeqNum)> {
        let pending = self.recovery.pending();
        #[cfg(feature = "sack")]
        if self.selective.is_on() {
            if self.selective.tail.is_due() && pending.is_none() {
                // RFC 8985 §7.3: new data if there is any, else the last segment.
                return match self.plan_new().is_some() {
                    true => None,
                    false => Some(self.last_segment()),
                };
            }
            let new_first = self.selective.new_first > 0 && self.plan_new().is_some();
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

    fn plan_new(&self) -> Option<Plan> {
        let nxt = self.snd.nxt;
        let unsent = self.snd.unsent();
        let fin = self.snd.fin == Fin::Queued;
        if unsent == 0 && !fin {
            return None;
        }
        if unsent == 0 {
            let bare_fin = Plan {
                seq: nxt,
                len: 0,
                flags: Flags::FIN,
                kind: Kind::New,
            };
            // Into a closed window only when nothing else is out: it then is the probe.
            let may = (self.usable() > 0 || self.snd.in_flight() == 0) && self.record_room() > 0;
            return may.then_some(bare_fin);
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
            seq: nxt,
            len,
            flags,
            kind: Kind::New,
        }))
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
    fn with_push(&self, plan: Plan) -> Plan {
        let end = plan.seq + plan.len;
        let pushed = self
            .snd
            .push
            .is_some_and(|push| push.after(plan.seq) && !push.after(end));
        if plan.len > 0 && pushed {
            return Plan {
                flags: plan.flags | Flags::PSH,
                ..plan
            };
        }
        plan
    }

    /// Payload bytes of a segment sent now: less while SACK blocks ride along.
    fn segment_room(&self) -> u32 {
        let blocks = match self.rcv.runs {
            _ if !self.negotiated.sack => 0,
            super::list::NONE if self.rcv.duplicate.is_none() => 0,
            super::list::NONE => 12,
            _ => 36,
        };
        self.effective_mss().saturating_sub(blocks).max(1)
    }

    /// Bytes of the peer's window that nothing was sent into.
    pub(crate) fn usable(&self) -> u32 {
        let right = self.snd.una + self.snd.wnd;
        if right.after(self.snd.nxt) {
            right.since(self.snd.nxt)
        } else {
            0
        }
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
    fn believed_in_flight(&self) -> u32 {
        #[cfg(feature = "sack")]
        if self.selective.is_on() {
            return self.pipe();
        }
        self.recovery.believed_in_flight(self.snd.una, self.snd.nxt)
    }

    /// Bytes that could leave now if they were queued.
    pub(crate) fn sendable(&self) -> u32 {
        if !self.is_synchronized() || self.to_resend().is_some() {
            return 0;
        }
        let flight = self.believed_in_flight();
        let congestion = self.congestion.cwnd().saturating_sub(flight);
        self.usable()
            .min(congestion)
            .saturating_sub(self.snd.unsent())
    }

    /// Records that `plan` was handed to IP at `now`.
    pub(crate) fn sent(
        &mut self,
        plan: Plan,
        now: Instant,
        config: &TcpConfig,
        sends: &mut SentStore,
    ) {
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
        self.path_sent(&plan, end);
        self.snd.nxt = self.snd.nxt.max(end);
        // RFC 6298 §5.1: the timer runs while something is unacknowledged.
        if takes > 0 {
            self.timers.stop(Timer::Persist);
            self.last_sent = now;
            if !self.timers.is_running(Timer::Retransmit) {
                let deadline = self.rtt.deadline(now);
                self.timers.start_at(Timer::Retransmit, deadline);
            }
        }
        self.record(plan, end, now, config, sends);
        if plan.kind != Kind::Syn || self.state == State::SynReceived {
            self.rcv.acknowledged();
            self.timers.stop(Timer::DelayedAck);
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

    /// Starts the timers that what was not sent needs. With this no state waits without a timer.
    pub(crate) fn after_output(&mut self, now: Instant, config: &TcpConfig) {
        if self.force == Force::Flush {
            self.force = Force::No;
        }
        self.settle_pacing();
        if self.rcv.ack == AckDue::Delayed && !self.timers.is_running(Timer::DelayedAck) {
            self.timers
                .start(Timer::DelayedAck, now, config.delayed_ack);
        }
        let waits = self.is_synchronized()
            && self.snd.in_flight() == 0
            && (self.snd.unsent() > 0 || self.snd.fin == Fin::Queued);
        if waits && !self.timers.is_running(Timer::Persist) {
            let deadline = self.rtt.deadline(now);
            self.timers.start_at(Timer::Persist, deadline);
        }
        self.run_user_timer(now);
        if self.pending.refused && !self.timers.is_running(Timer::Refused) {
            self.timers
                .start(Timer::Refused, now, core::time::Duration::from_millis(250));
        }
    }
}
