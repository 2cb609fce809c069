//! Tests of the TCP option codec.
#![allow(clippy::indexing_slicing, reason = "of bytes the test wrote")]
use proptest::prelude::*;

use super::*;

fn emit(options: &Options) -> Vec<u8> {
    let mut out = [0xff; MAX_LEN];
    let len = options.emit(&mut out).expect("forty bytes are enough");
    out[..len].to_vec()
}

fn blocks(edges: &[(u32, u32)]) -> SackBlocks {
    let mut blocks = SackBlocks::default();
    for (left, right) in edges {
        let (left, right) = (SeqNum(*left), SeqNum(*right));
        blocks.push(SackBlock { left, right }).expect("room");
    }
    blocks
}

fn stamps(value: u32, echo: u32) -> Option<Timestamps> {
    Some(Timestamps { value, echo })
}

/// Bytes that are all right as far as they are understood.
#[track_caller]
fn accept(bytes: &[u8], expected: &Options) {
    assert!(!expected.malformed);
    assert_eq!(Options::parse(bytes), *expected, "{bytes:?}");
}

/// Bytes with something impossible in them.
#[track_caller]
fn reject(bytes: &[u8], rest: Options) {
    let expected = Options {
        malformed: true,
        ..rest
    };
    assert_eq!(Options::parse(bytes), expected, "{bytes:?}");
}

#[test]
fn golden_syn_of_linux() {
    #[rustfmt::skip]
    let bytes = [
        2, 4, 0x05, 0xb4, 4, 2, 8, 10, 0xde, 0xad, 0xbe, 0xef, 0, 0, 0, 0, 1, 3, 3, 7,
    ];
    let options = Options {
        mss: Some(1460),
        sack_permitted: true,
        timestamps: stamps(0xdead_beef, 0),
        window_scale: Some(7),
        ..Options::default()
    };
    accept(&bytes, &options);
    assert_eq!(emit(&options), bytes);
}

#[test]
fn golden_acknowledgement_with_sack() {
    #[rustfmt::skip]
    let bytes = [
        1, 1, 8, 10, 0, 0, 0, 1, 0, 0, 0, 2,
        1, 1, 5, 18, 0, 0, 0x03, 0xe8, 0, 0, 0x07, 0xd0, 0xff, 0xff, 0xff, 0xff, 0, 0, 0, 9,
    ];
    let options = Options {
        timestamps: stamps(1, 2),
        sack: blocks(&[(1000, 2000), (0xffff_ffff, 9)]),
        ..Options::default()
    };
    accept(&bytes, &options);
    assert_eq!(emit(&options), bytes);
}

#[test]
fn golden_syn_of_windows() {
    let bytes = [2, 4, 5, 0xb4, 1, 3, 3, 8, 1, 1, 4, 2];
    let options = Options {
        mss: Some(1460),
        window_scale: Some(8),
        sack_permitted: true,
        ..Options::default()
    };
    accept(&bytes, &options);
}

#[test]
fn each_combination_alone() {
    let all = Options {
        mss: Some(536),
        sack_permitted: true,
        timestamps: stamps(1, 2),
        window_scale: Some(14),
        ..Options::default()
    };
    for bits in 0..16 {
        let options = Options {
            mss: all.mss.filter(|_| bits & 1 != 0),
            sack_permitted: bits & 2 != 0,
            timestamps: all.timestamps.filter(|_| bits & 4 != 0),
            window_scale: all.window_scale.filter(|_| bits & 8 != 0),
            ..Options::default()
        };
        let bytes = emit(&options);
        assert_eq!(bytes.len(), options.len());
        assert_eq!(bytes.len() % 4, 0);
        assert_eq!(options.is_empty(), bits == 0);
        accept(&bytes, &options);
    }
}

#[test]
fn nothing_and_padding() {
    accept(&[], &Options::default());
    accept(&[0], &Options::default());
    accept(&[1; 40], &Options::default());
    // Behind the end of the list is anything.
    accept(&[0, 2, 4, 5, 0xb4], &Options::default());
    accept(&[1, 0, 2, 0], &Options::default());
}

