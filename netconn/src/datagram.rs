//! Datagrams between threads: slots shared by all connections of a net, in FIFO lists.
use core::cell::{Cell, RefCell, RefMut};
use core::net::SocketAddr;

use critical_section::{CriticalSection, Mutex};
use gannet_core::{Instant, Pbuf};

use crate::guarded::lock;
use crate::shared::NO_ADDR;
use crate::udp::Received;

const NONE: u16 = u16::MAX;

/// A datagram with its addresses.
#[derive(Debug)]
pub(crate) struct Datagram {
    pub(crate) data: Pbuf,
    /// Where it came from or goes to.
    pub(crate) peer: SocketAddr,
    /// The address it was sent to; unspecified in one to send.
    pub(crate) local: SocketAddr,
    /// Type of service; 0 in one to send.
    pub(crate) tos: u8,
    /// When it was received, or made.
    pub(crate) at: Instant,
}

/// Storage for one datagram.
#[derive(Debug)]
pub struct DatagramSlot(Mutex<RefCell<Entry>>);

#[derive(Debug)]
struct Entry {
    data: Option<Pbuf>,
    peer: SocketAddr,
    local: SocketAddr,
    tos: u8,
    at: Instant,
    next: u16,
}

impl DatagramSlot {
    /// An unused slot.
    #[allow(clippy::new_without_default, reason = "for statics only")]
    pub const fn new() -> Self {
        let entry = Entry {
            data: None,
            peer: NO_ADDR,
            local: NO_ADDR,
            tos: 0,
            at: Instant::ZERO,
            next: NONE,
        };
        Self(Mutex::new(RefCell::new(entry)))
    }
}

/// A FIFO of datagrams, kept in a connection.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Queue {
    first: u16,
    last: u16,
    len: u16,
    bytes: u32,
}

impl Queue {
    pub(crate) const EMPTY: Self = Self {
        first: NONE,
        last: NONE,
        len: 0,
        bytes: 0,
    };

    pub(crate) fn is_empty(&self) -> bool {
        self.len == 0
    }

    pub(crate) fn len(&self) -> u16 {
        self.len
    }

    /// Bytes of data.
    pub(crate) fn bytes(&self) -> u32 {
        self.bytes
    }
}

/// The slots of a net.
#[derive(Debug)]
pub(crate) struct Datagrams {
    slots: &'static [DatagramSlot],
    /// First of the slots that were used and given back.
    free: Mutex<Cell<u16>>,
    /// Slots from here on were never used.
    fresh: Mutex<Cell<u16>>,
}

impl Datagrams {
    pub(crate) const fn new(slots: &'static [DatagramSlot]) -> Self {
        assert!(slots.len() < NONE as usize, "at most 65,534 datagrams");
        Self {
            slots,
            free: Mutex::new(Cell::new(NONE)),
            fresh: Mutex::new(Cell::new(0)),
        }
    }

    /// Appends `datagram` to `queue`; gives it back if no slot is free.
    pub(crate) fn push(
        &self,
        cs: CriticalSection<'_>,
        queue: &mut Queue,
        datagram: Datagram,
    ) -> Result<(), Datagram> {
        let Some((index, mut slot)) = self.take_slot(cs) else {
            return Err(datagram);
        };
        let Datagram {
            data,
            peer,
            local,
            tos,
            at,
        } = datagram;
        queue.bytes = queue.bytes.saturating_add(bytes_of(&data));
        *slot = Entry {
            data: Some(data),
            peer,
            local,
            tos,
            at,
            next: NONE,
        };
        drop(slot);
        match self.at(cs, queue.last) {
            Some(mut last) => last.next = index,
            None => queue.first = index,
        }
        queue.last = index;
        queue.len += 1;
        Ok(())
    }

    /// Takes the first datagram out.
    pub(crate) fn pop(&self, cs: CriticalSection<'_>, queue: &mut Queue) -> Option<Datagram> {
        let index = queue.first;
        let mut slot = self.at(cs, index)?;
        let data = slot.data.take()?;
        queue.first = slot.next;
        queue.len -= 1;
        queue.bytes = queue.bytes.saturating_sub(bytes_of(&data));
        if queue.len == 0 {
            queue.last = NONE;
        }
        slot.next = self.free.borrow(cs).replace(index);
        Some(Datagram {
            data,
            peer: slot.peer,
            local: slot.local,
            tos: slot.tos,
            at: slot.at,
        })
    }

    /// Runs `look` on the first datagram, which stays.
    pub(crate) fn peek<R>(
        &self,
        cs: CriticalSection<'_>,
        queue: &Queue,
        look: impl FnOnce(&Pbuf, Received) -> R,
    ) -> Option<R> {
        let slot = self.at(cs, queue.first)?;
        let about = Received {
            len: 0,
            datagram_len: slot.data.as_ref()?.tot_len(),
            from: slot.peer,
            to: slot.local,
            tos: slot.tos,
            at: slot.at,
        };
        Some(look(slot.data.as_ref()?, about))
    }

    fn at<'a>(&'a self, cs: CriticalSection<'a>, index: u16) -> Option<RefMut<'a, Entry>> {
        let slot = self.slots.get(usize::from(index))?;
        lock(slot.0.borrow(cs))
    }

    fn take_slot<'a>(&'a self, cs: CriticalSection<'a>) -> Option<(u16, RefMut<'a, Entry>)> {
        let free = self.free.borrow(cs);
        if let Some(slot) = self.at(cs, free.get()) {
            let index = free.replace(slot.next);
            return Some((index, slot));
        }
        let fresh = self.fresh.borrow(cs);
        let index = fresh.get();
        let slot = self.at(cs, index)?;
        fresh.set(index + 1);
        Some((index, slot))
    }
}

fn bytes_of(data: &Pbuf) -> u32 {
    u32::try_from(data.tot_len()).unwrap_or(u32::MAX)
}
