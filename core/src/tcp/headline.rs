//! The usual segment on its way to the prediction (`fast_path`), which needs no more than its fixed
//! header: a fraction of what a whole [`Arrived`](super::segment::Arrived) costs.
use crate::ip::{ChecksumState, Envelope};
use crate::pbuf::Pbuf;
use crate::wire::checksum::Checksum;
use crate::wire::ipv4::Protocol;
use crate::wire::tcp::Headline;

impl Headline {
    /// Whether the segment is as it was sent. `first` is what the first part of `packet` has of
    /// it, from the header on; further parts may have more bytes than belong to it.
    #[inline]
    pub(crate) fn is_intact(&self, envelope: &Envelope, first: &[u8], packet: &Pbuf) -> bool {
        if envelope.checksum == ChecksumState::Verified {
            return true;
        }
        let len = usize::from(self.header_len) + self.len as usize;
        let mut sum = Checksum::new();
        // It was 16 bits.
        sum.pseudo_header(envelope.src, envelope.dst, Protocol::TCP, len as u16);
        sum.add(first);
        if first.len() < len {
            add_behind(&mut sum, packet, len - first.len());
        }
        sum.is_valid()
    }
}

/// Adds the first `len` bytes behind the first part of `packet`.
#[inline(never)]
fn add_behind(sum: &mut Checksum, packet: &Pbuf, len: usize) {
    let mut left = len;
    for part in packet.parts().skip(1) {
        let part = part.get(..left).unwrap_or(part);
        sum.add(part);
        left -= part.len();
    }
}

/// What was found out about a segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Lookup {
    /// Nothing.
    Open,
    /// It is intact, and of the connection in this slot. `Err`: there is none; the hash, for the
    /// other tables.
    Done(Result<u16, u32>),
}

impl Lookup {
    /// What is known of the checksum of a segment that came in `envelope`.
    pub(crate) fn checksum(self, envelope: &Envelope) -> ChecksumState {
        match self {
            Self::Open => envelope.checksum,
            Self::Done(_) => ChecksumState::Verified,
        }
    }
}

/// A segment that was not taken as predicted.
#[derive(Debug)]
pub(crate) struct Unforeseen {
    pub(crate) packet: Pbuf,
    pub(crate) lookup: Lookup,
}

impl Unforeseen {
    /// One that has no [`Headline`], or is not intact.
    pub(crate) fn unread(packet: Pbuf) -> Self {
        Self {
            packet,
            lookup: Lookup::Open,
        }
    }
}
