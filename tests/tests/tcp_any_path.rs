//! Transfers over paths drawn at random, with everything that can be switched drawn too: the bytes
//! arrive, in order, once, and every buffer is given back.
use std::time::Duration;

use gannet_core::config::Use;
use gannet_core::tcp::CongestionControl;
use gannet_core::{Config, Owner};
use gannet_tests::apps::{Sink, Source, listen};
use gannet_tests::link::Faults;
use gannet_tests::network::{Host, Network};
use gannet_tests::storage::{Pools, Sizes};

fn pick<T: Copy>(random: &mut fastrand::Rng, of: &[T]) -> T {
    of[random.usize(..of.len())]
}

fn faults(random: &mut fastrand::Rng) -> Faults {
    Faults {
        latency: Duration::from_micros(random.u64(50..60_000)),
        jitter: Duration::from_micros(pick(random, &[0, 0, 500, 20_000])),
        rate: pick(
            random,
            &[None, Some(500_000), Some(10_000_000), Some(100_000_000)],
        ),
        queue: random.usize(4..100),
        loss: pick(random, &[0.0, 0.01, 0.05, 0.2]),
        duplicate: pick(random, &[0.0, 0.0, 0.05]),
        corrupt: pick(random, &[0.0, 0.0, 0.02]),
        ..Faults::default()
    }
}

fn config(random: &mut fastrand::Rng) -> Config {
    let mut config = Config::default();
    let on_or_off = [Use::On, Use::On, Use::Off];
    config.tcp.sack = pick(random, &on_or_off);
    config.tcp.timestamps = pick(random, &on_or_off);
    config.tcp.window_scaling = pick(random, &on_or_off);
    config.tcp.congestion = pick(
        random,
        &[
            CongestionControl::NewReno,
            CongestionControl::Cubic,
            CongestionControl::Bbr,
        ],
    );
    config.tcp.rcv_wnd = pick(random, &[1_000, 4_000, 65_535, 200_000]);
    config.tcp.snd_buf = pick(random, &[3_000, 65_535, 200_000]);
    config.tcp.max_mss = pick(random, &[0, 0, 536, 100]);
    config.tcp.max_out_of_order_runs = pick(random, &[2, 16, 64]);
    config
}

#[test]
fn every_path_delivers_everything() {
    let (sender, receiver) = (Pools::leak(), Pools::leak());
    for seed in 0..400 {
        let mut random = fastrand::Rng::with_seed(seed);
        let total = random.u64(1..80_000);
        let (ours, theirs) = (config(&mut random), config(&mut random));
        let sizes = Sizes {
            sends: pick(&mut random, &[16, 24, 64, 512]),
            ..Sizes::default()
        };
        let (ab, ba) = (faults(&mut random), faults(&mut random));
        let case = format!("seed {seed}: {total} bytes over {ab:?} and {ba:?}, {ours:?}");
        let a = Host::with_storage(1, ours, Source::new(total), seed, sender, sizes);
        let b = Host::with_pools(2, theirs, Sink::default(), seed, receiver);
        let mut net = Network::new(a, b, ab, seed);
        net.ba.faults = ba;
        listen(&mut net.b.stack.tcp(net.now), 7, 4);
        let mut tcp = net.a.stack.tcp(net.now);
        let pcb = tcp.new(Owner(0)).expect("a free control block");
        tcp.connect(pcb, (net.b.addr, 7).into()).expect("a route");
        net.kick();
        let done = net.run_until(Duration::from_secs(3_600), |net| {
            net.b.app.eof || net.a.app.error.is_some()
        });
        assert!(done, "{case}\n{:#?}", net.a.stack.tcp_stats());
        assert_eq!(net.a.app.error, None, "{case}");
        assert_eq!(net.b.app.received, total, "{case}");
        net.run_until(Duration::from_secs(400), |_| false);
        assert!(sender.at_rest() && receiver.at_rest(), "{case}");
    }
}
