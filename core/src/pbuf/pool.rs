//! Static storage and the owning pointers into it. Beside four lines of `chain` and the assembly of
//! `thumb2`, **all `unsafe` of the crate is here**; what a descriptor says about its block is the
//! business of `node`.
//!
//! Slot `i` goes with block `i`: one bit of `Pool::blocks` takes both, for the block's first view.
//! The slots behind those of the blocks, `Pool::spare`, serve further views and constant data.
//!
//! Invariants, each relied on by the `SAFETY` comments below:
//!
//! 1. A [`Slot`]'s descriptor is initialised and reachable only while its bit (in `Pool::blocks`
//!    or `Pool::spare`) is set, and then only through the one [`NodeBox`] made when the bit was
//!    taken, or through a [`NodeRef`] while that box is exclusively held and not borrowed.
//! 2. A block's bytes are written only through a [`Storage`] of it that is borrowed mutably and
//!    whose count is one; otherwise they are only read. The count is the number of `Storage`s of
//!    the block. Constant data is only read.
//! 3. A [`Memory`], a slot array and bitmap words belong to one [`Pool`] for ever (the contract of
//!    [`Pool::new`], met by construction in [`pbuf_pool!`](crate::pbuf_pool)).
//! 4. `Storage::start` and `Storage::size` are those of a block of a pool, or of constant data.
//! 5. The bit of a block is set from when it is taken until its last `Storage` is gone, also while
//!    the slot of the same number has no descriptor any more: other slots then view the block.
#![allow(unsafe_code, reason = "owning pointers into static memory")]

use core::cell::UnsafeCell;
use core::fmt;
use core::mem::{ManuallyDrop, MaybeUninit};
use core::ops::{Deref, DerefMut};
use core::ptr::NonNull;

use super::Pbuf;
use super::bitmap::{Bitmap, RefCount};
#[cfg(not(loom))]
use super::bitmap::{MAX_SLOTS, Word};
use super::node::Node;

/// The bytes of `N` blocks of `SIZE` bytes; put it where the DMA engine can reach it.
///
/// 32-byte aligned, and `SIZE` a multiple of 32 from 32 to 65,504, so that no block shares a cache
/// line with another. Declared by [`pbuf_pool!`](crate::pbuf_pool).
#[repr(C, align(32))]
pub struct Memory<const N: usize, const SIZE: usize>(UnsafeCell<MaybeUninit<[[u8; SIZE]; N]>>);

// SAFETY: the bytes are reached only through `Block`, under invariant 2.
unsafe impl<const N: usize, const SIZE: usize> Sync for Memory<N, SIZE> {}

#[cfg(not(loom))]
impl<const N: usize, const SIZE: usize> Memory<N, SIZE> {
    /// Zeroed memory; lives in `.bss` (or the section the static names).
    #[allow(clippy::new_without_default, reason = "for statics only")]
    pub const fn new() -> Self {
        const {
            assert!(
                SIZE > 0 && SIZE.is_multiple_of(32),
                "a block must be whole cache lines"
            );
            assert!(SIZE <= Node::MAX_LEN, "a block must be smaller than 64 KiB");
            assert!(N <= MAX_SLOTS, "a pool has at most 65,535 blocks");
        }
        Self(UnsafeCell::new(MaybeUninit::zeroed()))
    }
}

/// Room for one descriptor, and the reference count of the block with the same index.
pub struct Slot {
    live: UnsafeCell<MaybeUninit<Live>>,
    refs: RefCount,
}

/// A descriptor in use, and its number in the pool of its storage.
struct Live {
    node: Node,
    index: u16,
}

// SAFETY: `live` is reached only through the unique `NodeBox` (invariant 1); `refs` is atomic.
unsafe impl Sync for Slot {}

#[cfg(not(loom))]
impl Slot {
    /// An empty slot.
    #[allow(clippy::new_without_default, reason = "for statics only")]
    pub const fn new() -> Self {
        Self {
            live: UnsafeCell::new(MaybeUninit::zeroed()),
            refs: RefCount::zero(),
        }
    }
}

/// A pool of equally sized blocks plus the descriptors to refer to them.
///
/// Declared by [`pbuf_pool!`](crate::pbuf_pool). Not generic: the sizes are erased behind slices,
/// so `&'static Pool` and `Pbuf` carry no type parameter into the protocol code.
///
/// The numbers it reports are exact when no other thread uses the pool, else a moment old.
pub struct Pool {
    name: &'static str,
    /// The blocks, each with the slot of the same number.
    blocks: Bitmap,
    /// The slots behind those of the blocks.
    spare: Bitmap,
    slots: &'static [Slot],
    base: NonNull<u8>,
    block_size: u16,
}

