//! Receiving: what is checked, who gets it, what happens when nobody does, and ICMP errors.
use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4};

use gannet_core::udp::{Datagram, Reuse};
use gannet_core::wire::icmpv4::{Exceeded, Kind, Unreachable};
use gannet_core::wire::ipv4::Protocol;
use gannet_core::{Config, Error, Handler, HearsErrors, IcmpReport, MtuDiscovery, Udp, UdpPcb};
use gannet_tests::segment::ipv4_packet;
use gannet_tests::storage::Sizes;
use gannet_tests::udp::{NET_BROADCAST, PEER, STACK, Told, UdpRecorder, UdpRig, packet, udp_bytes};

const ANY: Ipv4Addr = Ipv4Addr::UNSPECIFIED;
const FROM: SocketAddrV4 = SocketAddrV4::new(PEER, 4000);
const TO: SocketAddrV4 = SocketAddrV4::new(STACK, 53);

fn rig() -> UdpRig {
    UdpRig::new(Config::default(), Sizes::default())
}

fn at(addr: Ipv4Addr, port: u16) -> SocketAddr {
    (addr, port).into()
}

/// An endpoint that shares its port.
fn shared(t: &mut UdpRig, addr: Ipv4Addr, port: u16) -> UdpPcb {
    let pcb = t.endpoint();
    t.udp().reuse(pcb, Reuse::Shared).expect("open");
    t.udp().bind(pcb, at(addr, port)).expect("shared");
    pcb
}

/// Puts an IP packet with these UDP bytes on the wire.
fn put(t: &UdpRig, udp: &[u8]) {
    t.wire.put(ipv4_packet(PEER, STACK, Protocol::UDP, udp));
}

#[test]
fn a_datagram_comes_with_all_that_is_known_of_it() {
    let (mut t, mut app) = (rig(), UdpRecorder::default());
    let pcb = t.bound(ANY, 53);
    let mut frame = packet(FROM, TO, b"query");
    frame[1] = 0xb9;
    frame[10..12].fill(0);
    let sum = gannet_core::wire::checksum::checksum(&frame[..20]);
    frame[10..12].copy_from_slice(&sum.to_be_bytes());
    t.wire.put(frame);
    t.turn(&mut app);
    let [
        Told::Recv {
            pcb: told,
            data,
            from,
            to,
            tos,
            ..
        },
    ] = &app.told[..]
    else {
        panic!("one datagram: {:?}", app.told);
    };
    assert_eq!((*told, &data[..]), (pcb, &b"query"[..]));
    assert_eq!((*from, *to, *tos), (FROM.into(), TO.into(), 0xb9));
    assert_eq!(t.stack.udp_stats().datagrams_received, 1);
    assert!(t.packets().is_empty() && t.pools.at_rest());
}

#[test]
fn an_empty_datagram_is_a_datagram() {
    let (mut t, mut app) = (rig(), UdpRecorder::default());
    let pcb = t.bound(ANY, 53);
    t.receive(STACK, 53, b"");
    t.turn(&mut app);
    assert_eq!(app.payloads(), [(pcb, vec![])]);
}

#[test]
fn padding_is_cut_off() {
    let (mut t, mut app) = (rig(), UdpRecorder::default());
    let pcb = t.bound(ANY, 53);
    // Behind the IP packet, as on Ethernet.
    let mut frame = packet(FROM, TO, b"abc");
    frame.extend([0xee; 20]);
    t.wire.put(frame);
    // Behind the datagram, inside the IP packet.
    let mut bytes = udp_bytes(FROM, TO, b"def");
    bytes.extend([0xee; 5]);
    put(&t, &bytes);
    t.turn(&mut app);
    assert_eq!(
        app.payloads(),
        [(pcb, b"abc".to_vec()), (pcb, b"def".to_vec())]
    );
}

