//! The sender when the peer acknowledges selectively: what each acknowledgement does to the
//! scoreboard, to RACK, and to recovery (RFC 6675, RFC 8985). The pieces are in `scoreboard`,
//! `rack`, `tail_probe`, `prr`, `undo` and `frto`; the sender without SACK is in `retransmit`.
use crate::time::{Instant, Span};
use crate::wire::tcp::SeqNum;
use crate::wire::tcp_options::{SackBlock, SackBlocks};

use super::congestion::Acked;
#[cfg(feature = "bbr")]
use super::delivery_rate::DeliveryRate;
use super::frto::{Evidence, Finding, Frto, NewData};
use super::input::Context;
use super::pcb::Pcb;
use super::prr::{Progress, Prr};
use super::rack::{Delivery, Rack, Repair, TICK};
use super::retransmit::Phase;
use super::scoreboard::{Record, Scoreboard, Whereabouts};
use super::segment::Arrived;
use super::send::Fin;
use super::sent_store::SentStore;
use super::tail_probe::TailProbe;
use super::timers::Timer;
use super::undo::Undo;

/// The state of one connection.
#[derive(Clone, Debug)]
pub(crate) struct Selective {
    /// The peer acknowledges selectively, and there are records for everybody.
    pub(super) on: bool,
    pub(super) board: Scoreboard,
    pub(super) rack: Rack,
    pub(super) prr: Prr,
    pub(super) frto: Frto,
    pub(super) tail: TailProbe,
    /// Something was sent or arrived since it was decided when to probe.
    pub(super) tail_moved: bool,
    /// Probes since something last arrived while losses are repaired.
    pub(super) repair_probes: u8,
    /// New segments to send before anything is sent again (RFC 5682 §3.1, step 2b).
    pub(super) new_first: u8,
    #[cfg(feature = "bbr")]
    pub(super) rate: DeliveryRate,
}

impl Selective {
    pub(crate) const OFF: Self = Self {
        on: false,
        board: Scoreboard::EMPTY,
        rack: Rack::NEW,
        prr: Prr::IDLE,
        frto: Frto::Idle,
        tail: TailProbe::NONE,
        tail_moved: false,
        repair_probes: 0,
        new_first: 0,
        #[cfg(feature = "bbr")]
        rate: DeliveryRate::NEW,
    };

    /// The handshake is complete; `sack`: both sides permit it.
    pub(crate) fn establish(&mut self, sack: bool, store: &SentStore) {
        self.on = sack && store.is_sufficient();
    }

    /// Whether this sender is in use.
    pub(crate) const fn is_on(&self) -> bool {
        self.on
    }

    /// Gives the records back: the connection is over.
    pub(crate) fn clear(&mut self, store: &mut SentStore) {
        self.board.clear(store);
        (self.on, self.tail_moved) = (false, false);
    }

    /// `range` was sent for the first time, with `flight` bytes before it.
    pub(crate) fn sent_new(
        &mut self,
        store: &mut SentStore,
        range: (SeqNum, SeqNum),
        flight: u32,
        mss: u32,
        now: Instant,
    ) {
        let record = self.record(range, flight, now);
        self.board.push(store, range.0, record, mss);
        self.new_first = self.new_first.saturating_sub(1);
    }

    /// `range` was sent again, with `flight` bytes unacknowledged.
    pub(crate) fn sent_again(
        &mut self,
        store: &mut SentStore,
        range: (SeqNum, SeqNum),
        flight: u32,
        now: Instant,
    ) {
        let record = self.record(range, flight, now);
        self.board.sent_again(store, range.0, range.1, record);
    }

