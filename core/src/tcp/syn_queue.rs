//! Half-open connections (SYN-RECEIVED after LISTEN): small records instead of control blocks,
//! so that a flood of SYNs takes nothing from established connections (RFC 4987 §3.3).
//!
//! A record lives for as long as its SYN,ACK is retransmitted and no longer, whatever arrives.
//! When none is free, the listener answers with a SYN cookie; where those are off, the oldest
//! record whose peer let the first timeout pass gives way (RFC 4987 §3.5), and if there is none,
//! the new SYN is dropped.
use core::net::{Ipv4Addr, SocketAddrV4};
use core::time::Duration;

use crate::config::{TcpConfig, Use};
use crate::handle::TcpListener;
use crate::time::Instant;
use crate::wire::tcp::SeqNum;
use crate::wire::tcp_options::{Options, Timestamps};

use super::limit::Limiter;
use super::pcb::{NO_ADDR, Pcb};
use super::ports::Secrets;
use super::segment::Arrived;

/// Storage for one half-open connection.
#[derive(Clone, Copy, Debug)]
pub struct SynSlot {
    pub(crate) listener: Option<TcpListener>,
    pub(crate) local: SocketAddrV4,
    pub(crate) remote: SocketAddrV4,
    pub(crate) iss: SeqNum,
    pub(crate) irs: SeqNum,
    /// What the peer's SYN offered.
    pub(crate) mss: Option<u16>,
    pub(crate) window_scale: Option<u8>,
    pub(crate) sack_permitted: bool,
    /// The peer's timestamp, and our offset.
    pub(crate) timestamps: Option<(u32, u32)>,
    /// Both understand congestion marks.
    pub(crate) ecn: bool,
    pub(crate) window: u16,
    pub(super) sent: u8,
    /// The SYN,ACK went out once more because the SYN came again.
    pub(super) repeated: bool,
    pub(super) deadline: Instant,
    pub(crate) first_sent: Instant,
    /// The handshake is complete; a control block is spent when data comes, or after this.
    pub(super) deferred: Option<Instant>,
    pub(super) answers: Limiter,
}

impl SynSlot {
    /// An unused slot.
    pub const fn new() -> Self {
        Self {
            listener: None,
            local: NO_ADDR,
            remote: NO_ADDR,
            iss: SeqNum(0),
            irs: SeqNum(0),
            mss: None,
            window_scale: None,
            sack_permitted: false,
            timestamps: None,
            ecn: false,
            window: 0,
            sent: 0,
            repeated: false,
            deadline: Instant::MAX,
            first_sent: Instant::ZERO,
            deferred: None,
            answers: Limiter::FULL,
        }
    }

    /// The record of the connection that `syn` asks for.
    pub(crate) fn of(
        listener: TcpListener,
        syn: &Arrived,
        iss: SeqNum,
        secrets: &Secrets,
        config: &TcpConfig,
    ) -> Self {
        let options = &syn.options;
        Self {
            listener: Some(listener),
            local: syn.local,
            remote: syn.remote,
            iss,
            irs: syn.seq,
            mss: options.mss,
            window_scale: options
                .window_scale
                .filter(|_| config.window_scaling == Use::On),
            sack_permitted: options.sack_permitted && config.sack == Use::On,
            timestamps: options
                .timestamps
                .filter(|_| config.timestamps == Use::On)
                .map(|timestamps| {
                    let offset = secrets.timestamp_offset(syn.local, syn.remote);
                    (timestamps.value, offset)
                }),
            ecn: super::ecn::is_offered(syn, config),
            window: syn.window,
            ..Self::new()
        }
    }

    /// The options of our SYN,ACK: what the peer offered and we use.
    pub(crate) fn options(&self, mss: u16, shift: u8, now: Instant) -> Options {
        Options {
            mss: Some(mss),
            window_scale: self.window_scale.map(|_| shift),
            sack_permitted: self.sack_permitted,
            timestamps: self.timestamps.map(|(echo, offset)| Timestamps {
                value: Pcb::timestamp(offset, now),
                echo,
            }),
            ..Options::default()
        }
    }

    /// Whether the SYN,ACK went out once only, so that its round trip may be measured.
    pub(crate) fn sent_once(&self) -> bool {
        self.sent == 1 && !self.repeated
    }

    /// The SYN,ACK was handed to IP (or could not be): the next try.
    fn transmitted(&mut self, now: Instant, config: &TcpConfig) {
        if self.sent == 0 {
            self.first_sent = now;
        }
        let wait = config
            .rto_initial
            .saturating_mul(1 << u32::from(self.sent).min(16));
        self.sent = self.sent.saturating_add(1);
        self.deadline = now + wait.min(config.rto_max).max(Duration::from_millis(1));
    }

    /// Whether a segment that changes nothing may be answered: a stranger's flood is not to be
    /// reflected. The record's own timer is not touched, so that repeated SYNs cannot keep it.
    pub(crate) fn may_answer(&mut self, now: Instant, config: &TcpConfig) -> bool {
        let limit = u16::from(config.challenge_acks_per_second);
        let allowed = self.answers.allow(now, limit);
        self.repeated |= allowed;
        allowed
    }

