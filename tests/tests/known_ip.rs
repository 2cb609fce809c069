//! Known vulnerabilities of Ethernet, IPv4 and reassembly (C, K and X of our list): one test a
//! record. That the stack is alive afterwards, and has every buffer back, is asked of each.
use std::collections::BTreeSet;
use std::net::Ipv4Addr;
use std::time::Duration;

use gannet_core::wire::ethernet::EtherType;
use gannet_core::wire::icmpv4::Kind;
use gannet_core::wire::ipv4::Protocol;
use gannet_core::{Config, HwAddr};
use gannet_tests::frames::{Packet, Sent, echo_request, fix_checksum, frame};
use gannet_tests::lan::{Lan, PEER, PEER_HW, STACK, STACK_HW, capabilities, request};
use gannet_tests::storage::Sizes;

fn ping(len: usize) -> Packet {
    Packet::new(PEER, STACK, Protocol::ICMP, echo_request(len))
}

/// A ping is answered, and then nothing is left.
#[track_caller]
fn assert_alive(lan: &mut Lan) {
    lan.sent();
    lan.put_ip(&ping(10));
    let (kind, _) = lan.sent_packet().icmp();
    assert!(matches!(kind, Kind::EchoReply(_)));
    lan.assert_at_rest();
}

/// What the stack says to these bytes in place of an IP packet is nothing.
#[track_caller]
fn assert_silent(lan: &mut Lan, bytes: &[u8]) {
    lan.put_bytes(bytes);
    let sent = lan.sent();
    assert!(sent.is_empty(), "{bytes:02x?} was answered: {sent:?}");
}

/// Bytes of a ping with some of them set, and the header checksum put right.
fn spoiled(changes: &[(usize, u8)]) -> Vec<u8> {
    let mut bytes = ping(40).bytes();
    for &(at, value) in changes {
        bytes[at] = value;
    }
    if bytes[0] & 0xf >= 5 && usize::from(bytes[0] & 0xf) * 4 <= bytes.len() {
        fix_checksum(&mut bytes);
    }
    bytes
}

#[test]
fn c005_c124_options_are_never_followed_or_copied_into_errors() {
    let mut lan = Lan::acquainted();
    let loose = vec![131, 11, 4, 10, 0, 0, 9, 10, 0, 0, 8, 0];
    let strict = vec![137, 7, 4, 10, 0, 0, 9, 0];
    let options: [Vec<u8>; 7] = [
        loose,
        strict,
        vec![131, 255, 255, 1],
        // Timestamps: pointer and overflow beyond the option.
        vec![68, 12, 255, 0xf1, 0, 0, 0, 0, 0, 0, 0, 0],
        vec![68, 4, 0, 0xff],
        vec![68, 40, 5, 0],
        vec![7, 39, 4, 0],
    ];
    for options in options {
        // To a protocol nobody has: an error that quotes it may be the answer, options never are.
        let mut packet = Packet::new(PEER, STACK, Protocol(250), vec![1; 40]);
        packet.options = options;
        lan.put_ip(&packet);
        for sent in lan.sent() {
            let Sent::Ip(hw, answer) = sent else {
                panic!("no reason for ARP");
            };
            assert_eq!((hw, answer.dst), (PEER_HW, PEER));
            assert!(answer.options.is_empty());
        }
        lan.assert_at_rest();
    }
    assert_alive(&mut lan);
}

#[test]
fn c012_c016_tunnels_are_not_entered() {
    let mut lan = Lan::acquainted();
    for protocol in [4, 41, 47, 50, 51, 94, 115, 0, 255] {
        let inner = ping(20).bytes();
        let outer = Packet::new(PEER, STACK, Protocol(protocol), inner);
        lan.put_ip(&outer);
        for sent in lan.sent() {
            assert!(matches!(
                sent.ip().icmp().0,
                Kind::DestinationUnreachable(_)
            ));
        }
        for fragment in outer.fragments(8) {
            lan.put_ip(&fragment);
        }
        lan.sent();
    }
    assert_alive(&mut lan);
}

#[test]
fn c014_c025_c035_c077_c098_c129_k01_k02_lengths_that_lie() {
    let mut lan = Lan::acquainted();
    let whole = ping(40).bytes().len();
    let lies: Vec<Vec<(usize, u8)>> = vec![
        // Total length: zero, below the header, one below it, beyond the frame.
        vec![(2, 0), (3, 0)],
        vec![(2, 0), (3, 19)],
        vec![(2, 0), (3, 1)],
        vec![(2, 0), (3, whole as u8 + 1)],
        vec![(2, 0xff), (3, 0xff)],
        // Header length beyond the packet, and header longer than the total length.
        vec![(0, 0x4f), (2, 0), (3, 24)],
        vec![(0, 0x46), (2, 0), (3, 20)],
        // Total length that leaves 0 to 7 bytes of an ICMP header.
        vec![(2, 0), (3, 20)],
        vec![(2, 0), (3, 21)],
        vec![(2, 0), (3, 27)],
    ];
    for lie in lies {
        assert_silent(&mut lan, &spoiled(&lie));
    }
    assert_alive(&mut lan);
}

