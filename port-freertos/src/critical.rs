//! The simulator's implementation of the crate critical-section: right in tasks, in interrupt
//! handlers and on threads of the host program.
//!
//! Masking interrupts keeps other tasks and handlers out, a lock the host's threads. A task takes
//! the lock with interrupts masked, so it is never preempted with it, and whoever waits for it
//! waits for a running thread.
use core::sync::atomic::{AtomicU32, AtomicUsize, Ordering};

use critical_section::RawRestoreState;

use crate::counters;
use crate::host::mask;

struct HostSection;
critical_section::set_impl!(HostSection);

/// Futex: 0 free, 1 held, 2 held and waited for.
static LOCK: AtomicU32 = AtomicU32::new(0);
/// The thread that holds it, 0: nobody.
static OWNER: AtomicUsize = AtomicUsize::new(0);

// SAFETY: between `acquire` and `release` no other task or handler runs (the mask), and no other
// thread is between them (the lock). The state says whether an outer section holds the lock.
unsafe impl critical_section::Impl for HostSection {
    unsafe fn acquire() -> RawRestoreState {
        mask::enter();
        let me = thread_id();
        if OWNER.load(Ordering::Relaxed) == me {
            return true;
        }
        if LOCK
            .compare_exchange(0, 1, Ordering::Acquire, Ordering::Relaxed)
            .is_err()
        {
            while LOCK.swap(2, Ordering::Acquire) != 0 {
                futex(libc::FUTEX_WAIT, 2);
            }
        }
        OWNER.store(me, Ordering::Relaxed);
        counters::count_section();
        false
    }

    unsafe fn release(nested: RawRestoreState) {
        if !nested {
            OWNER.store(0, Ordering::Relaxed);
            if LOCK.swap(0, Ordering::Release) == 2 {
                futex(libc::FUTEX_WAKE, 1);
            }
        }
        mask::exit();
    }
}

/// The address of something each thread has for itself.
fn thread_id() -> usize {
    std::thread_local!(static MINE: u8 = const { 0 });
    MINE.with(|mine| core::ptr::from_ref(mine).addr())
}

fn futex(operation: i32, value: u32) {
    // SAFETY: `LOCK` is a futex word for ever; the remaining arguments are not looked at.
    unsafe {
        libc::syscall(
            libc::SYS_futex,
            LOCK.as_ptr(),
            operation | libc::FUTEX_PRIVATE_FLAG,
            value,
            core::ptr::null::<libc::timespec>(),
        );
    }
}
