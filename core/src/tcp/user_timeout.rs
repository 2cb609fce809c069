//! When a connection is given up for want of acknowledgements: after a number of retransmissions,
//! or after the application's user timeout (RFC 9293 §3.8.3, §3.9.1).
use crate::config::TcpConfig;
use crate::time::Instant;

use super::State;
use super::pcb::Pcb;
use super::send::Fin;
use super::timers::Timer;

impl Pcb {
    /// Whether the retransmissions made so far are all there may be (R2, RFC 9293 §3.8.3).
    pub(super) fn retransmits_exhausted(&self, config: &TcpConfig) -> bool {
        // MUST-21: the application's own limit takes the place of the count.
        let limit = if matches!(self.state, State::SynSent | State::SynReceived) {
            // MUST-23: a limit of its own for SYNs.
            self.settings.syn_retransmits(config)
        } else if self.settings.user_timeout.is_some() {
            return false;
        } else {
            config.max_retransmits
        };
        self.recovery.attempts > limit
    }

    /// Something was acknowledged, or the timeout changed: it is counted from now on.
    pub(super) fn restart_user_timer(&mut self, now: Instant) {
        self.timers.stop(Timer::User);
        self.run_user_timer(now);
    }

    /// Starts the timer when something begins to wait, stops it when nothing does.
    pub(super) fn run_user_timer(&mut self, now: Instant) {
        match self.settings.user_timeout {
            Some(timeout) if self.has_outstanding() => {
                if !self.timers.is_running(Timer::User) {
                    self.timers.start(Timer::User, now, timeout);
                }
            }
            _ => self.timers.stop(Timer::User),
        }
    }

    /// Whether the peer owes an acknowledgement, or a window to send into.
    fn has_outstanding(&self) -> bool {
        match self.state {
            State::Closed | State::TimeWait => false,
            _ => {
                self.snd.in_flight() > 0
                    || self.snd.unsent() > 0
                    || self.snd.fin == Fin::Queued
                    || self.syn_due
            }
        }
    }
}
