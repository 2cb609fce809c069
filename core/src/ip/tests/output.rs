//! What leaves: headers, group addresses, fragments, errors about what arrived.
use super::*;
use crate::error::Error;
use crate::wire::checksum::Checksum;
use crate::wire::{ethernet, icmpv4, ipv4, udp};

const US: [u8; 4] = [10, 0, 0, 2];
const PEER: [u8; 4] = [10, 0, 0, 9];

fn outgoing(dst: [u8; 4], fragmentation: Fragmentation) -> Outgoing {
    Outgoing {
        src: US.into(),
        dst: dst.into(),
        protocol: Protocol::UDP,
        ttl: 33,
        tos: 0xb9,
        fragmentation,
    }
}

/// A datagram of so many bytes, its checksum field zero, in buffers of the data pool.
fn datagram(ip: &Ip, len: usize) -> Pbuf {
    let mut header = ip.transport_header(8).expect("a buffer");
    let fields = udp::Fields {
        src_port: 1,
        dst_port: 2,
        payload_len: len as u16,
    };
    let room = header.data_mut().expect("nobody else has it");
    fields.emit(room).expect("eight bytes");
    let mut data = Pbuf::alloc(&DATA, 0, len).expect("buffers");
    let bytes: Vec<u8> = (0..len).map(|i| (i * 3 + (i >> 8)) as u8).collect();
    data.copy_from(&bytes);
    header.cat(data);
    header
}

fn ip_packet(frame: &[u8]) -> (ipv4::Packet<'_>, &[u8]) {
    let bytes = &frame[ethernet::HEADER_LEN..];
    let packet = ipv4::Packet::parse(bytes, bytes.len()).expect("a packet");
    assert!(packet.checksum_is_valid());
    (packet, &bytes[packet.header_len()..])
}

#[test]
fn a_packet_gets_its_headers_in_place() {
    let mut ip = new_ip();
    let (lan, device) = attach(&mut ip, (US, 24), Checksums::NONE);
    meet(&mut ip, lan, PEER);
    let route = ip.route(PEER.into(), None).expect("a route");
    let packet = datagram(&ip, 100);
    ip.send(
        NOW,
        &route,
        &outgoing(PEER, Fragmentation::Forbidden),
        packet,
    )
    .expect("sent");
    assert_eq!(device.state().parts, 2, "all headers in one, the data");
    let sent = device.sent();
    let (packet, payload) = ip_packet(&sent[0]);
    assert!(packet.dont_fragment() && packet.ident() == 0);
    assert_eq!(
        (packet.ttl(), packet.dscp(), packet.ecn()),
        (33, 0xb9 >> 2, ipv4::Ecn::Ect1)
    );
    assert_eq!((packet.src(), packet.dst()), (US.into(), PEER.into()));
    assert_eq!(payload.len(), 108);
    assert_eq!(ip.stats.out_requests, 1);
}

#[test]
fn groups_have_hardware_addresses_of_their_own() {
    let mut ip = new_ip();
    let (_, device) = attach(&mut ip, (US, 24), Checksums::NONE);
    let all = [0xff; 6];
    let cases = [
        ([255, 255, 255, 255], all),
        ([10, 0, 0, 255], all),
        ([224, 0, 0, 1], [1, 0, 0x5e, 0, 0, 1]),
        ([239, 255, 0, 9], [1, 0, 0x5e, 0x7f, 0, 9]),
        ([224, 128, 1, 2], [1, 0, 0x5e, 0, 1, 2]),
    ];
    for (dst, expected) in cases {
        let route = ip.route(dst.into(), None).expect("a route");
        let packet = datagram(&ip, 10);
        ip.send(NOW, &route, &outgoing(dst, Fragmentation::Allowed), packet)
            .expect("sent");
        assert_eq!(device.sent()[0][..6], expected, "{dst:?}");
    }
}