    #[cfg_attr(
        not(feature = "bbr"),
        expect(unused_variables, reason = "for the delivery rate")
    )]
    fn record(&mut self, (start, end): (SeqNum, SeqNum), flight: u32, now: Instant) -> Record {
        let len = end.since(start);
        self.prr.sent(len);
        #[cfg(feature = "bbr")]
        return Record {
            snapshot: self.rate.sent(now, self.board.pipe(flight), len),
            ..Record::new(end, now)
        };
        #[cfg(not(feature = "bbr"))]
        Record::new(end, now)
    }
}

impl Pcb {
    /// Takes an acceptable acknowledgement, as [`Pcb::take_ack`] does without SACK.
    pub(super) fn take_selective_ack(
        &mut self,
        ack: SeqNum,
        segment: &Arrived,
        cx: &mut Context<'_>,
    ) {
        let mss = self.effective_mss();
        let advanced = ack.after(self.snd.una);
        let flight = self.snd.in_flight();
        let window_limited = self.is_window_limited(flight);
        let old_una = self.snd.una;
        let echo = self.echo(segment.options.timestamps);
        let echo_age = echo.map(|echo| self.echo_age(echo, cx.now));
        let dsack = duplicate_block(&segment.options.sack, ack);
        let sel = &mut self.selective;
        let sacked_before = sel.board.sacked();
        let mut delivery = Delivery::new(cx.now, echo_age, &sel.rack);
        if advanced {
            sel.board
                .acknowledge(cx.sends, ack, |start, record| delivery.add(start, record));
            let bytes = self.snd.acknowledge(ack);
            self.pending.acked = self.pending.acked.saturating_add(bytes as usize);
            // Of what is acknowledged cumulatively only.
            self.measure_selective(&delivery, segment, cx);
        }
        if !segment.options.sack.is_empty() {
            self.take_blocks(&segment.options.sack, cx.sends, &mut delivery);
        }
        let news = advanced || self.selective.board.sacked() != sacked_before;
        if !news && segment.len == 0 && flight > 0 {
            cx.stats.duplicate_acks += 1;
        }
        if news && self.selective.tail.is_due() {
            self.selective.tail.cancel();
        }
        if advanced {
            self.recovery.attempts = 0;
            self.recovery.trim(ack);
        }
        let srtt = self.srtt();
        self.selective.rack.update(&delivery);
        if let Some(block) = &dsack {
            cx.stats.duplicates_reported += 1;
            self.selective.rack.on_dsack(self.snd.una, self.snd.nxt);
            if self.recovery.undo.on_dsack(block) {
                self.undo(cx);
            }
        }
        let spared = self.take_tail_ack(ack, dsack.as_ref(), news);
        if advanced && self.recovery.undo.original_arrived(ack, echo) {
            // RFC 4015 §3.2: the originals are only late.
            self.selective.rack.saw_reordering();
            self.undo(cx);
        }
        self.judge_timeout(advanced, &delivery, cx);
        let missing_before = self.selective.board.missing();
        self.detect_losses(srtt, cx);
        let lost = self.selective.board.missing() > missing_before;
        #[cfg(feature = "bbr")]
        self.take_sample(&delivery, missing_before, cx.now);
        let acked = Acked {
            now: cx.now,
            bytes: self.snd.una.since(old_una),
            mss,
            una: self.snd.una,
            nxt: self.snd.nxt,
            rtt: delivery.shortest,
            srtt,
        };
        let progress = match advanced && !lost {
            true => Progress::Safe,
            false => Progress::Unclear,
        };
        self.advance_recovery(
            &acked,
            Step {
                flight,
                delivered: delivery.bytes,
                progress,
                window_limited: advanced && window_limited,
            },
        );
        if let Some(flight) = spared {
            // RFC 8985 §7.4: the probe repaired the only loss; the network was congested all the
            // same.
            self.respond_to_repaired_tail(flight);
        }
        self.restart_timers(advanced, delivery.bytes, cx);
    }

