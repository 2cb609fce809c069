//! A frame into the TX FIFO: the command words, and the bytes of a chain's parts as words.
//!
//! The device takes a frame from several buffers of its own, but those in the middle must have four
//! bytes or more (data sheet, "TX buffer fragmentation rules"), and each costs two more words. So
//! all parts go as one buffer: a part that does not end on a word boundary shares a word with the
//! next one.
use gannet_core::Pbuf;

use super::TURN;
use super::registers::{Register, Registers, tx_command};

/// Writes `frame`, for which there is room, to the FIFO.
pub(super) fn push(registers: &mut impl Registers, frame: &Pbuf) {
    let len = frame.tot_len() as u32;
    // Skipping as many bytes as the first part is off a word boundary in memory makes all reads of
    // it aligned ones.
    let offset = (frame.data().as_ptr().addr() % 4) as u32;
    registers.write(
        Register::TX_DATA,
        offset << tx_command::OFFSET_SHIFT | tx_command::FIRST_AND_LAST | len,
    );
    registers.write(Register::TX_DATA, len);
    let mut words = Words {
        registers,
        word: 0,
        filled: offset,
    };
    for part in frame.parts() {
        words.push(part);
    }
    words.finish();
}

/// Packs bytes into words.
struct Words<'a, R> {
    registers: &'a mut R,
    word: u32,
    /// Bytes of `word` that are taken, at most 3.
    filled: u32,
}

impl<R: Registers> Words<'_, R> {
    fn push(&mut self, part: &[u8]) {
        let missing = ((4 - self.filled) % 4) as usize;
        let (head, rest) = part.split_at(missing.min(part.len()));
        self.push_bytes(head);
        let (words, tail) = rest.as_chunks();
        let (turns, words) = words.as_chunks::<TURN>();
        let mut send = |word| {
            self.registers
                .write(Register::TX_DATA, u32::from_le_bytes(word));
        };
        for &[a, b, c, d, e, f, g, h] in turns {
            // Written out, as for received frames.
            send(a);
            send(b);
            send(c);
            send(d);
            send(e);
            send(f);
            send(g);
            send(h);
        }
        for word in words {
            send(*word);
        }
        self.push_bytes(tail);
    }

    fn push_bytes(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.word |= u32::from(*byte) << (8 * self.filled);
            self.filled += 1;
            if self.filled == 4 {
                self.flush();
            }
        }
    }

    fn finish(&mut self) {
        if self.filled > 0 {
            self.flush();
        }
    }

    fn flush(&mut self) {
        self.registers.write(Register::TX_DATA, self.word);
        (self.word, self.filled) = (0, 0);
    }
}
