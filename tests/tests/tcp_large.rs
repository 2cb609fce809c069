//! Devices that cut large segments (TSO): the frames on the wire, the recovery of losses and the
//! windows are as if the stack had cut them itself.
use std::time::Duration;

use gannet_core::Config;
use gannet_core::Owner;
use gannet_core::config::Use;
use gannet_tests::apps::{Sink, Source, listen};
use gannet_tests::link::Faults;
use gannet_tests::network::{Host, Network};

const LIMIT: Duration = Duration::from_secs(600);

/// A transfer from a host whose device cuts, all the way to rest.
fn transfer(total: u64, config: Config, faults: Faults, seed: u64) -> Network<Source, Sink> {
    let a = Host::new(1, config, Source::new(total), seed).cuts_segments();
    transfer_from(a, total, faults, seed)
}

fn transfer_from(a: Host<Source>, total: u64, faults: Faults, seed: u64) -> Network<Source, Sink> {
    let b = Host::new(2, Config::default(), Sink::default(), seed);
    let mut net = Network::new(a, b, faults, seed);
    listen(&mut net.b.stack.tcp(net.now), 7, 4);
    let mut tcp = net.a.stack.tcp(net.now);
    let pcb = tcp.new(Owner(0)).expect("a free control block");
    net.a.app.pcb = Some(pcb);
    tcp.connect(pcb, (net.b.addr, 7).into()).expect("a route");
    net.kick();
    let done = net.run_until(LIMIT, |net| net.b.app.eof && net.a.app.eof);
    assert!(done, "seed {seed}: {:#?}", net.a.stack.tcp_stats());
    assert_eq!(net.b.app.received, total, "seed {seed}");
    net.run_until(Duration::from_secs(400), |_| false);
    assert!(
        net.a.pools.at_rest() && net.b.pools.at_rest(),
        "seed {seed}"
    );
    net
}

#[test]
fn a_clean_link_gets_few_large_frames() {
    let net = transfer(1_000_000, Config::default(), Faults::default(), 1);
    let stats = net.a.stack.tcp_stats();
    assert_eq!(stats.segments_retransmitted, 0);
    let frames = net.a.wire.large() as u32;
    assert!(frames > 0, "no large segment at all");
    // Segments are counted as they are on the wire, not as they were handed over.
    let data = 1_000_000_u32.div_ceil(1_448);
    assert!(stats.segments_sent >= data, "{stats:?}");
    assert!(
        frames < data / 2,
        "{frames} large frames for {data} segments"
    );
}

#[test]
fn losses_within_large_segments_are_repaired_segment_by_segment() {
    let faults = Faults {
        jitter: Duration::from_millis(2),
        loss: 0.02,
        duplicate: 0.01,
        ..Faults::default()
    };
    let (mut large, mut again, mut again_cut_here) = (0, 0, 0);
    for seed in 0..20 {
        let net = transfer(300_000, Config::default(), faults, seed);
        large += net.a.wire.large();
        again += net.a.stack.tcp_stats().segments_retransmitted;
        let a = Host::new(1, Config::default(), Source::new(300_000), seed);
        let net = transfer_from(a, 300_000, faults, seed);
        again_cut_here += net.a.stack.tcp_stats().segments_retransmitted;
    }
    assert!(large > 100, "{large} large segments");
    // One lost segment is not a reason to send a large one again.
    assert!(
        again * 4 < again_cut_here * 5,
        "{again} segments sent again, {again_cut_here} if the stack cuts them"
    );
}

#[test]
fn without_selective_acknowledgements_too() {
    let mut config = Config::default();
    config.tcp.sack = Use::Off;
    config.tcp.timestamps = Use::Off;
    let faults = Faults {
        loss: 0.01,
        ..Faults::default()
    };
    for seed in 0..5 {
        let net = transfer(200_000, config.clone(), faults, seed);
        assert!(net.a.wire.large() > 0, "seed {seed}");
    }
}

#[test]
fn the_device_without_room_for_all_of_it_gets_it_later() {
    let faults = Faults {
        rate: Some(10_000_000),
        queue: 16,
        ..Faults::default()
    };
    let net = transfer(1_000_000, Config::default(), faults, 3);
    assert!(net.a.wire.large() > 0);
}
