//! Packet buffers: [`Pbuf`], an owned chain of views into shared blocks, and its making, headers
//! and parts. Byte ranges across parts are in `range`, queues in [`Chain`], storage in [`Pool`],
//! the loop that copies in `copy`.
#[cfg(not(loom))]
mod bitmap;
#[cfg(loom)]
#[doc(hidden)]
pub mod bitmap;
mod chain;
mod copy;
mod node;
mod pool;
mod range;
mod sync;
#[cfg(thumb2)]
pub(crate) mod thumb2;

use core::fmt;

pub use self::chain::{Chain, Pushed};
pub use self::pool::Pool;

use self::node::Node;
use self::pool::{NodeBox, NodeRef};

/// What [`pbuf_pool!`](crate::pbuf_pool) declares a pool's statics with; nothing to use directly.
#[doc(hidden)]
pub mod storage {
    pub use super::bitmap::{Word, words};
    pub use super::pool::{Memory, Slot};
}

/// The pool has no free block or no free descriptor.
///
/// Functions that take a range of bytes also return it for a range outside the packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NoBufs;

impl fmt::Display for NoBufs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("no packet buffer is free")
    }
}

impl core::error::Error for NoBufs {}

impl From<NoBufs> for crate::Error {
    fn from(_: NoBufs) -> Self {
        Self::NoMemory
    }
}

/// A packet, or part of one: an owned chain of views into shared storage. One word.
///
/// Each part is a *descriptor* (offset, length, next) that views a *block* of its [`Pool`] or
/// constant data. Blocks are counted, descriptors have one owner: two pbufs can view the same
/// bytes, each in its own way, and bytes that somebody else views cannot be written.
///
/// Dropping it returns descriptors and (when the last view goes) blocks to their pools, on
/// whichever thread or interrupt handler that happens.
///
/// | lwIP                                | here                                              |
/// |-------------------------------------|---------------------------------------------------|
/// | `pbuf_alloc(layer, len, PBUF_POOL)` | [`Pbuf::alloc`]                                   |
/// | `PBUF_ROM` + `p->payload = data`    | [`Pbuf::from_static`]                             |
/// | `PBUF_REF`                          | none: lend a block of a pool of your own          |
/// | `p->payload`, `p->len`              | [`Pbuf::data`], [`Pbuf::data_mut`]                |
/// | `p->tot_len`, `pbuf_clen`           | [`Pbuf::tot_len`], [`Pbuf::clen`]                 |
/// | `p->next`                           | [`Pbuf::parts`]                                   |
/// | `pbuf_add_header`                   | [`Pbuf::add_header`], else [`Pbuf::prepend`]      |
/// | `pbuf_remove_header`                | [`Pbuf::remove_header`]                           |
/// | `pbuf_free_header`                  | [`Pbuf::advance`]                                 |
/// | `pbuf_realloc`                      | [`Pbuf::truncate`]                                |
/// | `pbuf_ref` + offset arithmetic      | [`Pbuf::slice`]                                   |
/// | `pbuf_cat`, `pbuf_chain`            | [`Pbuf::cat`]                                     |
/// | `pbuf_split_64k`                    | [`Pbuf::split_off`]                               |
/// | `pbuf_copy_partial`, `pbuf_take`    | [`Pbuf::copy_to`], [`Pbuf::copy_from`]            |
/// | `pbuf_free`                         | `drop`                                            |
///
/// ```
/// use gannet_core::{Pbuf, pbuf_pool};
/// pbuf_pool! { static TX: [128; 4] + refs 4 }
///
/// let mut packet = Pbuf::alloc(&TX, 40, 5)?;
/// packet.copy_from(b"hello");
/// packet.add_header(2).unwrap().copy_from_slice(b"H:");
/// let word = packet.slice(2, 5)?; // the same bytes, not a copy
/// assert_eq!((packet.data(), word.data()), (&b"H:hello"[..], &b"hello"[..]));
/// assert!(packet.data_mut().is_none(), "two views: read only");
/// drop((packet, word));
/// assert_eq!(TX.available(), 4);
/// # Ok::<(), gannet_core::NoBufs>(())
/// ```
#[doc(alias = "pbuf")]
#[doc(alias = "pbuf_free")]
pub struct Pbuf(NodeBox);

impl Pbuf {
    /// `len` writable bytes after `headroom` free ones, in one block if they fit, else in a chain
    /// of blocks. The bytes are whatever the blocks held before.
    ///
    /// # Errors
    ///
    /// [`NoBufs`] if the pool has not enough blocks or descriptors, or if `headroom` is more than
    /// [`Pool::block_size`].
    #[doc(alias = "pbuf_alloc")]
    pub fn alloc(pool: &'static Pool, headroom: usize, len: usize) -> Result<Self, NoBufs> {
        match pool.take_block_again(headroom, len) {
            Some(block) => Ok(Self(block)),
            None => Self::alloc_blocks(pool, headroom, len),
        }
    }

