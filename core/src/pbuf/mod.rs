//! Packet buffers: views into shared blocks, chained. Safe code only.
mod bitmap;
pub mod pool;
mod sync;

use core::fmt;

pub use self::pool::{Memory, Pool, Slot};

use self::pool::{Block, NodeBox};

/// The pool has no free block or no free descriptor.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NoBufs;

enum Store {
    /// Pool memory, shared by counting.
    Block(Block),
    /// Constant data; `PBUF_ROM` in lwIP.
    Static(&'static [u8]),
}

/// One descriptor. `off..off + len` is the view into `store`.
pub(crate) struct Node {
    next: Option<Pbuf>,
    store: Store,
    off: u16,
    len: u16,
}

/// A packet, or part of one: an owned chain of views into shared storage.
///
/// Dropping it returns descriptors and (when the last view goes) blocks to their
/// pools, from whichever thread that happens on.
///
/// | lwIP                              | here                                   |
/// |-----------------------------------|----------------------------------------|
/// | `pbuf_alloc(layer, len, POOL)`    | [`Pbuf::alloc`]                        |
/// | `PBUF_ROM` + `p->payload = d`     | [`Pbuf::from_static`]                  |
/// | `p->payload`, `p->len`            | [`Pbuf::data`]                         |
/// | `p->tot_len`                      | [`Pbuf::tot_len`]                      |
/// | `pbuf_add_header`                 | [`Pbuf::add_header`]                   |
/// | `pbuf_remove_header`              | [`Pbuf::remove_header`]                |
/// | `pbuf_realloc`                    | [`Pbuf::truncate`]                     |
/// | `pbuf_ref` + offset arithmetic    | [`Pbuf::slice`]                        |
/// | `pbuf_cat` / `pbuf_chain`         | [`Pbuf::cat`]                          |
/// | `pbuf_copy_partial` / `pbuf_take` | [`Pbuf::copy_to`] / [`Pbuf::copy_from`]|
/// | `pbuf_free`                       | `drop`                                 |
pub struct Pbuf(NodeBox);

impl Pbuf {
    /// `len` writable bytes after `headroom` free ones, chained if need be.
    pub fn alloc(pool: &'static Pool, headroom: usize, len: usize) -> Result<Self, NoBufs> {
        let room = pool.block_size().saturating_sub(headroom);
        let first = len.min(room);
        let mut head = Self::from_block(pool, headroom.min(pool.block_size()), first)?;
        let mut left = len - first;
        while left > 0 {
            let part = left.min(pool.block_size());
            head.cat(Self::from_block(pool, 0, part)?);
            left -= part;
        }
        Ok(head)
    }

    /// Constant data, referenced in place; only a descriptor is taken.
    pub fn from_static(pool: &'static Pool, data: &'static [u8]) -> Result<Self, NoBufs> {
        let len = u16::try_from(data.len()).map_err(|_| NoBufs)?;
        Self::node(
            pool,
            Node {
                next: None,
                store: Store::Static(data),
                off: 0,
                len,
            },
        )
    }

    /// Grows the first part to the front by `n` bytes and returns them.
    ///
    /// `None` when there is no headroom or the storage is shared; the caller
    /// then chains a fresh header in front instead.
    pub fn add_header(&mut self, n: usize) -> Option<&mut [u8]> {
        let node = &mut *self.0;
        let off = usize::from(node.off).checked_sub(n)?;
        let Store::Block(block) = &mut node.store else {
            return None;
        };
        let bytes = block.bytes_mut()?;
        node.off = off as u16;
        node.len += n as u16;
        Some(&mut bytes[off..off + n])
    }

    /// Hides the first `n` bytes, e.g. a header that has been read.
    ///
    /// Returns `false`, changing nothing, if the first part is shorter.
    #[must_use]
    pub fn remove_header(&mut self, n: usize) -> bool {
        let node = &mut *self.0;
        if n > usize::from(node.len) {
            return false;
        }
        node.off += n as u16;
        node.len -= n as u16;
        true
    }

    /// Cuts the chain to at most `len` bytes, freeing what falls off.
    pub fn truncate(&mut self, len: usize) {
        let mut left = len;
        let mut part = self;
        loop {
            let node = &mut *part.0;
            if left <= usize::from(node.len) {
                node.len = left as u16;
                node.next = None;
                return;
            }
            left -= usize::from(node.len);
            match &mut node.next {
                Some(next) => part = next,
                None => return,
            }
        }
    }

    /// Appends `tail`, taking it over.
    pub fn cat(&mut self, tail: Self) {
        let mut part = self;
        while part.0.next.is_some() {
            part = part.0.next.as_mut().expect("checked by the loop");
        }
        part.0.next = Some(tail);
    }

