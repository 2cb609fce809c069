//! The stack as a library without std: an exported function that takes frames and runs a turn, the
//! tcpip thread, and all calls of netconn and sockets. A panic calls `gannet_panics`, which nobody defines: whoever calls the
//! panic handler can be read from the library's symbols, and is what `check` reports.
#![no_std]

use core::panic::PanicInfo;

mod calls;
mod os;

use gannet_core::{Config, Handler, Instant, Owner, Stack, Storage, owner_bit, pbuf_pool};
use gannet_netconn::{Service, net};
use gannet_sockets::descriptors;

unsafe extern "C" {
    fn gannet_panics() -> !;
}

#[panic_handler]
fn panic(_: &PanicInfo<'_>) -> ! {
    // SAFETY: it does not exist; this is never linked into a program.
    unsafe { gannet_panics() }
}

pbuf_pool! { static TX: [1536; 16] + refs 16 }
net! { static NET: { connections: 16, datagrams: 16, waiters: 8, tx_pool: TX } }
descriptors! { static FDS: 16 }

struct Idle;

impl Handler for Idle {}

/// Makes a stack of what it is given.
///
/// # Safety
/// All pointers are valid, and `storage` is given away.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn gannet_new(stack: *mut Stack, storage: *const Storage) {
    // SAFETY: the caller's promise.
    unsafe {
        stack.write(Stack::new(storage.read(), Config::default(), &mut |b| {
            b.fill(4)
        }))
    }
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

/// As [`gannet_turn`], with the sequential API as application: its requests, and its callbacks.
///
/// # Safety
/// `stack` is valid.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn gannet_service(stack: *mut Stack, micros: u64) -> u64 {
    // SAFETY: the caller's promise.
    let stack = unsafe { &mut *stack };
    let now = Instant::from_micros(micros);
    let mut service = Service::new(&NET, Owner(0));
    let handlers: &mut [&mut dyn Handler] = &mut [&mut service];
    stack.wake(now, owner_bit(Owner(0)), handlers);
    stack
        .turn(now, handlers)
        .map_or(u64::MAX, Instant::as_micros)
}

/// The tcpip thread.
///
/// # Safety
/// `stack` is valid.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn gannet_run(stack: *mut Stack) -> bool {
    NET.make_default();
    FDS.make_default();
    let mut service = Service::new(&NET, Owner(0));
    // SAFETY: the caller's promise.
    NET.run(unsafe { &mut *stack }, &mut [&mut service]).is_ok()
}
