//! TCP segments as text, in packetdrill's manner, and as packets.
//!
//! ```text
//! S. 0:0(0) ack 1 win 65535 <mss 1460,sackOK,ws 2>
//! P. 1:101(100) ack 1
//! ```
//! Flags are `S F R P . U E W` (`.` is ACK, `W` CWR) or `-` (none), after `[tos 2]` if the IP
//! header's byte is not 0; `urg 5` is the urgent pointer; sequence numbers are relative to each side's initial
//! one; the number in parentheses is the payload's length.
use std::fmt::Write;
use std::net::Ipv4Addr;

use gannet_core::wire::checksum::Checksum;
use gannet_core::wire::icmpv4;
use gannet_core::wire::ipv4::{self, Protocol};
use gannet_core::wire::tcp::{self, Fields, Flags, SeqNum, set_checksum};
use gannet_core::wire::tcp_options::{Options, SackBlock, Timestamps};

/// One end of a scripted connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct End {
    /// Address.
    pub addr: Ipv4Addr,
    /// Port.
    pub port: u16,
    /// Initial sequence number; what text says is relative to it.
    pub isn: SeqNum,
}

/// A segment with absolute numbers.
#[derive(Clone, Debug)]
pub struct Segment {
    /// Sequence number.
    pub seq: SeqNum,
    /// Acknowledgement number.
    pub ack: Option<SeqNum>,
    /// Flags without ACK.
    pub flags: Flags,
    /// Window as on the wire.
    pub window: u16,
    /// Options.
    pub options: Options,
    /// Data.
    pub data: Vec<u8>,
    /// The urgent pointer; counts with its flag.
    pub urgent: u16,
    /// The type of service of the IP header.
    pub tos: u8,
}

const LETTERS: [(Flags, char); 7] = [
    (Flags::SYN, 'S'),
    (Flags::FIN, 'F'),
    (Flags::RST, 'R'),
    (Flags::PSH, 'P'),
    (Flags::URG, 'U'),
    (Flags::ECE, 'E'),
    (Flags::CWR, 'W'),
];

/// What byte number `seq` of a scripted stream carries.
pub fn pattern(seq: u32) -> u8 {
    (seq.wrapping_mul(31) >> 3) as u8
}

impl Segment {
    /// Reads the text form of a segment from `from` to `to`. Data is [`pattern`].
    ///
    /// # Panics
    /// On text that is no segment: the script is wrong.
    pub fn parse(text: &str, from: End, to: End) -> Self {
        let (text, tos) = match text.strip_prefix("[tos ") {
            Some(rest) => {
                let (tos, text) = rest.split_once("] ").expect("[tos N] ");
                (text, tos.parse().expect("a type of service"))
            }
            None => (text, 0),
        };
        let (text, options) = match text.split_once('<') {
            Some((text, options)) => (text, options.trim_end().trim_end_matches('>')),
            None => (text, ""),
        };
        let mut words = text.split_whitespace();
        let letters = words.next().expect("flags");
        let numbers = words.next().expect("start:end(length)");
        let (start, rest) = numbers.split_once(':').expect("start:end");
        let (_, len) = rest.split_once('(').expect("(length)");
        let start: u32 = start.parse().expect("start");
        let len: u32 = len.trim_end_matches(')').parse().expect("length");
        let (mut ack, mut window, mut urgent) = (None, 65_535, 0);
        while let Some(word) = words.next() {
            let value = words.next().expect("a value");
            match word {
                "ack" => ack = Some(to.isn + value.parse::<u32>().expect("ack")),
                "win" => window = value.parse().expect("window"),
                "urg" => urgent = value.parse().expect("urgent pointer"),
                other => panic!("what is {other:?}?"),
            }
        }
        let mut flags = Flags::NONE;
        for letter in letters.chars().filter(|c| !matches!(c, '.' | '-')) {
            let known = LETTERS.iter().find(|(_, l)| *l == letter);
            flags = flags | known.expect("a flag").0;
        }
        assert_eq!(
            ack.is_some(),
            letters.contains('.'),
            "ack number and flag in {text:?}"
        );
        Self {
            seq: from.isn + start,
            ack,
            flags,
            window,
            options: parse_options(options, to),
            data: (start..start + len).map(pattern).collect(),
            urgent,
            tos,
        }
    }

