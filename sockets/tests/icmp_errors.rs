//! ICMP errors that sockets keep (`IP_RECVERR`, `MSG_ERRQUEUE`): who hears of which, what is known of
//! them, and how many there may be.
#![cfg(feature = "raw")]
mod common;

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use common::bsd::{closed, pair, table};
use common::{assert_at_rest, local, wait_until, within_limit};
use gannet_core::wire::icmpv4::{Exceeded, HEADER_LEN, Kind, Unreachable};
use gannet_sockets::bsd::*;
use gannet_sockets::{Error, UdpSocket};

const NONE: MsgFlags = MsgFlags::NONE;
const HOST: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

#[test]
fn icmp_errors() {
    within_limit(|| {
        for (name, test) in [
            ("an error is kept, with all that is known", kept as fn()),
            ("who did not ask hears of its peer only", not_asked),
            ("the error of a call, and the one kept", told_twice),
            ("errors taken one by one", one_by_one),
            ("the oldest of too many is lost", bounded),
            ("those of others are not lost first", shared),
            ("turning it off drops what was kept", turned_off),
            ("types, codes and the MTU", details),
            ("raw sockets hear of their packets", raw_sockets),
            ("sockets without such errors", others),
            ("by the types of Rust", types),
        ] {
            println!("{name}");
            table();
            test();
            assert_eq!(table().in_use(), 0);
            assert_at_rest();
        }
    });
}

fn udp() -> (Fd, SocketAddr) {
    let fd = socket(AF_INET, SOCK_DGRAM, IPPROTO_UDP).expect("free");
    bind(fd, local(0)).expect("a free port");
    (fd, getsockname(fd).expect("bound"))
}

fn udp_that_asks() -> (Fd, SocketAddr) {
    let (fd, addr) = udp();
    setsockopt(fd, sockopt::RecvErr, true).expect("UDP");
    (fd, addr)
}

/// Takes an error that is kept: where the datagram went, and what it was.
fn take(fd: Fd) -> Result<(SocketAddr, SockExtendedErr), Errno> {
    let received = recvmsg(fd, &mut [&mut [0; 10]], MSG_ERRQUEUE)?;
    assert_eq!((received.len, received.flags), (0, MSG_ERRQUEUE));
    Ok((
        received.from.expect("known"),
        received.error.expect("asked for"),
    ))
}

fn wait_for_error(fd: Fd) {
    let mut fds = [PollFd::new(fd, PollFlags::NONE)];
    assert_eq!(poll(&mut fds, -1), Ok(1));
    assert_eq!(fds[0].revents, POLLERR);
}

fn nothing_is_kept(fd: Fd) {
    assert_eq!(take(fd), Err(Errno::EAGAIN));
    let mut fds = [PollFd::new(fd, POLLIN)];
    assert_eq!(poll(&mut fds, 0), Ok(0));
}

/// Sends to ports nobody has, and waits until what ICMP said of it has arrived.
fn send_in_vain(fd: Fd, ports: impl IntoIterator<Item = u16>) {
    for port in ports {
        // The error of an earlier one is told instead, once each.
        while let Err(error) = sendto(fd, b"anybody?", NONE, Some(local(port))) {
            assert_eq!(error, Errno::ECONNREFUSED);
        }
    }
    // Behind the others.
    let (marker, _) = udp_that_asks();
    sendto(marker, b"x", NONE, Some(local(9))).expect("room");
    wait_for_error(marker);
    closed([marker]);
}

fn kept() {
    let (fd, _) = udp_that_asks();
    assert_eq!(getsockopt(fd, sockopt::RecvErr), Ok(true));
    nothing_is_kept(fd);
    sendto(fd, b"anybody?", NONE, Some(local(9))).expect("room");
    wait_for_error(fd);
    let (to, error) = take(fd).expect("kept");
    assert_eq!(to, local(9));
    assert_eq!(error.errno, Errno::ECONNREFUSED);
    assert_eq!(error.origin, SO_EE_ORIGIN_ICMP);
    assert_eq!((error.icmp_type, error.code, error.info), (3, 3, 0));
    assert_eq!(error.offender, HOST);
    // It was taken with the one for the next call.
    nothing_is_kept(fd);
    assert_eq!(recv(fd, &mut [0; 1], MSG_DONTWAIT), Err(Errno::EAGAIN));
    closed([fd]);
}

