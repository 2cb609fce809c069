//! FreeRTOS's heap as Rust's allocator, for firmware.
//!
//! The kernel aligns what it gives to 8 bytes. What wants more gets a larger piece, with the address
//! to give back in front of it.
use core::alloc::{GlobalAlloc, Layout};
use core::ffi::c_void;
use core::ptr;

use crate::ffi;

/// `portBYTE_ALIGNMENT` of all ports used here.
const KERNEL_ALIGNMENT: usize = 8;
/// In front of a piece of larger alignment.
const ADDRESS_LEN: usize = size_of::<*mut c_void>();

/// FreeRTOS's heap as Rust's allocator, for any alignment:
/// `#[global_allocator] static HEAP: Heap = Heap;`
///
/// For tasks, and before the scheduler starts; not in interrupt handlers, as the kernel's functions.
/// The simulator's programs use the host's allocator instead (`host!`).
#[derive(Clone, Copy, Debug, Default)]
pub struct Heap;

impl Heap {
    /// Bytes that are free now.
    pub fn available(&self) -> usize {
        ffi::xPortGetFreeHeapSize()
    }

    /// The fewest bytes that were ever free.
    pub fn min_available(&self) -> usize {
        ffi::xPortGetMinimumEverFreeHeapSize()
    }
}

// SAFETY: pieces come from the kernel's allocator, do not overlap, and are aligned: either the
// kernel's alignment is enough, or the piece is moved up in one that is larger by the difference.
unsafe impl GlobalAlloc for Heap {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        if layout.align() <= KERNEL_ALIGNMENT {
            // SAFETY: takes any size; null when there is no room.
            return unsafe { ffi::pvPortMalloc(layout.size()) }.cast();
        }
        let Some(size) = layout.size().checked_add(layout.align() + ADDRESS_LEN) else {
            return ptr::null_mut();
        };
        // SAFETY: as above.
        let start = unsafe { ffi::pvPortMalloc(size) }.cast::<u8>();
        if start.is_null() {
            return start;
        }
        let first = start.addr() + ADDRESS_LEN;
        let aligned = start.wrapping_add(first.next_multiple_of(layout.align()) - start.addr());
        // SAFETY: `aligned` is at least an address above `start` and at most that and the alignment,
        // so both the address and the piece are inside what was allocated. Its alignment is a
        // multiple of an address's.
        unsafe { aligned.cast::<*mut u8>().sub(1).write(start) };
        aligned
    }

    unsafe fn dealloc(&self, piece: *mut u8, layout: Layout) {
        let start = if layout.align() <= KERNEL_ALIGNMENT {
            piece
        } else {
            // SAFETY: `alloc` wrote it, for a layout of the same alignment.
            unsafe { piece.cast::<*mut u8>().sub(1).read() }
        };
        // SAFETY: the kernel gave it.
        unsafe { ffi::vPortFree(start.cast()) };
    }
}
