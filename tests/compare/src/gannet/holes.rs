//! A receiver whose peer's segments arrive out of order: each second one first, in an order that
//! jumps about, then those between them. The peer is scripted, so that only the receiver's queue of
//! out-of-order data grows with the number of holes.
use gannet_core::wire::tcp::{Flags, SeqNum};
use gannet_core::wire::tcp_options::Options;
use gannet_core::{Config, Instant, Stack, Subnet};
use gannet_tests::segment::{End, Segment};
use gannet_tests::storage::{Pools, Sizes, leak_pool, leak_storage};
use gannet_tests::wire::{Wire, WireDriver};

use super::bulk::{Sink, listen};
use super::{ADDRS, PORT};
use crate::cell::{Api, Bench};
use crate::clock::TICK_US;

/// Bytes of a segment: two thousand fit a window of 64 KiB.
const LEN: u32 = 32;
/// Holes at a time, at most.
const MOST: u16 = 1_000;
/// Prime to the numbers of holes: every hole has its turn, none behind its neighbour's.
const STRIDE: u32 = 617;

struct Receiver {
    stack: Stack,
    sink: Sink,
    wire: Wire,
    now: Instant,
    local: End,
    peer: End,
    /// Holes at a time.
    holes: u32,
    /// Where the stream stands.
    next: SeqNum,
    put: u64,
    sent: u64,
}

/// A receiver with so many holes at a time; a unit is a hole made and filled, by two segments.
pub(super) fn boxed(holes: u16) -> Box<dyn Bench> {
    let pools = Pools {
        rx: leak_pool::<1_200, 128>("rx", 0),
        tx: leak_pool::<16, 128>("tx", 0),
        header: leak_pool::<64, 128>("header", 0),
    };
    let sizes = Sizes {
        runs: MOST.into(),
        ..Sizes::default()
    };
    let mut config = Config::default();
    config.tcp.rcv_wnd = u32::from(u16::MAX);
    config.tcp.max_out_of_order_runs = MOST;
    config.tcp.max_out_of_order_buffers = MOST;
    let mut stack = Stack::new(leak_storage(sizes, pools), config, &mut |seed| {
        seed.fill(29)
    });
    let wire = Wire::default();
    let subnet = Subnet::new(ADDRS[1], 24).expect("a valid prefix");
    let driver = WireDriver::ip(wire.clone(), pools.rx);
    stack.add_netif(driver, Some(subnet)).expect("room");
    let now = Instant::from_millis(1_000);
    listen(&mut stack, now);
    let end = |addr, port, isn| End {
        addr,
        port,
        isn: SeqNum(isn),
    };
    let mut receiver = Receiver {
        stack,
        sink: Sink::new(Api::ZeroCopy, 0),
        wire,
        now,
        local: end(ADDRS[1], PORT, 0),
        peer: end(ADDRS[0], 4_000, 1),
        holes: holes.into(),
        next: SeqNum(2),
        put: 0,
        sent: 0,
    };
    receiver.shake_hands();
    Box::new(receiver)
}

impl Receiver {
    fn shake_hands(&mut self) {
        self.say("S 0:0(0) win 65535 <mss 1460,sackOK>");
        let answer = self.wire.take().expect("an answer to the SYN");
        let (answer, ..) = Segment::from_packet(&answer).expect("a segment");
        self.local.isn = answer.seq;
        self.say(". 1:1(0) ack 1");
    }

    fn say(&mut self, text: &str) {
        self.deliver(&Segment::parse(text, self.peer, self.local));
    }

    fn deliver(&mut self, segment: &Segment) {
        self.wire.put(segment.packet(self.peer, self.local));
        self.put += 1;
        self.now += TICK_US;
        self.stack.turn(self.now, &mut [&mut self.sink]);
    }

    /// Segment `n` of those that follow.
    fn deliver_data(&mut self, n: u32) {
        let segment = Segment {
            seq: self.next + n * LEN,
            ack: Some(self.local.isn + 1),
            flags: Flags::NONE,
            window: u16::MAX,
            options: Options::default(),
            data: vec![0x5a; LEN as usize],
            urgent: 0,
            tos: 0,
        };
        self.deliver(&segment);
        while self.wire.take().is_some() {
            self.sent += 1;
        }
    }

    fn make_and_fill(&mut self, holes: u32) {
        for n in 0..holes {
            self.deliver_data(2 * (n * STRIDE % holes) + 1);
        }
        for n in 0..holes {
            self.deliver_data(2 * n);
        }
        self.next += 2 * holes * LEN;
    }
}

impl Bench for Receiver {
    fn run(&mut self, units: u64) {
        let mut left = units;
        while left > 0 {
            let holes = left.min(self.holes.into());
            self.make_and_fill(holes as u32);
            left -= holes;
        }
        let taken = self.sink.taken();
        let stream = self.next.since(SeqNum(2));
        assert_eq!(taken as u32, stream, "all of the stream has arrived");
    }

    fn frames(&self) -> [u64; 2] {
        [self.put, self.sent]
    }
}
