//! Known vulnerabilities and defects of IGMP (C and X of our list), and messages that are none.
use std::net::Ipv4Addr;
use std::time::Duration;

use gannet_core::wire::ipv4::Protocol;
use gannet_core::{Config, IgmpStats, Via};
use gannet_tests::frames::{Packet, Sent};
use gannet_tests::igmp::{
    ALL_HOSTS, GROUP, IS_EXCLUDE, Said, TO_EXCLUDE, group_hw, packet, query_v2, query_v3,
    query_v3_of, report, with_checksum,
};
use gannet_tests::lan::{Lan, PEER, STACK, capabilities};
use gannet_tests::storage::Sizes;

const SECOND: Duration = Duration::from_secs(1);
const ALL: Ipv4Addr = Ipv4Addr::UNSPECIFIED;

fn member() -> Lan {
    let mut lan = Lan::new();
    lan.stack.join_group(GROUP, Via::Route).expect("room");
    lan.said_within(10 * SECOND);
    lan
}

/// A query is answered, and then nothing is left.
#[track_caller]
fn assert_alive(lan: &mut Lan) {
    lan.ask_all(10);
    let said = lan.said_within(5 * SECOND);
    assert_eq!(said.len(), 1);
    assert_eq!(said[0].1, Said::V3(vec![(IS_EXCLUDE, GROUP)]));
    lan.assert_at_rest();
}

/// Nothing is said about this message, now or later, and it is counted where `counter` looks.
#[track_caller]
fn assert_ignored(lan: &mut Lan, packet: &Packet, counter: impl Fn(&IgmpStats) -> u32) {
    let before = counter(lan.stack.igmp_stats());
    lan.put_group(packet);
    assert_eq!(lan.deadline, None, "{packet:?}");
    assert_eq!(lan.said_within(20 * SECOND), [], "{packet:?}");
    assert_eq!(counter(lan.stack.igmp_stats()), before + 1, "{packet:?}");
}

#[test]
fn c008_queries_on_an_interface_with_any_address_or_none() {
    // CVE-2019-12259: the record of the interface the query came in on was looked up by address.
    for subnet in [None, gannet_core::Subnet::new(STACK, 24)] {
        let mut lan = member();
        lan.stack.set_addr(lan.netif, subnet).expect("there");
        lan.sent();
        for src in [PEER, ALL, Ipv4Addr::new(192, 0, 2, 1)] {
            lan.put_group(&packet(src, ALL_HOSTS, query_v3(10, ALL, &[])));
            let said = lan.said_within(5 * SECOND);
            assert_eq!(said.len(), 1, "asked by {src}");
            lan.put_group(&packet(src, GROUP, query_v3(10, GROUP, &[PEER])));
            assert_eq!(lan.said_within(5 * SECOND).len(), 1, "asked by {src}");
        }
        lan.assert_at_rest();
    }
    // Groups, broadcasts and this host ask nobody.
    let mut lan = member();
    for src in [
        GROUP,
        ALL_HOSTS,
        STACK,
        Ipv4Addr::BROADCAST,
        Ipv4Addr::LOCALHOST,
    ] {
        lan.put_group(&packet(src, ALL_HOSTS, query_v3(10, ALL, &[])));
        assert_eq!(lan.said_within(20 * SECOND), [], "asked by {src}");
    }
    assert_alive(&mut lan);
}

#[test]
fn c011_a_fragmented_query_with_sources_is_answered_with_nothing_of_memory() {
    // CVE-2019-12265: the answer held what lay behind the first fragment.
    let mut lan = member();
    let sources: Vec<Ipv4Addr> = (0..200u8).map(|n| [10, 0, 1, n].into()).collect();
    let whole = packet(PEER, GROUP, query_v3(10, GROUP, &sources));
    let fragments = whole.fragments(400);
    assert!(fragments.len() > 1);
    // Without the last one there is no query.
    for fragment in &fragments[..fragments.len() - 1] {
        lan.put_group(fragment);
    }
    lan.wait(60 * SECOND);
    assert!(lan.sent().is_empty());
    for fragment in &fragments {
        lan.put_group(fragment);
    }
    let said = lan.said_within(20 * SECOND);
    assert_eq!(said.len(), 1);
    // The whole message is checked to have neither sources nor anything else.
    assert_eq!(said[0].1, Said::V3(vec![(IS_EXCLUDE, GROUP)]));
    assert_alive(&mut lan);
}

