//! UDP: membership in multicast groups, and the interface multicasts leave through.
use core::net::Ipv4Addr;

use gannet_core::Via;

use crate::control::{Control, Kind};
use crate::error::Error;
use crate::netconn::Netconn;
use crate::shared::Shared;

impl Netconn {
    /// UDP: joins a multicast group on an interface; what is sent to it there arrives here, if the
    /// port fits. An endpoint that has not joined hears nothing of a group, whatever others on the
    /// host have joined. Closing leaves all groups.
    ///
    /// # Errors
    /// [`Error::Invalid`]: not a group. [`Error::NoInterface`]. [`Error::InUse`]: joined already.
    /// [`Error::NoBuffers`]: the stack's table of groups is full. [`Error::NotSupported`]: not UDP.
    #[doc(alias = "netconn_join_leave_group")]
    #[doc(alias = "netconn_join_leave_group_netif")]
    pub fn join_multicast(&self, group: Ipv4Addr, interface: impl Into<Via>) -> Result<(), Error> {
        self.ask(Control::Join(group, interface.into()), only_udp)
    }

    /// UDP: leaves a multicast group; [`Via::Route`]: on whatever interface it was joined first.
    ///
    /// # Errors
    /// [`Error::AddressNotAvailable`]: it was not joined. [`Error::NoInterface`].
    /// [`Error::Invalid`]: not a group. [`Error::NotSupported`]: not UDP.
    #[doc(alias = "netconn_join_leave_group")]
    pub fn leave_multicast(&self, group: Ipv4Addr, interface: impl Into<Via>) -> Result<(), Error> {
        self.ask(Control::Leave(group, interface.into()), only_udp)
    }

    /// UDP: through which interface multicasts leave; [`Via::Route`], at first: the route decides.
    ///
    /// # Errors
    /// [`Error::NoInterface`]. [`Error::NotSupported`]: not UDP.
    #[doc(alias = "IP_MULTICAST_IF")]
    pub fn set_multicast_interface(&self, interface: impl Into<Via>) -> Result<(), Error> {
        self.ask(Control::MulticastInterface(interface.into()), only_udp)
    }
}

fn only_udp(shared: &Shared) -> Result<(), Error> {
    match shared.kind {
        Kind::Udp => Ok(()),
        _ => Err(Error::NotSupported),
    }
}
