//! Ways out of a host that other stacks got wrong (X in our list): neighbours, gateways, interfaces,
//! and checksums and fragments on the way.
use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use gannet_core::wire::arp::Operation;
use gannet_core::wire::checksum::checksum;
use gannet_core::wire::ethernet::EtherType;
use gannet_core::wire::icmpv4::{Exceeded, Kind};
use gannet_core::wire::ipv4::Protocol;
use gannet_core::{Error, HwAddr, Medium, Owner, Subnet};
use gannet_tests::frames::{ECHO, Packet, Sent, echo_request, frame};
use gannet_tests::lan::{Lan, PEER, PEER_HW, STACK, STACK_HW, capabilities, reply, request};
use gannet_tests::wire::{Wire, WireDriver};

const SECOND_HW: HwAddr = HwAddr([2, 0, 0, 0, 9, 2]);

fn ping(from: Ipv4Addr, to: Ipv4Addr) -> Packet {
    Packet::new(from, to, Protocol::ICMP, echo_request(10))
}

/// A second interface with the address `addr`, and its wire.
fn second(lan: &mut Lan, medium: Medium, addr: Ipv4Addr, prefix: u8) -> Wire {
    let wire = Wire::default();
    let mut device = capabilities();
    device.medium = medium;
    let driver = WireDriver::with(wire.clone(), lan.pools.rx, device);
    let added = lan.stack.add_netif(driver, Subnet::new(addr, prefix));
    assert!(added.is_ok());
    while wire.take().is_some() {}
    wire
}

#[test]
fn x077_what_must_not_be_fragmented_is_not() {
    // RFC 791 §3.2: DF. A segment is cut by TCP, a datagram that does not fit comes back.
    let mut lan = Lan::acquainted();
    let mut udp = lan.stack.udp(lan.now);
    let pcb = udp.new(Owner(0)).expect("room");
    udp.bind(pcb, SocketAddr::from((STACK, 5_000)))
        .expect("free");
    for len in [1_472, 1_473, 8_000] {
        let mut data = gannet_core::Pbuf::alloc(lan.pools.tx, 0, len).expect("buffers");
        data.copy_from(&vec![7; len]);
        let mut udp = lan.stack.udp(lan.now);
        udp.send_to(pcb, data, SocketAddr::from((PEER, 4_000)))
            .expect("it is sent");
        lan.turn();
        let pieces: Vec<_> = lan.sent().into_iter().map(Sent::ip).collect();
        let is_cut = pieces.len() > 1;
        assert_eq!(is_cut, len > 1_472);
        for piece in pieces {
            assert!(!(is_cut && piece.dont_fragment), "DF on a fragment");
        }
    }
}

#[test]
fn x084_neighbours_of_another_medium_are_no_reason_to_panic() {
    let mut lan = Lan::acquainted();
    let tun_addr = Ipv4Addr::new(192, 168, 9, 2);
    let tun = second(&mut lan, Medium::Ip, tun_addr, 24);
    let far = Ipv4Addr::new(192, 168, 9, 7);
    // ARP, and whole frames, where there is no Ethernet.
    let arp = request(far, PEER_HW, tun_addr);
    let arp = frame(
        HwAddr::BROADCAST,
        PEER_HW,
        EtherType::ARP,
        &gannet_tests::frames::arp_bytes(&arp),
    );
    tun.put(arp);
    tun.put(frame(
        STACK_HW,
        PEER_HW,
        EtherType::IPV4,
        &ping(far, tun_addr).bytes(),
    ));
    lan.turn();
    assert_eq!(tun.take(), None);
    // A neighbour of the one's network that claims to be on the other's.
    lan.put_arp(STACK_HW, reply(far, PEER_HW));
    tun.put(ping(far, tun_addr).bytes());
    lan.turn();
    let answer = Packet::parse(&tun.take().expect("an answer"));
    assert_eq!((answer.dst, answer.icmp().0), (far, Kind::EchoReply(ECHO)));
    assert_eq!(lan.sent(), []);
    lan.put_ip(&ping(PEER, STACK));
    assert_eq!(lan.sent_packet().icmp().0, Kind::EchoReply(ECHO));
}

