//! The log backend: lines on standard error, written with interrupts masked.
use std::eprintln;

use log::{LevelFilter, Log, Metadata, Record};

use super::masked;
use crate::clock;

/// Makes this the logger, if the program has no other.
pub(super) fn install() {
    let level = std::env::var("GANNET_LOG")
        .ok()
        .and_then(|level| level.parse().ok())
        .unwrap_or(LevelFilter::Warn);
    if log::set_logger(&Stderr).is_ok() {
        log::set_max_level(level);
    }
}

struct Stderr;

impl Log for Stderr {
    fn enabled(&self, _: &Metadata<'_>) -> bool {
        true // `log` compares with the maximum level itself
    }

    fn log(&self, record: &Record<'_>) {
        let (level, target, args) = (record.level(), record.target(), record.args());
        masked(|| eprintln!("{:?} {level:5} {target}: {args}", clock::now()));
    }

    fn flush(&self) {}
}
