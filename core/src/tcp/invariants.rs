//! What must hold for every connection between two turns: the relations of RFC 9293 §3.3.1, the
//! caps of the configuration, and that nothing waits without a timer. For tests (feature
//! `invariants`); it changes nothing.
use super::State;
use super::engine::Engine;
use super::out_of_order::RunList;
use super::pcb::{Attached, Life, Pcb};
use super::receive::{AckDue, PeerFin};
use super::send::Fin;
use super::timers::Timer;

/// Fails with what is violated.
fn require(holds: bool, what: &'static str) -> Result<(), &'static str> {
    if holds { Ok(()) } else { Err(what) }
}

impl Engine {
    /// Checks all connections; to be called after a turn.
    pub(crate) fn check_invariants(&self) -> Result<(), &'static str> {
        let mut earliest = crate::time::Instant::MAX;
        for (index, slot) in self.slots.iter().enumerate() {
            if !slot.is_used() {
                require(slot.filed.is_none(), "a free block is filed")?;
                continue;
            }
            let pcb = &slot.pcb;
            earliest = earliest.min(pcb.timers.next());
            pcb.check_life()?;
            if pcb.life != Life::Alive || pcb.state == State::Closed {
                continue;
            }
            require(
                self.demux.finds(self.slots, index),
                "segments do not find a connection",
            )?;
            pcb.check_sender()?;
            pcb.check_receiver()?;
            let held = self.retry != crate::time::Instant::MAX && slot.has_output();
            pcb.check_timers(held)?;
            self.check_out_of_order(pcb)?;
        }
        require(
            self.next_deadline() <= earliest,
            "the engine does not wake for a timer that runs",
        )?;
        self.check_backlogs()
    }

    fn check_out_of_order(&self, pcb: &Pcb) -> Result<(), &'static str> {
        let (mut count, mut last) = (0, pcb.rcv.nxt);
        for (start, end) in self.runs.ranges(&pcb.rcv.runs) {
            require(
                count == 0 || start.after(last),
                "runs out of order or touching",
            )?;
            require(start.after_eq(pcb.rcv.nxt), "a run before RCV.NXT")?;
            require(end.after_eq(start), "a run ends before it starts")?;
            require(!end.after(pcb.rcv.edge), "a run beyond the window")?;
            (count, last) = (count + 1, end);
        }
        require(
            count <= usize::from(self.config.max_out_of_order_runs),
            "more runs than allowed",
        )?;
        require(
            self.runs.adds_up(&pcb.rcv.runs),
            "the sums of the runs are wrong",
        )?;
        require(
            self.runs.is_indexed(&pcb.rcv.runs),
            "a sparse list of runs has others than the full one",
        )?;
        require(
            self.runs.buffers(&pcb.rcv.runs) <= usize::from(self.config.max_out_of_order_buffers),
            "more buffers out of order than allowed",
        )
    }

    fn check_backlogs(&self) -> Result<(), &'static str> {
        let accepted: usize = self
            .slots
            .iter()
            .filter(|slot| slot.is_used() && slot.pcb.backlog.is_some())
            .count();
        let waiting: usize = self
            .listeners
            .iter()
            .filter(|slot| slot.is_listening())
            .map(|slot| usize::from(slot.waiting))
            .sum();
        // Connections of listeners that were closed have no place any more.
        require(
            waiting <= accepted + self.syns.len(),
            "a backlog counts connections that are gone",
        )
    }
}

impl Pcb {
    fn check_life(&self) -> Result<(), &'static str> {
        match self.life {
            Life::Alive => Ok(()),
            _ => {
                require(
                    self.attached == Attached::Yes,
                    "an orphan outlives its connection",
                )?;
                require(
                    self.has_events() || self.pending.refused,
                    "an ended connection has nothing left to tell",
                )?;
                require(
                    !self.pending.refused || self.timers.is_running(Timer::Refused),
                    "refused data of an ended connection waits without a timer",
                )
            }
        }
    }

    fn check_sender(&self) -> Result<(), &'static str> {
        let snd = &self.snd;
        let fin = u32::from(matches!(snd.fin, Fin::Sent));
        require(
            snd.una.before_eq(snd.nxt) && snd.nxt.since(snd.una) < 1 << 31,
            "SND.UNA <= SND.NXT",
        )?;
        if snd.syn_acked {
            require(
                snd.nxt.before_eq(snd.queue_end() + fin),
                "SND.NXT lies behind what was written",
            )?;
        }
        require(snd.iss.before_eq(snd.una), "ISS <= SND.UNA")?;
        if snd.fin == Fin::Acked {
            require(
                snd.queue.is_empty() && snd.una == snd.nxt,
                "FIN acknowledged before data",
            )?;
        }
        require(
            snd.queue.is_empty() == (snd.queue.parts() == 0) || snd.queue.parts() <= 1,
            "empty parts in the send queue",
        )
    }

    fn check_receiver(&self) -> Result<(), &'static str> {
        let rcv = &self.rcv;
        if matches!(self.state, State::SynSent) {
            return Ok(());
        }
        require(
            rcv.edge.after_eq(rcv.nxt) || rcv.fin != PeerFin::Open,
            "the right edge lies before RCV.NXT",
        )?;
        require(
            rcv.last_ack_sent.before_eq(rcv.nxt),
            "acknowledged what was not received",
        )?;
        let has_fin = matches!(
            self.state,
            State::CloseWait | State::Closing | State::LastAck | State::TimeWait
        );
        require(
            has_fin == (rcv.fin != PeerFin::Open),
            "the state and the peer's FIN disagree",
        )?;
        let closed_here = matches!(
            self.state,
            State::FinWait1 | State::FinWait2 | State::Closing | State::LastAck | State::TimeWait
        );
        require(
            closed_here == (self.snd.fin != Fin::Open)
                || matches!(self.state, State::SynReceived | State::SynSent),
            "the state and our FIN disagree",
        )
    }

    /// `held`: the connection is on the list of those that wait for the device or for buffers.
    fn check_timers(&self, held: bool) -> Result<(), &'static str> {
        let runs = |timer| self.timers.is_running(timer);
        require(
            self.snd.in_flight() == 0 || runs(Timer::Retransmit) || held,
            "unacknowledged data without a timer",
        )?;
        let opening = matches!(self.state, State::SynSent | State::SynReceived);
        require(
            !(opening && self.syn_due) || runs(Timer::Retransmit) || held,
            "a SYN to send without a timer",
        )?;
        let unsent = self.snd.unsent() > 0 || self.snd.fin == Fin::Queued;
        require(
            opening || !unsent || runs(Timer::Persist) || runs(Timer::Retransmit) || held,
            "unsent data without a timer",
        )?;
        require(
            self.rcv.ack == AckDue::No
                || runs(Timer::DelayedAck)
                || held
                || (opening && self.syn_due),
            "an acknowledgement to send without a timer",
        )?;
        require(
            !self.pending.refused || runs(Timer::Refused),
            "refused data without a timer",
        )?;
        require(
            !(self.state == State::FinWait2 && self.closed) || runs(Timer::FinWait2),
            "FIN-WAIT-2 of a closed connection without a timer",
        )?;
        require(
            !(self.attached == Attached::Yes && self.has_events()),
            "an event was not delivered",
        )
    }
}

impl super::out_of_order::Runs {
    /// Receive buffers in the list that starts at `head`.
    fn buffers(&self, list: &RunList) -> usize {
        self.chains(list).map(crate::pbuf::Chain::parts).sum()
    }
}
