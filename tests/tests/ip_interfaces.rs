//! Several interfaces in one host: which of them answers, and the calls that manage them.
use std::net::Ipv4Addr;

use gannet_core::netif::{Admin, Link};
use gannet_core::wire::ethernet::EtherType;
use gannet_core::wire::icmpv4::Kind;
use gannet_core::wire::ipv4::Protocol;
use gannet_core::{Error, HwAddr, Medium, NetifId, Subnet};
use gannet_tests::frames::{ECHO, Packet, Sent, echo_request, frame};
use gannet_tests::lan::{Lan, PEER, PEER_HW, STACK, STACK_HW, capabilities, request};
use gannet_tests::wire::{Wire, WireDriver};

const OTHER: Ipv4Addr = Ipv4Addr::new(192, 168, 9, 2);
const OTHER_HW: HwAddr = HwAddr([2, 0, 0, 0, 9, 2]);

/// A LAN with a second interface to another one.
fn two() -> (Lan, NetifId, Wire) {
    let mut lan = Lan::acquainted();
    let wire = Wire::default();
    let mut device = capabilities();
    device.medium = Medium::Ethernet(OTHER_HW);
    let driver = WireDriver::with(wire.clone(), lan.pools.rx, device);
    let second = lan.stack.add_netif(driver, Subnet::new(OTHER, 24));
    let second = second.expect("room for a second interface");
    assert!(wire.take().is_some(), "an announcement");
    (lan, second, wire)
}

fn ping(src: Ipv4Addr, dst: Ipv4Addr) -> Vec<u8> {
    let packet = Packet::new(src, dst, Protocol::ICMP, echo_request(10));
    frame(STACK_HW, PEER_HW, EtherType::IPV4, &packet.bytes())
}

#[test]
fn an_address_is_reached_only_through_its_own_interface() {
    let (mut lan, _, wire) = two();
    lan.put(ping(PEER, STACK));
    assert_eq!(lan.sent_packet().icmp().0, Kind::EchoReply(ECHO));
    lan.put(ping(PEER, OTHER));
    lan.put_arp(HwAddr::BROADCAST, request(PEER, PEER_HW, OTHER));
    lan.put(ping(OTHER, STACK));
    assert_eq!(lan.sent(), []);
    assert_eq!(wire.take(), None);
    let stats = lan.stack.ip_stats();
    assert_eq!((stats.in_address_errors, stats.in_martians), (1, 1));
    lan.assert_at_rest();
}

#[test]
fn answers_leave_through_the_gateway_of_the_source_address() {
    let (mut lan, _, wire) = two();
    let far = Ipv4Addr::new(198, 51, 100, 7);
    let gateways = [PEER, Ipv4Addr::new(192, 168, 9, 1)];
    for gateway in gateways {
        lan.stack
            .add_route(Subnet::ANY, gateway)
            .expect("a neighbour");
    }
    lan.put(ping(far, STACK));
    assert!(matches!(&lan.sent()[..], [Sent::Ip(PEER_HW, packet)] if packet.dst == far));
    let packet = Packet::new(far, OTHER, Protocol::ICMP, echo_request(10));
    wire.put(frame(OTHER_HW, PEER_HW, EtherType::IPV4, &packet.bytes()));
    lan.turn();
    assert_eq!(lan.sent(), []);
    let bytes = wire.take().expect("a question");
    let Sent::Arp(_, question) = Sent::parse(&bytes, OTHER_HW) else {
        panic!("the gateway is not known yet");
    };
    assert_eq!(question.target_ip, gateways[1]);
}