#[test]
fn c161_header_lengths_below_20_and_other_versions() {
    let mut lan = Lan::acquainted();
    for first in (0x40..0x45).chain([0x05, 0x55, 0x65, 0xf5, 0]) {
        assert_silent(&mut lan, &spoiled(&[(0, first)]));
    }
    assert_alive(&mut lan);
}

#[test]
fn c022_k16_frames_shorter_than_their_headers() {
    let mut lan = Lan::acquainted();
    let whole = frame(STACK_HW, PEER_HW, EtherType::IPV4, &ping(40).bytes());
    for len in 0..whole.len() {
        lan.put(whole[..len].to_vec());
        assert!(lan.sent().is_empty(), "{len} bytes were answered");
    }
    // Longer than any Ethernet frame, with a length field in place of a type.
    lan.put(frame(STACK_HW, PEER_HW, EtherType(1_500), &[0; 5_000]));
    lan.put(vec![0xff; 9_000]);
    assert!(lan.sent().is_empty());
    assert_alive(&mut lan);
}

#[test]
fn c117_c107_x067_k10_sources_no_packet_can_have() {
    let mut lan = Lan::acquainted();
    let sources = [
        [127, 0, 0, 1],
        [127, 255, 0, 3],
        [0, 0, 0, 0],
        [224, 0, 0, 1],
        [239, 1, 2, 3],
        [240, 0, 0, 1],
        [255, 255, 255, 255],
        [10, 0, 0, 255],
        STACK.octets(),
    ];
    for source in sources {
        let mut packet = ping(10);
        packet.src = source.into();
        assert_silent(&mut lan, &packet.bytes());
        // Not even from what claims to be our own station.
        lan.put(frame(STACK_HW, STACK_HW, EtherType::IPV4, &packet.bytes()));
        assert!(lan.sent().is_empty(), "{source:?} was answered");
    }
    // Destinations on our wire that are nobody's: loopback's, and a packet for us in a frame to
    // all.
    for destination in [[127, 0, 0, 1], [0, 0, 0, 0], [10, 0, 0, 77]] {
        let mut packet = ping(10);
        packet.dst = destination.into();
        assert_silent(&mut lan, &packet.bytes());
    }
    let all = HwAddr::BROADCAST;
    lan.put(frame(all, PEER_HW, EtherType::IPV4, &ping(10).bytes()));
    assert!(lan.sent().is_empty());
    assert_alive(&mut lan);
}

#[test]
fn c038_c093_c142_c169_fragments_beyond_every_limit() {
    let mut lan = Lan::acquainted();
    let whole = ping(4_000);
    for offset in [8 * 8_190, 8 * 8_191, 65_512, 65_000] {
        let mut fragment = whole.clone();
        fragment.offset = offset;
        for more in [false, true] {
            fragment.more = more;
            fragment.payload.truncate(1_400);
            assert_silent(&mut lan, &fragment.bytes());
        }
    }
    // The end first, then bytes behind it; two different ends; an end before the beginning.
    let pieces = whole.fragments(800);
    let end = pieces.last().expect("several").clone();
    let mut behind = end.clone();
    (behind.offset, behind.more) = (end.offset + 800, true);
    let mut other_end = pieces[1].clone();
    other_end.more = false;
    for (n, order) in [
        [&end, &behind],
        [&end, &other_end],
        [&other_end, &pieces[3]],
        [&behind, &end],
    ]
    .into_iter()
    .enumerate()
    {
        for fragment in order {
            let mut fragment = fragment.clone();
            fragment.ident = 0x100 + n as u16;
            assert_silent(&mut lan, &fragment.bytes());
        }
    }
    lan.wait(Duration::from_secs(60));
    assert_alive(&mut lan);
}

#[test]
fn c143_x093_k05_fragments_that_come_twice_or_overlap() {
    let mut lan = Lan::acquainted();
    let pieces = ping(3_000).fragments(1_000);
    // Every piece twice, in every rotation: one answer, or none if an overlap ended it.
    for start in 0..pieces.len() {
        let mut twice: Vec<_> = pieces.iter().chain(&pieces).cloned().collect();
        twice.rotate_left(start);
        for piece in &mut twice {
            piece.ident = 7 + start as u16;
            lan.put_ip(piece);
        }
        let answers = lan.sent().into_iter().map(Sent::ip);
        assert!(answers.filter(|answer| !answer.more).count() <= 2);
    }
    // A fragment of no bytes, and one that is not a multiple of eight.
    let mut empty = pieces[0].clone();
    empty.payload.clear();
    assert_silent(&mut lan, &empty.bytes());
    let mut odd = pieces[0].clone();
    odd.payload.truncate(13);
    assert_silent(&mut lan, &odd.bytes());
    // Teardrop: the second lies within the first.
    let mut inner = pieces[1].clone();
    (inner.offset, inner.more) = (8, false);
    inner.payload.truncate(16);
    for piece in [&pieces[0], &inner] {
        let mut piece = piece.clone();
        piece.ident = 99;
        assert_silent(&mut lan, &piece.bytes());
    }
    lan.wait(Duration::from_secs(60));
    lan.sent();
    assert_alive(&mut lan);
}

