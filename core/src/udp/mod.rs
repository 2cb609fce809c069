//! UDP (RFC 768): the raw API. What the calls do is in `calls` and `output`, what happens to a
//! received datagram in `input`.
use core::net::{IpAddr, Ipv4Addr, SocketAddr};

mod calls;
mod engine;
mod input;
#[cfg(feature = "igmp")]
mod membership;
#[cfg(not(feature = "igmp"))]
#[path = "membership_none.rs"]
mod membership;
mod output;
mod queue;
mod stats;
mod template;

use crate::error::Error;
use crate::handle::{Owner, UdpPcb};
use crate::icmp_report::HearsErrors;
use crate::ip::{Ip, MtuDiscovery, NetifId, Via};
use crate::pbuf::Pbuf;
use crate::stack::Stack;
use crate::time::Instant;

pub(crate) use engine::{Delivery, Engine};
pub use engine::{UdpSlot, UdpStorage};
pub use membership::MembershipSlot;
pub use queue::DatagramSlot;
pub use stats::UdpStats;

/// The largest payload of a datagram in bytes: 65,507.
pub const MAX_PAYLOAD: usize = crate::wire::udp::MAX_PAYLOAD as usize;

/// A received datagram.
#[derive(Debug)]
#[non_exhaustive]
pub struct Datagram {
    /// The payload, in the buffers it was received in; may be empty.
    pub data: Pbuf,
    /// Who sent it. Port 0: the sender expects no answer.
    pub from: SocketAddr,
    /// Where it was sent to: an own address, or a broadcast or multicast address
    /// (`IP_PKTINFO`).
    pub to: SocketAddr,
    /// The interface it arrived on.
    pub netif: NetifId,
    /// Type of service: DSCP in the upper six bits, ECN in the lower two (`IP_RECVTOS`).
    pub tos: u8,
    /// Hops it might still have taken (`IP_RECVTTL`).
    pub ttl: u8,
}

/// A datagram that was not sent.
#[derive(Debug)]
pub struct SendError {
    /// Why.
    pub error: Error,
    /// The data, untouched. `None` if it got as far as the IP layer, where it was dropped: for
    /// want of buffers, or in the queue for an unresolved neighbour.
    pub data: Option<Pbuf>,
}

/// Whether an endpoint may send to broadcast addresses (`SO_BROADCAST`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Broadcast {
    /// No: [`Error::Denied`].
    #[default]
    Denied,
    /// Yes.
    Allowed,
}

/// Whether a local address may be shared with other endpoints (`SO_REUSEADDR`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Reuse {
    /// No: binding to it is [`Error::InUse`].
    #[default]
    Exclusive,
    /// With all those that say so too. Each of them gets the broadcasts and multicasts; a unicast
    /// datagram goes to one, and which one is not specified.
    Shared,
}

/// Whether multicasts reach members on this host too (`IP_MULTICAST_LOOP`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum MulticastLoop {
    /// Yes: RFC 1112 §6.1.
    #[default]
    On,
    /// No.
    Off,
}

/// The options of an endpoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Options {
    /// Hops a unicast or broadcast datagram may take; `None`: the stack's default (`IP_TTL`).
    pub ttl: Option<u8>,
    /// Hops a multicast datagram may take (`IP_MULTICAST_TTL`).
    pub multicast_ttl: u8,
    /// See [`Udp::multicast_loop`].
    pub multicast_loop: MulticastLoop,
    /// Where multicasts leave; `None`: the route decides (`IP_MULTICAST_IF`).
    pub multicast_interface: Option<NetifId>,
    /// Type of service (`IP_TOS`).
    pub tos: u8,
    /// See [`Udp::mtu_discovery`].
    pub mtu_discovery: MtuDiscovery,
    /// See [`Udp::broadcast`].
    pub broadcast: Broadcast,
    /// See [`Udp::reuse`].
    pub reuse: Reuse,
    /// See [`Udp::hears_errors`].
    pub hears_errors: HearsErrors,
}

