//! The public calls on interfaces, addresses, routes and counters (lwIP's `netif_*` functions).
use core::net::Ipv4Addr;

use crate::error::Error;
use crate::logged::logged;
use crate::netif::driver::Driver;
use crate::netif::{Admin, Netif, NetifId, NetifStats, NetifStatus};
use crate::stack::Stack;

use super::{ArpStats, IcmpStats, Ip, IpStats, Subnet};

impl Stack {
    /// Adds an interface, up, with an address or (for DHCP to find one) without.
    ///
    /// # Errors
    /// [`Error::NoMemory`]: all slots are taken. Else as [`Stack::set_addr`]; the device is then
    /// not attached.
    #[doc(alias = "netif_add")]
    pub fn add_netif(
        &mut self,
        driver: &'static mut dyn Driver,
        subnet: Option<Subnet>,
    ) -> Result<NetifId, Error> {
        self.ip.check_addr(subnet, None)?;
        let id = self.ip.netifs.insert(Netif::new(driver, subnet))?;
        self.ip.ways_changed();
        self.ip.update_filter(id);
        self.ip.announce(id);
        Ok(id)
    }

    /// Removes an interface and gives its device back. Connections from its address lose their
    /// packets until they time out.
    ///
    /// # Errors
    /// [`Error::Argument`]: there is no such interface, or it is loopback.
    #[doc(alias = "netif_remove")]
    pub fn remove_netif(&mut self, netif: NetifId) -> Result<&'static mut dyn Driver, Error> {
        let removed = self.ip.netifs.remove(netif).ok_or(Error::Argument)?;
        self.ip.ways_changed();
        self.ip.forget(netif);
        self.ip.igmp_forget(netif);
        self.udp.forget_netif(netif);
        Ok(removed.into_driver())
    }

    /// Gives an interface another address, or none, and tells the neighbours (gratuitous ARP).
    ///
    /// # Errors
    /// [`Error::Argument`]: no such interface, or no address a host can have in that subnet;
    /// [`Error::InUse`]: another interface has the address.
    #[doc(alias = "netif_set_addr")]
    pub fn set_addr(&mut self, netif: NetifId, subnet: Option<Subnet>) -> Result<(), Error> {
        self.ip.check_addr(subnet, Some(netif))?;
        let of = self.ip.netifs.at_mut(netif).ok_or(Error::Argument)?;
        if of.subnet == subnet {
            return Ok(());
        }
        of.subnet = subnet;
        self.ip.ways_changed();
        // Neighbours of the old network are none of the new one.
        self.ip.forget(netif);
        self.ip.announce(netif);
        Ok(())
    }

    /// Switches an interface on or off.
    ///
    /// # Errors
    /// [`Error::Argument`]: there is no such interface, or it is loopback.
    #[doc(alias = "netif_set_up")]
    #[doc(alias = "netif_set_down")]
    pub fn set_admin(&mut self, netif: NetifId, admin: Admin) -> Result<(), Error> {
        let of = self.ip.netifs.at_mut(netif).ok_or(Error::Argument)?;
        let changed = core::mem::replace(&mut of.admin, admin) != admin;
        if changed {
            self.ip.usability_changed(netif);
        }
        Ok(())
    }

    /// An interface's address, device and state.
    ///
    /// # Errors
    /// [`Error::Argument`]: there is no such interface, or it is loopback.
    pub fn netif_status(&self, netif: NetifId) -> Result<NetifStatus, Error> {
        let of = self.ip.netifs.at(netif).ok_or(Error::Argument)?;
        Ok(of.status())
    }

    /// What an interface has counted.
    ///
    /// # Errors
    /// [`Error::Argument`]: there is no such interface, or it is loopback.
    pub fn netif_stats(&self, netif: NetifId) -> Result<&NetifStats, Error> {
        let of = self.ip.netifs.at(netif).ok_or(Error::Argument)?;
        Ok(&of.stats)
    }

    /// All interfaces but loopback.
    pub fn netifs(&self) -> impl Iterator<Item = NetifId> {
        self.ip.netifs.iter().map(|(id, _)| id)
    }

    /// Adds a route: packets to `network` go to `gateway`, a neighbour. The longest prefix wins;
    /// of several gateways for a network the first whose interface is up.
    ///
    /// # Errors
    /// [`Error::NoMemory`]: the table is full; [`Error::NoRoute`]: the gateway is in no subnet of
    /// an interface, or is this host.
    pub fn add_route(&mut self, network: Subnet, gateway: Ipv4Addr) -> Result<(), Error> {
        self.ip.check_gateway(gateway)?;
        self.ip.ways_changed();
        self.ip.routes.add(network, gateway)
    }

    /// Removes a route.
    ///
    /// # Errors
    /// [`Error::NoRoute`]: it was not there.
    pub fn remove_route(&mut self, network: Subnet, gateway: Ipv4Addr) -> Result<(), Error> {
        self.ip.ways_changed();
        match self.ip.routes.remove(network, gateway) {
            true => Ok(()),
            false => Err(Error::NoRoute),
        }
    }

    /// Replaces all default gateways by this one, or none.
    ///
    /// # Errors
    /// As [`Stack::add_route`], changing nothing.
    #[doc(alias = "netif_set_gw")]
    #[doc(alias = "netif_set_default")]
    pub fn set_default_gateway(&mut self, gateway: Option<Ipv4Addr>) -> Result<(), Error> {
        if let Some(gateway) = gateway {
            self.ip.check_gateway(gateway)?;
        }
        self.ip.ways_changed();
        // If there was none and the table is full, nothing changes.
        self.clear_default_gateways();
        gateway.map_or(Ok(()), |gateway| self.ip.routes.add(Subnet::ANY, gateway))
    }

    /// Where packets to unknown networks go.
    pub fn default_gateway(&self) -> Option<Ipv4Addr> {
        self.ip.routes.gateway(Subnet::ANY)
    }

    /// What IP has counted.
    pub fn ip_stats(&self) -> &IpStats {
        &self.ip.stats
    }

    /// What ICMP has counted.
    pub fn icmp_stats(&self) -> &IcmpStats {
        &self.ip.icmp_stats
    }

    /// What ARP has counted.
    pub fn arp_stats(&self) -> &ArpStats {
        &self.ip.arp_stats
    }

    fn clear_default_gateways(&mut self) {
        while let Some(gateway) = self.default_gateway() {
            if !self.ip.routes.remove(Subnet::ANY, gateway) {
                return; // it was just found: not reached
            }
        }
    }
}

