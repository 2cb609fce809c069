//! The queue of data that came too early, against a model that knows which bytes of the stream are
//! there. The properties are functions of small numbers; the drivers go through all sequences of
//! three small segments, and through random longer ones. A model checker could call them too.
#![allow(unsafe_code, reason = "what `pbuf_pool!` expands to in its own crate")]
use proptest::prelude::*;

use super::*;

crate::pbuf_pool! { static POOL: [64; 256] + refs 256 }

/// A segment: where it begins in the stream, and its length.
type Segment = (u8, u8);

/// Byte `n` of the stream.
fn byte(n: u32) -> u8 {
    (n * 37 + 11) as u8
}

fn pbuf(start: u32, len: u32) -> Pbuf {
    let bytes: Vec<u8> = (start..start + len).map(byte).collect();
    let mut p = Pbuf::alloc(&POOL, 0, bytes.len()).expect("a buffer");
    p.copy_from(&bytes);
    p
}

fn config(runs: u16, buffers: u16) -> TcpConfig {
    TcpConfig {
        max_out_of_order_runs: runs,
        max_out_of_order_buffers: buffers,
        ..TcpConfig::default()
    }
}

/// The queue of one connection whose stream begins at `base`.
struct Queue<'a> {
    runs: &'a mut Runs,
    list: RunList,
    base: SeqNum,
}

impl<'a> Queue<'a> {
    fn new(runs: &'a mut Runs, base: u32) -> Self {
        Self {
            runs,
            list: RunList::EMPTY,
            base: SeqNum(base),
        }
    }

    fn insert(&mut self, (start, len): Segment, fin: bool, config: &TcpConfig) -> Stored {
        let (start, len) = (u32::from(start), u32::from(len));
        let data = pbuf(start, len);
        let seq = self.base + start;
        self.runs.insert(&mut self.list, seq, data, fin, config)
    }

    /// The runs, as places in the stream.
    fn ranges(&self) -> Vec<(u32, u32)> {
        let ranges = self.runs.ranges(&self.list);
        ranges
            .map(|(start, end)| (start.since(self.base), end.since(self.base)))
            .collect()
    }

    /// All bytes that are there have their right values; how many buffers they are in.
    fn check_bytes(&self) -> usize {
        let mut parts = 0;
        for run in self.runs.runs_from(self.list.head()) {
            let start = run.seq.since(self.base);
            let bytes = bytes_of(&run.data);
            assert!(bytes.iter().zip(start..).all(|(is, n)| *is == byte(n)));
            parts += run.data.parts();
        }
        assert_eq!(parts, self.list.parts);
        assert!(self.runs.is_indexed(&self.list));
        parts
    }
}

fn bytes_of(data: &Chain) -> Vec<u8> {
    let mut bytes = vec![0; data.len()];
    data.copy_to(0, &mut bytes);
    bytes
}

/// Slots for a queue.
fn slots() -> Runs {
    many_slots(16)
}

fn many_slots(n: usize) -> Runs {
    let slots: Vec<_> = (0..n).map(|_| RunSlot::new()).collect();
    Runs::new(slots.leak(), &mut |seed| seed.fill(7))
}

/// The bytes that are there, as runs; an end of stream whose last byte is missing is an empty one.
fn runs_of(bytes: &[bool], fin: bool) -> Vec<(u32, u32)> {
    let mut runs: Vec<(u32, u32)> = Vec::new();
    for (n, _) in (0..).zip(bytes).filter(|(_, is_there)| **is_there) {
        match runs.last_mut() {
            Some((_, end)) if *end == n => *end += 1,
            _ => runs.push((n, n + 1)),
        }
    }
    let len = bytes.len() as u32;
    if fin && runs.last().is_none_or(|(_, end)| *end != len) {
        runs.push((len, len));
    }
    runs
}

/// With room enough it has exactly the bytes that arrived, and gives them out in order. The stream
/// ends with byte `len`; segments that reach there carry the FIN.
fn it_has_what_arrived(runs: &mut Runs, base: u32, len: u8, segments: &[Segment]) {
    let config = config(16, 1_000);
    let mut queue = Queue::new(runs, base);
    let mut bytes = vec![false; len.into()];
    let mut fin = false;
    for &(start, wanted) in segments {
        // The first byte is the one that is missing.
        let start = start.clamp(1, len);
        let n = wanted.min(len - start);
        let ends = start + n == len;
        if n == 0 && !ends {
            continue;
        }
        assert_eq!(queue.insert((start, n), ends, &config), Stored::Kept);
        bytes[usize::from(start)..usize::from(start + n)].fill(true);
        fin |= ends;
        assert_eq!(queue.ranges(), runs_of(&bytes, fin));
        queue.check_bytes();
    }
    // The first byte comes, and with it what adjoins.
    let ready = bytes[1..].iter().take_while(|is_there| **is_there).count();
    let last = fin && ready + 1 == usize::from(len);
    match queue.runs.take_ready(&mut queue.list, queue.base + 1) {
        Some((data, fin)) => {
            let expected: Vec<u8> = (1..1 + ready as u32).map(byte).collect();
            assert_eq!((bytes_of(&data), fin), (expected, last));
        }
        None => assert!(ready == 0 && !last),
    }
    queue.runs.clear(&mut queue.list);
    assert_eq!(POOL.available(), POOL.blocks());
}

