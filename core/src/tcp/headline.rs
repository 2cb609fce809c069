//! What is known of a segment before it is parsed: the usual one ([`Headline`]) is taken by the
//! prediction (`fast_path`), which costs a fraction of what a whole
//! [`Arrived`](super::segment::Arrived) does.
//!
//! [`Headline`]: crate::wire::tcp::Headline
use crate::ip::{ChecksumState, Envelope};
use crate::pbuf::Pbuf;
use crate::wire::checksum::Checksum;
use crate::wire::ipv4::Protocol;

/// Whether the segment of `len` bytes in `packet` is as it was sent. `first` is what the first part
/// has of it, from its header on; the last part may have more bytes than belong to it.
#[inline]
pub(crate) fn is_intact(envelope: &Envelope, len: usize, first: &[u8], packet: &Pbuf) -> bool {
    if envelope.checksum == ChecksumState::Verified {
        return true;
    }
    let (src, dst) = (envelope.src, envelope.dst);
    // An IPv4 payload always fits 16 bits.
    let mut sum = Checksum::of_pseudo_header(src, dst, Protocol::TCP, len as u16);
    sum.add(first);
    if first.len() < len {
        sum = with_parts_behind(sum, packet, len - first.len());
    }
    sum.is_valid()
}

/// `sum`, and the first `len` bytes behind the first part of `packet`.
#[inline(never)]
fn with_parts_behind(mut sum: Checksum, packet: &Pbuf, len: usize) -> Checksum {
    let mut left = len;
    for part in packet.parts().skip(1) {
        let part = part.get(..left).unwrap_or(part);
        sum.add(part);
        left -= part.len();
    }
    sum
}

/// What is known of the connection a segment belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Lookup {
    /// Nobody has looked.
    Open,
    /// It is the one in this slot. `Err`: there is none; the hash, for the other tables.
    Done(Result<u16, u32>),
}

/// A segment that was not taken as predicted.
#[derive(Debug)]
pub(crate) struct Unforeseen {
    pub(crate) packet: Pbuf,
    pub(crate) lookup: Lookup,
}

impl Unforeseen {
    /// One that is not usual, or not intact.
    pub(crate) fn unread(packet: Pbuf) -> Self {
        Self {
            packet,
            lookup: Lookup::Open,
        }
    }
}