    /// Enters the blocks into the scoreboard.
    fn take_blocks(&mut self, blocks: &SackBlocks, sends: &mut SentStore, delivery: &mut Delivery) {
        let (una, nxt) = (self.snd.una, self.snd.nxt);
        for block in blocks.as_slice() {
            // RFC 2018 §4, RFC 2883 §4: only what lies behind the acknowledgement; what was never
            // sent was not received.
            let right = block.right.since(una);
            let believable = block.left.since(una) < right && right <= nxt.since(una);
            if believable {
                self.selective
                    .board
                    .sack(sends, block.left, block.right, |start, record| {
                        delivery.add(start, record);
                    });
            }
        }
    }

    /// Takes a round-trip measurement (RFC 6298 §3: not of what was sent twice, unless the echoed
    /// timestamp tells which copy it was).
    fn measure_selective(&mut self, delivery: &Delivery, segment: &Arrived, cx: &Context<'_>) {
        match (delivery.longest, delivery.repeated, delivery.echo_age) {
            // What arrived long ago, while the acknowledgements that said so were lost, does not
            // tell how long the path is; what caused this one does.
            (Some(rtt), None, echo) => {
                self.timed = None;
                self.rtt
                    .measured(echo.map_or(rtt, |echo| rtt.min(echo.saturating_add(TICK))));
            }
            // An echo older than the last copy: of the first one, or of what came before it, if
            // an acknowledgement was lost. Karn's rule: no measurement, and the back-off stays.
            (_, Some(copy), Some(echo)) if echo > copy.saturating_add(TICK) => {}
            (_, Some(copy), Some(_)) => self.rtt.measured(copy),
            (_, Some(_), None) => self.rtt.progress(),
            (None, None, _) => {
                self.measure(segment, cx);
            }
        }
    }

    /// RFC 5682 §3.1: was the timeout spurious?
    fn judge_timeout(&mut self, advanced: bool, delivery: &Delivery, cx: &mut Context<'_>) {
        let Phase::Timeout { recover } = self.recovery.phase else {
            return;
        };
        let original = delivery.original.is_some_and(|end| end.before_eq(recover));
        let evidence = match self.selective.frto {
            // Behind a single acknowledgement of old data there may be a block that got lost.
            Frto::FirstAck if advanced => Evidence::Advance,
            Frto::SecondAck if original => Evidence::Original,
            _ if advanced => Evidence::Advance,
            _ => Evidence::Duplicate,
        };
        // The application, told of the room, may write before anything is sent.
        let more = self.snd.unsent() > 0 || self.snd.fin == Fin::Open;
        let may_send = self.snd.una.before(recover) && more && self.usable() > 0;
        let new_data = if may_send {
            NewData::Ready
        } else {
            NewData::None
        };
        match self.selective.frto.acked(evidence, new_data) {
            Finding::Conventional => self.selective.new_first = 0,
            Finding::SendNew => self.selective.new_first = 2,
            Finding::Spurious => {
                cx.stats.spurious_timeouts += 1;
                self.undo(cx);
            }
        }
    }

    /// Marks what is lost by now, and sets the timer for what may be late.
    fn detect_losses(&mut self, srtt: Span, cx: &mut Context<'_>) {
        let repair = match self.recovery.phase {
            Phase::Open => Repair::Idle,
            Phase::Fast { .. } | Phase::Timeout { .. } => Repair::Busy,
        };
        let sel = &mut self.selective;
        let wait = sel
            .rack
            .detect(&mut sel.board, cx.sends, cx.now, srtt, repair);
        match wait {
            // A timer that fires too early would only be set again.
            Some(wait) => {
                let wait = wait.max(Span::from_micros(1));
                self.timers.start_at(Timer::Reorder, cx.now + wait);
            }
            None => self.timers.stop(Timer::Reorder),
        }
    }

