//! The router and the other hosts of a [`Lan`], as far as they speak IGMP.
use std::net::Ipv4Addr;
use std::time::Duration;

use gannet_core::wire::checksum::checksum;
use gannet_core::wire::ethernet::EtherType;
use gannet_core::wire::ipv4::Protocol;
use gannet_core::{HwAddr, Instant};

use crate::frames::{Packet, Sent, frame};
use crate::lan::{Lan, PEER, PEER_HW};

/// Where queries of all groups go.
pub const ALL_HOSTS: Ipv4Addr = Ipv4Addr::new(224, 0, 0, 1);
/// A group to join.
pub const GROUP: Ipv4Addr = Ipv4Addr::new(239, 1, 2, 3);
/// The option Router Alert.
pub const ROUTER_ALERT: [u8; 4] = [148, 4, 0, 0];

/// A message of the stack.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Said {
    /// A report of version 1.
    V1(Ipv4Addr),
    /// A report of version 2.
    V2(Ipv4Addr),
    /// A leave of version 2.
    Leave(Ipv4Addr),
    /// A report of version 3: types of records and groups.
    V3(Vec<(u8, Ipv4Addr)>),
}

/// Types of records (RFC 3376 §4.2.12).
pub const IS_EXCLUDE: u8 = 2;
/// See [`IS_EXCLUDE`].
pub const TO_INCLUDE: u8 = 3;
/// See [`IS_EXCLUDE`].
pub const TO_EXCLUDE: u8 = 4;

impl Said {
    /// Reads a packet, which must be exactly as the RFCs want it.
    ///
    /// # Panics
    /// It is not.
    #[track_caller]
    pub fn parse(packet: &Packet) -> Self {
        assert_eq!(packet.protocol, Protocol::IGMP);
        assert_eq!((packet.ttl, packet.tos), (1, 0xc0), "{packet:?}");
        assert_eq!(packet.options, ROUTER_ALERT);
        let bytes = &packet.payload;
        assert_eq!(checksum(bytes), 0, "the checksum");
        assert_eq!(bytes[1], 0, "reserved");
        let group = group_at(bytes, 4);
        match bytes[0] {
            0x12 => {
                assert_eq!((packet.dst, bytes.len()), (group, 8));
                Self::V1(group)
            }
            0x16 => {
                assert_eq!((packet.dst, bytes.len()), (group, 8));
                Self::V2(group)
            }
            0x17 => {
                assert_eq!((packet.dst, bytes.len()), ([224, 0, 0, 2].into(), 8));
                Self::Leave(group)
            }
            0x22 => {
                assert_eq!(packet.dst, Ipv4Addr::new(224, 0, 0, 22));
                let records = usize::from(u16::from_be_bytes([bytes[6], bytes[7]]));
                assert_eq!(
                    (bytes[4..6].to_vec(), bytes.len()),
                    (vec![0, 0], 8 + 8 * records)
                );
                let record = |n| {
                    let at = 8 + 8 * n;
                    assert_eq!(bytes[at + 1..at + 4], [0; 3], "neither sources nor more");
                    (bytes[at], group_at(bytes, at + 4))
                };
                Self::V3((0..records).map(record).collect())
            }
            kind => panic!("what is type {kind:#x}?"),
        }
    }
}

fn group_at(bytes: &[u8], at: usize) -> Ipv4Addr {
    let octets: [u8; 4] = bytes[at..at + 4].try_into().expect("four bytes");
    octets.into()
}

/// A query of version 1 or 2: code 0 is one of version 1.
pub fn query_v2(code: u8, group: Ipv4Addr) -> Vec<u8> {
    let mut bytes = vec![0x11, code, 0, 0];
    bytes.extend(group.octets());
    with_checksum(bytes)
}

/// A query of version 3 for a group, or for all if it is unspecified.
pub fn query_v3(code: u8, group: Ipv4Addr, sources: &[Ipv4Addr]) -> Vec<u8> {
    query_v3_of(code, group, 2, 125, sources)
}

/// As [`query_v3`], of a querier with these habits.
pub fn query_v3_of(
    code: u8,
    group: Ipv4Addr,
    robustness: u8,
    interval_code: u8,
    sources: &[Ipv4Addr],
) -> Vec<u8> {
    let mut bytes = vec![0x11, code, 0, 0];
    bytes.extend(group.octets());
    bytes.extend([robustness, interval_code]);
    bytes.extend((sources.len() as u16).to_be_bytes());
    bytes.extend(sources.iter().flat_map(Ipv4Addr::octets));
    with_checksum(bytes)
}

/// A report of another host, of version 2 (0x16) or 1 (0x12).
pub fn report(kind: u8, group: Ipv4Addr) -> Vec<u8> {
    let mut bytes = vec![kind, 0, 0, 0];
    bytes.extend(group.octets());
    with_checksum(bytes)
}

/// The message with its checksum.
pub fn with_checksum(mut bytes: Vec<u8>) -> Vec<u8> {
    bytes[2..4].fill(0);
    let sum = checksum(&bytes);
    bytes[2..4].copy_from_slice(&sum.to_be_bytes());
    bytes
}

/// An IGMP packet as the RFCs want it.
pub fn packet(src: Ipv4Addr, dst: Ipv4Addr, message: Vec<u8>) -> Packet {
    let mut packet = Packet::new(src, dst, Protocol::IGMP, message);
    packet.ttl = 1;
    packet.options = ROUTER_ALERT.to_vec();
    packet
}

/// The hardware address of a group.
pub fn group_hw(group: Ipv4Addr) -> HwAddr {
    let [_, b, c, d] = group.octets();
    HwAddr([1, 0, 0x5e, b & 0x7f, c, d])
}

impl Lan {
    /// A packet to a group arrives.
    pub fn put_group(&mut self, packet: &Packet) {
        let dst = group_hw(packet.dst);
        self.put(frame(dst, PEER_HW, EtherType::IPV4, &packet.bytes()));
    }

    /// The peer says something in IGMP to a group.
    pub fn put_igmp(&mut self, dst: Ipv4Addr, message: Vec<u8>) {
        self.put_group(&packet(PEER, dst, message));
    }

    /// The router asks for all groups.
    pub fn ask_all(&mut self, code: u8) {
        self.put_igmp(ALL_HOSTS, query_v3(code, Ipv4Addr::UNSPECIFIED, &[]));
    }

    /// What the stack has said in IGMP; it has said nothing else.
    ///
    /// # Panics
    /// It has, or something is not as it should be.
    #[track_caller]
    pub fn said(&mut self) -> Vec<Said> {
        let sent = self.sent().into_iter();
        sent.map(|sent| match sent {
            Sent::Ip(hw, packet) => {
                assert_eq!(hw, group_hw(packet.dst));
                Said::parse(&packet)
            }
            Sent::Arp(_, arp) => panic!("no reason for {arp:?}"),
        })
        .collect()
    }

    /// What the stack says within `time`, and when. Time goes on to its end.
    #[track_caller]
    pub fn said_within(&mut self, time: Duration) -> Vec<(Instant, Said)> {
        let until = self.now + time;
        let mut all = Vec::new();
        self.turn();
        loop {
            let now = self.now;
            all.extend(self.said().into_iter().map(|said| (now, said)));
            let Some(next) = self.deadline.filter(|deadline| *deadline <= until) else {
                break;
            };
            self.now = next.max(now);
            self.turn();
        }
        self.now = until;
        all
    }
}
