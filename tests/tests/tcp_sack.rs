//! The sender's scoreboard (RFC 2018, RFC 2883, RFC 6675) and the receiver's D-SACK.
use gannet_core::config::Use;
use gannet_tests::recorder::Recorder;
use gannet_tests::script::{Script, plain_config};
use gannet_tests::sender::{Sender, sack_config};

/// Two of ten segments are lost; both are sent again in the round trip the losses show in, and
/// nothing else.
#[test]
fn two_holes_are_repaired_in_one_round_trip() {
    let mut s = Sender::new(sack_config());
    s.flight(10);
    s.run(
        "wait 100
         < . 1:1(0) ack 1 win 60000 <sack 1001:2001>
         < . 1:1(0) ack 1 win 60000 <sack 1001:3001>
         > nothing
         < . 1:1(0) ack 1 win 60000 <sack 4001:5001,sack 1001:3001>
         > . 1:1001(1000) ack 1
         // Five segments are still in flight, as many as the halved window holds.
         < . 1:1(0) ack 1 win 60000 <sack 4001:6001,sack 1001:3001>
         > nothing
         < . 1:1(0) ack 1 win 60000 <sack 4001:10001,sack 1001:3001>
         > . 3001:4001(1000) ack 1
         wait 100
         < . 1:1(0) ack 3001 win 60000 <sack 4001:10001>
         < . 1:1(0) ack 10001 win 60000
         > nothing
         wait 5000
         > nothing",
    );
    let stats = s.stats();
    assert_eq!((stats.segments_retransmitted, stats.timeouts), (2, 0));
}

/// RFC 6675 §5: a burst of losses in the middle of a flight.
#[test]
fn a_burst_is_sent_again_as_what_arrives_allows() {
    let mut s = Sender::new(sack_config());
    s.flight(10);
    // Segments 1 to 6 are lost.
    s.run(
        "wait 100
         < . 1:1(0) ack 1 win 60000 <sack 6001:7001>
         < . 1:1(0) ack 1 win 60000 <sack 6001:8001>
         < . 1:1(0) ack 1 win 60000 <sack 6001:9001>
         > . 1:1001(1000) ack 1
         < . 1:1(0) ack 1 win 60000 <sack 6001:10001>
         > . 1001:2001(1000) ack 1
         wait 100
         < . 1:1(0) ack 1001 win 60000 <sack 6001:10001>
         > . 2001:3001(1000) ack 1
         > . 3001:4001(1000) ack 1
         < . 1:1(0) ack 2001 win 60000 <sack 6001:10001>
         > . 4001:5001(1000) ack 1
         > . 5001:6001(1000) ack 1
         wait 100
         < . 1:1(0) ack 10001 win 60000
         wait 5000
         > nothing",
    );
    assert_eq!(s.stats().timeouts, 0);
}

/// RFC 2018 §8: what was acknowledged selectively may be thrown away by the peer; the timeout
/// sends everything again.
#[test]
fn a_peer_that_reneges_gets_everything_again() {
    let mut s = Sender::new(sack_config());
    s.flight(4);
    s.run(
        "wait 100
         < . 1:1(0) ack 1 win 60000 <sack 1001:4001>
         > . 1:1001(1000) ack 1
         wait 100
         // The hole is filled, and what followed it is gone.
         < . 1:1(0) ack 1001 win 60000
         > nothing
         wait 299
         > nothing
         wait 1
         > . 1001:2001(1000) ack 1
         wait 100
         < . 1:1(0) ack 2001 win 60000
         > . 2001:3001(1000) ack 1
         > P. 3001:4001(1000) ack 1
         wait 100
         < . 1:1(0) ack 4001 win 60000
         wait 5000
         > nothing",
    );
}

/// RFC 6675 §2, RFC 2018 §4: blocks that cannot be are not believed.
#[test]
fn blocks_of_what_was_never_sent_mean_nothing() {
    let mut s = Sender::new(sack_config());
    s.flight(4);
    s.run(
        "wait 100
         < . 1:1(0) ack 1 win 60000 <sack 4001:9001,sack 3001:1001>
         < . 1:1(0) ack 1 win 60000 <sack 1001:90001>
         < . 1:1(0) ack 1 win 60000 <sack 1001:1001>
         > nothing
         < . 1:1(0) ack 4001 win 60000
         wait 5000
         > nothing",
    );
    assert_eq!(s.stats().segments_retransmitted, 0);
}

