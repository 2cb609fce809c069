//! Static storage and the owning pointers into it. Beside two lines of `chain`, **all `unsafe` of
//! the crate is here**; what a descriptor says about its block is the business of `node`.
//!
//! Invariants, each relied on by the `SAFETY` comments below:
//!
//! 1. A [`Slot`]'s descriptor is initialised and reachable only while its bit is set in
//!    `Pool::nodes`, and then only through the one [`NodeBox`] made when the bit was taken, or
//!    through a [`NodeRef`] while that box is exclusively held and not borrowed.
//! 2. A block's bytes are written only through a [`Block`] whose count is one and which is
//!    borrowed mutably; otherwise they are only read. The count is the number of `Block`s.
//! 3. A [`Memory`], a slot array and bitmap words belong to one [`Pool`] for ever (the contract of
//!    [`Pool::new`], met by construction in [`pbuf_pool!`](crate::pbuf_pool)).
//! 4. `Block::index` came from `Pool::blocks`, hence is less than the number of blocks.
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

/// A descriptor in use, and where to return it.
struct Live {
    node: Node,
    pool: &'static Pool,
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
    nodes: Bitmap,
    blocks: Bitmap,
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
    /// No other pool is ever given the same `memory`, `slots`, `block_words` or `slot_words`, and
    /// all of them are new.
    ///
    /// # Panics
    ///
    /// For a static, at compile time: if there are fewer slots than blocks, more than 65,535, or
    /// too few words for either.
    #[cfg(not(loom))]
    pub const unsafe fn new<const N: usize, const SIZE: usize>(
        name: &'static str,
        memory: &'static Memory<N, SIZE>,
        slots: &'static [Slot],
        block_words: &'static [Word],
        slot_words: &'static [Word],
    ) -> Self {
        assert!(slots.len() >= N, "each block needs a descriptor");
        let base = memory.0.get().cast::<u8>();
        Self {
            name,
            nodes: Bitmap::new(slot_words, slots.len()),
            blocks: Bitmap::new(block_words, N),
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

    /// Blocks not in use right now.
    pub fn available(&self) -> usize {
        self.blocks().saturating_sub(self.blocks.in_use())
    }

    /// The fewest blocks that were ever free: how close the pool came to running out.
    pub fn min_available(&self) -> usize {
        self.blocks().saturating_sub(self.blocks.peak())
    }

    /// Number of descriptors; a packet takes one for each of its parts.
    pub fn descriptors(&self) -> usize {
        self.nodes.slots()
    }

    /// Descriptors not in use right now.
    pub fn descriptors_available(&self) -> usize {
        self.descriptors().saturating_sub(self.nodes.in_use())
    }

    /// The fewest descriptors that were ever free.
    pub fn min_descriptors_available(&self) -> usize {
        self.descriptors().saturating_sub(self.nodes.peak())
    }

    pub(super) fn take_block(&'static self) -> Option<Block> {
        let index = self.blocks.take()?;
        // As many slots as blocks, at least: checked in `new`.
        self.slots.get(usize::from(index))?.refs.start();
        Some(Block { pool: self, index })
    }

    pub(super) fn take_node(&'static self, node: Node) -> Option<NodeBox> {
        let index = self.nodes.take()?;
        let slot = self.slots.get(usize::from(index))?;
        // SAFETY: the bit was just taken, so no other `NodeBox` to it exists (1).
        unsafe {
            (*slot.live.get()).write(Live {
                node,
                pool: self,
                index,
            })
        };
        Some(NodeBox(NonNull::from(slot)))
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

// SAFETY: it owns its node like a `Box`, and `Node` is `Send` (it holds only `NodeBox`, `Block`
// and `&'static [u8]`).
unsafe impl Send for NodeBox {}
// SAFETY: `&NodeBox` only hands out `&Node`, and `Node: Sync`.
unsafe impl Sync for NodeBox {}

impl NodeBox {
    pub(super) fn pool(&self) -> &'static Pool {
        self.live().pool
    }

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
    fn drop(&mut self) {
        // SAFETY: the slot is static, so the pointer is always valid.
        let slot = unsafe { self.0.as_ref() };
        // SAFETY: initialised in `take_node`; this handle is the only one (1).
        let live = unsafe { (*slot.live.get()).assume_init_mut() };
        let (pool, index) = (live.pool, live.index);
        // SAFETY: the node is initialised and nobody looks at it again: the bit is cleared next (1).
        unsafe { core::ptr::drop_in_place(&raw mut live.node) };
        pool.nodes.release(index);
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

/// Counted handle to one storage block: an `Arc<[u8]>` from a static pool.
pub(super) struct Block {
    pool: &'static Pool,
    index: u16,
}

impl Block {
    pub(super) fn size(&self) -> usize {
        self.pool.block_size()
    }

    pub(super) fn bytes(&self) -> &[u8] {
        // SAFETY: the block is initialised (zeroed at start), lives for ever, and is not written
        // while this handle is borrowed shared (2).
        unsafe { core::slice::from_raw_parts(self.base().as_ptr(), self.size()) }
    }

    /// The bytes for writing, if no other handle to the block exists.
    pub(super) fn bytes_mut(&mut self) -> Option<&mut [u8]> {
        if !self.is_unique() {
            return None;
        }
        // SAFETY: the only handle is borrowed mutably here, and a second one can only be made
        // from it (2).
        Some(unsafe { core::slice::from_raw_parts_mut(self.base().as_ptr(), self.size()) })
    }

    pub(super) fn is_unique(&self) -> bool {
        self.refs().is_some_and(RefCount::is_unique)
    }

    /// One more handle; `None` if there are 65,535 already.
    pub(super) fn share(&self) -> Option<Self> {
        self.refs()?.acquire().then_some(Self {
            pool: self.pool,
            index: self.index,
        })
    }

    pub(super) fn is_same(&self, other: &Self) -> bool {
        self.base() == other.base()
    }

    fn base(&self) -> NonNull<u8> {
        // SAFETY: `index` is less than the number of blocks (4), so this stays in the `Memory`.
        unsafe { self.pool.base.add(usize::from(self.index) * self.size()) }
    }

    fn refs(&self) -> Option<&RefCount> {
        // Always there: as many slots as blocks, at least.
        self.pool
            .slots
            .get(usize::from(self.index))
            .map(|slot| &slot.refs)
    }
}

impl Drop for Block {
    fn drop(&mut self) {
        if self.refs().is_some_and(RefCount::release) {
            self.pool.blocks.release(self.index);
        }
    }
}

/// Declares a [`Pool`](crate::Pool) with its storage: so many blocks of so many bytes.
///
/// Sizes are any constant expression. A block has 32 to 65,504 bytes, a multiple of 32 (whole cache
/// lines); blocks and descriptors are at most 65,535 each. What is out of range does not compile.
///
/// * `+ refs R` adds descriptors for slices and constant data: as many as views of one block exist
///   besides the first (a send queue's segments in flight, for example).
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
            static __GANNET_SLOT_WORDS: [__gannet::Word; __gannet::words(($n) $(+ ($r))?)] =
                [const { __gannet::Word::new() }; __gannet::words(($n) $(+ ($r))?)];
            // SAFETY: the statics are private to this block.
            unsafe {
                $crate::pbuf::Pool::new(
                    ::core::stringify!($name),
                    &__GANNET_MEMORY,
                    &__GANNET_SLOTS,
                    &__GANNET_BLOCK_WORDS,
                    &__GANNET_SLOT_WORDS,
                )
            }
        };
    };
}
