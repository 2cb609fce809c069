//! Datagrams that find no room: who sends them sleeps or is told, and is woken; and local pairs.
mod common;

use std::net::SocketAddr;
use std::num::{NonZeroU8, NonZeroU32};
use std::thread;
use std::time::Duration;

use common::bsd::{closed, table};
use common::{TX, assert_at_rest, local, net, pattern, wait_until, within_limit};
use gannet_sockets::bsd::*;
use gannet_sockets::{Pbuf, UdpSocket};

const NONE: MsgFlags = MsgFlags::NONE;

#[test]
fn datagrams() {
    within_limit(|| {
        for (name, test) in [
            ("a sender sleeps until there is a buffer", sleeps as fn()),
            ("a sender that does not sleep is told", told),
            ("POLLOUT says when there is room", pollout),
            ("closing wakes a sender", closing_wakes),
            ("a burst is not lost on its way", burst),
            ("SO_SNDBUF of UDP", send_buffer),
            ("a long datagram waits for its buffers", long),
            ("hops of a datagram", hops),
            ("pairs keep messages apart", pair_messages),
            ("a pair waits for its reader", pair_full),
            ("a pair that is closed", pair_closed),
            (
                "a pair closed while there are no buffers",
                pair_closed_without_room,
            ),
        ] {
            println!("{name}");
            table();
            test();
            assert_eq!(table().in_use(), 0);
            assert_at_rest();
        }
    });
}

/// Takes all buffers that data is copied to.
fn all_buffers() -> Vec<Pbuf> {
    std::iter::from_fn(|| Pbuf::alloc(&TX, 0, 1).ok()).collect()
}

/// A bound UDP socket.
fn udp() -> (Fd, SocketAddr) {
    let fd = socket(AF_INET, SOCK_DGRAM, IPPROTO_UDP).expect("free");
    bind(fd, local(0)).expect("a free port");
    (fd, getsockname(fd).expect("bound"))
}

fn datagram_pair() -> [Fd; 2] {
    socketpair(AF_UNIX, SOCK_DGRAM, IPPROTO_IP).expect("free")
}

fn sleeps() {
    let (fd, addr) = udp();
    let all = all_buffers();
    let senders: Vec<_> = (0..3u8)
        .map(|n| thread::spawn(move || sendto(fd, &[n], NONE, Some(addr))))
        .collect();
    wait_until("they sleep", || net().sleepers() == 3);
    // In a thread that tells nobody.
    drop(all);
    for sender in senders {
        assert_eq!(sender.join().expect("no panic"), Ok(1));
    }
    let mut got: Vec<_> = (0..3)
        .map(|_| {
            let mut buf = [0xff];
            assert_eq!(recv(fd, &mut buf, NONE), Ok(1));
            buf[0]
        })
        .collect();
    got.sort_unstable();
    assert_eq!(got, [0, 1, 2]);
    closed([fd]);
}

fn told() {
    let (fd, addr) = udp();
    let all = all_buffers();
    let send = |flags| sendto(fd, b"x", flags, Some(addr));
    assert_eq!(send(MSG_DONTWAIT), Err(Errno::EAGAIN));
    setsockopt(fd, sockopt::SndTimeo, Some(Duration::from_millis(30))).expect("not too long");
    assert_eq!(send(NONE), Err(Errno::EAGAIN));
    fcntl(fd, Fcntl::SetFl(O_NONBLOCK)).expect("open");
    assert_eq!(send(NONE), Err(Errno::EAGAIN));
    drop(all);
    assert_eq!(send(NONE), Ok(1));
    let mut fds = [PollFd::new(fd, POLLIN)];
    assert_eq!(poll(&mut fds, -1), Ok(1));
    assert_eq!(recv(fd, &mut [0; 1], NONE), Ok(1));
    closed([fd]);
}

fn pollout() {
    let (fd, addr) = udp();
    let look = move |timeout| poll(&mut [PollFd::new(fd, POLLOUT)], timeout);
    assert_eq!(look(0), Ok(1));
    let all = all_buffers();
    assert_eq!(look(0), Ok(0));
    let polling = thread::spawn(move || look(-1));
    wait_until("it sleeps", || net().sleepers() == 1);
    drop(all);
    assert_eq!(polling.join().expect("no panic"), Ok(1));
    assert_eq!(sendto(fd, b"x", MSG_DONTWAIT, Some(addr)), Ok(1));
    assert_eq!(recv(fd, &mut [0; 1], NONE), Ok(1));
    closed([fd]);
}

fn closing_wakes() {
    let (fd, addr) = udp();
    let all = all_buffers();
    let sender = thread::spawn(move || sendto(fd, b"x", NONE, Some(addr)));
    wait_until("it sleeps", || net().sleepers() == 1);
    closed([fd]);
    assert_eq!(sender.join().expect("no panic"), Err(Errno::EBADF));
    drop(all);
}

/// Faster than the stack takes them: all queues on the way are full.
fn burst() {
    const COUNT: u32 = 5000;
    let receiver = UdpSocket::bind(local(0)).expect("a free port");
    let sender = UdpSocket::bind(local(0)).expect("a free port");
    let to = receiver.local_addr().expect("bound");
    for n in 0..COUNT {
        assert_eq!(sender.send_to(&n.to_be_bytes(), to), Ok(4));
    }
    let (mut received, mut dropped) = (0, 0);
    receiver.set_nonblocking(true).expect("open");
    wait_until("all have arrived", || {
        while receiver.recv_from(&mut [0; 4]).is_ok() {
            received += 1;
        }
        dropped += receiver.netconn().take_dropped().expect("open");
        received + dropped == COUNT
    });
    assert!(received > 0);
}

