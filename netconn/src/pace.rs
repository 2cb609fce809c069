//! What the tcpip thread leaves to threads of lower priority. It runs above the applications, so
//! that a flood of frames, which always has one more, would never let them run ("receive livelock",
//! Mogul and Ramakrishnan 1996). What arrives while it rests waits in the device, or is lost there
//! at no cost.
use core::time::Duration;

use gannet_core::Instant;

/// How long the thread may be busy without having slept in proportion, in microseconds.
const BUSY: u64 = 10_000;
/// How long it then rests: no longer than a device has buffers for, no shorter than the tick of an
/// operating system.
const REST: Duration = Duration::from_millis(1);
/// Sleeping for one unit of time makes up for so many of work.
const MAKES_UP: u64 = 10;

/// How much the tcpip thread has worked of late.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Pace {
    awake_since: Instant,
    /// Microseconds of work that were not made up for by sleep, before `awake_since`.
    busy: u64,
}

impl Pace {
    pub(crate) const fn new(now: Instant) -> Self {
        Self {
            awake_since: now,
            busy: 0,
        }
    }

    /// Until when to rest now that a turn is done, if it is time for that.
    pub(crate) fn rest(&self, now: Instant) -> Option<Instant> {
        (self.work(now) >= BUSY).then(|| now + REST)
    }

    /// It slept between these moments, if they differ.
    pub(crate) fn slept(&mut self, from: Instant, to: Instant) {
        let slept = between(from, to);
        let made_up = slept.saturating_mul(MAKES_UP);
        self.busy = self.work(from).saturating_sub(made_up);
        self.awake_since = to;
    }

    fn work(&self, now: Instant) -> u64 {
        self.busy.saturating_add(between(self.awake_since, now))
    }
}

/// Microseconds.
fn between(from: Instant, to: Instant) -> u64 {
    to.as_micros().saturating_sub(from.as_micros())
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn at(millis: u64) -> Instant {
        Instant::from_micros(millis * 1_000)
    }

    #[test]
    fn rests_after_ten_milliseconds_of_work_and_then_works_on() {
        let mut pace = Pace::new(at(0));
        assert_eq!(pace.rest(at(9)), None);
        pace.slept(at(9), at(9));
        assert_eq!(pace.rest(at(10)), Some(at(11)));
        pace.slept(at(10), at(11));
        assert_eq!(pace.rest(at(20)), None);
        assert_eq!(pace.rest(at(21)), Some(at(22)));
    }

    #[test]
    fn naps_between_frames_are_no_rest() {
        let mut pace = Pace::new(at(0));
        let mut now = Instant::ZERO;
        while pace.rest(now).is_none() {
            let done = now + Duration::from_micros(900);
            now = done + Duration::from_micros(5);
            pace.slept(done, now);
            assert!(now < at(20), "never rests");
        }
    }

    #[test]
    fn a_thread_that_sleeps_a_tenth_of_the_time_needs_no_rest() {
        let mut pace = Pace::new(at(0));
        for n in (0..1_000).step_by(10) {
            assert_eq!(pace.rest(at(n + 9)), None);
            pace.slept(at(n + 9), at(n + 10));
        }
    }
}
