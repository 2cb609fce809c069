//! Whatever happens to a connection, the fast paths do what the RFC's order of steps does: two
//! equal control blocks live through the same things, one with the fast paths and one without.
#![allow(unsafe_code, reason = "what `pbuf_pool!` expands to in its own crate")]
use core::net::{Ipv4Addr, SocketAddrV4};
use core::time::Duration;

use proptest::prelude::*;

use super::*;
use crate::config::TcpConfig;
use crate::pbuf::Pbuf;
use crate::tcp::Nagle;
use crate::tcp::input::Verdict;
use crate::tcp::out_of_order::{RunSlot, Runs};
use crate::tcp::plain::Plain;
use crate::tcp::receive::AckDue;
use crate::tcp::rtt::Rtt;
use crate::tcp::segment::Arrived;
use crate::tcp::sent_store::{SentSlot, SentStore};
use crate::tcp::stats::TcpStats;
use crate::time::Instant;
use crate::wire::tcp::Flags;
use crate::wire::tcp_options::{Options, SackBlock, Timestamps};

crate::pbuf_pool! { static POOL: [1536; 512] + refs 4096 }

static BYTES: [u8; 4096] = [0; 4096];
const OFFSET: u32 = 77;

/// Which way segments take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Way {
    Fast,
    Rfc,
}

/// A connection with what belongs to it.
struct Host {
    pcb: Pcb,
    runs: Runs,
    sends: SentStore,
    stats: TcpStats,
    config: TcpConfig,
    now: Instant,
}

/// Something that happens.
#[derive(Clone, Debug)]
enum Step {
    Write(usize),
    /// The application takes what there is.
    Read,
    /// Up to so many segments leave.
    Send(usize),
    Wait(u64),
    Arrive(Incoming),
    Close,
}

#[derive(Clone, Debug)]
struct Incoming {
    /// Relative to RCV.NXT.
    seq: i32,
    len: usize,
    /// How much of what is in flight it acknowledges, in eighths; above 8: what was never sent.
    ack: u32,
    flags: u8,
    window: u16,
    /// A block behind the acknowledgement: start and length.
    sack: Option<(u32, u32)>,
    /// Age of the echoed timestamp, and what the peer's clock is ahead of the last.
    stamp: Option<(u32, i32)>,
}

impl Host {
    fn new(sack: bool, stamped: bool) -> Self {
        let config = TcpConfig::default();
        let mut pcb = Pcb {
            state: State::Established,
            ..Pcb::UNUSED
        };
        pcb.local = SocketAddrV4::new(Ipv4Addr::new(10, 0, 0, 1), 80);
        pcb.remote = SocketAddrV4::new(Ipv4Addr::new(10, 0, 0, 2), 5000);
        pcb.rtt = Rtt::new(&config);
        pcb.snd.start(SeqNum(u32::MAX - 20_000));
        (pcb.snd.nxt, pcb.snd.mss) = (pcb.snd.iss + 1, 1000);
        pcb.snd.acknowledge(pcb.snd.nxt);
        (pcb.snd.limit, pcb.snd.wnd, pcb.snd.max_wnd) = (60_000, 20_000, 20_000);
        (pcb.rcv.limit, pcb.rcv.nxt) = (4_000, SeqNum(u32::MAX - 9_000));
        pcb.rcv.edge = pcb.rcv.nxt + 4_000;
        pcb.rcv.last_ack_sent = pcb.rcv.nxt;
        pcb.negotiated.sack = sack;
        pcb.negotiated.timestamps = stamped.then_some(OFFSET);
        pcb.fit_segments();
        // Half of the cases.
        pcb.settings.nagle = match stamped {
            true => Nagle::Disabled,
            false => Nagle::Enabled,
        };
        pcb.ecn.agreed = true;
        pcb.congestion = crate::tcp::congestion::Congestion::new(Default::default(), 1000);
        let sends: Vec<_> = (0..64).map(|_| SentSlot::new()).collect();
        let runs: Vec<_> = (0..8).map(|_| RunSlot::new()).collect();
        let sends = SentStore::new(sends.leak(), 1);
        pcb.start_records(&sends);
        Self {
            pcb,
            runs: Runs::new(runs.leak(), &mut |seed| seed.fill(7)),
            sends,
            stats: TcpStats::default(),
            config,
            now: Instant::from_millis(1_000_000),
        }
    }

    fn segment(&self, of: &Incoming) -> Arrived {
        let pcb = &self.pcb;
        let flight = pcb.snd.in_flight();
        let ack = pcb.snd.una + flight * of.ack / 8;
        let mut options = Options::default();
        if let (Some((start, len)), true) = (of.sack, pcb.negotiated.sack) {
            let left = pcb.snd.una + start;
            let right = left + len;
            options.sack.push(SackBlock { left, right });
        }
        if let (Some((age, ahead)), true) = (of.stamp, pcb.negotiated.timestamps.is_some()) {
            options.timestamps = Some(Timestamps {
                value: pcb.rcv.ts_recent.wrapping_add_signed(ahead),
                echo: Pcb::timestamp(OFFSET, self.now).wrapping_sub(age),
            });
        }
        // An own pbuf for each of the two: their contents are the same.
        let mut payload = Pbuf::alloc(&POOL, 0, of.len.max(1)).expect("a buffer");
        payload.truncate(of.len);
        Arrived {
            local: pcb.local,
            remote: pcb.remote,
            seq: SeqNum(pcb.rcv.nxt.0.wrapping_add_signed(of.seq)),
            ack: (of.flags & 0x10 != 0).then_some(ack),
            flags: flags(of.flags),
            window: of.window,
            options,
            payload: Some(payload),
            len: of.len as u32,
            tos: of.flags & 3,
        }
    }

