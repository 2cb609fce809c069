//! [`Chain`]: a FIFO of bytes held in packet buffers, linked through their descriptors. TCP's send
//! and receive queues and netconn's mailboxes are made of it.
//!
//! Invariants:
//!
//! 1. `head` is `Some` exactly if `last` is; then `last` is the address of the last descriptor of
//!    the chain that `head` owns. Nobody outside ever gets a reference to a part of it that would
//!    allow to link, unlink or replace descriptors.
//! 2. `len` and `parts` are the bytes and descriptors of that chain, and `len` is 0 only if it is
//!    `None`.
//! 3. `sliced`, if it is `Some`, is a descriptor of that chain that has bytes, and how many bytes
//!    of the chain are in front of it.
#![allow(
    unsafe_code,
    reason = "pointers to some of the descriptors; four blocks"
)]

use core::cell::Cell;
use core::fmt;

use super::node::Node;
use super::pool::NodeRef;
use super::range::Place;
use super::{NoBufs, Pbuf};

/// What [`Chain::push_compact`] did with the bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pushed {
    /// The pbuf was linked to the end, with its blocks.
    Linked,
    /// The bytes were copied behind the last ones, and the pbuf freed.
    Copied,
}

/// A FIFO of bytes in packet buffers.
///
/// It has no storage of its own and no limit; who fills it sets one ([`Chain::len`] is cached).
///
/// ```
/// use gannet_core::{Pbuf, pbuf::Chain, pbuf_pool};
/// pbuf_pool! { static POOL: [64; 2] + refs 4 }
///
/// let mut queue = Chain::new();
/// queue.push(Pbuf::from_static(&POOL, b"hello ")?);
/// queue.push(Pbuf::from_static(&POOL, b"world")?);
/// let segment = queue.slice(4, 4)?; // to transmit, and to transmit again
/// assert!(segment.parts().eq([b"o ", b"wo"]));
/// assert_eq!(queue.consume(8), 8); // acknowledged
/// assert_eq!((queue.len(), queue.front()), (3, &b"rld"[..]));
/// # Ok::<(), gannet_core::NoBufs>(())
/// ```
#[derive(Default)]
pub struct Chain {
    head: Option<Pbuf>,
    last: Option<NodeRef>,
    len: usize,
    parts: usize,
    /// Where the last slice ended: where the next will often begin.
    sliced: Cell<Option<Place>>,
}

impl Chain {
    /// An empty queue.
    pub const fn new() -> Self {
        Self {
            head: None,
            last: None,
            len: 0,
            parts: 0,
            sliced: Cell::new(None),
        }
    }

    /// Bytes in the queue. O(1).
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether the queue has no bytes.
    pub fn is_empty(&self) -> bool {
        self.head.is_none()
    }

    /// Parts (descriptors) in the queue. O(1).
    pub fn parts(&self) -> usize {
        self.parts
    }

    /// The bytes of the first part: what can be read in place. Empty only if the queue is, or if a
    /// pbuf with an empty first part was pushed.
    pub fn front(&self) -> &[u8] {
        self.head.as_ref().map_or(&[], Pbuf::data)
    }

    /// Appends `data`. A pbuf without bytes is freed instead. O(parts of `data`).
    #[inline]
    pub fn push(&mut self, data: Pbuf) {
        let len = data.first_len();
        if self.head.is_some() || data.0.next.is_some() || len == 0 {
            return self.push_any(data);
        }
        // One part, and nothing before it: the usual.
        self.last = Some(data.0.address());
        self.head = Some(data);
        (self.len, self.parts) = (len, 1);
    }

    #[inline(never)]
    fn push_any(&mut self, data: Pbuf) {
        let extent = data.extent();
        if extent.len == 0 {
            return;
        }
        match self.last_mut() {
            Some(last) => last.next = Some(data),
            None => self.head = Some(data),
        }
        self.last = Some(extent.last);
        self.len = self.len.saturating_add(extent.len);
        self.parts += extent.parts;
    }

    /// Puts `data` before all other bytes. O(parts of `data`).
    pub fn push_front(&mut self, data: Pbuf) {
        let mut queue = Self::from(data);
        queue.append(self);
        *self = queue;
    }

