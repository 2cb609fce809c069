//! The table of groups: who is in which on what interface, and when something has to be said of it.
//! A group that was left stays until it has been said often enough, or the place is needed.
use core::net::Ipv4Addr;
use core::time::Duration;

use crate::error::Error;
use crate::netif::NetifId;
use crate::netif::driver::HwAddr;
use crate::netif::ethernet::multicast_address;
use crate::random::Keyed;
use crate::time::{Instant, micros};

use super::super::ALL_HOSTS;
use super::IgmpStats;

/// Storage for one group on one interface.
#[derive(Debug, Default)]
pub struct GroupSlot(Option<Group>);

impl GroupSlot {
    /// An unused slot.
    pub const fn new() -> Self {
        Self(None)
    }
}

/// On whose behalf a group is joined.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Member {
    /// The host's: all endpoints receive.
    Host,
    /// An endpoint's.
    Endpoint,
}

/// Whether a call has changed that this host is in a group.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Change {
    Membership,
    /// It was in before, and still is.
    Nothing,
}

/// Who has last told the others that there is a member (RFC 2236 §6: the flag).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Reporter {
    Us,
    Other,
}

/// A group that is joined, or was.
#[derive(Clone, Copy, Debug)]
pub(super) struct Group {
    pub(super) netif: NetifId,
    pub(super) addr: Ipv4Addr,
    host: u16,
    endpoints: u16,
    pub(super) reporter: Reporter,
    /// How often the last change is still to be told.
    pub(super) tell_left: u8,
    /// When it is told next; zero: at once, for the first time.
    pub(super) tell_at: Instant,
    /// When a query of this group is answered.
    pub(super) respond_at: Instant,
}

/// All groups of all interfaces.
#[derive(Debug)]
pub(crate) struct Groups {
    slots: &'static mut [GroupSlot],
    /// Delays of answers.
    random: Keyed,
    /// Nothing is due before this.
    pub(super) deadline: Instant,
    pub(super) stats: IgmpStats,
}

impl Group {
    pub(super) fn is_member(&self) -> bool {
        self.host > 0 || self.endpoints > 0
    }

    fn count_mut(&mut self, by: Member) -> &mut u16 {
        match by {
            Member::Host => &mut self.host,
            Member::Endpoint => &mut self.endpoints,
        }
    }

    fn is(&self, netif: NetifId, addr: Ipv4Addr) -> bool {
        self.netif == netif && self.addr == addr
    }

    /// RFC 3376 §6, RFC 2236 §6: everybody is in 224.0.0.1, and nobody says so.
    fn is_reported(&self) -> bool {
        self.addr != ALL_HOSTS
    }

    /// The last change is to be said, so often, from now on.
    fn tell(&mut self, times: u8) {
        self.be_silent();
        if self.is_reported() {
            self.tell_left = times;
            self.tell_at = Instant::ZERO;
        }
        if self.is_member() {
            self.reporter = Reporter::Us;
        }
    }

    /// Nothing is to be said any more.
    fn be_silent(&mut self) {
        self.tell_left = 0;
        self.tell_at = Instant::MAX;
        self.respond_at = Instant::MAX;
    }

    /// When something is next to be said.
    pub(super) fn due_at(&self) -> Instant {
        self.tell_at.min(self.respond_at)
    }
}

impl Groups {
    pub(crate) fn new(slots: &'static mut [GroupSlot], random: Keyed) -> Self {
        Self {
            slots,
            random,
            deadline: Instant::MAX,
            stats: IgmpStats::default(),
        }
    }

    /// Whether this host receives what is sent to `addr`.
    pub(crate) fn is_member(&self, netif: NetifId, addr: Ipv4Addr) -> bool {
        addr == ALL_HOSTS || self.members(netif).any(|member| member == addr)
    }

    /// Whether all endpoints receive what is sent to `addr`, members or not.
    pub(crate) fn is_for_all(&self, netif: NetifId, addr: Ipv4Addr) -> bool {
        let joined = |group: &Group| group.host > 0 && group.is(netif, addr);
        addr == ALL_HOSTS || self.iter().any(joined)
    }

    /// Whether a frame to the hardware address of groups may be for one that was joined.
    pub(crate) fn hears(&self, netif: NetifId, to: HwAddr) -> bool {
        let mut joined = self.members(netif);
        to == multicast_address(ALL_HOSTS) || joined.any(|addr| multicast_address(addr) == to)
    }

    /// An interface on which the host has joined `addr`.
    pub(super) fn host_member(&self, addr: Ipv4Addr) -> Option<NetifId> {
        self.iter()
            .find(|group| group.host > 0 && group.addr == addr)
            .map(|group| group.netif)
    }

    /// The groups joined on an interface.
    pub(super) fn members(&self, netif: NetifId) -> impl Iterator<Item = Ipv4Addr> {
        self.iter()
            .filter(move |group| group.netif == netif && group.is_member())
            .map(|group| group.addr)
    }

    /// Those of them that routers are told of.
    pub(super) fn reported(&self, netif: NetifId) -> impl Iterator<Item = Ipv4Addr> {
        self.members(netif).filter(|addr| *addr != ALL_HOSTS)
    }

    /// [`Instant::MAX`]: nothing waits.
    pub(crate) fn next_deadline(&self) -> Instant {
        self.deadline
    }

