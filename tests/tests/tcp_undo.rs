//! Timeouts and retransmissions that were for nothing are found out and taken back: F-RTO
//! (RFC 5682), Eifel (RFC 3522, RFC 4015), D-SACK (RFC 3708).
use std::time::Duration;

use gannet_core::config::Use;
use gannet_core::{Config, Owner};
use gannet_tests::apps::{Sink, Source, listen};
use gannet_tests::link::Faults;
use gannet_tests::network::{Host, Network};
use gannet_tests::sender::{Sender, sack_config};

/// RFC 5682 §3.1: the whole flight is late. One segment goes again, then new data, and its
/// acknowledgement shows that the originals are coming in.
#[test]
fn a_spurious_timeout_costs_one_segment() {
    let mut s = Sender::new(sack_config());
    s.flight(8);
    s.run("wait 200\n> P. 7001:8001(1000) ack 1\nwait 300\n> . 1:1001(1000) ack 1");
    s.write(4000);
    s.run(
        "> nothing
         wait 100
         < . 1:1(0) ack 1001 win 60000
         > . 8001:9001(1000) ack 1
         > . 9001:10001(1000) ack 1
         < . 1:1(0) ack 3001 win 60000
         > . 10001:11001(1000) ack 1
         > P. 11001:12001(1000) ack 1
         < . 1:1(0) ack 8001 win 60000
         wait 100
         < . 1:1(0) ack 12001 win 60000
         > nothing",
    );
    let stats = s.stats();
    assert_eq!((stats.timeouts, stats.spurious_timeouts), (1, 1));
    assert!(s.t.tcp().sendable(s.pcb).expect("alive") >= 10_000);
}

/// RFC 5682 §3.1 step 3a: a real timeout goes on as one.
#[test]
fn a_real_timeout_is_not_undone() {
    let mut s = Sender::new(sack_config());
    s.flight(4);
    s.write(4000);
    s.run(
        "> . 4001:5001(1000) ack 1
         > . 5001:6001(1000) ack 1
         > . 6001:7001(1000) ack 1
         > P. 7001:8001(1000) ack 1
         wait 200
         > P. 7001:8001(1000) ack 1
         wait 300
         > . 1:1001(1000) ack 1
         wait 100
         < . 1:1(0) ack 1001 win 60000
         > . 1001:2001(1000) ack 1
         > . 2001:3001(1000) ack 1
         wait 100
         < . 1:1(0) ack 3001 win 60000
         > . 3001:4001(1000) ack 1
         > . 4001:5001(1000) ack 1
         > . 5001:6001(1000) ack 1
         > . 6001:7001(1000) ack 1
         wait 100
         < . 1:1(0) ack 7001 win 60000
         > P. 7001:8001(1000) ack 1
         wait 100
         < . 1:1(0) ack 8001 win 60000
         wait 5000
         > nothing",
    );
    let stats = s.stats();
    assert_eq!((stats.timeouts, stats.undone), (1, 0));
}

/// RFC 3708: every retransmission is reported as a duplicate.
#[test]
fn a_recovery_reported_as_needless_is_undone() {
    let mut s = Sender::new(sack_config());
    s.flight(10);
    s.run(
        "wait 100
         < . 1:1(0) ack 1 win 60000 <sack 1001:10001>
         > . 1:1001(1000) ack 1
         wait 1
         < . 1:1(0) ack 10001 win 60000",
    );
    assert_eq!(s.t.tcp().sendable(s.pcb).expect("alive"), 6_000);
    s.run("wait 100\n< . 1:1(0) ack 10001 win 60000 <sack 1:1001>");
    assert_eq!(s.t.tcp().sendable(s.pcb).expect("alive"), 10_000);
    assert_eq!(s.stats().undone, 1);
}

/// A transfer in the middle of which the path becomes so much longer that the timeout expires.
fn with_a_jump(to: Duration, config: &Config) -> Network<Source, Sink> {
    let a = Host::new(1, config.clone(), Source::new(1_000_000), 1);
    let b = Host::new(2, config.clone(), Sink::default(), 1);
    let faults = Faults {
        latency: Duration::from_millis(10),
        rate: Some(10_000_000),
        queue: 200,
        ..Faults::default()
    };
    let mut net = Network::new(a, b, faults, 1);
    listen(&mut net.b.stack.tcp(net.now), 7, 4);
    let mut tcp = net.a.stack.tcp(net.now);
    let pcb = tcp.new(Owner(0)).expect("a free control block");
    tcp.connect(pcb, (net.b.addr, 7).into()).expect("a route");
    net.kick();
    assert!(net.run_until(Duration::from_secs(10), |net| net.b.app.received > 300_000));
    net.ab.faults.latency = to;
    assert!(net.run_until(Duration::from_secs(60), |net| net.b.app.eof));
    net
}

#[test]
fn a_route_that_becomes_longer_is_not_taken_for_loss() {
    for timestamps in [Use::On, Use::Off] {
        let mut config = Config::default();
        config.tcp.timestamps = timestamps;
        for ms in [50, 200, 500, 900] {
            let net = with_a_jump(Duration::from_millis(ms), &config);
            let stats = net.a.stack.tcp_stats();
            let case = format!("timestamps {timestamps:?}, {ms} ms: {stats:#?}");
            assert_eq!(net.b.app.received, 1_000_000, "{case}");
            // The flight in the longer pipe is not sent again.
            assert!(stats.segments_retransmitted <= 6, "{case}");
            assert!(stats.timeouts <= 2, "{case}");
            assert_eq!(stats.undone > 0, stats.timeouts > 0, "{case}");
        }
    }
}