    /// The text form; `full` adds window and options.
    pub fn text(&self, from: End, to: End) -> String {
        let mut out = match self.tos {
            0 => String::new(),
            tos => format!("[tos {tos}] "),
        };
        let mut letters: String = LETTERS
            .iter()
            .filter(|(flag, _)| self.flags.contains(*flag))
            .map(|(_, letter)| *letter)
            .collect();
        if self.ack.is_some() {
            letters.push('.');
        }
        if letters.is_empty() {
            letters.push('-');
        }
        // A reset without ACK to a segment without ACK has the absolute number 0.
        let absolute = self.flags.contains(Flags::RST) && self.seq == SeqNum(0);
        let start = if absolute {
            0
        } else {
            self.seq.since(from.isn)
        };
        let len = self.data.len() as u32;
        let _ = write!(out, "{letters} {start}:{}({len})", start.wrapping_add(len));
        if let Some(ack) = self.ack {
            let _ = write!(out, " ack {}", ack.since(to.isn));
        }
        let _ = write!(out, " win {}", self.window);
        let options = self.options_text(from, to);
        if !options.is_empty() {
            let _ = write!(out, " <{options}>");
        }
        out
    }

    fn options_text(&self, from: End, to: End) -> String {
        let _ = from;
        let o = &self.options;
        let mut parts = Vec::new();
        parts.extend(o.mss.map(|mss| format!("mss {mss}")));
        if o.sack_permitted {
            parts.push("sackOK".into());
        }
        parts.extend(o.window_scale.map(|shift| format!("ws {shift}")));
        parts.extend(o.timestamps.map(|t| format!("ts {} {}", t.value, t.echo)));
        for block in o.sack.as_slice() {
            let (left, right) = (block.left.since(to.isn), block.right.since(to.isn));
            parts.push(format!("sack {left}:{right}"));
        }
        parts.join(",")
    }

    /// The IPv4 packet.
    pub fn packet(&self, from: End, to: End) -> Vec<u8> {
        let mut header = [0; 60];
        let fields = Fields {
            src_port: from.port,
            dst_port: to.port,
            seq: self.seq,
            ack: self.ack,
            flags: self.flags,
            window: self.window,
        };
        let header_len = fields
            .emit(&self.options, &mut header)
            .expect("room for 60 bytes");
        let mut segment = header[..header_len].to_vec();
        segment[18..20].copy_from_slice(&self.urgent.to_be_bytes());
        segment.extend(&self.data);
        let mut sum = Checksum::new();
        sum.pseudo_header(from.addr, to.addr, Protocol::TCP, segment.len() as u16);
        sum.add(&segment);
        set_checksum(&mut segment, sum.finish()).expect("a whole header");
        let mut packet = ipv4_packet(from.addr, to.addr, Protocol::TCP, &segment);
        set_tos(&mut packet, self.tos);
        packet
    }

    /// Reads an IPv4 packet; `None` if it holds no TCP segment. Also the ports, source first.
    pub fn from_packet(packet: &[u8]) -> Option<(Self, u16, u16)> {
        let ip = ipv4::Packet::parse(packet, packet.len()).ok()?;
        if ip.protocol() != Protocol::TCP {
            return None;
        }
        let bytes = packet.get(ip.header_len()..ip.total_len())?;
        let mut sum = Checksum::new();
        sum.pseudo_header(ip.src(), ip.dst(), Protocol::TCP, bytes.len() as u16);
        sum.add(bytes);
        assert!(sum.is_valid(), "the stack sent a wrong checksum");
        let segment = tcp::Segment::parse(bytes, bytes.len()).ok()?;
        let parsed = Self {
            seq: segment.seq(),
            ack: segment.ack(),
            flags: segment.flags().without(Flags::ACK),
            window: segment.window(),
            options: segment.options(),
            data: bytes.get(segment.header_len()..)?.to_vec(),
            urgent: segment.urgent().unwrap_or(0),
            tos: packet[1],
        };
        Some((parsed, segment.src_port(), segment.dst_port()))
    }
}

