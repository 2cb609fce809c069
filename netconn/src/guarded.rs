//! What critical sections guard, without a panic in firmware. A critical section keeps other threads
//! out, but not a second look by the one that is inside; this crate never takes one, and its tests,
//! which are built with debug assertions, would show it.
use core::cell::{RefCell, RefMut};

/// The contents of `cell`. `None`: it is in use further up the stack.
pub(crate) fn lock<T>(cell: &RefCell<T>) -> Option<RefMut<'_, T>> {
    let locked = cell.try_borrow_mut();
    debug_assert!(locked.is_ok(), "looked at twice in one critical section");
    locked.ok()
}
