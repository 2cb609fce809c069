//! Known vulnerabilities of ICMP and ARP (C, K and X of our list): one test a record.
use std::net::Ipv4Addr;
use std::time::Duration;

use gannet_core::wire::ethernet::EtherType;
use gannet_core::wire::icmpv4::{Kind, Unreachable};
use gannet_core::wire::ipv4::Protocol;
use gannet_core::{HwAddr, Owner};
use gannet_tests::frames::{Packet, Sent, arp_bytes, echo_request, frame, icmp};
use gannet_tests::lan::{Lan, PEER, PEER_HW, STACK, STACK_HW, reply, request};

const OTHER_HW: HwAddr = HwAddr([2, 0, 0, 0, 9, 9]);

fn ping(len: usize) -> Packet {
    Packet::new(PEER, STACK, Protocol::ICMP, echo_request(len))
}

#[track_caller]
fn assert_alive(lan: &mut Lan) {
    lan.sent();
    lan.put_ip(&ping(10));
    let sent = lan.sent();
    assert!(
        matches!(&sent[..], [Sent::Ip(hw, _)] if *hw == PEER_HW),
        "{sent:?}"
    );
    lan.assert_at_rest();
}

/// An ICMP message with any type, code and body, and a right checksum.
fn message(kind: u8, code: u8, rest: &[u8]) -> Packet {
    let mut bytes = vec![kind, code, 0, 0];
    bytes.extend(rest);
    let sum = gannet_core::wire::checksum::checksum(&bytes);
    bytes[2..4].copy_from_slice(&sum.to_be_bytes());
    Packet::new(PEER, STACK, Protocol::ICMP, bytes)
}

#[test]
fn c026_c082_c106_messages_cut_short_have_no_answer_that_is_longer() {
    let mut lan = Lan::acquainted();
    for len in 4..60 {
        let body = vec![7; len - 4];
        for kind in 0..=255 {
            let packet = message(kind, 0, &body);
            lan.put_ip(&packet);
            for sent in lan.sent() {
                let answer = sent.ip();
                assert!(kind == 8 && len >= 8, "type {kind} was answered");
                assert_eq!(answer.payload.len(), len);
            }
        }
    }
    // Seven bytes and less are no message at all.
    for len in 0..8 {
        let mut packet = ping(0);
        packet.payload.truncate(len);
        lan.put_ip(&packet);
        assert!(lan.sent().is_empty());
    }
    assert_alive(&mut lan);
}

#[test]
fn c027_x094_masks_redirects_and_their_like_are_ignored() {
    let mut lan = Lan::acquainted();
    let quote = ping(0).bytes();
    // Redirect, source quench, router advertisement and solicitation, parameter problem,
    // timestamps, information, address masks.
    for kind in [4, 5, 9, 10, 12, 13, 14, 15, 16, 17, 18] {
        for code in 0..4 {
            let mut rest = vec![10, 0, 0, 66];
            rest.extend(&quote);
            lan.put_ip(&message(kind, code, &rest));
            assert!(lan.sent().is_empty(), "type {kind} was answered");
        }
    }
    assert_eq!(lan.stack.default_gateway(), None);
    let status = lan.stack.netif_status(lan.netif).expect("the interface");
    assert_eq!(status.subnet.map(|subnet| subnet.addr()), Some(STACK));
    assert_alive(&mut lan);
}

#[test]
fn c081_an_answer_goes_to_who_asked_whatever_the_options_say() {
    let mut lan = Lan::acquainted();
    let mut packet = ping(10);
    packet.options = vec![131, 7, 8, 10, 0, 0, 99, 0];
    lan.put_ip(&packet);
    for sent in lan.sent() {
        assert_eq!(sent.ip().dst, PEER);
    }
    assert_alive(&mut lan);
}

