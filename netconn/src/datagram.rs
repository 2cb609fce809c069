//! Datagrams between threads: slots shared by all connections of a net, in FIFO lists.
use core::cell::{Cell, RefCell, RefMut};
use core::net::SocketAddr;

use critical_section::{CriticalSection, Mutex};
use gannet_core::netif::Class;
use gannet_core::wire::ethernet::EtherType;
use gannet_core::{Instant, NetifId, Pbuf};

use crate::guarded::lock;
use crate::shared::NO_ADDR;

const NONE: u16 = u16::MAX;

/// What is known of a datagram: of one to send, where it goes; of a received one, all.
#[derive(Clone, Copy, Debug)]
pub(crate) struct About {
    /// Where it came from or goes to. Raw IP: without a port. Unspecified for frames.
    pub(crate) peer: SocketAddr,
    /// The address it was sent to.
    pub(crate) local: SocketAddr,
    /// The interface it came in by; for frames, or goes out by.
    pub(crate) netif: NetifId,
    pub(crate) tos: u8,
    pub(crate) ttl: u8,
    /// What a frame carries.
    pub(crate) ethertype: EtherType,
    /// To whom a frame was addressed.
    pub(crate) class: Class,
    /// When it was received.
    pub(crate) at: Instant,
}

impl About {
    /// Nothing is known.
    pub(crate) const NOTHING: Self = Self {
        peer: NO_ADDR,
        local: NO_ADDR,
        netif: NetifId::LOOPBACK,
        tos: 0,
        ttl: 0,
        ethertype: EtherType::IPV4,
        class: Class::Host,
        at: Instant::ZERO,
    };

    /// Of a datagram to send to `peer`.
    pub(crate) const fn to(peer: SocketAddr) -> Self {
        Self {
            peer,
            ..Self::NOTHING
        }
    }
}

/// A datagram and what is known of it.
#[derive(Debug)]
pub(crate) struct Datagram {
    pub(crate) data: Pbuf,
    pub(crate) about: About,
}

/// Storage for one datagram.
#[derive(Debug)]
pub struct DatagramSlot(Mutex<RefCell<Entry>>);

#[derive(Debug)]
struct Entry {
    data: Option<Pbuf>,
    about: About,
    next: u16,
}

impl DatagramSlot {
    /// An unused slot.
    #[allow(clippy::new_without_default, reason = "for statics only")]
    pub const fn new() -> Self {
        let entry = Entry {
            data: None,
            about: About::NOTHING,
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

    /// Whether a datagram could be appended to some queue.
    pub(crate) fn has_free(&self, cs: CriticalSection<'_>) -> bool {
        let fresh = usize::from(self.fresh.borrow(cs).get());
        self.free.borrow(cs).get() != NONE || fresh < self.slots.len()
    }

    /// The most slots that one connection may have taken with what it sends: a quarter is left to
    /// the others.
    pub(crate) fn share(&self) -> usize {
        (self.slots.len() - self.slots.len() / 4).max(1)
    }

    /// Appends `datagram` to `queue`; gives it back if no slot is free.
    pub(crate) fn push(
        &self,
        cs: CriticalSection<'_>,
        queue: &mut Queue,
        datagram: Datagram,
    ) -> Result<(), Datagram> {
        let index = self.store(cs, queue, datagram, NONE)?;
        match self.at(cs, queue.last) {
            Some(mut last) => last.next = index,
            None => queue.first = index,
        }
        queue.last = index;
        Ok(())
    }

    /// Puts `datagram` before all of `queue`; gives it back if no slot is free.
    pub(crate) fn push_front(
        &self,
        cs: CriticalSection<'_>,
        queue: &mut Queue,
        datagram: Datagram,
    ) -> Result<(), Datagram> {
        let index = self.store(cs, queue, datagram, queue.first)?;
        queue.first = index;
        if queue.last == NONE {
            queue.last = index;
        }
        Ok(())
    }

    fn store(
        &self,
        cs: CriticalSection<'_>,
        queue: &mut Queue,
        datagram: Datagram,
        next: u16,
    ) -> Result<u16, Datagram> {
        let Some((index, mut slot)) = self.take_slot(cs) else {
            return Err(datagram);
        };
        let Datagram { data, about } = datagram;
        queue.bytes = queue.bytes.saturating_add(bytes_of(&data));
        queue.len += 1;
        *slot = Entry {
            data: Some(data),
            about,
            next,
        };
        Ok(index)
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
            about: slot.about,
        })
    }

    /// Drops what does not come from a peer that `is_wanted`.
    pub(crate) fn keep_from(
        &self,
        cs: CriticalSection<'_>,
        queue: &mut Queue,
        is_wanted: impl Fn(SocketAddr) -> bool,
    ) {
        let mut keep = Queue::EMPTY;
        while let Some(datagram) = self.pop(cs, queue) {
            if is_wanted(datagram.about.peer) {
                // The slot just emptied takes it.
                let _ = self.push(cs, &mut keep, datagram);
            }
        }
        *queue = keep;
    }

    /// Runs `look` on the first datagram, which stays.
    pub(crate) fn peek<R>(
        &self,
        cs: CriticalSection<'_>,
        queue: &Queue,
        look: impl FnOnce(&Pbuf, &About) -> R,
    ) -> Option<R> {
        let slot = self.at(cs, queue.first)?;
        Some(look(slot.data.as_ref()?, &slot.about))
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
