//! Futures in tasks of FreeRTOS: `block_on`, wakers in interrupt handlers, and (feature
//! `embassy-time`) the timers of embassy.
use std::cell::RefCell;
use std::future::poll_fn;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering::Relaxed};
use std::task::{Poll, Waker};

use critical_section::Mutex;
use gannet_netconn::net;
use gannet_port_freertos::interrupt::{self, Line};
use gannet_port_freertos::run;

gannet_port_freertos::host!();

gannet_core::pbuf_pool! { static TX: [64; 1] + refs 1 }

/// A net for each test: its waiters' events end with the run that made them.
macro_rules! own_net {
    ($waiters:expr) => {{
        net! { static NET: { connections: 1, datagrams: 1, waiters: $waiters, tx_pool: TX } }
        &NET
    }};
}

#[test]
fn a_task_sleeps_until_an_interrupt_wakes_its_future() {
    static WAKER: Mutex<RefCell<Option<Waker>>> = Mutex::new(RefCell::new(None));
    static RAISED: AtomicBool = AtomicBool::new(false);
    static POLLS: AtomicU32 = AtomicU32::new(0);
    run(|| {
        let line = Line::new(9).unwrap();
        interrupt::install(line, || {
            RAISED.store(true, Relaxed);
            let waker = critical_section::with(|cs| WAKER.borrow_ref(cs).clone());
            waker.expect("left before the interrupt was raised").wake();
        });
        let interrupted = poll_fn(|cx| {
            POLLS.fetch_add(1, Relaxed);
            if RAISED.load(Relaxed) {
                return Poll::Ready(7);
            }
            critical_section::with(|cs| WAKER.replace(cs, Some(cx.waker().clone())));
            interrupt::raise(line);
            Poll::Pending
        });
        assert_eq!(own_net!(1).block_on(interrupted), Ok(7));
        assert!(POLLS.load(Relaxed) <= 3, "{POLLS:?}: it does not sleep");
    });
}

#[cfg(feature = "embassy-time")]
mod embassy {
    use std::pin::pin;
    use std::sync::atomic::{AtomicU32, Ordering::Relaxed};
    use std::task::Poll;
    use std::time::Duration as StdDuration;

    use embassy_time::{Duration, Instant, Timer, with_timeout};
    use gannet_port_freertos::{Event, Priority, now, run, spawn};

    use super::{TX, net};

    #[test]
    fn a_timer_is_never_early() {
        run(|| {
            let net = own_net!(1);
            for micros in [0, 1, 999, 1_000, 2_500, 10_000] {
                let (seam, start) = (now(), Instant::now());
                let wait = Duration::from_micros(micros);
                net.block_on(Timer::after(wait)).expect("a waiter");
                assert!(start.elapsed() >= wait);
                assert!(now().saturating_since(seam) >= StdDuration::from_micros(micros));
            }
        });
    }

    #[test]
    fn a_future_is_given_up_in_time() {
        run(|| {
            let net = own_net!(1);
            let wait = Duration::from_millis(3);
            let never = with_timeout(wait, std::future::pending::<()>());
            assert!(net.block_on(never).expect("a waiter").is_err());
            let soon = with_timeout(Duration::from_secs(3_600), async { 5 });
            assert_eq!(net.block_on(soon), Ok(Ok(5)));
        });
    }

    #[test]
    fn timers_of_one_task_all_fire() {
        run(|| {
            let net = own_net!(1);
            // The later one first.
            let both = async {
                let (mut late, mut early) =
                    (pin!(Timer::after_millis(12)), pin!(Timer::after_millis(4)));
                let (mut order, mut over) = (vec![], [false; 2]);
                std::future::poll_fn(|cx| {
                    for (n, timer) in [late.as_mut(), early.as_mut()].into_iter().enumerate() {
                        if !over[n] && timer.poll(cx).is_ready() {
                            over[n] = true;
                            order.push(n);
                        }
                    }
                    if over == [true; 2] {
                        Poll::Ready(())
                    } else {
                        Poll::Pending
                    }
                })
                .await;
                order
            };
            assert_eq!(net.block_on(both), Ok(vec![1, 0]));
        });
    }

    /// More than the driver has room for: none is forgotten.
    #[test]
    fn many_tasks_have_timers() {
        const TASKS: u32 = 40;
        static OVER: AtomicU32 = AtomicU32::new(0);
        run(|| {
            let net = own_net!(TASKS as usize);
            let all = Box::leak(Box::new(Event::new().expect("memory")));
            let all: &'static Event = all;
            for n in 0..TASKS {
                spawn("sleeper", Priority::APPLICATION, 512, move || {
                    let wait = Duration::from_millis(20 + u64::from(n % 5) * 5);
                    let start = Instant::now();
                    net.block_on(Timer::after(wait)).expect("a waiter");
                    assert!(start.elapsed() >= wait);
                    if OVER.fetch_add(1, Relaxed) + 1 == TASKS {
                        all.signal();
                    }
                })
                .expect("memory");
            }
            assert!(all.wait(Some(StdDuration::from_secs(60))));
        });
    }
}
