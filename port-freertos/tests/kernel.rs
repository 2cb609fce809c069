//! The kernel on this crate's simulator port: its own objects, task deletion, ticks, and starting
//! it again and again.
#![cfg(not(feature = "stock-port"))]
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};
use std::time::{Duration, Instant};

use gannet_port_freertos::freertos::{
    CurrentTask, Duration as Ticks, FreeRtosUtils, Mutex, Queue, RecursiveMutex, Semaphore,
    TaskNotification, shim_sanity_check,
};
use gannet_port_freertos::{Event, Priority, Task, counters, delay, host, now, run, spawn};

gannet_port_freertos::host!();

#[test]
fn bindings_have_the_kernels_types() {
    // The check goes by number and ends at the first difference: 32, the size of `unsigned long`,
    // which is 8 on Linux. The bindings have it for the run time counter only, and that is
    // configured to be 32 bits. All before it agree.
    let difference = shim_sanity_check().unwrap_err();
    assert_eq!(difference.id, 32, "{difference:?}");
}

#[test]
fn queue_passes_items_between_priorities() {
    run(|| {
        let queue = Arc::new(Queue::<u32>::new(4).unwrap());
        let send = Arc::clone(&queue);
        spawn("producer", Priority(5), 512, move || {
            for i in 0..1000 {
                send.send(i, Ticks::infinite()).unwrap();
            }
        })
        .unwrap();
        for i in 0..1000 {
            assert_eq!(queue.receive(Ticks::infinite()).unwrap(), i);
        }
        assert!(queue.receive(Ticks::ms(3)).is_err());
    });
}

#[test]
fn semaphores_count_and_time_out() {
    run(|| {
        let binary = Semaphore::new_binary().unwrap();
        assert!(binary.take(Ticks::ms(2)).is_err());
        binary.give();
        binary.take(Ticks::zero()).unwrap();
        let counting = Semaphore::new_counting(10, 3).unwrap();
        for _ in 0..3 {
            counting.take(Ticks::zero()).unwrap();
        }
        assert!(counting.take(Ticks::ms(1)).is_err());
    });
}

#[test]
fn mutex_keeps_tasks_apart() {
    run(|| {
        let sum = Arc::new(Mutex::new(0u32).unwrap());
        let done = Arc::new(Semaphore::new_counting(4, 0).unwrap());
        for i in 0..4 {
            let (sum, done) = (Arc::clone(&sum), Arc::clone(&done));
            spawn("adder", Priority(2 + i % 3), 512, move || {
                for _ in 0..5_000 {
                    *sum.lock(Ticks::infinite()).unwrap() += 1;
                }
                done.give();
            })
            .unwrap();
        }
        for _ in 0..4 {
            done.take(Ticks::infinite()).unwrap();
        }
        assert_eq!(*sum.lock(Ticks::infinite()).unwrap(), 20_000);
        let recursive = RecursiveMutex::new(0u32).unwrap();
        let _outer = recursive.lock(Ticks::infinite()).unwrap();
        let _inner = recursive.lock(Ticks::infinite()).unwrap();
    });
}

#[test]
fn notifications_ping_pong() {
    run(|| {
        let main = gannet_port_freertos::freertos::Task::current().unwrap();
        let echo = gannet_port_freertos::freertos::Task::new()
            .name("echo")
            .priority(gannet_port_freertos::freertos::TaskPriority(2))
            .start(move |_| {
                loop {
                    CurrentTask::take_notification(true, Ticks::infinite());
                    main.notify(TaskNotification::Increment);
                }
            })
            .unwrap();
        let before = counters::context_switches();
        for _ in 0..1_000 {
            echo.notify(TaskNotification::Increment);
            assert_eq!(CurrentTask::take_notification(true, Ticks::infinite()), 1);
        }
        let switches = counters::context_switches().wrapping_sub(before);
        assert!((2_000..4_000).contains(&switches), "{switches} switches");
    });
}

#[test]
fn delay_lasts_as_many_ticks() {
    run(|| {
        let start = FreeRtosUtils::get_tick_count();
        CurrentTask::delay(Ticks::ms(50));
        assert!(FreeRtosUtils::get_tick_count().wrapping_sub(start) >= 50);
    });
}

#[test]
fn two_thousand_tasks_come_and_go() {
    static RAN: AtomicU32 = AtomicU32::new(0);
    run(|| {
        for _ in 0..1_000 {
            spawn("short", Priority(5), 256, || {
                RAN.fetch_add(1, Relaxed);
            })
            .unwrap();
        }
        for i in 0..1_000 {
            let never = Arc::new(Event::new().unwrap());
            let waits = Arc::clone(&never);
            let task = spawn("blocked", Priority(5), 256, move || {
                RAN.fetch_add(1, Relaxed);
                waits.wait(None);
            })
            .unwrap();
            // SAFETY: it waits for ever, and nothing points into its stack.
            unsafe { task.delete() };
            std::mem::forget(never); // the deleted task's reference leaks its twin anyway
            if i % 100 == 0 {
                delay(Duration::from_millis(1)); // idle frees what ended
            }
        }
        assert_eq!(RAN.load(Relaxed), 2_000);
    });
}

#[test]
fn waits_go_on_when_the_tick_count_overflows() {
    run(|| {
        let never = Event::new().unwrap();
        // It starts 300 before.
        while FreeRtosUtils::get_tick_count() > u32::MAX / 2 {
            for millis in [1, 2, 3, 50] {
                let (start, timeout) = (now(), Duration::from_millis(millis));
                assert!(!never.wait(Some(timeout)));
                assert!(now().saturating_since(start) >= timeout);
            }
        }
    });
}

