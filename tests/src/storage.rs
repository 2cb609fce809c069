//! Storage for stacks under test, from the heap and never given back.
use gannet_core::packet::PacketStorage;
use gannet_core::pbuf::Pool;
use gannet_core::pbuf::storage::{Memory, Slot, Word, words};
use gannet_core::raw::RawStorage;
use gannet_core::tcp::TcpStorage;
use gannet_core::udp::UdpStorage;
use gannet_core::{IpStorage, Storage};

use crate::arena::Arena;

/// How much of everything a stack gets.
#[derive(Clone, Copy, Debug)]
pub struct Sizes {
    /// TCP connections.
    pub connections: usize,
    /// TCP listeners.
    pub listeners: usize,
    /// Half-open TCP connections.
    pub half_open: usize,
    /// TCP connections in TIME-WAIT.
    pub time_wait: usize,
    /// Runs of out-of-order TCP data.
    pub runs: usize,
    /// TCP segments in flight.
    pub sends: usize,
    /// UDP endpoints.
    pub udp: usize,
    /// UDP datagrams not yet delivered.
    pub datagrams: usize,
    /// Interfaces.
    pub netifs: usize,
    /// Neighbours.
    pub neighbors: usize,
    /// Packets that wait for neighbours.
    pub pending: usize,
    /// Routes.
    pub routes: usize,
    /// Packets in reassembly.
    pub reassembly: usize,
    /// Packets on loopback.
    pub loopback: usize,
    /// Multicast groups.
    pub groups: usize,
    /// Raw IP endpoints.
    pub raw: usize,
    /// Packet endpoints.
    pub packet: usize,
}

impl Default for Sizes {
    fn default() -> Self {
        Self {
            connections: 16,
            listeners: 4,
            half_open: 8,
            time_wait: 8,
            runs: 64,
            sends: 512,
            udp: 8,
            datagrams: 64,
            netifs: 2,
            neighbors: 16,
            pending: 16,
            routes: 4,
            reassembly: 4,
            loopback: 32,
            groups: 4,
            raw: 4,
            packet: 4,
        }
    }
}

/// The pools of one host.
#[derive(Clone, Copy, Debug)]
pub struct Pools {
    /// Received frames.
    pub rx: &'static Pool,
    /// Data to send.
    pub tx: &'static Pool,
    /// Headers.
    pub header: &'static Pool,
}

impl Pools {
    /// Fresh pools, large enough for a few connections with 64 KiB windows.
    pub fn leak() -> Self {
        Self {
            rx: leak_pool::<512, 1536>("rx", 256),
            tx: leak_pool::<512, 1536>("tx", 2048),
            header: leak_pool::<512, 128>("header", 128),
        }
    }

    /// Blocks in use, of each pool.
    pub fn in_use(&self) -> [usize; 3] {
        [self.rx, self.tx, self.header].map(|pool| pool.blocks() - pool.available())
    }

    /// Whether every block and descriptor is back.
    pub fn at_rest(&self) -> bool {
        [self.rx, self.tx, self.header].iter().all(|pool| {
            pool.blocks() == pool.available() && pool.descriptors() == pool.descriptors_available()
        })
    }
}

/// A pool of `N` blocks of `SIZE` bytes with `extra` more descriptors than blocks.
#[allow(
    unsafe_code,
    reason = "the pool's storage is leaked here and given to nobody else"
)]
pub fn leak_pool<const N: usize, const SIZE: usize>(
    name: &'static str,
    extra: usize,
) -> &'static Pool {
    let many = |n: usize| {
        (0..words(n))
            .map(|_| Word::new())
            .collect::<Vec<_>>()
            .leak()
    };
    let memory: &'static Memory<N, SIZE> = Box::leak(Box::new(Memory::new()));
    let slots = (0..N + extra)
        .map(|_| Slot::new())
        .collect::<Vec<_>>()
        .leak();
    // SAFETY: all parts were leaked just now and are used for this pool only.
    let pool = unsafe { Pool::new(name, memory, slots, many(N), many(N + extra)) };
    Box::leak(Box::new(pool))
}

/// Storage of `sizes` with the pools `pools`, for ever.
pub fn leak_storage(sizes: Sizes, pools: Pools) -> Storage {
    let mut arena = Arena::default();
    let storage = storage_in(&mut arena, sizes, pools);
    arena.leak();
    storage
}

/// Storage of `sizes` in `arena`, with the pools `pools`.
pub fn storage_in(arena: &mut Arena, sizes: Sizes, pools: Pools) -> Storage {
    Storage {
        tcp: TcpStorage {
            pcbs: arena.slots(sizes.connections),
            buckets: arena.slots(sizes.connections),
            listeners: arena.slots(sizes.listeners),
            syns: arena.slots(sizes.half_open),
            time_waits: arena.slots(sizes.time_wait),
            runs: arena.slots(sizes.runs),
            sends: arena.slots(sizes.sends),
        },
        udp: UdpStorage {
            pcbs: arena.slots(sizes.udp),
            datagrams: arena.slots(sizes.datagrams),
            memberships: arena.slots(sizes.groups),
        },
        ip: IpStorage {
            netifs: arena.slots(sizes.netifs),
            neighbors: arena.slots(sizes.neighbors),
            pending: arena.slots(sizes.pending),
            routes: arena.slots(sizes.routes),
            reassembly: arena.slots(sizes.reassembly),
            loopback: arena.slots(sizes.loopback),
            groups: arena.slots(sizes.groups),
        },
        raw: RawStorage {
            pcbs: arena.slots(sizes.raw),
            packets: arena.slots(16 * sizes.raw),
        },
        packet: PacketStorage {
            pcbs: arena.slots(sizes.packet),
            frames: arena.slots(32 * sizes.packet),
        },
        tx_pool: pools.tx,
        header_pool: pools.header,
    }
}