fn not_asked() {
    let ((fd, _), (connected, _)) = (udp(), udp());
    assert_eq!(getsockopt(fd, sockopt::RecvErr), Ok(false));
    connect(connected, local(9)).expect("a peer");
    send(connected, b"anybody?", NONE).expect("room");
    send_in_vain(fd, [9]);
    nothing_is_kept(fd);
    assert_eq!(recv(fd, &mut [0; 1], MSG_DONTWAIT), Err(Errno::EAGAIN));
    assert_eq!(take(connected), Err(Errno::EAGAIN));
    let told = recv(connected, &mut [0; 1], NONE);
    assert_eq!(told, Err(Errno::ECONNREFUSED));
    nothing_is_kept(connected);
    closed([fd, connected]);
}

fn told_twice() {
    let (fd, _) = udp_that_asks();
    connect(fd, local(9)).expect("a peer");
    send(fd, b"anybody?", NONE).expect("room");
    assert_eq!(recv(fd, &mut [0; 1], NONE), Err(Errno::ECONNREFUSED));
    assert_eq!(recv(fd, &mut [0; 1], MSG_DONTWAIT), Err(Errno::EAGAIN));
    // It is still kept, but does not make it readable.
    wait_for_error(fd);
    let mut fds = [PollFd::new(fd, POLLIN)];
    assert_eq!(poll(&mut fds, 0), Ok(1));
    assert_eq!(fds[0].revents, POLLERR);
    assert_eq!(take(fd).map(|(to, _)| to), Ok(local(9)));
    nothing_is_kept(fd);
    closed([fd]);
}

fn one_by_one() {
    let (fd, _) = udp_that_asks();
    send_in_vain(fd, 1..=3);
    for port in 1..=3 {
        wait_for_error(fd);
        assert_eq!(take(fd).map(|(to, _)| to), Ok(local(port)));
    }
    nothing_is_kept(fd);
    closed([fd]);
}

fn bounded() {
    let (fd, _) = udp_that_asks();
    send_in_vain(fd, 1..=6);
    for port in 3..=6 {
        assert_eq!(take(fd).map(|(to, _)| to), Ok(local(port)));
    }
    nothing_is_kept(fd);
    closed([fd]);
}

fn shared() {
    let fds: Vec<_> = (0..2).map(|_| udp_that_asks().0).collect();
    send_in_vain(fds[0], [1]);
    // With that of the socket behind them there are six.
    send_in_vain(fds[1], 1..=6);
    assert_eq!(take(fds[0]).map(|(to, _)| to), Ok(local(1)));
    assert_eq!(take(fds[1]).map(|(to, _)| to), Ok(local(3)));
    closed([fds[0], fds[1]]);
}

fn turned_off() {
    let (fd, _) = udp_that_asks();
    send_in_vain(fd, [9]);
    setsockopt(fd, sockopt::RecvErr, false).expect("UDP");
    assert_eq!(take(fd), Err(Errno::EAGAIN));
    setsockopt(fd, sockopt::RecvErr, true).expect("UDP");
    assert_eq!(take(fd), Err(Errno::EAGAIN));
    // Nor does another socket get what one that was closed has kept.
    send_in_vain(fd, [9]);
    closed([fd]);
    let (fd, _) = udp_that_asks();
    nothing_is_kept(fd);
    closed([fd]);
}

