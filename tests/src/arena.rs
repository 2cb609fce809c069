//! Memory that counts as static as long as a stack lives and is given back afterwards: a run of
//! many simulations would else fill the machine.
#![allow(unsafe_code, reason = "lends boxes as if they were statics")]

/// Owns what it lent.
#[derive(Default)]
pub struct Arena {
    lent: Vec<Box<dyn FnOnce()>>,
}

impl Arena {
    /// `n` unused slots.
    pub fn slots<T: Default + 'static>(&mut self, n: usize) -> &'static mut [T] {
        let slots: Box<[T]> = (0..n).map(|_| T::default()).collect();
        let lent: *mut [T] = Box::into_raw(slots);
        self.lent.push(Box::new(move || {
            // SAFETY: made by `into_raw` above, and freed once: the closure is called once.
            drop(unsafe { Box::from_raw(lent) });
        }));
        // SAFETY: nothing else refers to it, and it lives until `release`, whose caller promises
        // that the reference is gone.
        unsafe { &mut *lent }
    }

    /// One value.
    pub fn one<T: 'static>(&mut self, value: T) -> &'static mut T {
        let lent: *mut T = Box::into_raw(Box::new(value));
        self.lent.push(Box::new(move || {
            // SAFETY: made by `into_raw` above, and freed once: the closure is called once.
            drop(unsafe { Box::from_raw(lent) });
        }));
        // SAFETY: nothing else refers to it, and it lives until `release`, whose caller promises
        // that the reference is gone.
        unsafe { &mut *lent }
    }

    /// Never gives it back.
    pub fn leak(self) {
        std::mem::forget(self);
    }

    /// Gives everything back.
    ///
    /// # Safety
    /// Nothing uses what was lent any more: the stacks that got it are dropped.
    pub unsafe fn release(self) {
        for free in self.lent {
            free();
        }
    }
}

impl std::fmt::Debug for Arena {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Arena({} loans)", self.lent.len())
    }
}
