//! The traps of lwIP's sockets layer, and what hurts its users in it, each as a test by its name.
//! Those that other files test in passing are here once more, alone.
mod common;

use std::thread;
use std::time::Duration;

use common::bsd::{closed, pair, table};
use common::{assert_at_rest, local, net, pattern, wait_until, within_limit};
use gannet_netconn::{Netconn, PollEntry, Ready};
use gannet_sockets::bsd::*;
use gannet_sockets::{Patience, TcpListener, TcpStream};

const NONE: MsgFlags = MsgFlags::NONE;

#[test]
fn traps() {
    within_limit(|| {
        for (name, test) in [
            ("bind twice hangs the stack", bind_twice as fn()),
            (
                "recv never returns when a FIN met a full mailbox",
                fin_behind_a_full_queue,
            ),
            (
                "in-order data is dropped: bytes against messages",
                many_small_segments,
            ),
            (
                "select of several threads on one socket",
                selects_of_several_threads,
            ),
            ("close blocks when memory is short", close_without_memory),
            ("SO_RCVBUF has no effect on TCP", rcvbuf_of_tcp),
            ("close destroys what is in flight", close_after_reading_all),
            (
                "a task that stops polling leaves nothing behind",
                abandoned_poll,
            ),
            (
                "closing a socket another thread blocks on",
                close_under_every_sleeper,
            ),
            (
                "a window smaller than a record deadlocks",
                record_larger_than_window,
            ),
            (
                "a write without output waits for a timer",
                a_write_leaves_at_once,
            ),
            (
                "time-wait keeps a listener from its port",
                listen_again_at_once,
            ),
            ("a port is not free when close returns", bind_after_close),
            ("two threads on one socket", reader_and_writer),
            ("a time-out of connect cannot be set", connect_timeout),
            (
                "data is freed before it is acknowledged",
                buffer_lives_until_acknowledged,
            ),
            ("a stale handle after an error", stale_name),
            ("UDP sends stall for good", datagrams_recover),
            ("UDP sends fail while buffers are short", datagrams_wait),
            ("sizes that do not fit each other", mismatched_sizes),
            ("who does not read starves the others", forgotten_readers),
            ("refused is called reset", refused_is_refused),
            ("an accepted socket inherits nothing", accepted_flags),
        ] {
            println!("{name}");
            test();
            assert_eq!(table().in_use(), 0);
            assert_at_rest();
        }
    });
}

fn bind_twice() {
    table();
    let fd = socket(AF_INET, SOCK_STREAM, IPPROTO_TCP).expect("free");
    bind(fd, local(0)).expect("a free port");
    assert_eq!(bind(fd, local(0)), Err(Errno::EINVAL));
    // Nothing hangs, and the first one holds.
    assert_eq!(listen(fd, 1), Ok(()));
    let other = socket(AF_INET, SOCK_STREAM, IPPROTO_TCP).expect("free");
    assert_eq!(connect(other, getsockname(fd).expect("bound")), Ok(()));
    closed([fd, other]);
}

fn fin_behind_a_full_queue() {
    let [client, server] = pair();
    // More messages than any mailbox holds, then the end, before anybody reads.
    for _ in 0..1000 {
        assert_eq!(send(client, b"x", NONE), Ok(1));
    }
    closed([client]);
    let mut fds = [PollFd::new(server, POLLRDHUP)];
    assert_eq!(poll(&mut fds, -1), Ok(1));
    assert_eq!(recv(server, &mut [0; 2000], MSG_WAITALL), Ok(1000));
    assert_eq!(recv(server, &mut [0; 1], NONE), Ok(0));
    closed([server]);
}

