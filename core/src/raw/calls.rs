//! The calls of the raw API that change an endpoint; their contracts are documented at
//! [`Raw`](super::Raw). Sending is in `output`.
use core::net::{IpAddr, Ipv4Addr};

use crate::error::Error;
use crate::handle::{Owner, RawPcb};
use crate::ip::Ip;
use crate::wire::ipv4::Protocol;

use super::Broadcast;
use super::engine::Pcb;

/// The stack is IPv4 only so far.
pub(super) fn v4(addr: IpAddr) -> Result<Ipv4Addr, Error> {
    match addr {
        IpAddr::V4(addr) => Ok(addr),
        IpAddr::V6(_) => Err(Error::Argument),
    }
}

impl Ip {
    pub(super) fn raw_create(&mut self, protocol: Protocol, owner: Owner) -> Result<RawPcb, Error> {
        let pcb = self.raw.create(protocol, owner)?;
        self.observers_changed();
        Ok(pcb)
    }

    pub(super) fn raw_close(&mut self, pcb: RawPcb) -> Result<(), Error> {
        self.raw.close(pcb)?;
        self.observers_changed();
        Ok(())
    }

    pub(super) fn raw_bind(&mut self, pcb: RawPcb, addr: IpAddr) -> Result<(), Error> {
        let at = v4(addr)?;
        let group = at.is_multicast() || self.is_broadcast(at);
        if !(at.is_unspecified() || group || self.is_own(at)) {
            return Err(Error::Argument);
        }
        self.raw.pcb_mut(pcb)?.local = at;
        Ok(())
    }

    pub(super) fn raw_connect(&mut self, pcb: RawPcb, addr: IpAddr) -> Result<(), Error> {
        let current = self.raw.pcb(pcb)?;
        let remote = current.destination(self, addr)?;
        self.route(remote, current.source(self))?;
        self.raw.pcb_mut(pcb)?.remote = Some(remote);
        self.raw.reports.forget(pcb.0.slot);
        self.raw.keep_only(pcb.0.slot, remote);
        Ok(())
    }

    pub(super) fn raw_local_addr(&self, pcb: RawPcb) -> Result<IpAddr, Error> {
        let pcb = self.raw.pcb(pcb)?;
        if let Some(remote) = pcb.remote.filter(|_| pcb.local.is_unspecified())
            && let Ok(route) = self.route(remote, None)
        {
            return Ok(route.src.into());
        }
        Ok(pcb.local.into())
    }
}

impl Pcb {
    /// Checks an address to send to.
    pub(super) fn destination(&self, ip: &Ip, to: IpAddr) -> Result<Ipv4Addr, Error> {
        let to = v4(to)?;
        if to.is_unspecified() {
            return Err(Error::Argument);
        }
        if ip.is_broadcast(to) && self.options.broadcast == Broadcast::Denied {
            return Err(Error::Denied);
        }
        Ok(to)
    }

    /// The source the endpoint is bound to; `None` leaves it to the route.
    pub(super) fn source(&self, ip: &Ip) -> Option<Ipv4Addr> {
        // RFC 1122 §3.2.1.3: a group address must not be a source.
        let group = self.local.is_multicast() || ip.is_broadcast(self.local);
        (!self.local.is_unspecified() && !group).then_some(self.local)
    }
}
