//! Static storage and the two owning pointers into it. **All `unsafe` is here.**
//!
//! Invariants, each relied on by the `SAFETY` comments below:
//!
//! 1. A [`Slot`]'s node is initialised and reachable only while its bit is set
//!    in `Pool::nodes_used`, and then only through the one [`NodeBox`] for it.
//! 2. A block's bytes are written only through a [`Block`] whose count is one
//!    and which is borrowed mutably; otherwise they are only read.
//! 3. A [`Memory`] and a slot array belong to one [`Pool`] for ever
//!    (the contract of [`Pool::new`], met by construction in [`pbuf_pool!`]).
#![allow(unsafe_code, reason = "owning pointers into static memory")]

use core::cell::UnsafeCell;
use core::mem::MaybeUninit;
use core::ops::{Deref, DerefMut};
use core::ptr::NonNull;

use super::Node;
use super::bitmap::{Bitmap, MAX_SLOTS, RefCount};

/// The bytes of `N` blocks; put it where the DMA engine can reach it.
///
/// 32-byte aligned so that no block shares a cache line with another.
#[repr(C, align(32))]
pub struct Memory<const N: usize, const SIZE: usize>(UnsafeCell<MaybeUninit<[[u8; SIZE]; N]>>);

// SAFETY: the bytes are reached only through `Block`, under invariant 2.
unsafe impl<const N: usize, const SIZE: usize> Sync for Memory<N, SIZE> {}

impl<const N: usize, const SIZE: usize> Memory<N, SIZE> {
    /// Zeroed memory; lives in `.bss` (or the section the static names).
    #[allow(clippy::new_without_default, reason = "for statics only")]
    pub const fn new() -> Self {
        const { assert!(SIZE.is_multiple_of(32), "a block must be whole cache lines") };
        const { assert!(N <= MAX_SLOTS && SIZE <= u16::MAX as usize) };
        Self(UnsafeCell::new(MaybeUninit::zeroed()))
    }
}

/// Room for one packet descriptor.
pub struct Slot {
    live: UnsafeCell<MaybeUninit<Live>>,
    refs: RefCount,
}

/// A descriptor in use, and where to return it.
struct Live {
    node: Node,
    pool: &'static Pool,
    index: u8,
}

// SAFETY: `live` is reached only through the unique `NodeBox` (invariant 1);
// `refs` is atomic.
unsafe impl Sync for Slot {}

impl Slot {
    /// An empty slot.
    #[allow(clippy::new_without_default, reason = "for statics only")]
    #[cfg(not(loom))]
    pub const fn new() -> Self {
        Self {
            live: UnsafeCell::new(MaybeUninit::zeroed()),
            refs: RefCount::zero(),
        }
    }
}

/// A pool of equally sized blocks plus the descriptors to refer to them.
///
/// Not generic: the sizes are erased behind slices, so `&'static Pool` and
/// `Pbuf` carry no type parameter into the protocol code.
pub struct Pool {
    nodes_used: Bitmap,
    blocks_used: Bitmap,
    slots: &'static [Slot],
    base: NonNull<u8>,
    blocks: u8,
    block_size: u16,
}

// SAFETY: all shared state is atomic; `base` is only an address (invariants 1-3).
unsafe impl Sync for Pool {}

impl Pool {
    /// A pool over `memory` with one descriptor per slot.
    ///
    /// # Safety
    ///
    /// No other pool is ever given the same `memory` or `slots`.
    #[cfg(not(loom))]
    pub const unsafe fn new<const N: usize, const SIZE: usize>(
        memory: &'static Memory<N, SIZE>,
        slots: &'static [Slot],
    ) -> Self {
        assert!(slots.len() >= N && slots.len() <= MAX_SLOTS);
        let base = memory.0.get().cast::<u8>();
        Self {
            nodes_used: Bitmap::new(),
            blocks_used: Bitmap::new(),
            slots,
            // SAFETY: the address of a static is not null.
            base: unsafe { NonNull::new_unchecked(base) },
            blocks: N as u8,
            block_size: SIZE as u16,
        }
    }

    /// Blocks not in use right now.
    pub fn available(&self) -> usize {
        usize::from(self.blocks) - self.blocks_used.in_use()
    }

    /// Bytes in one block, headroom included.
    pub fn block_size(&self) -> usize {
        usize::from(self.block_size)
    }

    pub(crate) fn take_block(&'static self) -> Option<Block> {
        let index = self.blocks_used.take(self.blocks.into())?;
        self.slots[index].refs.start();
        Some(Block {
            pool: self,
            index: index as u8,
        })
    }

