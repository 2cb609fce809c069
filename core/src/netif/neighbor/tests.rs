//! Tests of the neighbour cache.
#![allow(unsafe_code, reason = "what `pbuf_pool!` expands to in its own crate")]

use super::*;
use crate::pbuf_pool;

pbuf_pool! { static POOL: [32; 64] }

const LIFE: Duration = Duration::from_secs(300);
const ETH: NetifId = NetifId(0);

fn addr(host: u8) -> Ipv4Addr {
    Ipv4Addr::new(10, 0, 0, host)
}

fn hw(host: u8) -> HwAddr {
    HwAddr([2, 0, 0, 0, 0, host])
}

fn at(seconds: u64) -> Instant {
    Instant::from_millis(1_000_000 + seconds * 1000)
}

fn cache(entries: usize, pending: usize) -> Neighbors {
    let slots = vec![NeighborSlot::new(); entries].leak();
    let pending: Vec<_> = (0..pending).map(|_| PendingSlot::new()).collect();
    Neighbors::new(slots, pending.leak(), LIFE, 3)
}

fn packet(tag: u8) -> Pbuf {
    let mut packet = Pbuf::alloc(&POOL, 0, 1).expect("a buffer");
    packet.copy_from(&[tag]);
    packet
}

fn none(_: Ipv4Addr) -> bool {
    false
}

impl Neighbors {
    fn all_due(&mut self, now: Instant) -> Vec<Due> {
        core::iter::from_fn(|| self.due(now)).collect()
    }

    /// Resolves a neighbour that answers at once.
    #[track_caller]
    fn meet(&mut self, now: Instant, host: u8) {
        assert_eq!(self.resolve(now, ETH, addr(host), none), Resolution::Wait);
        assert_eq!(self.all_due(now), [ask(host, None)]);
        let heard = self.heard(now, ETH, addr(host), hw(host), Claim::Reply);
        assert_eq!(heard, Heard::Learned);
    }

    #[track_caller]
    fn knows(&mut self, now: Instant, host: u8, hw: HwAddr) {
        let found = self.resolve(now, ETH, addr(host), none);
        assert_eq!(found, Resolution::Known(hw));
    }

    fn has(&self, host: u8) -> bool {
        self.entries().any(|(_, n)| n.addr == addr(host))
    }
}

fn ask(host: u8, hw: Option<HwAddr>) -> Due {
    Due::Ask(Question {
        netif: ETH,
        addr: addr(host),
        hw,
    })
}

#[test]
fn requests_back_off_and_end() {
    let mut n = cache(4, 4);
    assert_eq!(n.next_deadline(), Instant::MAX);
    assert_eq!(n.resolve(at(0), ETH, addr(1), none), Resolution::Wait);
    assert_eq!(n.wait(ETH, addr(1), packet(1)), 0);
    for (now, next) in [(0, 1), (1, 3), (3, 5)] {
        assert_eq!(n.next_deadline(), at(now));
        assert_eq!(n.all_due(at(now)), [ask(1, None)]);
        assert_eq!(n.next_deadline(), at(next));
        assert_eq!(n.resolve(at(now), ETH, addr(1), none), Resolution::Wait);
        assert_eq!(n.all_due(at(now)), [], "not more than one a second");
    }
    let gave_up = Due::GaveUp {
        netif: ETH,
        addr: addr(1),
    };
    assert_eq!(n.all_due(at(5)), [gave_up]);
    assert!(n.take_waiting(ETH, addr(1)).is_some());
    assert_eq!(n.next_deadline(), Instant::MAX);
    // Anew, the last request being long ago.
    assert_eq!(n.resolve(at(5), ETH, addr(1), none), Resolution::Wait);
    assert_eq!(n.all_due(at(5)), [ask(1, None)]);
}

#[test]
fn known_neighbours_have_no_timer_and_are_checked_when_used_near_the_end() {
    let mut n = cache(4, 4);
    n.meet(at(0), 1);
    assert_eq!(n.next_deadline(), Instant::MAX);
    n.knows(at(224), 1, hw(1));
    assert_eq!(n.next_deadline(), Instant::MAX);
    n.knows(at(225), 1, hw(1));
    assert_eq!(n.all_due(at(225)), [ask(1, Some(hw(1)))]);
    n.knows(at(225), 1, hw(1));
    assert_eq!(n.next_deadline(), at(226));
    assert_eq!(
        n.heard(at(225), ETH, addr(1), hw(1), Claim::Reply),
        Heard::Learned
    );
    assert_eq!(n.next_deadline(), Instant::MAX);
    n.knows(at(449), 1, hw(1));
    // Not used near the end: forgotten without a word.
    assert_eq!(n.resolve(at(525), ETH, addr(1), none), Resolution::Wait);
}

#[test]
fn a_neighbour_that_does_not_answer_checks_is_asked_for_anew() {
    let mut n = cache(4, 4);
    n.meet(at(0), 1);
    for s in 250..253 {
        n.knows(at(s), 1, hw(1));
        assert_eq!(n.all_due(at(s)), [ask(1, Some(hw(1)))]);
    }
    assert_eq!(n.all_due(at(253)), []);
    assert_eq!(n.next_deadline(), Instant::MAX);
    assert_eq!(n.resolve(at(253), ETH, addr(1), none), Resolution::Wait);
    assert_eq!(n.all_due(at(253)), [ask(1, None)]);
}

