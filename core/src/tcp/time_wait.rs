//! TIME-WAIT: a closed connection in 40 bytes, so that its old segments find an answer
//! (RFC 9293 §3.6.1) without holding a control block.
use core::net::{Ipv4Addr, SocketAddrV4};

use crate::time::Instant;
use crate::wire::tcp::SeqNum;

use super::limit::Limiter;
use super::pcb::NO_ADDR;
use super::segment::Arrived;

/// Storage for one connection in TIME-WAIT.
#[derive(Clone, Copy, Debug)]
pub struct TimeWaitSlot {
    local: SocketAddrV4,
    remote: SocketAddrV4,
    snd_nxt: SeqNum,
    rcv_nxt: SeqNum,
    window: u16,
    ts_recent: Option<u32>,
    ts_offset: u32,
    until: Instant,
    challenges: Limiter,
}

impl TimeWaitSlot {
    /// An unused slot.
    pub const fn new() -> Self {
        Self {
            local: NO_ADDR,
            remote: NO_ADDR,
            snd_nxt: SeqNum(0),
            rcv_nxt: SeqNum(0),
            window: 0,
            ts_recent: None,
            ts_offset: 0,
            until: Instant::MAX,
            challenges: Limiter::FULL,
        }
    }

    fn is_used(&self) -> bool {
        self.remote.port() != 0
    }
}

impl Default for TimeWaitSlot {
    fn default() -> Self {
        Self::new()
    }
}

/// What is remembered of a connection.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Remains {
    pub(crate) local: SocketAddrV4,
    pub(crate) remote: SocketAddrV4,
    pub(crate) snd_nxt: SeqNum,
    pub(crate) rcv_nxt: SeqNum,
    /// The window last advertised, as on the wire.
    pub(crate) window: u16,
    /// The peer's last timestamp, if timestamps were in use.
    pub(crate) ts_recent: Option<u32>,
    pub(crate) ts_offset: u32,
}

/// What to do with a segment for a connection in TIME-WAIT.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Reply {
    Ignore,
    Ack(Remains),
    /// RFC 6191: a new connection may take the place; its initial number has to lie beyond.
    Reuse {
        beyond: SeqNum,
    },
}

#[derive(Debug)]
pub(crate) struct TimeWaits {
    slots: &'static mut [TimeWaitSlot],
    /// No wait ends before this; may be too early, so that an idle turn walks no table.
    earliest: Instant,
}

impl TimeWaits {
    pub(crate) fn new(slots: &'static mut [TimeWaitSlot]) -> Self {
        Self {
            slots,
            earliest: Instant::MAX,
        }
    }

    /// Files a connection; when all slots are taken, the oldest gives way.
    pub(crate) fn insert(&mut self, remains: Remains, until: Instant) {
        let slot = match self.slots.iter().position(|slot| !slot.is_used()) {
            Some(free) => self.slots.get_mut(free),
            None => self.slots.iter_mut().min_by_key(|slot| slot.until),
        };
        if let Some(slot) = slot {
            *slot = TimeWaitSlot {
                local: remains.local,
                remote: remains.remote,
                snd_nxt: remains.snd_nxt,
                rcv_nxt: remains.rcv_nxt,
                window: remains.window,
                ts_recent: remains.ts_recent,
                ts_offset: remains.ts_offset,
                until,
                challenges: Limiter::FULL,
            };
            self.earliest = self.earliest.min(until);
        }
    }

    /// A segment arrived. `None`: its connection is not in TIME-WAIT.
    pub(crate) fn arrives(
        &mut self,
        segment: &Arrived,
        now: Instant,
        restart: core::time::Duration,
    ) -> Option<Reply> {
        let slot = self
            .slots
            .iter_mut()
            .find(|slot| slot.local == segment.local && slot.remote == segment.remote)?;
        // RFC 1337: a reset does not end TIME-WAIT.
        if segment.rst() {
            return Some(Reply::Ignore);
        }
        // RFC 6191 §2 and RFC 9293 §3.6.1 (MAY-2): a SYN that is provably not an old duplicate.
        let beyond = segment.seq.after(slot.rcv_nxt);
        let fresh = match (slot.ts_recent, segment.options.timestamps) {
            (Some(last), Some(new)) => {
                let (last, new) = (SeqNum(last), SeqNum(new.value));
                new.after(last) || (new == last && beyond)
            }
            // Timestamps are new: no segment of the old connection had them.
            (None, Some(_)) => true,
            (_, None) => beyond,
        };
        if segment.syn() && segment.ack.is_none() && fresh {
            let beyond = slot.snd_nxt;
            *slot = TimeWaitSlot::new();
            return Some(Reply::Reuse { beyond });
        }
        // RFC 9293 §3.10.7.4: only the peer's FIN can arrive; it is acknowledged, and the wait
        // starts again.
        if segment.fin() && segment.seq + segment.len + 1 == slot.rcv_nxt {
            slot.until = now + restart;
        } else if segment.seg_len() == 0 && segment.seq == slot.rcv_nxt {
            return Some(Reply::Ignore);
        }
        if !slot.challenges.allow(now, 10) {
            return Some(Reply::Ignore);
        }
        Some(Reply::Ack(Remains {
            local: slot.local,
            remote: slot.remote,
            snd_nxt: slot.snd_nxt,
            rcv_nxt: slot.rcv_nxt,
            window: slot.window,
            ts_recent: slot.ts_recent,
            ts_offset: slot.ts_offset,
        }))
    }

    /// Whether the pair is in TIME-WAIT.
    pub(crate) fn contains(&self, local: Ipv4Addr, port: u16, remote: SocketAddrV4) -> bool {
        let local = SocketAddrV4::new(local, port);
        self.slots
            .iter()
            .any(|slot| slot.local == local && slot.remote == remote)
    }

    /// Frees what has waited long enough.
    pub(crate) fn expire(&mut self, now: Instant) {
        if self.earliest > now {
            return;
        }
        for slot in self.slots.iter_mut().filter(|slot| slot.until <= now) {
            *slot = TimeWaitSlot::new();
        }
        let ends = self.slots.iter().map(|slot| slot.until);
        self.earliest = ends.fold(Instant::MAX, Ord::min);
    }

    pub(crate) fn next_deadline(&self) -> Instant {
        self.earliest
    }

    /// Connections in TIME-WAIT.
    pub(crate) fn len(&self) -> usize {
        self.slots.iter().filter(|slot| slot.is_used()).count()
    }
}
