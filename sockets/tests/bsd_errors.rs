//! What BSD calls refuse: a table of calls and the errors that POSIX promises for them.
mod common;

use std::time::Duration;

use common::bsd::{Fds, closed, listener, pair, table};
use common::{assert_at_rest, local, within_limit};
use gannet_sockets::Shutdown;
use gannet_sockets::bsd::*;

const NONE: MsgFlags = MsgFlags::NONE;

#[test]
fn errors() {
    within_limit(|| {
        for (name, test) in [
            ("not open", bad_descriptors as fn()),
            ("not a socket", not_sockets),
            ("making sockets", making),
            ("out of descriptors", out_of_descriptors),
            ("a descriptor that a call has reserved", reserved),
            ("out of connections", out_of_connections),
            ("binding", binding),
            ("listening and accepting", listening),
            ("connecting", connecting),
            ("TCP not connected", not_connected),
            ("TCP over", over),
            ("UDP", datagrams),
            ("out of buffers", out_of_buffers),
            ("option values", option_values),
            ("select and poll", waiting),
            ("local pairs and events", local_ends),
        ] {
            println!("{name}");
            test();
            assert_eq!(table().in_use(), 0);
            assert_at_rest();
        }
    });
}

/// Every call on a descriptor, with its value thrown away.
fn every_call(fd: Fd) -> Vec<(&'static str, Result<(), Errno>)> {
    let mut buf = [0; 8];
    let message = SendMsg {
        to: None,
        iov: &[b"x"],
    };
    vec![
        ("accept", accept(fd).map(drop)),
        ("accept4", accept4(fd, SOCK_NONBLOCK).map(drop)),
        ("bind", bind(fd, local(0))),
        ("connect", connect(fd, local(9))),
        ("disconnect", disconnect(fd)),
        ("getpeername", getpeername(fd).map(drop)),
        ("getsockname", getsockname(fd).map(drop)),
        ("getsockopt", getsockopt(fd, sockopt::Error).map(drop)),
        ("ioctl", ioctl(fd, Ioctl::FionRead).map(drop)),
        ("listen", listen(fd, 1)),
        ("recv", recv(fd, &mut buf, NONE).map(drop)),
        ("recvfrom", recvfrom(fd, &mut buf, NONE).map(drop)),
        ("recvmmsg", {
            let mut iov: [&mut [u8]; 1] = [&mut buf];
            let place = RecvMsg {
                iov: &mut iov,
                received: ReceivedMsg::default(),
            };
            recvmmsg(fd, &mut [place], NONE, None).map(drop)
        }),
        ("recvmsg", recvmsg(fd, &mut [&mut buf], NONE).map(drop)),
        ("send", send(fd, b"x", NONE).map(drop)),
        ("sendmmsg", sendmmsg(fd, &[message], NONE).map(drop)),
        ("sendmsg", sendmsg(fd, &message, NONE).map(drop)),
        ("sendto", sendto(fd, b"x", NONE, None).map(drop)),
        ("setsockopt", setsockopt(fd, sockopt::KeepAlive, true)),
        ("shutdown", shutdown(fd, Shutdown::Both)),
    ]
}

fn bad_descriptors() {
    let fds = Fds::open(1);
    let stale = fds.0[0];
    drop(fds);
    for fd in [stale, -1, 0, i32::MAX, i32::MIN] {
        for (name, outcome) in every_call(fd) {
            assert_eq!(outcome, Err(Errno::EBADF), "{name}({fd})");
        }
        let mut buf = [0; 8];
        assert_eq!(close(fd), Err(Errno::EBADF));
        assert_eq!(dup(fd), Err(Errno::EBADF));
        assert_eq!(fcntl(fd, Fcntl::GetFl), Err(Errno::EBADF));
        assert_eq!(read(fd, &mut buf), Err(Errno::EBADF));
        assert_eq!(readv(fd, &mut [&mut buf]), Err(Errno::EBADF));
        assert_eq!(write(fd, b"x"), Err(Errno::EBADF));
        assert_eq!(writev(fd, &[b"x"]), Err(Errno::EBADF));
        assert_eq!(eventfd_read(fd), Err(Errno::EBADF));
        assert_eq!(eventfd_write(fd, 1), Err(Errno::EBADF));
        assert_eq!(eventfd_write_from_isr(fd, 1), Err(Errno::EBADF));
        assert_eq!(ioctl(fd, Ioctl::FionBio(true)), Err(Errno::EBADF));
    }
}

