//! What IP lets in: each kind of wrong packet is counted once, by its reason, and leaves nothing.
use gannet_core::netif::Admin;
use gannet_core::wire::ethernet::EtherType;
use gannet_core::wire::icmpv4::Kind;
use gannet_core::wire::ipv4::Protocol;
use gannet_core::{Checksums, Config, HwAddr, IcmpStats, IpStats};
use gannet_tests::frames::{ECHO, Packet, echo_request, fix_checksum, frame};
use gannet_tests::lan::{Lan, PEER, PEER_HW, STACK, STACK_HW, capabilities};
use gannet_tests::storage::Sizes;

fn ping() -> Packet {
    Packet::new(PEER, STACK, Protocol::ICMP, echo_request(40))
}

/// A ping with some bytes of its IP header changed, and the checksum right.
fn spoiled(spoil: impl Fn(&mut Vec<u8>)) -> Vec<u8> {
    let mut bytes = ping().bytes();
    spoil(&mut bytes);
    if bytes.len() >= 20 && bytes[0] & 0xf == 5 {
        fix_checksum(&mut bytes);
    }
    bytes
}

fn from(src: [u8; 4]) -> Vec<u8> {
    let mut packet = ping();
    packet.src = src.into();
    packet.bytes()
}

fn to(dst: [u8; 4]) -> Vec<u8> {
    let mut packet = ping();
    packet.dst = dst.into();
    packet.bytes()
}

fn with_options(options: &[u8]) -> Vec<u8> {
    let mut packet = ping();
    packet.options = options.to_vec();
    packet.bytes()
}

type Counter = fn(&IpStats) -> u32;

#[test]
fn malformed_and_foreign_packets_are_counted_and_dropped() {
    let header: Counter = |s| s.in_header_errors;
    let martian: Counter = |s| s.in_martians;
    let foreign: Counter = |s| s.in_address_errors;
    let route: Counter = |s| s.in_source_routes;
    let cases: &[(&str, Vec<u8>, Counter)] = &[
        ("nothing", vec![], header),
        ("one byte", vec![0x45], header),
        ("19 bytes", ping().bytes()[..19].to_vec(), header),
        ("version 6", spoiled(|b| b[0] = 0x65), header),
        ("version 0", spoiled(|b| b[0] = 0x05), header),
        ("header of 16 bytes", spoiled(|b| b[0] = 0x44), header),
        ("no header", spoiled(|b| b[0] = 0x40), header),
        (
            "header longer than the packet",
            spoiled(|b| {
                b.truncate(40);
                b[3] = 40;
                b[0] = 0x4f;
            }),
            header,
        ),
        (
            "total length below the header",
            spoiled(|b| b[3] = 19),
            header,
        ),
        (
            "total length zero",
            spoiled(|b| (b[2], b[3]) = (0, 0)),
            header,
        ),
        (
            "total length above the frame",
            spoiled(|b| b[3] += 1),
            header,
        ),
        (
            "total length far above the frame",
            spoiled(|b| b[2] = 0xff),
            header,
        ),
        (
            "a fragment behind byte 65535",
            spoiled(|b| (b[6], b[7]) = (0x1f, 0xff)),
            header,
        ),
        (
            "an empty fragment",
            spoiled(|b| {
                b.truncate(20);
                b[3] = 20;
                b[6] = 0x20;
            }),
            header,
        ),
        (
            "a ragged fragment",
            spoiled(|b| {
                b.truncate(65);
                b[3] = 65;
                b[6] = 0x20;
            }),
            header,
        ),
        (
            "an option of length zero",
            with_options(&[7, 0, 0, 0]),
            header,
        ),
        (
            "an option of length one",
            with_options(&[7, 1, 0, 0]),
            header,
        ),
        (
            "an option over the end",
            with_options(&[7, 9, 4, 0]),
            header,
        ),
        (
            "an option without length",
            with_options(&[1, 1, 1, 7]),
            header,
        ),
        (
            "a wrong checksum",
            {
                let mut b = ping().bytes();
                b[10] ^= 1;
                b
            },
            |s| s.in_checksum_errors,
        ),
        (
            "a loose source route",
            with_options(&[131, 7, 4, 9, 9, 9, 9, 0]),
            route,
        ),
        (
            "a strict source route",
            with_options(&[1, 137, 7, 4, 9, 9, 9, 9]),
            route,
        ),
        ("from nobody", from([0, 0, 0, 0]), martian),
        ("from network 0", from([0, 1, 2, 3]), martian),
        ("from loopback", from([127, 0, 0, 1]), martian),
        ("from a group", from([224, 0, 0, 5]), martian),
        ("from class E", from([240, 1, 2, 3]), martian),
        ("from all", from([255, 255, 255, 255]), martian),
        (
            "from the subnet's broadcast",
            from([10, 0, 0, 255]),
            martian,
        ),
        ("from the network", from([10, 0, 0, 0]), martian),
        ("from ourselves", from(STACK.octets()), martian),
        ("to loopback", to([127, 0, 0, 1]), martian),
        ("to a neighbour", to([10, 0, 0, 3]), foreign),
        ("to a host far away", to([192, 168, 7, 7]), foreign),
        ("to a group we are not in", to([224, 0, 0, 2]), foreign),
        ("to the old broadcast", to([10, 0, 0, 0]), foreign),
        ("to nobody", to([0, 0, 0, 0]), foreign),
    ];
    let mut lan = Lan::acquainted();
    for (name, packet, counter) in cases {
        let before = *lan.stack.ip_stats();
        lan.put_bytes(packet);
        let after = *lan.stack.ip_stats();
        assert_eq!(counter(&after), counter(&before) + 1, "{name}: {after:?}");
        assert_eq!(after.in_receives, before.in_receives + 1, "{name}");
        assert_eq!(after.in_delivers, before.in_delivers, "{name}");
        assert_eq!(lan.sent(), [], "{name}");
        lan.assert_at_rest();
    }
}

