//! IGMP versions 2 and 1, spoken where a querier knows no more (RFC 3376 §7.2, RFC 2236).
use std::net::Ipv4Addr;
use std::time::Duration;

use gannet_core::Via;
use gannet_tests::igmp::{
    ALL_HOSTS, GROUP, IS_EXCLUDE, Said, TO_EXCLUDE, TO_INCLUDE, query_v2, query_v3_of, report,
};
use gannet_tests::lan::Lan;

const SECOND: Duration = Duration::from_secs(1);
const ALL: Ipv4Addr = Ipv4Addr::UNSPECIFIED;
const OTHER: Ipv4Addr = Ipv4Addr::new(239, 9, 0, 1);
/// RFC 3376 §8.12: two times 125 s and ten.
const PRESENT: Duration = Duration::from_secs(260);

fn member() -> Lan {
    let mut lan = Lan::new();
    lan.stack.join_group(GROUP, Via::Route).expect("room");
    lan.said_within(10 * SECOND);
    lan.assert_at_rest();
    lan
}

/// A member of [`GROUP`] on a link with a querier of version 2 that has just been answered.
fn v2_member() -> Lan {
    let mut lan = member();
    lan.put_igmp(ALL_HOSTS, query_v2(100, ALL));
    let asked = lan.now;
    let said = lan.said_within(20 * SECOND);
    assert_eq!(said.len(), 1);
    assert_eq!(said[0].1, Said::V2(GROUP));
    assert!(said[0].0 > asked && said[0].0 <= asked + 10 * SECOND);
    lan.assert_at_rest();
    lan
}

fn what(said: Vec<(gannet_core::Instant, Said)>) -> Vec<Said> {
    said.into_iter().map(|(_, said)| said).collect()
}

#[test]
fn joining_is_reported_twice_and_leaving_once() {
    let mut lan = v2_member();
    let start = lan.now;
    lan.stack.join_group(OTHER, Via::Route).expect("room");
    let said = lan.said_within(60 * SECOND);
    let [first, second] = &said[..] else {
        panic!("twice: {said:?}");
    };
    assert_eq!((first.0, &first.1), (start, &Said::V2(OTHER)));
    assert_eq!(second.1, Said::V2(OTHER));
    // RFC 2236 §8.10: within ten seconds.
    assert!(second.0 > start && second.0 <= start + 10 * SECOND);
    lan.stack.leave_group(OTHER, Via::Route).expect("in");
    assert_eq!(what(lan.said_within(60 * SECOND)), [Said::Leave(OTHER)]);
    assert_eq!(lan.stack.igmp_stats().out_leaves, 1);
    lan.assert_at_rest();
}

#[test]
fn one_report_for_a_group_is_enough() {
    let mut lan = v2_member();
    lan.put_igmp(ALL_HOSTS, query_v2(100, ALL));
    assert!(lan.deadline.is_some());
    lan.put_igmp(GROUP, report(0x16, GROUP));
    assert_eq!(lan.deadline, None);
    assert_eq!(lan.said_within(20 * SECOND), []);
    // RFC 2236 §3: and who was not the last to report leaves silently.
    lan.stack.leave_group(GROUP, Via::Route).expect("in");
    assert_eq!(lan.said_within(20 * SECOND), []);
    lan.assert_at_rest();
}

#[test]
fn who_reports_again_after_another_leaves_aloud() {
    let mut lan = v2_member();
    lan.put_igmp(GROUP, report(0x16, GROUP));
    lan.put_igmp(GROUP, query_v2(10, GROUP));
    assert_eq!(what(lan.said_within(20 * SECOND)), [Said::V2(GROUP)]);
    lan.stack.leave_group(GROUP, Via::Route).expect("in");
    assert_eq!(what(lan.said_within(20 * SECOND)), [Said::Leave(GROUP)]);
}

#[test]
fn the_first_report_of_a_join_is_made_whatever_others_say() {
    let mut lan = v2_member();
    lan.stack.join_group(OTHER, Via::Route).expect("room");
    lan.put_igmp(OTHER, report(0x16, OTHER));
    // Not the second one.
    lan.put_igmp(OTHER, report(0x16, OTHER));
    assert_eq!(what(lan.said_within(60 * SECOND)), [Said::V2(OTHER)]);
}

#[test]
fn reports_for_other_groups_change_nothing() {
    let mut lan = v2_member();
    lan.stack.join_group(OTHER, Via::Route).expect("room");
    lan.said_within(20 * SECOND);
    lan.put_igmp(ALL_HOSTS, query_v2(100, ALL));
    lan.put_igmp(OTHER, report(0x16, OTHER));
    assert_eq!(what(lan.said_within(20 * SECOND)), [Said::V2(GROUP)]);
}

#[test]
fn a_delay_is_only_ever_shortened() {
    let mut lan = v2_member();
    lan.put_igmp(GROUP, query_v2(1, GROUP));
    let (asked, soon) = (lan.now, SECOND / 10);
    lan.put_igmp(ALL_HOSTS, query_v2(255, ALL));
    let said = lan.said_within(30 * SECOND);
    assert_eq!(said.len(), 1);
    assert!(said[0].0 <= asked + soon);
    lan.put_igmp(ALL_HOSTS, query_v2(255, ALL));
    lan.put_igmp(GROUP, query_v2(1, GROUP));
    let asked = lan.now;
    let said = lan.said_within(30 * SECOND);
    assert_eq!(said.len(), 1);
    assert!(said[0].0 <= asked + soon);
}