fn not_sockets() {
    let event = eventfd(1, EventFlags::NONE).expect("free");
    for (name, outcome) in every_call(event) {
        assert_eq!(outcome, Err(Errno::ENOTSOCK), "{name}");
    }
    closed([event]);
}

fn making() {
    table();
    let packet = |error| match cfg!(feature = "packet") {
        true => error,
        false => Errno::EAFNOSUPPORT,
    };
    let cases = [
        (AF_INET6, SOCK_STREAM, IPPROTO_IP, Errno::EAFNOSUPPORT),
        (AF_UNIX, SOCK_STREAM, IPPROTO_IP, Errno::EAFNOSUPPORT),
        (AF_INET, SOCK_RAW, IPPROTO_IP, Errno::EPROTONOSUPPORT),
        (AF_INET, SOCK_RAW, ETH_P_ALL, Errno::EPROTONOSUPPORT),
        (
            AF_PACKET,
            SOCK_DGRAM,
            ETH_P_ALL,
            packet(Errno::EPROTONOSUPPORT),
        ),
        (
            AF_PACKET,
            SOCK_RAW,
            IPPROTO_ICMP,
            packet(Errno::EPROTONOSUPPORT),
        ),
        (AF_INET, SOCK_DGRAM, IPPROTO_ICMP, Errno::EPROTONOSUPPORT),
        (AF_INET, SOCK_STREAM, IPPROTO_UDP, Errno::EPROTOTYPE),
        (AF_INET, SOCK_DGRAM, IPPROTO_TCP, Errno::EPROTOTYPE),
    ];
    for (domain, kind, protocol, error) in cases {
        assert_eq!(
            socket(domain, kind, protocol),
            Err(error),
            "{domain:?} {kind:?} {protocol:?}"
        );
    }
    assert_eq!(
        socketpair(AF_INET, SOCK_STREAM, IPPROTO_IP),
        Err(Errno::EAFNOSUPPORT)
    );
    assert_eq!(
        socketpair(AF_UNIX, SOCK_RAW, IPPROTO_IP),
        Err(Errno::EPROTONOSUPPORT)
    );
    assert_eq!(inet_pton(AF_INET, "256.0.0.1"), Err(Errno::EINVAL));
    assert_eq!(inet_pton(AF_INET, "::1"), Err(Errno::EINVAL));
    assert_eq!(inet_pton(AF_UNIX, "::1"), Err(Errno::EAFNOSUPPORT));
    let addr = local(0).ip();
    assert_eq!(inet_ntop(addr, &mut [0; 8]), Err(Errno::ENOSPC));
}

/// `accept` has a descriptor before it has a connection, so that none is lost for want of one.
fn reserved() {
    let listener = listener(1);
    let acceptor = std::thread::spawn(move || accept(listener));
    common::wait_until("it sleeps", || common::net().sleepers() == 1);
    let next = listener + 1;
    assert_eq!(table().in_use(), 2);
    assert_eq!(dup2(listener, next), Err(Errno::EMFILE));
    assert_eq!(getsockname(next), Err(Errno::EBADF));
    assert_eq!(close(next), Err(Errno::EBADF));
    // The owner that was for it is not left behind.
    closed([listener]);
    assert_eq!(acceptor.join().expect("no panic"), Err(Errno::EBADF));
}

