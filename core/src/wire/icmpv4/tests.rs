//! Tests of the ICMPv4 codec.
#![allow(clippy::indexing_slicing, reason = "of bytes the test wrote")]
use proptest::prelude::*;

use super::*;
use crate::wire::Checksum;

/// `ping`'s request number 1 of process 0x1c01, with eight bytes of data.
#[rustfmt::skip]
const REQUEST: [u8; 16] = [
    8, 0, 0x4a, 0x68, 0x1c, 0x01, 0x00, 0x01,
    b'a', b'b', b'c', b'd', b'e', b'f', b'g', b'h',
];

/// A router's "fragmentation needed, MTU 1400" about a UDP packet.
#[rustfmt::skip]
const TOO_BIG: [u8; 36] = [
    3, 4, 0xe1, 0x86, 0x00, 0x00, 0x05, 0x78,
    0x45, 0x00, 0x05, 0xdc, 0x12, 0x34, 0x40, 0x00, 0x3f, 0x11, 0x0e, 0xd3,
    10, 0, 0, 2, 10, 0, 1, 9,
    0x10, 0x00, 0x00, 0x35, 0x05, 0xc8, 0x00, 0x00,
];

fn is_valid(message: &[u8]) -> bool {
    let mut sum = Checksum::new();
    sum.add(message);
    sum.is_valid()
}

fn parse(bytes: &[u8]) -> Result<Message<'_>, Malformed> {
    Message::parse(bytes, bytes.len())
}

#[test]
fn golden_echo() {
    assert!(is_valid(&REQUEST));
    let message = parse(&REQUEST).expect("valid");
    let echo = Echo {
        ident: 0x1c01,
        seq: 1,
    };
    assert_eq!(message.kind(), Kind::EchoRequest(echo));
    assert!(!message.kind().is_error());
    assert_eq!(message.quote(), None);
    let mut out = [0xff; 18];
    let len = message.kind().emit_with(&REQUEST[8..], &mut out);
    assert_eq!(len, Ok(16));
    assert_eq!(out[..16], REQUEST);
    assert_eq!(out[16..], [0xff; 2]);
}

#[test]
fn golden_error() {
    assert!(is_valid(&TOO_BIG));
    let message = parse(&TOO_BIG).expect("valid");
    let kind = Kind::DestinationUnreachable(Unreachable::FragmentationNeeded { mtu: 1400 });
    assert_eq!(message.kind(), kind);
    assert_eq!(message.quote(), Some(&TOO_BIG[8..]));
    let mut out = [0; 36];
    assert_eq!(kind.emit_with(&TOO_BIG[8..], &mut out), Ok(36));
    assert_eq!(out, TOO_BIG);
}

#[test]
fn a_request_becomes_its_reply_in_place() {
    let mut message = REQUEST;
    reply_in_place(&mut message).expect("a request");
    assert!(is_valid(&message));
    assert_eq!((message[0], message[1]), (0, 0));
    assert_eq!(message[4..], REQUEST[4..]);
    assert_eq!(reply_in_place(&mut message), Err(Malformed::Operation));
    assert_eq!(
        reply_in_place(&mut TOO_BIG.clone()),
        Err(Malformed::Operation)
    );
    for len in 0..HEADER_LEN {
        let mut short = REQUEST[..len].to_vec();
        assert_eq!(reply_in_place(&mut short), Err(Malformed::Truncated));
    }
}

#[test]
fn every_prefix() {
    for len in 0..TOO_BIG.len() {
        let parsed = parse(&TOO_BIG[..len]);
        if len < HEADER_LEN {
            assert_eq!(parsed.err(), Some(Malformed::Truncated));
        } else {
            assert_eq!(parsed.expect("a header").quote(), Some(&TOO_BIG[8..len]));
        }
    }
    let kind = parse(&REQUEST).expect("valid").kind();
    for len in 0..REQUEST.len() {
        let mut out = vec![0x55; len];
        assert_eq!(kind.emit_with(&REQUEST[8..], &mut out), Err(NoRoom));
        assert!(out.iter().all(|byte| *byte == 0x55), "nothing written");
    }
}

