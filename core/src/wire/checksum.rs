//! The Internet checksum ([RFC 1071]): sums over chains of parts, sums while copying, and the
//! incremental update of [RFC 1624].
//!
//! Words are added in the machine's byte order, which gives the same bytes in the field
//! (RFC 1071 §2 (B)), a machine word at a time, with the carry added in (RFC 1071 §2 (C)).
//!
//! [RFC 1071]: https://www.rfc-editor.org/rfc/rfc1071
//! [RFC 1624]: https://www.rfc-editor.org/rfc/rfc1624
use core::net::Ipv4Addr;

#[cfg(not(thumb2))]
use self::portable::{copy_and_sum, sum};
use super::ipv4::Protocol;
#[cfg(thumb2)]
use crate::pbuf::thumb2::{copy_and_sum, sum};
use crate::tally;

/// A running sum over consecutive bytes, which may come in parts of any length.
///
/// ```
/// use gannet_core::wire::Checksum;
/// let mut sum = Checksum::new();
/// sum.add(&[0x00, 0x01, 0xf2]); // parts may end between the halves of a word
/// sum.add(&[0x03, 0xf4, 0xf5, 0xf6, 0xf7]);
/// assert_eq!(sum.finish(), !0xddf2);
/// ```
#[derive(Clone, Copy, Debug, Default)]
#[must_use]
#[doc(alias = "inet_chksum")]
pub struct Checksum {
    /// One's complement sum in native byte order; [`fold`] makes 16 bits of it.
    sum: u64,
    /// Whether an odd number of bytes was added, so that the next part starts inside a word.
    odd: bool,
}

/// Who computes a checksum.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ComputedBy {
    /// The stack, now.
    Software,
    /// The device, on transmission: the field stays zero.
    Device,
}

impl Checksum {
    /// The sum over nothing.
    pub const fn new() -> Self {
        Self { sum: 0, odd: false }
    }

    /// The sum over words as they are in memory; sums over words ([`Checksum::folded`]) can stand
    /// for them.
    pub(crate) fn of_words<const N: usize>(words: [u16; N]) -> Self {
        Self {
            sum: words.iter().map(|word| u64::from(*word)).sum(),
            odd: false,
        }
    }

    /// The sum in 16 bits, as a word in memory.
    pub(crate) const fn folded(self) -> u16 {
        fold(self.sum)
    }

    /// Adds the bytes that follow those added so far.
    #[doc(alias = "inet_chksum_pbuf")]
    #[inline]
    pub fn add(&mut self, bytes: &[u8]) {
        tally::summed(bytes.len());
        self.append(sum(bytes), bytes.len());
    }

    /// The sum over these bytes, which others, added from now on, are in front of: an even number.
    #[inline]
    pub(crate) fn behind(self) -> Self {
        Self { odd: false, ..self }
    }

    /// Adds a header of whole words of four bytes (what is left is left out), as it is in memory.
    #[inline]
    pub(crate) fn add_header(&mut self, bytes: &[u8]) {
        let words = bytes.as_chunks::<4>().0.iter();
        self.append_even(words.map(|word| u64::from(u32::from_ne_bytes(*word))).sum());
    }

    /// Adds what another sum went over, an even number of bytes.
    #[inline]
    pub(crate) fn add_sum(&mut self, other: Self) {
        self.append_even(other.sum);
    }

    /// Adds words as they are in memory.
    #[inline]
    pub(crate) fn add_words<const N: usize>(&mut self, words: [u32; N]) {
        self.append_even(words.iter().map(|word| u64::from(*word)).sum());
    }

    /// Adds a sum over headers, behind an even number of bytes: less than 2^48. A packet has few of
    /// them, so nothing has to be carried yet.
    #[inline]
    fn append_even(&mut self, sum: u64) {
        debug_assert!(!self.odd);
        self.sum += sum;
    }

    /// Adds a 16 bit word, most significant byte first.
    pub fn add_u16(&mut self, word: u16) {
        self.append(u16::to_be(word).into(), 2);
    }

    /// Adds the pseudo header of an upper layer packet of `len` bytes (header and data).
    #[doc(alias = "inet_chksum_pseudo")]
    pub fn pseudo_header(&mut self, src: Ipv4Addr, dst: Ipv4Addr, protocol: Protocol, len: u16) {
        self.append(Self::of_pseudo_header(src, dst, protocol, len).sum, 12);
    }

