//! The copy of payload: what it leaves alone, at all alignments and lengths of its ways.
use crate::pbuf::copy::copy;

const LONGEST: usize = 130;

#[test]
fn every_alignment_and_length() {
    let content: Vec<u8> = (0..=255).collect();
    for from in 0..8 {
        for to in 0..8 {
            for len in 0..=LONGEST {
                let mut room = [0xee; 8 + LONGEST + 8];
                copy(&content[from..from + len], &mut room[to..to + len]);
                for (n, byte) in room.iter().enumerate() {
                    let inside = (to..to + len).contains(&n);
                    let right = if inside { content[from + n - to] } else { 0xee };
                    assert_eq!(*byte, right, "byte {n} of {len} from {from} to {to}");
                }
            }
        }
    }
}

#[test]
fn the_shorter_one_counts() {
    let mut room = [0; 4];
    copy(b"ab", &mut room);
    assert_eq!(&room, b"ab\0\0");
    copy(b"12345", &mut room);
    assert_eq!(&room, b"1234");
}
