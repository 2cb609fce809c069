//! Output: carries out the plans of all connections that may have something to send.
use core::net::SocketAddrV4;
use core::time::Duration;

use crate::error::Error;
use crate::ip::{Ip, Route};
use crate::pbuf::Pbuf;
use crate::time::Instant;
use crate::wire::tcp::{Flags, SeqNum};
use crate::wire::tcp_options::{Options, Timestamps};

use super::State;
use super::engine::Engine;
use super::output::{Kind, Plan};
use super::pcb::Pcb;
use super::segment::{Emit, Service};
use super::time_wait::Remains;

/// How long to wait for a buffer or for room in a device that gives no sign.
const RETRY: Duration = Duration::from_millis(2);

/// Segments one connection sends before the next one's turn.
const BURST: usize = 16;

/// What became of a connection's turn to send.
enum Turn {
    /// It has nothing more to send.
    Done,
    /// It has more; others first.
    More,
    /// The device or a pool is out of room.
    Held,
}

impl Engine {
    /// Sends everything that may be sent.
    pub(crate) fn output(&mut self, ip: &mut Ip, now: Instant) {
        self.retry = Instant::MAX;
        // Held connections go to the end of the list; each is tried once.
        let mut held = 0;
        while let Some(index) = self.next_output() {
            match self.output_one(ip, now, index) {
                Turn::Done => {}
                Turn::More => self.output_again(index),
                Turn::Held => {
                    self.retry = now + RETRY;
                    self.output_again(index);
                    held += 1;
                    if held >= self.output_count() {
                        return;
                    }
                }
            }
        }
    }

    fn output_one(&mut self, ip: &mut Ip, now: Instant, index: u16) -> Turn {
        let Some(slot) = self.slots.get_mut(usize::from(index)) else {
            return Turn::Done;
        };
        let pcb = &mut slot.pcb;
        pcb.before_output(now, &self.sends);
        let mut planned = pcb.plan();
        if planned.is_none() {
            pcb.after_output(now, &self.config);
            self.note_deadline(index);
            return Turn::Done;
        }
        let Ok(route) = ip.route(*pcb.remote.ip(), Some(*pcb.local.ip())) else {
            // The interface is gone for now: as if the segments were lost, the timers decide.
            return self.lose(now, index);
        };
        let mut turn = Turn::More;
        for _ in 0..BURST {
            let Some(plan) = planned else { break };
            if !ip.can_transmit(route.netif) {
                turn = Turn::Held;
                break;
            }
            match self.transmit(ip, now, index, &route, plan) {
                Ok(()) => {}
                Err(Error::NoMemory) => {
                    self.stats.no_buffers += 1;
                    turn = Turn::Held;
                    break;
                }
                // Whatever else keeps the packet here is a loss to TCP.
                Err(_) => return self.lose(now, index),
            }
            planned = self.at(index).and_then(Pcb::plan);
        }
        if planned.is_none() {
            turn = Turn::Done;
        }
        if let Some(slot) = self.slots.get_mut(usize::from(index)) {
            slot.pcb.after_output(now, &self.config);
        }
        self.note_deadline(index);
        turn
    }

    /// Treats the next segment as sent and lost, so that the retransmission timer runs.
    fn lose(&mut self, now: Instant, index: u16) -> Turn {
        let Some(slot) = self.slots.get_mut(usize::from(index)) else {
            return Turn::Done;
        };
        if let Some(plan) = slot.pcb.plan() {
            slot.pcb.sent(plan, now, &self.config, &mut self.sends);
        }
        slot.pcb.after_output(now, &self.config);
        self.note_deadline(index);
        Turn::Done
    }

    fn transmit(
        &mut self,
        ip: &mut Ip,
        now: Instant,
        index: u16,
        route: &Route,
        plan: Plan,
    ) -> Result<(), Error> {
        let slot = self
            .slots
            .get_mut(usize::from(index))
            .ok_or(Error::Closed)?;
        let pcb = &mut slot.pcb;
        let payload = match plan.len {
            0 => None,
            len => {
                let offset = plan.seq.since(pcb.snd.queue_start()) as usize;
                let slice = pcb.snd.queue.slice(offset, len as usize);
                Some(slice.map_err(|_| Error::NoMemory)?)
            }
        };
        let (options, window, ack) = if plan.kind == Kind::Syn {
            syn_header(pcb, route, &self.config, now)
        } else {
            let options = pcb.options(&self.runs, now);
            let mss = pcb.effective_mss();
            (options, pcb.rcv.advertise(mss), Some(pcb.rcv.nxt))
        };
        let (ecn_flags, ecn_bits) = match plan.kind {
            Kind::Syn => (pcb.ecn_of_syn(ack.is_some(), &self.config), 0),
            _ => pcb.ecn_of(&plan),
        };
        let mut service = pcb.settings.service(&self.config);
        service.tos |= ecn_bits;
        let emit = Emit {
            local: pcb.local,
            remote: pcb.remote,
            seq: plan.seq,
            ack,
            flags: plan.flags | ecn_flags,
            window,
            options: &options,
            service,
        };
        emit.send(ip, now, route, payload)?;
        pcb.ecn_sent(ecn_flags);
        pcb.sent(plan, now, &self.config, &mut self.sends);
        self.stats.segments_sent += 1;
        self.stats.bytes_sent = self.stats.bytes_sent.wrapping_add(u64::from(plan.len));
        let again =
            plan.kind == Kind::Again || (plan.kind == Kind::Syn && pcb.recovery.attempts > 0);
        self.stats.segments_retransmitted += u32::from(again);
        pcb.counters.sent(plan.len, again, now);
        Ok(())
    }

