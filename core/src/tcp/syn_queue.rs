//! Half-open connections (SYN-RECEIVED after LISTEN): small records instead of control blocks,
//! so that a flood of SYNs takes nothing from established connections (RFC 4987 §3.3).
//!
//! A record lives for as long as its SYN,ACK is retransmitted and no longer, whatever arrives.
//! When none is free, the listener answers with a SYN cookie; where those are off, the oldest
//! record whose peer let the first timeout pass gives way (RFC 4987 §3.5), and if there is none,
//! the new SYN is dropped. That last search is the only one that walks the table.
use core::net::{Ipv4Addr, SocketAddrV4};
use core::time::Duration;

use crate::config::{TcpConfig, Use};
use crate::handle::TcpListener;
use crate::time::Instant;
use crate::wire::tcp::SeqNum;
use crate::wire::tcp_options::{Options, Timestamps};

use super::chains::{Chained, Chains};
use super::due::{DueHeap, Place, Timed};
use super::limit::Limiter;
use super::list::FreeList;
use super::pcb::{NO_ADDR, Pcb};
use super::ports::Secrets;
use super::segment::Arrived;

/// Storage for one half-open connection.
#[derive(Clone, Copy, Debug)]
pub struct SynSlot {
    /// By the addresses; while the slot is free, the list of free ones.
    pair: Chained,
    /// By the peer's address.
    peer: Chained,
    due: Place,
    record: HalfOpen,
}

impl SynSlot {
    /// An unused slot.
    pub const fn new() -> Self {
        Self {
            pair: Chained::UNUSED,
            peer: Chained::UNUSED,
            due: Place::UNUSED,
            record: HalfOpen::NONE,
        }
    }
}

impl Default for SynSlot {
    fn default() -> Self {
        Self::new()
    }
}

impl Timed for SynSlot {
    fn place(&self) -> &Place {
        &self.due
    }

    fn place_mut(&mut self) -> &mut Place {
        &mut self.due
    }
}

const BY_PAIR: Chains<SynSlot> = Chains {
    part: |slot| &slot.pair,
    part_mut: |slot| &mut slot.pair,
};

const BY_PEER: Chains<SynSlot> = Chains {
    part: |slot| &slot.peer,
    part_mut: |slot| &mut slot.peer,
};

/// One half-open connection.
#[derive(Clone, Copy, Debug)]
pub(crate) struct HalfOpen {
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
    pub(crate) first_sent: Instant,
    /// The handshake is complete; a control block is spent when data comes, or after this.
    pub(super) deferred: Option<Instant>,
    pub(super) answers: Limiter,
}

impl HalfOpen {
    pub(crate) const NONE: Self = Self {
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
        first_sent: Instant::ZERO,
        deferred: None,
        answers: Limiter::FULL,
    };

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
            ..Self::NONE
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

    /// The SYN,ACK was handed to IP (or could not be): when to try again.
    fn transmitted(&mut self, now: Instant, config: &TcpConfig) -> Instant {
        let wait = match self.sent {
            0 => {
                self.first_sent = now;
                config.rto_initial
            }
            n => config.rto_initial.saturating_mul(1 << u32::from(n).min(16)),
        };
        self.sent = self.sent.saturating_add(1);
        now + wait.min(config.rto_max).max(Duration::from_millis(1))
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
}

/// All half-open connections.
#[derive(Debug)]
pub(crate) struct SynQueue {
    slots: &'static mut [SynSlot],
    free: FreeList,
    due: DueHeap,
    len: u16,
}

impl SynQueue {
    pub(crate) fn new(slots: &'static mut [SynSlot]) -> Self {
        Self {
            slots,
            free: FreeList::ALL,
            due: DueHeap::EMPTY,
            len: 0,
        }
    }

    /// The record of the connection `segment` belongs to; `hash` is that of its addresses.
    pub(crate) fn find(&self, hash: u32, segment: &Arrived) -> Option<u16> {
        let same =
            |record: &HalfOpen| record.remote == segment.remote && record.local == segment.local;
        let mut chain = BY_PAIR.walk(self.slots, hash);
        chain
            .find(|(_, slot)| same(&slot.record))
            .map(|(index, _)| index)
    }

