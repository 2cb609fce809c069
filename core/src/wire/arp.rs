//! ARP packets for IPv4 over Ethernet ([RFC 826]); what to believe of them is the neighbour
//! cache's business.
//!
//! [RFC 826]: https://www.rfc-editor.org/rfc/rfc826
use core::net::Ipv4Addr;

use zerocopy::network_endian::U16;
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

use super::ethernet::EtherType;
use super::{Malformed, NoRoom};
use crate::netif::driver::HwAddr;

/// An ARP packet, exactly as on the wire.
#[derive(Clone, Copy, Debug, FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned)]
#[repr(C)]
struct Header {
    hardware: U16,
    protocol: U16,
    hardware_len: u8,
    protocol_len: u8,
    operation: U16,
    sender_hw: [u8; 6],
    sender_ip: [u8; 4],
    target_hw: [u8; 6],
    target_ip: [u8; 4],
}

/// Length of an ARP packet for IPv4 over Ethernet in bytes.
pub const HEADER_LEN: usize = 28;
const _: () = assert!(size_of::<Header>() == HEADER_LEN);

/// The hardware type of Ethernet.
const ETHERNET: u16 = 1;

/// What an ARP packet wants.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Operation {
    /// Who has the target's IP address?
    Request,
    /// The sender has.
    Reply,
}

/// An ARP packet for IPv4 over Ethernet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Packet {
    /// Request or reply.
    pub operation: Operation,
    /// Hardware address of the sender.
    pub sender_hw: HwAddr,
    /// IP address of the sender; unspecified in an address probe ([RFC 5227 §1.1]).
    ///
    /// [RFC 5227 §1.1]: https://www.rfc-editor.org/rfc/rfc5227#section-1.1
    pub sender_ip: Ipv4Addr,
    /// Hardware address of the target; without meaning in a request.
    pub target_hw: HwAddr,
    /// IP address of the target.
    pub target_ip: Ipv4Addr,
}

impl Packet {
    /// Reads an Ethernet payload; bytes behind the packet (padding) are ignored.
    ///
    /// # Errors
    /// [`Malformed::Truncated`], [`Malformed::AddressFormat`] for anything but IPv4 over Ethernet,
    /// [`Malformed::Operation`] for anything but a request or a reply.
    pub fn parse(bytes: &[u8]) -> Result<Self, Malformed> {
        let (h, _) = Header::ref_from_prefix(bytes).map_err(|_| Malformed::Truncated)?;
        // RFC 826, packet reception: hardware and protocol type must be known, the lengths are
        // optionally checked; here they must fit, or the address fields would be elsewhere.
        let format = (
            h.hardware.get(),
            EtherType(h.protocol.get()),
            h.hardware_len,
            h.protocol_len,
        );
        if format != (ETHERNET, EtherType::IPV4, 6, 4) {
            return Err(Malformed::AddressFormat);
        }
        let operation = match h.operation.get() {
            1 => Operation::Request,
            2 => Operation::Reply,
            _ => return Err(Malformed::Operation),
        };
        Ok(Self {
            operation,
            sender_hw: HwAddr(h.sender_hw),
            sender_ip: h.sender_ip.into(),
            target_hw: HwAddr(h.target_hw),
            target_ip: h.target_ip.into(),
        })
    }

    /// Writes the packet to the front of `out`.
    ///
    /// # Errors
    /// [`NoRoom`] if `out` is shorter than [`HEADER_LEN`].
    pub fn emit(&self, out: &mut [u8]) -> Result<(), NoRoom> {
        let operation = match self.operation {
            Operation::Request => 1,
            Operation::Reply => 2,
        };
        let header = Header {
            hardware: ETHERNET.into(),
            protocol: EtherType::IPV4.0.into(),
            hardware_len: 6,
            protocol_len: 4,
            operation: U16::new(operation),
            sender_hw: self.sender_hw.0,
            sender_ip: self.sender_ip.octets(),
            target_hw: self.target_hw.0,
            target_ip: self.target_ip.octets(),
        };
        header.write_to_prefix(out).map_err(|_| NoRoom)
    }
}

#[cfg(test)]
mod tests;
