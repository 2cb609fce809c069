//! Buffers that wander between threads.
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread;

use super::*;

const THREADS: usize = 4;
const ROUNDS: u32 = 5_000;

/// Makes, sends on, checks and drops buffers; returns how many it could not get.
fn wander(pool: &'static Pool, id: u8, next: &Sender<Pbuf>, inbox: &Receiver<Pbuf>) -> u32 {
    let mut misses = 0;
    for round in 0..ROUNDS {
        let byte = id ^ round as u8;
        match Pbuf::alloc(pool, 4, 40) {
            Ok(mut pbuf) => {
                assert!(pbuf.is_unique(), "fresh");
                assert_eq!(pbuf.copy_from(&[byte; 40]), 40);
                if let Ok(view) = pbuf.slice(8, 30) {
                    // Two threads may now drop the last view at the same time.
                    let _ = next.send(view);
                }
                if let Ok(Some(rest)) = pbuf.split_off(20) {
                    let _ = next.send(rest);
                }
                assert!(bytes(&pbuf).iter().all(|got| *got == byte), "overwritten");
            }
            Err(NoBufs) => {
                misses += 1;
                thread::yield_now();
            }
        }
        for mut view in inbox.try_iter().take(3) {
            let byte = view.data()[0];
            assert!(bytes(&view).iter().all(|got| *got == byte), "torn");
            // Unique or not is decided while the others drop theirs.
            if let Some(room) = view.data_mut() {
                room.fill(!byte);
                assert!(view.data().iter().all(|got| *got == !byte), "not alone");
            }
        }
    }
    misses
}

#[test]
fn nothing_is_lost_torn_or_shared_by_mistake() {
    pbuf_pool! { static POOL: [64; 20] + refs 40 }
    let (senders, inboxes): (Vec<_>, Vec<_>) = (0..THREADS).map(|_| channel()).unzip();
    let misses: u32 = thread::scope(|scope| {
        let threads: Vec<_> = inboxes
            .into_iter()
            .enumerate()
            .map(|(id, inbox)| {
                let next = senders[(id + 1) % THREADS].clone();
                scope.spawn(move || wander(&POOL, id as u8 * 16, &next, &inbox))
            })
            .collect();
        drop(senders);
        threads
            .into_iter()
            .map(|t| t.join().expect("no panic"))
            .sum()
    });
    // Otherwise nothing was tested.
    assert!(misses < THREADS as u32 * ROUNDS);
    assert_at_rest(&POOL);
    // Every block is still there.
    let all: Vec<_> = (0..20).map(|_| filled(&POOL, 0, b"x")).collect();
    assert_eq!(POOL.available(), 0);
    drop(all);
}

#[test]
fn everybody_gets_through_the_last_block() {
    pbuf_pool! { static POOL: [32; 1] }
    let turns: u32 = thread::scope(|scope| {
        let work = |id: u8| {
            (0..ROUNDS)
                .filter(|_| {
                    let Ok(mut pbuf) = Pbuf::alloc(&POOL, 0, 32) else {
                        thread::yield_now();
                        return false;
                    };
                    pbuf.copy_from(&[id; 32]);
                    thread::yield_now();
                    assert_eq!(pbuf.data(), [id; 32], "two owners");
                    true
                })
                .count() as u32
        };
        let threads: Vec<_> = (0..THREADS as u8)
            .map(|id| scope.spawn(move || work(id)))
            .collect();
        threads
            .into_iter()
            .map(|t| t.join().expect("no panic"))
            .sum()
    });
    assert!(turns > 0);
    assert_at_rest(&POOL);
}