    pub(crate) fn at(&mut self, index: u16) -> Option<&mut HalfOpen> {
        self.slots
            .get_mut(usize::from(index))
            .map(|slot| &mut slot.record)
            .filter(|record| record.listener.is_some())
    }

    /// Files a record. `None`: there is no room.
    pub(crate) fn insert(&mut self, hashes: Hashes, record: &HalfOpen) -> Option<u16> {
        let index = self.free.take(self.slots, |slot| slot.pair.link_mut())?;
        self.slots.get_mut(usize::from(index))?.record = *record;
        BY_PAIR.insert(self.slots, index, hashes.pair);
        BY_PEER.insert(self.slots, index, hashes.peer);
        self.len += 1;
        Some(index)
    }

    /// Frees a record; returns the listener it counted against.
    pub(crate) fn remove(&mut self, index: u16) -> Option<TcpListener> {
        let listener = self.at(index)?.listener.take();
        BY_PAIR.remove(self.slots, index);
        BY_PEER.remove(self.slots, index);
        self.due.set(self.slots, index, Instant::MAX);
        self.free
            .give(self.slots, index, |slot| slot.pair.link_mut());
        self.len -= 1;
        listener
    }

    /// The SYN,ACK of a record was handed to IP, or could not be.
    pub(crate) fn transmitted(&mut self, index: u16, now: Instant, config: &TcpConfig) {
        if let Some(again) = self.at(index).map(|record| record.transmitted(now, config)) {
            self.due.set(self.slots, index, again);
        }
    }

    /// The peer completed the handshake and sent no data: whether to go on waiting for some.
    pub(crate) fn defers(&mut self, index: u16, now: Instant, limit: Option<Duration>) -> bool {
        let (Some(record), Some(limit)) = (self.at(index), limit) else {
            return false;
        };
        match record.deferred {
            Some(until) => now < until,
            None => {
                record.deferred = Some(now + limit);
                // Then the SYN,ACK goes again, which the peer answers.
                self.due.set(self.slots, index, now + limit);
                limit > Duration::ZERO
            }
        }
    }

    /// The numbers of all records, used or not.
    pub(crate) fn numbers(&self) -> core::ops::Range<u16> {
        0..u16::try_from(self.slots.len()).unwrap_or(u16::MAX)
    }

    /// Whether the host `peer`, whose address has this hash, has so many records or more.
    pub(crate) fn has_from(&self, hash: u32, peer: Ipv4Addr, count: usize) -> bool {
        if BY_PEER.len(self.slots, hash) < count {
            return false;
        }
        // The chain holds few of other peers; of this one no more than it may have.
        let from = |(_, slot): &(u16, &SynSlot)| *slot.record.remote.ip() == peer;
        BY_PEER
            .walk(self.slots, hash)
            .filter(from)
            .take(count)
            .count()
            >= count
    }

    /// The oldest record that has missed its first timeout, of one listener or of any.
    pub(crate) fn oldest_stale(&self, listener: Option<TcpListener>) -> Option<u16> {
        let stale = |record: &HalfOpen| {
            record.sent > 1
                && record.listener.is_some()
                && (listener.is_none() || record.listener == listener)
        };
        (0..)
            .zip(self.slots.iter())
            .filter(|(_, slot)| stale(&slot.record))
            .min_by_key(|(_, slot)| slot.record.first_sent)
            .map(|(index, _)| index)
    }

    /// The next record whose deadline passed, and whether it has tries left.
    pub(crate) fn due(&self, now: Instant, config: &TcpConfig) -> Option<(u16, Due)> {
        if self.due.earliest() > now {
            return None;
        }
        let (_, index) = self.due.first(self.slots);
        let slot = self.slots.get(usize::from(index))?;
        let spent = slot.record.sent > config.max_syn_retransmits;
        Some((index, if spent { Due::GiveUp } else { Due::Resend }))
    }

    pub(crate) fn next_deadline(&self) -> Instant {
        self.due.earliest()
    }

    /// Half-open connections.
    pub(crate) fn len(&self) -> usize {
        self.len.into()
    }
}

/// What a record is filed under, both keyed.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Hashes {
    pub(crate) pair: u32,
    pub(crate) peer: u32,
}

/// What a due record needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Due {
    Resend,
    GiveUp,
}
