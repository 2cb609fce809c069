//! Packet endpoints: frames seen as they enter and leave, frames sent, and that seeing changes
//! nothing for anybody else.
use std::net::Ipv4Addr;

use gannet_core::packet::{Class, EtherType, Filter, Frame};
use gannet_core::wire::ethernet;
use gannet_core::{Error, HwAddr, NetifId, Owner, PacketPcb, Packets, Pbuf};
use gannet_tests::frames::{self, Packet, arp_bytes, frame};
use gannet_tests::lan::{Lan, PEER, PEER_HW, STACK, STACK_HW, request};

/// IEEE 802.1: for local experiments.
const EXPERIMENT: EtherType = EtherType(0x88b5);

#[derive(Debug, Default)]
struct App {
    frames: Vec<(PacketPcb, Frame)>,
}

impl gannet_core::Handler for App {
    fn packet_recv(&mut self, _: &mut Packets<'_>, pcb: PacketPcb, frame: Frame) {
        self.frames.push((pcb, frame));
    }
}

impl App {
    /// What was seen, and its bytes.
    fn seen(&mut self) -> Vec<(EtherType, Class, Vec<u8>)> {
        let frames = std::mem::take(&mut self.frames).into_iter();
        frames
            .map(|(_, frame)| (frame.ethertype, frame.class, bytes(&frame.data)))
            .collect()
    }
}

fn bytes(data: &Pbuf) -> Vec<u8> {
    data.parts().flatten().copied().collect()
}

fn endpoint(lan: &mut Lan, filter: Filter) -> PacketPcb {
    let mut packets = lan.stack.packets(lan.now);
    packets.new(filter, Owner(0)).expect("a free endpoint")
}

fn arrives(lan: &mut Lan, app: &mut App, frame: &[u8]) {
    lan.wire.put(frame.to_vec());
    lan.stack.turn(lan.now, &mut [app]);
    // Sent in the output of that turn.
    lan.stack.dispatch(&mut [app]);
}

fn ping() -> Vec<u8> {
    let packet = Packet::new(
        PEER,
        STACK,
        gannet_core::wire::ipv4::Protocol::ICMP,
        frames::echo_request(30),
    );
    frame(STACK_HW, PEER_HW, EtherType::IPV4, &packet.bytes())
}

#[test]
fn everything_is_seen_on_its_way_in_and_out() {
    let mut lan = Lan::acquainted();
    let mut app = App::default();
    endpoint(&mut lan, Filter::All);
    let ping = ping();
    arrives(&mut lan, &mut app, &ping);
    let answer = lan.wire.take().expect("an answer");
    let seen = app.seen();
    assert_eq!(seen[0], (EtherType::IPV4, Class::Host, ping));
    assert_eq!(seen[1], (EtherType::IPV4, Class::Outgoing, answer));
    assert_eq!(seen.len(), 2);
    lan.assert_at_rest();
}

#[test]
fn an_ethertype_is_seen_on_its_way_in() {
    let mut lan = Lan::acquainted();
    let mut app = App::default();
    endpoint(&mut lan, Filter::EtherType(EtherType::ARP));
    let ask = arp_bytes(&request(PEER, PEER_HW, STACK));
    let ask = frame(HwAddr::BROADCAST, PEER_HW, EtherType::ARP, &ask);
    arrives(&mut lan, &mut app, &ask);
    arrives(&mut lan, &mut app, &ping());
    assert_eq!(app.seen(), [(EtherType::ARP, Class::Broadcast, ask)]);
    assert_eq!(lan.sent().len(), 2, "both were answered");
}

#[test]
fn frames_for_others_and_of_unknown_protocols_are_seen() {
    let mut lan = Lan::acquainted();
    let mut app = App::default();
    endpoint(&mut lan, Filter::EtherType(EXPERIMENT));
    let stranger = HwAddr([2, 9, 9, 9, 9, 9]);
    let group = HwAddr([1, 0, 0x5e, 0, 0, 9]);
    for (dst, class) in [
        (STACK_HW, Class::Host),
        (stranger, Class::OtherHost),
        (group, Class::Multicast),
    ] {
        let sent = frame(dst, PEER_HW, EXPERIMENT, b"strange");
        arrives(&mut lan, &mut app, &sent);
        assert_eq!(app.seen(), [(EXPERIMENT, class, sent)]);
    }
    arrives(&mut lan, &mut app, &[1, 2, 3]);
    assert_eq!(app.seen(), [], "no frame");
    lan.assert_at_rest();
}