    /// Another owner of bytes `off..off + len`: no copy, storage shared.
    pub fn slice(&self, off: usize, len: usize) -> Result<Self, NoBufs> {
        let mut out: Option<Self> = None;
        let (mut skip, mut left) = (off, len);
        let mut part = Some(self);
        while let Some(p) = part {
            let node = &*p.0;
            let here = usize::from(node.len);
            if skip < here && left > 0 {
                let n = left.min(here - skip);
                let view = Node {
                    next: None,
                    store: match &node.store {
                        Store::Block(b) => Store::Block(b.clone()),
                        Store::Static(s) => Store::Static(s),
                    },
                    off: node.off + skip as u16,
                    len: n as u16,
                };
                let view = Self::node(p.0.pool(), view)?;
                match &mut out {
                    Some(head) => head.cat(view),
                    None => out = Some(view),
                }
                left -= n;
                skip = 0;
            } else {
                skip -= here.min(skip);
            }
            part = node.next.as_ref();
        }
        if left > 0 {
            Err(NoBufs)
        } else {
            out.ok_or(NoBufs)
        }
    }

    /// Writes `data` from the start of the chain; returns how much fitted.
    pub fn copy_from(&mut self, data: &[u8]) -> usize {
        let mut done = 0;
        let mut part = Some(self);
        while let Some(p) = part {
            if done == data.len() {
                break;
            }
            let Some(room) = p.data_mut() else { break };
            let n = room.len().min(data.len() - done);
            room[..n].copy_from_slice(&data[done..done + n]);
            done += n;
            part = p.0.next.as_mut();
        }
        done
    }

    /// The first part's bytes for writing, unless the storage is shared or ROM.
    pub fn data_mut(&mut self) -> Option<&mut [u8]> {
        let node = &mut *self.0;
        let Store::Block(block) = &mut node.store else {
            return None;
        };
        let off = usize::from(node.off);
        Some(&mut block.bytes_mut()?[off..off + usize::from(node.len)])
    }

    /// Takes the rest of the chain off.
    pub fn split_rest(&mut self) -> Option<Self> {
        self.0.next.take()
    }

    /// The first part's bytes.
    pub fn data(&self) -> &[u8] {
        let node = &*self.0;
        let all = match &node.store {
            Store::Block(block) => block.bytes(),
            Store::Static(data) => data,
        };
        &all[usize::from(node.off)..][..usize::from(node.len)]
    }

    /// Bytes in the whole chain.
    pub fn tot_len(&self) -> usize {
        self.parts().map(<[u8]>::len).sum()
    }

    /// The chain as slices: what a scatter-gather driver programs into DMA.
    pub fn parts(&self) -> Parts<'_> {
        Parts(Some(self))
    }

    /// Copies from offset `off` of the chain into `dst`; returns how much.
    pub fn copy_to(&self, off: usize, dst: &mut [u8]) -> usize {
        let (mut skip, mut done) = (off, 0);
        for part in self.parts() {
            let from = &part[skip.min(part.len())..];
            let n = from.len().min(dst.len() - done);
            dst[done..done + n].copy_from_slice(&from[..n]);
            done += n;
            skip -= skip.min(part.len());
        }
        done
    }

    fn from_block(pool: &'static Pool, off: usize, len: usize) -> Result<Self, NoBufs> {
        let block = pool.take_block().ok_or(NoBufs)?;
        debug_assert!(off + len <= block.size());
        let (off, len) = (off as u16, len as u16);
        Self::node(
            pool,
            Node {
                next: None,
                store: Store::Block(block),
                off,
                len,
            },
        )
    }

    fn node(pool: &'static Pool, node: Node) -> Result<Self, NoBufs> {
        pool.take_node(node).map(Self).ok_or(NoBufs)
    }
}

impl Drop for Pbuf {
    fn drop(&mut self) {
        // Unlink first: recursion depth must not depend on the chain's length.
        let mut next = self.0.next.take();
        while let Some(mut part) = next {
            next = part.0.next.take();
        }
    }
}

impl fmt::Debug for Pbuf {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list()
            .entries(self.parts().map(<[u8]>::len))
            .finish()
    }
}

/// Iterator over the slices of a chain; see [`Pbuf::parts`].
pub struct Parts<'a>(Option<&'a Pbuf>);

impl<'a> Iterator for Parts<'a> {
    type Item = &'a [u8];
    fn next(&mut self) -> Option<&'a [u8]> {
        let p = self.0?;
        self.0 = p.0.next.as_ref();
        Some(p.data())
    }
}