fn many_small_segments() {
    let [client, server] = pair();
    setsockopt(client, sockopt::NoDelay, true).expect("TCP");
    let data = pattern(3000);
    for piece in data.chunks(1) {
        assert_eq!(send(client, piece, NONE), Ok(1));
    }
    let mut got = vec![0; data.len()];
    assert_eq!(recv(server, &mut got, MSG_WAITALL), Ok(data.len()));
    assert!(got == data);
    let info = getsockopt(client, sockopt::Info).expect("connected");
    assert_eq!(info.retransmitted, 0, "nothing was dropped");
    closed([client, server]);
}

fn selects_of_several_threads() {
    let [client, server] = pair();
    let sleepers: Vec<_> = (0..8)
        .map(|_| {
            thread::spawn(move || {
                let mut set = FdSet::new();
                set.insert(server).expect("small");
                select(server + 1, Some(&mut set), None, None, None)
            })
        })
        .collect();
    wait_until("all sleep", || net().sleepers() == 8);
    send(client, b"x", NONE).expect("open");
    for sleeper in sleepers {
        assert_eq!(sleeper.join().expect("no panic"), Ok(1));
    }
    closed([client]);
    assert_eq!(recv(server, &mut [0; 2], MSG_WAITALL), Ok(1));
    closed([server]);
}

fn close_without_memory() {
    let [client, server] = pair();
    let take = |pool: &'static gannet_core::Pool| {
        std::iter::from_fn(|| gannet_sockets::Pbuf::alloc(pool, 0, 1).ok()).collect::<Vec<_>>()
    };
    let all = (take(&common::TX), take(&common::HEADERS));
    // Returns: whether the FIN can leave is not its concern.
    closed([client]);
    drop(all);
    assert_eq!(recv(server, &mut [0; 1], NONE), Ok(0));
    closed([server]);
}

fn rcvbuf_of_tcp() {
    table();
    let listener = socket(AF_INET, SOCK_STREAM, IPPROTO_TCP).expect("free");
    let window = std::num::NonZeroU32::new(5000);
    setsockopt(listener, sockopt::RcvBuf, window).expect("TCP");
    listen(listener, 1).expect("not connected");
    let client = socket(AF_INET, SOCK_STREAM, IPPROTO_TCP).expect("free");
    connect(client, local(getsockname(listener).expect("bound").port())).expect("it listens");
    let (server, _) = accept(listener).expect("it waits");
    assert_eq!(send(client, &[1; 30_000], NONE), Ok(30_000));
    wait_until("the window is full", || {
        ioctl(server, Ioctl::FionRead).is_ok_and(|n| n > 4000)
    });
    assert!(ioctl(server, Ioctl::FionRead).expect("open") <= 5000);
    assert_eq!(recv(server, &mut [0; 30_000], MSG_WAITALL), Ok(30_000));
    closed([client, server, listener]);
}

fn close_after_reading_all() {
    let [client, server] = pair();
    let data = pattern(50_000);
    assert_eq!(send(server, &data, NONE), Ok(data.len()));
    // Nothing is unread here: the close sends a FIN behind the data, no reset.
    closed([server]);
    let mut got = vec![0; data.len()];
    assert_eq!(recv(client, &mut got, MSG_WAITALL), Ok(data.len()));
    assert_eq!(recv(client, &mut [0; 1], NONE), Ok(0));
    assert!(got == data);
    closed([client]);
}

fn abandoned_poll() {
    // A poll that ended, by time-out or by an event, has left no trace in any connection: closing
    // and waking them later touches nobody.
    let [client, server] = pair();
    for timeout in [0, 1, 2] {
        assert_eq!(poll(&mut [PollFd::new(server, POLLIN)], timeout), Ok(0));
    }
    assert_eq!(net().sleepers(), 0);
    let signals = gannet_port_std::signals();
    let wakeups = u64::from(net().wakeups());
    send(client, b"x", NONE).expect("open");
    wait_until("it arrives", || ioctl(server, Ioctl::FionRead) == Ok(1));
    let (signals, wakeups) = (
        gannet_port_std::signals() - signals,
        u64::from(net().wakeups()) - wakeups,
    );
    assert!(signals <= wakeups, "only the tcpip thread was signalled");
    closed([server, client]);
}

