//! Tasks: starting one on a closure, its priority.
use alloc::boxed::Box;
use core::ffi::c_void;
use core::fmt;
use core::ptr::{self, NonNull};

use crate::ffi::{self, Handle, TRUE, UBase};

/// A priority: higher numbers run first, 0 is the idle task's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Priority(pub u8);

impl Priority {
    /// Only when nothing else runs, such as writing a capture to a file.
    pub const BACKGROUND: Self = Self(1);
    /// Where [`run`](crate::run) starts the main task; the usual one for applications.
    pub const APPLICATION: Self = Self(3);
    /// For the tcpip thread: above the applications, below the timer task (7 on the simulator).
    pub const TCPIP: Self = Self(6);
}

/// FreeRTOS's heap has no room for a task or an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OutOfMemory;

impl fmt::Display for OutOfMemory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("FreeRTOS's heap is full")
    }
}

impl core::error::Error for OutOfMemory {}

/// A task's handle.
///
/// The kernel does not count them: a handle of a task that has ended must not be used. Hence only
/// the functions of tasks that live for ever are safe to call without a thought.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Task(NonNull<c_void>);

// SAFETY: a handle is a name; the kernel's functions take it from any task.
unsafe impl Send for Task {}
// SAFETY: as above.
unsafe impl Sync for Task {}

impl Task {
    /// The calling task.
    ///
    /// # Panics
    ///
    /// Before the first task was made.
    pub fn current() -> Self {
        // SAFETY: reads a pointer.
        let handle = unsafe { ffi::xTaskGetCurrentTaskHandle() };
        Self(NonNull::new(handle).expect("called outside of tasks"))
    }

    /// The kernel's `TaskHandle_t`.
    pub fn as_ptr(self) -> *mut c_void {
        self.0.as_ptr()
    }

    /// Its priority.
    ///
    /// # Safety
    ///
    /// The task has not ended.
    pub unsafe fn priority(self) -> Priority {
        // SAFETY: by contract the handle is live.
        let priority = unsafe { ffi::uxTaskPriorityGet(self.as_ptr()) };
        Priority(u8::try_from(priority).unwrap_or(u8::MAX))
    }

    /// Words of its stack that were never used so far. The simulator's tasks have other stacks.
    ///
    /// # Safety
    ///
    /// The task has not ended.
    #[cfg(not(unix))]
    #[doc(alias = "uxTaskGetStackHighWaterMark")]
    pub unsafe fn stack_left(self) -> usize {
        // SAFETY: by contract the handle is live.
        unsafe { ffi::uxTaskGetStackHighWaterMark(self.as_ptr()) as usize }
    }

    /// Changes its priority.
    ///
    /// # Safety
    ///
    /// The task has not ended.
    pub unsafe fn set_priority(self, priority: Priority) {
        // SAFETY: by contract the handle is live.
        unsafe { ffi::vTaskPrioritySet(self.as_ptr(), UBase::from(priority.0)) };
    }

    /// Ends whatever it waits for early, as if timed out; `false` if it was not waiting. Waiting
    /// for an [`Event`](crate::Event) and [`delay`](crate::delay) go on waiting.
    ///
    /// # Safety
    ///
    /// The task has not ended.
    pub unsafe fn abort_delay(self) -> bool {
        // SAFETY: by contract the handle is live.
        unsafe { ffi::xTaskAbortDelay(self.as_ptr()) == TRUE }
    }

    /// Deletes it, wherever it is: no destructor of its stack runs, what it held stays held.
    /// Not on the stock port, which unwinds the stack and aborts the process.
    ///
    /// # Safety
    ///
    /// The task has not ended, and nobody refers to its stack.
    pub unsafe fn delete(self) {
        // SAFETY: by contract.
        unsafe { ffi::vTaskDelete(self.as_ptr()) };
    }
}

/// Starts a task named `name` (at most 15 bytes are kept) with a stack of `stack_words` words that
/// runs `entry` and ends with it.
///
/// On the simulator each task has a megabyte of stack whatever `stack_words` says, and a panic in
/// `entry` ends the scheduler: [`run`](crate::run) then panics with it.
///
/// # Errors
///
/// [`OutOfMemory`] if FreeRTOS's heap has no room for the task; `entry` is dropped.
#[doc(alias = "sys_thread_new")]
#[doc(alias = "xTaskCreate")]
pub fn spawn(
    name: &str,
    priority: Priority,
    stack_words: usize,
    entry: impl FnOnce() + Send + 'static,
) -> Result<Task, OutOfMemory> {
    let mut c_name = [0u8; 16];
    for (to, from) in c_name.iter_mut().zip(name.bytes()).take(15) {
        *to = from;
    }
    let depth = ffi::StackDepth::try_from(stack_words).map_err(|_| OutOfMemory)?;
    let entry: Entry = Box::new(entry);
    let parameter = Box::into_raw(Box::new(entry));
    let mut handle: Handle = ptr::null_mut();
    // SAFETY: `c_name` ends in a zero and is copied; `parameter` is what `start` expects.
    let created = unsafe {
        ffi::xTaskCreate(
            start,
            c_name.as_ptr().cast(),
            depth,
            parameter.cast(),
            UBase::from(priority.0),
            &mut handle,
        )
    };
    match NonNull::new(handle).filter(|_| created == TRUE) {
        Some(handle) => Ok(Task(handle)),
        None => {
            // SAFETY: no task was made, so the box is still ours.
            drop(unsafe { Box::from_raw(parameter) });
            Err(OutOfMemory)
        }
    }
}

type Entry = Box<dyn FnOnce() + Send>;

extern "C-unwind" fn start(parameter: *mut c_void) {
    // SAFETY: `spawn` made it with `Box::into_raw`, for this task only.
    let entry = unsafe { Box::from_raw(parameter.cast::<Entry>()) };
    run_entry(*entry);
    // SAFETY: deletes this task; nothing of its stack is left to drop.
    unsafe { ffi::vTaskDelete(ptr::null_mut()) };
}

#[cfg(unix)]
fn run_entry(entry: Entry) {
    if let Err(panic) = std::panic::catch_unwind(core::panic::AssertUnwindSafe(entry)) {
        crate::scheduler::end(Err(panic));
    }
}

/// Panics abort here.
#[cfg(not(unix))]
fn run_entry(entry: Entry) {
    entry();
}