// SAFETY: all shared state is atomic; `base` is only an address (invariants 1-3).
unsafe impl Sync for Pool {}
// SAFETY: as above; nothing in a pool depends on the thread.
unsafe impl Send for Pool {}

impl Pool {
    /// A pool over `memory` with one descriptor per slot. `name` is for diagnostics.
    ///
    /// # Safety
    ///
    /// No other pool is ever given the same `memory`, `slots`, `block_words` or `spare_words`, and
    /// all of them are new.
    ///
    /// # Panics
    ///
    /// For a static, at compile time: if there are fewer slots than blocks, more than 65,535, or
    /// too few words for the blocks or for the slots behind theirs.
    #[cfg(not(loom))]
    pub const unsafe fn new<const N: usize, const SIZE: usize>(
        name: &'static str,
        memory: &'static Memory<N, SIZE>,
        slots: &'static [Slot],
        block_words: &'static [Word],
        spare_words: &'static [Word],
    ) -> Self {
        assert!(slots.len() >= N, "each block needs a descriptor");
        assert!(slots.len() <= MAX_SLOTS, "too many slots for one pool");
        let base = memory.0.get().cast::<u8>();
        Self {
            name,
            blocks: Bitmap::new(block_words, N),
            spare: Bitmap::new(spare_words, slots.len() - N),
            slots,
            // SAFETY: the address of a static is not null.
            base: unsafe { NonNull::new_unchecked(base) },
            // Checked in `Memory::new`.
            block_size: SIZE as u16,
        }
    }

    /// The name of the static that was declared.
    pub fn name(&self) -> &'static str {
        self.name
    }

    /// Bytes in one block, headroom included.
    pub fn block_size(&self) -> usize {
        self.block_size.into()
    }

    /// Number of blocks.
    pub fn blocks(&self) -> usize {
        self.blocks.slots()
    }

    /// Blocks not in use right now. Counts bits: O(blocks / 32).
    pub fn available(&self) -> usize {
        self.blocks().saturating_sub(self.blocks.in_use())
    }

    /// The fewest blocks that were ever free: how close the pool came to running out. (If several
    /// threads use the pool, perhaps a few less than that.)
    pub fn min_available(&self) -> usize {
        self.blocks().saturating_sub(self.blocks.peak())
    }

    /// Number of descriptors; a packet takes one for each of its parts.
    pub fn descriptors(&self) -> usize {
        self.slots.len()
    }

    /// Descriptors not in use right now. Each block has one of its own, which is in use as long as
    /// the block is, whoever views it; so a descriptor taken for something else when no other is
    /// left also takes its block away.
    pub fn descriptors_available(&self) -> usize {
        let in_use = self.blocks.in_use() + self.spare.in_use();
        self.descriptors().saturating_sub(in_use)
    }

    /// The fewest descriptors that were ever free, if those of the blocks and the others were
    /// scarcest at the same time.
    pub fn min_descriptors_available(&self) -> usize {
        let peak = self.blocks.peak() + self.spare.peak();
        self.descriptors().saturating_sub(peak)
    }

    /// A free block in its own slot, as the view `off..off + len`; `None` also if it is shorter.
    pub(super) fn take_block(&'static self, off: usize, len: usize) -> Option<NodeBox> {
        // Asked first, so that nothing has to be given back.
        if off.checked_add(len)? > self.block_size() {
            return None;
        }
        let index = self.blocks.take()?;
        self.view_block(index, off, len)
    }

    /// As [`Pool::take_block`], if a block is to be had at once.
    #[inline]
    pub(super) fn take_block_again(&'static self, off: usize, len: usize) -> Option<NodeBox> {
        if off.checked_add(len)? > self.block_size() {
            return None;
        }
        let index = self.blocks.take_again()?;
        self.view_block(index, off, len)
    }

    /// The first view of block `index`, which was just taken: `off..off + len`, inside it.
    #[inline]
    fn view_block(&'static self, index: u16, off: usize, len: usize) -> Option<NodeBox> {
        // As many slots as blocks, at least: checked in `new`.
        let slot = self.slots.get(usize::from(index))?;
        slot.refs.start();
        let storage = Storage {
            // SAFETY: `index` is less than the number of blocks, so this stays in the `Memory`.
            start: unsafe { self.base.add(usize::from(index) * self.block_size()) },
            pool: self,
            size: self.block_size,
            block: index,
        };
        // Not more than the size, which is a u16.
        let node = Node::new(storage, off as u16, len as u16);
        // SAFETY: the bit was just taken, so no other `NodeBox` to it exists (1).
        Some(unsafe { slot.occupy(node, index) })
    }

    /// A descriptor for a view of a block that has one already, or of constant data.
    pub(super) fn take_node(&'static self, node: Node) -> Option<NodeBox> {
        let index = match self.spare.take() {
            // Both less than the number of slots, which is a u16.
            Some(spare) => self.blocks.slots() as u16 + spare,
            None => self.blocks.take()?,
        };
        let slot = self.slots.get(usize::from(index))?;
        // SAFETY: the bit was just taken, so no other `NodeBox` to it exists (1).
        Some(unsafe { slot.occupy(node, index) })
    }

    /// Returns slot `index`, which is not the one of the block it views.
    fn release_slot(&self, index: u16) {
        // At most 65,535 of them.
        let blocks = self.blocks.slots() as u16;
        match index.checked_sub(blocks) {
            Some(spare) => self.spare.release(spare),
            None => self.blocks.release(index),
        }
    }
}

