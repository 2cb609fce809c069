//! Multicast groups through sockets of both faces, on loopback: who hears, and what is refused.
mod common;

use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use common::bsd::{Fds, closed, pair, table};
use common::{net, within_limit};
use gannet_sockets::bsd::sockopt::Membership;
use gannet_sockets::bsd::*;
use gannet_sockets::{Error, UdpSocket, Via};

const NONE: MsgFlags = MsgFlags::NONE;
const GROUP: Ipv4Addr = Ipv4Addr::new(239, 1, 2, 3);
const LOCALHOST: Ipv4Addr = Ipv4Addr::LOCALHOST;
const ANY: Ipv4Addr = Ipv4Addr::UNSPECIFIED;
/// The loopback interface, which is the only one here.
const HERE: Membership = Membership {
    group: GROUP,
    interface: Via::Addr(LOCALHOST),
};

/// One test: what they find full, or at rest, is shared.
#[test]
fn multicast() {
    within_limit(|| {
        for (name, test) in [
            ("members hear", members_hear as fn()),
            ("sockets of Rust", sockets_of_rust),
            ("what is refused", refusals),
            ("the table", the_table_is_bounded),
        ] {
            println!("{name}");
            test();
        }
    });
}

/// UDP sockets that share a port of all addresses, and its number.
fn sharing(n: usize) -> (Fds, u16) {
    let fds = Fds::open(n);
    let mut at = SocketAddr::from((ANY, 0));
    for fd in &fds.0 {
        setsockopt(*fd, sockopt::ReuseAddr, true).expect("UDP");
        bind(*fd, at).expect("shared");
        at = getsockname(*fd).expect("bound");
    }
    (fds, at.port())
}

/// What waits in a socket.
fn heard(fd: Fd) -> Result<Vec<u8>, Errno> {
    let mut buf = [0; 64];
    let (len, _) = recvfrom(fd, &mut buf, MSG_DONTWAIT)?;
    Ok(buf[..len].to_vec())
}

fn members_hear() {
    let (fds, port) = sharing(3);
    let [one, two, stranger] = fds.0[..] else {
        panic!("three were asked for");
    };
    for fd in [one, two] {
        setsockopt(fd, sockopt::AddMembership, HERE).expect("room");
    }
    assert_eq!(getsockopt(stranger, sockopt::MulticastIf), Ok(Via::Route));
    setsockopt(stranger, sockopt::MulticastIf, LOCALHOST.into()).expect("it is there");
    assert_eq!(
        getsockopt(stranger, sockopt::MulticastIf),
        Ok(Via::Addr(LOCALHOST))
    );
    let to = Some((GROUP, port).into());
    sendto(stranger, b"to all", NONE, to).expect("room");
    let mut buf = [0; 64];
    for fd in [one, two] {
        let received = recvmsg(fd, &mut [&mut buf], NONE).expect("arrives");
        assert_eq!(received.len, 6);
        assert_eq!(received.to, Some(GROUP.into()));
    }
    assert_eq!(heard(stranger), Err(Errno::EAGAIN));
    // Who has left hears no more.
    setsockopt(one, sockopt::DropMembership, HERE).expect("in");
    sendto(stranger, b"to one", NONE, to).expect("room");
    let (len, _) = recvfrom(two, &mut buf, NONE).expect("arrives");
    assert_eq!(len, 6);
    assert_eq!(heard(one), Err(Errno::EAGAIN));
    // One of them closed: the other stays a member.
    setsockopt(one, sockopt::AddMembership, HERE).expect("room");
    close(one).expect("open");
    sendto(stranger, b"to one", NONE, to).expect("room");
    recvfrom(two, &mut buf, NONE).expect("arrives");
    // Memberships are options that are only set.
    assert_eq!(getsockopt(two, sockopt::MulticastLoop), Ok(true));
    setsockopt(two, sockopt::MulticastLoop, false).expect("UDP");
    assert_eq!(getsockopt(two, sockopt::MulticastLoop), Ok(false));
}

