//! A header that an application wrote (`IP_HDRINCL`): checked, and completed.
use core::net::Ipv4Addr;

use zerocopy::FromBytes;

use super::{HEADER_LEN, Header, MORE_FRAGMENTS, OFFSET, Options, Protocol, U16};
use crate::wire::checksum::{ComputedBy, checksum};
use crate::wire::{Malformed, NoRoom};

/// What an application's header says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Written {
    /// Source; unspecified is to be filled in.
    pub src: Ipv4Addr,
    /// Destination.
    pub dst: Ipv4Addr,
    /// What follows the header.
    pub protocol: Protocol,
    /// Hops it may take.
    pub ttl: u8,
    /// Length of the header in bytes.
    pub header_len: usize,
}

impl Written {
    /// Reads the header at the front of `first`; `total` is the packet's length in bytes.
    ///
    /// # Errors
    /// [`Malformed::Version`], [`Malformed::HeaderLength`], [`Malformed::Truncated`],
    /// [`Malformed::Options`]; [`Malformed::TotalLength`]: neither 0 nor `total`;
    /// [`Malformed::Fragment`]: not a whole packet.
    pub fn parse(first: &[u8], total: usize) -> Result<Self, Malformed> {
        let (header, _) = Header::ref_from_prefix(first).map_err(|_| Malformed::Truncated)?;
        if header.version_ihl >> 4 != 4 {
            return Err(Malformed::Version);
        }
        let header_len = usize::from(header.version_ihl & 0xf) * 4;
        let options = match first.get(HEADER_LEN..header_len) {
            Some(options) => options,
            None if header_len < HEADER_LEN => return Err(Malformed::HeaderLength),
            None => return Err(Malformed::Truncated),
        };
        if Options(options).any(|option| option.is_err()) {
            return Err(Malformed::Options);
        }
        let claimed = usize::from(header.total_len.get());
        if claimed != 0 && claimed != total {
            return Err(Malformed::TotalLength);
        }
        if header.flags_offset.get() & (MORE_FRAGMENTS | OFFSET) != 0 {
            return Err(Malformed::Fragment);
        }
        Ok(Self {
            src: header.src.into(),
            dst: header.dst.into(),
            protocol: Protocol(header.protocol),
            ttl: header.ttl,
            header_len,
        })
    }
}

/// Makes `header` that of a whole packet of `total` bytes: fills in the length, the source and
/// identification if they are zero, and the checksum, unless a device does.
///
/// # Errors
/// [`NoRoom`]: it is shorter than a header.
pub fn complete(
    bytes: &mut [u8],
    total: u16,
    src: Ipv4Addr,
    ident: u16,
    checksum_by: ComputedBy,
) -> Result<(), NoRoom> {
    let (header, _) = Header::mut_from_prefix(bytes).map_err(|_| NoRoom)?;
    header.total_len = total.into();
    if header.src == [0; 4] {
        header.src = src.octets();
    }
    if header.ident == U16::ZERO {
        header.ident = ident.into();
    }
    // A packet that came in fragments is whole now.
    let flags = header.flags_offset.get() & !(MORE_FRAGMENTS | OFFSET);
    header.flags_offset = flags.into();
    header.checksum = U16::ZERO;
    if checksum_by == ComputedBy::Software {
        let value = checksum(bytes);
        let (header, _) = Header::mut_from_prefix(bytes).map_err(|_| NoRoom)?;
        header.checksum = value.into();
    }
    Ok(())
}
