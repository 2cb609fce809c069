//! Living with the host's standard library in tasks of the simulator.
//!
//! Linux knows nothing of FreeRTOS's priorities. A task that is preempted while it holds a lock of
//! the C or Rust library (allocator, standard output) keeps it; a task of higher priority that
//! wants it waits *inside Linux*, and FreeRTOS never runs the holder: within a second all stands
//! still. So such locks are taken with interrupts masked: [`host!`](crate::host!) for the
//! allocator, [`masked`] for everything else. `std::sync::Mutex` between tasks is to be avoided,
//! and blocking calls of the host stop all tasks of lower priority.
mod alloc;
mod log;
pub(crate) mod mask;
mod panic;

use std::sync::Once;

pub use self::alloc::HostAllocator;
use crate::ffi;

/// Declares the allocator that is safe in tasks; once in each program or test that uses the
/// simulator, outside of functions.
#[macro_export]
macro_rules! host {
    () => {
        #[global_allocator]
        static GANNET_HOST_ALLOCATOR: $crate::host::HostAllocator = $crate::host::HostAllocator;
    };
}

/// Runs `f` without being preempted: for whatever takes a lock of the host's libraries, such as
/// printing or starting a thread (which allocates in C). No other task runs meanwhile, so `f` must
/// be short and must not wait for one.
///
/// On threads that are not tasks it only calls `f`.
///
/// ```
/// # gannet_port_freertos::host!();
/// # fn main() {
/// gannet_port_freertos::run(|| {
///     gannet_port_freertos::host::masked(|| println!("hello from a task"));
/// });
/// # }
/// ```
pub fn masked<R>(f: impl FnOnce() -> R) -> R {
    struct Exit;
    impl Drop for Exit {
        fn drop(&mut self) {
            mask::exit();
        }
    }
    mask::enter();
    let _exit = Exit;
    f()
}

/// Blocks all signals on the calling thread. Do this first on a thread of the host program beside
/// the tasks, or interrupts land there first and are passed on. One that a task has started also
/// leaves the tasks' CPU: as they do, it would run on that alone.
pub fn block_signals() {
    ffi::vPortSimLeaveCpu();
    // SAFETY: fills a set and makes it the calling thread's mask.
    unsafe {
        let mut all = core::mem::zeroed();
        libc::sigfillset(&mut all);
        libc::pthread_sigmask(libc::SIG_SETMASK, &all, core::ptr::null_mut());
    }
}

/// Installs the panic hook and, if the program has no other, the logger; done by
/// [`run`](crate::run), needed only before it.
///
/// The logger writes to standard error, from the level in the environment variable `GANNET_LOG`
/// (`off`, `error`, `warn`, `info`, `debug`, `trace`; `warn` if it isn't set).
pub fn init() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        panic::install();
        log::install();
    });
}
