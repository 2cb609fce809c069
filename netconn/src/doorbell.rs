//! The doorbell of the tcpip thread: which connections and which raw applications want attention.
//! Ringing is a few bits and, only if the thread sleeps, one signal: a burst costs one wake-up.
//! After bulk data the thread naps first: what can wait for the end of a nap does not signal, so
//! that a writer is not interrupted for each segment.
use core::cell::Cell;
use core::time::Duration;

use critical_section::{CriticalSection, Mutex};
use gannet_core::Instant;

use crate::sys::{self, EventId};

/// How long the thread naps after it took bulk data from a thread; operating systems make it the
/// end of their tick.
const NAP: Duration = Duration::from_micros(500);

/// How much the thread is needed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Ring {
    /// Not at all.
    #[default]
    No,
    /// At the end of its nap, if it naps; else now.
    Later,
    /// As [`Ring::Later`], or when a thread of the application goes to sleep.
    Soon,
    /// Now.
    Now,
}

/// What the thread does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Sleep {
    /// It will look before it sleeps.
    Awake,
    /// It sleeps for a moment, or is about to: [`Ring::Now`] has to signal.
    Napping,
    /// It sleeps, or is about to: whoever rings has to signal.
    Asleep,
}

/// 32 connections: a set bit wants attention.
#[derive(Debug)]
pub struct DirtyWord(Mutex<Cell<u32>>);

impl DirtyWord {
    /// Nobody wants attention.
    #[allow(clippy::new_without_default, reason = "for statics only")]
    pub const fn new() -> Self {
        Self(Mutex::new(Cell::new(0)))
    }
}

#[derive(Clone, Copy, Debug)]
struct State {
    event: Option<EventId>,
    sleep: Sleep,
    /// Bulk data was taken since the thread last slept.
    bulk: bool,
    /// While it is earlier, the thread naps.
    nap_until: Instant,
    /// Rung since the thread last looked.
    rung: bool,
    /// ... with [`Ring::Soon`], and it goes on napping.
    held: bool,
    /// Raw applications to wake (see `Handler::wake`), a bit each.
    owners: u32,
    stop: bool,
    /// Signals given: how often the thread was woken.
    wakeups: u32,
}

#[derive(Debug)]
pub(crate) struct Doorbell {
    state: Mutex<Cell<State>>,
    dirty: &'static [DirtyWord],
}

/// What the thread finds when it looks.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Rung {
    pub(crate) owners: u32,
    pub(crate) stop: bool,
}

impl Doorbell {
    pub(crate) const fn new(dirty: &'static [DirtyWord]) -> Self {
        Self {
            state: Mutex::new(Cell::new(State {
                event: None,
                sleep: Sleep::Awake,
                bulk: false,
                nap_until: Instant::ZERO,
                rung: false,
                held: false,
                owners: 0,
                stop: false,
                wakeups: 0,
            })),
            dirty,
        }
    }

    /// Marks connection `index` and wakes the raw applications whose bit is set in `owners`; says
    /// whether the thread has to be signalled.
    pub(crate) fn mark(
        &self,
        cs: CriticalSection<'_>,
        index: u16,
        owners: u32,
        ring: Ring,
    ) -> Signal {
        self.set_dirty(cs, index);
        self.change(cs, ring, |state| state.owners |= owners)
    }

    /// Marks connection `index` for a thread that is about to look.
    pub(crate) fn set_dirty(&self, cs: CriticalSection<'_>, index: u16) {
        if let Some(word) = self.dirty.get(usize::from(index / 32)) {
            let word = word.0.borrow(cs);
            word.set(word.get() | 1 << (index % 32));
        }
    }

    /// Wakes the raw applications whose bit is set in `owners`.
    pub(crate) fn wake_owners(&self, cs: CriticalSection<'_>, owners: u32) -> Signal {
        self.change(cs, Ring::Now, |state| state.owners |= owners)
    }

    pub(crate) fn stop(&self, cs: CriticalSection<'_>) -> Signal {
        self.change(cs, Ring::Now, |state| state.stop = true)
    }

    /// A device has frames, or room.
    pub(crate) fn ring(&self, cs: CriticalSection<'_>) -> Signal {
        self.change(cs, Ring::Now, |_| {})
    }

    /// Bulk data was taken from a thread, which may go on writing.
    pub(crate) fn nap(&self, cs: CriticalSection<'_>) {
        let cell = self.state.borrow(cs);
        let mut state = cell.get();
        state.bulk = true;
        cell.set(state);
    }

