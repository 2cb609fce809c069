//! Speed and steadiness on bad paths, with margins: the program `lossy` prints the exact figures.
use std::time::Duration;

use gannet_core::tcp::CongestionControl;
use gannet_core::{Config, Owner};
use gannet_tests::apps::{Sink, Source, listen};
use gannet_tests::flows::{jain, share};
use gannet_tests::link::Faults;
use gannet_tests::lossy::Bench;
use gannet_tests::matrix;
use gannet_tests::network::{Host, Network};
use gannet_tests::storage::{Pools, Sizes};

fn with(algorithm: CongestionControl) -> Config {
    let mut config = Config::default();
    config.tcp.congestion = algorithm;
    config
}

/// Path A, in MB/s.
#[test]
fn one_percent_of_loss_leaves_most_of_the_speed() {
    let bench = Bench::default();
    let cubic = with(CongestionControl::Cubic);
    let bbr = with(CongestionControl::Bbr);
    for (config, loss, least) in [
        (&cubic, 0.0, 12.0e6),
        (&cubic, 1.0, 2.7e6),
        (&cubic, 5.0, 0.85e6),
        (&bbr, 1.0, 8.0e6),
        (&bbr, 5.0, 5.0e6),
    ] {
        let outcome = bench.median(&matrix::path_a(loss), config, 5);
        assert!(outcome.goodput > least, "{loss} %: {outcome:?}");
    }
    let outcome = bench.median(&matrix::path_a_limited(1.0), &cubic, 5);
    assert!(outcome.goodput > 2.5e6, "{outcome:?}");
}

/// lwIP's cells with the greatest distance, in Mbit/s.
#[test]
fn a_local_network_that_loses_packets_stays_fast() {
    let bench = Bench::default();
    for (window, loss, least, silence) in [
        (5_840, 1.0, 30.0, 100),
        (5_840, 3.0, 25.0, 300),
        (65_535, 0.1, 93.0, 50),
        (65_535, 1.0, 85.0, 100),
        (65_535, 3.0, 50.0, 300),
        (262_144, 0.1, 93.0, 50),
    ] {
        let path = matrix::lwip_path(window, 1, loss);
        let outcome = bench.median(&path, &Config::default(), 3);
        let megabits = outcome.goodput * 8.0 / 1e6;
        assert!(megabits > least, "{window}, {loss} %: {outcome:?}");
        assert!(
            outcome.silence_ms <= silence,
            "{window}, {loss} %: {outcome:?}"
        );
    }
}

/// Where lwIP's slow start overshoots and stalls for 2.7 s.
#[test]
fn a_large_window_without_loss_has_no_stall() {
    let bench = Bench::default();
    let mut path = matrix::lwip_path(262_144, 1, 0.0);
    path.bytes = 32 << 20;
    let outcome = bench.run(&path, Config::default(), 1);
    assert!(
        outcome.goodput > 11.6e6 && outcome.silence_ms <= 50,
        "{outcome:?}"
    );
}

/// smoltcp's netsim, in bytes/s.
#[test]
fn a_long_path_that_loses_packets_stays_usable() {
    let bench = Bench::default();
    let cubic = with(CongestionControl::Cubic);
    let bbr = with(CongestionControl::Bbr);
    for (config, loss, least) in [
        (&cubic, 1.0, 150e3),
        (&cubic, 5.0, 65e3),
        (&cubic, 20.0, 10e3),
        (&bbr, 1.0, 250e3),
        (&bbr, 5.0, 165e3),
    ] {
        let outcome = bench.median(&matrix::netsim_path(32_768, loss), config, 5);
        assert!(outcome.goodput > least, "{loss} %: {outcome:?}");
    }
}

#[test]
fn four_flows_share_a_bottleneck() {
    let path = Faults {
        latency: Duration::from_millis(10),
        rate: Some(20_000_000),
        queue: 60,
        ..Faults::default()
    };
    for algorithm in [
        CongestionControl::NewReno,
        CongestionControl::Cubic,
        CongestionControl::Bbr,
    ] {
        let shares = share(&[algorithm; 4], path, Duration::from_secs(60), 1);
        let fairness = jain(&shares);
        // BBR flows that start together keep their order for longer.
        let least = match algorithm {
            CongestionControl::Bbr => 0.9,
            _ => 0.95,
        };
        assert!(fairness >= least, "{algorithm:?}: {fairness} {shares:?}");
        let total: u64 = shares.iter().sum();
        assert!(total > 60 * 2_200_000, "{algorithm:?}: {shares:?}");
    }
}

/// What to do to the network once so many bytes have arrived.
type Change = (u64, fn(&mut Network<Source, Sink>));

struct Steps(Vec<Change>);

