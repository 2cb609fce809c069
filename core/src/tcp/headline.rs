//! The usual segment on its way to the prediction (`fast_path`), which needs no more than its fixed
//! header: a fraction of what a whole [`Arrived`](super::segment::Arrived) costs.
use crate::ip::{ChecksumState, Envelope};
use crate::pbuf::Pbuf;
use crate::wire::checksum::Checksum;
use crate::wire::ipv4::Protocol;
use crate::wire::tcp::Headline;

impl Headline {
    /// Whether the segment, in the packet its header was read from, is as it was sent.
    #[inline]
    pub(super) fn is_intact(&self, envelope: &Envelope, packet: &Pbuf) -> bool {
        if envelope.checksum == ChecksumState::Verified {
            return true;
        }
        let len = u32::from(self.header_len) + self.len;
        let mut sum = Checksum::new();
        // It was 16 bits.
        sum.pseudo_header(envelope.src, envelope.dst, Protocol::TCP, len as u16);
        let mut parts = packet.parts();
        // The headers are in the first part.
        let first = parts
            .next()
            .and_then(|part| part.get(envelope.start.into()..));
        sum.add(first.unwrap_or_default());
        for part in parts {
            sum.add(part);
        }
        sum.is_valid()
    }
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
    /// One that has no [`Headline`].
    pub(crate) fn unread(packet: Pbuf) -> Self {
        Self {
            packet,
            lookup: Lookup::Open,
        }
    }
}
