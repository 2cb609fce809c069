//! Tests of the IPv4 codec.
#![allow(clippy::indexing_slicing, reason = "of bytes the test wrote")]
use proptest::prelude::*;

use super::*;

/// A UDP packet of 192.168.0.1 to 192.168.0.199, without its 95 bytes of payload.
#[rustfmt::skip]
const HEADER: [u8; 20] = [
    0x45, 0x00, 0x00, 0x73, 0x00, 0x00, 0x40, 0x00,
    0x40, 0x11, 0xb8, 0x61, 192, 168, 0, 1,
    192, 168, 0, 199,
];

/// The header with its payload.
fn golden() -> Vec<u8> {
    let mut packet = HEADER.to_vec();
    packet.extend((0..95).map(|n| n as u8));
    packet
}

/// A packet with options, a multiple of four bytes.
fn with_options(options: &[u8]) -> Vec<u8> {
    let mut packet = golden();
    packet.splice(20..20, options.iter().copied());
    packet[0] = 0x45 + (options.len() / 4) as u8;
    let total = packet.len() as u16;
    packet[2..4].copy_from_slice(&total.to_be_bytes());
    packet
}

fn parse(packet: &[u8]) -> Result<Packet<'_>, Malformed> {
    Packet::parse(packet, packet.len())
}

/// A packet with this flags and offset field and so many bytes of payload.
fn fragment(flags_offset: u16, payload: usize) -> Result<(usize, usize), Malformed> {
    let mut packet = HEADER.to_vec();
    packet.resize(20 + payload, 0);
    let total = packet.len() as u16;
    packet[2..4].copy_from_slice(&total.to_be_bytes());
    packet[6..8].copy_from_slice(&flags_offset.to_be_bytes());
    let parsed = parse(&packet)?;
    Ok((parsed.fragment_offset(), parsed.payload_len()))
}

const FIELDS: Fields = Fields {
    src: Ipv4Addr::new(192, 168, 0, 1),
    dst: Ipv4Addr::new(192, 168, 0, 199),
    protocol: Protocol::UDP,
    ttl: 64,
    dscp: 0,
    ecn: Ecn::NotEct,
    ident: 0,
    fragmentation: Fragmentation::Forbidden,
    payload_len: 95,
};

#[test]
fn golden_packet() {
    let bytes = golden();
    let packet = parse(&bytes).expect("valid");
    assert_eq!((packet.header_len(), packet.total_len()), (20, 115));
    assert_eq!(packet.payload_len(), 95);
    assert_eq!(packet.first_payload(), &bytes[20..]);
    assert_eq!(packet.header_bytes(), HEADER);
    assert!(packet.checksum_is_valid());
    assert_eq!((packet.src(), packet.dst()), (FIELDS.src, FIELDS.dst));
    assert_eq!((packet.protocol(), packet.ttl()), (Protocol::UDP, 64));
    assert_eq!((packet.dscp(), packet.ecn()), (0, Ecn::NotEct));
    assert_eq!(packet.ident(), 0);
    assert!(packet.dont_fragment() && !packet.more_fragments());
    assert!(!packet.is_fragment() && !packet.has_source_route());

    let mut out = [0xff; 22];
    FIELDS.emit(&mut out, ComputedBy::Software).expect("room");
    assert_eq!(out[..20], HEADER);
    assert_eq!(out[20..], [0xff; 2]);
    FIELDS.emit(&mut out, ComputedBy::Device).expect("room");
    assert_eq!(out[10..12], [0, 0], "left to the device");
}

