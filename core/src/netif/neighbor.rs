//! The neighbour cache: which hardware address an IP address has, how that is asked for, and how
//! long it is believed. It sends nothing itself: it says what to ask (`arp` does), and keeps the
//! packets that wait for the answer.
//!
//! ```text
//!           resolve            heard                    resolve near the end
//! (nothing) -------> Resolving -----> Known             -------------------> Known, being checked
//!           <-------           <-----------------------                      | heard: Known anew
//!           no answer          end of its time, or three checks unanswered <-+
//! ```
//!
//! What others can do to it: a request addressed to us adds an entry, but only to a quarter of the
//! table that such entries share; a request from a neighbour we know updates it (RFC 826); a reply
//! nobody asked for changes nothing. Known entries have no timer unless they are being checked.
use core::net::Ipv4Addr;
use core::time::Duration;

use crate::logged::logged;
use crate::pbuf::Pbuf;
use crate::time::Instant;

use super::NetifId;
use super::driver::HwAddr;
use super::pending::{PendingQueue, PendingSlot};

/// RFC 1122 §2.3.2.1: at most one request per second and destination.
const ASK_INTERVAL: Duration = Duration::from_secs(1);
/// Broadcast requests until a neighbour is given up, and how long after the first: 1 s, 2 s and 2 s
/// (not the rhythm of TCP's SYNs, or the news would come when one has just been sent anew).
const REQUESTS: u8 = 3;
/// The longest wait for an answer.
const MAX_WAIT: Duration = Duration::from_secs(2);
/// Unicast requests until a known neighbour is forgotten (RFC 1122 §2.3.2.1 (2): two or more).
const CHECKS: u8 = 3;

/// Storage for one neighbour.
#[derive(Clone, Copy, Debug, Default)]
pub struct NeighborSlot(Option<Neighbor>);

impl NeighborSlot {
    /// An unused slot.
    pub const fn new() -> Self {
        Self(None)
    }
}

#[derive(Clone, Copy, Debug)]
struct Neighbor {
    netif: NetifId,
    addr: Ipv4Addr,
    state: State,
    /// When a packet was last sent there; `None` if it has only been heard of.
    used: Option<Instant>,
    /// When the last request went out.
    asked: Option<Instant>,
}

#[derive(Clone, Copy, Debug)]
enum State {
    /// Broadcast requests go out; packets wait.
    Resolving { requests: u8, next: Instant },
    /// Believed until then.
    Known {
        hw: HwAddr,
        until: Instant,
        check: Option<Check>,
    },
}

/// Unicast requests are under way.
#[derive(Clone, Copy, Debug)]
struct Check {
    requests: u8,
    next: Instant,
}

/// A request to send: who has `addr`?
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Question {
    pub(crate) netif: NetifId,
    pub(crate) addr: Ipv4Addr,
    /// Whom to ask; `None` is everybody.
    pub(crate) hw: Option<HwAddr>,
}

/// What is known about a next hop.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Resolution {
    /// Its hardware address.
    Known(HwAddr),
    /// Nothing yet: the packet has to wait ([`Neighbors::wait`]).
    Wait,
    /// Nothing, and all entries are in better use.
    Full,
}

/// How a hardware address was made known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Claim {
    /// A reply to us.
    Reply,
    /// A reply to others, or to nobody.
    ReplyToOthers,
    /// A request for one of our addresses.
    RequestToUs,
    /// A request for others, an announcement.
    Request,
}

/// What became of a claim.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Heard {
    /// Believed; packets may be waiting.
    Learned,
    /// Not asked for, or no room for it.
    Ignored,
}

/// What a timer has brought.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Due {
    /// A request has to be sent.
    Ask(Question),
    /// Nobody has answered: what waits is undeliverable.
    GaveUp { netif: NetifId, addr: Ipv4Addr },
}

