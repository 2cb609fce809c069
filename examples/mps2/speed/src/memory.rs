//! Static memory for gannet's two stacks, and the heap of the applications and of smoltcp.
use core::mem::MaybeUninit;
use core::ptr::addr_of_mut;

use embedded_alloc::LlffHeap;
use gannet_core::{Pool, Storage, pbuf_pool, stack_storage};

use crate::cell::Cell;

const HEAP_SIZE: usize = 2 * 1024 * 1024;
static mut HEAP_MEMORY: MaybeUninit<[u8; HEAP_SIZE]> = MaybeUninit::uninit();

pub(crate) fn give(heap: &LlffHeap) {
    // SAFETY: called once, at the start; nobody else names this memory.
    unsafe { heap.init(addr_of_mut!(HEAP_MEMORY) as usize, HEAP_SIZE) }
}

/// What a host has.
pub(crate) struct Memory {
    /// Where its device puts what it receives.
    pub(crate) rx: &'static Pool,
    /// The stack's.
    pub(crate) storage: Storage,
}

macro_rules! memory_of_a_host {
    ($name:ident) => {
        mod $name {
            use super::*;

            pbuf_pool! { pub(super) static RX: [1536; 128] }
            pbuf_pool! { pub(super) static TX: [1536; 128] + refs 512 }
            pbuf_pool! { pub(super) static HEADERS: [128; 256] }
            stack_storage! {
                pub(super) static STORAGE: {
                    connections: 16, listeners: 4, half_open: 8, time_wait: 8, out_of_order: 64,
                    in_flight: 512, udp: 8, datagrams: 64, interfaces: 2, neighbors: 16,
                    pending: 16, routes: 4, reassembly: 4, loopback: 32, groups: 4, raw: 4,
                    packet: 4,
                }
            }
        }
    };
}

memory_of_a_host!(first);
memory_of_a_host!(second);

/// The memory of host `number`, as large for each cell.
pub(crate) fn of_host(_: &Cell, number: usize) -> Memory {
    let (rx, storage) = match number {
        0 => (&first::RX, first::STORAGE.take(&first::TX, &first::HEADERS)),
        _ => (
            &second::RX,
            second::STORAGE.take(&second::TX, &second::HEADERS),
        ),
    };
    Memory {
        rx,
        storage: storage.expect("a cell is made once"),
    }
}
