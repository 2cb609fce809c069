//! BSD sockets over loopback: every call, with threads of std as tasks. What calls refuse is in
//! `bsd_errors`.
mod common;

use std::net::SocketAddr;
use std::num::{NonZeroU8, NonZeroU32};
use std::thread;
use std::time::Duration;

use common::bsd::{Fds, closed, pair, table};
use common::{assert_at_rest, local, pattern, wait_until, within_limit};
use gannet_sockets::Shutdown;
use gannet_sockets::bsd::*;

const NONE: MsgFlags = MsgFlags::NONE;

/// One after another: the tests count what is in use at their end.
#[test]
fn calls() {
    within_limit(|| {
        for (name, test) in [
            ("echo", echo as fn()),
            ("vectored calls are one stream", vectored),
            ("peek, dontwait, waitall, more", message_flags),
            ("waitall ends with the stream", waitall_ends),
            ("low water", low_water),
            ("send buffer", send_buffer),
            ("datagrams", datagrams),
            ("a datagram is cut and says so", truncated),
            ("several messages in one call", many_messages),
            ("connected datagrams", connected_datagrams),
            ("datagrams queue by bytes", datagram_bytes),
            ("dup shares", dup_shares),
            ("dup2 replaces", dup2_replaces),
            ("room that makes it ready", send_low_water),
            ("descriptors are the lowest", lowest_descriptor),
            ("fcntl and ioctl", control),
            ("a connect in the background", background_connect),
            ("socketpair", local_pair),
            ("socketpair holds no more than it says", local_pair_capacity),
            ("eventfd", event),
            ("linger waits for the acknowledgement", linger_waits),
            ("linger of zero resets", linger_resets),
            ("options of sockets", socket_options),
            ("options of TCP and IP", protocol_options),
            ("options of the engine", engine_options),
            ("accept4 and inherited options", accepting),
            ("closing wakes", closing_wakes),
            ("addresses", addresses),
            ("callbacks", callbacks),
        ] {
            println!("{name}");
            test();
            assert_eq!(table().in_use(), 0);
            assert_at_rest();
        }
    });
}

fn echo() {
    let [client, server] = pair();
    let echo = thread::spawn(move || {
        let mut buf = [0; 100];
        loop {
            match read(server, &mut buf).expect("open") {
                0 => return close(server),
                n => assert_eq!(write(server, &buf[..n]), Ok(n)),
            }
        }
    });
    for round in 0..100u8 {
        assert_eq!(send(client, &[round; 64], NONE), Ok(64));
        let mut back = [0; 64];
        assert_eq!(recv(client, &mut back, MSG_WAITALL), Ok(64));
        assert_eq!(back, [round; 64]);
    }
    shutdown(client, Shutdown::Write).expect("connected");
    assert_eq!(recv(client, &mut [0; 1], NONE), Ok(0));
    assert_eq!(echo.join().expect("no panic"), Ok(()));
    closed([client]);
}

fn vectored() {
    let [client, server] = pair();
    let data = pattern(20_000);
    assert_eq!(
        writev(client, &[&data[..1], &[], &data[1..300], &data[300..]]),
        Ok(20_000)
    );
    let mut got = vec![0; 20_000];
    let (first, rest) = got.split_at_mut(7);
    let (second, third) = rest.split_at_mut(10_000);
    let received = recvmsg(server, &mut [first, second, third], MSG_WAITALL).expect("open");
    assert_eq!((received.len, received.from), (20_000, None));
    assert_eq!(got, data);
    // Many small slices append to one buffer.
    let small: Vec<&[u8]> = data[..100].chunks(3).collect();
    assert_eq!(
        sendmsg(
            client,
            &SendMsg {
                to: None,
                iov: &small
            },
            NONE
        ),
        Ok(100)
    );
    let mut got = vec![0; 100];
    assert_eq!(readv(server, &mut [&mut got]), Ok(100));
    assert_eq!(got, data[..100]);
    closed([client, server]);
}

fn message_flags() {
    let [client, server] = pair();
    let mut buf = [0; 8];
    assert_eq!(recv(server, &mut buf, MSG_DONTWAIT), Err(Errno::EAGAIN));
    assert_eq!(send(client, b"abc", MSG_MORE | MSG_NOSIGNAL), Ok(3));
    assert_eq!(send(client, b"defgh", NONE), Ok(5));
    // Both, for nothing is taken.
    wait_until("all is there", || ioctl(server, Ioctl::FionRead) == Ok(8));
    assert_eq!(recv(server, &mut buf[..4], MSG_PEEK), Ok(4));
    assert_eq!(recv(server, &mut buf, MSG_PEEK | MSG_DONTWAIT), Ok(8));
    assert_eq!(recv(server, &mut buf, MSG_WAITALL), Ok(8));
    assert_eq!(&buf, b"abcdefgh");
    closed([client, server]);
}

fn waitall_ends() {
    let [client, server] = pair();
    let reader = thread::spawn(move || {
        let mut buf = [0; 100];
        (
            recv(server, &mut buf, MSG_WAITALL),
            recv(server, &mut buf, MSG_WAITALL),
        )
    });
    for _ in 0..3 {
        send(client, b"0123456789", NONE).expect("open");
        thread::sleep(Duration::from_millis(2));
    }
    closed([client]);
    assert_eq!(reader.join().expect("no panic"), (Ok(30), Ok(0)));
    closed([server]);
}