/// An IPv4 packet around `payload`.
pub fn ipv4_packet(src: Ipv4Addr, dst: Ipv4Addr, protocol: Protocol, payload: &[u8]) -> Vec<u8> {
    let mut packet = vec![0x45, 0, 0, 0, 0, 0, 0x40, 0, 64, protocol.0, 0, 0];
    packet.extend(src.octets());
    packet.extend(dst.octets());
    packet[2..4].copy_from_slice(&(20 + payload.len() as u16).to_be_bytes());
    let sum = gannet_core::wire::checksum::checksum(&packet);
    packet[10..12].copy_from_slice(&sum.to_be_bytes());
    packet.extend(payload);
    packet
}

/// Changes the type of service of an IPv4 packet.
pub fn set_tos(packet: &mut [u8], tos: u8) {
    packet[1] = tos;
    packet[10..12].fill(0);
    let sum = gannet_core::wire::checksum::checksum(&packet[..20]);
    packet[10..12].copy_from_slice(&sum.to_be_bytes());
}

/// Replaces the TCP options of a packet by `options`, whatever they are: a multiple of four bytes.
pub fn set_options(packet: &mut Vec<u8>, options: &[u8]) {
    let header = usize::from(packet[32] >> 4) * 4;
    packet.splice(40..20 + header, options.iter().copied());
    packet[32] = (5 + options.len() as u8 / 4) << 4;
    seal(packet);
}

/// Makes the lengths and checksums of a changed packet right: of an IPv4 header without options
/// and a TCP segment behind it.
pub fn seal(packet: &mut [u8]) {
    let total = packet.len() as u16;
    packet[2..4].copy_from_slice(&total.to_be_bytes());
    let tos = packet[1];
    set_tos(packet, tos);
    let address =
        |at: usize| Ipv4Addr::new(packet[at], packet[at + 1], packet[at + 2], packet[at + 3]);
    let mut sum = Checksum::new();
    sum.pseudo_header(address(12), address(16), Protocol::TCP, total - 20);
    packet[36..38].fill(0);
    sum.add(&packet[20..]);
    packet[36..38].copy_from_slice(&sum.finish().to_be_bytes());
}

/// An ICMP error from `router` to `from` about a segment that `from` sent to `to`, with number
/// `seq`.
pub fn icmp_error(
    router: Ipv4Addr,
    kind: icmpv4::Kind,
    from: End,
    to: End,
    seq: SeqNum,
) -> Vec<u8> {
    let mut quoted = from.port.to_be_bytes().to_vec();
    quoted.extend(to.port.to_be_bytes());
    quoted.extend(seq.0.to_be_bytes());
    // A full packet, of which the router quotes as little as RFC 792 permits.
    quoted.resize(1480, 0);
    let mut body = ipv4_packet(from.addr, to.addr, Protocol::TCP, &quoted);
    body.truncate(28);
    let mut message = [0; 128];
    let len = kind.emit_with(&body, &mut message).expect("room");
    ipv4_packet(router, from.addr, Protocol::ICMP, &message[..len])
}

fn parse_options(text: &str, to: End) -> Options {
    let mut options = Options::default();
    for option in text.split(',').map(str::trim).filter(|o| !o.is_empty()) {
        let words: Vec<_> = option.split([' ', ':']).collect();
        match words[..] {
            ["mss", mss] => options.mss = Some(mss.parse().expect("mss")),
            ["ws", shift] => options.window_scale = Some(shift.parse().expect("ws")),
            ["sackOK"] => options.sack_permitted = true,
            ["ts", value, echo] => {
                options.timestamps = Some(Timestamps {
                    value: value.parse().expect("ts value"),
                    echo: echo.parse().expect("ts echo"),
                });
            }
            ["sack", left, right] => {
                let at = |n: &str| to.isn + n.parse::<u32>().expect("sack edge");
                let block = SackBlock {
                    left: at(left),
                    right: at(right),
                };
                options.sack.push(block).expect("at most four blocks");
            }
            _ => panic!("what is option {option:?}?"),
        }
    }
    options
}
