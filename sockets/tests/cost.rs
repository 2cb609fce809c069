//! What calls cost, counted: how often threads are woken, sleep, and enter critical sections. No
//! times.
mod common;

use std::num::NonZeroU32;
use std::thread;

use common::bsd::{closed, pair, table};
use common::{assert_at_rest, net, pattern, wait_until, within_limit};
use gannet_port_std::{critical_sections, signals, sleeps};
use gannet_sockets::bsd::*;

const NONE: MsgFlags = MsgFlags::NONE;

#[test]
fn cost() {
    within_limit(|| {
        for (name, test) in [
            ("sending in bulk", bulk as fn()),
            ("lone writes", lone_writes),
            ("a burst that ends", held_for_more),
            ("receiving queued data", queued_recv),
            ("sending what cannot leave", held_back),
            ("an echo", echo),
            ("an echo of datagrams", datagram_echo),
            ("an idle stack", idle),
        ] {
            println!("{name}");
            test();
            assert_eq!(table().in_use(), 0);
            assert_at_rest();
        }
    });
}

/// Waits until nothing moves any more.
fn quiet() {
    let mut last = (signals(), sleeps(), critical_sections());
    let mut same = 0;
    wait_until("the stack rests", || {
        let now = (signals(), sleeps(), critical_sections());
        same = if now == last { same + 1 } else { 0 };
        last = now;
        // Longer than an acknowledgement is delayed.
        same > 150
    });
}

/// What sending in bulk cost, on both sides.
struct Bulk {
    writes: u64,
    bytes: u64,
    wakeups: u64,
    signals: u64,
    sections: u64,
}

/// Sends `writes` times `len` bytes to a thread that reads.
fn send_in_bulk(len: usize, writes: u64) -> Bulk {
    let [client, server] = pair();
    let reader = thread::spawn(move || {
        let (mut buf, mut total) = (vec![0; 16_384], 0);
        loop {
            match recv(server, &mut buf, NONE).expect("open") {
                0 => break,
                n => total += n as u64,
            }
        }
        closed([server]);
        total
    });
    let data = pattern(len);
    let (wakeups, before) = (net().wakeups(), (signals(), critical_sections()));
    for _ in 0..writes {
        assert_eq!(send(client, &data, NONE), Ok(len));
    }
    closed([client]);
    let bytes = reader.join().expect("no panic");
    assert_eq!(bytes, writes * len as u64);
    let bulk = Bulk {
        writes,
        bytes,
        wakeups: net().wakeups().wrapping_sub(wakeups).into(),
        signals: signals() - before.0,
        sections: critical_sections() - before.1,
    };
    println!(
        "{writes} writes of {len} bytes: {} wake-ups of the tcpip thread; for each MB {} signals, {} critical sections",
        bulk.wakeups,
        bulk.per_mb(bulk.signals),
        bulk.per_mb(bulk.sections)
    );
    bulk
}

impl Bulk {
    fn per_mb(&self, count: u64) -> u64 {
        count * 1_000_000 / self.bytes
    }
}

fn bulk() {
    let small = send_in_bulk(64, 40_000);
    assert!(small.wakeups * 10 < small.writes, "{}", small.wakeups);
    let full = send_in_bulk(1460, 4_000);
    let large = send_in_bulk(8192, 700);
    for bulk in [&small, &full, &large] {
        // Neither writer nor stack nor reader is woken for each segment.
        let segments = bulk.bytes / 1460;
        assert!(bulk.wakeups < segments / 2, "{} wake-ups", bulk.wakeups);
        assert!(bulk.signals < segments, "{} signals", bulk.signals);
        // A write looks its descriptor up, finds room, and queues its buffer.
        let limit = 3 * bulk.writes + 10 * segments;
        assert!(bulk.sections < limit, "{} sections", bulk.sections);
    }
}

/// A write that is alone leaves at once, however large, also after others.
fn lone_writes() {
    let [client, server] = pair();
    let mut sent = 0;
    for len in [1, 1460, 1, 4000, 8192, 100] {
        quiet();
        let wakeups = net().wakeups();
        assert_eq!(send(client, &pattern(len), NONE), Ok(len));
        let wakeups = net().wakeups().wrapping_sub(wakeups);
        assert!(wakeups >= 1, "nobody was told of {len} bytes");
        sent += len;
        wait_until("it arrives", || {
            ioctl(server, Ioctl::FionRead) == Ok(sent as i32)
        });
    }
    closed([client, server]);
}

/// What is held back for more, which does not come, leaves by itself.
fn held_for_more() {
    let [client, server] = pair();
    let mut sent = 0;
    for burst in 1..20 {
        for _ in 0..burst {
            assert_eq!(send(client, &[3; 1460], NONE), Ok(1460));
            sent += 1460;
        }
        wait_until("all arrive", || {
            ioctl(server, Ioctl::FionRead) == Ok(sent as i32)
        });
        let mut got = vec![0; sent];
        assert_eq!(recv(server, &mut got, MSG_WAITALL), Ok(sent));
        sent = 0;
    }
    closed([client, server]);
}

