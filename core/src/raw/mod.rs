//! Raw IP: endpoints that see, and send, the packets of one IP protocol. What the calls do is in
//! `calls` and `output`, what happens to a received packet in `input`.
//!
//! As with `SOCK_RAW` of BSD, an endpoint gets a *view* of each packet of its protocol, IP header
//! included, and the stack handles it as well: an echo request is seen and answered. Only "protocol
//! unreachable" is not said of a packet that an endpoint took (in lwIP, an endpoint that takes a
//! packet keeps it from the stack).
use core::net::IpAddr;

mod calls;
mod engine;
mod input;
mod output;
mod stats;

use crate::error::Error;
use crate::handle::{Owner, RawPcb};
use crate::icmp_report::HearsErrors;
use crate::ip::{Ip, NetifId};
use crate::pbuf::Pbuf;
use crate::stack::Stack;
use crate::time::Instant;
pub use crate::udp::{Broadcast, SendError};
pub use crate::wire::ipv4::Protocol;

pub(crate) use engine::Engine;
pub use engine::{PacketSlot, RawSlot, RawStorage};
pub(crate) use input::Arrived;
pub use stats::RawStats;

/// A received packet.
#[derive(Debug)]
#[non_exhaustive]
pub struct Packet {
    /// The IP header and all behind it, in the buffers it was received in. The header was checked;
    /// of a packet that came in fragments it is that of the whole.
    pub data: Pbuf,
    /// Who sent it.
    pub from: IpAddr,
    /// Where it was sent to: an own address, or a broadcast or multicast address.
    pub to: IpAddr,
    /// The interface it arrived on.
    pub netif: NetifId,
    /// Type of service: DSCP in the upper six bits, ECN in the lower two.
    pub tos: u8,
    /// Hops it might still have taken.
    pub ttl: u8,
}

/// Who writes the IP header of packets to send (`IP_HDRINCL`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Header {
    /// The stack: what is sent is what is behind the header.
    #[default]
    Added,
    /// The application: packets to send begin with it. It must be one of IPv4 with a length that is
    /// the packet's or 0, and a source that is an own address or unspecified. Length, source,
    /// identification 0 and checksum are filled in. Such packets are not fragmented.
    Included,
}

/// The options of an endpoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Options {
    /// Hops a unicast or broadcast packet may take; `None`: the stack's default (`IP_TTL`).
    pub ttl: Option<u8>,
    /// Hops a multicast packet may take (`IP_MULTICAST_TTL`).
    pub multicast_ttl: u8,
    /// Type of service (`IP_TOS`).
    pub tos: u8,
    /// Whether packets may go to broadcast addresses (`SO_BROADCAST`).
    pub broadcast: Broadcast,
    /// Who writes the IP header (`IP_HDRINCL`).
    pub header: Header,
    /// Which ICMP errors are told (`IP_RECVERR`).
    pub hears_errors: HearsErrors,
}

impl Options {
    const DEFAULT: Self = Self {
        ttl: None,
        // RFC 1112 §6.1: multicasts stay on the link unless asked for otherwise.
        multicast_ttl: 1,
        tos: 0,
        broadcast: Broadcast::Denied,
        header: Header::Added,
        hears_errors: HearsErrors::OfPeer,
    };
}

/// The raw IP API of a stack; borrowed in the tcpip thread, or handed to a callback.
///
/// All calls on the handle of an endpoint that was closed return [`Error::Closed`]. The stack has
/// IPv4 only so far: an IPv6 address is [`Error::Argument`].
#[derive(Debug)]
pub struct Raw<'s> {
    stack: &'s mut Stack,
}

impl<'s> Raw<'s> {
    pub(crate) fn new_on(stack: &'s mut Stack) -> Self {
        Self { stack }
    }
}