#[test]
fn replies_nobody_asked_for_change_nothing() {
    let mut n = cache(4, 4);
    for claim in [Claim::Reply, Claim::ReplyToOthers, Claim::Request] {
        assert_eq!(n.heard(at(0), ETH, addr(1), hw(1), claim), Heard::Ignored);
    }
    n.meet(at(0), 1);
    for claim in [Claim::Reply, Claim::ReplyToOthers] {
        assert_eq!(n.heard(at(5), ETH, addr(1), hw(9), claim), Heard::Ignored);
    }
    n.knows(at(5), 1, hw(1));
    // But the one that is known is asked whether it is still there, and confirms.
    assert_eq!(n.all_due(at(5)), [ask(1, Some(hw(1)))]);
    assert_eq!(
        n.heard(at(5), ETH, addr(1), hw(9), Claim::Reply),
        Heard::Ignored
    );
    assert_eq!(
        n.heard(at(5), ETH, addr(1), hw(1), Claim::Reply),
        Heard::Learned
    );
    assert_eq!(n.next_deadline(), Instant::MAX);
    // Another false claim within the second is not an opportunity to make it ask more often.
    n.heard(at(5), ETH, addr(1), hw(9), Claim::Reply);
    assert_eq!(n.all_due(at(5)), []);
    assert_eq!(n.next_deadline(), at(6));
}

#[test]
fn requests_update_what_is_known() {
    let mut n = cache(4, 4);
    n.meet(at(0), 1);
    assert_eq!(
        n.heard(at(5), ETH, addr(1), hw(7), Claim::Request),
        Heard::Learned
    );
    n.knows(at(5), 1, hw(7));
    assert_eq!(n.resolve(at(6), ETH, addr(2), none), Resolution::Wait);
    assert_eq!(
        n.heard(at(6), ETH, addr(2), hw(2), Claim::Request),
        Heard::Learned
    );
    n.knows(at(6), 2, hw(2));
}

#[test]
fn those_who_only_ask_share_a_quarter_of_the_table() {
    let mut n = cache(8, 4);
    for host in 1..=6 {
        n.meet(at(host.into()), host);
    }
    for host in 100..200 {
        let heard = n.heard(at(20), ETH, addr(host), hw(host), Claim::RequestToUs);
        assert_eq!(heard, Heard::Learned);
    }
    for host in 1..=6 {
        n.knows(at(20), host, hw(host));
    }
    // They are the first to go when we need room.
    n.meet(at(21), 7);
    n.meet(at(21), 8);
    for host in 1..=8 {
        n.knows(at(22), host, hw(host));
    }
    let heard = n.heard(at(23), ETH, addr(99), hw(99), Claim::RequestToUs);
    assert_eq!(heard, Heard::Ignored, "no room but that of entries in use");
}

#[test]
fn the_unresolved_go_first_then_the_longest_unused_never_the_gateway() {
    let gateway = |a| a == addr(1);
    let mut n = cache(3, 8);
    n.meet(at(0), 1);
    n.meet(at(1), 2);
    assert_eq!(n.resolve(at(2), ETH, addr(50), gateway), Resolution::Wait);
    n.wait(ETH, addr(50), packet(50));
    assert_eq!(n.resolve(at(2), ETH, addr(51), gateway), Resolution::Wait);
    assert!(!n.has(50) && n.has(1) && n.has(2));
    assert!(
        n.take_waiting(ETH, addr(50)).is_none(),
        "its packet went with it"
    );
    n.all_due(at(2));
    n.heard(at(2), ETH, addr(51), hw(51), Claim::Reply);
    // All known: 2 was not used for the longest time, but for the gateway.
    assert_eq!(n.resolve(at(3), ETH, addr(52), gateway), Resolution::Wait);
    assert!(!n.has(2) && n.has(1) && n.has(51));

    let mut n = cache(1, 1);
    n.meet(at(0), 1);
    assert_eq!(n.resolve(at(1), ETH, addr(2), gateway), Resolution::Full);
}

#[test]
fn few_packets_wait_and_the_newest_are_kept() {
    let mut n = cache(4, 5);
    n.resolve(at(0), ETH, addr(1), none);
    let dropped: Vec<_> = (1..=4)
        .map(|tag| n.wait(ETH, addr(1), packet(tag)))
        .collect();
    assert_eq!(dropped, [0, 0, 0, 1]);
    n.resolve(at(0), ETH, addr(2), none);
    let dropped: Vec<_> = (11..=13)
        .map(|tag| n.wait(ETH, addr(2), packet(tag)))
        .collect();
    assert_eq!(dropped, [0, 0, 1], "the table is full: the oldest of all");
    let mut waiting = |host| -> Vec<u8> {
        let packets = core::iter::from_fn(|| n.take_waiting(ETH, addr(host)));
        packets.map(|packet| packet.data()[0]).collect()
    };
    assert_eq!((waiting(1), waiting(2)), (vec![3, 4], vec![11, 12, 13]));
}

#[test]
fn a_table_or_queue_without_room_is_no_mistake() {
    let mut n = cache(0, 0);
    assert_eq!(n.resolve(at(0), ETH, addr(1), none), Resolution::Full);
    assert_eq!(
        n.heard(at(0), ETH, addr(1), hw(1), Claim::RequestToUs),
        Heard::Ignored
    );
    let mut n = cache(1, 0);
    assert_eq!(n.resolve(at(0), ETH, addr(1), none), Resolution::Wait);
    assert_eq!(n.wait(ETH, addr(1), packet(1)), 1);
}

#[test]
fn an_interface_that_goes_takes_its_neighbours() {
    let mut n = cache(4, 4);
    n.meet(at(0), 1);
    n.resolve(at(0), ETH, addr(2), none);
    n.wait(ETH, addr(2), packet(2));
    n.resolve(at(0), NetifId(1), addr(3), none);
    assert_eq!(n.forget(ETH), 1);
    assert!(!n.has(1) && !n.has(2) && n.has(3));
    assert_eq!(n.next_deadline(), at(0));
    n.forget(NetifId(1));
    assert_eq!(n.next_deadline(), Instant::MAX);
}