    /// The reordering timer expired: what was late is lost now (RFC 8985 §6.2.5).
    pub(super) fn on_reorder_timeout(&mut self, cx: &mut Context<'_>) {
        let before = self.selective.board.missing();
        self.detect_losses(self.srtt(), cx);
        if self.selective.board.missing() == before {
            return;
        }
        if self.recovery.phase == Phase::Open {
            self.enter_selective_recovery(self.snd.in_flight(), 0, 0);
        }
        // Without an acknowledgement to be proportional to: one segment.
        if let Phase::Fast { .. } = self.recovery.phase {
            let cwnd = self.pipe() + self.effective_mss();
            self.congestion.set_cwnd(cwnd);
        }
    }

    /// Moves recovery on after the scoreboard has changed.
    fn advance_recovery(&mut self, acked: &Acked, step: Step) {
        let recovered = self.end_recovery();
        match self.recovery.phase {
            Phase::Open if self.selective.board.missing() > 0 => {
                self.enter_selective_recovery(step.flight, acked.bytes, step.delivered);
                self.reduce_window(step);
            }
            // The round trip that ends with a recovery counts like any other (RFC 3465 §2.1): what
            // is acknowledged was sent by the old window and arrived.
            Phase::Open if recovered => self.congestion.acked(acked),
            Phase::Open if step.window_limited => self.congestion.acked(acked),
            Phase::Open => {}
            Phase::Fast { .. } => self.reduce_window(step),
            Phase::Timeout { .. } if acked.bytes > 0 => self.congestion.acked(acked),
            Phase::Timeout { .. } => {}
        }
    }

    /// Ends a recovery all of whose data is acknowledged; whether it did.
    fn end_recovery(&mut self) -> bool {
        let una = self.snd.una;
        match self.recovery.phase {
            Phase::Fast { recover } if !una.before(recover) => {
                // RFC 9937 §6.
                self.congestion.set_cwnd(self.congestion.ssthresh());
            }
            Phase::Timeout { recover } if !una.before(recover) => {
                self.selective.frto = Frto::Idle;
            }
            _ => return false,
        }
        self.selective.rack.on_recovery_end();
        self.recovery.phase = Phase::Open;
        #[cfg(feature = "bbr")]
        self.congestion.recovered();
        true
    }

    /// Something is lost: `flight` bytes were in flight before `acked` of them were acknowledged
    /// and `delivered` of them, those included, arrived.
    fn enter_selective_recovery(&mut self, flight: u32, acked: u32, delivered: u32) {
        let mss = self.effective_mss();
        let (una, nxt) = (self.snd.una, self.snd.nxt);
        self.congestion.reduce(flight, mss);
        // RFC 9937 §6 "RecoverFS": what is delivered from this acknowledgement on.
        let newly_sacked = delivered.saturating_sub(acked);
        let sacked = self.selective.board.sacked().saturating_sub(newly_sacked);
        let recover_fs = self.snd.in_flight().saturating_sub(sacked) + acked;
        self.selective.prr = Prr::start(recover_fs);
        self.recovery.phase = Phase::Fast { recover: nxt };
        self.recovery.undo = Undo::start(una, nxt);
        self.selective.tail.cancel();
        self.timers.stop(Timer::TailProbe);
    }

    fn reduce_window(&mut self, step: Step) {
        let (mss, pipe) = (self.effective_mss(), self.pipe());
        if step.delivered == 0 {
            // RFC 9937 §6: nothing to be proportional to. What was just found lost makes no room.
            let cwnd = self.congestion.cwnd().min(pipe + mss);
            self.congestion.set_cwnd(cwnd);
            return;
        }
        let ssthresh = self.congestion.ssthresh();
        let cwnd = self
            .selective
            .prr
            .acked(step.delivered, pipe, ssthresh, mss, step.progress);
        self.congestion.set_cwnd(cwnd);
    }

    /// Bytes believed to be in the network.
    pub(super) fn pipe(&self) -> u32 {
        self.selective.board.pipe(self.snd.in_flight())
    }

