//! IGMP version 3 as a host speaks it (RFC 3376 §5): changes told and told again, queries answered
//! in time, and silence when there is nothing to say.
use std::net::Ipv4Addr;
use std::time::Duration;

use gannet_core::netif::{Admin, Link};
use gannet_core::{Config, Error, NetifId, Via};
use gannet_tests::frames::Packet;
use gannet_tests::igmp::{
    ALL_HOSTS, GROUP, IS_EXCLUDE, Said, TO_EXCLUDE, TO_INCLUDE, group_hw, packet, query_v3,
    query_v3_of, report,
};
use gannet_tests::lan::{Lan, PEER, STACK, capabilities};
use gannet_tests::storage::Sizes;

const SECOND: Duration = Duration::from_secs(1);

fn group(n: u8) -> Ipv4Addr {
    Ipv4Addr::new(239, 9, 0, n)
}

fn one(kind: u8, group: Ipv4Addr) -> Said {
    Said::V3(vec![(kind, group)])
}

fn with_groups(groups: usize) -> Lan {
    let sizes = Sizes {
        groups,
        ..Sizes::default()
    };
    Lan::with(Config::default(), sizes, capabilities())
}

/// A member of [`GROUP`] that has said so, and has nothing more to say.
fn member() -> Lan {
    let mut lan = Lan::new();
    lan.stack.join_group(GROUP, Via::Route).expect("room");
    lan.said_within(10 * SECOND);
    lan.assert_at_rest();
    lan
}

#[test]
fn joining_and_leaving_are_told_twice() {
    let mut lan = Lan::new();
    for (change, kind) in [("join", TO_EXCLUDE), ("leave", TO_INCLUDE)] {
        let start = lan.now;
        match change {
            "join" => lan.stack.join_group(GROUP, Via::Addr(STACK)),
            _ => lan.stack.leave_group(GROUP, Via::Addr(STACK)),
        }
        .expect(change);
        let said = lan.said_within(60 * SECOND);
        let [first, second] = &said[..] else {
            panic!("{change}: {said:?}");
        };
        // RFC 3376 §8.1, §8.11: twice, at once and within a second.
        assert_eq!((first.0, &first.1), (start, &one(kind, GROUP)));
        assert_eq!(second.1, one(kind, GROUP));
        assert!(second.0 > start && second.0 <= start + SECOND, "{change}");
        lan.assert_at_rest();
    }
    assert_eq!(lan.stack.igmp_stats().out_reports, 4);
}

#[test]
fn the_querier_says_how_often() {
    let mut lan = member();
    lan.put_igmp(ALL_HOSTS, query_v3_of(10, GROUP, 5, 125, &[]));
    lan.said_within(2 * SECOND);
    lan.stack.join_group(group(1), Via::Route).expect("room");
    assert_eq!(lan.said_within(60 * SECOND).len(), 5);
    // RFC 3376 §4.1.6: 0 says nothing, the default holds.
    lan.put_igmp(ALL_HOSTS, query_v3_of(10, GROUP, 0, 125, &[]));
    lan.said_within(2 * SECOND);
    lan.stack.leave_group(group(1), Via::Route).expect("in");
    assert_eq!(lan.said_within(60 * SECOND).len(), 2);
    // Once only: no more than that.
    lan.put_igmp(ALL_HOSTS, query_v3_of(10, GROUP, 1, 125, &[]));
    lan.said_within(2 * SECOND);
    lan.stack.leave_group(GROUP, Via::Route).expect("in");
    assert_eq!(lan.said_within(60 * SECOND).len(), 1);
    lan.assert_at_rest();
}

#[test]
fn who_comes_back_says_that_and_nothing_else() {
    let mut lan = member();
    lan.stack.leave_group(GROUP, Via::Route).expect("in");
    lan.turn();
    assert_eq!(lan.said(), [one(TO_INCLUDE, GROUP)]);
    lan.stack.join_group(GROUP, Via::Route).expect("room");
    let said = lan.said_within(10 * SECOND);
    assert_eq!(said.len(), 2);
    assert!(said.iter().all(|(_, said)| *said == one(TO_EXCLUDE, GROUP)));
}

