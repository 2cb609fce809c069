//! The peer of the fuzzed stack: it follows the connections well enough that what the fuzzer makes
//! it say is about them.
use std::net::Ipv4Addr;

use gannet_core::HwAddr;
use gannet_core::wire::checksum::Checksum;
use gannet_core::wire::ethernet::EtherType;
use gannet_core::wire::ipv4::Protocol;
use gannet_core::wire::tcp;

use crate::frames::{Packet, frame};

/// The stack's address.
pub const STACK: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 2);
/// Its hardware address.
pub const STACK_HW: HwAddr = HwAddr([2, 0, 0, 0, 0, 2]);
/// The peer's address.
pub const PEER: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 1);
/// Its hardware address.
pub const PEER_HW: HwAddr = HwAddr([2, 0, 0, 0, 0, 1]);
/// The port the stack listens on.
pub const PORT: u16 = 80;

/// What the peer knows of one connection: the pair of ports, and the next numbers.
#[derive(Clone, Copy, Debug)]
pub struct Known {
    /// The stack's port.
    pub stack: u16,
    /// The peer's port.
    pub peer: u16,
    /// What the stack expects next.
    pub send_next: u32,
    /// What follows what the stack has sent.
    pub receive_next: u32,
}

/// See the module.
#[derive(Debug)]
pub struct Peer {
    /// Connections, by number.
    pub known: [Known; 4],
    next: usize,
}

impl Default for Peer {
    fn default() -> Self {
        let known = [0, 1, 2, 3].map(|n| Known {
            stack: PORT,
            peer: 1_000 + n,
            send_next: 0xffff_ff00,
            receive_next: 0,
        });
        Self { known, next: 0 }
    }
}

impl Peer {
    /// Learns from a frame the stack has sent.
    pub fn hear(&mut self, bytes: &[u8]) {
        if bytes.len() < 34 || bytes[12..14] != [8, 0] {
            return;
        }
        // What the stack sends is well formed; `Packet` panics if it is not.
        let packet = Packet::parse(&bytes[14..]);
        if packet.protocol != Protocol::TCP || packet.offset != 0 {
            return;
        }
        let Ok(segment) = tcp::Segment::parse(&packet.payload, packet.payload.len()) else {
            assert!(packet.more, "the stack sent a malformed segment");
            return;
        };
        let ports = (segment.src_port(), segment.dst_port());
        let found = self.known.iter().position(|k| (k.stack, k.peer) == ports);
        let at = found.unwrap_or_else(|| {
            // A connection the stack opened.
            self.next = (self.next + 1) % self.known.len();
            self.known[self.next] = Known {
                stack: ports.0,
                peer: ports.1,
                send_next: 7,
                receive_next: 0,
            };
            self.next
        });
        let known = &mut self.known[at];
        known.receive_next = segment.seq().0.wrapping_add(segment.seg_len());
        if let Some(ack) = segment.ack() {
            known.send_next = ack.0;
        }
    }

    /// A segment on connection `n`; `seq` and `ack` count from the next numbers.
    pub fn segment(&self, n: u8, seq: u32, ack: u32, say: &Say<'_>) -> Vec<u8> {
        let known = self.known[usize::from(n) % self.known.len()];
        let options = &say.options[..say.options.len().min(40) & !3];
        let mut bytes = Vec::new();
        bytes.extend(known.peer.to_be_bytes());
        bytes.extend(known.stack.to_be_bytes());
        bytes.extend(known.send_next.wrapping_add(seq).to_be_bytes());
        bytes.extend(known.receive_next.wrapping_add(ack).to_be_bytes());
        bytes.extend([(5 + options.len() as u8 / 4) << 4, say.flags]);
        bytes.extend(say.window.to_be_bytes());
        bytes.extend([0, 0]);
        bytes.extend(say.urgent.to_be_bytes());
        bytes.extend(options);
        bytes.extend((0..say.len).map(|n| n as u8));
        seal(&mut bytes, Protocol::TCP, 16);
        bytes
    }
}

/// What a segment says besides its numbers.
#[derive(Clone, Copy, Debug)]
pub struct Say<'a> {
    /// The flags.
    pub flags: u8,
    /// The window.
    pub window: u16,
    /// The urgent pointer.
    pub urgent: u16,
    /// Options; cut to whole words.
    pub options: &'a [u8],
    /// Bytes of data.
    pub len: u16,
}

/// A datagram to the stack.
pub fn datagram(from: u16, to: u16, len: u16) -> Vec<u8> {
    let mut bytes = Vec::new();
    bytes.extend(from.to_be_bytes());
    bytes.extend(to.to_be_bytes());
    bytes.extend((8 + len).to_be_bytes());
    bytes.extend([0, 0]);
    bytes.extend((0..len).map(|n| n as u8));
    seal(&mut bytes, Protocol::UDP, 6);
    bytes
}

fn seal(bytes: &mut [u8], protocol: Protocol, at: usize) {
    let mut sum = Checksum::new();
    sum.pseudo_header(PEER, STACK, protocol, bytes.len() as u16);
    sum.add(bytes);
    bytes[at..at + 2].copy_from_slice(&sum.finish().to_be_bytes());
}

/// A frame with an IP packet to the stack.
pub fn packet_frame(packet: &Packet) -> Vec<u8> {
    frame(STACK_HW, PEER_HW, EtherType::IPV4, &packet.bytes())
}
