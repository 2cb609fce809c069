//! Whether the loops written in assembly are right: packets get the bytes that were copied, and
//! nothing around them is touched; sums are those of the definition. All alignments (for copies, of
//! both sides) and all lengths of the ways these loops have.
use cortex_m_semihosting::hprintln;
use gannet_core::wire::Checksum;
use gannet_core::{Pbuf, pbuf_pool};

/// Longer than two turns of the longest loop, and what is left.
const LONGEST: usize = 200;
const GUARD: usize = 16;
const ROOM: usize = 256;
const FILLED: u8 = 0xee;

#[repr(align(8))]
struct Aligned([u8; ROOM]);

pbuf_pool! { static POOL: [256; 1] }

pub(crate) fn run() {
    let mut content = Aligned([0; ROOM]);
    for (n, byte) in content.0.iter_mut().enumerate() {
        *byte = (n * 7 + 1) as u8 & 0x7f;
    }
    let mut copies = 0;
    for from in 0..8 {
        for to in 0..8 {
            for len in 0..=LONGEST {
                let source = &content.0[from..from + len];
                into_packet(source, GUARD + to);
                out_of_packet(source, GUARD + to);
                copies += 2;
            }
        }
    }
    let sums = sums();
    hprintln!("self-test: {} copies, {} sums, all right", copies, sums);
}

/// Returns how many.
fn sums() -> usize {
    let mut content = Aligned([0; ROOM]);
    let mut sums = 0;
    for step in [1, 7, 0x55, 0xff] {
        // With the last, all carries there can be.
        for (n, byte) in content.0.iter_mut().enumerate() {
            *byte = if step == 0xff { 0xff } else { (n * step) as u8 };
        }
        for from in 0..8 {
            for len in 0..=LONGEST {
                let bytes = &content.0[from..from + len];
                let right = by_definition(bytes);
                let mut sum = Checksum::new();
                sum.add(bytes);
                assert_eq!(sum.finish(), right, "sum of {len} from {from}");
                // In two parts, of which the second perhaps begins inside a word.
                let (first, second) = bytes.split_at(len / 3);
                let mut sum = Checksum::new();
                sum.add(first);
                sum.add(second);
                assert_eq!(sum.finish(), right, "sum of {len} from {from} in parts");
                let mut copy = [FILLED; ROOM];
                let mut sum = Checksum::new();
                sum.copy_and_sum(bytes, &mut copy);
                assert_eq!(sum.finish(), right, "sum of {len} from {from} as copied");
                check(&copy, bytes, 0);
                sums += 3;
            }
        }
    }
    sums
}

/// RFC 1071 §1: the complement of the one's complement sum of words of 16 bits.
fn by_definition(bytes: &[u8]) -> u16 {
    let mut sum = 0_u32;
    for pair in bytes.chunks(2) {
        sum += u32::from(pair[0]) << 8 | u32::from(pair.get(1).copied().unwrap_or(0));
    }
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    !(sum as u16)
}

/// The packet's only block, all of it [`FILLED`].
fn filled() -> Pbuf {
    let mut packet = Pbuf::alloc(&POOL, 0, ROOM).expect("the only one");
    let room = packet.data_mut().expect("nobody else's");
    room.iter_mut().for_each(|byte| *byte = FILLED);
    packet
}

fn into_packet(source: &[u8], at: usize) {
    let mut packet = filled();
    assert!(packet.remove_header(at));
    packet.truncate(source.len());
    assert_eq!(packet.copy_from(source), source.len());
    packet.add_header(at).expect("it was there before");
    packet
        .grow(ROOM - at - source.len())
        .expect("it was there before");
    check(packet.data(), source, at);
}

fn out_of_packet(source: &[u8], at: usize) {
    let mut packet = Pbuf::alloc(&POOL, 0, ROOM).expect("the only one");
    let offset = alignment_of(source);
    let room = packet.data_mut().expect("nobody else's");
    for (byte, to) in source.iter().zip(&mut room[offset..]) {
        *to = *byte;
    }
    let mut out = Aligned([FILLED; ROOM]);
    let room = &mut out.0[at..at + source.len()];
    assert_eq!(packet.copy_to(offset, room), source.len());
    check(&out.0, source, at);
}

fn check(all: &[u8], source: &[u8], at: usize) {
    for (n, byte) in all.iter().enumerate() {
        let right = n.checked_sub(at).and_then(|n| source.get(n));
        let right = right.unwrap_or(&FILLED);
        let (len, from) = (source.len(), alignment_of(source));
        assert!(
            byte == right,
            "byte {n} of {len} from {from} to {at}: {byte}"
        );
    }
}

fn alignment_of(bytes: &[u8]) -> usize {
    bytes.as_ptr().addr() % align_of::<Aligned>()
}
