//! Random and mutated bytes against every parser: none panics, and what it accepts keeps the
//! promises of its documentation.
#![allow(clippy::indexing_slicing, reason = "of bytes the test wrote")]
use core::net::Ipv4Addr;

use proptest::prelude::*;
use proptest::sample::Index;

use super::checksum::ComputedBy;
use super::tcp_options::{MAX_WINDOW_SCALE, Options, Timestamps};
use super::*;
use crate::netif::driver::HwAddr;

/// Valid frames to start from, one of each protocol.
fn seeds() -> Vec<Vec<u8>> {
    let mut tcp = [0; 60];
    let options = Options {
        mss: Some(1460),
        sack_permitted: true,
        timestamps: Some(Timestamps { value: 1, echo: 2 }),
        window_scale: Some(7),
        ..Options::default()
    };
    let fields = tcp::Fields {
        src_port: 1,
        dst_port: 2,
        seq: SeqNum(3),
        ack: Some(SeqNum(4)),
        flags: tcp::Flags::SYN,
        window: 5,
    };
    let len = fields.emit(&options, &mut tcp).expect("room");
    let tcp = &tcp[..len];

    let mut udp = [0x5a; 20];
    let fields = udp::Fields {
        src_port: 1,
        dst_port: 2,
        payload_len: 12,
    };
    fields.emit(&mut udp).expect("room");

    let mut icmp = [0; 60];
    let unreachable = icmpv4::Kind::DestinationUnreachable(icmpv4::Unreachable::Port);
    let quote = ip(ipv4::Protocol::UDP, &udp);
    let len = unreachable.emit_with(&quote, &mut icmp).expect("room");

    let query = [
        0x11, 0x8f, 0, 0, 239, 1, 2, 3, 2, 125, 0, 1, 10, 0, 0, 1, 0, 0, 0, 0,
    ];

    let mut arp = [0; arp::HEADER_LEN];
    let packet = arp::Packet {
        operation: arp::Operation::Reply,
        sender_hw: HwAddr([2; 6]),
        sender_ip: Ipv4Addr::new(10, 0, 0, 1),
        target_hw: HwAddr([4; 6]),
        target_ip: Ipv4Addr::new(10, 0, 0, 2),
    };
    packet.emit(&mut arp).expect("room");
    vec![
        frame(ethernet::EtherType::IPV4, &ip(ipv4::Protocol::TCP, tcp)),
        frame(ethernet::EtherType::IPV4, &ip(ipv4::Protocol::UDP, &udp)),
        frame(
            ethernet::EtherType::IPV4,
            &ip(ipv4::Protocol::ICMP, &icmp[..len]),
        ),
        frame(ethernet::EtherType::IPV4, &ip(ipv4::Protocol::IGMP, &query)),
        frame(ethernet::EtherType::ARP, &arp),
    ]
}

fn frame(ethertype: ethernet::EtherType, payload: &[u8]) -> Vec<u8> {
    let mut frame = vec![0; ethernet::HEADER_LEN];
    let header = ethernet::Header::new(HwAddr::BROADCAST, HwAddr([2; 6]), ethertype);
    header.emit(&mut frame).expect("room");
    frame.extend(payload);
    frame
}

fn ip(protocol: ipv4::Protocol, payload: &[u8]) -> Vec<u8> {
    let mut packet = vec![0; ipv4::HEADER_LEN];
    let fields = ipv4::Fields {
        src: Ipv4Addr::new(10, 0, 0, 1),
        dst: Ipv4Addr::new(10, 0, 0, 2),
        protocol,
        ttl: 64,
        dscp: 0,
        ecn: ipv4::Ecn::NotEct,
        ident: 1,
        fragmentation: ipv4::Fragmentation::Allowed,
        payload_len: payload.len() as u16,
    };
    fields
        .emit(&mut packet, ComputedBy::Software)
        .expect("room");
    packet.extend(payload);
    packet
}

/// What happens to a seed on its way.
#[derive(Clone, Debug)]
enum Mutation {
    Set(Index, u8),
    Flip(Index, u8),
    Cut(Index),
    Grow(u8, u8),
    Swap(Index, Index),
}

