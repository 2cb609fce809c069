//! `poll` and `select` over many sockets: what they find, and what it costs.
mod common;

use std::thread;
use std::time::Duration;

use common::bsd::{Fds, closed, pair, table};
use common::{assert_at_rest, local, wait_until, within_limit};
use gannet_port_std::critical_sections;
use gannet_sockets::Shutdown;
use gannet_sockets::bsd::*;

const NONE: MsgFlags = MsgFlags::NONE;

#[test]
fn waiting() {
    within_limit(|| {
        for (name, test) in [
            ("what poll finds", found as fn()),
            ("what select finds", selected),
            ("poll is woken by any of many", woken),
            ("several poll one", several),
            ("select wakes for writing", writers),
            ("nothing to wait for", nothing),
            ("interrupt handlers wake the tcpip thread", interrupts),
            ("critical sections of poll", cost_of_poll),
            ("critical sections of select", cost_of_select),
            ("a sleeping poll", cost_of_sleeping),
        ] {
            println!("{name}");
            test();
            assert_eq!(table().in_use(), 0);
            assert_at_rest();
        }
    });
}

fn look(fd: Fd) -> PollFlags {
    let all = POLLIN | POLLOUT | POLLRDHUP | POLLPRI | POLLRDNORM | POLLWRNORM;
    let mut fds = [PollFd::new(fd, all)];
    poll(&mut fds, 0).expect("a net");
    fds[0].revents
}

fn found() {
    let writable = POLLOUT | POLLWRNORM;
    let readable = POLLIN | POLLRDNORM;
    let [client, server] = pair();
    assert_eq!(look(client), writable);
    send(client, b"x", NONE).expect("open");
    wait_until("it arrives", || look(server) == writable | readable);
    shutdown(client, Shutdown::Write).expect("connected");
    wait_until("the end arrives", || {
        look(server) == writable | readable | POLLRDHUP
    });
    assert_eq!(look(client), writable, "a write fails at once");
    // The end stays readable.
    assert_eq!(recv(server, &mut [0; 8], MSG_WAITALL), Ok(1));
    assert_eq!(look(server), writable | readable | POLLRDHUP);
    shutdown(server, Shutdown::Write).expect("connected");
    wait_until("both are over", || look(client).contains(POLLHUP));
    assert!(!look(client).contains(POLLOUT), "not with POLLHUP");
    closed([client, server]);
    let udp = Fds::open(1);
    assert_eq!(look(udp.0[0]), writable);
    assert_eq!(look(999), POLLNVAL);
}

fn selected() {
    let [client, server] = pair();
    let nfds = client.max(server) + 1;
    let both = || {
        let mut set = FdSet::new();
        set.insert(client).expect("small");
        set.insert(server).expect("small");
        set
    };
    let (mut read, mut write, mut except) = (both(), both(), both());
    let zero = Some(Duration::ZERO);
    let n = select(
        nfds,
        Some(&mut read),
        Some(&mut write),
        Some(&mut except),
        zero,
    );
    assert_eq!(n, Ok(2));
    assert_eq!((read, write, except), (FdSet::new(), both(), FdSet::new()));
    send(client, b"x", NONE).expect("open");
    let mut read = both();
    assert_eq!(select(nfds, Some(&mut read), None, None, None), Ok(1));
    assert!(read.contains(server) && !read.contains(client));
    read.remove(server);
    assert_eq!(read, FdSet::new());
    // An error is ready for both.
    setsockopt(client, sockopt::Linger, zero).expect("open");
    closed([client]);
    let mut except = FdSet::new();
    except.insert(server).expect("small");
    let short = Some(Duration::from_millis(5));
    assert_eq!(pselect(nfds, None, None, Some(&mut except), short), Ok(0));
    wait_until("it is reset", || look(server).contains(POLLERR));
    let (mut read, mut write) = (FdSet::new(), FdSet::new());
    read.insert(server).expect("small");
    write.insert(server).expect("small");
    assert_eq!(
        select(nfds, Some(&mut read), Some(&mut write), None, None),
        Ok(2)
    );
    closed([server]);
}

/// `n` UDP sockets on ports of their own, and one to send from.
fn sockets(n: usize) -> (Fds, Fd) {
    let fds = Fds::open(n + 1);
    fds.0
        .iter()
        .for_each(|fd| bind(*fd, local(0)).expect("a free port"));
    let sender = *fds.0.last().expect("one");
    (fds, sender)
}

fn poke(sender: Fd, fd: Fd) {
    sendto(sender, b"x", NONE, Some(getsockname(fd).expect("bound"))).expect("room");
}

fn polled(fds: &[Fd]) -> Vec<PollFd> {
    fds.iter().map(|fd| PollFd::new(*fd, POLLIN)).collect()
}

fn woken() {
    let (fds, sender) = sockets(30);
    for chosen in [0, 13, 29] {
        let mut set = polled(&fds.0[..30]);
        let sleeper = thread::spawn(move || {
            assert_eq!(poll(&mut set, -1), Ok(1));
            set.iter().position(|entry| entry.revents == POLLIN)
        });
        wait_until("it sleeps", || common::net().sleepers() == 1);
        poke(sender, fds.0[chosen]);
        assert_eq!(sleeper.join().expect("no panic"), Some(chosen));
        assert_eq!(recv(fds.0[chosen], &mut [0; 1], NONE), Ok(1));
    }
}