fn sockets_of_rust() {
    net();
    let socket = UdpSocket::bind((ANY, 0).into()).expect("a free port");
    let port = socket.local_addr().expect("bound").port();
    socket.join_multicast_v4(&GROUP, &LOCALHOST).expect("room");
    let again = socket.join_multicast_v4(&GROUP, &LOCALHOST);
    assert_eq!(again, Err(Error::InUse));
    socket
        .set_multicast_interface(LOCALHOST)
        .expect("it is there");
    socket.set_multicast_ttl_v4(3).expect("in range");
    assert_eq!(socket.multicast_ttl_v4(), Ok(3));
    for ttl in [0, 256, u32::MAX] {
        assert_eq!(socket.set_multicast_ttl_v4(ttl), Err(Error::Invalid));
    }
    assert_eq!(socket.multicast_loop_v4(), Ok(true));
    socket.set_multicast_loop_v4(false).expect("open");
    assert_eq!(socket.multicast_loop_v4(), Ok(false));
    socket.set_multicast_loop_v4(true).expect("open");
    let group = (GROUP, port).into();
    socket.send_to(b"to myself", group).expect("room");
    let mut buf = [0; 64];
    let (len, from) = socket.recv_from(&mut buf).expect("arrives");
    assert_eq!(&buf[..len], b"to myself");
    assert_eq!(from, (LOCALHOST, port).into());
    socket.leave_multicast_v4(&GROUP, &ANY).expect("in");
    let again = socket.leave_multicast_v4(&GROUP, &LOCALHOST);
    assert_eq!(again, Err(Error::AddressNotAvailable));
    socket.send_to(b"to nobody", group).expect("room");
    socket
        .set_read_timeout(Some(Duration::from_millis(50)))
        .expect("in range");
    assert_eq!(socket.recv_from(&mut buf), Err(Error::WouldBlock));
}

fn refusals() {
    table();
    let fds = Fds::open(1);
    let fd = fds.0[0];
    let join = |group, interface: Via| {
        let of = Membership { group, interface };
        setsockopt(fd, sockopt::AddMembership, of)
    };
    let leave = |group, interface: Via| {
        let of = Membership { group, interface };
        setsockopt(fd, sockopt::DropMembership, of)
    };
    let here = Via::Addr(LOCALHOST);
    for no_group in [LOCALHOST, ANY, Ipv4Addr::BROADCAST] {
        assert_eq!(join(no_group, here), Err(Errno::EINVAL));
        assert_eq!(leave(no_group, here), Err(Errno::EINVAL));
    }
    let nobodys = Via::Addr([10, 0, 0, 1].into());
    assert_eq!(join(GROUP, nobodys), Err(Errno::ENODEV));
    // There is no device that a route could lead through.
    assert_eq!(join(GROUP, Via::Route), Err(Errno::ENODEV));
    assert_eq!(leave(GROUP, here), Err(Errno::EADDRNOTAVAIL));
    assert_eq!(join(GROUP, here), Ok(()));
    assert_eq!(join(GROUP, here), Err(Errno::EADDRINUSE));
    assert_eq!(leave(GROUP, nobodys), Err(Errno::ENODEV));
    assert_eq!(leave(GROUP, ANY.into()), Ok(()));
    assert_eq!(leave(GROUP, ANY.into()), Err(Errno::EADDRNOTAVAIL));
    assert_eq!(
        setsockopt(fd, sockopt::MulticastIf, nobodys),
        Err(Errno::EADDRNOTAVAIL)
    );
    let not_there = Via::Netif(gannet_core::NetifId::with_index(0));
    assert_eq!(
        setsockopt(fd, sockopt::MulticastIf, not_there),
        Err(Errno::ENODEV)
    );
    assert_eq!(getsockopt(fd, sockopt::MulticastIf), Ok(Via::Route));
    // None of TCP's business.
    let [client, server] = pair();
    let refused = Err(Errno::ENOPROTOOPT);
    assert_eq!(setsockopt(client, sockopt::AddMembership, HERE), refused);
    assert_eq!(setsockopt(client, sockopt::DropMembership, HERE), refused);
    assert_eq!(setsockopt(client, sockopt::MulticastIf, here), refused);
    assert_eq!(setsockopt(client, sockopt::MulticastLoop, true), refused);
    let gone = server;
    closed([client, server]);
    let closed = setsockopt(gone, sockopt::AddMembership, HERE);
    assert_eq!(closed, Err(Errno::EBADF));
}

fn the_table_is_bounded() {
    let fds = Fds::open(2);
    let group = |n| Membership::new([239, 9, 0, n].into(), LOCALHOST);
    // The default of `stack_storage!`.
    for n in 0..4 {
        setsockopt(fds.0[0], sockopt::AddMembership, group(n)).expect("room");
    }
    let full = setsockopt(fds.0[1], sockopt::AddMembership, group(4));
    assert_eq!(full, Err(Errno::ENOBUFS));
    // Closing leaves all groups.
    close(fds.0[0]).expect("open");
    for n in 0..4 {
        setsockopt(fds.0[1], sockopt::AddMembership, group(n)).expect("room");
    }
}
