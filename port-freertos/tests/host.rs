//! Host threads, the allocator and standard output beside tasks; on either simulator port.
use std::cell::Cell;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering::Relaxed};
use std::time::{Duration, Instant};

use critical_section::Mutex;
use gannet_port_freertos::{Event, Priority, delay, host, run, spawn};

gannet_port_freertos::host!();

/// Tasks of three priorities, an outside thread or two, one counter that is no atomic.
#[test]
fn critical_sections_exclude_tasks_and_host_threads() {
    static SUM: Mutex<Cell<u32>> = Mutex::new(Cell::new(0));
    static STOP: AtomicBool = AtomicBool::new(false);
    fn add() {
        critical_section::with(|cs| {
            let sum = SUM.borrow(cs);
            critical_section::with(|_| sum.set(sum.get() + 1)); // nests
        });
    }
    let per_task = if cfg!(feature = "stock-port") {
        5_000
    } else {
        100_000
    };
    let outside = run(move || {
        let threads: Vec<_> = (0..2)
            .map(|_| {
                host::masked(|| {
                    std::thread::spawn(|| {
                        host::block_signals();
                        let mut added = 0;
                        while !STOP.load(Relaxed) {
                            add();
                            added += 1;
                        }
                        added
                    })
                })
            })
            .collect();
        let done: Vec<_> = (1..=3)
            .map(|priority| {
                let done = Arc::new(Event::new().unwrap());
                let signal = Arc::clone(&done);
                spawn("adder", Priority(priority), 512, move || {
                    for i in 0..per_task {
                        add();
                        if i % 1_000 == 0 {
                            delay(Duration::from_millis(1));
                        }
                    }
                    signal.signal();
                })
                .unwrap();
                done
            })
            .collect();
        for event in done {
            assert!(event.wait(None));
        }
        STOP.store(true, Relaxed);
        threads
            .into_iter()
            .map(|thread| thread.join().unwrap())
            .sum::<u32>()
    });
    let sum = critical_section::with(|cs| SUM.borrow(cs).get());
    assert_eq!(sum, outside + 3 * per_task);
}

/// Without the guarded allocator this stands still within a second: a preempted task holds the
/// allocator's lock, and a task of higher priority waits for it inside Linux.
#[test]
fn tasks_of_all_priorities_allocate_and_print_without_a_deadlock() {
    const TASKS: usize = 24;
    static ROUNDS: [AtomicU32; TASKS] = [const { AtomicU32::new(0) }; TASKS];
    static SHELF: [Mutex<Cell<Option<Vec<u8>>>>; TASKS] =
        [const { Mutex::new(Cell::new(None)) }; TASKS];
    static FINISHED: AtomicBool = AtomicBool::new(false);
    let rounds = || {
        ROUNDS
            .iter()
            .map(|rounds| rounds.load(Relaxed))
            .sum::<u32>()
    };
    // In a deadlock the test's own task stands still too, so somebody outside has to notice.
    let watchdog = std::thread::spawn(move || {
        host::block_signals();
        let (mut last, mut since) = (0, Instant::now());
        while !FINISHED.load(Relaxed) {
            std::thread::sleep(Duration::from_millis(20));
            let now = rounds();
            if now != last {
                (last, since) = (now, Instant::now());
            }
            if since.elapsed() > Duration::from_secs(20) {
                // Not `panic!`: the lock of standard error may be in the deadlock.
                std::process::abort();
            }
        }
    });
    run(|| {
        for (i, rounds) in ROUNDS.iter().enumerate() {
            spawn("allocates", Priority(1 + i as u8 % 5), 512, move || {
                let mut random = i as u32 * 7_919 + 1;
                loop {
                    for _ in 0..50 {
                        random ^= random << 13;
                        random ^= random >> 17;
                        random ^= random << 5;
                        // Freed by another task than the one that allocated.
                        let new = vec![i as u8; 1_500 + random as usize % 3_000];
                        let place = &SHELF[random as usize % TASKS];
                        let old = critical_section::with(|cs| place.borrow(cs).replace(Some(new)));
                        drop(old);
                    }
                    log::debug!("task {i}");
                    host::masked(|| eprint!("")); // takes the lock
                    rounds.fetch_add(1, Relaxed);
                    delay(Duration::from_millis(1 + u64::from(random % 3)));
                }
            })
            .unwrap();
        }
        let start = Instant::now();
        while start.elapsed() < Duration::from_secs(2) {
            delay(Duration::from_millis(50));
        }
        for (i, rounds) in ROUNDS.iter().enumerate() {
            assert!(rounds.load(Relaxed) > 1, "task {i} stands still");
        }
    });
    FINISHED.store(true, Relaxed);
    watchdog.join().unwrap();
}
