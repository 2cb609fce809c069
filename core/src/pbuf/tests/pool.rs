//! Taking everything, returning it in any order, and what the pool says about it.
use super::*;

#[test]
fn the_declaration_counts() {
    pbuf_pool! {
        /// A pool with everything.
        pub(crate) static NAMED: [32 * 3; 2 + 1] + refs 1 + 4, in ".bss.gannet_test"
    }
    assert_eq!(NAMED.name(), "NAMED");
    assert_eq!((NAMED.blocks(), NAMED.block_size()), (3, 96));
    assert_eq!(NAMED.descriptors(), 8);
    assert_eq!((NAMED.available(), NAMED.descriptors_available()), (3, 8));
    let pbuf = filled(&NAMED, 0, b"x");
    let text = format!("{NAMED:?}");
    assert!(text.contains("available: 2") && text.contains("descriptors_available: 7"));
    drop(pbuf);
    assert_at_rest(&NAMED);
}

#[test]
fn every_block_can_be_taken_once_and_they_do_not_overlap() {
    // More than two words of bits, and not a multiple of one.
    pbuf_pool! { static POOL: [32; 75] }
    let mut all: Vec<_> = (0..75u8).map(|n| filled(&POOL, 0, &[n; 32])).collect();
    assert!(Pbuf::alloc(&POOL, 0, 0).is_err());
    assert_eq!((POOL.available(), POOL.min_available()), (0, 0));
    for (n, pbuf) in (0..75u8).zip(&all) {
        assert_eq!(pbuf.data(), [n; 32]);
    }
    let mut addresses: Vec<_> = all
        .iter()
        .map(|pbuf| pbuf.data().as_ptr() as usize)
        .collect();
    addresses.sort_unstable();
    assert!(addresses.iter().all(|at| at.is_multiple_of(32)), "aligned");
    assert!(addresses.windows(2).all(|pair| pair[1] - pair[0] == 32));
    // Any one that comes back is found again.
    for n in [0, 31, 32, 63, 64, 73] {
        drop(all.swap_remove(n));
        assert_eq!(POOL.available(), 1);
        all.push(filled(&POOL, 0, b"again"));
        assert!(Pbuf::alloc(&POOL, 0, 0).is_err());
    }
    drop(all);
    assert_at_rest(&POOL);
    assert_eq!(
        (POOL.min_available(), POOL.min_descriptors_available()),
        (0, 0)
    );
}

#[test]
fn views_return_the_block_in_whatever_order_they_are_dropped() {
    pbuf_pool! { static POOL: [32; 1] + refs 3 }
    for order in 0..24 {
        let pbuf = filled(&POOL, 0, b"data");
        let mut views: Vec<_> = (0..3)
            .map(|n| pbuf.slice(n, 1).expect("a descriptor"))
            .collect();
        views.push(pbuf);
        let mut order = order;
        for left in (1..=4).rev() {
            // The block's own descriptor stays with it when the first view has gone.
            let first = views.iter().any(|view| view.tot_len() == 4);
            assert_eq!(in_use(&POOL), (1, left + usize::from(!first)));
            drop(views.remove(order % left));
            order /= left;
        }
        assert_at_rest(&POOL);
    }
}

#[test]
fn parts_of_several_pools_go_home() {
    pbuf_pool! { static A: [32; 2] + refs 2 }
    pbuf_pool! { static B: [64; 2] + refs 2 }
    let mut packet = filled(&B, 0, b"payload").prepend(filled(&A, 0, b"header"));
    let mut middle = packet.slice(3, 6).expect("descriptors");
    assert_eq!((in_use(&A), in_use(&B)), ((1, 2), (1, 2)));
    let rest = packet.split_off(8).expect("a descriptor").expect("a rest");
    assert_eq!((in_use(&A), in_use(&B)), ((1, 2), (1, 3)));
    drop(packet);
    // The blocks' own descriptors stay with them.
    assert_eq!((in_use(&A), in_use(&B)), ((1, 2), (1, 3)));
    assert_eq!(middle.advance(3), 3);
    assert_at_rest(&A);
    assert_eq!(
        (bytes(&middle), bytes(&rest)),
        (b"pay".to_vec(), b"yload".to_vec())
    );
    drop((middle, rest));
    assert_at_rest(&B);
}

#[test]
fn a_block_has_at_most_65535_views() {
    pbuf_pool! { static POOL: [32; 1] + refs 65_534 }
    let pbuf = filled(&POOL, 0, b"x");
    // Every descriptor the pool can have: the count cannot overflow.
    let views: Vec<_> = (1..65_535)
        .map(|_| pbuf.slice(0, 1).expect("a descriptor"))
        .collect();
    assert_eq!(POOL.descriptors_available(), 0);
    assert!(pbuf.slice(0, 1).is_err());
    assert_eq!(in_use(&POOL), (1, 65_535));
    drop(pbuf);
    assert!(views.iter().all(|view| view.data() == b"x"));
    drop(views);
    assert_at_rest(&POOL);
}

#[test]
fn low_water_marks_stay() {
    pbuf_pool! { static POOL: [32; 4] + refs 4 }
    assert_eq!(
        (POOL.min_available(), POOL.min_descriptors_available()),
        (4, 8)
    );
    let pbufs = [filled(&POOL, 0, b"a"), filled(&POOL, 0, b"b")];
    let view = pbufs[0].slice(0, 1).expect("a descriptor");
    drop((pbufs, view));
    let _one = filled(&POOL, 0, b"c");
    assert_eq!((POOL.available(), POOL.min_available()), (3, 2));
    assert_eq!(POOL.min_descriptors_available(), 5);
}