#[test]
fn the_router_alert_is_an_option() {
    let mut out = [0xff; 26];
    let room = &mut out[..];
    FIELDS
        .emit_with_alert(room, ComputedBy::Software)
        .expect("room");
    assert_eq!(out[24..], [0xff; 2]);
    assert_eq!(out[20..24], [0x94, 4, 0, 0]);
    let packet = Packet::parse(&out[..24], 24 + 95).expect("valid");
    assert_eq!((packet.header_len(), packet.payload_len()), (24, 95));
    assert!(packet.checksum_is_valid() && !packet.has_source_route());
    assert_eq!((packet.src(), packet.dst()), (FIELDS.src, FIELDS.dst));
    FIELDS
        .emit_with_alert(&mut out, ComputedBy::Device)
        .expect("room");
    assert_eq!(out[10..12], [0, 0], "left to the device");
    let short = FIELDS.emit_with_alert(&mut out[..23], ComputedBy::Software);
    assert_eq!(short, Err(NoRoom));
    let payload_len = u16::MAX - 23;
    let long = Fields {
        payload_len,
        ..FIELDS
    };
    let long = long.emit_with_alert(&mut out, ComputedBy::Software);
    assert_eq!(long, Err(NoRoom));
}

#[test]
fn every_prefix() {
    let bytes = golden();
    for len in 0..bytes.len() {
        let error = if len < 20 {
            Malformed::Truncated
        } else {
            Malformed::TotalLength
        };
        assert_eq!(parse(&bytes[..len]).err(), Some(error), "{len} bytes");
        // The first part of a chain holds the header at least.
        let first = Packet::parse(&bytes[..len], bytes.len());
        assert_eq!(first.is_ok(), len >= 20, "{len} bytes in the first part");
        if let Ok(packet) = first {
            assert_eq!(packet.payload_len(), 95);
            assert_eq!(packet.first_payload(), &bytes[20..len]);
        }
        assert_eq!(Packet::parse_quoted(&bytes[..len]).is_ok(), len >= 20);
    }
    for len in 0..HEADER_LEN {
        let mut out = vec![0x55; len];
        assert_eq!(FIELDS.emit(&mut out, ComputedBy::Software), Err(NoRoom));
        assert!(out.iter().all(|byte| *byte == 0x55), "nothing written");
    }
}

#[test]
fn padding_is_not_payload() {
    let mut bytes = golden();
    bytes.extend([0xee; 30]);
    let packet = parse(&bytes).expect("valid");
    assert_eq!(packet.payload_len(), 95);
    assert_eq!(packet.first_payload(), &bytes[20..115]);
}

#[test]
fn a_total_smaller_than_the_first_part_clips_it() {
    let bytes = golden();
    for total in 0..20 {
        let error = Packet::parse(&bytes, total).err();
        assert_eq!(error, Some(Malformed::Truncated));
    }
    let error = Packet::parse(&bytes, 114).err();
    assert_eq!(error, Some(Malformed::TotalLength));
}

#[test]
fn versions_and_header_lengths() {
    for version_ihl in 0..=0xff_u8 {
        let mut bytes = golden();
        bytes[0] = version_ihl;
        let expected = match (version_ihl >> 4, version_ihl & 0xf) {
            (4, 0..=4) => Some(Malformed::HeaderLength),
            // The bytes of the payload as options: type 0 ends the list at once.
            (4, _) => None,
            _ => Some(Malformed::Version),
        };
        let parsed = parse(&bytes);
        assert_eq!(parsed.as_ref().err(), expected.as_ref(), "{version_ihl:#x}");
        if let Ok(packet) = parsed {
            let len = usize::from(version_ihl & 0xf) * 4;
            assert_eq!(
                (packet.header_len(), packet.payload_len()),
                (len, 115 - len)
            );
        }
    }
}

#[test]
fn a_header_longer_than_the_packet() {
    let mut bytes = golden();
    bytes[0] = 0x4f;
    // 60 bytes of header in a packet of 59.
    bytes[2..4].copy_from_slice(&59u16.to_be_bytes());
    assert_eq!(parse(&bytes).err(), Some(Malformed::TotalLength));
    // ... of which only 59 have arrived.
    assert_eq!(parse(&bytes[..59]).err(), Some(Malformed::Truncated));
    bytes[2..4].copy_from_slice(&60u16.to_be_bytes());
    assert_eq!(parse(&bytes).expect("no payload").payload_len(), 0);
}

