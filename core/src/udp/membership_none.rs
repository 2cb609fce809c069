//! In place of `membership` without the feature `igmp`: there is no group to be in.
use core::net::Ipv4Addr;

use crate::ip::{Ip, NetifId};

use super::engine::Engine;

/// Storage for the membership of one endpoint: empty without the feature `igmp`.
#[derive(Debug, Default)]
pub struct MembershipSlot(());

impl MembershipSlot {
    /// An unused slot.
    pub const fn new() -> Self {
        Self(())
    }
}

/// The memberships of all endpoints: none.
#[derive(Debug)]
pub(super) struct Memberships(());

impl Memberships {
    pub(super) fn new(_: &'static mut [MembershipSlot]) -> Self {
        Self(())
    }

    pub(super) fn has(&self, _: u16, _: NetifId, _: Ipv4Addr) -> bool {
        false
    }
}

impl Engine {
    pub(super) fn leave_all(&mut self, _: &mut Ip, _: u16) {}
    pub(super) fn forget_memberships(&mut self, _: NetifId) {}
}
