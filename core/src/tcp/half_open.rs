//! Half-open connections: their SYN,ACK, what arrives for them, and how they become connections
//! (RFC 9293 §3.10.7.4 for SYN-RECEIVED). The table is in `syn_queue`.
use crate::ip::Ip;
use crate::time::Instant;
use crate::wire::tcp::Flags;
use crate::wire::tcp_options::{Options, Timestamps};

use super::State;
use super::engine::Engine;
use super::listen::ListenSlot;
use super::pcb::Negotiated;
use super::segment::{Arrived, Emit};
use super::settings::Settings;
use super::syn_cookie::Extras;
use super::syn_queue::{Due, HalfOpen};

impl Engine {
    /// A segment for the half-open connection `record`.
    pub(super) fn arrives_half_open(
        &mut self,
        ip: &mut Ip,
        now: Instant,
        record: u16,
        segment: &mut Arrived,
    ) {
        let Some(slot) = self.syns.at(record).map(|slot| *slot) else {
            return;
        };
        let settings = self.settings_of(&slot);
        let rcv_nxt = slot.irs + 1;
        let window = u32::from(settings.syn_window(&self.config));
        // The SYN again: its answer was lost (RFC 9293 §3.8.1).
        if segment.syn() && segment.ack.is_none() && segment.seq == slot.irs {
            if self.may_answer(record, now) {
                self.answer_syn(ip, now, &slot, None);
            }
            return;
        }
        if segment.rst() {
            // RFC 5961 §3.2: only the exact number; then back to LISTEN.
            if segment.seq == rcv_nxt {
                self.stats.resets_received += 1;
                self.drop_half_open(record);
            } else if segment.seq.in_window(rcv_nxt, window) {
                self.challenge_half_open(ip, now, record, &slot);
            }
            return;
        }
        let acceptable = segment.seq.in_window(rcv_nxt, window)
            || (segment.seq_end().after(rcv_nxt) && segment.seq.before(rcv_nxt));
        if !acceptable || segment.syn() || slot.is_from_the_past(segment) {
            // RFC 9293 §3.10.7.4 and RFC 5961 §4.2: answered with an acknowledgement.
            self.stats.unacceptable += 1;
            self.challenge_half_open(ip, now, record, &slot);
            return;
        }
        // RFC 9293 §3.10.7.4, fifth: without ACK it is dropped.
        let Some(ack) = segment.ack else { return };
        if ack != slot.iss + 1 {
            // <SEQ=SEG.ACK><CTL=RST>.
            self.send_reset(ip, now, segment.local, segment.remote, ack, None);
            return;
        }
        let says_something = segment.len > 0 || segment.fin();
        if !says_something && self.syns.defers(record, now, settings.defer_accept) {
            return;
        }
        if self.complete(ip, now, &slot, segment) {
            // The record's place in the backlog goes over to the connection.
            self.remove_half_open(record);
        }
    }

    /// The acknowledgement of our SYN arrived: the connection gets its control block and
    /// processes the segment. `false`: no block is free, and nothing was changed.
    pub(super) fn complete(
        &mut self,
        ip: &mut Ip,
        now: Instant,
        record: &HalfOpen,
        segment: &mut Arrived,
    ) -> bool {
        let Some(index) = self.promote(ip, now, record) else {
            // The handshake stays half open, the peer's next segment tries again. Nothing that
            // was acknowledged is lost.
            self.stats.accepts_deferred += 1;
            return false;
        };
        self.stats.passive_opens += 1;
        let (slots, mut cx) = self.context(now);
        let Some(pcb) = slots.get_mut(usize::from(index)).map(|slot| &mut slot.pcb) else {
            return false;
        };
        let verdict = pcb.segment_arrives(segment, &mut cx);
        self.carry_out(ip, now, index, verdict);
        true
    }

    /// Makes the control block of a connection whose handshake is complete.
    fn promote(&mut self, ip: &Ip, now: Instant, record: &HalfOpen) -> Option<u16> {
        let listener = record.listener?;
        let route = ip
            .route(*record.remote.ip(), Some(*record.local.ip()))
            .ok()?;
        let (owner, arg, settings) = self
            .listener_mut(listener)
            .map(|slot| (slot.owner, slot.arg, slot.settings))?;
        let index = self.allocate(owner, settings).ok()?;
        let Self { slots, config, .. } = self;
        let slot = slots.get_mut(usize::from(index))?;
        let pcb = &mut slot.pcb;
        pcb.arg = arg;
        (pcb.local, pcb.remote) = (record.local, record.remote);
        pcb.snd.start(record.iss);
        pcb.snd.nxt = record.iss + 1;
        pcb.snd.mss = settings.own_mss(route.mtu, config);
        pcb.rcv.shift = settings.shift(config);
        pcb.negotiated = Negotiated {
            timestamps: record.timestamps.map(|(_, offset)| offset),
            ..pcb.negotiated
        };
        pcb.ecn.agreed = record.ecn;
        let offered = Options {
            mss: record.mss,
            window_scale: record.window_scale,
            sack_permitted: record.sack_permitted,
            timestamps: record.timestamps.map(|(value, _)| Timestamps {
                value,
                // RFC 7323 §3.2: of no meaning in a SYN.
                echo: 0,
            }),
            ..Options::default()
        };
        pcb.apply_syn_options(&offered, config);
        pcb.rcv.synchronized(record.irs);
        if let Some((recent, _)) = record.timestamps {
            (pcb.rcv.ts_recent, pcb.rcv.ts_recent_at) = (recent, now);
        }
        pcb.snd.wnd = u32::from(record.window);
        pcb.snd.max_wnd = pcb.snd.wnd;
        (pcb.snd.wl1, pcb.snd.wl2) = (record.irs, record.iss);
        pcb.state = State::SynReceived;
        if record.sent_once() {
            pcb.timed = Some((record.iss + 1, record.first_sent));
        }
        pcb.pending.accept = Some(listener);
        pcb.backlog = Some(listener);
        self.inherit_port(index);
        let hash = self.secrets.table_hash(record.local, record.remote);
        self.demux.insert(self.slots, index, hash);
        Some(index)
    }

