//! Sending: addresses, headers, checksums, options, and what comes back when it does not work.
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV4};

use gannet_core::udp::{Broadcast, MAX_PAYLOAD, SendError};
use gannet_core::{Config, Error, Pbuf};
use gannet_tests::storage::Sizes;
use gannet_tests::udp::{NET_BROADCAST, PEER, STACK, UdpRig, udp_bytes};

const ANY: Ipv4Addr = Ipv4Addr::UNSPECIFIED;

fn rig() -> UdpRig {
    UdpRig::new(Config::default(), Sizes::default())
}

fn at(addr: Ipv4Addr, port: u16) -> SocketAddr {
    (addr, port).into()
}

#[track_caller]
fn assert_given_back(result: Result<(), SendError>, error: Error, bytes: &[u8]) {
    let refused = result.expect_err("an error");
    assert_eq!(refused.error, error);
    let data = refused.data.expect("the data comes back");
    assert!(data.parts().flatten().eq(bytes), "untouched");
}

#[test]
fn a_datagram_leaves_as_it_was_written() {
    let mut t = rig();
    let pcb = t.bound(ANY, 53);
    let data = t.data(b"hello");
    t.udp().send_to(pcb, data, at(PEER, 7)).expect("sent");
    let [sent] = &t.sent()[..] else {
        panic!("one datagram");
    };
    assert_eq!(sent.from, SocketAddrV4::new(STACK, 53));
    assert_eq!(sent.to, SocketAddrV4::new(PEER, 7));
    assert_eq!(sent.data, b"hello");
    assert_eq!((sent.ttl, sent.tos), (Config::default().ip.ttl, 0));
    assert_ne!(sent.checksum, 0);
    assert_eq!(t.stack.udp_stats().datagrams_sent, 1);
    assert!(t.pools.at_rest());
}

#[test]
fn the_header_goes_in_front_in_place_if_there_is_headroom() {
    let mut t = rig();
    let pcb = t.bound(ANY, 53);
    let data = t.data_behind(42, b"in place");
    t.udp().send_to(pcb, data, at(PEER, 7)).expect("sent");
    assert_eq!(t.sent()[0].data, b"in place");
    let header = t.pools.header;
    assert_eq!(header.min_available(), header.blocks(), "no block taken");

    // Too little headroom (there is no link header here), or a second view of the block: a header block.
    let data = t.data_behind(27, b"chained");
    t.udp().send_to(pcb, data, at(PEER, 7)).expect("sent");
    assert_eq!(t.sent()[0].data, b"chained");
    assert_eq!(header.min_available(), header.blocks() - 1);
    let data = t.data_behind(42, b"shared");
    let view = data.slice(0, 6).expect("a descriptor");
    t.udp().send_to(pcb, data, at(PEER, 7)).expect("sent");
    assert_eq!(t.sent()[0].data, b"shared");
    assert_eq!(view.data(), b"shared", "the other view is not touched");
    drop(view);
    assert!(t.pools.at_rest());
}

#[test]
fn data_of_any_shape_is_sent_without_copying() {
    let mut t = rig();
    let pcb = t.bound(ANY, 53);
    let empty = t.data(b"");
    let constant = Pbuf::from_static(t.pools.tx, b"constant").expect("a descriptor");
    let mut chain = t.data(b"odd");
    chain.cat(t.data(b""));
    chain.cat(t.data(b"parts"));
    chain.cat(Pbuf::from_static(t.pools.tx, b"!").expect("a descriptor"));
    for data in [empty, constant, chain] {
        t.udp().send_to(pcb, data, at(PEER, 7)).expect("sent");
    }
    let sent: Vec<_> = t.sent().into_iter().map(|sent| sent.data).collect();
    assert_eq!(sent, [&b""[..], b"constant", b"oddparts!"]);
    assert!(t.pools.at_rest());
}