    fn step(&mut self, step: &Step, way: Way) -> Verdict {
        let segment = match step {
            Step::Arrive(incoming) => Some(self.segment(incoming)),
            _ => None,
        };
        let pcb = &mut self.pcb;
        let mut cx = Context {
            now: self.now,
            config: &self.config,
            runs: &mut self.runs,
            sends: &mut self.sends,
            stats: &mut self.stats,
        };
        match step {
            Step::Write(len) => {
                if pcb.can_write().is_ok() && pcb.snd.room() as usize >= *len {
                    let data = Pbuf::from_static(&POOL, &BYTES[..*len]).expect("a descriptor");
                    pcb.snd.queue.push(data);
                }
            }
            Step::Read => {
                let taken = pcb.rcv.queue.take_all().map_or(0, |data| data.tot_len());
                pcb.consumed(taken as u32, cx.now, cx.config);
                pcb.pending.acked = 0;
            }
            Step::Send(most) => {
                pcb.before_output(cx.now, cx.sends);
                if let (Way::Fast, Some(mut plain)) = (way, pcb.plain()) {
                    send_plain(pcb, &mut plain, *most, &mut cx);
                    pcb.after_output(cx.now, cx.config);
                    return Verdict::Done;
                }
                let mut planned = pcb.plan();
                for _ in 0..*most {
                    let Some(plan) = planned else { break };
                    let mss = pcb.effective_mss();
                    pcb.rcv.advertise(mss);
                    let (ecn_flags, _) = pcb.ecn_of(&plan);
                    pcb.transmitted(&plan, ecn_flags, &mut cx);
                    planned = pcb.plan();
                }
                pcb.after_output(cx.now, cx.config);
            }
            Step::Wait(ms) => {
                self.now += Duration::from_millis(*ms);
                cx.now = self.now;
                return pcb.expire(&mut cx);
            }
            Step::Arrive(_) => {
                let segment = &mut segment.expect("made above");
                return match way {
                    Way::Fast => {
                        let head = headline(segment);
                        let foreseen = head.and_then(|head| {
                            Some((pcb.predicted(&head, segment.tos, cx.sends)?, head))
                        });
                        if let Some((foreseen, head)) = foreseen {
                            let data = segment.payload.take().expect("nobody took it");
                            let told = pcb.has_events();
                            pcb.take_predicted(foreseen, &head, data, 0, &mut cx);
                            let new = foreseen.news(&head) == News::Some;
                            assert_eq!(pcb.has_events(), told || new);
                            return Verdict::Done;
                        }
                        // `farewell` has a test of its own.
                        pcb.counters.segments_received += 1;
                        pcb.arrives_otherwise(segment, &mut cx)
                    }
                    Way::Rfc => {
                        pcb.counters.segments_received += 1;
                        pcb.arrives_otherwise(segment, &mut cx)
                    }
                };
            }
            Step::Close => {
                if pcb.state == State::Established {
                    (pcb.state, pcb.snd.fin) = (State::FinWait1, crate::tcp::send::Fin::Queued);
                }
            }
        }
        Verdict::Done
    }

    /// Everything there is to know about it.
    fn state(&self) -> String {
        let Self {
            pcb, runs, sends, ..
        } = self;
        format!("{pcb:#?} {:?} {runs:?} {sends:?}", self.stats)
    }
}

/// The slots are leaked, the buffers in them must not be.
impl Drop for Host {
    fn drop(&mut self) {
        self.runs.clear(&mut self.pcb.rcv.runs);
    }
}

/// As [`Pcb::burst_of_plain`], of at most so many segments.
fn send_plain(pcb: &mut Pcb, plain: &mut Plain, most: usize, cx: &mut Context<'_>) {
    let mut len = pcb.next_plain(plain);
    if len > 0 || pcb.rcv.ack == AckDue::Now {
        pcb.rcv.advertise(pcb.effective_mss());
        for _ in 0..most {
            pcb.record_plain(plain, len, cx);
            len = pcb.next_plain(plain);
            if len == 0 {
                break;
            }
        }
    }
    pcb.sent_plain(plain, cx);
}

/// As [`Headline::parse`] has it of such a segment, but that its header is off already.
fn headline(segment: &Arrived) -> Option<Headline> {
    let Options {
        timestamps, sack, ..
    } = segment.options;
    let plain = segment.flags.without(Flags::PSH) == Flags::ACK && sack.is_empty();
    plain.then_some(Headline {
        seq: segment.seq,
        ack: segment.ack?,
        window: segment.window,
        timestamps,
        header_len: 0,
        ports: [0; 4],
        len: segment.len,
    })
}

