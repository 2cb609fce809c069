//! Listeners, and segments that arrive for one: RFC 9293 §3.10.7.2 (LISTEN), and SYN-RECEIVED
//! for the half-open connections in `syn_queue`.
use core::net::SocketAddrV4;
use core::num::NonZeroU16;

use crate::error::Error;
use crate::handle::{Owner, RawHandle, TcpListener, next_generation};
use crate::ip::Ip;
use crate::time::Instant;
use crate::wire::tcp::{Flags, SeqNum};
use crate::wire::tcp_options::Options;

use super::engine::{Bound, Engine};
use super::pcb::{NO_ADDR, Negotiated};
use super::segment::{Arrived, Emit};
use super::syn_queue::{Due, SynSlot};
use super::{Keepalive, Nagle, State};

/// Storage of one listener.
#[derive(Debug)]
pub struct ListenSlot {
    generation: NonZeroU16,
    used: bool,
    pub(super) owner: Owner,
    pub(super) arg: usize,
    pub(super) local: SocketAddrV4,
    backlog: u16,
    /// Connections that count against the backlog.
    pub(super) waiting: u16,
    nagle: Nagle,
    keepalive: Option<Keepalive>,
}

impl ListenSlot {
    /// An unused slot.
    pub const fn new() -> Self {
        Self {
            generation: NonZeroU16::MIN,
            used: false,
            owner: Owner(0),
            arg: 0,
            local: NO_ADDR,
            backlog: 0,
            waiting: 0,
            nagle: Nagle::Enabled,
            keepalive: None,
        }
    }

    pub(super) fn is_listening(&self) -> bool {
        self.used
    }

    pub(super) fn is(&self, generation: NonZeroU16) -> bool {
        self.used && self.generation == generation
    }
}

impl Default for ListenSlot {
    fn default() -> Self {
        Self::new()
    }
}

impl Engine {
    /// Turns the bound block `index` into a listener.
    pub(super) fn start_listening(
        &mut self,
        index: u16,
        backlog: u16,
    ) -> Result<TcpListener, Error> {
        let pcb = self.at(index).ok_or(Error::Closed)?;
        let settings = (pcb.owner, pcb.arg, pcb.local, pcb.nagle, pcb.keepalive);
        let free = self
            .listeners
            .iter()
            .position(|slot| !slot.used)
            .ok_or(Error::NoMemory)?;
        let number = u16::try_from(free).map_err(|_| Error::NoMemory)?;
        let slot = self.listeners.get_mut(free).ok_or(Error::NoMemory)?;
        let (owner, arg, local, nagle, keepalive) = settings;
        let generation = slot.generation;
        *slot = ListenSlot {
            generation,
            used: true,
            owner,
            arg,
            local,
            backlog,
            waiting: 0,
            nagle,
            keepalive,
        };
        self.free(index);
        Ok(TcpListener(RawHandle {
            slot: number,
            generation,
        }))
    }

    /// Frees a listener; the connections that wait to be accepted are the caller's to reset.
    pub(super) fn free_listener(&mut self, listener: TcpListener) -> Result<(), Error> {
        let slot = self.listener_mut(listener).ok_or(Error::Closed)?;
        let generation = next_generation(slot.generation);
        *slot = ListenSlot {
            generation,
            ..ListenSlot::new()
        };
        Ok(())
    }

    /// The listener for `local`: one bound to the very address before one bound to all.
    fn listener_for(&self, local: SocketAddrV4) -> Option<TcpListener> {
        let matching = |exact: bool| {
            self.listeners.iter().position(|slot| {
                slot.used
                    && slot.local.port() == local.port()
                    && if exact {
                        slot.local.ip() == local.ip()
                    } else {
                        slot.local.ip().is_unspecified()
                    }
            })
        };
        let index = matching(true).or_else(|| matching(false))?;
        let generation = self.listeners.get(index)?.generation;
        Some(TcpListener(RawHandle {
            slot: u16::try_from(index).ok()?,
            generation,
        }))
    }

    /// A segment that belongs to no connection: perhaps to a listener. `beyond` bounds the initial
    /// sequence number when the connection replaces one in TIME-WAIT.
    pub(super) fn arrives_at_listener(
        &mut self,
        ip: &mut Ip,
        now: Instant,
        segment: Arrived,
        beyond: Option<SeqNum>,
    ) {
        // First, RST: ignored (RFC 9293 §3.10.7.2, and §3.10.7.1 when nobody listens).
        if segment.rst() {
            return;
        }
        let listener = self.listener_for(segment.local);
        // Second, ACK: nothing can have been sent from LISTEN. Third, SYN.
        let (Some(listener), None, true) = (listener, segment.ack, segment.syn()) else {
            self.stats.no_connection += 1;
            self.reset_answer(ip, now, &segment);
            return;
        };
        let room = self
            .listener_mut(listener)
            .is_some_and(|slot| slot.waiting < slot.backlog);
        let iss = self.secrets.isn(segment.local, segment.remote, now);
        // RFC 6191 §2: larger than any number of the connection it replaces.
        let iss = match beyond {
            Some(beyond) if !iss.after(beyond) => beyond + 64_000,
            _ => iss,
        };
        let ts_offset = self.secrets.timestamp_offset(segment.local, segment.remote);
        let filed = room
            .then(|| {
                self.syns
                    .insert(listener, &segment, iss, ts_offset, &self.config)
            })
            .flatten();
        let Some(record) = filed else {
            // RFC 4987 §3: silence; the peer will try again.
            self.stats.syns_dropped += 1;
            return;
        };
        if let Some(slot) = self.listener_mut(listener) {
            slot.waiting += 1;
        }
        self.send_syn_ack(ip, now, record);
    }