#[test]
fn a_query_of_all_groups_is_answered_once_within_its_time() {
    let mut lan = with_groups(4);
    for n in 1..=3 {
        lan.stack.join_group(group(n), Via::Route).expect("room");
    }
    // Everybody is in the group of all hosts, and nobody says so.
    lan.stack.join_group(ALL_HOSTS, Via::Route).expect("room");
    lan.said_within(10 * SECOND);
    let mut delays = Vec::new();
    for _ in 0..50 {
        let asked = lan.now;
        lan.ask_all(100);
        let said = lan.said_within(20 * SECOND);
        let [(at, said)] = &said[..] else {
            panic!("one answer: {said:?}");
        };
        let all = (1..=3).map(|n| (IS_EXCLUDE, group(n))).collect();
        assert_eq!(*said, Said::V3(all));
        assert!(*at > asked && *at <= asked + 10 * SECOND);
        delays.push(at.saturating_since(asked));
        lan.assert_at_rest();
    }
    // Spread over the whole time.
    assert!(delays.iter().any(|delay| *delay < 2 * SECOND));
    assert!(delays.iter().any(|delay| *delay > 8 * SECOND));
}

#[test]
fn more_groups_than_fit_are_told_in_several_reports() {
    let mut lan = with_groups(25);
    for n in 1..=25 {
        lan.stack.join_group(group(n), Via::Route).expect("room");
    }
    lan.said_within(10 * SECOND);
    lan.ask_all(10);
    let mut told = Vec::new();
    for (_, said) in lan.said_within(2 * SECOND) {
        let Said::V3(records) = said else {
            panic!("{said:?} is not of version 3");
        };
        assert!(!records.is_empty());
        told.extend(records);
    }
    let all: Vec<_> = (1..=25).map(|n| (IS_EXCLUDE, group(n))).collect();
    assert_eq!(told, all);
    lan.assert_at_rest();
}

#[test]
fn a_query_of_one_group_is_answered_for_that_one() {
    let mut lan = member();
    lan.stack.join_group(group(1), Via::Route).expect("room");
    lan.said_within(10 * SECOND);
    let asked = lan.now;
    lan.put_igmp(GROUP, query_v3(10, GROUP, &[]));
    let said = lan.said_within(10 * SECOND);
    let [(at, said)] = &said[..] else {
        panic!("one answer: {said:?}");
    };
    assert_eq!(*said, one(IS_EXCLUDE, GROUP));
    assert!(*at <= asked + SECOND);
    // Whatever sources it asks for: all of them are wanted.
    lan.put_igmp(GROUP, query_v3(10, GROUP, &[PEER, [10, 0, 0, 77].into()]));
    let said = lan.said_within(10 * SECOND);
    assert_eq!(said.len(), 1);
    assert_eq!(said[0].1, one(IS_EXCLUDE, GROUP));
    // One this host is not in, and the one everybody is in.
    for other in [group(9), ALL_HOSTS] {
        lan.put_igmp(ALL_HOSTS, query_v3(10, other, &[]));
        assert_eq!(lan.said_within(10 * SECOND), []);
    }
    lan.assert_at_rest();
}

#[test]
fn of_two_answers_the_sooner_is_given() {
    let mut lan = member();
    // Rule 1: an answer for all groups within a tenth of a second is enough.
    lan.ask_all(1);
    lan.put_igmp(GROUP, query_v3(0xff, GROUP, &[]));
    assert_eq!(lan.said_within(3600 * SECOND).len(), 1);
    // Rules 4 and 5: so is one for the group, if it is asked for again.
    lan.put_igmp(GROUP, query_v3(0xff, GROUP, &[]));
    lan.put_igmp(GROUP, query_v3(1, GROUP, &[]));
    let asked = lan.now;
    let said = lan.said_within(3600 * SECOND);
    assert_eq!(said.len(), 1);
    assert!(said[0].0 <= asked + SECOND / 10);
    // Rule 2: of two for all groups too.
    lan.ask_all(0xff);
    lan.ask_all(1);
    let asked = lan.now;
    let said = lan.said_within(3600 * SECOND);
    assert_eq!(said.len(), 1);
    assert!(said[0].0 <= asked + SECOND / 10);
    lan.assert_at_rest();
}

