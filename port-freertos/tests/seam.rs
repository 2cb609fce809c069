//! The OS seam's contract: events, time, delays, interrupts, the heap; on either simulator port.
use std::alloc::{GlobalAlloc, Layout};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering::Relaxed};
use std::time::Duration;

use embedded_hal::delay::DelayNs;
use gannet_netconn::sys::{EventId, Sys};
use gannet_port_freertos::interrupt::{self, Line};
use gannet_port_freertos::{
    Delay, Event, FreeRtos, Heap, Priority, Task, counters, delay, host, now, run, spawn,
};

gannet_port_freertos::host!();

const LONG: Option<Duration> = Some(Duration::from_secs(60));
const NONE: Option<Duration> = Some(Duration::ZERO);

/// An interrupt is taken at once, unless it hits a thread of the test harness, which passes it on.
fn wait_until(condition: impl Fn() -> bool) {
    let start = std::time::Instant::now();
    while !condition() {
        assert!(start.elapsed() < LONG.unwrap(), "waited in vain");
        std::hint::spin_loop();
    }
}

fn event() -> EventId {
    FreeRtos.event_new().unwrap()
}

#[test]
fn a_new_event_is_not_signalled() {
    run(|| assert!(!FreeRtos.event_wait(event(), NONE)));
}

#[test]
fn a_signal_is_remembered_and_a_second_one_merges() {
    run(|| {
        let event = event();
        FreeRtos.event_signal(event);
        FreeRtos.event_signal(event);
        assert!(FreeRtos.event_wait(event, None));
        assert!(!FreeRtos.event_wait(event, NONE));
    });
}

#[test]
fn a_signal_wakes_one_of_two_waiters() {
    static WOKEN: AtomicU32 = AtomicU32::new(0);
    run(|| {
        let event = event();
        for _ in 0..2 {
            spawn("waiter", Priority(5), 512, move || {
                FreeRtos.event_wait(event, None);
                WOKEN.fetch_add(1, Relaxed);
            })
            .unwrap();
        }
        assert_eq!(WOKEN.load(Relaxed), 0);
        FreeRtos.event_signal(event);
        assert_eq!(WOKEN.load(Relaxed), 1);
        FreeRtos.event_signal(event);
        assert_eq!(WOKEN.load(Relaxed), 2);
    });
}

#[test]
fn a_wait_is_never_shorter_than_its_timeout() {
    run(|| {
        let event = event();
        for nanos in [
            1, 300_001, 999_999, 1_000_000, 1_001_000, 1_500_000, 7_777_777,
        ] {
            let timeout = Duration::from_nanos(nanos);
            let start = now();
            assert!(!FreeRtos.event_wait(event, Some(timeout)));
            assert!(now().saturating_since(start) >= timeout);
        }
    });
}

#[test]
fn waiting_out_a_timeout_switches_no_more_than_once() {
    run(|| {
        let event = event();
        let me = Task::current();
        // SAFETY: this task runs.
        let switches = || unsafe { counters::switches_to(me) };
        let before = switches();
        FreeRtos.event_wait(event, Some(Duration::from_millis(30)));
        // A busy wait, or one that polls each tick, would be more.
        assert!(switches() - before <= 2, "{} switches", switches() - before);
    });
}

#[test]
fn a_signal_ends_a_wait_early() {
    run(|| {
        let event = event();
        spawn("signaller", Priority(2), 512, move || {
            delay(Duration::from_millis(2));
            FreeRtos.event_signal(event);
        })
        .unwrap();
        assert!(FreeRtos.event_wait(event, LONG));
    });
}

#[test]
fn a_huge_timeout_is_no_overflow() {
    run(|| {
        let event = event();
        spawn("signaller", Priority(2), 512, move || {
            FreeRtos.event_signal(event)
        })
        .unwrap();
        assert!(FreeRtos.event_wait(event, Some(Duration::MAX)));
    });
}