    /// A segment for the half-open connection `record`.
    pub(super) fn arrives_half_open(
        &mut self,
        ip: &mut Ip,
        now: Instant,
        record: usize,
        segment: Arrived,
    ) {
        let config = &self.config;
        let window = config.rcv_wnd.min(u32::from(u16::MAX));
        let Some(slot) = self.syns.at(record).map(|slot| *slot) else {
            return;
        };
        let rcv_nxt = slot.irs + 1;
        // The SYN again: its answer was lost (RFC 9293 §3.8.1).
        if segment.syn() && segment.ack.is_none() && segment.seq == slot.irs {
            self.send_syn_ack(ip, now, record);
            return;
        }
        if segment.rst() {
            // RFC 5961 §3.2: only the exact number; then back to LISTEN.
            if segment.seq == rcv_nxt {
                self.stats.resets_received += 1;
                self.drop_half_open(record);
            }
            return;
        }
        let acceptable = segment.seq.in_window(rcv_nxt, window)
            || (segment.seq_end().after(rcv_nxt) && segment.seq.before(rcv_nxt));
        let Some(ack) = segment.ack.filter(|_| acceptable && !segment.syn()) else {
            // RFC 9293 §3.10.7.4: what is not acceptable is answered with an acknowledgement;
            // here that is our SYN,ACK, which the record's timer will send.
            self.stats.unacceptable += 1;
            return;
        };
        if ack != slot.iss + 1 {
            // RFC 9293 §3.10.7.4, fifth: <SEQ=SEG.ACK><CTL=RST>.
            self.send_reset(ip, now, segment.local, segment.remote, ack, None);
            return;
        }
        let Some(index) = self.promote(ip, now, &slot) else {
            // No control block: the handshake stays half open, the peer's next segment tries
            // again. Nothing that was acknowledged is lost.
            self.stats.accepts_deferred += 1;
            return;
        };
        // The record's place in the backlog goes over to the connection.
        self.syns.remove(record);
        self.stats.passive_opens += 1;
        let (slots, mut cx) = self.context(now);
        let Some(pcb) = slots.get_mut(usize::from(index)).map(|slot| &mut slot.pcb) else {
            return;
        };
        let verdict = pcb.segment_arrives(segment, &mut cx);
        self.carry_out(ip, now, index, verdict);
    }

    /// Makes the control block of a connection whose handshake is complete.
    fn promote(&mut self, ip: &Ip, now: Instant, record: &SynSlot) -> Option<u16> {
        let listener = record.listener?;
        let route = ip
            .route(*record.remote.ip(), Some(*record.local.ip()))
            .ok()?;
        let settings = self
            .listener_mut(listener)
            .map(|slot| (slot.owner, slot.arg, slot.nagle, slot.keepalive))?;
        let (owner, arg, nagle, keepalive) = settings;
        let index = self.allocate(owner).ok()?;
        let config = self.config.clone();
        let pcb = self.at_mut(index)?;
        (pcb.arg, pcb.nagle, pcb.keepalive) = (arg, nagle, keepalive);
        (pcb.local, pcb.remote) = (record.local, record.remote);
        pcb.snd.start(record.iss);
        pcb.snd.nxt = record.iss + 1;
        pcb.snd.mss = super::own_mss(&route, &config);
        pcb.rcv.shift = super::own_shift(config.rcv_wnd);
        pcb.negotiated = Negotiated {
            timestamps: record.timestamps.map(|(_, offset)| offset),
            sack: record.sack_permitted,
        };
        let options = record.options(record.mss.unwrap_or(0), 0, now);
        let offered = Options {
            mss: record.mss,
            window_scale: record.window_scale,
            ..options
        };
        pcb.apply_syn_options(&offered, &config);
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
        if let Some(slot) = self.slots.get_mut(usize::from(index)) {
            slot.bound = Bound::Inherited;
        }
        self.file(index);
        Some(index)
    }

    pub(super) fn send_syn_ack(&mut self, ip: &mut Ip, now: Instant, record: usize) {
        let Some(slot) = self.syns.at(record).map(|slot| *slot) else {
            return;
        };
        if let Ok(route) = ip.route(*slot.remote.ip(), Some(*slot.local.ip())) {
            let mss = super::own_mss(&route, &self.config);
            let shift = super::own_shift(self.config.rcv_wnd);
            let emit = Emit {
                local: slot.local,
                remote: slot.remote,
                seq: slot.iss,
                ack: Some(slot.irs + 1),
                flags: Flags::SYN,
                window: u16::try_from(self.config.rcv_wnd).unwrap_or(u16::MAX),
                options: &slot.options(mss, shift, now),
                tos: 0,
            };
            // Not sent for want of a buffer is like lost: the timer sends it again.
            if emit.send(ip, now, &route, None).is_ok() {
                self.stats.segments_sent += 1;
            }
        }
        if let Some(slot) = self.syns.at(record) {
            slot.transmitted(now, &self.config);
        }
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

    pub(super) fn drop_half_open(&mut self, record: usize) {
        let listener = self.syns.remove(record);
        if let Some(slot) = listener.and_then(|listener| self.listener_mut(listener)) {
            slot.waiting = slot.waiting.saturating_sub(1);
        }
    }
}
