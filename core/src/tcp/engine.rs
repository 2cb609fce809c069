//! All of TCP's state: control blocks, listeners, queues, timers, and how they are taken and
//! freed. What happens to a segment is in `arrive`, sending in `transmit`, what applications are told
//! in `events`, the calls of the raw
//! API in `calls`.
use core::num::NonZeroU16;

use crate::config::TcpConfig;
use crate::error::Error;
use crate::handle::{Owner, RawHandle, TcpListener, TcpPcb, next_generation};
use crate::ip::Ip;
use crate::logged::logged;
use crate::pbuf::Pool;
use crate::random::{Entropy, Keyed};
use crate::time::Instant;

use super::State;
use super::chains::{Chained, Chains};
use super::demux::{Bucket, Demux};
use super::due::{DueHeap, Place, Timed};
use super::events::News;
use super::input::Context;
use super::limit::Limiter;
use super::list::{FreeList, IndexQueue, Link, NONE};
use super::listen::ListenSlot;
use super::out_of_order::{RunSlot, Runs};
use super::pcb::{Attached, Life, Pcb};
use super::ports::Secrets;
use super::rtt::Rtt;
use super::sent_store::{SentSlot, SentStore};
use super::settings::Settings;
use super::stats::TcpStats;
use super::syn_cookie::SynCookies;
use super::syn_queue::{SynQueue, SynSlot};
use super::time_wait::{TimeWaitSlot, TimeWaits};

/// Storage of one connection.
#[derive(Debug)]
pub struct PcbSlot {
    pub(super) generation: NonZeroU16,
    pub(super) used: bool,
    bound: Bound,
    pub(crate) filed: Option<u32>,
    /// Among the connections whose addresses share a chain; while the slot is free, the list of
    /// free ones.
    pub(crate) hash_next: u16,
    /// Among those that own their port.
    port: Chained,
    output: Link,
    pub(super) events: Link,
    orphans: Link,
    due: Place,
    pub(crate) pcb: Pcb,
}

impl Timed for PcbSlot {
    fn place(&self) -> &Place {
        &self.due
    }

    fn place_mut(&mut self) -> &mut Place {
        &mut self.due
    }
}

/// Those that own their port, by its number.
pub(super) const BY_PORT: Chains<PcbSlot> = Chains {
    part: |slot| &slot.port,
    part_mut: |slot| &mut slot.port,
};

/// How a control block came to its local address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Bound {
    No,
    /// By `bind` or `connect`: nobody else may have the port.
    Own,
    /// From its listener.
    Inherited,
}

impl PcbSlot {
    /// An unused slot.
    pub const fn new() -> Self {
        Self {
            generation: NonZeroU16::MIN,
            used: false,
            bound: Bound::No,
            filed: None,
            hash_next: NONE,
            port: Chained::UNUSED,
            output: Link::UNLINKED,
            events: Link::UNLINKED,
            orphans: Link::UNLINKED,
            due: Place::UNUSED,
            pcb: Pcb::UNUSED,
        }
    }

    /// What the application knows it by, as number `index`.
    pub(super) fn handle(&self, index: u16) -> TcpPcb {
        TcpPcb(RawHandle {
            slot: index,
            generation: self.generation,
        })
    }

    fn is(&self, generation: NonZeroU16) -> bool {
        self.used && self.generation == generation
    }

    pub(super) fn bound(&self) -> Bound {
        self.bound
    }

    /// Whether it is to be put on the list of those that may have something to send.
    pub(super) fn needs_output(&self) -> bool {
        self.pcb.life == Life::Alive && !self.output.is_queued()
    }

    /// Whether an orphan only waits for its peer to close.
    fn may_give_way(&self) -> bool {
        self.used
            && self.pcb.attached == Attached::Orphan
            && matches!(
                self.pcb.state,
                State::FinWait2 | State::LastAck | State::Closing
            )
    }
}