#[test]
fn no_bytes_are_copied() {
    let mut lan = Lan::acquainted();
    let mut app = App::default();
    endpoint(&mut lan, Filter::All);
    endpoint(&mut lan, Filter::EtherType(EXPERIMENT));
    arrives(
        &mut lan,
        &mut app,
        &frame(STACK_HW, PEER_HW, EXPERIMENT, &[7; 900]),
    );
    let [(_, one), (_, two)] = &app.frames[..] else {
        panic!("both: {:?}", app.frames);
    };
    assert!(one.data.shares_block(&two.data));
    assert_eq!(lan.pools.in_use(), [1, 0, 0]);
}

#[test]
fn fragments_are_put_together_though_somebody_views_them() {
    let mut lan = Lan::acquainted();
    let mut app = App::default();
    endpoint(&mut lan, Filter::All);
    let whole = Packet::new(
        PEER,
        STACK,
        gannet_core::wire::ipv4::Protocol::ICMP,
        frames::echo_request(2500),
    );
    for fragment in whole.fragments(1480) {
        let sent = frame(STACK_HW, PEER_HW, EtherType::IPV4, &fragment.bytes());
        arrives(&mut lan, &mut app, &sent);
    }
    // The answer has two fragments, too.
    assert_eq!(app.seen().len(), 4);
    assert_eq!(lan.sent().len(), 2);
    lan.assert_at_rest();
}

#[test]
fn loopback_is_seen_as_bare_packets() {
    let mut lan = Lan::new();
    let mut app = App::default();
    let pcb = endpoint(&mut lan, Filter::All);
    let mut packets = lan.stack.packets(lan.now);
    let lo = Some(NetifId::LOOPBACK);
    packets.bind(pcb, Filter::All, lo).expect("always there");
    let udp = lan.stack.udp(lan.now).new(Owner(0)).expect("free");
    let mut data = Pbuf::alloc(lan.pools.tx, 64, 4).expect("buffers");
    data.copy_from(b"self");
    let to = (Ipv4Addr::LOCALHOST, 9).into();
    lan.stack.udp(lan.now).send_to(udp, data, to).expect("sent");
    lan.stack.turn(lan.now, &mut [&mut app]);
    let seen = app.seen();
    let classes: Vec<_> = seen.iter().map(|(_, class, _)| *class).collect();
    // The datagram, out and in, and the port unreachable, out.
    assert_eq!(classes[..2], [Class::Outgoing, Class::Host]);
    // Nobody computes checksums there.
    assert_eq!(seen[1].2[28..], *b"self");
}

#[test]
fn a_frame_is_sent_as_it_is() {
    let mut lan = Lan::acquainted();
    let mut app = App::default();
    let sender = endpoint(&mut lan, Filter::All);
    let other = endpoint(&mut lan, Filter::All);
    let wanted = frame(PEER_HW, HwAddr([2, 2, 2, 2, 2, 2]), EXPERIMENT, b"as it is");
    let mut data = Pbuf::alloc(lan.pools.tx, 0, wanted.len()).expect("buffers");
    data.copy_from(&wanted);
    let netif = lan.netif;
    let mut packets = lan.stack.packets(lan.now);
    packets.send(sender, netif, data).expect("sent");
    assert_eq!(lan.wire.take(), Some(wanted.clone()));
    lan.stack.dispatch(&mut [&mut app]);
    let [(pcb, seen)] = &app.frames[..] else {
        panic!("the sender does not see it: {:?}", app.frames);
    };
    assert_eq!((*pcb, seen.class), (other, Class::Outgoing));
    assert_eq!(bytes(&seen.data), wanted);
    assert_eq!(lan.stack.packet_stats().frames_sent, 1);
}

