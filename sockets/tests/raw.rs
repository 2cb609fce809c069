//! Raw and packet sockets over loopback, by descriptors and as types of Rust.
#![cfg(all(feature = "raw", feature = "packet"))]
mod common;

use std::net::{IpAddr, Ipv4Addr};
use std::thread;
use std::time::Duration;

use common::bsd::{closed, table};
use common::{assert_at_rest, local, net, within_limit};
use gannet_core::wire::checksum::checksum;
use gannet_sockets::bsd::*;
use gannet_sockets::packet::{Class, EtherType, Filter, NetifId};
use gannet_sockets::{Error, Header, PacketSocket, Protocol as Ip, RawSocket, UdpSocket};

const NONE: MsgFlags = MsgFlags::NONE;
const HOST: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);
/// RFC 3692 §2.1: for experiments.
const EXPERIMENT: Ip = Ip(253);

#[test]
fn raw_and_packet_sockets() {
    within_limit(|| {
        for (name, test) in [
            ("a ping, by descriptors", ping as fn()),
            ("the options of raw sockets", options),
            ("raw addresses", addresses),
            ("raw packets with their own header", header_included),
            ("a raw socket in poll", polled),
            ("raw sockets of Rust", raw_sockets),
            ("closing a raw socket wakes", closing_wakes),
            ("out of raw endpoints", out_of_endpoints),
            ("capture, by descriptors", capture),
            ("packet sockets of Rust", packet_sockets),
            ("a capture that is not read", unread_capture),
            ("what packet sockets refuse", refused),
        ] {
            println!("{name}");
            table();
            test();
            assert_eq!(table().in_use(), 0);
            assert_at_rest();
        }
    });
}

/// An ICMP echo request.
fn echo_request(sequence: u8) -> Vec<u8> {
    let mut message = vec![8, 0, 0, 0, 0x12, 0x34, 0, sequence];
    message.extend(b"are you there?");
    let sum = checksum(&message);
    message[2..4].copy_from_slice(&sum.to_be_bytes());
    message
}

fn raw(protocol: Protocol) -> Fd {
    socket(AF_INET, SOCK_RAW, protocol).expect("free")
}

fn ping() {
    let fd = raw(IPPROTO_ICMP);
    let request = echo_request(1);
    assert_eq!(
        sendto(fd, &request, NONE, Some(local(0))),
        Ok(request.len())
    );
    // Over loopback the request is seen, too.
    let mut buf = [0; 100];
    for kind in [8, 0] {
        let received = recvmsg(fd, &mut [&mut buf], NONE).expect("a packet");
        assert_eq!(received.len, 20 + request.len());
        assert_eq!(received.from, Some(local(0)));
        assert_eq!((received.to, received.ttl), (Some(HOST), Some(64)));
        assert_eq!(received.netif, Some(NetifId::LOOPBACK));
        assert_eq!((buf[0], buf[9], buf[20]), (0x45, 1, kind));
        assert_eq!(buf[24..20 + request.len()], request[4..]);
    }
    assert_eq!(recv(fd, &mut buf, MSG_DONTWAIT), Err(Errno::EAGAIN));
    closed([fd]);
}

fn options() {
    let fd = raw(Protocol::Ip(200));
    assert_eq!(getsockopt(fd, sockopt::SocketType), Ok(SOCK_RAW));
    assert_eq!(getsockopt(fd, sockopt::SocketDomain), Ok(AF_INET));
    assert_eq!(
        getsockopt(fd, sockopt::SocketProtocol),
        Ok(Protocol::Ip(200))
    );
    assert_eq!(getsockopt(fd, sockopt::HdrIncl), Ok(false));
    assert_eq!(setsockopt(fd, sockopt::MulticastTtl, 3), Ok(()));
    assert_eq!(getsockopt(fd, sockopt::NoDelay), Err(Errno::ENOPROTOOPT));
    assert_eq!(listen(fd, 1), Err(Errno::EOPNOTSUPP));
    assert_eq!(accept(fd), Err(Errno::EOPNOTSUPP));
    assert_eq!(ioctl(fd, Ioctl::SiocOutQ), Err(Errno::EOPNOTSUPP));
    let udp = socket(AF_INET, SOCK_DGRAM, IPPROTO_UDP).expect("free");
    assert_eq!(
        setsockopt(udp, sockopt::HdrIncl, true),
        Err(Errno::ENOPROTOOPT)
    );
    // What raw sockets have no part in.
    assert_eq!(
        getsockopt(fd, sockopt::MtuDiscover),
        Err(Errno::ENOPROTOOPT)
    );
    for protocol in [IPPROTO_ICMP, IPPROTO_TCP, IPPROTO_UDP] {
        let named = raw(protocol);
        assert_eq!(getsockopt(named, sockopt::SocketProtocol), Ok(protocol));
        closed([named]);
    }
    closed([fd, udp]);
}

