//! An operating system that is not there: its functions and the critical section are symbols that
//! nobody defines, so that nothing is known of what they do.
use core::time::Duration;

use gannet_core::Instant;
use gannet_netconn::sys::{EventId, Sys};

unsafe extern "C" {
    safe fn os_now() -> u64;
    safe fn os_event_new() -> usize;
    safe fn os_event_signal(event: usize);
    safe fn os_event_wait(event: usize, micros: u64) -> bool;
    safe fn os_acquire() -> bool;
    safe fn os_release(token: bool);
}

struct Os;

gannet_netconn::sys_impl!(static OS: Os = Os);

impl Sys for Os {
    fn now(&self) -> Instant {
        Instant::from_micros(os_now())
    }

    fn event_new(&self) -> Option<EventId> {
        Some(EventId(os_event_new()))
    }

    fn event_signal(&self, event: EventId) {
        os_event_signal(event.0);
    }

    fn event_signal_from_isr(&self, event: EventId) {
        os_event_signal(event.0);
    }

    fn event_wait(&self, event: EventId, timeout: Option<Duration>) -> bool {
        os_event_wait(
            event.0,
            timeout.map_or(u64::MAX, |timeout| timeout.as_secs()),
        )
    }
}

struct Interrupts;

critical_section::set_impl!(Interrupts);

// SAFETY: this is never linked into a program.
unsafe impl critical_section::Impl for Interrupts {
    unsafe fn acquire() -> bool {
        os_acquire()
    }

    unsafe fn release(token: bool) {
        os_release(token);
    }
}
