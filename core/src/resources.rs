//! Static storage for a stack, declared by the user with its sizes and taken once.
//!
//! The slots are written when they are taken. As statics with a value they would be in `.data`, and
//! a firmware's image would hold all of them.
use core::mem::MaybeUninit;

use crate::pbuf::Pool;
use crate::stack::Storage;

#[doc(hidden)]
pub use static_cell::{ConstStaticCell, StaticCell};

/// The storage of a stack in statics; declared with [`stack_storage!`](crate::stack_storage).
pub struct StorageCell {
    take: fn(&'static Pool, &'static Pool) -> Option<Storage>,
}

impl StorageCell {
    #[doc(hidden)]
    pub const fn new(take: fn(&'static Pool, &'static Pool) -> Option<Storage>) -> Self {
        Self { take }
    }

    /// The storage, with the pools for data to send and for headers. `None`: it was taken before.
    pub fn take(&self, tx_pool: &'static Pool, header_pool: &'static Pool) -> Option<Storage> {
        (self.take)(tx_pool, header_pool)
    }
}

impl core::fmt::Debug for StorageCell {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("StorageCell").finish_non_exhaustive()
    }
}

/// Takes the memory of `cell` and fills it with `new` ones. `None`: it was taken before.
#[doc(hidden)]
#[allow(
    unsafe_code,
    reason = "an array too large for the stack is filled in place"
)]
#[expect(
    clippy::mut_from_ref,
    reason = "the cell gives its memory away once, for good"
)]
pub fn take_slots<T, const N: usize>(
    cell: &'static StaticCell<[T; N]>,
    new: fn() -> T,
) -> Option<&'static mut [T]> {
    let slots: &mut [MaybeUninit<T>; N] = cell.try_uninit()?.as_mut();
    for slot in &mut *slots {
        slot.write(new());
    }
    // SAFETY: each was written just now.
    Some(unsafe { slots.assume_init_mut() })
}

