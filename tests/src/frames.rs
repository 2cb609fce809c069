//! Ethernet frames, ARP, IPv4 and ICMP packets, field by field: any of them can be wrong.
use std::net::Ipv4Addr;

use gannet_core::HwAddr;
use gannet_core::wire::checksum::{Checksum, checksum};
use gannet_core::wire::ethernet::EtherType;
use gannet_core::wire::icmpv4::{self, Echo, Kind, Message};
use gannet_core::wire::ipv4::{self, Protocol};
use gannet_core::wire::{arp, ethernet};

/// An IPv4 packet, or a fragment of one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Packet {
    /// Source.
    pub src: Ipv4Addr,
    /// Destination.
    pub dst: Ipv4Addr,
    /// Protocol.
    pub protocol: Protocol,
    /// Type of service.
    pub tos: u8,
    /// Identification.
    pub ident: u16,
    /// DF.
    pub dont_fragment: bool,
    /// MF.
    pub more: bool,
    /// Offset in bytes, a multiple of 8.
    pub offset: usize,
    /// Time to live.
    pub ttl: u8,
    /// Options, a multiple of 4 bytes.
    pub options: Vec<u8>,
    /// What follows the header.
    pub payload: Vec<u8>,
}

impl Packet {
    /// A whole packet.
    pub fn new(src: Ipv4Addr, dst: Ipv4Addr, protocol: Protocol, payload: Vec<u8>) -> Self {
        Self {
            src,
            dst,
            protocol,
            tos: 0,
            ident: 0x1234,
            dont_fragment: false,
            more: false,
            offset: 0,
            ttl: 64,
            options: Vec::new(),
            payload,
        }
    }

    /// The bytes, with a right checksum.
    pub fn bytes(&self) -> Vec<u8> {
        let words = 5 + self.options.len() / 4;
        let total = words * 4 + self.payload.len();
        let flags = u16::from(self.dont_fragment) << 14 | u16::from(self.more) << 13;
        let mut bytes = vec![0x40 | words as u8, self.tos];
        bytes.extend((total as u16).to_be_bytes());
        bytes.extend(self.ident.to_be_bytes());
        bytes.extend((flags | (self.offset / 8) as u16).to_be_bytes());
        bytes.extend([self.ttl, self.protocol.0, 0, 0]);
        bytes.extend(self.src.octets());
        bytes.extend(self.dst.octets());
        bytes.extend(&self.options);
        fix_checksum(&mut bytes);
        bytes.extend(&self.payload);
        bytes
    }

    /// Cuts the packet into fragments of at most `room` bytes of payload, a multiple of 8.
    pub fn fragments(&self, room: usize) -> Vec<Self> {
        let pieces = self.payload.chunks(room).enumerate();
        let last = self.payload.len().div_ceil(room) - 1;
        pieces
            .map(|(i, piece)| Self {
                more: i < last,
                offset: i * room,
                payload: piece.to_vec(),
                ..self.clone()
            })
            .collect()
    }

    /// Reads a packet the stack has sent.
    ///
    /// # Panics
    /// It is malformed or its checksum wrong.
    #[track_caller]
    pub fn parse(bytes: &[u8]) -> Self {
        let p = ipv4::Packet::parse(bytes, bytes.len()).expect("a well-formed packet");
        assert!(p.checksum_is_valid(), "IP header checksum");
        assert_eq!(p.total_len(), bytes.len(), "nothing behind the packet");
        Self {
            src: p.src(),
            dst: p.dst(),
            protocol: p.protocol(),
            tos: bytes[1],
            ident: p.ident(),
            dont_fragment: p.dont_fragment(),
            more: p.more_fragments(),
            offset: p.fragment_offset(),
            ttl: p.ttl(),
            options: bytes[20..p.header_len()].to_vec(),
            payload: p.first_payload().to_vec(),
        }
    }

    /// The ICMP message in it, and what follows its header.
    ///
    /// # Panics
    /// It is not one, or its checksum is wrong.
    #[track_caller]
    pub fn icmp(&self) -> (Kind, Vec<u8>) {
        assert_eq!(self.protocol, Protocol::ICMP);
        let mut sum = Checksum::new();
        sum.add(&self.payload);
        assert!(sum.is_valid(), "ICMP checksum");
        let message = Message::parse(&self.payload, self.payload.len()).expect("a message");
        (message.kind(), self.payload[icmpv4::HEADER_LEN..].to_vec())
    }
}

/// Computes the checksum of the IP header at the front.
pub fn fix_checksum(packet: &mut [u8]) {
    let header = usize::from(packet[0] & 0xf) * 4;
    packet[10..12].fill(0);
    let sum = checksum(&packet[..header]);
    packet[10..12].copy_from_slice(&sum.to_be_bytes());
}

/// An ICMP message.
pub fn icmp(kind: Kind, body: &[u8]) -> Vec<u8> {
    let mut bytes = vec![0; icmpv4::HEADER_LEN + body.len()];
    kind.emit_with(body, &mut bytes)
        .expect("room for the message");
    bytes
}

/// An echo request with `len` bytes of data.
pub fn echo_request(len: usize) -> Vec<u8> {
    let data: Vec<u8> = (0..len).map(|i| (i ^ i >> 8) as u8).collect();
    icmp(Kind::EchoRequest(ECHO), &data)
}

/// Identifier and sequence number of [`echo_request`].
pub const ECHO: Echo = Echo {
    ident: 0x4711,
    seq: 3,
};

/// An Ethernet frame.
pub fn frame(dst: HwAddr, src: HwAddr, ethertype: EtherType, payload: &[u8]) -> Vec<u8> {
    let mut bytes = vec![0; ethernet::HEADER_LEN];
    ethernet::Header::new(dst, src, ethertype)
        .emit(&mut bytes)
        .expect("room for the header");
    bytes.extend(payload);
    bytes
}

/// An ARP packet.
pub fn arp_bytes(packet: &arp::Packet) -> Vec<u8> {
    let mut bytes = vec![0; arp::HEADER_LEN];
    packet.emit(&mut bytes).expect("room for the packet");
    bytes
}

/// A frame the stack has sent, taken apart.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Sent {
    /// ARP, and to whom.
    Arp(HwAddr, arp::Packet),
    /// IP, and to whom.
    Ip(HwAddr, Packet),
}

impl Sent {
    /// Reads a frame from the station `own`.
    ///
    /// # Panics
    /// It is malformed, of another protocol, or from another station.
    #[track_caller]
    pub fn parse(bytes: &[u8], own: HwAddr) -> Self {
        let (header, payload) = ethernet::parse(bytes).expect("a whole header");
        assert_eq!(header.src(), own, "the source");
        match header.ethertype() {
            EtherType::ARP => Self::Arp(header.dst(), arp::Packet::parse(payload).expect("ARP")),
            EtherType::IPV4 => Self::Ip(header.dst(), Packet::parse(payload)),
            other => panic!("what is ethertype {other:?}?"),
        }
    }

    /// The IP packet.
    ///
    /// # Panics
    /// It is ARP.
    #[track_caller]
    pub fn ip(self) -> Packet {
        match self {
            Self::Ip(_, packet) => packet,
            Self::Arp(_, arp) => panic!("expected IP, the stack sent {arp:?}"),
        }
    }
}