    /// The sum over a pseudo header: that of an upper layer packet starts with it.
    #[inline]
    pub(crate) fn of_pseudo_header(
        src: Ipv4Addr,
        dst: Ipv4Addr,
        protocol: Protocol,
        len: u16,
    ) -> Self {
        // RFC 9293 §3.1 (and RFC 768): addresses, zero, protocol, length.
        let sum = u64::from(u32::from_ne_bytes(src.octets()))
            + u64::from(u32::from_ne_bytes(dst.octets()))
            + u64::from(u16::to_be(protocol.0.into()))
            + u64::from(len.to_be());
        Self { sum, odd: false }
    }

    /// Copies `src` to the front of `dst` and adds it in the same pass. Returns the number of
    /// bytes copied and added, which is the length of the shorter of the two.
    #[doc(alias = "lwip_chksum_copy")]
    pub fn copy_and_sum(&mut self, src: &[u8], dst: &mut [u8]) -> usize {
        let len = src.len().min(dst.len());
        let (Some(src), Some(dst)) = (src.get(..len), dst.get_mut(..len)) else {
            return 0; // `len` is the shorter of both: not reached
        };
        self.append(copy_and_sum(src, dst), len);
        len
    }

    /// The value for the checksum field: the complement of the sum. The field itself must have
    /// been zero, or not have been added. Over a packet that includes its checksum see
    /// [`Checksum::is_valid`].
    #[must_use]
    pub const fn finish(self) -> u16 {
        !u16::from_be(fold(self.sum))
    }

    /// As [`Checksum::finish`], for UDP, where zero says that there is no checksum.
    #[must_use]
    pub const fn finish_udp(self) -> u16 {
        // RFC 768: a computed checksum of zero is transmitted as all ones.
        match self.finish() {
            0 => 0xffff,
            sum => sum,
        }
    }

    /// Whether the bytes added, checksum field included, are intact.
    #[must_use]
    pub const fn is_valid(self) -> bool {
        fold(self.sum) == 0xffff
    }

    /// Adds a sum of less than 2^41 over so many bytes.
    #[inline]
    fn append(&mut self, sum: u64, len: usize) {
        // RFC 1071 §2 (B): a sum that starts at an odd byte has its halves swapped. That is a
        // rotation by eight bits, and so, in arithmetic modulo 2^16 - 1, a shift.
        let sum = if self.odd { sum << 8 } else { sum };
        let sum = self.sum + sum; // less than 2^60
        self.sum = (sum & 0xffff_ffff) + (sum >> 32); // less than 2^33
        self.odd ^= !len.is_multiple_of(2);
    }
}

/// The sum over all of `bytes`, as for the header of IPv4: [`Checksum::finish`] in one step.
#[must_use]
pub fn checksum(bytes: &[u8]) -> u16 {
    let mut sum = Checksum::new();
    sum.add(bytes);
    sum.finish()
}

/// The checksum field after a 16 bit word of what it covers changed from `old` to `new`.
#[must_use]
pub fn update(checksum: u16, old: u16, new: u16) -> u16 {
    // RFC 1624 §3 equation 3: HC' = ~(~HC + ~m + m'), which never gives the wrong zero.
    !fold(u64::from(!checksum) + u64::from(!old) + u64::from(new))
}

/// The sum over a header of IPv4 without options: its five words cannot overflow 64 bits.
#[inline(always)]
pub(super) fn sum_of_header(header: &[u8; super::ipv4::HEADER_LEN]) -> u16 {
    let words = header.as_chunks::<4>().0.iter();
    fold(words.map(|word| u64::from(u32::from_ne_bytes(*word))).sum())
}

/// Adds the carries until 16 bits are left; zero stays zero, and nothing else becomes zero.
pub(super) const fn fold(sum: u64) -> u16 {
    // The upper half of a number and itself with its halves swapped: the sum of the halves, with
    // the carry out of the lower ones, which is that of the upper ones, added at the end.
    let sum = (sum.wrapping_add(sum.rotate_left(32)) >> 32) as u32;
    (sum.wrapping_add(sum.rotate_left(16)) >> 16) as u16
}

#[cfg(not(thumb2))]
mod portable;
#[cfg(test)]
mod tests;