impl Raw<'_> {
    fn engine_mut(&mut self) -> &mut Engine {
        &mut self.stack.ip.raw
    }

    fn parts(&mut self) -> (&mut Ip, Instant) {
        let now = self.stack.now();
        (&mut self.stack.ip, now)
    }

    /// The stack this belongs to.
    pub fn stack(&mut self) -> &mut Stack {
        self.stack
    }

    /// A new endpoint for packets of `protocol`, which go to `owner` from now on.
    ///
    /// # Errors
    /// [`Error::NoMemory`]: all endpoints are in use.
    #[doc(alias = "raw_new")]
    #[expect(
        clippy::new_ret_no_self,
        reason = "lwIP's name: a new block, not a new API"
    )]
    pub fn new(&mut self, protocol: Protocol, owner: Owner) -> Result<RawPcb, Error> {
        self.parts().0.raw_create(protocol, owner)
    }

    /// Attaches a number to the endpoint, for [`Raw::arg_of`] (the `recv_arg` of `raw_recv`).
    pub fn arg(&mut self, pcb: RawPcb, arg: usize) -> Result<(), Error> {
        self.engine_mut().pcb_mut(pcb)?.arg = arg;
        Ok(())
    }

    /// The number set with [`Raw::arg`]; 0 at first.
    pub fn arg_of(&self, pcb: RawPcb) -> Result<usize, Error> {
        Ok(self.stack.ip.raw.pcb(pcb)?.arg)
    }

    /// Receives only what is sent to `addr`, and sends from there; unspecified: from and to all
    /// addresses of the host. A broadcast or multicast address restricts receiving only.
    ///
    /// # Errors
    /// [`Error::Argument`]: not an address of this host.
    #[doc(alias = "raw_bind")]
    pub fn bind(&mut self, pcb: RawPcb, addr: IpAddr) -> Result<(), Error> {
        self.parts().0.raw_bind(pcb, addr)
    }

    /// Receives only what comes from `addr`, and sends there; ICMP errors about it are told.
    ///
    /// # Errors
    /// [`Error::NoRoute`], [`Error::LinkDown`]; [`Error::Argument`]: unspecified;
    /// [`Error::Denied`]: a broadcast address without permission.
    #[doc(alias = "raw_connect")]
    pub fn connect(&mut self, pcb: RawPcb, addr: IpAddr) -> Result<(), Error> {
        self.parts().0.raw_connect(pcb, addr)
    }

    /// Takes [`Raw::connect`] back.
    #[doc(alias = "raw_disconnect")]
    pub fn disconnect(&mut self, pcb: RawPcb) -> Result<(), Error> {
        self.engine_mut().pcb_mut(pcb)?.remote = None;
        self.engine_mut().reports.forget(pcb.0.slot);
        Ok(())
    }

    /// Sends to the connected peer; see [`Raw::send_to`]. With [`Header::Included`] and no peer, to
    /// the destination of the header.
    ///
    /// # Errors
    /// [`Error::NotConnected`]; else as [`Raw::send_to`].
    #[doc(alias = "raw_send")]
    pub fn send(&mut self, pcb: RawPcb, data: Pbuf) -> Result<(), SendError> {
        let (ip, now) = self.parts();
        ip.raw_send(now, pcb, data, None)
    }

    /// Sends a packet to `to`, without copying. The checksum of its protocol, if it has one, is the
    /// application's; a device that computes it does so.
    ///
    /// # Errors
    /// [`Error::NoRoute`], [`Error::LinkDown`], [`Error::Denied`], [`Error::TooLong`];
    /// [`Error::Argument`]: no address to send to, or not a right header;
    /// [`Error::NoMemory`]: no buffer, or the device is full: worth trying again.
    #[doc(alias = "raw_sendto")]
    pub fn send_to(&mut self, pcb: RawPcb, data: Pbuf, to: IpAddr) -> Result<(), SendError> {
        let (ip, now) = self.parts();
        ip.raw_send(now, pcb, data, Some(to))
    }

    /// Removes the endpoint; packets not yet delivered are dropped. `pcb` is stale afterwards.
    #[doc(alias = "raw_remove")]
    pub fn close(&mut self, pcb: RawPcb) -> Result<(), Error> {
        self.parts().0.raw_close(pcb)
    }

    /// Allows or forbids to send to broadcast addresses; forbidden at first.
    #[doc(alias = "SO_BROADCAST")]
    pub fn broadcast(&mut self, pcb: RawPcb, broadcast: Broadcast) -> Result<(), Error> {
        self.engine_mut().pcb_mut(pcb)?.options.broadcast = broadcast;
        Ok(())
    }

    /// Says who writes the IP header; the stack at first.
    #[doc(alias = "IP_HDRINCL")]
    pub fn header(&mut self, pcb: RawPcb, header: Header) -> Result<(), Error> {
        self.engine_mut().pcb_mut(pcb)?.options.header = header;
        Ok(())
    }

    /// Says which ICMP errors are told; those about the connected peer at first.
    #[doc(alias = "IP_RECVERR")]
    pub fn hears_errors(&mut self, pcb: RawPcb, hears: HearsErrors) -> Result<(), Error> {
        self.engine_mut().pcb_mut(pcb)?.options.hears_errors = hears;
        Ok(())
    }

    /// Sets the hops of unicast and broadcast packets; `None`: the stack's default.
    ///
    /// # Errors
    /// [`Error::Argument`]: 0 hops.
    #[doc(alias = "IP_TTL")]
    pub fn ttl(&mut self, pcb: RawPcb, ttl: Option<u8>) -> Result<(), Error> {
        let options = &mut self.engine_mut().pcb_mut(pcb)?.options;
        // RFC 1122 §3.2.1.7: a datagram with a TTL of zero must not be sent.
        if ttl == Some(0) {
            return Err(Error::Argument);
        }
        options.ttl = ttl;
        Ok(())
    }

    /// Sets the hops of multicast packets; 1, the link, at first.
    ///
    /// # Errors
    /// [`Error::Argument`]: 0 hops.
    #[doc(alias = "IP_MULTICAST_TTL")]
    pub fn multicast_ttl(&mut self, pcb: RawPcb, ttl: u8) -> Result<(), Error> {
        let options = &mut self.engine_mut().pcb_mut(pcb)?.options;
        if ttl == 0 {
            return Err(Error::Argument);
        }
        options.multicast_ttl = ttl;
        Ok(())
    }

    /// Sets the type of service of packets sent: DSCP and ECN.
    #[doc(alias = "IP_TOS")]
    pub fn tos(&mut self, pcb: RawPcb, tos: u8) -> Result<(), Error> {
        self.engine_mut().pcb_mut(pcb)?.options.tos = tos;
        Ok(())
    }

    /// The options as they are set.
    pub fn options(&self, pcb: RawPcb) -> Result<Options, Error> {
        Ok(self.stack.ip.raw.pcb(pcb)?.options)
    }

    /// The protocol.
    pub fn protocol(&self, pcb: RawPcb) -> Result<Protocol, Error> {
        Ok(self.stack.ip.raw.pcb(pcb)?.protocol)
    }

    /// The local address; unspecified while not bound, but of a connected endpoint the one packets
    /// to the peer leave from now.
    pub fn local_addr(&self, pcb: RawPcb) -> Result<IpAddr, Error> {
        self.stack.ip.raw_local_addr(pcb)
    }

    /// The connected peer.
    ///
    /// # Errors
    /// [`Error::NotConnected`].
    pub fn peer_addr(&self, pcb: RawPcb) -> Result<IpAddr, Error> {
        let remote = self.stack.ip.raw.pcb(pcb)?.remote;
        Ok(remote.ok_or(Error::NotConnected)?.into())
    }
}
