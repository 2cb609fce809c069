//! gannet on a Cortex-M: the ARM MPS2 board (image AN385: Cortex-M3; AN386: Cortex-M4) with FreeRTOS,
//! its Ethernet controller LAN9118, and services on blocking sockets and on the raw API.
//!
//! Runs in QEMU: `run-test` beside this file starts it on a TAP device and tests it from Linux.
#![no_std]
#![no_main]
extern crate alloc;

mod board;
mod control;
mod fault;
mod http;
mod random;
mod raw;
mod services;

use cortex_m_rt::entry;
use cortex_m_semihosting::hprintln;
use gannet_port_freertos::Heap;

#[global_allocator]
static HEAP: Heap = Heap;

#[entry]
fn main() -> ! {
    hprintln!("gannet on MPS2 at {}", board::SUBNET.addr());
    board::start();
    gannet_port_freertos::start()
}
