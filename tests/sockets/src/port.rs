//! The OS seam for fuzzing: threads of std of which one runs at a time. Who is next when one sleeps,
//! and whether one is interrupted after a critical section, is decided by bytes of the input; the
//! clock stands still while anybody can run, and then jumps to the next time-out.
#![allow(unsafe_code, reason = "implements the symbols of the seam")]

use std::cell::Cell;
use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use critical_section::{Impl, RawRestoreState, set_impl};
use gannet_netconn::Instant;
use gannet_netconn::sys::{EventId, Sys};

/// The task that starts the others.
pub const MAIN: usize = 0;
/// Tasks of a run.
const TASKS: usize = 6;
/// Times another task gets its turn in one run; more mean that something turns in circles.
const SWITCHES: u64 = 1_000_000;
/// A task is interrupted after a critical section if the next byte is below this.
const INTERRUPT: u8 = 64;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Task {
    None,
    Ready,
    Sleeps(usize, Option<Instant>),
    Done,
}

#[derive(Debug)]
struct State {
    now: Instant,
    signalled: Vec<bool>,
    tasks: [Task; TASKS],
    running: usize,
    choices: VecDeque<u8>,
    switches: u64,
    panic: Option<String>,
}

static STATE: Mutex<State> = Mutex::new(State {
    now: Instant::from_millis(1_000),
    signalled: Vec::new(),
    tasks: [Task::None; TASKS],
    running: MAIN,
    choices: VecDeque::new(),
    switches: 0,
    panic: None,
});
static TURN: [Condvar; TASKS] = [const { Condvar::new() }; TASKS];
/// Critical sections that the running task is in, nested ones counted.
static DEPTH: AtomicU32 = AtomicU32::new(0);

thread_local!(static ME: Cell<Option<usize>> = const { Cell::new(None) });

fn state() -> MutexGuard<'static, State> {
    STATE.lock().unwrap_or_else(PoisonError::into_inner)
}

impl State {
    /// Who runs next; the clock jumps if nobody can.
    fn next(&mut self) -> usize {
        self.switches += 1;
        loop {
            let ready: Vec<_> = (0..TASKS)
                .filter(|n| self.tasks[*n] == Task::Ready)
                .collect();
            match ready[..] {
                [] => {}
                [one] => return one,
                _ => {
                    let choice = self.choices.pop_front().unwrap_or_default();
                    return ready[usize::from(choice) % ready.len()];
                }
            }
            let until = |task: &Task| match task {
                Task::Sleeps(_, until) => *until,
                _ => None,
            };
            let earliest = self.tasks.iter().filter_map(until).min();
            self.now = self
                .now
                .max(earliest.expect("the main task sleeps with a time-out"));
            for task in &mut self.tasks {
                if until(task).is_some_and(|until| until <= self.now) {
                    *task = Task::Ready;
                }
            }
        }
    }
}