fn out_of_descriptors() {
    let listener = listener(1);
    let client = socket(AF_INET, SOCK_STREAM, IPPROTO_IP).expect("free");
    connect(client, getsockname(listener).expect("bound")).expect("somebody listens");
    let mut all = Fds(vec![]);
    let error = loop {
        match dup(client) {
            Ok(fd) => all.0.push(fd),
            Err(error) => break error,
        }
    };
    assert_eq!((error, table().in_use()), (Errno::EMFILE, 96));
    assert_eq!(socket(AF_INET, SOCK_DGRAM, IPPROTO_IP), Err(Errno::EMFILE));
    assert_eq!(
        socketpair(AF_UNIX, SOCK_STREAM, IPPROTO_IP),
        Err(Errno::EMFILE)
    );
    assert_eq!(eventfd(0, EventFlags::NONE), Err(Errno::EMFILE));
    assert_eq!(accept(listener), Err(Errno::EMFILE));
    closed([all.0.pop().expect("many")]);
    // One is free, a pair needs two; the first is not lost.
    assert_eq!(
        socketpair(AF_UNIX, SOCK_STREAM, IPPROTO_IP),
        Err(Errno::EMFILE)
    );
    let (server, _) = accept(listener).expect("it still waits");
    assert_eq!(fcntl(client, Fcntl::DupFd(-1)), Err(Errno::EINVAL));
    assert_eq!(fcntl(client, Fcntl::DupFd(0)), Err(Errno::EMFILE));
    drop(all);
    closed([server, client, listener]);
}

fn out_of_connections() {
    let net = common::net();
    let mut all = vec![];
    while let Ok(event) = gannet_netconn::Netconn::event(net, 0) {
        all.push(event);
    }
    table();
    assert_eq!(socket(AF_INET, SOCK_STREAM, IPPROTO_IP), Err(Errno::ENFILE));
    assert_eq!(eventfd(0, EventFlags::NONE), Err(Errno::ENFILE));
    all.pop().expect("many").close();
    common::wait_until("one is free", || {
        socketpair(AF_UNIX, SOCK_STREAM, IPPROTO_IP) == Err(Errno::ENFILE)
            && net.connections() == 127
    });
    all.iter().for_each(|event| event.close());
}

fn binding() {
    let taken = listener(1);
    let addr = getsockname(taken).expect("bound");
    let fd = socket(AF_INET, SOCK_STREAM, IPPROTO_IP).expect("free");
    assert_eq!(bind(fd, addr), Err(Errno::EADDRINUSE));
    assert_eq!(
        bind(fd, ([10, 1, 2, 3], 80).into()),
        Err(Errno::EADDRNOTAVAIL)
    );
    assert_eq!(
        bind(fd, "[::1]:80".parse().expect("an address")),
        Err(Errno::EAFNOSUPPORT)
    );
    bind(fd, local(0)).expect("a free port");
    // lwIP: two binds of one socket hang the whole stack.
    assert_eq!(bind(fd, local(0)), Err(Errno::EINVAL));
    assert_eq!(bind(taken, local(0)), Err(Errno::EINVAL));
    let (udp, twin) = (Fds::open(1), Fds::open(1));
    bind(udp.0[0], local(0)).expect("a free port");
    assert_eq!(bind(udp.0[0], local(0)), Err(Errno::EINVAL));
    let addr = getsockname(udp.0[0]).expect("bound");
    assert_eq!(bind(twin.0[0], addr), Err(Errno::EADDRINUSE));
    closed([taken, fd]);
}

fn listening() {
    let [client, server] = pair();
    let udp = Fds::open(1);
    assert_eq!(listen(client, 1), Err(Errno::EINVAL));
    assert_eq!(listen(udp.0[0], 1), Err(Errno::EOPNOTSUPP));
    assert_eq!(accept(udp.0[0]), Err(Errno::EOPNOTSUPP));
    assert_eq!(accept(client), Err(Errno::EINVAL));
    let listener = listener(0);
    listen(listener, 5).expect("again is nothing");
    listen(listener, -1).expect("again is nothing");
    assert_eq!(recv(listener, &mut [0; 1], NONE), Err(Errno::ENOTCONN));
    assert_eq!(send(listener, b"x", NONE), Err(Errno::ENOTCONN));
    assert_eq!(getpeername(listener), Err(Errno::ENOTCONN));
    assert_eq!(connect(listener, local(9)), Err(Errno::EOPNOTSUPP));
    setsockopt(listener, sockopt::RcvTimeo, Some(Duration::from_millis(5))).expect("open");
    assert_eq!(accept(listener), Err(Errno::EAGAIN));
    shutdown(listener, Shutdown::Read).expect("it listens");
    assert_eq!(accept(listener), Err(Errno::EINVAL));
    closed([client, server, listener]);
}

