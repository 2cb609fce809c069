//! ARP on the wire: what the stack asks, answers and believes.
use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use gannet_core::netif::Link;
use gannet_core::wire::arp::{Operation, Packet as Arp};
use gannet_core::wire::ethernet::EtherType;
use gannet_core::wire::icmpv4::Kind;
use gannet_core::wire::ipv4::Protocol;
use gannet_core::{Config, Error, HwAddr, Owner, Subnet};
use gannet_tests::frames::{ECHO, Packet, Sent, arp_bytes, echo_request, frame};
use gannet_tests::lan::{Lan, PEER, PEER_HW, STACK, STACK_HW, capabilities, reply, request};
use gannet_tests::recorder::Recorder;
use gannet_tests::storage::Sizes;

const NO_HW: HwAddr = HwAddr([0; 6]);

fn host(n: u8) -> Ipv4Addr {
    Ipv4Addr::new(10, 0, 0, n)
}

fn hw(n: u8) -> HwAddr {
    HwAddr([2, 0, 0, 0, 0, n])
}

/// A ping from a host of the subnet, whose hardware address is not looked at.
fn ping_from(src: Ipv4Addr) -> Packet {
    Packet::new(src, STACK, Protocol::ICMP, echo_request(10))
}

/// What the stack sends to find `target`.
fn who_has(target: Ipv4Addr) -> Sent {
    Sent::Arp(HwAddr::BROADCAST, request(STACK, STACK_HW, target))
}

/// To which station the stack sends its answer to a ping from `src`; `None`: it asks.
#[track_caller]
fn answers_to(lan: &mut Lan, src: Ipv4Addr) -> Option<HwAddr> {
    lan.put_ip(&ping_from(src));
    match lan.sent().as_slice() {
        [Sent::Ip(dst, packet)] => {
            assert_eq!((packet.dst, packet.icmp().0), (src, Kind::EchoReply(ECHO)));
            Some(*dst)
        }
        [Sent::Arp(..)] | [] => None,
        other => panic!("one frame expected: {other:?}"),
    }
}

#[test]
fn an_unknown_neighbour_is_asked_for_and_packets_wait() {
    let mut lan = Lan::new();
    for _ in 0..3 {
        lan.put_ip(&ping_from(host(7)));
    }
    assert_eq!(lan.sent(), [who_has(host(7))], "one request for all");
    lan.put_arp(STACK_HW, reply(host(7), hw(7)));
    let sent = lan.sent();
    assert_eq!(sent.len(), 3);
    for frame in sent {
        assert!(matches!(frame, Sent::Ip(dst, _) if dst == hw(7)));
    }
    lan.assert_at_rest();
    assert_eq!(answers_to(&mut lan, host(7)), Some(hw(7)));
}

#[test]
fn requests_are_repeated_more_slowly_and_then_given_up() {
    let mut lan = Lan::new();
    let start = lan.now;
    for _ in 0..10 {
        lan.put_ip(&ping_from(host(7)));
    }
    let mut asked = Vec::new();
    let mut count = |lan: &mut Lan| {
        for frame in lan.sent() {
            assert_eq!(frame, who_has(host(7)));
            asked.push(lan.now.saturating_since(start).as_millis());
        }
    };
    count(&mut lan);
    while let Some(deadline) = lan.deadline {
        lan.now = deadline;
        lan.turn();
        count(&mut lan);
    }
    assert_eq!(asked, [0, 1000, 3000]);
    assert_eq!(lan.now.saturating_since(start), Duration::from_secs(5));
    let stats = lan.stack.arp_stats();
    assert_eq!((stats.unresolved, stats.waiting_dropped), (1, 10));
    lan.assert_at_rest();
}

#[test]
fn each_destination_is_asked_for_once_a_second_but_none_holds_up_another() {
    let mut lan = Lan::new();
    for _ in 0..50 {
        for n in 100..108 {
            lan.put_ip(&ping_from(host(n)));
        }
        lan.wait(Duration::from_millis(10));
    }
    let sent = lan.sent();
    let expected: Vec<_> = (100..108).map(|n| who_has(host(n))).collect();
    assert_eq!(sent, expected);
    lan.wait(Duration::from_secs(60));
    lan.sent();
    lan.assert_at_rest();
}

