//! Datagrams that have to wait before they are delivered, of all endpoints in order of arrival: a
//! ring in the user's storage. How many each endpoint may have is the engine's business.
use core::net::SocketAddrV4;

use crate::ip::NetifId;
use crate::pbuf::Pbuf;

use super::Datagram;

/// Storage of one received datagram that waits for its endpoint.
#[derive(Debug, Default)]
pub struct DatagramSlot(Option<Waiting>);

impl DatagramSlot {
    /// An empty slot.
    pub const fn new() -> Self {
        Self(None)
    }
}

/// A datagram and the endpoint it is for; a third of the size of a [`Datagram`].
#[derive(Debug)]
pub(super) struct Waiting {
    /// Number of the endpoint; its datagrams are removed before the number is given away again.
    pub(super) endpoint: u16,
    pub(super) netif: NetifId,
    pub(super) tos: u8,
    pub(super) from: SocketAddrV4,
    pub(super) to: SocketAddrV4,
    pub(super) data: Pbuf,
}

impl Waiting {
    #[inline]
    pub(super) fn into_datagram(self) -> Datagram {
        Datagram {
            data: self.data,
            from: self.from.into(),
            to: self.to.into(),
            netif: self.netif,
            tos: self.tos,
        }
    }
}

/// A bounded FIFO. `len` slots from `head` on, around the end, are occupied.
#[derive(Debug)]
pub(super) struct Queue {
    slots: &'static mut [DatagramSlot],
    head: usize,
    len: usize,
}

impl Queue {
    pub(super) fn new(slots: &'static mut [DatagramSlot]) -> Self {
        Self {
            slots,
            head: 0,
            len: 0,
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.len == 0
    }

    pub(super) fn is_full(&self) -> bool {
        self.len == self.slots.len()
    }

    /// Appends; gives it back if the queue is full.
    pub(super) fn push(&mut self, waiting: Waiting) -> Result<(), Waiting> {
        if self.is_full() {
            return Err(waiting);
        }
        let Some(slot) = self.at(self.len) else {
            return Err(waiting);
        };
        *slot = Some(waiting);
        self.len += 1;
        Ok(())
    }

    pub(super) fn pop(&mut self) -> Option<Waiting> {
        if self.len == 0 {
            return None;
        }
        let first = self.at(0)?.take();
        self.head = self.wrapped(self.head + 1);
        self.len -= 1;
        first
    }

    /// Drops what `keep` does not want; the order stays.
    pub(super) fn retain(&mut self, mut keep: impl FnMut(&Waiting) -> bool) {
        let mut kept = 0;
        for n in 0..self.len {
            let Some(waiting) = self.at(n).and_then(Option::take) else {
                continue;
            };
            if keep(&waiting)
                && let Some(slot) = self.at(kept)
            {
                *slot = Some(waiting);
                kept += 1;
            }
        }
        self.len = kept;
    }

    /// A number of at most twice the slots, around the end.
    fn wrapped(&self, index: usize) -> usize {
        index.checked_sub(self.slots.len()).unwrap_or(index)
    }

    /// The `n`-th slot from the front; `n` is not more than there are.
    fn at(&mut self, n: usize) -> Option<&mut Option<Waiting>> {
        let index = self.wrapped(self.head + n);
        self.slots.get_mut(index).map(|slot| &mut slot.0)
    }
}

#[cfg(test)]
mod tests;
