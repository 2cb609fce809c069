//! Tests of the packet buffers. What threads do to each other is in `threads` and, exhaustively,
//! in the loom models (`tests/loom.rs`).
#![allow(unsafe_code, reason = "what `pbuf_pool!` expands to in its own crate")]
use super::{Chain, NoBufs, Pbuf, Pool, Pushed};
use crate::pbuf_pool;

mod chain;
mod copy;
mod model;
mod packet;
mod pool;
mod range;
mod threads;

/// A pbuf with these bytes behind `headroom` free ones.
#[track_caller]
fn filled(pool: &'static Pool, headroom: usize, bytes: &[u8]) -> Pbuf {
    let mut pbuf = Pbuf::alloc(pool, headroom, bytes.len()).expect("buffers");
    assert_eq!(pbuf.copy_from(bytes), bytes.len());
    pbuf
}

/// A pbuf of several parts of the given bytes, each in its own block.
#[track_caller]
fn chained(pool: &'static Pool, parts: &[&[u8]]) -> Pbuf {
    let mut parts = parts.iter().map(|part| filled(pool, 0, part));
    let mut whole = parts.next().expect("one part at least");
    parts.for_each(|part| whole.cat(part));
    whole
}

/// All bytes.
fn bytes(pbuf: &Pbuf) -> Vec<u8> {
    pbuf.parts().flatten().copied().collect()
}

/// The lengths of the parts.
fn lens(pbuf: &Pbuf) -> Vec<usize> {
    pbuf.parts().map(<[u8]>::len).collect()
}

/// Blocks and descriptors in use.
fn in_use(pool: &Pool) -> (usize, usize) {
    (
        pool.blocks() - pool.available(),
        pool.descriptors() - pool.descriptors_available(),
    )
}

#[track_caller]
fn assert_at_rest(pool: &Pool) {
    assert_eq!(in_use(pool), (0, 0), "{pool:?}");
}