#[test]
fn questions_for_us_are_answered_to_who_asks() {
    let mut lan = Lan::new();
    for dst in [HwAddr::BROADCAST, STACK_HW] {
        lan.put_arp(dst, request(PEER, PEER_HW, STACK));
        let answer = Arp {
            operation: Operation::Reply,
            sender_hw: STACK_HW,
            sender_ip: STACK,
            target_hw: PEER_HW,
            target_ip: PEER,
        };
        assert_eq!(lan.sent(), [Sent::Arp(PEER_HW, answer)]);
    }
    // A probe before the address is taken (RFC 5227): answered, and nothing learned.
    lan.put_arp(
        HwAddr::BROADCAST,
        request(Ipv4Addr::UNSPECIFIED, hw(9), STACK),
    );
    let sent = lan.sent();
    assert!(matches!(&sent[..], [Sent::Arp(dst, arp)] if *dst == hw(9)
        && arp.operation == Operation::Reply && arp.target_ip.is_unspecified()));
    lan.assert_at_rest();
    // Who asked for us need not be asked for.
    assert_eq!(answers_to(&mut lan, PEER), Some(PEER_HW));
}

#[test]
fn questions_for_others_and_nonsense_are_not_answered() {
    let elsewhere = Ipv4Addr::new(10, 0, 1, 1);
    let cases = [
        ("for another", request(PEER, PEER_HW, host(9))),
        ("for loopback", request(PEER, PEER_HW, Ipv4Addr::LOCALHOST)),
        ("for all", request(PEER, PEER_HW, host(255))),
        ("a reply", reply(PEER, PEER_HW)),
        (
            "from outside the subnet",
            request(elsewhere, PEER_HW, STACK),
        ),
        (
            "from the broadcast address",
            request(host(255), PEER_HW, STACK),
        ),
        (
            "from a group",
            request(Ipv4Addr::new(224, 0, 0, 1), PEER_HW, STACK),
        ),
        (
            "by the broadcast station",
            request(host(9), HwAddr::BROADCAST, STACK),
        ),
        (
            "by a group of stations",
            request(host(9), HwAddr([1, 0, 0x5e, 0, 0, 1]), STACK),
        ),
        ("by no station", request(host(9), NO_HW, STACK)),
        ("by ourselves", request(host(9), STACK_HW, STACK)),
    ];
    for (name, arp) in cases {
        let mut lan = Lan::new();
        let bytes = arp_bytes(&arp);
        lan.put(frame(HwAddr::BROADCAST, PEER_HW, EtherType::ARP, &bytes));
        assert_eq!(lan.sent(), [], "{name}");
        assert_eq!(lan.stack.arp_stats().in_ignored, 1, "{name}");
        lan.assert_at_rest();
        assert_eq!(
            answers_to(&mut lan, arp.sender_ip),
            None,
            "{name}: nothing learned"
        );
    }
}

#[test]
fn malformed_arp_is_counted_and_dropped() {
    let good = arp_bytes(&request(PEER, PEER_HW, STACK));
    let with = |at: usize, byte: u8| {
        let mut bytes = good.clone();
        bytes[at] = byte;
        bytes
    };
    let cases = [
        ("empty", vec![]),
        ("short", good[..27].to_vec()),
        ("not Ethernet", with(1, 6)),
        ("not IPv4", with(2, 0x86)),
        ("long hardware addresses", with(4, 8)),
        ("long protocol addresses", with(5, 16)),
        ("RARP", with(7, 3)),
        ("operation 0", with(7, 0)),
    ];
    let mut lan = Lan::new();
    for (count, (name, bytes)) in (1..).zip(cases) {
        lan.put(frame(HwAddr::BROADCAST, PEER_HW, EtherType::ARP, &bytes));
        assert_eq!(lan.sent(), [], "{name}");
        assert_eq!(lan.stack.arp_stats().in_errors, count, "{name}");
        lan.assert_at_rest();
    }
    // Padding is none of that, nor parts.
    let mut padded = good;
    padded.extend([0; 18]);
    lan.wire.set_part(Some(5));
    lan.put(frame(HwAddr::BROADCAST, PEER_HW, EtherType::ARP, &padded));
    assert_eq!(lan.sent().len(), 1);
    lan.assert_at_rest();
}

