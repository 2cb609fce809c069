//! A stack on its loopback interface, in a thread of std.
#![allow(dead_code, reason = "each test uses a part")]
pub(crate) mod bsd;

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Once;
use std::time::Duration;

use gannet_core::{Config, Owner, Stack, pbuf_pool, stack_storage};
use gannet_netconn::{Net, Patience, Service, net};
use gannet_port_std as _;

pbuf_pool! { pub(crate) static TX: [1536; 512] + refs 2048 }
pbuf_pool! { pub(crate) static HEADERS: [128; 512] + refs 64 }
stack_storage! {
    static STORAGE: {
        connections: 64, listeners: 16, half_open: 32, time_wait: 64, out_of_order: 64,
        in_flight: 512, udp: 80, datagrams: 64, interfaces: 1, neighbors: 4, pending: 4, routes: 2,
        reassembly: 4, loopback: 256, raw: 8, packet: 4,
    }
}
net! {
    pub(crate) static NET: { connections: 128, datagrams: 128, waiters: 64, tx_pool: TX }
}

/// Waiting in a test is for a condition; this is when it counts as never.
pub(crate) const LIMIT: Duration = Duration::from_secs(30);

/// Starts the stack, once for all tests of the process.
pub(crate) fn net() -> &'static Net {
    static START: Once = Once::new();
    START.call_once(|| {
        NET.make_default();
        std::thread::spawn(|| {
            let storage = STORAGE.take(&TX, &HEADERS).expect("taken once");
            let mut random = fastrand::Rng::with_seed(1);
            let mut stack = Stack::new(storage, Config::default(), &mut |bytes| random.fill(bytes));
            let mut service = Service::new(&NET, Owner(0));
            NET.run(&mut stack, &mut [&mut service])
                .expect("an event to sleep on");
        });
    });
    &NET
}

/// An address of loopback.
pub(crate) fn local(port: u16) -> SocketAddr {
    (Ipv4Addr::LOCALHOST, port).into()
}

/// Bytes that a shifted copy of is not equal to.
pub(crate) fn pattern(n: usize) -> Vec<u8> {
    (0..n).map(|i| (i * 7 + i / 251) as u8).collect()
}

/// Runs `body` in a thread; panics if it is not done within [`LIMIT`].
pub(crate) fn within_limit<R: Send + 'static>(body: impl FnOnce() -> R + Send + 'static) -> R {
    within(LIMIT, body)
}

/// Runs `body` in a thread; panics if it is not done within `limit`.
pub(crate) fn within<R: Send + 'static>(
    limit: Duration,
    body: impl FnOnce() -> R + Send + 'static,
) -> R {
    let (done, result) = std::sync::mpsc::channel();
    let thread = std::thread::spawn(move || drop(done.send(body())));
    match result.recv_timeout(limit) {
        Ok(result) => result,
        Err(std::sync::mpsc::RecvTimeoutError::Timeout) => panic!("not done within {limit:?}"),
        Err(_) => std::panic::resume_unwind(thread.join().expect_err("it ended without a result")),
    }
}

/// Waits until `done`.
pub(crate) fn wait_until(what: &str, mut done: impl FnMut() -> bool) {
    let start = std::time::Instant::now();
    while !done() {
        assert!(start.elapsed() < LIMIT, "{what}: not within {LIMIT:?}");
        std::thread::sleep(Duration::from_millis(1));
    }
}

/// All slots are free and all buffers are back.
pub(crate) fn assert_at_rest() {
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
