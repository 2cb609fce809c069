//! The TCP header ([RFC 9293 §3.1]): layout and checks, sequence numbers; no protocol.
//!
//! [RFC 9293 §3.1]: https://www.rfc-editor.org/rfc/rfc9293#section-3.1
use core::ops::{Add, AddAssign, BitOr, Sub};

use zerocopy::network_endian::{U16, U32};
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

use super::checksum::Checksum;
use super::tcp_options::{Options, Timestamps};
use super::{Malformed, NoRoom, clip};

/// The fixed part of a TCP header, exactly as on the wire.
#[derive(Clone, Copy, Debug, FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned)]
#[repr(C)]
struct Header {
    src_port: U16,
    dst_port: U16,
    seq: U32,
    ack: U32,
    /// Header length in words of four bytes, in the upper half.
    offset: u8,
    flags: u8,
    window: U16,
    checksum: U16,
    urgent: U16,
}

/// Length of a TCP header without options in bytes.
pub const HEADER_LEN: usize = 20;
const _: () = assert!(size_of::<Header>() == HEADER_LEN);

/// A received segment's header, checked once.
#[derive(Clone, Copy, Debug)]
pub struct Segment<'a> {
    header: &'a Header,
    options: &'a [u8],
    payload_len: usize,
}

impl<'a> Segment<'a> {
    /// Reads the header and options at the front of `first`; the IP payload has `total` bytes.
    ///
    /// # Errors
    /// [`Malformed::Truncated`] if `first` or `total` is shorter than the header with its options,
    /// [`Malformed::HeaderLength`] if the data offset points into the fixed header,
    /// [`Malformed::Port`] if a port is zero.
    pub fn parse(first: &'a [u8], total: usize) -> Result<Self, Malformed> {
        let (header, rest) =
            Header::ref_from_prefix(clip(first, total)).map_err(|_| Malformed::Truncated)?;
        let header_len = usize::from(header.offset >> 4) * 4;
        let options = header_len
            .checked_sub(HEADER_LEN)
            .ok_or(Malformed::HeaderLength)?;
        let options = rest.get(..options).ok_or(Malformed::Truncated)?;
        let payload_len = total.checked_sub(header_len).ok_or(Malformed::Truncated)?;
        // RFC 6335 §6: port zero is reserved; no connection has it.
        if header.src_port == U16::ZERO || header.dst_port == U16::ZERO {
            return Err(Malformed::Port);
        }
        Ok(Self {
            header,
            options,
            payload_len,
        })
    }

    /// Source port; never zero.
    pub fn src_port(&self) -> u16 {
        self.header.src_port.get()
    }

    /// Destination port; never zero.
    pub fn dst_port(&self) -> u16 {
        self.header.dst_port.get()
    }

    /// SEG.SEQ: the sequence number of the first byte, or of the SYN.
    pub fn seq(&self) -> SeqNum {
        SeqNum(self.header.seq.get())
    }

    /// SEG.ACK, if the segment carries one.
    pub fn ack(&self) -> Option<SeqNum> {
        let ack = SeqNum(self.header.ack.get());
        self.flags().contains(Flags::ACK).then_some(ack)
    }

    /// Control bits.
    pub fn flags(&self) -> Flags {
        Flags(self.header.flags)
    }

    /// SEG.WND as on the wire: not scaled.
    pub fn window(&self) -> u16 {
        self.header.window.get()
    }

    /// The urgent pointer, if [`Flags::URG`] says it counts: behind [`Segment::seq`], in bytes.
    pub fn urgent(&self) -> Option<u16> {
        let urgent = self.header.urgent.get();
        self.flags().contains(Flags::URG).then_some(urgent)
    }

    /// Length of the header with its options in bytes: 20 to 60. The data starts there.
    pub fn header_len(&self) -> usize {
        HEADER_LEN + self.options.len()
    }

    /// Length of the data in bytes.
    pub fn payload_len(&self) -> usize {
        self.payload_len
    }

    /// SEG.LEN: the sequence space it takes, data and SYN and FIN.
    #[doc(alias = "TCP_TCPLEN")]
    pub fn seg_len(&self) -> u32 {
        let controls = u32::from(self.flags().contains(Flags::SYN))
            + u32::from(self.flags().contains(Flags::FIN));
        // `parse` got its total from an IP packet: at most 65535.
        u32::try_from(self.payload_len).map_or(u32::MAX, |len| len.saturating_add(controls))
    }

