//! What of the stack takes how much memory: the table, and for a target on which nothing can be run
//! a symbol for each line, whose size the linker's tools show (`tests/memory/cortex-m`).
#![no_std]
use core::mem::size_of;

use gannet_core::ip_storage::{
    GroupSlot, LoopbackSlot, NeighborSlot, NetifSlot, PendingSlot, ReassemblySlot, RouteSlot,
};
use gannet_core::tcp::{Bucket, ListenSlot, PcbSlot, RunSlot, SentSlot, SynSlot, TimeWaitSlot};
use gannet_core::udp::{DatagramSlot, MembershipSlot, UdpSlot};
use gannet_core::{Pool, Stack, packet, raw};
use gannet_netconn::storage;

/// A line of the table.
#[derive(Clone, Copy, Debug)]
pub struct Line {
    /// What it is.
    pub what: &'static str,
    /// The size to declare it with, in `stack_storage!`, `net!` or `pbuf_pool!`.
    pub declared: &'static str,
    /// Bytes of one.
    pub bytes: usize,
}

macro_rules! table {
    ($($symbol:ident: $what:literal, $declared:literal, $($type:ty)|+;)*) => {
        /// The table.
        pub const TABLE: &[Line] = &[
            $(Line { what: $what, declared: $declared, bytes: 0 $(+ size_of::<$type>())+ }),*
        ];
        /// As large as the lines of the table.
        pub mod sized {
            use super::*;
            $(
                #[doc = $what]
                #[used]
                pub static $symbol: [u8; 0 $(+ size_of::<$type>())+] =
                    [0; 0 $(+ size_of::<$type>())+];
            )*
        }
    };
}

table! {
    A_CONNECTION: "a TCP connection", "connections", PcbSlot | Bucket;
    B_LISTENER: "a TCP listener", "listeners", ListenSlot;
    C_HALF_OPEN: "a TCP handshake under way", "half_open", SynSlot;
    D_TIME_WAIT: "a TCP connection in TIME-WAIT", "time_wait", TimeWaitSlot;
    E_IN_FLIGHT: "a segment in flight", "in_flight", SentSlot;
    F_RUN: "a run of out-of-order data", "out_of_order", RunSlot;
    G_UDP: "a UDP endpoint", "udp", UdpSlot;
    H_DATAGRAM: "a datagram of one turn", "datagrams", DatagramSlot;
    I_RAW: "a raw IP endpoint, with 16 packets that wait", "raw", raw::RawSlot | [raw::PacketSlot; 16];
    J_PACKET: "a packet endpoint, with 32 frames that wait", "packet",
        packet::PacketSlot | [packet::FrameSlot; 32];
    K_GROUP: "a multicast group, and an endpoint in it", "groups", GroupSlot | MembershipSlot;
    L_INTERFACE: "a network interface", "interfaces", NetifSlot;
    M_NEIGHBOR: "a neighbour", "neighbors", NeighborSlot;
    N_PENDING: "a packet that waits for a neighbour", "pending", PendingSlot;
    O_ROUTE: "a route", "routes", RouteSlot;
    P_REASSEMBLY: "a packet being put together", "reassembly", ReassemblySlot;
    Q_LOOPBACK: "a packet from the host to itself", "loopback", LoopbackSlot;
    R_DESCRIPTOR: "a packet buffer's descriptor (each block has one)", "refs", gannet_core::pbuf::storage::Slot;
    S_POOL: "a pool, besides blocks and descriptors", "-", Pool;
    T_STACK: "the stack itself", "-", Stack;
    U_SOCKET: "a socket, besides what it is in the stack", "net! connections", storage::Slot;
    V_RECEIVED: "a datagram that waits for its reader", "net! datagrams", storage::DatagramSlot;
    W_WAITER: "a task that sleeps in a call, besides its event", "net! waiters", storage::Waiter;
}