fn low_water() {
    let [client, server] = pair();
    setsockopt(server, sockopt::RcvLowat, 10).expect("open");
    assert_eq!(getsockopt(server, sockopt::RcvLowat), Ok(10));
    send(client, b"12345", NONE).expect("open");
    wait_until("five are there", || ioctl(server, Ioctl::FionRead) == Ok(5));
    let mut fds = [PollFd::new(server, POLLIN)];
    assert_eq!(poll(&mut fds, 0), Ok(0));
    let mut buf = [0; 20];
    assert_eq!(recv(server, &mut buf, MSG_DONTWAIT), Err(Errno::EAGAIN));
    // A smaller buffer is content with less.
    assert_eq!(recv(server, &mut buf[..2], MSG_DONTWAIT), Ok(2));
    send(client, b"6789012", NONE).expect("open");
    assert_eq!(recv(server, &mut buf, NONE), Ok(10));
    send(client, b"end", NONE).expect("open");
    closed([client]);
    // Below the mark, but nothing more comes.
    assert_eq!(recv(server, &mut buf, NONE), Ok(3));
    closed([server]);
}

fn send_buffer() {
    let [client, server] = pair();
    setsockopt(client, sockopt::SndBuf, NonZeroU32::new(3000)).expect("open");
    assert_eq!(
        getsockopt(client, sockopt::SndBuf),
        Ok(NonZeroU32::new(3000))
    );
    let mut sent = 0;
    // Acknowledged bytes make room, so more than that leaves; but never more waits.
    while let Ok(n) = send(client, &[1; 8000], MSG_DONTWAIT) {
        sent += n;
        assert!(ioctl(client, Ioctl::SiocOutQ).expect("TCP") <= 3000);
    }
    let mut got = vec![0; sent];
    assert_eq!(recv(server, &mut got, MSG_WAITALL), Ok(sent));
    closed([client, server]);
}

fn datagram_socket() -> (Fd, SocketAddr) {
    let fd = socket(AF_INET, SOCK_DGRAM, IPPROTO_UDP).expect("free");
    bind(fd, local(0)).expect("a free port");
    (fd, getsockname(fd).expect("bound"))
}

fn datagrams() {
    let ((one, from), (two, to)) = (datagram_socket(), datagram_socket());
    assert_eq!(sendto(one, b"hello", NONE, Some(to)), Ok(5));
    let mut buf = [0; 10];
    assert_eq!(recvfrom(two, &mut buf, MSG_PEEK), Ok((5, Some(from))));
    assert_eq!(ioctl(two, Ioctl::FionRead), Ok(5));
    assert_eq!(recvfrom(two, &mut buf, NONE), Ok((5, Some(from))));
    assert_eq!(&buf[..5], b"hello");
    // An empty one is one.
    assert_eq!(sendto(one, b"", NONE, Some(to)), Ok(0));
    let received = recvmsg(two, &mut [&mut buf], NONE).expect("arrives");
    assert_eq!((received.len, received.from), (0, Some(from)));
    assert_eq!(received.to, Some(to.ip()));
    let now = gannet_netconn::sys::now();
    assert!(
        received
            .at
            .is_some_and(|at| at <= now && now.saturating_since(at) < common::LIMIT)
    );
    closed([one, two]);
}

fn truncated() {
    let ((one, _), (two, to)) = (datagram_socket(), datagram_socket());
    let mut buf = [0; 3];
    for flags in [NONE, MSG_TRUNC] {
        sendto(one, b"0123456789", NONE, Some(to)).expect("room");
        let received = recvmsg(two, &mut [&mut buf], flags).expect("arrives");
        assert_eq!(received.flags, MSG_TRUNC);
        assert_eq!(received.len, if flags == MSG_TRUNC { 10 } else { 3 });
    }
    assert_eq!(
        recv(two, &mut buf, MSG_DONTWAIT),
        Err(Errno::EAGAIN),
        "the rest is gone"
    );
    closed([one, two]);
}

fn many_messages() {
    let ((one, _), (two, to)) = (datagram_socket(), datagram_socket());
    let parts: [[&[u8]; 2]; 3] = [[b"a", b"b"], [b"", b"cde"], [b"f", b""]];
    let messages = parts.each_ref().map(|iov| SendMsg { to: Some(to), iov });
    assert_eq!(sendmmsg(one, &messages, NONE), Ok(3));
    wait_until("all are there", || {
        let mut fds = [PollFd::new(two, POLLIN)];
        poll(&mut fds, 1000) == Ok(1)
    });
    let (mut a, mut b, mut c, mut d) = ([0; 4], [0; 4], [0; 4], [0; 4]);
    let mut iovs: [[&mut [u8]; 1]; 4] = [[&mut a], [&mut b], [&mut c], [&mut d]];
    let mut places = iovs.each_mut().map(|iov| RecvMsg {
        iov,
        received: ReceivedMsg::default(),
    });
    let mut got = 0;
    // As many as have arrived by then; the first is slept for.
    while got < 3 {
        let flags = MSG_WAITFORONE;
        got += recvmmsg(two, &mut places[got..], flags, None).expect("arrive");
    }
    assert_eq!(
        places[..3]
            .iter()
            .map(|place| place.received.len)
            .collect::<Vec<_>>(),
        [2, 3, 1]
    );
    assert_eq!((&a, &b, &c), (b"ab\0\0", b"cde\0", b"f\0\0\0"));
    // The time-out is looked at after each.
    sendto(one, b"x", NONE, Some(to)).expect("room");
    let mut iov: [&mut [u8]; 1] = [&mut a];
    let (mut b, mut other) = ([0; 4], [0; 0]);
    let mut iov2: [&mut [u8]; 2] = [&mut b, &mut other];
    let mut places = [
        RecvMsg {
            iov: &mut iov,
            received: ReceivedMsg::default(),
        },
        RecvMsg {
            iov: &mut iov2,
            received: ReceivedMsg::default(),
        },
    ];
    assert_eq!(
        recvmmsg(two, &mut places, NONE, Some(Duration::ZERO)),
        Ok(1)
    );
    closed([one, two]);
}

