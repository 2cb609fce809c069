//! SYN cookies (RFC 4987 §3.6): when no record of a half-open connection can be kept, its contents
//! travel in our initial sequence number and timestamp, and come back with the peer's
//! acknowledgement. When they are sent is decided in `listen`.
//!
//! ```text
//! initial number: 28 bits keyed hash | 3 bits segment size | 1 bit of the minute
//! timestamp:      26 bits clock      | ECN | SACK | 4 bits window scale
//! ```
//! A peer without timestamps gets neither window scaling nor selective acknowledgements.
use core::time::Duration;

use crate::random::Keyed;
use crate::time::Instant;
use crate::wire::tcp::SeqNum;

use super::segment::Arrived;

/// How long a cookie is good for at least; twice that at most.
pub(crate) const LIFETIME: Duration = Duration::from_secs(64);

/// Segment sizes that are common; a peer's is rounded down. The first is the floor that counts for
/// every peer.
const SIZES: [u16; 8] = [super::MIN_MSS, 216, 536, 1200, 1360, 1440, 1452, 1460];

/// Bits of the initial number that are not hash.
const DATA_BITS: u32 = 4;
/// Bits of the timestamp that are not clock.
const STAMP_BITS: u32 = 6;
const STAMP_MASK: u32 = (1 << STAMP_BITS) - 1;
/// "No window scaling" in the four bits of the scale, which is at most 14.
const NO_SCALE: u32 = 15;

/// The key; its stream is nobody else's.
#[derive(Debug)]
pub(crate) struct SynCookies(Keyed);

/// What a timestamp carries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Extras {
    pub(crate) window_scale: Option<u8>,
    pub(crate) sack: bool,
    pub(crate) ecn: bool,
}

impl SynCookies {
    pub(crate) fn new(key: Keyed) -> Self {
        Self(key)
    }

    /// The initial sequence number that answers `syn`, whose sender takes segments of `mss` bytes.
    pub(crate) fn number(&self, syn: &Arrived, mss: u16, now: Instant) -> SeqNum {
        // At least the first fits, because it is the floor for every peer.
        let index = SIZES.iter().rposition(|&size| size <= mss).unwrap_or(0) as u32;
        let minute = minute(now);
        let data = index << 1 | minute as u32 & 1;
        SeqNum(self.hash(syn, syn.seq, minute, data) << DATA_BITS | data ^ self.mask(syn, syn.seq))
    }

    /// The segment size the cookie that `ack` acknowledges was made with. `None`: it acknowledges
    /// no cookie of the last two minutes.
    pub(crate) fn verify(&self, segment: &Arrived, ack: SeqNum, now: Instant) -> Option<u16> {
        let (cookie, irs) = ((ack - 1).0, segment.seq - 1);
        let data = (cookie ^ self.mask(segment, irs)) & ((1 << DATA_BITS) - 1);
        let this = minute(now);
        let minute = if data & 1 == this as u32 & 1 {
            this
        } else {
            this.checked_sub(1)?
        };
        let right = self.hash(segment, irs, minute, data) == cookie >> DATA_BITS;
        SIZES.get((data >> 1) as usize).copied().filter(|_| right)
    }

    fn hash(&self, segment: &Arrived, irs: SeqNum, minute: u64, data: u32) -> u32 {
        let bits = self.pair(b"hash", segment, irs, &[minute, u64::from(data)]);
        (bits >> 36) as u32
    }

    /// Hides the segment size and the minute.
    fn mask(&self, segment: &Arrived, irs: SeqNum) -> u32 {
        self.pair(b"mask", segment, irs, &[]) as u32 & ((1 << DATA_BITS) - 1)
    }

    fn pair(&self, purpose: &[u8], of: &Arrived, irs: SeqNum, more: &[u64]) -> u64 {
        let [a, b] = [more.first(), more.get(1)].map(|n| n.map_or(0, |n| *n).to_le_bytes());
        self.0.hash(&[
            purpose,
            &of.local.ip().octets(),
            &of.local.port().to_le_bytes(),
            &of.remote.ip().octets(),
            &of.remote.port().to_le_bytes(),
            &irs.0.to_le_bytes(),
            &a,
            &b,
        ])
    }
}

/// The rotating counter.
fn minute(now: Instant) -> u64 {
    now.as_micros() / LIFETIME.as_micros() as u64
}

impl Extras {
    /// The latest timestamp not after `clock` that carries these.
    pub(crate) fn stamp(self, clock: u32) -> u32 {
        let scale = self.window_scale.map_or(NO_SCALE, u32::from).min(NO_SCALE);
        let bits = u32::from(self.ecn) << 5 | u32::from(self.sack) << 4 | scale;
        let stamp = clock & !STAMP_MASK | bits;
        // RFC 7323 §5.4: the clock must not run backwards for later segments.
        if stamp & STAMP_MASK > clock & STAMP_MASK {
            stamp.wrapping_sub(1 << STAMP_BITS)
        } else {
            stamp
        }
    }

    /// What the echoed timestamp `echo` carries. `None`: it is none of the last two minutes.
    pub(crate) fn read(echo: u32, clock: u32) -> Option<Self> {
        let age = u64::from(clock.wrapping_sub(echo));
        let oldest = 2 * LIFETIME.as_millis() as u64 + (1 << STAMP_BITS);
        let scale = echo & 0xf;
        (age <= oldest).then(|| Self {
            window_scale: (scale != NO_SCALE).then_some(scale as u8),
            sack: echo & 1 << 4 != 0,
            ecn: echo & 1 << 5 != 0,
        })
    }
}

#[cfg(test)]
mod tests;