#[test]
fn unknown_options_are_skipped() {
    let mss = Options {
        mss: Some(1460),
        ..Options::default()
    };
    for unknown in [6, 7, 9, 19, 28, 29, 30, 34, 253, 254, 255] {
        accept(&[unknown, 2, 2, 4, 5, 0xb4], &mss);
        accept(&[unknown, 6, 2, 4, 1, 1, 2, 4, 5, 0xb4], &mss);
    }
}

#[test]
fn lengths_that_end_the_list() {
    let mss = Options {
        mss: Some(1460),
        ..Options::default()
    };
    // The kind of the option that comes last, and what stands behind it.
    for kind in 2..=255 {
        reject(&[kind], Options::default());
        reject(&[kind, 0], Options::default());
        reject(&[kind, 1], Options::default());
        reject(&[kind, 0, 2, 4, 5, 0xb4], Options::default());
        reject(&[kind, 1, 2, 4, 5, 0xb4], Options::default());
        reject(&[kind, 3], Options::default());
        reject(&[kind, 255, 2, 4, 5, 0xb4], Options::default());
        // What came before still counts.
        reject(&[2, 4, 5, 0xb4, kind], mss);
        reject(&[2, 4, 5, 0xb4, kind, 0, 3, 3, 7], mss);
        reject(&[2, 4, 5, 0xb4, kind, 9, 0, 0], mss);
    }
}

#[test]
fn wrong_lengths_of_known_options_are_left_out() {
    let scale = Options {
        window_scale: Some(7),
        ..Options::default()
    };
    // A wrong option, then a right one.
    let reject = |kind: u8, len: usize| {
        let mut bytes = vec![1; len];
        (bytes[0], bytes[1]) = (kind, len as u8);
        bytes.extend([3, 3, 7]);
        reject(&bytes, scale);
    };
    for len in [2, 3, 5, 6, 30] {
        reject(kind::MSS, len);
    }
    for len in [3, 4, 30] {
        reject(kind::SACK_PERMITTED, len);
    }
    for len in [2, 3, 9, 11, 12, 30] {
        reject(kind::TIMESTAMPS, len);
    }
    for len in [2, 3, 9, 11, 17, 19, 25, 27, 33, 35, 36] {
        reject(kind::SACK, len);
    }
    let mss = Options {
        mss: Some(1460),
        ..Options::default()
    };
    for len in [2, 4, 5] {
        let mut bytes = vec![3, len as u8, 0, 0, 0];
        bytes.truncate(len);
        bytes.extend([2, 4, 5, 0xb4]);
        let expected = Options {
            malformed: true,
            ..mss
        };
        assert_eq!(Options::parse(&bytes), expected, "window scale of {len}");
    }
}

#[test]
fn extreme_values() {
    // An MSS of zero is a value: what to do about it is TCP's business.
    for mss in [0, 1, 0xffff_u16] {
        let [hi, lo] = mss.to_be_bytes();
        let options = Options::parse(&[2, 4, hi, lo]);
        assert_eq!((options.mss, options.malformed), (Some(mss), false));
    }
    // RFC 7323 §2.3.
    for (shift, used) in [(0, 0), (14, 14), (15, 14), (16, 14), (255, 14)] {
        let options = Options::parse(&[3, 3, shift]);
        assert_eq!(
            (options.window_scale, options.malformed),
            (Some(used), false)
        );
    }
}

#[test]
fn of_two_the_first_counts() {
    accept(
        &[2, 4, 0, 1, 2, 4, 0, 2, 3, 3, 1, 3, 3, 2, 4, 2, 4, 2],
        &Options {
            mss: Some(1),
            window_scale: Some(1),
            sack_permitted: true,
            ..Options::default()
        },
    );
    let mut twice = vec![8, 10, 0, 0, 0, 1, 0, 0, 0, 2, 8, 10, 0, 0, 0, 3, 0, 0, 0, 4];
    twice.extend([5, 10, 0, 0, 0, 1, 0, 0, 0, 2, 5, 10, 0, 0, 0, 3, 0, 0, 0, 4]);
    accept(
        &twice,
        &Options {
            timestamps: stamps(1, 2),
            sack: blocks(&[(1, 2)]),
            ..Options::default()
        },
    );
}