fn connected_datagrams() {
    let ((one, from), (two, to), (three, _)) =
        (datagram_socket(), datagram_socket(), datagram_socket());
    connect(two, from).expect("a peer");
    assert_eq!(getpeername(two), Ok(from));
    sendto(three, b"stranger", NONE, Some(to)).expect("room");
    sendto(one, b"friend", NONE, Some(to)).expect("room");
    let mut buf = [0; 10];
    assert_eq!(recvfrom(two, &mut buf, NONE), Ok((6, Some(from))));
    assert_eq!(send(two, b"back", NONE), Ok(4));
    assert_eq!(recvfrom(one, &mut buf, NONE), Ok((4, Some(to))));
    disconnect(two).expect("UDP");
    assert_eq!(send(two, b"x", NONE), Err(Errno::EDESTADDRREQ));
    sendto(three, b"stranger", NONE, Some(to)).expect("room");
    assert_eq!(recv(two, &mut buf, NONE), Ok(8));
    // Nobody is there: ICMP says so, once.
    connect(two, local(9)).expect("a peer");
    send(two, b"anybody?", NONE).expect("room");
    assert_eq!(recv(two, &mut buf, NONE), Err(Errno::ECONNREFUSED));
    assert_eq!(recv(two, &mut buf, MSG_DONTWAIT), Err(Errno::EAGAIN));
    closed([one, two, three]);
}

fn datagram_bytes() {
    let ((one, _), (two, to)) = (datagram_socket(), datagram_socket());
    setsockopt(two, sockopt::RcvBuf, NonZeroU32::new(1000)).expect("UDP");
    assert_eq!(getsockopt(two, sockopt::RcvBuf), Ok(NonZeroU32::new(1000)));
    for _ in 0..3 {
        sendto(one, &[7; 400], NONE, Some(to)).expect("room");
    }
    let ((three, from), mut buf) = (datagram_socket(), [0; 2000]);
    // Behind them: when the answer is there, the three have arrived.
    sendto(one, b"x", NONE, Some(from)).expect("room");
    assert_eq!(recv(three, &mut buf, NONE), Ok(1));
    assert_eq!(recv(two, &mut buf, MSG_DONTWAIT), Ok(400));
    assert_eq!(recv(two, &mut buf, MSG_DONTWAIT), Ok(400));
    assert_eq!(recv(two, &mut buf, MSG_DONTWAIT), Err(Errno::EAGAIN));
    // One alone may be larger.
    sendto(one, &[7; 1400], NONE, Some(to)).expect("room");
    assert_eq!(recv(two, &mut buf, NONE), Ok(1400));
    closed([one, two, three]);
}

fn dup2_replaces() {
    let [client, server] = pair();
    let udp = socket(AF_INET, SOCK_DGRAM, IPPROTO_UDP).expect("free");
    assert_eq!(dup2(client, client), Ok(client));
    // What it named is closed, for nobody else names it.
    assert_eq!(dup2(client, udp), Ok(udp));
    closed([client]);
    assert_eq!(send(udp, b"x", NONE), Ok(1));
    assert_eq!(recv(server, &mut [0; 1], NONE), Ok(1));
    // On a descriptor that is not open.
    assert_eq!(dup2(udp, client), Ok(client));
    assert_eq!(dup2(99, udp), Err(Errno::EBADF));
    assert_eq!(dup2(udp, -1), Err(Errno::EBADF));
    assert_eq!(dup2(udp, 1000), Err(Errno::EBADF));
    closed([client, udp]);
    assert_eq!(recv(server, &mut [0; 1], NONE), Ok(0));
    closed([server]);
}

