//! Half-open connections (SYN-RECEIVED after LISTEN): small records instead of control blocks,
//! so that a flood of SYNs takes nothing from established connections (RFC 4987 §3.3).
use core::net::SocketAddrV4;
use core::time::Duration;

use crate::config::{TcpConfig, Use};
use crate::handle::TcpListener;
use crate::time::Instant;
use crate::wire::tcp::SeqNum;
use crate::wire::tcp_options::{Options, Timestamps};

use super::pcb::{NO_ADDR, Pcb};
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
    pub(crate) window: u16,
    sent: u8,
    deadline: Instant,
    pub(crate) first_sent: Instant,
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
            window: 0,
            sent: 0,
            deadline: Instant::MAX,
            first_sent: Instant::ZERO,
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
        self.sent == 1
    }

    /// The SYN,ACK was handed to IP (or could not be): the next try.
    pub(crate) fn transmitted(&mut self, now: Instant, config: &TcpConfig) {
        if self.sent == 0 {
            self.first_sent = now;
        }
        let wait = config
            .rto_initial
            .saturating_mul(1 << u32::from(self.sent).min(16));
        self.sent = self.sent.saturating_add(1);
        self.deadline = now + wait.min(config.rto_max).max(Duration::from_millis(1));
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
}

impl SynQueue {
    pub(crate) fn new(slots: &'static mut [SynSlot]) -> Self {
        Self { slots }
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

    /// Files the SYN `segment`. `None`: no record is free.
    pub(crate) fn insert(
        &mut self,
        listener: TcpListener,
        segment: &Arrived,
        iss: SeqNum,
        ts_offset: u32,
        config: &TcpConfig,
    ) -> Option<usize> {
        let index = self.slots.iter().position(|slot| slot.listener.is_none())?;
        let options = &segment.options;
        *self.slots.get_mut(index)? = SynSlot {
            listener: Some(listener),
            local: segment.local,
            remote: segment.remote,
            iss,
            irs: segment.seq,
            mss: options.mss,
            window_scale: options
                .window_scale
                .filter(|_| config.window_scaling == Use::On),
            sack_permitted: options.sack_permitted && config.sack == Use::On,
            timestamps: options
                .timestamps
                .filter(|_| config.timestamps == Use::On)
                .map(|timestamps| (timestamps.value, ts_offset)),
            window: segment.window,
            ..SynSlot::new()
        };
        Some(index)
    }

    /// Frees a record; returns the listener it counted against.
    pub(crate) fn remove(&mut self, index: usize) -> Option<TcpListener> {
        let slot = self.slots.get_mut(index)?;
        core::mem::take(slot).listener
    }

    /// The next record of `listener`.
    pub(crate) fn of_listener(&self, listener: TcpListener) -> Option<usize> {
        self.slots
            .iter()
            .position(|slot| slot.listener == Some(listener))
    }

    /// The next record whose deadline passed, and whether it has tries left.
    pub(crate) fn due(&self, now: Instant, config: &TcpConfig) -> Option<(usize, Due)> {
        let index = self.slots.iter().position(|slot| slot.deadline <= now)?;
        let spent = self.slots.get(index)?.sent > config.max_syn_retransmits;
        Some((index, if spent { Due::GiveUp } else { Due::Resend }))
    }

    pub(crate) fn next_deadline(&self) -> Instant {
        self.slots
            .iter()
            .map(|slot| slot.deadline)
            .fold(Instant::MAX, Ord::min)
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
