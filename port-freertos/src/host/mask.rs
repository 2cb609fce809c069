//! Masking the simulated interrupts, if the calling thread is a task's.
//!
//! The own port pends a switch that is asked for meanwhile, as hardware does. The stock port would
//! switch at once and leave the mask (and the lock of a critical section) with a sleeping thread, so
//! there the scheduler is suspended too; and its interrupt handlers, which have all signals blocked
//! anyway, must not leave a mask, for that unblocks them.
use crate::ffi;

pub(crate) fn enter() {
    if applies() {
        // SAFETY: on a task; `exit` ends it.
        unsafe {
            #[cfg(feature = "stock-port")]
            ffi::vTaskSuspendAll();
            ffi::vPortEnterCritical();
        }
    }
}

pub(crate) fn exit() {
    if applies() {
        // SAFETY: on a task, after `enter`.
        unsafe {
            ffi::vPortExitCritical();
            #[cfg(feature = "stock-port")]
            ffi::xTaskResumeAll();
        }
    }
}

#[cfg(not(feature = "stock-port"))]
fn applies() -> bool {
    ffi::xPortSimOnTask() != 0
}

#[cfg(feature = "stock-port")]
fn applies() -> bool {
    ffi::xPortSimOnTask() != 0 && ffi::xPortSimInIsr() == 0
}
