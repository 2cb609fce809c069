//! Packet endpoints: whole frames, as they enter and leave the interfaces (`AF_PACKET` of Linux).
//! The table and the queue are in `engine`, what sees frames and sends them in `io`.
//!
//! An endpoint gets views of frames, which the stack handles as if nobody had seen them. Where no
//! endpoint is open this costs one branch for each frame. An endpoint that is not read cannot
//! starve the stack: no view is taken of a frame whose pool has less than a quarter of its blocks
//! left, and no endpoint has more than three quarters of the table of frames.
mod engine;
mod io;

use crate::error::Error;
use crate::handle::{Owner, PacketPcb};
use crate::ip::{Ip, NetifId};
pub use crate::netif::Class;
use crate::pbuf::Pbuf;
use crate::stack::Stack;
pub use crate::udp::SendError;
pub use crate::wire::ethernet::EtherType;

pub(crate) use engine::Engine;
pub use engine::{FrameSlot, PacketSlot, PacketStorage};

/// Which frames an endpoint sees.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Filter {
    /// All of them, those that the stack sends included (`ETH_P_ALL`).
    All,
    /// Received ones with this EtherType.
    EtherType(EtherType),
}

/// A frame that was seen.
#[derive(Debug)]
#[non_exhaustive]
pub struct Frame {
    /// The frame, link header first, in the buffers it was received in or is sent from. Loopback
    /// and interfaces of bare IP have no link header. Checksums that the device is to compute (on
    /// loopback, all) are zero in outgoing ones.
    pub data: Pbuf,
    /// The interface.
    pub netif: NetifId,
    /// What it carries; without a link header [`EtherType::IPV4`].
    pub ethertype: EtherType,
    /// To whom it was addressed.
    pub class: Class,
}

/// What the packet endpoints of a stack have counted since it was made. Counters wrap.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct PacketStats {
    /// Frames queued for an endpoint; one for each endpoint that wants it.
    pub frames_seen: u32,
    /// Frames not seen because their endpoint has its share of the table waiting, or the table is
    /// full.
    pub queue_full: u32,
    /// Frames not seen because few buffers of their pool were left, or no descriptor.
    pub no_buffers: u32,
    /// Frames handed to a device.
    pub frames_sent: u32,
    /// Frames that could not be sent.
    pub send_errors: u32,
}

/// The packet API of a stack; borrowed in the tcpip thread, or handed to a callback.
///
/// All calls on the handle of an endpoint that was closed return [`Error::Closed`].
#[derive(Debug)]
pub struct Packets<'s> {
    stack: &'s mut Stack,
}

impl<'s> Packets<'s> {
    pub(crate) fn new_on(stack: &'s mut Stack) -> Self {
        Self { stack }
    }
}

impl Packets<'_> {
    fn ip(&mut self) -> &mut Ip {
        &mut self.stack.ip
    }

    /// The stack this belongs to.
    pub fn stack(&mut self) -> &mut Stack {
        self.stack
    }

    /// A new endpoint that sees the frames of `filter` on all interfaces from now on; they go to
    /// `owner`.
    ///
    /// # Errors
    /// [`Error::NoMemory`]: all endpoints are in use.
    #[expect(clippy::new_ret_no_self, reason = "as in the other raw APIs")]
    pub fn new(&mut self, filter: Filter, owner: Owner) -> Result<PacketPcb, Error> {
        self.ip().packet_create(filter, owner)
    }

    /// Attaches a number to the endpoint, for [`Packets::arg_of`].
    pub fn arg(&mut self, pcb: PacketPcb, arg: usize) -> Result<(), Error> {
        self.ip().packet.pcb_mut(pcb)?.arg = arg;
        Ok(())
    }

    /// The number set with [`Packets::arg`]; 0 at first.
    pub fn arg_of(&self, pcb: PacketPcb) -> Result<usize, Error> {
        Ok(self.stack.ip.packet.pcb(pcb)?.arg)
    }

    /// Sees only the frames of `filter` from now on, and only those of `netif` if it is given;
    /// frames of others that wait are dropped.
    ///
    /// # Errors
    /// [`Error::Argument`]: there is no such interface.
    pub fn bind(
        &mut self,
        pcb: PacketPcb,
        filter: Filter,
        netif: Option<NetifId>,
    ) -> Result<(), Error> {
        self.ip().packet_bind(pcb, filter, netif)
    }

    /// Sends a whole frame, link header first, on `netif`. Loopback and interfaces of bare IP take
    /// an IP packet.
    ///
    /// # Errors
    /// With the frame: [`Error::Argument`]: no such interface, or shorter than the header;
    /// [`Error::TooLong`]; [`Error::LinkDown`]; [`Error::NoMemory`]: the device is full.
    pub fn send(&mut self, pcb: PacketPcb, netif: NetifId, frame: Pbuf) -> Result<(), SendError> {
        self.ip().packet_send(pcb, netif, frame)
    }

    /// Removes the endpoint; frames not yet delivered are dropped. `pcb` is stale afterwards.
    pub fn close(&mut self, pcb: PacketPcb) -> Result<(), Error> {
        self.ip().packet_close(pcb)
    }

    /// Frames that this endpoint wanted and did not get, since the last call.
    pub fn take_dropped(&mut self, pcb: PacketPcb) -> Result<u32, Error> {
        let dropped = &mut self.ip().packet.pcb_mut(pcb)?.dropped;
        Ok(core::mem::take(dropped))
    }
}
