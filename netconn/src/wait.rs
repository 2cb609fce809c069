//! Sleeping: who waits for what, without an operating system object per connection.
//!
//! A call that has to sleep borrows one of the net's waiters (an event of the operating system)
//! and leaves its number in the connections it waits for, in the same critical section that found
//! nothing to do; so no wake-up falls in between. `poll` waits for many connections with one
//! waiter. A wake-up takes all numbers out and signals them; who still finds nothing puts its
//! number back.
use core::cell::Cell;
use core::time::Duration;

use critical_section::{CriticalSection, Mutex};
use gannet_core::Instant;

use crate::error::Error;
use crate::net::Net;
use crate::shared::Ready;
use crate::sys::{self, EventId};

/// How long a call may sleep.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Patience {
    /// Not at all (`O_NONBLOCK`, `MSG_DONTWAIT`).
    Never,
    /// Until then.
    Until(Instant),
    /// For ever.
    Forever,
}

impl Patience {
    /// `None` is for ever, zero not at all.
    pub fn from_timeout(timeout: Option<Duration>) -> Self {
        match timeout {
            None => Self::Forever,
            Some(Duration::ZERO) => Self::Never,
            Some(timeout) => Self::Until(sys::now() + timeout),
        }
    }

    /// The time left; `Err` when there is none, `Ok(None)` when there is no limit.
    pub(crate) fn left(self) -> Result<Option<Duration>, Error> {
        match self {
            Self::Never => Err(Error::WouldBlock),
            Self::Forever => Ok(None),
            Self::Until(deadline) => {
                let left = deadline.saturating_since(sys::now());
                if left.is_zero() {
                    Err(Error::WouldBlock)
                } else {
                    Ok(Some(left))
                }
            }
        }
    }

    /// Whichever ends first.
    pub(crate) fn at_most(self, limit: Duration) -> Self {
        let limit = sys::now() + limit;
        match self {
            Self::Never => Self::Never,
            Self::Until(deadline) => Self::Until(deadline.min(limit)),
            Self::Forever => Self::Until(limit),
        }
    }
}

/// The patience of a call, looked up when it first has to sleep: most never do.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Limit {
    /// This one.
    Is(Patience),
    /// As the connection's settings say, from the first time on that it sleeps.
    AsSet,
}

impl Limit {
    /// The patience; `as_set` looks it up.
    pub(crate) fn patience(
        &mut self,
        as_set: impl FnOnce() -> Result<Patience, Error>,
    ) -> Result<Patience, Error> {
        match *self {
            Self::Is(patience) => Ok(patience),
            Self::AsSet => {
                let patience = as_set()?;
                *self = Self::Is(patience);
                Ok(patience)
            }
        }
    }
}

const WORDS: usize = 4;

/// The most threads that can sleep in one net at a time.
pub(crate) const MAX_WAITERS: usize = WORDS * 32;

/// Numbers of waiters.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct WaitSet([u32; WORDS]);

impl WaitSet {
    pub(crate) const EMPTY: Self = Self([0; WORDS]);

    pub(crate) fn insert(&mut self, waiter: u8) {
        if let Some(word) = self.0.get_mut(usize::from(waiter / 32)) {
            *word |= 1 << (waiter % 32);
        }
    }

    pub(crate) fn remove(&mut self, waiter: u8) {
        if let Some(word) = self.0.get_mut(usize::from(waiter / 32)) {
            *word &= !(1 << (waiter % 32));
        }
    }

    /// Adds all of `other`.
    pub(crate) fn merge(&mut self, other: Self) {
        for (word, other) in self.0.iter_mut().zip(other.0) {
            *word |= other;
        }
    }

    /// Takes all numbers out.
    pub(crate) fn take(&mut self) -> Self {
        core::mem::take(self)
    }

    fn first_absent(&self) -> Option<u8> {
        let (at, word) = self
            .0
            .iter()
            .enumerate()
            .find(|(_, word)| **word != u32::MAX)?;
        u8::try_from(at * 32 + word.trailing_ones() as usize).ok()
    }

    fn iter(mut self) -> impl Iterator<Item = u8> {
        core::iter::from_fn(move || {
            let (at, word) = self
                .0
                .iter_mut()
                .enumerate()
                .find(|(_, word)| **word != 0)?;
            let bit = word.trailing_zeros();
            *word &= *word - 1;
            u8::try_from(at * 32 + bit as usize).ok()
        })
    }
}

/// What an application wants called when there are news of a connection.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Callback {
    pub(crate) call: fn(usize, Ready),
    pub(crate) arg: usize,
}

/// Who has to be told of a change, once the critical section is over.
#[must_use]
#[derive(Debug)]
pub(crate) struct Wake {
    pub(crate) set: WaitSet,
    pub(crate) callback: Option<(Callback, Ready)>,
    #[cfg(feature = "async")]
    pub(crate) wakers: crate::futures::Wakers,
}

impl Wake {
    /// Nobody.
    pub(crate) const NONE: Self = Self {
        set: WaitSet::EMPTY,
        callback: None,
        #[cfg(feature = "async")]
        wakers: crate::futures::Wakers::NONE,
    };
}

/// One place to sleep: an event that is made when it is first needed, and kept.
#[derive(Debug)]
pub struct Waiter(Mutex<Cell<Option<EventId>>>);

impl Waiter {
    /// A waiter whose event is not made yet.
    #[allow(clippy::new_without_default, reason = "for statics only")]
    pub const fn new() -> Self {
        Self(Mutex::new(Cell::new(None)))
    }

    pub(crate) fn event(&self, cs: CriticalSection<'_>) -> Option<EventId> {
        self.0.borrow(cs).get()
    }
}

