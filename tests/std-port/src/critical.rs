//! One lock for all threads, which the thread that has it may take again.
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Condvar, Mutex, PoisonError};

use critical_section::{Impl, RawRestoreState, set_impl};

struct Lock;
set_impl!(Lock);

static TAKEN: Mutex<bool> = Mutex::new(false);
static FREED: Condvar = Condvar::new();
/// The thread that has the lock; 0: none.
static OWNER: AtomicU64 = AtomicU64::new(0);
static DEPTH: AtomicU64 = AtomicU64::new(0);
static ENTERED: AtomicU64 = AtomicU64::new(0);

/// How often a critical section was entered, nested ones not counted.
pub fn critical_sections() -> u64 {
    ENTERED.load(Ordering::Relaxed)
}

/// A number of this thread that is not 0.
fn me() -> u64 {
    static NEXT: AtomicU64 = AtomicU64::new(1);
    thread_local!(static ME: u64 = NEXT.fetch_add(1, Ordering::Relaxed));
    ME.with(|me| *me)
}

// SAFETY: `acquire` returns only while no other thread has the lock, and the lock is given back by
// the outermost `release` only.
unsafe impl Impl for Lock {
    unsafe fn acquire() -> RawRestoreState {
        let me = me();
        // Only this thread writes its own number, so nobody else can make this true or false.
        if OWNER.load(Ordering::Acquire) == me {
            DEPTH.fetch_add(1, Ordering::Relaxed);
            return RawRestoreState::default();
        }
        let taken = TAKEN.lock().unwrap_or_else(PoisonError::into_inner);
        let mut taken = FREED
            .wait_while(taken, |taken| *taken)
            .unwrap_or_else(PoisonError::into_inner);
        *taken = true;
        OWNER.store(me, Ordering::Release);
        ENTERED.fetch_add(1, Ordering::Relaxed);
        RawRestoreState::default()
    }

    unsafe fn release(_: RawRestoreState) {
        if DEPTH.load(Ordering::Relaxed) > 0 {
            DEPTH.fetch_sub(1, Ordering::Relaxed);
            return;
        }
        OWNER.store(0, Ordering::Release);
        *TAKEN.lock().unwrap_or_else(PoisonError::into_inner) = false;
        FREED.notify_one();
    }
}
