//! RACK (RFC 8985 §6): losses told by time, and reordering told from loss.
use std::time::Duration;

use gannet_core::config::Use;
use gannet_core::tcp::CongestionControl;
use gannet_core::{Config, Owner};
use gannet_tests::apps::{Sink, Source, listen};
use gannet_tests::link::Faults;
use gannet_tests::network::{Host, Network};
use gannet_tests::sender::{Sender, sack_config};

/// §6.2.5: with fewer than three segments behind the gap a quarter of the round trip decides.
#[test]
fn a_single_later_segment_shows_a_loss_after_a_quarter_round_trip() {
    let mut s = Sender::new(sack_config());
    s.flight(2);
    s.run(
        "wait 100
         < . 1:1(0) ack 1 win 60000 <sack 1001:2001>
         wait 24
         > nothing
         wait 1
         > . 1:1001(1000) ack 1
         wait 100
         < . 1:1(0) ack 2001 win 60000
         wait 5000
         > nothing",
    );
    assert_eq!(s.stats().timeouts, 0);
}

/// §6.2.4: a segment that comes within the reordering window was never lost.
#[test]
fn a_late_segment_is_not_sent_again() {
    let mut s = Sender::new(sack_config());
    s.flight(4);
    s.run(
        "wait 100
         < . 1:1(0) ack 1 win 60000 <sack 1001:2001>
         wait 20
         < . 1:1(0) ack 2001 win 60000
         < . 1:1(0) ack 4001 win 60000
         wait 5000
         > nothing",
    );
    assert_eq!(s.stats().segments_retransmitted, 0);
}

/// §6.2.3, §6.2.4: once reordering was seen three segments behind a gap are no proof any more.
#[test]
fn reordering_once_seen_is_waited_for() {
    let mut s = Sender::new(sack_config());
    s.flight(4);
    s.run(
        "wait 100
         < . 1:1(0) ack 1 win 60000 <sack 1001:2001>
         wait 10
         < . 1:1(0) ack 2001 win 60000
         < . 1:1(0) ack 4001 win 60000",
    );
    s.flight(6);
    s.run(
        "wait 100
         < . 1:1(0) ack 4001 win 60000 <sack 5001:8001>
         > nothing
         wait 20
         < . 1:1(0) ack 4001 win 60000 <sack 5001:10001>
         > nothing
         // The round trip of what arrived last was 120 ms.
         wait 24
         > nothing
         wait 1
         > . 4001:5001(1000) ack 1
         wait 100
         < . 1:1(0) ack 10001 win 60000
         wait 5000
         > nothing",
    );
}

/// §6.2.4: a D-SACK widens the window by a quarter of the round trip.
#[test]
fn a_retransmission_reported_as_needless_makes_it_more_patient() {
    let mut s = Sender::new(sack_config());
    s.flight(4);
    s.run(
        "wait 100
         < . 1:1(0) ack 1 win 60000 <sack 1001:4001>
         > . 1:1001(1000) ack 1
         wait 10
         < . 1:1(0) ack 4001 win 60000
         wait 90
         < . 1:1(0) ack 4001 win 60000 <sack 1:1001>
         > nothing",
    );
    assert_eq!(s.stats().duplicates_reported, 1);
    // Reordering was not seen as such: the late segment was sent twice. Now it is, and the window
    // is two quarters.
    s.flight(4);
    s.run(
        "wait 100
         < . 1:1(0) ack 4001 win 60000 <sack 5001:6001>
         wait 49
         > nothing
         wait 1
         > . 4001:5001(1000) ack 1
         wait 100
         < . 1:1(0) ack 8001 win 60000
         wait 5000
         > nothing",
    );
}

/// §3.1: a retransmission that is lost shows in what was sent after it.
#[test]
fn a_lost_retransmission_is_found_without_a_timeout() {
    let mut s = Sender::new(sack_config());
    s.flight(10);
    s.write(4000);
    s.run(
        "wait 100
         < . 1:1(0) ack 1 win 60000 <sack 1001:5001>
         > . 1:1001(1000) ack 1
         < . 1:1(0) ack 1 win 60000 <sack 1001:10001>
         > . 10001:11001(1000) ack 1
         > . 11001:12001(1000) ack 1
         > . 12001:13001(1000) ack 1
         > P. 13001:14001(1000) ack 1
         wait 100
         < . 1:1(0) ack 1 win 60000 <sack 1001:11001>
         > . 1:1001(1000) ack 1
         wait 100
         < . 1:1(0) ack 14001 win 60000
         wait 5000
         > nothing",
    );
    assert_eq!(
        (s.stats().timeouts, s.stats().segments_retransmitted),
        (0, 2)
    );
}

fn reordered(depth: u32, algorithm: CongestionControl) -> Network<Source, Sink> {
    let mut config = Config::default();
    config.tcp.congestion = algorithm;
    config.tcp.timestamps = Use::Off;
    let a = Host::new(1, config.clone(), Source::new(2_000_000), 1);
    let b = Host::new(2, config, Sink::default(), 1);
    // At 50 Mbit/s a segment takes a quarter of a millisecond.
    let faults = Faults {
        latency: Duration::from_millis(20),
        jitter: Duration::from_micros(250) * depth,
        rate: Some(50_000_000),
        queue: 100,
        ..Faults::default()
    };
    let mut net = Network::new(a, b, faults, u64::from(depth));
    net.ba.faults.jitter = Duration::ZERO;
    listen(&mut net.b.stack.tcp(net.now), 7, 4);
    let mut tcp = net.a.stack.tcp(net.now);
    let pcb = tcp.new(Owner(0)).expect("a free control block");
    tcp.connect(pcb, (net.b.addr, 7).into()).expect("a route");
    net.kick();
    assert!(net.run_until(Duration::from_secs(60), |net| net.b.app.eof));
    assert_eq!(net.b.app.received, 2_000_000);
    net
}

/// Segments overtake each other, up to fifty deep: bytes intact, no timeout, few needless
/// retransmissions, no silence.
#[test]
fn reordering_is_not_taken_for_loss() {
    for depth in [1, 2, 5, 10, 20, 50] {
        let net = reordered(depth, CongestionControl::default());
        let stats = net.a.stack.tcp_stats();
        assert_eq!(stats.timeouts, 0, "depth {depth}");
        assert!(
            stats.segments_retransmitted < 60,
            "depth {depth}: {} sent again",
            stats.segments_retransmitted
        );
        assert!(
            net.b.app.longest_silence_ms < 150,
            "depth {depth}: silent for {} ms",
            net.b.app.longest_silence_ms
        );
    }
}