    /// The options, parsed anew by each call.
    pub fn options(&self) -> Options {
        match self.options {
            // Most segments have none.
            [] => Options::default(),
            bytes => Options::parse(bytes),
        }
    }
}

/// The header of the usual segment: an acknowledgement, perhaps with data, with timestamps or without
/// options. Nothing else is looked at, so that it costs little; everything else is what [`Segment`]
/// says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Headline {
    /// Source and destination, as on the wire. May be zero, which no connection's are.
    pub(crate) ports: [u8; 4],
    pub(crate) seq: SeqNum,
    pub(crate) ack: SeqNum,
    /// Bytes of data.
    pub(crate) len: u32,
    /// Not scaled.
    pub(crate) window: u16,
    /// Arranged as RFC 7323, appendix A, recommends.
    pub(crate) timestamps: Option<Timestamps>,
    /// Length of the header with its options in bytes. The data starts there.
    pub(crate) header_len: u8,
}

impl Headline {
    /// Reads the header at the front of `first`, of a segment of `total` bytes. `None` for every one
    /// that is not usual. Its checksum is not verified.
    #[inline]
    pub(crate) fn parse(first: &[u8], total: usize) -> Option<Self> {
        let (header, options) = first.split_first_chunk::<HEADER_LEN>()?;
        let &[a, b, c, d, ..] = header;
        let header: &Header = zerocopy::transmute_ref!(header);
        if Flags(header.flags).without(Flags::PSH) != Flags::ACK {
            return None;
        }
        let mut line = Self {
            ports: [a, b, c, d],
            seq: SeqNum(header.seq.get()),
            ack: SeqNum(header.ack.get()),
            len: 0,
            window: header.window.get(),
            timestamps: None,
            header_len: HEADER_LEN as u8,
        };
        match header.offset >> 4 {
            5 => {}
            8 => {
                line.timestamps = Some(Timestamps::alone(options.first_chunk()?)?);
                line.header_len += Timestamps::ALONE_LEN as u8;
            }
            _ => return None,
        }
        // An IPv4 payload always fits 16 bits.
        line.len = (total as u32).checked_sub(line.header_len.into())?;
        Some(line)
    }
}

/// What is left of a TCP header quoted in an ICMP error.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Quoted {
    /// Source port of the segment: ours, if we sent it.
    pub src_port: u16,
    /// Destination port of the segment.
    pub dst_port: u16,
    /// Its sequence number: must be in flight, or the error is a forgery ([RFC 5927 §4.1]).
    ///
    /// [RFC 5927 §4.1]: https://www.rfc-editor.org/rfc/rfc5927#section-4.1
    pub seq: SeqNum,
}

impl Quoted {
    /// Reads the IP payload quoted in an ICMP error.
    ///
    /// # Errors
    /// [`Malformed::Truncated`] if fewer than the eight bytes of RFC 792 are quoted.
    pub fn parse(bytes: &[u8]) -> Result<Self, Malformed> {
        let &[a, b, c, d, e, f, g, h] = bytes.first_chunk().ok_or(Malformed::Truncated)?;
        Ok(Self {
            src_port: u16::from_be_bytes([a, b]),
            dst_port: u16::from_be_bytes([c, d]),
            seq: SeqNum(u32::from_be_bytes([e, f, g, h])),
        })
    }
}

/// The header of a segment to send.
#[derive(Clone, Copy, Debug)]
pub struct Fields {
    /// Source port.
    pub src_port: u16,
    /// Destination port.
    pub dst_port: u16,
    /// Sequence number of the first byte, or of the SYN.
    pub seq: SeqNum,
    /// Next sequence number expected; `Some` sets [`Flags::ACK`].
    pub ack: Option<SeqNum>,
    /// Control bits, besides ACK.
    pub flags: Flags,
    /// Receive window as on the wire: scaled already.
    pub window: u16,
}

