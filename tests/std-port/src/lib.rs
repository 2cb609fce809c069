//! gannet on threads of std: the OS seam and the critical section, for tests on the host. A
//! program that names this crate (`use gannet_port_std as _;`) is bound to it.
#![allow(unsafe_code, reason = "implements the symbols of the seam")]

mod critical;

pub use critical::critical_sections;

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Condvar, Mutex, OnceLock, PoisonError, RwLock};
use std::time::{Duration, Instant as StdInstant};

use gannet_netconn::Instant;
use gannet_netconn::sys::{EventId, Sys};

/// Threads of std as operating system.
#[derive(Debug)]
pub struct Std;

gannet_netconn::sys_impl!(static SYS: Std = Std);

#[derive(Debug, Default)]
struct Event {
    signalled: Mutex<bool>,
    changed: Condvar,
}

static EVENTS: RwLock<Vec<&'static Event>> = RwLock::new(Vec::new());

/// Waits that slept, and signals given: what a test counts instead of context switches.
static SLEEPS: AtomicU64 = AtomicU64::new(0);
static SIGNALS: AtomicU64 = AtomicU64::new(0);

/// How often a thread went to sleep in the stack.
pub fn sleeps() -> u64 {
    SLEEPS.load(Ordering::Relaxed)
}

/// How many signals were given.
pub fn signals() -> u64 {
    SIGNALS.load(Ordering::Relaxed)
}

fn event(id: EventId) -> &'static Event {
    let events = EVENTS.read().unwrap_or_else(PoisonError::into_inner);
    // Ids are made below, and events never removed.
    events[id.0]
}

impl Sys for Std {
    fn now(&self) -> Instant {
        static START: OnceLock<StdInstant> = OnceLock::new();
        let micros = START.get_or_init(StdInstant::now).elapsed().as_micros();
        Instant::from_micros(u64::try_from(micros).unwrap_or(u64::MAX))
    }

    fn event_new(&self) -> Option<EventId> {
        let mut events = EVENTS.write().unwrap_or_else(PoisonError::into_inner);
        events.push(Box::leak(Box::default()));
        Some(EventId(events.len() - 1))
    }

    fn event_signal(&self, id: EventId) {
        SIGNALS.fetch_add(1, Ordering::Relaxed);
        let event = event(id);
        *event
            .signalled
            .lock()
            .unwrap_or_else(PoisonError::into_inner) = true;
        event.changed.notify_one();
    }

    fn event_signal_from_isr(&self, id: EventId) {
        self.event_signal(id);
    }

    fn event_wait(&self, id: EventId, timeout: Option<Duration>) -> bool {
        let event = event(id);
        let mut signalled = event
            .signalled
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        if !*signalled {
            SLEEPS.fetch_add(1, Ordering::Relaxed);
        }
        match timeout {
            None => {
                signalled = event
                    .changed
                    .wait_while(signalled, |signalled| !*signalled)
                    .unwrap_or_else(PoisonError::into_inner);
            }
            Some(timeout) => {
                signalled = event
                    .changed
                    .wait_timeout_while(signalled, timeout, |signalled| !*signalled)
                    .unwrap_or_else(PoisonError::into_inner)
                    .0;
            }
        }
        std::mem::take(&mut *signalled)
    }
}
