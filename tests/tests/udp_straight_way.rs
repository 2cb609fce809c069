//! Datagrams that are sent like the last one, on Ethernet: nothing of the last one is in them that
//! should not be, and what changes between them counts.
use std::net::Ipv4Addr;

use gannet_core::netif::Admin;
use gannet_core::udp::SendError;
use gannet_core::wire::ethernet;
use gannet_core::{Error, Owner, Pbuf, Subnet, UdpPcb};
use gannet_tests::lan::{Lan, PEER_HW, STACK_HW, request};
use gannet_tests::udp::{PEER, STACK, Sent};

const HEADROOM: usize = 42;
const ANY: Ipv4Addr = Ipv4Addr::UNSPECIFIED;

fn bound(lan: &mut Lan, addr: Ipv4Addr, port: u16) -> UdpPcb {
    let mut udp = lan.stack.udp(lan.now);
    let pcb = udp.new(Owner(0)).expect("a free endpoint");
    udp.bind(pcb, (addr, port).into()).expect("a free port");
    pcb
}

fn data(lan: &Lan, bytes: &[u8]) -> Pbuf {
    let mut data = Pbuf::alloc(lan.pools.tx, HEADROOM, bytes.len()).expect("a block");
    data.copy_from(bytes);
    data
}

fn send(lan: &mut Lan, pcb: UdpPcb, bytes: &[u8], port: u16) -> Result<(), SendError> {
    let data = data(lan, bytes);
    let mut udp = lan.stack.udp(lan.now);
    udp.send_to(pcb, data, (PEER, port).into())
}

#[track_caller]
fn assert_given_back(result: Result<(), SendError>, error: Error, bytes: &[u8]) {
    let refused = result.expect_err("an error");
    assert_eq!(refused.error, error);
    let data = refused.data.expect("the data comes back");
    assert_eq!(data.data(), bytes, "untouched");
}

/// So that the next one is sent like the last one.
fn send_three(lan: &mut Lan, pcb: UdpPcb) {
    for _ in 0..3 {
        send(lan, pcb, b"x", 7).expect("sent");
        sent(lan);
    }
}

/// The one datagram on the wire, all checksums right, in a frame to the peer.
#[track_caller]
fn sent(lan: &Lan) -> Sent {
    let frame = lan.wire.take().expect("a frame");
    assert!(lan.wire.take().is_none(), "one frame");
    let (link, packet) = ethernet::parse(&frame).expect("a header");
    assert_eq!((link.dst(), link.src()), (PEER_HW, STACK_HW));
    Sent::read(packet)
}

#[test]
fn data_and_port_are_those_of_each_datagram() {
    let mut lan = Lan::acquainted();
    let pcb = bound(&mut lan, ANY, 53);
    let bytes: Vec<u8> = (0..1472).map(|n| (n * 7 % 251) as u8).collect();
    let mut idents = std::collections::BTreeSet::new();
    for (n, len) in (0..60).zip([0, 1, 2, 63, 64, 65, 500, 1471, 1472].into_iter().cycle()) {
        let port = 7 + n % 5;
        let bytes = &bytes[..len];
        send(&mut lan, pcb, bytes, port).expect("sent");
        let frame = lan.wire.take().expect("a frame");
        idents.insert([frame[18], frame[19]]);
        let packet = Sent::read(&frame[ethernet::HEADER_LEN..]);
        assert_eq!((packet.from.port(), packet.to.port()), (53, port));
        assert_eq!((packet.from.ip(), packet.to.ip()), (&STACK, &PEER));
        assert_eq!((&packet.data[..], packet.ttl), (bytes, 64));
    }
    assert_eq!(idents.len(), 60, "each has its own identification");
    assert_eq!(lan.stack.udp_stats().datagrams_sent, 60);
    assert_eq!(lan.stack.ip_stats().out_requests, 60);
}