fn close_under_every_sleeper() {
    let listener = common::bsd::listener(1);
    let [client, server] = pair();
    let udp = socket(AF_INET, SOCK_DGRAM, IPPROTO_UDP).expect("free");
    // A writer sleeps when all buffers between here and there are full.
    let mut full = [PollFd::new(server, POLLOUT)];
    while poll(&mut full, 100) == Ok(1) {
        while send(server, &[1; 10_000], MSG_DONTWAIT).is_ok() {}
    }
    let sleepers = [
        thread::spawn(move || accept(listener).map(drop)),
        thread::spawn(move || recv(server, &mut [0; 1], NONE).map(drop)),
        thread::spawn(move || {
            // What is left of the room goes first.
            loop {
                send(server, &[1; 10_000], NONE)?;
            }
        }),
        thread::spawn(move || recv(udp, &mut [0; 1], NONE).map(drop)),
    ];
    wait_until("all sleep", || net().sleepers() == 4);
    closed([listener, server, udp]);
    for sleeper in sleepers {
        assert_eq!(sleeper.join().expect("no panic"), Err(Errno::EBADF));
    }
    closed([client]);
}

fn record_larger_than_window() {
    let [client, server] = pair();
    setsockopt(server, sockopt::RcvBuf, std::num::NonZeroU32::new(2000)).expect("TCP");
    let record = pattern(200_000);
    let expected = record.clone();
    let sender = thread::spawn(move || send(client, &record, NONE).map(|n| (client, n)));
    let mut got = vec![0; expected.len()];
    assert_eq!(recv(server, &mut got, MSG_WAITALL), Ok(expected.len()));
    assert!(got == expected);
    let (client, n) = sender.join().expect("no panic").expect("open");
    assert_eq!(n, expected.len());
    closed([client, server]);
}

fn a_write_leaves_at_once() {
    let [client, server] = pair();
    wait_until("the stack sleeps", || {
        let wakeups = net().wakeups();
        thread::sleep(Duration::from_millis(150));
        net().wakeups() == wakeups
    });
    let wakeups = net().wakeups();
    send(client, b"x", NONE).expect("open");
    assert_eq!(recv(server, &mut [0; 1], NONE), Ok(1));
    assert!(
        net().wakeups().wrapping_sub(wakeups) >= 1,
        "it was rung for, not timed"
    );
    closed([client, server]);
}

fn listen_again_at_once() {
    let listener = TcpListener::bind_on(net(), local(0), 1).expect("a free port");
    let addr = listener.local_addr().expect("bound");
    let client = TcpStream::connect(addr).expect("somebody listens");
    let (server, _) = listener.accept().expect("it waits");
    // This side closes first, and is the one in TIME-WAIT.
    drop(server);
    assert_eq!(client.read(&mut [0; 1]), Ok(0));
    drop((client, listener));
    wait_until("the listener is gone", || net().connections() == 0);
    TcpListener::bind_on(net(), addr, 1).expect("at once");
}

/// The service goes through connections by number; the one closed used to come behind the one that
/// wants its port if that has a lower number.
fn bind_after_close() {
    let mut fds = [(); 2].map(|()| socket(AF_INET, SOCK_DGRAM, IPPROTO_UDP).expect("free"));
    bind(fds[1], local(0)).expect("a free port");
    let addr = getsockname(fds[1]).expect("bound");
    for round in 0..2000 {
        close(fds[1]).expect("open");
        assert_eq!(bind(fds[0], addr), Ok(()), "round {round}");
        // The next one has one of the two numbers.
        fds = [
            socket(AF_INET, SOCK_DGRAM, IPPROTO_UDP).expect("free"),
            fds[0],
        ];
    }
    closed(fds);
}