fn several() {
    let (fds, sender) = sockets(1);
    let fd = fds.0[0];
    let sleepers: Vec<_> = (0..10)
        .map(|n| {
            thread::spawn(move || {
                if n % 2 == 0 {
                    poll(&mut [PollFd::new(fd, POLLIN)], -1)
                } else {
                    let mut set = FdSet::new();
                    set.insert(fd).expect("small");
                    select(fd + 1, Some(&mut set), None, None, None)
                }
            })
        })
        .collect();
    wait_until("all sleep", || common::net().sleepers() == 10);
    poke(sender, fd);
    for sleeper in sleepers {
        assert_eq!(sleeper.join().expect("no panic"), Ok(1));
    }
}

fn writers() {
    let [client, server] = pair();
    // Until the peer's window is full too.
    let mut full = [PollFd::new(client, POLLOUT)];
    while poll(&mut full, 100) == Ok(1) {
        while send(client, &[1; 10_000], MSG_DONTWAIT).is_ok() {}
    }
    let sleeper = thread::spawn(move || {
        let mut set = FdSet::new();
        set.insert(client).expect("small");
        select(client + 1, None, Some(&mut set), None, None)
    });
    wait_until("it sleeps", || common::net().sleepers() == 1);
    // Data for the sleeper's socket is no news for it.
    send(server, b"x", NONE).expect("room");
    wait_until("it arrives", || look(client).contains(POLLIN));
    assert_eq!(common::net().sleepers(), 1);
    let reader = thread::spawn(move || {
        let mut buf = vec![0; 10_000];
        while recv(server, &mut buf, NONE).is_ok_and(|n| n > 0) {}
        closed([server]);
    });
    assert_eq!(sleeper.join().expect("no panic"), Ok(1));
    assert_eq!(recv(client, &mut [0; 1], NONE), Ok(1));
    closed([client]);
    reader.join().expect("no panic");
}

fn nothing() {
    let short = Some(Duration::from_millis(5));
    assert_eq!(poll(&mut [], 5), Ok(0));
    assert_eq!(ppoll(&mut [PollFd::new(-1, POLLIN)], short), Ok(0));
    assert_eq!(select(0, None, None, None, short), Ok(0));
}

/// Critical sections entered by `call`; the tcpip thread sleeps meanwhile.
/// As a driver does, and an application of the raw API: both only say that there is something.
fn interrupts() {
    let net = common::net();
    let woken = |tell: fn(&gannet_sockets::Net)| {
        let before = net.wakeups();
        // While it is awake it needs no waking.
        wait_until("it wakes", || {
            tell(net);
            net.wakeups() != before
        });
    };
    woken(|net| net.ring_from_isr());
    woken(|net| net.wake_from_isr(gannet_core::Owner(0)));
    let event = eventfd(0, EventFlags::NONE).expect("free");
    let sleeper = thread::spawn(move || eventfd_read(event));
    wait_until("it sleeps", || net.sleepers() == 1);
    assert_eq!(eventfd_write_from_isr(event, 0), Ok(()));
    assert_eq!(eventfd_write_from_isr(event, 3), Ok(()));
    assert_eq!(sleeper.join().expect("no panic"), Ok(3));
    // A handler does not wait for room.
    assert_eq!(eventfd_write_from_isr(event, u64::MAX - 1), Ok(()));
    assert_eq!(eventfd_write_from_isr(event, 1), Err(Errno::EAGAIN));
    assert_eq!(eventfd_write_from_isr(event, u64::MAX), Err(Errno::EINVAL));
    closed([event]);
    assert_eq!(eventfd_write_from_isr(event, 1), Err(Errno::EBADF));
}

fn sections<R>(call: impl Fn() -> R) -> u64 {
    // Whatever the tcpip thread still does is over when three counts in a row are equal.
    let mut counts = [0, 1, 2];
    wait_until("the stack rests", || {
        let before = critical_sections();
        call();
        counts.rotate_left(1);
        counts[2] = critical_sections() - before;
        counts[0] == counts[1] && counts[1] == counts[2]
    });
    counts[2]
}

fn cost_of_poll() {
    let (fds, sender) = sockets(64);
    poke(sender, fds.0[63]);
    let cost = |range: &[Fd]| {
        let mut set = polled(range);
        wait_until("it arrives", || poll(&mut set, 1000) == Ok(1));
        sections(|| poll(&mut polled(range), -1))
    };
    let (one, many) = (cost(&fds.0[63..64]), cost(&fds.0[..64]));
    println!("poll: {one} critical sections for 1 descriptor, {many} for 64");
    assert!(many <= 3 * one, "64 descriptors: {many}, one: {one}");
}

fn cost_of_select() {
    let (fds, sender) = sockets(64);
    poke(sender, fds.0[63]);
    let cost = |range: &[Fd]| {
        let set = range.iter().fold(FdSet::new(), |mut set, fd| {
            set.insert(*fd).expect("small");
            set
        });
        let look = || {
            let mut found = set;
            let n = select(
                256,
                Some(&mut found),
                None,
                None,
                Some(Duration::from_secs(1)),
            );
            assert!(n == Ok(0) || found.contains(fds.0[63]));
            n
        };
        wait_until("it arrives", || look() == Ok(1));
        sections(look)
    };
    let (one, many) = (cost(&fds.0[63..64]), cost(&fds.0[..64]));
    println!("select: {one} critical sections for 1 descriptor, {many} for 64");
    assert!(many <= 3 * one, "64 descriptors: {many}, one: {one}");
}

fn cost_of_sleeping() {
    let (fds, _) = sockets(64);
    let cost = |range: &[Fd]| sections(|| poll(&mut polled(range), 1));
    let (one, many) = (cost(&fds.0[..1]), cost(&fds.0[..64]));
    println!("a poll that times out: {one} critical sections for 1 descriptor, {many} for 64");
    assert!(many <= 3 * one, "64 descriptors: {many}, one: {one}");
}