impl Default for PcbSlot {
    fn default() -> Self {
        Self::new()
    }
}

/// TCP's share of a stack's storage.
#[derive(Debug)]
pub struct TcpStorage {
    /// One for each connection, at most 65,534.
    pub pcbs: &'static mut [PcbSlot],
    /// Look-up chains: half as many as connections or more.
    pub buckets: &'static mut [Bucket],
    /// One for each listener.
    pub listeners: &'static mut [ListenSlot],
    /// Half-open connections of all listeners.
    pub syns: &'static mut [SynSlot],
    /// Connections remembered in TIME-WAIT.
    pub time_waits: &'static mut [TimeWaitSlot],
    /// Runs of out-of-order data of all connections.
    pub runs: &'static mut [RunSlot],
    /// Segments in flight of all connections, for the sender's half of SACK: one for each
    /// connection or more, else peers' selective acknowledgements are not used. A window of
    /// 64 KiB is 45 segments.
    pub sends: &'static mut [SentSlot],
}

/// TCP of one stack.
#[derive(Debug)]
pub(crate) struct Engine {
    pub(super) slots: &'static mut [PcbSlot],
    pub(super) demux: Demux,
    pub(super) listeners: &'static mut [ListenSlot],
    pub(super) syns: SynQueue,
    pub(super) time_waits: TimeWaits,
    pub(super) runs: Runs,
    pub(super) sends: SentStore,
    free: FreeList,
    output: IndexQueue,
    pub(super) events: IndexQueue,
    /// Those that give way when blocks run out, the one that waits longest first. One that has
    /// ceased to is skipped.
    orphans: IndexQueue,
    pub(super) secrets: Secrets,
    pub(super) cookies: SynCookies,
    pub(super) config: TcpConfig,
    /// Before the first measurement, as configured.
    rtt: Rtt,
    pub(super) stats: TcpStats,
    pub(super) tx_pool: &'static Pool,
    pub(super) resets: Limiter,
    /// Time of the current turn, for calls that start timers.
    pub(super) now: Instant,
    /// When each connection is to be looked at: may be too early for its timers, never too late.
    due: DueHeap,
    /// When to try again what a lack of buffers or of room in the device held up.
    pub(super) retry: Instant,
}

#[cfg(feature = "invariants")]
impl PcbSlot {
    pub(super) fn is_used(&self) -> bool {
        self.used
    }

    /// Whether it is on the list of those that may have something to send.
    pub(super) fn has_output(&self) -> bool {
        self.output.is_queued()
    }
}

impl Engine {
    pub(crate) fn new(
        storage: TcpStorage,
        tx_pool: &'static Pool,
        config: TcpConfig,
        entropy: Entropy<'_>,
    ) -> Self {
        let sends = SentStore::new(storage.sends, storage.pcbs.len());
        Self {
            slots: storage.pcbs,
            demux: Demux::new(storage.buckets),
            listeners: storage.listeners,
            syns: SynQueue::new(storage.syns),
            time_waits: TimeWaits::new(storage.time_waits),
            runs: Runs::new(storage.runs, entropy),
            sends,
            free: FreeList::ALL,
            output: IndexQueue::EMPTY,
            events: IndexQueue::EMPTY,
            orphans: IndexQueue::EMPTY,
            secrets: Secrets::new(entropy),
            cookies: SynCookies::new(Keyed::new(entropy)),
            rtt: Rtt::new(&config),
            config,
            stats: TcpStats::default(),
            tx_pool,
            resets: Limiter::FULL,
            now: Instant::ZERO,
            due: DueHeap::EMPTY,
            retry: Instant::MAX,
        }
    }

