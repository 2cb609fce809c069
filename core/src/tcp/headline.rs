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

#[cfg(all(test, not(loom)))]
mod tests {
    #![allow(unsafe_code, reason = "what `pbuf_pool!` expands to in its own crate")]
    use super::*;

    crate::pbuf_pool! { static POOL: [64; 16] }

    /// In parts that end at `cuts`, the headers of IP in front.
    fn packet(bytes: &[u8], cuts: [usize; 2]) -> Pbuf {
        let part = |bytes: &[u8]| {
            let mut part = Pbuf::alloc(&POOL, 0, bytes.len()).expect("a buffer");
            part.copy_from(bytes);
            part
        };
        let [a, b] = cuts;
        let mut packet = part(&bytes[..a]);
        packet.cat(part(&bytes[a..b]));
        packet.cat(part(&bytes[b..]));
        packet
    }

    #[test]
    fn a_segment_is_intact_however_it_is_cut_and_whatever_is_behind_it() {
        const START: usize = 20;
        let envelope = Envelope {
            src: [10, 0, 0, 1].into(),
            dst: [10, 0, 0, 2].into(),
            tos: 0,
            checksum: ChecksumState::ToVerify,
            start: START as u8,
        };
        for len in [20, 21, 40, 55] {
            let mut segment: Vec<u8> = (0..len).map(|n| n as u8 ^ 0x5a).collect();
            segment[16..18].fill(0);
            let mut sum =
                Checksum::of_pseudo_header(envelope.src, envelope.dst, Protocol::TCP, len as u16);
            sum.add(&segment);
            segment[16..18].copy_from_slice(&sum.finish().to_be_bytes());
            let bytes = [&[0; START][..], &segment, &[1, 2, 3]].concat();
            let intact = |bytes: &[u8], cuts| {
                let packet = packet(bytes, cuts);
                let first = &packet.data()[START..];
                is_intact(&envelope, len, &first[..len.min(first.len())], &packet)
            };
            for a in START + 18..=START + len {
                for b in [a, a + 1, START + len, START + len + 2] {
                    let cuts = [a, b.max(a)];
                    assert!(intact(&bytes, cuts), "{len} bytes, cut at {cuts:?}");
                    let mut broken = bytes.clone();
                    broken[START + len - 1] ^= 0x10;
                    assert!(!intact(&broken, cuts), "{len} bytes, cut at {cuts:?}");
                }
            }
        }
    }
}
