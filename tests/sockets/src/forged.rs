//! What raw and packet sockets send: such as the stack could take for a peer's, a router's or a
//! querier's. Its data is that of the tasks, so that received data can still be told from headers.
use std::net::{Ipv4Addr, SocketAddrV4};

use arbitrary::Arbitrary;
use gannet_core::wire::icmpv4::{Echo, Exceeded, Kind, Unreachable};
use gannet_core::wire::ipv4::Protocol;
use gannet_core::wire::tcp::{Flags, SeqNum};
use gannet_core::wire::tcp_options::Options;
use gannet_tests::frames::{Packet, icmp};
use gannet_tests::igmp::{query_v2, query_v3};
use gannet_tests::segment::{End, Segment};
use gannet_tests::udp::udp_bytes;

use crate::calls::{BYTE, OWN};

/// Bytes of an IP header without options.
const IP: usize = 20;

/// A message of a protocol; ports are those that sockets are bound to, or those next to the
/// ephemeral ones.
#[derive(Arbitrary, Clone, Copy, Debug)]
pub enum Forged {
    /// A ping.
    Echo(u8),
    /// A datagram with a right checksum, from a port to a port.
    Datagram(Port, Port, u8),
    /// A segment from a port to a port, with the flags, numbers and window.
    Segment(Port, Port, u8, u32, u32, u16),
    /// A router's word on a datagram or segment that went from a port to a port.
    Error(What, Quoted, Port, Port),
    /// Whose members are there?
    Query(Version, u8, bool),
    /// No message at all.
    Noise(u8),
}

/// A port.
#[derive(Arbitrary, Clone, Copy, Debug)]
pub struct Port(u8);

impl Port {
    /// Of 0 to 3, or an ephemeral one (RFC 6335 §6).
    fn get(self) -> u16 {
        match self.0 {
            0..200 => u16::from(self.0 % 4),
            other => 49_152 + (u16::from(other) - 200),
        }
    }
}

/// What an ICMP error says.
#[derive(Arbitrary, Clone, Copy, Debug)]
pub enum What {
    /// Nobody has the port.
    Port,
    /// The host is not there.
    Host,
    /// Nor is its network.
    Network,
    /// Or must not be reached.
    Prohibited,
    /// The link carries no more.
    TooLong(u16),
    /// The hops were too few.
    Expired,
}

/// What an ICMP error is about.
#[derive(Arbitrary, Clone, Copy, Debug)]
pub enum Quoted {
    /// A datagram.
    Udp,
    /// A segment with this number.
    Tcp(u32),
    /// A packet of a raw socket.
    Raw(u8),
}

/// A version of IGMP.
#[derive(Arbitrary, Clone, Copy, Debug)]
pub enum Version {
    /// Version 1 or 2.
    Two,
    /// Version 3.
    Three,
}

impl Forged {
    /// The protocol, and what follows the IP header of a packet from `src` to `dst`.
    fn payload(self, src: Ipv4Addr, dst: Ipv4Addr) -> (Protocol, Vec<u8>) {
        match self {
            Self::Echo(len) => {
                let echo = Kind::EchoRequest(Echo { ident: 1, seq: 2 });
                (Protocol::ICMP, icmp(echo, &vec![BYTE; len.into()]))
            }
            Self::Datagram(from, to, len) => {
                let from = SocketAddrV4::new(src, from.get());
                let to = SocketAddrV4::new(dst, to.get());
                let data = vec![BYTE; len.into()];
                (Protocol::UDP, udp_bytes(from, to, &data))
            }
            Self::Segment(from, to, flags, seq, ack, window) => {
                let segment = Segment {
                    seq: SeqNum(seq),
                    ack: (flags & 0x80 != 0).then_some(SeqNum(ack)),
                    flags: some_of(flags),
                    window,
                    options: Options::default(),
                    data: vec![BYTE; usize::from(window % 7)],
                    urgent: 1,
                    tos: 0,
                };
                let end = |addr, port: Port| End {
                    addr,
                    port: port.get(),
                    isn: SeqNum(0),
                };
                let packet = segment.packet(end(src, from), end(dst, to));
                (Protocol::TCP, packet[IP..].to_vec())
            }
            Self::Error(what, quoted, from, to) => {
                // What is quoted went the other way.
                let mut quote = Vec::from(from.get().to_be_bytes());
                quote.extend(to.get().to_be_bytes());
                let (protocol, rest) = match quoted {
                    Quoted::Udp => (Protocol::UDP, 8 << 16),
                    Quoted::Tcp(seq) => (Protocol::TCP, seq),
                    Quoted::Raw(protocol) => (Protocol(protocol), 0),
                };
                quote.extend(rest.to_be_bytes());
                let packet = Packet::new(dst, src, protocol, quote).bytes();
                (Protocol::ICMP, icmp(what.kind(), &packet))
            }
            Self::Query(version, code, of_all) => {
                let group = if of_all { Ipv4Addr::UNSPECIFIED } else { dst };
                let message = match version {
                    Version::Two => query_v2(code, group),
                    Version::Three => query_v3(code, group, &[]),
                };
                (Protocol::IGMP, message)
            }
            Self::Noise(len) => (Protocol(253), vec![BYTE; len.into()]),
        }
    }

    /// What a raw socket sends to `dst`.
    pub fn message(self, dst: Ipv4Addr) -> Vec<u8> {
        self.payload(source(dst), dst).1
    }

    /// With the IP header, as raw sockets send with `IP_HDRINCL` and packet sockets always.
    pub fn packet(self, dst: Ipv4Addr, fragment: u16) -> Vec<u8> {
        let (protocol, payload) = self.payload(source(dst), dst);
        let mut packet = Packet::new(source(dst), dst, protocol, payload);
        packet.more = fragment & 1 != 0;
        packet.offset = usize::from(fragment >> 8) * 8;
        packet.bytes()
    }
}

impl What {
    fn kind(self) -> Kind {
        Kind::DestinationUnreachable(match self {
            Self::Port => Unreachable::Port,
            Self::Host => Unreachable::Host,
            Self::Network => Unreachable::Network,
            Self::Prohibited => Unreachable::AdministrativelyProhibited,
            Self::TooLong(mtu) => Unreachable::FragmentationNeeded { mtu },
            Self::Expired => return Kind::TimeExceeded(Exceeded::TimeToLive),
        })
    }
}

/// What the stack, too, would fill in as source.
fn source(dst: Ipv4Addr) -> Ipv4Addr {
    if dst.is_loopback() { dst } else { OWN }
}

/// Flags by the bits of `chosen`; ACK comes with its number.
fn some_of(chosen: u8) -> Flags {
    let all = [Flags::FIN, Flags::SYN, Flags::RST, Flags::PSH, Flags::URG];
    let chosen = all.iter().zip(0..).filter(|(_, n)| chosen >> n & 1 != 0);
    chosen.fold(Flags::NONE, |sum, (flag, _)| sum | *flag)
}