fn addresses() {
    let fd = raw(Protocol::Ip(EXPERIMENT.0));
    assert_eq!(send(fd, b"x", NONE), Err(Errno::EDESTADDRREQ));
    assert_eq!(getpeername(fd), Err(Errno::ENOTCONN));
    let foreign = ([192, 0, 2, 1], 0).into();
    assert_eq!(bind(fd, foreign), Err(Errno::EADDRNOTAVAIL));
    assert_eq!(connect(fd, foreign), Err(Errno::ENETUNREACH));
    assert_eq!(
        sendto(fd, b"x", NONE, Some(foreign)),
        Err(Errno::ENETUNREACH)
    );
    bind(fd, local(0)).expect("own");
    assert_eq!(getsockname(fd), Ok(local(0)));
    connect(fd, local(99)).expect("a route");
    assert_eq!(getpeername(fd), Ok(local(0)), "no port");
    assert_eq!(send(fd, b"hello", NONE), Ok(5));
    let mut buf = [0; 30];
    assert_eq!(recvfrom(fd, &mut buf, NONE), Ok((25, Some(local(0)))));
    assert_eq!(buf[20..25], *b"hello");
    // Only what comes from the peer.
    connect(fd, ([127, 0, 0, 9], 0).into()).expect("a route");
    let other = raw(Protocol::Ip(EXPERIMENT.0));
    sendto(other, b"x", NONE, Some(local(0))).expect("sent");
    assert_eq!(recv(other, &mut buf, NONE), Ok(21));
    assert_eq!(recv(fd, &mut buf, MSG_DONTWAIT), Err(Errno::EAGAIN));
    disconnect(fd).expect("open");
    assert_eq!(getpeername(fd), Err(Errno::ENOTCONN));
    closed([fd, other]);
}

fn header_included() {
    let fd = raw(Protocol::Ip(EXPERIMENT.0));
    setsockopt(fd, sockopt::HdrIncl, true).expect("raw");
    assert_eq!(sendto(fd, b"x", NONE, Some(local(0))), Err(Errno::EINVAL));
    let mut packet = [0u8; 24];
    packet[0] = 0x45;
    (packet[8], packet[9]) = (3, EXPERIMENT.0);
    packet[16..20].copy_from_slice(&[127, 0, 0, 1]);
    packet[20..].copy_from_slice(b"mine");
    // Where to is in the header.
    assert_eq!(send(fd, &packet, NONE), Ok(24));
    let mut buf = [0; 30];
    assert_eq!(recv(fd, &mut buf, NONE), Ok(24));
    assert_eq!((buf[3], buf[8], &buf[20..24]), (24, 3, &b"mine"[..]));
    assert_eq!(buf[12..16], [127, 0, 0, 1], "the source was filled in");
    assert_eq!(checksum(&buf[..20]), 0, "as was the checksum");
    closed([fd]);
}

fn polled() {
    let fd = raw(Protocol::Ip(EXPERIMENT.0));
    let look = |timeout| {
        let mut fds = [PollFd::new(fd, POLLIN)];
        poll(&mut fds, timeout).map(|n| (n, fds[0].revents))
    };
    assert_eq!(look(0), Ok((0, PollFlags::NONE)));
    let sender = thread::spawn(move || {
        thread::sleep(Duration::from_millis(20));
        sendto(fd, b"x", NONE, Some(local(0)))
    });
    assert_eq!(look(-1), Ok((1, POLLIN)));
    assert_eq!(sender.join().expect("no panic"), Ok(1));
    assert_eq!(ioctl(fd, Ioctl::FionRead), Ok(21));
    assert_eq!(recv(fd, &mut [0; 30], MSG_PEEK), Ok(21));
    assert_eq!(recv(fd, &mut [0; 30], NONE), Ok(21));
    closed([fd]);
}

