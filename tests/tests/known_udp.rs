//! Known vulnerabilities of UDP (C, K and X of our list): one test a record.
use std::collections::BTreeSet;
use std::net::{Ipv4Addr, SocketAddrV4};

use gannet_core::wire::ipv4::Protocol;
use gannet_core::{Config, Owner};
use gannet_tests::frames::Packet;
use gannet_tests::lan::{Lan, PEER, STACK};
use gannet_tests::storage::Sizes;
use gannet_tests::udp::{UdpRecorder, UdpRig, udp_bytes};

const TO: SocketAddrV4 = SocketAddrV4::new(STACK, 7);
const FROM: SocketAddrV4 = SocketAddrV4::new(PEER, 9);

fn bound() -> Lan {
    let mut lan = Lan::acquainted();
    let now = lan.now;
    let mut udp = lan.stack.udp(now);
    let pcb = udp.new(Owner(0)).expect("a free endpoint");
    udp.bind(pcb, TO.into()).expect("a free port");
    lan
}

#[test]
fn c045_c082_c105_k01_lengths_that_lie() {
    let mut lan = bound();
    let good = udp_bytes(FROM, TO, &[1; 32]);
    for length in [0u16, 1, 7, good.len() as u16 + 1, 0xffff] {
        let mut bytes = good.clone();
        bytes[4..6].copy_from_slice(&length.to_be_bytes());
        // Without a checksum, so that the length is what is looked at.
        bytes[6..8].fill(0);
        lan.put_ip(&Packet::new(PEER, STACK, Protocol::UDP, bytes));
        assert!(lan.sent().is_empty());
        lan.assert_at_rest();
    }
    for len in 0..8 {
        let cut = good[..len].to_vec();
        lan.put_ip(&Packet::new(PEER, STACK, Protocol::UDP, cut));
        lan.assert_at_rest();
    }
    assert_eq!(lan.stack.udp_stats().datagrams_received, 0);
}

#[test]
fn c092_k02_checksums_at_the_edges_of_their_arithmetic() {
    let mut t = UdpRig::new(Config::default(), Sizes::default());
    t.bound(Ipv4Addr::UNSPECIFIED, 7);
    let mut app = UdpRecorder::default();
    // Sums that come to 0 and to 0xffff, odd lengths, all ones.
    for len in 0..300 {
        for byte in [0, 0xff, 0x80] {
            t.receive(STACK_OF_RIG, 7, &vec![byte; len]);
            t.turn(&mut app);
        }
    }
    assert_eq!(app.payloads().len(), 900);
    assert!(t.pools.at_rest());
}

use gannet_tests::udp::STACK as STACK_OF_RIG;

#[test]
fn x072_k14_datagrams_nobody_takes_hold_no_more_than_their_share() {
    let mut lan = bound();
    // All of one moment, so that the application has no chance between them.
    for n in 0..2_000u16 {
        let bytes = udp_bytes(SocketAddrV4::new(PEER, n | 1), TO, &[0; 1_000]);
        let packet = Packet::new(PEER, STACK, Protocol::UDP, bytes).bytes();
        let frame = gannet_tests::frames::frame(
            gannet_tests::lan::STACK_HW,
            gannet_tests::lan::PEER_HW,
            gannet_core::wire::ethernet::EtherType::IPV4,
            &packet,
        );
        lan.wire.put(frame);
    }
    lan.turn();
    assert_eq!(lan.wire.no_buffers(), 0, "the receive pool ran dry");
    lan.assert_at_rest();
}

#[test]
fn c061_c067_c073_k08_ports_cannot_be_guessed() {
    let mut lan = Lan::acquainted();
    let now = lan.now;
    let mut ports = Vec::new();
    for _ in 0..500 {
        let mut udp = lan.stack.udp(now);
        let pcb = udp.new(Owner(0)).expect("a free endpoint");
        udp.bind(pcb, ([0, 0, 0, 0], 0).into()).expect("a free port");
        ports.push(udp.local_addr(pcb).expect("bound").port());
        udp.close(pcb).expect("live");
    }
    let steps: BTreeSet<_> = ports.windows(2).map(|w| w[1].wrapping_sub(w[0])).collect();
    assert!(steps.len() > 450, "{} different steps", steps.len());
    assert!(ports.iter().all(|port| *port >= 49_152));
}

#[test]
fn x113_handles_of_what_is_gone_are_errors() {
    let mut lan = Lan::acquainted();
    let now = lan.now;
    let mut udp = lan.stack.udp(now);
    let old = udp.new(Owner(0)).expect("a free endpoint");
    udp.close(old).expect("live");
    let new = udp.new(Owner(0)).expect("a free endpoint");
    assert_ne!(old, new);
    assert!(udp.bind(old, TO.into()).is_err() && udp.close(old).is_err());
    udp.bind(new, TO.into()).expect("a free port");
}

#[test]
fn x071_x029_k10_nothing_for_many_is_answered() {
    let mut lan = Lan::acquainted();
    for dst in [[10, 0, 0, 255], [255, 255, 255, 255], [224, 0, 0, 251]] {
        let to = SocketAddrV4::new(dst.into(), 9_999);
        let bytes = udp_bytes(FROM, to, b"is anybody there?");
        lan.put_ip(&Packet::new(PEER, dst.into(), Protocol::UDP, bytes));
        assert!(lan.sent().is_empty(), "{dst:?}");
    }
    lan.assert_at_rest();
}