    /// Sends a reset with `seq`, and `ack` if it answers a segment without one
    /// (RFC 9293 §3.5.2).
    pub(super) fn send_reset(
        &mut self,
        ip: &mut Ip,
        now: Instant,
        local: SocketAddrV4,
        remote: SocketAddrV4,
        seq: SeqNum,
        ack: Option<SeqNum>,
    ) {
        let reset = Emit {
            local,
            remote,
            seq,
            ack,
            flags: Flags::RST,
            window: 0,
            options: &Options::default(),
            service: Service::DEFAULT,
        };
        self.send_bare(ip, now, &reset);
        self.stats.resets_sent += 1;
    }

    /// Resets the peer of the connection in `index`.
    pub(super) fn reset_peer(&mut self, ip: &mut Ip, now: Instant, index: u16) {
        let Some(pcb) = self.at(index) else { return };
        // RFC 9293 §3.10.5: nobody to tell before a SYN arrived.
        if matches!(pcb.state, State::Closed | State::SynSent | State::TimeWait) {
            return;
        }
        let reset = Emit {
            local: pcb.local,
            remote: pcb.remote,
            seq: pcb.snd.nxt,
            ack: Some(pcb.rcv.nxt),
            flags: Flags::RST,
            window: 0,
            options: &Options::default(),
            service: pcb.settings.service(&self.config),
        };
        self.send_bare(ip, now, &reset);
        self.stats.resets_sent += 1;
    }

    pub(super) fn send_time_wait_ack(&mut self, ip: &mut Ip, now: Instant, of: &Remains) {
        let timestamps = of.ts_recent.map(|echo| Timestamps {
            value: Pcb::timestamp(of.ts_offset, now),
            echo,
        });
        let options = Options {
            timestamps,
            ..Options::default()
        };
        let ack = Emit {
            local: of.local,
            remote: of.remote,
            seq: of.snd_nxt,
            ack: Some(of.rcv_nxt),
            flags: Flags::NONE,
            window: of.window,
            options: &options,
            service: Service::DEFAULT,
        };
        self.send_bare(ip, now, &ack);
    }

    /// Sends a segment without data that no timer looks after: a reset or acknowledgement that
    /// cannot be sent is like lost, and the peer asks again.
    pub(super) fn send_bare(&mut self, ip: &mut Ip, now: Instant, segment: &Emit<'_>) {
        let Ok(route) = ip.route(*segment.remote.ip(), Some(*segment.local.ip())) else {
            return;
        };
        if segment.send(ip, now, &route, None::<Pbuf>).is_ok() {
            self.stats.segments_sent += 1;
        }
    }

    fn note_deadline(&mut self, index: u16) {
        let lowered = self.at_mut(index).map(|pcb| pcb.timers.take_lowered());
        self.lower_deadline(index, lowered.unwrap_or(Instant::MAX));
    }
}

/// Options, window and acknowledgement of a SYN.
fn syn_header(
    pcb: &mut Pcb,
    route: &Route,
    config: &crate::config::TcpConfig,
    now: Instant,
) -> (Options, u16, Option<SeqNum>) {
    use crate::config::Use;
    let answers = pcb.state == State::SynReceived;
    let offers = |of: Use| of == Use::On;
    let timestamps = pcb.negotiated.timestamps.map(|offset| Timestamps {
        value: Pcb::timestamp(offset, now),
        // RFC 7323 §3.2: TSecr is only valid with ACK.
        echo: if answers { pcb.rcv.ts_recent } else { 0 },
    });
    let options = Options {
        mss: Some(pcb.settings.own_mss(route, config)),
        // RFC 7323 §2.2 and RFC 2018 §2: an answer has them only if the peer's SYN had.
        window_scale: (offers(config.window_scaling)
            && (!answers || pcb.negotiated.window_scaling))
            .then(|| pcb.settings.shift(config)),
        sack_permitted: offers(config.sack) && (!answers || pcb.negotiated.sack),
        timestamps,
        ..Options::default()
    };
    let window = pcb.settings.syn_window(config);
    (options, window, answers.then_some(pcb.rcv.nxt))
}