#[test]
fn c155_k12_the_limit_of_errors_cannot_be_counted_from_outside() {
    // How many of a burst are answered differs from stack to stack and from time to time.
    let mut counts = std::collections::BTreeSet::new();
    let mut lan = Lan::acquainted();
    for _ in 0..20 {
        lan.wait(Duration::from_secs(10));
        for _ in 0..300 {
            lan.put_ip(&Packet::new(PEER, STACK, Protocol(250), vec![0; 8]));
        }
        counts.insert(lan.sent().len());
    }
    assert!(counts.len() > 1, "always {counts:?}");
    assert!(counts.iter().all(|count| *count < 300), "{counts:?}");
    assert_alive(&mut lan);
}

#[test]
fn x073_x091_k12_no_errors_about_errors_fragments_or_what_was_for_many() {
    let mut lan = Lan::acquainted();
    let unknown = |src: Ipv4Addr, dst: Ipv4Addr| Packet::new(src, dst, Protocol(250), vec![0; 20]);
    let mut later = unknown(PEER, STACK);
    later.offset = 80;
    let packets = [
        unknown(PEER, Ipv4Addr::BROADCAST),
        unknown(PEER, Ipv4Addr::new(10, 0, 0, 255)),
        unknown(PEER, Ipv4Addr::new(224, 0, 0, 1)),
        unknown(Ipv4Addr::UNSPECIFIED, STACK),
        Packet {
            dst: Ipv4Addr::BROADCAST,
            ..ping(8)
        },
        Packet {
            dst: Ipv4Addr::new(224, 0, 0, 1),
            ..ping(8)
        },
        later,
    ];
    for packet in packets {
        for dst in [STACK_HW, HwAddr::BROADCAST] {
            lan.put(frame(dst, PEER_HW, EtherType::IPV4, &packet.bytes()));
            assert!(lan.sent().is_empty(), "{packet:?} was answered");
        }
    }
    // Errors, whatever they quote.
    for kind in [3, 4, 5, 11, 12] {
        let mut rest = vec![0; 4];
        rest.extend(unknown(STACK, PEER).bytes());
        lan.put_ip(&message(kind, 2, &rest));
        assert!(lan.sent().is_empty());
    }
    lan.wait(Duration::from_secs(60));
    assert!(lan.sent().is_empty());
    assert_alive(&mut lan);
}

#[test]
fn c126_x068_errors_about_what_was_never_sent_take_no_memory() {
    let mut lan = Lan::acquainted();
    for n in 0..2_000u32 {
        let to = Ipv4Addr::from(0x0b00_0000 + n);
        let mut quoted = Packet::new(STACK, to, Protocol::TCP, vec![n as u8; 8]);
        if n % 3 == 0 {
            quoted.protocol = Protocol::UDP;
        }
        let kind = match n % 2 {
            0 => Kind::DestinationUnreachable(Unreachable::FragmentationNeeded { mtu: 68 }),
            _ => Kind::DestinationUnreachable(Unreachable::Port),
        };
        let packet = Packet::new(PEER, STACK, Protocol::ICMP, icmp(kind, &quoted.bytes()));
        lan.put_ip(&packet);
        assert!(lan.sent().is_empty());
    }
    assert_alive(&mut lan);
}

#[test]
fn c009_c030_c097_k11_arp_that_is_none() {
    let mut lan = Lan::acquainted();
    let good = arp_bytes(&request(PEER, PEER_HW, STACK));
    for len in 0..good.len() {
        lan.put(frame(STACK_HW, PEER_HW, EtherType::ARP, &good[..len]));
        assert!(lan.sent().is_empty(), "{len} bytes were answered");
    }
    // Hardware and protocol types and lengths, and operations: of RARP and others.
    for (at, values) in [
        (0, vec![1, 0xff]),
        (1, vec![0, 6, 0xff]),
        (2, vec![0, 0x86]),
        (4, vec![0, 1, 5, 7, 255]),
        (5, vec![0, 3, 5, 16, 255]),
        (7, vec![0, 3, 4, 8, 9, 255]),
    ] {
        for value in values {
            let mut bytes = good.clone();
            bytes[at] = value;
            // To be told from what the stack knows.
            bytes[8..14].copy_from_slice(&OTHER_HW.0);
            lan.put(frame(STACK_HW, OTHER_HW, EtherType::ARP, &bytes));
            assert!(lan.sent().is_empty(), "byte {at} is {value}");
        }
    }
    // RARP has an Ethernet type of its own.
    lan.put(frame(STACK_HW, PEER_HW, EtherType(0x8035), &good));
    assert!(lan.sent().is_empty());
    assert_alive(&mut lan);
}

