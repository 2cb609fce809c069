//! Points in time as the core sees them: whole microseconds since an arbitrary start.
//!
//! The core never asks for the time; every entry point is told (`now`), and what it wants to be
//! called for next is a return value.
use core::fmt;
use core::ops::{Add, AddAssign, Sub};
use core::time::Duration;

/// A moment, in microseconds since an arbitrary start (usually boot). Wraps after 584,000 years.
#[derive(Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Instant(u64);

impl Instant {
    /// The start of time.
    pub const ZERO: Self = Self(0);
    /// Later than every deadline.
    pub const MAX: Self = Self(u64::MAX);

    /// The moment `micros` microseconds after the start.
    pub const fn from_micros(micros: u64) -> Self {
        Self(micros)
    }

    /// The moment `millis` milliseconds after the start.
    pub const fn from_millis(millis: u64) -> Self {
        Self(millis * 1_000)
    }

    /// Microseconds since the start.
    pub const fn as_micros(self) -> u64 {
        self.0
    }

    /// Milliseconds since the start, rounded down.
    pub const fn as_millis(self) -> u64 {
        self.0 / 1_000
    }

    /// Time passed since `earlier`; nothing if `earlier` lies ahead.
    pub(crate) const fn since(self, earlier: Self) -> Span {
        Span::saturated(self.0.saturating_sub(earlier.0))
    }

    /// Time passed since `earlier`; zero if `earlier` lies ahead.
    // Two divisions, which on 32 bits are calls: not in each of the many places that ask.
    #[cfg_attr(target_pointer_width = "32", inline(never))]
    pub const fn saturating_since(self, earlier: Self) -> Duration {
        Duration::from_micros(self.0.saturating_sub(earlier.0))
    }
}

impl Add<Duration> for Instant {
    type Output = Self;
    /// Saturates at [`Instant::MAX`]: a deadline that far off is no deadline.
    fn add(self, d: Duration) -> Self {
        Self(self.0.saturating_add(micros(d)))
    }
}

impl Add<Span> for Instant {
    type Output = Self;
    /// Saturates as with a [`Duration`].
    fn add(self, span: Span) -> Self {
        Self(self.0.saturating_add(u64::from(span.0)))
    }
}

impl AddAssign<Duration> for Instant {
    fn add_assign(&mut self, d: Duration) {
        *self = *self + d;
    }
}

impl Sub<Duration> for Instant {
    type Output = Self;
    fn sub(self, d: Duration) -> Self {
        Self(self.0.saturating_sub(micros(d)))
    }
}

impl fmt::Debug for Instant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{:06}s", self.0 / 1_000_000, self.0 % 1_000_000)
    }
}

/// A length of time inside the core: whole microseconds in 32 bits, for what is measured and added
/// with each packet. What is longer than [`Span::MAX`], 71 minutes, counts as that: nothing between
/// two hosts takes so long. [`Duration`], with its seconds and nanoseconds apart, is for the
/// application and for what is longer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Span(u32);

#[cfg_attr(
    not(all(feature = "sack", feature = "cubic")),
    allow(dead_code, reason = "they measure most")
)]
impl Span {
    pub(crate) const ZERO: Self = Self(0);
    pub(crate) const MAX: Self = Self(u32::MAX);

    pub(crate) const fn from_micros(micros: u32) -> Self {
        Self(micros)
    }

    pub(crate) const fn from_millis(millis: u32) -> Self {
        Self(millis.saturating_mul(1_000))
    }

    pub(crate) const fn from_secs(secs: u32) -> Self {
        Self(secs.saturating_mul(1_000_000))
    }

    /// `micros` microseconds.
    pub(crate) const fn saturated(micros: u64) -> Self {
        if micros > u32::MAX as u64 {
            Self::MAX
        } else {
            Self(micros as u32)
        }
    }

    /// `d`, rounded down.
    pub(crate) const fn of(d: Duration) -> Self {
        Self::saturated(micros(d))
    }

    pub(crate) const fn as_micros(self) -> u32 {
        self.0
    }

    /// Rounded down.
    pub(crate) const fn as_millis(self) -> u32 {
        self.0 / 1_000
    }

    pub(crate) const fn saturating_add(self, other: Self) -> Self {
        Self(self.0.saturating_add(other.0))
    }

    pub(crate) const fn saturating_sub(self, other: Self) -> Self {
        Self(self.0.saturating_sub(other.0))
    }

    /// `by` times as long, as far as that can be told.
    pub(crate) const fn times(self, by: u32) -> Self {
        Self(self.0.saturating_mul(by))
    }

    /// A part of it, rounded down; all of it if `parts` is zero.
    pub(crate) const fn part(self, parts: u32) -> Self {
        match self.0.checked_div(parts) {
            Some(part) => Self(part),
            None => self,
        }
    }
}

impl From<Span> for Duration {
    fn from(span: Span) -> Self {
        Self::from_micros(u64::from(span.0))
    }
}

/// Whole microseconds of `d`; [`u64::MAX`] if there are more. In 64 bits, where
/// [`Duration::as_micros`] computes with 128: this is done for each timer that is set.
#[cfg_attr(target_pointer_width = "32", inline(never))]
pub(crate) const fn micros(d: Duration) -> u64 {
    d.as_secs()
        .saturating_mul(1_000_000)
        .saturating_add(d.subsec_micros() as u64)
}
