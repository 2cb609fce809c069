//! The calls of the raw API that change an endpoint; their contracts are documented at
//! [`Udp`](super::Udp). Sending is in `output`.
use core::net::{IpAddr, Ipv4Addr, SocketAddr, SocketAddrV4};
use core::ops::RangeInclusive;

use crate::error::Error;
use crate::handle::UdpPcb;
use crate::ip::Ip;

use super::engine::{Engine, Pcb};
use super::{Broadcast, Options, Reuse};

/// First and last ephemeral port (RFC 6335 §6).
const EPHEMERAL: RangeInclusive<u16> = 49_152..=65_535;

/// The stack is IPv4 only so far.
pub(super) fn v4(addr: IpAddr) -> Result<Ipv4Addr, Error> {
    match addr {
        IpAddr::V4(addr) => Ok(addr),
        IpAddr::V6(_) => Err(Error::Argument),
    }
}

impl Engine {
    pub(super) fn bind(&mut self, ip: &Ip, pcb: UdpPcb, addr: SocketAddr) -> Result<(), Error> {
        let at = v4(addr.ip())?;
        let current = self.pcb(pcb)?;
        let group = at.is_multicast() || ip.is_broadcast(at);
        if current.local.port() != 0 || !(at.is_unspecified() || ip.is_own(at) || group) {
            return Err(Error::Argument);
        }
        let reuse = current.options.reuse;
        let port = match addr.port() {
            0 => self.pick_port().ok_or(Error::InUse)?,
            port if self.is_taken(at, port, reuse) => return Err(Error::InUse),
            port => port,
        };
        self.endpoints_changed();
        self.pcb_mut(pcb)?.local = SocketAddrV4::new(at, port);
        Ok(())
    }

    /// Gives the endpoint a local port if it has none; returns its local address.
    pub(super) fn bound(&mut self, pcb: UdpPcb) -> Result<SocketAddrV4, Error> {
        if self.pcb(pcb)?.local.port() == 0 {
            let port = self.pick_port().ok_or(Error::InUse)?;
            self.endpoints_changed();
            self.pcb_mut(pcb)?.local.set_port(port);
        }
        Ok(self.pcb(pcb)?.local)
    }

    /// Whether `port` at `addr` belongs to somebody who does not share it.
    fn is_taken(&self, addr: Ipv4Addr, port: u16, reuse: Reuse) -> bool {
        self.pcbs().any(|(_, other)| {
            let at = *other.local.ip();
            let overlap = addr.is_unspecified() || at.is_unspecified() || at == addr;
            let shared = reuse == Reuse::Shared && other.options.reuse == Reuse::Shared;
            other.local.port() == port && overlap && !shared
        })
    }

    /// A port that no endpoint has.
    fn pick_port(&mut self) -> Option<u16> {
        // RFC 6056 §3.3.1, algorithm 1: the next free one from a random port on. Each choice is a
        // fresh number of a keyed stream: unlike algorithm 3, a port an attacker has seen says
        // nothing about the next one (RFC 5452 §9.2 wants that of DNS queries).
        let range = EPHEMERAL.end() - EPHEMERAL.start() + 1;
        let start = self.ports.next() as u16 % range;
        (0..range)
            .map(|n| EPHEMERAL.start() + (start + n) % range)
            .find(|port| !self.pcbs().any(|(_, pcb)| pcb.local.port() == *port))
    }

    pub(super) fn connect(&mut self, ip: &Ip, pcb: UdpPcb, addr: SocketAddr) -> Result<(), Error> {
        let current = self.pcb(pcb)?;
        let remote = current.destination(ip, addr)?;
        current.route(ip, *remote.ip(), current.source(ip))?;
        self.bound(pcb)?;
        self.endpoints_changed();
        self.pcb_mut(pcb)?.remote = Some(remote);
        self.reports.forget(pcb.0.slot);
        self.keep_only(pcb.0.slot, remote);
        Ok(())
    }

    pub(super) fn disconnect(&mut self, pcb: UdpPcb) -> Result<(), Error> {
        self.endpoints_changed();
        self.pcb_mut(pcb)?.remote = None;
        self.reports.forget(pcb.0.slot);
        Ok(())
    }

    pub(super) fn options(&self, pcb: UdpPcb) -> Result<Options, Error> {
        Ok(self.pcb(pcb)?.options)
    }

    pub(super) fn options_mut(&mut self, pcb: UdpPcb) -> Result<&mut Options, Error> {
        self.template = None;
        Ok(&mut self.pcb_mut(pcb)?.options)
    }

    pub(super) fn local_addr(&self, ip: &Ip, pcb: UdpPcb) -> Result<SocketAddr, Error> {
        let pcb = self.pcb(pcb)?;
        let mut local = pcb.local;
        if let Some(remote) = pcb.remote.filter(|_| local.ip().is_unspecified())
            && let Ok(route) = ip.route(*remote.ip(), None)
        {
            local.set_ip(route.src);
        }
        Ok(local.into())
    }

    pub(super) fn peer_addr(&self, pcb: UdpPcb) -> Result<SocketAddr, Error> {
        let remote = self.pcb(pcb)?.remote.ok_or(Error::NotConnected)?;
        Ok(remote.into())
    }
}

impl Pcb {
    /// Checks an address to send to.
    pub(super) fn destination(&self, ip: &Ip, to: SocketAddr) -> Result<SocketAddrV4, Error> {
        let to = SocketAddrV4::new(v4(to.ip())?, to.port());
        if to.port() == 0 || to.ip().is_unspecified() {
            return Err(Error::Argument);
        }
        if ip.is_broadcast(*to.ip()) && self.options.broadcast == Broadcast::Denied {
            return Err(Error::Denied);
        }
        Ok(to)
    }

    /// The source the endpoint is bound to; `None` leaves it to the route.
    pub(super) fn source(&self, ip: &Ip) -> Option<Ipv4Addr> {
        let local = *self.local.ip();
        // RFC 1122 §3.2.1.3: a group address must not be a source; who is bound to one only
        // receives there.
        let group = local.is_multicast() || ip.is_broadcast(local);
        (!local.is_unspecified() && !group).then_some(local)
    }
}
