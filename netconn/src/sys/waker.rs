//! The waker of a task that sleeps on one of a net's waiters: it is a reference to the waiter and
//! nothing else, so it needs no memory, and may be kept for longer than the task sleeps.
use core::ptr;
use core::task::{RawWaker, RawWakerVTable, Waker};

use super::{event_signal, event_signal_from_isr, in_interrupt};
use crate::wait::Waiter;

/// A waker that signals `waiter`; from tasks and from interrupt handlers.
pub(crate) fn waker(waiter: &'static Waiter) -> Waker {
    // SAFETY: the functions of the table keep RawWaker's contract: the data is a shared reference
    // to a static that any thread may use; so cloning copies it and dropping does nothing.
    unsafe { Waker::from_raw(raw(waiter)) }
}

/// The waiter that `waker` signals, if it was made here.
pub(crate) fn waiter_of(waker: &Waker) -> Option<&'static Waiter> {
    ptr::eq(waker.vtable(), &VTABLE).then(|| waiter(waker.data()))
}

static VTABLE: RawWakerVTable = RawWakerVTable::new(
    |data| raw(waiter(data)),
    |data| signal(waiter(data)),
    |data| signal(waiter(data)),
    |_| {},
);

fn raw(waiter: &'static Waiter) -> RawWaker {
    RawWaker::new(ptr::from_ref(waiter).cast(), &VTABLE)
}

fn waiter(data: *const ()) -> &'static Waiter {
    // SAFETY: only `raw` makes wakers with the table, with a reference for all time as data.
    unsafe { &*data.cast() }
}

fn signal(waiter: &Waiter) {
    // There is one, for the waiter was borrowed.
    let Some(event) = critical_section::with(|cs| waiter.event(cs)) else {
        return;
    };
    if in_interrupt() {
        event_signal_from_isr(event);
    } else {
        event_signal(event);
    }
}