#[test]
fn long_packets_are_cut_without_copying_and_with_a_checksum() {
    let udp = Checksums {
        udp: true,
        ..Checksums::NONE
    };
    for tx in [Checksums::NONE, udp] {
        let mut ip = new_ip();
        let (lan, device) = attach(&mut ip, (US, 24), tx);
        meet(&mut ip, lan, PEER);
        let route = ip.route(PEER.into(), None).expect("a route");
        for len in [1472, 1473, 5000, 65_507] {
            let packet = datagram(&ip, len);
            ip.send(NOW, &route, &outgoing(PEER, Fragmentation::Allowed), packet)
                .expect("sent");
            let sent = device.sent();
            assert_eq!(sent.len(), (len + 8).div_ceil(1480));
            let mut whole = Vec::new();
            let ident = ip_packet(&sent[0]).0.ident();
            for frame in &sent {
                let (packet, payload) = ip_packet(frame);
                assert!(frame.len() <= 1514 && packet.ident() == ident);
                assert_eq!(packet.fragment_offset(), whole.len());
                whole.extend(payload);
                assert_eq!(packet.more_fragments(), whole.len() < len + 8);
            }
            if tx.udp && sent.len() > 1 {
                let mut sum = Checksum::new();
                sum.pseudo_header(US.into(), PEER.into(), Protocol::UDP, whole.len() as u16);
                sum.add(&whole);
                assert!(
                    sum.is_valid(),
                    "the device cannot compute it over fragments"
                );
            }
            assert!((8..whole.len()).all(|i| whole[i] == ((i - 8) * 3 + ((i - 8) >> 8)) as u8));
        }
    }
}

#[test]
fn the_device_finds_the_fields_it_fills_in_zero() {
    let mut ip = new_ip();
    let (lan, device) = attach(&mut ip, (US, 24), Checksums::ALL);
    meet(&mut ip, lan, PEER);
    let route = ip.route(PEER.into(), None).expect("a route");
    let out = outgoing(PEER, Fragmentation::Allowed);
    for len in [10, 2000] {
        let packet = datagram(&ip, len);
        ip.send(NOW, &route, &out, packet).expect("sent");
        for frame in device.sent() {
            assert_eq!(frame[24..26], [0, 0], "the header checksum");
        }
    }
}

#[test]
fn what_does_not_fit_is_refused() {
    let mut ip = new_ip();
    let (lan, device) = attach(&mut ip, (US, 24), Checksums::NONE);
    meet(&mut ip, lan, PEER);
    let route = ip.route(PEER.into(), None).expect("a route");
    let mut send = |len, fragmentation| {
        let packet = datagram(&ip, len);
        ip.send(NOW, &route, &outgoing(PEER, fragmentation), packet)
    };
    assert_eq!(send(1473, Fragmentation::Forbidden), Err(Error::TooLong));
    assert_eq!(send(65_508, Fragmentation::Allowed), Err(Error::TooLong));
    let stats = ip.stats;
    assert_eq!((stats.out_too_long, stats.fragment_fails), (2, 1));
    assert_eq!(device.sent().len(), 0);
    device.unplug();
    ip.poll_link(route.netif);
    let packet = datagram(&ip, 10);
    let out = outgoing(PEER, Fragmentation::Allowed);
    assert_eq!(ip.send(NOW, &route, &out, packet), Err(Error::LinkDown));
    assert_eq!(ip.stats.out_link_down, 1);
}

#[test]
fn loopback_takes_what_fits_in_its_queue() {
    let mut ip = new_ip();
    let route = ip.route(Ipv4Addr::LOCALHOST, None).expect("a route");
    let mut out = outgoing([127, 0, 0, 1], Fragmentation::Allowed);
    out.src = Ipv4Addr::LOCALHOST;
    for _ in 0..4 {
        assert!(ip.can_transmit(route.netif));
        let packet = datagram(&ip, 20_000);
        ip.send(NOW, &route, &out, packet).expect("room");
    }
    assert!(!ip.can_transmit(route.netif));
    let packet = datagram(&ip, 1);
    assert_eq!(ip.send(NOW, &route, &out, packet), Err(Error::NoMemory));
    for _ in 0..4 {
        assert!(ip.has_input());
        let (packet, _) = ip.receive(NetifId::LOOPBACK).expect("a packet");
        let Some(Input::Udp(received)) = ip.input(NOW, NetifId::LOOPBACK, packet) else {
            panic!("a datagram was sent");
        };
        assert_eq!(received.checksum, ChecksumState::Verified);
        assert_eq!(received.payload.tot_len(), 20_008);
    }
    assert!(!ip.has_input() && ip.receive(NetifId::LOOPBACK).is_none());
}