impl Slot {
    /// Puts a descriptor here.
    ///
    /// # Safety
    ///
    /// The slot's bit, number `index`, was just taken, and no other `NodeBox` was made for it.
    #[inline]
    unsafe fn occupy(&'static self, node: Node, index: u16) -> NodeBox {
        // SAFETY: nobody else can reach it, by this function's contract (1).
        unsafe { (*self.live.get()).write(Live { node, index }) };
        NodeBox(NonNull::from(self))
    }
}

impl fmt::Debug for Pool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pool")
            .field("name", &self.name)
            .field("block_size", &self.block_size)
            .field("blocks", &self.blocks())
            .field("available", &self.available())
            .field("min_available", &self.min_available())
            .field("descriptors", &self.descriptors())
            .field("descriptors_available", &self.descriptors_available())
            .field(
                "min_descriptors_available",
                &self.min_descriptors_available(),
            )
            .finish()
    }
}

/// Unique owner of one descriptor: a `Box<Node>` from a static pool, one word.
pub(super) struct NodeBox(NonNull<Slot>);

// SAFETY: it owns its node like a `Box`, and `Node` is `Send` (it holds only `NodeBox` and
// `Storage`).
unsafe impl Send for NodeBox {}
// SAFETY: `&NodeBox` only hands out `&Node`, and `Node: Sync`.
unsafe impl Sync for NodeBox {}

impl NodeBox {
    /// The address of the descriptor, for a list that keeps its last one.
    pub(super) fn address(&self) -> NodeRef {
        NodeRef(self.0)
    }

    fn live(&self) -> &Live {
        // SAFETY: the slot is static, so the pointer is always valid.
        let slot = unsafe { self.0.as_ref() };
        // SAFETY: initialised in `take_node`; this handle is the only one (1).
        unsafe { (*slot.live.get()).assume_init_ref() }
    }
}

impl Deref for NodeBox {
    type Target = Node;
    fn deref(&self) -> &Node {
        &self.live().node
    }
}

impl DerefMut for NodeBox {
    fn deref_mut(&mut self) -> &mut Node {
        // SAFETY: `&mut self` is an exclusive borrow of the only box (1).
        unsafe { self.address().node_mut() }
    }
}

impl Drop for NodeBox {
    #[inline]
    fn drop(&mut self) {
        // SAFETY: the slot is static, so the pointer is always valid.
        let slot = unsafe { self.0.as_ref() };
        // SAFETY: initialised in `occupy`; this handle is the only one (1).
        let live = unsafe { (*slot.live.get()).assume_init_ref() };
        // A `Pbuf` has unlinked it, so that nothing of the node has to be dropped. It is not looked
        // at any more: once a bit is cleared the slot may be somebody else's.
        debug_assert!(live.node.next.is_none(), "dropped with a part behind it");
        let (viewed, index) = (live.node.viewed(), live.index);
        if viewed.block == index {
            // The block's bit, if nobody else views it, is also that of this slot.
            viewed.give_up_to(&slot.refs);
        } else {
            viewed.give_up();
            viewed.pool.release_slot(index);
        }
    }
}

/// The address of a descriptor that somebody else owns. Harmless by itself.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) struct NodeRef(NonNull<Slot>);

// SAFETY: only an address; whoever follows it (`node_mut`) owes the exclusive access.
unsafe impl Send for NodeRef {}
// SAFETY: as above.
unsafe impl Sync for NodeRef {}