    /// Takes a free control block, as `owner`'s.
    pub(super) fn allocate(&mut self, owner: Owner, settings: Settings) -> Result<u16, Error> {
        let free = match self.take_free() {
            Some(free) => free,
            None => {
                self.reclaim();
                self.take_free().ok_or(Error::NoMemory)?
            }
        };
        let slot = self
            .slots
            .get_mut(usize::from(free))
            .ok_or(Error::NoMemory)?;
        slot.used = true;
        // In two steps, so that it is copied from a constant and not made on the stack first. What
        // was here has no queues any more: nothing of it has to be dropped.
        slot.pcb = Pcb::UNUSED;
        (slot.pcb.owner, slot.pcb.settings) = (owner, settings);
        slot.pcb.rtt = self.rtt.clone();
        slot.pcb.rcv.limit = settings.first_window(&self.config);
        slot.pcb.snd.limit = settings.send_buffer(&self.config);
        Ok(free)
    }

    fn take_free(&mut self) -> Option<u16> {
        self.free.take(self.slots, |slot| &mut slot.hash_next)
    }

    /// Frees the orphan that has waited longest for its peer to close.
    fn reclaim(&mut self) {
        while let Some(index) = self.orphans.pop(self.slots, |slot| &mut slot.orphans) {
            let slot = self.slots.get(usize::from(index));
            if slot.is_some_and(PcbSlot::may_give_way) {
                self.free(index);
                return;
            }
        }
    }

    /// Remembers the block, if it may give way when blocks run out.
    pub(super) fn note_orphan(&mut self, index: u16) {
        let slot = self.slots.get(usize::from(index));
        if slot.is_some_and(PcbSlot::may_give_way) {
            self.orphans
                .push(self.slots, index, |slot| &mut slot.orphans);
        }
    }

    /// Block `index` has its local port to itself.
    pub(super) fn own_port(&mut self, index: u16) {
        let slot = self.slots.get_mut(usize::from(index));
        if let Some(slot) = slot.filter(|slot| slot.bound != Bound::Own) {
            slot.bound = Bound::Own;
            let port = slot.pcb.local.port();
            BY_PORT.insert(self.slots, index, port.into());
        }
    }

    /// Block `index` was accepted: its local port is its listener's.
    pub(super) fn inherit_port(&mut self, index: u16) {
        if let Some(slot) = self.slots.get_mut(usize::from(index)) {
            slot.bound = Bound::Inherited;
        }
    }

    fn release_port(&mut self, index: u16) {
        let Some(slot) = self.slots.get_mut(usize::from(index)) else {
            return;
        };
        if core::mem::replace(&mut slot.bound, Bound::No) == Bound::Own {
            BY_PORT.remove(self.slots, index);
        }
    }

    /// Returns a control block; its handles are stale.
    pub(super) fn free(&mut self, index: u16) {
        self.release_backlog(index);
        self.demux.remove(self.slots, index);
        self.release_port(index);
        let slot = self.slots.get_mut(usize::from(index));
        let Some(slot) = slot.filter(|slot| slot.used) else {
            return;
        };
        if slot.pcb.life == Life::Alive {
            // It may be on the list of those that have something to send: it has nothing more.
            slot.pcb.end(Life::Ended, &mut self.runs);
        }
        slot.pcb.stop_records(&mut self.sends);
        slot.generation = next_generation(slot.generation);
        slot.used = false;
        // The rest stays until the block is taken again, the links beyond that: the lists skip what
        // is not used any more.
        slot.pcb.rcv.queue.clear();
        self.due.set(self.slots, index, Instant::MAX);
        self.free
            .give(self.slots, index, |slot| &mut slot.hash_next);
    }

    /// Makes the handles of a block stale, but keeps it.
    pub(super) fn make_stale(&mut self, index: u16) {
        if let Some(slot) = self.slots.get_mut(usize::from(index)) {
            slot.generation = next_generation(slot.generation);
        }
    }

    pub(super) fn handle(&self, index: u16) -> Option<TcpPcb> {
        Some(self.slots.get(usize::from(index))?.handle(index))
    }