/// Lets another task run, if the scheduler wants so, until it is `me`'s turn again.
fn switch(mut state: MutexGuard<'static, State>, me: usize) -> MutexGuard<'static, State> {
    state.running = state.next();
    if state.running != me {
        TURN[state.running].notify_all();
        state = TURN[me]
            .wait_while(state, |state| state.running != me)
            .unwrap_or_else(PoisonError::into_inner);
    }
    let endless = state.switches > SWITCHES;
    drop(state);
    assert!(!endless, "the tasks never come to an end");
    self::state()
}

/// Begins a run in the calling thread, whose scheduling `choices` decide.
pub fn begin(choices: &[u8]) {
    ME.set(Some(MAIN));
    let mut state = state();
    state.signalled.iter_mut().for_each(|event| *event = false);
    state.tasks = [Task::None; TASKS];
    state.tasks[MAIN] = Task::Ready;
    state.running = MAIN;
    state.choices = choices.iter().copied().collect();
    state.switches = 0;
    state.panic = None;
}

/// Adds task `n`, which ends with `body`.
pub fn spawn(n: usize, body: impl FnOnce() + Send + 'static) {
    state().tasks[n] = Task::Ready;
    std::thread::spawn(move || {
        ME.set(Some(n));
        let waiting = TURN[n].wait_while(state(), |state| state.running != n);
        drop(waiting.unwrap_or_else(PoisonError::into_inner));
        let outcome = catch_unwind(AssertUnwindSafe(body));
        let mut state = state();
        if let Err(panic) = outcome {
            DEPTH.store(0, Ordering::Relaxed);
            let what = panic
                .downcast_ref::<String>()
                .cloned()
                .or_else(|| panic.downcast_ref::<&str>().map(ToString::to_string));
            state.panic = Some(format!("task {n}: {}", what.unwrap_or_default()));
        }
        state.tasks[n] = Task::Done;
        state.running = state.next();
        TURN[state.running].notify_all();
    });
}

/// The main task waits until tasks `tasks` are done, but not longer than `limit`; whether they are.
///
/// # Panics
/// One of them did.
pub fn join(tasks: std::ops::Range<usize>, limit: Duration) -> bool {
    let until = now() + limit;
    loop {
        let mut state = state();
        if let Some(what) = state.panic.take() {
            drop(state);
            panic!("{what}");
        }
        let are_done = |task: &Task| matches!(task, Task::Done | Task::None);
        if state.tasks[tasks.clone()].iter().all(are_done) {
            return true;
        }
        if state.now >= until {
            return false;
        }
        // It looks again whenever nothing happens for a while.
        let tick = (state.now + Duration::from_secs(1)).min(until);
        state.tasks[MAIN] = Task::Sleeps(usize::MAX, Some(tick));
        drop(switch(state, MAIN));
    }
}

/// The calling task sleeps.
pub fn sleep(time: Duration) {
    let Some(me) = ME.get() else { return };
    let mut state = state();
    let until = state.now + time;
    state.tasks[me] = Task::Sleeps(usize::MAX, Some(until));
    drop(switch(state, me));
}

/// The clock.
pub fn now() -> Instant {
    state().now
}

/// Threads of std, one at a time, as operating system.
#[derive(Debug)]
pub struct OneAtATime;

gannet_netconn::sys_impl!(static SYS: OneAtATime = OneAtATime);

impl Sys for OneAtATime {
    fn now(&self) -> Instant {
        now()
    }

    fn event_new(&self) -> Option<EventId> {
        let mut state = state();
        state.signalled.push(false);
        Some(EventId(state.signalled.len() - 1))
    }

    fn event_signal(&self, event: EventId) {
        let mut state = state();
        state.signalled[event.0] = true;
        for task in &mut state.tasks {
            if matches!(task, Task::Sleeps(id, _) if *id == event.0) {
                *task = Task::Ready;
            }
        }
    }

    fn event_signal_from_isr(&self, event: EventId) {
        self.event_signal(event);
    }

    fn event_wait(&self, event: EventId, timeout: Option<Duration>) -> bool {
        assert_eq!(
            DEPTH.load(Ordering::Relaxed),
            0,
            "a task sleeps in a critical section"
        );
        let me = ME.get().expect("a task");
        let mut state = state();
        if !state.signalled[event.0] {
            let until = timeout.map(|timeout| state.now + timeout);
            state.tasks[me] = Task::Sleeps(event.0, until);
            state = switch(state, me);
        }
        std::mem::take(&mut state.signalled[event.0])
    }
}

struct Lock;
set_impl!(Lock);

// SAFETY: tasks take turns, and change only where nobody is in a critical section: `event_wait`
// checks it, and `release` interrupts after the outermost one.
unsafe impl Impl for Lock {
    unsafe fn acquire() -> RawRestoreState {
        DEPTH.fetch_add(1, Ordering::Relaxed);
        RawRestoreState::default()
    }

    unsafe fn release(_: RawRestoreState) {
        if DEPTH.fetch_sub(1, Ordering::Relaxed) > 1 {
            return;
        }
        let Some(me) = ME.get() else { return };
        let mut state = state();
        if state
            .choices
            .pop_front()
            .is_some_and(|byte| byte < INTERRUPT)
        {
            drop(switch(state, me));
        }
    }
}
