//! Whatever the last segments are, the short way decides what the RFC's order of steps does, and
//! leaves the same of what outlives the connection.
#![allow(unsafe_code, reason = "what `pbuf_pool!` expands to in its own crate")]
use core::net::{Ipv4Addr, SocketAddrV4};

use proptest::prelude::*;

use super::*;
use crate::config::TcpConfig;
use crate::pbuf::Pbuf;
use crate::tcp::out_of_order::{RunSlot, Runs};
use crate::tcp::rtt::Rtt;
use crate::tcp::sent_store::{SentSlot, SentStore};
use crate::tcp::stats::TcpStats;
use crate::time::Instant;
use crate::wire::tcp::SeqNum;
use crate::wire::tcp_options::{Options, SackBlock, Timestamps};

crate::pbuf_pool! { static POOL: [1536; 64] + refs 512 }

static BYTES: [u8; 100] = [0; 100];

/// A connection that its application has closed.
#[derive(Clone, Debug)]
struct Closed {
    state: State,
    stamped: bool,
    sack: bool,
    /// Bytes in front of the FIN, and how much of all that was sent.
    bytes: usize,
    sent: bool,
    /// Before the last segment the peer asked for nothing.
    ack: AckDue,
    orphan: bool,
    /// The peer's window, and what is left of ours.
    window: u32,
    room: u32,
}

#[derive(Clone, Debug)]
struct Last {
    seq: i32,
    len: usize,
    /// Of what is in flight, from the end.
    short: u32,
    flags: Flags,
    sack: bool,
    stamp: Option<i32>,
}

struct Host {
    pcb: Pcb,
    runs: Runs,
    sends: SentStore,
    stats: TcpStats,
    config: TcpConfig,
}

impl Host {
    fn new(of: &Closed) -> Self {
        let config = TcpConfig::default();
        let mut pcb = Pcb {
            state: State::Established,
            ..Pcb::UNUSED
        };
        pcb.rtt = Rtt::new(&config);
        pcb.snd.start(SeqNum(u32::MAX - 50));
        (pcb.snd.nxt, pcb.snd.mss) = (pcb.snd.iss + 1, 1000);
        pcb.snd.acknowledge(pcb.snd.nxt);
        (pcb.snd.limit, pcb.snd.wnd, pcb.snd.max_wnd) = (60_000, of.window, 20_000);
        (pcb.rcv.limit, pcb.rcv.nxt) = (4_000, SeqNum(u32::MAX));
        pcb.rcv.edge = pcb.rcv.nxt + of.room;
        pcb.rcv.last_ack_sent = pcb.rcv.nxt;
        pcb.rcv.ack = of.ack;
        pcb.negotiated.sack = of.sack;
        pcb.negotiated.timestamps = of.stamped.then_some(7);
        pcb.rcv.ts_recent = 1_000;
        pcb.fit_segments();
        pcb.ecn.agreed = true;
        pcb.closed = true;
        if of.orphan {
            pcb.attached = crate::tcp::pcb::Attached::Orphan;
        }
        pcb.congestion = crate::tcp::congestion::Congestion::new(Default::default(), 1000);
        let sends: Vec<_> = (0..8).map(|_| SentSlot::new()).collect();
        let runs: Vec<_> = (0..2).map(|_| RunSlot::new()).collect();
        let sends = SentStore::new(sends.leak(), 1);
        pcb.start_records(&sends);
        let mut host = Self {
            pcb,
            runs: Runs::new(runs.leak(), &mut |_| {}),
            sends,
            stats: TcpStats::default(),
            config,
        };
        host.close(of);
        host
    }

    fn close(&mut self, of: &Closed) {
        let (pcb, mut cx) = self.parts();
        if of.bytes > 0 {
            let data = Pbuf::from_static(&POOL, &BYTES[..of.bytes]).expect("a descriptor");
            pcb.snd.queue.push(data);
        }
        pcb.snd.fin = Fin::Queued;
        while let Some(plan) = pcb.plan().filter(|_| of.sent) {
            let ack = pcb.rcv.ack;
            pcb.transmitted(&plan, Flags::NONE, &mut cx);
            if pcb.snd.fin == Fin::Sent {
                pcb.rcv.ack = ack;
                break;
            }
        }
        pcb.state = of.state;
        match of.state {
            State::FinWait2 => {
                pcb.snd.acknowledge(pcb.snd.nxt);
            }
            State::Closing | State::LastAck => pcb.rcv.fin = PeerFin::Told,
            _ => {}
        }
    }

    fn parts(&mut self) -> (&mut Pcb, Context<'_>) {
        let cx = Context {
            now: Instant::from_millis(1_000_000),
            config: &self.config,
            runs: &mut self.runs,
            sends: &mut self.sends,
            stats: &mut self.stats,
        };
        (&mut self.pcb, cx)
    }

    fn segment(&self, of: &Last) -> Arrived {
        let pcb = &self.pcb;
        let mut options = Options::default();
        if of.sack {
            let (left, right) = (pcb.snd.una, pcb.snd.nxt);
            options.sack.push(SackBlock { left, right });
        }
        options.timestamps = of.stamp.map(|ahead| Timestamps {
            value: pcb.rcv.ts_recent.wrapping_add_signed(ahead),
            echo: 1_000_000,
        });
        let mut payload = Pbuf::alloc(&POOL, 0, of.len.max(1)).expect("a buffer");
        payload.truncate(of.len);
        let nobody = SocketAddrV4::new(Ipv4Addr::LOCALHOST, 1);
        Arrived {
            local: nobody,
            remote: nobody,
            seq: SeqNum(pcb.rcv.nxt.0.wrapping_add_signed(of.seq)),
            ack: Some(pcb.snd.nxt - of.short),
            flags: of.flags,
            window: 500,
            options,
            payload: Some(payload),
            len: of.len as u32,
            tos: 0,
        }
    }