fn send_low_water() {
    let [client, server] = pair();
    setsockopt(client, sockopt::SndBuf, NonZeroU32::new(6000)).expect("TCP");
    setsockopt(client, sockopt::SndLowat, NonZeroU32::new(6000)).expect("TCP");
    assert_eq!(
        getsockopt(client, sockopt::SndLowat),
        Ok(NonZeroU32::new(6000))
    );
    let look = |timeout| poll(&mut [PollFd::new(client, POLLOUT)], timeout);
    assert_eq!(look(0), Ok(1));
    // Held back, so that it is not acknowledged.
    setsockopt(client, sockopt::TcpCork, true).expect("TCP");
    assert_eq!(send(client, b"x", NONE), Ok(1));
    assert_eq!(look(0), Ok(0), "not all of it is free");
    setsockopt(client, sockopt::SndLowat, NonZeroU32::new(5999)).expect("TCP");
    assert_eq!(look(0), Ok(1));
    let udp = socket(AF_INET, SOCK_DGRAM, IPPROTO_UDP).expect("free");
    let refused = setsockopt(udp, sockopt::SndLowat, None);
    assert_eq!(refused, Err(Errno::ENOPROTOOPT));
    let wanted = sockopt::MtuDiscovery::Discover;
    for fd in [udp, client] {
        setsockopt(fd, sockopt::MtuDiscover, wanted).expect("a transport");
        assert_eq!(getsockopt(fd, sockopt::MtuDiscover), Ok(wanted));
    }
    closed([client, server, udp]);
}

fn dup_shares() {
    let [client, server] = pair();
    let twin = dup(client).expect("free");
    assert_ne!(twin, client);
    fcntl(twin, Fcntl::SetFl(O_NONBLOCK)).expect("open");
    assert_eq!(
        recv(client, &mut [0; 1], NONE),
        Err(Errno::EAGAIN),
        "status is shared"
    );
    closed([client]);
    // The connection lives on.
    send(twin, b"still here", NONE).expect("open");
    let mut buf = [0; 20];
    assert_eq!(recv(server, &mut buf, NONE), Ok(10));
    let third = fcntl(twin, Fcntl::DupFd(10)).expect("free");
    assert!(third >= 10);
    closed([twin, third]);
    assert_eq!(
        recv(server, &mut buf, NONE),
        Ok(0),
        "the last one closed it"
    );
    closed([server]);
}

fn lowest_descriptor() {
    let fds = Fds::open(5);
    let first = fds.0[0];
    assert_eq!(fds.0, (first..first + 5).collect::<Vec<_>>());
    closed([fds.0[1], fds.0[3]]);
    assert_eq!(socket(AF_INET, SOCK_DGRAM, IPPROTO_IP), Ok(fds.0[1]));
    assert_eq!(dup(first), Ok(fds.0[3]));
}

fn control() {
    let [client, server] = pair();
    assert_eq!(fcntl(client, Fcntl::GetFl), Ok(2));
    fcntl(client, Fcntl::SetFl(O_NONBLOCK)).expect("open");
    assert_eq!(fcntl(client, Fcntl::GetFl), Ok(0o4002));
    assert_eq!(ioctl(client, Ioctl::FionBio(false)), Ok(0));
    assert_eq!(fcntl(client, Fcntl::GetFl), Ok(2));
    assert_eq!(ioctl(server, Ioctl::FionRead), Ok(0));
    assert_eq!(ioctl(server, Ioctl::SiocAtMark), Ok(0));
    send(client, &[1; 5000], NONE).expect("open");
    wait_until("acknowledged", || ioctl(client, Ioctl::SiocOutQ) == Ok(0));
    assert_eq!(ioctl(server, Ioctl::FionRead), Ok(5000));
    assert_eq!(recv(server, &mut [0; 5000], MSG_WAITALL), Ok(5000));
    closed([client, server]);
}

/// A listener whose backlog is full, so that it does not answer; the connection that fills it; and
/// one that is being made.
fn unanswered() -> [Fd; 3] {
    let listener = common::bsd::listener(1);
    let addr = getsockname(listener).expect("bound");
    let first = socket(AF_INET, SOCK_STREAM, IPPROTO_TCP).expect("free");
    connect(first, addr).expect("somebody listens");
    let second = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, IPPROTO_TCP).expect("free");
    assert_eq!(connect(second, addr), Err(Errno::EINPROGRESS));
    assert_eq!(connect(second, addr), Err(Errno::EALREADY));
    assert_eq!(poll(&mut [PollFd::new(second, POLLOUT)], 0), Ok(0));
    assert_eq!(send(second, b"x", NONE), Err(Errno::ENOTCONN));
    [listener, first, second]
}

fn background_connect() {
    let [listener, first, client] = unanswered();
    let (server, _) = accept(listener).expect("it waits");
    let mut fds = [PollFd::new(client, POLLOUT)];
    assert_eq!(poll(&mut fds, -1), Ok(1));
    assert_eq!(fds[0].revents, POLLOUT);
    assert_eq!(getsockopt(client, sockopt::Error), Ok(None));
    let addr = getsockname(listener).expect("bound");
    assert_eq!(connect(client, addr), Err(Errno::EISCONN));
    closed([listener, first, client, server]);
    // And one that fails.
    let [listener, first, client] = unanswered();
    closed([listener]);
    fds[0].fd = client;
    assert_eq!(poll(&mut fds, -1), Ok(1));
    assert_eq!(fds[0].revents, POLLERR | POLLHUP);
    assert_eq!(
        getsockopt(client, sockopt::Error),
        Ok(Some(Errno::ECONNREFUSED))
    );
    assert_eq!(getsockopt(client, sockopt::Error), Ok(None), "told once");
    closed([first, client]);
}