    fn change(
        &self,
        cs: CriticalSection<'_>,
        ring: Ring,
        change: impl FnOnce(&mut State),
    ) -> Signal {
        let cell = self.state.borrow(cs);
        let mut state = cell.get();
        change(&mut state);
        state.rung = true;
        let wake = match state.sleep {
            Sleep::Awake => false,
            Sleep::Napping => ring == Ring::Now,
            Sleep::Asleep => true,
        };
        if wake {
            state.sleep = Sleep::Awake;
        }
        state.held |= ring == Ring::Soon && state.sleep == Sleep::Napping;
        state.wakeups = state.wakeups.wrapping_add(u32::from(wake));
        cell.set(state);
        Signal(state.event.filter(|_| wake))
    }

    /// The next marked connection; its mark is taken.
    pub(crate) fn next_dirty(&self) -> Option<u16> {
        critical_section::with(|cs| {
            self.dirty.iter().zip(0u16..).find_map(|(word, at)| {
                let word = word.0.borrow(cs);
                let bits = word.get();
                if bits == 0 {
                    return None;
                }
                word.set(bits & (bits - 1));
                // A trailing zero count fits 16 bits.
                Some(at * 32 + bits.trailing_zeros() as u16)
            })
        })
    }

    /// Looks, and takes what is found; marked connections stay for [`Doorbell::next_dirty`].
    pub(crate) fn look(&self) -> Rung {
        critical_section::with(|cs| {
            let cell = self.state.borrow(cs);
            let mut state = cell.get();
            let found = Rung {
                owners: state.owners,
                stop: state.stop,
            };
            (state.rung, state.held) = (false, false);
            (state.owners, state.stop) = (0, false);
            state.sleep = Sleep::Awake;
            cell.set(state);
            found
        })
    }

    /// Makes the event the thread sleeps on; `None`: the operating system is out of them.
    pub(crate) fn init(&self) -> Option<()> {
        if critical_section::with(|cs| self.state.borrow(cs).get().event).is_none() {
            let event = sys::event_new()?;
            critical_section::with(|cs| {
                let cell = self.state.borrow(cs);
                cell.set(State {
                    event: Some(event),
                    ..cell.get()
                });
            });
        }
        Some(())
    }

    /// Sleeps until `end`, whoever rings.
    pub(crate) fn rest(&self, end: Instant) {
        let event = critical_section::with(|cs| self.state.borrow(cs).get().event);
        let Some(event) = event else { return };
        loop {
            let left = end.saturating_since(sys::now());
            // It counts as awake, so that nobody signals; but for one who was about to.
            if left.is_zero() || !sys::event_wait(event, Some(left)) {
                return;
            }
        }
    }

    /// Sleeps from `now` until rung or `deadline`; a nap ends by itself.
    pub(crate) fn sleep(&self, now: Instant, deadline: Option<Instant>) {
        if deadline.is_some_and(|deadline| deadline <= now) {
            return;
        }
        let slept = critical_section::with(|cs| {
            let cell = self.state.borrow(cs);
            let mut state = cell.get();
            if core::mem::take(&mut state.bulk) {
                state.nap_until = now + NAP;
            }
            let nap = (now < state.nap_until).then_some(state.nap_until);
            let event = state.event.filter(|_| !state.rung);
            if event.is_some() {
                state.sleep = match nap {
                    Some(_) => Sleep::Napping,
                    None => Sleep::Asleep,
                };
            }
            cell.set(state);
            event.map(|event| (event, nap))
        });
        let Some((event, nap)) = slept else { return };
        let end = nap.into_iter().chain(deadline).min();
        let timeout = end.map(|end| end.saturating_since(now));
        // Woken or timed out: the thread looks either way.
        let _ = sys::event_wait(event, timeout);
    }

    /// Whether something is held back for as long as the thread naps.
    pub(crate) fn holds(&self, cs: CriticalSection<'_>) -> bool {
        let state = self.state.borrow(cs).get();
        state.held && state.sleep == Sleep::Napping
    }

    /// How often the thread was woken by a ring.
    pub(crate) fn wakeups(&self) -> u32 {
        critical_section::with(|cs| self.state.borrow(cs).get().wakeups)
    }
}

/// An event to signal once the critical section is over.
#[must_use]
#[derive(Clone, Copy, Debug)]
pub(crate) struct Signal(Option<EventId>);

impl Signal {
    /// From a thread.
    pub(crate) fn give(self) {
        if let Some(event) = self.0 {
            sys::event_signal(event);
        }
    }

    /// From an interrupt handler.
    pub(crate) fn give_from_isr(self) {
        if let Some(event) = self.0 {
            sys::event_signal_from_isr(event);
        }
    }
}
