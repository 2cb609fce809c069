//! In place of `igmp` when it is left out: this host is in the group of all hosts, and in no other.
use core::net::Ipv4Addr;

use crate::netif::NetifId;
use crate::netif::driver::HwAddr;
use crate::netif::ethernet::multicast_address;
use crate::random::Keyed;
use crate::time::Instant;

use super::{ALL_HOSTS, Ip};

/// Storage for one group: empty without the feature `igmp`.
#[derive(Debug, Default)]
pub struct GroupSlot(());

impl GroupSlot {
    /// An unused slot.
    pub const fn new() -> Self {
        Self(())
    }
}

/// The groups joined: none.
#[derive(Debug)]
pub(crate) struct Groups(());

impl Groups {
    pub(crate) fn new(_: &'static mut [GroupSlot], _: Keyed) -> Self {
        Self(())
    }

    pub(crate) fn is_member(&self, _: NetifId, addr: Ipv4Addr) -> bool {
        addr == ALL_HOSTS
    }

    pub(crate) fn is_for_all(&self, _: NetifId, _: Ipv4Addr) -> bool {
        true
    }

    pub(crate) fn hears(&self, _: NetifId, to: HwAddr) -> bool {
        to == multicast_address(ALL_HOSTS)
    }

    pub(crate) fn next_deadline(&self) -> Instant {
        Instant::MAX
    }
}

impl Ip {
    pub(super) fn igmp_expire(&mut self, _: Instant) {}
    pub(super) fn igmp_start(&mut self, _: NetifId) {}
    pub(super) fn igmp_stop(&mut self, _: NetifId) {}
    pub(super) fn igmp_forget(&mut self, _: NetifId) {}
    pub(crate) fn update_filter(&mut self, _: NetifId) {}
}