#[test]
fn each_group_has_its_own_delay() {
    let mut lan = v2_member();
    for n in 1..=3 {
        lan.stack
            .join_group(Ipv4Addr::new(239, 9, 0, n), Via::Route)
            .expect("room");
    }
    lan.said_within(20 * SECOND);
    lan.put_igmp(ALL_HOSTS, query_v2(100, ALL));
    let said = lan.said_within(20 * SECOND);
    let times: std::collections::BTreeSet<_> = said.iter().map(|(at, _)| *at).collect();
    assert_eq!((said.len(), times.len()), (4, 4));
}

#[test]
fn version_1_knows_no_leaving_and_no_times() {
    let mut lan = member();
    lan.put_igmp(ALL_HOSTS, query_v2(0, ALL));
    let asked = lan.now;
    let said = lan.said_within(20 * SECOND);
    assert_eq!(said.len(), 1);
    assert_eq!(said[0].1, Said::V1(GROUP));
    assert!(said[0].0 <= asked + 10 * SECOND);
    lan.put_igmp(ALL_HOSTS, query_v2(0, ALL));
    lan.put_igmp(GROUP, report(0x12, GROUP));
    assert_eq!(lan.said_within(20 * SECOND), []);
    lan.stack.join_group(OTHER, Via::Route).expect("room");
    assert_eq!(
        what(lan.said_within(20 * SECOND)),
        [Said::V1(OTHER), Said::V1(OTHER)]
    );
    lan.stack.leave_group(OTHER, Via::Route).expect("in");
    assert_eq!(lan.said_within(20 * SECOND), []);
    lan.assert_at_rest();
}

#[test]
fn the_oldest_querier_counts_as_long_as_it_is_there() {
    let mut lan = member();
    lan.put_igmp(ALL_HOSTS, query_v2(0, ALL));
    let v1_gone = lan.now + PRESENT;
    lan.said_within(200 * SECOND);
    lan.put_igmp(ALL_HOSTS, query_v2(100, ALL));
    let v2_gone = lan.now + PRESENT;
    // A querier of version 3 beside them is answered so too.
    assert_eq!(what(lan.said_within(20 * SECOND)), [Said::V1(GROUP)]);
    lan.ask_all(10);
    assert_eq!(what(lan.said_within(20 * SECOND)), [Said::V1(GROUP)]);
    lan.assert_at_rest();
    // No time-out wakes an idle stack, but it is heeded.
    lan.now = v1_gone;
    lan.ask_all(10);
    assert_eq!(what(lan.said_within(20 * SECOND)), [Said::V2(GROUP)]);
    lan.now = v2_gone;
    lan.ask_all(10);
    assert_eq!(
        what(lan.said_within(20 * SECOND)),
        [Said::V3(vec![(IS_EXCLUDE, GROUP)])]
    );
    lan.stack.leave_group(GROUP, Via::Route).expect("in");
    let left = Said::V3(vec![(TO_INCLUDE, GROUP)]);
    assert_eq!(what(lan.said_within(20 * SECOND)), [left.clone(), left]);
}

#[test]
fn the_time_out_is_what_the_querier_of_version_3_asks_for() {
    let mut lan = member();
    // Robustness 3, an interval of 10 s.
    lan.put_igmp(ALL_HOSTS, query_v3_of(10, ALL, 3, 10, &[]));
    lan.said_within(5 * SECOND);
    lan.put_igmp(ALL_HOSTS, query_v2(10, ALL));
    let gone = lan.now + 31 * SECOND;
    lan.said_within(5 * SECOND);
    lan.now = gone - Duration::from_millis(1);
    lan.ask_all(1);
    assert!(matches!(
        lan.said_within(SECOND / 1000)[..],
        [] | [(_, Said::V2(_))]
    ));
    lan.now = gone;
    lan.ask_all(1);
    assert_eq!(
        what(lan.said_within(5 * SECOND)),
        [Said::V3(vec![(IS_EXCLUDE, GROUP)])]
    );
}

#[test]
fn another_version_cancels_what_was_pending() {
    // Answers to a query of version 3, and repetitions of a change.
    let mut lan = member();
    lan.stack.join_group(OTHER, Via::Route).expect("room");
    lan.turn();
    assert_eq!(lan.said(), [Said::V3(vec![(TO_EXCLUDE, OTHER)])]);
    lan.ask_all(0xff);
    lan.put_igmp(ALL_HOSTS, query_v2(1, ALL));
    let mut said = what(lan.said_within(3600 * SECOND));
    said.sort_by_key(|said| format!("{said:?}"));
    assert_eq!(said, [Said::V2(GROUP), Said::V2(OTHER)]);
    lan.assert_at_rest();
    // A leave that was said once is not said again; one that was not said is, the new way.
    let mut lan = member();
    lan.stack.leave_group(GROUP, Via::Route).expect("in");
    lan.put_igmp(ALL_HOSTS, query_v2(100, ALL));
    assert_eq!(what(lan.said_within(60 * SECOND)), [Said::Leave(GROUP)]);
    lan.assert_at_rest();
}

#[test]
fn a_query_of_one_group_makes_no_querier_of_version_2() {
    let mut lan = member();
    // RFC 3376 §7.2.1: general queries only.
    lan.put_igmp(GROUP, query_v2(10, GROUP));
    assert_eq!(
        what(lan.said_within(20 * SECOND)),
        [Said::V3(vec![(IS_EXCLUDE, GROUP)])]
    );
}
