//! ICMP: pings, errors that are believed and errors that are not, limits.
use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use gannet_core::wire::ethernet::EtherType;
use gannet_core::wire::icmpv4::{Exceeded, Kind, Unreachable};
use gannet_core::wire::ipv4::Protocol;
use gannet_core::{Config, HwAddr, IcmpStats, Owner};
use gannet_tests::frames::{ECHO, Packet, Sent, echo_request, frame, icmp};
use gannet_tests::lan::{Lan, PEER, PEER_HW, STACK, capabilities};
use gannet_tests::recorder::Recorder;
use gannet_tests::storage::Sizes;

fn ping(len: usize) -> Packet {
    Packet::new(PEER, STACK, Protocol::ICMP, echo_request(len))
}

fn message(bytes: Vec<u8>) -> Packet {
    Packet::new(PEER, STACK, Protocol::ICMP, bytes)
}

#[test]
fn pings_of_all_lengths_are_answered_with_the_same_data() {
    let mut lan = Lan::acquainted();
    for len in (0..100).chain([1000, 1471, 1472]) {
        let mut request = ping(len);
        request.tos = 0x48;
        lan.put_ip(&request);
        let answer = lan.sent_packet();
        let (kind, data) = answer.icmp();
        assert_eq!(
            (kind, &data[..]),
            (Kind::EchoReply(ECHO), &request.payload[8..])
        );
        assert_eq!((answer.src, answer.dst), (STACK, PEER));
        assert_eq!((answer.ttl, answer.tos), (64, 0x48));
        assert!(answer.options.is_empty() && !answer.more && answer.offset == 0);
        lan.assert_at_rest();
    }
    assert_eq!(lan.stack.icmp_stats().out_echo_replies, 103);
}

#[test]
fn pings_to_many_are_not_answered() {
    let mut lan = Lan::acquainted();
    let groups = [[255, 255, 255, 255], [10, 0, 0, 255], [224, 0, 0, 1]];
    for dst in groups {
        let mut request = ping(10);
        request.dst = dst.into();
        lan.put(frame(
            HwAddr::BROADCAST,
            PEER_HW,
            EtherType::IPV4,
            &request.bytes(),
        ));
    }
    assert_eq!(lan.sent(), []);
    assert_eq!(lan.stack.icmp_stats().in_group_echos, 3);
    lan.assert_at_rest();
}

