//! The waker of a task that sleeps on an event: it is the event's number and nothing else, so it
//! needs no memory, and may be kept for longer than the task sleeps.
use core::ptr;
use core::task::{RawWaker, RawWakerVTable, Waker};

use super::{EventId, event_signal, event_signal_from_isr, in_interrupt};

/// A waker that signals `event`; from tasks and from interrupt handlers.
pub(crate) fn waker(event: EventId) -> Waker {
    // SAFETY: the functions below keep RawWaker's contract: the data is a number, which nothing
    // owns and any thread may use; so cloning copies it and dropping does nothing.
    unsafe { Waker::from_raw(raw(event)) }
}

static VTABLE: RawWakerVTable = RawWakerVTable::new(
    |data| raw(event(data)),
    |data| signal(event(data)),
    |data| signal(event(data)),
    |_| {},
);

fn raw(event: EventId) -> RawWaker {
    RawWaker::new(ptr::without_provenance(event.0), &VTABLE)
}

fn event(data: *const ()) -> EventId {
    EventId(data.addr())
}

fn signal(event: EventId) {
    if in_interrupt() {
        event_signal_from_isr(event);
    } else {
        event_signal(event);
    }
}