fn queued_recv() {
    let [client, server] = pair();
    let data = pattern(10_000);
    assert_eq!(send(client, &data, NONE), Ok(data.len()));
    wait_until("it arrives", || {
        ioctl(server, Ioctl::FionRead) == Ok(10_000)
    });
    quiet();
    let before = (signals(), sleeps(), critical_sections());
    let mut got = vec![0; 100];
    for _ in 0..100 {
        assert_eq!(recv(server, &mut got, NONE), Ok(100));
    }
    let now = (signals(), sleeps(), critical_sections());
    println!("{} critical sections for a recv", (now.2 - before.2) / 100);
    assert_eq!(
        (now.0, now.1),
        (before.0, before.1),
        "nobody is woken, nobody sleeps"
    );
    closed([client, server]);
}

fn held_back() {
    let [client, server] = pair();
    quiet();
    // The peer's window is filled, with a small send buffer; then that grows.
    setsockopt(client, sockopt::SndBuf, NonZeroU32::new(5000)).expect("open");
    let mut full = [PollFd::new(client, POLLOUT)];
    while poll(&mut full, 200) == Ok(1) {
        while send(client, &[1; 5000], MSG_DONTWAIT).is_ok() {}
    }
    setsockopt(client, sockopt::SndBuf, NonZeroU32::new(65_535)).expect("open");
    quiet();
    let before = (signals(), sleeps());
    for _ in 0..100 {
        assert_eq!(send(client, &[1; 64], NONE), Ok(64));
    }
    assert_eq!(
        (signals(), sleeps()),
        before,
        "nobody is woken, nobody sleeps"
    );
    closed([client, server]);
    // Not enough for a segment, something in flight: Nagle holds it back. The peer's
    // acknowledgement is delayed, so this is seen.
    let [client, server] = pair();
    quiet();
    let wakeups = net().wakeups();
    for _ in 0..10 {
        assert_eq!(send(client, b"x", NONE), Ok(1));
    }
    wait_until("all arrive", || ioctl(server, Ioctl::FionRead) == Ok(10));
    let wakeups = net().wakeups().wrapping_sub(wakeups);
    println!("{wakeups} wake-ups for ten writes of a byte");
    assert!(wakeups <= 3, "{wakeups} wake-ups");
    closed([client, server]);
}

/// Runs `round`, an echo that involves four wake-ups at most: one of the stack and one of the task
/// on each side. Now and then the stack is also told that the window may open.
fn assert_four_signals(what: &str, mut round: impl FnMut()) {
    const ROUNDS: u64 = 1000;
    round();
    quiet();
    let before = (signals(), sleeps());
    (0..ROUNDS).for_each(|_| round());
    let (signals, sleeps) = (signals() - before.0, sleeps() - before.1);
    println!("{ROUNDS} times {what}: {signals} signals, {sleeps} sleeps, of both sides");
    assert!(signals <= 4 * ROUNDS + ROUNDS / 20, "{signals} signals");
    // A thread sleeps at most once for each of its wake-ups.
    assert!(sleeps <= 4 * ROUNDS + ROUNDS / 20, "{sleeps} sleeps");
}

fn echo() {
    let [client, server] = pair();
    let echo = thread::spawn(move || {
        let mut buf = [0; 64];
        while recv(server, &mut buf, NONE).expect("open") > 0 {
            send(server, &buf, NONE).expect("open");
        }
        closed([server]);
    });
    assert_four_signals("an echo", || {
        let mut buf = [0; 64];
        send(client, &[1; 64], NONE).expect("open");
        assert_eq!(recv(client, &mut buf, MSG_WAITALL), Ok(64));
    });
    closed([client]);
    echo.join().expect("no panic");
}

fn datagram_echo() {
    table();
    let open = || {
        let fd = socket(AF_INET, SOCK_DGRAM, IPPROTO_IP).expect("free");
        bind(fd, common::local(0)).expect("a free port");
        fd
    };
    let (client, server) = (open(), open());
    connect(client, getsockname(server).expect("bound")).expect("UDP");
    let echo = thread::spawn(move || {
        let mut buf = [0; 64];
        loop {
            let (n, from) = recvfrom(server, &mut buf, NONE).expect("open");
            if n == 0 {
                break;
            }
            sendto(server, &buf[..n], NONE, from).expect("room");
        }
        closed([server]);
    });
    assert_four_signals("an echo of a datagram", || {
        let mut buf = [0; 64];
        send(client, &[1; 64], NONE).expect("room");
        assert_eq!(recv(client, &mut buf, NONE), Ok(64));
    });
    send(client, b"", NONE).expect("room");
    closed([client]);
    echo.join().expect("no panic");
}

fn idle() {
    let [client, server] = pair();
    quiet();
    let (wakeups, before) = (net().wakeups(), sleeps());
    thread::sleep(std::time::Duration::from_millis(300));
    assert_eq!((net().wakeups(), sleeps()), (wakeups, before), "no tick");
    closed([client, server]);
}
