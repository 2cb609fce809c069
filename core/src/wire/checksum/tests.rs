//! Tests of the checksum against a reference that adds one word after the other.
#![allow(clippy::indexing_slicing, reason = "of bytes the test wrote")]
use proptest::prelude::*;

use super::*;

/// RFC 1071 §1, word by word.
fn naive(bytes: &[u8]) -> u16 {
    let mut sum = 0u32;
    for word in bytes.chunks(2) {
        let low = word.get(1).copied().unwrap_or(0);
        sum += u32::from(word[0]) << 8 | u32::from(low);
        while sum > 0xffff {
            sum = (sum & 0xffff) + (sum >> 16);
        }
    }
    !(sum as u16)
}

fn parts_of<'a>(mut bytes: &'a [u8], cuts: &[usize]) -> Vec<&'a [u8]> {
    let mut parts = Vec::new();
    for cut in cuts {
        let (part, rest) = bytes.split_at((*cut).min(bytes.len()));
        parts.push(part);
        bytes = rest;
    }
    parts.push(bytes);
    parts
}

#[test]
fn golden_sums() {
    // RFC 1071 §3.
    let example = [0x00, 0x01, 0xf2, 0x03, 0xf4, 0xf5, 0xf6, 0xf7];
    assert_eq!(checksum(&example), !0xddf2);
    // An IPv4 header.
    let header = [
        0x45, 0, 0, 0x73, 0, 0, 0x40, 0, 0x40, 0x11, 0, 0, 192, 168, 0, 1, 192, 168, 0, 199,
    ];
    assert_eq!(checksum(&header), 0xb861);
}

#[test]
fn zeros_and_ones() {
    assert_eq!(checksum(&[]), 0xffff);
    for len in 0..200 {
        assert_eq!(checksum(&vec![0; len]), 0xffff);
        assert_eq!(checksum(&vec![0xff; len]), naive(&vec![0xff; len]));
    }
    // Nothing is not intact: a sum of zero has no checksum in it.
    assert!(!Checksum::new().is_valid());
    let mut sum = Checksum::new();
    sum.add(&[0xff, 0xff]);
    assert_eq!((sum.finish(), sum.finish_udp()), (0, 0xffff));
    assert!(sum.is_valid());
}

#[test]
fn the_largest_carries() {
    // 64 KiB of ones in one part, and the most words that carry at all.
    let ones = vec![0xff; 65_535];
    assert_eq!(checksum(&ones), naive(&ones));
    let mut sum = Checksum::new();
    for _ in 0..1000 {
        sum.add_u16(0xffff);
    }
    assert!(sum.is_valid());
}

#[test]
fn the_pseudo_header() {
    let (src, dst) = (Ipv4Addr::new(10, 0, 0, 1), Ipv4Addr::new(10, 0, 0, 2));
    let mut sum = Checksum::new();
    sum.pseudo_header(src, dst, Protocol::UDP, 0x0102);
    let bytes = [10, 0, 0, 1, 10, 0, 0, 2, 0, 17, 0x01, 0x02];
    assert_eq!(sum.finish(), naive(&bytes));
}

#[test]
fn the_example_of_rfc_1624() {
    // §4: with equation 2 this would be 0xffff.
    assert_eq!(update(0xdd2f, 0x5555, 0x3285), 0x0000);
}

#[test]
fn every_alignment_and_length() {
    let bytes: Vec<u8> = (0..300).map(|n| (n * 131 % 256) as u8).collect();
    for start in 0..9 {
        for len in 0..140 {
            let slice = &bytes[start..start + len];
            assert_eq!(checksum(slice), naive(slice), "{len} bytes from {start}");
        }
    }
}

proptest! {
    #[test]
    fn any_chain_has_the_sum_of_its_bytes(
        bytes in prop::collection::vec(any::<u8>(), 0..2000),
        cuts in prop::collection::vec(0..200usize, 0..20),
    ) {
        let mut sum = Checksum::new();
        for part in parts_of(&bytes, &cuts) {
            sum.add(part);
        }
        prop_assert_eq!(sum.finish(), naive(&bytes));
    }

    #[test]
    fn words_may_come_at_odd_places(bytes in prop::collection::vec(any::<u8>(), 0..50), word: u16) {
        let mut sum = Checksum::new();
        sum.add(&bytes);
        sum.add_u16(word);
        sum.add(&bytes);
        let mut all = bytes.clone();
        all.extend(word.to_be_bytes());
        all.extend(&bytes);
        prop_assert_eq!(sum.finish(), naive(&all));
    }

    #[test]
    fn copying_sums_what_it_copies(
        bytes in prop::collection::vec(any::<u8>(), 0..500),
        cuts in prop::collection::vec(0..100usize, 0..8),
        room in 0..600usize,
    ) {
        let mut out = vec![0xee; room];
        let (mut sum, mut done) = (Checksum::new(), 0);
        for part in parts_of(&bytes, &cuts) {
            let n = sum.copy_and_sum(part, &mut out[done..]);
            prop_assert_eq!(n, part.len().min(room - done));
            done += n;
        }
        prop_assert_eq!(done, bytes.len().min(room));
        prop_assert_eq!(&out[..done], &bytes[..done]);
        prop_assert!(out[done..].iter().all(|byte| *byte == 0xee));
        prop_assert_eq!(sum.finish(), naive(&bytes[..done]));
    }

    #[test]
    fn a_packet_with_its_checksum_is_valid_and_a_changed_one_is_not(
        mut bytes in prop::collection::vec(any::<u8>(), 4..200),
        at: prop::sample::Index,
        bit in 0..8u32,
    ) {
        bytes[2..4].fill(0);
        let sum = checksum(&bytes);
        bytes[2..4].copy_from_slice(&sum.to_be_bytes());
        let is_valid = |bytes: &[u8]| {
            let mut sum = Checksum::new();
            sum.add(bytes);
            sum.is_valid()
        };
        // Sums of zero exist only over zeros; their checksum is all ones.
        prop_assert!(is_valid(&bytes));
        let at = at.index(bytes.len());
        bytes[at] ^= 1 << bit;
        prop_assert!(!is_valid(&bytes));
    }

    #[test]
    fn an_update_is_a_new_sum(
        mut bytes in prop::collection::vec(any::<u8>(), 4..60),
        at: prop::sample::Index,
        new: u16,
    ) {
        let word = at.index(bytes.len() / 2) * 2;
        let before = checksum(&bytes);
        let old = u16::from_be_bytes([bytes[word], bytes[word + 1]]);
        bytes[word..word + 2].copy_from_slice(&new.to_be_bytes());
        let (updated, fresh) = (update(before, old, new), checksum(&bytes));
        // Over zeros alone the sum is zero, which an update cannot tell from all ones.
        let zeros = bytes.iter().all(|byte| *byte == 0);
        prop_assert!(updated == fresh || zeros && updated == 0, "{updated:#x} {fresh:#x}");
    }
}