#[test]
fn a_wrong_checksum_is_dropped_in_silence() {
    let (mut t, mut app) = (rig(), UdpRecorder::default());
    t.bound(ANY, 53);
    for byte in 0..udp_bytes(FROM, TO, b"data!").len() {
        let mut bytes = udp_bytes(FROM, TO, b"data!");
        bytes[byte] ^= 0x10;
        put(&t, &bytes);
        t.turn(&mut app);
    }
    assert!(app.told.is_empty() && t.packets().is_empty());
    let stats = t.stack.udp_stats();
    // A changed length field may contradict the packet instead.
    assert_eq!(stats.errors_received(), 13);
    assert!(stats.checksum_errors >= 11 && stats.datagrams_received == 0);
    assert!(t.pools.at_rest());
}

#[test]
fn no_checksum_is_accepted() {
    let (mut t, mut app) = (rig(), UdpRecorder::default());
    let pcb = t.bound(ANY, 53);
    let mut bytes = udp_bytes(FROM, TO, b"data");
    bytes[6..8].fill(0);
    put(&t, &bytes);
    t.turn(&mut app);
    assert_eq!(app.payloads(), [(pcb, b"data".to_vec())]);
}

#[test]
fn headers_that_contradict_themselves_are_dropped_in_silence() {
    let (mut t, mut app) = (rig(), UdpRecorder::default());
    t.bound(ANY, 53);
    let good = udp_bytes(FROM, TO, b"data");
    for len in [0, 1, 7, 13, 1000, 0xffff_u16] {
        let mut bytes = good.clone();
        bytes[4..6].copy_from_slice(&len.to_be_bytes());
        bytes[6..8].fill(0); // nobody can blame the checksum
        put(&t, &bytes);
    }
    for len in 0..8 {
        put(&t, &good[..len]);
    }
    put(&t, &udp_bytes(FROM, SocketAddrV4::new(STACK, 0), b"data"));
    t.turn(&mut app);
    assert!(app.told.is_empty() && t.packets().is_empty());
    assert_eq!(t.stack.udp_stats().malformed, 15);
    assert!(t.pools.at_rest());
}

#[test]
fn the_most_specific_endpoint_gets_a_unicast_datagram() {
    let (mut t, mut app) = (rig(), UdpRecorder::default());
    // From the worst match to the best, each better one made later; then the other way round.
    for order in [[0, 1, 2, 3], [3, 2, 1, 0]] {
        let mut pcbs = order.map(|rank| {
            let addr = if rank % 2 == 0 { ANY } else { STACK };
            let pcb = shared(&mut t, addr, 53);
            if rank >= 2 {
                t.udp().connect(pcb, FROM.into()).expect("a route");
            }
            (rank, pcb)
        });
        pcbs.sort_by_key(|(rank, _)| *rank);
        for (_, best) in pcbs.into_iter().rev() {
            t.receive(STACK, 53, b"x");
            t.turn(&mut app);
            assert_eq!(app.payloads(), [(best, b"x".to_vec())]);
            t.udp().close(best).expect("open");
        }
    }
}

#[test]
fn a_connected_endpoint_hears_its_peer_only() {
    let (mut t, mut app) = (rig(), UdpRecorder::default());
    let pcb = t.bound(ANY, 53);
    t.udp().connect(pcb, FROM.into()).expect("a route");
    let stranger = SocketAddrV4::new(PEER, 4001);
    t.wire.put(packet(stranger, TO, b"stranger"));
    let stranger = SocketAddrV4::new(Ipv4Addr::new(10, 0, 0, 9), 4000);
    t.wire.put(packet(stranger, TO, b"stranger"));
    t.receive(STACK, 53, b"peer");
    t.turn(&mut app);
    assert_eq!(app.payloads(), [(pcb, b"peer".to_vec())]);
    assert_eq!(t.stack.udp_stats().no_ports, 2);
    assert_eq!(t.packets().len(), 2, "port unreachable to both");
    t.udp().disconnect(pcb).expect("open");
    t.wire.put(packet(stranger, TO, b"stranger"));
    t.turn(&mut app);
    assert_eq!(app.payloads(), [(pcb, b"stranger".to_vec())]);
}

