//! The IPv4 header ([RFC 791]): layout, length checks, options as far as a host must see them;
//! which packets are for us, reassembly and forwarding are elsewhere.
//!
//! [RFC 791]: https://www.rfc-editor.org/rfc/rfc791
use core::net::Ipv4Addr;

use zerocopy::network_endian::U16;
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

use super::checksum::{ComputedBy, checksum, fold, sum_of_header};
use super::{Malformed, NoRoom, clip};

mod written;

pub use written::{Written, complete};

/// The fixed part of an IPv4 header, exactly as on the wire.
#[derive(Clone, Copy, Debug, FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned)]
#[repr(C)]
struct Header {
    version_ihl: u8,
    dscp_ecn: u8,
    total_len: U16,
    ident: U16,
    flags_offset: U16,
    ttl: u8,
    protocol: u8,
    checksum: U16,
    src: [u8; 4],
    dst: [u8; 4],
}

/// Length of an IPv4 header without options in bytes.
pub const HEADER_LEN: usize = 20;
const _: () = assert!(size_of::<Header>() == HEADER_LEN);

/// Length of an IPv4 header with the Router Alert option in bytes.
pub const ALERT_HEADER_LEN: usize = HEADER_LEN + ROUTER_ALERT.len();

/// RFC 2113 §2.1: "routers shall examine the packet".
const ROUTER_ALERT: [u8; 4] = [148, 4, 0, 0];

/// The largest payload behind a header without options, in bytes.
pub const MAX_PAYLOAD: u16 = u16::MAX - HEADER_LEN as u16;

const DONT_FRAGMENT: u16 = 0x4000;
const MORE_FRAGMENTS: u16 = 0x2000;
const OFFSET: u16 = 0x1fff;

/// What an IP packet carries.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Protocol(pub u8);

impl Protocol {
    /// ICMP.
    pub const ICMP: Self = Self(1);
    /// IGMP.
    pub const IGMP: Self = Self(2);
    /// TCP.
    pub const TCP: Self = Self(6);
    /// UDP.
    pub const UDP: Self = Self(17);
}

/// Explicit congestion notification ([RFC 3168 §5]).
///
/// [RFC 3168 §5]: https://www.rfc-editor.org/rfc/rfc3168#section-5
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Ecn {
    /// The transport does not understand ECN.
    #[default]
    NotEct,
    /// ECN capable, ECT(1).
    Ect1,
    /// ECN capable, ECT(0).
    Ect0,
    /// Congestion experienced.
    Ce,
}

/// A received packet's header, checked once.
#[derive(Clone, Copy, Debug)]
pub struct Packet<'a> {
    header: &'a Header,
    header_bytes: &'a [u8],
    options: &'a [u8],
    payload: &'a [u8],
}

impl<'a> Packet<'a> {
    /// Reads the header at the front of `first`; `total` bytes have arrived.
    ///
    /// More bytes than [`Packet::total_len`] may have arrived (padding): the caller cuts them off.
    ///
    /// # Errors
    /// [`Malformed::Version`] for anything but 4; [`Malformed::HeaderLength`],
    /// [`Malformed::TotalLength`], [`Malformed::Truncated`], [`Malformed::Fragment`] and
    /// [`Malformed::Options`] as named.
    pub fn parse(first: &'a [u8], total: usize) -> Result<Self, Malformed> {
        let packet = Self::parse_quoted(clip(first, total))?;
        if packet.total_len() > total {
            return Err(Malformed::TotalLength);
        }
        let end = packet.fragment_offset() + packet.payload_len();
        // RFC 791 §3.2: a datagram has at most 65535 bytes; all fragments but the last carry a
        // multiple of 8 bytes. An empty one would only cost memory.
        let too_long = end > usize::from(u16::MAX) - packet.header_len();
        let empty = packet.is_fragment() && packet.payload_len() == 0;
        let ragged = packet.more_fragments() && !packet.payload_len().is_multiple_of(8);
        if too_long || empty || ragged {
            return Err(Malformed::Fragment);
        }
        Ok(packet)
    }

