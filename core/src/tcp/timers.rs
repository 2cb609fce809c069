//! The timers of a connection: one deadline each.
use core::time::Duration;

use crate::time::Instant;

/// What can be waited for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Timer {
    /// Probe for a lost tail (RFC 8985 §7): before `Retransmit`, which it puts off.
    TailProbe,
    /// What is late is lost now (RFC 8985 §6.2.5).
    Reorder,
    /// Resend what is not acknowledged, or probe a closed window.
    Retransmit,
    /// Send an acknowledgement that was held back.
    DelayedAck,
    /// Send what the window is too small for: sender SWS override and window probes.
    Persist,
    /// Ask a silent peer whether it is there.
    Keepalive,
    /// Give up waiting for the peer's FIN.
    FinWait2,
    /// Call the application's `poll`.
    Poll,
    /// Offer refused data again.
    Refused,
    /// Give up for want of acknowledgements (user timeout).
    User,
    /// Send what pacing holds back.
    Pacing,
}

const COUNT: usize = 11;

impl Timer {
    pub(crate) const ALL: [Self; COUNT] = [
        Self::TailProbe,
        Self::Reorder,
        Self::Retransmit,
        Self::DelayedAck,
        Self::Persist,
        Self::Keepalive,
        Self::FinWait2,
        Self::Poll,
        Self::Refused,
        Self::User,
        Self::Pacing,
    ];
}

/// The deadlines of one connection.
#[derive(Clone, Debug)]
pub(crate) struct TimerTable {
    deadlines: [Instant; COUNT],
    /// The earliest deadline that was set since [`TimerTable::take_lowered`].
    lowered: Instant,
}

impl TimerTable {
    /// No timer runs.
    pub(crate) const STOPPED: Self = Self {
        deadlines: [Instant::MAX; COUNT],
        lowered: Instant::MAX,
    };

    pub(crate) fn start(&mut self, timer: Timer, now: Instant, after: Duration) {
        self.start_at(timer, now + after);
    }

    /// `timer` expires at `at`.
    pub(crate) fn start_at(&mut self, timer: Timer, at: Instant) {
        self.deadlines[timer as usize] = at;
        self.lowered = self.lowered.min(at);
    }

    /// When `timer` expires; [`Instant::MAX`] if it does not run.
    #[cfg(feature = "sack")]
    pub(crate) const fn deadline(&self, timer: Timer) -> Instant {
        self.deadlines[timer as usize]
    }

    pub(crate) fn stop(&mut self, timer: Timer) {
        self.deadlines[timer as usize] = Instant::MAX;
    }

    pub(crate) fn is_running(&self, timer: Timer) -> bool {
        self.deadlines[timer as usize] != Instant::MAX
    }

    /// Stops `timer` if it is due, and says whether it was.
    pub(crate) fn expired(&mut self, timer: Timer, now: Instant) -> bool {
        let due = self.deadlines[timer as usize] <= now;
        if due {
            self.stop(timer);
        }
        due
    }

    /// The earliest deadline; [`Instant::MAX`] when no timer runs.
    pub(crate) fn next(&self) -> Instant {
        self.deadlines.iter().copied().fold(Instant::MAX, Ord::min)
    }

    /// No timer started since the last call expires before this. Who has taken all these into
    /// account knows a moment before which nothing expires, without a look at each timer: stopping
    /// one makes nothing earlier.
    pub(crate) fn take_lowered(&mut self) -> Instant {
        core::mem::replace(&mut self.lowered, Instant::MAX)
    }
}