    /// Shows what was delivered and lost to an algorithm that models the path.
    #[cfg(feature = "bbr")]
    fn take_sample(&mut self, delivery: &Delivery, missing_before: u32, now: Instant) {
        if !self.congestion.is_model_based() {
            // Nobody asks.
            return;
        }
        let (mss, pipe) = (self.effective_mss(), self.pipe());
        let sel = &mut self.selective;
        let newly_lost = sel.board.missing().saturating_sub(missing_before);
        sel.rate.lost(newly_lost);
        let Some(newest) = &delivery.rated else {
            return;
        };
        let min_rtt = sel.rack.min_rtt();
        let sample = super::delivery_rate::Sample {
            newly_lost,
            rtt: delivery.shortest,
            in_flight: pipe,
            mss,
            ..sel.rate.acked(now, delivery.bytes, newest, min_rtt)
        };
        self.congestion.on_sample(&sample);
        self.pacing.set_rate(self.congestion.pacing_rate());
    }

    /// The last reduction was for nothing.
    fn undo(&mut self, cx: &mut Context<'_>) {
        cx.stats.undone += 1;
        self.congestion.undo();
        self.selective.board.forgive(cx.sends);
        // Without timestamps the retransmission seemed to arrive, and early.
        self.selective.rack.forget_newest();
        self.recovery.phase = Phase::Open;
        self.recovery.undo = Undo::NOTHING;
        self.recovery.stop_resending();
        self.selective.frto = Frto::Idle;
        self.selective.new_first = 0;
    }

    /// The retransmission timer expired; see [`Pcb::on_retransmit_timeout`] for what is common.
    pub(super) fn selective_timeout(&mut self, now: Instant, sends: &mut SentStore) {
        let srtt = self.srtt();
        let una = self.snd.una;
        let sel = &mut self.selective;
        // RFC 2018 §8: what lies at the left edge cannot have been kept selectively.
        if sel
            .board
            .first(sends)
            .is_some_and(|record| record.is == Whereabouts::Sacked)
        {
            sel.board.renege(sends);
            sel.board.mark_missing(sends, |_, _| true);
        } else {
            sel.rack.timed_out(&mut sel.board, sends, una, now, srtt);
        }
        sel.frto = Frto::FirstAck;
        sel.new_first = 0;
        sel.tail.cancel();
        self.timers.stop(Timer::TailProbe);
        self.timers.stop(Timer::Reorder);
    }

    /// RFC 6298 §5.2, §5.3, and RFC 8985 §7.2.
    fn restart_timers(&mut self, advanced: bool, delivered: u32, cx: &Context<'_>) {
        if self.snd.in_flight() == 0 {
            for timer in [Timer::Retransmit, Timer::TailProbe, Timer::Reorder] {
                self.timers.stop(timer);
            }
            return;
        }
        if advanced {
            let deadline = self.rtt.deadline(cx.now);
            self.timers.start_at(Timer::Retransmit, deadline);
        }
        if delivered > 0 {
            self.selective.repair_probes = 0;
            self.selective.tail_moved = true;
        }
    }
}

/// What one acknowledgement means for the window.
#[derive(Clone, Copy, Debug)]
struct Step {
    /// Bytes in flight before it.
    flight: u32,
    /// Bytes it delivered.
    delivered: u32,
    progress: Progress,
    window_limited: bool,
}

/// RFC 2883 §4: the first block reports a duplicate if it lies below the acknowledgement, or
/// inside the second block.
fn duplicate_block(blocks: &SackBlocks, ack: SeqNum) -> Option<SackBlock> {
    let (first, second) = match blocks.as_slice() {
        [] => return None,
        [first] => (first, None),
        [first, second, ..] => (first, Some(second)),
    };
    let below = first.right.before_eq(ack);
    let inside = second.is_some_and(|second| {
        first.left.after_eq(second.left) && first.right.before_eq(second.right)
    });
    (first.left.before(first.right) && (below || inside)).then_some(*first)
}
