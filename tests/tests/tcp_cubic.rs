//! CUBIC and HyStart++ end to end (RFC 9438, RFC 9406), and the choice of the algorithm.
use std::time::Duration;

use gannet_core::Config;
use gannet_core::tcp::CongestionControl;
use gannet_tests::lossy::{Bench, Path};
use gannet_tests::sender::{Sender, sack_config};

/// RFC 9438 §4.6: the window after a loss is 0.7 of what it was; NewReno's is half. Both have
/// grown by what the round trip of the recovery is worth: 9/17 of a segment, and one.
#[test]
fn a_loss_leaves_seven_tenths() {
    for (algorithm, left) in [
        (CongestionControl::Cubic, 7_756),
        (CongestionControl::NewReno, 6_000),
    ] {
        let mut config = sack_config();
        config.tcp.congestion = algorithm;
        let mut s = Sender::new(config);
        s.flight(10);
        s.run(
            "wait 100
             < . 1:1(0) ack 1 win 60000 <sack 1001:10001>
             > . 1:1001(1000) ack 1
             wait 100
             < . 1:1(0) ack 10001 win 60000",
        );
        let sendable = s.t.tcp().sendable(s.pcb).expect("alive");
        assert_eq!(sendable, left, "{algorithm:?}");
    }
}

/// The algorithm is chosen per connection, at any time.
#[test]
fn the_algorithm_can_be_changed_while_connected() {
    let mut s = Sender::new(sack_config());
    s.t.tcp()
        .congestion(s.pcb, CongestionControl::Cubic)
        .expect("alive");
    s.flight(10);
    s.run(
        "wait 100
         < . 1:1(0) ack 1 win 60000 <sack 1001:10001>
         > . 1:1001(1000) ack 1
         wait 100
         < . 1:1(0) ack 10001 win 60000",
    );
    assert_eq!(s.t.tcp().sendable(s.pcb).expect("alive"), 7_756);
}

/// RFC 9438 §4.3: on a long path with a large window CUBIC is back sooner than NewReno.
#[test]
fn a_long_path_is_filled_sooner_than_by_newreno() {
    let bench = Bench::default();
    let path = Path::symmetric(Duration::from_millis(50), 0.001, 262_144).limited(100_000_000, 100);
    let goodput = |algorithm| {
        let mut config = Config::default();
        config.tcp.congestion = algorithm;
        bench.median(&path, &config, 5).goodput
    };
    let (cubic, newreno) = (
        goodput(CongestionControl::Cubic),
        goodput(CongestionControl::NewReno),
    );
    assert!(cubic > newreno, "{cubic} and {newreno}");
}

/// RFC 9406: slow start ends before the queue of a bottleneck overflows; without it half of a
/// window is lost.
#[test]
fn slow_start_ends_before_the_queue_overflows() {
    let bench = Bench::default();
    let mut path =
        Path::symmetric(Duration::from_millis(10), 0.0, 262_144).limited(20_000_000, 100);
    path.bytes = 3 << 20;
    let lost = |algorithm| {
        let mut config = Config::default();
        config.tcp.congestion = algorithm;
        bench.run(&path, config, 1).retransmitted
    };
    let (cubic, newreno) = (
        lost(CongestionControl::Cubic),
        lost(CongestionControl::NewReno),
    );
    assert!(cubic * 3 < newreno * 2, "{cubic} and {newreno}");
}

/// RFC 5681 §4.1: after a pause the initial window again; §3.1 and RFC 7661: a window that is not
/// used does not grow.
#[test]
fn a_pause_costs_the_window_and_disuse_does_not_grow_it() {
    let mut s = Sender::new(sack_config());
    s.flight(10);
    s.run(
        "wait 100
         < . 1:1(0) ack 2001 win 60000
         < . 1:1(0) ack 4001 win 60000
         < . 1:1(0) ack 10001 win 60000",
    );
    assert_eq!(s.t.tcp().sendable(s.pcb).expect("alive"), 14_000);
    for n in 0..20 {
        s.flight(1);
        let line = format!("wait 100\n< . 1:1(0) ack {}1 win 60000", 1_100 + n * 100);
        s.run(&line);
    }
    assert_eq!(s.t.tcp().sendable(s.pcb).expect("alive"), 14_000);
    s.run("wait 10000");
    s.write(14_000);
    s.t.turn(&mut s.app);
    assert_eq!(s.t.sent().len(), 10);
}