#[test]
fn x062_x074_x097_k11_nobody_is_redirected_by_what_was_not_asked_for() {
    let mut lan = Lan::acquainted();
    // Group addresses and our own are nobody's station.
    for hw in [HwAddr::BROADCAST, HwAddr([1, 0, 0x5e, 0, 0, 1]), STACK_HW] {
        lan.put(frame(
            STACK_HW,
            OTHER_HW,
            EtherType::ARP,
            &arp_bytes(&reply(PEER, hw)),
        ));
    }
    // A flood of strangers, each of which asks for us, and replies nobody waited for.
    for n in 0..1_000u32 {
        let stranger = Ipv4Addr::from(0x0a00_0003 + n % 250);
        let hw = HwAddr([2, 1, 0, 0, (n >> 8) as u8, n as u8]);
        let arp = if n % 2 == 0 {
            request(stranger, hw, STACK)
        } else {
            reply(stranger, hw)
        };
        lan.put(frame(STACK_HW, hw, EtherType::ARP, &arp_bytes(&arp)));
    }
    lan.sent();
    lan.put_ip(&ping(10));
    for sent in lan.sent() {
        match sent {
            Sent::Ip(hw, _) => assert_eq!(hw, PEER_HW),
            // Who is not talked to may be forgotten, and is asked again.
            Sent::Arp(_, arp) => assert_eq!(arp.target_ip, PEER),
        }
    }
    lan.put_arp(STACK_HW, reply(PEER, PEER_HW));
    lan.sent();
    lan.put_ip(&ping(10));
    let sent = lan.sent();
    assert!(
        matches!(&sent[..], [Sent::Ip(hw, _)] if *hw == PEER_HW),
        "{sent:?}"
    );
}

#[test]
fn x089_a_claim_of_our_address_changes_nothing_here() {
    let mut lan = Lan::acquainted();
    for _ in 0..50 {
        lan.put(frame(
            HwAddr::BROADCAST,
            OTHER_HW,
            EtherType::ARP,
            &arp_bytes(&request(STACK, OTHER_HW, STACK)),
        ));
    }
    // RFC 5227 §2.4: defended, but not each time.
    assert!(lan.sent().len() <= 1);
    assert_alive(&mut lan);
}

#[test]
fn x062_k11_packets_to_silent_neighbours_hold_few_buffers() {
    let mut lan = Lan::acquainted();
    let now = lan.now;
    let mut udp = lan.stack.udp(now);
    let pcb = udp.new(Owner(0)).expect("a free endpoint");
    for n in 0..400u32 {
        let to = Ipv4Addr::from(0x0a00_0003 + n % 200);
        if let Ok(data) = gannet_core::Pbuf::alloc(lan.pools.tx, 42, 1_000) {
            let _ = lan.stack.udp(now).send_to(pcb, data, (to, 9).into());
        }
    }
    assert!(lan.pools.tx.blocks() - lan.pools.tx.available() <= 16);
    lan.stack.udp(now).close(pcb).expect("live");
    lan.wait(Duration::from_secs(600));
    lan.sent();
    lan.introduce();
    assert_alive(&mut lan);
}

#[test]
fn x095_the_entry_of_a_neighbour_in_use_does_not_run_out() {
    let mut lan = Lan::acquainted();
    for _ in 0..2_000 {
        lan.wait(Duration::from_millis(500));
        for sent in lan.sent() {
            // The stack asks before it forgets.
            assert!(matches!(sent, Sent::Arp(..)));
            lan.put_arp(STACK_HW, reply(PEER, PEER_HW));
        }
        lan.put_ip(&ping(10));
        let answered = lan.sent().iter().any(|sent| matches!(sent, Sent::Ip(..)));
        assert!(answered, "at {:?}", lan.now);
    }
}