#[test]
fn x083_reports_are_repeated_have_the_alert_and_follow_the_querier() {
    // Retransmission, Router Alert (checked by `Said`), version 1, response times, their exponent.
    let mut lan = Lan::new();
    lan.stack.join_group(GROUP, Via::Route).expect("room");
    let said = lan.said_within(20 * SECOND);
    assert_eq!(said.len(), 2);
    assert_eq!(said[1].1, Said::V3(vec![(TO_EXCLUDE, GROUP)]));
    let asked = lan.now;
    lan.ask_all(0x90); // 16 << 4 = 256 tenths
    let said = lan.said_within(60 * SECOND);
    assert!(said[0].0 <= asked + Duration::from_millis(25_600));
    lan.put_igmp(ALL_HOSTS, query_v2(0, ALL));
    assert_eq!(lan.said_within(20 * SECOND)[0].1, Said::V1(GROUP));
    lan.assert_at_rest();
}

#[test]
fn messages_that_are_none() {
    let mut lan = member();
    let to_all = |message| packet(PEER, ALL_HOSTS, message);
    // Checksums, for each bit of a query.
    let query = query_v3(10, ALL, &[]);
    for at in 0..query.len() * 8 {
        let mut bytes = query.clone();
        bytes[at / 8] ^= 1 << (at % 8);
        assert_ignored(&mut lan, &to_all(bytes), |stats| stats.in_checksum_errors);
    }
    // Lengths that no version has.
    for len in (0..8).chain(9..12) {
        let mut bytes = query.clone();
        bytes.truncate(len);
        if len >= 4 {
            bytes = with_checksum(bytes);
        }
        let stats = *lan.stack.igmp_stats();
        lan.put_group(&to_all(bytes));
        assert_eq!(lan.said_within(20 * SECOND), [], "{len} bytes");
        let now = lan.stack.igmp_stats();
        let errors = now.in_errors + now.in_checksum_errors;
        assert_eq!(errors, stats.in_errors + stats.in_checksum_errors + 1);
    }
    // Sources that are not there.
    for promised in [1u16, 2, 366, 65_535] {
        let mut bytes = query_v3(10, GROUP, &[]);
        bytes[10..12].copy_from_slice(&promised.to_be_bytes());
        assert_ignored(&mut lan, &to_all(with_checksum(bytes)), |stats| {
            stats.in_errors
        });
    }
    // What is no group.
    for addr in [STACK, Ipv4Addr::BROADCAST, Ipv4Addr::new(240, 0, 0, 1)] {
        assert_ignored(&mut lan, &to_all(query_v3(10, addr, &[])), |stats| {
            stats.in_errors
        });
        assert_ignored(&mut lan, &to_all(report(0x16, addr)), |stats| {
            stats.in_errors
        });
    }
    // What is for routers, with counts of everything that are absurd.
    for kind in [0x17, 0x22, 0x13, 0x14, 0x1f, 0xff] {
        let bytes = with_checksum([&[kind, 0, 0, 0][..], &[0xff; 60]].concat());
        assert_ignored(&mut lan, &to_all(bytes), |stats| stats.in_ignored);
    }
    assert_alive(&mut lan);
}

#[test]
fn queries_that_can_not_be_a_routers() {
    let mut lan = member();
    // Over a router.
    let mut far = packet(PEER, ALL_HOSTS, query_v3(10, ALL, &[]));
    for ttl in [2, 64, 255] {
        far.ttl = ttl;
        assert_ignored(&mut lan, &far, |stats| stats.in_bad_path);
    }
    // RFC 3376 §9.1: of all groups, to one.
    let forged = packet(PEER, GROUP, query_v3(10, ALL, &[]));
    assert_ignored(&mut lan, &forged, |stats| stats.in_bad_path);
    // To this host alone: RFC 3376 §4.1.12 has it answered, to neighbours.
    let unicast = |src| packet(src, STACK, query_v3(10, ALL, &[]));
    lan.put_ip(&unicast(Ipv4Addr::new(192, 0, 2, 1)));
    assert_eq!(lan.said_within(20 * SECOND), []);
    lan.put_ip(&unicast(PEER));
    assert_eq!(lan.said_within(20 * SECOND).len(), 1);
    // Without Router Alert, as some queriers: answered as by Linux.
    let mut plain = packet(PEER, ALL_HOSTS, query_v3(10, ALL, &[]));
    plain.options.clear();
    lan.put_group(&plain);
    assert_eq!(lan.said_within(20 * SECOND).len(), 1);
    assert_alive(&mut lan);
}

