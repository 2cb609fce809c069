//! Making, headers, parts, sharing.
use super::*;

#[test]
fn an_allocation_fills_blocks_from_the_headroom_on() {
    pbuf_pool! { static POOL: [64; 4] }
    for (headroom, len, expected) in [
        (0, 0, vec![0]),
        (0, 1, vec![1]),
        (0, 64, vec![64]),
        (0, 65, vec![64, 1]),
        (40, 24, vec![24]),
        (40, 25, vec![24, 1]),
        (64, 0, vec![0]),
        (64, 3, vec![0, 3]),
        (0, 256, vec![64, 64, 64, 64]),
        (1, 255, vec![63, 64, 64, 64]),
    ] {
        let pbuf = Pbuf::alloc(&POOL, headroom, len).expect("buffers");
        assert_eq!(lens(&pbuf), expected, "{headroom} + {len}");
        assert_eq!((pbuf.tot_len(), pbuf.clen()), (len, expected.len()));
        assert_eq!(pbuf.headroom(), headroom);
        assert_eq!(pbuf.is_empty(), len == 0);
        assert!(pbuf.is_unique());
    }
    assert_at_rest(&POOL);
}

#[test]
fn an_allocation_that_does_not_fit_takes_nothing() {
    pbuf_pool! { static POOL: [64; 4] }
    for (headroom, len) in [
        (0, 257),
        (1, 256),
        (65, 0),
        (usize::MAX, 0),
        (0, usize::MAX),
        (64, 193),
    ] {
        assert_eq!(Pbuf::alloc(&POOL, headroom, len).err(), Some(NoBufs));
        assert_at_rest(&POOL);
    }
    assert_eq!(POOL.min_available(), 4, "not even for a moment");
    let _one = filled(&POOL, 0, b"x");
    assert!(Pbuf::alloc(&POOL, 0, 193).is_err());
    assert_eq!(in_use(&POOL), (1, 1));
    assert!(Pbuf::alloc(&POOL, 0, 192).is_ok());
}

#[test]
fn without_other_descriptors_those_of_free_blocks_are_taken() {
    pbuf_pool! { static POOL: [64; 3] }
    // Two descriptors for constant data: one block is left of three.
    let constant = [
        Pbuf::from_static(&POOL, b"a").expect("a descriptor"),
        Pbuf::from_static(&POOL, b"b").expect("a descriptor"),
    ];
    assert!(Pbuf::alloc(&POOL, 0, 100).is_err());
    assert_eq!(in_use(&POOL), (2, 2));
    let last = filled(&POOL, 0, b"x");
    assert!(Pbuf::from_static(&POOL, b"c").is_err());
    assert!(Pbuf::alloc(&POOL, 0, 1).is_err());
    assert_eq!(in_use(&POOL), (3, 3));
    drop(constant);
    // A view takes the place of a block, too, and the block's own descriptor stays taken.
    let view = last.slice(0, 1).expect("a descriptor");
    drop(last);
    assert_eq!((view.data(), in_use(&POOL)), (&b"x"[..], (2, 2)));
    drop(view);
    assert_at_rest(&POOL);
}

#[test]
fn constant_data_is_referenced_and_never_written() {
    pbuf_pool! { static POOL: [32; 1] + refs 3 }
    static DATA: [u8; 70_000] = [7; 70_000];
    let mut pbuf = Pbuf::from_static(&POOL, &DATA).expect("descriptors");
    assert_eq!(lens(&pbuf), [65_535, 4_465]);
    assert_eq!(pbuf.data().as_ptr(), DATA.as_ptr());
    assert_eq!(POOL.available(), 1);
    assert!(!pbuf.is_unique());
    assert!(pbuf.data_mut().is_none() && pbuf.add_header(0).is_none());
    assert_eq!(pbuf.headroom(), 0);
    assert!(pbuf.grow(1).is_none());
    assert_eq!((pbuf.copy_from(b"x"), pbuf.append_copy(b"x")), (0, 0));
    // What was hidden does not become headroom.
    assert!(pbuf.remove_header(10));
    assert_eq!(pbuf.headroom(), 0);
    assert!(pbuf.add_header(10).is_none());
    assert_eq!(pbuf.tot_len(), 69_990);
    drop(pbuf);
    let empty = Pbuf::from_static(&POOL, b"").expect("a descriptor");
    assert_eq!(lens(&empty), [0]);
    drop(empty);
    assert_at_rest(&POOL);
}

