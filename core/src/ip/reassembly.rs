//! Putting fragments together (RFC 791 §3.2, RFC 815), without copying and within fixed limits.
//!
//! What has arrived of a packet is kept as a few contiguous runs; a fragment that adjoins one is
//! linked to it. Fragments that overlap are not sorted out (RFC 5722, RFC 3128): the packet is
//! refused. So the work for a fragment is bounded (CVE-2018-5391), and what is delivered does not
//! depend on the order of arrival.
use core::net::Ipv4Addr;
use core::time::Duration;

use crate::netif::NetifId;
use crate::netif::ethernet::Arrival;
use crate::pbuf::{Chain, Pbuf};
use crate::time::Instant;
use crate::wire::ipv4::Protocol;

use super::input::{Head, Place};
use super::stats::count;
use super::{ChecksumState, Destination, Input, Ip, IpStats, Received};

/// Separate runs of a packet in reassembly: how much disorder is followed.
const MAX_RUNS: usize = 8;
/// Fragments of one packet: 65,535 bytes over links with the smallest MTU in use (576).
const MAX_FRAGMENTS: u8 = 128;

/// Storage for one packet in reassembly.
#[derive(Debug, Default)]
pub struct ReassemblySlot(Option<Datagram>);

impl ReassemblySlot {
    /// An unused slot.
    pub const fn new() -> Self {
        Self(None)
    }
}

/// RFC 791 §3.2: what fragments of one packet have in common.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Key {
    netif: NetifId,
    src: Ipv4Addr,
    dst: Ipv4Addr,
    protocol: Protocol,
    ident: u16,
}

#[derive(Debug)]
struct Datagram {
    key: Key,
    to: Destination,
    expires: Instant,
    /// The header of the fragment with offset 0.
    first: Option<Head>,
    /// Whether a router has marked any of the fragments.
    congested: bool,
    /// Payload length, once the last fragment is there.
    total: Option<usize>,
    fragments: u8,
    /// Bytes of the blocks it holds.
    blocks: usize,
    runs: [Option<Run>; MAX_RUNS],
}

/// Consecutive bytes of the payload.
#[derive(Debug)]
struct Run {
    start: usize,
    bytes: Chain,
}

impl Run {
    fn end(&self) -> usize {
        self.start + self.bytes.len()
    }
}

/// Why a packet in reassembly is given up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Refused {
    /// Its fragments contradict each other.
    Overlap,
    /// It wants more than its share.
    Limit,
}

/// What became of a fragment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Added {
    /// Kept.
    Yes,
    /// It is there already.
    Duplicate,
}

/// A packet whose fragments are all there.
#[derive(Debug)]
pub(super) struct Whole {
    pub(super) head: Head,
    pub(super) to: Destination,
    /// Without IP header, which is still in front of the first part.
    pub(super) payload: Pbuf,
}

/// A packet whose fragments did not all come in time.
#[derive(Debug)]
pub(super) struct Expired(Datagram);

/// All packets in reassembly.
#[derive(Debug)]
pub(super) struct Reassembly {
    slots: &'static mut [ReassemblySlot],
    /// Slots in use.
    used: usize,
    timeout: Duration,
    max_bytes: usize,
    /// Bytes of the blocks held by all.
    held: usize,
}

impl Reassembly {
    pub(super) fn new(
        slots: &'static mut [ReassemblySlot],
        timeout: Duration,
        max_bytes: usize,
    ) -> Self {
        Self {
            slots,
            used: 0,
            timeout,
            max_bytes,
            held: 0,
        }
    }

    /// Adds a fragment, without its IP header. Returns the packet if it was the last one missing.
    pub(super) fn add(
        &mut self,
        stats: &mut IpStats,
        now: Instant,
        netif: NetifId,
        head: Head,
        to: Destination,
        payload: Pbuf,
    ) -> Option<Whole> {
        let key = Key {
            netif,
            src: head.src,
            dst: head.dst,
            protocol: head.protocol,
            ident: head.ident,
        };
        let Some(index) = self.slot_for(stats, now, key, to) else {
            count(&mut stats.reassembly_limits);
            return None;
        };
        let blocks = payload.block_bytes();
        let added = self
            .admit(stats, index, blocks)
            .and_then(|()| match self.at_mut(index) {
                Some(datagram) => datagram.add(head, payload),
                None => Err(Refused::Limit),
            });
        match added {
            Ok(Added::Yes) => self.held += blocks,
            Ok(Added::Duplicate) => count(&mut stats.reassembly_duplicates),
            Err(why) => {
                // RFC 5722 §4: the whole packet, with what it has collected.
                self.remove(index);
                count(match why {
                    Refused::Overlap => &mut stats.reassembly_overlaps,
                    Refused::Limit => &mut stats.reassembly_limits,
                });
                return None;
            }
        }
        if !self.at_mut(index)?.is_complete() {
            return None;
        }
        let whole = self.remove(index)?.into_whole();
        count(match whole {
            Some(_) => &mut stats.reassembled,
            None => &mut stats.reassembly_limits,
        });
        whole
    }

