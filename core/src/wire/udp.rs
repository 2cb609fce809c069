//! The UDP header ([RFC 768]): layout and length checks.
//!
//! [RFC 768]: https://www.rfc-editor.org/rfc/rfc768
use zerocopy::network_endian::U16;
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

use super::{Malformed, NoRoom};

/// A UDP header, exactly as on the wire.
#[derive(Clone, Copy, Debug, FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned)]
#[repr(C)]
struct Header {
    src_port: U16,
    dst_port: U16,
    len: U16,
    checksum: U16,
}

/// Length of a UDP header in bytes.
pub const HEADER_LEN: usize = 8;
const _: () = assert!(size_of::<Header>() == HEADER_LEN);

/// The largest payload of a datagram that fits an IPv4 packet, in bytes.
pub const MAX_PAYLOAD: u16 = super::ipv4::MAX_PAYLOAD - HEADER_LEN as u16;

/// A received datagram's header, checked once.
#[derive(Clone, Copy, Debug)]
pub struct Datagram<'a> {
    header: &'a Header,
}

impl<'a> Datagram<'a> {
    /// Reads the header at the front of `first`; the IP payload has `total` bytes.
    ///
    /// The IP payload may be longer than the datagram: the caller cuts it to [`Datagram::len`].
    ///
    /// # Errors
    /// [`Malformed::Truncated`]; [`Malformed::TotalLength`] if the length field is smaller than
    /// the header or larger than `total`; [`Malformed::Port`] if the destination port is zero.
    pub fn parse(first: &'a [u8], total: usize) -> Result<Self, Malformed> {
        let (header, _) =
            Header::ref_from_prefix(super::clip(first, total)).map_err(|_| Malformed::Truncated)?;
        // RFC 768: the length covers header and data, so its minimum is eight.
        if !(HEADER_LEN..=total).contains(&usize::from(header.len.get())) {
            return Err(Malformed::TotalLength);
        }
        if header.dst_port == U16::ZERO {
            return Err(Malformed::Port);
        }
        Ok(Self { header })
    }

    /// Source port; zero if the sender expects no answer.
    pub fn src_port(&self) -> u16 {
        self.header.src_port.get()
    }

    /// Destination port; never zero.
    pub fn dst_port(&self) -> u16 {
        self.header.dst_port.get()
    }

    /// Length of header and data in bytes: at least [`HEADER_LEN`].
    #[expect(clippy::len_without_is_empty, reason = "a datagram has a header")]
    pub fn len(&self) -> usize {
        self.header.len.get().into()
    }

    /// Length of the data in bytes.
    pub fn payload_len(&self) -> usize {
        self.len().saturating_sub(HEADER_LEN)
    }

    /// Whether the sender computed a checksum; if so, it must be right.
    pub fn has_checksum(&self) -> bool {
        // RFC 768: all zero means that the transmitter generated no checksum.
        self.header.checksum != U16::ZERO
    }
}

/// What is left of a UDP header quoted in an ICMP error.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Quoted {
    /// Source port of the datagram: ours, if we sent it.
    pub src_port: u16,
    /// Destination port of the datagram.
    pub dst_port: u16,
}

impl Quoted {
    /// Reads the IP payload quoted in an ICMP error.
    ///
    /// # Errors
    /// [`Malformed::Truncated`] if fewer than the eight bytes of RFC 792 are quoted.
    pub fn parse(bytes: &[u8]) -> Result<Self, Malformed> {
        let (header, _) = Header::ref_from_prefix(bytes).map_err(|_| Malformed::Truncated)?;
        Ok(Self {
            src_port: header.src_port.get(),
            dst_port: header.dst_port.get(),
        })
    }
}

/// The header of a datagram to send.
#[derive(Clone, Copy, Debug)]
pub struct Fields {
    /// Source port.
    pub src_port: u16,
    /// Destination port.
    pub dst_port: u16,
    /// Length of the data in bytes: at most [`MAX_PAYLOAD`].
    pub payload_len: u16,
}

impl Fields {
    /// Writes the header to the front of `out`, with no checksum: see [`set_checksum`].
    ///
    /// # Errors
    /// [`NoRoom`] if `out` is shorter than [`HEADER_LEN`], or the data longer than fits.
    pub fn emit(&self, out: &mut [u8]) -> Result<(), NoRoom> {
        let header = Header {
            src_port: self.src_port.into(),
            dst_port: self.dst_port.into(),
            len: self
                .payload_len
                .checked_add(HEADER_LEN as u16)
                .ok_or(NoRoom)?
                .into(),
            checksum: U16::ZERO,
        };
        header.write_to_prefix(out).map_err(|_| NoRoom)
    }
}

/// Sets the checksum of the header at the front of `header`, once the sum over it is known.
///
/// # Errors
/// [`NoRoom`] if there is no whole header.
pub fn set_checksum(header: &mut [u8], checksum: u16) -> Result<(), NoRoom> {
    let (header, _) = Header::mut_from_prefix(header).map_err(|_| NoRoom)?;
    header.checksum = checksum.into();
    Ok(())
}

#[cfg(test)]
mod tests;