    /// As [`Chain::push`], but if `data` has at most `limit` bytes and they fit behind the last
    /// ones, in a block that nobody else views, copies them there: so that a peer who sends
    /// single bytes cannot pin a block with each of them. A pbuf without bytes counts as copied.
    pub fn push_compact(&mut self, data: Pbuf, limit: usize) -> Pushed {
        let len = data.tot_len();
        if len > 0 && (len > limit || len > self.last_mut().map_or(0, |last| last.tailroom())) {
            self.push(data);
            return Pushed::Linked;
        }
        for part in data.parts() {
            self.append_copy(part);
        }
        Pushed::Copied
    }

    /// Bytes that [`Chain::append_copy`] would take: the room behind the last part, if nobody
    /// shares its block.
    pub fn tail_room(&mut self) -> usize {
        self.last_mut().map_or(0, |last| last.tailroom())
    }

    /// Copies what fits of `data` behind the last bytes, into the free rest of the last block;
    /// returns how many bytes. That is 0 if the queue is empty, the block full or shared.
    pub fn append_copy(&mut self, data: &[u8]) -> usize {
        let done = self.last_mut().map_or(0, |last| last.append_copy(data));
        self.len = self.len.saturating_add(done);
        done
    }

    /// Moves everything in `other` to the end of this queue. O(1).
    pub fn append(&mut self, other: &mut Self) {
        let other = core::mem::take(other);
        let Some(last) = self.last_mut() else {
            *self = other;
            return;
        };
        if other.head.is_some() {
            last.next = other.head;
            self.last = other.last;
            self.len = self.len.saturating_add(other.len);
            self.parts += other.parts;
        }
    }

    /// Takes everything out. O(1).
    pub fn take_all(&mut self) -> Option<Pbuf> {
        core::mem::take(self).head
    }

    /// Takes the first `n` bytes out, or all there are. `None` if that is none.
    ///
    /// # Errors
    ///
    /// [`NoBufs`], changing nothing, if the cut goes through a part and that part's pool has no
    /// free descriptor.
    pub fn take_front(&mut self, n: usize) -> Result<Option<Pbuf>, NoBufs> {
        if n >= self.len {
            return Ok(self.take_all());
        }
        let Some(head) = self.head.as_mut().filter(|_| n > 0) else {
            return Ok(None);
        };
        self.sliced.set(None);
        let cut = head.cut(n)?;
        // There is a rest, for `n` is less than `len`.
        if let Some(rest) = cut.rest.as_ref().filter(|rest| rest.0.next.is_none()) {
            self.last = Some(rest.0.address());
        }
        self.len -= n;
        self.parts = (self.parts + cut.taken).saturating_sub(cut.parts);
        Ok(core::mem::replace(&mut self.head, cut.rest))
    }

    /// Drops the first `n` bytes, or all there are; returns how many.
    pub fn consume(&mut self, n: usize) -> usize {
        if n >= self.len {
            return core::mem::take(self).len;
        }
        let sliced = self.sliced.get_mut();
        // What is cut, or freed, is no place any more.
        *sliced = sliced.and_then(|Place { part, start }| {
            let start = start.checked_sub(n)?;
            Some(Place { part, start })
        });
        let mut left = n;
        // Bytes remain, so the loop ends in front of the last part.
        while let Some(mut first) = self.head.take() {
            let here = first.0.len();
            if left < here {
                first.0.cut_front(left);
                self.head = Some(first);
                break;
            }
            left -= here;
            self.head = first.0.next.take();
            self.parts -= 1;
        }
        self.len -= n;
        n
    }

    /// Frees everything.
    pub fn clear(&mut self) {
        *self = Self::new();
    }

    /// Another owner of the bytes `off..off + len`, see [`Pbuf::slice`]. Slices one after the other
    /// are found in O(parts of the slice), others in O(parts).
    ///
    /// # Errors
    ///
    /// [`NoBufs`] without a free descriptor, if the range is not inside the queue, or if the queue
    /// is empty.
    pub fn slice(&self, off: usize, len: usize) -> Result<Pbuf, NoBufs> {
        let head = self.head.as_ref().ok_or(NoBufs)?;
        let near = self.sliced.get().filter(|place| place.start <= off);
        match near {
            Some(Place { part, start }) => {
                // SAFETY: `part` is a descriptor that `head` owns (3), `head` is borrowed shared
                // with `self` for as long as `rest` lives.
                let rest = unsafe { part.packet() };
                self.slice_from(&rest, start, off, len)
            }
            None => self.slice_from(head, 0, off, len),
        }
    }

