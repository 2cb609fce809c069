//! Tests of reassembly: against a naive model, and its limits one by one.
#![allow(unsafe_code, reason = "what `pbuf_pool!` expands to in its own crate")]

use super::*;
use crate::pbuf_pool;
use proptest::prelude::*;

pbuf_pool! { static POOL: [256; 1024] + refs 1024 }

const TIMEOUT: Duration = Duration::from_secs(15);
const SRC: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 1);
const US: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 2);

fn reassembly(slots: usize, max_bytes: usize) -> Reassembly {
    let slots: Vec<_> = (0..slots).map(|_| ReassemblySlot::new()).collect();
    Reassembly::new(slots.leak(), TIMEOUT, max_bytes)
}

/// A fragment of a packet with the given identification.
#[derive(Clone, Debug)]
struct Piece {
    src: Ipv4Addr,
    ident: u16,
    offset: usize,
    more: bool,
    tos: u8,
    header_len: u8,
    data: Vec<u8>,
}

impl Piece {
    fn new(ident: u16, offset: usize, more: bool, data: impl Into<Vec<u8>>) -> Self {
        Self {
            src: SRC,
            ident,
            offset,
            more,
            tos: 0,
            header_len: 20,
            data: data.into(),
        }
    }

    fn from(mut self, host: u8) -> Self {
        self.src = Ipv4Addr::new(10, 0, 1, host);
        self
    }
}

/// What one reassembly and its counters make of fragments.
struct Rig {
    reassembly: Reassembly,
    stats: IpStats,
    now: Instant,
}

impl Rig {
    fn new(slots: usize, max_bytes: usize) -> Self {
        Self {
            reassembly: reassembly(slots, max_bytes),
            stats: IpStats::default(),
            now: Instant::from_millis(1),
        }
    }

    fn add(&mut self, piece: &Piece) -> Option<Vec<u8>> {
        let whole = self.add_whole(piece)?;
        Some(whole.payload.parts().flatten().copied().collect())
    }

    fn add_whole(&mut self, piece: &Piece) -> Option<Whole> {
        // As received: behind an IP header.
        let mut payload = Pbuf::alloc(&POOL, 20, piece.data.len()).expect("a buffer");
        payload.copy_from(&piece.data);
        let head = Head {
            src: piece.src,
            dst: US,
            protocol: Protocol::UDP,
            tos: piece.tos,
            ttl: 64,
            ident: piece.ident,
            header_len: piece.header_len,
            payload_len: piece.data.len(),
            place: Some(Place {
                offset: piece.offset,
                more: piece.more,
            }),
        };
        self.now += Duration::from_micros(1);
        let Self {
            reassembly,
            stats,
            now,
        } = self;
        let whole = reassembly.add(stats, *now, NetifId(0), head, Destination::Unicast, payload)?;
        assert_eq!(whole.head.payload_len, whole.payload.tot_len());
        Some(whole)
    }

    fn in_progress(&self) -> usize {
        self.reassembly.iter().count()
    }
}

fn data(len: usize) -> Vec<u8> {
    (0..len).map(|i| (i * 7 + i / 256) as u8).collect()
}

/// A packet cut at multiples of eight, some pieces twice, in some order.
fn cut_up() -> impl Strategy<Value = (Vec<u8>, Vec<Piece>)> {
    (1usize..40, 0usize..8, any::<[bool; 40]>()).prop_flat_map(|(units, tail, cuts)| {
        let whole = data(units * 8 + tail);
        let mut pieces = Vec::new();
        let mut start = 0;
        for unit in 1..=units {
            let end = unit * 8;
            if cuts[unit - 1] && end < whole.len() {
                pieces.push(Piece::new(1, start, true, &whole[start..end]));
                start = end;
            }
        }
        pieces.push(Piece::new(1, start, false, &whole[start..]));
        let again = proptest::collection::vec(0..pieces.len(), 0..4);
        (Just(whole), Just(pieces), again).prop_flat_map(|(whole, mut pieces, again)| {
            for index in again {
                pieces.push(pieces[index].clone());
            }
            (Just(whole), Just(pieces).prop_shuffle())
        })
    })
}

/// The naive model of one packet: each byte or nothing.
#[derive(Default)]
struct Model {
    bytes: std::collections::BTreeMap<usize, u8>,
    total: Option<usize>,
}

#[derive(Debug, PartialEq, Eq)]
enum Expected {
    Whole(Vec<u8>),
    Waits,
    Refused,
}

impl Model {
    fn add(&mut self, piece: &Piece) -> Expected {
        let end = piece.offset + piece.data.len();
        let seen = self.bytes.last_key_value().map_or(0, |(at, _)| at + 1);
        let bad_end = match (self.total, piece.more) {
            (Some(total), true) => end >= total,
            (Some(total), false) => end != total,
            (None, true) => false,
            (None, false) => end < seen,
        };
        let at = |i: usize| self.bytes.get(&(piece.offset + i));
        let overlaps = (0..piece.data.len()).any(|i| at(i).is_some());
        let repeats = (0..piece.data.len()).all(|i| at(i) == Some(&piece.data[i]));
        if bad_end || overlaps && !repeats {
            *self = Self::default();
            return Expected::Refused;
        }
        if overlaps {
            return Expected::Waits;
        }
        if !piece.more {
            self.total = Some(end);
        }
        for (i, byte) in piece.data.iter().enumerate() {
            self.bytes.insert(piece.offset + i, *byte);
        }
        if self.total != Some(self.bytes.len()) {
            return Expected::Waits;
        }
        let whole = self.bytes.values().copied().collect();
        *self = Self::default();
        Expected::Whole(whole)
    }
}

