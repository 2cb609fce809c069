//! The host's allocator, with interrupts masked around each call.
use std::alloc::{GlobalAlloc, Layout, System};

use super::masked;

/// The host's allocator for programs with tasks; see [`host!`](crate::host!).
#[derive(Clone, Copy, Debug)]
pub struct HostAllocator;

// SAFETY: `System`'s, which is called with the same arguments.
unsafe impl GlobalAlloc for HostAllocator {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        // SAFETY: by this function's own contract.
        masked(|| unsafe { System.alloc(layout) })
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        // SAFETY: by this function's own contract.
        masked(|| unsafe { System.alloc_zeroed(layout) })
    }

    unsafe fn dealloc(&self, ptr: *mut u8, layout: Layout) {
        // SAFETY: by this function's own contract.
        masked(|| unsafe { System.dealloc(ptr, layout) });
    }

    unsafe fn realloc(&self, ptr: *mut u8, layout: Layout, new_size: usize) -> *mut u8 {
        // SAFETY: by this function's own contract.
        masked(|| unsafe { System.realloc(ptr, layout, new_size) })
    }
}