fn reader_and_writer() {
    let [client, server] = pair();
    // Each end has a reader and a writer at the same time.
    let writer = |fd: Fd| {
        thread::spawn(move || {
            let data = pattern(300_000);
            assert_eq!(send(fd, &data, NONE), Ok(data.len()));
        })
    };
    let reader = |fd: Fd| {
        thread::spawn(move || {
            let mut got = vec![0; 300_000];
            assert_eq!(recv(fd, &mut got, MSG_WAITALL), Ok(got.len()));
            assert!(got == pattern(300_000));
        })
    };
    for thread in [
        writer(client),
        writer(server),
        reader(client),
        reader(server),
    ] {
        thread.join().expect("no panic");
    }
    closed([client, server]);
}

fn connect_timeout() {
    // A listener that does not answer: its backlog is full.
    let listener = TcpListener::bind_on(net(), local(0), 1).expect("a free port");
    let addr = listener.local_addr().expect("bound");
    let _first = TcpStream::connect(addr).expect("somebody listens");
    let outcome = TcpStream::connect_timeout(addr, Duration::from_millis(20));
    assert_eq!(
        outcome.expect_err("no answer"),
        gannet_sockets::Error::TimedOut
    );
    // With sockets: the time-out of sending.
    table();
    let fd = socket(AF_INET, SOCK_STREAM, IPPROTO_TCP).expect("free");
    setsockopt(fd, sockopt::SndTimeo, Some(Duration::from_millis(20))).expect("open");
    assert_eq!(connect(fd, addr), Err(Errno::EINPROGRESS));
    closed([fd]);
}

fn buffer_lives_until_acknowledged() {
    let listener = TcpListener::bind_on(net(), local(0), 1).expect("a free port");
    let client = TcpStream::connect(listener.local_addr().expect("bound")).expect("it listens");
    let (server, _) = listener.accept().expect("it waits");
    let before = common::TX.available();
    let mut own = gannet_sockets::Pbuf::alloc(&common::TX, 0, 1000).expect("free");
    own.copy_from(&[7; 1000]);
    client.write_pbuf(own).expect("open");
    client
        .netconn()
        .wait_acknowledged(Patience::Forever)
        .expect("open");
    let mut got = [0; 1000];
    server.read_exact(&mut got).expect("it arrives");
    assert_eq!(got, [7; 1000]);
    wait_until("the buffer is back", || common::TX.available() == before);
}

fn stale_name() {
    let listener = TcpListener::bind_on(net(), local(0), 1).expect("a free port");
    let client = TcpStream::connect(listener.local_addr().expect("bound")).expect("it listens");
    let name: Netconn = client.netconn();
    drop(client);
    wait_until("the slot is free", || net().connections() <= 2);
    // Whatever has the slot now, the old name reaches nothing.
    let event = Netconn::event(net(), 1).expect("free");
    let mut entries = [PollEntry::new(name, Ready::BOTH)];
    assert_eq!(gannet_netconn::poll(&mut entries, Patience::Forever), Ok(1));
    assert!(entries[0].stale);
    assert_eq!(name.recv(&mut [0; 1]), Err(gannet_sockets::Error::Closed));
    assert_eq!(
        name.post(1, Patience::Never),
        Err(gannet_sockets::Error::Closed)
    );
    name.close();
    assert_eq!(
        event.take(gannet_netconn::Take::All, Patience::Never),
        Ok(1)
    );
    event.close();
}

fn datagrams_recover() {
    table();
    let fd = socket(AF_INET, SOCK_DGRAM, IPPROTO_UDP).expect("free");
    bind(fd, local(0)).expect("a free port");
    let to = getsockname(fd).ok();
    let mut all = vec![];
    while let Ok(one) = gannet_sockets::Pbuf::alloc(&common::TX, 0, 1) {
        all.push(one);
    }
    for _ in 0..100 {
        assert_eq!(sendto(fd, b"x", MSG_DONTWAIT, to), Err(Errno::EAGAIN));
    }
    drop(all);
    assert_eq!(sendto(fd, b"x", NONE, to), Ok(1));
    assert_eq!(recv(fd, &mut [0; 1], NONE), Ok(1));
    closed([fd]);
}

