//! Tests of the TCP header codec and of sequence numbers.
#![allow(clippy::indexing_slicing, reason = "of bytes the test wrote")]
use core::net::Ipv4Addr;

use proptest::prelude::*;

use super::*;
use crate::wire::Checksum;
use crate::wire::ipv4::Protocol;
use crate::wire::tcp_options::Timestamps;

/// Linux connects from port 4000 of 10.0.0.1 to port 80 of 10.0.0.2.
#[rustfmt::skip]
const SYN: [u8; 40] = [
    0x0f, 0xa0, 0x00, 0x50, 0x01, 0x02, 0x03, 0x04, 0x00, 0x00, 0x00, 0x00,
    0xa0, 0x02, 0xfa, 0xf0, 0x21, 0x2f, 0x00, 0x00,
    2, 4, 0x05, 0xb4, 4, 2, 8, 10, 0, 0, 0x03, 0xe8, 0, 0, 0, 0, 1, 3, 3, 7,
];

/// Three bytes of data the other way.
#[rustfmt::skip]
const DATA: [u8; 23] = [
    0x00, 0x50, 0x0f, 0xa0, 0xff, 0xff, 0xff, 0xfe, 0x01, 0x02, 0x03, 0x05,
    0x50, 0x18, 0x02, 0x00, 0xc1, 0x6e, 0x00, 0x00,
    b'a', b'b', b'c',
];

fn sum(bytes: &[u8]) -> Checksum {
    let (src, dst) = (Ipv4Addr::new(10, 0, 0, 1), Ipv4Addr::new(10, 0, 0, 2));
    let mut sum = Checksum::new();
    sum.pseudo_header(src, dst, Protocol::TCP, bytes.len() as u16);
    sum.add(bytes);
    sum
}

fn parse(bytes: &[u8]) -> Result<Segment<'_>, Malformed> {
    Segment::parse(bytes, bytes.len())
}

fn syn_options() -> Options {
    Options {
        mss: Some(1460),
        sack_permitted: true,
        timestamps: Some(Timestamps {
            value: 1000,
            echo: 0,
        }),
        window_scale: Some(7),
        ..Options::default()
    }
}

#[test]
fn golden_syn() {
    assert!(sum(&SYN).is_valid());
    let segment = parse(&SYN).expect("valid");
    assert_eq!((segment.src_port(), segment.dst_port()), (4000, 80));
    assert_eq!(segment.seq(), SeqNum(0x0102_0304));
    assert_eq!(segment.ack(), None);
    assert_eq!(segment.flags(), Flags::SYN);
    assert_eq!((segment.window(), segment.urgent()), (64_240, None));
    assert_eq!((segment.header_len(), segment.payload_len()), (40, 0));
    assert_eq!(segment.seg_len(), 1);
    assert_eq!(segment.options(), syn_options());

    let fields = Fields {
        src_port: 4000,
        dst_port: 80,
        seq: SeqNum(0x0102_0304),
        ack: None,
        flags: Flags::SYN,
        window: 64_240,
    };
    let mut out = [0xff; 42];
    assert_eq!(fields.emit(&syn_options(), &mut out), Ok(40));
    let checksum = sum(&out[..40]).finish();
    set_checksum(&mut out, checksum).expect("a header");
    assert_eq!(out[..40], SYN);
    assert_eq!(out[40..], [0xff; 2]);
}

#[test]
fn golden_data() {
    let segment = parse(&DATA).expect("valid");
    assert_eq!(segment.seq(), SeqNum(0xffff_fffe));
    assert_eq!(segment.ack(), Some(SeqNum(0x0102_0305)));
    assert_eq!(segment.flags(), Flags::ACK | Flags::PSH);
    assert_eq!((segment.header_len(), segment.payload_len()), (20, 3));
    assert_eq!(segment.seg_len(), 3);
    assert_eq!(segment.seq() + segment.seg_len(), SeqNum(1));
    assert!(sum(&DATA).is_valid(), "the pseudo header is symmetric");
}

