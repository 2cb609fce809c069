//! Room for datagrams to send: how much of the shared slots and buffers a connection may take, and
//! how those wait that find none.
//!
//! Who waits says so with a flag of the net. While it is set, the tcpip thread looks after each of
//! its turns whether there is room again, and takes a turn every [`RETRY`] at the latest: buffers
//! also come back in threads that tell nobody. While nobody waits, this costs one look at the flag
//! for each turn.
use core::num::NonZeroU32;
use core::sync::atomic::{AtomicBool, Ordering};
use core::time::Duration;

use critical_section::CriticalSection;
use gannet_core::{Instant, owner_bit};

use crate::doorbell::Ring;
use crate::error::Error;
use crate::net::Net;
use crate::netconn::Netconn;
use crate::shared::{Holder, Requests, Shared, Side};
use crate::sys;
use crate::wait::{Patience, Wake};

/// Room left in front of a datagram for its headers, so that they are written in place.
pub(crate) const HEADROOM: usize = 64;

/// How long nobody looks for room if nothing else happens.
const RETRY: Duration = Duration::from_millis(20);

/// Whether somebody waits for room.
#[derive(Debug)]
pub(crate) struct Shortage(AtomicBool);

impl Shortage {
    pub(crate) const fn new() -> Self {
        Self(AtomicBool::new(false))
    }

    /// Somebody waits; `true` if nobody did before: then the tcpip thread has to be told.
    pub(crate) fn begins(&self) -> bool {
        let was = self.0.load(Ordering::SeqCst);
        self.0.store(true, Ordering::SeqCst);
        !was
    }

    fn is_on(&self) -> bool {
        self.0.load(Ordering::SeqCst)
    }
}

impl Net {
    /// Whether a datagram of `len` bytes can be copied and queued now.
    pub(crate) fn has_room(&self, shared: &Shared, cs: CriticalSection<'_>, len: usize) -> bool {
        let blocks = self.blocks_for(len);
        let pool = self.tx_pool;
        !shared.peer_full
            && pool.available() >= blocks
            && pool.descriptors_available() >= blocks
            && self.may_queue(shared, cs, len)
    }

    /// Whether a datagram of `len` bytes can be queued now; one that goes beyond the send buffer
    /// may if it is the only one.
    pub(crate) fn may_queue(&self, shared: &Shared, cs: CriticalSection<'_>, len: usize) -> bool {
        let outbox = &shared.outbox;
        let limit = shared
            .settings
            .send_buffer
            .map_or(self.send_limit(), |bytes| u64::from(NonZeroU32::get(bytes)));
        let fits = outbox.is_empty() || u64::from(outbox.bytes()) + len as u64 <= limit;
        fits && usize::from(outbox.len()) < self.datagrams.share() && self.datagrams.has_free(cs)
    }

    /// Bytes a connection may have queued if nothing was set: a quarter of the pool.
    fn send_limit(&self) -> u64 {
        (self.tx_pool.blocks() / 4).max(1) as u64 * self.tx_pool.block_size() as u64
    }

    /// Blocks of the pool that a datagram takes.
    pub(crate) fn blocks_for(&self, len: usize) -> usize {
        // Blocks are not empty: the compiler does not know.
        (HEADROOM + len).div_ceil(self.tx_pool.block_size().max(1))
    }

    /// What failed for want of buffers is tried again; the owners to wake for it.
    pub(crate) fn retry_held(&self) -> u32 {
        if !self.shortage.is_on() {
            return 0;
        }
        let mut any = false;
        for index in self.indices() {
            self.with(index, |shared, cs| {
                if !shared.outbox.is_empty() {
                    shared.requests.insert(Requests::SEND);
                    self.doorbell.set_dirty(cs, index);
                    any = true;
                }
            });
        }
        match any {
            true => owner_bit(self.owner()),
            false => 0,
        }
    }

    /// Wakes those that wait for room, if there is some. When to look again, if anybody still
    /// waits.
    pub(crate) fn wake_senders(&self, deadline: Option<Instant>) -> Option<Instant> {
        if !self.shortage.is_on() {
            return deadline;
        }
        // Whoever begins to wait from here on sets it again.
        self.shortage.0.store(false, Ordering::SeqCst);
        let mut wait_on = false;
        for index in self.indices() {
            let wake = self.with(index, |shared, cs| {
                if !shared.kind.is_datagram() || shared.holder == Holder::Free {
                    return Wake::NONE;
                }
                wait_on |= !shared.outbox.is_empty();
                if !shared.has_writers() {
                    return Wake::NONE;
                }
                if shared.ready(self, cs).write {
                    return shared.take_waiters(self, cs);
                }
                wait_on = true;
                Wake::NONE
            });
            self.signal(wake.unwrap_or(Wake::NONE));
        }
        if !wait_on {
            return deadline;
        }
        self.shortage.0.store(true, Ordering::SeqCst);
        let again = sys::now() + RETRY;
        Some(deadline.map_or(again, |deadline| deadline.min(again)))
    }
}

impl Shared {
    /// The thread that looked found no room and will wait.
    pub(crate) fn wait_for_room(&mut self, net: &Net) {
        if net.shortage.begins() {
            self.ring = Ring::Now;
        }
    }
}

impl Netconn {
    /// Sleeps until a datagram of `len` bytes can be queued, or the endpoint has an error to tell.
    pub(crate) fn sleep_for_room(&self, len: usize, patience: Patience) -> Result<(), Error> {
        self.sleep_until(Side::Write, patience, |shared, cs| {
            let tells = shared.error.is_some() || shared.write_shut || shared.is_parted();
            if tells || self.net.has_room(shared, cs, len) {
                shared.wanted = 0;
                return Some(());
            }
            shared.wanted = len;
            shared.wait_for_room(self.net);
            None
        })
    }
}