#[test]
fn time_never_goes_back() {
    run(|| {
        let mut last = now();
        for _ in 0..100_000 {
            let time = now();
            assert!(time >= last);
            last = time;
        }
    });
}

#[test]
fn delays_last_at_least_as_long() {
    run(|| {
        for (micros, wait) in [
            (3_000, (|| Delay.delay_ms(3)) as fn()),
            (2_500, || Delay.delay_us(2_500)),
            (1_000, || Delay.delay_ns(1_000_000)),
            (2, || Delay.delay_ns(1_001)),
            (0, || Delay.delay_ns(0)),
        ] {
            let (seam, host) = (now(), std::time::Instant::now());
            wait();
            let least = Duration::from_micros(micros);
            assert!(now().saturating_since(seam) >= least);
            // The stock port's ticks are not the host's time.
            assert!(cfg!(feature = "stock-port") || host.elapsed() >= least);
        }
    });
}

#[test]
fn others_run_during_a_delay() {
    static RAN: AtomicBool = AtomicBool::new(false);
    run(|| {
        spawn("lower", Priority(1), 512, || RAN.store(true, Relaxed)).unwrap();
        assert!(!RAN.load(Relaxed));
        let start = now();
        while !RAN.load(Relaxed) {
            assert!(
                now().saturating_since(start) < LONG.unwrap(),
                "it never ran"
            );
            delay(Duration::from_millis(2));
        }
    });
}

#[test]
fn an_interrupt_signals_an_event_and_switches() {
    static EVENT: OnceLock<usize> = OnceLock::new();
    static WOKEN: AtomicU32 = AtomicU32::new(0);
    run(|| {
        let event = event();
        EVENT.set(event.0).unwrap();
        spawn("waiter", Priority(5), 512, move || {
            loop {
                FreeRtos.event_wait(event, None);
                WOKEN.fetch_add(1, Relaxed);
            }
        })
        .unwrap();
        let line = Line::new(3).unwrap();
        interrupt::install(line, || {
            assert!(FreeRtos.in_interrupt());
            FreeRtos.event_signal_from_isr(EventId(*EVENT.get().unwrap()));
        });
        assert!(!FreeRtos.in_interrupt());
        let before = counters::event_signals();
        for i in 1..=100 {
            interrupt::raise(line);
            wait_until(|| WOKEN.load(Relaxed) == i);
        }
        assert!(counters::event_signals().wrapping_sub(before) >= 100);
    });
}

#[test]
fn an_interrupt_in_a_critical_section_waits_for_its_end() {
    static TAKEN: AtomicU32 = AtomicU32::new(0);
    run(|| {
        let line = Line::new(4).unwrap();
        interrupt::install(line, || {
            critical_section::with(|_| TAKEN.fetch_add(1, Relaxed)); // nests in a handler
        });
        for i in 0..100 {
            critical_section::with(|_| {
                interrupt::raise(line);
                assert_eq!(TAKEN.load(Relaxed), i);
            });
            wait_until(|| TAKEN.load(Relaxed) == i + 1);
        }
    });
}

#[test]
fn an_interrupt_before_the_scheduler_starts_is_served_when_it_does() {
    static TAKEN: AtomicU32 = AtomicU32::new(0);
    let line = Line::new(5).unwrap();
    // Handlers are removed at the end of each run, and another test's may end in between.
    for _ in 0..100 {
        interrupt::install(line, || {
            TAKEN.fetch_add(1, Relaxed);
        });
        interrupt::raise(line);
        run(|| delay(Duration::from_millis(3)));
        if TAKEN.load(Relaxed) > 0 {
            return;
        }
    }
    panic!("lost");
}

