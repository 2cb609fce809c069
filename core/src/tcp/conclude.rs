//! Carrying out what the processing of a segment or a timer decided about a connection.
use crate::ip::Ip;
use crate::time::Instant;

use super::engine::Engine;
use super::input::Verdict;
use super::pcb::Life;
use super::receive::AckDue;
use super::time_wait::Remains;

impl Engine {
    /// Does what `verdict` says, segments to send included, and files the connection anew.
    pub(super) fn carry_out(&mut self, ip: &mut Ip, now: Instant, index: u16, verdict: Verdict) {
        match verdict {
            Verdict::Done => {}
            Verdict::Reset { seq } => {
                if let Some((local, remote)) = self.at(index).map(|pcb| (pcb.local, pcb.remote)) {
                    self.send_reset(ip, now, local, remote, seq, None);
                }
            }
            Verdict::Abort(life) => {
                self.reset_peer(ip, now, index);
                self.end(index, life);
            }
            Verdict::End(Life::Ended) if self.at(index).is_some_and(|pcb| !pcb.has_to_tell()) => {
                return self.free(index);
            }
            Verdict::End(life) => self.end(index, life),
            Verdict::TimeWait => self.enter_time_wait(ip, now, index),
        }
        self.settle(index);
    }

    /// The connection goes on as a small record; its control block only waits for the application
    /// to take what was received.
    fn enter_time_wait(&mut self, ip: &mut Ip, now: Instant, index: u16) {
        let Some(slot) = self.slots.get_mut(usize::from(index)) else {
            return;
        };
        let hash = slot.filed;
        let pcb = &mut slot.pcb;
        let head = pcb.head;
        let ack_due = pcb.rcv.ack != AckDue::No;
        let mss = pcb.effective_mss();
        let remains = Remains {
            local: pcb.local,
            remote: pcb.remote,
            snd_nxt: pcb.snd.nxt,
            window: pcb.rcv.advertise(mss),
            rcv_nxt: pcb.rcv.nxt,
            ts_recent: pcb.negotiated.timestamps.map(|_| pcb.rcv.ts_recent),
            ts_offset: pcb.negotiated.timestamps.unwrap_or(0),
        };
        self.end(index, Life::Ended);
        if let Some(hash) = hash {
            self.time_waits
                .insert(hash, remains, now + self.config.time_wait);
        }
        if ack_due {
            self.send_time_wait_ack(ip, now, &remains, &head);
        }
    }
}