fn mutation() -> impl Strategy<Value = Mutation> {
    // Values where lengths and counts break.
    let value = prop_oneof![
        Just(0),
        Just(1),
        Just(0x44),
        Just(0x4f),
        Just(0x50),
        Just(0xf0),
        Just(0xff),
        any::<u8>()
    ];
    prop_oneof![
        (any::<Index>(), value).prop_map(|(at, value)| Mutation::Set(at, value)),
        (any::<Index>(), 0..8u8).prop_map(|(at, bit)| Mutation::Flip(at, bit)),
        any::<Index>().prop_map(Mutation::Cut),
        (1..40u8, any::<u8>()).prop_map(|(n, value)| Mutation::Grow(n, value)),
        (any::<Index>(), any::<Index>()).prop_map(|(a, b)| Mutation::Swap(a, b)),
    ]
}

fn mutate(bytes: &mut Vec<u8>, mutation: &Mutation) {
    if bytes.is_empty() {
        return;
    }
    let len = bytes.len();
    match mutation {
        Mutation::Set(at, value) => bytes[at.index(len)] = *value,
        Mutation::Flip(at, bit) => bytes[at.index(len)] ^= 1 << bit,
        Mutation::Cut(at) => bytes.truncate(at.index(len)),
        Mutation::Grow(n, value) => bytes.extend(vec![*value; usize::from(*n)]),
        Mutation::Swap(a, b) => bytes.swap(a.index(len), b.index(len)),
    }
}

/// Follows a frame as deep as its headers lead.
fn check_frame(bytes: &[u8]) {
    let Ok((header, payload)) = ethernet::parse(bytes) else {
        assert!(bytes.len() < ethernet::HEADER_LEN);
        return;
    };
    assert_eq!(payload.len(), bytes.len() - ethernet::HEADER_LEN);
    match header.ethertype() {
        ethernet::EtherType::ARP => check_arp(payload),
        _ => check_ip(payload, payload.len()),
    }
}

fn check_arp(bytes: &[u8]) {
    let Ok(packet) = arp::Packet::parse(bytes) else {
        return;
    };
    let mut out = [0; arp::HEADER_LEN];
    packet.emit(&mut out).expect("room");
    assert_eq!(out, bytes[..arp::HEADER_LEN]);
}

fn check_ip(first: &[u8], total: usize) {
    check_quote(first);
    let Ok(packet) = ipv4::Packet::parse(first, total) else {
        return;
    };
    assert!((20..=60).contains(&packet.header_len()));
    assert!(packet.header_len() <= packet.total_len() && packet.total_len() <= total);
    assert_eq!(
        packet.total_len(),
        packet.header_len() + packet.payload_len()
    );
    assert_eq!(packet.header_bytes(), &first[..packet.header_len()]);
    assert!(packet.first_payload().len() <= packet.payload_len());
    assert!(packet.header_len() + packet.fragment_offset() + packet.payload_len() <= 65_535);
    if packet.is_fragment() {
        assert!(packet.payload_len() > 0);
        assert!(!packet.more_fragments() || packet.payload_len().is_multiple_of(8));
    }
    assert!(packet.dscp() < 64);
    let _ = (packet.has_source_route(), packet.checksum_is_valid());
    // Whatever the protocol field says: every parser gets it.
    let (first, total) = (packet.first_payload(), packet.payload_len());
    check_tcp(first, total);
    check_udp(first, total);
    check_icmp(first, total);
    check_igmp(first, total);
}

fn check_quote(quote: &[u8]) {
    let Ok(packet) = ipv4::Packet::parse_quoted(quote) else {
        return;
    };
    let payload = packet.first_payload();
    assert!(packet.header_len() + payload.len() <= quote.len());
    assert!(payload.len() <= packet.payload_len());
    assert_eq!(tcp::Quoted::parse(payload).is_ok(), payload.len() >= 8);
    assert_eq!(udp::Quoted::parse(payload).is_ok(), payload.len() >= 8);
}

fn check_tcp(first: &[u8], total: usize) {
    let Ok(segment) = tcp::Segment::parse(first, total) else {
        return;
    };
    assert!(segment.src_port() != 0 && segment.dst_port() != 0);
    assert!((20..=60).contains(&segment.header_len()));
    assert_eq!(segment.header_len() + segment.payload_len(), total);
    assert!(segment.header_len() <= first.len());
    assert!(segment.seg_len() as usize <= segment.payload_len() + 2);
    check_options(&first[20..segment.header_len()]);
}

