//! CUBIC (RFC 9438) in integers: windows in bytes, time in milliseconds.
use core::time::Duration;

use crate::time::{Instant, Span};

use super::Acked;
use super::hystart::{HyStart, Step};

/// RFC 9438 §5: C = 0.4 segments/s³; beta = 0.7.
const C_TENTHS: u64 = 4;
const BETA_TENTHS: u64 = 7;
/// RFC 9438 §4.3: alpha = 3 (1 - beta) / (1 + beta) = 9/17.
const ALPHA: (u64, u64) = (9, 17);
/// Longer than any window takes to grow; keeps the cube within 64 bits.
const LONGEST_MS: u64 = 100_000;

/// The time since the last reduction.
#[derive(Clone, Copy, Debug)]
struct Epoch {
    start: Instant,
    /// Milliseconds until the window is back at `w_max`.
    k_ms: u64,
    /// The window the curve is centred on, at this epoch.
    origin: u32,
    /// What NewReno would have, in 1/2^8 bytes.
    w_est: u64,
}

#[derive(Clone, Debug)]
pub(crate) struct Cubic {
    /// The window before the last reduction, after fast convergence.
    w_max: u32,
    /// The window before the last reduction (RFC 9438 §4.3 "cwnd_prior").
    prior: u32,
    epoch: Option<Epoch>,
    /// Bytes of growth that did not make a whole byte yet, in 1/2^16.
    fraction: u64,
    hystart: HyStart,
    first_slow_start: bool,
    saved: (u32, u32, Option<Epoch>),
}

/// What slow start does with an acknowledgement.
#[derive(Clone, Copy, Debug)]
pub(super) struct SlowStart {
    pub(super) grow: u32,
    pub(super) done: bool,
}

impl Cubic {
    pub(super) const NEW: Self = Self {
        w_max: 0,
        prior: 0,
        epoch: None,
        fraction: 0,
        hystart: HyStart::NEW,
        first_slow_start: true,
        saved: (0, 0, None),
    };

    pub(super) fn slow_start(&mut self, bytes: u32, acked: &Acked) -> SlowStart {
        // RFC 9406 §4.2: only the initial slow start; later ones know where to stop.
        if !self.first_slow_start {
            let (grow, done) = (bytes, false);
            return SlowStart { grow, done };
        }
        let (grow, done) = match self.hystart.acked(acked) {
            Step::Full => (bytes, false),
            Step::Part(divisor) => (bytes / divisor, false),
            Step::Done => (0, true),
        };
        self.first_slow_start = !done;
        SlowStart { grow, done }
    }

    /// RFC 9438 §4.2 to §4.5: bytes to grow a window of `cwnd` by.
    pub(super) fn avoid(&mut self, cwnd: u32, acked: &Acked) -> u32 {
        let mss = u64::from(acked.mss.max(1));
        let window = u64::from(cwnd.max(1));
        let mut epoch = *self.epoch.get_or_insert_with(|| {
            let origin = self.w_max.max(cwnd);
            Epoch {
                start: acked.now,
                k_ms: k_ms(u64::from(origin - cwnd), mss),
                origin,
                w_est: window << 8,
            }
        });
        // RFC 9438 §4.3, figure 4. Once NewReno would be back where it was, its full pace.
        let pace = if epoch.w_est >> 8 < u64::from(self.prior) {
            ALPHA
        } else {
            (1, 1)
        };
        let bytes = u64::from(acked.bytes);
        epoch.w_est += ((bytes * mss * pace.0) << 8) / (window * pace.1);
        self.epoch = Some(epoch);
        let elapsed = acked.now.since(epoch.start);
        // RFC 9438 §4.2, figure 1, now and one round-trip time ahead.
        let now = w_cubic(&epoch, millis(elapsed), mss);
        let friendly = epoch.w_est >> 8;
        if now < friendly {
            // RFC 9438 §4.3: the region where NewReno is faster.
            return u32::try_from(friendly.saturating_sub(window)).unwrap_or(0);
        }
        let ahead = w_cubic(&epoch, millis(elapsed.saturating_add(acked.srtt)), mss);
        // RFC 9438 §4.2: target, between cwnd and 1.5 cwnd; §4.4: (target - cwnd)/cwnd for each
        // segment acknowledged.
        let target = ahead.max(window).min(window + window / 2);
        self.fraction += (((target - window) * bytes) << 16) / window;
        let whole = self.fraction >> 16;
        self.fraction &= 0xffff;
        u32::try_from(whole).unwrap_or(0)
    }

    /// RFC 9438 §4.6 and §4.7: the slow start threshold after a loss.
    pub(super) fn reduced(&mut self, cwnd: u32, flight: u32, mss: u32) -> u32 {
        self.saved = (self.w_max, self.prior, self.epoch.take());
        self.first_slow_start = false;
        // §4.6: a window that was not used says nothing; what was acknowledged by the same
        // segment that showed the loss was used.
        let used = cwnd.min(flight.saturating_add(3 * mss));
        self.prior = used;
        self.fraction = 0;
        // §4.7 fast convergence: shrinking twice in a row makes room for newcomers.
        self.w_max = if used < self.w_max {
            scaled(used, 10 + BETA_TENTHS, 20)
        } else {
            used
        };
        scaled(used, BETA_TENTHS, 10)
    }

    /// RFC 9438 §4.8: the curve starts anew after slow start.
    pub(super) fn timed_out(&mut self) {
        self.epoch = None;
        self.fraction = 0;
    }

    /// RFC 9438 §4.9.
    pub(super) fn undo(&mut self) {
        (self.w_max, self.prior, self.epoch) = self.saved;
    }

    /// RFC 9438 §4.2: time in which nothing was sent does not count.
    pub(super) fn idled(&mut self, idle: Duration) {
        if let Some(epoch) = &mut self.epoch {
            epoch.start += idle;
        }
    }
}

fn millis(time: Span) -> u64 {
    u64::from(time.as_millis())
}

fn scaled(value: u32, by: u64, of: u64) -> u32 {
    u32::try_from(u64::from(value) * by / of).unwrap_or(u32::MAX)
}

/// RFC 9438 §4.2, figure 2: the cube root of (W_max - cwnd) / C, for `drop` bytes.
fn k_ms(drop: u64, mss: u64) -> u64 {
    // In milliseconds: 10^9 under the root. A window is at most 2^30 bytes.
    cube_root(drop * 10_000_000_000 / (C_TENTHS * mss))
}

/// RFC 9438 §4.2, figure 1: C (t - K)³ + W_max.
fn w_cubic(epoch: &Epoch, t_ms: u64, mss: u64) -> u64 {
    let distance = t_ms.abs_diff(epoch.k_ms).min(LONGEST_MS);
    // ms³ to 10^-3 s³, then C in tenths of a segment.
    let cube = distance * distance * distance / 1_000_000;
    let change = cube * mss * C_TENTHS / 10_000;
    let origin = u64::from(epoch.origin);
    if t_ms < epoch.k_ms {
        origin.saturating_sub(change)
    } else {
        origin + change
    }
}

fn cube_root(value: u64) -> u64 {
    let mut root = 0u64;
    // 21 bits, the cube of which fits: half an hour in milliseconds.
    for bit in (0..=20).rev() {
        let candidate = root | 1 << bit;
        if candidate * candidate * candidate <= value {
            root = candidate;
        }
    }
    root
}

#[cfg(test)]
mod tests;