fn local_pair() {
    let [one, two] = socketpair(AF_UNIX, SOCK_STREAM, IPPROTO_IP).expect("free");
    let data = pattern(100_000);
    let expected = data.clone();
    let writer = thread::spawn(move || {
        data.chunks(777)
            .for_each(|part| assert_eq!(send(one, part, NONE), Ok(part.len())));
        shutdown(one, Shutdown::Write)
    });
    let mut got = vec![0; expected.len()];
    assert_eq!(recv(two, &mut got, MSG_WAITALL), Ok(expected.len()));
    assert!(got == expected);
    assert_eq!(recv(two, &mut got, NONE), Ok(0));
    assert_eq!(writer.join().expect("no panic"), Ok(()));
    // The other way still works.
    assert_eq!(send(two, b"back", NONE), Ok(4));
    assert_eq!(recv(one, &mut got, NONE), Ok(4));
    assert_eq!(send(one, b"x", NONE), Err(Errno::EPIPE));
    let mut fds = [PollFd::new(two, POLLIN | POLLOUT | POLLRDHUP)];
    assert_eq!(poll(&mut fds, 0), Ok(1));
    assert_eq!(fds[0].revents, POLLIN | POLLOUT | POLLRDHUP);
    let sleeper = thread::spawn(move || {
        poll(&mut [PollFd::new(one, POLLIN)], -1)?;
        recv(one, &mut [0; 1], NONE)
    });
    closed([two]);
    assert_eq!(sleeper.join().expect("no panic"), Ok(0));
    closed([one]);
}

fn local_pair_capacity() {
    let [one, two] = socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, IPPROTO_IP).expect("free");
    let mut sent = 0;
    let error = loop {
        match send(one, b"x", NONE) {
            Ok(n) => sent += n,
            Err(error) => break error,
        }
    };
    assert_eq!((error, sent), (Errno::EAGAIN, 8192));
    // Small writes share buffers.
    assert!(common::TX.available() > common::TX.blocks() - 10);
    let mut fds = [PollFd::new(one, POLLOUT)];
    assert_eq!(poll(&mut fds, 0), Ok(0));
    assert_eq!(recv(two, &mut [0; 8000], NONE), Ok(8000));
    assert_eq!(poll(&mut fds, 0), Ok(1));
    // Unread data at the close: the writer learns that it was lost.
    closed([two]);
    assert_eq!(recv(one, &mut [0; 1], NONE), Err(Errno::ECONNRESET));
    assert_eq!(send(one, b"x", NONE), Err(Errno::EPIPE));
    closed([one]);
}

fn event() {
    let bell = eventfd(3, EventFlags::NONE).expect("free");
    assert_eq!(eventfd_read(bell), Ok(3));
    let sleeper = thread::spawn(move || {
        let mut fds = [PollFd::new(bell, POLLIN)];
        assert_eq!(poll(&mut fds, -1), Ok(1));
        let mut number = [0; 8];
        assert_eq!(read(bell, &mut number), Ok(8));
        u64::from_ne_bytes(number)
    });
    wait_until("it sleeps", || common::net().sleepers() == 1);
    assert_eq!(write(bell, &5u64.to_ne_bytes()), Ok(8));
    assert_eq!(sleeper.join().expect("no panic"), 5);
    // Full: the writer sleeps until it is read.
    eventfd_write(bell, u64::MAX - 1).expect("room");
    let mut fds = [PollFd::new(bell, POLLOUT)];
    assert_eq!(poll(&mut fds, 0), Ok(0));
    let writer = thread::spawn(move || eventfd_write(bell, 1));
    wait_until("it sleeps", || common::net().sleepers() == 1);
    assert_eq!(eventfd_read(bell), Ok(u64::MAX - 1));
    assert_eq!(writer.join().expect("no panic"), Ok(()));
    assert_eq!(eventfd_read(bell), Ok(1));
    let counter = eventfd(2, EFD_SEMAPHORE | EFD_NONBLOCK).expect("free");
    assert_eq!(eventfd_read(counter), Ok(1));
    assert_eq!(eventfd_read(counter), Ok(1));
    assert_eq!(eventfd_read(counter), Err(Errno::EAGAIN));
    eventfd_write_from_isr(counter, 1).expect("room");
    assert_eq!(eventfd_read(counter), Ok(1));
    closed([bell, counter]);
}

fn linger_waits() {
    let [client, server] = pair();
    setsockopt(client, sockopt::Linger, Some(common::LIMIT)).expect("open");
    assert_eq!(getsockopt(client, sockopt::Linger), Ok(Some(common::LIMIT)));
    send(client, &[1; 40_000], NONE).expect("open");
    // Not all fits the window if nobody reads; the close sleeps until it is read.
    let reader = thread::spawn(move || {
        let mut got = vec![0; 40_000];
        let n = recv(server, &mut got, MSG_WAITALL);
        closed([server]);
        n
    });
    closed([client]);
    assert_eq!(reader.join().expect("no panic"), Ok(40_000));
    // Bounded: nobody reads, more than the window was written.
    let [client, server] = pair();
    setsockopt(client, sockopt::Linger, Some(Duration::from_millis(30))).expect("open");
    while send(client, &[1; 40_000], MSG_DONTWAIT).is_ok() {}
    closed([client]);
    closed([server]);
}

fn linger_resets() {
    let [client, server] = pair();
    setsockopt(client, sockopt::Linger, Some(Duration::ZERO)).expect("open");
    assert_eq!(
        getsockopt(client, sockopt::Linger),
        Ok(Some(Duration::ZERO))
    );
    closed([client]);
    assert_eq!(recv(server, &mut [0; 1], NONE), Err(Errno::ECONNRESET));
    assert_eq!(recv(server, &mut [0; 1], NONE), Ok(0));
    closed([server]);
}