    /// Reads a packet quoted in an ICMP error, of which only the header must be complete.
    ///
    /// # Errors
    /// As [`Packet::parse`], but the total length is not compared with what has arrived.
    pub fn parse_quoted(quote: &'a [u8]) -> Result<Self, Malformed> {
        let (header, rest) = Header::ref_from_prefix(quote).map_err(|_| Malformed::Truncated)?;
        if header.version_ihl >> 4 != 4 {
            return Err(Malformed::Version);
        }
        let header_len = usize::from(header.version_ihl & 0xf) * 4;
        let options = header_len
            .checked_sub(HEADER_LEN)
            .ok_or(Malformed::HeaderLength)?;
        let (options, payload) = rest.split_at_checked(options).ok_or(Malformed::Truncated)?;
        let payload_len = usize::from(header.total_len.get())
            .checked_sub(header_len)
            .ok_or(Malformed::TotalLength)?;
        // RFC 1122 §3.2.1.8: unknown options are ignored; an impossible one hides what follows it.
        if Options(options).any(|option| option.is_err()) {
            return Err(Malformed::Options);
        }
        Ok(Self {
            header,
            header_bytes: clip(quote, header_len),
            options,
            payload: clip(payload, payload_len),
        })
    }

    /// Header length in bytes, options included: 20 to 60.
    pub fn header_len(&self) -> usize {
        self.header_bytes.len()
    }

    /// Length of header and payload in bytes.
    pub fn total_len(&self) -> usize {
        self.header.total_len.get().into()
    }

    /// Payload length in bytes.
    pub fn payload_len(&self) -> usize {
        self.total_len().saturating_sub(self.header_len())
    }

    /// The part of the payload that is in the contiguous first part; without padding.
    pub fn first_payload(&self) -> &'a [u8] {
        self.payload
    }

    /// The header with its options: a [`Checksum`](super::Checksum) over it must be valid.
    pub fn header_bytes(&self) -> &'a [u8] {
        self.header_bytes
    }

    /// Whether the header checksum is right.
    pub fn checksum_is_valid(&self) -> bool {
        let mut sum = super::Checksum::new();
        sum.add(self.header_bytes);
        sum.is_valid()
    }

    /// Source address.
    pub fn src(&self) -> Ipv4Addr {
        self.header.src.into()
    }

    /// Destination address.
    pub fn dst(&self) -> Ipv4Addr {
        self.header.dst.into()
    }

    /// What the payload is.
    pub fn protocol(&self) -> Protocol {
        Protocol(self.header.protocol)
    }

    /// Remaining hops.
    pub fn ttl(&self) -> u8 {
        self.header.ttl
    }

    /// Differentiated services code point: 0 to 63.
    pub fn dscp(&self) -> u8 {
        self.header.dscp_ecn >> 2
    }

    /// Explicit congestion notification.
    pub fn ecn(&self) -> Ecn {
        match self.header.dscp_ecn & 3 {
            0 => Ecn::NotEct,
            1 => Ecn::Ect1,
            2 => Ecn::Ect0,
            _ => Ecn::Ce,
        }
    }

    /// Identification: tells which fragments belong together.
    pub fn ident(&self) -> u16 {
        self.header.ident.get()
    }

    /// Whether routers must not fragment the packet.
    pub fn dont_fragment(&self) -> bool {
        self.header.flags_offset.get() & DONT_FRAGMENT != 0
    }

    /// Whether this is a fragment and not the last one.
    pub fn more_fragments(&self) -> bool {
        self.header.flags_offset.get() & MORE_FRAGMENTS != 0
    }

    /// Where this fragment's payload starts in the whole payload, in bytes.
    pub fn fragment_offset(&self) -> usize {
        usize::from(self.header.flags_offset.get() & OFFSET) * 8
    }

    /// Whether this is a part of a larger packet.
    pub fn is_fragment(&self) -> bool {
        self.more_fragments() || self.fragment_offset() != 0
    }

    /// Whether the sender wants to choose the way (loose or strict source route).
    pub fn has_source_route(&self) -> bool {
        // RFC 7126 §4.3, §4.4: drop by default; the answers would follow the attacker's route.
        Options(self.options).any(|option| matches!(option, Ok(LSRR | SSRR)))
    }
}

const LSRR: u8 = 131;
const SSRR: u8 = 137;