    /// Takes one packet whose time is over.
    pub(super) fn expired(&mut self, now: Instant) -> Option<Expired> {
        if self.next_deadline()? > now {
            return None;
        }
        let index = self.oldest(|_| true)?;
        self.remove(index).map(Expired)
    }

    /// When [`Reassembly::expired`] has something.
    #[inline]
    pub(super) fn next_deadline(&self) -> Option<Instant> {
        // Asked every turn, and there is seldom one.
        if self.used == 0 {
            return None;
        }
        self.iter().map(|(_, datagram)| datagram.expires).min()
    }

    /// Gives up what arrived at an interface.
    pub(super) fn forget(&mut self, netif: NetifId) {
        while let Some(index) = self.oldest(|datagram| datagram.key.netif == netif) {
            self.remove(index);
        }
    }

    /// The slot of the packet `key`, made if there is none.
    fn slot_for(
        &mut self,
        stats: &mut IpStats,
        now: Instant,
        key: Key,
        to: Destination,
    ) -> Option<usize> {
        let known = self.iter().find(|(_, datagram)| datagram.key == key);
        if let Some((index, _)) = known {
            return Some(index);
        }
        let slots = self.slots.len();
        let own = self.iter().filter(|(_, d)| d.key.src == key.src).count();
        if own > 0 && own + 1 >= slots {
            // Nobody holds all slots: the last one is for others.
            let oldest = self.oldest(|datagram| datagram.key.src == key.src);
            self.evict(stats, oldest);
        } else if self.iter().count() == slots {
            let victim = self.victim(None);
            self.evict(stats, victim);
        }
        let free = self.slots.iter().position(|slot| slot.0.is_none())?;
        let datagram = Datagram {
            key,
            to,
            expires: now + self.timeout,
            first: None,
            congested: false,
            total: None,
            fragments: 0,
            blocks: 0,
            runs: [const { None }; MAX_RUNS],
        };
        self.slots.get_mut(free)?.0 = Some(datagram);
        self.used += 1;
        Some(free)
    }

    /// Makes room for `blocks` more bytes of the packet at `index`, at the expense of others.
    fn admit(&mut self, stats: &mut IpStats, index: usize, blocks: usize) -> Result<(), Refused> {
        let own = self.at_mut(index).map_or(0, |datagram| datagram.blocks);
        if own + blocks > self.max_bytes {
            return Err(Refused::Limit);
        }
        while self.held + blocks > self.max_bytes {
            let victim = self.victim(Some(index)).ok_or(Refused::Limit)?;
            self.evict(stats, Some(victim));
        }
        Ok(())
    }

    /// The packet to give up first: the oldest of the source that has most.
    fn victim(&self, except: Option<usize>) -> Option<usize> {
        let of = |src: Ipv4Addr| self.iter().filter(|(_, d)| d.key.src == src).count();
        let candidates = self.iter().filter(|(index, _)| Some(*index) != except);
        candidates
            .min_by_key(|(_, d)| (core::cmp::Reverse(of(d.key.src)), d.expires))
            .map(|(index, _)| index)
    }

    fn oldest(&self, which: impl Fn(&Datagram) -> bool) -> Option<usize> {
        let candidates = self.iter().filter(|(_, datagram)| which(datagram));
        candidates
            .min_by_key(|(_, datagram)| datagram.expires)
            .map(|(index, _)| index)
    }

    fn evict(&mut self, stats: &mut IpStats, index: Option<usize>) {
        if index.and_then(|index| self.remove(index)).is_some() {
            count(&mut stats.reassembly_evicted);
        }
    }

    fn remove(&mut self, index: usize) -> Option<Datagram> {
        let datagram = self.slots.get_mut(index)?.0.take()?;
        self.used = self.used.saturating_sub(1);
        self.held = self.held.saturating_sub(datagram.blocks);
        Some(datagram)
    }

    fn at_mut(&mut self, index: usize) -> Option<&mut Datagram> {
        self.slots.get_mut(index)?.0.as_mut()
    }

    fn iter(&self) -> impl Iterator<Item = (usize, &Datagram)> {
        let slots = self.slots.iter().enumerate();
        slots.filter_map(|(index, slot)| Some((index, slot.0.as_ref()?)))
    }
}

