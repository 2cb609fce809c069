//! Loops over the bytes of packets for Cortex-M3 and larger, in assembly: the compiler makes a call
//! of `memcpy` of any loop that copies, and loses the carry of one that sums. Which targets these
//! are, `build.rs` says.
//!
//! Both take eight words a turn, by one instruction where addresses permit. Neither is the business
//! of packet buffers alone, but what is `unsafe` is kept in few places.
#![allow(unsafe_code, reason = "assembly")]

use core::arch::asm;

/// Copies as much as both hold.
#[inline(never)]
pub(super) fn copy(from: &[u8], to: &mut [u8]) {
    let len = from.len().min(to.len());
    // SAFETY: `len` bytes are read at `from` and written at `to`, no others: bytes up to a word's
    // boundary of `to` if there are 32 at least, turns of 32, then the bits of what is left. The two
    // are borrowed, one mutably, so they do not overlap. Loads and stores of one word or halfword
    // may be at any address (as the compiler assumes for these targets, too); those of several
    // are made at multiples of four.
    unsafe {
        asm!(
            "cmp r2, #32",
            "blo 5f",
            // To a boundary of the destination.
            "rsb r3, r1, #0",
            "ands r3, r3, #3",
            "beq 2f",
            "sub r2, r2, r3",
            "lsls r3, r3, #31",
            "itt cs",
            "ldrhcs r4, [r0], #2",
            "strhcs r4, [r1], #2",
            "itt mi",
            "ldrbmi r4, [r0], #1",
            "strbmi r4, [r1], #1",
            "2:",
            "subs r2, r2, #32",
            "blo 5f",
            "tst r0, #3",
            "bne 4f",
            "3:",
            "ldmia r0!, {{r3, r4, r5, r8, r10, r11, r12, lr}}",
            "subs r2, r2, #32",
            "stmia r1!, {{r3, r4, r5, r8, r10, r11, r12, lr}}",
            "bhs 3b",
            "b 5f",
            // Apart by less than a word.
            "4:",
            "ldr r3, [r0]",
            "ldr r4, [r0, #4]",
            "ldr r5, [r0, #8]",
            "ldr r8, [r0, #12]",
            "ldr r10, [r0, #16]",
            "ldr r11, [r0, #20]",
            "ldr r12, [r0, #24]",
            "ldr lr, [r0, #28]",
            "add r0, r0, #32",
            "subs r2, r2, #32",
            "stmia r1!, {{r3, r4, r5, r8, r10, r11, r12, lr}}",
            "bhs 4b",
            // What is left: the lowest five bits of the length, from the highest on.
            "5:",
            "lsls r2, r2, #28",
            "bcc 6f",
            "ldr r3, [r0], #4",
            "ldr r4, [r0], #4",
            "ldr r5, [r0], #4",
            "ldr r8, [r0], #4",
            "str r3, [r1], #4",
            "str r4, [r1], #4",
            "str r5, [r1], #4",
            "str r8, [r1], #4",
            "6:",
            "bpl 7f",
            "ldr r3, [r0], #4",
            "ldr r4, [r0], #4",
            "str r3, [r1], #4",
            "str r4, [r1], #4",
            "7:",
            "lsls r2, r2, #2",
            "itt cs",
            "ldrcs r3, [r0], #4",
            "strcs r3, [r1], #4",
            "itt mi",
            "ldrhmi r3, [r0], #2",
            "strhmi r3, [r1], #2",
            "lsls r2, r2, #1",
            "itt mi",
            "ldrbmi r3, [r0]",
            "strbmi r3, [r1]",
            inout("r0") from.as_ptr() => _,
            inout("r1") to.as_mut_ptr() => _,
            inout("r2") len => _,
            out("r3") _,
            out("r4") _,
            out("r5") _,
            out("r8") _,
            out("r10") _,
            out("r11") _,
            out("r12") _,
            out("lr") _,
            options(nostack),
        );
    }
}

