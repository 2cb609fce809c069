//! [`FreeRtos`], the OS seam: the clock, and events as binary semaphores. A notification of the
//! task would be cheaper, but any task may wait for an event, and the application's own
//! notifications stay untouched.
use core::ffi::c_void;
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
        (!queue.is_null()).then(|| EventId(queue.expose_provenance()))
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
        let deadline = clock::now() + timeout;
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
}

/// An event of its own, outside the stack: for tasks of an application or a driver to wait for one
/// another.
#[derive(Debug)]
pub struct Event {
    id: EventId,
    /// The simulator's run that it belongs to.
    #[cfg(unix)]
    run: u32,
}

impl Event {
    /// A new event, not signalled.
    ///
    /// # Errors
    ///
    /// [`OutOfMemory`](crate::OutOfMemory) if FreeRTOS's heap has no room for a semaphore.
    pub fn new() -> Result<Self, crate::OutOfMemory> {
        let id = FreeRtos.event_new().ok_or(crate::OutOfMemory)?;
        Ok(Self {
            id,
            #[cfg(unix)]
            run: crate::scheduler::run_number(),
        })
    }

    /// Signals; remembered until somebody waits, a second signal merges. Call it in tasks only.
    ///
    /// # Panics
    ///
    /// On the simulator, as all functions here, if the run that made the event has ended.
    pub fn signal(&self) {
        give(self.id());
    }

    /// Signals from an interrupt handler.
    pub fn signal_from_isr(&self) {
        FreeRtos.event_signal_from_isr(self.id());
    }

    /// Waits for a signal and consumes it; `false` after `timeout` (`None`: for ever).
    pub fn wait(&self, timeout: Option<Duration>) -> bool {
        FreeRtos.event_wait(self.id(), timeout)
    }

    fn id(&self) -> EventId {
        assert!(
            self.is_alive(),
            "the event belongs to an earlier run of the scheduler"
        );
        self.id
    }

    #[cfg(unix)]
    fn is_alive(&self) -> bool {
        self.run == crate::scheduler::run_number()
    }

    #[cfg(not(unix))]
    fn is_alive(&self) -> bool {
        true
    }
}

impl Drop for Event {
    fn drop(&mut self) {
        if self.is_alive() {
            // SAFETY: the semaphore is this event's, and with `&mut self` nobody waits for it.
            unsafe { ffi::vQueueDelete(handle(self.id)) };
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
    ptr::with_exposed_provenance_mut::<c_void>(event.0)
}
