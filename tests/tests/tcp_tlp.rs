//! Tail loss probes (RFC 8985 §7).
use gannet_tests::sender::{Sender, sack_config};

/// §7.2: two round trips after the last segment, the last segment again.
#[test]
fn a_lost_tail_is_probed_after_two_round_trips() {
    let mut s = Sender::new(sack_config());
    s.flight(4);
    s.run(
        "wait 100
         < . 1:1(0) ack 2001 win 60000
         wait 199
         > nothing
         wait 1
         > P. 3001:4001(1000) ack 1
         wait 100
         < . 1:1(0) ack 2001 win 60000 <sack 3001:4001>
         > . 2001:3001(1000) ack 1
         wait 100
         < . 1:1(0) ack 4001 win 60000
         wait 5000
         > nothing",
    );
    let stats = s.stats();
    assert_eq!((stats.tail_probes, stats.timeouts), (1, 0));
}

/// §7.2: of one segment alone the acknowledgement may be held back.
#[test]
fn a_lone_segment_is_given_the_longest_acknowledgement_delay() {
    let mut s = Sender::new(sack_config());
    s.flight(1);
    // 2 SRTT and 200 ms, but the retransmission timer would be due after 300 ms: the probe takes
    // its place.
    s.run(
        "wait 299
         > nothing
         wait 1
         > P. 1:1001(1000) ack 1
         wait 100
         < . 1:1(0) ack 1001 win 60000
         wait 5000
         > nothing",
    );
    let stats = s.stats();
    assert_eq!((stats.tail_probes, stats.timeouts), (1, 0));
}

/// §7.3: new data is a better probe than old, even beyond the congestion window.
#[test]
fn new_data_serves_as_a_probe() {
    let mut s = Sender::new(sack_config());
    s.flight(10);
    s.write(3000);
    s.run(
        "wait 199
         > nothing
         wait 1
         > . 10001:11001(1000) ack 1
         wait 100
         // Nothing was lost but the acknowledgements.
         < . 1:1(0) ack 11001 win 60000
         > . 11001:12001(1000) ack 1
         > P. 12001:13001(1000) ack 1
         wait 100
         < . 1:1(0) ack 13001 win 60000
         wait 5000
         > nothing",
    );
    assert_eq!(s.stats().segments_retransmitted, 0);
}

/// §7.4: if the probe repaired the only loss, the window shrinks all the same.
#[test]
fn a_loss_the_probe_repaired_counts() {
    let mut s = Sender::new(sack_config());
    s.flight(10);
    s.run(
        "wait 100
         < . 1:1(0) ack 9001 win 60000
         wait 300
         > P. 9001:10001(1000) ack 1
         wait 100
         < . 1:1(0) ack 10001 win 60000",
    );
    let before = s.t.tcp().sendable(s.pcb).expect("alive");
    assert_eq!(before, 12_000, "the probe's own number says nothing yet");
    s.flight(1);
    s.run("wait 100\n< . 1:1(0) ack 11001 win 60000");
    let after = s.t.tcp().sendable(s.pcb).expect("alive");
    assert!(after < 10_000, "{after}");
}

/// §7.4: a D-SACK of the probe says that nothing was lost.
#[test]
fn a_probe_reported_as_needless_costs_nothing() {
    let mut s = Sender::new(sack_config());
    s.flight(4);
    s.run(
        "wait 200
         > P. 3001:4001(1000) ack 1
         < . 1:1(0) ack 4001 win 60000
         wait 100
         < . 1:1(0) ack 4001 win 60000 <sack 3001:4001>",
    );
    let window = s.t.tcp().sendable(s.pcb).expect("alive");
    assert!(window >= 10_000, "{window}");
    s.flight(1);
    s.run("wait 100\n< . 1:1(0) ack 5001 win 60000");
    assert!(s.t.tcp().sendable(s.pcb).expect("alive") >= window);
}

/// One probe at a time; then the timeout, which backs off.
#[test]
fn an_unanswered_probe_is_followed_by_timeouts() {
    let mut s = Sender::new(sack_config());
    s.flight(3);
    s.run(
        "wait 200
         > P. 2001:3001(1000) ack 1
         wait 299
         > nothing
         wait 1
         > . 1:1001(1000) ack 1
         wait 599
         > nothing
         wait 1
         > . 1:1001(1000) ack 1
         wait 1200
         > . 1:1001(1000) ack 1",
    );
    let stats = s.stats();
    assert_eq!((stats.tail_probes, stats.timeouts), (1, 3));
}

/// A retransmission lost with nothing sent behind it, because the application has no more: two
/// round trips, not a timeout.
#[test]
fn a_lost_retransmission_at_the_end_is_probed_too() {
    let mut s = Sender::new(sack_config());
    s.flight(4);
    s.run(
        "wait 100
         < . 1:1(0) ack 1 win 60000 <sack 1001:4001>
         > . 1:1001(1000) ack 1
         wait 199
         > nothing
         wait 1
         > . 1:1001(1000) ack 1
         wait 100
         < . 1:1(0) ack 4001 win 60000
         wait 5000
         > nothing",
    );
    assert_eq!(s.stats().timeouts, 0);
}
