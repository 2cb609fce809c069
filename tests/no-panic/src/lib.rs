//! The receive path of the stack as a library without std: one exported function that takes a
//! frame and runs a turn. A panic calls `gannet_panics`, which nobody defines: whoever calls the
//! panic handler can be read from the library's symbols, and is what `check` reports.
#![no_std]

use core::panic::PanicInfo;

use gannet_core::{Config, Handler, Instant, Stack, Storage};

unsafe extern "C" {
    fn gannet_panics() -> !;
}

#[panic_handler]
fn panic(_: &PanicInfo<'_>) -> ! {
    // SAFETY: it does not exist; this is never linked into a program.
    unsafe { gannet_panics() }
}

struct Idle;

impl Handler for Idle {}

/// Makes a stack of what it is given.
///
/// # Safety
/// All pointers are valid, and `storage` is given away.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn gannet_new(stack: *mut Stack, storage: *const Storage) {
    // SAFETY: the caller's promise.
    unsafe { stack.write(Stack::new(storage.read(), Config::default(), &mut |b| b.fill(4))) }
}

/// One turn: receives what the drivers have, runs timers, calls handlers, sends.
///
/// # Safety
/// `stack` is valid.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn gannet_turn(stack: *mut Stack, micros: u64) -> u64 {
    // SAFETY: the caller's promise.
    let stack = unsafe { &mut *stack };
    stack
        .turn(Instant::from_micros(micros), &mut [&mut Idle])
        .map_or(u64::MAX, Instant::as_micros)
}
