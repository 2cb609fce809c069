//! Frames that are wrong in what they say although their checksums are right.
use super::plan::Rng;
use crate::frames::fix_checksum;
use gannet_core::wire::checksum::Checksum;

/// Where the IP header begins.
const IP: usize = 14;

fn is_ipv4(frame: &[u8]) -> bool {
    frame.len() >= IP + 20 && frame[12..14] == [8, 0] && frame[IP] >> 4 == 4
}

fn header_len(frame: &[u8]) -> usize {
    usize::from(frame[IP] & 0xf) * 4
}

fn is_fragment(frame: &[u8]) -> bool {
    u16::from_be_bytes([frame[IP + 6], frame[IP + 7]]) & 0x3fff != 0
}

/// Whether a flipped bit is certain to be noticed.
pub fn has_checksum(frame: &[u8]) -> bool {
    is_ipv4(frame) && !is_fragment(frame)
}

/// Changes a field or two of the headers; `false` if there are none.
pub fn forge(frame: &mut [u8], random: &mut Rng) -> bool {
    if !is_ipv4(frame) || is_fragment(frame) || header_len(frame) < 20 {
        return false;
    }
    let transport = IP + header_len(frame);
    let total = usize::from(u16::from_be_bytes([frame[IP + 2], frame[IP + 3]]));
    let end = (IP + total).min(frame.len());
    if transport + 8 > end {
        return false;
    }
    let (headers, at) = match frame[IP + 9] {
        6 => (20, 16),
        17 => (8, 6),
        _ => (8, 2),
    };
    for _ in 0..random.u8(1..=2) {
        let place = match random.u8(..8) {
            // The IP header, but for version and length, and addresses, which nobody would see.
            0 => IP + random.usize(1..10),
            // Options of TCP.
            1 | 2 if transport + 40 < end => transport + random.usize(20..40),
            _ => transport + random.usize(4..headers.min(end - transport)),
        };
        frame[place] = match random.u8(..4) {
            0 => random.u8(..),
            1 => 0,
            2 => 0xff,
            _ => frame[place] ^ 1 << random.u8(..8),
        };
    }
    fix_checksum(&mut frame[IP..]);
    let protocol = frame[IP + 9];
    let mut sum = Checksum::new();
    if protocol != 1 {
        sum.add(&frame[IP + 12..IP + 20]);
        sum.add(&[0, protocol]);
        sum.add(&((end - transport) as u16).to_be_bytes());
    }
    if transport + at + 2 > end {
        return false;
    }
    frame[transport + at..transport + at + 2].fill(0);
    sum.add(&frame[transport..end]);
    let sum = sum.finish();
    frame[transport + at..transport + at + 2].copy_from_slice(&sum.to_be_bytes());
    true
}
