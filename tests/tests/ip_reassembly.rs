//! Fragments through the whole stack: pings that are put together and answered.
use std::time::Duration;

use gannet_core::wire::icmpv4::{Exceeded, Kind, Unreachable};
use gannet_core::wire::ipv4::Protocol;
use gannet_core::{Config, HwAddr};
use gannet_tests::frames::{ECHO, Packet, Sent, echo_request, frame, icmp};
use gannet_tests::lan::{Lan, PEER, PEER_HW, STACK, capabilities};
use gannet_tests::storage::Sizes;

fn ping(len: usize, ident: u16) -> Packet {
    let mut packet = Packet::new(PEER, STACK, Protocol::ICMP, echo_request(len));
    packet.ident = ident;
    packet
}

/// Puts the fragments the stack has sent together.
#[track_caller]
fn join(sent: Vec<Sent>) -> Packet {
    let mut pieces: Vec<_> = sent.into_iter().map(Sent::ip).collect();
    pieces.sort_by_key(|piece| piece.offset);
    let mut whole = pieces[0].clone();
    whole.payload.clear();
    for piece in &pieces {
        assert_eq!(piece.offset, whole.payload.len(), "no gaps, no overlaps");
        assert!(whole.more, "only the last has none behind it");
        assert_eq!(piece.ident, whole.ident);
        assert!(!piece.dont_fragment);
        whole.payload.extend(&piece.payload);
        whole.more = piece.more;
    }
    assert!(!whole.more, "the last one");
    whole.offset = 0;
    whole
}

#[test]
fn pings_in_fragments_are_answered_in_fragments() {
    let mut lan = Lan::acquainted();
    let mut ident = 0;
    for len in [1473, 2000, 2952, 2953, 8000, 25_000] {
        for order in 0..3 {
            ident += 1;
            let request = ping(len, ident);
            let mut pieces = request.fragments(1480);
            match order {
                0 => {}
                1 => pieces.reverse(),
                _ => pieces.rotate_left(1),
            }
            for piece in &pieces {
                assert_eq!(lan.sent(), [], "not before all are there");
                lan.put_ip(piece);
            }
            let answer = join(lan.sent());
            let (kind, data) = answer.icmp();
            assert_eq!(kind, Kind::EchoReply(ECHO), "{len} bytes");
            assert_eq!(data, request.payload[8..], "{len} bytes");
            lan.assert_at_rest();
        }
    }
    let stats = *lan.stack.ip_stats();
    assert_eq!((stats.reassembled, stats.fragmented), (18, 18));
    assert_eq!(stats.reassembly_fragments, stats.fragments_created);
}

#[test]
fn the_longest_packet_there_is() {
    let mut config = Config::default();
    config.ip.reassembly_max_bytes = 128 * 1024;
    let mut lan = Lan::with(config, Sizes::default(), capabilities());
    lan.introduce();
    let request = ping(65_535 - 20 - 8, 1);
    for piece in request.fragments(1480) {
        lan.put_ip(&piece);
    }
    let answer = join(lan.sent());
    assert_eq!(answer.icmp().1, request.payload[8..]);
    // One byte more is none.
    for piece in ping(65_535 - 20 - 7, 2).fragments(1480) {
        lan.put_ip(&piece);
    }
    assert_eq!(lan.sent(), []);
    assert_eq!(lan.stack.ip_stats().in_header_errors, 1);
    lan.wait(Duration::from_secs(30));
    lan.sent();
    lan.assert_at_rest();
}

#[test]
fn the_smallest_fragments_and_headers_across_them() {
    // Parts of three bytes take a whole buffer each.
    let mut config = Config::default();
    config.ip.reassembly_max_bytes = 256 * 1024;
    let mut lan = Lan::with(config, Sizes::default(), capabilities());
    lan.introduce();
    for part in [None, Some(3), Some(30)] {
        lan.wire.set_part(part);
        let mut request = ping(60, 9);
        request.options = vec![1; 8];
        for piece in request.fragments(8) {
            // As short frames are: padded.
            let mut bytes = piece.bytes();
            bytes.resize(46, 0xee);
            lan.put_bytes(&bytes);
        }
        let answer = lan.sent_packet();
        assert_eq!(answer.icmp().1, request.payload[8..], "parts of {part:?}");
        lan.assert_at_rest();
    }
}