/// The neighbours of all interfaces, and the packets that wait for them.
#[derive(Debug)]
pub(crate) struct Neighbors {
    slots: &'static mut [NeighborSlot],
    pending: PendingQueue,
    lifetime: Duration,
    queue: usize,
    /// The earliest timer of all entries.
    deadline: Instant,
    /// Where the last look-up ended: often where the next one will.
    last: usize,
    /// Counts the changes of entries.
    generation: u32,
}

impl Neighbors {
    pub(crate) fn new(
        slots: &'static mut [NeighborSlot],
        pending: &'static mut [PendingSlot],
        lifetime: Duration,
        queue: u8,
    ) -> Self {
        Self {
            slots,
            pending: PendingQueue::new(pending),
            lifetime,
            queue: queue.into(),
            deadline: Instant::MAX,
            last: 0,
            generation: 0,
        }
    }

    /// Changes whenever an address may have become another's, or nobody's.
    #[inline]
    pub(crate) fn generation(&self) -> u32 {
        self.generation
    }

    /// How long the answer of [`Neighbors::resolve`] may be used without asking again.
    pub(crate) fn patience(&self) -> Duration {
        (self.lifetime / 16).min(Duration::from_secs(1))
    }

    /// The hardware address of a neighbour to send to now. Requests become due by themselves
    /// ([`Neighbors::due`]). Entries that are `protected` (gateways) are not replaced.
    pub(crate) fn resolve(
        &mut self,
        now: Instant,
        netif: NetifId,
        addr: Ipv4Addr,
        protected: impl Fn(Ipv4Addr) -> bool,
    ) -> Resolution {
        let lead = self.lifetime / 4;
        if let Some(neighbor) = self.find(now, netif, addr) {
            neighbor.used = Some(now);
            let State::Known { hw, until, check } = &mut neighbor.state else {
                return Resolution::Wait;
            };
            let hw = *hw;
            // Checked by unicast before the end of its time, so that traffic never waits.
            if check.is_none() && now >= *until - lead {
                let next = may_ask(neighbor.asked, now);
                *check = Some(Check { requests: 0, next });
                self.note(next);
            }
            return Resolution::Known(hw);
        }
        let Some(index) = self.make_room(now, protected) else {
            return Resolution::Full;
        };
        self.put(
            index,
            Neighbor {
                netif,
                addr,
                state: State::Resolving {
                    requests: 0,
                    next: now,
                },
                used: Some(now),
                asked: None,
            },
        );
        self.note(now);
        Resolution::Wait
    }

    /// Keeps a packet, IP header first, for a neighbour being resolved. Returns how many packets
    /// had to be dropped.
    pub(crate) fn wait(&mut self, netif: NetifId, addr: Ipv4Addr, packet: Pbuf) -> usize {
        self.pending.push(netif, addr, packet, self.queue)
    }

    /// The oldest packet that waits for a neighbour.
    pub(crate) fn take_waiting(&mut self, netif: NetifId, addr: Ipv4Addr) -> Option<Pbuf> {
        self.pending.pop(netif, addr)
    }

    /// Somebody on the link says that `addr` is at `hw`; both are plausible for a neighbour.
    pub(crate) fn heard(
        &mut self,
        now: Instant,
        netif: NetifId,
        addr: Ipv4Addr,
        hw: HwAddr,
        claim: Claim,
    ) -> Heard {
        let until = now + self.lifetime;
        let fresh = State::Known {
            hw,
            until,
            check: None,
        };
        let Some(neighbor) = self.find(now, netif, addr) else {
            return match claim {
                Claim::RequestToUs => self.hear_new(now, netif, addr, fresh),
                _ => Heard::Ignored,
            };
        };
        match (claim, &mut neighbor.state) {
            // RFC 826: who asks tells its own address, which updates what is known.
            (Claim::Request | Claim::RequestToUs, state) => {
                if let State::Known { hw: old, .. } = state
                    && *old != hw
                {
                    logged!(info, "{} is at {} now, not at {}", addr, hw, old);
                }
                *state = fresh;
            }
            (Claim::Reply, State::Resolving { requests: 1.., .. }) => neighbor.state = fresh,
            (
                Claim::Reply,
                State::Known {
                    hw: known,
                    check: Some(Check { requests: 1.., .. }),
                    ..
                },
            ) if *known == hw => neighbor.state = fresh,
            (
                _,
                State::Known {
                    hw: known,
                    check: check @ None,
                    ..
                },
            ) if *known != hw => {
                // Not asked for: not believed, but a reason to ask the one that is known. If it
                // does not answer, everybody is asked.
                let next = may_ask(neighbor.asked, now);
                *check = Some(Check { requests: 0, next });
                self.note(next);
                return Heard::Ignored;
            }
            _ => return Heard::Ignored,
        }
        self.update();
        Heard::Learned
    }

