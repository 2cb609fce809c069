//! The engine of gannet: zero-copy packet buffers, IP and TCP as a function of (frame, now,
//! random), and the raw (callback) API of lwIP in Rust.
#![cfg_attr(not(test), no_std)]
#![deny(unsafe_code)]

pub mod config;
mod error;
mod handle;
mod handler;
mod icmp_report;
mod ip;
#[cfg(not(all(feature = "raw", feature = "packet")))]
mod left_out;
pub mod netif;
#[cfg(feature = "packet")]
pub mod packet;
pub mod pbuf;
mod queue;
mod random;
#[cfg(feature = "raw")]
pub mod raw;
#[doc(hidden)]
pub mod resources;
mod stack;
#[cfg(any(feature = "raw", feature = "packet"))]
mod table;
mod tally;
pub mod tcp;
mod time;
pub mod udp;
pub mod wire;
pub use config::Config;
pub use error::Error;
#[cfg(feature = "packet")]
pub use handle::PacketPcb;
#[cfg(feature = "raw")]
pub use handle::RawPcb;
pub use handle::{Owner, PcbMap, TcpListener, TcpPcb, UdpPcb};
pub use handler::{Handler, Refused, owner_bit};
pub use icmp_report::{HearsErrors, IcmpReport};
pub mod ip_storage {
    //! The slots of [`IpStorage`](crate::IpStorage).
    pub use crate::ip::{GroupSlot, ReassemblySlot, RouteSlot};
    pub use crate::netif::{LoopbackSlot, NeighborSlot, NetifSlot, PendingSlot};
}
#[cfg(feature = "igmp")]
pub use ip::IgmpStats;
pub use ip::{ArpStats, IcmpStats, IpStats, IpStorage, MtuDiscovery, NetifId, Subnet, Via};
#[cfg(not(feature = "packet"))]
pub use left_out::packet;
#[cfg(not(feature = "raw"))]
pub use left_out::raw;
pub use netif::driver::{Capabilities, Checksums, Driver, HwAddr, Medium};
#[cfg(feature = "packet")]
pub use packet::Packets;
pub use pbuf::{Chain, NoBufs, Pbuf, Pool};
pub use random::Entropy;
#[cfg(feature = "raw")]
pub use raw::Raw;
pub use resources::StorageCell;
pub use stack::{Stack, Storage, TcpCensus};
#[cfg(feature = "tally")]
#[doc(hidden)]
pub use tally::tally;
pub use tcp::Tcp;
pub use time::Instant;
pub use udp::Udp;
