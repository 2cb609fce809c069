//! The loops that sum, for any machine: a word at a time, with its carry. Cortex-M has its own, in
//! `pbuf/thumb2.rs`.

/// A machine word: what one addition with carry takes.
const WORD: usize = size_of::<usize>();
/// Bytes of one turn of the inner loops: eight words, so that the carry is materialised once for
/// all of them.
const TURN: usize = 8 * WORD;
/// As [`TURN`], for what is long.
const LONG_TURN: usize = 32 * WORD;

/// The sum over `bytes`, less than 2^33.
#[inline(never)]
pub(super) fn sum(bytes: &[u8]) -> u64 {
    let (mut sum, mut rest) = (0, bytes);
    // Not on 32 bits: a compiler that is asked for small code would keep the loop over their words.
    while WORD == 8
        && let Some((turn, behind)) = rest.split_first_chunk::<LONG_TURN>()
    {
        (sum, rest) = (add_words(sum, turn), behind);
    }
    while let Some((turn, behind)) = rest.split_first_chunk::<TURN>() {
        (sum, rest) = (add_turn(sum, turn), behind);
    }
    add_rest(sum, rest, bytes)
}

/// Copies `src` to the front of `dst`, which is as long, and sums it.
pub(super) fn copy_and_sum(src: &[u8], dst: &mut [u8]) -> u64 {
    let (turns, rest) = src.as_chunks::<TURN>();
    let (dst_turns, dst_rest) = dst.as_chunks_mut::<TURN>();
    let mut sum = 0;
    for (turn, dst) in turns.iter().zip(dst_turns) {
        sum = add_turn(sum, turn);
        *dst = *turn;
    }
    for (byte, dst) in rest.iter().zip(dst_rest) {
        *dst = *byte;
    }
    add_rest(sum, rest, src)
}

/// Adds eight words. Written out, because a compiler that is asked for small code would keep the
/// loop, and with it take the carry out of its flag and put it back for each word.
#[inline(always)]
fn add_turn(sum: usize, turn: &[u8; TURN]) -> usize {
    let words = turn.as_chunks::<WORD>().0;
    let &[a, b, c, d, e, f, g, h] = words else {
        return add_words(sum, turn); // not reached: a turn is eight words
    };
    let (sum, carry) = sum.carrying_add(usize::from_ne_bytes(a), false);
    let (sum, carry) = sum.carrying_add(usize::from_ne_bytes(b), carry);
    let (sum, carry) = sum.carrying_add(usize::from_ne_bytes(c), carry);
    let (sum, carry) = sum.carrying_add(usize::from_ne_bytes(d), carry);
    let (sum, carry) = sum.carrying_add(usize::from_ne_bytes(e), carry);
    let (sum, carry) = sum.carrying_add(usize::from_ne_bytes(f), carry);
    let (sum, carry) = sum.carrying_add(usize::from_ne_bytes(g), carry);
    let (sum, carry) = sum.carrying_add(usize::from_ne_bytes(h), carry);
    add_carry(sum, carry)
}

/// Adds whole words; what carries out of the last is added to the first bit (RFC 1071 §2 (C)).
#[inline(always)]
fn add_words(mut sum: usize, bytes: &[u8]) -> usize {
    let mut carry = false;
    for word in bytes.as_chunks::<WORD>().0 {
        (sum, carry) = sum.carrying_add(usize::from_ne_bytes(*word), carry);
    }
    add_carry(sum, carry)
}

#[inline(always)]
fn add_carry(sum: usize, carry: bool) -> usize {
    let (sum, carry) = sum.overflowing_add(carry.into());
    // The second carry leaves zero behind: this one cannot overflow.
    sum.wrapping_add(carry.into())
}

/// Adds `rest`, the last of `all` bytes, fewer than [`TURN`]. What is no whole word is padded with
/// zero (RFC 1071 §1).
#[inline(always)]
fn add_rest(sum: usize, rest: &[u8], all: &[u8]) -> u64 {
    // Four, two, one: without loops, whose carries would have to be kept between their turns.
    let (sum, rest) = add_first::<{ 4 * WORD }>(sum, rest);
    let (sum, rest) = add_first::<{ 2 * WORD }>(sum, rest);
    let (mut sum, rest) = add_first::<WORD>(sum, rest);
    if !rest.is_empty() {
        let last = match all.last_chunk::<WORD>() {
            // The last word has what was added already in front: shifted out.
            Some(last) => usize::from_le_bytes(*last) >> (8 * (WORD - rest.len())),
            None => few(rest),
        };
        let (more, carry) = sum.overflowing_add(last.to_le());
        sum = add_carry(more, carry);
    }
    let sum = sum as u64;
    // Two halves, so that what follows cannot overflow.
    (sum & 0xffff_ffff) + (sum >> 32)
}

/// Fewer bytes than a word has, as the first of a little-endian one.
#[cold]
fn few(bytes: &[u8]) -> usize {
    let shifted = |(n, byte): (usize, &u8)| usize::from(*byte) << (8 * n);
    bytes.iter().enumerate().map(shifted).sum()
}

/// Adds the first `N` bytes, whole words, if there are so many.
#[inline(always)]
fn add_first<const N: usize>(sum: usize, bytes: &[u8]) -> (usize, &[u8]) {
    match bytes.split_first_chunk::<N>() {
        Some((first, rest)) => (add_words(sum, first), rest),
        None => (sum, bytes),
    }
}