    /// Takes one due timer; to be called until there is none. Each call moves the timer of an
    /// entry behind `now`, or removes the entry.
    pub(crate) fn due(&mut self, now: Instant) -> Option<Due> {
        if self.deadline > now {
            return None;
        }
        let mut due = None;
        for slot in self.slots.iter_mut() {
            let Some(neighbor) = &mut slot.0 else {
                continue;
            };
            if neighbor.timer().is_none_or(|next| next > now) {
                continue;
            }
            due = neighbor.expire(now);
            match due {
                Some(Due::Ask(_)) => neighbor.asked = Some(now),
                Some(Due::GaveUp { .. }) | None => slot.0 = None,
            }
            if due.is_some() {
                break;
            }
        }
        self.update();
        due
    }

    /// When [`Neighbors::due`] has something; [`Instant::MAX`]: nothing waits.
    pub(crate) fn next_deadline(&self) -> Instant {
        self.deadline
    }

    /// Forgets the neighbours on an interface, with what waits for them. Returns how many packets
    /// were dropped.
    pub(crate) fn forget(&mut self, netif: NetifId) -> usize {
        let mut dropped = 0;
        for index in 0..self.slots.len() {
            if self.at(index).is_some_and(|n| n.netif == netif) {
                dropped += self.remove(index);
            }
        }
        self.update();
        dropped
    }

    /// The entry for `addr`, unless its time is over.
    fn find(&mut self, now: Instant, netif: NetifId, addr: Ipv4Addr) -> Option<&mut Neighbor> {
        let fits = |slot: &NeighborSlot| {
            slot.0
                .is_some_and(|n| n.addr == addr && n.netif == netif && !n.is_over(now))
        };
        if !self.slots.get(self.last).is_some_and(fits) {
            self.last = self.slots.iter().position(fits)?;
        }
        self.slots.get_mut(self.last)?.0.as_mut()
    }

    fn at(&self, index: usize) -> Option<&Neighbor> {
        self.slots.get(index)?.0.as_ref()
    }

    /// Adds a neighbour that asked for us. RFC 826 says to, for we are about to answer it; but
    /// those who only asked share a quarter of the table and replace each other.
    fn hear_new(&mut self, now: Instant, netif: NetifId, addr: Ipv4Addr, state: State) -> Heard {
        let share = (self.slots.len() / 4).max(1);
        let unused = self.entries().filter(|(_, n)| n.is_unused(now)).count();
        let index = if unused < share {
            self.free(now)
        } else {
            self.oldest(|n| n.is_unused(now))
        };
        let Some(index) = index else {
            return Heard::Ignored;
        };
        self.put(
            index,
            Neighbor {
                netif,
                addr,
                state,
                used: None,
                asked: None,
            },
        );
        Heard::Learned
    }

    /// A slot for a new entry: a free one; else the oldest that was never used; else the oldest
    /// that is not resolved; else the one that was not used for the longest time.
    fn make_room(&mut self, now: Instant, protected: impl Fn(Ipv4Addr) -> bool) -> Option<usize> {
        self.free(now)
            .or_else(|| self.oldest(|n| n.is_unused(now) && !protected(n.addr)))
            .or_else(|| self.oldest(|n| n.is_resolving() && !protected(n.addr)))
            .or_else(|| self.oldest(|n| !protected(n.addr)))
    }