fn socket_options() {
    let listener = common::bsd::listener(2);
    assert_eq!(getsockopt(listener, sockopt::AcceptConn), Ok(true));
    let [client, server] = pair();
    assert_eq!(getsockopt(client, sockopt::AcceptConn), Ok(false));
    assert_eq!(getsockopt(client, sockopt::SocketType), Ok(SOCK_STREAM));
    assert_eq!(getsockopt(client, sockopt::SocketDomain), Ok(AF_INET));
    assert_eq!(getsockopt(client, sockopt::SocketProtocol), Ok(IPPROTO_TCP));
    assert_eq!(getsockopt(client, sockopt::OobInline), Ok(true));
    setsockopt(client, sockopt::OobInline, true).expect("it is");
    setsockopt(client, sockopt::KeepAlive, true).expect("open");
    assert_eq!(getsockopt(client, sockopt::KeepAlive), Ok(true));
    assert_eq!(getsockopt(client, sockopt::Linger), Ok(None));
    let short = Some(Duration::from_millis(10));
    setsockopt(client, sockopt::RcvTimeo, short).expect("open");
    assert_eq!(getsockopt(client, sockopt::RcvTimeo), Ok(short));
    assert_eq!(recv(client, &mut [0; 1], NONE), Err(Errno::EAGAIN));
    setsockopt(client, sockopt::RcvTimeo, Some(Duration::ZERO)).expect("open");
    assert_eq!(getsockopt(client, sockopt::RcvTimeo), Ok(None));
    setsockopt(client, sockopt::SndTimeo, short).expect("open");
    assert_eq!(getsockopt(client, sockopt::SndTimeo), Ok(short));
    while send(client, &[0; 10_000], NONE).is_ok() {}
    // TCP: a port is free at once for the next listener.
    setsockopt(listener, sockopt::ReuseAddr, true).expect("open");
    assert_eq!(getsockopt(listener, sockopt::ReuseAddr), Ok(true));
    // UDP: two share a port that say so.
    let sharing = || {
        let fd = socket(AF_INET, SOCK_DGRAM, IPPROTO_IP).expect("free");
        setsockopt(fd, sockopt::ReusePort, true).expect("UDP");
        assert_eq!(getsockopt(fd, sockopt::ReusePort), Ok(true));
        fd
    };
    let (one, two) = (sharing(), sharing());
    bind(one, local(0)).expect("a free port");
    bind(two, getsockname(one).expect("bound")).expect("shared");
    assert_eq!(getsockopt(one, sockopt::Broadcast), Ok(false));
    setsockopt(one, sockopt::Broadcast, true).expect("UDP");
    assert_eq!(getsockopt(one, sockopt::Broadcast), Ok(true));
    closed([listener, client, server, one, two]);
}

fn protocol_options() {
    let [client, server] = pair();
    assert_eq!(getsockopt(client, sockopt::NoDelay), Ok(false));
    setsockopt(client, sockopt::NoDelay, true).expect("TCP");
    assert_eq!(getsockopt(client, sockopt::NoDelay), Ok(true));
    let minute = Duration::from_secs(60);
    setsockopt(client, sockopt::KeepIdle, minute).expect("TCP");
    setsockopt(client, sockopt::KeepIntvl, minute).expect("TCP");
    setsockopt(client, sockopt::KeepCnt, 3).expect("TCP");
    assert_eq!(getsockopt(client, sockopt::KeepIdle), Ok(minute));
    assert_eq!(getsockopt(client, sockopt::KeepIntvl), Ok(minute));
    assert_eq!(getsockopt(client, sockopt::KeepCnt), Ok(3));
    let ((one, _), (two, to)) = (datagram_socket(), datagram_socket());
    setsockopt(one, sockopt::Tos, 0xb8).expect("open");
    assert_eq!(getsockopt(one, sockopt::Tos), Ok(0xb8));
    let hops = NonZeroU8::new(3);
    setsockopt(one, sockopt::Ttl, hops).expect("open");
    assert_eq!(getsockopt(one, sockopt::Ttl), Ok(hops));
    setsockopt(one, sockopt::MulticastTtl, 4).expect("UDP");
    assert_eq!(getsockopt(one, sockopt::MulticastTtl), Ok(4));
    sendto(one, b"x", NONE, Some(to)).expect("room");
    let received = recvmsg(two, &mut [&mut [0; 4]], NONE).expect("arrives");
    assert_eq!(received.tos, Some(0xb8));
    closed([client, server, one, two]);
}

