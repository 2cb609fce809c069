//! Packets that wait until a neighbour's hardware address is known: a few for each neighbour, few
//! together, the newest kept.
use core::net::Ipv4Addr;

use crate::pbuf::Pbuf;

use super::NetifId;

/// Storage for one packet that waits for a neighbour.
#[derive(Debug, Default)]
pub struct PendingSlot(Option<Pending>);

impl PendingSlot {
    /// An unused slot.
    pub const fn new() -> Self {
        Self(None)
    }
}

#[derive(Debug)]
struct Pending {
    to: (NetifId, Ipv4Addr),
    /// Lower is older.
    order: u64,
    packet: Pbuf,
}

/// All waiting packets of all neighbours.
#[derive(Debug)]
pub(super) struct PendingQueue {
    slots: &'static mut [PendingSlot],
    pushed: u64,
}

impl PendingQueue {
    pub(super) fn new(slots: &'static mut [PendingSlot]) -> Self {
        Self { slots, pushed: 0 }
    }

    /// Keeps `packet`, IP header first, for a neighbour that may have `limit` waiting. Returns how
    /// many packets were dropped: the neighbour's oldest if it has too many, the oldest of all if
    /// the table is full.
    pub(super) fn push(
        &mut self,
        netif: NetifId,
        addr: Ipv4Addr,
        packet: Pbuf,
        limit: usize,
    ) -> usize {
        let to = (netif, addr);
        let waiting = self.iter().filter(|pending| pending.to == to).count();
        let mut dropped = 0;
        // RFC 1122 §2.3.2.2: at least one packet for each, the latest.
        if waiting >= limit.max(1) {
            dropped += usize::from(self.take_oldest(|pending| pending.to == to).is_some());
        } else if self.iter().count() == self.slots.len() {
            dropped += usize::from(self.take_oldest(|_| true).is_some());
        }
        match self.slots.iter_mut().find(|slot| slot.0.is_none()) {
            Some(slot) => {
                let order = self.pushed;
                slot.0 = Some(Pending { to, order, packet });
                self.pushed += 1;
                dropped
            }
            None => dropped + 1,
        }
    }

    /// The oldest packet for a neighbour.
    pub(super) fn pop(&mut self, netif: NetifId, addr: Ipv4Addr) -> Option<Pbuf> {
        self.take_oldest(|pending| pending.to == (netif, addr))
    }

    fn take_oldest(&mut self, which: impl Fn(&Pending) -> bool) -> Option<Pbuf> {
        let candidates = self
            .slots
            .iter_mut()
            .filter(|slot| slot.0.as_ref().is_some_and(&which));
        let oldest = candidates.min_by_key(|slot| slot.0.as_ref().map(|pending| pending.order))?;
        oldest.0.take().map(|pending| pending.packet)
    }

    fn iter(&self) -> impl Iterator<Item = &Pending> {
        self.slots.iter().filter_map(|slot| slot.0.as_ref())
    }
}