    fn free(&self, now: Instant) -> Option<usize> {
        self.slots
            .iter()
            .position(|slot| slot.0.is_none_or(|n| n.is_over(now)))
    }

    fn oldest(&self, which: impl Fn(&Neighbor) -> bool) -> Option<usize> {
        let candidates = self.entries().filter(|(_, n)| which(n));
        candidates.min_by_key(|(_, n)| n.age_key()).map(|(i, _)| i)
    }

    fn entries(&self) -> impl Iterator<Item = (usize, &Neighbor)> {
        let slots = self.slots.iter().enumerate();
        slots.filter_map(|(i, slot)| Some((i, slot.0.as_ref()?)))
    }

    fn put(&mut self, index: usize, neighbor: Neighbor) {
        self.remove(index);
        if let Some(slot) = self.slots.get_mut(index) {
            slot.0 = Some(neighbor);
        }
        self.update();
    }

    /// Removes an entry with what waits for it; returns how many packets that were.
    fn remove(&mut self, index: usize) -> usize {
        let Some(old) = self.slots.get_mut(index).and_then(|slot| slot.0.take()) else {
            return 0;
        };
        let mut dropped = 0;
        while self.pending.pop(old.netif, old.addr).is_some() {
            dropped += 1;
        }
        dropped
    }

    fn note(&mut self, next: Instant) {
        self.deadline = self.deadline.min(next);
    }

    /// To be called after entries were changed.
    fn update(&mut self) {
        self.generation = self.generation.wrapping_add(1);
        let timers = self.entries().filter_map(|(_, n)| n.timer());
        self.deadline = timers.min().unwrap_or(Instant::MAX);
    }
}

impl Neighbor {
    fn is_over(&self, now: Instant) -> bool {
        matches!(self.state, State::Known { until, .. } if until <= now)
    }

    /// Only heard of, never sent to.
    fn is_unused(&self, now: Instant) -> bool {
        self.used.is_none() && !self.is_over(now)
    }

    fn is_resolving(&self) -> bool {
        matches!(self.state, State::Resolving { .. })
    }

    fn timer(&self) -> Option<Instant> {
        match self.state {
            State::Resolving { next, .. } => Some(next),
            State::Known { check, .. } => check.map(|check| check.next),
        }
    }

    /// Lower is to be replaced first.
    fn age_key(&self) -> (Option<Instant>, Instant) {
        let until = match self.state {
            State::Resolving { .. } => Instant::ZERO,
            State::Known { until, .. } => until,
        };
        (self.used, until)
    }

    /// The timer has expired: the next request, or the end (`None` if nothing waits).
    fn expire(&mut self, now: Instant) -> Option<Due> {
        let (netif, addr) = (self.netif, self.addr);
        let ask = |hw| Some(Due::Ask(Question { netif, addr, hw }));
        match &mut self.state {
            State::Known { until, .. } if *until <= now => None,
            State::Resolving { requests, .. } if *requests >= REQUESTS => {
                Some(Due::GaveUp { netif, addr })
            }
            State::Resolving { requests, next } => {
                // RFC 1122 §2.3.2.1: twice as long each time.
                let wait = ASK_INTERVAL.as_micros() << (*requests).min(16);
                let wait = u64::try_from(wait).map_or(MAX_WAIT, Duration::from_micros);
                *next = now + wait.min(MAX_WAIT);
                *requests += 1;
                ask(None)
            }
            State::Known {
                hw,
                check: Some(check),
                ..
            } if check.requests < CHECKS => {
                check.next = now + ASK_INTERVAL;
                check.requests += 1;
                ask(Some(*hw))
            }
            State::Known { .. } => None,
        }
    }
}

/// When the next request may go out after the one at `asked`.
fn may_ask(asked: Option<Instant>, now: Instant) -> Instant {
    asked.map_or(now, |asked| now.max(asked + ASK_INTERVAL))
}

#[cfg(test)]
mod tests;