/// A host says by ICMP what became of a packet of `protocol` from `port` to [`GONE`].
fn report(kind: Kind, protocol: u8, port: u16) {
    const LEN: u16 = 1000;
    let mut quote = vec![0x45, 0, 0, 0, 0, 1, 0x40, 0, 64, protocol, 0, 0];
    quote[2..4].copy_from_slice(&LEN.to_be_bytes());
    quote.extend([127, 0, 0, 1]);
    quote.extend([10, 0, 0, 7]);
    quote.extend(port.to_be_bytes());
    quote.extend([0, 7, 0, 0, 0, 0]);
    let mut message = vec![0; HEADER_LEN + quote.len()];
    kind.emit_with(&quote, &mut message).expect("room");
    let fd = socket(AF_INET, SOCK_RAW, IPPROTO_ICMP).expect("free");
    sendto(fd, &message, NONE, Some(local(0))).expect("room");
    // It sees what it sent, as it arrives.
    assert!(recv(fd, &mut [0; 100], NONE).is_ok());
    closed([fd]);
}

const GONE: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 7);

fn details() {
    let (fd, addr) = udp_that_asks();
    setsockopt(fd, sockopt::MtuDiscover, sockopt::MtuDiscovery::Discover).expect("UDP");
    let mtu = Unreachable::FragmentationNeeded { mtu: 576 };
    for (kind, errno, expected) in [
        (
            Kind::DestinationUnreachable(mtu),
            Errno::EMSGSIZE,
            (3, 4, 576),
        ),
        (
            Kind::DestinationUnreachable(Unreachable::AdministrativelyProhibited),
            Errno::EHOSTUNREACH,
            (3, 13, 0),
        ),
        (
            Kind::TimeExceeded(Exceeded::TimeToLive),
            Errno::EHOSTUNREACH,
            (11, 0, 0),
        ),
    ] {
        report(kind, 17, addr.port());
        wait_for_error(fd);
        let (to, error) = take(fd).expect("kept");
        assert_eq!(to, SocketAddr::from((GONE, 7)));
        assert_eq!((error.errno, error.offender), (errno, HOST));
        assert_eq!((error.icmp_type, error.code, error.info), expected);
        nothing_is_kept(fd);
    }
    closed([fd]);
}

fn raw_sockets() {
    let protocol = Protocol::Ip(253);
    let [asks, does_not] = [(); 2].map(|()| socket(AF_INET, SOCK_RAW, protocol).expect("free"));
    setsockopt(asks, sockopt::RecvErr, true).expect("raw IP");
    report(Kind::DestinationUnreachable(Unreachable::Host), 253, 1);
    wait_for_error(asks);
    let (to, error) = take(asks).expect("kept");
    assert_eq!(to, SocketAddr::from((GONE, 0)));
    assert_eq!(error.errno, Errno::EHOSTUNREACH);
    assert_eq!((error.icmp_type, error.code, error.offender), (3, 1, HOST));
    nothing_is_kept(asks);
    nothing_is_kept(does_not);
    closed([asks, does_not]);
}

fn others() {
    let [client, server] = pair();
    let event = eventfd(0, EventFlags::NONE).expect("free");
    let set = setsockopt(client, sockopt::RecvErr, true);
    assert_eq!(set, Err(Errno::ENOPROTOOPT));
    let get = getsockopt(client, sockopt::RecvErr);
    assert_eq!(get, Err(Errno::ENOPROTOOPT));
    assert_eq!(take(client), Err(Errno::EAGAIN));
    assert_eq!(take(event), Err(Errno::ENOTSOCK));
    closed([client, server, event]);
    assert_eq!(take(client), Err(Errno::EBADF));
}

fn types() {
    let socket = UdpSocket::bind(local(0)).expect("a free port");
    socket.set_recv_errors(true).expect("open");
    assert_eq!(socket.take_icmp_error(), Ok(None));
    socket.send_to(b"anybody?", local(9)).expect("room");
    let mut found = None;
    wait_until("the error is there", || {
        found = socket.take_icmp_error().expect("open");
        found.is_some()
    });
    let report = found.expect("waited for");
    assert_eq!((report.icmp_type, report.code, report.mtu), (3, 3, None));
    assert_eq!((report.sent_to, report.offender), (local(9), HOST));
    assert_eq!(Error::from(report.error), Error::Refused);
    assert_eq!(socket.take_icmp_error(), Ok(None));
}