#[test]
fn a_task_may_be_deleted_anywhere() {
    run(|| {
        for i in 0..200u32 {
            let spinner = spawn("spinner", Priority(2), 256, || {
                loop {
                    std::hint::black_box(0);
                }
            })
            .unwrap();
            delay(Duration::from_micros(u64::from(i % 3) * 400));
            // SAFETY: it spins for ever, and nothing points into its stack.
            unsafe { spinner.delete() };
        }
    });
}

#[test]
fn priorities_can_be_changed() {
    run(|| {
        let me = Task::current();
        // SAFETY: this task runs.
        unsafe {
            assert_eq!(me.priority(), Priority::APPLICATION);
            me.set_priority(Priority(5));
            assert_eq!(me.priority(), Priority(5));
        }
    });
}

#[test]
fn a_delay_can_be_aborted() {
    run(|| {
        let woken = Arc::new(Event::new().unwrap());
        let wake = Arc::clone(&woken);
        let sleeper = spawn("sleeper", Priority(5), 256, move || {
            CurrentTask::delay(Ticks::ms(1_000_000));
            wake.signal();
            loop {
                CurrentTask::delay(Ticks::ms(1_000_000));
            }
        })
        .unwrap();
        // SAFETY: it lives for ever.
        assert!(unsafe { sleeper.abort_delay() });
        assert!(woken.wait(None));
    });
}

/// The tick count, and the moments of the host's clock between which it was right: a busy host may
/// stop this process anywhere.
fn ticks_between() -> (Instant, u32, Instant) {
    let before = Instant::now();
    CurrentTask::delay(Ticks::ms(1)); // takes in all ticks until now
    let ticks = FreeRtosUtils::get_tick_count();
    (before, ticks, Instant::now())
}

/// The kernel's own port would be 10 to 50 % slow here.
#[test]
fn ticks_follow_the_clock_idle_and_busy() {
    run(|| {
        for busy in [false, true] {
            let (earliest, first, latest) = ticks_between();
            let start = Instant::now();
            while start.elapsed() < Duration::from_millis(1_000) {
                if !busy {
                    delay(Duration::from_millis(100));
                }
            }
            let end = ticks_between();
            let passed = u128::from(end.1.wrapping_sub(first));
            assert!(
                passed + 1 >= end.0.duration_since(latest).as_millis(),
                "slow"
            );
            assert!(
                passed <= end.2.duration_since(earliest).as_millis() + 1,
                "fast"
            );
        }
    });
}

#[test]
fn a_panic_in_any_task_comes_out_of_run() {
    let panic = catch_unwind(|| {
        run(|| {
            spawn("bad", Priority(5), 512, || panic!("boom")).unwrap();
            delay(Duration::from_secs(1_000));
        });
    })
    .unwrap_err();
    assert_eq!(panic.downcast_ref(), Some(&"boom"));
    let panic = catch_unwind(AssertUnwindSafe(|| run(|| panic!("main")))).unwrap_err();
    assert_eq!(panic.downcast_ref(), Some(&"main"));
}

#[test]
fn the_scheduler_starts_again_and_time_goes_on() {
    let mut last = run(now);
    for i in 0..20 {
        let (result, time) = run(move || {
            for _ in 0..5 {
                spawn("left over", Priority(2), 256, || {
                    loop {
                        delay(Duration::from_millis(1));
                    }
                })
                .unwrap();
            }
            delay(Duration::from_millis(3));
            (i * 2, now())
        });
        assert_eq!(result, i * 2);
        assert!(time > last);
        last = time;
    }
}

#[test]
fn host_threads_in_the_way_of_signals_do_no_harm() {
    use std::sync::atomic::AtomicBool;
    static STOP: AtomicBool = AtomicBool::new(false);
    // These block no signals, so interrupts land on them.
    let threads: Vec<_> = (0..2)
        .map(|_| {
            std::thread::spawn(|| {
                while !STOP.load(Relaxed) {
                    std::hint::spin_loop();
                }
            })
        })
        .collect();
    run(|| {
        let (_, first, latest) = ticks_between();
        delay(Duration::from_millis(200));
        let (end, last, _) = ticks_between();
        assert!(u128::from(last.wrapping_sub(first)) + 1 >= end.duration_since(latest).as_millis());
    });
    STOP.store(true, Relaxed);
    for thread in threads {
        thread.join().unwrap();
    }
}

#[test]
fn std_works_in_a_task() {
    run(|| {
        let thread = host::masked(|| {
            std::thread::spawn(|| {
                host::block_signals();
                std::thread::sleep(Duration::from_millis(10));
                7
            })
        });
        host::masked(|| println!("from a task"));
        assert_eq!(thread.join().unwrap(), 7);
    });
}

#[test]
fn a_yield_in_a_critical_section_waits_for_its_end() {
    run(|| {
        let event = Arc::new(Event::new().unwrap());
        let ran = Arc::new(AtomicU32::new(0));
        let (wait, count) = (Arc::clone(&event), Arc::clone(&ran));
        spawn("higher", Priority(5), 256, move || {
            while wait.wait(None) {
                critical_section::with(|_| count.fetch_add(1, Relaxed));
            }
        })
        .unwrap();
        for i in 0..100 {
            critical_section::with(|_| {
                event.signal();
                assert_eq!(ran.load(Relaxed), i);
            });
            assert_eq!(ran.load(Relaxed), i + 1);
        }
    });
}
