//! Output: carries out the plans of all connections that may have something to send.
use core::net::SocketAddrV4;
use core::time::Duration;

use crate::error::Error;
use crate::ip::{Head, Ip, NetifId};
use crate::pbuf::Pbuf;
use crate::time::Instant;
use crate::wire::tcp::{Flags, HEADER_LEN, SeqNum};
use crate::wire::tcp_options::{Options, Timestamps};

use super::State;
use super::engine::Engine;
use super::input::Context;
use super::output::{Kind, Plan};
use super::pcb::Pcb;
use super::segment::{Emit, Service};
use super::time_wait::Remains;

/// How long to wait for a buffer or for room in a device that gives no sign.
const RETRY: Duration = Duration::from_millis(2);

/// Segments one connection sends before the next one's turn.
pub(super) const BURST: usize = 16;

/// What became of a connection's turn to send.
pub(super) enum Turn {
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
        let (slots, mut cx) = self.context(now);
        let Some(slot) = slots.get_mut(usize::from(index)) else {
            return Turn::Done;
        };
        let pcb = &mut slot.pcb;
        pcb.before_output(now, cx.sends);
        let turn = pcb.burst(ip, &mut cx);
        pcb.after_output(now, cx.config);
        let lowered = pcb.timers.take_lowered();
        self.lower_deadline(index, lowered);
        turn
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

    /// Acknowledges what came for a connection in TIME-WAIT; its segments went behind `head`.
    pub(super) fn send_time_wait_ack(
        &mut self,
        ip: &mut Ip,
        now: Instant,
        of: &Remains,
        head: &Head,
    ) {
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
        if ack.send_behind(ip, now, head).is_ok() {
            self.stats.segments_sent += 1;
        }
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
}

impl Pcb {
    /// Sends what may be sent, but no more than [`BURST`] segments.
    fn burst(&mut self, ip: &mut Ip, cx: &mut Context<'_>) -> Turn {
        if let Some(plain) = self.plain()
            && self.is_headed(ip, cx)
        {
            return self.burst_of_plain(ip, cx, plain);
        }
        let Some(mut plan) = self.plan() else {
            return Turn::Done;
        };
        let Ok(netif) = self.find_way(ip, cx) else {
            // The interface is gone for now: as if the segments were lost, the timers decide.
            self.sent(&plan, cx);
            return Turn::Done;
        };
        // What blocks say is not said twice: that is for the others.
        let blocks = self.rcv.duplicate.is_some() || !self.rcv.runs.is_empty();
        if plan.kind == Kind::Syn || (plan.len == 0 && !blocks) {
            return self.burst_of_one(ip, cx, netif, &plan);
        }
        let series = self.series(cx);
        if self.head.is_cut_by_device() {
            return self.burst_to_be_cut(ip, cx, netif, &series, plan);
        }
        for _ in 0..BURST {
            if !ip.can_transmit(netif) {
                return Turn::Held;
            }
            match self.transmit_in(&series, ip, cx, &plan) {
                Ok(flags) => self.transmitted(&plan, flags, cx),
                Err(error) => return self.not_transmitted(&plan, error, cx),
            }
            match self.plan() {
                Some(next) => plan = next,
                None => return Turn::Done,
            }
            // What blocks say is not said twice.
            if series.has_blocks() {
                break;
            }
        }
        Turn::More
    }

    /// As [`Pcb::burst`], of a segment that is like no other: a SYN, or one without data.
    #[inline(never)]
    fn burst_of_one(
        &mut self,
        ip: &mut Ip,
        cx: &mut Context<'_>,
        netif: NetifId,
        plan: &Plan,
    ) -> Turn {
        if !ip.can_transmit(netif) {
            return Turn::Held;
        }
        let sent = match plan.kind {
            Kind::Syn => self.transmit_syn(ip, cx, plan),
            _ => self.transmit_bare(ip, cx, plan),
        };
        match sent {
            Ok(flags) => self.transmitted(plan, flags, cx),
            Err(error) => return self.not_transmitted(plan, error, cx),
        }
        match self.plan() {
            Some(_) => Turn::More,
            None => Turn::Done,
        }
    }