impl Fields {
    /// Writes header and options to the front of `out`, with checksum and urgent pointer zero
    /// (see [`set_checksum`]). Returns the header length in bytes: [`HEADER_LEN`] and
    /// [`Options::len`].
    ///
    /// # Errors
    /// [`NoRoom`] if `out` is shorter than that.
    pub fn emit(&self, options: &Options, out: &mut [u8]) -> Result<usize, NoRoom> {
        let (header, rest) = out.split_first_chunk_mut::<HEADER_LEN>().ok_or(NoRoom)?;
        let header_len = HEADER_LEN + options.emit(rest)?;
        *header = zerocopy::transmute!(self.header(header_len));
        Ok(header_len)
    }

    /// The header, of `header_len` bytes with options, of segments like this one, whatever their
    /// number and further flags. `sum` is that over what else they have in common.
    #[inline]
    pub(crate) fn template(&self, header_len: usize, mut sum: Checksum) -> Template {
        let header = Header {
            seq: U32::ZERO,
            ..self.header(header_len)
        };
        sum.add_words::<{ HEADER_LEN / 4 }>(zerocopy::transmute!(header));
        Template { header, sum }
    }

    fn header(&self, header_len: usize) -> Header {
        let (ack, ack_flag) = match self.ack {
            Some(ack) => (ack.0, Flags::ACK),
            None => (0, Flags::NONE),
        };
        Header {
            src_port: self.src_port.into(),
            dst_port: self.dst_port.into(),
            seq: self.seq.0.into(),
            ack: ack.into(),
            offset: (header_len as u8 / 4) << 4, // at most 60 / 4
            flags: (self.flags | ack_flag).0,
            window: self.window.into(),
            checksum: U16::ZERO,
            urgent: U16::ZERO,
        }
    }
}

/// The header of the segments of a burst, but for what is different in each.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Template {
    header: Header,
    /// Over the header and what else the segments have in common.
    sum: Checksum,
}

impl Template {
    /// Writes the header of the segment that begins with `seq` and has these flags, too. `sum` is
    /// that over its data and length; `None`: the device computes the checksum.
    #[inline]
    pub(crate) fn write(
        &self,
        out: &mut [u8; HEADER_LEN],
        seq: SeqNum,
        flags: Flags,
        sum: Option<Checksum>,
    ) {
        let header: &mut Header = zerocopy::transmute_mut!(out);
        *header = self.header;
        header.seq = seq.0.into();
        header.flags |= flags.0;
        if let Some(mut sum) = sum {
            sum.add_sum(self.sum);
            let flags = u16::from_ne_bytes([0, flags.without(self.flags()).0]);
            sum.add_words([u32::from_ne_bytes(header.seq.to_bytes()), flags.into()]);
            header.checksum = sum.finish().into();
        }
    }

    /// Control bits of all segments.
    fn flags(&self) -> Flags {
        Flags(self.header.flags)
    }

    /// Receive window as on the wire: scaled already.
    pub(crate) fn window(&self) -> u16 {
        self.header.window.get()
    }
}

/// Sets the checksum of the header at the front of `header`, once the sum over it is known.
///
/// # Errors
/// [`NoRoom`] if there is no whole header.
pub fn set_checksum(header: &mut [u8], checksum: u16) -> Result<(), NoRoom> {
    let (header, _) = Header::mut_from_prefix(header).map_err(|_| NoRoom)?;
    header.checksum = checksum.into();
    Ok(())
}

/// TCP control bits.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
pub struct Flags(u8);

impl Flags {
    /// No bit.
    pub const NONE: Self = Self(0);
    /// No more data from the sender.
    pub const FIN: Self = Self(0x01);
    /// Synchronize sequence numbers.
    pub const SYN: Self = Self(0x02);
    /// Reset the connection.
    pub const RST: Self = Self(0x04);
    /// Push.
    pub const PSH: Self = Self(0x08);
    /// The acknowledgement field is significant.
    pub const ACK: Self = Self(0x10);
    /// The urgent pointer is significant.
    pub const URG: Self = Self(0x20);
    /// ECN echo.
    pub const ECE: Self = Self(0x40);
    /// Congestion window reduced.
    pub const CWR: Self = Self(0x80);

    /// Whether all of `other` are set.
    pub const fn contains(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }

    /// Whether any of `other` is set.
    pub const fn intersects(self, other: Self) -> bool {
        self.0 & other.0 != 0
    }

