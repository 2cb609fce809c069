//! What moves and sums bytes, each by itself: a full segment of 1,460 bytes.
use core::hint::black_box;

use cortex_m_semihosting::hprintln;
use gannet_core::wire::Checksum;
use gannet_core::{Pbuf, pbuf_pool};

use crate::count::Counter;

const LEN: usize = 1_460;
const TIMES: u32 = 1_000;

#[repr(align(4))]
struct Aligned([u8; LEN + 8]);

static SOURCE: Aligned = Aligned([0x5a; LEN + 8]);
pbuf_pool! { static POOL: [1536; 1] }

pub(crate) fn run(counter: &Counter) {
    let mut to = Aligned([0; LEN + 8]);
    for (shift, alignment) in [(0, "aligned"), (2, "apart by 2"), (1, "apart by 1")] {
        let from = &SOURCE.0[shift..shift + LEN];
        let of = |counted| counted / TIMES;
        let memcpy = counter.count(|| {
            for _ in 0..TIMES {
                black_box(&mut to.0[..LEN]).copy_from_slice(black_box(from));
            }
        });
        let mut packet = Pbuf::alloc(&POOL, 0, LEN).expect("the only one");
        let copy = counter.count(|| {
            for _ in 0..TIMES {
                black_box(&mut packet).copy_from(black_box(from));
            }
        });
        let sum = counter.count(|| {
            for _ in 0..TIMES {
                let mut sum = Checksum::new();
                sum.add(black_box(from));
                black_box(sum.finish());
            }
        });
        let both = counter.count(|| {
            for _ in 0..TIMES {
                let mut sum = Checksum::new();
                sum.copy_and_sum(black_box(from), black_box(&mut to.0[..LEN]));
                black_box(sum.finish());
            }
        });
        hprintln!(
            "{}: memcpy {} copy {} checksum {} both-at-once {}",
            alignment,
            of(memcpy),
            of(copy),
            of(sum),
            of(both)
        );
    }
}