/// Connects to the sender of the first datagram.
#[derive(Default)]
struct ConnectToFirst(Vec<(Vec<u8>, SocketAddr)>);

impl Handler for ConnectToFirst {
    fn udp_recv(&mut self, udp: &mut Udp<'_>, pcb: UdpPcb, datagram: Datagram) {
        if self.0.is_empty() {
            udp.connect(pcb, datagram.from).expect("a route");
        }
        self.0.push((datagram.data.data().to_vec(), datagram.from));
    }
}

#[test]
fn connecting_drops_what_waits_from_others() {
    let mut config = Config::default();
    config.udp.max_queued = 4;
    let (mut t, mut app) = (
        UdpRig::new(config, Sizes::default()),
        ConnectToFirst::default(),
    );
    t.bound(ANY, 53);
    let other = SocketAddrV4::new(PEER, 4001);
    // Only broadcasts wait.
    let to = SocketAddrV4::new(NET_BROADCAST, TO.port());
    for (from, data) in [(FROM, b"a"), (other, b"b"), (FROM, b"c"), (other, b"d")] {
        t.wire.put(packet(from, to, data));
    }
    t.stack.turn(t.now, &mut [&mut app]);
    let expected = [(b"a".to_vec(), FROM.into()), (b"c".to_vec(), FROM.into())];
    assert_eq!(app.0, expected);
    assert!(t.pools.at_rest());
    // What was dropped no longer counts against the endpoint.
    for _ in 0..4 {
        t.receive(NET_BROADCAST, 53, b"x");
    }
    t.stack.turn(t.now, &mut [&mut app]);
    assert_eq!(app.0.len(), 6);
}

#[test]
fn nobody_there_is_answered_with_port_unreachable_to_unicasts_only() {
    let (mut t, mut app) = (rig(), UdpRecorder::default());
    t.receive(STACK, 99, b"anybody?");
    t.turn(&mut app);
    let unreachable = Kind::DestinationUnreachable(Unreachable::Port);
    assert_eq!(t.sent_error(), (unreachable, PEER, 4000, 99));
    for to in [
        NET_BROADCAST,
        Ipv4Addr::BROADCAST,
        Ipv4Addr::new(224, 0, 0, 1),
    ] {
        t.receive(to, 99, b"anybody?");
    }
    t.turn(&mut app);
    assert!(t.packets().is_empty());
    assert!(t.pools.at_rest());
}

#[test]
fn everybody_who_shares_the_port_gets_a_broadcast() {
    let (mut t, mut app) = (rig(), UdpRecorder::default());
    let first = shared(&mut t, ANY, 67);
    let specific = shared(&mut t, STACK, 67);
    let second = shared(&mut t, ANY, 67);
    let here = shared(&mut t, NET_BROADCAST, 67);
    let elsewhere = t.bound(ANY, 68);
    t.receive(NET_BROADCAST, 67, b"hi");
    t.turn(&mut app);
    let hi = b"hi".to_vec();
    let got = app.payloads();
    assert_eq!(
        got,
        [
            (first, hi.clone()),
            (second, hi.clone()),
            (here, hi.clone())
        ]
    );
    assert_eq!(t.stack.udp_stats().datagrams_received, 3);
    t.receive(Ipv4Addr::BROADCAST, 67, b"hi");
    t.turn(&mut app);
    let got = app.payloads();
    assert_eq!(got, [(first, hi.clone()), (second, hi.clone())]);
    t.receive(STACK, 67, b"hi");
    t.turn(&mut app);
    assert_eq!(app.payloads(), [(specific, hi)]);
    t.udp().close(elsewhere).expect("open");
    assert!(t.pools.at_rest());
}

