//! A path that frames take in one direction, with its faults: loss, duplicates, reordering, wrong
//! bits, delay.
use core::time::Duration;
use std::collections::BTreeMap;
use std::time::Instant;

use gannet_core::wire::ethernet::EtherType;

/// How much longer a frame takes that others are to overtake.
const DETOUR: Duration = Duration::from_millis(2);
/// Frames under way; more are lost, as in the queue of a router.
const CAPACITY: usize = 4_096;

/// What a path does to frames. Probabilities from 0 to 1.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Faults {
    /// That a frame is lost.
    pub loss: f64,
    /// That it arrives twice.
    pub duplicate: f64,
    /// That others overtake it.
    pub reorder: f64,
    /// That a bit of it is wrong, if it is an IP packet.
    pub corrupt: f64,
    /// How long each takes.
    pub delay: Duration,
    /// Makes the path's choices the same each time.
    pub seed: Option<u64>,
}

impl Faults {
    /// Frames arrive once, in order and at once.
    pub fn is_none(&self) -> bool {
        let chance = self.loss + self.duplicate + self.reorder + self.corrupt;
        chance == 0.0 && self.delay.is_zero()
    }
}

/// One direction of a path.
#[derive(Debug)]
pub struct Path {
    faults: Faults,
    random: fastrand::Rng,
    /// By when they arrive; the number keeps frames of the same moment in order.
    under_way: BTreeMap<(Instant, u64), Vec<u8>>,
    sent: u64,
}

impl Path {
    /// A path with `faults`; `direction` sets its choices apart from those of the way back.
    pub fn new(faults: Faults, direction: u64) -> Self {
        let random = match faults.seed {
            Some(seed) => fastrand::Rng::with_seed(seed ^ direction.rotate_left(32)),
            None => fastrand::Rng::new(),
        };
        Self {
            faults,
            random,
            under_way: BTreeMap::new(),
            sent: 0,
        }
    }

    /// Sends a frame on its way.
    pub fn push(&mut self, now: Instant, frame: &[u8]) {
        let copies = match () {
            () if self.random.f64() < self.faults.loss => 0,
            () if self.random.f64() < self.faults.duplicate => 2,
            () => 1,
        };
        for _ in 0..copies {
            if self.under_way.len() >= CAPACITY {
                return;
            }
            let detour = match self.random.f64() < self.faults.reorder {
                true => DETOUR,
                false => Duration::ZERO,
            };
            self.sent += 1;
            let due = now + self.faults.delay + detour;
            let mut frame = frame.to_vec();
            if self.random.f64() < self.faults.corrupt {
                self.corrupt(&mut frame);
            }
            self.under_way.insert((due, self.sent), frame);
        }
    }

    /// Turns a bit of an IP packet. A router would do that; on Ethernet itself, where ARP trusts it,
    /// the frame check sequence would show it.
    fn corrupt(&mut self, frame: &mut [u8]) {
        let is_ip = frame.get(12..14) == Some(&EtherType::IPV4.0.to_be_bytes());
        let packet = frame.get_mut(14..).filter(|_| is_ip);
        if let Some(packet) = packet.filter(|packet| !packet.is_empty()) {
            let at = self.random.usize(..packet.len());
            if let Some(byte) = packet.get_mut(at) {
                *byte ^= 1 << self.random.u8(..8);
            }
        }
    }

    /// The next frame that has arrived.
    pub fn pop(&mut self, now: Instant) -> Option<Vec<u8>> {
        let next = self.under_way.first_entry()?;
        (next.key().0 <= now).then(|| next.remove())
    }

    /// When the next one arrives.
    pub fn next_arrival(&self) -> Option<Instant> {
        self.under_way.keys().next().map(|(due, _)| *due)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn arrivals(faults: Faults) -> Vec<u8> {
        let mut path = Path::new(
            Faults {
                seed: Some(1),
                ..faults
            },
            0,
        );
        let start = Instant::now();
        for n in 0..200 {
            path.push(start + Duration::from_micros(n), &[n as u8]);
        }
        let end = start + Duration::from_secs(1);
        core::iter::from_fn(|| path.pop(end))
            .map(|frame| frame[0])
            .collect()
    }

    #[test]
    fn a_good_path_keeps_all_in_order() {
        assert!(Faults::default().is_none());
        assert_eq!(arrivals(Faults::default()), (0..200).collect::<Vec<_>>());
    }

    #[test]
    fn each_fault_shows() {
        let lossy = arrivals(Faults {
            loss: 0.1,
            ..Faults::default()
        });
        assert!((150..195).contains(&lossy.len()) && lossy.is_sorted());
        let twice = arrivals(Faults {
            duplicate: 0.1,
            ..Faults::default()
        });
        assert!(twice.len() > 205 && twice.is_sorted());
        let mut mixed = arrivals(Faults {
            reorder: 0.1,
            ..Faults::default()
        });
        assert!(mixed.len() == 200 && !mixed.is_sorted());
        mixed.sort_unstable();
        assert_eq!(mixed, (0..200).collect::<Vec<_>>());
    }

    #[test]
    fn a_wrong_bit_is_in_an_ip_packet() {
        let faults = Faults {
            corrupt: 1.0,
            ..Faults::default()
        };
        let mut path = Path::new(faults, 0);
        let now = Instant::now();
        let ip = [&[0; 12][..], &[8, 0], &[0; 20]].concat();
        let arp = [&[0; 12][..], &[8, 6], &[0; 28]].concat();
        path.push(now, &ip);
        path.push(now, &arp);
        let wrong = path.pop(now).expect("it arrives");
        let bits: u32 = wrong
            .iter()
            .zip(&ip)
            .map(|(a, b)| (a ^ b).count_ones())
            .sum();
        assert_eq!((bits, &wrong[..14]), (1, &ip[..14]));
        assert_eq!(path.pop(now), Some(arp));
    }

    #[test]
    fn delay_is_kept() {
        let delay = Duration::from_millis(20);
        let mut path = Path::new(
            Faults {
                delay,
                ..Faults::default()
            },
            0,
        );
        let start = Instant::now();
        path.push(start, &[1]);
        assert_eq!(path.next_arrival(), Some(start + delay));
        assert_eq!(path.pop(start + delay / 2), None);
        assert_eq!(path.pop(start + delay), Some(vec![1]));
    }
}
