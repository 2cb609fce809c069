//! embedded-hal's delays as task delays: other tasks run meanwhile.
use core::time::Duration;

use embedded_hal::delay::DelayNs;

use crate::clock;
use crate::ffi;

/// Delays the calling task, for device drivers written against embedded-hal 1.0.
///
/// Sleeps until the first tick at which at least the time asked for has passed: a delay of 10 µs
/// takes up to a tick, and the CPU is free. Call it in tasks only.
#[derive(Clone, Copy, Debug, Default)]
pub struct Delay;

impl DelayNs for Delay {
    fn delay_ns(&mut self, ns: u32) {
        delay(Duration::from_nanos(ns.into()));
    }

    fn delay_us(&mut self, us: u32) {
        delay(Duration::from_micros(us.into()));
    }

    fn delay_ms(&mut self, ms: u32) {
        delay(Duration::from_millis(ms.into()));
    }
}

/// Puts the calling task to sleep for at least `time`.
#[doc(alias = "sys_msleep")]
pub fn delay(time: Duration) {
    if time.is_zero() {
        return;
    }
    // The clock shows up to one step less than the time that it is.
    let deadline = clock::deadline(time) + Duration::from_micros(clock::granularity());
    loop {
        let ticks = clock::ticks_until(deadline);
        if ticks == 0 {
            return;
        }
        // SAFETY: the calling task sleeps.
        unsafe { ffi::vTaskDelay(ticks) };
    }
}