#[test]
fn every_prefix() {
    for len in 0..SYN.len() {
        assert_eq!(parse(&SYN[..len]).err(), Some(Malformed::Truncated));
        // ... also when the rest is further on in the chain: headers are contiguous.
        let first = Segment::parse(&SYN[..len], SYN.len());
        assert_eq!(first.err(), Some(Malformed::Truncated), "{len} bytes");
        assert_eq!(Quoted::parse(&SYN[..len]).is_ok(), len >= 8);
    }
    let fields = Fields {
        src_port: 4000,
        dst_port: 80,
        seq: SeqNum(1),
        ack: None,
        flags: Flags::SYN,
        window: 0,
    };
    for len in 0..SYN.len() {
        let mut out = vec![0x55; len];
        assert_eq!(fields.emit(&syn_options(), &mut out), Err(NoRoom));
        assert!(out.iter().all(|byte| *byte == 0x55), "nothing written");
        assert_eq!(set_checksum(&mut out, 0).is_ok(), len >= HEADER_LEN);
    }
    for len in 20..DATA.len() {
        let segment = parse(&DATA[..len]).expect("data may be cut");
        assert_eq!(segment.payload_len(), len - 20);
    }
}

#[test]
fn data_offsets() {
    for words in 0..16 {
        let mut bytes = [0; 60];
        bytes[..20].copy_from_slice(&DATA[..20]);
        bytes[12] = words << 4 | 0xf; // with reserved bits
        let len = usize::from(words) * 4;
        if words < 5 {
            assert_eq!(parse(&bytes).err(), Some(Malformed::HeaderLength));
            continue;
        }
        let segment = parse(&bytes).expect("valid");
        assert_eq!(
            (segment.header_len(), segment.payload_len()),
            (len, 60 - len)
        );
        // The segment ends one byte before its header does, though more bytes follow in memory.
        let short = Segment::parse(&bytes, len - 1);
        assert_eq!(short.err(), Some(Malformed::Truncated), "{words} words");
        let exact = Segment::parse(&bytes, len).expect("a header alone");
        assert_eq!(exact.payload_len(), 0);
    }
}

#[test]
fn ports_of_zero() {
    for at in [0, 2] {
        let mut bytes = DATA;
        bytes[at..at + 2].fill(0);
        assert_eq!(parse(&bytes).err(), Some(Malformed::Port));
    }
}

#[test]
fn every_flag_byte() {
    for bits in 0..=0xff_u8 {
        let mut bytes = DATA;
        bytes[13] = bits;
        bytes[18..20].copy_from_slice(&[0x12, 0x34]);
        let segment = parse(&bytes).expect("valid");
        assert_eq!(segment.ack().is_some(), bits & 0x10 != 0);
        assert_eq!(segment.urgent(), (bits & 0x20 != 0).then_some(0x1234));
        let controls = u32::from(bits & 1) + u32::from(bits >> 1 & 1);
        assert_eq!(segment.seg_len(), 3 + controls);
    }
}

#[test]
fn sequence_space_never_overflows() {
    let mut bytes = DATA;
    bytes[13] = 3; // SYN and FIN
    let segment = Segment::parse(&bytes, usize::MAX).expect("valid");
    assert_eq!(segment.payload_len(), usize::MAX - 20);
    assert_eq!(segment.seg_len(), u32::MAX);
}

#[test]
fn flags() {
    let flags = Flags::SYN | Flags::ACK;
    assert!(flags.contains(Flags::SYN) && flags.contains(flags));
    assert!(!flags.contains(Flags::SYN | Flags::FIN));
    assert!(flags.intersects(Flags::SYN | Flags::FIN));
    assert!(!flags.intersects(Flags::NONE) && flags.contains(Flags::NONE));
    assert_eq!(flags.without(Flags::ACK), Flags::SYN);
    assert_eq!(format!("{flags:?} {:?}", Flags(0xff)), "[S.] [SFRP.UEW]");
}