/// A host thread raises an interrupt for each event and waits for the task's answer: a lost one
/// would stop the exchange. On a busy machine it ends before all events, for time's sake.
#[test]
fn no_interrupt_is_lost() {
    const EVENTS: u32 = 100_000;
    const LEAST: u32 = 100;
    static ASKED: AtomicU32 = AtomicU32::new(0);
    static ANSWERED: AtomicU32 = AtomicU32::new(0);
    static FINISHED: AtomicBool = AtomicBool::new(false);
    static BELL: OnceLock<usize> = OnceLock::new();
    let line = Line::new(6).unwrap();
    run(move || {
        let bell = event();
        BELL.set(bell.0).unwrap();
        interrupt::install(line, || {
            FreeRtos.event_signal_from_isr(EventId(*BELL.get().unwrap()));
        });
        // Tasks that switch all the time, so that interrupts meet every moment of a switch.
        let (ping, pong) = (event(), event());
        spawn("ping", Priority(1), 512, move || {
            loop {
                FreeRtos.event_signal(ping);
                FreeRtos.event_wait(pong, None);
            }
        })
        .unwrap();
        spawn("pong", Priority(2), 512, move || {
            loop {
                FreeRtos.event_wait(ping, None);
                FreeRtos.event_signal(pong);
            }
        })
        .unwrap();
        let host = host::masked(|| {
            std::thread::spawn(move || {
                host::block_signals();
                let start = std::time::Instant::now();
                for i in 1..=EVENTS {
                    if i > LEAST && start.elapsed() > Duration::from_secs(3) {
                        break;
                    }
                    ASKED.store(i, Relaxed);
                    interrupt::raise(line);
                    while ANSWERED.load(Relaxed) != i {
                        std::thread::yield_now();
                    }
                }
                FINISHED.store(true, Relaxed);
                interrupt::raise(line);
            })
        });
        while !FINISHED.load(Relaxed) {
            assert!(
                FreeRtos.event_wait(bell, LONG),
                "lost after {}",
                ANSWERED.load(Relaxed)
            );
            ANSWERED.store(ASKED.load(Relaxed), Relaxed);
        }
        assert!(ANSWERED.load(Relaxed) >= LEAST);
        host.join().unwrap();
    });
}

#[test]
fn an_event_of_ones_own() {
    run(|| {
        let event = Event::new().unwrap();
        event.signal();
        assert!(event.wait(NONE));
        assert!(!event.wait(NONE));
    });
}

#[test]
fn an_event_of_an_earlier_run_is_refused() {
    let (old, own) = run(|| (event(), Event::new().unwrap()));
    let panic = std::panic::catch_unwind(|| run(move || FreeRtos.event_signal(old))).unwrap_err();
    assert!(
        panic
            .downcast_ref::<&str>()
            .unwrap()
            .contains("earlier run")
    );
    run(move || drop(own));
    run(|| assert!(Event::new().is_ok()));
}

#[test]
fn the_heap_gives_any_alignment_and_takes_everything_back() {
    run(|| {
        let before = Heap.available();
        let mut pieces = Vec::new();
        for align in [1, 2, 4, 8, 16, 32, 64, 256, 4_096] {
            for size in [1, 7, 8, 100, 5_000] {
                let layout = Layout::from_size_align(size, align).unwrap();
                // SAFETY: the size is not zero.
                let piece = unsafe { Heap.alloc(layout) };
                assert!(!piece.is_null());
                assert_eq!(piece.addr() % align, 0, "{layout:?}");
                // SAFETY: as many bytes were allocated.
                unsafe { piece.write_bytes(align as u8, size) };
                pieces.push((piece, layout));
            }
        }
        for (piece, layout) in pieces {
            // SAFETY: it was allocated with this layout, and written.
            let bytes = unsafe { std::slice::from_raw_parts(piece, layout.size()) };
            let written = layout.align() as u8;
            assert!(bytes.iter().all(|byte| *byte == written), "{layout:?}");
            // SAFETY: as above, and nobody uses it any more.
            unsafe { Heap.dealloc(piece, layout) };
        }
        assert_eq!(Heap.available(), before);
        let huge = Layout::from_size_align(1 << 40, 64).unwrap();
        // SAFETY: the size is not zero.
        assert!(unsafe { Heap.alloc(huge) }.is_null());
    });
}