#[test]
fn frames_for_others_and_of_others_are_counted_and_dropped() {
    let packet = ping().bytes();
    let put = |dst, src, ethertype| frame(dst, src, ethertype, &packet);
    let group = HwAddr([3, 0, 0, 0, 0, 1]);
    let mut lan = Lan::acquainted();
    let cases = [
        ("empty", vec![]),
        (
            "13 bytes",
            put(STACK_HW, PEER_HW, EtherType::IPV4)[..13].to_vec(),
        ),
        ("from a group", put(STACK_HW, group, EtherType::IPV4)),
        (
            "to another station",
            put(HwAddr([2, 0, 0, 0, 0, 9]), PEER_HW, EtherType::IPV4),
        ),
        ("IPv6", put(STACK_HW, PEER_HW, EtherType::IPV6)),
        ("802.3", put(STACK_HW, PEER_HW, EtherType(100))),
    ];
    for (name, frame) in cases {
        lan.put(frame);
        assert_eq!(lan.sent(), [], "{name}");
        lan.assert_at_rest();
    }
    let stats = *lan.stack.netif_stats(lan.netif).expect("the interface");
    assert_eq!(
        (
            stats.in_errors,
            stats.in_discards,
            stats.in_unknown_protocols
        ),
        (3, 1, 2)
    );
    assert_eq!(lan.stack.ip_stats().in_receives, 0);
}

#[test]
fn a_packet_for_us_alone_in_a_frame_for_many_is_dropped() {
    let mut lan = Lan::acquainted();
    for dst in [HwAddr::BROADCAST, HwAddr([1, 0, 0x5e, 0, 0, 1])] {
        lan.put(frame(dst, PEER_HW, EtherType::IPV4, &ping().bytes()));
    }
    assert_eq!(lan.sent(), []);
    assert_eq!(lan.stack.ip_stats().in_link_broadcasts, 2);
    lan.assert_at_rest();
}

#[test]
fn harmless_options_padding_and_any_ttl_are_accepted() {
    let mut lan = Lan::acquainted();
    let mut padded = ping().bytes();
    padded.extend([0xaa; 30]);
    let packets = [
        ("padding", padded),
        ("no operation and end", with_options(&[1, 1, 0, 9])),
        ("record route", with_options(&[7, 7, 4, 0, 0, 0, 0, 0])),
        ("forty bytes of options", with_options(&[1; 40])),
        ("an unknown option", with_options(&[0x5e, 4, 1, 2])),
        ("ttl 0", spoiled(|b| b[8] = 0)),
        ("ttl 1", spoiled(|b| b[8] = 1)),
    ];
    for (name, packet) in packets {
        lan.put_bytes(&packet);
        let answer = lan.sent_packet();
        assert_eq!(answer.icmp().0, Kind::EchoReply(ECHO), "{name}");
        assert_eq!(answer.payload.len(), 48, "{name}: no padding, no options");
        assert_eq!(answer.options, [], "{name}");
    }
    lan.assert_at_rest();
}

#[test]
fn headers_may_be_spread_over_buffers() {
    let mut lan = Lan::acquainted();
    let mut packet = ping();
    for options in [vec![], vec![1; 8], vec![1; 40]] {
        packet.options = options;
        for part in 1..=120 {
            lan.wire.set_part(Some(part));
            lan.put_ip(&packet);
            let answer = lan.sent_packet();
            assert_eq!(answer.icmp().0, Kind::EchoReply(ECHO), "parts of {part}");
            assert_eq!(answer.payload[8..], packet.payload[8..], "parts of {part}");
            lan.assert_at_rest();
        }
    }
}

