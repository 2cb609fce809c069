//! Instructions of a unit of work on a Cortex-M: two stacks joined in memory, the scenarios and
//! applications of `tests/compare`, counted under QEMU's `-icount shift=0`, where each instruction
//! takes a nanosecond. `run-speed` runs it, once for each figure.
//!
//! Its command line (by semihosting): `speed STACK CELL WARM-UP COUNTED`, `speed kernels` or
//! `speed self-test`.
#![no_std]
#![no_main]

extern crate alloc;

#[path = "../../../../tests/compare/src/cell.rs"]
#[allow(
    dead_code,
    unreachable_pub,
    reason = "what only the host's program uses"
)]
mod cell;
#[path = "../../../../tests/compare/src/clock.rs"]
#[allow(unreachable_pub, reason = "as that program's lints have it")]
mod clock;
mod count;
#[path = "../../../../tests/compare/src/gannet/mod.rs"]
#[allow(
    dead_code,
    unreachable_pub,
    reason = "what only the host's program uses"
)]
mod gannet;
mod kernels;
mod memory;
mod self_test;
#[path = "../../../../tests/compare/src/smol.rs"]
#[allow(unreachable_pub, reason = "as that program's lints have it")]
mod smol;

use core::panic::PanicInfo;

use cell::{CELLS, Made};
use cortex_m_rt::entry;
use cortex_m_semihosting::{debug, hprintln};
use count::Counter;
use embedded_alloc::LlffHeap;

#[global_allocator]
static HEAP: LlffHeap = LlffHeap::empty();

#[entry]
fn main() -> ! {
    memory::give(&HEAP);
    let counter = Counter::start();
    counter.check();
    let mut line = [0; 128];
    let mut words = command_line(&mut line).split_ascii_whitespace().skip(1);
    match words.next() {
        Some("self-test") => self_test::run(),
        Some("kernels") => kernels::run(&counter),
        Some(stack) => {
            let cell = words.next().expect("the name of a cell");
            let mut number = || {
                let word = words.next().expect("a number of units");
                word.parse().expect("a number")
            };
            let (warm_up, counted) = (number(), number());
            measure(&counter, stack, cell, warm_up, counted);
        }
        None => panic!("nothing to do"),
    }
    debug::exit(debug::EXIT_SUCCESS);
    unreachable!("the machine has ended")
}

/// Prints: stack, cell, instructions of a unit, frames of a hundred units each way.
fn measure(counter: &Counter, stack: &str, name: &str, warm_up: u64, counted: u64) {
    let cell = CELLS.iter().find(|cell| cell.name == name);
    let cell = cell.expect("a cell of that name");
    let made: Made = match stack {
        "gannet" => gannet::make(cell),
        "smoltcp" => smol::make(cell),
        _ => Err("no stack of that name"),
    };
    let mut bench = made.unwrap_or_else(|why| panic!("{why}"));
    bench.run(warm_up);
    let before = bench.frames();
    let instructions = counter.count(|| bench.run(counted));
    let after = bench.frames();
    let frames = |side: usize| (after[side] - before[side]) * 100 / counted;
    let each = u64::from(instructions) / counted;
    hprintln!("{} {} {} {} {}", stack, name, each, frames(0), frames(1));
}

/// What QEMU was told by `-semihosting-config arg=`.
fn command_line(line: &mut [u8; 128]) -> &str {
    let mut block = [line.as_mut_ptr() as usize, line.len()];
    // SAFETY: the block names memory that is borrowed mutably, and its length.
    let failed =
        unsafe { cortex_m_semihosting::syscall(cortex_m_semihosting::nr::GET_CMDLINE, &block) };
    assert_eq!(failed, 0, "a command line");
    block[1] = line.iter().position(|byte| *byte == 0).unwrap_or(0);
    core::str::from_utf8(&line[..block[1]]).expect("text")
}

#[panic_handler]
fn panic(info: &PanicInfo<'_>) -> ! {
    hprintln!("{}", info);
    debug::exit(debug::EXIT_FAILURE);
    loop {
        cortex_m::asm::wfi();
    }
}
