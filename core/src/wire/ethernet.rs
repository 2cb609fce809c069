//! Ethernet II frames: the header; VLAN tags and 802.3 lengths are not taken apart.
use zerocopy::network_endian::U16;
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

use super::{Malformed, NoRoom};
use crate::netif::driver::HwAddr;

/// An Ethernet II header, exactly as on the wire.
#[derive(Clone, Copy, Debug, FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned)]
#[repr(C)]
pub struct Header {
    dst: [u8; 6],
    src: [u8; 6],
    ethertype: U16,
}

/// Length of [`Header`] in bytes.
pub const HEADER_LEN: usize = 14;
const _: () = assert!(size_of::<Header>() == HEADER_LEN);

/// What an Ethernet frame carries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EtherType(pub u16);

impl EtherType {
    /// IPv4 ([RFC 894](https://www.rfc-editor.org/rfc/rfc894)).
    pub const IPV4: Self = Self(0x0800);
    /// ARP ([RFC 826](https://www.rfc-editor.org/rfc/rfc826)).
    pub const ARP: Self = Self(0x0806);
    /// IPv6 ([RFC 2464](https://www.rfc-editor.org/rfc/rfc2464)).
    pub const IPV6: Self = Self(0x86dd);
}

/// Splits a frame into its header and what follows it: the payload, perhaps with padding.
///
/// # Errors
/// [`Malformed::Truncated`] if the frame is shorter than [`HEADER_LEN`].
pub fn parse(frame: &[u8]) -> Result<(&Header, &[u8]), Malformed> {
    Header::ref_from_prefix(frame).map_err(|_| Malformed::Truncated)
}

impl Header {
    /// Of no frame.
    pub(crate) const ZERO: Self = Self {
        dst: [0; 6],
        src: [0; 6],
        ethertype: U16::ZERO,
    };

    /// A header from its fields.
    pub fn new(dst: HwAddr, src: HwAddr, ethertype: EtherType) -> Self {
        Self {
            dst: dst.0,
            src: src.0,
            ethertype: ethertype.0.into(),
        }
    }

    /// Destination.
    pub fn dst(&self) -> HwAddr {
        HwAddr(self.dst)
    }

    /// Source.
    pub fn src(&self) -> HwAddr {
        HwAddr(self.src)
    }

    /// What the frame carries; values up to 1500 are an 802.3 length instead.
    pub fn ethertype(&self) -> EtherType {
        EtherType(self.ethertype.get())
    }

    /// Writes the header.
    #[inline]
    pub(crate) fn write(&self, out: &mut [u8; HEADER_LEN]) {
        *out = zerocopy::transmute!(*self);
    }

    /// Writes the header to the front of `out`.
    ///
    /// # Errors
    /// [`NoRoom`] if `out` is shorter than [`HEADER_LEN`].
    pub fn emit(&self, out: &mut [u8]) -> Result<(), NoRoom> {
        self.write_to_prefix(out).map_err(|_| NoRoom)
    }
}

#[cfg(test)]
mod tests;