    /// The segment of `plan` was handed to IP, with these flags for ECN's sake.
    pub(super) fn transmitted(&mut self, plan: &Plan, ecn_flags: Flags, cx: &mut Context<'_>) {
        self.ecn_sent(ecn_flags);
        self.sent(plan, cx);
        cx.stats.segments_sent += 1;
        cx.stats.bytes_sent = cx.stats.bytes_sent.wrapping_add(u64::from(plan.len));
        let again =
            plan.kind == Kind::Again || (plan.kind == Kind::Syn && self.recovery.attempts > 0);
        cx.stats.segments_retransmitted += u32::from(again);
        self.counters.sent(plan.len, again, cx.now);
    }

    /// IP did not take the segment of `plan`.
    #[cold]
    pub(super) fn not_transmitted(
        &mut self,
        plan: &Plan,
        error: Error,
        cx: &mut Context<'_>,
    ) -> Turn {
        if error == Error::NoMemory {
            cx.stats.no_buffers += 1;
            return Turn::Held;
        }
        // Whatever else keeps the packet here is a loss to TCP.
        self.sent(plan, cx);
        Turn::Done
    }

    /// Whether any segment with data can go behind the head that was made.
    fn is_headed(&self, ip: &mut Ip, cx: &Context<'_>) -> bool {
        let longest = HEADER_LEN + usize::from(self.snd.mss);
        self.head.is_current(ip.generation(cx.now))
            && !self.head.is_cut_by_device()
            && self.head.fits(longest)
    }

    /// The interface that segments go out of. Makes the headers for them, if they are not made and
    /// the neighbour is known.
    fn find_way(&mut self, ip: &mut Ip, cx: &Context<'_>) -> Result<NetifId, Error> {
        if self.head.is_current(ip.generation(cx.now)) {
            return Ok(self.head.netif());
        }
        let route = ip.route(*self.remote.ip(), Some(*self.local.ip()))?;
        let out =
            self.settings
                .service(cx.config)
                .outgoing(ip, *self.local.ip(), *self.remote.ip());
        // Without, each segment asks for the way, and may have to wait for the neighbour.
        match ip.head_at_hand(cx.now, &route, &out) {
            Ok(head) => self.head = head,
            Err(_) => self.head = Head::NONE,
        }
        Ok(route.netif)
    }

    /// As [`Pcb::transmit_in`], of a segment without data.
    fn transmit_bare(
        &mut self,
        ip: &mut Ip,
        cx: &Context<'_>,
        plan: &Plan,
    ) -> Result<Flags, Error> {
        let (ecn_flags, _) = self.ecn_of(plan);
        let bare = Emit {
            local: self.local,
            remote: self.remote,
            seq: plan.seq,
            ack: Some(self.rcv.nxt),
            flags: plan.flags | ecn_flags,
            window: self.rcv.advertise(self.effective_mss()),
            options: &self.options(cx.runs, cx.now),
            service: self.settings.service(cx.config),
        };
        bare.send_behind(ip, cx.now, &self.head)?;
        Ok(ecn_flags)
    }

    /// As [`Pcb::transmit_in`], for a SYN.
    fn transmit_syn(&mut self, ip: &mut Ip, cx: &Context<'_>, plan: &Plan) -> Result<Flags, Error> {
        let mtu = match self.head.is_current(ip.generation(cx.now)) {
            true => self.head.mtu(),
            false => ip.route(*self.remote.ip(), Some(*self.local.ip()))?.mtu,
        };
        let (options, window, ack) = syn_header(self, mtu, cx.config, cx.now);
        let ecn_flags = self.ecn_of_syn(ack.is_some(), cx.config);
        let syn = Emit {
            local: self.local,
            remote: self.remote,
            seq: plan.seq,
            ack,
            flags: plan.flags | ecn_flags,
            window,
            options: &options,
            service: self.settings.service(cx.config),
        };
        syn.send_behind(ip, cx.now, &self.head)?;
        Ok(ecn_flags)
    }
}

/// Options, window and acknowledgement of a SYN, on a link whose packets have up to `mtu` bytes.
fn syn_header(
    pcb: &Pcb,
    mtu: u16,
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
        mss: Some(pcb.settings.own_mss(mtu, config)),
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