/// Declares the storage of a [`Stack`](crate::Stack): everything it will ever use but the pools.
///
/// * `connections`: TCP control blocks (`MEMP_NUM_TCP_PCB`).
/// * `listeners`: TCP listeners (`MEMP_NUM_TCP_PCB_LISTEN`).
/// * `half_open`: TCP handshakes under way; beyond them SYN cookies serve.
/// * `time_wait`: TCP connections in TIME-WAIT; the oldest gives way.
/// * `out_of_order`: runs of out-of-order TCP data, for all connections together.
/// * `in_flight`: segments in flight, for all connections together; one for each connection or
///   more. A window of 64 KiB is 45 segments; with fewer, segments share a record and losses are
///   found less precisely.
/// * `udp`: UDP endpoints (`MEMP_NUM_UDP_PCB`).
/// * `datagrams`: UDP broadcasts and multicasts received in one turn and not yet delivered; 64 is
///   plenty.
/// * `interfaces`: network devices, loopback apart.
/// * `neighbors`: entries of the neighbour cache (`ARP_TABLE_SIZE`).
/// * `pending`: packets that wait for a neighbour to be resolved.
/// * `routes`: routes besides those of the interfaces.
/// * `reassembly`: IP packets being put together.
/// * `loopback`: packets on their way from the stack to itself.
/// * `groups`, which may be left out: multicast memberships, of all endpoints together; 4 if nothing
///   else is said. Without the feature `igmp` they cost nothing.
/// * `raw`, which may be left out: raw IP endpoints (`MEMP_NUM_RAW_PCB`), with room for 16 received
///   packets each.
/// * `packet`, which may be left out: packet endpoints, with room for 32 frames each.
///
/// ```
/// use gannet_core::{Config, Stack, pbuf_pool, stack_storage};
/// pbuf_pool! { static TX: [1536; 16] + refs 32 }
/// pbuf_pool! { static HEADERS: [128; 32] }
/// stack_storage! {
///     static STORAGE: {
///         connections: 8, listeners: 2, half_open: 8, time_wait: 8, out_of_order: 16,
///         in_flight: 64, udp: 4, datagrams: 64, interfaces: 1, neighbors: 8, pending: 8, routes: 2,
///         reassembly: 2, loopback: 16, groups: 2,
///     }
/// }
/// # let mut entropy = |bytes: &mut [u8]| bytes.fill(7);
/// let storage = STORAGE.take(&TX, &HEADERS).expect("taken once");
/// let stack = Stack::new(storage, Config::default(), &mut entropy);
/// # assert_eq!(stack.tcp_census().connections, 0);
/// assert!(STORAGE.take(&TX, &HEADERS).is_none());
/// ```
#[macro_export]
macro_rules! stack_storage {
    ($(#[$attr:meta])* $vis:vis static $name:ident: {
        connections: $connections:expr,
        listeners: $listeners:expr,
        half_open: $half_open:expr,
        time_wait: $time_wait:expr,
        out_of_order: $out_of_order:expr,
        in_flight: $in_flight:expr,
        udp: $udp:expr,
        datagrams: $datagrams:expr,
        interfaces: $interfaces:expr,
        neighbors: $neighbors:expr,
        pending: $pending:expr,
        routes: $routes:expr,
        reassembly: $reassembly:expr,
        loopback: $loopback:expr
        $(, groups: $groups:expr)?
        $(, raw: $raw:expr)?
        $(, packet: $packet:expr)?
        $(,)?
    } $(;)?) => {
        $(#[$attr])*
        $vis static $name: $crate::StorageCell = $crate::StorageCell::new(|tx_pool, header_pool| {
            use $crate::{ip_storage as __ip, tcp as __tcp, udp as __udp};
            #[allow(unused_mut, reason = "raw and packet endpoints are optional")]
            let (mut __raw, mut __packet) = (
                <$crate::raw::RawStorage as ::core::default::Default>::default(),
                <$crate::packet::PacketStorage as ::core::default::Default>::default(),
            );
            $(
                __raw.pcbs = $crate::__static_slots!($crate::raw::RawSlot, $raw);
                __raw.packets = $crate::__static_slots!($crate::raw::PacketSlot, 16 * ($raw));
            )?
            $(
                __packet.pcbs = $crate::__static_slots!($crate::packet::PacketSlot, $packet);
                __packet.frames = $crate::__static_slots!($crate::packet::FrameSlot, 32 * ($packet));
            )?
            ::core::option::Option::Some($crate::Storage {
                tcp: __tcp::TcpStorage {
                    pcbs: $crate::__static_slots!(__tcp::PcbSlot, $connections),
                    buckets: $crate::__static_slots!(__tcp::Bucket, $connections),
                    listeners: $crate::__static_slots!(__tcp::ListenSlot, $listeners),
                    syns: $crate::__static_slots!(__tcp::SynSlot, $half_open),
                    time_waits: $crate::__static_slots!(__tcp::TimeWaitSlot, $time_wait),
                    runs: $crate::__static_slots!(__tcp::RunSlot, $out_of_order),
                    sends: $crate::__static_slots!(__tcp::SentSlot, $in_flight),
                },
                udp: __udp::UdpStorage {
                    pcbs: $crate::__static_slots!(__udp::UdpSlot, $udp),
                    datagrams: $crate::__static_slots!(__udp::DatagramSlot, $datagrams),
                    memberships: $crate::__static_slots!(
                        __udp::MembershipSlot,
                        $crate::__or_default!(4 $(, $groups)?)
                    ),
                },
                ip: $crate::IpStorage {
                    netifs: $crate::__static_slots!(__ip::NetifSlot, $interfaces),
                    neighbors: $crate::__static_slots!(__ip::NeighborSlot, $neighbors),
                    pending: $crate::__static_slots!(__ip::PendingSlot, $pending),
                    routes: $crate::__static_slots!(__ip::RouteSlot, $routes),
                    reassembly: $crate::__static_slots!(__ip::ReassemblySlot, $reassembly),
                    loopback: $crate::__static_slots!(__ip::LoopbackSlot, $loopback),
                    groups: $crate::__static_slots!(
                        __ip::GroupSlot,
                        $crate::__or_default!(4 $(, $groups)?)
                    ),
                },
                raw: __raw,
                packet: __packet,
                tx_pool,
                header_pool,
            })
        });
    };
}

/// The second of two values, or the only one.
#[doc(hidden)]
#[macro_export]
macro_rules! __or_default {
    ($default:expr) => {
        $default
    };
    ($default:expr, $value:expr) => {
        $value
    };
}

/// `$n` unused `$slot`s in a static, taken once.
#[doc(hidden)]
#[macro_export]
macro_rules! __static_slots {
    ($slot:ty, $n:expr) => {{
        static SLOTS: $crate::resources::StaticCell<[$slot; $n]> =
            $crate::resources::StaticCell::new();
        $crate::resources::take_slots(&SLOTS, <$slot>::new)?
    }};
}
