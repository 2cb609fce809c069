//! Tells the linker the board's memory and, if asked to, takes the memory functions of GCC's C
//! library: in front of Rust's, which are weak.
use std::process::Command;

fn main() {
    println!("cargo:rustc-link-search={}/..", env!("CARGO_MANIFEST_DIR"));
    println!("cargo:rerun-if-changed=../memory.x");
    println!("cargo:rerun-if-changed=build.rs");
    if std::env::var_os("CARGO_FEATURE_NEWLIB").is_some() {
        let printed = Command::new("arm-none-eabi-gcc")
            .args(["-mcpu=cortex-m3", "-mthumb", "-print-file-name=libc.a"])
            .output()
            .expect("arm-none-eabi-gcc");
        let library = String::from_utf8(printed.stdout).expect("a path");
        let directory = library
            .trim()
            .strip_suffix("/libc.a")
            .expect("newlib: install libnewlib-arm-none-eabi");
        println!("cargo:rustc-link-search={directory}");
        println!("cargo:rustc-link-lib=static:-bundle=c");
    }
}