    pub(crate) fn take_node(&'static self, node: Node) -> Option<NodeBox> {
        let index = self.nodes_used.take(self.slots.len())?;
        let slot = &self.slots[index];
        // SAFETY: the bit was just taken, so no other `NodeBox` to it exists (1).
        unsafe {
            (*slot.live.get()).write(Live {
                node,
                pool: self,
                index: index as u8,
            })
        };
        Some(NodeBox(NonNull::from(slot)))
    }
}

/// Unique owner of one descriptor: a `Box<Node>` from a static pool, one word.
pub(crate) struct NodeBox(NonNull<Slot>);

// SAFETY: it owns its node like a `Box`, and `Node` is `Send` (it holds only
// `NodeBox`, `Block` and `&'static [u8]`).
unsafe impl Send for NodeBox {}
// SAFETY: `&NodeBox` only hands out `&Node`, and `Node: Sync`.
unsafe impl Sync for NodeBox {}

impl NodeBox {
    pub(crate) fn pool(&self) -> &'static Pool {
        self.live().pool
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
        // SAFETY: the slot is static, so the pointer is always valid.
        let slot = unsafe { self.0.as_ref() };
        // SAFETY: as in `live`, and `&mut self` makes the borrow exclusive (1).
        unsafe { &mut (*slot.live.get()).assume_init_mut().node }
    }
}

impl Drop for NodeBox {
    fn drop(&mut self) {
        // SAFETY: the slot is static, so the pointer is always valid.
        let slot = unsafe { self.0.as_ref() };
        // SAFETY: the node is initialised and nobody looks at it again (1).
        let live = unsafe { (*slot.live.get()).assume_init_read() };
        live.pool.nodes_used.release(live.index.into());
    }
}

/// Counted handle to one storage block: an `Arc<[u8]>` from a static pool.
pub(crate) struct Block {
    pool: &'static Pool,
    index: u8,
}

impl Block {
    pub(crate) fn size(&self) -> usize {
        self.pool.block_size()
    }

    pub(crate) fn bytes(&self) -> &[u8] {
        // SAFETY: the block is initialised (zeroed at start), lives for ever,
        // and is not written while this handle is borrowed shared (2).
        unsafe { core::slice::from_raw_parts(self.base().as_ptr(), self.size()) }
    }

    /// The bytes for writing, if no other handle to the block exists.
    pub(crate) fn bytes_mut(&mut self) -> Option<&mut [u8]> {
        if !self.refs().is_unique() {
            return None;
        }
        // SAFETY: the only handle is borrowed mutably here, and a second one
        // can only be cloned from it (2).
        Some(unsafe { core::slice::from_raw_parts_mut(self.base().as_ptr(), self.size()) })
    }

    fn base(&self) -> NonNull<u8> {
        // SAFETY: `index < pool.blocks`, so the offset stays inside the `Memory`.
        unsafe { self.pool.base.add(usize::from(self.index) * self.size()) }
    }

    fn refs(&self) -> &RefCount {
        &self.pool.slots[usize::from(self.index)].refs
    }
}

impl Clone for Block {
    fn clone(&self) -> Self {
        self.refs().acquire();
        Self {
            pool: self.pool,
            index: self.index,
        }
    }
}

impl Drop for Block {
    fn drop(&mut self) {
        if self.refs().release() {
            self.pool.blocks_used.release(self.index.into());
        }
    }
}

/// Declares a pool: `pbuf_pool! { static RX: [1536; 16] }`.
///
/// `+ refs R` adds descriptors for slices and constant data;
/// `, in ".sram_d2"` places the blocks (the bytes alone, not the atomics) in a
/// linker section the DMA engine can reach.
#[macro_export]
macro_rules! pbuf_pool {
    ($(#[$attr:meta])* $vis:vis static $name:ident: [$size:literal; $n:literal]
     $(+ refs $r:literal)? $(, in $section:literal)?) => {
        $(#[$attr])*
        $vis static $name: $crate::pbuf::Pool = {
            $(#[unsafe(link_section = $section)])?
            static MEMORY: $crate::pbuf::Memory<$n, $size> = $crate::pbuf::Memory::new();
            static SLOTS: [$crate::pbuf::Slot; $n $(+ $r)?] = [const { $crate::pbuf::Slot::new() }; $n $(+ $r)?];
            // SAFETY: both statics are private to this block.
            #[allow(unsafe_code)]
            unsafe { $crate::pbuf::Pool::new(&MEMORY, &SLOTS) }
        };
    };
}
