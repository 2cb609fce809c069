//! [`FreeRtos`], the OS seam: the clock, and events as binary semaphores. A notification of the
//! task would be cheaper, but any task may wait for an event, and the application's own
//! notifications stay untouched.
use core::ptr;
use core::time::Duration;

use gannet_core::Instant;
use gannet_netconn::sys::{EventId, Sys};

use crate::clock;
#[cfg(unix)]
use crate::counters;
use crate::ffi::{self, BINARY_SEMAPHORE, Handle, MAX_DELAY, TRUE, Tick};

/// FreeRTOS as the operating system below the stack.
#[derive(Clone, Copy, Debug, Default)]
pub struct FreeRtos;

gannet_netconn::sys_impl!(static FREERTOS: FreeRtos = FreeRtos);

impl Sys for FreeRtos {
    fn now(&self) -> Instant {
        clock::now()
    }

    fn event_new(&self) -> Option<EventId> {
        // SAFETY: a binary semaphore is a queue of one item without bytes.
        let queue = unsafe { ffi::xQueueGenericCreate(1, 0, BINARY_SEMAPHORE) };
        (!queue.is_null()).then(|| id::new(queue))
    }

    fn event_signal(&self, event: EventId) {
        #[cfg(unix)]
        counters::count_signal();
        give(event);
    }

    fn event_signal_from_isr(&self, event: EventId) {
        #[cfg(unix)]
        counters::count_signal();
        let mut woken = 0;
        // SAFETY: `handle` gives a live semaphore. A full one is the merge that is wanted.
        unsafe { ffi::xQueueGiveFromISR(handle(event), &mut woken) };
        // SAFETY: called in an interrupt handler, as this function.
        #[cfg(unix)]
        unsafe {
            ffi::vPortSimYieldFromIsr(i32::from(woken == TRUE));
        }
        // SAFETY: called in an interrupt handler, as this function.
        #[cfg(not(unix))]
        unsafe {
            ffi::freertos_rs_isr_yield(woken);
        }
    }

    fn event_wait(&self, event: EventId, timeout: Option<Duration>) -> bool {
        let Some(timeout) = timeout else {
            while !take(event, MAX_DELAY) {}
            return true;
        };
        let deadline = clock::deadline(timeout);
        // Again when the kernel can't wait that long, or something else woke the task.
        loop {
            if take(event, clock::ticks_until(deadline)) {
                return true;
            }
            if clock::now() >= deadline {
                return false;
            }
        }
    }

    fn in_interrupt(&self) -> bool {
        ffi::in_interrupt()
    }
}

/// An event of its own, outside the stack: for tasks of an application or a driver to wait for one
/// another.
#[derive(Debug)]
pub struct Event(EventId);

impl Event {
    /// A new event, not signalled.
    ///
    /// # Errors
    ///
    /// [`OutOfMemory`](crate::OutOfMemory) if FreeRTOS's heap has no room for a semaphore.
    pub fn new() -> Result<Self, crate::OutOfMemory> {
        FreeRtos.event_new().map(Self).ok_or(crate::OutOfMemory)
    }

    /// Signals; remembered until somebody waits, a second signal merges. Call it in tasks only.
    ///
    /// # Panics
    ///
    /// On the simulator, as all functions here but `drop`, if the run that made the event has ended.
    pub fn signal(&self) {
        give(self.0);
    }

    /// Signals from an interrupt handler.
    pub fn signal_from_isr(&self) {
        FreeRtos.event_signal_from_isr(self.0);
    }

    /// Waits for a signal and consumes it; `false` after `timeout` (`None`: for ever).
    pub fn wait(&self, timeout: Option<Duration>) -> bool {
        FreeRtos.event_wait(self.0, timeout)
    }

    #[cfg(feature = "embassy-time")]
    pub(crate) fn id(&self) -> EventId {
        self.0
    }
}

/// Whether the run of the scheduler goes on that made `event`.
#[cfg(feature = "embassy-time")]
pub(crate) fn is_alive(event: EventId) -> bool {
    id::is_alive(event)
}

impl Drop for Event {
    fn drop(&mut self) {
        // An event of an earlier run went with FreeRTOS's heap.
        if id::is_alive(self.0) {
            // SAFETY: the semaphore is this event's, and with `&mut self` nobody waits for it.
            unsafe { ffi::vQueueDelete(handle(self.0)) };
        }
    }
}

fn give(event: EventId) {
    // SAFETY: `handle` gives a live semaphore. A full one is the merge that is wanted.
    unsafe { ffi::xQueueGenericSend(handle(event), ptr::null(), 0, 0) };
}

fn take(event: EventId, ticks: Tick) -> bool {
    // SAFETY: `handle` gives a live semaphore.
    unsafe { ffi::xQueueSemaphoreTake(handle(event), ticks) == TRUE }
}

/// Ids are made in `event_new` alone; the stack never deletes one, and [`Event`] only its own.
fn handle(event: EventId) -> Handle {
    assert!(
        id::is_alive(event),
        "the event belongs to an earlier run of the scheduler"
    );
    id::handle(event)
}

/// On a microcontroller an id is the semaphore's address.
#[cfg(not(unix))]
mod id {
    use super::{EventId, Handle, ptr};

    pub(super) fn new(handle: Handle) -> EventId {
        EventId(handle.expose_provenance())
    }

    pub(super) fn is_alive(_: EventId) -> bool {
        true
    }

    pub(super) fn handle(event: EventId) -> Handle {
        ptr::with_exposed_provenance_mut(event.0)
    }
}

/// On the simulator the id says in the upper bits, which are zero in a host's address, which run
/// of the scheduler it belongs to: using it in the next would corrupt FreeRTOS's heap.
#[cfg(unix)]
mod id {
    use super::{EventId, Handle, ptr};
    use crate::scheduler::run_number;

    const ADDRESS_BITS: u32 = 48;
    const ADDRESS: usize = (1 << ADDRESS_BITS) - 1;

    pub(super) fn new(handle: Handle) -> EventId {
        EventId(handle.expose_provenance() | tag())
    }

    pub(super) fn is_alive(event: EventId) -> bool {
        event.0 & !ADDRESS == tag()
    }

    pub(super) fn handle(event: EventId) -> Handle {
        ptr::with_exposed_provenance_mut(event.0 & ADDRESS)
    }

    fn tag() -> usize {
        (run_number() as usize) << ADDRESS_BITS
    }
}
