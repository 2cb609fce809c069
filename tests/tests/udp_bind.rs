//! Endpoints: their making, their addresses, their end.
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use gannet_core::udp::Reuse;
use gannet_core::{Config, Error, Owner};
use gannet_tests::storage::Sizes;
use gannet_tests::udp::{NET_BROADCAST, PEER, STACK, UdpRecorder, UdpRig};

const ANY: Ipv4Addr = Ipv4Addr::UNSPECIFIED;
const EPHEMERAL: std::ops::RangeInclusive<u16> = 49_152..=65_535;

fn rig() -> UdpRig {
    UdpRig::new(Config::default(), Sizes::default())
}

fn rig_of(udp: usize) -> UdpRig {
    let sizes = Sizes {
        udp,
        ..Sizes::default()
    };
    UdpRig::new(Config::default(), sizes)
}

fn at(addr: Ipv4Addr, port: u16) -> SocketAddr {
    (addr, port).into()
}

#[test]
fn port_zero_picks_distinct_ephemeral_ports_that_do_not_count_up() {
    let mut t = rig_of(200);
    let mut ports = Vec::new();
    for _ in 0..200 {
        let pcb = t.bound(ANY, 0);
        ports.push(t.udp().local_addr(pcb).expect("an address").port());
    }
    assert!(ports.iter().all(|port| EPHEMERAL.contains(port)));
    let neighbours = ports.windows(2).filter(|w| w[0].abs_diff(w[1]) < 16);
    assert!(neighbours.count() < 20, "guessable: {ports:?}");
    ports.sort_unstable();
    ports.dedup();
    assert_eq!(ports.len(), 200);
}

#[test]
fn the_last_free_ephemeral_port_is_found_and_then_there_is_none() {
    let mut t = rig_of(16_385);
    for port in EPHEMERAL.filter(|port| *port != 50_000) {
        t.bound(STACK, port);
    }
    let pcb = t.bound(ANY, 0);
    assert_eq!(t.udp().local_addr(pcb), Ok(at(ANY, 50_000)));
    let pcb = t.endpoint();
    assert_eq!(t.udp().bind(pcb, at(ANY, 0)), Err(Error::InUse));
    assert_eq!(t.udp().connect(pcb, at(PEER, 7)), Err(Error::InUse));
    let refused = t.udp().stack().udp_stats().send_errors;
    let data = t.data(b"x");
    let error = t.udp().send_to(pcb, data, at(PEER, 7)).expect_err("a port");
    assert_eq!(error.error, Error::InUse);
    assert!(error.data.is_some());
    assert_eq!(t.stack.udp_stats().send_errors, refused + 1);
    assert_eq!(t.udp().local_addr(pcb), Ok(at(ANY, 0)));
}

#[test]
fn an_address_has_one_owner_until_it_is_closed() {
    for (first, second) in [(ANY, ANY), (ANY, STACK), (STACK, ANY), (STACK, STACK)] {
        let mut t = rig();
        let pcb = t.bound(first, 53);
        let other = t.endpoint();
        assert_eq!(t.udp().bind(other, at(second, 53)), Err(Error::InUse));
        assert_eq!(t.udp().local_addr(other), Ok(at(ANY, 0)), "stays unbound");
        t.udp().close(pcb).expect("open");
        assert_eq!(t.udp().bind(other, at(second, 53)), Ok(()));
    }
}

#[test]
fn different_addresses_have_ports_of_their_own() {
    let mut t = rig();
    t.bound(STACK, 53);
    t.bound(NET_BROADCAST, 53);
    t.bound(Ipv4Addr::BROADCAST, 53);
    t.bound(Ipv4Addr::new(224, 0, 0, 251), 53);
    t.bound(STACK, 54);
}

#[test]
fn sharing_takes_two() {
    use Reuse::{Exclusive, Shared};
    for (first, second, result) in [
        (Shared, Shared, Ok(())),
        (Shared, Exclusive, Err(Error::InUse)),
        (Exclusive, Shared, Err(Error::InUse)),
    ] {
        let mut t = rig();
        let (a, b) = (t.endpoint(), t.endpoint());
        t.udp().reuse(a, first).expect("open");
        t.udp().bind(a, at(ANY, 67)).expect("free");
        t.udp().reuse(b, second).expect("open");
        assert_eq!(t.udp().bind(b, at(ANY, 67)), result, "{first:?} {second:?}");
        assert_eq!(t.udp().options(b).expect("open").reuse, second);
    }
}

#[test]
fn what_cannot_be_bound() {
    let mut t = rig();
    let pcb = t.endpoint();
    for addr in [
        at(PEER, 5000),
        at(Ipv4Addr::new(192, 0, 2, 1), 5000),
        SocketAddr::from((Ipv6Addr::UNSPECIFIED, 5000)),
    ] {
        assert_eq!(t.udp().bind(pcb, addr), Err(Error::Argument), "{addr}");
    }
    assert_eq!(t.udp().bind(pcb, at(STACK, 5000)), Ok(()));
    assert_eq!(t.udp().bind(pcb, at(STACK, 5001)), Err(Error::Argument));
    assert_eq!(t.udp().local_addr(pcb), Ok(at(STACK, 5000)));
}