#[test]
fn copies_of_a_broadcast_are_views_and_independent() {
    let mut t = rig();
    let mut app = UdpRecorder {
        keep: Some(Vec::new()),
        ..UdpRecorder::default()
    };
    shared(&mut t, ANY, 67);
    shared(&mut t, ANY, 67);
    t.receive(NET_BROADCAST, 67, b"hi");
    t.turn(&mut app);
    let kept = app.keep.take().expect("set above");
    let [one, two] = &kept[..] else {
        panic!("two datagrams")
    };
    assert!(one.shares_block(two));
    assert_eq!((one.data(), two.data()), (&b"hi"[..], &b"hi"[..]));
    drop(kept);
    assert!(t.pools.at_rest());
}

#[test]
fn one_flooded_endpoint_does_not_take_the_place_of_others() {
    let sizes = Sizes {
        datagrams: 8,
        ..Sizes::default()
    };
    let mut t = UdpRig::new(Config::default(), sizes);
    let mut app = UdpRecorder::default();
    let (flooded, quiet) = (t.bound(ANY, 53), t.bound(ANY, 54));
    for n in 0..20 {
        t.receive(NET_BROADCAST, 53, &[n]);
    }
    // What comes behind waits, too, and stays behind.
    t.receive(STACK, 54, b"a");
    t.receive(STACK, 54, b"b");
    t.receive(STACK, 54, b"c");
    t.turn(&mut app);
    let mut expected: Vec<_> = (0..6).map(|n| (flooded, vec![n])).collect();
    expected.extend([(quiet, b"a".to_vec()), (quiet, b"b".to_vec())]);
    assert_eq!(app.payloads(), expected);
    assert_eq!(t.stack.udp_stats().queue_full, 15);
    // The turn after, there is room again.
    t.receive(NET_BROADCAST, 53, b"again");
    t.turn(&mut app);
    assert_eq!(app.payloads(), [(flooded, b"again".to_vec())]);
    assert!(t.pools.at_rest());
}

#[test]
fn the_configured_share_of_an_endpoint_holds() {
    let mut config = Config::default();
    config.udp.max_queued = 2;
    let mut t = UdpRig::new(config, Sizes::default());
    let mut app = UdpRecorder::default();
    let pcb = t.bound(ANY, 53);
    for n in 0..5 {
        t.receive(NET_BROADCAST, 53, &[n]);
    }
    t.turn(&mut app);
    assert_eq!(app.payloads(), [(pcb, vec![0]), (pcb, vec![1])]);
    assert_eq!(t.stack.udp_stats().queue_full, 3);
}

#[test]
fn a_datagram_to_one_endpoint_does_not_wait() {
    let sizes = Sizes {
        datagrams: 0,
        ..Sizes::default()
    };
    let mut t = UdpRig::new(Config::default(), sizes);
    let mut app = ConnectToFirst::default();
    t.bound(ANY, 53);
    let other = SocketAddrV4::new(PEER, 4001);
    for (from, data) in [(FROM, b"a"), (other, b"b"), (FROM, b"c")] {
        t.wire.put(packet(from, TO, data));
    }
    t.stack.turn(t.now, &mut [&mut app]);
    // What the first one's callback did counted for the next.
    let expected = [(b"a".to_vec(), FROM.into()), (b"c".to_vec(), FROM.into())];
    assert_eq!(app.0, expected);
    let stats = t.stack.udp_stats();
    assert_eq!((stats.no_ports, stats.queue_full), (1, 0));
}

#[test]
fn a_received_buffer_can_be_sent_back() {
    let mut t = rig();
    let mut app = UdpRecorder {
        echo: true,
        ..UdpRecorder::default()
    };
    t.bound(ANY, 7);
    let long = vec![0x5a; 1472];
    for data in [&b"ping"[..], b"", &long] {
        t.receive(STACK, 7, data);
        t.turn(&mut app);
        let sent = t.sent();
        assert_eq!(sent[0].data, data);
        assert_eq!((sent[0].to, sent[0].from.port()), (FROM, 7));
    }
    assert!(t.pools.at_rest());
}

