//! Raw IP endpoints: what they see of what arrives, what the stack still does itself, and packets
//! sent with and without a header of the application.
use std::net::{IpAddr, Ipv4Addr};

use gannet_core::raw::{Broadcast, Header, Packet as RawPacket, Protocol};
use gannet_core::wire::ethernet::EtherType;
use gannet_core::wire::icmpv4::{Kind, Unreachable};
use gannet_core::{Config, Error, HearsErrors, IcmpReport, Owner, Pbuf, Raw, RawPcb};
use gannet_tests::frames::{self, Packet, frame};
use gannet_tests::lan::{Lan, PEER, PEER_HW, STACK, STACK_HW, capabilities};
use gannet_tests::storage::Sizes;

/// RFC 3692 §2.1: for experiments.
const EXPERIMENT: Protocol = Protocol(253);
const STRANGER: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 9);

#[derive(Debug, Default)]
struct App {
    packets: Vec<(RawPcb, RawPacket)>,
    errors: Vec<(RawPcb, IcmpReport)>,
}

impl gannet_core::Handler for App {
    fn raw_recv(&mut self, _: &mut Raw<'_>, pcb: RawPcb, packet: RawPacket) {
        self.packets.push((pcb, packet));
    }

    fn raw_err(&mut self, _: &mut Raw<'_>, pcb: RawPcb, report: IcmpReport) {
        self.errors.push((pcb, report));
    }
}

impl App {
    /// Who got packets, and their bytes.
    fn bytes(&mut self) -> Vec<(RawPcb, Vec<u8>)> {
        let packets = std::mem::take(&mut self.packets).into_iter();
        packets
            .map(|(pcb, packet)| (pcb, packet.data.parts().flatten().copied().collect()))
            .collect()
    }
}

fn endpoint(lan: &mut Lan, protocol: Protocol) -> RawPcb {
    let mut raw = lan.stack.raw(lan.now);
    raw.new(protocol, Owner(0)).expect("a free endpoint")
}

/// The peer's packet arrives.
fn arrives(lan: &mut Lan, app: &mut App, packet: &Packet) {
    lan.wire
        .put(frame(STACK_HW, PEER_HW, EtherType::IPV4, &packet.bytes()));
    lan.stack.turn(lan.now, &mut [app]);
}

fn packet(protocol: Protocol, payload: &[u8]) -> Packet {
    Packet::new(PEER, STACK, protocol, payload.to_vec())
}

fn echo_request() -> Packet {
    packet(Protocol::ICMP, &frames::echo_request(20))
}

fn data(lan: &Lan, bytes: &[u8]) -> Pbuf {
    let mut data = Pbuf::alloc(lan.pools.tx, 0, bytes.len()).expect("buffers");
    data.copy_from(bytes);
    data
}

#[test]
fn an_echo_request_is_seen_with_its_header_and_answered() {
    let mut lan = Lan::acquainted();
    let mut app = App::default();
    let pcb = endpoint(&mut lan, Protocol::ICMP);
    let request = echo_request();
    arrives(&mut lan, &mut app, &request);
    let (_, seen) = &app.packets[0];
    assert_eq!((seen.from, seen.to), (PEER.into(), STACK.into()));
    assert_eq!((seen.ttl, seen.tos, seen.netif), (64, 0, lan.netif));
    assert_eq!(
        app.bytes(),
        [(pcb, request.bytes())],
        "untouched by the answer"
    );
    let (answer, payload) = lan.sent_packet().icmp();
    assert!(matches!(answer, Kind::EchoReply(_)));
    assert_eq!(payload, request.payload[8..]);
    assert_eq!(lan.stack.raw_stats().packets_received, 1);
    lan.assert_at_rest();
}

#[test]
fn no_bytes_are_copied() {
    let mut lan = Lan::acquainted();
    let mut app = App::default();
    endpoint(&mut lan, EXPERIMENT);
    endpoint(&mut lan, EXPERIMENT);
    arrives(&mut lan, &mut app, &packet(EXPERIMENT, &[7; 1000]));
    let [(_, one), (_, two)] = &app.packets[..] else {
        panic!("both: {:?}", app.packets);
    };
    assert!(one.data.shares_block(&two.data));
    assert_eq!(lan.pools.in_use(), [1, 0, 0]);
}