fn connecting() {
    let attempt = |addr: &str| {
        let fd = socket(AF_INET, SOCK_STREAM, IPPROTO_IP).expect("free");
        let outcome = connect(fd, addr.parse().expect("an address"));
        close(fd).expect("open");
        outcome
    };
    // lwIP: ECONNRESET.
    assert_eq!(attempt("127.0.0.1:9"), Err(Errno::ECONNREFUSED));
    // lwIP: EHOSTUNREACH.
    assert_eq!(attempt("192.0.2.1:80"), Err(Errno::ENETUNREACH));
    assert_eq!(attempt("127.0.0.1:0"), Err(Errno::EINVAL));
    assert_eq!(attempt("224.0.0.1:80"), Err(Errno::EINVAL));
    assert_eq!(attempt("[::1]:80"), Err(Errno::EAFNOSUPPORT));
    let [client, server] = pair();
    assert_eq!(connect(client, local(9)), Err(Errno::EISCONN));
    assert_eq!(disconnect(client), Err(Errno::EOPNOTSUPP));
    closed([client, server]);
}

fn not_connected() {
    let fd = socket(AF_INET, SOCK_STREAM, IPPROTO_IP).expect("free");
    assert_eq!(recv(fd, &mut [0; 1], NONE), Err(Errno::ENOTCONN));
    assert_eq!(send(fd, b"x", NONE), Err(Errno::ENOTCONN));
    assert_eq!(shutdown(fd, Shutdown::Both), Err(Errno::ENOTCONN));
    assert_eq!(getpeername(fd), Err(Errno::ENOTCONN));
    assert_eq!(accept(fd), Err(Errno::EINVAL));
    assert_eq!(getsockname(fd), Ok(([0, 0, 0, 0], 0).into()));
    closed([fd]);
}

fn over() {
    let [client, server] = pair();
    for flags in [MSG_OOB, MSG_OOB | MSG_DONTWAIT] {
        assert_eq!(send(client, b"x", flags), Err(Errno::EOPNOTSUPP));
        assert_eq!(recv(client, &mut [0; 1], flags), Err(Errno::EOPNOTSUPP));
    }
    shutdown(client, Shutdown::Write).expect("connected");
    assert_eq!(send(client, b"x", MSG_NOSIGNAL), Err(Errno::EPIPE));
    assert_eq!(recv(server, &mut [0; 1], NONE), Ok(0));
    // Reset by the other side: after the data, once; then it is the end.
    send(server, b"last words", NONE).expect("its side is open");
    common::wait_until("they arrive", || ioctl(client, Ioctl::FionRead) == Ok(10));
    setsockopt(server, sockopt::Linger, Some(Duration::ZERO)).expect("open");
    closed([server]);
    let mut fds = [PollFd::new(client, NONE_OF_THEM)];
    assert_eq!(poll(&mut fds, -1), Ok(1));
    assert_eq!(fds[0].revents, POLLERR | POLLHUP);
    let mut buf = [0; 20];
    assert_eq!(recv(client, &mut buf, NONE), Ok(10));
    assert_eq!(recv(client, &mut buf, NONE), Err(Errno::ECONNRESET));
    assert_eq!(recv(client, &mut buf, NONE), Ok(0));
    assert_eq!(shutdown(client, Shutdown::Both), Err(Errno::ENOTCONN));
    closed([client]);
}

const NONE_OF_THEM: PollFlags = PollFlags::NONE;

