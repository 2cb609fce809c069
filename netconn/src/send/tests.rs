//! When a write rings: at once, at the end of the tcpip thread's nap, or not at all.
use gannet_core::{Pbuf, pbuf_pool};

use super::*;

pbuf_pool! { static POOL: [64; 4] + refs 16 }

const KIBIBYTE: &[u8] = &[0; 1024];

/// A kibibyte more is written; who has to be rung for it.
fn write(shared: &mut Shared) -> Ring {
    let data = Pbuf::from_static(&POOL, KIBIBYTE).expect("free");
    shared.tx.push(data);
    shared.written(Flow::Ends);
    core::mem::take(&mut shared.ring)
}

#[test]
fn what_could_not_leave_rings_nobody() {
    let mut shared = Shared::new();
    shared.ring_at = 3000;
    assert_eq!(
        [(); 3].map(|()| write(&mut shared)),
        [Ring::No, Ring::No, Ring::Now]
    );
    assert!(!shared.held);
}

#[test]
fn bulk_data_is_held_until_there_is_enough_of_it() {
    let mut shared = Shared::new();
    (shared.ring_at, shared.hold_to) = (1024, 4096);
    // Once is enough: the thread will look.
    assert_eq!(
        [(); 4].map(|()| write(&mut shared)),
        [Ring::Soon, Ring::No, Ring::No, Ring::Now]
    );
}

#[test]
fn without_holding_every_write_rings() {
    let mut shared = Shared::new();
    assert_eq!([(); 2].map(|()| write(&mut shared)), [Ring::Now, Ring::Now]);
}
