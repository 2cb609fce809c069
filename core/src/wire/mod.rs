//! Wire formats: layout, structural checks and checksums; no protocol.
//!
//! Each protocol has a `Header` (the fixed part, exactly as on the wire), a `parse` that checks
//! every length once and returns a view behind which nothing can fail, and `Fields` (or the parsed
//! type itself) with an `emit` that writes into the room made by a pbuf's headroom.
//!
//! Frames are chains. Parsers take `first`, the contiguous bytes from this header on, which must
//! hold the whole header with its options, and `total`, the number of bytes in the whole chain
//! from this header on. What follows the header stays in the chain and is not looked at here.
//! Checksums are not verified here either: the device may have done it, see [`checksum`].
#![forbid(unsafe_code)]
#![deny(clippy::indexing_slicing)]

pub mod arp;
pub mod checksum;
pub mod ethernet;
pub mod icmpv4;
pub mod igmp;
pub mod ipv4;
pub mod tcp;
pub mod tcp_options;
pub mod udp;

#[cfg(test)]
mod fuzz_tests;

pub use checksum::Checksum;
pub use tcp::SeqNum;

/// Why bytes are not what their layer says they are. Such input is counted and dropped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Malformed {
    /// The bytes end before the header they announce does.
    Truncated,
    /// The version is not the one of this protocol.
    Version,
    /// The header length field points into the fixed header.
    HeaderLength,
    /// The length field is shorter than the header, or promises more than has arrived.
    TotalLength,
    /// A fragment that ends behind byte 65535, has no data, or ends within a unit of 8 bytes while
    /// others follow.
    Fragment,
    /// The length of an option is impossible.
    Options,
    /// ARP for other addresses than IPv4 over Ethernet.
    AddressFormat,
    /// Neither an ARP request nor a reply.
    Operation,
    /// A port is zero that must not be.
    Port,
    /// What should be a group is none.
    Group,
}

impl core::fmt::Display for Malformed {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str(match self {
            Self::Truncated => "truncated header",
            Self::Version => "wrong version",
            Self::HeaderLength => "impossible header length",
            Self::TotalLength => "impossible total length",
            Self::Fragment => "impossible fragment",
            Self::Options => "impossible option length",
            Self::AddressFormat => "not IPv4 over Ethernet",
            Self::Operation => "unknown operation",
            Self::Port => "port zero",
            Self::Group => "not a multicast address",
        })
    }
}

impl core::error::Error for Malformed {}

/// The buffer given to an `emit` is shorter than what is to be written. Nothing was written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NoRoom;

impl core::fmt::Display for NoRoom {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str("no room for the header")
    }
}

impl core::error::Error for NoRoom {}

/// `first` without what lies behind the end of the packet (padding of the link layer).
fn clip(first: &[u8], total: usize) -> &[u8] {
    first.get(..total).unwrap_or(first)
}
