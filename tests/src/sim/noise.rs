//! What strangers send to a host: nothing of it belongs to a connection.
use std::net::Ipv4Addr;

use gannet_core::HwAddr;
use gannet_core::wire::ethernet::EtherType;
use gannet_core::wire::ipv4::Protocol;

use crate::frames::{Packet, arp_bytes, echo_request, frame};
use crate::lan::request;

use super::plan::{Noise, Rng};

const STRANGER_HW: HwAddr = HwAddr([2, 0, 0, 0, 1, 0]);

/// A frame for host `to`, whose open ports begin at 1000.
pub fn noise(kind: Noise, to: u8, random: &mut Rng) -> Vec<u8> {
    let dst = Ipv4Addr::new(10, 0, 0, to);
    let dst_hw = HwAddr([2, 0, 0, 0, 0, to]);
    let src = Ipv4Addr::new(10, 0, 0, random.u8(100..250));
    let ip = |packet: Packet| frame(dst_hw, STRANGER_HW, EtherType::IPV4, &packet.bytes());
    match kind {
        Noise::Ping => {
            let len = random.usize(..1_400);
            ip(Packet::new(src, dst, Protocol::ICMP, echo_request(len)))
        }
        Noise::Closed if random.bool() => {
            let udp = datagram(random.u16(1..100), &vec![7; random.usize(..200)]);
            ip(Packet::new(src, dst, Protocol::UDP, udp))
        }
        Noise::Closed => ip(Packet::new(
            src,
            dst,
            Protocol::TCP,
            syn(src, dst, 9, random),
        )),
        Noise::Syn => {
            let port = 1_000 + random.u16(..5);
            ip(Packet::new(
                src,
                dst,
                Protocol::TCP,
                syn(src, dst, port, random),
            ))
        }
        Noise::Fragments => {
            let whole = Packet {
                ident: random.u16(..),
                ..Packet::new(src, dst, Protocol::UDP, datagram(1_000, &vec![9; 3_000]))
            };
            let fragments = whole.fragments(8 * random.usize(1..180));
            let mut one = fragments[random.usize(..fragments.len())].clone();
            if random.u8(..4) == 0 {
                one.offset = 8 * random.usize(..8_192);
            }
            ip(one)
        }
        Noise::Garbage => {
            let bytes: Vec<u8> = (0..random.usize(..1_500)).map(|_| random.u8(..)).collect();
            let kind = match random.u8(..3) {
                0 => EtherType::ARP,
                1 => EtherType::IPV4,
                _ => EtherType(random.u16(..)),
            };
            frame(dst_hw, STRANGER_HW, kind, &bytes)
        }
        Noise::Arp => {
            let arp = arp_bytes(&request(src, STRANGER_HW, dst));
            frame(HwAddr::BROADCAST, STRANGER_HW, EtherType::ARP, &arp)
        }
    }
}

/// Without a checksum.
fn datagram(port: u16, data: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::new();
    bytes.extend(40_000u16.to_be_bytes());
    bytes.extend(port.to_be_bytes());
    bytes.extend((8 + data.len() as u16).to_be_bytes());
    bytes.extend([0, 0]);
    bytes.extend(data);
    bytes
}

fn syn(src: Ipv4Addr, dst: Ipv4Addr, port: u16, random: &mut Rng) -> Vec<u8> {
    let mut bytes = Vec::new();
    bytes.extend(random.u16(1_024..).to_be_bytes());
    bytes.extend(port.to_be_bytes());
    bytes.extend(random.u32(..).to_be_bytes());
    bytes.extend([0, 0, 0, 0, 0x60, 2, 0xff, 0xff, 0, 0, 0, 0, 2, 4, 5, 0xb4]);
    let mut sum = gannet_core::wire::checksum::Checksum::new();
    sum.add(&src.octets());
    sum.add(&dst.octets());
    sum.add(&[0, 6, 0, bytes.len() as u8]);
    sum.add(&bytes);
    bytes[16..18].copy_from_slice(&sum.finish().to_be_bytes());
    bytes
}