fn datagrams() {
    let udp = Fds::open(1);
    let fd = udp.0[0];
    assert_eq!(send(fd, b"x", NONE), Err(Errno::EDESTADDRREQ));
    assert_eq!(getpeername(fd), Err(Errno::ENOTCONN));
    assert_eq!(shutdown(fd, Shutdown::Both), Err(Errno::ENOTCONN));
    let to = |addr: &str| sendto(fd, b"x", NONE, Some(addr.parse().expect("an address")));
    assert_eq!(to("192.0.2.1:9"), Err(Errno::ENETUNREACH));
    assert_eq!(to("127.0.0.1:0"), Err(Errno::EINVAL));
    assert_eq!(to("[::1]:9"), Err(Errno::EAFNOSUPPORT));
    assert_eq!(
        connect(fd, "[::1]:9".parse().expect("an address")),
        Err(Errno::EAFNOSUPPORT)
    );
    assert_eq!(
        sendto(fd, &[0; 65_508], NONE, Some(local(9))),
        Err(Errno::EMSGSIZE)
    );
    assert_eq!(
        sendto(fd, b"x", MSG_MORE, Some(local(9))),
        Err(Errno::EOPNOTSUPP)
    );
    assert_eq!(
        sendto(fd, b"x", MSG_OOB, Some(local(9))),
        Err(Errno::EOPNOTSUPP)
    );
    assert_eq!(ioctl(fd, Ioctl::SiocOutQ), Err(Errno::EOPNOTSUPP));
    setsockopt(fd, sockopt::RcvTimeo, Some(Duration::from_millis(5))).expect("open");
    assert_eq!(recv(fd, &mut [0; 1], NONE), Err(Errno::EAGAIN));
    connect(fd, local(9)).expect("UDP");
    shutdown(fd, Shutdown::Both).expect("connected");
    assert_eq!(
        recvmsg(fd, &mut [&mut [0; 1]], NONE).map(|m| (m.len, m.from)),
        Ok((0, None))
    );
    assert_eq!(send(fd, b"x", NONE), Err(Errno::EPIPE));
}

fn out_of_buffers() {
    let [client, server] = pair();
    let udp = Fds::open(1);
    let mut all = vec![];
    while let Ok(one) = gannet_sockets::Pbuf::alloc(&common::TX, 0, 1) {
        all.push(one);
    }
    // Both wait for buffers, as for room.
    assert_eq!(
        sendto(udp.0[0], b"x", MSG_DONTWAIT, Some(local(9))),
        Err(Errno::EAGAIN)
    );
    assert_eq!(send(client, b"x", MSG_DONTWAIT), Err(Errno::EAGAIN));
    setsockopt(client, sockopt::SndTimeo, Some(Duration::from_millis(30))).expect("open");
    assert_eq!(send(client, b"x", NONE), Err(Errno::EAGAIN));
    assert_eq!(
        ioctl(client, Ioctl::SiocOutQ),
        Ok(0),
        "nothing is left reserved"
    );
    setsockopt(client, sockopt::SndTimeo, None).expect("open");
    let sender = std::thread::spawn(move || send(client, b"x", NONE));
    all.clear();
    assert_eq!(sender.join().expect("no panic"), Ok(1));
    closed([client]);
    assert_eq!(recv(server, &mut [0; 2], MSG_WAITALL), Ok(1));
    closed([server]);
}

fn option_values() {
    let [client, server] = pair();
    let udp = Fds::open(1);
    let fd = udp.0[0];
    assert_eq!(
        setsockopt(fd, sockopt::NoDelay, true),
        Err(Errno::ENOPROTOOPT)
    );
    assert_eq!(getsockopt(fd, sockopt::KeepCnt), Err(Errno::ENOPROTOOPT));
    assert_eq!(
        setsockopt(client, sockopt::MulticastTtl, 1),
        Err(Errno::ENOPROTOOPT)
    );
    assert_eq!(
        setsockopt(client, sockopt::ReusePort, true),
        Err(Errno::ENOPROTOOPT)
    );
    assert_eq!(setsockopt(client, sockopt::KeepCnt, 0), Err(Errno::EINVAL));
    for time in [
        Duration::ZERO,
        Duration::from_millis(999),
        Duration::from_secs(40_000),
    ] {
        assert_eq!(
            setsockopt(client, sockopt::KeepIdle, time),
            Err(Errno::EINVAL)
        );
        assert_eq!(
            setsockopt(client, sockopt::KeepIntvl, time),
            Err(Errno::EINVAL)
        );
    }
    assert_eq!(
        setsockopt(client, sockopt::OobInline, false),
        Err(Errno::EINVAL)
    );
    let aeons = Some(Duration::MAX);
    assert_eq!(
        setsockopt(client, sockopt::RcvTimeo, aeons),
        Err(Errno::EDOM)
    );
    assert_eq!(
        setsockopt(client, sockopt::SndTimeo, aeons),
        Err(Errno::EDOM)
    );
    assert_eq!(setsockopt(client, sockopt::Linger, aeons), Err(Errno::EDOM));
    assert_eq!(setsockopt(fd, sockopt::MulticastTtl, 0), Err(Errno::EINVAL));
    assert_eq!(
        setsockopt(client, sockopt::MaxSeg, 1000),
        Err(Errno::EINVAL)
    );
    assert_eq!(
        setsockopt(client, sockopt::DeferAccept, None),
        Err(Errno::EINVAL)
    );
    assert_eq!(
        getsockopt(fd, sockopt::Info).err(),
        Some(Errno::ENOPROTOOPT)
    );
    closed([client, server]);
}