#[test]
fn response_times_have_an_exponent() {
    // 0xff: 3,174.4 seconds.
    let mut lan = member();
    let mut longest = Duration::ZERO;
    for _ in 0..30 {
        let asked = lan.now;
        lan.ask_all(0xff);
        let said = lan.said_within(Duration::from_millis(3_174_400));
        assert_eq!(said.len(), 1);
        longest = longest.max(said[0].0.saturating_since(asked));
    }
    assert!(longest > Duration::from_secs(2_000), "{longest:?}");
}

#[test]
fn reports_of_others_change_nothing() {
    let mut lan = member();
    for kind in [0x12, 0x16] {
        lan.ask_all(100);
        lan.put_igmp(GROUP, report(kind, GROUP));
        assert_eq!(lan.said_within(20 * SECOND).len(), 1);
    }
    assert_eq!(lan.stack.igmp_stats().in_reports, 2);
}

#[test]
fn nobody_without_a_membership_answers_or_waits() {
    let mut lan = Lan::new();
    lan.ask_all(100);
    assert_eq!(lan.deadline, None);
    lan.stack.join_group(ALL_HOSTS, Via::Route).expect("room");
    lan.ask_all(100);
    assert_eq!(lan.deadline, None);
    assert_eq!(lan.said(), []);
    // Who leaves before it has answered does not answer.
    let mut lan = member();
    lan.ask_all(100);
    lan.stack.leave_group(GROUP, Via::Route).expect("in");
    let said = lan.said_within(20 * SECOND);
    assert_eq!(said.len(), 2);
    assert!(said.iter().all(|(_, said)| *said == one(TO_INCLUDE, GROUP)));
    lan.assert_at_rest();
}

#[test]
fn calls_are_counted_and_the_table_is_bounded() {
    let mut lan = with_groups(2);
    let stack = &mut lan.stack;
    for _ in 0..3 {
        stack.join_group(GROUP, Via::Route).expect("room");
    }
    stack.join_group(group(1), Via::Route).expect("room");
    let full = stack.join_group(group(2), Via::Route);
    assert_eq!(full, Err(Error::NoMemory));
    assert_eq!(
        stack.groups(lan.netif).collect::<Vec<_>>(),
        [GROUP, group(1)]
    );
    assert_eq!(lan.said_within(10 * SECOND).len(), 4);
    for _ in 0..2 {
        lan.stack.leave_group(GROUP, Via::Route).expect("in");
        assert_eq!(lan.said_within(10 * SECOND), []);
    }
    lan.stack.leave_group(GROUP, Via::Route).expect("in");
    lan.turn();
    assert_eq!(lan.said(), [one(TO_INCLUDE, GROUP)]);
    // A group that was left makes room at once, even if that is to be told again.
    lan.stack.join_group(group(2), Via::Route).expect("room");
    let said = lan.said_within(10 * SECOND);
    assert_eq!(said.len(), 2);
    assert!(
        said.iter()
            .all(|(_, said)| *said == one(TO_EXCLUDE, group(2)))
    );
    let stranger = lan.stack.leave_group(GROUP, Via::Route);
    assert_eq!(stranger, Err(Error::NotMember));
    lan.assert_at_rest();
}

#[test]
fn what_is_no_group_and_no_interface() {
    let mut lan = Lan::new();
    let netif = lan.netif;
    for addr in [STACK, PEER, Ipv4Addr::BROADCAST, Ipv4Addr::UNSPECIFIED] {
        let joined = lan.stack.join_group(addr, Via::Netif(netif));
        assert_eq!(joined, Err(Error::Argument), "{addr}");
    }
    let joined = lan.stack.join_group(GROUP, Via::Addr(PEER));
    assert_eq!(joined, Err(Error::NoInterface));
    lan.stack.remove_netif(netif).expect("it is there");
    for via in [Via::Netif(netif), Via::Route] {
        let joined = lan.stack.join_group(GROUP, via);
        assert_eq!(joined, Err(Error::NoInterface));
    }
    // Loopback is always there; nobody has to be told.
    let loopback = Via::Netif(NetifId::LOOPBACK);
    lan.stack.join_group(GROUP, loopback).expect("room");
    lan.stack.leave_group(GROUP, loopback).expect("in");
    lan.assert_at_rest();
}