impl NodeRef {
    /// The packet from this descriptor on, to be read.
    ///
    /// # Safety
    ///
    /// As long as the result lives, the descriptor's [`NodeBox`] lives, and nobody has exclusive
    /// access to it or to those linked behind it.
    pub(super) const unsafe fn packet(self) -> ManuallyDrop<Pbuf> {
        ManuallyDrop::new(Pbuf(NodeBox(self.0)))
    }

    /// The descriptor.
    ///
    /// # Safety
    ///
    /// Throughout `'a` its [`NodeBox`] lives, the caller has exclusive access to it, and nothing
    /// else borrows from it.
    pub(super) unsafe fn node_mut<'a>(self) -> &'a mut Node {
        // SAFETY: the slot is static, so the pointer is always valid.
        let slot: &'a Slot = unsafe { self.0.as_ref() };
        // SAFETY: initialised in `take_node`; exclusive by this function's contract (1).
        unsafe { &mut (*slot.live.get()).assume_init_mut().node }
    }
}

/// Which block of which pool a handle is of.
#[derive(Clone, Copy)]
pub(super) struct Viewed {
    pool: &'static Pool,
    /// Number of the block; [`NO_BLOCK`]: constant data.
    block: u16,
}

impl Viewed {
    /// The end of a handle.
    #[inline]
    fn give_up(self) {
        if let Some(refs) = self.refs() {
            self.give_up_to(refs);
        }
    }

    /// As [`Viewed::give_up`], of a handle to the block that has the count `refs`.
    #[inline]
    fn give_up_to(self, refs: &RefCount) {
        if refs.release() {
            self.pool.blocks.release(self.block);
        }
    }

    /// The count of the block.
    #[inline]
    fn refs(self) -> Option<&'static RefCount> {
        // There for each block: as many slots as blocks, at least. `NO_BLOCK` is no slot's number.
        let slot = self.pool.slots.get(usize::from(self.block))?;
        Some(&slot.refs)
    }
}

/// What a descriptor views: one of the handles to a block, counted (an `Arc<[u8]>` from a static
/// pool), or constant data.
pub(super) struct Storage {
    start: NonNull<u8>,
    /// The pool of the block, and of the descriptor.
    pool: &'static Pool,
    size: u16,
    /// Number of the block; [`NO_BLOCK`]: constant data.
    block: u16,
}

/// More than any pool's last block: 65,535 blocks have numbers to 65,534.
const NO_BLOCK: u16 = u16::MAX;

// SAFETY: a handle to bytes that are shared by counting, as an `Arc<[u8]>` (2).
unsafe impl Send for Storage {}
// SAFETY: `&Storage` reads the bytes and makes further handles, as with an `Arc<[u8]>` (2).
unsafe impl Sync for Storage {}

impl Storage {
    /// The first [`Node::MAX_LEN`] bytes of constant data, to be viewed by a descriptor of `pool`.
    pub(super) fn of_static(pool: &'static Pool, data: &'static [u8]) -> Self {
        Self {
            start: NonNull::from(data).cast(),
            pool,
            size: u16::try_from(data.len()).unwrap_or(u16::MAX),
            block: NO_BLOCK,
        }
    }

    pub(super) fn viewed(&self) -> Viewed {
        let (pool, block) = (self.pool, self.block);
        Viewed { pool, block }
    }