#[test]
fn a_flood_of_queries_has_few_answers() {
    let mut lan = member();
    let mut answers = 0;
    // Ten thousand in ten seconds, each of which wants an answer at once, from everywhere.
    for n in 0..10_000u32 {
        let query = match n % 4 {
            0 => packet(PEER, ALL_HOSTS, query_v3(0, ALL, &[])),
            1 => packet(PEER, GROUP, query_v3(0, GROUP, &[])),
            2 => packet(PEER, GROUP, query_v3(0, GROUP, &[PEER; 50])),
            _ => packet(ALL, ALL_HOSTS, query_v3(1, ALL, &[])),
        };
        lan.put_group(&query);
        answers += lan.said_within(Duration::from_millis(1)).len();
    }
    answers += lan.said_within(SECOND).len();
    // One in a twentieth of a second, on average: for all groups or for the one.
    assert!((10..=300).contains(&answers), "{answers} answers");
    assert_alive(&mut lan);
}

#[test]
fn a_flood_of_versions_and_habits_leaves_a_working_host() {
    let mut lan = member();
    for n in 0..2_000u32 {
        let byte = n as u8;
        let query = match n % 5 {
            0 => query_v2(byte, ALL),
            1 => query_v2(0, ALL),
            2 => query_v3_of(byte, ALL, 7, 0xff, &[]),
            3 => query_v3_of(byte, GROUP, byte & 7, byte, &[]),
            _ => query_v2(byte, GROUP),
        };
        lan.put_igmp(ALL_HOSTS, query);
        lan.said_within(Duration::from_millis(u64::from(n % 300)));
        let stays = lan.stack.groups(lan.netif).collect::<Vec<_>>();
        assert_eq!(stays, [GROUP]);
    }
    // The longest that queriers of old are believed in: seven times 31,744 s.
    lan.wait(Duration::from_secs(7 * 31_744 + 3_175));
    lan.sent();
    assert_alive(&mut lan);
}

#[test]
fn a_reflected_report_is_of_another_host() {
    // A switch that sends back what it hears must not make this host silent for good.
    let mut lan = Lan::new();
    lan.put_igmp(ALL_HOSTS, query_v2(100, ALL));
    lan.stack.join_group(GROUP, Via::Route).expect("room");
    lan.turn();
    let Some(Sent::Ip(hw, own)) = lan.sent().pop() else {
        panic!("a report");
    };
    assert_eq!(hw, group_hw(GROUP));
    lan.put_group(&own);
    assert_eq!(lan.stack.ip_stats().in_martians, 1);
    assert_eq!(lan.said_within(20 * SECOND).len(), 1, "the second report");
}

#[test]
fn no_errors_and_no_echoes_about_groups() {
    let mut lan = member();
    let udp = Packet::new(PEER, GROUP, Protocol::UDP, vec![1, 2, 3, 4, 0, 8, 0, 0]);
    lan.put_group(&udp);
    lan.put_group(&Packet::new(PEER, GROUP, Protocol(250), vec![0; 20]));
    let echo = gannet_tests::frames::echo_request(20);
    lan.put_group(&Packet::new(PEER, GROUP, Protocol::ICMP, echo));
    assert!(lan.sent().is_empty());
    assert_eq!(lan.stack.udp_stats().no_ports, 1);
    assert_eq!(lan.stack.icmp_stats().in_group_echos, 1);
    assert_alive(&mut lan);
}

#[test]
fn frames_in_small_parts_are_read_too() {
    let mut lan = Lan::with(Config::default(), Sizes::default(), capabilities());
    lan.stack.join_group(GROUP, Via::Route).expect("room");
    lan.said_within(10 * SECOND);
    for part in [1, 7, 16, 40] {
        lan.wire.set_part(Some(part));
        lan.put_igmp(GROUP, query_v3(10, GROUP, &[PEER; 20]));
        assert_eq!(lan.said_within(5 * SECOND).len(), 1, "parts of {part}");
    }
    lan.wire.set_part(None);
    assert_alive(&mut lan);
}
