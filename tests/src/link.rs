//! A link between two wires: latency, rate, queue, and seeded faults.
use std::collections::BinaryHeap;
use std::time::Duration;

use gannet_core::Instant;

use crate::segment::set_tos;
use crate::wire::Wire;

/// What a link does to the frames of one direction. Probabilities are in 0..=1.
#[derive(Clone, Copy, Debug)]
pub struct Faults {
    /// Time a frame takes.
    pub latency: Duration,
    /// Added to the latency at random, up to this: reorders.
    pub jitter: Duration,
    /// Bits per second; `None`: no limit.
    pub rate: Option<u64>,
    /// Frames that wait for the rate; the next is dropped.
    pub queue: usize,
    /// Frames that vanish.
    pub loss: f64,
    /// Frames that arrive twice.
    pub duplicate: f64,
    /// Frames with one byte changed.
    pub corrupt: f64,
    /// IP packets longer than this vanish without a word.
    pub mtu: usize,
    /// Packets whose sender understands congestion marks (RFC 3168) and that get one.
    pub mark: f64,
}

impl Default for Faults {
    fn default() -> Self {
        Self {
            latency: Duration::from_micros(500),
            jitter: Duration::ZERO,
            rate: None,
            queue: usize::MAX,
            loss: 0.0,
            duplicate: 0.0,
            corrupt: 0.0,
            mtu: usize::MAX,
            mark: 0.0,
        }
    }
}

#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
struct InFlight {
    // The heap is a maximum heap: the earliest comes first, equal times in order of sending.
    arrives: std::cmp::Reverse<(Instant, u64)>,
    frame: Vec<u8>,
}

/// One direction of a link.
#[derive(Debug)]
pub struct Direction {
    from: Wire,
    to: Wire,
    /// May be changed at any time.
    pub faults: Faults,
    random: fastrand::Rng,
    in_flight: BinaryHeap<InFlight>,
    sent: u64,
    /// When the line is free, in nanoseconds: rounded to microseconds it would be too fast.
    line_free: u64,
    /// Frames dropped by loss, a full queue, or their length.
    pub dropped: u64,
    /// Packets marked.
    pub marked: u64,
}

impl Direction {
    /// A direction from the stack at `from` to the one at `to`.
    pub fn new(from: Wire, to: Wire, faults: Faults, seed: u64) -> Self {
        Self {
            from,
            to,
            faults,
            random: fastrand::Rng::with_seed(seed),
            in_flight: BinaryHeap::new(),
            sent: 0,
            line_free: 0,
            dropped: 0,
            marked: 0,
        }
    }

    /// Takes what was sent and delivers what has arrived by `now`. `true` if anything moved.
    pub fn step(&mut self, now: Instant) -> bool {
        let mut moved = false;
        while let Some(frame) = self.from.take() {
            moved = true;
            self.accept(frame, now);
        }
        while self
            .in_flight
            .peek()
            .is_some_and(|first| first.arrives.0.0 <= now)
        {
            moved = true;
            self.to.put(self.in_flight.pop().expect("peeked at").frame);
        }
        moved
    }

    /// When the next frame arrives.
    pub fn next_arrival(&self) -> Option<Instant> {
        self.in_flight.peek().map(|first| first.arrives.0.0)
    }

    fn accept(&mut self, mut frame: Vec<u8>, now: Instant) {
        let mut leaves = now;
        if let Some(rate) = self.faults.rate {
            let time = |bytes: usize| bytes as u64 * 8_000_000_000 / rate;
            let now = now.as_micros() * 1_000;
            let start = self.line_free.max(now);
            let queue = u64::try_from(self.faults.queue).unwrap_or(u64::MAX);
            if start - now > time(1514).saturating_mul(queue) {
                self.dropped += 1;
                return;
            }
            // Preamble, check sequence and gap are on the line too.
            self.line_free = start + time(frame.len() + 24);
            leaves = Instant::from_micros(self.line_free.div_ceil(1_000));
        }
        if self.random.f64() < self.faults.loss {
            self.dropped += 1;
            return;
        }
        // With or without an Ethernet header.
        let ip = if frame.get(12..14) == Some(&[8, 0]) {
            14
        } else {
            0
        };
        if frame.len() - ip > self.faults.mtu {
            self.dropped += 1;
            return;
        }
        let capable = frame.get(ip + 1).is_some_and(|tos| tos & 3 == 2);
        if capable && self.random.f64() < self.faults.mark {
            let tos = frame[ip + 1] | 3;
            set_tos(&mut frame[ip..], tos);
            self.marked += 1;
        }
        if self.random.f64() < self.faults.corrupt {
            let at = self.random.usize(..frame.len());
            frame[at] ^= 1 << self.random.u8(..8);
        }
        let copies = if self.random.f64() < self.faults.duplicate {
            2
        } else {
            1
        };
        for _ in 0..copies {
            let jitter = self.faults.jitter.mul_f64(self.random.f64());
            let arrives = leaves + self.faults.latency + jitter;
            self.sent += 1;
            let arrives = std::cmp::Reverse((arrives, self.sent));
            self.in_flight.push(InFlight {
                arrives,
                frame: frame.clone(),
            });
        }
    }
}
