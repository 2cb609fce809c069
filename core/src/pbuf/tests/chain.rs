//! The queue of bytes.
use super::*;

fn content(chain: &Chain) -> Vec<u8> {
    let mut out = vec![0; chain.len()];
    assert_eq!(chain.copy_to(0, &mut out), chain.len());
    out
}

#[track_caller]
fn assert_is(chain: &Chain, expected: &[u8], parts: usize) {
    chain.assert_invariants();
    assert_eq!(content(chain), expected);
    assert_eq!((chain.len(), chain.parts()), (expected.len(), parts));
    assert_eq!(chain.is_empty(), expected.is_empty());
}

#[test]
fn an_empty_queue() {
    pbuf_pool! { static POOL: [32; 1] }
    let mut chain = Chain::new();
    assert_is(&chain, b"", 0);
    assert_eq!(chain.front(), b"");
    assert!(chain.take_all().is_none());
    assert!(chain.take_front(5).expect("nothing to cut").is_none());
    assert_eq!(chain.consume(5), 0);
    assert_eq!(chain.slice(0, 0).err(), Some(NoBufs));
    assert_eq!((chain.tail_room(), chain.append_copy(b"x")), (0, 0));
    chain.append(&mut Chain::new());
    chain.push(filled(&POOL, 0, b""));
    chain.push_front(filled(&POOL, 0, b""));
    assert_eq!(chain.push_compact(filled(&POOL, 0, b""), 0), Pushed::Copied);
    assert_is(&chain, b"", 0);
    assert_at_rest(&POOL);
}

#[test]
fn pushing_at_both_ends() {
    pbuf_pool! { static POOL: [32; 6] }
    let mut chain = Chain::new();
    chain.push(chained(&POOL, &[b"two", b"three"]));
    chain.push_front(filled(&POOL, 0, b"one"));
    chain.push(filled(&POOL, 0, b"four"));
    chain.push_front(filled(&POOL, 0, b""));
    assert_is(&chain, b"onetwothreefour", 4);
    assert_eq!(chain.front(), b"one");
    let mut other = Chain::from(filled(&POOL, 0, b"five"));
    chain.append(&mut other);
    assert_is(&other, b"", 0);
    assert_is(&chain, b"onetwothreefourfive", 5);
    chain.append(&mut other);
    other.append(&mut chain);
    assert_is(&chain, b"", 0);
    assert_is(&other, b"onetwothreefourfive", 5);
    other.clear();
    assert_is(&other, b"", 0);
    assert_at_rest(&POOL);
}

#[test]
fn every_front_can_be_taken() {
    pbuf_pool! { static POOL: [32; 4] + refs 2 }
    let text = b"onetwothree";
    for n in 0..=text.len() + 1 {
        let mut chain = Chain::from(chained(&POOL, &[b"one", b"", b"two", b"three"]));
        let front = chain.take_front(n).expect("a descriptor");
        let cut = n.min(text.len());
        assert_eq!(front.as_ref().map_or(vec![], bytes), &text[..cut], "{n}");
        assert_eq!(front.is_some(), n > 0);
        chain.assert_invariants();
        assert_eq!(content(&chain), &text[cut..]);
        // The end is still known.
        chain.append_copy(b"!");
        chain.push(Pbuf::from_static(&POOL, b"?").expect("a descriptor"));
        chain.assert_invariants();
        drop((front, chain));
        assert_at_rest(&POOL);
    }
}

#[test]
fn a_front_that_cannot_be_cut_off_stays() {
    pbuf_pool! { static POOL: [32; 2] }
    let mut chain = Chain::from(chained(&POOL, &[b"one", b"two"]));
    for n in [1, 2, 4, 5] {
        assert_eq!(chain.take_front(n).err(), Some(NoBufs), "{n}");
        assert_is(&chain, b"onetwo", 2);
    }
    let front = chain.take_front(3).expect("between parts");
    assert_eq!(front.as_ref().map_or(vec![], bytes), b"one");
    assert_is(&chain, b"two", 1);
}

#[test]
fn every_number_of_bytes_can_be_consumed() {
    pbuf_pool! { static POOL: [32; 5] }
    let text = b"onetwothree";
    for n in 0..=text.len() + 1 {
        let mut chain = Chain::from(chained(&POOL, &[b"", b"one", b"two", b"", b"three"]));
        let cut = n.min(text.len());
        assert_eq!(chain.consume(n), cut);
        chain.assert_invariants();
        assert_eq!(content(&chain), &text[cut..], "{n}");
        assert_eq!(in_use(&POOL), (chain.parts(), chain.parts()));
        assert!(chain.is_empty() || !chain.front().is_empty());
    }
    assert_at_rest(&POOL);
}

#[test]
fn slices_outlive_what_is_consumed() {
    pbuf_pool! { static POOL: [32; 2] + refs 4 }
    let mut chain = Chain::from(chained(&POOL, &[b"hello ", b"world"]));
    let segment = chain.slice(4, 4).expect("descriptors");
    let again = chain.slice(4, 4).expect("descriptors");
    assert_eq!(chain.consume(11), 11);
    assert_is(&chain, b"", 0);
    assert_eq!(
        (bytes(&segment), bytes(&again)),
        (b"o wo".to_vec(), b"o wo".to_vec())
    );
    drop(segment);
    assert_eq!(POOL.available(), 0);
    drop(again);
    assert_at_rest(&POOL);
}