#[test]
fn an_unknown_protocol_is_refused_unless_an_endpoint_takes_it() {
    let mut lan = Lan::acquainted();
    let mut app = App::default();
    let strange = packet(EXPERIMENT, b"strange");
    arrives(&mut lan, &mut app, &strange);
    let (told, _) = lan.sent_packet().icmp();
    assert_eq!(told, Kind::DestinationUnreachable(Unreachable::Protocol));

    let pcb = endpoint(&mut lan, EXPERIMENT);
    arrives(&mut lan, &mut app, &strange);
    assert_eq!(app.bytes(), [(pcb, strange.bytes())]);
    assert_eq!(lan.sent(), [], "nobody complains");

    lan.stack.raw(lan.now).close(pcb).expect("open");
    arrives(&mut lan, &mut app, &strange);
    assert_eq!(app.bytes(), []);
    assert_eq!(lan.sent().len(), 1);
    assert_eq!(lan.stack.raw(lan.now).close(pcb), Err(Error::Closed));
    lan.assert_at_rest();
}

#[test]
fn udp_is_seen_too_and_still_delivered_or_refused() {
    let mut lan = Lan::acquainted();
    let mut app = App::default();
    endpoint(&mut lan, Protocol::UDP);
    let datagram = gannet_tests::udp::udp_bytes(
        core::net::SocketAddrV4::new(PEER, 9),
        core::net::SocketAddrV4::new(STACK, 9),
        b"nobody listens",
    );
    let datagram = packet(Protocol::UDP, &datagram);
    arrives(&mut lan, &mut app, &datagram);
    assert_eq!(app.bytes().len(), 1);
    let (told, quote) = lan.sent_packet().icmp();
    assert_eq!(told, Kind::DestinationUnreachable(Unreachable::Port));
    assert_eq!(quote, datagram.bytes(), "quoted though somebody views it");
    lan.assert_at_rest();
}

#[test]
fn addresses_choose_who_gets_a_packet() {
    let mut lan = Lan::acquainted();
    let mut app = App::default();
    let all = endpoint(&mut lan, EXPERIMENT);
    let bound = endpoint(&mut lan, EXPERIMENT);
    let other = endpoint(&mut lan, EXPERIMENT);
    let mut raw = lan.stack.raw(lan.now);
    raw.bind(bound, STACK.into()).expect("own");
    raw.connect(other, STRANGER.into()).expect("on the link");
    assert_eq!(raw.bind(all, STRANGER.into()), Err(Error::Argument));
    assert_eq!(raw.peer_addr(other), Ok(STRANGER.into()));
    assert_eq!(raw.local_addr(other), Ok(STACK.into()));
    assert_eq!(raw.peer_addr(all), Err(Error::NotConnected));
    let refused = raw.connect(all, Ipv4Addr::BROADCAST.into());
    assert_eq!(refused, Err(Error::Denied));

    arrives(&mut lan, &mut app, &packet(EXPERIMENT, b"x"));
    let who: Vec<_> = app.bytes().into_iter().map(|(pcb, _)| pcb).collect();
    assert_eq!(who, [all, bound]);
    let mut raw = lan.stack.raw(lan.now);
    raw.disconnect(other).expect("open");
    arrives(&mut lan, &mut app, &packet(EXPERIMENT, b"x"));
    assert_eq!(app.bytes().len(), 3);
}

#[test]
fn a_packet_in_fragments_is_seen_whole() {
    let mut lan = Lan::acquainted();
    let mut app = App::default();
    let pcb = endpoint(&mut lan, EXPERIMENT);
    let whole = packet(EXPERIMENT, &(0..2000).map(|n| n as u8).collect::<Vec<_>>());
    for fragment in whole.fragments(800) {
        arrives(&mut lan, &mut app, &fragment);
    }
    assert_eq!(
        app.bytes(),
        [(pcb, whole.bytes())],
        "the header of the whole"
    );
    lan.assert_at_rest();
}

#[test]
fn a_payload_is_sent_behind_a_header_of_the_stack() {
    let mut lan = Lan::acquainted();
    let pcb = endpoint(&mut lan, EXPERIMENT);
    let hello = data(&lan, b"hello");
    let mut raw = lan.stack.raw(lan.now);
    raw.ttl(pcb, Some(7)).expect("not 0");
    raw.tos(pcb, 0x20).expect("open");
    assert_eq!(raw.ttl(pcb, Some(0)), Err(Error::Argument));
    raw.send_to(pcb, hello, PEER.into()).expect("sent");
    let sent = lan.sent_packet();
    assert_eq!((sent.src, sent.dst), (STACK, PEER));
    assert_eq!((sent.protocol, sent.ttl, sent.tos), (EXPERIMENT, 7, 0x20));
    assert_eq!(sent.payload, b"hello");
    assert_eq!(lan.stack.raw_stats().packets_sent, 1);
    lan.assert_at_rest();
}