#[test]
fn sack_blocks_are_handed_on_unjudged() {
    // Empty, reversed, half the circle.
    let edges = [(5, 5), (9, 2), (0, 0x8000_0000), (0xffff_ffff, 0)];
    let options = Options {
        sack: blocks(&edges),
        ..Options::default()
    };
    accept(&emit(&options), &options);
    assert_eq!(options.sack.as_slice().len(), 4);
    assert_eq!(blocks(&edges).push(SackBlock::default()), None);
    assert!(SackBlocks::default().is_empty());
}

#[test]
fn as_many_sack_blocks_as_fit() {
    let four = blocks(&[(1, 2), (3, 4), (5, 6), (7, 8)]);
    for (options, fit) in [
        (Options::default(), 4),
        (
            Options {
                timestamps: stamps(1, 2),
                ..Options::default()
            },
            3,
        ),
        (
            Options {
                mss: Some(1),
                timestamps: stamps(1, 2),
                window_scale: Some(1),
                ..Options::default()
            },
            2,
        ),
    ] {
        let options = Options {
            sack: four,
            ..options
        };
        let bytes = emit(&options);
        assert_eq!(bytes.len(), options.len());
        let parsed = Options::parse(&bytes);
        assert_eq!(parsed.sack.as_slice(), &four.as_slice()[..fit]);
    }
}

#[test]
fn every_prefix() {
    let options = Options {
        mss: Some(1460),
        sack_permitted: true,
        timestamps: stamps(7, 8),
        window_scale: Some(3),
        sack: blocks(&[(1, 2)]),
        ..Options::default()
    };
    let bytes = emit(&options);
    // Where an option, or padding, ends.
    let ends = [0, 4, 6, 16, 17, 20, 21, 22, 32];
    for len in 0..=bytes.len() {
        let parsed = Options::parse(&bytes[..len]);
        assert_eq!(parsed.malformed, !ends.contains(&len), "{len} bytes");
        assert_eq!(parsed.mss.is_some(), len >= 4);
        assert_eq!(parsed.sack_permitted, len >= 6);
        assert_eq!(parsed.timestamps.is_some(), len >= 16);
        assert_eq!(parsed.window_scale.is_some(), len >= 20);
        assert_eq!(!parsed.sack.is_empty(), len >= 32);
    }
    for len in 0..bytes.len() {
        let mut out = vec![0x55; len];
        assert_eq!(options.emit(&mut out), Err(NoRoom));
        assert!(out.iter().all(|byte| *byte == 0x55), "nothing written");
    }
}

proptest! {
    #[test]
    fn round_trip(
        mss: Option<u16>,
        shift in prop::option::of(0..=MAX_WINDOW_SCALE),
        sack_permitted: bool,
        timestamps: Option<(u32, u32)>,
        edges in prop::collection::vec(any::<(u32, u32)>(), 0..=4),
    ) {
        let options = Options {
            mss,
            window_scale: shift,
            sack_permitted,
            timestamps: timestamps.map(|(value, echo)| Timestamps { value, echo }),
            sack: blocks(&edges),
            malformed: false,
        };
        let bytes = emit(&options);
        prop_assert!(bytes.len().is_multiple_of(4) && bytes.len() == options.len());
        let mut parsed = Options::parse(&bytes);
        let fit = parsed.sack.as_slice().len();
        prop_assert_eq!(parsed.sack.as_slice(), &options.sack.as_slice()[..fit]);
        prop_assert!(fit == edges.len() || bytes.len() > MAX_LEN - 8);
        parsed.sack = options.sack;
        prop_assert_eq!(parsed, options);
    }
}