/// The waiters of a net.
#[derive(Debug)]
pub(crate) struct Waiters {
    slots: &'static [Waiter],
    used: Mutex<Cell<WaitSet>>,
}

impl Waiters {
    pub(crate) const fn new(slots: &'static [Waiter]) -> Self {
        assert!(slots.len() <= MAX_WAITERS, "at most 128 waiters");
        Self {
            slots,
            used: Mutex::new(Cell::new(WaitSet::EMPTY)),
        }
    }

    /// Borrows a waiter.
    ///
    /// # Errors
    /// [`Error::NoBuffers`]: as many threads sleep as the net has waiters, or the operating
    /// system is out of events.
    pub(crate) fn borrow(&self) -> Result<Borrowed<'_>, Error> {
        let (slot, number, event) = critical_section::with(|cs| {
            let used = self.used.borrow(cs);
            let mut set = used.get();
            let number = set.first_absent()?;
            let slot = self.slots.get(usize::from(number))?;
            set.insert(number);
            used.set(set);
            Some((slot, number, slot.event(cs)))
        })
        .ok_or(Error::NoBuffers)?;
        let borrowed = |event| Borrowed {
            waiters: self,
            number,
            event,
        };
        if let Some(event) = event {
            return Ok(borrowed(event));
        }
        // Only the borrower makes the event, so nobody else does at the same time.
        let Some(event) = sys::event_new() else {
            self.give_back(number);
            return Err(Error::NoBuffers);
        };
        critical_section::with(|cs| slot.0.borrow(cs).set(Some(event)));
        Ok(borrowed(event))
    }

    fn give_back(&self, number: u8) {
        critical_section::with(|cs| {
            let used = self.used.borrow(cs);
            let mut set = used.get();
            set.remove(number);
            used.set(set);
        });
    }

    /// Wakes the threads behind `set`. One that sleeps no longer is not disturbed: the signal of
    /// a borrowed event at worst makes its next borrower look twice.
    // Once in the program, not wherever something changes.
    #[inline(never)]
    pub(crate) fn signal(&self, set: WaitSet, signal: fn(EventId)) {
        for number in set.iter() {
            let slot = self.slots.get(usize::from(number));
            if let Some(event) = slot.and_then(|slot| critical_section::with(|cs| slot.event(cs))) {
                signal(event);
            }
        }
    }

    /// The waker of a waiter in use; kept for longer, it disturbs a later borrower at worst.
    #[cfg(feature = "async")]
    pub(crate) fn waker_of(&self, borrowed: &Borrowed<'_>) -> Option<core::task::Waker> {
        let slots: &'static [Waiter] = self.slots;
        slots.get(usize::from(borrowed.number)).map(sys::waker)
    }

    /// The number of the waiter that `waker` signals, if it is one of these.
    #[cfg(feature = "async")]
    pub(crate) fn number_of(&self, waker: &core::task::Waker) -> Option<u8> {
        let address = core::ptr::from_ref(sys::waiter_of(waker)?).addr();
        let offset = address.checked_sub(self.slots.as_ptr().addr())?;
        let number = offset / size_of::<Waiter>();
        u8::try_from(number)
            .ok()
            .filter(|_| number < self.slots.len())
    }

    /// Waiters in use: threads that sleep.
    pub(crate) fn in_use(&self) -> usize {
        critical_section::with(|cs| self.used.borrow(cs).get())
            .iter()
            .count()
    }
}

/// A waiter in use by this call.
#[derive(Debug)]
pub(crate) struct Borrowed<'a> {
    waiters: &'a Waiters,
    pub(crate) number: u8,
    event: EventId,
}

impl Borrowed<'_> {
    /// Sleeps until signalled.
    ///
    /// # Errors
    /// [`Error::WouldBlock`]: the patience is at its end.
    pub(crate) fn sleep(&self, patience: Patience) -> Result<(), Error> {
        let left = patience.left()?;
        if sys::event_wait(self.event, left) {
            Ok(())
        } else {
            patience.left().map(drop)
        }
    }
}

impl Drop for Borrowed<'_> {
    fn drop(&mut self) {
        self.waiters.give_back(self.number);
    }
}

impl Net {
    /// Tells those that `wake` names.
    pub(crate) fn signal(&self, wake: Wake) {
        self.tell(wake, sys::event_signal);
    }

    /// As [`Net::signal`], from an interrupt handler.
    pub(crate) fn signal_from_isr(&self, wake: Wake) {
        self.tell(wake, sys::event_signal_from_isr);
    }

    /// Those of both ends of a pair.
    pub(crate) fn signal_both(&self, wakes: [Wake; 2]) {
        wakes.into_iter().for_each(|wake| self.signal(wake));
    }

    fn tell(&self, wake: Wake, signal: fn(EventId)) {
        if wake.set != WaitSet::EMPTY {
            self.waiters.signal(wake.set, signal);
        }
        #[cfg(feature = "async")]
        wake.wakers.wake();
        if let Some((callback, ready)) = wake.callback {
            (callback.call)(callback.arg, ready);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wait_set_holds_what_was_inserted() {
        let mut set = WaitSet::EMPTY;
        for n in [0, 31, 32, 127] {
            set.insert(n);
        }
        assert!(set.iter().eq([0, 31, 32, 127]));
        set.remove(31);
        let mut other = WaitSet::EMPTY;
        other.insert(5);
        set.merge(other);
        assert!(set.take().iter().eq([0, 5, 32, 127]));
        assert_eq!(set, WaitSet::EMPTY);
    }

    #[test]
    fn the_first_absent_number_skips_full_words() {
        let mut set = WaitSet::EMPTY;
        for n in 0..MAX_WAITERS {
            assert_eq!(set.first_absent(), u8::try_from(n).ok());
            set.insert(n as u8);
        }
        assert_eq!(set.first_absent(), None);
    }
}
