//! What happens when a timer of a connection expires (RFC 9293 §3.10.8).
use crate::error::Error;

use super::State;
use super::input::{Context, Verdict};
use super::pcb::{Force, Life, Pcb};
use super::receive::AckDue;
use super::timers::Timer;

impl Pcb {
    /// Runs every timer that is due.
    pub(crate) fn expire(&mut self, cx: &mut Context<'_>) -> Verdict {
        for timer in Timer::ALL {
            if !self.timers.expired(timer, cx.now) {
                continue;
            }
            let verdict = self.on_timer(timer, cx);
            if verdict != Verdict::Done {
                return verdict;
            }
        }
        Verdict::Done
    }

    fn on_timer(&mut self, timer: Timer, cx: &mut Context<'_>) -> Verdict {
        match timer {
            Timer::Retransmit => {
                cx.stats.timeouts += 1;
                if let Err(error) = self.on_retransmit_timeout(cx) {
                    return self.give_up(error);
                }
                self.path_timed_out(cx);
            }
            #[cfg(feature = "sack")]
            Timer::TailProbe => self.on_tail_probe_timeout(cx),
            #[cfg(feature = "sack")]
            Timer::Reorder => self.on_reorder_timeout(cx),
            #[cfg(not(feature = "sack"))]
            Timer::TailProbe | Timer::Reorder => {}
            Timer::DelayedAck => self.rcv.acknowledge(AckDue::Now),
            Timer::Persist => self.force = Force::Probe,
            Timer::Keepalive => return self.on_keepalive(cx),
            Timer::FinWait2 => return Verdict::End(Life::Ended),
            Timer::Poll => {
                self.pending.poll = true;
                self.start_poll_timer(cx.now);
            }
            // The output that follows sends it.
            Timer::Pacing => {}
            Timer::Refused => self.pending.refused = false,
            Timer::User => return self.give_up(Error::TimedOut),
        }
        Verdict::Done
    }

    fn give_up(&self, error: Error) -> Verdict {
        // RFC 9293 §3.8.3: tell the peer if it can still hear.
        match self.state {
            State::SynSent => Verdict::End(Life::Failed(error)),
            _ => Verdict::Abort(Life::Failed(error)),
        }
    }

    fn on_keepalive(&mut self, cx: &mut Context<'_>) -> Verdict {
        let Some(keepalive) = self.settings.keepalive else {
            return Verdict::Done;
        };
        // RFC 9293 §3.8.4: only while nothing is in flight; data has timers of its own.
        if self.snd.in_flight() == 0 {
            if self.keepalive_probes >= keepalive.count {
                return Verdict::Abort(Life::Failed(Error::TimedOut));
            }
            self.keepalive_probes += 1;
            self.keepalive_due = true;
        }
        self.timers
            .start(Timer::Keepalive, cx.now, keepalive.interval);
        Verdict::Done
    }
}