#[test]
fn a_checksum_of_zero_is_sent_as_all_ones() {
    let mut t = rig();
    let pcb = t.bound(STACK, 53);
    let (from, to) = (SocketAddrV4::new(STACK, 53), SocketAddrV4::new(PEER, 7));
    // With the checksum itself as data the sum is all ones, and its complement zero.
    let bytes = udp_bytes(from, to, &[0, 0]);
    let data = t.data(&bytes[6..8]);
    t.udp().send_to(pcb, data, to.into()).expect("sent");
    assert_eq!(t.sent()[0].checksum, 0xffff);
}

#[test]
fn the_longest_datagram_and_one_byte_more() {
    let mut t = rig();
    let pcb = t.bound(ANY, 53);
    let bytes: Vec<u8> = (0..=MAX_PAYLOAD).map(|n| (n * 7 % 251) as u8).collect();
    let data = t.data(&bytes);
    let result = t.udp().send_to(pcb, data, at(PEER, 7));
    assert_given_back(result, Error::TooLong, &bytes);
    assert!(t.packets().is_empty());
    let data = t.data(&bytes[..MAX_PAYLOAD]);
    t.udp().send_to(pcb, data, at(PEER, 7)).expect("sent");
    let (len, payload) = t.sent_in_fragments();
    assert_eq!(len, 65_515);
    assert!(payload == bytes[..MAX_PAYLOAD]);
    assert!(t.pools.at_rest());
}

#[test]
fn an_unbound_endpoint_is_bound_once() {
    let mut t = rig();
    let pcb = t.endpoint();
    for _ in 0..2 {
        let data = t.data(b"x");
        t.udp().send_to(pcb, data, at(PEER, 7)).expect("sent");
    }
    let sent = t.sent();
    assert!(sent[0].from.port() >= 49_152);
    assert_eq!(sent[0].from, sent[1].from);
    let local = t.udp().local_addr(pcb);
    assert_eq!(local, Ok(at(ANY, sent[0].from.port())));
}

#[test]
fn sending_to_the_connected_peer_and_past_it() {
    let mut t = rig();
    let pcb = t.endpoint();
    let data = t.data(b"x");
    let result = t.udp().send(pcb, data);
    assert_given_back(result, Error::NotConnected, b"x");
    t.udp().connect(pcb, at(PEER, 7)).expect("a route");
    let data = t.data(b"peer");
    t.udp().send(pcb, data).expect("sent");
    let data = t.data(b"other");
    t.udp().send_to(pcb, data, at(PEER, 8)).expect("sent");
    let ports: Vec<_> = t.sent().iter().map(|sent| sent.to.port()).collect();
    assert_eq!(ports, [7, 8]);
    t.udp().disconnect(pcb).expect("open");
    let data = t.data(b"x");
    let result = t.udp().send(pcb, data);
    assert_given_back(result, Error::NotConnected, b"x");
}

#[test]
fn where_nothing_can_be_sent_to() {
    let mut t = rig();
    let pcb = t.bound(ANY, 53);
    for to in [
        at(PEER, 0),
        at(ANY, 7),
        SocketAddr::from((Ipv6Addr::LOCALHOST, 7)),
    ] {
        let data = t.data(b"x");
        let result = t.udp().send_to(pcb, data, to);
        assert_given_back(result, Error::Argument, b"x");
    }
    assert_eq!(t.stack.udp_stats().send_errors, 3);
    assert!(t.packets().is_empty());
}

#[test]
fn broadcasts_must_be_allowed() {
    let mut t = rig();
    let pcb = t.bound(ANY, 67);
    for to in [Ipv4Addr::BROADCAST, NET_BROADCAST] {
        let data = t.data(b"x");
        let result = t.udp().send_to(pcb, data, at(to, 68));
        assert_given_back(result, Error::Denied, b"x");
    }
    t.udp().broadcast(pcb, Broadcast::Allowed).expect("open");
    for to in [Ipv4Addr::BROADCAST, NET_BROADCAST] {
        let data = t.data(b"x");
        t.udp().send_to(pcb, data, at(to, 68)).expect("sent");
        assert_eq!(*t.sent()[0].to.ip(), to);
    }
    t.udp().connect(pcb, at(NET_BROADCAST, 68)).expect("route");
    t.udp().broadcast(pcb, Broadcast::Denied).expect("open");
    let data = t.data(b"x");
    let result = t.udp().send(pcb, data);
    assert_given_back(result, Error::Denied, b"x");
}