#[test]
fn x085_a_packet_that_never_becomes_whole_is_reported() {
    // RFC 1122 §3.3.2: with the first fragment only, RFC 792.
    for (first, reports) in [(0, 1), (1_480, 0)] {
        let mut lan = Lan::acquainted();
        lan.put_ip(&Packet {
            more: true,
            offset: first,
            ..Packet::new(PEER, STACK, Protocol::ICMP, echo_request(1_472))
        });
        lan.wait(Duration::from_secs(60));
        let sent: Vec<_> = lan
            .sent()
            .into_iter()
            .filter_map(|sent| match sent {
                Sent::Ip(_, packet) => Some(packet),
                // The neighbour's entry is confirmed meanwhile.
                Sent::Arp(_, arp) => {
                    assert_eq!(arp.operation, Operation::Request);
                    lan.introduce();
                    None
                }
            })
            .collect();
        assert_eq!(sent.len(), reports, "{sent:?}");
        for packet in sent {
            assert_eq!(packet.icmp().0, Kind::TimeExceeded(Exceeded::Reassembly));
        }
    }
}

#[test]
fn x086_a_gateway_that_cannot_be_reached_is_refused() {
    // There is one gateway for each network of an interface and no failover: RFC 1122 §3.3.1.5
    // leaves open how a dead one is found out.
    let mut lan = Lan::acquainted();
    lan.stack
        .set_default_gateway(Some(PEER))
        .expect("a neighbour");
    let nowhere = Subnet::new(Ipv4Addr::new(203, 0, 113, 0), 24).expect("a prefix");
    for gateway in [
        Ipv4Addr::new(10, 0, 1, 1),
        Ipv4Addr::new(203, 0, 113, 1),
        Ipv4Addr::new(10, 0, 0, 255),
        Ipv4Addr::UNSPECIFIED,
        Ipv4Addr::LOCALHOST,
        STACK,
    ] {
        let refused = lan.stack.set_default_gateway(Some(gateway));
        assert_eq!(refused, Err(Error::NoRoute), "{gateway}");
        assert!(lan.stack.add_route(nowhere, gateway).is_err(), "{gateway}");
    }
    lan.put_ip(&ping(Ipv4Addr::new(203, 0, 113, 5), STACK));
    assert!(
        matches!(&lan.sent()[..], [Sent::Ip(PEER_HW, _)]),
        "still through the old one"
    );
}

#[test]
fn x088_link_local_peers_are_reached_through_their_own_interface() {
    // RFC 3927 §2.6.2 and §3.2.
    let mut lan = Lan::acquainted();
    let own = Ipv4Addr::new(169, 254, 7, 2);
    let wire = second(&mut lan, Medium::Ethernet(SECOND_HW), own, 16);
    let far = Ipv4Addr::new(169, 254, 200, 9);
    wire.put(frame(
        SECOND_HW,
        PEER_HW,
        EtherType::IPV4,
        &ping(far, own).bytes(),
    ));
    lan.turn();
    assert_eq!(lan.sent(), [], "not through the first interface");
    let question = Sent::parse(&wire.take().expect("who is it?"), SECOND_HW);
    assert!(matches!(question, Sent::Arp(_, arp) if arp.target_ip == far));
}

#[test]
fn x116_packets_that_wait_for_a_neighbour_stay_in_order() {
    let mut lan = Lan::new();
    let mut udp = lan.stack.udp(lan.now);
    let pcb = udp.new(Owner(0)).expect("room");
    udp.bind(pcb, SocketAddr::from((STACK, 5_000)))
        .expect("free");
    let send = |lan: &mut Lan, n: u8| {
        let mut data = gannet_core::Pbuf::alloc(lan.pools.tx, 0, 1).expect("buffers");
        data.copy_from(&[n]);
        let mut udp = lan.stack.udp(lan.now);
        udp.send_to(pcb, data, SocketAddr::from((PEER, 4_000)))
            .expect("it is sent");
    };
    for n in 0..2 {
        send(&mut lan, n);
    }
    lan.turn();
    assert_eq!(lan.sent().len(), 1, "one question");
    // The answer waits in the device when one more is sent.
    let answer = gannet_tests::frames::arp_bytes(&reply(PEER, PEER_HW));
    lan.wire
        .put(frame(STACK_HW, PEER_HW, EtherType::ARP, &answer));
    send(&mut lan, 2);
    lan.turn();
    send(&mut lan, 3);
    lan.turn();
    let order: Vec<_> = lan
        .sent()
        .into_iter()
        .map(|sent| sent.ip().payload[8])
        .collect();
    assert_eq!(order, [0, 1, 2, 3]);
}

#[test]
fn x119_sums_of_more_than_128_kib_do_not_overflow() {
    for (len, byte, sum) in [
        (300_000, 0xff, 0),
        (131_072, 0xff, 0),
        (131_074, 0xff, 0),
        (1 << 24, 0xff, 0),
        (1 << 24, 0x00, 0xffff),
    ] {
        assert_eq!(checksum(&vec![byte; len]), sum, "{len} of {byte:#x}");
    }
}