    /// What the application, a record of TIME-WAIT, or the next segment will have to do with.
    fn remains(&self) -> String {
        let pcb = &self.pcb;
        format!(
            "{:?} {:?} {:?} {:?} {:?} {:?} {:?} {:?}",
            (pcb.state, pcb.life, pcb.attached, pcb.last_heard),
            (pcb.snd.una, pcb.snd.nxt, pcb.snd.fin, pcb.snd.queue.len()),
            (pcb.rcv.nxt, pcb.rcv.edge, pcb.rcv.fin, pcb.rcv.ack),
            (pcb.rcv.duplicate, pcb.rcv.queue.len(), pcb.rcv.unread),
            (pcb.rcv.ts_recent, pcb.rcv.ts_recent_at, pcb.snd.full),
            pcb.rcv.runs,
            pcb.pending,
            self.stats,
        )
    }

    fn everything(&self) -> String {
        format!("{:?} {:?} {:?}", self.pcb, self.runs, self.stats)
    }
}

/// Where the slots are leaked, the buffers in them must not be.
impl Drop for Host {
    fn drop(&mut self) {
        self.runs.clear(&mut self.pcb.rcv.runs);
    }
}

fn closed() -> impl Strategy<Value = Closed> {
    let state = prop::sample::select(vec![
        State::FinWait1,
        State::FinWait2,
        State::Closing,
        State::LastAck,
        State::CloseWait,
    ]);
    let ack = prop::sample::select(vec![AckDue::No, AckDue::Delayed, AckDue::Now]);
    let flags = any::<[bool; 3]>();
    (
        state,
        flags,
        prop_oneof![4 => Just(0usize), 1 => Just(100)],
        prop::bool::weighted(0.9),
        ack,
        prop::sample::select(vec![20_000u32, 0]),
        prop::sample::select(vec![4_000u32, 0, 1]),
    )
        .prop_map(
            |(state, [stamped, sack, orphan], bytes, sent, ack, window, room)| {
                Closed {
                    state,
                    stamped,
                    sack,
                    bytes,
                    // What is acknowledged was sent.
                    sent: sent || state != State::FinWait1,
                    ack,
                    orphan,
                    window: if sent { window.max(1_000) } else { window },
                    room,
                }
            },
        )
}

fn last() -> impl Strategy<Value = Last> {
    let flags = prop_oneof![
        4 => Just(Flags::ACK),
        4 => Just(Flags::ACK | Flags::FIN),
        1 => Just(Flags::ACK | Flags::PSH),
        1 => Just(Flags::ACK | Flags::FIN | Flags::PSH),
        1 => Just(Flags::ACK | Flags::RST),
        1 => Just(Flags::ACK | Flags::SYN),
        1 => Just(Flags::ACK | Flags::FIN | Flags::ECE),
    ];
    (
        prop_oneof![6 => Just(0i32), 1 => -2..3i32],
        prop_oneof![6 => Just(0usize), 1 => Just(1usize)],
        prop_oneof![6 => Just(0u32), 1 => 0..3u32],
        flags,
        prop::bool::weighted(0.1),
        prop::option::weighted(0.7, -2..3i32),
    )
        .prop_map(|(seq, len, short, flags, sack, stamp)| Last {
            seq,
            len,
            short,
            flags,
            sack,
            stamp,
        })
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, cases: 3_000, ..ProptestConfig::default() })]

    #[test]
    fn the_short_way_decides_what_the_long_one_does(of in closed(), last in last()) {
        let (mut short, mut long) = (Host::new(&of), Host::new(&of));
        let (a, mut b) = (short.segment(&last), long.segment(&last));
        let before = short.everything();
        let (pcb, mut cx) = short.parts();
        match pcb.take_farewell(&a, &mut cx) {
            None => prop_assert_eq!(short.everything(), before),
            Some(verdict) => {
                let (pcb, mut cx) = long.parts();
                prop_assert_eq!(verdict, pcb.arrives_otherwise(&mut b, &mut cx));
                prop_assert_eq!(short.remains(), long.remains());
            }
        }
    }
}

/// The comparison above would show nothing if the short way were never taken.
#[test]
fn what_ends_a_connection_takes_the_short_way() {
    let cases = [
        (State::FinWait1, Flags::FIN, Some(Verdict::TimeWait)),
        (State::FinWait2, Flags::FIN, Some(Verdict::TimeWait)),
        (State::Closing, Flags::NONE, Some(Verdict::TimeWait)),
        (
            State::LastAck,
            Flags::NONE,
            Some(Verdict::End(crate::tcp::pcb::Life::Ended)),
        ),
        (State::FinWait1, Flags::NONE, None),
        (State::CloseWait, Flags::NONE, None),
    ];
    for (state, flag, expected) in cases {
        let mut host = Host::new(&Closed {
            state,
            stamped: true,
            sack: true,
            bytes: 0,
            sent: true,
            ack: AckDue::No,
            orphan: false,
            window: 20_000,
            room: 4_000,
        });
        let segment = host.segment(&Last {
            seq: 0,
            len: 0,
            short: 0,
            flags: Flags::ACK | flag,
            sack: false,
            stamp: Some(1),
        });
        let (pcb, mut cx) = host.parts();
        assert_eq!(pcb.take_farewell(&segment, &mut cx), expected, "{state:?}");
    }
}