/// Whatever the caps are, they hold; what was kept stays, and no byte is wrong.
fn caps_hold_and_what_is_kept_stays(
    runs: &mut Runs,
    (max_runs, max_buffers): (u16, u8),
    segments: &[Segment],
) {
    let config = config(max_runs, max_buffers.into());
    let mut queue = Queue::new(runs, u32::MAX - 5);
    let mut kept = [false; 512];
    for &(start, len) in segments {
        let stored = queue.insert((start, len.max(1)), false, &config);
        let ranges = queue.ranges();
        assert!(ranges.len() <= max_runs.into());
        assert!(queue.check_bytes() <= max_buffers.into());
        assert!(
            ranges.windows(2).all(|two| two[0].1 < two[1].0),
            "{ranges:?}"
        );
        let mut now = [false; 512];
        for (start, end) in ranges {
            now[start as usize..end as usize].fill(true);
        }
        let lost = kept.iter().zip(now).any(|(before, now)| *before && !now);
        assert!(!lost, "what was acknowledged selectively is gone");
        if stored == Stored::Kept {
            let all = usize::from(start)..usize::from(start) + usize::from(len.max(1));
            assert!(now[all].iter().all(|is_there| *is_there));
        }
        kept = now;
    }
    queue.runs.clear(&mut queue.list);
}

/// Both use all of the pool.
fn alone() -> std::sync::MutexGuard<'static, ()> {
    static ONE: std::sync::Mutex<()> = std::sync::Mutex::new(());
    ONE.lock()
        .unwrap_or_else(std::sync::PoisonError::into_inner)
}

/// All sequences of `n` segments within a stream of `len` bytes.
fn all(len: u8, n: usize, property: &mut dyn FnMut(&[Segment])) {
    fn go(len: u8, n: usize, so_far: &mut Vec<Segment>, property: &mut dyn FnMut(&[Segment])) {
        if n == 0 {
            return property(so_far);
        }
        for start in 1..=len {
            for n_bytes in 0..=len - start {
                so_far.push((start, n_bytes));
                go(len, n - 1, so_far, property);
                so_far.pop();
            }
        }
    }
    go(len, n, &mut Vec::new(), property);
}

#[test]
fn small_cases() {
    let _alone = alone();
    let mut runs = slots();
    for base in [0, u32::MAX - 2] {
        all(6, 3, &mut |segments| {
            it_has_what_arrived(&mut runs, base, 6, segments)
        });
    }
    for caps in [(0, 4), (1, 1), (1, 4), (2, 2), (3, 2)] {
        all(6, 3, &mut |segments| {
            caps_hold_and_what_is_kept_stays(&mut runs, caps, segments);
        });
    }
}

/// Every second byte of a stream, in an order that jumps about, then what is between them, in
/// another: the runs are in order all the time, and few are on the sparse lists that a search
/// walks first.
#[test]
fn many_runs_are_found_by_few_steps() {
    let _alone = alone();
    let mut runs = many_slots(200);
    let config = config(200, 1_000);
    let mut queue = Queue::new(&mut runs, u32::MAX - 99);
    // Below 256, for places in a stream are bytes here; 7 and 11 are prime to 120.
    for n in (0..120).map(|n| (n * 7 % 120) as u8) {
        assert_eq!(queue.insert((2 * n + 1, 1), false, &config), Stored::Kept);
        queue.check_bytes();
    }
    let expected: Vec<_> = (0..120).map(|n| (2 * n + 1, 2 * n + 2)).collect();
    assert_eq!(queue.ranges(), expected);
    let on = |level| queue.runs.on_level(&queue.list, level).count();
    assert_eq!(on(0), 120);
    assert!((5..30).contains(&on(1)), "{}", on(1));
    assert!(on(2) < 8, "{}", on(2));
    for n in (0..119).map(|n| (n * 11 % 119) as u8) {
        assert_eq!(queue.insert((2 * n + 2, 1), false, &config), Stored::Kept);
        queue.check_bytes();
    }
    assert_eq!(queue.ranges(), [(1, 240)]);
    queue.runs.clear(&mut queue.list);
    assert!(queue.runs.is_indexed(&queue.list));
}

proptest! {
    #[test]
    fn large_cases(
        base: u32,
        len in 1..120u8,
        segments in prop::collection::vec((1..120u8, 0..40u8), 0..30),
        runs in 0..6u16,
        buffers in 0..12u8,
    ) {
        let _alone = alone();
        let few = &segments[..segments.len().min(15)];
        it_has_what_arrived(&mut slots(), base, len, few);
        caps_hold_and_what_is_kept_stays(&mut slots(), (runs, buffers), &segments);
    }
}