#[test]
fn total_lengths() {
    for (total, error) in [
        (0, Some(Malformed::TotalLength)), // segmentation offload of a lying device
        (1, Some(Malformed::TotalLength)),
        (19, Some(Malformed::TotalLength)),
        (20, None),
        (115, None),
        (116, Some(Malformed::TotalLength)),
        (0xffff, Some(Malformed::TotalLength)),
    ] {
        let mut bytes = golden();
        bytes[2..4].copy_from_slice(&u16::to_be_bytes(total));
        assert_eq!(parse(&bytes).err(), error, "total length {total}");
    }
}

#[test]
fn fragments() {
    const MORE: u16 = 0x2000;
    let ok = |offset, payload| Ok((offset, payload));
    let bad = Err(Malformed::Fragment);
    for (flags_offset, payload, expected) in [
        (MORE, 8, ok(0, 8)),
        (MORE, 0, bad), // nothing in it
        (MORE, 7, bad), // ends inside a unit of eight
        (MORE, 9, bad),
        (1, 0, bad),
        (1, 1, ok(8, 1)), // the last may be ragged
        (0, 0, ok(0, 0)), // no fragment
        (0x1fff, 1, bad),
        (0x1fff, 7, bad), // 65,528 + 7 is 65,535, but the whole datagram has a header
        (MORE | 0x1fff, 8, bad),
        (0x1fff, 1480, bad),
        (8189, 3, ok(65_512, 3)), // ends at 65,515: the last byte there can be
        (8189, 4, bad),
        (MORE | 8188, 8, ok(65_504, 8)),
        (MORE | 8188, 16, bad),
    ] {
        assert_eq!(
            fragment(flags_offset, payload),
            expected,
            "{flags_offset:#06x} with {payload} bytes"
        );
    }
}

#[test]
fn the_evil_bit_and_dont_fragment_change_nothing() {
    assert_eq!(fragment(0x8000, 5), Ok((0, 5)));
    assert_eq!(fragment(0x4000, 5), Ok((0, 5)));
    assert_eq!(fragment(0xe001, 8), Ok((8, 8)));
}

#[test]
fn hostile_options() {
    let bad = Some(Malformed::Options);
    for (options, error) in [
        ([1, 1, 1, 1], None),
        ([0, 0xff, 0xff, 0xff], None), // behind the end of the list is anything
        ([7, 4, 0, 0], None),
        ([148, 4, 0, 0], None),
        ([7, 0, 0, 0], bad),
        ([7, 1, 0, 0], bad),
        ([7, 5, 0, 0], bad), // past the end
        ([7, 255, 0, 0], bad),
        ([1, 1, 1, 7], bad), // no length byte
        ([1, 1, 7, 3], bad),
        ([1, 1, 7, 2], None),
        ([7, 2, 9, 1], bad), // the second one
        ([7, 3, 1, 9], bad),
    ] {
        let bytes = with_options(&options);
        assert_eq!(parse(&bytes).err(), error, "{options:?}");
        assert_eq!(Packet::parse_quoted(&bytes).err(), error, "{options:?}");
    }
}

#[test]
fn the_longest_options() {
    let mut options = [1; 40];
    options[36..].copy_from_slice(&[7, 4, 9, 9]);
    let bytes = with_options(&options);
    let packet = parse(&bytes).expect("valid");
    assert_eq!((packet.header_len(), packet.payload_len()), (60, 95));
    assert_eq!(packet.first_payload(), &golden()[20..]);
    options[37] = 5;
    assert!(parse(&with_options(&options)).is_err());
}

#[test]
fn source_routes_are_seen() {
    for (options, expected) in [
        (vec![131, 7, 4, 10, 0, 0, 1, 0], true),
        (vec![137, 7, 4, 10, 0, 0, 1, 0], true),
        (vec![1, 1, 7, 3, 4, 131, 3, 4], true),
        (vec![7, 7, 4, 131, 137, 131, 1, 0], false), // data of another option
        (vec![0, 131, 7, 4, 10, 0, 0, 1], false),    // behind the end
    ] {
        let bytes = with_options(&options);
        let packet = parse(&bytes).expect("valid");
        assert_eq!(packet.has_source_route(), expected, "{options:?}");
    }
}

