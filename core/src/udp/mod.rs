//! UDP (RFC 768): the raw API.
use core::net::SocketAddr;

use crate::error::Error;
use crate::handle::{Owner, UdpPcb};
use crate::pbuf::Pbuf;
use crate::stack::Stack;

/// Something the owner of a UDP endpoint has to be told.
#[derive(Debug)]
pub(crate) enum UdpEvent {
    Recv {
        pcb: UdpPcb,
        data: Pbuf,
        from: SocketAddr,
    },
    Err {
        pcb: UdpPcb,
        error: Error,
    },
}

/// A datagram that was not sent, with its data.
#[derive(Debug)]
pub struct SendError {
    /// Why.
    pub error: Error,
    /// The data, untouched.
    pub data: Pbuf,
}

/// The raw UDP API of a stack.
#[derive(Debug)]
pub struct Udp<'s> {
    stack: &'s mut Stack,
}

impl Udp<'_> {
    /// The stack this belongs to.
    pub fn stack(&mut self) -> &mut Stack {
        self.stack
    }

    /// A new endpoint whose datagrams go to `owner`.
    ///
    /// # Errors
    /// [`Error::NoMemory`]: all endpoints are in use.
    #[doc(alias = "udp_new")]
    pub fn new(&mut self, owner: Owner) -> Result<UdpPcb, Error> {
        todo!()
    }

    /// Binds to a local address; the unspecified address means all of them, port 0 picks one.
    ///
    /// # Errors
    /// [`Error::InUse`]; [`Error::Argument`]: bound already, or not an address of this stack.
    #[doc(alias = "udp_bind")]
    pub fn bind(&mut self, pcb: UdpPcb, addr: SocketAddr) -> Result<(), Error> {
        todo!()
    }

    /// Fixes the peer: only its datagrams are received, [`Udp::send`] goes there, and ICMP errors
    /// are reported. Binds to a free port if not bound.
    #[doc(alias = "udp_connect")]
    pub fn connect(&mut self, pcb: UdpPcb, addr: SocketAddr) -> Result<(), Error> {
        todo!()
    }

    /// Undoes [`Udp::connect`]; the local port stays.
    #[doc(alias = "udp_disconnect")]
    pub fn disconnect(&mut self, pcb: UdpPcb) -> Result<(), Error> {
        todo!()
    }

    /// Sends to the connected peer, without copying.
    ///
    /// # Errors
    /// [`Error::NotConnected`]; else as [`Udp::send_to`].
    #[doc(alias = "udp_send")]
    pub fn send(&mut self, pcb: UdpPcb, data: Pbuf) -> Result<(), SendError> {
        todo!()
    }

    /// Sends to `to`, without copying; binds to a free port if not bound.
    ///
    /// # Errors
    /// [`Error::TooLong`] above 65,507 bytes, [`Error::NoRoute`], [`Error::NoMemory`],
    /// [`Error::LinkDown`], [`Error::Closed`], [`Error::Argument`]: port 0.
    #[doc(alias = "udp_sendto")]
    pub fn send_to(&mut self, pcb: UdpPcb, data: Pbuf, to: SocketAddr) -> Result<(), SendError> {
        todo!()
    }

    /// Removes the endpoint; datagrams not yet delivered are dropped.
    #[doc(alias = "udp_remove")]
    pub fn close(&mut self, pcb: UdpPcb) -> Result<(), Error> {
        todo!()
    }

    /// The local address; unspecified and port 0 while not bound.
    pub fn local_addr(&self, pcb: UdpPcb) -> Result<SocketAddr, Error> {
        todo!()
    }

    /// The connected peer.
    ///
    /// # Errors
    /// [`Error::NotConnected`].
    pub fn peer_addr(&self, pcb: UdpPcb) -> Result<SocketAddr, Error> {
        todo!()
    }
}
#[derive(Debug)]
pub struct UdpStorage {}
#[derive(Debug)]
pub(crate) struct Engine {}
impl Engine {
    pub(crate) fn new(s: UdpStorage, e: crate::Entropy<'_>) -> Self {
        Self {}
    }
    pub(crate) fn input(
        &mut self,
        ip: &mut crate::ip::Ip,
        now: crate::Instant,
        r: crate::ip::Received,
    ) {
    }
    pub(crate) fn icmp_error(&mut self, e: &crate::ip::IcmpError) {}
    pub(crate) fn next_event(&mut self) -> Option<(Owner, UdpEvent)> {
        None
    }
}
impl<'s> Udp<'s> {
    pub(crate) fn new_on(stack: &'s mut Stack) -> Self {
        Self { stack }
    }
}
