//! Listeners, and SYNs that arrive for one: RFC 9293 §3.10.7.2 (LISTEN). What follows for the
//! half-open connection is in `half_open`.
use core::net::SocketAddrV4;
use core::num::NonZeroU16;
use core::time::Duration;

use crate::config::Use;
use crate::error::Error;
use crate::handle::{Owner, RawHandle, TcpListener, next_generation};
use crate::ip::Ip;
use crate::time::Instant;
use crate::wire::tcp::SeqNum;

use super::chains::{Chained, Chains};
use super::engine::Engine;
use super::pcb::NO_ADDR;
use super::segment::Arrived;
use super::settings::Settings;
use super::syn_cookie::{Extras, LIFETIME};
use super::syn_queue::{HalfOpen, Hashes};

/// How long a peer's second segment may come after its first: until the first has been sent again
/// twice, at the initial timeout of a second (RFC 6298 §2).
const GRACE: Duration = Duration::from_secs(3);

/// Storage of one listener.
#[derive(Debug)]
pub struct ListenSlot {
    generation: NonZeroU16,
    used: bool,
    /// By its port.
    port: Chained,
    pub(super) owner: Owner,
    pub(super) arg: usize,
    pub(super) local: SocketAddrV4,
    backlog: u16,
    /// Connections that count against the backlog, half-open ones included.
    pub(super) waiting: u16,
    /// The half-open ones among them.
    pub(super) half_open: u16,
    /// What accepted connections start from.
    pub(super) settings: Settings,
    /// Until when a cookie may come back.
    cookies_until: Instant,
    /// Until when a segment may follow one that brought a cookie and was deferred.
    deferred_until: Instant,
}

impl ListenSlot {
    /// An unused slot.
    pub const fn new() -> Self {
        Self {
            generation: NonZeroU16::MIN,
            used: false,
            port: Chained::UNUSED,
            owner: Owner(0),
            arg: 0,
            local: NO_ADDR,
            backlog: 0,
            waiting: 0,
            half_open: 0,
            settings: Settings::NONE,
            cookies_until: Instant::ZERO,
            deferred_until: Instant::ZERO,
        }
    }

    #[cfg(feature = "invariants")]
    pub(super) fn is_listening(&self) -> bool {
        self.used
    }

    pub(super) fn is(&self, generation: NonZeroU16) -> bool {
        self.used && self.generation == generation
    }
}

/// Listeners by the number of their port. A host has no strangers who choose it.
const BY_PORT: Chains<ListenSlot> = Chains {
    part: |slot| &slot.port,
    part_mut: |slot| &mut slot.port,
};