#[test]
fn icmp_errors_go_to_the_connected_endpoint_only() {
    let (mut t, mut app) = (rig(), UdpRecorder::default());
    let pcb = t.bound(STACK, 53);
    let port = Kind::DestinationUnreachable(Unreachable::Port);
    t.receive_error(port, TO, FROM);
    t.turn(&mut app);
    assert!(app.told.is_empty(), "not connected: {:?}", app.told);

    t.udp().connect(pcb, FROM.into()).expect("a route");
    let needed = Unreachable::FragmentationNeeded { mtu: 68 };
    let (hops, host) = (Exceeded::TimeToLive, Unreachable::Host);
    for (kind, error) in [
        (port, Some(Error::Refused)),
        (Kind::DestinationUnreachable(host), Some(Error::Unreachable)),
        (Kind::TimeExceeded(hops), Some(Error::Unreachable)),
        (Kind::DestinationUnreachable(needed), None),
    ] {
        t.receive_error(kind, TO, FROM);
        t.turn(&mut app);
        let expected: Vec<_> = error
            .map(|error| Told::Err(pcb, error))
            .into_iter()
            .collect();
        assert_eq!(std::mem::take(&mut app.told), expected, "{kind:?}");
    }
    t.udp()
        .mtu_discovery(pcb, MtuDiscovery::Discover)
        .expect("open");
    // Longer than what the router says fits.
    let quote = gannet_tests::udp::packet(TO, FROM, &[0; 100]);
    let message = gannet_tests::frames::icmp(Kind::DestinationUnreachable(needed), &quote);
    let protocol = gannet_core::wire::ipv4::Protocol::ICMP;
    let message = gannet_tests::segment::ipv4_packet(PEER, STACK, protocol, &message);
    t.wire.put(message);
    t.turn(&mut app);
    let told = std::mem::take(&mut app.told);
    assert_eq!(told, [Told::Err(pcb, Error::TooLong)]);
    // About somebody else's datagrams.
    for (local, remote) in [
        (SocketAddrV4::new(STACK, 54), FROM),
        (SocketAddrV4::new(Ipv4Addr::new(10, 0, 0, 77), 53), FROM),
        (TO, SocketAddrV4::new(PEER, 4001)),
        (TO, SocketAddrV4::new(Ipv4Addr::new(10, 0, 0, 9), 4000)),
    ] {
        t.receive_error(port, local, remote);
        t.turn(&mut app);
        assert!(app.told.is_empty(), "{local} {remote}");
    }
    // It is an event, not a state: the endpoint goes on.
    let data = t.data(b"on");
    t.udp().send(pcb, data).expect("sent");
    assert_eq!(t.sent()[0].data, b"on");
}

