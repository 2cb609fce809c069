//! The options of a TCP header ([RFC 9293 §3.2]): parsed in one pass, written in one order.
//! Which of them count in which segment is TCP's business.
//!
//! [RFC 9293 §3.2]: https://www.rfc-editor.org/rfc/rfc9293#section-3.2
use super::NoRoom;
use super::tcp::SeqNum;

/// The most bytes of options a TCP header has room for.
pub const MAX_LEN: usize = 40;

/// The largest window scale ([RFC 7323 §2.3](https://www.rfc-editor.org/rfc/rfc7323#section-2.3)).
pub const MAX_WINDOW_SCALE: u8 = 14;

mod kind {
    pub(super) const END: u8 = 0;
    pub(super) const NOP: u8 = 1;
    pub(super) const MSS: u8 = 2;
    pub(super) const WINDOW_SCALE: u8 = 3;
    pub(super) const SACK_PERMITTED: u8 = 4;
    pub(super) const SACK: u8 = 5;
    pub(super) const TIMESTAMPS: u8 = 8;
}

/// Timestamps ([RFC 7323 §3.2](https://www.rfc-editor.org/rfc/rfc7323#section-3.2)).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timestamps {
    /// TSval: the sender's clock.
    pub value: u32,
    /// TSecr: the other's clock, as last seen; without meaning in a segment without ACK.
    pub echo: u32,
}

impl Timestamps {
    /// Length in bytes of all options if there is no other.
    pub(crate) const ALONE_LEN: usize = 12;

    /// From all options of a segment, if they are these and in the usual order.
    #[inline]
    pub(crate) fn alone(bytes: &[u8; Self::ALONE_LEN]) -> Option<Self> {
        // RFC 7323, appendix A: how nearly everybody arranges what comes with every segment.
        let &[
            kind::NOP,
            kind::NOP,
            kind::TIMESTAMPS,
            10,
            a,
            b,
            c,
            d,
            e,
            f,
            g,
            h,
        ] = bytes
        else {
            return None;
        };
        Some(Self {
            value: u32::from_be_bytes([a, b, c, d]),
            echo: u32::from_be_bytes([e, f, g, h]),
        })
    }

    /// As [`Options::emit`] writes them if there is no other option.
    pub(crate) const fn bytes(self) -> [u8; Self::ALONE_LEN] {
        let [a, b, c, d] = self.value.to_be_bytes();
        let [e, f, g, h] = self.echo.to_be_bytes();
        let (nop, kind) = (kind::NOP, kind::TIMESTAMPS);
        [nop, nop, kind, 10, a, b, c, d, e, f, g, h]
    }
}

/// Received data beyond the acknowledgement: `left` up to, not including, `right`
/// ([RFC 2018 §3](https://www.rfc-editor.org/rfc/rfc2018#section-3)). Not yet validated: a
/// received one may be empty, reversed or outside of what was sent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SackBlock {
    /// First sequence number of the block.
    pub left: SeqNum,
    /// The sequence number behind the last one.
    pub right: SeqNum,
}

/// Up to four [`SackBlock`]s, the most that fit a header, in the order of the option.
#[derive(Clone, Copy, Debug, Default)]
pub struct SackBlocks {
    blocks: [SackBlock; Self::MAX],
    len: u8,
}

impl SackBlocks {
    /// The most blocks that fit.
    pub const MAX: usize = 4;

    /// Appends a block; `None` if there are four already.
    pub fn push(&mut self, block: SackBlock) -> Option<()> {
        *self.blocks.get_mut(usize::from(self.len))? = block;
        self.len += 1;
        Some(())
    }

    /// The blocks.
    pub fn as_slice(&self) -> &[SackBlock] {
        self.blocks.get(..usize::from(self.len)).unwrap_or_default()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }
}

impl PartialEq for SackBlocks {
    fn eq(&self, other: &Self) -> bool {
        self.as_slice() == other.as_slice()
    }
}

impl Eq for SackBlocks {}

/// The options this stack understands.
///
/// ```
/// use gannet_core::wire::tcp_options::Options;
/// let options = Options { mss: Some(1460), window_scale: Some(7), ..Options::default() };
/// let mut bytes = [0; 40];
/// let len = options.emit(&mut bytes).unwrap();
/// assert_eq!(bytes[..len], [2, 4, 0x05, 0xb4, 1, 3, 3, 7]);
/// assert_eq!(Options::parse(&bytes[..len]), options);
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Options {
    /// Maximum segment size in bytes, as sent: may be absurdly small. Counts in a SYN only.
    pub mss: Option<u16>,
    /// Window scale: at most [`MAX_WINDOW_SCALE`]. Counts in a SYN only.
    pub window_scale: Option<u8>,
    /// Whether the sender understands [`Options::sack`]. Counts in a SYN only.
    pub sack_permitted: bool,
    /// Timestamps.
    pub timestamps: Option<Timestamps>,
    /// Selective acknowledgement.
    pub sack: SackBlocks,
    /// Whether something in the list was impossible: an option with a wrong length was left out,
    /// or one whose end could not be found ended the list. Not written.
    pub malformed: bool,
}