    /// Sends the SYN,ACK of a record on its schedule.
    pub(super) fn send_syn_ack(&mut self, ip: &mut Ip, now: Instant, record: u16) {
        let Some(slot) = self.syns.at(record).map(|slot| *slot) else {
            return;
        };
        self.answer_syn(ip, now, &slot, None);
        // Not sent for want of a buffer is like lost: the timer sends it again.
        self.syns.transmitted(record, now, &self.config);
    }

    /// Sends the SYN,ACK that belongs to `slot`; `extras` go into its timestamp.
    pub(super) fn answer_syn(
        &mut self,
        ip: &mut Ip,
        now: Instant,
        slot: &HalfOpen,
        extras: Option<Extras>,
    ) {
        let Ok(route) = ip.route(*slot.remote.ip(), Some(*slot.local.ip())) else {
            return;
        };
        let settings = self.settings_of(slot);
        let mss = settings.own_mss(route.mtu, &self.config);
        let mut options = slot.options(mss, settings.shift(&self.config), now);
        if let (Some(extras), Some(stamps)) = (extras, &mut options.timestamps) {
            stamps.value = extras.stamp(stamps.value);
        }
        let emit = Emit {
            local: slot.local,
            remote: slot.remote,
            seq: slot.iss,
            ack: Some(slot.irs + 1),
            flags: Flags::SYN | super::ecn::answer(slot.ecn),
            window: settings.syn_window(&self.config),
            options: &options,
            service: settings.service(&self.config),
        };
        if emit.send(ip, now, &route, None).is_ok() {
            self.stats.segments_sent += 1;
        }
    }

    fn may_answer(&mut self, record: u16, now: Instant) -> bool {
        let config = &self.config;
        self.syns
            .at(record)
            .is_some_and(|slot| slot.may_answer(now, config))
    }

    /// RFC 5961: asks a peer whose segment does not fit.
    fn challenge_half_open(&mut self, ip: &mut Ip, now: Instant, record: u16, slot: &HalfOpen) {
        if !self.may_answer(record, now) {
            return;
        }
        self.stats.challenge_acks += 1;
        let settings = self.settings_of(slot);
        let ack = Options {
            timestamps: slot.options(0, 0, now).timestamps,
            ..Options::default()
        };
        let shift = slot
            .window_scale
            .map_or(0, |_| settings.shift(&self.config));
        let window = u32::from(settings.syn_window(&self.config)) >> shift;
        let challenge = Emit {
            local: slot.local,
            remote: slot.remote,
            seq: slot.iss + 1,
            ack: Some(slot.irs + 1),
            flags: Flags::NONE,
            window: u16::try_from(window).unwrap_or(u16::MAX),
            options: &ack,
            service: settings.service(&self.config),
        };
        self.send_bare(ip, now, &challenge);
    }

    /// What the listener of `record` gives its connections.
    fn settings_of(&mut self, record: &HalfOpen) -> Settings {
        record
            .listener
            .and_then(|listener| self.listener_mut(listener))
            .map_or(Settings::NONE, |slot| slot.settings)
    }

    /// Half-open connections whose SYN,ACK was not answered in time.
    pub(super) fn expire_half_open(&mut self, ip: &mut Ip, now: Instant) {
        while let Some((record, due)) = self.syns.due(now, &self.config) {
            match due {
                Due::Resend => {
                    self.stats.segments_retransmitted += 1;
                    self.send_syn_ack(ip, now, record);
                }
                Due::GiveUp => self.drop_half_open(record),
            }
        }
    }

    pub(super) fn drop_half_open(&mut self, record: u16) {
        if let Some(listener) = self.remove_half_open(record) {
            listener.waiting = listener.waiting.saturating_sub(1);
        }
    }

    /// Frees the record; its listener, where it no longer counts as half open.
    fn remove_half_open(&mut self, record: u16) -> Option<&mut ListenSlot> {
        let listener = self.syns.remove(record)?;
        let listener = self.listener_mut(listener)?;
        listener.half_open = listener.half_open.saturating_sub(1);
        Some(listener)
    }
}