#[test]
fn copying_behind_the_last_bytes() {
    pbuf_pool! { static POOL: [32; 2] + refs 2 }
    let mut chain = Chain::from(chained(&POOL, &[b"one", b"two"]));
    assert_eq!(chain.tail_room(), 29);
    assert_eq!(chain.append_copy(b"three"), 5);
    assert_is(&chain, b"onetwothree", 2);
    assert_eq!(chain.append_copy(&[b'.'; 100]), 24, "what fits");
    assert_eq!((chain.tail_room(), chain.append_copy(b"x")), (0, 0));
    chain.consume(chain.len() - 1);
    assert_eq!(chain.tail_room(), 0, "room in front does not count");
    drop(chain);

    // Whoever has a view of the block must not see it change.
    let mut chain = Chain::from(filled(&POOL, 0, b"one"));
    let view = chain.slice(0, 1).expect("a descriptor");
    assert_eq!((chain.tail_room(), chain.append_copy(b"x")), (0, 0));
    drop(view);
    assert_eq!((chain.tail_room(), chain.append_copy(b"x")), (29, 1));
    drop(chain);

    let mut chain = Chain::from(Pbuf::from_static(&POOL, b"constant").expect("a descriptor"));
    assert_eq!((chain.tail_room(), chain.append_copy(b"x")), (0, 0));
}

#[test]
fn single_bytes_do_not_pin_a_block_each() {
    pbuf_pool! { static POOL: [64; 4] }
    let mut chain = Chain::new();
    let mut expected = Vec::new();
    for n in 0..120 {
        let pushed = chain.push_compact(filled(&POOL, 8, &[n]), 16);
        expected.push(n);
        // A block is linked when the last one is full: each has 56 bytes behind its headroom.
        let linked = n % 56 == 0;
        assert_eq!(pushed == Pushed::Linked, linked, "byte {n}");
        assert_is(&chain, &expected, usize::from(n / 56) + 1);
    }
    assert_eq!(in_use(&POOL), (3, 3));
}

#[test]
fn only_short_data_that_fits_is_compacted() {
    pbuf_pool! { static POOL: [32; 4] + refs 2 }
    let mut chain = Chain::from(filled(&POOL, 0, b"0123456789"));
    let over_limit = filled(&POOL, 0, b"abc");
    assert_eq!(chain.push_compact(over_limit, 2), Pushed::Linked);
    let fits = chained(&POOL, &[b"d", b"e"]);
    assert_eq!(chain.push_compact(fits, 2), Pushed::Copied);
    assert_is(&chain, b"0123456789abcde", 2);
    let view = chain.slice(14, 1).expect("a descriptor");
    assert_eq!(
        chain.push_compact(filled(&POOL, 0, b"f"), 2),
        Pushed::Linked
    );
    assert_is(&chain, b"0123456789abcdef", 3);
    assert_eq!(view.data(), b"e");
    // A view of the queue's own last block.
    let own = chain.slice(15, 1).expect("a descriptor");
    assert_eq!(chain.push_compact(own, 2), Pushed::Linked);
    assert_is(&chain, b"0123456789abcdeff", 4);
    drop((view, chain));
    assert_at_rest(&POOL);
}

#[test]
fn headers_go_in_front_of_bytes_that_nobody_else_views() {
    pbuf_pool! { static POOL: [64; 2] + refs 4 }
    let mut queue = Chain::new();
    queue.push(filled(&POOL, 8, b"first"));
    queue.push(filled(&POOL, 8, b"second"));
    let write = |room: &mut [u8], shown: &[u8]| {
        room.copy_from_slice(b"HEAD");
        assert_eq!(shown, b"second");
    };
    let frame = queue.slice_headed(5, 6, 4, write).expect("room");
    assert_eq!(frame.parts().collect::<Vec<_>>(), [b"HEADsecond"]);
    assert_eq!(in_use(&POOL).0, 2, "no block was taken");
    queue.assert_invariants();

    let not_to_be_written = |_: &mut [u8], _: &[u8]| panic!("there is no room");
    let shared = queue.slice_headed(5, 6, 4, not_to_be_written);
    assert!(shared.is_none(), "somebody else views the block");
    drop(frame);
    for (off, len, n) in [
        (4, 2, 1),
        (0, 6, 1),
        (0, 5, 9),
        (6, 5, 1),
        (11, 0, 1),
        (0, 0, 1),
    ] {
        let refused = queue.slice_headed(off, len, n, |_, _| {});
        assert!(refused.is_none(), "{len} bytes from {off} behind {n}");
        queue.assert_invariants();
    }
    // What was acknowledged makes room.
    queue.consume(7);
    let frame = queue
        .slice_headed(0, 4, 10, |room, _| room.fill(b'-'))
        .expect("room");
    assert_eq!(bytes(&frame), b"----------cond");
    drop(queue);
    drop(frame);
    assert_at_rest(&POOL);
}
