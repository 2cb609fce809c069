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
pub(crate) struct TimerTable([Instant; COUNT]);

impl TimerTable {
    /// No timer runs.
    pub(crate) const STOPPED: Self = Self([Instant::MAX; COUNT]);

    pub(crate) fn start(&mut self, timer: Timer, now: Instant, after: Duration) {
        self.0[timer as usize] = now + after;
    }

    /// `timer` expires at `at`.
    #[cfg(feature = "bbr")]
    pub(crate) fn start_at(&mut self, timer: Timer, at: Instant) {
        self.0[timer as usize] = at;
    }

    /// `timer` expires no later than `other`.
    #[cfg(feature = "sack")]
    pub(crate) fn limit(&mut self, timer: Timer, other: Timer) {
        self.0[timer as usize] = self.0[timer as usize].min(self.0[other as usize]);
    }

    pub(crate) fn stop(&mut self, timer: Timer) {
        self.0[timer as usize] = Instant::MAX;
    }

    pub(crate) fn is_running(&self, timer: Timer) -> bool {
        self.0[timer as usize] != Instant::MAX
    }

    /// Stops `timer` if it is due, and says whether it was.
    pub(crate) fn expired(&mut self, timer: Timer, now: Instant) -> bool {
        let due = self.0[timer as usize] <= now;
        if due {
            self.stop(timer);
        }
        due
    }

    /// The earliest deadline; [`Instant::MAX`] when no timer runs.
    pub(crate) fn next(&self) -> Instant {
        self.0.iter().copied().fold(Instant::MAX, Ord::min)
    }
}