fn datagrams_wait() {
    table();
    let fd = socket(AF_INET, SOCK_DGRAM, IPPROTO_UDP).expect("free");
    bind(fd, local(0)).expect("a free port");
    let to = getsockname(fd).ok();
    let all: Vec<_> =
        std::iter::from_fn(|| gannet_sockets::Pbuf::alloc(&common::TX, 0, 1).ok()).collect();
    let sender = thread::spawn(move || sendto(fd, b"x", NONE, to));
    wait_until("it sleeps", || net().sleepers() == 1);
    drop(all);
    assert_eq!(sender.join().expect("no panic"), Ok(1));
    assert_eq!(recv(fd, &mut [0; 1], NONE), Ok(1));
    closed([fd]);
}

/// A send buffer that no memory stands behind (`TCP_SND_BUF` against `MEM_SIZE`).
fn mismatched_sizes() {
    let [client, server] = pair();
    let bytes = core::num::NonZeroU32::new(64 << 20);
    setsockopt(client, sockopt::SndBuf, bytes).expect("TCP");
    let sender = thread::spawn(move || send(client, &pattern(4_000_000), NONE));
    let mut got = vec![0; 4_000_000];
    assert_eq!(recv(server, &mut got, MSG_WAITALL), Ok(got.len()));
    assert!(got == pattern(4_000_000));
    assert_eq!(sender.join().expect("no panic"), Ok(4_000_000));
    closed([client, server]);
}

/// A stream and an endpoint that nobody reads, full as they can be.
fn forgotten_readers() {
    let [writer, forgotten] = pair();
    while send(writer, &[1; 4096], MSG_DONTWAIT).is_ok() {}
    let udp = socket(AF_INET, SOCK_DGRAM, IPPROTO_UDP).expect("free");
    bind(udp, local(0)).expect("a free port");
    let to = getsockname(udp).ok();
    for _ in 0..200 {
        let _ = sendto(udp, &[2; 1400], MSG_DONTWAIT, to);
    }
    let [client, server] = pair();
    for round in 0..100 {
        assert_eq!(send(client, &[round; 1000], NONE), Ok(1000));
        let mut back = [0; 1000];
        assert_eq!(recv(server, &mut back, MSG_WAITALL), Ok(1000));
        assert_eq!(back, [round; 1000]);
    }
    closed([client, server, writer, forgotten, udp]);
}

fn refused_is_refused() {
    table();
    let fd = socket(AF_INET, SOCK_STREAM, IPPROTO_TCP).expect("free");
    assert_eq!(connect(fd, local(9)), Err(Errno::ECONNREFUSED));
    closed([fd]);
    let fd = socket(AF_INET, SOCK_STREAM, IPPROTO_TCP).expect("free");
    let nowhere = ([192, 0, 2, 1], 9).into();
    assert_eq!(connect(fd, nowhere), Err(Errno::ENETUNREACH));
    closed([fd]);
}

/// An accepted socket blocks whatever its listener does, as POSIX leaves open and Linux does; what
/// `accept4` says holds.
fn accepted_flags() {
    let listener = common::bsd::listener(2);
    let addr = getsockname(listener).expect("bound");
    fcntl(listener, Fcntl::SetFl(O_NONBLOCK)).expect("open");
    assert_eq!(accept(listener), Err(Errno::EAGAIN));
    let client = socket(AF_INET, SOCK_STREAM, IPPROTO_TCP).expect("free");
    connect(client, addr).expect("somebody listens");
    let mut fds = [PollFd::new(listener, POLLIN)];
    assert_eq!(poll(&mut fds, -1), Ok(1));
    let (fd, _) = accept4(listener, SOCK_NONBLOCK).expect("it waits");
    assert_eq!(recv(fd, &mut [0; 1], NONE), Err(Errno::EAGAIN));
    closed([listener, client, fd]);
}