fn send_buffer() {
    let (fd, addr) = udp();
    assert_eq!(getsockopt(fd, sockopt::SndBuf), Ok(None));
    setsockopt(fd, sockopt::SndBuf, NonZeroU32::new(10)).expect("open");
    // One always may, however long.
    assert_eq!(sendto(fd, &[1; 1000], NONE, Some(addr)), Ok(1000));
    assert_eq!(recv(fd, &mut [0; 1000], NONE), Ok(1000));
    closed([fd]);
}

fn long() {
    let (fd, addr) = udp();
    let mut all = all_buffers();
    // One buffer is free, 7 are needed.
    all.pop();
    let data = pattern(10_000);
    assert_eq!(
        sendto(fd, &data, MSG_DONTWAIT, Some(addr)),
        Err(Errno::EAGAIN)
    );
    assert_eq!(
        poll(&mut [PollFd::new(fd, POLLOUT)], 0),
        Ok(0),
        "not so long a one"
    );
    let sender = thread::spawn(move || sendto(fd, &pattern(10_000), NONE, Some(addr)));
    wait_until("it sleeps", || net().sleepers() == 1);
    drop(all);
    assert_eq!(sender.join().expect("no panic"), Ok(10_000));
    let mut back = vec![0; 10_001];
    assert_eq!(recv(fd, &mut back, NONE), Ok(10_000));
    assert_eq!(back[..10_000], data);
    closed([fd]);
}

fn hops() {
    let (fd, addr) = udp();
    setsockopt(fd, sockopt::Ttl, NonZeroU8::new(7)).expect("open");
    assert_eq!(sendto(fd, b"x", NONE, Some(addr)), Ok(1));
    let received = recvmsg(fd, &mut [&mut [0; 1]], NONE).expect("a datagram");
    assert_eq!((received.ttl, received.to), (Some(7), Some(addr.ip())));
    closed([fd]);
}

fn pair_messages() {
    let [one, two] = datagram_pair();
    assert_eq!(getsockopt(one, sockopt::SocketType), Ok(SOCK_DGRAM));
    assert_eq!(getsockopt(one, sockopt::SocketDomain), Ok(AF_UNIX));
    for message in [&b"first"[..], b"", b"a third"] {
        assert_eq!(send(one, message, NONE), Ok(message.len()));
    }
    assert_eq!(ioctl(two, Ioctl::FionRead), Ok(5));
    let mut buf = [0; 4];
    let cut = recvmsg(two, &mut [&mut buf], MSG_PEEK).expect("a message");
    assert_eq!((cut.len, cut.flags, cut.from), (4, MSG_TRUNC, None));
    assert_eq!(recv(two, &mut [0; 9], NONE), Ok(5));
    assert_eq!(recv(two, &mut [0; 9], NONE), Ok(0), "an empty message");
    assert_eq!(recv(two, &mut [0; 9], NONE), Ok(7));
    assert_eq!(recv(two, &mut [0; 9], MSG_DONTWAIT), Err(Errno::EAGAIN));
    assert_eq!(write(two, b"back"), Ok(4));
    assert_eq!(read(one, &mut [0; 9]), Ok(4));
    assert_eq!(connect(one, local(1)), Err(Errno::EOPNOTSUPP));
    closed([one, two]);
}

fn pair_full() {
    let [one, two] = datagram_pair();
    let mut sent = 0u32;
    while send(one, &sent.to_be_bytes(), MSG_DONTWAIT).is_ok() {
        sent += 1;
    }
    assert_eq!(sent, 16);
    let look = move |timeout| poll(&mut [PollFd::new(one, POLLOUT)], timeout);
    assert_eq!(look(0), Ok(0));
    let sender = thread::spawn(move || {
        for n in 16..200u32 {
            assert_eq!(send(one, &n.to_be_bytes(), NONE), Ok(4));
        }
        assert_eq!(look(-1), Ok(1));
    });
    wait_until("it sleeps", || net().sleepers() == 1);
    for n in 0..200u32 {
        let mut buf = [0; 4];
        assert_eq!(recv(two, &mut buf, NONE), Ok(4));
        assert_eq!(u32::from_be_bytes(buf), n, "in order, without loss");
    }
    sender.join().expect("no panic");
    closed([one, two]);
}

fn pair_closed() {
    let [one, two] = datagram_pair();
    assert_eq!(send(one, b"last", NONE), Ok(4));
    let reader = thread::spawn(move || recv(one, &mut [0; 1], NONE));
    wait_until("it sleeps", || net().sleepers() == 1);
    assert_eq!(recv(two, &mut [0; 4], NONE), Ok(4));
    closed([two]);
    assert_eq!(reader.join().expect("no panic"), Ok(0), "the end");
    assert_eq!(send(one, b"x", NONE), Err(Errno::ECONNREFUSED));
    let mut fds = [PollFd::new(one, POLLIN | POLLOUT)];
    assert_eq!(poll(&mut fds, -1), Ok(1));
    assert!(fds[0].revents.contains(POLLHUP));
    closed([one]);
    // What nobody read is given back.
    let [one, two] = datagram_pair();
    assert_eq!(send(one, b"unread", NONE), Ok(6));
    closed([two, one]);
}

/// Who waited for buffers here used to be woken, and to wait again, without end.
fn pair_closed_without_room() {
    let [one, two] = datagram_pair();
    let all = all_buffers();
    let sender = thread::spawn(move || send(one, b"x", NONE));
    wait_until("it sleeps", || net().sleepers() == 1);
    closed([two]);
    let outcome = sender.join().expect("no panic");
    assert_eq!(outcome, Err(Errno::ECONNREFUSED));
    assert_eq!(send(one, b"x", NONE), Err(Errno::ECONNREFUSED));
    drop(all);
    closed([one]);
}