#[test]
fn a_long_payload_leaves_in_fragments() {
    let mut lan = Lan::acquainted();
    let pcb = endpoint(&mut lan, EXPERIMENT);
    let long = data(&lan, &[3; 4000]);
    let mut raw = lan.stack.raw(lan.now);
    raw.connect(pcb, PEER.into()).expect("a route");
    raw.send(pcb, long).expect("sent");
    assert_eq!(lan.sent().len(), 3);
}

#[test]
fn without_a_destination_data_comes_back() {
    let mut lan = Lan::acquainted();
    let pcb = endpoint(&mut lan, EXPERIMENT);
    for (to, error) in [
        (None, Error::NotConnected),
        (Some(Ipv4Addr::UNSPECIFIED), Error::Argument),
        (Some(Ipv4Addr::BROADCAST), Error::Denied),
        (Some(Ipv4Addr::new(192, 0, 2, 1)), Error::NoRoute),
    ] {
        let bytes = data(&lan, b"mine");
        let mut raw = lan.stack.raw(lan.now);
        let refused = match to {
            Some(to) => raw.send_to(pcb, bytes, to.into()),
            None => raw.send(pcb, bytes),
        };
        let refused = refused.expect_err("refused");
        assert_eq!(refused.error, error);
        assert_eq!(refused.data.expect("back").data(), b"mine");
    }
    let bytes = data(&lan, b"to all");
    let mut raw = lan.stack.raw(lan.now);
    raw.broadcast(pcb, Broadcast::Allowed).expect("open");
    raw.send_to(pcb, bytes, Ipv4Addr::BROADCAST.into())
        .expect("sent");
    assert_eq!(lan.stack.raw_stats().send_errors, 4);
}

/// An endpoint whose application writes the header.
fn including(lan: &mut Lan) -> RawPcb {
    let pcb = endpoint(lan, EXPERIMENT);
    let mut raw = lan.stack.raw(lan.now);
    raw.header(pcb, Header::Included).expect("open");
    pcb
}

fn send_whole(lan: &mut Lan, pcb: RawPcb, bytes: &[u8]) -> Result<(), Error> {
    let packet = data(lan, bytes);
    let mut raw = lan.stack.raw(lan.now);
    raw.send(pcb, packet).map_err(|refused| {
        assert!(refused.data.is_some(), "it comes back");
        refused.error
    })
}

#[test]
fn a_header_of_the_application_is_completed() {
    let mut lan = Lan::acquainted();
    let pcb = including(&mut lan);
    let mut wanted = Packet::new(STACK, PEER, Protocol(200), b"mine".to_vec());
    wanted.ttl = 3;
    wanted.tos = 0x44;
    wanted.dont_fragment = true;
    let mut bytes = wanted.bytes();
    bytes[2..4].fill(0); // length
    bytes[10..16].fill(0); // checksum and source
    send_whole(&mut lan, pcb, &bytes).expect("sent");
    assert_eq!(lan.sent_packet(), wanted);

    // An identification of 0 is filled in, a right length and source stay.
    let mut bytes = wanted.bytes();
    bytes[4..6].fill(0);
    send_whole(&mut lan, pcb, &bytes).expect("sent");
    let sent = lan.sent_packet();
    assert_ne!(sent.ident, 0);
    wanted.ident = sent.ident;
    assert_eq!(sent, wanted);
    lan.assert_at_rest();
}

#[test]
fn a_wrong_header_is_refused() {
    let mut lan = Lan::acquainted();
    let pcb = including(&mut lan);
    let good = Packet::new(STACK, PEER, EXPERIMENT, vec![1; 10]);
    let mut foreign = good.clone();
    foreign.src = STRANGER;
    let mut fragment = good.clone();
    fragment.more = true;
    let mut spent = good.clone();
    spent.ttl = 0;
    for wrong in [&foreign, &fragment, &spent] {
        let refused = send_whole(&mut lan, pcb, &wrong.bytes());
        assert_eq!(refused, Err(Error::Argument), "{wrong:?}");
    }
    for (at, byte) in [(0, 0x65), (0, 0x44), (0, 0x4f), (3, 31), (2, 0xff)] {
        let mut bytes = good.bytes();
        bytes[at] = byte;
        let refused = send_whole(&mut lan, pcb, &bytes);
        assert_eq!(refused, Err(Error::Argument), "byte {at} is {byte:#x}");
    }
    for len in 0..20 {
        let refused = send_whole(&mut lan, pcb, &good.bytes()[..len]);
        assert_eq!(refused, Err(Error::Argument), "{len} bytes");
    }
    let long = Packet::new(STACK, PEER, EXPERIMENT, vec![1; 1481]);
    let refused = send_whole(&mut lan, pcb, &long.bytes());
    assert_eq!(refused, Err(Error::TooLong));
    assert_eq!(lan.sent(), []);
    lan.assert_at_rest();
}

