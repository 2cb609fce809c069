//! Which endpoint is in which multicast group: an endpoint that has not joined hears nothing of a
//! group, whatever others on the host have joined (unlike Linux with its `IP_MULTICAST_ALL`). What
//! routers hear of it is the business of `ip::igmp`.
use core::net::Ipv4Addr;

use crate::error::Error;
use crate::handle::UdpPcb;
use crate::ip::{Ip, Member, NetifId, Via};

use super::Udp;
use super::engine::Engine;

/// Storage for the membership of one endpoint in one group.
#[derive(Debug, Default)]
pub struct MembershipSlot(Option<Membership>);

impl MembershipSlot {
    /// An unused slot.
    pub const fn new() -> Self {
        Self(None)
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Membership {
    endpoint: u16,
    netif: NetifId,
    group: Ipv4Addr,
}

/// The memberships of all endpoints.
#[derive(Debug)]
pub(super) struct Memberships(&'static mut [MembershipSlot]);

impl Memberships {
    pub(super) fn new(slots: &'static mut [MembershipSlot]) -> Self {
        Self(slots)
    }

    pub(super) fn has(&self, endpoint: u16, netif: NetifId, group: Ipv4Addr) -> bool {
        let wanted = Membership {
            endpoint,
            netif,
            group,
        };
        self.0.iter().any(|slot| slot.0 == Some(wanted))
    }

    fn take(&mut self, which: impl Fn(&Membership) -> bool) -> Option<Membership> {
        let found = |slot: &&mut MembershipSlot| slot.0.as_ref().is_some_and(&which);
        self.0.iter_mut().find(found)?.0.take()
    }
}

impl Udp<'_> {
    /// Joins a multicast group: what is sent to it arrives at this endpoint, if it is bound to the
    /// port. Routers and switches are told in the next turn. An endpoint may be in many groups, and
    /// in one on several interfaces; closing it leaves them all.
    ///
    /// # Errors
    /// [`Error::Argument`]: not a group. [`Error::NoInterface`]. [`Error::InUse`]: joined already.
    /// [`Error::NoMemory`]: the table is full.
    #[doc(alias = "igmp_joingroup")]
    #[doc(alias = "IP_ADD_MEMBERSHIP")]
    pub fn join_group(&mut self, pcb: UdpPcb, group: Ipv4Addr, via: Via) -> Result<(), Error> {
        let (udp, ip, _) = self.parts();
        udp.join_group(ip, pcb, group, via)
    }

    /// Leaves a multicast group; [`Via::Route`]: on whatever interface it was joined first.
    ///
    /// # Errors
    /// [`Error::NotMember`], [`Error::NoInterface`]; [`Error::Argument`]: not a group.
    #[doc(alias = "igmp_leavegroup")]
    #[doc(alias = "IP_DROP_MEMBERSHIP")]
    pub fn leave_group(&mut self, pcb: UdpPcb, group: Ipv4Addr, via: Via) -> Result<(), Error> {
        let (udp, ip, _) = self.parts();
        udp.leave_group(ip, pcb, group, via)
    }
}

impl Engine {
    fn join_group(
        &mut self,
        ip: &mut Ip,
        pcb: UdpPcb,
        group: Ipv4Addr,
        via: Via,
    ) -> Result<(), Error> {
        self.pcb(pcb)?;
        if !group.is_multicast() {
            return Err(Error::Argument);
        }
        let (endpoint, netif) = (pcb.0.slot, ip.interface(via, group)?);
        if self.memberships.has(endpoint, netif, group) {
            return Err(Error::InUse);
        }
        let mut slots = self.memberships.0.iter_mut();
        let free = slots.find(|slot| slot.0.is_none());
        let free = free.ok_or(Error::NoMemory)?;
        ip.join_group(netif, group, Member::Endpoint)?;
        free.0 = Some(Membership {
            endpoint,
            netif,
            group,
        });
        Ok(())
    }

    fn leave_group(
        &mut self,
        ip: &mut Ip,
        pcb: UdpPcb,
        group: Ipv4Addr,
        via: Via,
    ) -> Result<(), Error> {
        self.pcb(pcb)?;
        if !group.is_multicast() {
            return Err(Error::Argument);
        }
        let on = match via {
            Via::Route => None,
            via => Some(ip.interface(via, group)?),
        };
        let left = self.memberships.take(|membership| {
            let here = on.is_none_or(|netif| netif == membership.netif);
            membership.endpoint == pcb.0.slot && membership.group == group && here
        });
        let left = left.ok_or(Error::NotMember)?;
        ip.leave_group(left.netif, group, Member::Endpoint)
    }

    /// The endpoint leaves all its groups.
    pub(super) fn leave_all(&mut self, ip: &mut Ip, endpoint: u16) {
        let own = |membership: &Membership| membership.endpoint == endpoint;
        while let Some(left) = self.memberships.take(own) {
            // It was joined for this: not refused.
            let _ = ip.leave_group(left.netif, left.group, Member::Endpoint);
        }
    }

    /// The interface is gone, and with it its groups.
    pub(super) fn forget_memberships(&mut self, netif: NetifId) {
        while self
            .memberships
            .take(|membership| membership.netif == netif)
            .is_some()
        {}
    }
}
