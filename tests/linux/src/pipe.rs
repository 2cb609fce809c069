//! One direction of a path: rate with a drop-tail queue, loss, delay, reordering, by seed. A
//! function of (frame, now); who reads and writes frames is in `middle`.
use std::collections::{BTreeMap, VecDeque};
use std::time::{Duration, Instant};

use gannet_tests::segment::set_tos;
use gannet_tests::sim::forge::has_checksum;

/// Preamble, check sequence and gap: on the line, but not in a frame's bytes.
const OVERHEAD: usize = 24;

/// What a pipe does to frames. Probabilities are in 0..=1.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Faults {
    /// That a frame is lost.
    pub loss: f64,
    /// That a frame takes `detour` longer, so that others overtake it.
    pub reorder: f64,
    /// By how much.
    pub detour: Duration,
    /// How long each takes.
    pub delay: Duration,
    /// Bits per second; `None`: no limit.
    pub rate: Option<u64>,
    /// Frames that wait for the line or are on it; the next is dropped.
    pub queue: usize,
    /// That a frame arrives twice.
    pub duplicate: f64,
    /// That a bit of a TCP segment or UDP datagram is flipped.
    pub damage: f64,
    /// That a packet whose sender understands congestion marks gets one (RFC 3168).
    pub mark: f64,
    /// The largest IP packet in bytes; a larger one is answered with ICMP if it must not be
    /// fragmented, and dropped.
    pub mtu: usize,
}

impl Faults {
    /// Everything arrives at once.
    pub const NONE: Self = Self {
        loss: 0.0,
        reorder: 0.0,
        detour: Duration::from_millis(3),
        delay: Duration::ZERO,
        rate: None,
        queue: usize::MAX,
        duplicate: 0.0,
        damage: 0.0,
        mark: 0.0,
        mtu: usize::MAX,
    };

    /// Nothing arrives.
    pub const CUT: Self = Self {
        loss: 1.0,
        ..Self::NONE
    };
}

impl Default for Faults {
    fn default() -> Self {
        Self::NONE
    }
}

/// What becomes of a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    /// It is on its way.
    Sent,
    /// It is on its way, with a congestion mark.
    Marked,
    /// Lost at random.
    Lost,
    /// The queue was full.
    Overflowed,
}

/// One direction of a path.
#[derive(Debug)]
pub struct Pipe {
    /// May be changed at any time.
    pub faults: Faults,
    random: fastrand::Rng,
    /// When frames before the end of the line will have left it.
    line: VecDeque<Instant>,
    /// By when they arrive; the number keeps frames of the same moment in order.
    under_way: BTreeMap<(Instant, u64), Vec<u8>>,
    sent: u64,
}

impl Pipe {
    /// A pipe with `faults`, whose choices follow from `seed`.
    pub fn new(faults: Faults, seed: u64) -> Self {
        Self {
            faults,
            random: fastrand::Rng::with_seed(seed),
            line: VecDeque::new(),
            under_way: BTreeMap::new(),
            sent: 0,
        }
    }

    /// When a frame of `len` bytes will have left the line; `None`: the queue is full.
    fn queue(&mut self, now: Instant, len: usize) -> Option<Instant> {
        let Some(rate) = self.faults.rate else {
            return Some(now);
        };
        while self.line.front().is_some_and(|left| *left <= now) {
            self.line.pop_front();
        }
        if self.line.len() >= self.faults.queue {
            return None;
        }
        let bits = (len + OVERHEAD) as f64 * 8.0;
        let start = self.line.back().copied().unwrap_or(now).max(now);
        let leaves = start + Duration::from_secs_f64(bits / rate as f64);
        self.line.push_back(leaves);
        Some(leaves)
    }

    /// Sends an Ethernet frame on its way.
    pub fn push(&mut self, now: Instant, mut frame: Vec<u8>) -> Fate {
        // All are drawn for every frame: one frame's fate does not change that of the others.
        let chances = [self.faults.loss, self.faults.reorder, self.faults.mark];
        let [lost, late, marked] = chances.map(|chance| self.random.f64() < chance);
        let Some(leaves) = self.queue(now, frame.len()) else {
            return Fate::Overflowed;
        };
        // After the queue: a lost frame took its time on the line.
        if lost {
            return Fate::Lost;
        }
        let detour = match late {
            true => self.faults.detour,
            false => Duration::ZERO,
        };
        let marked = marked && mark(&mut frame);
        let arrives = leaves + self.faults.delay + detour;
        // These are drawn where they are wanted only.
        let mut wanted = |chance: f64| chance > 0.0 && self.random.f64() < chance;
        let (twice, damaged) = (wanted(self.faults.duplicate), wanted(self.faults.damage));
        if damaged && has_checksum(&frame) {
            let at = self.random.usize(14..frame.len());
            frame[at] ^= 1 << self.random.u8(..8);
        }
        if twice {
            self.sent += 1;
            self.under_way.insert((arrives, self.sent), frame.clone());
        }
        self.sent += 1;
        self.under_way.insert((arrives, self.sent), frame);
        match marked {
            true => Fate::Marked,
            false => Fate::Sent,
        }
    }