/// The types of the options, an error at the first one that has an impossible length.
struct Options<'a>(&'a [u8]);

impl Iterator for Options<'_> {
    type Item = Result<u8, Malformed>;

    fn next(&mut self) -> Option<Self::Item> {
        // RFC 791 §3.1: 0 ends the list, 1 is a byte of padding, all others carry their length.
        let (kind, rest) = match *self.0 {
            [] | [0, ..] => return None,
            [1, ref rest @ ..] => (Ok(1), rest),
            [kind, len, ..] if len >= 2 => match self.0.get(len.into()..) {
                Some(rest) => (Ok(kind), rest),
                None => (Err(Malformed::Options), &[][..]),
            },
            _ => (Err(Malformed::Options), &[][..]),
        };
        self.0 = rest;
        Some(kind)
    }
}

/// Whether a packet is, or may become, a fragment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fragmentation {
    /// Whole, and routers may fragment it.
    Allowed,
    /// Whole, and must stay so (DF).
    Forbidden,
    /// A part that others follow.
    Part {
        /// Where its payload starts, in bytes; a multiple of 8.
        offset: u16,
    },
    /// The last part.
    LastPart {
        /// Where its payload starts, in bytes; a multiple of 8.
        offset: u16,
    },
}

/// The header of a packet to send; it has no options.
#[derive(Clone, Copy, Debug)]
pub struct Fields {
    /// Source address.
    pub src: Ipv4Addr,
    /// Destination address.
    pub dst: Ipv4Addr,
    /// What the payload is.
    pub protocol: Protocol,
    /// Hops the packet may take.
    pub ttl: u8,
    /// Differentiated services code point: 0 to 63.
    pub dscp: u8,
    /// Explicit congestion notification.
    pub ecn: Ecn,
    /// Identification; without meaning in packets that are never fragmented.
    pub ident: u16,
    /// Fragment or not.
    pub fragmentation: Fragmentation,
    /// Payload length in bytes: at most [`MAX_PAYLOAD`].
    pub payload_len: u16,
}

impl Fields {
    /// Writes the header to the front of `out`.
    ///
    /// # Errors
    /// [`NoRoom`] if `out` is shorter than [`HEADER_LEN`], or the payload longer than
    /// [`MAX_PAYLOAD`].
    pub fn emit(&self, out: &mut [u8], checksum_by: ComputedBy) -> Result<(), NoRoom> {
        let out = out.first_chunk_mut().ok_or(NoRoom)?;
        if self.payload_len > MAX_PAYLOAD {
            return Err(NoRoom);
        }
        // Its ECN is in the template.
        let mark = Mark::new(self.ident, self.fragmentation, Ecn::NotEct);
        self.template(checksum_by)
            .write(out, self.payload_len, mark);
        Ok(())
    }

    /// As [`Fields::emit`], with the option Router Alert ([RFC 2113]) behind the header.
    ///
    /// # Errors
    /// [`NoRoom`] if `out` is shorter than [`ALERT_HEADER_LEN`], or the payload too long.
    ///
    /// [RFC 2113]: https://www.rfc-editor.org/rfc/rfc2113
    pub fn emit_with_alert(&self, out: &mut [u8], checksum_by: ComputedBy) -> Result<(), NoRoom> {
        let out = out.get_mut(..ALERT_HEADER_LEN).ok_or(NoRoom)?;
        let total_len = self.payload_len.checked_add(ALERT_HEADER_LEN as u16);
        let mut header = self.template(checksum_by).header;
        header.version_ihl = 0x46;
        header.total_len = total_len.ok_or(NoRoom)?.into();
        header.ident = self.ident.into();
        header.flags_offset = self.fragmentation.bits().into();
        header.write_to_prefix(out).map_err(|_| NoRoom)?;
        ROUTER_ALERT.write_to_suffix(out).map_err(|_| NoRoom)?;
        if checksum_by == ComputedBy::Software {
            header.checksum = checksum(out).into();
        }
        header.write_to_prefix(out).map_err(|_| NoRoom)
    }