fn raw_sockets() {
    let one = RawSocket::new_on(net(), EXPERIMENT).expect("free");
    let two = RawSocket::new(EXPERIMENT).expect("free");
    one.connect(HOST).expect("a route");
    two.bind(HOST).expect("own");
    assert_eq!(one.send(b"to both"), Ok(7));
    for socket in [&one, &two] {
        let (data, about) = socket.recv_pbuf().expect("a packet");
        assert_eq!((data.tot_len(), about.datagram_len), (27, 27));
        assert_eq!(about.from.ip(), HOST);
    }
    one.set_header(Header::Included).expect("open");
    assert_eq!(one.send(b"no header"), Err(Error::Invalid));
    two.set_read_timeout(Some(Duration::from_millis(1)))
        .expect("not zero");
    assert_eq!(two.recv(&mut [0; 30]), Err(Error::WouldBlock));
    assert_eq!(two.send_to(b"x", HOST), Ok(1));
    assert_eq!(two.recv_from(&mut [0; 30]), Ok((21, HOST)));
    assert_eq!(two.peer_addr(), Err(Error::NotConnected));
    assert_eq!(two.send_to(&[0; 65_508], HOST), Err(Error::TooLong));
}

fn closing_wakes() {
    let fd = raw(IPPROTO_ICMP);
    let reader = thread::spawn(move || recv(fd, &mut [0; 1], NONE));
    common::wait_until("it sleeps", || net().sleepers() == 1);
    closed([fd]);
    assert_eq!(reader.join().expect("no panic"), Err(Errno::EBADF));
}

fn out_of_endpoints() {
    let all: Vec<_> = (0..8).map(|_| raw(IPPROTO_ICMP)).collect();
    assert_eq!(socket(AF_INET, SOCK_RAW, IPPROTO_ICMP), Err(Errno::ENOBUFS));
    all.into_iter().for_each(|fd| close(fd).expect("open"));
    common::wait_until("one is free again", || {
        socket(AF_INET, SOCK_RAW, IPPROTO_ICMP).is_ok_and(|fd| close(fd).is_ok())
    });
}

fn capture() {
    let fd = socket(AF_PACKET, SOCK_RAW, ETH_P_ALL).expect("free");
    let udp = UdpSocket::bind(local(0)).expect("a free port");
    let to = udp.local_addr().expect("bound");
    udp.send_to(b"seen", to).expect("sent");
    let mut buf = [0; 100];
    for class in [Class::Outgoing, Class::Host] {
        let (len, from) = recvfrom_ll(fd, &mut buf, NONE).expect("a frame");
        assert_eq!((from.netif, from.class), (NetifId::LOOPBACK, class));
        assert_eq!(from.ethertype, EtherType::IPV4);
        assert_eq!((len, &buf[28..32]), (32, &b"seen"[..]));
    }
    assert_eq!(getsockopt(fd, sockopt::SocketDomain), Ok(AF_PACKET));
    assert_eq!(getsockopt(fd, sockopt::SocketType), Ok(SOCK_RAW));
    // On its way in only.
    bind_ll(fd, ETH_P_IP, Some(NetifId::LOOPBACK)).expect("always there");
    udp.send_to(b"seen", to).expect("sent");
    let received = recvmsg(fd, &mut [&mut buf], NONE).expect("a frame");
    assert_eq!(received.link.map(|link| link.class), Some(Class::Host));
    assert_eq!((received.from, received.len), (None, 32));
    let none = recvfrom_ll(fd, &mut buf, MSG_DONTWAIT);
    assert_eq!(none, Err(Errno::EAGAIN));
    closed([fd]);
}

