//! The loopback interface: a bounded queue of packets from this host to itself. They are not
//! copied: the receiving side views the blocks of the sending side.
use crate::pbuf::Pbuf;

use super::NetifId;

/// The MTU of loopback. Nothing there needs a limit, but TCP segments much smaller than the window
/// keep acknowledgements flowing.
pub(crate) const MTU: u16 = 1500;

/// Storage for one packet on its way from this host to itself.
#[derive(Debug, Default)]
pub struct LoopbackSlot(Option<(NetifId, Pbuf)>);

impl LoopbackSlot {
    /// An unused slot.
    pub const fn new() -> Self {
        Self(None)
    }
}

/// Packets sent to own addresses and not yet received, oldest first.
#[derive(Debug)]
pub(crate) struct Loopback {
    slots: &'static mut [LoopbackSlot],
    /// Where the oldest is.
    first: usize,
    len: usize,
    /// What the packet last taken out has gone through.
    via: NetifId,
}

impl Loopback {
    pub(crate) fn new(slots: &'static mut [LoopbackSlot]) -> Self {
        Self {
            slots,
            first: 0,
            len: 0,
            via: NetifId::LOOPBACK,
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.len == 0
    }

    pub(crate) fn is_full(&self) -> bool {
        self.len >= self.slots.len()
    }

    /// Appends a packet, IP header first; gives it back if the queue is full.
    pub(crate) fn push(&mut self, packet: Pbuf) -> Result<(), Pbuf> {
        self.push_via(NetifId::LOOPBACK, packet)
    }

    /// As [`Loopback::push`], for a copy of what has gone out of an interface.
    pub(crate) fn push_via(&mut self, via: NetifId, packet: Pbuf) -> Result<(), Pbuf> {
        if self.is_full() {
            return Err(packet);
        }
        let at = (self.first + self.len) % self.slots.len();
        let Some(slot) = self.slots.get_mut(at) else {
            return Err(packet); // `at` is less than the number of slots: not reached
        };
        slot.0 = Some((via, packet));
        self.len += 1;
        Ok(())
    }

    /// The interface that the packet last taken out was sent through.
    pub(crate) fn via(&self) -> NetifId {
        self.via
    }

    pub(crate) fn pop(&mut self) -> Option<Pbuf> {
        if self.is_empty() {
            return None;
        }
        let (via, packet) = self.slots.get_mut(self.first)?.0.take()?;
        self.via = via;
        self.first = (self.first + 1) % self.slots.len();
        self.len -= 1;
        Some(packet)
    }
}