/// The one's complement sum of the words in memory, less than 2^41; a last odd byte is padded
/// with zero.
#[inline(never)]
pub(crate) fn sum(bytes: &[u8]) -> u64 {
    match bytes.split_first() {
        // RFC 1071 §2 (B): what starts at an odd byte has its halves swapped, which is a shift.
        Some((first, rest)) if !bytes.as_ptr().addr().is_multiple_of(2) => {
            u64::from(*first) + (u64::from(sum_from_even(rest)) << 8)
        }
        _ => sum_from_even(bytes).into(),
    }
}

/// Copies and sums `src`: no slower than both at once, for it takes several words by one
/// instruction twice.
pub(crate) fn copy_and_sum(src: &[u8], dst: &mut [u8]) -> u64 {
    copy(src, dst);
    sum(src)
}

#[inline(always)]
fn sum_from_even(bytes: &[u8]) -> u32 {
    let (half, words) = match bytes.split_first_chunk::<2>() {
        Some((half, rest)) if !bytes.as_ptr().addr().is_multiple_of(4) => {
            (u16::from_ne_bytes(*half), rest)
        }
        _ => (0, bytes),
    };
    let mut sum = u32::from(half);
    // SAFETY: all of `words` is read and nothing else: turns of 32 bytes, then the lowest five bits
    // of the length. Several words are read at once at multiples of four only: `words` starts at
    // one unless it has one byte at most.
    unsafe {
        asm!(
            // Nothing between the additions changes the carry, which goes from one to the next.
            "adds {sum}, {sum}, #0",
            "teq {turns}, #0",
            "beq 3f",
            "2:",
            "ldmia {from}!, {{r3, r4, r5, r8, r10, r11, r12, lr}}",
            "adcs {sum}, {sum}, r3",
            "adcs {sum}, {sum}, r4",
            "adcs {sum}, {sum}, r5",
            "adcs {sum}, {sum}, r8",
            "adcs {sum}, {sum}, r10",
            "adcs {sum}, {sum}, r11",
            "adcs {sum}, {sum}, r12",
            "adcs {sum}, {sum}, lr",
            "sub {turns}, {turns}, #1",
            "teq {turns}, #0",
            "bne 2b",
            "3:",
            "tst {len}, #16",
            "beq 4f",
            "ldmia {from}!, {{r3, r4, r5, r8}}",
            "adcs {sum}, {sum}, r3",
            "adcs {sum}, {sum}, r4",
            "adcs {sum}, {sum}, r5",
            "adcs {sum}, {sum}, r8",
            "4:",
            "tst {len}, #8",
            "beq 5f",
            "ldmia {from}!, {{r3, r4}}",
            "adcs {sum}, {sum}, r3",
            "adcs {sum}, {sum}, r4",
            "5:",
            "tst {len}, #4",
            "beq 6f",
            "ldr r3, [{from}], #4",
            "adcs {sum}, {sum}, r3",
            "6:",
            "tst {len}, #2",
            "beq 7f",
            "ldrh r3, [{from}], #2",
            "adcs {sum}, {sum}, r3",
            "7:",
            "tst {len}, #1",
            "beq 8f",
            "ldrb r3, [{from}]",
            "adcs {sum}, {sum}, r3",
            "8:",
            // RFC 1071 §2 (C). The second carry leaves zero behind.
            "adcs {sum}, {sum}, #0",
            "adc {sum}, {sum}, #0",
            sum = inout(reg) sum,
            from = inout(reg) words.as_ptr() => _,
            turns = inout(reg) words.len() / 32 => _,
            len = in(reg) words.len(),
            out("r3") _,
            out("r4") _,
            out("r5") _,
            out("r8") _,
            out("r10") _,
            out("r11") _,
            out("r12") _,
            out("lr") _,
            options(nostack, readonly),
        );
    }
    sum
}
