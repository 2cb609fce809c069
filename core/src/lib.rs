//! The engine of gannet: zero-copy packet buffers, IP and TCP as a function of (frame, now,
//! random), and the raw (callback) API of lwIP in Rust.
#![cfg_attr(not(test), no_std)]
#![deny(unsafe_code)]

mod error;
mod handle;
pub mod pbuf;
mod random;
mod time;
pub mod wire;
pub mod netif {
    //! Network interfaces.
    pub mod driver;
}

pub use error::Error;
pub use handle::{Owner, PcbMap, TcpListener, TcpPcb, UdpPcb};
pub use netif::driver::{Capabilities, Checksums, Driver, HwAddr, Medium};
pub use pbuf::{NoBufs, Pbuf, Pool};
pub use random::Entropy;
pub use time::Instant;