#[test]
fn a_connected_endpoint_sends_to_its_peer() {
    let mut lan = Lan::acquainted();
    let pcb = bound(&mut lan, ANY, 53);
    for port in [7, 8] {
        let mut udp = lan.stack.udp(lan.now);
        udp.connect(pcb, (PEER, port).into()).expect("a route");
        for _ in 0..3 {
            let data = data(&lan, b"to the peer");
            lan.stack.udp(lan.now).send(pcb, data).expect("sent");
            assert_eq!(sent(&lan).to.port(), port);
        }
    }
    lan.stack.udp(lan.now).disconnect(pcb).expect("open");
    let data = data(&lan, b"to nobody");
    let result = lan.stack.udp(lan.now).send(pcb, data);
    assert_given_back(result, Error::NotConnected, b"to nobody");
}

#[test]
fn options_and_addresses_count_from_the_next_one_on() {
    let mut lan = Lan::acquainted();
    let pcb = bound(&mut lan, ANY, 53);
    let fourth = |lan: &mut Lan| {
        send_three(lan, pcb);
        send(lan, pcb, b"x", 7).expect("sent");
        sent(lan)
    };
    assert_eq!((fourth(&mut lan).ttl, fourth(&mut lan).tos), (64, 0));
    let mut udp = lan.stack.udp(lan.now);
    udp.ttl(pcb, Some(9)).expect("open");
    assert_eq!(fourth(&mut lan).ttl, 9);
    let mut udp = lan.stack.udp(lan.now);
    udp.tos(pcb, 0xb8).expect("open");
    assert_eq!((fourth(&mut lan).ttl, fourth(&mut lan).tos), (9, 0xb8));

    let moved = Ipv4Addr::new(10, 0, 0, 20);
    lan.stack
        .set_addr(lan.netif, Subnet::new(moved, 24))
        .expect("a good address");
    lan.put_arp(STACK_HW, request(PEER, PEER_HW, moved));
    lan.sent();
    assert_eq!(*fourth(&mut lan).from.ip(), moved);
}

#[test]
fn what_cannot_be_sent_comes_back() {
    let mut lan = Lan::acquainted();
    let pcb = bound(&mut lan, ANY, 53);
    send_three(&mut lan, pcb);
    lan.stack.set_admin(lan.netif, Admin::Down).expect("there");
    assert_given_back(send(&mut lan, pcb, b"down", 7), Error::LinkDown, b"down");
    lan.stack.set_admin(lan.netif, Admin::Up).expect("there");
    lan.turn();
    lan.sent();
    lan.introduce();
    send_three(&mut lan, pcb);
    lan.wire.set_room(Some(0));
    assert_given_back(send(&mut lan, pcb, b"full", 7), Error::NoMemory, b"full");
    lan.wire.set_room(None);
    assert_given_back(
        send(&mut lan, pcb, b"nowhere", 0),
        Error::Argument,
        b"nowhere",
    );
    lan.stack.udp(lan.now).close(pcb).expect("open");
    assert_given_back(send(&mut lan, pcb, b"closed", 7), Error::Closed, b"closed");
    // The place of an endpoint that is gone is another one's now.
    let other = bound(&mut lan, ANY, 54);
    send(&mut lan, other, b"x", 7).expect("sent");
    assert_eq!(sent(&lan).from.port(), 54);
    assert!(lan.pools.at_rest());
}

#[test]
fn a_block_that_somebody_else_views_is_not_written() {
    let mut lan = Lan::acquainted();
    let pcb = bound(&mut lan, ANY, 53);
    for _ in 0..3 {
        let whole = data(&lan, b"shared");
        let view = whole.slice(0, 6).expect("a descriptor");
        let mut udp = lan.stack.udp(lan.now);
        udp.send_to(pcb, whole, (PEER, 7).into()).expect("sent");
        assert_eq!(view.data(), b"shared");
        assert_eq!(sent(&lan).data, b"shared");
    }
    assert!(lan.pools.at_rest());
}