    /// These without `other`.
    #[must_use]
    pub const fn without(self, other: Self) -> Self {
        Self(self.0 & !other.0)
    }
}

impl BitOr for Flags {
    type Output = Self;
    fn bitor(self, rhs: Self) -> Self {
        Self(self.0 | rhs.0)
    }
}

/// As tcpdump writes them: `S` `F` `R` `P` `.` (ACK) `U` `E` `W`.
impl core::fmt::Debug for Flags {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        use core::fmt::Write;
        let names = [
            (Self::SYN, 'S'),
            (Self::FIN, 'F'),
            (Self::RST, 'R'),
            (Self::PSH, 'P'),
            (Self::ACK, '.'),
            (Self::URG, 'U'),
            (Self::ECE, 'E'),
            (Self::CWR, 'W'),
        ];
        f.write_char('[')?;
        for (_, name) in names.iter().filter(|(flag, _)| self.contains(*flag)) {
            f.write_char(*name)?;
        }
        f.write_char(']')
    }
}

/// A sequence number. Has no `Ord`: order on a circle is a question about two numbers less than
/// 2^31 apart ([RFC 9293 §3.4]). Of two exactly 2^31 apart each is before the other.
///
/// ```
/// use gannet_core::wire::SeqNum;
/// let last = SeqNum(u32::MAX);
/// assert!(last.before(last + 1));
/// assert_eq!((last + 3) - last, 3);
/// ```
///
/// [RFC 9293 §3.4]: https://www.rfc-editor.org/rfc/rfc9293#section-3.4
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct SeqNum(pub u32);

/// Comparisons hold for numbers less than 2^31 apart, as those of one connection are; of two that
/// are exactly so far apart each is before the other. What came from outside is therefore checked
/// by its distance ([`SeqNum::in_window`], [`SeqNum::since`]).
impl SeqNum {
    /// `self < other`.
    #[doc(alias = "TCP_SEQ_LT")]
    pub const fn before(self, other: Self) -> bool {
        self.distance(other) < 0
    }

    /// `self > other`.
    #[doc(alias = "TCP_SEQ_GT")]
    pub const fn after(self, other: Self) -> bool {
        other.before(self)
    }

    /// `self <= other`.
    #[doc(alias = "TCP_SEQ_LEQ")]
    pub const fn before_eq(self, other: Self) -> bool {
        self.distance(other) <= 0
    }

    /// `self >= other`.
    #[doc(alias = "TCP_SEQ_GEQ")]
    pub const fn after_eq(self, other: Self) -> bool {
        other.before_eq(self)
    }

    /// `start <= self < start + len`, for any `len`; nothing is in an empty window.
    pub const fn in_window(self, start: Self, len: u32) -> bool {
        self.0.wrapping_sub(start.0) < len
    }

    /// The later of two.
    #[must_use]
    pub const fn max(self, other: Self) -> Self {
        if self.before(other) { other } else { self }
    }

    /// The earlier of two.
    #[must_use]
    pub const fn min(self, other: Self) -> Self {
        if other.before(self) { other } else { self }
    }

    /// How far `self` is past `start`, in 0..2^32: for lengths that are known not to be negative.
    pub const fn since(self, start: Self) -> u32 {
        self.0.wrapping_sub(start.0)
    }

    const fn distance(self, other: Self) -> i32 {
        self.0.wrapping_sub(other.0) as i32
    }
}

impl Add<u32> for SeqNum {
    type Output = Self;
    fn add(self, rhs: u32) -> Self {
        Self(self.0.wrapping_add(rhs))
    }
}

impl AddAssign<u32> for SeqNum {
    fn add_assign(&mut self, rhs: u32) {
        *self = *self + rhs;
    }
}

impl Sub<u32> for SeqNum {
    type Output = Self;
    fn sub(self, rhs: u32) -> Self {
        Self(self.0.wrapping_sub(rhs))
    }
}

/// The signed distance: negative if `self` is before `rhs`.
impl Sub for SeqNum {
    type Output = i32;
    fn sub(self, rhs: Self) -> i32 {
        self.distance(rhs)
    }
}

#[cfg(test)]
mod properties;
#[cfg(test)]
mod tests;