    /// The slot number of a handle that is not stale.
    pub(super) fn index(&self, pcb: TcpPcb) -> Result<u16, Error> {
        self.pcb(pcb)?;
        Ok(pcb.0.slot)
    }

    pub(super) fn pcb(&self, pcb: TcpPcb) -> Result<&Pcb, Error> {
        match self.slots.get(usize::from(pcb.0.slot)) {
            Some(slot) if slot.is(pcb.0.generation) => Ok(&slot.pcb),
            _ => Err(Error::Closed),
        }
    }

    pub(super) fn pcb_mut(&mut self, pcb: TcpPcb) -> Result<&mut Pcb, Error> {
        Ok(&mut current(self.slots, pcb)?.pcb)
    }

    pub(super) fn at(&self, index: u16) -> Option<&Pcb> {
        self.slots
            .get(usize::from(index))
            .filter(|slot| slot.used)
            .map(|slot| &slot.pcb)
    }

    pub(super) fn at_mut(&mut self, index: u16) -> Option<&mut Pcb> {
        self.slots
            .get_mut(usize::from(index))
            .filter(|slot| slot.used)
            .map(|slot| &mut slot.pcb)
    }

    /// To be called after anything was done to a control block: puts it on the lists it now
    /// belongs to and accounts for its timers.
    pub(super) fn settle(&mut self, index: u16) {
        let slot = self.slots.get_mut(usize::from(index));
        let Some(slot) = slot.filter(|slot| slot.used) else {
            return;
        };
        let orphan = slot.pcb.attached == Attached::Orphan;
        // Within a turn it usually is on the lists already.
        let events = !slot.events.is_queued() && slot.pcb.has_events();
        if slot.pcb.life == Life::Alive {
            if events {
                self.events.push(self.slots, index, |slot| &mut slot.events);
            }
            // Also when nothing is to be sent: the timers are accounted for after output.
            self.output.push(self.slots, index, |slot| &mut slot.output);
            if orphan {
                self.note_orphan(index);
            }
            return;
        }
        if orphan || (slot.pcb.life == Life::Ended && !slot.pcb.has_to_tell()) {
            return self.free(index);
        }
        let lowered = slot.pcb.timers.take_lowered();
        self.due.lower(self.slots, index, lowered);
        if events {
            self.events.push(self.slots, index, |slot| &mut slot.events);
        }
    }

    /// As [`Engine::settle`], of a connection that is alive and has an owner, in the middle of a
    /// turn: the output that follows accounts for its timers. `news` says whether
    /// there is something new to tell.
    #[inline]
    pub(super) fn settle_before_output(&mut self, index: u16, news: News) {
        if news == News::Some {
            self.events.push(self.slots, index, |slot| &mut slot.events);
        }
        self.output.push(self.slots, index, |slot| &mut slot.output);
    }

    /// As [`Engine::settle`], after something was done that set no timer and left nothing new to
    /// tell: all calls with which the application sends or makes room.
    pub(super) fn settle_output(&mut self, index: u16) {
        let slot = self.slots.get(usize::from(index));
        if slot.is_some_and(|slot| slot.used && slot.needs_output()) {
            self.output_again(index);
        }
    }

    /// The next control block that may have something to send.
    pub(super) fn next_output(&mut self) -> Option<u16> {
        self.output.pop(self.slots, |slot| &mut slot.output)
    }

    pub(super) fn output_count(&mut self) -> usize {
        self.output.count(self.slots, |slot| &mut slot.output)
    }

    #[inline]
    pub(super) fn output_again(&mut self, index: u16) {
        self.output.push(self.slots, index, |slot| &mut slot.output);
    }