#[test]
fn a_claim_of_our_address_is_counted_and_answered_once() {
    let mut lan = Lan::acquainted();
    let claims = [
        request(STACK, hw(66), STACK),
        request(STACK, hw(66), host(9)),
        reply(STACK, hw(66)),
    ];
    for claim in claims {
        lan.put_arp(HwAddr::BROADCAST, claim);
    }
    assert_eq!(lan.stack.arp_stats().conflicts, 3);
    assert_eq!(lan.sent(), [who_has(STACK)], "one announcement");
    lan.wait(Duration::from_secs(10));
    lan.put_arp(HwAddr::BROADCAST, claims[0]);
    assert_eq!(lan.sent(), [who_has(STACK)]);
    let status = lan.stack.netif_status(lan.netif).expect("the interface");
    assert_eq!(status.subnet.map(Subnet::addr), Some(STACK), "not obeyed");
}

#[test]
fn false_replies_do_not_redirect_a_neighbour() {
    let mut lan = Lan::acquainted();
    lan.put_arp(STACK_HW, reply(PEER, hw(66)));
    // The station that is known is asked, by itself.
    let check = Sent::Arp(PEER_HW, request(STACK, STACK_HW, PEER));
    assert_eq!(lan.sent(), [check]);
    assert_eq!(answers_to(&mut lan, PEER), Some(PEER_HW));
    lan.put_arp(STACK_HW, reply(PEER, hw(66)));
    lan.put_arp(STACK_HW, reply(PEER, PEER_HW));
    assert_eq!(answers_to(&mut lan, PEER), Some(PEER_HW));
    lan.assert_at_rest();
}

#[test]
fn a_neighbour_that_announces_a_new_station_is_followed() {
    let mut lan = Lan::acquainted();
    // Gratuitous ARP.
    lan.put_arp(HwAddr::BROADCAST, request(PEER, hw(70), PEER));
    assert_eq!(answers_to(&mut lan, PEER), Some(hw(70)));
    lan.assert_at_rest();
}

#[test]
fn a_neighbour_in_use_is_confirmed_before_its_time_is_over() {
    let mut lan = Lan::acquainted();
    let mut checks = 0;
    for _ in 0..1200 {
        lan.wait(Duration::from_secs(1));
        lan.put_ip(&ping_from(PEER));
        for frame in lan.sent() {
            match frame {
                Sent::Arp(dst, arp) => {
                    assert_eq!((dst, arp.target_ip), (PEER_HW, PEER), "never by broadcast");
                    checks += 1;
                    lan.put_arp(STACK_HW, reply(PEER, PEER_HW));
                }
                Sent::Ip(dst, _) => assert_eq!(dst, PEER_HW),
            }
        }
    }
    assert_eq!(checks, 1200 / 225, "at three quarters of 300 s");
    lan.assert_at_rest();
    // A neighbour that is not talked to costs no timer.
    lan.wait(Duration::from_secs(1000));
    assert_eq!(lan.sent(), []);
    assert_eq!(answers_to(&mut lan, PEER), None, "it has been forgotten");
}

#[test]
fn a_flood_of_questions_does_not_displace_neighbours_in_use() {
    let mut lan = Lan::new();
    for n in 1..=11 {
        if n != 2 {
            lan.put_arp(STACK_HW, request(host(n), hw(n), STACK));
            lan.sent();
            assert_eq!(answers_to(&mut lan, host(n)), Some(hw(n)));
        }
    }
    for n in 20..=250 {
        lan.put_arp(STACK_HW, request(host(n), hw(n), STACK));
        assert_eq!(lan.sent().len(), 1, "each is answered");
    }
    for n in 1..=11 {
        if n != 2 {
            assert_eq!(answers_to(&mut lan, host(n)), Some(hw(n)));
        }
    }
    lan.assert_at_rest();
}