fn packet_sockets() {
    let all = PacketSocket::new(Filter::All, None).expect("free");
    let sender = PacketSocket::new_on(net(), Filter::EtherType(EtherType::ARP), None);
    let sender = sender.expect("free");
    // A datagram to a closed port, written by hand.
    let mut packet = [0u8; 28];
    packet[0] = 0x45;
    (packet[3], packet[8], packet[9]) = (28, 9, 17);
    packet[12..20].copy_from_slice(&[127, 0, 0, 1, 127, 0, 0, 1]);
    packet[20..26].copy_from_slice(&[0, 7, 0, 9, 0, 8]);
    let sum = checksum(&packet[..20]);
    packet[10..12].copy_from_slice(&sum.to_be_bytes());
    assert_eq!(sender.send(&packet, NetifId::LOOPBACK), Ok(28));
    let mut seen = vec![];
    for _ in 0..4 {
        let (data, about) = all.recv_pbuf().expect("a frame");
        let first: Vec<_> = data.parts().flatten().copied().take(24).collect();
        seen.push((about.class, first[9]));
    }
    // The datagram and what the stack answers.
    let both = |protocol| [(Class::Outgoing, protocol), (Class::Host, protocol)];
    assert_eq!(seen[..1], both(17)[..1]);
    assert_eq!(seen.iter().filter(|(_, p)| *p == 17).count(), 2);
    assert_eq!(seen.iter().filter(|(_, p)| *p == 1).count(), 2);
    sender.set_nonblocking(true).expect("open");
    assert_eq!(sender.recv(&mut [0; 1]), Err(Error::WouldBlock));
    // IP instead of ARP, on its way in only.
    let nowhere = Some(NetifId::with_index(0));
    assert_eq!(sender.watch(Filter::All, nowhere), Err(Error::Invalid));
    let ip = Filter::EtherType(EtherType::IPV4);
    sender
        .watch(ip, Some(NetifId::LOOPBACK))
        .expect("always there");
    let udp = UdpSocket::bind(local(0)).expect("a free port");
    udp.send_to(b"seen", udp.local_addr().expect("bound"))
        .expect("sent");
    sender.set_nonblocking(false).expect("open");
    let seen = sender.recv(&mut [0; 1]).expect("a frame");
    assert_eq!((seen.datagram_len, seen.class), (32, Class::Host));
}

fn unread_capture() {
    let all = PacketSocket::new(Filter::All, None).expect("free");
    let udp = UdpSocket::bind(local(0)).expect("a free port");
    let to = udp.local_addr().expect("bound");
    for round in 0..2000u32 {
        udp.send_to(&round.to_be_bytes(), to).expect("sent");
        let mut buf = [0; 4];
        assert_eq!(udp.recv(&mut buf), Err(Error::NotConnected));
        assert_eq!(udp.recv_from(&mut buf), Ok((4, to)));
        assert_eq!(buf, round.to_be_bytes());
    }
    let mut dropped = 0;
    common::wait_until("all but the 16 that wait are dropped", || {
        dropped += all.take_dropped().expect("open");
        dropped == 2 * 2000 - 16
    });
    for n in 0..16 {
        assert!(all.recv(&mut [0; 1]).is_ok(), "{n}");
    }
    all.set_nonblocking(true).expect("open");
    assert_eq!(all.recv(&mut [0; 1]), Err(Error::WouldBlock));
}

fn refused() {
    let fd = socket(AF_PACKET, SOCK_RAW, ETH_P_ARP).expect("free");
    let udp = socket(AF_INET, SOCK_DGRAM, IPPROTO_UDP).expect("free");
    let lo = NetifId::LOOPBACK;
    let nowhere = NetifId::with_index(0);
    assert_eq!(send(fd, b"x", NONE), Err(Errno::EDESTADDRREQ));
    assert_eq!(bind(fd, local(0)), Err(Errno::EOPNOTSUPP));
    assert_eq!(connect(fd, local(1)), Err(Errno::EOPNOTSUPP));
    assert_eq!(sendto_ll(fd, b"x", NONE, nowhere), Err(Errno::EINVAL));
    assert_eq!(sendto_ll(fd, &[0; 1501], NONE, lo), Err(Errno::EMSGSIZE));
    assert_eq!(sendto_ll(fd, b"", NONE, lo), Err(Errno::EINVAL));
    assert_eq!(sendto_ll(fd, b"x", MSG_OOB, lo), Err(Errno::EOPNOTSUPP));
    assert_eq!(sendto_ll(udp, b"x", NONE, lo), Err(Errno::EOPNOTSUPP));
    assert_eq!(bind_ll(fd, ETH_P_ALL, Some(nowhere)), Err(Errno::EINVAL));
    assert_eq!(bind_ll(fd, IPPROTO_UDP, None), Err(Errno::EPROTONOSUPPORT));
    assert_eq!(bind_ll(udp, ETH_P_ALL, None), Err(Errno::EOPNOTSUPP));
    let wrong = recvfrom_ll(udp, &mut [0; 1], MSG_DONTWAIT);
    assert_eq!(wrong, Err(Errno::EOPNOTSUPP));
    closed([fd, udp]);
}