    /// The header of packets like this one, whatever their identification, fragmentation and
    /// length.
    pub fn template(&self, checksum_by: ComputedBy) -> Template {
        let header = Header {
            version_ihl: 0x45,
            dscp_ecn: self.dscp << 2 | self.ecn.bits(),
            total_len: U16::ZERO,
            ident: U16::ZERO,
            flags_offset: U16::ZERO,
            ttl: self.ttl,
            protocol: self.protocol.0,
            checksum: U16::ZERO,
            src: self.src.octets(),
            dst: self.dst.octets(),
        };
        let same = Header {
            dscp_ecn: 0,
            ..header
        };
        Template {
            header,
            sum: sum_of_header(&zerocopy::transmute!(same)),
            checksum_by,
        }
    }
}

/// The header of the packets of a flow, but for what is different in each.
#[derive(Clone, Copy, Debug)]
pub struct Template {
    header: Header,
    /// The sum over what is the same in all packets of the flow, as a word in memory.
    sum: u16,
    checksum_by: ComputedBy,
}

/// What is different in each packet of a flow, besides its length.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Mark {
    ident: u16,
    /// As on the wire.
    flags_offset: u16,
    ecn: Ecn,
}

impl Mark {
    /// `ident` is without meaning in packets that are never fragmented; `ecn` counts if the
    /// template has none.
    pub const fn new(ident: u16, fragmentation: Fragmentation, ecn: Ecn) -> Self {
        Self {
            ident,
            flags_offset: fragmentation.bits(),
            ecn,
        }
    }

    /// The same with this congestion notification.
    #[must_use]
    pub const fn with_ecn(self, ecn: Ecn) -> Self {
        Self { ecn, ..self }
    }
}

impl Template {
    /// Of no packet.
    pub(crate) const ZERO: Self = Self {
        header: Header {
            version_ihl: 0,
            dscp_ecn: 0,
            total_len: U16::ZERO,
            ident: U16::ZERO,
            flags_offset: U16::ZERO,
            ttl: 0,
            protocol: 0,
            checksum: U16::ZERO,
            src: [0; 4],
            dst: [0; 4],
        },
        sum: 0,
        checksum_by: ComputedBy::Device,
    };

    /// Writes the header of a packet with a payload of `payload_len` bytes: at most
    /// [`MAX_PAYLOAD`].
    #[inline]
    pub fn write(&self, out: &mut [u8; HEADER_LEN], payload_len: u16, mark: Mark) {
        let header: &mut Header = zerocopy::transmute_mut!(out);
        *header = self.header;
        header.total_len = payload_len.saturating_add(HEADER_LEN as u16).into();
        header.ident = mark.ident.into();
        header.flags_offset = mark.flags_offset.into();
        let dscp_ecn = self.header.dscp_ecn | mark.ecn.bits();
        header.dscp_ecn = dscp_ecn;
        if self.checksum_by == ComputedBy::Software {
            let words = [
                [0, dscp_ecn],
                header.total_len.to_bytes(),
                header.ident.to_bytes(),
                header.flags_offset.to_bytes(),
            ];
            let sum = words.map(|word| u64::from(u16::from_ne_bytes(word)));
            let sum = fold(u64::from(self.sum) + sum.iter().sum::<u64>());
            header.checksum = U16::from_bytes((!sum).to_ne_bytes());
        }
    }
}

impl Fragmentation {
    /// As in the header's flags and offset.
    const fn bits(self) -> u16 {
        match self {
            Self::Allowed => 0,
            Self::Forbidden => DONT_FRAGMENT,
            Self::Part { offset } => (offset / 8) | MORE_FRAGMENTS,
            Self::LastPart { offset } => offset / 8,
        }
    }
}

impl Ecn {
    /// As in the header's type of service.
    pub(crate) const fn bits(self) -> u8 {
        match self {
            Self::NotEct => 0,
            Self::Ect1 => 1,
            Self::Ect0 => 2,
            Self::Ce => 3,
        }
    }

    /// Of the two lowest bits of a type of service.
    pub(crate) const fn of(tos: u8) -> Self {
        match tos & 3 {
            0 => Self::NotEct,
            1 => Self::Ect1,
            2 => Self::Ect0,
            _ => Self::Ce,
        }
    }
}

#[cfg(test)]
mod tests;
