//! Calls while something has run out: descriptors of buffers, endpoints of the stack, room for the
//! next of several messages.
mod common;

use std::net::SocketAddr;

use common::bsd::{Fds, closed, pair, table};
use common::{HEADERS, TX, assert_at_rest, local, pattern, wait_until, within_limit};
use gannet_sockets::Pbuf;
use gannet_sockets::bsd::*;

const NONE: MsgFlags = MsgFlags::NONE;

#[test]
fn scarce() {
    within_limit(|| {
        for (name, test) in [
            ("reading goes on without descriptors", streams as fn()),
            ("so does reading from a local pair", local_streams),
            ("the stack's UDP endpoints", udp_endpoints),
            ("waiters", waiters),
            ("messages of which some fit", some_messages),
            ("a time that passes between messages", time_passes),
        ] {
            println!("{name}");
            table();
            test();
            assert_eq!(table().in_use(), 0);
            assert_at_rest();
        }
    });
}

/// Takes all descriptors of buffers, and no buffer.
fn all_descriptors() -> Vec<Pbuf> {
    let one = || {
        let of_data = Pbuf::from_static(&TX, b"x");
        of_data.or_else(|_| Pbuf::from_static(&HEADERS, b"x")).ok()
    };
    std::iter::from_fn(one).collect()
}

fn streams() {
    let [from, to] = pair();
    reads_without_descriptors(from, to);
}

fn local_streams() {
    let [from, to] = socketpair(AF_UNIX, SOCK_STREAM, IPPROTO_IP).expect("free");
    reads_without_descriptors(from, to);
}

/// To cut a buffer in two takes a descriptor.
fn reads_without_descriptors(from: Fd, to: Fd) {
    let data = pattern(300);
    assert_eq!(send(from, &data, NONE), Ok(data.len()));
    wait_until("all is there", || ioctl(to, Ioctl::FionRead) == Ok(300));
    wait_until("and acknowledged", || {
        ioctl(from, Ioctl::SiocOutQ) == Ok(0) || is_local(from)
    });
    let all = all_descriptors();
    let mut got: Vec<u8> = vec![];
    while got.len() < data.len() {
        let mut buf = [0; 70];
        let seen = recv(to, &mut buf, MSG_PEEK).expect("there is some");
        assert!(seen > 0);
        assert_eq!(buf[..seen], data[got.len()..][..seen]);
        let n = recv(to, &mut buf, NONE).expect("there is some");
        assert_eq!(n, seen);
        got.extend(&buf[..n]);
    }
    assert!(got == data);
    drop(all);
    closed([from, to]);
}

fn is_local(fd: Fd) -> bool {
    getsockopt(fd, sockopt::SocketDomain) == Ok(AF_UNIX)
}

/// The table of the stack is smaller than that of sockets: who has none when it first sends is told.
fn udp_endpoints() {
    let bound = Fds::open(80);
    for fd in &bound.0 {
        bind(*fd, local(0)).expect("a free port");
    }
    let to = getsockname(bound.0[0]).expect("bound");
    let one_more = Fds::open(1);
    let fd = one_more.0[0];
    assert_eq!(sendto(fd, b"x", NONE, Some(to)), Err(Errno::ENOBUFS));
    assert_eq!(connect(fd, to), Err(Errno::ENOBUFS));
    assert_eq!(bind(fd, local(0)), Err(Errno::ENOBUFS));
    assert_eq!(getsockname(fd), Ok(SocketAddr::from(([0, 0, 0, 0], 0))));
    close(bound.0[79]).expect("open");
    wait_until("one is free again", || {
        sendto(fd, b"hello", NONE, Some(to)) == Ok(5)
    });
    // What could not be sent is not sent now.
    let mut buf = [0; 9];
    assert_eq!(recv(bound.0[0], &mut buf, NONE), Ok(5));
    assert_eq!(recv(bound.0[0], &mut buf, MSG_DONTWAIT), Err(Errno::EAGAIN));
}

