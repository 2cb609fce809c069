//! Tests of the UDP codec.
#![allow(clippy::indexing_slicing, reason = "of bytes the test wrote")]
use core::net::Ipv4Addr;

use proptest::prelude::*;

use super::*;
use crate::wire::Checksum;
use crate::wire::ipv4::Protocol;

/// From port 4000 of 10.0.0.1 to port 53 of 10.0.0.2.
#[rustfmt::skip]
const DATAGRAM: [u8; 13] = [
    0x0f, 0xa0, 0x00, 0x35, 0x00, 0x0d, 0x98, 0x2a,
    b'h', b'e', b'l', b'l', b'o',
];

fn sum(bytes: &[u8]) -> Checksum {
    let (src, dst) = (Ipv4Addr::new(10, 0, 0, 1), Ipv4Addr::new(10, 0, 0, 2));
    let mut sum = Checksum::new();
    sum.pseudo_header(src, dst, Protocol::UDP, bytes.len() as u16);
    sum.add(bytes);
    sum
}

fn parse(bytes: &[u8]) -> Result<Datagram<'_>, Malformed> {
    Datagram::parse(bytes, bytes.len())
}

#[test]
fn golden_datagram() {
    let datagram = parse(&DATAGRAM).expect("valid");
    assert_eq!((datagram.src_port(), datagram.dst_port()), (4000, 53));
    assert_eq!((datagram.len(), datagram.payload_len()), (13, 5));
    assert!(datagram.has_checksum() && sum(&DATAGRAM).is_valid());

    let fields = Fields {
        src_port: 4000,
        dst_port: 53,
        payload_len: 5,
    };
    let mut out = DATAGRAM;
    out[..8].fill(0xff);
    fields.emit(&mut out).expect("room");
    assert_eq!(out[6..8], [0, 0], "no checksum yet");
    assert!(!parse(&out).expect("valid").has_checksum());
    let checksum = sum(&out).finish_udp();
    set_checksum(&mut out, checksum).expect("a header");
    assert_eq!(out, DATAGRAM);
}

#[test]
fn every_prefix() {
    for len in 0..DATAGRAM.len() {
        let error = if len < HEADER_LEN {
            Malformed::Truncated
        } else {
            Malformed::TotalLength
        };
        assert_eq!(parse(&DATAGRAM[..len]).err(), Some(error), "{len} bytes");
        let first = Datagram::parse(&DATAGRAM[..len], DATAGRAM.len());
        assert_eq!(first.is_ok(), len >= HEADER_LEN, "{len} bytes in the part");
        assert_eq!(Quoted::parse(&DATAGRAM[..len]).is_ok(), len >= HEADER_LEN);
    }
    let fields = Fields {
        src_port: 1,
        dst_port: 2,
        payload_len: 0,
    };
    for len in 0..HEADER_LEN {
        let mut out = vec![0x55; len];
        assert_eq!(fields.emit(&mut out), Err(NoRoom));
        assert_eq!(set_checksum(&mut out, 7), Err(NoRoom));
        assert!(out.iter().all(|byte| *byte == 0x55), "nothing written");
    }
}

#[test]
fn lying_lengths() {
    for (len, error) in [
        (0, Some(Malformed::TotalLength)), // a jumbogram
        (1, Some(Malformed::TotalLength)),
        (7, Some(Malformed::TotalLength)),
        (8, None),
        (13, None),
        (14, Some(Malformed::TotalLength)),
        (0xffff, Some(Malformed::TotalLength)),
    ] {
        let mut bytes = DATAGRAM;
        bytes[4..6].copy_from_slice(&u16::to_be_bytes(len));
        assert_eq!(parse(&bytes).err(), error, "length {len}");
    }
}

#[test]
fn ports_of_zero() {
    let mut bytes = DATAGRAM;
    bytes[..2].fill(0);
    assert_eq!(parse(&bytes).expect("no answer wanted").src_port(), 0);
    bytes[2..4].fill(0);
    assert_eq!(parse(&bytes).err(), Some(Malformed::Port));
}

#[test]
fn the_longest_datagram() {
    let mut out = [0; 8];
    let mut fields = Fields {
        src_port: 1,
        dst_port: 2,
        payload_len: MAX_PAYLOAD,
    };
    fields.emit(&mut out).expect("fits");
    let datagram = Datagram::parse(&out, 65_515).expect("valid");
    assert_eq!(datagram.payload_len(), 65_507);
    // The length field has room for what IPv4 has not.
    fields.payload_len = u16::MAX - 8;
    fields.emit(&mut out).expect("fits the field");
    fields.payload_len = u16::MAX - 7;
    assert_eq!(fields.emit(&mut out), Err(NoRoom));
}

proptest! {
    #[test]
    fn round_trip(src_port: u16, dst_port in 1..=u16::MAX, payload_len in 0..=MAX_PAYLOAD, checksum: u16) {
        let fields = Fields { src_port, dst_port, payload_len };
        let mut out = [0; HEADER_LEN];
        fields.emit(&mut out).expect("room");
        set_checksum(&mut out, checksum).expect("a header");
        let total = HEADER_LEN + usize::from(payload_len);
        let datagram = Datagram::parse(&out, total).expect("valid");
        prop_assert_eq!((datagram.src_port(), datagram.dst_port()), (src_port, dst_port));
        prop_assert_eq!(datagram.payload_len(), usize::from(payload_len));
        prop_assert_eq!(datagram.has_checksum(), checksum != 0);
        prop_assert_eq!(Quoted::parse(&out), Ok(Quoted { src_port, dst_port }));
    }
}
