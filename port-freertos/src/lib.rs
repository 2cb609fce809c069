//! gannet on FreeRTOS: the OS seam, tasks and delays; and the POSIX simulator with its drivers.
//!
//! On a microcontroller the firmware compiles the kernel (crate `freertos-build`), takes [`Heap`] as
//! its allocator, starts its tasks with [`spawn`] and then the scheduler with `start`. On Linux, [`run`] does all of that: the
//! kernel runs in the process, a thread for each task, and devices ([`device`]) are TAP devices and
//! socket pairs whose interrupts ([`interrupt`]) are signals.
#![no_std]
extern crate alloc;
#[cfg(unix)]
extern crate std;

#[cfg(unix)]
pub mod capture;
mod clock;
#[cfg(unix)]
pub mod counters;
#[cfg(unix)]
mod critical;
mod delay;
pub mod device;
#[cfg(feature = "embassy-time")]
mod embassy_time;
mod event;
mod ffi;
mod heap;
#[cfg(unix)]
pub mod host;
#[cfg(unix)]
pub mod interrupt;
mod scheduler;
mod task;

pub use self::clock::now;
pub use self::delay::{Delay, delay};
pub use self::event::{Event, FreeRtos};
pub use self::heap::Heap;
#[cfg(unix)]
pub use self::scheduler::run;
#[cfg(not(unix))]
pub use self::scheduler::start;
pub use self::task::{OutOfMemory, Priority, Task, spawn};

/// The kernel's own objects (queues, mutexes, timers, ...) for applications. Not with the stock
/// port, for whose 64-bit types these bindings are unsound.
#[cfg(not(feature = "stock-port"))]
pub use freertos_rust as freertos;
#[cfg(feature = "stock-port")]
use freertos_rust as _; // links the kernel
