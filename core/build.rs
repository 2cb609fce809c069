//! Says whether the target is a Cortex-M with Thumb-2, which rustc tells nobody on stable: its
//! copies and checksums are in `src/pbuf/thumb2.rs`.
use std::env;

/// ARMv7-M, ARMv7E-M, ARMv8-M with the main extension: words are read and written at any address.
/// ARMv6-M and the baseline of ARMv8-M can't.
const THUMB2: [&str; 3] = ["thumbv7m-", "thumbv7em-", "thumbv8m.main-"];

fn main() {
    println!("cargo:rustc-check-cfg=cfg(thumb2)");
    println!("cargo:rerun-if-changed=build.rs");
    let target = env::var("TARGET").unwrap_or_default();
    if THUMB2.iter().any(|prefix| target.starts_with(prefix)) {
        println!("cargo:rustc-cfg=thumb2");
    }
}