#[test]
fn what_lies_behind_the_packet_is_not_quoted() {
    let mut bytes = TOO_BIG.to_vec();
    bytes.extend([0xee; 10]);
    let message = Message::parse(&bytes, TOO_BIG.len()).expect("valid");
    assert_eq!(message.quote(), Some(&TOO_BIG[8..]));
    assert!(Message::parse(&bytes, 7).is_err());
}

#[test]
fn every_type_and_code_survives() {
    for kind in 0..=0xff {
        for code in 0..=0xff {
            let bytes = [kind, code, 0, 0, 0x12, 0x34, 0x56, 0x78, 0x45];
            let message = parse(&bytes).expect("a whole header");
            let is_error = [3, 4, 5, 11, 12].contains(&kind);
            assert_eq!(message.kind().is_error(), is_error, "type {kind}");
            assert_eq!(message.quote().is_some(), is_error);
            let mut out = [0; HEADER_LEN];
            message.kind().emit(&mut out).expect("room");
            assert_eq!(out[0], kind);
            // The code of an echo is zero, whatever the other side wrote.
            let echo = kind == 0 || kind == 8;
            assert_eq!(out[1], if echo { 0 } else { code });
            assert_eq!(parse(&out).expect("valid").kind(), message.kind());
        }
    }
}

#[test]
fn an_mtu_is_in_fragmentation_needed_only() {
    for code in 0..=16 {
        let bytes = [3, code, 0, 0, 0xaa, 0xaa, 0x02, 0x40];
        let kind = parse(&bytes).expect("valid").kind();
        let needed = Kind::DestinationUnreachable(Unreachable::FragmentationNeeded { mtu: 576 });
        assert_eq!(kind == needed, code == 4, "code {code}");
    }
}

fn kind() -> impl Strategy<Value = Kind> {
    let echo = |(ident, seq)| Echo { ident, seq };
    prop_oneof![
        any::<(u16, u16)>().prop_map(move |e| Kind::EchoRequest(echo(e))),
        any::<(u16, u16)>().prop_map(move |e| Kind::EchoReply(echo(e))),
        any::<(u8, u16)>()
            .prop_map(|(code, mtu)| { Kind::DestinationUnreachable(Unreachable::new(code, mtu)) }),
        Just(Kind::TimeExceeded(Exceeded::TimeToLive)),
        Just(Kind::TimeExceeded(Exceeded::Reassembly)),
        (2..=255u8).prop_map(|code| Kind::TimeExceeded(Exceeded::Other(code))),
        any::<(u8, u8)>().prop_map(|(code, pointer)| Kind::ParameterProblem { code, pointer }),
        (13..=255u8, any::<u8>()).prop_map(|(kind, code)| Kind::Other { kind, code }),
    ]
}

proptest! {
    #[test]
    fn round_trip(kind in kind(), body in prop::collection::vec(any::<u8>(), 0..64)) {
        let mut out = vec![0; HEADER_LEN + body.len()];
        prop_assert_eq!(kind.emit_with(&body, &mut out), Ok(out.len()));
        prop_assert!(is_valid(&out));
        let message = parse(&out).expect("valid");
        prop_assert_eq!(message.kind(), kind);
        prop_assert_eq!(message.quote(), kind.is_error().then_some(&body[..]));
    }

    #[test]
    fn replies_have_right_checksums(
        ident: u16,
        seq: u16,
        body in prop::collection::vec(any::<u8>(), 0..64),
    ) {
        let mut message = vec![0; HEADER_LEN + body.len()];
        let request = Kind::EchoRequest(Echo { ident, seq });
        request.emit_with(&body, &mut message).expect("room");
        reply_in_place(&mut message).expect("a request");
        prop_assert!(is_valid(&message));
        let reply = parse(&message).expect("valid").kind();
        prop_assert_eq!(reply, Kind::EchoReply(Echo { ident, seq }));
    }
}
