//! What the simulator counts, for tests that bound the cost of an operation. All counters wrap.
use core::sync::atomic::{AtomicU32, Ordering};

use crate::Task;
use crate::ffi;

static EVENT_SIGNALS: AtomicU32 = AtomicU32::new(0);
/// Changed with the lock of the critical section held.
static SECTIONS: AtomicU32 = AtomicU32::new(0);

/// Context switches from one task to another since the process started.
pub fn context_switches() -> u32 {
    // SAFETY: an aligned word that the kernel's trace hook changes atomically.
    unsafe { ffi::ulGannetSwitches.load(Ordering::Relaxed) }
}

/// Signals of the stack's events, by tasks and interrupts, merged ones included, since the process
/// started.
pub fn event_signals() -> u32 {
    EVENT_SIGNALS.load(Ordering::Relaxed)
}

/// Critical sections entered, nested ones not counted, since the process started; the kernel's own
/// are not among them.
pub fn critical_sections() -> u32 {
    SECTIONS.load(Ordering::Relaxed)
}

/// How often `task` was switched to.
///
/// # Safety
///
/// The task has not ended.
pub unsafe fn switches_to(task: Task) -> usize {
    // SAFETY: by contract the handle is live; the pointer is a number of the trace hook's.
    unsafe { ffi::pvTaskGetThreadLocalStoragePointer(task.as_ptr(), ffi::TLS_SWITCHES) as usize }
}

/// Only for who holds the lock.
pub(crate) fn count_section() {
    let count = SECTIONS.load(Ordering::Relaxed);
    SECTIONS.store(count.wrapping_add(1), Ordering::Relaxed);
}

pub(crate) fn count_signal() {
    EVENT_SIGNALS.fetch_add(1, Ordering::Relaxed);
}