    /// The connection in `index` is over.
    pub(super) fn end(&mut self, index: u16, life: Life) {
        self.demux.remove(self.slots, index);
        self.release_port(index);
        let attempt = self.at(index).is_some_and(|pcb| !pcb.is_synchronized());
        self.stats.attempt_fails += u32::from(attempt && matches!(life, Life::Failed(_)));
        let runs = &mut self.runs;
        let slot = self
            .slots
            .get_mut(usize::from(index))
            .filter(|slot| slot.used);
        if let Some(slot) = slot {
            if let Life::Failed(error) = &life {
                logged!(
                    debug,
                    "{} to {}: {}",
                    slot.pcb.local,
                    slot.pcb.remote,
                    error
                );
            }
            slot.pcb.stop_records(&mut self.sends);
            slot.pcb.end(life, runs);
        }
    }

    /// Says what time it is for the calls that follow.
    pub(crate) fn set_now(&mut self, now: Instant) {
        self.now = now;
    }

    /// Runs the timers that are due at `now`. Data they ask for is sent with the next output.
    pub(crate) fn expire(&mut self, ip: &mut Ip, now: Instant) {
        self.time_waits.expire(now);
        self.expire_half_open(ip, now);
        if self.due.earliest() <= now {
            self.expire_connections(ip, now);
        }
    }

    #[inline(never)]
    fn expire_connections(&mut self, ip: &mut Ip, now: Instant) {
        // Each once: what its own expiry makes due again waits for the next turn.
        for _ in 0..self.slots.len() {
            let (at, index) = self.due.first(self.slots);
            if at > now {
                return;
            }
            let (slots, mut cx) = self.context(now);
            let slot = slots.get_mut(usize::from(index));
            let Some(slot) = slot.filter(|slot| slot.used) else {
                self.due.set(self.slots, index, Instant::MAX);
                continue;
            };
            if slot.pcb.timers.next() <= now {
                let verdict = slot.pcb.expire(&mut cx);
                self.carry_out(ip, now, index, verdict);
            }
            let next = self.at(index).map_or(Instant::MAX, |pcb| pcb.timers.next());
            self.due.set(self.slots, index, next);
        }
    }

    /// The earliest moment something is to be done.
    pub(crate) fn next_deadline(&self) -> Instant {
        self.due
            .earliest()
            .min(self.syns.next_deadline())
            .min(self.time_waits.next_deadline())
            .min(self.retry)
    }

    /// Connection `index` has started a timer that expires at `at`.
    pub(super) fn lower_deadline(&mut self, index: u16, at: Instant) {
        self.due.lower(self.slots, index, at);
    }

    pub(super) fn context(&mut self, now: Instant) -> (&mut [PcbSlot], Context<'_>) {
        let cx = Context {
            now,
            config: &self.config,
            runs: &mut self.runs,
            sends: &mut self.sends,
            stats: &mut self.stats,
        };
        (self.slots, cx)
    }

    /// A listener by its number, if the handle is not stale.
    pub(super) fn listener_mut(&mut self, listener: TcpListener) -> Option<&mut ListenSlot> {
        self.listeners
            .get_mut(usize::from(listener.0.slot))
            .filter(|slot| slot.is(listener.0.generation))
    }

    /// Gives the backlog place back that the connection in `index` holds.
    pub(super) fn release_backlog(&mut self, index: u16) {
        let listener = self.at_mut(index).and_then(|pcb| pcb.backlog.take());
        if let Some(slot) = listener.and_then(|listener| self.listener_mut(listener)) {
            slot.waiting = slot.waiting.saturating_sub(1);
        }
    }
}

impl Engine {
    /// Control blocks in use.
    pub(super) fn used(&self) -> usize {
        self.slots.iter().filter(|slot| slot.used).count()
    }
}

/// The slot of a handle that is not stale.
pub(super) fn current(slots: &mut [PcbSlot], pcb: TcpPcb) -> Result<&mut PcbSlot, Error> {
    match slots.get_mut(usize::from(pcb.0.slot)) {
        Some(slot) if slot.is(pcb.0.generation) => Ok(slot),
        _ => Err(Error::Closed),
    }
}
