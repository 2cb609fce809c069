//! Whole transfers over links with faults: the bytes arrive, in order, once, and everything is
//! given back afterwards.
use std::time::Duration;

use gannet_core::{Config, Owner};
use gannet_tests::apps::{Sink, Source, listen};
use gannet_tests::link::Faults;
use gannet_tests::network::{Host, Network};

fn transfer(total: u64, faults: Faults, seed: u64, limit: Duration) -> Network<Source, Sink> {
    let a = Host::new(1, Config::default(), Source::new(total), seed);
    let b = Host::new(2, Config::default(), Sink::default(), seed);
    let mut net = Network::new(a, b, faults, seed);
    listen(&mut net.b.stack.tcp(net.now), 7, 4);
    let mut tcp = net.a.stack.tcp(net.now);
    let pcb = tcp.new(Owner(0)).expect("a free control block");
    net.a.app.pcb = Some(pcb);
    tcp.connect(pcb, (net.b.addr, 7).into()).expect("a route");
    net.kick();
    let done = net.run_until(limit, |net| net.b.app.eof && net.a.app.eof);
    assert!(
        done,
        "seed {seed}: after {:?} {} of {total} bytes arrived; source {:?}, sink {:?}\n{:#?}",
        net.now,
        net.b.app.received,
        net.a.app.error,
        net.b.app.error,
        net.a.stack.tcp_stats()
    );
    assert_eq!(net.b.app.received, total, "seed {seed}");
    assert_eq!(
        (net.a.app.error, net.b.app.error),
        (None, None),
        "seed {seed}"
    );
    // TIME-WAIT and the last frames pass.
    net.run_until(Duration::from_secs(400), |_| false);
    for (name, pools, census) in [
        ("source", net.a.pools, net.a.stack.tcp_census()),
        ("sink", net.b.pools, net.b.stack.tcp_census()),
    ] {
        assert!(
            pools.at_rest(),
            "seed {seed}: {name} leaks: {:?}",
            pools.in_use()
        );
        assert_eq!(
            (census.connections, census.half_open, census.time_wait),
            (0, 0, 0),
            "seed {seed}: {name}"
        );
    }
    net
}

#[test]
fn a_megabyte_crosses_a_clean_link() {
    let net = transfer(1_000_000, Faults::default(), 1, Duration::from_secs(60));
    assert_eq!(net.a.stack.tcp_stats().segments_retransmitted, 0);
}

#[test]
fn one_byte_and_nothing_at_all_cross() {
    transfer(1, Faults::default(), 1, Duration::from_secs(10));
    transfer(0, Faults::default(), 1, Duration::from_secs(10));
}

#[test]
fn loss_reordering_duplication_and_corruption_change_nothing_but_the_time() {
    let faults = Faults {
        jitter: Duration::from_millis(2),
        loss: 0.02,
        duplicate: 0.02,
        corrupt: 0.01,
        ..Faults::default()
    };
    for seed in 0..20 {
        transfer(200_000, faults, seed, Duration::from_secs(600));
    }
}

#[test]
fn a_path_that_loses_a_third_still_delivers() {
    let faults = Faults {
        loss: 0.33,
        ..Faults::default()
    };
    for seed in 0..5 {
        transfer(20_000, faults, seed, Duration::from_secs(3600));
    }
}

#[test]
fn a_slow_link_with_a_short_queue_is_filled() {
    let faults = Faults {
        rate: Some(10_000_000),
        queue: 16,
        ..Faults::default()
    };
    let net = transfer(2_000_000, faults, 3, Duration::from_secs(60));
    assert!(
        net.b.app.longest_silence_ms < 1_000,
        "{} ms",
        net.b.app.longest_silence_ms
    );
}