    /// The pool of the descriptors that view it.
    pub(super) fn pool(&self) -> &'static Pool {
        self.pool
    }

    pub(super) fn size(&self) -> usize {
        self.size.into()
    }

    /// Number of the block; `None` if it is constant data.
    pub(super) fn block(&self) -> Option<u16> {
        (self.block != NO_BLOCK).then_some(self.block)
    }

    /// The bytes `off..off + len`; none if they are not all inside.
    #[inline]
    pub(super) fn bytes(&self, off: u16, len: u16) -> &[u8] {
        let (start, len) = self.part(off, len);
        // SAFETY: a block is initialised (zeroed at start), lives for ever, and is not written
        // while this handle is borrowed shared; constant data never is (2, 4).
        unsafe { core::slice::from_raw_parts(start.as_ptr(), len) }
    }

    /// The bytes `off..off + len` for writing, none if they are not all inside; `None` if they are
    /// not a block's, or if another handle to it exists.
    #[inline]
    pub(super) fn bytes_mut(&mut self, off: u16, len: u16) -> Option<&mut [u8]> {
        if !self.is_unique() {
            return None;
        }
        let (start, len) = self.part(off, len);
        // SAFETY: a block, whose only handle is borrowed mutably here, and a second one can only
        // be made from it (2, 4).
        Some(unsafe { core::slice::from_raw_parts_mut(start.as_ptr(), len) })
    }

    /// As [`Storage::bytes_mut`], of all bytes from `off` on.
    #[inline]
    pub(super) fn bytes_behind_mut(&mut self, off: u16) -> Option<&mut [u8]> {
        self.bytes_mut(off, self.size.saturating_sub(off))
    }

    /// Where the bytes `off..off + len` are, and how many: none if they are not all inside.
    #[inline]
    fn part(&self, off: u16, len: u16) -> (NonNull<u8>, usize) {
        let (off, len) = (usize::from(off), usize::from(len));
        if off + len > self.size() {
            core::hint::cold_path(); // a branch, not a choice for each of the two
            return (self.start, 0);
        }
        // SAFETY: `off` is not more than the size of what `start` is the start of (4).
        (unsafe { self.start.add(off) }, len)
    }

    /// Whether this is a block, and the only handle to it.
    #[inline]
    pub(super) fn is_unique(&self) -> bool {
        self.refs().is_some_and(RefCount::is_unique)
    }

    /// One more handle; `None` if there are 65,535 already.
    pub(super) fn share(&self) -> Option<Self> {
        if self.refs().is_some_and(|refs| !refs.acquire()) {
            return None;
        }
        Some(Self { ..*self })
    }

    /// As [`Storage::share`], of a block that has no other handle yet, whose bytes `off..off + len`
    /// `write` fills before. `None` if it is not like that, or if `write` says so.
    #[inline]
    pub(super) fn write_and_share(
        &mut self,
        off: u16,
        len: u16,
        write: impl FnOnce(&mut [u8]) -> Option<()>,
    ) -> Option<Self> {
        let refs = self.refs().filter(|refs| refs.is_unique())?;
        let (start, len) = self.part(off, len);
        // SAFETY: as in `bytes_mut`.
        write(unsafe { core::slice::from_raw_parts_mut(start.as_ptr(), len) })?;
        refs.start_second();
        Some(Self { ..*self })
    }

    #[inline]
    fn refs(&self) -> Option<&'static RefCount> {
        self.viewed().refs()
    }
}

impl Drop for Storage {
    #[inline]
    fn drop(&mut self) {
        self.viewed().give_up();
    }
}

/// Declares a [`Pool`](crate::Pool) with its storage: so many blocks of so many bytes.
///
/// Sizes are any constant expression. A block has 32 to 65,504 bytes, a multiple of 32 (whole cache
/// lines); blocks and descriptors are at most 65,535 each. What is out of range does not compile.
///
/// * `+ refs R` adds descriptors for slices and constant data: as many as views of one block exist
///   besides the first (a send queue's segments in flight, for example). If they do not suffice,
///   those of free blocks are taken, and the blocks are then not to be had.
/// * `, in ".section"` places the blocks (the bytes alone, not the atomics) in a linker section
///   the DMA engine can reach.
///
/// ```
/// const MTU: usize = 1500;
/// gannet_core::pbuf_pool! {
///     /// Received frames.
///     pub static RX: [(MTU + 14).next_multiple_of(32); 16] + refs 8, in ".sram_d2"
/// }
/// assert_eq!((RX.blocks(), RX.block_size(), RX.descriptors()), (16, 1536, 24));
/// ```
#[macro_export]
macro_rules! pbuf_pool {
    ($(#[$attr:meta])* $vis:vis static $name:ident: [$size:expr; $n:expr]
     $(+ refs $r:expr)? $(, in $section:literal)? $(,)? $(;)?) => {
        $(#[$attr])*
        $vis static $name: $crate::pbuf::Pool = {
            use $crate::pbuf::storage as __gannet;
            $(#[unsafe(link_section = $section)])?
            static __GANNET_MEMORY: __gannet::Memory<{ $n }, { $size }> = __gannet::Memory::new();
            static __GANNET_SLOTS: [__gannet::Slot; ($n) $(+ ($r))?] =
                [const { __gannet::Slot::new() }; ($n) $(+ ($r))?];
            static __GANNET_BLOCK_WORDS: [__gannet::Word; __gannet::words($n)] =
                [const { __gannet::Word::new() }; __gannet::words($n)];
            static __GANNET_SPARE_WORDS: [__gannet::Word; __gannet::words(0 $(+ ($r))?)] =
                [const { __gannet::Word::new() }; __gannet::words(0 $(+ ($r))?)];
            // SAFETY: the statics are private to this block.
            unsafe {
                $crate::pbuf::Pool::new(
                    ::core::stringify!($name),
                    &__GANNET_MEMORY,
                    &__GANNET_SLOTS,
                    &__GANNET_BLOCK_WORDS,
                    &__GANNET_SPARE_WORDS,
                )
            }
        };
    };
}