#[test]
fn malformed_and_unwanted_messages_are_counted_and_dropped() {
    type Counter = fn(&IcmpStats) -> u32;
    let quote = Packet::new(STACK, PEER, Protocol::UDP, vec![0; 8]).bytes();
    let unreachable = |quote: &[u8]| icmp(Kind::DestinationUnreachable(Unreachable::Port), quote);
    let too_long = |mtu, quote: &[u8]| {
        icmp(
            Kind::DestinationUnreachable(Unreachable::FragmentationNeeded { mtu }),
            quote,
        )
    };
    let quoting = |change: &dyn Fn(&mut Packet)| {
        let mut packet = Packet::new(STACK, PEER, Protocol::TCP, vec![0; 8]);
        change(&mut packet);
        unreachable(&packet.bytes())
    };
    let other = |kind, code| icmp(Kind::Other { kind, code }, &[0; 12]);
    let bad: Counter = |s| s.in_bad_quotes;
    let ignored: Counter = |s| s.in_ignored;
    let long = Packet::new(STACK, PEER, Protocol::TCP, vec![0; 1000]).bytes();
    let cases: Vec<(&str, Vec<u8>, Counter)> = vec![
        (
            "seven bytes",
            icmp(Kind::EchoRequest(ECHO), &[])[..7].to_vec(),
            |s| s.in_checksum_errors,
        ),
        ("seven zeros", vec![0xff, 0xff, 0, 0, 0, 0, 0], |s| {
            s.in_errors
        }),
        (
            "a wrong checksum",
            {
                let mut m = echo_request(9);
                m[10] ^= 4;
                m
            },
            |s| s.in_checksum_errors,
        ),
        ("a reply", icmp(Kind::EchoReply(ECHO), b"hello"), ignored),
        (
            "a redirect",
            icmp(Kind::Other { kind: 5, code: 1 }, &quote),
            |s| s.in_redirects,
        ),
        (
            "source quench",
            icmp(Kind::Other { kind: 4, code: 0 }, &quote),
            ignored,
        ),
        ("a timestamp request", other(13, 0), ignored),
        ("an address mask request", other(17, 0), ignored),
        ("an address mask reply", other(18, 0), ignored),
        ("a router advertisement", other(9, 0), ignored),
        ("type 255", other(255, 255), ignored),
        (
            "a parameter problem",
            icmp(
                Kind::ParameterProblem {
                    code: 0,
                    pointer: 9,
                },
                &quote,
            ),
            |s| s.in_parameter_problems,
        ),
        ("no quote", unreachable(&[]), bad),
        ("half a header", unreachable(&quote[..19]), bad),
        ("no ports", unreachable(&quote[..20]), bad),
        ("half a sequence number", unreachable(&quote[..27]), bad),
        (
            "a quote that is no IPv4",
            {
                let mut q = quote.clone();
                q[0] = 0x65;
                unreachable(&q)
            },
            bad,
        ),
        (
            "a packet of others",
            quoting(&|p| p.src = [10, 0, 0, 3].into()),
            bad,
        ),
        (
            "a packet from loopback",
            quoting(&|p| p.src = [127, 0, 0, 1].into()),
            bad,
        ),
        ("a second fragment", quoting(&|p| p.offset = 8), bad),
        (
            "about a ping",
            quoting(&|p| p.protocol = Protocol::ICMP),
            bad,
        ),
        (
            "of an unknown protocol",
            quoting(&|p| p.protocol = Protocol(99)),
            bad,
        ),
        ("an MTU below 68", too_long(67, &long), bad),
        ("an MTU that would have done", too_long(1020, &long), bad),
    ];
    let mut lan = Lan::acquainted();
    for (name, bytes, counter) in cases {
        let before = counter(lan.stack.icmp_stats());
        lan.put_ip(&message(bytes));
        let stats = *lan.stack.icmp_stats();
        assert_eq!(counter(&stats), before + 1, "{name}: {stats:?}");
        assert_eq!(lan.sent(), [], "{name}");
        lan.assert_at_rest();
    }
    assert_eq!(lan.stack.icmp_stats().in_unreachable, 0);
}

/// A stack that has just sent a SYN to the peer, and that SYN.
fn connecting() -> (Lan, Recorder, Packet) {
    let mut lan = Lan::acquainted();
    let mut tcp = lan.stack.tcp(lan.now);
    let pcb = tcp.new(Owner(0)).expect("a control block");
    tcp.connect(pcb, SocketAddr::new(PEER.into(), 80))
        .expect("a route");
    lan.turn();
    let syn = lan.sent_packet();
    (lan, Recorder::default(), syn)
}

/// The error `kind` about `packet`, from a router.
fn error(kind: Kind, packet: &Packet) -> Packet {
    let quote = &packet.bytes()[..28];
    let router = Ipv4Addr::new(192, 0, 2, 1);
    Packet::new(router, STACK, Protocol::ICMP, icmp(kind, quote))
}

#[test]
fn errors_about_a_syn_reach_the_connection() {
    let cases = [
        (Unreachable::Port, "err Refused"),
        (Unreachable::Protocol, "err Refused"),
        (Unreachable::Host, "err Unreachable"),
        (Unreachable::Network, "err Unreachable"),
        (Unreachable::AdministrativelyProhibited, "err Unreachable"),
    ];
    for (why, expected) in cases {
        let (mut lan, mut app, syn) = connecting();
        let error = error(Kind::DestinationUnreachable(why), &syn);
        lan.wire.put(frame(
            gannet_tests::lan::STACK_HW,
            PEER_HW,
            EtherType::IPV4,
            &error.bytes(),
        ));
        lan.stack.turn(lan.now, &mut [&mut app]);
        assert_eq!(app.log, [expected], "{why:?}");
        assert_eq!(lan.stack.icmp_stats().in_unreachable, 1);
        lan.wait(Duration::from_secs(10));
        lan.assert_at_rest();
    }
}

