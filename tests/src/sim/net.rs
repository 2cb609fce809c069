//! The network between simulated hosts: a hub or a switch, and on each line seeded faults.
use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::time::Duration;

use gannet_core::Instant;

use crate::wire::Wire;

use super::forge;
use super::plan::{Line, Medium, Rng};

/// Frames remembered for replay.
const MEMORY: usize = 64;

#[derive(Debug)]
struct Port {
    wire: Wire,
    line: Line,
    in_burst: bool,
    line_free: Instant,
    up: bool,
}

#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
struct InFlight {
    arrives: Reverse<(Instant, u64)>,
    to: usize,
    frame: Vec<u8>,
}

/// A frame that was sent, for the capture.
#[derive(Clone, Debug)]
pub struct Captured {
    /// When.
    pub at: Instant,
    /// As it left the host, or as it was after the line was done with it.
    pub frame: Vec<u8>,
    /// What happened to it.
    pub fate: &'static str,
}

/// See the module.
#[derive(Debug)]
pub struct Net {
    medium: Medium,
    ports: Vec<Port>,
    in_flight: BinaryHeap<InFlight>,
    sent: u64,
    random: Rng,
    /// Hosts with different bits do not hear each other.
    pub partition: u32,
    memory: Vec<Vec<u8>>,
    /// Every frame, if asked for.
    pub capture: Option<Vec<Captured>>,
    /// Frames the hosts sent.
    pub frames: u64,
}

impl Net {
    /// A network without hosts.
    pub fn new(medium: Medium, seed: u64) -> Self {
        Self {
            medium,
            ports: Vec::new(),
            in_flight: BinaryHeap::new(),
            sent: 0,
            random: Rng::with_seed(seed),
            partition: 0,
            memory: Vec::new(),
            capture: None,
            frames: 0,
        }
    }

    /// Joins the next host.
    pub fn join(&mut self, wire: Wire) {
        self.ports.push(Port {
            wire,
            line: Line::good(Duration::from_millis(1)),
            in_burst: false,
            line_free: Instant::ZERO,
            up: true,
        });
    }

    /// A host has a new device.
    pub fn replace(&mut self, host: usize, wire: Wire) {
        self.ports[host].wire = wire;
    }

    /// Changes a line.
    pub fn set_line(&mut self, host: usize, line: Line) {
        self.ports[host].line = line;
        self.ports[host].in_burst = false;
    }

    /// Pulls a cable, or plugs it in.
    pub fn set_up(&mut self, host: usize, up: bool) {
        self.ports[host].up = up;
    }

    /// Takes what hosts sent and delivers what has arrived; `true` if anything moved.
    pub fn step(&mut self, now: Instant) -> bool {
        let mut moved = false;
        for from in 0..self.ports.len() {
            while let Some(frame) = self.ports[from].wire.take() {
                moved = true;
                self.frames += 1;
                self.accept(from, frame, now);
            }
        }
        while self
            .in_flight
            .peek()
            .is_some_and(|first| first.arrives.0.0 <= now)
        {
            moved = true;
            let arrived = self.in_flight.pop().expect("peeked at");
            let port = &self.ports[arrived.to];
            if port.up {
                port.wire.put(arrived.frame);
            }
        }
        moved
    }

    /// When the next frame arrives.
    pub fn next_arrival(&self) -> Option<Instant> {
        self.in_flight.peek().map(|first| first.arrives.0.0)
    }

    /// A stranger sends `frame` to `host`, which arrives with the others.
    pub fn inject(&mut self, host: usize, frame: Vec<u8>, now: Instant, after: Duration) {
        self.note(now, &frame, "stranger");
        self.fly(host, frame, now + after);
    }

    fn accept(&mut self, from: usize, frame: Vec<u8>, now: Instant) {
        let line = self.ports[from].line;
        let mut leaves = now;
        if let Some(rate) = line.rate {
            let time = Duration::from_nanos((frame.len() as u64 + 24) * 8_000_000_000 / rate);
            leaves = self.ports[from].line_free.max(now) + time;
            // A queue of 64 full frames.
            if leaves.saturating_since(now) > Duration::from_nanos(800_000_000_000_000 / rate) {
                self.note(now, &frame, "queue full");
                return;
            }
            self.ports[from].line_free = leaves;
        }
        if !self.ports[from].up || self.is_lost(from, &line) {
            self.note(now, &frame, "lost");
            return;
        }
        let (frame, fate) = self.alter(frame, &line);
        self.note(now, &frame, fate);
        if self.memory.len() < MEMORY {
            self.memory.push(frame.clone());
        } else {
            let at = self.random.usize(..MEMORY);
            self.memory[at].clone_from(&frame);
        }
        let copies = if self.random.f64() < line.duplicate {
            2
        } else {
            1
        };
        for _ in 0..copies {
            self.spread(from, &frame, leaves, &line);
        }
        if self.random.f64() < line.replay {
            let old = self.memory[self.random.usize(..self.memory.len())].clone();
            self.note(now, &old, "replayed");
            self.spread(from, &old, leaves, &line);
        }
    }

    fn is_lost(&mut self, from: usize, line: &Line) -> bool {
        let port = &mut self.ports[from];
        let stays = if port.in_burst {
            line.burst.1
        } else {
            line.burst.0
        };
        port.in_burst = self.random.f64() < stays;
        port.in_burst || self.random.f64() < line.loss
    }

    fn alter(&mut self, mut frame: Vec<u8>, line: &Line) -> (Vec<u8>, &'static str) {
        // ARP has no checksum, and two damaged fragments can make one good packet.
        if forge::has_checksum(&frame) && self.random.f64() < line.corrupt {
            let at = self.random.usize(..frame.len());
            frame[at] ^= 1 << self.random.u8(..8);
            return (frame, "damaged");
        }
        if self.random.f64() < line.forge && forge::forge(&mut frame, &mut self.random) {
            return (frame, "forged");
        }
        (frame, "")
    }

    fn spread(&mut self, from: usize, frame: &[u8], leaves: Instant, line: &Line) {
        let station = match frame.get(..6) {
            Some([2, 0, 0, 0, 0, n]) => usize::from(*n).checked_sub(1),
            _ => None,
        };
        let known = station.filter(|n| *n < self.ports.len());
        for to in (0..self.ports.len()).filter(|to| *to != from) {
            if self.medium == Medium::Switch && known.is_some_and(|known| known != to) {
                continue;
            }
            if (self.partition >> from ^ self.partition >> to) & 1 != 0 {
                continue;
            }
            let jitter = line.jitter.mul_f64(self.random.f64());
            let spike = match self.random.f64() < line.spike.0 {
                true => line.spike.1.mul_f64(self.random.f64()),
                false => Duration::ZERO,
            };
            self.fly(to, frame.to_vec(), leaves + line.latency + jitter + spike);
        }
    }

    fn fly(&mut self, to: usize, frame: Vec<u8>, arrives: Instant) {
        self.sent += 1;
        self.in_flight.push(InFlight {
            arrives: Reverse((arrives, self.sent)),
            to,
            frame,
        });
    }

    fn note(&mut self, at: Instant, frame: &[u8], fate: &'static str) {
        if let Some(capture) = &mut self.capture {
            let frame = frame.to_vec();
            capture.push(Captured { at, frame, fate });
        }
    }
}