impl Options {
    const DEFAULT: Self = Self {
        ttl: None,
        // RFC 1112 §6.1: multicasts stay on the link unless asked for otherwise.
        multicast_ttl: 1,
        multicast_loop: MulticastLoop::On,
        multicast_interface: None,
        tos: 0,
        mtu_discovery: MtuDiscovery::AsConfigured,
        broadcast: Broadcast::Denied,
        reuse: Reuse::Exclusive,
        hears_errors: HearsErrors::OfPeer,
    };
}

/// The raw UDP API of a stack; borrowed in the tcpip thread, or handed to a callback.
///
/// All calls on the handle of an endpoint that was closed return [`Error::Closed`]. The stack has
/// IPv4 only so far: an IPv6 address is [`Error::Argument`].
#[derive(Debug)]
pub struct Udp<'s> {
    stack: &'s mut Stack,
}

impl<'s> Udp<'s> {
    pub(crate) fn new_on(stack: &'s mut Stack) -> Self {
        Self { stack }
    }
}

impl Udp<'_> {
    fn engine_mut(&mut self) -> &mut Engine {
        &mut self.stack.udp
    }

    fn parts(&mut self) -> (&mut Engine, &mut Ip, Instant) {
        let now = self.stack.now();
        (&mut self.stack.udp, &mut self.stack.ip, now)
    }

    /// The stack this belongs to.
    pub fn stack(&mut self) -> &mut Stack {
        self.stack
    }

    /// A new endpoint whose datagrams go to `owner`.
    ///
    /// # Errors
    /// [`Error::NoMemory`]: all endpoints are in use.
    #[doc(alias = "udp_new")]
    #[expect(
        clippy::new_ret_no_self,
        reason = "lwIP's name: a new block, not a new API"
    )]
    pub fn new(&mut self, owner: Owner) -> Result<UdpPcb, Error> {
        self.engine_mut().create(owner)
    }

    /// Attaches a number to the endpoint, for [`Udp::arg_of`] (the `recv_arg` of `udp_recv`).
    pub fn arg(&mut self, pcb: UdpPcb, arg: usize) -> Result<(), Error> {
        self.engine_mut().pcb_mut(pcb)?.arg = arg;
        Ok(())
    }

    /// The number set with [`Udp::arg`]; 0 at first.
    pub fn arg_of(&self, pcb: UdpPcb) -> Result<usize, Error> {
        Ok(self.stack.udp.pcb(pcb)?.arg)
    }

    /// Binds to a local address; the unspecified address means all of them, port 0 picks one.
    /// A broadcast or multicast address restricts the endpoint to receive what is sent there.
    ///
    /// # Errors
    /// [`Error::InUse`]: another endpoint has the address, and not both said [`Reuse::Shared`];
    /// or no port is free. [`Error::Argument`]: bound already, or not an address of this stack.
    #[doc(alias = "udp_bind")]
    pub fn bind(&mut self, pcb: UdpPcb, addr: SocketAddr) -> Result<(), Error> {
        let (udp, ip, _) = self.parts();
        udp.bind(ip, pcb, addr)
    }

    /// Fixes the peer: only its datagrams are received (what waits from others is dropped),
    /// [`Udp::send`] goes there, and ICMP errors are reported. Binds to a free port if not bound.
    /// A connected endpoint may be connected to another peer.
    ///
    /// # Errors
    /// [`Error::Argument`]: port 0, or the unspecified address. [`Error::Denied`]: a broadcast
    /// address without [`Broadcast::Allowed`]. [`Error::NoRoute`]. [`Error::InUse`]: no local
    /// port is free. The endpoint stays as it was.
    #[doc(alias = "udp_connect")]
    pub fn connect(&mut self, pcb: UdpPcb, addr: SocketAddr) -> Result<(), Error> {
        let (udp, ip, _) = self.parts();
        udp.connect(ip, pcb, addr)
    }

    /// Undoes [`Udp::connect`]; the local port stays. No effect if not connected.
    #[doc(alias = "udp_disconnect")]
    pub fn disconnect(&mut self, pcb: UdpPcb) -> Result<(), Error> {
        self.engine_mut().disconnect(pcb)
    }

    /// Sends to the connected peer, without copying.
    ///
    /// # Errors
    /// [`Error::NotConnected`]; else as [`Udp::send_to`].
    #[doc(alias = "udp_send")]
    pub fn send(&mut self, pcb: UdpPcb, data: Pbuf) -> Result<(), SendError> {
        let (udp, ip, now) = self.parts();
        let to = udp.pcb(pcb).ok().and_then(|current| current.remote);
        udp.send(ip, now, pcb, data, None, to.map(SocketAddr::V4))
    }

    /// Sends to `to`, without copying; binds to a free port if not bound. The source is the
    /// address the endpoint is bound to, else that of the interface the route leads through.
    ///
    /// The header goes in front of the data, in place, if its first block has headroom for those
    /// of all layers (42 bytes are enough) and nobody else views it; else into a block of the
    /// header pool.
    ///
    /// # Errors
    /// [`Error::TooLong`] above [`MAX_PAYLOAD`], [`Error::NoRoute`], [`Error::NoMemory`],
    /// [`Error::LinkDown`], [`Error::Closed`], [`Error::InUse`]: no local port is free,
    /// [`Error::Argument`]: port 0, or the unspecified address, [`Error::Denied`]: a broadcast
    /// address without [`Broadcast::Allowed`].
    #[doc(alias = "udp_sendto")]
    pub fn send_to(&mut self, pcb: UdpPcb, data: Pbuf, to: SocketAddr) -> Result<(), SendError> {
        let (udp, ip, now) = self.parts();
        udp.send(ip, now, pcb, data, None, Some(to))
    }

    /// As [`Udp::send_to`], from the own address `from` whatever the endpoint is bound to: so a
    /// server with several addresses answers from the one it was asked at ([`Datagram::to`]).
    ///
    /// # Errors
    /// As [`Udp::send_to`]; [`Error::Argument`] also if `from` is not an address of this stack.
    #[doc(alias = "udp_sendto_if_src")]
    pub fn send_from(
        &mut self,
        pcb: UdpPcb,
        data: Pbuf,
        from: IpAddr,
        to: SocketAddr,
    ) -> Result<(), SendError> {
        let (udp, ip, now) = self.parts();
        udp.send(ip, now, pcb, data, Some(from), Some(to))
    }

    /// Removes the endpoint, which leaves its groups; datagrams not yet delivered are dropped. `pcb` is stale afterwards.
    #[doc(alias = "udp_remove")]
    pub fn close(&mut self, pcb: UdpPcb) -> Result<(), Error> {
        let (udp, ip, _) = self.parts();
        udp.close(ip, pcb)
    }

    /// Allows or forbids to send to broadcast addresses; forbidden at first.
    #[doc(alias = "SO_BROADCAST")]
    pub fn broadcast(&mut self, pcb: UdpPcb, broadcast: Broadcast) -> Result<(), Error> {
        self.engine_mut().options_mut(pcb)?.broadcast = broadcast;
        Ok(())
    }

    /// Whether the local address may be shared. Counts when it, or another, is bound.
    #[doc(alias = "SO_REUSEADDR")]
    pub fn reuse(&mut self, pcb: UdpPcb, reuse: Reuse) -> Result<(), Error> {
        self.engine_mut().options_mut(pcb)?.reuse = reuse;
        Ok(())
    }

    /// Sets the hops of unicast and broadcast datagrams; `None`: the stack's default.
    ///
    /// # Errors
    /// [`Error::Argument`]: 0 hops.
    #[doc(alias = "IP_TTL")]
    pub fn ttl(&mut self, pcb: UdpPcb, ttl: Option<u8>) -> Result<(), Error> {
        let options = self.engine_mut().options_mut(pcb)?;
        // RFC 1122 §3.2.1.7: a datagram with a TTL of zero must not be sent.
        if ttl == Some(0) {
            return Err(Error::Argument);
        }
        options.ttl = ttl;
        Ok(())
    }

    /// Sets the hops of multicast datagrams; 1, the link, at first.
    ///
    /// # Errors
    /// [`Error::Argument`]: 0 hops.
    #[doc(alias = "IP_MULTICAST_TTL")]
    pub fn multicast_ttl(&mut self, pcb: UdpPcb, ttl: u8) -> Result<(), Error> {
        let options = self.engine_mut().options_mut(pcb)?;
        if ttl == 0 {
            return Err(Error::Argument);
        }
        options.multicast_ttl = ttl;
        Ok(())
    }

    /// Whether members on this host, this endpoint perhaps among them, get what it sends to a group;
    /// they do at first.
    #[doc(alias = "IP_MULTICAST_LOOP")]
    pub fn multicast_loop(&mut self, pcb: UdpPcb, looped: MulticastLoop) -> Result<(), Error> {
        self.engine_mut().options_mut(pcb)?.multicast_loop = looped;
        Ok(())
    }

    /// Through which interface multicasts leave; at first the route decides.
    ///
    /// # Errors
    /// [`Error::NoInterface`].
    #[doc(alias = "IP_MULTICAST_IF")]
    pub fn multicast_interface(&mut self, pcb: UdpPcb, via: Via) -> Result<(), Error> {
        let (udp, ip, _) = self.parts();
        let netif = match via {
            Via::Route => None,
            // What group makes no difference.
            via => Some(ip.interface(via, Ipv4Addr::UNSPECIFIED)?),
        };
        udp.options_mut(pcb)?.multicast_interface = netif;
        Ok(())
    }

    /// Sets the type of service of datagrams sent: DSCP and ECN.
    #[doc(alias = "IP_TOS")]
    pub fn tos(&mut self, pcb: UdpPcb, tos: u8) -> Result<(), Error> {
        self.engine_mut().options_mut(pcb)?.tos = tos;
        Ok(())
    }

    /// Whether datagrams may be fragmented. With [`MtuDiscovery::Discover`] a longer one than the link
    /// carries is [`Error::TooLong`].
    #[doc(alias = "IP_MTU_DISCOVER")]
    pub fn mtu_discovery(&mut self, pcb: UdpPcb, mtu_discovery: MtuDiscovery) -> Result<(), Error> {
        self.engine_mut().options_mut(pcb)?.mtu_discovery = mtu_discovery;
        Ok(())
    }

    /// Says which ICMP errors are told; those about the connected peer at first.
    #[doc(alias = "IP_RECVERR")]
    pub fn hears_errors(&mut self, pcb: UdpPcb, hears: HearsErrors) -> Result<(), Error> {
        self.engine_mut().options_mut(pcb)?.hears_errors = hears;
        Ok(())
    }

    /// The options as they are set.
    pub fn options(&self, pcb: UdpPcb) -> Result<Options, Error> {
        self.stack.udp.options(pcb)
    }

    /// The local address; port 0 while not bound. The address is unspecified while not bound to
    /// one, but of a connected endpoint it is the one datagrams to the peer leave from now.
    pub fn local_addr(&self, pcb: UdpPcb) -> Result<SocketAddr, Error> {
        self.stack.udp.local_addr(&self.stack.ip, pcb)
    }

    /// The connected peer.
    ///
    /// # Errors
    /// [`Error::NotConnected`].
    pub fn peer_addr(&self, pcb: UdpPcb) -> Result<SocketAddr, Error> {
        self.stack.udp.peer_addr(pcb)
    }
}