proptest! {
    #[test]
    fn whatever_the_order_the_packet_is_the_same((whole, pieces) in cut_up()) {
        let mut rig = Rig::new(2, 1 << 20);
        let mut results = Vec::new();
        for piece in &pieces {
            results.extend(rig.add(piece));
        }
        // Once, unless repeated pieces start it anew; never anything else. It may need more runs
        // than there are, which is a limit and not a mistake.
        prop_assert!(results.iter().all(|result| *result == whole));
        prop_assert!(!results.is_empty() || rig.stats.reassembly_limits > 0);
        prop_assert_eq!(rig.stats.reassembly_overlaps, 0);
    }

    #[test]
    fn any_fragments_do_as_the_naive_model(
        pieces in proptest::collection::vec(
            (0usize..6, 1usize..5, any::<bool>(), 0u8..2), 1..20
        )
    ) {
        it_does_as_the_naive_model(&mut Rig::new(1, 1 << 20), &pieces);
    }
}

/// A fragment of the streams below: its place and length in units of eight bytes, whether more
/// follow, and what fills it.
type Fragment = (usize, usize, bool, u8);

/// Whatever comes, it does as the naive model. A model checker could choose the fragments; small
/// enough that eight runs always suffice.
fn it_does_as_the_naive_model(rig: &mut Rig, pieces: &[Fragment]) {
    let mut model = Model::default();
    for &(unit, units, more, fill) in pieces {
        // Mostly the same bytes, so that some overlaps are repetitions.
        let (start, end) = (unit * 8, (unit + units) * 8);
        let bytes: Vec<u8> = (start..end).map(|i| i as u8 + fill / 2).collect();
        let piece = Piece::new(1, start, more, bytes);
        let refused = rig.stats.reassembly_overlaps;
        let actual = match rig.add(&piece) {
            Some(whole) => Expected::Whole(whole),
            None if rig.stats.reassembly_overlaps > refused => Expected::Refused,
            None => Expected::Waits,
        };
        assert_eq!(actual, model.add(&piece));
    }
    rig.reassembly.forget(NetifId(0));
}

/// All sequences of four fragments in four places.
#[test]
fn small_cases() {
    let places = (0..4).flat_map(|unit| (1..=4 - unit).map(move |units| (unit, units)));
    let fragments: Vec<Fragment> = places
        .flat_map(|(unit, units)| [true, false].map(|more| (unit, units, more, 0)))
        .collect();
    let mut rig = Rig::new(1, 1 << 20);
    for n in 0..fragments.len().pow(4) {
        let digit = |place| fragments[n / fragments.len().pow(place) % fragments.len()];
        it_does_as_the_naive_model(&mut rig, &[digit(0), digit(1), digit(2), digit(3)]);
    }
}

#[test]
fn fragments_that_contradict_each_other_end_the_packet() {
    let whole = data(64);
    let mut other = whole.clone();
    other[20] ^= 1;
    let p = |offset, more, bytes: &[u8]| Piece::new(1, offset, more, bytes);
    let cases = [
        (
            "other bytes",
            vec![p(0, true, &whole[..32]), p(0, true, &other[..32])],
        ),
        (
            "an overlap by the front",
            vec![p(8, true, &whole[8..32]), p(0, true, &whole[..16])],
        ),
        (
            "an overlap by the back",
            vec![p(0, true, &whole[..32]), p(24, true, &whole[24..48])],
        ),
        (
            "one around another",
            vec![p(8, true, &whole[8..16]), p(0, true, &whole[..32])],
        ),
        (
            "two ends",
            vec![p(32, false, &whole[32..48]), p(48, false, &whole[48..])],
        ),
        (
            "bytes behind the end",
            vec![p(32, false, &whole[32..40]), p(48, true, &whole[48..])],
        ),
        (
            "an end before bytes",
            vec![p(48, true, &whole[48..]), p(32, false, &whole[32..40])],
        ),
        (
            "more behind the end",
            vec![p(32, false, &whole[32..48]), p(32, true, &whole[32..48])],
        ),
    ];
    for (name, pieces) in cases {
        let mut rig = Rig::new(2, 1 << 20);
        for piece in &pieces {
            assert_eq!(rig.add(piece), None, "{name}");
        }
        assert_eq!(rig.stats.reassembly_overlaps, 1, "{name}");
        assert_eq!(rig.in_progress(), 0, "{name}: nothing is kept");
        assert_eq!(rig.reassembly.held, 0, "{name}");
    }
}

