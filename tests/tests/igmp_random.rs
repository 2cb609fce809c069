//! Joining, leaving, queries, reports, links and time in any order, by seed: nothing is ever said of
//! a group nobody was in, what is waited for comes, and in the end the stack is at rest.
use std::collections::BTreeMap;
use std::net::Ipv4Addr;
use std::time::Duration;

use gannet_core::netif::{Admin, Link};
use gannet_core::{Config, Error, Via};
use gannet_tests::frames::Sent;
use gannet_tests::igmp::{ALL_HOSTS, Said, query_v2, query_v3_of, report};
use gannet_tests::lan::{Lan, capabilities};
use gannet_tests::storage::Sizes;

const PLACES: usize = 3;

fn group(n: u8) -> Ipv4Addr {
    Ipv4Addr::new(239, 9, 0, n)
}

/// Everything the stack says now is about a group it is in, or has left.
fn check(lan: &mut Lan, known: &BTreeMap<Ipv4Addr, u32>) {
    for sent in lan.sent() {
        let Sent::Ip(_, packet) = sent else {
            continue; // an announcement
        };
        let groups = match Said::parse(&packet) {
            Said::V1(group) | Said::V2(group) => vec![(2, group)],
            Said::Leave(group) => vec![(3, group)],
            Said::V3(records) => records,
        };
        for (kind, group) in groups {
            let members = known.get(&group).copied();
            assert!(members.is_some(), "{group} was never joined");
            let left = kind == 3;
            assert_eq!(left, members == Some(0), "{group}, record {kind}");
        }
    }
}

fn run(seed: u64) {
    let mut rng = fastrand::Rng::with_seed(seed);
    let sizes = Sizes {
        groups: PLACES,
        ..Sizes::default()
    };
    let mut lan = Lan::with(Config::default(), sizes, capabilities());
    // Counts of memberships, 0 for what was left.
    let mut known = BTreeMap::<Ipv4Addr, u32>::new();
    for _ in 0..300 {
        let addr = group(rng.u8(0..5));
        match rng.u8(0..12) {
            0..=2 => {
                let joined = lan.stack.join_group(addr, Via::Netif(lan.netif));
                let members = known.values().filter(|count| **count > 0).count();
                let is_in = known.get(&addr).is_some_and(|count| *count > 0);
                if is_in || members < PLACES {
                    assert_eq!(joined, Ok(()));
                    *known.entry(addr).or_default() += 1;
                } else {
                    assert_eq!(joined, Err(Error::NoMemory));
                }
            }
            3 | 4 => {
                let left = lan.stack.leave_group(addr, Via::Netif(lan.netif));
                match known.get_mut(&addr).filter(|count| **count > 0) {
                    Some(count) => {
                        assert_eq!(left, Ok(()));
                        *count -= 1;
                    }
                    None => assert_eq!(left, Err(Error::NotMember)),
                }
            }
            5 => lan.put_igmp(ALL_HOSTS, query_v2(rng.u8(..), Ipv4Addr::UNSPECIFIED)),
            6 => lan.put_igmp(ALL_HOSTS, query_v2(0, Ipv4Addr::UNSPECIFIED)),
            7 => {
                let asked = if rng.bool() {
                    addr
                } else {
                    Ipv4Addr::UNSPECIFIED
                };
                let query = query_v3_of(rng.u8(..), asked, rng.u8(0..8), rng.u8(..), &[]);
                lan.put_igmp(ALL_HOSTS, query);
            }
            8 => lan.put_igmp(addr, report(0x16, addr)),
            9 => lan.wire.set_link(if rng.u8(0..4) == 0 {
                Link::Down
            } else {
                Link::Up
            }),
            10 => {
                let admin = if rng.u8(0..4) == 0 {
                    Admin::Down
                } else {
                    Admin::Up
                };
                lan.stack.set_admin(lan.netif, admin).expect("there");
            }
            _ => {}
        }
        lan.turn();
        check(&mut lan, &known);
        let pause = Duration::from_millis(rng.u64(0..3_000));
        let until = lan.now + pause;
        while let Some(next) = lan.deadline.filter(|deadline| *deadline <= until) {
            lan.now = next.max(lan.now);
            lan.turn();
            check(&mut lan, &known);
        }
        lan.now = until;
    }
    // The longest answer takes less than an hour, the last repetition a minute.
    lan.wait(Duration::from_secs(3_600));
    check(&mut lan, &known);
    lan.assert_at_rest();
    let in_now = lan.stack.groups(lan.netif).count();
    assert_eq!(in_now, known.values().filter(|count| **count > 0).count());
}

#[test]
fn any_order_of_things() {
    for seed in 0..200 {
        println!("seed {seed}");
        run(seed);
    }
}
