//! The scoreboard against a model that knows the state of every byte.
use proptest::prelude::*;

use super::*;
use crate::tcp::sent_store::SentSlot;

fn store(slots: usize, connections: usize) -> SentStore {
    let slots: Vec<_> = (0..slots).map(|_| SentSlot::new()).collect();
    SentStore::new(slots.leak(), connections)
}

/// Numbers start just before the wrap.
fn seq(n: u32) -> SeqNum {
    SeqNum(u32::MAX - 30) + n
}

fn record(end: u32, micros: u64) -> Record {
    Record::new(seq(end), Instant::from_micros(micros))
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Byte {
    is: Whereabouts,
    sent: Sent,
    at: Stamp,
}

#[derive(Clone, Debug)]
enum Op {
    Send(u32),
    Ack(u32),
    Sack(u32, u32),
    Again(u32, u32),
    Lose(u64),
    Forgive,
    Renege,
}

fn op() -> impl Strategy<Value = Op> {
    prop_oneof![
        4 => (1..20u32).prop_map(Op::Send),
        2 => (0..60u32).prop_map(Op::Ack),
        3 => (0..200u32, 1..60u32).prop_map(|(from, len)| Op::Sack(from, len)),
        2 => (0..200u32, 1..30u32).prop_map(|(from, len)| Op::Again(from, len)),
        2 => (0..20u64).prop_map(Op::Lose),
        1 => Just(Op::Forgive),
        1 => Just(Op::Renege),
    ]
}

/// The model: the bytes from `una` on.
#[derive(Default)]
struct Model {
    una: u32,
    bytes: Vec<Byte>,
}

impl Model {
    fn nxt(&self) -> u32 {
        self.una + self.bytes.len() as u32
    }

    fn range(&mut self, from: u32, to: u32) -> &mut [Byte] {
        let clip = |n: u32| n.clamp(self.una, self.una + self.bytes.len() as u32) - self.una;
        let (from, to) = (clip(from) as usize, clip(to) as usize);
        &mut self.bytes[from..to.max(from)]
    }

    fn count(&self, is: Whereabouts) -> u32 {
        self.bytes.iter().filter(|byte| byte.is == is).count() as u32
    }
}

fn run(ops: &[Op], slots: usize) -> (Model, Scoreboard, SentStore) {
    let mut store = store(slots, 1);
    let mut board = Scoreboard::EMPTY;
    let mut model = Model::default();
    for (i, op) in ops.iter().enumerate() {
        let now = 1_000 + i as u64;
        match *op {
            Op::Send(len) => {
                board.refresh(&store, 20);
                let len = len.min(board.room());
                if len == 0 {
                    continue;
                }
                let (start, end) = (model.nxt(), model.nxt() + len);
                board.push(&mut store, seq(start), record(end, now), 20);
                let byte = Byte {
                    is: Whereabouts::Flying,
                    sent: Sent::Once,
                    at: record(end, now).at,
                };
                model.bytes.extend((0..len).map(|_| byte));
            }
            Op::Ack(len) => {
                let len = len.min(model.bytes.len() as u32);
                let fresh = model.bytes[..len as usize]
                    .iter()
                    .filter(|byte| byte.is != Whereabouts::Sacked)
                    .count() as u32;
                let mut told = 0;
                model.bytes.drain(..len as usize);
                model.una += len;
                board.acknowledge(&mut store, seq(model.una), |start, record| {
                    told += record.end.since(start);
                });
                if slots > 1000 {
                    assert_eq!(told, fresh);
                }
            }
            Op::Sack(from, len) => {
                let (from, to) = (model.una + from, (model.una + from + len).min(model.nxt()));
                if from < to {
                    let mut told = 0;
                    board.sack(&mut store, seq(from), seq(to), |start, record| {
                        told += record.end.since(start);
                    });
                    let bytes = model.range(from, to);
                    let fresh = bytes.iter().filter(|b| b.is != Whereabouts::Sacked).count();
                    assert!(told as usize <= fresh || slots <= 1000);
                    bytes
                        .iter_mut()
                        .for_each(|byte| byte.is = Whereabouts::Sacked);
                }
            }
            Op::Again(from, len) => {
                let (from, to) = (model.una + from, (model.una + from + len).min(model.nxt()));
                if from < to {
                    let sent = record(to, now);
                    board.sent_again(&mut store, seq(from), seq(to), sent);
                    for byte in model.range(from, to) {
                        if byte.is != Whereabouts::Sacked {
                            (byte.is, byte.sent, byte.at) =
                                (Whereabouts::Flying, Sent::Again, sent.at);
                        }
                    }
                }
            }
            Op::Lose(age) => {
                let before = record(0, now.saturating_sub(age)).at;
                board.mark_missing(&mut store, |_, record| before.after(record.at));
                for byte in &mut model.bytes {
                    if byte.is == Whereabouts::Flying && before.after(byte.at) {
                        byte.is = Whereabouts::Missing;
                    }
                }
            }
            Op::Forgive => {
                board.forgive(&mut store);
                for byte in &mut model.bytes {
                    if byte.is == Whereabouts::Missing {
                        byte.is = Whereabouts::Flying;
                    }
                }
            }
            Op::Renege => {
                board.renege(&mut store);
                for byte in &mut model.bytes {
                    if byte.is == Whereabouts::Sacked {
                        byte.is = Whereabouts::Flying;
                    }
                }
            }
        }
        check(&board, &store, &model, slots);
    }
    (model, board, store)
}

fn check(board: &Scoreboard, store: &SentStore, model: &Model, slots: usize) {
    let mut at = model.una;
    let (mut sacked, mut missing, mut segments, mut repeated) = (0, 0, 0, 0);
    let mut first_missing = None;
    for (start, record) in board.records(store) {
        assert_eq!(start, seq(at), "records leave no gap");
        let len = record.end.since(start);
        assert!(len > 0 && len <= 1_000);
        match record.is {
            Whereabouts::Sacked => (sacked, segments) = (sacked + len, segments + 1),
            Whereabouts::Missing => {
                missing += len;
                first_missing = first_missing.or(Some((start, record.end)));
            }
            Whereabouts::Flying => {}
        }
        repeated += u16::from(record.sent == Sent::Again);
        at += len;
    }
    assert_eq!(at, model.nxt(), "records cover what is in flight");
    assert_eq!((board.sacked, board.missing), (sacked, missing));
    assert_eq!(
        (board.sacked_segments, board.repeated),
        (segments, repeated)
    );
    assert_eq!(board.resend(), first_missing);
    assert_eq!(
        board.pipe(model.bytes.len() as u32),
        model.bytes.len() as u32 - sacked - missing
    );
    let used = board.records(store).count();
    assert_eq!(store.free_count + used, slots, "no record is lost");
    if slots > 1_000 {
        // Records enough: every byte is where the model has it.
        let bytes = board.records(store).flat_map(|(start, record)| {
            let byte = Byte {
                is: record.is,
                sent: record.sent,
                at: record.at,
            };
            (0..record.end.since(start)).map(move |_| byte)
        });
        assert!(bytes.eq(model.bytes.iter().copied()));
    } else {
        // What is not believed is sent again needlessly, never the other way round.
        assert!(sacked <= model.count(Whereabouts::Sacked));
    }
}

proptest! {
    #[test]
    fn with_records_enough_it_knows_every_byte(ops in prop::collection::vec(op(), 0..80)) {
        let (_, mut board, mut store) = run(&ops, 2_000);
        board.clear(&mut store);
        prop_assert_eq!((store.free_count, store.holders), (2_000, 0));
    }

    #[test]
    fn with_few_records_it_stays_consistent(
        ops in prop::collection::vec(op(), 0..80),
        slots in 1..8usize,
    ) {
        let (_, mut board, mut store) = run(&ops, slots);
        board.clear(&mut store);
        prop_assert_eq!((store.free_count, store.holders), (slots, 0));
    }
}

/// All sequences of four small operations, after two segments were sent. A model checker could
/// choose them.
#[test]
fn small_cases() {
    let small = [
        Op::Send(2),
        Op::Ack(1),
        Op::Ack(3),
        Op::Sack(1, 1),
        Op::Sack(2, 3),
        Op::Again(0, 2),
        Op::Again(1, 3),
        Op::Lose(1),
        Op::Forgive,
        Op::Renege,
    ];
    for n in 0..small.len().pow(4) {
        let mut ops = vec![Op::Send(3), Op::Send(2)];
        let mut digits = n;
        for _ in 0..4 {
            ops.push(small[digits % small.len()].clone());
            digits /= small.len();
        }
        for slots in [2_000, 3] {
            let (_, mut board, mut store) = run(&ops, slots);
            board.clear(&mut store);
            assert_eq!((store.free_count, store.holders), (slots, 0));
        }
    }
}

#[test]
fn every_connection_gets_one_record_however_many_another_wants() {
    let mut store = store(4, 3);
    let (mut greedy, mut late) = (Scoreboard::EMPTY, Scoreboard::EMPTY);
    for n in 0..10 {
        greedy.refresh(&store, 100);
        if greedy.room() >= 10 {
            greedy.push(&mut store, seq(n * 10), record(n * 10 + 10, 1), 100);
        }
    }
    // Two records of its own; the last grew up to a segment.
    assert_eq!(greedy.records(&store).count(), 2);
    assert_eq!(
        greedy.last(&store).map(|(_, record)| record.end),
        Some(seq(100))
    );
    late.push(&mut store, seq(0), record(10, 1), 100);
    assert_eq!(late.records(&store).count(), 1);
    assert_eq!(late.room(), 90);
}

#[test]
fn a_store_with_fewer_records_than_connections_is_not_used() {
    assert!(!store(2, 3).is_sufficient());
    assert!(store(3, 3).is_sufficient());
}