#[test]
fn a_datagram_to_a_closed_port_comes_back_as_an_error() {
    let mut ip = new_ip();
    let route = ip.route(Ipv4Addr::LOCALHOST, None).expect("a route");
    let mut out = outgoing([127, 0, 0, 1], Fragmentation::Allowed);
    out.src = Ipv4Addr::LOCALHOST;
    let packet = datagram(&ip, 900);
    ip.send(NOW, &route, &out, packet).expect("room");
    let (packet, _) = ip.receive(NetifId::LOOPBACK).expect("a packet");
    let Some(Input::Udp(received)) = ip.input(NOW, NetifId::LOOPBACK, packet) else {
        panic!("a datagram was sent");
    };
    ip.port_unreachable(NOW, received);
    let (packet, _) = ip.receive(NetifId::LOOPBACK).expect("the error");
    let Some(Input::UdpError(error)) = ip.input(NOW, NetifId::LOOPBACK, packet) else {
        panic!("an error was sent");
    };
    let at = |port| SocketAddrV4::new(Ipv4Addr::LOCALHOST, port);
    let expected = IcmpError {
        kind: IcmpErrorKind::PortUnreachable,
        local: at(1),
        remote: at(2),
        offender: Ipv4Addr::LOCALHOST,
        icmp_type: 3,
        code: 3,
        quoted_seq: None,
    };
    assert_eq!(error, expected);
    assert_eq!(ip.icmp_stats.out_unreachable, 1);
}

#[test]
fn a_received_packet_can_be_quoted_even_if_its_header_was_moved() {
    let mut ip = new_ip();
    let (lan, device) = attach(&mut ip, (US, 24), Checksums::NONE);
    meet(&mut ip, lan, PEER);
    let mut packet = vec![0x45, 0, 0, 128, 0, 1, 0, 0, 9, 17, 0, 0];
    packet.extend(PEER);
    packet.extend(US);
    let sum = crate::wire::checksum::checksum(&packet);
    packet[10..12].copy_from_slice(&sum.to_be_bytes());
    packet.extend([0, 5, 0, 6, 0, 108, 0, 0]);
    packet.extend([0x77; 100]);
    for part in [1, 7, 20, 25, 28, 128] {
        let mut frame = Pbuf::alloc(&DATA, 0, 14).expect("a buffer");
        let header = ethernet::Header::new(hw(2), hw(9), ethernet::EtherType::IPV4);
        header.emit(frame.data_mut().expect("ours")).expect("room");
        for bytes in packet.chunks(part) {
            let mut next = Pbuf::alloc(&DATA, 0, bytes.len()).expect("a buffer");
            next.copy_from(bytes);
            frame.cat(next);
        }
        let Some(Input::Udp(received)) = ip.input(NOW, lan, frame) else {
            panic!("a datagram was sent, in parts of {part}");
        };
        assert!(
            received.payload.data().len() >= 8,
            "the header is in one part"
        );
        ip.port_unreachable(NOW, received);
        let sent = device.sent();
        let (error, payload) = ip_packet(&sent[0]);
        assert_eq!(error.protocol(), Protocol::ICMP);
        assert_eq!(payload[..2], [3, 3]);
        assert_eq!(payload[8..], packet, "in parts of {part}");
    }
    // Also if somebody else views the buffer: then nobody can write over the header.
    let mut frame = Pbuf::alloc(&DATA, 0, 14 + packet.len()).expect("a buffer");
    let header = ethernet::Header::new(hw(2), hw(9), ethernet::EtherType::IPV4);
    header.emit(frame.data_mut().expect("ours")).expect("room");
    frame.data_mut().expect("ours")[14..].copy_from_slice(&packet);
    let other = frame.slice(0, 1).expect("a descriptor");
    let Some(Input::Udp(received)) = ip.input(NOW, lan, frame) else {
        panic!("a datagram was sent");
    };
    ip.port_unreachable(NOW, received);
    assert_eq!(device.sent().len(), 1);
    assert_eq!(ip.icmp_stats.out_errors, 0);
    drop(other);
}

