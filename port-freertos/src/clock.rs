//! Time: the stack's [`Instant`] and the kernel's ticks, converted so that a wait never ends early.
//!
//! On the simulator's own port an `Instant` is the host's monotonic clock in microseconds since the
//! scheduler first started, and the tick count is derived from the same clock: they never disagree,
//! and time goes on from one start of the scheduler to the next. Elsewhere it is the kernel's tick
//! count, extended to 64 bits by the kernel's own count of overflows.
use core::time::Duration;

use gannet_core::Instant;

use crate::ffi::{self, INITIAL_TICKS, MAX_DELAY, Tick};

/// The time now, in microseconds since the scheduler was started; never goes back. Call it in
/// tasks only.
#[doc(alias = "sys_now")]
pub fn now() -> Instant {
    source::now()
}

/// When `time` has passed from now on; a fraction of a microsecond counts as one.
pub(crate) fn deadline(time: Duration) -> Instant {
    let fraction = time.subsec_nanos() % 1_000;
    let round_up = Duration::from_nanos(if fraction == 0 { 0 } else { 1_000 });
    now() + time + round_up
}

/// The finest step of [`now`] in microseconds.
pub(crate) fn granularity() -> u64 {
    source::granularity()
}

/// Microseconds of a tick.
pub(crate) fn tick_micros() -> u64 {
    // `configTICK_RATE_HZ` above 1000 gives 0 here, which freertos-next does not support either.
    wide(ffi::freertos_rs_get_portTICK_PERIOD_MS().max(1)) * 1_000
}

/// How many ticks to wait from now so that [`now`] is `deadline` or later; 0 if it is already.
/// Limited to what the kernel can wait, so a caller looks at the clock again.
pub(crate) fn ticks_until(deadline: Instant) -> Tick {
    if now() >= deadline {
        return 0;
    }
    let since_zero = deadline
        .as_micros()
        .saturating_sub(source::tick_zero_micros());
    let due = since_zero.div_ceil(tick_micros());
    // A tick that came since `now` above: one more look at the clock for the caller.
    let left = due.saturating_sub(ticks()).max(1);
    Tick::try_from(left).unwrap_or(MAX_DELAY).min(MAX_DELAY - 1)
}

/// Ticks since the scheduler was started.
pub(crate) fn ticks() -> u64 {
    let mut now = ffi::TimeOut::default();
    // SAFETY: writes the two fields, in a critical section of its own.
    unsafe { ffi::vTaskSetTimeOutState(&mut now) };
    extend(now).saturating_sub(INITIAL_TICKS)
}

#[cfg(not(feature = "stock-port"))]
fn extend(now: ffi::TimeOut) -> u64 {
    u64::from(now.overflows.cast_unsigned()) << 32 | wide(now.ticks)
}

#[cfg(not(feature = "stock-port"))]
fn wide(ticks: Tick) -> u64 {
    ticks.into()
}

#[cfg(feature = "stock-port")]
fn extend(now: ffi::TimeOut) -> u64 {
    now.ticks
}

#[cfg(feature = "stock-port")]
fn wide(ticks: Tick) -> u64 {
    ticks
}

#[cfg(all(unix, not(feature = "stock-port")))]
mod source {
    use super::{Instant, ffi};

    pub(super) fn now() -> Instant {
        Instant::from_micros(ffi::ullPortSimMicros())
    }

    pub(super) fn granularity() -> u64 {
        1
    }

    pub(super) fn tick_zero_micros() -> u64 {
        ffi::ullPortSimTickZeroMicros()
    }
}

#[cfg(not(all(unix, not(feature = "stock-port"))))]
mod source {
    use super::{Instant, tick_micros, ticks};

    pub(super) fn now() -> Instant {
        Instant::from_micros(tick_zero_micros() + ticks() * tick_micros())
    }

    pub(super) fn granularity() -> u64 {
        tick_micros()
    }

    /// A microcontroller starts the scheduler once.
    #[cfg(not(unix))]
    pub(super) fn tick_zero_micros() -> u64 {
        0
    }

    #[cfg(unix)]
    pub(super) static TICK_ZERO_MICROS: core::sync::atomic::AtomicU64 =
        core::sync::atomic::AtomicU64::new(0);

    #[cfg(unix)]
    pub(super) fn tick_zero_micros() -> u64 {
        TICK_ZERO_MICROS.load(core::sync::atomic::Ordering::Relaxed)
    }
}

/// Between two starts of the scheduler, before the kernel forgets its tick count: the next one
/// goes on from here.
#[cfg(all(unix, feature = "stock-port"))]
pub(crate) fn keep_time() {
    source::TICK_ZERO_MICROS.store(
        now().as_micros() + tick_micros(),
        core::sync::atomic::Ordering::Relaxed,
    );
}