    /// As [`Pbuf::alloc`], when a block has to be searched for, or is not enough.
    #[cold]
    fn alloc_blocks(pool: &'static Pool, headroom: usize, len: usize) -> Result<Self, NoBufs> {
        if headroom.saturating_add(len) <= pool.block_size() {
            return Self::from_block(pool, headroom, len);
        }
        let size = pool.block_size();
        let first = len.min(size.checked_sub(headroom).ok_or(NoBufs)?);
        let mut left = len - first;
        // Asked first, so that a hopeless request does not take the blocks of others for a while.
        // (A block is never empty: the compiler does not know.) What was never taken is known
        // without counting.
        let more = left.div_ceil(size.max(1));
        if more >= pool.min_available() && more >= pool.available() {
            return Err(NoBufs);
        }
        let mut head = Self::from_block(pool, headroom, first)?;
        let mut end = &mut head.0.next;
        while left > 0 {
            let part = left.min(size);
            end = &mut end.insert(Self::from_block(pool, 0, part)?).0.next;
            left -= part;
        }
        Ok(head)
    }

    /// Constant data, referenced in place; only descriptors are taken, one for each 65,535 bytes
    /// (one for no bytes).
    ///
    /// # Errors
    ///
    /// [`NoBufs`] if the pool has not enough descriptors.
    #[doc(alias = "PBUF_ROM")]
    pub fn from_static(pool: &'static Pool, data: &'static [u8]) -> Result<Self, NoBufs> {
        let mut chunks = data.chunks(Node::MAX_LEN);
        let mut head = Self::from_node(pool, Node::of_static(pool, chunks.next().unwrap_or(&[])))?;
        let mut end = &mut head.0.next;
        for chunk in chunks {
            end = &mut end
                .insert(Self::from_node(pool, Node::of_static(pool, chunk))?)
                .0
                .next;
        }
        Ok(head)
    }

    /// The first part's bytes.
    #[doc(alias = "payload")]
    pub fn data(&self) -> &[u8] {
        self.0.bytes()
    }

    /// The first part's bytes for writing; `None` if another pbuf views the block, or if they are
    /// constant data.
    pub fn data_mut(&mut self) -> Option<&mut [u8]> {
        self.0.bytes_mut()
    }