#[test]
fn connecting_binds_and_names_the_own_address() {
    let mut t = rig();
    let pcb = t.endpoint();
    assert_eq!(t.udp().peer_addr(pcb), Err(Error::NotConnected));
    t.udp().connect(pcb, at(PEER, 7)).expect("a route");
    let local = t.udp().local_addr(pcb).expect("open");
    assert_eq!(local.ip(), IpAddr::V4(STACK));
    assert!(EPHEMERAL.contains(&local.port()));
    assert_eq!(t.udp().peer_addr(pcb), Ok(at(PEER, 7)));
    t.udp().connect(pcb, at(PEER, 8)).expect("again");
    assert_eq!(t.udp().peer_addr(pcb), Ok(at(PEER, 8)));
    t.udp().disconnect(pcb).expect("open");
    assert_eq!(t.udp().peer_addr(pcb), Err(Error::NotConnected));
    assert_eq!(t.udp().local_addr(pcb), Ok(at(ANY, local.port())));
}

#[test]
fn what_cannot_be_connected_to() {
    let mut t = rig();
    let pcb = t.endpoint();
    for (addr, error) in [
        (at(PEER, 0), Error::Argument),
        (at(ANY, 7), Error::Argument),
        (SocketAddr::from((Ipv6Addr::LOCALHOST, 7)), Error::Argument),
        (at(Ipv4Addr::BROADCAST, 7), Error::Denied),
        (at(NET_BROADCAST, 7), Error::Denied),
    ] {
        assert_eq!(t.udp().connect(pcb, addr), Err(error), "{addr}");
    }
    assert_eq!(t.udp().local_addr(pcb), Ok(at(ANY, 0)), "stays unbound");
}

#[test]
fn endpoints_run_out_and_come_back() {
    let mut t = rig_of(3);
    let pcbs = [t.endpoint(), t.endpoint(), t.endpoint()];
    assert_eq!(t.udp().new(Owner(0)), Err(Error::NoMemory));
    t.udp().close(pcbs[1]).expect("open");
    let again = t.endpoint();
    assert_eq!(again.index(), pcbs[1].index());
    assert_ne!(again, pcbs[1]);
}

#[test]
fn a_stale_handle_is_closed_for_every_call() {
    let mut t = rig();
    let pcb = t.bound(ANY, 53);
    t.udp().close(pcb).expect("open");
    // The slot has a new owner: the old handle must not reach it.
    let new = t.bound(ANY, 54);
    assert_eq!(new.index(), pcb.index());
    let closed = Error::Closed;
    assert_eq!(t.udp().close(pcb), Err(closed));
    assert_eq!(t.udp().bind(pcb, at(ANY, 0)), Err(closed));
    assert_eq!(t.udp().connect(pcb, at(PEER, 7)), Err(closed));
    assert_eq!(t.udp().disconnect(pcb), Err(closed));
    assert_eq!(t.udp().local_addr(pcb), Err(closed));
    assert_eq!(t.udp().peer_addr(pcb), Err(closed));
    assert_eq!(t.udp().reuse(pcb, Reuse::Shared), Err(closed));
    assert_eq!(t.udp().ttl(pcb, None), Err(closed));
    assert_eq!(t.udp().multicast_ttl(pcb, 1), Err(closed));
    assert_eq!(t.udp().tos(pcb, 1), Err(closed));
    assert_eq!(t.udp().options(pcb).err(), Some(closed));
    let (one, two) = (t.data(b"x"), t.data(b"y"));
    let error = t.udp().send(pcb, one).expect_err("stale");
    assert_eq!(error.error, closed);
    let error = t.udp().send_to(pcb, two, at(PEER, 7)).expect_err("stale");
    assert_eq!(error.data.expect("given back").data(), b"y");
    assert_eq!(t.udp().local_addr(new), Ok(at(ANY, 54)));
}

#[test]
fn closing_drops_what_waits() {
    let mut t = rig();
    let (first, second) = (t.bound(ANY, 53), t.bound(ANY, 54));
    let mut app = UdpRecorder {
        close: true,
        ..UdpRecorder::default()
    };
    t.receive(STACK, 53, b"a");
    t.receive(STACK, 53, b"b");
    t.receive(STACK, 54, b"c");
    t.turn(&mut app);
    // "b" waited for the endpoint that the callback of "a" closed.
    let got = app.payloads();
    assert_eq!(got, [(first, b"a".to_vec()), (second, b"c".to_vec())]);
    assert!(t.pools.at_rest());
}