#[test]
fn the_device_hears_of_each_group() {
    let mut lan = Lan::new();
    let base = group_hw(ALL_HOSTS);
    assert_eq!(lan.wire.groups(), [base]);
    lan.stack.join_group(GROUP, Via::Route).expect("room");
    lan.stack.join_group(group(1), Via::Route).expect("room");
    assert_eq!(
        lan.wire.groups(),
        [base, group_hw(GROUP), group_hw(group(1))]
    );
    lan.stack.leave_group(GROUP, Via::Route).expect("in");
    assert_eq!(lan.wire.groups(), [base, group_hw(group(1))]);
}

#[test]
fn frames_for_other_groups_are_dropped_early() {
    let mut lan = member();
    lan.put_group(&Packet::new(
        PEER,
        group(7),
        gannet_core::wire::ipv4::Protocol::UDP,
        vec![0; 8],
    ));
    let stats = *lan.stack.netif_stats(lan.netif).expect("there");
    assert_eq!(stats.in_other_groups, 1);
    let before = *lan.stack.ip_stats();
    // The same hardware address, another group: IP finds out.
    let alias = Ipv4Addr::new(238, 129, 2, 3);
    assert_eq!(group_hw(alias), group_hw(GROUP));
    lan.put_group(&Packet::new(
        PEER,
        alias,
        gannet_core::wire::ipv4::Protocol::UDP,
        vec![0; 8],
    ));
    let after = lan.stack.ip_stats();
    assert_eq!(after.in_address_errors, before.in_address_errors + 1);
    lan.assert_at_rest();
}

#[test]
fn a_new_link_is_told_everything() {
    let mut lan = member();
    lan.ask_all(100);
    lan.wire.set_link(Link::Down);
    lan.turn();
    // Nothing is waited for without a link, and joining there is told later.
    assert_eq!(lan.deadline, None);
    lan.stack.join_group(group(1), Via::Route).expect("room");
    lan.assert_at_rest();
    lan.wire.set_link(Link::Up);
    lan.turn();
    lan.sent(); // with the announcement of the address
    let said: Vec<_> = lan.said_within(10 * SECOND);
    assert_eq!(said.len(), 2, "the second time of each: {said:?}");
    assert_eq!(lan.stack.igmp_stats().out_reports, 2 + 4);
    lan.stack.set_admin(lan.netif, Admin::Down).expect("there");
    lan.stack.leave_group(group(1), Via::Route).expect("in");
    lan.assert_at_rest();
    lan.stack.set_admin(lan.netif, Admin::Up).expect("there");
    lan.turn();
    lan.sent();
    let said = lan.said_within(10 * SECOND);
    assert_eq!(said.len(), 1);
    assert_eq!(said[0].1, one(TO_EXCLUDE, GROUP));
}

#[test]
fn an_interface_takes_its_groups_with_it() {
    let mut lan = member();
    lan.ask_all(100);
    let netif = lan.netif;
    lan.stack.remove_netif(netif).expect("it is there");
    assert_eq!(lan.stack.groups(netif).count(), 0);
    lan.assert_at_rest();
}

#[test]
fn without_an_address_nobody_is_named() {
    let mut lan = Lan::new();
    lan.stack.set_addr(lan.netif, None).expect("there");
    lan.stack
        .join_group(GROUP, Via::Netif(lan.netif))
        .expect("room");
    lan.turn();
    let sent = lan.sent_packet();
    assert_eq!(sent.src, Ipv4Addr::UNSPECIFIED);
    assert_eq!(Said::parse(&sent), one(TO_EXCLUDE, GROUP));
    lan.said_within(10 * SECOND);
    // Nor is the querier of a switch.
    let query = query_v3(10, Ipv4Addr::UNSPECIFIED, &[]);
    lan.put_group(&packet(Ipv4Addr::UNSPECIFIED, ALL_HOSTS, query));
    let said = lan.said_within(10 * SECOND);
    assert_eq!(said.len(), 1);
    assert_eq!(said[0].1, one(IS_EXCLUDE, GROUP));
}

#[test]
fn a_device_without_room_is_tried_again() {
    let mut lan = Lan::new();
    lan.wire.set_room(Some(0));
    lan.stack.join_group(GROUP, Via::Route).expect("room");
    lan.turn();
    assert_eq!(lan.stack.igmp_stats().out_errors, 1);
    lan.wire.set_room(None);
    assert_eq!(lan.said_within(10 * SECOND).len(), 1);
    lan.assert_at_rest();
}