#[test]
fn errors_about_what_was_not_sent_reach_nothing() {
    let (mut lan, mut app, syn) = connecting();
    let unreachable = Kind::DestinationUnreachable(Unreachable::Port);
    let with = |at: usize| {
        let mut packet = syn.clone();
        packet.payload[at] ^= 1;
        packet
    };
    for packet in [with(1), with(3), with(5), with(7)] {
        let error = error(unreachable, &packet);
        lan.put_ip(&error);
    }
    lan.put_ip(&error(Kind::TimeExceeded(Exceeded::TimeToLive), &syn));
    lan.stack.turn(lan.now, &mut [&mut app]);
    assert_eq!(app.log, Vec::<String>::new());
    let stats = lan.stack.icmp_stats();
    assert_eq!((stats.in_unreachable, stats.in_time_exceeded), (4, 1));
}

#[test]
fn errors_are_limited_by_a_bucket_that_cannot_be_counted() {
    let unknown = Packet::new(PEER, STACK, Protocol(99), vec![1; 20]);
    let mut lan = Lan::acquainted();
    let mut bursts = Vec::new();
    for _ in 0..40 {
        let mut sent = 0;
        for _ in 0..400 {
            lan.put_ip(&unknown);
            sent += lan.sent().len();
        }
        bursts.push(sent);
        lan.wait(Duration::from_secs(2));
    }
    // 100 in a burst on average, a different number each time.
    let all: usize = bursts.iter().sum();
    assert!((90 * 40..=110 * 40).contains(&all), "{bursts:?}");
    bursts.sort_unstable();
    bursts.dedup();
    assert!(bursts.len() > 10, "{bursts:?}");
    assert_eq!(
        lan.stack.icmp_stats().out_rate_limited as usize,
        40 * 400 - all
    );
    lan.assert_at_rest();
}

#[test]
fn pings_are_limited() {
    let mut config = Config::default();
    config.ip.echo_replies_per_second = 10;
    let mut lan = Lan::with(config, Sizes::default(), capabilities());
    lan.introduce();
    for expected in [10, 10] {
        let mut answered = 0;
        for _ in 0..50 {
            lan.put_ip(&ping(10));
            answered += lan.sent().len();
        }
        assert_eq!(answered, expected);
        lan.wait(Duration::from_secs(1));
    }
    assert_eq!(lan.stack.icmp_stats().out_rate_limited, 80);
}

#[test]
fn x076_answers_leave_checksums_to_the_device_but_not_those_of_fragments() {
    let mut device = capabilities();
    device.tx_checksums.icmpv4 = true;
    let mut lan = Lan::with(Config::default(), Sizes::default(), device);
    lan.introduce();
    lan.put_ip(&ping(100));
    let answer = lan.sent_packet();
    assert_eq!(answer.payload[2..4], [0, 0], "the device's");
    let request = ping(3000);
    for fragment in request.fragments(1480) {
        lan.put_ip(&fragment);
    }
    let mut pieces = lan.sent().into_iter().map(Sent::ip);
    let mut whole = pieces.next().expect("a first fragment");
    pieces.for_each(|piece| whole.payload.extend(piece.payload));
    assert_eq!(whole.icmp().1, request.payload[8..]);
}

#[test]
fn without_header_buffers_nothing_is_answered_and_nothing_is_lost() {
    let mut lan = Lan::acquainted();
    let pool = lan.pools.header;
    let all: Vec<_> = std::iter::from_fn(|| gannet_core::Pbuf::alloc(pool, 0, 1).ok()).collect();
    // In its own buffer a ping can be answered.
    lan.put_ip(&ping(10));
    assert_eq!(lan.sent_packet().icmp().0, Kind::EchoReply(ECHO));
    lan.put_ip(&Packet::new(PEER, STACK, Protocol(99), vec![1; 20]));
    assert_eq!(lan.sent(), []);
    assert_eq!(lan.stack.icmp_stats().out_errors, 1);
    drop(all);
    lan.assert_at_rest();
}