impl Ip {
    /// Whether the interface `of` may have this address.
    fn check_addr(&self, subnet: Option<Subnet>, of: Option<NetifId>) -> Result<(), Error> {
        let Some(subnet) = subnet else { return Ok(()) };
        let addr = subnet.addr();
        if !is_unicast(addr) || addr.is_loopback() || !subnet.is_host(addr) {
            return Err(Error::Argument);
        }
        match self.owner_of(addr) {
            Some(owner) if Some(owner) != of => Err(Error::InUse),
            _ => Ok(()),
        }
    }

    /// Whether packets can be handed to `gateway`.
    fn check_gateway(&self, gateway: Ipv4Addr) -> Result<(), Error> {
        if self.is_own(gateway) || self.link_of(gateway).is_none() {
            return Err(Error::NoRoute);
        }
        Ok(())
    }

    /// Asks a device whether it is connected: once a turn.
    #[inline]
    pub(crate) fn poll_link(&mut self, id: NetifId) {
        if self.netifs.at_mut(id).is_some_and(Netif::poll_link) {
            self.usability_changed(id);
        }
    }

    #[cold]
    fn usability_changed(&mut self, id: NetifId) {
        self.ways_changed();
        let Some(netif) = self.netifs.at(id) else {
            return;
        };
        if netif.is_usable() {
            logged!(info, "interface {}: up", id.index());
            // RFC 5227 §2.3, RFC 4436: perhaps at another port of a switch now.
            self.announce(id);
            self.igmp_start(id);
        } else {
            logged!(info, "interface {}: down", id.index());
            // The cable may come back in another network.
            self.forget(id);
            self.igmp_stop(id);
        }
    }

    /// Forgets what was learned or is waiting on an interface.
    fn forget(&mut self, id: NetifId) {
        let dropped = self.neighbors.forget(id);
        self.arp_stats.drop_waiting(dropped);
        self.reassembly.forget(id);
    }
}

/// Whether a host can have the address, as far as that can be seen without knowing its network.
pub(super) fn is_unicast(addr: Ipv4Addr) -> bool {
    // RFC 1122 §3.2.1.3, RFC 6890: 0/8 is "this network", 224/4 groups, 240/4 reserved.
    !matches!(addr.octets(), [0 | 224..=255, ..])
}