impl Datagram {
    fn add(&mut self, head: Head, payload: Pbuf) -> Result<Added, Refused> {
        let Place { offset, more } = head.place.ok_or(Refused::Limit)?;
        let blocks = payload.block_bytes();
        let mut new = Run {
            start: offset,
            bytes: Chain::from(payload),
        };
        self.check_end(new.end(), more)?;
        let overlapping = |run: &&Run| run.start < new.end() && new.start < run.end();
        if let Some(run) = self.runs.iter().flatten().find(overlapping) {
            // RFC 8200 §4.5 (errata of RFC 5722): the same bytes once more do no harm.
            return if is_repeated_in(run, &new) {
                Ok(Added::Duplicate)
            } else {
                Err(Refused::Overlap)
            };
        }
        if self.fragments >= MAX_FRAGMENTS {
            return Err(Refused::Limit);
        }
        if !more {
            self.total = Some(new.end());
        }
        // RFC 3168 §5.3: a mark on one fragment marks the whole.
        self.congested |= head.tos & 3 == 3;
        if offset == 0 {
            self.first = Some(head);
        }
        for place in &mut self.runs {
            if place.as_ref().is_some_and(|run| run.end() == new.start) {
                if let Some(mut before) = place.take() {
                    before.bytes.append(&mut new.bytes);
                    new = before;
                }
            } else if place.as_ref().is_some_and(|run| run.start == new.end())
                && let Some(mut after) = place.take()
            {
                new.bytes.append(&mut after.bytes);
            }
        }
        let free = self.runs.iter_mut().find(|run| run.is_none());
        *free.ok_or(Refused::Limit)? = Some(new);
        self.fragments += 1;
        self.blocks += blocks;
        Ok(Added::Yes)
    }

    /// Whether a fragment that ends at `end` agrees with what is known of the packet's length.
    fn check_end(&self, end: usize, more: bool) -> Result<(), Refused> {
        let seen = self.runs.iter().flatten().map(Run::end).max().unwrap_or(0);
        let fits = match (self.total, more) {
            (Some(total), true) => end < total,
            (Some(total), false) => end == total,
            (None, true) => true,
            (None, false) => end >= seen,
        };
        if fits { Ok(()) } else { Err(Refused::Overlap) }
    }

    fn is_complete(&self) -> bool {
        let mut runs = self.runs.iter().flatten();
        let whole = runs.next().is_some_and(|run| {
            run.start == 0 && self.total == Some(run.end()) && self.first.is_some()
        });
        whole && runs.next().is_none()
    }

    /// The header and bytes from the start on.
    fn take_start(&mut self) -> Option<(Head, Pbuf)> {
        let head = self.first?;
        let start = self.runs.iter_mut().flatten().find(|run| run.start == 0)?;
        Some((head, start.bytes.take_all()?))
    }

    fn into_whole(mut self) -> Option<Whole> {
        let total = self.total?;
        let (mut head, payload) = self.take_start()?;
        // RFC 791 §3.1: counted with the header of the first fragment, which may have options.
        if total + usize::from(head.header_len) > usize::from(u16::MAX) {
            return None;
        }
        head.payload_len = total;
        if self.congested {
            head.tos |= 3;
        }
        Some(Whole {
            head,
            to: self.to,
            payload,
        })
    }
}

impl Expired {
    /// What an ICMP error can be about; `None` if the first fragment never came.
    pub(super) fn into_received(mut self) -> Option<Received> {
        // RFC 792: without fragment zero no time exceeded message is sent.
        let (head, payload) = self.0.take_start()?;
        Some(Received {
            netif: self.0.key.netif,
            src: head.src,
            dst: head.dst,
            to: self.0.to,
            tos: head.tos,
            ttl: head.ttl,
            checksum: ChecksumState::ToVerify,
            header_len: head.header_len,
            payload,
        })
    }
}

/// Whether `new` lies within `run` and has the same bytes.
fn is_repeated_in(run: &Run, new: &Run) -> bool {
    if new.start < run.start || new.end() > run.end() {
        return false;
    }
    let (mut at, mut seen) = (new.start - run.start, 0);
    while seen < new.bytes.len() {
        let (mut a, mut b) = ([0; 64], [0; 64]);
        let n = new.bytes.copy_to(seen, &mut a);
        run.bytes.copy_to(at, &mut b);
        if a.get(..n) != b.get(..n) || n == 0 {
            return false;
        }
        (at, seen) = (at + n, seen + n);
    }
    true
}

impl Ip {
    /// A fragment has arrived, IP header first; delivers the packet if that completes it.
    pub(super) fn fragment_arrives(
        &mut self,
        now: Instant,
        arrival: &Arrival,
        head: Head,
        to: Destination,
        mut packet: Pbuf,
    ) -> Option<Input> {
        count(&mut self.stats.reassembly_fragments);
        if !packet.remove_header(head.header_len.into()) {
            count(&mut self.stats.in_header_errors); // it was contiguous: not reached
            return None;
        }
        let reassembly = &mut self.reassembly;
        let whole = reassembly.add(&mut self.stats, now, arrival.netif, head, to, packet)?;
        let mut packet = whole.payload;
        // The header of the first fragment, which nobody has written over.
        if !packet.uncover(whole.head.header_len.into()) {
            count(&mut self.stats.in_discards);
            return None;
        }
        let state = ChecksumState::ToVerify;
        self.deliver(now, arrival, whole.head, whole.to, packet, state)
    }
}

#[cfg(test)]
mod tests;