#[test]
fn a_ping_in_a_buffer_that_somebody_else_views_is_answered_and_not_changed() {
    let mut ip = new_ip();
    let (lan, device) = attach(&mut ip, (US, 24), Checksums::NONE);
    meet(&mut ip, lan, PEER);
    let mut packet = vec![0x45, 0, 0, 48, 0, 1, 0, 0, 9, 1, 0, 0];
    packet.extend(PEER);
    packet.extend(US);
    let sum = crate::wire::checksum::checksum(&packet);
    packet[10..12].copy_from_slice(&sum.to_be_bytes());
    let mut message = [0; 28];
    let echo = icmpv4::Echo { ident: 3, seq: 4 };
    let request = icmpv4::Kind::EchoRequest(echo);
    request.emit_with(&[0x55; 20], &mut message).expect("room");
    packet.extend(message);
    let mut whole = Pbuf::alloc(&DATA, 0, 14 + packet.len()).expect("a buffer");
    let header = ethernet::Header::new(hw(2), hw(9), ethernet::EtherType::IPV4);
    let room = whole.data_mut().expect("ours");
    header.emit(room).expect("room");
    room[14..].copy_from_slice(&packet);
    let view = whole.slice(14, packet.len()).expect("a descriptor");
    // In one part, and with the Ethernet header apart.
    let mut apart = whole.slice(0, 14).expect("a descriptor");
    apart.cat(whole.slice(14, packet.len()).expect("a descriptor"));
    for frame in [whole, apart] {
        assert!(ip.input(NOW, lan, frame).is_none());
        let sent = device.sent();
        let (_, payload) = ip_packet(&sent[0]);
        assert_eq!(payload[0], 0, "a reply");
        assert_eq!(payload[4..], message[4..]);
        assert_eq!(crate::wire::checksum::checksum(payload), 0);
        assert_eq!(view.data(), packet, "the request is as it was");
    }
}

#[test]
fn kept_headers_serve_until_a_way_or_a_neighbour_changes_and_for_a_while() {
    let mut ip = new_ip();
    let (lan, _device) = attach(&mut ip, (US, 24), Checksums::NONE);
    let out = outgoing(PEER, Fragmentation::Forbidden);
    let route = ip.route(PEER.into(), None).expect("a route");
    let unknown = ip.head(NOW, &route, &out).expect("asked for");
    let generation = ip.generation(NOW);
    assert!(!unknown.is_current(generation), "nobody knows where it is");
    meet(&mut ip, lan, PEER);
    let head = ip.head(NOW, &route, &out).expect("known");
    let generation = ip.generation(NOW);
    assert!(head.is_current(generation) && head.fits(1480) && !head.fits(1481));

    meet(&mut ip, lan, [10, 0, 0, 10]);
    let generation = ip.generation(NOW);
    assert!(!head.is_current(generation), "a neighbour has changed");
    let head = ip.head(NOW, &route, &out).expect("known");
    ip.ways_changed();
    let generation = ip.generation(NOW);
    assert!(!head.is_current(generation), "a route has changed");
    let head = ip.head(NOW, &route, &out).expect("known");
    let later = NOW + ip.neighbors.patience();
    let generation = ip.generation(later);
    assert!(!head.is_current(generation), "the neighbour is to be asked");
}