fn engine_options() {
    let listener = common::bsd::listener(4);
    let client = socket(AF_INET, SOCK_STREAM, IPPROTO_TCP).expect("free");
    assert_eq!(getsockopt(client, sockopt::MaxSeg), Ok(0));
    assert_eq!(
        getsockopt(client, sockopt::Info).err(),
        Some(Errno::ENOTCONN)
    );
    setsockopt(client, sockopt::MaxSeg, 536).expect("not connected");
    assert_eq!(getsockopt(client, sockopt::MaxSeg), Ok(536));
    let window = NonZeroU32::new(8000);
    setsockopt(client, sockopt::RcvBuf, window).expect("TCP");
    setsockopt(client, sockopt::SynCnt, NonZeroU8::new(2)).expect("TCP");
    assert_eq!(getsockopt(client, sockopt::SynCnt), Ok(NonZeroU8::new(2)));
    let minute = Some(Duration::from_secs(60));
    setsockopt(client, sockopt::UserTimeout, minute).expect("TCP");
    assert_eq!(getsockopt(client, sockopt::UserTimeout), Ok(minute));
    connect(client, getsockname(listener).expect("bound")).expect("somebody listens");
    // Set on the listener after listening: inherited.
    setsockopt(listener, sockopt::TcpQuickAck, true).expect("TCP");
    let (server, _) = accept(listener).expect("it waits");
    // Less the time stamps.
    assert_eq!(getsockopt(client, sockopt::MaxSeg), Ok(524));
    assert_eq!(getsockopt(client, sockopt::RcvBuf), Ok(window));
    let info = getsockopt(client, sockopt::Info).expect("connected");
    assert_eq!(info.rcv_wnd, 8000);
    assert_eq!(getsockopt(client, sockopt::Congestion), Ok(info.congestion));
    let reno = sockopt::CongestionControl::NewReno;
    setsockopt(client, sockopt::Congestion, reno).expect("TCP");
    assert_eq!(getsockopt(client, sockopt::Congestion), Ok(reno));
    assert_eq!(
        getsockopt(client, sockopt::Info)
            .expect("connected")
            .congestion,
        reno
    );
    // More than the window is held back until it is read.
    setsockopt(client, sockopt::TcpQuickAck, true).expect("TCP");
    assert_eq!(getsockopt(client, sockopt::TcpQuickAck), Ok(true));
    assert_eq!(send(server, &[1; 20_000], NONE), Ok(20_000));
    wait_until("the window is full", || {
        ioctl(client, Ioctl::FionRead).is_ok_and(|n| n > 7000)
    });
    assert!(ioctl(client, Ioctl::FionRead).expect("open") <= 8000);
    assert_eq!(recv(client, &mut [0; 20_000], MSG_WAITALL), Ok(20_000));
    // Corked bytes leave when the cork is drawn.
    setsockopt(client, sockopt::TcpCork, true).expect("TCP");
    assert_eq!(getsockopt(client, sockopt::TcpCork), Ok(true));
    assert_eq!(send(client, b"held ", NONE), Ok(5));
    assert_eq!(send(client, b"back", NONE), Ok(4));
    setsockopt(client, sockopt::TcpCork, false).expect("TCP");
    assert_eq!(recv(server, &mut [0; 9], MSG_WAITALL), Ok(9));
    assert!(
        getsockopt(server, sockopt::Info)
            .expect("connected")
            .bytes_sent
            >= 20_000
    );
    closed([client, server, listener]);
    // A listener that accepts when data has come.
    let listener = socket(AF_INET, SOCK_STREAM, IPPROTO_TCP).expect("free");
    setsockopt(listener, sockopt::DeferAccept, minute).expect("not listening");
    assert_eq!(getsockopt(listener, sockopt::DeferAccept), Ok(minute));
    bind(listener, local(0)).expect("a free port");
    listen(listener, 4).expect("bound");
    let client = socket(AF_INET, SOCK_STREAM, IPPROTO_TCP).expect("free");
    connect(client, getsockname(listener).expect("bound")).expect("somebody listens");
    let mut fds = [PollFd::new(listener, POLLIN)];
    assert_eq!(poll(&mut fds, 20), Ok(0));
    send(client, b"hello", NONE).expect("open");
    assert_eq!(poll(&mut fds, -1), Ok(1));
    let (server, _) = accept(listener).expect("it waits");
    assert_eq!(recv(server, &mut [0; 8], NONE), Ok(5));
    closed([client, server, listener]);
}

fn accepting() {
    let listener = common::bsd::listener(4);
    setsockopt(listener, sockopt::NoDelay, true).expect("TCP");
    fcntl(listener, Fcntl::SetFl(O_NONBLOCK)).expect("open");
    assert_eq!(accept(listener), Err(Errno::EAGAIN));
    let addr = getsockname(listener).expect("bound");
    let client = socket(AF_INET, SOCK_STREAM, IPPROTO_TCP).expect("free");
    connect(client, addr).expect("somebody listens");
    let mut fds = [PollFd::new(listener, POLLIN)];
    assert_eq!(poll(&mut fds, -1), Ok(1));
    let (server, peer) = accept(listener).expect("it waits");
    assert_eq!(Ok(peer), getsockname(client));
    assert_eq!(
        fcntl(server, Fcntl::GetFl),
        Ok(2),
        "O_NONBLOCK is not inherited"
    );
    assert_eq!(getsockopt(server, sockopt::NoDelay), Ok(true));
    let second = socket(AF_INET, SOCK_STREAM, IPPROTO_TCP).expect("free");
    connect(second, addr).expect("somebody listens");
    assert_eq!(poll(&mut fds, -1), Ok(1));
    let (other, _) = accept4(listener, SOCK_NONBLOCK | SOCK_CLOEXEC).expect("it waits");
    assert_eq!(fcntl(other, Fcntl::GetFl), Ok(0o4002));
    closed([listener, client, server, second, other]);
}