    /// The next frame that has arrived.
    pub fn pop(&mut self, now: Instant) -> Option<Vec<u8>> {
        let first = self.under_way.first_entry()?;
        (first.key().0 <= now).then(|| first.remove())
    }

    /// When the next one arrives.
    pub fn next_arrival(&self) -> Option<Instant> {
        self.under_way.keys().next().map(|(arrives, _)| *arrives)
    }
}

/// Puts a congestion mark on the packet in `frame`, if its sender understands that.
fn mark(frame: &mut [u8]) -> bool {
    let ipv4 = frame.get(12..14) == Some(&[8, 0]);
    match frame.get_mut(14..) {
        // RFC 3168 §5: ECT(1), ECT(0).
        Some(packet) if ipv4 && packet.len() >= 20 && matches!(packet[1] & 3, 1 | 2) => {
            let tos = packet[1] | 3;
            set_tos(packet, tos);
            true
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const END: Duration = Duration::from_secs(10);

    /// A frame with an IP packet whose sender understands marks.
    fn frame(n: u8) -> Vec<u8> {
        let mut frame = vec![0; 1_226];
        frame[0] = n;
        frame[12] = 8;
        frame[14] = 0x45;
        frame[15] = 2;
        frame
    }

    /// Sends 200 frames, one each 100 µs: their fates, and the numbers of those that arrived.
    fn run(faults: Faults, seed: u64) -> (Vec<Fate>, Vec<u8>) {
        let mut pipe = Pipe::new(faults, seed);
        let start = Instant::now();
        let fates = (0..200)
            .map(|n| {
                let now = start + Duration::from_micros(u64::from(n) * 100);
                pipe.push(now, frame(n))
            })
            .collect();
        let arrived = core::iter::from_fn(|| pipe.pop(start + END));
        (fates, arrived.map(|frame| frame[0]).collect())
    }

    #[test]
    fn without_faults_all_arrive_in_order() {
        let (fates, arrived) = run(Faults::default(), 1);
        assert!(fates.iter().all(|fate| *fate == Fate::Sent));
        assert_eq!(arrived, (0..200).collect::<Vec<_>>());
    }

    #[test]
    fn the_seed_decides() {
        let faults = Faults {
            loss: 0.1,
            reorder: 0.1,
            mark: 0.1,
            ..Faults::default()
        };
        let (fates, arrived) = run(faults, 1);
        assert_eq!((fates.clone(), arrived.clone()), run(faults, 1));
        assert_ne!(fates, run(faults, 2).0);
        let count = |fate| fates.iter().filter(|f| **f == fate).count();
        assert!((5..40).contains(&count(Fate::Lost)));
        assert!((5..40).contains(&count(Fate::Marked)));
        assert_eq!(arrived.len(), 200 - count(Fate::Lost));
        assert!(!arrived.is_sorted(), "some were overtaken");
    }

    #[test]
    fn only_what_understands_a_mark_gets_one() {
        let faults = Faults {
            mark: 1.0,
            ..Faults::default()
        };
        let mut pipe = Pipe::new(faults, 1);
        let now = Instant::now();
        assert_eq!(pipe.push(now, frame(0)), Fate::Marked);
        assert_eq!(pipe.pop(now).map(|frame| frame[15]), Some(3));
        let mut plain = frame(0);
        plain[15] = 0;
        assert_eq!(pipe.push(now, plain.clone()), Fate::Sent);
        assert_eq!(pipe.pop(now), Some(plain));
    }

    #[test]
    fn the_line_takes_its_time_and_its_queue_is_bounded() {
        // 1,250 bytes on the line at 10 Mbit/s: 1 ms each, and one comes every 100 µs.
        let faults = Faults {
            rate: Some(10_000_000),
            queue: 16,
            ..Faults::default()
        };
        let (fates, arrived) = run(faults, 1);
        // 16 at first, then one for each that has left in 19.9 ms.
        assert_eq!(arrived.len(), 16 + 19);
        assert!(fates.iter().take(16).all(|fate| *fate == Fate::Sent));
        assert!(fates.contains(&Fate::Overflowed));
        assert!(arrived.is_sorted());
        let mut pipe = Pipe::new(faults, 1);
        let start = Instant::now();
        pipe.push(start, frame(0));
        pipe.push(start, frame(0));
        assert_eq!(pipe.next_arrival(), Some(start + Duration::from_millis(1)));
        assert!(pipe.pop(start + Duration::from_millis(1)).is_some());
        assert_eq!(pipe.pop(start + Duration::from_millis(1)), None);
        assert_eq!(pipe.next_arrival(), Some(start + Duration::from_millis(2)));
    }
}