fn waiting() {
    let fds = Fds::open(2);
    let [one, two] = [fds.0[0], fds.0[1]];
    let mut set = FdSet::new();
    for fd in [-1, FD_SETSIZE as Fd, i32::MAX] {
        assert_eq!(set.insert(fd), Err(Errno::EINVAL));
        set.remove(fd);
        assert!(!set.contains(fd));
    }
    set.insert(one).expect("small");
    let zero = Some(Duration::ZERO);
    assert_eq!(select(-1, None, None, None, zero), Err(Errno::EINVAL));
    assert_eq!(select(257, None, None, None, zero), Err(Errno::EINVAL));
    closed([two]);
    set.insert(two).expect("small");
    let before = set;
    assert_eq!(
        select(256, Some(&mut set), None, None, None),
        Err(Errno::EBADF)
    );
    assert_eq!(
        select(256, None, Some(&mut set), None, None),
        Err(Errno::EBADF)
    );
    assert_eq!(
        pselect(256, None, None, Some(&mut set), None),
        Err(Errno::EBADF)
    );
    assert_eq!(set, before, "as it was");
    // Those at or above nfds are not looked at.
    assert_eq!(
        select(two.max(one), Some(&mut set), None, None, zero),
        Ok(0)
    );
    assert_eq!(set, FdSet::new());
    let mut fds = [
        PollFd::new(two, POLLIN),
        PollFd::new(-5, POLLIN),
        PollFd::new(one, POLLOUT),
    ];
    fds[1].revents = POLLIN;
    assert_eq!(poll(&mut fds, -1), Ok(2));
    assert_eq!(
        fds.map(|fd| fd.revents),
        [POLLNVAL, PollFlags::NONE, POLLOUT]
    );
}

fn local_ends() {
    let [one, two] = socketpair(AF_UNIX, SOCK_STREAM, IPPROTO_IP).expect("free");
    assert_eq!(bind(one, local(0)), Err(Errno::EOPNOTSUPP));
    assert_eq!(connect(one, local(9)), Err(Errno::EOPNOTSUPP));
    assert_eq!(listen(one, 1), Err(Errno::EOPNOTSUPP));
    assert_eq!(accept(one), Err(Errno::EOPNOTSUPP));
    assert_eq!(eventfd_read(one), Err(Errno::EINVAL));
    assert_eq!(eventfd_write(one, 1), Err(Errno::EINVAL));
    let bell = eventfd(0, EFD_NONBLOCK).expect("free");
    assert_eq!(read(bell, &mut [0; 7]), Err(Errno::EINVAL));
    assert_eq!(read(bell, &mut [0; 8]), Err(Errno::EAGAIN));
    assert_eq!(write(bell, &[0; 7]), Err(Errno::EINVAL));
    assert_eq!(write(bell, &[0xff; 8]), Err(Errno::EINVAL));
    assert_eq!(eventfd_write(bell, u64::MAX), Err(Errno::EINVAL));
    eventfd_write(bell, u64::MAX - 1).expect("room");
    assert_eq!(eventfd_write(bell, 1), Err(Errno::EAGAIN));
    assert_eq!(eventfd_write_from_isr(bell, 1), Err(Errno::EAGAIN));
    closed([one, two, bell]);
}