    /// As [`Chain::slice`], from `part` on, which has `start` bytes in front of it.
    #[inline]
    fn slice_from(
        &self,
        part: &Pbuf,
        start: usize,
        off: usize,
        len: usize,
    ) -> Result<Pbuf, NoBufs> {
        let skip = off - start;
        if len > 0 && skip + len <= part.first_len() {
            // In the part that the last slice was in: so it mostly is.
            let view = part.0.view(skip, len).ok_or(NoBufs)?;
            return Pbuf::from_node(part.0.pool(), view);
        }
        self.slice_beyond(part, start, off, len)
    }

    /// As [`Chain::slice_from`], if it may go on in the parts behind.
    #[inline(never)]
    fn slice_beyond(
        &self,
        part: &Pbuf,
        start: usize,
        off: usize,
        len: usize,
    ) -> Result<Pbuf, NoBufs> {
        let (slice, place) = part.slice_and_place(off - start, len)?;
        if let Some(place) = place {
            let start = place.start + start;
            self.sliced.set(Some(Place { start, ..place }));
        }
        Ok(slice)
    }

    /// As [`Chain::slice`], with `n` bytes in front that `write` is to fill, for which it is shown
    /// the others: in their block, if they begin a part and end in it, and in front of them is
    /// room that nobody else views. `None` if it is not like that, or without a free descriptor.
    #[inline]
    pub(crate) fn slice_headed(
        &mut self,
        off: usize,
        len: usize,
        n: usize,
        write: impl FnOnce(&mut [u8], &[u8]),
    ) -> Option<Pbuf> {
        let place = self.part_at(off).filter(|_| len > 0)?;
        // SAFETY: `part_at` gives a descriptor that `head` owns, and `head` is borrowed exclusively
        // with `self`.
        let node = unsafe { place.part.node_mut() };
        let view = node.view_headed(n, len, write)?;
        let slice = Pbuf::from_node(node.pool(), view).ok()?;
        self.sliced.set(Some(place));
        Some(slice)
    }

    /// The part that has byte `off` first.
    #[inline]
    fn part_at(&mut self, off: usize) -> Option<Place> {
        let head = self.head.as_ref()?.0.address();
        let near = self.sliced.get().filter(|place| place.start <= off);
        let Place {
            mut part,
            mut start,
        } = near.unwrap_or(Place {
            part: head,
            start: 0,
        });
        while start < off {
            // SAFETY: `part` is a descriptor that `head` owns (3), or linked behind one; `head` is
            // borrowed exclusively with `self`.
            let node = unsafe { part.node_mut() };
            start += node.len();
            if start > off {
                return None; // in the middle of this one
            }
            part = node.next.as_ref()?.0.address();
        }
        Some(Place { part, start })
    }

    /// Copies from offset `off` on into `dst`; returns how many bytes there were to copy.
    pub fn copy_to(&self, off: usize, dst: &mut [u8]) -> usize {
        self.head.as_ref().map_or(0, |head| head.copy_to(off, dst))
    }

    /// Panics if one of the invariants does not hold.
    #[cfg(test)]
    #[track_caller]
    pub(super) fn assert_invariants(&self) {
        let Some(head) = &self.head else {
            assert!(self.last.is_none() && self.len == 0 && self.parts == 0);
            assert!(self.sliced.get().is_none());
            return;
        };
        if let Some(Place { part, start }) = self.sliced.get() {
            let mut before = 0;
            let mut nodes = head.nodes_with_address();
            let found = nodes.find(|(address, len)| {
                let found = *address == part;
                before += if found { 0 } else { *len };
                found
            });
            assert!(found.is_some_and(|(_, len)| len > 0), "sliced");
            assert_eq!(before, start, "bytes in front of it");
        }
        let extent = head.extent();
        assert!(self.last == Some(extent.last), "the last descriptor");
        assert_eq!((self.len, self.parts), (extent.len, extent.parts));
        assert_ne!(self.len, 0);
    }

    fn last_mut(&mut self) -> Option<&mut Node> {
        // SAFETY: `last` is a descriptor that `head` owns (1), `head` is borrowed exclusively with
        // `self` for as long as the result lives.
        self.last.map(|last| unsafe { last.node_mut() })
    }
}

impl From<Pbuf> for Chain {
    /// A queue of the bytes of `data`; empty if there are none.
    fn from(data: Pbuf) -> Self {
        let extent = data.extent();
        if extent.len == 0 {
            return Self::new();
        }
        Self {
            head: Some(data),
            last: Some(extent.last),
            len: extent.len,
            parts: extent.parts,
            sliced: Cell::new(None),
        }
    }
}

impl fmt::Debug for Chain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Chain")
            .field("len", &self.len)
            .field("parts", &self.head)
            .finish()
    }
}