#[test]
fn an_endpoint_that_asked_hears_of_every_error_and_all_of_it() {
    let (mut t, mut app) = (rig(), UdpRecorder::default());
    let (pcb, unbound) = (t.bound(ANY, 53), t.endpoint());
    for endpoint in [pcb, unbound] {
        let hears = t.udp().hears_errors(endpoint, HearsErrors::OfAll);
        hears.expect("open");
    }
    let expected = |report: &IcmpReport| (report.icmp_type, report.code, report.sent_to);
    let stranger = SocketAddrV4::new(Ipv4Addr::new(10, 9, 9, 9), 7);
    t.receive_error(
        Kind::DestinationUnreachable(Unreachable::Host),
        TO,
        stranger,
    );
    t.receive_error(Kind::TimeExceeded(Exceeded::TimeToLive), TO, FROM);
    let problem = Kind::ParameterProblem {
        code: 0,
        pointer: 8,
    };
    t.receive_error(problem, TO, FROM);
    // Of what nobody can have sent.
    t.receive_error(
        Kind::DestinationUnreachable(Unreachable::Port),
        SocketAddrV4::new(STACK, 0),
        FROM,
    );
    t.turn(&mut app);
    let errors = std::mem::take(&mut app.told);
    let whys = [Error::Unreachable, Error::Unreachable, Error::Protocol];
    assert_eq!(errors, whys.map(|why| Told::Err(pcb, why)));
    let told: Vec<_> = std::mem::take(&mut app.reports);
    let kinds: Vec<_> = told.iter().map(expected).collect();
    let from = FROM.into();
    assert_eq!(
        kinds,
        [(3, 1, stranger.into()), (11, 0, from), (12, 0, from)]
    );
    assert!(
        told.iter()
            .all(|report| report.offender == PEER && report.mtu.is_none())
    );

    // A connected one is asked first.
    let connected = t.endpoint();
    t.udp().connect(connected, FROM.into()).expect("a route");
    let local = t.udp().local_addr(connected).expect("bound");
    let SocketAddr::V4(local) = local else {
        panic!("IPv4")
    };
    t.receive_error(Kind::DestinationUnreachable(Unreachable::Port), local, FROM);
    t.turn(&mut app);
    assert_eq!(
        std::mem::take(&mut app.told),
        [Told::Err(connected, Error::Refused)]
    );

    // Of more than can wait the oldest are lost.
    app.reports.clear();
    for port in 1..=10 {
        let remote = SocketAddrV4::new(PEER, port);
        t.receive_error(Kind::DestinationUnreachable(Unreachable::Port), TO, remote);
    }
    t.turn(&mut app);
    let ports: Vec<_> = app
        .reports
        .iter()
        .map(|report| report.sent_to.port())
        .collect();
    assert_eq!(ports, [3, 4, 5, 6, 7, 8, 9, 10]);

    // Those of an endpoint that was closed meanwhile are told to nobody.
    app.told.clear();
    app.close = true;
    t.receive_error(Kind::TimeExceeded(Exceeded::TimeToLive), TO, FROM);
    t.receive(STACK, 53, b"data");
    t.turn(&mut app);
    assert!(
        matches!(app.told[..], [Told::Recv { .. }]),
        "{:?}",
        app.told
    );
}

#[test]
fn data_is_told_before_an_error_and_the_error_once() {
    let (mut t, mut app) = (rig(), UdpRecorder::default());
    let pcb = t.bound(ANY, 53);
    t.udp().connect(pcb, FROM.into()).expect("a route");
    let port = Kind::DestinationUnreachable(Unreachable::Port);
    t.receive_error(port, TO, FROM);
    t.receive_error(port, TO, FROM);
    t.receive(STACK, 53, b"data");
    t.turn(&mut app);
    t.turn(&mut app);
    assert!(matches!(app.told[0], Told::Recv { .. }));
    assert_eq!(app.told[1..], [Told::Err(pcb, Error::Refused)]);
}

#[test]
fn whatever_arrives_is_counted_once_and_leaves_nothing_behind() {
    const DATAGRAMS: u32 = 20_000;
    let (mut t, mut app) = (rig(), UdpRecorder::default());
    t.bound(ANY, 53);
    let mut random = fastrand::Rng::with_seed(5);
    for _ in 0..DATAGRAMS {
        let data = vec![random.u8(..); random.usize(..40)];
        let mut bytes = udp_bytes(FROM, TO, &data);
        for _ in 0..random.usize(..4) {
            let at = random.usize(..bytes.len());
            bytes[at] = random.u8(..);
        }
        if random.bool() {
            // No checksum, so that the rest is looked at.
            bytes[6..8].fill(0);
        }
        if random.u8(..3) == 0 {
            bytes.truncate(random.usize(..=bytes.len()));
        }
        put(&t, &bytes);
        if t.wire.waiting() > 20 {
            t.turn(&mut app);
            t.packets();
        }
    }
    t.turn(&mut app);
    t.packets();
    let stats = t.stack.udp_stats();
    let seen = stats.datagrams_received + stats.no_ports + stats.errors_received();
    assert_eq!(seen, DATAGRAMS);
    assert_eq!(app.told.len(), stats.datagrams_received as usize);
    assert!(
        stats.datagrams_received > 1000 && stats.no_ports > 100,
        "{stats:?}"
    );
    assert!(
        stats.malformed > 1000 && stats.checksum_errors > 1000,
        "{stats:?}"
    );
    assert!(t.pools.at_rest());
}
