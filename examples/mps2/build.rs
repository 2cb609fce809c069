//! Compiles the FreeRTOS kernel with this board's configuration, and tells the linker its memory.
use std::path::Path;
use std::{env, fs};

use freertos_build::prelude::*;

fn main() {
    let out = env::var("OUT_DIR").expect("cargo sets it");
    fs::copy("memory.x", Path::new(&out).join("memory.x")).expect("a directory to write to");
    println!("cargo:rustc-link-search={out}");
    println!("cargo:rerun-if-changed=memory.x");
    println!("cargo:rerun-if-changed=kernel");

    let mut kernel = freertos_build::Builder::new();
    kernel.freertos_config_dir("kernel");
    kernel.cpu_clock(25.MHz());
    kernel.heap("heap_4.c"); // task stacks, semaphores, and what Rust boxes
    kernel.heap_size(96 * 1024);
    kernel.minimal_stack_size(128);
    kernel.max_task_priorities(8);
    kernel.max_task_name_len(16);
    kernel.check_for_stack_overflow(2);
    // Three bits; what is numerically 5 or more may call the kernel.
    kernel.interrupt_priority_bits(3, 5, 7);
    kernel.get_cc().opt_level_str("s").warnings(false);
    kernel.compile().expect("the FreeRTOS kernel compiles");
}