#[test]
fn time_exceeded_is_told_if_the_first_fragment_came() {
    let mut lan = Lan::acquainted();
    let pieces = ping(3000, 1).fragments(1480);
    lan.put_ip(&pieces[0]);
    lan.put_ip(&pieces[2]);
    let without_first = ping(3000, 2).fragments(1480);
    lan.put_ip(&without_first[1]);
    assert!(lan.deadline.is_some());
    lan.wait(Duration::from_millis(14_999));
    assert_eq!(lan.sent(), []);
    lan.wait(Duration::from_millis(2));
    let answer = lan.sent_packet();
    let (kind, quote) = answer.icmp();
    assert_eq!(kind, Kind::TimeExceeded(Exceeded::Reassembly));
    assert_eq!(quote, pieces[0].bytes()[..548]);
    assert_eq!(lan.stack.ip_stats().reassembly_timeouts, 2);
    lan.assert_at_rest();
}

#[test]
fn fragments_to_many_time_out_in_silence() {
    let mut lan = Lan::acquainted();
    let mut request = ping(3000, 1);
    request.dst = [10, 0, 0, 255].into();
    let bytes = request.fragments(1480)[0].bytes();
    lan.put(frame(
        HwAddr::BROADCAST,
        PEER_HW,
        gannet_core::wire::ethernet::EtherType::IPV4,
        &bytes,
    ));
    lan.wait(Duration::from_secs(20));
    assert_eq!(lan.sent(), []);
    assert_eq!(lan.stack.icmp_stats().out_suppressed, 1);
    lan.assert_at_rest();
}

#[test]
fn errors_in_fragments_time_out_in_silence() {
    let mut lan = Lan::acquainted();
    let unreachable = Kind::DestinationUnreachable(Unreachable::Host);
    let quoted = Packet::new(STACK, PEER, Protocol::UDP, vec![0; 8]).bytes();
    for (kind, told) in [(unreachable, 0), (Kind::EchoReply(ECHO), 1)] {
        let mut message = Packet::new(PEER, STACK, Protocol::ICMP, icmp(kind, &quoted));
        message.ident += told;
        lan.put_ip(&message.fragments(16)[0]);
        lan.wait(Duration::from_secs(20));
        assert_eq!(lan.sent().len(), usize::from(told), "{kind:?}");
    }
    assert_eq!(lan.stack.icmp_stats().out_suppressed, 1);
    lan.assert_at_rest();
}

#[test]
fn overlapping_fragments_end_the_packet() {
    let mut lan = Lan::acquainted();
    let request = ping(3000, 1);
    let pieces = request.fragments(1480);
    let mut evil = pieces[1].clone();
    evil.offset -= 8;
    lan.put_ip(&pieces[0]);
    lan.put_ip(&evil);
    lan.put_ip(&pieces[1]);
    lan.put_ip(&pieces[2]);
    assert_eq!(lan.sent(), []);
    assert_eq!(lan.stack.ip_stats().reassembly_overlaps, 1);
    // The same fragment twice is no attack.
    for piece in [&pieces[0], &pieces[0], &pieces[1], &pieces[1], &pieces[2]] {
        let mut piece = piece.clone();
        piece.ident = 7;
        lan.put_ip(&piece);
    }
    assert_eq!(join(lan.sent()).icmp().1, request.payload[8..]);
    assert_eq!(lan.stack.ip_stats().reassembly_duplicates, 2);
    lan.wait(Duration::from_secs(20));
    lan.sent();
    lan.assert_at_rest();
}

#[test]
fn a_flood_of_fragments_is_held_within_limits_and_others_get_through() {
    let mut lan = Lan::acquainted();
    let mut random = fastrand::Rng::with_seed(3);
    for ident in 0..2000 {
        let mut request = ping(30_000, ident);
        request.src = [10, 0, 0, random.u8(100..103)].into();
        let pieces = request.fragments(1480);
        lan.put_ip(&pieces[random.usize(..pieces.len())]);
        // 32 KiB and no more, in blocks of 1536 bytes.
        assert!(lan.pools.in_use()[0] <= 32 * 1024 / 1536);
        if ident % 100 == 50 {
            let request = ping(2000, 9999);
            for piece in request.fragments(1480) {
                lan.put_ip(&piece);
            }
            assert_eq!(join(lan.sent()).icmp().1, request.payload[8..]);
        }
    }
    lan.wait(Duration::from_secs(60));
    lan.sent();
    lan.assert_at_rest();
}

#[test]
fn a_congestion_mark_on_one_fragment_is_no_reason_to_echo_it() {
    let mut lan = Lan::acquainted();
    let mut pieces = ping(2000, 1).fragments(1480);
    pieces[0].tos = 0xb8 | 2;
    pieces[1].tos = 0xb8 | 3;
    for piece in &pieces {
        lan.put_ip(piece);
    }
    assert_eq!(join(lan.sent()).tos, 0xb8);
}