#[test]
fn who_is_bound_to_a_broadcast_address_does_not_send_from_it() {
    let mut t = rig();
    let pcb = t.bound(NET_BROADCAST, 67);
    let data = t.data(b"x");
    t.udp().send_to(pcb, data, at(PEER, 68)).expect("sent");
    assert_eq!(t.sent()[0].from, SocketAddrV4::new(STACK, 67));
}

#[test]
fn the_source_can_be_chosen_among_the_own_addresses() {
    let mut t = rig();
    let pcb = t.bound(ANY, 53);
    let data = t.data(b"x");
    let own = IpAddr::V4(STACK);
    t.udp()
        .send_from(pcb, data, own, at(PEER, 7))
        .expect("sent");
    assert_eq!(*t.sent()[0].from.ip(), STACK);
    for from in [
        IpAddr::V4(PEER),
        IpAddr::V4(NET_BROADCAST),
        IpAddr::V6(Ipv6Addr::LOCALHOST),
    ] {
        let data = t.data(b"x");
        let result = t.udp().send_from(pcb, data, from, at(PEER, 7));
        assert_given_back(result, Error::Argument, b"x");
    }
}

#[test]
fn time_to_live_and_type_of_service_are_the_endpoints() {
    let mut t = rig();
    let pcb = t.bound(ANY, 53);
    let group = Ipv4Addr::new(224, 0, 0, 251);
    assert_eq!(t.udp().ttl(pcb, Some(0)), Err(Error::Argument));
    assert_eq!(t.udp().multicast_ttl(pcb, 0), Err(Error::Argument));
    let mut seen = Vec::new();
    for step in 0..3 {
        match step {
            1 => {
                t.udp().ttl(pcb, Some(7)).expect("open");
                t.udp().multicast_ttl(pcb, 9).expect("open");
                t.udp().tos(pcb, 0xb8).expect("open");
            }
            2 => t.udp().ttl(pcb, None).expect("open"),
            _ => {}
        }
        for to in [PEER, group] {
            let data = t.data(b"x");
            t.udp().send_to(pcb, data, at(to, 7)).expect("sent");
            let sent = t.sent();
            seen.push((sent[0].ttl, sent[0].tos));
        }
    }
    let expected = [(64, 0), (1, 0), (7, 0xb8), (9, 0xb8), (64, 0xb8), (9, 0xb8)];
    assert_eq!(seen, expected);
}

#[test]
fn without_room_in_the_device_the_data_comes_back() {
    let mut t = rig();
    let pcb = t.bound(ANY, 53);
    t.wire.set_room(Some(1));
    let (first, second) = (t.data_behind(42, b"first"), t.data_behind(42, b"second"));
    t.udp().send_to(pcb, first, at(PEER, 7)).expect("room");
    let result = t.udp().send_to(pcb, second, at(PEER, 7));
    assert_given_back(result, Error::NoMemory, b"second");
    t.wire.set_room(None);
    let again = t.data(b"second");
    t.udp().send_to(pcb, again, at(PEER, 7)).expect("room");
    assert_eq!(t.sent().len(), 2);
    assert!(t.pools.at_rest());
}

#[test]
fn without_a_header_block_the_data_comes_back() {
    let mut t = rig();
    let pcb = t.bound(ANY, 53);
    let taken: Vec<_> = (0..t.pools.header.blocks())
        .map(|_| Pbuf::alloc(t.pools.header, 0, 1).expect("a block"))
        .collect();
    let data = t.data(b"needs one");
    let result = t.udp().send_to(pcb, data, at(PEER, 7));
    assert_given_back(result, Error::NoMemory, b"needs one");
    let data = t.data_behind(42, b"needs none");
    t.udp().send_to(pcb, data, at(PEER, 7)).expect("sent");
    drop(taken);
    assert_eq!(t.sent().len(), 1);
    assert!(t.pools.at_rest());
}