fn closing_wakes() {
    let [client, server] = pair();
    let sleepers: Vec<_> = (0..2)
        .map(|_| thread::spawn(move || recv(client, &mut [0; 1], NONE)))
        .chain([thread::spawn(move || {
            let mut fds = [PollFd::new(client, POLLIN)];
            poll(&mut fds, -1).map(|n| n * usize::from(fds[0].revents == POLLNVAL))
        })])
        .collect();
    wait_until("three sleep", || common::net().sleepers() == 3);
    closed([client]);
    let results: Vec<_> = sleepers
        .into_iter()
        .map(|s| s.join().expect("no panic"))
        .collect();
    assert_eq!(results, [Err(Errno::EBADF), Err(Errno::EBADF), Ok(1)]);
    closed([server]);
}

fn addresses() {
    let mut buf = [0; 46];
    let v4 = inet_pton(AF_INET, "192.0.2.1").expect("an address");
    assert_eq!(inet_ntop(v4, &mut buf), Ok("192.0.2.1"));
    let v6 = inet_pton(AF_INET6, "2001:db8::1").expect("an address");
    assert_eq!(inet_ntop(v6, &mut buf), Ok("2001:db8::1"));
    let hints = |flags, socktype| Hints {
        flags,
        socktype,
        ..Hints::default()
    };
    let find = |host, service, hints: Hints| {
        getaddrinfo(host, service, &hints).map(|found| {
            found
                .map(|info| (info.socktype, info.addr))
                .collect::<Vec<_>>()
        })
    };
    let v4: SocketAddr = "192.0.2.1:80".parse().expect("an address");
    let both = vec![(SOCK_STREAM, v4), (SOCK_DGRAM, v4)];
    assert_eq!(
        find(Some("192.0.2.1"), Some("80"), Hints::default()),
        Ok(both)
    );
    let any = "0.0.0.0:7".parse().expect("an address");
    let passive = hints(AI_PASSIVE, Some(SOCK_DGRAM));
    assert_eq!(find(None, Some("7"), passive), Ok(vec![(SOCK_DGRAM, any)]));
    let stream = hints(AiFlags::NONE, Some(SOCK_STREAM));
    assert_eq!(
        find(None, Some("7"), stream),
        Ok(vec![(SOCK_STREAM, local(7))])
    );
    let family = Hints {
        family: Some(AF_INET6),
        ..Hints::default()
    };
    assert_eq!(find(Some("192.0.2.1"), None, family), Err(EaiError::Family));
    // This host, for who asks for IPv6, and an address of the other family.
    for (flags, ip) in [(AiFlags::NONE, "::1"), (AI_PASSIVE, "::")] {
        let v6 = Hints { flags, ..family };
        let found = getaddrinfo(None, Some("7"), &v6).expect("always");
        let addr = SocketAddr::new(ip.parse().expect("an address"), 7);
        assert!(
            found
                .map(|info| (info.family, info.addr))
                .eq([(AF_INET6, addr); 2])
        );
    }
    let v4_only = Hints {
        family: Some(AF_INET),
        ..family
    };
    assert_eq!(find(Some("::1"), Some("7"), v4_only), Err(EaiError::Family));
    assert_eq!(find(None, None, stream), Err(EaiError::NoName));
    assert_eq!(
        find(Some("example.org"), None, stream),
        Err(EaiError::NoName)
    );
    assert_eq!(find(None, Some("http"), stream), Err(EaiError::Service));
    assert_eq!(
        find(None, Some("7"), hints(AiFlags::NONE, Some(SOCK_RAW))),
        Err(EaiError::SockType)
    );
}

fn callbacks() {
    use std::sync::atomic::{AtomicUsize, Ordering};
    static READS: AtomicUsize = AtomicUsize::new(0);
    let event = gannet_netconn::Netconn::event(common::net(), 0).expect("free");
    event
        .on_event(
            Some(|arg, ready| {
                assert!(ready.read);
                READS.fetch_add(arg, Ordering::Relaxed);
            }),
            10,
        )
        .expect("open");
    event
        .post(1, gannet_sockets::Patience::Never)
        .expect("room");
    assert_eq!(READS.load(Ordering::Relaxed), 10);
    event.on_event(None, 0).expect("open");
    event
        .post(1, gannet_sockets::Patience::Never)
        .expect("room");
    assert_eq!(READS.load(Ordering::Relaxed), 10);
    event.close();
    // The tcpip thread tells of data.
    static ARRIVED: AtomicUsize = AtomicUsize::new(0);
    let listener = gannet_sockets::TcpListener::bind_on(common::net(), local(0), 1).expect("free");
    let client = gannet_sockets::TcpStream::connect(listener.local_addr().expect("bound"))
        .expect("somebody listens");
    let (server, _) = listener.accept().expect("it waits");
    let count = |_, ready: gannet_netconn::Ready| {
        ARRIVED.fetch_add(usize::from(ready.read), Ordering::Relaxed);
    };
    server.netconn().on_event(Some(count), 0).expect("open");
    client.write_all(b"hello").expect("open");
    wait_until("it is told", || ARRIVED.load(Ordering::Relaxed) > 0);
    assert_eq!(server.read(&mut [0; 8]), Ok(5));
}
