//! Membership in multicast groups, told to routers by IGMP version 3 (RFC 3376), and 2 and 1 where a
//! router knows no more (RFC 2236, RFC 1112): what joining and leaving do, and what becomes of it
//! when links come and go. The table is in `groups`, which version to speak in `querier`; what is
//! heard in `input`, what is said and when in `output`.
mod groups;
mod input;
mod output;
mod querier;

use core::net::Ipv4Addr;

use crate::error::Error;
use crate::netif::NetifId;
use crate::netif::ethernet::multicast_address;
use crate::stack::Stack;

use super::{Ip, Via};

pub use groups::GroupSlot;
pub(crate) use groups::{Groups, Member};
pub(crate) use querier::Querier;

use groups::Change;

/// What IGMP has counted since the stack was made. Counters wrap.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct IgmpStats {
    /// Messages received, wrong ones included.
    pub in_messages: u32,
    /// Messages cut short, of a length no version has, or about what is no group.
    pub in_errors: u32,
    /// Messages with a wrong checksum.
    pub in_checksum_errors: u32,
    /// Messages that were on their way for too long, or sent to whom they should not be.
    pub in_bad_path: u32,
    /// Queries heeded.
    pub in_queries: u32,
    /// Reports of others, of version 1 and 2.
    pub in_reports: u32,
    /// Messages that are none of a host's business.
    pub in_ignored: u32,
    /// Reports sent.
    pub out_reports: u32,
    /// Leave messages of version 2 sent.
    pub out_leaves: u32,
    /// Messages not sent for want of buffers or room in the device.
    pub out_errors: u32,
}

impl Stack {
    /// Joins a group for the whole host: every UDP endpoint bound to the port receives what is sent
    /// to it. Calls are counted; [`Udp::join_group`](crate::Udp::join_group) joins for one endpoint.
    ///
    /// Routers and switches are told in the next turn.
    ///
    /// # Errors
    /// [`Error::Argument`]: not a group. [`Error::NoInterface`]. [`Error::NoMemory`]: the table is
    /// full.
    #[doc(alias = "igmp_joingroup")]
    #[doc(alias = "igmp_joingroup_netif")]
    pub fn join_group(&mut self, group: Ipv4Addr, via: Via) -> Result<(), Error> {
        let netif = self.ip.interface(via, group)?;
        self.ip.join_group(netif, group, Member::Host)
    }

    /// Undoes one [`Stack::join_group`].
    ///
    /// # Errors
    /// [`Error::NotMember`], [`Error::NoInterface`].
    #[doc(alias = "igmp_leavegroup")]
    #[doc(alias = "igmp_leavegroup_netif")]
    pub fn leave_group(&mut self, group: Ipv4Addr, via: Via) -> Result<(), Error> {
        let netif = match via {
            Via::Route => self.ip.groups.host_member(group).ok_or(Error::NotMember)?,
            via => self.ip.interface(via, group)?,
        };
        self.ip.leave_group(netif, group, Member::Host)
    }

    /// The groups that were joined on an interface, by whomever.
    pub fn groups(&self, netif: NetifId) -> impl Iterator<Item = Ipv4Addr> {
        self.ip.groups.members(netif)
    }

    /// What IGMP has counted.
    pub fn igmp_stats(&self) -> &IgmpStats {
        &self.ip.groups.stats
    }
}

impl Ip {
    pub(crate) fn join_group(
        &mut self,
        netif: NetifId,
        group: Ipv4Addr,
        by: Member,
    ) -> Result<(), Error> {
        if !group.is_multicast() {
            return Err(Error::Argument);
        }
        if self.groups.join(netif, group, by)? == Change::Membership {
            self.membership_changed(netif, group);
        }
        Ok(())
    }

    pub(crate) fn leave_group(
        &mut self,
        netif: NetifId,
        group: Ipv4Addr,
        by: Member,
    ) -> Result<(), Error> {
        if self.groups.leave(netif, group, by)? == Change::Membership {
            self.membership_changed(netif, group);
        }
        Ok(())
    }

    fn membership_changed(&mut self, id: NetifId, group: Ipv4Addr) {
        match self.netifs.at(id).filter(|netif| netif.is_usable()) {
            // RFC 3376 §5.1, RFC 2236 §3: at once, and again.
            Some(netif) => self.groups.tell(id, group, netif.querier.robustness()),
            // Loopback has no routers.
            None => self.groups.keep_silent(id, group),
        }
        self.igmp_settle();
        self.update_filter(id);
    }

    /// Tells the device which groups to let through.
    pub(crate) fn update_filter(&mut self, id: NetifId) {
        let members = self.groups.members(id);
        if let Some(netif) = self.netifs.at_mut(id)
            && netif.hw_addr().is_some()
        {
            let all = core::iter::once(super::ALL_HOSTS).chain(members);
            netif.listen(&mut all.map(multicast_address));
        }
    }

    /// The interface can be used: perhaps on another link, where nobody knows of the memberships.
    pub(super) fn igmp_start(&mut self, id: NetifId) {
        if let Some(netif) = self.netifs.at_mut(id) {
            netif.querier = Querier::default();
            self.groups.tell_all(id, netif.querier.robustness());
        }
        self.igmp_settle();
    }

    /// The interface can't be used: nothing is to be said.
    pub(super) fn igmp_stop(&mut self, id: NetifId) {
        if let Some(netif) = self.netifs.at_mut(id) {
            netif.querier = Querier::default();
        }
        self.groups.silence(id);
        self.igmp_settle();
    }

    /// The interface is gone.
    pub(super) fn igmp_forget(&mut self, id: NetifId) {
        self.groups.forget(id);
        self.igmp_settle();
    }
}
