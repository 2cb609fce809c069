//! Tests of the ARP codec.
#![allow(clippy::indexing_slicing, reason = "of bytes the test wrote")]
use proptest::prelude::*;

use super::*;

/// 10.0.0.1 asks who has 10.0.0.2; padded as on Ethernet.
#[rustfmt::skip]
const REQUEST: [u8; 46] = [
    0x00, 0x01, 0x08, 0x00, 6, 4, 0x00, 0x01,
    0x02, 0x00, 0x00, 0x00, 0x00, 0x01, 10, 0, 0, 1,
    0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 10, 0, 0, 2,
    0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
];

const PACKET: Packet = Packet {
    operation: Operation::Request,
    sender_hw: HwAddr([2, 0, 0, 0, 0, 1]),
    sender_ip: Ipv4Addr::new(10, 0, 0, 1),
    target_hw: HwAddr([0; 6]),
    target_ip: Ipv4Addr::new(10, 0, 0, 2),
};

#[test]
fn golden_request() {
    assert_eq!(Packet::parse(&REQUEST), Ok(PACKET));
    let mut out = [0xff; 30];
    PACKET.emit(&mut out).expect("room");
    assert_eq!(out[..28], REQUEST[..28]);
    assert_eq!(out[28..], [0xff; 2]);
}

#[test]
fn golden_reply() {
    let mut bytes = REQUEST;
    bytes[7] = 2;
    let packet = Packet::parse(&bytes).expect("valid");
    assert_eq!(packet.operation, Operation::Reply);
}

#[test]
fn every_prefix() {
    for len in 0..HEADER_LEN {
        assert_eq!(Packet::parse(&REQUEST[..len]), Err(Malformed::Truncated));
        let mut out = vec![0x55; len];
        assert_eq!(PACKET.emit(&mut out), Err(NoRoom));
        assert!(out.iter().all(|byte| *byte == 0x55), "nothing written");
    }
    assert_eq!(Packet::parse(&REQUEST[..HEADER_LEN]), Ok(PACKET));
}

#[test]
fn other_formats_and_operations() {
    // Where, what, and what is wrong with it.
    for (at, value, error) in [
        (0, 1, Malformed::AddressFormat), // hardware 0x0101
        (1, 6, Malformed::AddressFormat), // IEEE 802
        (2, 0x86, Malformed::AddressFormat),
        (3, 0xdd, Malformed::AddressFormat),
        (4, 0, Malformed::AddressFormat), // no hardware address
        (4, 8, Malformed::AddressFormat),
        (4, 255, Malformed::AddressFormat),
        (5, 0, Malformed::AddressFormat), // no protocol address
        (5, 16, Malformed::AddressFormat),
        (5, 255, Malformed::AddressFormat),
        (6, 1, Malformed::Operation),
        (7, 0, Malformed::Operation),
        (7, 3, Malformed::Operation), // reverse ARP
        (7, 255, Malformed::Operation),
    ] {
        let mut bytes = REQUEST;
        bytes[at] = value;
        assert_eq!(Packet::parse(&bytes), Err(error), "byte {at} = {value}");
    }
}

proptest! {
    #[test]
    fn round_trip(reply: bool, hw: [[u8; 6]; 2], ip: [u32; 2]) {
        let packet = Packet {
            operation: if reply { Operation::Reply } else { Operation::Request },
            sender_hw: HwAddr(hw[0]),
            sender_ip: ip[0].into(),
            target_hw: HwAddr(hw[1]),
            target_ip: ip[1].into(),
        };
        let mut out = [0; HEADER_LEN];
        packet.emit(&mut out).expect("room");
        prop_assert_eq!(Packet::parse(&out), Ok(packet));
    }
}
