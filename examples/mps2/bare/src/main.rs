//! TCP and UDP echo (RFC 862) on gannet's core alone: one loop, no operating system, no heap, no
//! console. It shows how little the raw API needs, and its size is what the core takes.
//!
//! The frames come from a register of a device that does not exist, so that no driver is counted:
//! this program is for measuring, not for running.
#![no_std]
#![no_main]

#[cfg(feature = "stack")]
mod echo;

use core::panic::PanicInfo;

use cortex_m_rt::entry;

#[entry]
fn main() -> ! {
    #[cfg(feature = "stack")]
    echo::run();
    #[cfg(not(feature = "stack"))]
    loop {
        cortex_m::asm::wfi();
    }
}

#[panic_handler]
fn panic(_: &PanicInfo<'_>) -> ! {
    loop {
        cortex_m::asm::wfi();
    }
}