    /// RFC 7323 §5.3 (R1) in SYN-RECEIVED: the segment lacks the timestamp that was agreed on, or
    /// has an older one.
    pub(crate) fn is_from_the_past(&self, segment: &Arrived) -> bool {
        match (self.timestamps, segment.options.timestamps) {
            (Some((recent, _)), Some(new)) => SeqNum(new.value).before(SeqNum(recent)),
            (Some(_), None) => true,
            (None, _) => false,
        }
    }

    /// The peer completed the handshake and sent no data: whether to go on waiting for some.
    fn defers(&mut self, now: Instant, limit: Option<Duration>) -> bool {
        let Some(limit) = limit else { return false };
        let until = *self.deferred.get_or_insert_with(|| {
            // Then the SYN,ACK goes again, which the peer answers.
            self.deadline = now + limit;
            now + limit
        });
        now < until
    }
}

impl Default for SynSlot {
    fn default() -> Self {
        Self::new()
    }
}

/// All half-open connections.
#[derive(Debug)]
pub(crate) struct SynQueue {
    slots: &'static mut [SynSlot],
    /// The earliest deadline, so that an idle turn walks no table.
    earliest: Instant,
}

impl SynQueue {
    pub(crate) fn new(slots: &'static mut [SynSlot]) -> Self {
        Self {
            slots,
            earliest: Instant::MAX,
        }
    }

    /// The record of the connection `segment` belongs to.
    pub(crate) fn find(&self, segment: &Arrived) -> Option<usize> {
        self.slots.iter().position(|slot| {
            slot.listener.is_some() && slot.remote == segment.remote && slot.local == segment.local
        })
    }

    pub(crate) fn at(&mut self, index: usize) -> Option<&mut SynSlot> {
        self.slots.get_mut(index)
    }

    /// Files a record. `None`: there is no room.
    pub(crate) fn insert(&mut self, record: SynSlot) -> Option<usize> {
        let index = self.slots.iter().position(|slot| slot.listener.is_none())?;
        *self.slots.get_mut(index)? = record;
        Some(index)
    }

    /// Frees a record; returns the listener it counted against.
    pub(crate) fn remove(&mut self, index: usize) -> Option<TcpListener> {
        let slot = core::mem::take(self.slots.get_mut(index)?);
        if slot.deadline == self.earliest {
            self.find_earliest();
        }
        slot.listener
    }

    /// The SYN,ACK of a record was handed to IP, or could not be.
    pub(crate) fn transmitted(&mut self, index: usize, now: Instant, config: &TcpConfig) {
        if let Some(slot) = self.slots.get_mut(index) {
            slot.transmitted(now, config);
        }
        self.find_earliest();
    }

    /// Whether a record, whose peer has completed the handshake and sent no data, goes on waiting
    /// for some.
    pub(crate) fn defers(&mut self, index: usize, now: Instant, limit: Option<Duration>) -> bool {
        let defers = self
            .slots
            .get_mut(index)
            .is_some_and(|slot| slot.defers(now, limit));
        if defers {
            self.find_earliest();
        }
        defers
    }

    fn find_earliest(&mut self) {
        let deadlines = self.slots.iter().map(|slot| slot.deadline);
        self.earliest = deadlines.fold(Instant::MAX, Ord::min);
    }

    /// The next record of `listener`.
    pub(crate) fn of_listener(&self, listener: TcpListener) -> Option<usize> {
        self.slots
            .iter()
            .position(|slot| slot.listener == Some(listener))
    }

    /// How many records `listener` has.
    pub(crate) fn count_of(&self, listener: TcpListener) -> usize {
        let of = |slot: &&SynSlot| slot.listener == Some(listener);
        self.slots.iter().filter(of).count()
    }

    /// How many records the host `peer` has.
    pub(crate) fn count_from(&self, peer: Ipv4Addr) -> usize {
        let from = |slot: &&SynSlot| slot.listener.is_some() && *slot.remote.ip() == peer;
        self.slots.iter().filter(from).count()
    }

    /// The oldest record that has missed its first timeout, of one listener or of any.
    pub(crate) fn oldest_stale(&self, listener: Option<TcpListener>) -> Option<usize> {
        let stale = |slot: &SynSlot| {
            slot.sent > 1
                && slot.listener.is_some()
                && (listener.is_none() || slot.listener == listener)
        };
        self.slots
            .iter()
            .enumerate()
            .filter(|(_, slot)| stale(slot))
            .min_by_key(|(_, slot)| slot.first_sent)
            .map(|(index, _)| index)
    }

    /// The next record whose deadline passed, and whether it has tries left.
    pub(crate) fn due(&self, now: Instant, config: &TcpConfig) -> Option<(usize, Due)> {
        if self.earliest > now {
            return None;
        }
        let index = self.slots.iter().position(|slot| slot.deadline <= now)?;
        let spent = self.slots.get(index)?.sent > config.max_syn_retransmits;
        Some((index, if spent { Due::GiveUp } else { Due::Resend }))
    }

    pub(crate) fn next_deadline(&self) -> Instant {
        self.earliest
    }

    /// Half-open connections.
    pub(crate) fn len(&self) -> usize {
        self.slots
            .iter()
            .filter(|slot| slot.listener.is_some())
            .count()
    }
}

/// What a due record needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Due {
    Resend,
    GiveUp,
}