#[test]
fn comparisons_around_the_circle() {
    for start in [0, 1, 0x7fff_ffff, 0x8000_0000, 0xffff_fffe, 0xffff_ffff] {
        let a = SeqNum(start);
        for step in [1, 2, 0x7fff_fffe, 0x7fff_ffff] {
            let b = a + step;
            assert!(a.before(b) && a.before_eq(b) && !a.after(b) && !a.after_eq(b));
            assert!(b.after(a) && b.after_eq(a) && !b.before(a) && !b.before_eq(a));
            assert_eq!((a.max(b), a.min(b)), (b, a));
            assert_eq!((b.max(a), b.min(a)), (b, a));
            assert_eq!((b - a, b.since(a)), (step as i32, step));
            assert_eq!(b - step, a);
        }
        assert!(a.before_eq(a) && a.after_eq(a) && !a.before(a) && !a.after(a));
        // Half the circle away: no order, and no panic.
        let far = a + 0x8000_0000;
        assert!(a.before(far) && far.before(a));
    }
}

#[test]
fn windows() {
    for start in [0, 5, 0xffff_fff0] {
        let start = SeqNum(start);
        assert!(!start.in_window(start, 0));
        assert!(start.in_window(start, 1));
        assert!(!(start + 1).in_window(start, 1));
        assert!((start + 65_534).in_window(start, 65_535));
        assert!(!(start - 1).in_window(start, u32::MAX));
        assert!((start - 2).in_window(start, u32::MAX));
    }
}

fn options() -> impl Strategy<Value = Options> {
    (
        any::<Option<u16>>(),
        any::<bool>(),
        any::<Option<(u32, u32)>>(),
    )
        .prop_map(|(mss, sack_permitted, timestamps)| Options {
            mss,
            sack_permitted,
            timestamps: timestamps.map(|(value, echo)| Timestamps { value, echo }),
            ..Options::default()
        })
}

proptest! {
    #[test]
    fn round_trip(
        (src_port, dst_port, window) in (1..=u16::MAX, 1..=u16::MAX, any::<u16>()),
        (seq, ack, flags) in any::<(u32, Option<u32>, u8)>(),
        options in options(),
        payload in 0..1500usize,
    ) {
        // ACK goes with the number.
        let flags = Flags(flags).without(Flags::ACK);
        let (seq, ack) = (SeqNum(seq), ack.map(SeqNum));
        let fields = Fields { src_port, dst_port, seq, ack, flags, window };
        let mut out = [0; 60];
        let len = fields.emit(&options, &mut out).expect("room");
        prop_assert_eq!(len, HEADER_LEN + options.len());
        let s = Segment::parse(&out[..len], len + payload).expect("valid");
        prop_assert_eq!((s.src_port(), s.dst_port(), s.window()), (src_port, dst_port, window));
        prop_assert_eq!((s.seq(), s.ack()), (seq, ack));
        prop_assert_eq!(s.flags().without(Flags::ACK), flags);
        prop_assert_eq!(s.options(), options);
        prop_assert_eq!((s.header_len(), s.payload_len()), (len, payload));
        prop_assert_eq!(Quoted::parse(&out[..8]), Ok(Quoted { src_port, dst_port, seq }));
    }
}