#[test]
fn a_device_finds_the_checksums_it_computes_zero() {
    let mut capabilities = capabilities();
    capabilities.tx_checksums.icmpv4 = true;
    let mut lan = Lan::with(Config::default(), Sizes::default(), capabilities);
    lan.introduce();
    let pcb = endpoint(&mut lan, Protocol::ICMP);
    let message = echo_request().payload;
    let sent = data(&lan, &message);
    lan.stack
        .raw(lan.now)
        .send_to(pcb, sent, PEER.into())
        .expect("sent");
    let payload = lan.sent_packet().payload;
    assert_eq!(payload[2..4], [0, 0]);
    assert_eq!(
        (&payload[..2], &payload[4..]),
        (&message[..2], &message[4..])
    );
}

#[test]
fn icmp_errors_reach_the_connected_endpoint() {
    let mut lan = Lan::acquainted();
    let mut app = App::default();
    let connected = endpoint(&mut lan, EXPERIMENT);
    let other = endpoint(&mut lan, EXPERIMENT);
    let mut raw = lan.stack.raw(lan.now);
    raw.connect(connected, IpAddr::V4(PEER)).expect("a route");
    let quote = Packet::new(STACK, PEER, EXPERIMENT, vec![0; 8]).bytes();
    let error = Kind::DestinationUnreachable(Unreachable::Protocol);
    let told = packet(Protocol::ICMP, &frames::icmp(error, &quote));
    arrives(&mut lan, &mut app, &told);
    let errors: Vec<_> = std::mem::take(&mut app.errors);
    let [(pcb, report)] = errors[..] else {
        panic!("{errors:?}");
    };
    assert_eq!((pcb, report.error), (connected, Error::Refused));
    assert_eq!((report.icmp_type, report.code), (3, 2));
    assert_eq!(
        (report.offender, report.sent_to),
        (PEER.into(), (PEER, 0).into())
    );
    // One that asked for it hears of all, connected or not.
    let mut raw = lan.stack.raw(lan.now);
    raw.hears_errors(other, HearsErrors::OfAll).expect("open");
    arrives(&mut lan, &mut app, &told);
    let heard: Vec<_> = app.errors.iter().map(|(pcb, _)| *pcb).collect();
    assert_eq!(heard, [connected, other]);
}

#[test]
fn an_endpoint_that_is_not_read_does_not_starve_the_rest() {
    let mut lan = Lan::acquainted();
    let mut app = App::default();
    endpoint(&mut lan, EXPERIMENT);
    let blocks = lan.pools.rx.blocks();
    for _ in 0..2 * blocks {
        // The application keeps all of them.
        arrives(&mut lan, &mut app, &packet(EXPERIMENT, b"x"));
    }
    assert!(lan.pools.rx.available() >= blocks / 4 - 1);
    assert!(lan.stack.raw_stats().no_buffers > 0);
    arrives(&mut lan, &mut app, &echo_request());
    assert_eq!(lan.sent().len(), 1, "answered");
}

#[test]
fn within_a_turn_an_endpoint_takes_no_more_than_its_share() {
    let mut lan = Lan::acquainted();
    let mut app = App::default();
    endpoint(&mut lan, EXPERIMENT);
    let packet = packet(EXPERIMENT, b"x").bytes();
    for _ in 0..2 {
        for _ in 0..32 {
            let of = frame(STACK_HW, PEER_HW, EtherType::IPV4, &packet);
            lan.wire.put(of);
        }
        lan.stack.turn(lan.now, &mut [&mut app]);
        assert_eq!(app.bytes().len(), 32);
    }
}

#[test]
fn endpoints_run_out_and_handles_do_not_dangle() {
    let mut lan = Lan::new();
    let all: Vec<_> = (0..4).map(|_| endpoint(&mut lan, EXPERIMENT)).collect();
    let mut raw = lan.stack.raw(lan.now);
    assert_eq!(raw.new(EXPERIMENT, Owner(0)), Err(Error::NoMemory));
    raw.close(all[1]).expect("open");
    let again = raw.new(Protocol::ICMP, Owner(0)).expect("free");
    assert_eq!(again.index(), all[1].index());
    assert_eq!(raw.arg_of(all[1]), Err(Error::Closed));
    raw.arg(again, 5).expect("open");
    assert_eq!(raw.arg_of(again), Ok(5));
    assert_eq!(raw.protocol(again), Ok(Protocol::ICMP));
}