#[test]
fn a_flood_to_silent_neighbours_is_bounded_and_spares_those_in_use() {
    let mut lan = Lan::acquainted();
    lan.stack
        .set_default_gateway(Some(host(254)))
        .expect("a neighbour");
    let far = Ipv4Addr::new(192, 168, 1, 1);
    lan.put_arp(STACK_HW, request(host(254), hw(254), STACK));
    lan.sent();
    assert_eq!(answers_to(&mut lan, far), Some(hw(254)));
    assert_eq!(answers_to(&mut lan, PEER), Some(PEER_HW));
    for round in 0..10 {
        for n in 20..=250 {
            lan.put_ip(&ping_from(host(n)));
        }
        lan.wait(Duration::from_millis(100));
        assert!(
            lan.pools.in_use()[0] <= Sizes::default().pending,
            "round {round}"
        );
        lan.sent();
        assert_eq!(answers_to(&mut lan, PEER), Some(PEER_HW));
        assert_eq!(answers_to(&mut lan, far), Some(hw(254)), "the gateway");
    }
    lan.wait(Duration::from_secs(10));
    lan.sent();
    lan.assert_at_rest();
}

#[test]
fn our_address_is_announced_when_it_is_set_and_when_the_link_comes_up() {
    let mut lan = Lan::new();
    let other = Subnet::new(host(77), 24);
    lan.stack
        .set_addr(lan.netif, other)
        .expect("a good address");
    let announcement = request(host(77), STACK_HW, host(77));
    assert_eq!(lan.sent(), [Sent::Arp(HwAddr::BROADCAST, announcement)]);
    lan.stack
        .set_addr(lan.netif, other)
        .expect("a good address");
    assert_eq!(lan.sent(), [], "nothing has changed");
    lan.wire.set_link(Link::Down);
    lan.turn();
    lan.turn();
    assert_eq!(lan.sent(), []);
    lan.wire.set_link(Link::Up);
    lan.turn();
    assert_eq!(lan.sent(), [Sent::Arp(HwAddr::BROADCAST, announcement)]);
    lan.stack.set_addr(lan.netif, None).expect("no address");
    assert_eq!(lan.sent(), []);
    lan.put_arp(HwAddr::BROADCAST, request(PEER, PEER_HW, host(77)));
    assert_eq!(lan.sent(), [], "not ours any more");
    lan.assert_at_rest();
}

#[test]
fn a_link_that_goes_down_takes_what_was_known() {
    let mut lan = Lan::acquainted();
    lan.put_ip(&ping_from(host(9)));
    lan.sent();
    lan.wire.set_link(Link::Down);
    lan.turn();
    lan.assert_at_rest();
    assert_eq!(lan.stack.arp_stats().waiting_dropped, 1);
    let status = lan.stack.netif_status(lan.netif).expect("the interface");
    assert_eq!(status.link, Link::Down);
    let peer = SocketAddr::new(PEER.into(), 80);
    let mut tcp = lan.stack.tcp(lan.now);
    let pcb = tcp.new(Owner(0)).expect("a control block");
    assert_eq!(tcp.connect(pcb, peer), Err(Error::LinkDown));
    let far = SocketAddr::new(Ipv4Addr::new(1, 2, 3, 4).into(), 80);
    assert_eq!(tcp.connect(pcb, far), Err(Error::NoRoute));
    lan.wire.set_link(Link::Up);
    lan.turn();
    lan.sent();
    assert_eq!(answers_to(&mut lan, PEER), None);
}

