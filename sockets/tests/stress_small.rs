//! Everything at random with so little memory that taking some fails often. See `stress/mod.rs`.
#![cfg(all(feature = "raw", feature = "packet"))]
mod stress;

use std::time::{Duration, Instant};

use gannet_core::{Config, Owner, Stack, pbuf_pool, stack_storage};
use gannet_netconn::{Net, Patience, Service, net};
use gannet_port_std as _;

pbuf_pool! { static TX: [512; 12] + refs 14 }
pbuf_pool! { static HEADERS: [128; 12] + refs 4 }
stack_storage! {
    static STORAGE: {
        connections: 8, listeners: 3, half_open: 3, time_wait: 2, out_of_order: 4, in_flight: 16,
        udp: 4, datagrams: 4, interfaces: 1, neighbors: 1, pending: 1, routes: 1,
        reassembly: 1, loopback: 8, raw: 2, packet: 1,
    }
}
net! {
    static NET: { connections: 12, datagrams: 5, waiters: 8, tx_pool: TX }
}
gannet_sockets::descriptors! { static FDS: 20 from 3 }

fn start() -> &'static Net {
    NET.make_default();
    FDS.make_default();
    std::thread::spawn(|| {
        let storage = STORAGE.take(&TX, &HEADERS).expect("taken once");
        let mut random = fastrand::Rng::with_seed(1);
        let mut config = Config::default();
        config.tcp.time_wait = Duration::from_millis(10);
        // What is lost for want of memory is sent again soon.
        config.tcp.rto_max = Duration::from_secs(1);
        let mut stack = Stack::new(storage, config, &mut |bytes| random.fill(bytes));
        let mut service = Service::new(&NET, Owner(0));
        NET.run(&mut stack, &mut [&mut service]).expect("an event");
    });
    &NET
}

/// Waits until `done`.
fn wait_until(what: &str, mut done: impl FnMut() -> bool) {
    let start = Instant::now();
    while !done() {
        assert!(start.elapsed() < Duration::from_secs(60), "{what}");
        std::thread::sleep(Duration::from_millis(1));
    }
}

fn assert_at_rest() {
    wait_until("all slots are free", || NET.connections() == 0);
    wait_until("no connection", || {
        let census = NET.snapshot(Patience::Forever).expect("a waiter").census;
        census.connections == 0 && census.half_open == 0
    });
    wait_until("all buffers are back", || {
        [&TX, &HEADERS].iter().all(|pool| {
            pool.available() == pool.blocks() && pool.descriptors_available() == pool.descriptors()
        })
    });
    assert_eq!(NET.sleepers(), 0);
}

#[test]
fn everything_at_random_in_little_memory() {
    let net = start();
    let (done, ended) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        stress::rounds(|seed| {
            stress::sockets(net, seed);
            assert_at_rest();
            stress::descriptors(seed);
            assert_eq!(FDS.in_use(), 0);
            assert_at_rest();
        });
        done.send(()).expect("somebody waits");
    });
    let limit = stress::limit(Duration::from_millis(40));
    ended.recv_timeout(limit).expect("no hang and no panic");
    assert_eq!(TX.min_available(), 0, "the pool was exhausted");
}
