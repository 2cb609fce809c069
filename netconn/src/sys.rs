//! The OS seam. A port implements [`Sys`] and says [`sys_impl!`](crate::sys_impl).
//!
//! As with `critical-section` and `embassy-time-driver`, binding is by symbol: no port or two
//! ports in a firmware is a *link* error, and nothing above this module has a type parameter for
//! the operating system. The seam has no mailboxes, mutexes or thread-locals: mailboxes are
//! built once, portably, on events and a critical section.
#![allow(unsafe_code, reason = "declares the symbols a port defines")]

#[cfg(feature = "async")]
mod waker;

use core::time::Duration;

use gannet_core::Instant;

#[cfg(feature = "async")]
pub(crate) use waker::{waiter_of, waker};

/// A binary semaphore of the port: one pointer, as every RTOS has it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EventId(pub usize);

/// Everything the stack needs from an operating system (lwIP's `sys_arch` has about 25 of these).
pub trait Sys: Sync {
    /// The current time; never goes back.
    fn now(&self) -> Instant;
    /// A new binary semaphore, not signalled. Called only while starting up. `None`: the OS is
    /// out of them.
    fn event_new(&self) -> Option<EventId>;
    /// Signals from a task; a signal nobody waits for yet is remembered, a second one merges.
    fn event_signal(&self, event: EventId);
    /// Signals from an interrupt handler.
    fn event_signal_from_isr(&self, event: EventId);
    /// Waits for a signal and consumes it; `false` after `timeout` (`None`: for ever).
    fn event_wait(&self, event: EventId, timeout: Option<Duration>) -> bool;
    /// Whether the caller is an interrupt handler: a waker is not told where it is called, and has
    /// to signal the right way. A port without interrupts leaves it at "no".
    fn in_interrupt(&self) -> bool {
        false
    }
}

unsafe extern "Rust" {
    safe fn _gannet_0_1_now() -> Instant;
    safe fn _gannet_0_1_event_new() -> Option<EventId>;
    safe fn _gannet_0_1_event_signal(event: EventId);
    safe fn _gannet_0_1_event_signal_from_isr(event: EventId);
    safe fn _gannet_0_1_event_wait(event: EventId, timeout: Option<Duration>) -> bool;
    #[cfg(feature = "async")]
    safe fn _gannet_0_1_in_interrupt() -> bool;
}

/// See [`Sys::now`].
pub fn now() -> Instant {
    _gannet_0_1_now()
}

pub(crate) fn event_new() -> Option<EventId> {
    _gannet_0_1_event_new()
}

pub(crate) fn event_signal(event: EventId) {
    _gannet_0_1_event_signal(event);
}

pub(crate) fn event_signal_from_isr(event: EventId) {
    _gannet_0_1_event_signal_from_isr(event);
}

pub(crate) fn event_wait(event: EventId, timeout: Option<Duration>) -> bool {
    _gannet_0_1_event_wait(event, timeout)
}

#[cfg(feature = "async")]
fn in_interrupt() -> bool {
    _gannet_0_1_in_interrupt()
}

/// Makes `$t` the operating system: `sys_impl!(static SYS: FreeRtos = FreeRtos);`
#[macro_export]
macro_rules! sys_impl {
    ($(#[$attr:meta])* static $name:ident: $t:ty = $value:expr) => {
        $(#[$attr])*
        static $name: $t = $value;
        #[allow(unsafe_code)]
        const _: () = {
            use core::time::Duration;
            use $crate::sys::{EventId, Sys};
            use $crate::Instant;
            #[unsafe(no_mangle)]
            fn _gannet_0_1_now() -> Instant {
                Sys::now(&$name)
            }
            #[unsafe(no_mangle)]
            fn _gannet_0_1_event_new() -> Option<EventId> {
                Sys::event_new(&$name)
            }
            #[unsafe(no_mangle)]
            fn _gannet_0_1_event_signal(event: EventId) {
                Sys::event_signal(&$name, event)
            }
            #[unsafe(no_mangle)]
            fn _gannet_0_1_event_signal_from_isr(event: EventId) {
                Sys::event_signal_from_isr(&$name, event)
            }
            #[unsafe(no_mangle)]
            fn _gannet_0_1_event_wait(event: EventId, timeout: Option<Duration>) -> bool {
                Sys::event_wait(&$name, event, timeout)
            }
            #[unsafe(no_mangle)]
            fn _gannet_0_1_in_interrupt() -> bool {
                Sys::in_interrupt(&$name)
            }
        };
    };
}