    pub(super) fn join(
        &mut self,
        netif: NetifId,
        addr: Ipv4Addr,
        by: Member,
    ) -> Result<Change, Error> {
        let place = match self.position(netif, addr) {
            Some(place) => place,
            None => self.place_for_another().ok_or(Error::NoMemory)?,
        };
        let slot = self.slots.get_mut(place).ok_or(Error::NoMemory)?;
        let known = slot.0.take_if(|group| group.is(netif, addr));
        let mut group = known.unwrap_or(Group {
            netif,
            addr,
            host: 0,
            endpoints: 0,
            reporter: Reporter::Us,
            tell_left: 0,
            tell_at: Instant::MAX,
            respond_at: Instant::MAX,
        });
        let was_member = group.is_member();
        let count = group.count_mut(by);
        let more = count.checked_add(1);
        *count = more.unwrap_or(*count);
        slot.0 = Some(group);
        more.ok_or(Error::NoMemory)?;
        Ok(change(was_member, true))
    }

    pub(super) fn leave(
        &mut self,
        netif: NetifId,
        addr: Ipv4Addr,
        by: Member,
    ) -> Result<Change, Error> {
        let group = self.find_mut(netif, addr).ok_or(Error::NotMember)?;
        let count = group.count_mut(by);
        *count = count.checked_sub(1).ok_or(Error::NotMember)?;
        Ok(change(true, group.is_member()))
    }

    /// A change is to be told, so often.
    pub(super) fn tell(&mut self, netif: NetifId, addr: Ipv4Addr, times: u8) {
        if let Some(group) = self.find_mut(netif, addr) {
            group.tell(times);
        }
        self.sweep();
    }

    /// A change is not to be told.
    pub(super) fn keep_silent(&mut self, netif: NetifId, addr: Ipv4Addr) {
        if let Some(group) = self.find_mut(netif, addr) {
            group.be_silent();
        }
        self.sweep();
    }

    /// All memberships on an interface are to be told.
    pub(super) fn tell_all(&mut self, netif: NetifId, times: u8) {
        self.iter_mut()
            .filter(|group| group.netif == netif && group.is_member())
            .for_each(|group| group.tell(times));
        self.sweep();
    }

    /// Nothing is to be told on an interface.
    pub(super) fn silence(&mut self, netif: NetifId) {
        self.iter_mut()
            .filter(|group| group.netif == netif)
            .for_each(Group::be_silent);
        self.sweep();
    }

    /// RFC 3376 §7.2.1: another version of the querier cancels what was going to be answered and
    /// repeated. What was not said once will be, in the other version.
    pub(super) fn cancel(&mut self, netif: NetifId) {
        self.iter_mut()
            .filter(|group| group.netif == netif && group.tell_at != Instant::ZERO)
            .for_each(Group::be_silent);
        self.sweep();
    }

    /// The interface is gone.
    pub(super) fn forget(&mut self, netif: NetifId) {
        for slot in &mut *self.slots {
            slot.0.take_if(|group| group.netif == netif);
        }
    }

    /// A random delay of up to `limit`, never none.
    pub(super) fn delay(&mut self, limit: Duration) -> Duration {
        Duration::from_micros(1 + self.random.next() % micros(limit).max(1))
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &Group> {
        self.slots.iter().filter_map(|slot| slot.0.as_ref())
    }

    pub(super) fn iter_mut(&mut self) -> impl Iterator<Item = &mut Group> {
        self.slots.iter_mut().filter_map(|slot| slot.0.as_mut())
    }

    /// The group at a place in the table; `None`: free, or behind its end.
    pub(super) fn at(&self, place: usize) -> Option<Group> {
        self.slots.get(place)?.0
    }

    pub(super) fn put(&mut self, place: usize, group: Group) {
        if let Some(slot) = self.slots.get_mut(place) {
            slot.0 = Some(group);
        }
    }

    pub(super) fn capacity(&self) -> usize {
        self.slots.len()
    }

    /// Frees the places of groups that were left and of which nothing is to be said.
    pub(super) fn sweep(&mut self) {
        for slot in &mut *self.slots {
            slot.0
                .take_if(|group| !group.is_member() && group.tell_left == 0);
        }
    }

    fn position(&self, netif: NetifId, addr: Ipv4Addr) -> Option<usize> {
        let fits = |slot: &GroupSlot| slot.0.as_ref().is_some_and(|group| group.is(netif, addr));
        self.slots.iter().position(fits)
    }

    fn find_mut(&mut self, netif: NetifId, addr: Ipv4Addr) -> Option<&mut Group> {
        self.iter_mut().find(|group| group.is(netif, addr))
    }

    /// A free place, else that of the group left for the longest: routers will find out.
    fn place_for_another(&self) -> Option<usize> {
        let free = self.slots.iter().position(|slot| slot.0.is_none());
        free.or_else(|| {
            let places = self.slots.iter().enumerate();
            places
                .filter_map(|(place, slot)| Some((place, slot.0.as_ref()?)))
                .filter(|(_, group)| !group.is_member())
                .min_by_key(|(_, group)| group.tell_left)
                .map(|(place, _)| place)
        })
    }
}

fn change(was_member: bool, is_member: bool) -> Change {
    if was_member == is_member {
        Change::Nothing
    } else {
        Change::Membership
    }
}