impl Options {
    /// Reads the options between a TCP header and its data. Of an option that comes twice the
    /// first counts; unknown ones are skipped (RFC 9293 §3.1, MUST-6).
    pub fn parse(mut bytes: &[u8]) -> Self {
        let alone = bytes.try_into().ok().and_then(Timestamps::alone);
        if alone.is_some() {
            return Self {
                timestamps: alone,
                ..Self::default()
            };
        }
        let mut options = Self::default();
        loop {
            // RFC 9293 §3.2: end and no-operation are single bytes, all others carry their length
            // (MUST-7: be prepared for an illegal one).
            let (option, rest) = match *bytes {
                [] | [kind::END, ..] => return options,
                [kind::NOP, ref rest @ ..] => (None, rest),
                [_, len, ..] if len >= 2 => match bytes.split_at_checked(len.into()) {
                    Some((option, rest)) => (Some(option), rest),
                    None => return options.end_malformed(),
                },
                _ => return options.end_malformed(),
            };
            if let Some(option) = option {
                options.take(option);
            }
            bytes = rest;
        }
    }

    /// How many bytes [`Options::emit`] writes: a multiple of four, at most [`MAX_LEN`].
    pub fn len(&self) -> usize {
        self.fixed_len() + self.sack_len()
    }

    /// Whether there is nothing to write.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Writes the options to the front of `out`, in the order and with the padding Linux uses;
    /// returns [`Options::len`]. Of [`Options::sack`] as many blocks are written as fit.
    ///
    /// # Errors
    /// [`NoRoom`] if `out` is shorter than [`Options::len`].
    pub fn emit(&self, out: &mut [u8]) -> Result<usize, NoRoom> {
        let len = self.len();
        let mut out = Writer(out.get_mut(..len).ok_or(NoRoom)?);
        if let Some(mss) = self.mss {
            let [hi, lo] = mss.to_be_bytes();
            out.put([kind::MSS, 4, hi, lo]);
        }
        match (self.sack_permitted, self.timestamps.is_some()) {
            (true, true) => out.put([kind::SACK_PERMITTED, 2, kind::TIMESTAMPS, 10]),
            (true, false) => out.put([kind::NOP, kind::NOP, kind::SACK_PERMITTED, 2]),
            (false, true) => out.put([kind::NOP, kind::NOP, kind::TIMESTAMPS, 10]),
            (false, false) => {}
        }
        if let Some(Timestamps { value, echo }) = self.timestamps {
            out.put(value.to_be_bytes());
            out.put(echo.to_be_bytes());
        }
        if let Some(shift) = self.window_scale {
            out.put([kind::NOP, kind::WINDOW_SCALE, 3, shift]);
        }
        if let sack_len @ 4.. = self.sack_len() {
            out.put([kind::NOP, kind::NOP, kind::SACK, (sack_len - 2) as u8]);
            for block in self.sack.as_slice().iter().take(sack_len / 8) {
                out.put(block.left.0.to_be_bytes());
                out.put(block.right.0.to_be_bytes());
            }
        }
        Ok(len)
    }

    fn fixed_len(&self) -> usize {
        let words = usize::from(self.mss.is_some())
            + usize::from(self.sack_permitted || self.timestamps.is_some())
            + 2 * usize::from(self.timestamps.is_some())
            + usize::from(self.window_scale.is_some());
        words * 4
    }

    /// Two bytes of padding, the option's kind and length, and the blocks that fit.
    fn sack_len(&self) -> usize {
        let room = (MAX_LEN - 4 - self.fixed_len()) / 8; // fixed_len is at most 20
        match self.sack.as_slice().len().min(room) {
            0 => 0,
            blocks => 4 + blocks * 8,
        }
    }

    fn end_malformed(mut self) -> Self {
        self.malformed = true;
        self
    }

    /// Takes one option with its kind and length bytes; the length is that of the slice.
    fn take(&mut self, option: &[u8]) {
        match *option {
            [kind::MSS, 4, hi, lo] => {
                self.mss.get_or_insert(u16::from_be_bytes([hi, lo]));
            }
            // RFC 7323 §2.3: a shift count above 14 is used as 14.
            [kind::WINDOW_SCALE, 3, shift] => {
                self.window_scale.get_or_insert(shift.min(MAX_WINDOW_SCALE));
            }
            [kind::SACK_PERMITTED, 2] => self.sack_permitted = true,
            [kind::TIMESTAMPS, 10, a, b, c, d, e, f, g, h] => {
                self.timestamps.get_or_insert(Timestamps {
                    value: u32::from_be_bytes([a, b, c, d]),
                    echo: u32::from_be_bytes([e, f, g, h]),
                });
            }
            [kind::SACK, 10 | 18 | 26 | 34, ref blocks @ ..] if self.sack.is_empty() => {
                for &[a, b, c, d, e, f, g, h] in blocks.as_chunks::<8>().0 {
                    let left = SeqNum(u32::from_be_bytes([a, b, c, d]));
                    let right = SeqNum(u32::from_be_bytes([e, f, g, h]));
                    // 34 bytes are four blocks: there is always room.
                    let _ = self.sack.push(SackBlock { left, right });
                }
            }
            [kind::SACK, 10 | 18 | 26 | 34, ..] => {}
            [
                kind::MSS
                | kind::WINDOW_SCALE
                | kind::SACK_PERMITTED
                | kind::TIMESTAMPS
                | kind::SACK,
                ..,
            ] => self.malformed = true,
            _ => {}
        }
    }
}

/// Fills a buffer from the front, four bytes at a time.
struct Writer<'a>(&'a mut [u8]);

impl Writer<'_> {
    fn put(&mut self, bytes: [u8; 4]) {
        // `emit` has cut the buffer to exactly what it writes: the split never fails.
        if let Some((front, rest)) = core::mem::take(&mut self.0).split_first_chunk_mut() {
            *front = bytes;
            self.0 = rest;
        }
    }
}

#[cfg(test)]
mod tests;
