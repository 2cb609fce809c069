//! Starting the kernel: [`run`] on the simulator, which comes back with the main task's result, and
//! [`start`] on a microcontroller, which doesn't.
#[cfg(unix)]
pub use self::simulator::run;
#[cfg(unix)]
pub(crate) use self::simulator::{end, run_number};

/// Starts the scheduler with the tasks made so far.
///
/// # Panics
///
/// If FreeRTOS's heap has no room for its own tasks.
#[cfg(not(unix))]
pub fn start() -> ! {
    // SAFETY: called in `main`, before any task runs.
    unsafe { crate::ffi::vTaskStartScheduler() };
    panic!("FreeRTOS's heap is full");
}

#[cfg(unix)]
mod simulator {
    use core::sync::atomic::{AtomicU32, Ordering};
    use std::any::Any;
    use std::boxed::Box;
    use std::sync::{Mutex, PoisonError};
    use std::thread;

    use crate::{Priority, ffi, host, interrupt, spawn};

    /// What the scheduler ended with: the main task's result, or a task's panic.
    type Outcome = thread::Result<Box<dyn Any + Send>>;

    /// Locked by tasks only with interrupts masked, so that no task waits for a preempted one.
    static OUTCOME: Mutex<Option<Outcome>> = Mutex::new(None);

    /// Runs that have ended.
    static RUN: AtomicU32 = AtomicU32::new(0);

    /// Tells the objects of one run from those of the next.
    pub(crate) fn run_number() -> u32 {
        RUN.load(Ordering::Acquire)
    }

    /// Runs `main` as a task ([`Priority::APPLICATION`]) on the simulator: starts the scheduler,
    /// ends it when `main` returns, and returns its result. All other tasks end where they are.
    ///
    /// May be called again; calls from several threads (tests) take turns. Everything made in a
    /// run, such as tasks and events, ends with it; interrupt handlers are removed.
    ///
    /// # Panics
    ///
    /// With the panic of the first task that panicked; if called in a task.
    ///
    /// ```
    /// gannet_port_freertos::host!();
    /// use gannet_port_freertos::{delay, now, run};
    ///
    /// # fn main() {
    /// let slept = run(|| {
    ///     let start = now();
    ///     delay(core::time::Duration::from_millis(5));
    ///     now().saturating_since(start)
    /// });
    /// assert!(slept.as_millis() >= 5);
    /// # }
    /// ```
    pub fn run<T: Send + 'static>(main: impl FnOnce() -> T + Send + 'static) -> T {
        assert!(ffi::xPortSimOnTask() == 0, "the scheduler runs already");
        static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());
        let turn = ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner);
        host::init();
        spawn("main", Priority::APPLICATION, 1024, || {
            end(Ok(Box::new(main())));
        })
        .expect("nothing else is on FreeRTOS's heap");
        // SAFETY: no scheduler runs, for this is done one at a time. When it has ended, no task
        // runs any more, and the kernel's state can be set back to the beginning.
        unsafe {
            ffi::vTaskStartScheduler();
            RUN.fetch_add(1, Ordering::Release);
            #[cfg(feature = "stock-port")]
            crate::clock::keep_time();
            ffi::vTaskResetState();
            ffi::vTimerResetState();
            ffi::vPortHeapResetState();
        }
        interrupt::remove_all();
        let outcome = lock_outcome(Option::take);
        drop(turn);
        match outcome.expect("FreeRTOS's heap is full") {
            Ok(result) => *result.downcast().expect("only `main` ends with a result"),
            Err(panic) => std::panic::resume_unwind(panic),
        }
    }

    /// Ends the scheduler; called in a task. The first outcome counts.
    pub(crate) fn end(outcome: Outcome) -> ! {
        host::masked(|| lock_outcome(|slot| slot.get_or_insert(outcome).is_ok()));
        // SAFETY: called in a task.
        unsafe { ffi::vTaskEndScheduler() };
        // The kernel's own port may come back here (kernel pull request 1297), while the thread
        // that started the scheduler goes on.
        host::block_signals();
        loop {
            // SAFETY: waits for a signal, of which none is unblocked.
            unsafe { libc::pause() };
        }
    }

    fn lock_outcome<R>(f: impl FnOnce(&mut Option<Outcome>) -> R) -> R {
        f(&mut OUTCOME.lock().unwrap_or_else(PoisonError::into_inner))
    }
}