/// A call that could not wait for its answer used to leave it behind, and the next one waited for it
/// for ever.
fn waiters() {
    let event = eventfd(0, EFD_SEMAPHORE).expect("free");
    let sleepers: Vec<_> = (0..64)
        .map(|_| std::thread::spawn(move || eventfd_read(event)))
        .collect();
    wait_until("all sleep", || common::net().sleepers() == 64);
    let fds = Fds::open(2);
    let (fd, other) = (fds.0[0], fds.0[1]);
    let mut buf = [0; 9];
    assert_eq!(bind(fd, local(0)), Err(Errno::ENOBUFS));
    assert_eq!(connect(other, local(9)), Err(Errno::ENOBUFS));
    assert_eq!(recv(fd, &mut buf, NONE), Err(Errno::ENOBUFS));
    assert_eq!(
        poll(&mut [PollFd::new(fd, POLLIN)], -1),
        Err(Errno::ENOBUFS)
    );
    assert_eq!(recv(fd, &mut buf, MSG_DONTWAIT), Err(Errno::EAGAIN));
    eventfd_write(event, 64).expect("room");
    for sleeper in sleepers {
        assert_eq!(sleeper.join().expect("no panic"), Ok(1));
    }
    bind(fd, local(0)).expect("a free port");
    let to = getsockname(fd).expect("bound");
    // A datagram to somewhere new is sent all the same; what became of it nobody is told.
    let sleepers: Vec<_> = (0..64)
        .map(|_| std::thread::spawn(move || eventfd_read(event)))
        .collect();
    wait_until("all sleep", || common::net().sleepers() == 64);
    assert_eq!(sendto(other, b"sent", NONE, Some(to)), Ok(4));
    eventfd_write(event, 64).expect("room");
    for sleeper in sleepers {
        assert_eq!(sleeper.join().expect("no panic"), Ok(1));
    }
    assert_eq!(recv(fd, &mut buf, NONE), Ok(4));
    closed([event]);
}

fn some_messages() {
    let [from, to] = socketpair(AF_UNIX, SOCK_STREAM, IPPROTO_IP).expect("free");
    // A local pair holds 8,192 bytes.
    let (large, small) = ([1; 5000], [2; 10]);
    let send_all = |iovs: &[&[&[u8]]]| {
        let messages: Vec<_> = iovs.iter().map(|iov| SendMsg { to: None, iov }).collect();
        sendmmsg(from, &messages, MSG_DONTWAIT)
    };
    // Of the second a part is sent, and does not count.
    assert_eq!(send_all(&[&[&large], &[&large], &[&small]]), Ok(1));
    let mut buf = vec![0; 10_000];
    assert_eq!(recv(to, &mut buf, NONE), Ok(8192));
    // Of the second nothing is; the error is for the next call.
    assert_eq!(send_all(&[&[&large, &large[..3192]], &[&small]]), Ok(1));
    assert_eq!(send_all(&[&[&small]]), Err(Errno::EAGAIN));
    closed([from, to]);
}

fn time_passes() {
    let [from, to] = socketpair(AF_UNIX, SOCK_DGRAM, IPPROTO_IP).expect("free");
    for byte in 1..=3u8 {
        assert_eq!(send(from, &[byte], NONE), Ok(1));
    }
    let (mut one, mut two) = ([0; 1], [0; 1]);
    let (mut first, mut second): ([&mut [u8]; 1], [&mut [u8]; 1]) = ([&mut one], [&mut two]);
    let mut places = [&mut first, &mut second].map(|iov| RecvMsg {
        iov,
        received: ReceivedMsg::default(),
    });
    let soon = Some(std::time::Duration::ZERO);
    assert_eq!(recvmmsg(to, &mut places, NONE, soon), Ok(1));
    assert_eq!(places[0].received.len, 1);
    assert_eq!(places[1].received, ReceivedMsg::default());
    assert_eq!(one, [1]);
    // The others still wait, for who has time or asks for no more than there are.
    assert_eq!(send(from, &[4], NONE), Ok(1));
    assert_eq!(recv(to, &mut [0; 1], NONE), Ok(1));
    let (mut first, mut second): ([&mut [u8]; 1], [&mut [u8]; 1]) = ([&mut one], [&mut two]);
    let mut places = [&mut first, &mut second].map(|iov| RecvMsg {
        iov,
        received: ReceivedMsg::default(),
    });
    let later = Some(std::time::Duration::from_secs(3600));
    assert_eq!(recvmmsg(to, &mut places, NONE, later), Ok(2));
    assert_eq!((one, two), ([3], [4]));
    closed([from, to]);
}