#[test]
fn a_packet_may_not_have_too_many_gaps_or_fragments() {
    let mut rig = Rig::new(2, 1 << 20);
    for gap in 0..=MAX_RUNS {
        rig.add(&Piece::new(1, gap * 16, true, data(8)));
    }
    assert_eq!((rig.stats.reassembly_limits, rig.in_progress()), (1, 0));

    for n in 0..=usize::from(MAX_FRAGMENTS) {
        rig.add(&Piece::new(2, n * 8, true, data(8)));
    }
    assert_eq!((rig.stats.reassembly_limits, rig.in_progress()), (2, 0));
}

#[test]
fn blocks_are_counted_whole_and_others_make_room() {
    // Room for four blocks of 256 bytes, whatever part of them is used.
    let mut rig = Rig::new(4, 4 * 256);
    rig.add(&Piece::new(1, 0, true, data(8)).from(1));
    rig.add(&Piece::new(1, 8, true, data(8)).from(1));
    rig.add(&Piece::new(2, 0, true, data(8)).from(2));
    rig.add(&Piece::new(2, 8, true, data(8)).from(2));
    assert_eq!((rig.reassembly.held, rig.in_progress()), (1024, 2));
    // The oldest goes.
    rig.add(&Piece::new(2, 16, true, data(8)).from(2));
    assert_eq!((rig.stats.reassembly_evicted, rig.in_progress()), (1, 1));
    rig.add(&Piece::new(2, 24, true, data(8)).from(2));
    // More than everything is refused.
    rig.add(&Piece::new(2, 32, true, data(8)).from(2));
    assert_eq!((rig.stats.reassembly_limits, rig.in_progress()), (1, 0));
    assert_eq!(rig.reassembly.held, 0);
}

#[test]
fn no_source_keeps_others_out() {
    let mut rig = Rig::new(4, 1 << 20);
    for ident in 0..100 {
        rig.add(&Piece::new(ident, 0, true, data(8)).from(1));
    }
    assert_eq!(rig.in_progress(), 3, "one slot is left for others");
    rig.add(&Piece::new(7, 0, true, data(8)).from(2));
    rig.add(&Piece::new(8, 0, true, data(8)).from(3));
    rig.add(&Piece::new(9, 0, true, data(8)).from(4));
    // What the greedy one had most of went; the others' packets are all still there.
    for (host, ident) in [(2, 7), (3, 8), (4, 9)] {
        let whole = rig.add(&Piece::new(ident, 8, false, data(8)).from(host));
        assert!(whole.is_some(), "of host {host}");
    }
}

#[test]
fn the_time_of_a_packet_ends_once() {
    let mut rig = Rig::new(3, 1 << 20);
    assert_eq!(rig.reassembly.next_deadline(), None);
    rig.add(&Piece::new(1, 0, true, data(8)));
    let deadline = rig.reassembly.next_deadline().expect("a deadline");
    assert_eq!(deadline, rig.now + TIMEOUT);
    rig.now += Duration::from_secs(10);
    rig.add(&Piece::new(1, 8, true, data(8)));
    rig.add(&Piece::new(2, 8, true, data(8)));
    assert_eq!(
        rig.reassembly.next_deadline(),
        Some(deadline),
        "later fragments gain no time"
    );
    let before = deadline - Duration::from_micros(1);
    assert!(rig.reassembly.expired(before).is_none());
    let first = rig.reassembly.expired(deadline).expect("the first packet");
    let first = first.into_received().expect("its first fragment");
    assert_eq!(first.payload.tot_len(), 16);
    assert!(rig.reassembly.expired(deadline).is_none());
    let second = rig
        .reassembly
        .expired(Instant::MAX)
        .expect("the second packet");
    assert!(
        second.into_received().is_none(),
        "its first fragment never came"
    );
    assert_eq!(rig.reassembly.held, 0);
}

#[test]
fn the_first_fragments_header_counts_and_any_fragments_congestion_mark() {
    let mut rig = Rig::new(2, 1 << 20);
    let mut first = Piece::new(1, 0, true, data(8));
    let mut second = Piece::new(1, 8, false, data(8));
    (first.tos, first.header_len) = (0xb8 | 2, 32);
    (second.tos, second.header_len) = (0x20 | 3, 20);
    assert!(rig.add_whole(&second).is_none());
    let whole = rig.add_whole(&first).expect("complete");
    assert_eq!((whole.head.tos, whole.head.header_len), (0xb8 | 3, 32));
}

#[test]
fn options_of_the_first_fragment_count_in_the_length_of_the_whole() {
    for (header_len, whole) in [(20, true), (24, false)] {
        let mut rig = Rig::new(2, 1 << 20);
        let bytes = data(65_515);
        let mut pieces = Vec::new();
        for (i, piece) in bytes.chunks(1480).enumerate() {
            let end = i * 1480 + piece.len();
            pieces.push(Piece::new(1, i * 1480, end < bytes.len(), piece));
        }
        pieces[0].header_len = header_len;
        let results: Vec<_> = pieces.iter().filter_map(|piece| rig.add(piece)).collect();
        assert_eq!(
            results.len(),
            usize::from(whole),
            "a header of {header_len}"
        );
        assert_eq!(rig.in_progress(), 0);
    }
}