fn check_options(bytes: &[u8]) {
    let options = Options::parse(bytes);
    assert!(options.window_scale.unwrap_or(0) <= MAX_WINDOW_SCALE);
    assert!(options.len() <= tcp_options::MAX_LEN && options.len().is_multiple_of(4));
    let mut out = [0; tcp_options::MAX_LEN];
    let len = options.emit(&mut out).expect("always fits");
    let mut again = Options::parse(&out[..len]);
    assert!(!again.malformed, "what is written is well formed");
    let kept = again.sack.as_slice().len();
    assert_eq!(again.sack.as_slice(), &options.sack.as_slice()[..kept]);
    (again.sack, again.malformed) = (options.sack, options.malformed);
    assert_eq!(again, options);
}

fn check_udp(first: &[u8], total: usize) {
    let Ok(datagram) = udp::Datagram::parse(first, total) else {
        return;
    };
    assert!(datagram.dst_port() != 0);
    assert!((8..=total).contains(&datagram.len()));
    assert_eq!(datagram.payload_len() + 8, datagram.len());
}

fn check_icmp(first: &[u8], total: usize) {
    let Ok(message) = icmpv4::Message::parse(first, total) else {
        assert!(first.len().min(total) < icmpv4::HEADER_LEN);
        return;
    };
    assert_eq!(message.quote().is_some(), message.kind().is_error());
    if let Some(quote) = message.quote() {
        assert!(quote.len() + icmpv4::HEADER_LEN <= total);
        check_quote(quote);
    }
    let mut reply = first.to_vec();
    let is_request = matches!(message.kind(), icmpv4::Kind::EchoRequest(_));
    assert_eq!(icmpv4::reply_in_place(&mut reply).is_ok(), is_request);
}

fn check_igmp(first: &[u8], total: usize) {
    match igmp::Message::parse(first, total) {
        Ok(igmp::Message::Query(query)) => {
            assert!(query.group.is_none_or(|group| group.is_multicast()));
            assert!(query.max_response.as_secs() <= 3_174);
        }
        Ok(igmp::Message::Report { group }) => assert!(group.is_multicast()),
        Ok(igmp::Message::Other { .. }) | Err(_) => {}
    }
}

#[test]
fn the_seeds_are_valid() {
    for seed in seeds() {
        check_frame(&seed);
        let (header, payload) = ethernet::parse(&seed).expect("a frame");
        if header.ethertype() == ethernet::EtherType::ARP {
            arp::Packet::parse(payload).expect("an ARP packet");
            continue;
        }
        let packet = ipv4::Packet::parse(payload, payload.len()).expect("a packet");
        let (first, total) = (packet.first_payload(), packet.payload_len());
        match packet.protocol() {
            ipv4::Protocol::TCP => drop(tcp::Segment::parse(first, total).expect("a segment")),
            ipv4::Protocol::UDP => drop(udp::Datagram::parse(first, total).expect("a datagram")),
            ipv4::Protocol::IGMP => drop(igmp::Message::parse(first, total).expect("a query")),
            _ => drop(icmpv4::Message::parse(first, total).expect("a message")),
        }
    }
}

#[test]
fn every_byte_of_every_seed_takes_every_value() {
    for seed in seeds() {
        for at in 0..seed.len() {
            for value in 0..=0xff {
                let mut bytes = seed.clone();
                bytes[at] = value;
                check_frame(&bytes);
            }
        }
        for len in 0..seed.len() {
            check_frame(&seed[..len]);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 4096, ..ProptestConfig::default() })]

    #[test]
    fn mutated_frames(
        seed in prop::sample::select(seeds()),
        mutations in prop::collection::vec(mutation(), 1..8),
    ) {
        let mut bytes = seed;
        for mutation in &mutations {
            mutate(&mut bytes, mutation);
        }
        check_frame(&bytes);
    }

    #[test]
    fn random_bytes(bytes in prop::collection::vec(any::<u8>(), 0..120), total in 0..70_000usize) {
        check_frame(&bytes);
        check_arp(&bytes);
        for total in [bytes.len(), total] {
            check_ip(&bytes, total);
            check_udp(&bytes, total);
            check_icmp(&bytes, total);
            check_tcp(&bytes, total);
        }
        check_options(&bytes);
    }

    #[test]
    fn random_packets_with_a_plausible_start(
        mut bytes in prop::collection::vec(any::<u8>(), 20..120),
        ihl in 5..16u8,
        extra in 0..100usize,
    ) {
        bytes[0] = 0x40 | ihl;
        let total = (bytes.len() + extra) as u16;
        bytes[2..4].copy_from_slice(&total.to_be_bytes());
        check_ip(&bytes, total.into());
    }
}