/// Acknowledgements that are lost are made good by the next: the blocks repeat themselves.
#[test]
fn lost_acknowledgements_cost_nothing() {
    let mut s = Sender::new(sack_config());
    s.flight(10);
    s.run(
        "wait 100
         < . 1:1(0) ack 1 win 60000 <sack 9001:10001,sack 4001:8001,sack 1001:3001>
         > . 1:1001(1000) ack 1
         > . 3001:4001(1000) ack 1
         > . 8001:9001(1000) ack 1
         wait 100
         < . 1:1(0) ack 10001 win 60000
         wait 5000
         > nothing",
    );
    assert_eq!(s.stats().segments_retransmitted, 3);
}

/// A block that ends inside a segment leaves the rest of it missing.
#[test]
fn a_part_of_a_segment_can_be_missing() {
    let mut s = Sender::new(sack_config());
    s.flight(6);
    s.run(
        "wait 100
         < . 1:1(0) ack 1 win 60000 <sack 1501:6001>
         > . 1:1001(1000) ack 1
         > . 1001:1501(500) ack 1
         wait 100
         < . 1:1(0) ack 6001 win 60000
         wait 5000
         > nothing",
    );
}

/// Retransmissions obey the peer's window, a first byte apart.
#[test]
fn a_window_that_shrinks_bounds_what_is_sent_again() {
    let mut s = Sender::new(sack_config());
    s.flight(6);
    s.run(
        "wait 100
         < . 1:1(0) ack 1 win 1500 <sack 3001:6001>
         > . 1:1001(1000) ack 1
         > . 1001:1501(500) ack 1
         wait 100
         < . 1:1(0) ack 1501 win 60000 <sack 3001:6001>
         > . 1501:2001(500) ack 1
         > . 2001:3001(1000) ack 1
         wait 100
         < . 1:1(0) ack 6001 win 60000
         wait 5000
         > nothing",
    );
}

fn receiver() -> (Script, Recorder) {
    let mut config = plain_config();
    config.tcp.sack = Use::On;
    let mut app = Recorder::default();
    let mut t = Script::listening(config, 5);
    t.run(
        &mut app,
        "< S 0:0(0) win 10000 <mss 1000,sackOK>
         > S. 0:0(0) ack 1 <mss 1460,sackOK>
         < . 1:1(0) ack 1 win 10000
         < . 1:1001(1000) ack 1
         < . 1001:2001(1000) ack 1
         > . 1:1(0) ack 2001",
    );
    (t, app)
}

/// RFC 2883 §4.1.1.
#[test]
fn data_that_arrives_twice_is_reported() {
    let (mut t, mut app) = receiver();
    t.run(
        &mut app,
        "< . 1001:2001(1000) ack 1
         > . 1:1(0) ack 2001 <sack 1001:2001>
         < . 3001:4001(1000) ack 1
         > . 1:1(0) ack 2001 <sack 3001:4001>
         < . 1:1001(1000) ack 1
         > . 1:1(0) ack 2001 <sack 1:1001,sack 3001:4001>",
    );
}

/// RFC 2883 §4.2: behind a gap, and §4.3: a part of a segment.
#[test]
fn a_duplicate_behind_a_gap_comes_before_the_block_it_is_in() {
    let (mut t, mut app) = receiver();
    t.run(
        &mut app,
        "< . 3001:4001(1000) ack 1
         > . 1:1(0) ack 2001 <sack 3001:4001>
         < . 4001:5001(1000) ack 1
         > . 1:1(0) ack 2001 <sack 3001:5001>
         < . 4001:5001(1000) ack 1
         > . 1:1(0) ack 2001 <sack 4001:5001,sack 3001:5001>
         < . 1501:2501(1000) ack 1
         > . 1:1(0) ack 2501 <sack 1501:2001,sack 3001:5001>",
    );
}

/// A window that closes while something is missing: what is missing waits, is asked about with a
/// byte, and goes when the window opens.
#[test]
fn a_window_that_closes_in_recovery_stops_it_and_opening_goes_on() {
    let mut s = Sender::new(sack_config());
    s.flight(6);
    s.run(
        "wait 100
         < . 1:1(0) ack 1 win 0 <sack 1001:6001>
         > . 1:2(1) ack 1
         wait 100
         < . 1:1(0) ack 2 win 0 <sack 1001:6001>
         > . 2:3(1) ack 1
         wait 50
         < . 1:1(0) ack 2 win 60000 <sack 1001:6001>
         > . 2:1001(999) ack 1
         wait 100
         < . 1:1(0) ack 6001 win 60000
         wait 5000
         > nothing",
    );
    s.flight(4);
    s.run("wait 100\n< . 1:1(0) ack 10001 win 60000");
}