#[test]
fn interfaces_come_and_go() {
    let (mut lan, second, wire) = two();
    assert_eq!(lan.stack.netifs().count(), 2);
    let status = lan.stack.netif_status(second).expect("it is there");
    assert_eq!(
        (status.admin, status.link, status.mtu),
        (Admin::Up, Link::Up, 1500)
    );
    assert_eq!(
        status.subnet.map(|s| (s.addr(), s.prefix())),
        Some((OTHER, 24))
    );

    let third = WireDriver::ip(Wire::default(), lan.pools.rx);
    assert_eq!(
        lan.stack.add_netif(third, None).err(),
        Some(Error::NoMemory),
        "no slot"
    );

    lan.stack
        .set_default_gateway(Some(PEER))
        .expect("a neighbour");
    let bad = [
        STACK,
        OTHER,
        Ipv4Addr::new(8, 8, 8, 8),
        Ipv4Addr::new(10, 0, 0, 255),
    ];
    for gateway in bad {
        assert_eq!(
            lan.stack.set_default_gateway(Some(gateway)),
            Err(Error::NoRoute),
            "{gateway}"
        );
        assert_eq!(lan.stack.default_gateway(), Some(PEER));
    }
    lan.stack.set_default_gateway(None).expect("none");
    assert_eq!(lan.stack.default_gateway(), None);
    assert_eq!(
        lan.stack.remove_route(Subnet::ANY, PEER),
        Err(Error::NoRoute)
    );

    assert_eq!(
        lan.stack.set_addr(second, Subnet::new(STACK, 24)),
        Err(Error::InUse)
    );
    assert!(lan.stack.remove_netif(second).is_ok());
    assert!(lan.stack.remove_netif(second).is_err());
    for result in [
        lan.stack.netif_status(second).map(drop),
        lan.stack.netif_stats(second).map(drop),
        lan.stack.set_addr(second, None),
        lan.stack.set_admin(second, Admin::Up),
        lan.stack.netif_status(NetifId::LOOPBACK).map(drop),
    ] {
        assert_eq!(result, Err(Error::Argument));
    }
    wire.put(ping(PEER, OTHER));
    lan.turn();
    assert_eq!(wire.waiting(), 1, "nobody listens there any more");
    lan.put(ping(PEER, STACK));
    assert_eq!(lan.sent_packet().icmp().0, Kind::EchoReply(ECHO));
    lan.assert_at_rest();
}

#[test]
fn neighbours_of_an_old_address_are_forgotten() {
    let mut lan = Lan::acquainted();
    lan.put(ping(PEER, STACK));
    lan.put(ping(Ipv4Addr::new(10, 0, 0, 9), STACK));
    assert_eq!(lan.sent().len(), 2, "an answer and a question");
    let moved = Ipv4Addr::new(10, 0, 0, 20);
    lan.stack
        .set_addr(lan.netif, Subnet::new(moved, 24))
        .expect("a good address");
    lan.assert_at_rest();
    assert_eq!(lan.stack.arp_stats().waiting_dropped, 1);
    lan.sent();
    lan.put(ping(PEER, STACK));
    assert_eq!(lan.sent(), [], "not ours any more");
    lan.put(ping(PEER, moved));
    assert!(matches!(&lan.sent()[..], [Sent::Arp(_, arp)] if arp.target_ip == PEER));
}

#[test]
fn both_interfaces_and_loopback_get_their_turns() {
    let (mut lan, _, wire) = two();
    for _ in 0..200 {
        lan.wire.put(ping(PEER, STACK));
    }
    let other_peer = Ipv4Addr::new(192, 168, 9, 77);
    let packet = Packet::new(other_peer, OTHER, Protocol::ICMP, echo_request(10));
    wire.put(frame(OTHER_HW, PEER_HW, EtherType::IPV4, &packet.bytes()));
    // One turn takes a bounded number of frames, but not all of them from one interface.
    lan.stack.turn(lan.now, &mut [&mut gannet_tests::lan::Idle]);
    assert_eq!(wire.waiting(), 0);
    assert!(lan.wire.waiting() > 100);
    lan.turn();
    assert_eq!(lan.sent().len(), 200);
}

#[test]
fn interfaces_without_link_layer_need_no_neighbours() {
    let (mut lan, second, _) = two();
    assert!(lan.stack.remove_netif(second).is_ok());
    let wire = Wire::default();
    let driver = WireDriver::ip(wire.clone(), lan.pools.rx);
    let tun = lan.stack.add_netif(driver, Subnet::new(OTHER, 24));
    assert!(tun.is_ok());
    let far = Ipv4Addr::new(192, 168, 9, 77);
    wire.put(Packet::new(far, OTHER, Protocol::ICMP, echo_request(10)).bytes());
    lan.turn();
    let answer = Packet::parse(&wire.take().expect("an answer"));
    assert_eq!((answer.dst, answer.icmp().0), (far, Kind::EchoReply(ECHO)));
    assert_eq!(wire.take(), None);
    lan.assert_at_rest();
}