#[test]
fn a_payload_too_long_to_send() {
    let mut out = [0x55; 20];
    let mut fields = FIELDS;
    fields.payload_len = MAX_PAYLOAD;
    fields.emit(&mut out, ComputedBy::Software).expect("fits");
    assert_eq!(out[2..4], [0xff, 0xff]);
    fields.payload_len = MAX_PAYLOAD + 1;
    assert_eq!(fields.emit(&mut out, ComputedBy::Software), Err(NoRoom));
}

#[test]
fn a_code_point_too_large_does_not_reach_the_ecn_bits() {
    let mut out = [0; 20];
    let fields = Fields {
        dscp: 0xff,
        ..FIELDS
    };
    fields.emit(&mut out, ComputedBy::Software).expect("room");
    assert_eq!(out[1] & 3, 0);
}

fn fragmentation() -> impl Strategy<Value = Fragmentation> {
    // Units that leave room for the largest payload below.
    let offset = (0..8000u16).prop_map(|units| units * 8);
    prop_oneof![
        Just(Fragmentation::Allowed),
        Just(Fragmentation::Forbidden),
        offset
            .clone()
            .prop_map(|offset| Fragmentation::Part { offset }),
        (1..8000u16).prop_map(|units| Fragmentation::LastPart { offset: units * 8 }),
    ]
}

proptest! {
    #[test]
    fn a_template_writes_what_the_fields_do(
        (src, dst, ttl, dscp) in any::<(u32, u32, u8, u8)>(),
        marks in proptest::collection::vec((any::<u16>(), fragmentation(), 0..=MAX_PAYLOAD), 1..5),
        by in prop_oneof![Just(ComputedBy::Software), Just(ComputedBy::Device)],
    ) {
        let (src, dst) = (Ipv4Addr::from(src), Ipv4Addr::from(dst));
        let flow = Fields { src, dst, ttl, dscp, ..FIELDS };
        let template = flow.template(by);
        for (ident, fragmentation, payload_len) in marks {
            let fields = Fields { ident, fragmentation, payload_len, ..flow };
            let (mut expected, mut out) = ([0; HEADER_LEN], [0xff; HEADER_LEN]);
            fields.emit(&mut expected, by).expect("room");
            template.write(&mut out, payload_len, Mark::new(ident, fragmentation, fields.ecn));
            prop_assert_eq!(out, expected);
        }
    }

    #[test]
    fn round_trip(
        (src, dst, protocol, ttl) in any::<(u32, u32, u8, u8)>(),
        (dscp, ecn, ident) in (0..64u8, 0..4usize, any::<u16>()),
        fragmentation in fragmentation(),
        units in 1..180u16,
    ) {
        let ecn = [Ecn::NotEct, Ecn::Ect1, Ecn::Ect0, Ecn::Ce][ecn];
        let (src, dst) = (Ipv4Addr::from(src), Ipv4Addr::from(dst));
        let protocol = Protocol(protocol);
        let payload_len = units * 8;
        let fields = Fields { src, dst, protocol, ttl, dscp, ecn, ident, fragmentation, payload_len };
        let mut out = [0; HEADER_LEN];
        fields.emit(&mut out, ComputedBy::Software).expect("room");
        let p = Packet::parse(&out, HEADER_LEN + usize::from(payload_len)).expect("valid");
        prop_assert!(p.checksum_is_valid());
        prop_assert_eq!((p.src(), p.dst(), p.protocol()), (src, dst, protocol));
        prop_assert_eq!((p.ttl(), p.dscp(), p.ecn(), p.ident()), (ttl, dscp, ecn, ident));
        prop_assert_eq!(p.payload_len(), usize::from(payload_len));
        let parsed = match (p.is_fragment(), p.more_fragments(), p.dont_fragment()) {
            (false, _, false) => Fragmentation::Allowed,
            (false, _, true) => Fragmentation::Forbidden,
            (true, true, _) => Fragmentation::Part { offset: p.fragment_offset() as u16 },
            (true, false, _) => Fragmentation::LastPart { offset: p.fragment_offset() as u16 },
        };
        prop_assert_eq!(parsed, fragmentation);
    }
}