    /// The chain as slices: what a scatter-gather driver programs into DMA. A part may be empty.
    pub fn parts(&self) -> Parts<'_> {
        Parts(Some(self))
    }

    /// Bytes of the first part.
    pub(crate) fn first_len(&self) -> usize {
        self.0.len()
    }

    /// Bytes in the whole chain.
    pub fn tot_len(&self) -> usize {
        let mut len = self.0.len();
        let mut next = &self.0.next;
        while let Some(part) = next {
            len = len.saturating_add(part.0.len());
            next = &part.0.next;
        }
        len
    }

    /// Whether the whole chain has no bytes.
    pub fn is_empty(&self) -> bool {
        self.parts().all(<[u8]>::is_empty)
    }

    /// Number of parts (descriptors) in the chain, at least one.
    #[doc(alias = "pbuf_clen")]
    pub fn clen(&self) -> usize {
        self.extent().parts
    }

    /// Bytes in front of the first part that [`Pbuf::add_header`] could add now.
    pub fn headroom(&self) -> usize {
        self.0.headroom()
    }

    /// Grows the first part to the front by `n` bytes and returns them, to be written.
    ///
    /// `None`, changing nothing, when there is no headroom or the block is shared; the caller then
    /// chains a fresh header in front ([`Pbuf::prepend`]).
    #[doc(alias = "pbuf_add_header")]
    #[must_use = "the new bytes hold old data"]
    #[inline]
    pub fn add_header(&mut self, n: usize) -> Option<&mut [u8]> {
        self.0.grow_front(n)
    }

    /// Chains `header` in front and returns the whole.
    #[must_use]
    pub fn prepend(self, mut header: Self) -> Self {
        header.cat(self);
        header
    }

    /// Hides the first `n` bytes, e.g. a header that has been read; [`Pbuf::add_header`] can bring
    /// them back.
    ///
    /// Returns `false`, changing nothing, if the first part is shorter.
    #[doc(alias = "pbuf_remove_header")]
    #[must_use]
    pub fn remove_header(&mut self, n: usize) -> bool {
        let enough = n <= self.0.len();
        if enough {
            self.0.cut_front(n);
        }
        enough
    }

    /// Shows the `n` bytes again that [`Pbuf::remove_header`] hid, to be read: others may view the
    /// block.
    ///
    /// Returns `false`, changing nothing, if there are not so many in front.
    #[must_use]
    pub(crate) fn uncover(&mut self, n: usize) -> bool {
        self.0.uncover_front(n)
    }

    /// Whether some part is of a pool that has given away three quarters of its blocks: who could
    /// do without the packet should leave the rest to others.
    #[cfg(any(feature = "raw", feature = "packet"))]
    pub(crate) fn is_pool_short(&self) -> bool {
        let is_short = |pool: &Pool| pool.available() < pool.blocks() / 4;
        self.nodes().any(|node| is_short(node.pool()))
    }

    /// Grows the last part to the back by `n` bytes and returns them, to be written.
    ///
    /// `None`, changing nothing, when the block ends before or is shared. A driver that knows the
    /// length only after reading rather allocates a whole block and [`Pbuf::truncate`]s it.
    #[must_use = "the new bytes hold old data"]
    pub fn grow(&mut self, n: usize) -> Option<&mut [u8]> {
        self.last_mut().0.grow_back(n)
    }

    /// Copies what fits of `data` behind the last part, into the free rest of its block; returns
    /// how many bytes. That is 0 if the block is full or shared.
    pub fn append_copy(&mut self, data: &[u8]) -> usize {
        self.last_mut().0.append_copy(data)
    }

    /// Appends `tail`, taking it over.
    #[doc(alias = "pbuf_cat")]
    #[doc(alias = "pbuf_chain")]
    #[inline]
    pub fn cat(&mut self, tail: Self) {
        let last = match self.0.next.is_none() {
            true => self,
            false => self.last_mut(),
        };
        last.0.next = Some(tail);
    }

    /// Whether all bytes may be written: no other pbuf views any of its blocks, and none of it is
    /// constant data.
    pub fn is_unique(&self) -> bool {
        self.nodes().all(Node::is_writable)
    }

    /// Whether some part of `self` and some part of `other` view the same block.
    pub fn shares_block(&self, other: &Self) -> bool {
        self.nodes()
            .any(|a| other.nodes().any(|b| a.shares_block(b)))
    }

    /// Bytes of pool memory the packet keeps from others: the sizes of its blocks, whatever part
    /// of them it views.
    pub(crate) fn block_bytes(&self) -> usize {
        self.nodes().map(Node::block_size).sum()
    }

    /// A descriptor without storage, from the pool of this one's.
    fn empty(pool: &'static Pool) -> Result<Self, NoBufs> {
        Self::from_node(pool, Node::of_static(pool, &[]))
    }

    fn from_block(pool: &'static Pool, off: usize, len: usize) -> Result<Self, NoBufs> {
        pool.take_block(off, len).map(Self).ok_or(NoBufs)
    }

    #[inline]
    fn from_node(pool: &'static Pool, node: Node) -> Result<Self, NoBufs> {
        pool.take_node(node).map(Self).ok_or(NoBufs)
    }

    fn nodes(&self) -> impl Iterator<Item = &Node> {
        core::iter::successors(Some(self), |part| part.0.next.as_ref()).map(|part| &*part.0)
    }

    #[cfg(test)]
    fn nodes_with_address(&self) -> impl Iterator<Item = (NodeRef, usize)> {
        core::iter::successors(Some(self), |part| part.0.next.as_ref())
            .map(|part| (part.0.address(), part.0.len()))
    }

    /// Drops all parts but the first.
    #[inline(never)]
    fn drop_behind(&mut self) {
        // Unlinked first: recursion depth must not depend on the chain's length.
        let mut next = self.0.next.take();
        while let Some(mut part) = next {
            next = part.0.next.take();
        }
    }

    fn last_mut(&mut self) -> &mut Self {
        let mut part = self;
        while part.0.next.is_some() {
            part = part.0.next.as_mut().expect("checked by the loop");
        }
        part
    }

    /// One walk along the chain.
    fn extent(&self) -> Extent {
        let mut extent = Extent {
            len: self.0.len(),
            parts: 1,
            last: self.0.address(),
        };
        let mut part = self;
        while let Some(next) = &part.0.next {
            extent.len = extent.len.saturating_add(next.0.len());
            extent.parts += 1;
            extent.last = next.0.address();
            part = next;
        }
        extent
    }
}

/// What a walk along a chain finds.
struct Extent {
    len: usize,
    parts: usize,
    last: NodeRef,
}

impl Drop for Pbuf {
    #[inline]
    fn drop(&mut self) {
        if self.0.next.is_some() {
            self.drop_behind();
        }
    }
}

/// The lengths of the parts.
impl fmt::Debug for Pbuf {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Pbuf")?;
        f.debug_list()
            .entries(self.parts().map(<[u8]>::len))
            .finish()
    }
}

/// Iterator over the slices of a chain; see [`Pbuf::parts`].
#[derive(Clone, Debug)]
pub struct Parts<'a>(Option<&'a Pbuf>);

impl<'a> Iterator for Parts<'a> {
    type Item = &'a [u8];

    fn next(&mut self) -> Option<&'a [u8]> {
        let part = self.0?;
        self.0 = part.0.next.as_ref();
        Some(part.data())
    }
}

#[cfg(all(test, not(loom)))]
mod tests;