proptest! {
    /// A header made for many segments is, in each of them, what one made for it alone would be.
    #[test]
    fn a_template_writes_what_fields_do(
        (src_port, dst_port, window) in (1..=u16::MAX, 1..=u16::MAX, any::<u16>()),
        (seq, ack, common, own) in any::<(u32, Option<u32>, u8, u8)>(),
        options in options(),
        data in prop::collection::vec(any::<u8>(), 0..40),
        by_device: bool,
    ) {
        let (src, dst) = (Ipv4Addr::new(10, 0, 0, 1), Ipv4Addr::new(192, 168, 255, 254));
        let (common, own) = (Flags(common).without(Flags::ACK), Flags(own).without(Flags::ACK));
        let (seq, ack) = (SeqNum(seq), ack.map(SeqNum));
        let alone = Fields { src_port, dst_port, seq, ack, flags: common | own, window };
        let mut expected = [0; 60];
        let len = alone.emit(&options, &mut expected).expect("room");
        let total = (len + data.len()) as u16;
        if !by_device {
            let mut sum = Checksum::new();
            sum.pseudo_header(src, dst, Protocol::TCP, total);
            sum.add(&expected[..len]);
            sum.add(&data);
            set_checksum(&mut expected, sum.finish()).expect("a header");
        }
        let mut sum = Checksum::new();
        sum.pseudo_header(src, dst, Protocol::TCP, 0);
        sum.add_header(&expected[HEADER_LEN..len]);
        let template = Fields { seq: SeqNum(0), flags: common, ..alone }.template(len, sum);
        prop_assert_eq!(template.window(), window);
        let rest = (!by_device).then(|| {
            let mut sum = Checksum::new();
            sum.add(&data);
            let mut sum = sum.behind();
            sum.add_u16(total);
            sum
        });
        let mut written = [0xee; HEADER_LEN];
        template.write(&mut written, seq, own, rest);
        prop_assert_eq!(&written[..], &expected[..HEADER_LEN]);
    }
}

/// A header of the usual kind and what may be odd in it: the offset byte, the flags, the options.
fn nearly_plain() -> impl Strategy<Value = Vec<u8>> {
    (
        prop_oneof![
            Just(0x50u8),
            Just(0x80),
            Just(0x8f),
            Just(0x60),
            any::<u8>()
        ],
        prop_oneof![3 => Just(0x10u8), 2 => Just(0x18), 1 => any::<u8>()],
        prop_oneof![
            4 => Just([1, 1, 8, 10]),
            1 => Just([8, 10, 1, 1]),
            1 => any::<[u8; 4]>()
        ],
        any::<[u8; 12]>(),
        prop::collection::vec(any::<u8>(), 8..40),
    )
        .prop_map(|(offset, flags, kinds, numbers, rest)| {
            let mut bytes = vec![0, 1, 0, 2];
            bytes.extend(numbers.get(..8).unwrap_or_default());
            bytes.extend([offset, flags, 3, 4, 0, 0, 0, 0]);
            bytes.extend(kinds);
            bytes.extend(rest);
            bytes
        })
}

proptest! {
    #[test]
    fn what_is_plain_is_read_as_every_segment_is(bytes in nearly_plain(), cut in 0..80usize) {
        let first = bytes.get(..cut).unwrap_or(&bytes);
        if let Some(plain) = Headline::parse(first, first.len()) {
            let whole = Segment::parse(first, first.len()).expect("a segment");
            let [a, b, c, d] = plain.ports;
            prop_assert_eq!(u16::from_be_bytes([a, b]), whole.src_port());
            prop_assert_eq!(u16::from_be_bytes([c, d]), whole.dst_port());
            prop_assert_eq!((plain.seq, Some(plain.ack)), (whole.seq(), whole.ack()));
            prop_assert_eq!(plain.window, whole.window());
            prop_assert_eq!(usize::from(plain.header_len), whole.header_len());
            prop_assert_eq!(plain.len as usize + whole.header_len(), first.len());
            prop_assert_eq!(whole.flags().without(Flags::PSH), Flags::ACK);
            let timestamps = plain.timestamps;
            prop_assert_eq!(whole.options(), Options { timestamps, ..Options::default() });
        } else if let Ok(whole) = Segment::parse(first, first.len()) {
            // Nothing is left out that costs nothing to take.
            let usual = whole.flags().without(Flags::PSH) == Flags::ACK;
            prop_assert!(!usual || whole.header_len() > HEADER_LEN);
        }
    }
}
