//! Byte ranges across parts.
use super::*;

const TEXT: &[u8] = b"onetwothree";

/// Three parts of 3, 3 and 5 bytes with an empty one between.
fn text(pool: &'static Pool) -> Pbuf {
    chained(pool, &[b"one", b"", b"two", b"three"])
}

#[test]
fn every_slice_shows_its_bytes_and_shares_them() {
    pbuf_pool! { static POOL: [32; 4] + refs 8 }
    let pbuf = text(&POOL);
    let rest = in_use(&POOL);
    for off in 0..=TEXT.len() {
        for len in 0..=TEXT.len() - off {
            let slice = pbuf.slice(off, len).expect("descriptors");
            assert_eq!(bytes(&slice), &TEXT[off..off + len], "{off} + {len}");
            assert_eq!(slice.shares_block(&pbuf), len > 0);
            assert!(len == 0 || slice.parts().all(|part| !part.is_empty()));
            assert_eq!(in_use(&POOL), (rest.0, rest.1 + slice.clen()));
        }
    }
    assert_eq!(in_use(&POOL), rest);
    assert!(pbuf.is_unique());
}

#[test]
fn a_slice_outside_the_packet_takes_nothing() {
    pbuf_pool! { static POOL: [32; 4] + refs 8 }
    let pbuf = text(&POOL);
    let rest = in_use(&POOL);
    for (off, len) in [
        (0, 12),
        (11, 1),
        (12, 0),
        (6, 6),
        (usize::MAX, 0),
        (0, usize::MAX),
        (usize::MAX, usize::MAX),
        (1, usize::MAX),
    ] {
        assert_eq!(pbuf.slice(off, len).err(), Some(NoBufs), "{off} + {len}");
        assert_eq!(in_use(&POOL), rest);
    }
    assert!(pbuf.is_unique(), "no count was left behind");
}

#[test]
fn a_slice_that_runs_out_of_descriptors_takes_nothing() {
    pbuf_pool! { static POOL: [32; 4] + refs 2 }
    let pbuf = text(&POOL);
    assert!(pbuf.slice(2, 5).is_err(), "needs three");
    assert_eq!(in_use(&POOL), (4, 4));
    assert!(pbuf.is_unique());
    let slice = pbuf.slice(2, 4).expect("two are enough");
    assert_eq!(bytes(&slice), b"etwo");
    assert!(pbuf.slice(0, 0).is_err());
}

#[test]
fn every_split() {
    pbuf_pool! { static POOL: [32; 4] + refs 1 }
    for at in 0..=TEXT.len() + 2 {
        let mut front = text(&POOL);
        let rest = front.split_off(at).expect("a descriptor");
        let cut = at.min(TEXT.len());
        assert_eq!(bytes(&front), &TEXT[..cut], "{at}");
        assert_eq!(rest.as_ref().map_or(vec![], bytes), &TEXT[cut..], "{at}");
        assert_eq!(rest.is_some(), at < TEXT.len());
        drop((front, rest));
        assert_at_rest(&POOL);
    }
}

#[test]
fn a_split_that_runs_out_of_descriptors_changes_nothing() {
    pbuf_pool! { static POOL: [32; 4] }
    let mut pbuf = text(&POOL);
    for at in [0, 1, 2, 4, 5, 7, 10] {
        assert_eq!(pbuf.split_off(at).err(), Some(NoBufs), "{at}");
        assert_eq!(lens(&pbuf), [3, 0, 3, 5]);
    }
    assert!(pbuf.is_unique());
    let rest = pbuf.split_off(6).expect("between parts").expect("a rest");
    assert_eq!((lens(&pbuf), lens(&rest)), (vec![3, 0, 3], vec![5]));
    assert!(!pbuf.shares_block(&rest));
}

#[test]
fn a_split_block_is_shared_until_one_half_goes() {
    pbuf_pool! { static POOL: [32; 1] + refs 1 }
    let mut front = filled(&POOL, 4, b"frontback");
    let mut back = front.split_off(5).expect("a descriptor").expect("a rest");
    assert!(front.shares_block(&back));
    assert!(front.data_mut().is_none() && back.data_mut().is_none());
    drop(front);
    assert_eq!(back.data_mut().expect("unique"), b"back");
    assert_eq!(back.headroom(), 9);
    drop(back);
    assert_at_rest(&POOL);
}

#[test]
fn every_advance_and_truncation() {
    pbuf_pool! { static POOL: [32; 4] }
    for n in 0..=TEXT.len() + 2 {
        let cut = n.min(TEXT.len());
        let mut pbuf = text(&POOL);
        assert_eq!(pbuf.advance(n), cut);
        assert_eq!(bytes(&pbuf), &TEXT[cut..], "{n}");
        // Whole parts that were passed are free.
        let parts = match n {
            0..3 => 4,
            3..6 => 2,
            _ => 1,
        };
        assert_eq!(in_use(&POOL), (parts, parts), "{n}");
        drop(pbuf);

        let mut pbuf = text(&POOL);
        pbuf.truncate(n);
        assert_eq!(bytes(&pbuf), &TEXT[..cut], "{n}");
        let parts = match n {
            0..=3 => 1,
            4..=6 => 3,
            _ => 4,
        };
        assert_eq!(in_use(&POOL), (parts, parts), "{n}");
    }
    let mut pbuf = text(&POOL);
    assert_eq!(pbuf.advance(usize::MAX), TEXT.len());
    pbuf.truncate(usize::MAX);
    assert_eq!((lens(&pbuf), pbuf.advance(1)), (vec![0], 0));
    drop(pbuf);
    assert_at_rest(&POOL);
}

#[test]
fn copying_out_from_anywhere() {
    pbuf_pool! { static POOL: [32; 4] }
    let pbuf = text(&POOL);
    for off in 0..=TEXT.len() + 1 {
        for room in 0..=TEXT.len() + 1 {
            let mut out = [b'.'; 12];
            let n = pbuf.copy_to(off, &mut out[..room]);
            let expected = TEXT.get(off..).unwrap_or(&[]);
            assert_eq!(n, expected.len().min(room));
            assert_eq!(out[..n], expected[..n]);
            assert!(out[n..].iter().all(|byte| *byte == b'.'));
        }
    }
    assert_eq!(pbuf.copy_to(usize::MAX, &mut [0]), 0);
}

#[test]
fn copying_in_up_to_the_end() {
    pbuf_pool! { static POOL: [32; 4] }
    let data = b"ABCDEFGHIJKLMN";
    for n in 0..=data.len() {
        let mut pbuf = text(&POOL);
        let copied = pbuf.copy_from(&data[..n]);
        assert_eq!(copied, n.min(TEXT.len()));
        assert_eq!(bytes(&pbuf)[..copied], data[..copied]);
        assert_eq!(bytes(&pbuf)[copied..], TEXT[copied..]);
    }
}