#[test]
fn what_cannot_be_sent_comes_back() {
    let mut lan = Lan::acquainted();
    let pcb = endpoint(&mut lan, Filter::All);
    let netif = lan.netif;
    let longest = ethernet::HEADER_LEN + 1500;
    for (id, len, error) in [
        (netif, 13, Error::Argument),
        (netif, longest + 1, Error::TooLong),
        (NetifId::LOOPBACK, 0, Error::Argument),
        (NetifId::LOOPBACK, 1501, Error::TooLong),
    ] {
        let data = Pbuf::alloc(lan.pools.tx, 0, len).expect("buffers");
        let refused = lan.stack.packets(lan.now).send(pcb, id, data);
        let refused = refused.expect_err("refused");
        assert_eq!((refused.error, refused.data.is_some()), (error, true));
    }
    let longest = Pbuf::alloc(lan.pools.tx, 0, longest).expect("buffers");
    let mut packets = lan.stack.packets(lan.now);
    packets.send(pcb, netif, longest).expect("it fits");
    packets.close(pcb).expect("open");
    let data = Pbuf::alloc(lan.pools.tx, 0, 20).expect("buffers");
    let stale = lan.stack.packets(lan.now).send(pcb, netif, data);
    assert_eq!(stale.expect_err("stale").error, Error::Closed);
    assert_eq!(lan.stack.packet_stats().send_errors, 5);
}

#[test]
fn a_stack_that_is_captured_does_not_starve() {
    let mut lan = Lan::acquainted();
    let mut app = App::default();
    let pcb = endpoint(&mut lan, Filter::All);
    let blocks = lan.pools.rx.blocks();
    for n in 0..2 * blocks {
        // The application keeps all of them.
        arrives(&mut lan, &mut app, &ping());
        assert_eq!(lan.sent().len(), 1, "ping {n} was answered");
    }
    assert!(lan.pools.rx.available() >= blocks / 4 - 1);
    let stats = *lan.stack.packet_stats();
    assert_eq!(stats.frames_seen as usize, app.frames.len());
    assert_eq!(stats.frames_seen + stats.no_buffers, 4 * blocks as u32);
    let dropped = lan.stack.packets(lan.now).take_dropped(pcb).expect("open");
    assert_eq!(dropped, stats.no_buffers);
    drop(app);
    lan.assert_at_rest();
}

#[test]
fn one_endpoint_does_not_take_the_table_of_another() {
    let mut lan = Lan::acquainted();
    let mut app = App::default();
    for _ in 0..4 {
        endpoint(&mut lan, Filter::All);
    }
    for _ in 0..32 {
        lan.wire.put(ping());
    }
    lan.stack.turn(lan.now, &mut [&mut app]);
    let stats = lan.stack.packet_stats();
    // 128 places for 4 times 64 frames, in and out.
    assert_eq!(stats.frames_seen, 128);
    assert_eq!(stats.queue_full, 128);
    assert_eq!(lan.sent().len(), 32, "nobody else noticed");
}

#[test]
fn binding_changes_what_is_seen() {
    let mut lan = Lan::acquainted();
    let mut app = App::default();
    let pcb = endpoint(&mut lan, Filter::All);
    let netif = lan.netif;
    let mut packets = lan.stack.packets(lan.now);
    let arp = Filter::EtherType(EtherType::ARP);
    packets.bind(pcb, arp, Some(netif)).expect("it exists");
    arrives(&mut lan, &mut app, &ping());
    assert_eq!(app.seen(), []);
    let mut packets = lan.stack.packets(lan.now);
    let lo = Some(NetifId::LOOPBACK);
    packets.bind(pcb, Filter::All, lo).expect("always there");
    arrives(&mut lan, &mut app, &ping());
    assert_eq!(app.seen(), []);
}

#[test]
fn a_closed_endpoint_sees_nothing_and_costs_nothing() {
    let mut lan = Lan::acquainted();
    let mut app = App::default();
    let pcb = endpoint(&mut lan, Filter::All);
    let mut packets = lan.stack.packets(lan.now);
    packets.close(pcb).expect("open");
    assert_eq!(packets.close(pcb), Err(Error::Closed));
    arrives(&mut lan, &mut app, &ping());
    assert_eq!(app.seen(), []);
    assert_eq!(lan.pools.rx.min_available(), lan.pools.rx.blocks() - 1);
    lan.assert_at_rest();
}
