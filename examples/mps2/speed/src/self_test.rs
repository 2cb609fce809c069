//! Whether packets get the bytes that were copied, and nothing around them is touched: all
//! alignments of both sides, and all lengths of the ways the copy routine has.
use cortex_m_semihosting::hprintln;
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
    hprintln!("self-test: {} copies, all right", copies);
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
    let offset = source.as_ptr().addr() % 8;
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
        let (len, from) = (source.len(), source.as_ptr().addr() % 8);
        assert!(
            byte == right,
            "byte {n} of {len} from {from} to {at}: {byte}"
        );
    }
}