#[test]
fn without_header_buffers_spread_headers_are_dropped() {
    let mut lan = Lan::acquainted();
    let all: Vec<_> =
        std::iter::from_fn(|| gannet_core::Pbuf::alloc(lan.pools.header, 0, 1).ok()).collect();
    lan.wire.set_part(Some(20));
    lan.put_ip(&ping());
    assert_eq!(lan.stack.ip_stats().in_discards, 1);
    lan.wire.set_part(Some(5));
    lan.put_ip(&ping());
    let stats = lan.stack.netif_stats(lan.netif).expect("the interface");
    assert_eq!(stats.in_errors, 1);
    assert_eq!(lan.sent(), []);
    drop(all);
    lan.assert_at_rest();
}

#[test]
fn what_the_device_verifies_is_not_verified_again() {
    let mut device = capabilities();
    device.rx_checksums = Checksums::ALL;
    let mut lan = Lan::with(Config::default(), Sizes::default(), device);
    lan.introduce();
    let mut bytes = ping().bytes();
    bytes[10] ^= 1;
    lan.put_bytes(&bytes);
    assert_eq!(lan.sent_packet().icmp().0, Kind::EchoReply(ECHO));
    // But a reassembled packet never passed the device as a whole.
    let mut packet = ping();
    packet.payload[2] ^= 1;
    for fragment in packet.fragments(24) {
        lan.put_ip(&fragment);
    }
    assert_eq!(lan.sent(), []);
    assert_eq!(lan.stack.icmp_stats().in_checksum_errors, 1);
    lan.assert_at_rest();
}

#[test]
fn an_interface_that_is_down_takes_and_sends_nothing() {
    let mut lan = Lan::acquainted();
    lan.stack
        .set_admin(lan.netif, Admin::Down)
        .expect("the interface");
    lan.put_ip(&ping());
    assert_eq!(lan.sent(), []);
    let stats = lan.stack.netif_stats(lan.netif).expect("the interface");
    assert_eq!(stats.in_discards, 1);
    lan.assert_at_rest();
    lan.stack
        .set_admin(lan.netif, Admin::Up)
        .expect("the interface");
    assert_eq!(lan.sent().len(), 1, "an announcement");
    lan.introduce();
    lan.put_ip(&ping());
    assert_eq!(lan.sent_packet().icmp().0, Kind::EchoReply(ECHO));
}

#[test]
fn unknown_protocols_are_answered_if_they_were_sent_to_us_alone() {
    let mut lan = Lan::acquainted();
    let mut packet = Packet::new(PEER, STACK, Protocol(99), vec![7; 600]);
    lan.put_ip(&packet);
    let answer = lan.sent_packet();
    let (kind, quote) = answer.icmp();
    assert!(matches!(
        kind,
        Kind::DestinationUnreachable(gannet_core::wire::icmpv4::Unreachable::Protocol)
    ));
    assert_eq!(20 + answer.payload.len(), 576, "RFC 1812: as much as fits");
    assert_eq!(quote, packet.bytes()[..548]);
    packet.dst = [10, 0, 0, 255].into();
    lan.put(frame(
        HwAddr::BROADCAST,
        PEER_HW,
        EtherType::IPV4,
        &packet.bytes(),
    ));
    assert_eq!(lan.sent(), []);
    assert_eq!(lan.stack.ip_stats().in_unknown_protocols, 2);
    assert_eq!(lan.stack.icmp_stats().out_suppressed, 1);
    lan.assert_at_rest();
}

#[test]
fn random_bytes_do_no_harm() {
    let mut lan = Lan::acquainted();
    let mut random = fastrand::Rng::with_seed(5);
    for round in 0..20_000 {
        // Mostly a right packet with a few wrong bytes, else it never gets far.
        let mut packet = ping();
        packet.protocol = Protocol([1, 1, 6, 17, 50][random.usize(..5)]);
        packet.more = random.bool();
        packet.offset = random.usize(..4) * 8;
        let mut bytes = packet.bytes();
        for _ in 0..random.usize(..4) {
            let at = random.usize(..bytes.len());
            bytes[at] = random.u8(..);
        }
        bytes.truncate(bytes.len() - random.usize(..4) * random.usize(..15));
        if random.bool() && bytes.len() >= 60 {
            fix_checksum(&mut bytes);
        }
        lan.wire
            .set_part((random.u8(..4) == 0).then(|| random.usize(1..60)));
        lan.put_bytes(&bytes);
        if round % 100 == 0 {
            lan.wait(std::time::Duration::from_secs(1));
        }
        while lan.wire.take().is_some() {}
    }
    lan.wait(std::time::Duration::from_secs(60));
    while lan.wire.take().is_some() {}
    lan.assert_at_rest();
    let (ip, icmp): (IpStats, IcmpStats) = (*lan.stack.ip_stats(), *lan.stack.icmp_stats());
    assert!(ip.in_delivers > 100 && ip.in_header_errors > 100, "{ip:?}");
    assert!(icmp.in_messages > 0, "{icmp:?}");
}