fn flags(bits: u8) -> Flags {
    [
        (0x01, Flags::FIN),
        (0x02, Flags::SYN),
        (0x04, Flags::RST),
        (0x08, Flags::PSH),
        (0x10, Flags::ACK),
        (0x40, Flags::ECE),
        (0x80, Flags::CWR),
    ]
    .into_iter()
    .filter(|(bit, _)| bits & bit != 0)
    .fold(Flags::NONE, |all, (_, flag)| all | flag)
}

fn incoming() -> impl Strategy<Value = Incoming> {
    (
        prop_oneof![8 => Just(0), 2 => prop::sample::select(vec![1000, 2000]), 1 => -3000..30_000i32],
        prop_oneof![3 => Just(0usize), 4 => Just(1000usize), 2 => 1..1400usize],
        prop_oneof![3 => Just(8u32), 3 => 0..8u32, 2 => Just(0u32), 1 => Just(9u32)],
        prop_oneof![8 => Just(0x10u8), 4 => Just(0x18u8), 1 => Just(0x50u8), 1 => any::<u8>()],
        prop_oneof![6 => Just(20_000u16), 1 => Just(0u16), 1 => any::<u16>()],
        prop::option::weighted(0.2, (0..12_000u32, 0..4_000u32)),
        prop::option::weighted(0.9, (0..300u32, -2..10i32)),
    )
        .prop_map(|(seq, len, ack, flags, window, sack, stamp)| Incoming {
            seq,
            len,
            ack,
            flags,
            window,
            sack,
            stamp,
        })
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        3 => (1..4096usize).prop_map(Step::Write),
        2 => Just(Step::Read),
        5 => (1..12usize).prop_map(Step::Send),
        2 => (0..60u64).prop_map(Step::Wait),
        1 => (100..2_000u64).prop_map(Step::Wait),
        12 => incoming().prop_map(Step::Arrive),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, cases: 500, ..ProptestConfig::default() })]

    #[test]
    fn the_prediction_changes_nothing(
        sack in any::<bool>(),
        stamped in any::<bool>(),
        closes_at in prop::option::of(0..60usize),
        steps in prop::collection::vec(step(), 1..60),
    ) {
        let (mut fast, mut rfc) = (Host::new(sack, stamped), Host::new(sack, stamped));
        for (n, step) in steps.iter().enumerate() {
            let closed = Step::Close;
            let step = if closes_at == Some(n) { &closed } else { step };
            let (a, b) = (fast.step(step, Way::Fast), rfc.step(step, Way::Rfc));
            prop_assert_eq!(a, b);
            if fast.state() != rfc.state() {
                prop_assert_eq!(fast.state(), rfc.state(), "after {:?}", step);
            }
            if a != Verdict::Done {
                break;
            }
        }
    }
}

/// Nor if every acknowledgement were of the calm kind, or none.
#[cfg(feature = "sack")]
#[test]
fn acknowledgements_in_order_are_calm_until_something_is_lost() {
    let mut host = Host::new(true, false);
    let mut arrives = |ack: u32, sack: Option<(u32, u32)>| {
        for step in [Step::Write(4_000), Step::Send(4), Step::Wait(5)] {
            assert_eq!(host.step(&step, Way::Fast), Verdict::Done);
        }
        let of = Incoming {
            seq: 0,
            len: 0,
            ack,
            flags: 0x10,
            window: 20_000,
            sack,
            stamp: None,
        };
        let calm =
            headline(&host.segment(&of)).is_some_and(|head| host.pcb.is_calm(&head, &host.sends));
        host.step(&Step::Arrive(of), Way::Fast);
        calm
    };
    // All of it, half of it, the rest with half of what follows.
    assert!(arrives(8, None) && arrives(4, None) && arrives(6, None));
    assert!(!arrives(0, None), "a repetition");
    assert!(!arrives(1, Some((3_000, 1_000))), "a gap");
    assert!(!arrives(1, None), "what is known of the gap stays");
}

/// The comparison above would show nothing if the fast path were never taken.
#[test]
fn the_common_case_is_predicted_and_others_are_not() {
    let host = Host::new(true, false);
    let mut of = Incoming {
        seq: 0,
        len: 1000,
        ack: 0,
        flags: 0x18,
        window: 20_000,
        sack: None,
        stamp: None,
    };
    let predicted = |of: &Incoming| {
        headline(&host.segment(of))
            .is_some_and(|head| host.pcb.predicted(&head, 0, &host.sends).is_some())
    };
    assert!(predicted(&of));
    of.len = 0;
    assert!(predicted(&of));
    for (seq, flags) in [
        (1, 0x18),
        (-1, 0x18),
        (0, 0x19),
        (0, 0x12),
        (0, 0x14),
        (0, 0x50),
        (0, 8),
    ] {
        (of.seq, of.flags) = (seq, flags);
        assert!(!predicted(&of), "{of:?}");
    }
}
