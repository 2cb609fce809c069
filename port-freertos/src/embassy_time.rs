//! The time driver of `embassy-time` (feature `embassy-time`): timers and time-outs of async crates,
//! whatever executor their task has; `gannet_netconn::block_on` is one.
//!
//! A task of high priority keeps the timers and sleeps until the next is due. It starts with the
//! first timer, so who uses none pays nothing.
use core::cell::RefCell;
use core::task::Waker;
use core::time::Duration;

use critical_section::{CriticalSection, Mutex};
use embassy_time_driver::{Driver, TICK_HZ, time_driver_impl};
use gannet_core::Instant;
use gannet_netconn::sys::{EventId, Sys};

use crate::event::{Event, FreeRtos, is_alive};
use crate::task::{Priority, spawn};
use crate::{OutOfMemory, clock};

/// Tasks that wait for a timer at a time. With one more, the next timer due fires early, which
/// costs its task a look at the clock.
const TIMERS: usize = 32;
/// Of the task that keeps the timers; it runs wakers.
const STACK_WORDS: usize = 256;
/// The longest sleep: a deadline in millions of years would overflow.
const LONGEST: Duration = Duration::from_secs(3_600);

time_driver_impl!(static TIME: Time = Time(Mutex::new(RefCell::new(State::NEW))));

struct Time(Mutex<RefCell<State>>);

struct State {
    /// Signalled when a timer is due earlier than all others.
    changed: Option<EventId>,
    timers: [Option<Timer>; TIMERS],
}

struct Timer {
    /// In ticks of embassy's.
    at: u64,
    waker: Waker,
}

impl Driver for Time {
    fn now(&self) -> u64 {
        ticks(clock::now())
    }

    fn schedule_wake(&self, at: u64, waker: &Waker) {
        let Ok(changed) = self.keeper() else {
            // Nobody keeps timers: the task has to look at the clock itself, again and again.
            waker.wake_by_ref();
            return;
        };
        let timer = Timer {
            at,
            waker: waker.clone(),
        };
        let outcome = self.with(|state| state.insert(timer));
        if let Some(evicted) = outcome.evicted {
            evicted.wake();
        }
        if outcome.is_next {
            FreeRtos.event_signal(changed);
        }
    }
}

impl Time {
    fn with<R>(&self, f: impl FnOnce(&mut State) -> R) -> R {
        critical_section::with(|cs: CriticalSection<'_>| f(&mut self.0.borrow_ref_mut(cs)))
    }

    /// The event of the task that keeps the timers, which is started if need be: first of all, and
    /// on the simulator in each run.
    fn keeper(&self) -> Result<EventId, OutOfMemory> {
        let current = |state: &State| state.changed.filter(|event| is_alive(*event));
        if let Some(changed) = self.with(|state| current(state)) {
            return Ok(changed);
        }
        let event = Event::new()?;
        let mine = event.id();
        // Others may do the same at the same time. What an earlier run left is dropped out here.
        let old = self.with(|state| match current(state) {
            Some(changed) => Err(changed),
            None => {
                let old = core::mem::replace(state, State::NEW);
                state.changed = Some(mine);
                Ok(old)
            }
        });
        if let Err(others) = old {
            return Ok(others);
        }
        // From here on the task's.
        core::mem::forget(event);
        spawn("timers", Priority::TCPIP, STACK_WORDS, move || {
            TIME.keep(mine);
        })
        .inspect_err(|_| self.with(|state| state.changed = None))?;
        Ok(mine)
    }

    fn keep(&self, changed: EventId) {
        loop {
            let now = clock::now();
            match self.with(|state| state.look(ticks(now))) {
                Look::Due(waker) => waker.wake(),
                Look::Next(at) => {
                    FreeRtos.event_wait(changed, Some(until(at, now)));
                }
                Look::Nothing => {
                    FreeRtos.event_wait(changed, None);
                }
            }
        }
    }
}

/// What became of a new timer.
struct Inserted {
    evicted: Option<Waker>,
    is_next: bool,
}

/// What there is to do at a certain time.
enum Look {
    Due(Waker),
    Next(u64),
    Nothing,
}

impl State {
    const NEW: Self = Self {
        changed: None,
        timers: [const { None }; TIMERS],
    };

    /// A task has one timer: its earliest. Woken, it sets the others again.
    fn insert(&mut self, new: Timer) -> Inserted {
        let next = self.next().map(|(_, at)| at);
        let is_next = next.is_none_or(|next| new.at < next);
        let evicted = None;
        let same = |timer: &&mut Timer| timer.waker.will_wake(&new.waker);
        if let Some(timer) = self.timers.iter_mut().flatten().find(same) {
            timer.at = timer.at.min(new.at);
            return Inserted { evicted, is_next };
        }
        if let Some(free) = self.timers.iter_mut().find(|timer| timer.is_none()) {
            *free = Some(new);
            return Inserted { evicted, is_next };
        }
        let next = self
            .next()
            .and_then(|(place, _)| self.timers.get_mut(place));
        let evicted = next.and_then(|place| place.replace(new)).map(|t| t.waker);
        // Who was next is no longer.
        Inserted {
            evicted,
            is_next: true,
        }
    }

    fn look(&mut self, now: u64) -> Look {
        match self.next() {
            None => Look::Nothing,
            Some((_, at)) if at > now => Look::Next(at),
            Some((place, at)) => match self.timers.get_mut(place).and_then(Option::take) {
                Some(timer) => Look::Due(timer.waker),
                None => Look::Next(at),
            },
        }
    }

    /// The timer that is due first: its place and when.
    fn next(&self) -> Option<(usize, u64)> {
        let timers = self.timers.iter().enumerate();
        timers
            .filter_map(|(place, timer)| Some((place, timer.as_ref()?.at)))
            .min_by_key(|(_, at)| *at)
    }
}

/// Embassy's ticks at `time`.
fn ticks(time: Instant) -> u64 {
    convert(time.as_micros(), TICK_HZ, MICROS)
}

/// How long to sleep from `now` on until the tick `at` has come.
fn until(at: u64, now: Instant) -> Duration {
    let due = convert(at, MICROS, TICK_HZ);
    // Rounded up: a sleep that ends early would only be repeated.
    let round_up = u64::from(TICK_HZ != MICROS);
    let due = Instant::from_micros(due.saturating_add(round_up));
    due.saturating_since(now).min(LONGEST)
}

const MICROS: u64 = 1_000_000;

fn convert(value: u64, to: u64, from: u64) -> u64 {
    if to == from {
        return value;
    }
    let wide = u128::from(value) * u128::from(to) / u128::from(from);
    u64::try_from(wide).unwrap_or(u64::MAX)
}
