//! Whole transfers over paths with peculiarities that are not loss: they swallow long packets, or
//! mark instead of dropping.
use gannet_core::Config;
use gannet_core::config::Use;
use gannet_tests::apps::{Sink, Source, listen};
use gannet_tests::link::Faults;
use gannet_tests::network::{Host, Network};
use std::time::Duration;

/// Sends `total` bytes from `a` to `b` over such a path; runs to the end of the connection.
fn transfer(total: u64, config: Config, faults: Faults, seed: u64) -> Network<Source, Sink> {
    let a = Host::new(1, config.clone(), Source::new(total), seed);
    let b = Host::new(2, config, Sink::default(), seed + 1);
    let mut net = Network::new(a, b, faults, seed);
    let server = net.b.addr;
    listen(&mut net.b.stack.tcp(net.now), 80, 5);
    let mut tcp = net.a.stack.tcp(net.now);
    let pcb = tcp.new(gannet_core::Owner(0)).expect("a free block");
    tcp.connect(pcb, (server, 80).into()).expect("a route");
    net.a.app.pcb = Some(pcb);
    net.kick();
    let done = net.run_until(Duration::from_secs(300), |net| {
        net.b.app.eof && net.b.app.received == total
    });
    assert!(
        done,
        "{} of {total} bytes, {:?}",
        net.b.app.received, net.a.app.error
    );
    net
}

#[test]
fn a_path_that_swallows_long_packets_is_crossed() {
    for mtu in [1400, 1100, 600] {
        let faults = Faults {
            mtu,
            ..Faults::default()
        };
        let net = transfer(500_000, Config::default(), faults, 1);
        let stats = net.a.stack.tcp_stats();
        assert!(stats.black_holes > 0 && stats.black_holes <= 2, "{mtu}");
        // Two timeouts for each step down, and then at full speed.
        assert!(net.b.app.longest_silence_ms < 1000);
        assert!(stats.timeouts <= 8, "{mtu}: {}", stats.timeouts);
    }
}

#[test]
fn a_path_that_marks_is_crossed_without_a_loss() {
    // A tenth of what fits is marked: the sender slows down and nothing has to be sent again.
    let faults = Faults {
        latency: Duration::from_millis(10),
        mark: 0.02,
        ..Faults::default()
    };
    let net = transfer(2_000_000, Config::default(), faults, 2);
    assert!(net.ab.marked > 10);
    assert_eq!(net.a.stack.tcp_stats().segments_retransmitted, 0);
    // With ECN off nothing is marked.
    let mut config = Config::default();
    config.tcp.ecn = Use::Off;
    let off = transfer(2_000_000, config, faults, 2);
    assert_eq!(off.ab.marked, 0);
    // It did slow down.
    assert!(net.now > off.now);
}

#[test]
fn marks_on_a_path_that_also_loses_reorders_and_repeats_change_no_byte() {
    let faults = Faults {
        latency: Duration::from_millis(2),
        jitter: Duration::from_millis(2),
        loss: 0.02,
        duplicate: 0.02,
        corrupt: 0.01,
        mark: 0.05,
        ..Faults::default()
    };
    for seed in 0..10 {
        transfer(200_000, Config::default(), faults, seed);
    }
}