#[test]
fn a_connection_attempt_learns_that_nobody_is_there() {
    let mut lan = Lan::new();
    let mut app = Recorder::default();
    let start = lan.now;
    let mut tcp = lan.stack.tcp(lan.now);
    let pcb = tcp.new(Owner(0)).expect("a control block");
    tcp.connect(pcb, SocketAddr::new(host(9).into(), 80))
        .expect("a route");
    let mut next = Some(lan.now);
    while app.log.is_empty() {
        lan.now = next.expect("it is not given up silently").max(lan.now);
        next = lan.stack.turn(lan.now, &mut [&mut app]);
    }
    assert_eq!(app.log, ["err Unreachable"]);
    assert_eq!(lan.now.saturating_since(start), Duration::from_secs(5));
    for frame in lan.sent() {
        assert_eq!(frame, who_has(host(9)));
    }
    lan.wait(Duration::from_secs(10));
    lan.assert_at_rest();
}

#[test]
fn a_full_device_loses_frames_and_nothing_else() {
    let mut lan = Lan::acquainted();
    lan.wire.set_room(Some(2));
    for _ in 0..5 {
        lan.put_ip(&ping_from(PEER));
    }
    lan.put_arp(STACK_HW, request(PEER, PEER_HW, STACK));
    assert_eq!(lan.sent().len(), 2);
    let stats = lan.stack.netif_stats(lan.netif).expect("the interface");
    assert_eq!(stats.out_discards, 4);
    lan.assert_at_rest();
    lan.wire.set_room(None);
    assert_eq!(answers_to(&mut lan, PEER), Some(PEER_HW));
}

#[test]
fn a_table_without_entries_sends_to_nobody() {
    let sizes = Sizes {
        neighbors: 0,
        pending: 0,
        ..Sizes::default()
    };
    let mut lan = Lan::with(Config::default(), sizes, capabilities());
    lan.introduce();
    assert_eq!(answers_to(&mut lan, PEER), None);
    assert_eq!(lan.stack.arp_stats().table_full, 1);
    lan.assert_at_rest();
}

#[test]
fn whatever_is_said_nobody_is_asked_too_often_or_sent_what_is_anothers() {
    let mut random = fastrand::Rng::with_seed(21);
    let mut lan = Lan::new();
    // Stations that have spoken for host n; and when the stack last asked for it.
    let mut claimed = vec![Vec::new(); 12];
    let mut asked = [None; 12];
    let hosts = || [1, 3, 4, 5, 6, 7, 8, 9, 10, 11];
    for _ in 0..30_000 {
        let n = hosts()[random.usize(..10)];
        let station = hw(random.u8(100..103));
        match random.u8(..8) {
            0..=3 => lan.put_ip(&ping_from(host(n))),
            4 => {
                claimed[usize::from(n)].push(station);
                lan.put_arp(STACK_HW, reply(host(n), station));
            }
            5 => {
                claimed[usize::from(n)].push(station);
                lan.put_arp(HwAddr::BROADCAST, request(host(n), station, host(n)));
            }
            6 => {
                claimed[usize::from(n)].push(station);
                lan.put_arp(HwAddr::BROADCAST, request(host(n), station, STACK));
            }
            _ => {
                let most = if random.u8(..20) == 0 { 300_000 } else { 500 };
                lan.now += Duration::from_millis(random.u64(..most));
                lan.turn();
            }
        }
        for frame in lan.sent() {
            match frame {
                Sent::Arp(_, arp) if arp.operation == Operation::Request => {
                    let last = &mut asked[usize::from(arp.target_ip.octets()[3])];
                    let ago = last.map(|last| lan.now.saturating_since(last));
                    assert!(
                        ago.is_none_or(|ago| ago >= Duration::from_secs(1)),
                        "{ago:?}"
                    );
                    *last = Some(lan.now);
                }
                Sent::Arp(dst, arp) => assert_eq!((dst, arp.sender_ip), (arp.target_hw, STACK)),
                Sent::Ip(dst, packet) => {
                    let n = usize::from(packet.dst.octets()[3]);
                    assert!(claimed[n].contains(&dst), "{packet:?} to {dst}");
                }
            }
        }
        assert!(lan.pools.in_use()[0] <= Sizes::default().pending);
    }
    lan.wait(Duration::from_secs(10));
    lan.sent();
    lan.assert_at_rest();
}