#[test]
fn headers_go_in_front_in_place() {
    pbuf_pool! { static POOL: [64; 1] }
    let mut pbuf = filled(&POOL, 10, b"data");
    pbuf.add_header(4)
        .expect("headroom")
        .copy_from_slice(b"udp:");
    pbuf.add_header(6)
        .expect("headroom")
        .copy_from_slice(b"ipv4: ");
    assert_eq!((pbuf.data(), pbuf.headroom()), (&b"ipv4: udp:data"[..], 0));
    assert!(pbuf.add_header(1).is_none());
    assert!(pbuf.add_header(0).is_some());
    assert_eq!(pbuf.data(), b"ipv4: udp:data", "unchanged");
    assert!(!pbuf.remove_header(15));
    assert_eq!(pbuf.tot_len(), 14, "unchanged");
    assert!(pbuf.remove_header(6));
    assert_eq!((pbuf.data(), pbuf.headroom()), (&b"udp:data"[..], 6));
    assert_eq!(pbuf.add_header(6).expect("headroom"), b"ipv4: ");
    for n in [65_535, 65_536, usize::MAX] {
        assert!(pbuf.add_header(n).is_none() && pbuf.grow(n).is_none());
        assert!(!pbuf.remove_header(n));
    }
}

#[test]
fn a_header_is_not_written_over_what_another_sees() {
    pbuf_pool! { static POOL: [64; 2] + refs 2 }
    let mut pbuf = filled(&POOL, 10, b"data");
    let view = pbuf.slice(1, 2).expect("a descriptor");
    assert!(pbuf.shares_block(&view) && view.shares_block(&pbuf));
    assert!(!pbuf.is_unique() && !view.is_unique());
    assert_eq!(pbuf.headroom(), 0);
    assert!(pbuf.add_header(1).is_none() && pbuf.data_mut().is_none());
    assert!(pbuf.grow(1).is_none());
    assert_eq!((pbuf.copy_from(b"x"), pbuf.append_copy(b"x")), (0, 0));
    let packet = pbuf.prepend(filled(&POOL, 0, b"hdr:"));
    assert_eq!(lens(&packet), [4, 4]);
    assert_eq!(bytes(&packet), b"hdr:data");
    assert_eq!(view.data(), b"at");
    drop(packet);
    // The last view may do anything with the block.
    let mut view = view;
    assert!(view.is_unique());
    assert_eq!(view.headroom(), 11);
    assert_eq!(view.add_header(1).expect("headroom"), b"d");
    assert_eq!(view.append_copy(b"e!"), 2);
    assert_eq!(view.data(), b"date!");
    drop(view);
    assert_at_rest(&POOL);
}

#[test]
fn growing_at_the_end() {
    pbuf_pool! { static POOL: [32; 2] }
    let mut pbuf = chained(&POOL, &[b"first", b"last"]);
    pbuf.grow(3).expect("room").copy_from_slice(b"!!!");
    assert_eq!(bytes(&pbuf), b"firstlast!!!");
    assert!(pbuf.grow(26).is_none());
    assert_eq!(pbuf.append_copy(&[b'.'; 100]), 25, "what fits");
    assert_eq!(pbuf.append_copy(b"x"), 0);
    assert_eq!(lens(&pbuf), [5, 32]);
    assert_eq!(pbuf.grow(0).expect("nothing").len(), 0);
}

#[test]
fn one_shared_part_makes_a_chain_not_unique() {
    pbuf_pool! { static POOL: [32; 4] + refs 3 }
    let mut pbuf = chained(&POOL, &[b"one", b"two", b"three"]);
    assert!(pbuf.is_unique());
    let view = pbuf.slice(3, 1).expect("a descriptor");
    assert!(!pbuf.is_unique() && pbuf.data_mut().is_some());
    assert_eq!(pbuf.copy_from(b"ONETWOTHREE"), 3, "up to the shared part");
    assert_eq!(bytes(&pbuf), b"ONEtwothree");
    assert_eq!(pbuf.append_copy(b"!"), 1, "the last part is not shared");
    let other = filled(&POOL, 0, b"").shares_block(&pbuf);
    assert!(!other);
    drop(view);
    assert!(pbuf.is_unique());
    drop(pbuf);
    assert_at_rest(&POOL);
}

#[test]
fn a_long_chain_is_dropped_without_recursion() {
    const PARTS: usize = 60_000;
    pbuf_pool! { static POOL: [32; 1] + refs 60_000 }
    let mut chain = Chain::new();
    for _ in 0..PARTS {
        chain.push(Pbuf::from_static(&POOL, b"x").expect("a descriptor"));
    }
    // A test thread has 2 MiB of stack; this one has little.
    std::thread::Builder::new()
        .stack_size(32 * 1024)
        .spawn(move || {
            let all = chain.take_all().expect("60,000 parts");
            assert_eq!(all.clen(), PARTS);
            drop(all);
        })
        .expect("a thread")
        .join()
        .expect("no overflow");
    assert_at_rest(&POOL);
}

#[test]
fn debug_shows_the_parts() {
    pbuf_pool! { static POOL: [32; 2] }
    let pbuf = chained(&POOL, &[b"one", b"three"]);
    assert_eq!(format!("{pbuf:?}"), "Pbuf[3, 5]");
    let chain = Chain::from(pbuf);
    assert_eq!(
        format!("{chain:?}"),
        "Chain { len: 8, parts: Some(Pbuf[3, 5]) }"
    );
}

#[test]
fn a_pbuf_is_one_word() {
    assert_eq!(size_of::<Pbuf>(), size_of::<usize>());
    assert_eq!(size_of::<Option<Pbuf>>(), size_of::<usize>());
}
