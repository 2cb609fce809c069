//! BBR (draft-ietf-ccwg-bbr): pace, queues, random loss, fairness to itself.
use std::time::Duration;

use gannet_core::Config;
use gannet_core::config::Use;
use gannet_core::tcp::CongestionControl;
use gannet_tests::lossy::{Bench, Path};
use gannet_tests::sender::{Sender, sack_config};

fn bbr() -> Config {
    let mut config = Config::default();
    config.tcp.congestion = CongestionControl::Bbr;
    config
}

/// Draft §5.6.2: after the first window segments leave at a pace, not with each acknowledgement.
#[test]
fn segments_leave_at_a_pace() {
    let mut config = sack_config();
    config.tcp.congestion = CongestionControl::Bbr;
    let mut s = Sender::new(config);
    s.flight(10);
    s.write(40_000);
    s.run("> nothing\nwait 100");
    s.t.wire.put({
        let (peer, local) = (s.t.peer, s.t.local);
        gannet_tests::segment::Segment::parse(". 1:1(0) ack 10001 win 60000", peer, local)
            .packet(peer, local)
    });
    s.t.turn(&mut s.app);
    let at_once = s.t.sent().len();
    s.t.wait(&mut s.app, Duration::from_millis(20));
    let soon = s.t.sent().len();
    s.t.wait(&mut s.app, Duration::from_millis(70));
    let later = s.t.sent().len();
    assert!((1..=3).contains(&at_once), "{at_once}");
    assert!((3..=8).contains(&soon), "{soon}");
    // Within a round trip all that the window allows.
    assert!(later >= 8, "{later}");
    assert_eq!(s.stats().timeouts, 0);
}

/// With a queue of four times the path's capacity it keeps the queue short where CUBIC fills it.
#[test]
fn a_long_queue_is_not_filled() {
    let bench = Bench::default();
    let path = Path::symmetric(Duration::from_millis(40), 0.0, 262_144).limited(10_000_000, 150);
    let outcome = bench.run(&path, bbr(), 1);
    assert!(outcome.goodput > 1_050_000.0, "{outcome:?}");
    assert_eq!((outcome.retransmitted, outcome.timeouts), (0, 0));
}

/// A queue far too short for it costs little.
#[test]
fn a_short_queue_is_not_overrun_for_ever() {
    let bench = Bench::default();
    let path = Path::symmetric(Duration::from_millis(40), 0.0, 262_144).limited(20_000_000, 16);
    let outcome = bench.run(&path, bbr(), 1);
    assert!(outcome.goodput > 1_500_000.0, "{outcome:?}");
    assert!(outcome.retransmitted < 7_000 / 20, "{outcome:?}");
}

/// Random loss says nothing about the path.
#[test]
fn random_loss_does_not_slow_it_down() {
    let bench = Bench::default();
    for (loss, least) in [(0.01, 1_900_000.0), (0.05, 1_500_000.0)] {
        let path =
            Path::symmetric(Duration::from_millis(20), loss, 262_144).limited(20_000_000, 100);
        let outcome = bench.median(&path, &bbr(), 3);
        assert!(outcome.goodput > least, "{loss}: {outcome:?}");
    }
}

/// A peer without SACK gets the default instead.
#[test]
fn without_sack_it_is_not_used() {
    let bench = Bench::default();
    let mut config = bbr();
    config.tcp.sack = Use::Off;
    let path = Path::symmetric(Duration::from_millis(20), 0.0, 65_535).limited(20_000_000, 100);
    let outcome = bench.run(&path, config, 1);
    assert!(outcome.goodput > 2_000_000.0, "{outcome:?}");
}
