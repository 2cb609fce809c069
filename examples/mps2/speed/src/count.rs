//! Instructions counted by SysTick: under `-icount shift=0` an instruction takes a nanosecond, a
//! tick of the board's 25 MHz takes 40. So it is exact to 40 instructions, and the more units are
//! counted at once, the more exact a unit is.
use core::arch::asm;

use cortex_m::Peripherals;
use cortex_m::peripheral::SYST;
use cortex_m::peripheral::syst::SystClkSource;

const PER_TICK: u32 = 40;
const LARGEST: u32 = 0x00ff_ffff;

pub(crate) struct Counter;

impl Counter {
    pub(crate) fn start() -> Self {
        let mut systick = Peripherals::take().expect("taken here only").SYST;
        systick.set_clock_source(SystClkSource::Core);
        systick.set_reload(LARGEST);
        systick.clear_current();
        systick.enable_counter();
        Self
    }

    /// The instructions of `work`: at most 671 million.
    pub(crate) fn count(&self, work: impl FnOnce()) -> u32 {
        let before = SYST::get_current();
        work();
        // It counts down, and again from the top.
        let ticks = before.wrapping_sub(SYST::get_current()) & LARGEST;
        ticks * PER_TICK
    }

    /// Counts a loop whose length is known.
    pub(crate) fn check(&self) {
        const TURNS: u32 = 1_000_000;
        let counted = self.count(|| {
            // SAFETY: it changes a register and the flags.
            unsafe {
                asm!(
                    "2: subs {left}, {left}, #1",
                    "bne 2b",
                    left = inout(reg) TURNS => _,
                    options(nomem, nostack)
                );
            }
        });
        let known = 2 * TURNS;
        assert!(
            counted.abs_diff(known) <= 2 * PER_TICK,
            "a loop of {known} instructions counts as {counted}: QEMU needs -icount shift=0"
        );
    }
}
