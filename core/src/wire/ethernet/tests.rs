//! Tests of the Ethernet codec.
#![allow(clippy::indexing_slicing, reason = "of bytes the test wrote")]
use proptest::prelude::*;

use super::*;

#[rustfmt::skip]
const FRAME: [u8; 18] = [
    0x33, 0x33, 0x00, 0x00, 0x00, 0x01, // destination
    0x02, 0x00, 0x5e, 0x10, 0x00, 0x01, // source
    0x08, 0x00, // IPv4
    0xde, 0xad, 0xbe, 0xef,
];

#[test]
fn golden_frame() {
    let (header, payload) = parse(&FRAME).expect("valid");
    assert_eq!(header.dst(), HwAddr([0x33, 0x33, 0, 0, 0, 1]));
    assert!(header.dst().is_group());
    assert_eq!(header.src(), HwAddr([2, 0, 0x5e, 0x10, 0, 1]));
    assert!(!header.src().is_group());
    assert_eq!(header.ethertype(), EtherType::IPV4);
    assert_eq!(payload, [0xde, 0xad, 0xbe, 0xef]);

    let mut out = [0xff; 18];
    Header::new(header.dst(), header.src(), EtherType::IPV4)
        .emit(&mut out)
        .expect("room");
    assert_eq!(out[..14], FRAME[..14]);
    assert_eq!(out[14..], [0xff; 4], "only the header is written");
}

#[test]
fn every_prefix() {
    for len in 0..HEADER_LEN {
        assert_eq!(parse(&FRAME[..len]).err(), Some(Malformed::Truncated));
        let header = Header::new(HwAddr::BROADCAST, HwAddr([2; 6]), EtherType::ARP);
        let mut out = vec![0x55; len];
        assert_eq!(header.emit(&mut out), Err(NoRoom));
        assert!(out.iter().all(|byte| *byte == 0x55), "nothing written");
    }
    let (_, payload) = parse(&FRAME[..HEADER_LEN]).expect("a header alone");
    assert!(payload.is_empty());
}

proptest! {
    #[test]
    fn round_trip(dst: [u8; 6], src: [u8; 6], ethertype: u16) {
        let mut out = [0; HEADER_LEN];
        let header = Header::new(HwAddr(dst), HwAddr(src), EtherType(ethertype));
        header.emit(&mut out).expect("room");
        let (parsed, _) = parse(&out).expect("valid");
        prop_assert_eq!(parsed.dst(), HwAddr(dst));
        prop_assert_eq!(parsed.src(), HwAddr(src));
        prop_assert_eq!(parsed.ethertype(), EtherType(ethertype));
    }
}