/// A transfer of a megabyte at 10 Mbit/s and 20 ms, during which the path changes after so many
/// bytes.
fn transfer(steps: Steps, seed: u64) -> Network<Source, Sink> {
    let config = Config::default();
    let a = Host::new(1, config.clone(), Source::new(1_000_000), seed);
    let b = Host::new(2, config, Sink::default(), seed);
    let faults = Faults {
        latency: Duration::from_millis(10),
        rate: Some(10_000_000),
        queue: 100,
        ..Faults::default()
    };
    let mut net = Network::new(a, b, faults, seed);
    listen(&mut net.b.stack.tcp(net.now), 7, 4);
    let mut tcp = net.a.stack.tcp(net.now);
    let pcb = tcp.new(Owner(0)).expect("a free control block");
    tcp.connect(pcb, (net.b.addr, 7).into()).expect("a route");
    net.kick();
    for (bytes, change) in steps.0 {
        assert!(net.run_until(Duration::from_secs(60), |net| net.b.app.received >= bytes));
        change(&mut net);
    }
    assert!(net.run_until(Duration::from_secs(60), |net| net.b.app.eof));
    assert_eq!(net.b.app.received, 1_000_000);
    net
}

fn nothing_passes(net: &mut Network<Source, Sink>, time: Duration) {
    net.ab.faults.loss = 1.0;
    net.run_until(time, |_| false);
    net.ab.faults.loss = 0.0;
}

/// Ten segments in a row, in the middle of a flight.
#[test]
fn a_burst_of_losses_costs_no_timeout() {
    for seed in 0..10 {
        let steps = Steps(vec![(400_000, |net| {
            nothing_passes(net, Duration::from_millis(12));
        })]);
        let net = transfer(steps, seed);
        let stats = net.a.stack.tcp_stats();
        assert_eq!(stats.timeouts, 0, "seed {seed}");
        assert!(stats.segments_retransmitted <= 14, "{stats:?}");
        assert!(net.b.app.longest_silence_ms < 150, "seed {seed}");
    }
}

/// The path is dead for a second: two timeouts at most after it is back.
#[test]
fn a_dead_path_is_found_alive_again_soon() {
    let steps = Steps(vec![(400_000, |net| {
        nothing_passes(net, Duration::from_secs(1));
    })]);
    let net = transfer(steps, 1);
    assert!(
        net.b.app.longest_silence_ms < 2_500,
        "{}",
        net.b.app.longest_silence_ms
    );
}

/// Half of the acknowledgements are lost: nothing is sent again.
#[test]
fn lost_acknowledgements_are_no_losses() {
    for seed in 0..5 {
        let steps = Steps(vec![(1, |net| net.ba.faults.loss = 0.5)]);
        let net = transfer(steps, seed);
        let stats = net.a.stack.tcp_stats();
        assert_eq!(stats.timeouts, 0, "seed {seed}");
        assert!(stats.segments_retransmitted <= 4, "{stats:?}");
    }
}

/// With hardly a record for each connection windows stay small, and nothing stops.
#[test]
fn short_of_records_it_is_slow_but_goes_on() {
    for (sends, seed) in [(0, 1), (15, 2), (16, 3), (17, 4), (20, 5), (32, 6)] {
        let config = Config::default();
        let sizes = Sizes {
            connections: 16,
            sends,
            ..Sizes::default()
        };
        let source = Source::new(200_000);
        let a = Host::with_storage(1, config.clone(), source, seed, Pools::leak(), sizes);
        let b = Host::new(2, config, Sink::default(), seed);
        let faults = Faults {
            loss: 0.03,
            jitter: Duration::from_millis(1),
            ..Faults::default()
        };
        let mut net = Network::new(a, b, faults, seed);
        listen(&mut net.b.stack.tcp(net.now), 7, 4);
        let mut tcp = net.a.stack.tcp(net.now);
        let pcb = tcp.new(Owner(0)).expect("a free control block");
        tcp.connect(pcb, (net.b.addr, 7).into()).expect("a route");
        net.kick();
        assert!(
            net.run_until(Duration::from_secs(120), |net| net.b.app.eof),
            "{sends} records: {} bytes, {:?}",
            net.b.app.received,
            net.a.stack.tcp_stats()
        );
        assert_eq!(net.b.app.received, 200_000);
    }
}

/// Everything arrives twice, both ways.
#[test]
fn duplicates_are_no_losses() {
    let steps = Steps(vec![(1, |net| {
        (net.ab.faults.duplicate, net.ba.faults.duplicate) = (1.0, 1.0);
        // The copies take the line's time too; what it carries is enough.
        net.ab.faults.rate = None;
    })]);
    let net = transfer(steps, 1);
    let stats = net.a.stack.tcp_stats();
    assert_eq!((stats.timeouts, stats.segments_retransmitted), (0, 0));
}