#[test]
fn c153_x065_k14_a_flood_of_fragments_does_not_keep_others_from_reassembly() {
    let mut lan = Lan::acquainted();
    for n in 0..5_000u16 {
        let mut stray = ping(3_000).fragments(8 * 100)[usize::from(n % 3)].clone();
        stray.src = Ipv4Addr::from(0x0a00_0010 + u32::from(n % 100));
        stray.ident = n;
        lan.put_ip(&stray);
    }
    lan.sent();
    assert!(lan.pools.rx.available() > lan.pools.rx.blocks() / 2);
    for piece in ping(2_000).fragments(1_000) {
        lan.put_ip(&piece);
    }
    let answers: Vec<_> = lan.sent().into_iter().map(Sent::ip).collect();
    assert!(!answers.is_empty(), "a whole ping was not answered");
    lan.wait(Duration::from_secs(60));
    lan.sent();
    assert_alive(&mut lan);
}

#[test]
fn c061_x092_k08_identifications_of_one_peer_say_nothing_about_others() {
    let mut lan = Lan::acquainted();
    let mut idents = Vec::new();
    for n in 0..12u32 {
        let peer = Ipv4Addr::from(0x0a00_0003 + n);
        lan.put_arp(STACK_HW, request(peer, PEER_HW, STACK));
        lan.sent();
        // Only what is in fragments needs one.
        for mut piece in ping(2_000).fragments(1_000) {
            piece.src = peer;
            lan.put_ip(&piece);
        }
        for sent in lan.sent() {
            idents.push(sent.ip().ident);
        }
    }
    idents.dedup();
    assert_eq!(idents.len(), 12);
    let steps: BTreeSet<_> = idents.windows(2).map(|w| w[1].wrapping_sub(w[0])).collect();
    assert!(steps.len() > 9, "{} different steps", steps.len());
    assert_alive(&mut lan);
}

#[test]
fn x087_packets_to_ourselves_stay_inside() {
    let mut lan = Lan::acquainted();
    for to in [STACK, Ipv4Addr::LOCALHOST, Ipv4Addr::new(127, 3, 2, 1)] {
        let now = lan.now;
        let mut udp = lan.stack.udp(now);
        let pcb = udp.new(gannet_core::Owner(0)).expect("a free endpoint");
        let data = gannet_core::Pbuf::alloc(lan.pools.tx, 42, 20).expect("a buffer");
        udp.send_to(pcb, data, (to, 9).into()).expect("a route");
        udp.close(pcb).expect("live");
        lan.turn();
        assert!(lan.sent().is_empty(), "{to} is on the wire");
    }
    assert_alive(&mut lan);
}

#[test]
fn x110_k14_a_pool_that_stays_empty_starves_the_receiver_and_nothing_else() {
    let mut lan = Lan::acquainted();
    let hoard: Vec<_> = std::iter::from_fn(|| gannet_core::Pbuf::alloc(lan.pools.rx, 0, 1).ok())
        .collect();
    for _ in 0..100 {
        lan.put_ip(&ping(10));
    }
    assert!(lan.sent().is_empty());
    assert_eq!(lan.wire.no_buffers(), 100);
    drop(hoard);
    assert_alive(&mut lan);
}

#[test]
fn x111_x112_small_mtus() {
    for mtu in [0, 1, 20, 28, 68, 69, 100] {
        let capabilities = gannet_core::Capabilities {
            mtu,
            ..capabilities()
        };
        let mut lan = Lan::with(Config::default(), Sizes::default(), capabilities);
        lan.introduce();
        lan.put_ip(&ping(200));
        // RFC 791 §3.2: 68 bytes are carried by every network.
        for sent in lan.sent() {
            assert!(20 + sent.ip().payload.len() <= usize::from(mtu.max(68)));
        }
        lan.assert_at_rest();
    }
}

#[test]
fn k03_options_without_a_length() {
    let mut lan = Lan::acquainted();
    for options in [[2, 0, 0, 0], [2, 1, 0, 0], [0xff, 0, 1, 1], [1, 1, 1, 0x83]] {
        let mut packet = ping(10);
        packet.options = options.to_vec();
        lan.put_ip(&packet);
        lan.sent();
        lan.assert_at_rest();
    }
    assert_alive(&mut lan);
}