/// The listeners at a port.
pub(super) fn at_port(
    listeners: &[ListenSlot],
    port: u16,
) -> impl Iterator<Item = (u16, &ListenSlot)> {
    BY_PORT
        .walk(listeners, port.into())
        .filter(move |(_, slot)| slot.local.port() == port)
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
        let (owner, arg, local, settings) = (pcb.owner, pcb.arg, pcb.local, pcb.settings);
        let free = self
            .listeners
            .iter()
            .position(|slot| !slot.used)
            .ok_or(Error::NoMemory)?;
        let number = u16::try_from(free).map_err(|_| Error::NoMemory)?;
        let slot = self.listeners.get_mut(free).ok_or(Error::NoMemory)?;
        let (generation, port) = (slot.generation, slot.port);
        *slot = ListenSlot {
            generation,
            used: true,
            port,
            owner,
            arg,
            local,
            backlog,
            settings,
            ..ListenSlot::new()
        };
        BY_PORT.insert(self.listeners, number, local.port().into());
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
        BY_PORT.remove(self.listeners, listener.0.slot);
        if let Some(slot) = self.listeners.get_mut(usize::from(listener.0.slot)) {
            // Its place lends the head of a chain to others.
            let port = slot.port;
            *slot = ListenSlot {
                generation,
                port,
                ..ListenSlot::new()
            };
        }
        Ok(())
    }

    /// The listener for `local`: one bound to the very address before one bound to all.
    fn listener_for(&self, local: SocketAddrV4) -> Option<TcpListener> {
        let mut of_all = None;
        for (index, slot) in at_port(self.listeners, local.port()) {
            let listener = TcpListener(RawHandle {
                slot: index,
                generation: slot.generation,
            });
            if slot.local.ip() == local.ip() {
                return Some(listener);
            }
            if slot.local.ip().is_unspecified() {
                of_all = Some(listener);
            }
        }
        of_all
    }

    /// A segment that belongs to no connection: perhaps to a listener. `hash` is that of its
    /// addresses; `beyond` bounds the initial sequence number when the connection replaces one in
    /// TIME-WAIT.
    pub(super) fn arrives_at_listener(
        &mut self,
        ip: &mut Ip,
        now: Instant,
        hash: u32,
        segment: &mut Arrived,
        beyond: Option<SeqNum>,
    ) {
        // First, RST: ignored (RFC 9293 §3.10.7.2, and §3.10.7.1 when nobody listens).
        if segment.rst() {
            self.stats.no_connection += 1;
            return;
        }
        match (self.listener_for(segment.local), segment.ack) {
            // Third, SYN.
            (Some(listener), None) if segment.syn() => {
                self.syn_arrives(ip, now, hash, listener, segment, beyond);
            }
            // Second, ACK: from LISTEN nothing was sent but cookies.
            (Some(listener), Some(ack)) if self.may_be_cookie(listener, segment, now) => {
                self.cookie_arrives(ip, now, listener, segment, ack);
            }
            _ => {
                self.stats.no_connection += 1;
                self.reset_answer(ip, now, segment);
            }
        }
    }

    fn syn_arrives(
        &mut self,
        ip: &mut Ip,
        now: Instant,
        hash: u32,
        listener: TcpListener,
        syn: &Arrived,
        beyond: Option<SeqNum>,
    ) {
        if !self.has_backlog(listener) {
            // RFC 4987 §3: silence; the peer will try again.
            self.stats.syns_dropped += 1;
            return;
        }
        let iss = self.secrets.isn(syn.local, syn.remote, now);
        // RFC 6191 §2: larger than any number of the connection it replaces.
        let iss = match beyond {
            Some(beyond) if !iss.after(beyond) => beyond + 64_000,
            _ => iss,
        };
        let record = HalfOpen::of(listener, syn, iss, &self.secrets, &self.config);
        if let Some(index) = self.file_half_open(hash, listener, &record) {
            self.answer_syn(ip, now, &record, None);
            self.syns.transmitted(index, now, &self.config);
        } else if self.uses_cookies() && beyond.is_none() {
            self.send_cookie(ip, now, listener, syn, record);
        } else {
            self.stats.syns_dropped += 1;
        }
    }

    /// Whether connections that have completed their handshake leave room in the backlog.
    fn has_backlog(&mut self, listener: TcpListener) -> bool {
        self.listener_mut(listener)
            .is_some_and(|slot| slot.waiting.saturating_sub(slot.half_open) < slot.backlog)
    }

    /// Files a record if the caps of listener and peer and the table leave room, or room can be
    /// made.
    fn file_half_open(
        &mut self,
        hash: u32,
        listener: TcpListener,
        record: &HalfOpen,
    ) -> Option<u16> {
        let peer = *record.remote.ip();
        let hashes = Hashes {
            pair: hash,
            peer: self.secrets.peer_hash(peer),
        };
        let cap = usize::from(self.config.max_half_open_per_peer);
        if self.syns.has_from(hashes.peer, peer, cap) {
            return None;
        }
        let fits = |engine: &mut Self| {
            engine
                .listener_mut(listener)
                .is_some_and(|slot| slot.waiting < slot.backlog)
        };
        if !fits(self) && !self.evict_half_open(Some(listener)) {
            return None;
        }
        let index = match self.syns.insert(hashes, record) {
            Some(index) => index,
            None if self.evict_half_open(None) => self.syns.insert(hashes, record)?,
            None => return None,
        };
        if let Some(slot) = self.listener_mut(listener) {
            slot.waiting = slot.waiting.saturating_add(1);
            slot.half_open = slot.half_open.saturating_add(1);
        }
        Some(index)
    }

    /// Makes room by dropping a record that looks abandoned; with cookies there is no need to.
    fn evict_half_open(&mut self, of: Option<TcpListener>) -> bool {
        if self.uses_cookies() {
            return false;
        }
        let Some(index) = self.syns.oldest_stale(of) else {
            return false;
        };
        self.stats.half_open_evicted += 1;
        self.drop_half_open(index);
        true
    }

    fn uses_cookies(&self) -> bool {
        cfg!(feature = "syn-cookies") && self.config.syn_cookies == Use::On
    }

    /// Answers a SYN and remembers nothing.
    fn send_cookie(
        &mut self,
        ip: &mut Ip,
        now: Instant,
        listener: TcpListener,
        syn: &Arrived,
        record: HalfOpen,
    ) {
        let mss = record.mss.unwrap_or(super::DEFAULT_MSS);
        // Without timestamps there is no room for the other options.
        let stamped = record.timestamps.is_some();
        let record = HalfOpen {
            iss: self.cookies.number(syn, mss, now),
            window_scale: record.window_scale.filter(|_| stamped),
            sack_permitted: record.sack_permitted && stamped,
            ecn: record.ecn && stamped,
            ..record
        };
        let extras = Extras {
            window_scale: record.window_scale,
            sack: record.sack_permitted,
            ecn: record.ecn,
        };
        if let Some(slot) = self.listener_mut(listener) {
            slot.cookies_until = now + LIFETIME * 2;
        }
        self.stats.syn_cookies_sent += 1;
        self.answer_syn(ip, now, &record, Some(extras));
    }

    /// Whether an acknowledgement could be that of a cookie: only after some were sent.
    fn may_be_cookie(&mut self, listener: TcpListener, segment: &Arrived, now: Instant) -> bool {
        self.uses_cookies()
            && !segment.syn()
            && self
                .listener_mut(listener)
                .is_some_and(|slot| now < slot.cookies_until)
    }

    fn cookie_arrives(
        &mut self,
        ip: &mut Ip,
        now: Instant,
        listener: TcpListener,
        segment: &mut Arrived,
        ack: SeqNum,
    ) {
        let Some(record) = self.record_of_cookie(listener, segment, ack, now) else {
            if self
                .listener_mut(listener)
                .is_some_and(|slot| now < slot.deferred_until)
            {
                // Not reset: perhaps the second segment of a connection whose first was deferred.
                // The peer sends that one again.
                self.stats.accepts_deferred += 1;
                return;
            }
            self.stats.syn_cookies_failed += 1;
            self.stats.no_connection += 1;
            self.reset_answer(ip, now, segment);
            return;
        };
        if !self.has_backlog(listener) {
            // The peer's first segment brings the cookie again.
            self.stats.accepts_deferred += 1;
            self.defer_cookies(listener, now);
            return;
        }
        // Counted first, because the connection may end, and be discounted, at once.
        if let Some(slot) = self.listener_mut(listener) {
            slot.waiting = slot.waiting.saturating_add(1);
        }
        if self.complete(ip, now, &record, segment) {
            self.stats.syn_cookies_received += 1;
            return;
        }
        self.defer_cookies(listener, now);
        if let Some(slot) = self.listener_mut(listener) {
            slot.waiting = slot.waiting.saturating_sub(1);
        }
    }

    /// A good cookie was put off: for a while bad ones are not answered, for only the first segment
    /// of a connection can be checked.
    fn defer_cookies(&mut self, listener: TcpListener, now: Instant) {
        if let Some(slot) = self.listener_mut(listener) {
            slot.deferred_until = now + GRACE;
        }
    }

    /// The record that a SYN's cookie stands for.
    fn record_of_cookie(
        &self,
        listener: TcpListener,
        segment: &Arrived,
        ack: SeqNum,
        now: Instant,
    ) -> Option<HalfOpen> {
        let mss = self.cookies.verify(segment, ack, now)?;
        let offset = self.secrets.timestamp_offset(segment.local, segment.remote);
        let stamps = segment
            .options
            .timestamps
            .filter(|_| self.config.timestamps == Use::On);
        let extras = match stamps {
            None => None,
            Some(stamps) => {
                let clock = super::pcb::Pcb::timestamp(offset, now);
                Some(Extras::read(stamps.echo, clock)?)
            }
        };
        let uses = |of: Use| of == Use::On;
        Some(HalfOpen {
            listener: Some(listener),
            local: segment.local,
            remote: segment.remote,
            iss: ack - 1,
            irs: segment.seq - 1,
            mss: Some(mss),
            window_scale: extras
                .and_then(|extras| extras.window_scale)
                .filter(|_| uses(self.config.window_scaling)),
            sack_permitted: extras.is_some_and(|extras| extras.sack) && uses(self.config.sack),
            timestamps: stamps.map(|stamps| (stamps.value, offset)),
            ecn: extras.is_some_and(|extras| extras.ecn) && super::ecn::is_used(&self.config),
            window: segment.window,
            ..HalfOpen::NONE
        })
    }
}
