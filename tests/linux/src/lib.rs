//! gannet with the Linux kernel as its peer, in real time: what two virtual clocks and a link in
//! memory cannot tell.
//!
//! ```text
//!  gannet (Station) ── socket pair ─┐
//!  Linux  (Linux)   ── TAP device ──┤ Middle: loss, delay, order, rate, queue ├── TAP ── Linux
//! ```
//!
//! Each Linux is a network namespace made for the purpose; nothing of the machine's own network is
//! touched. The middle is the same thread with the same code whatever is at its ends, so Linux to
//! Linux over it says what the path permits.
pub mod bulk;
pub mod fair;
mod gannet_ends;
pub mod linux;
mod linux_app;
mod linux_ends;
mod middle;
pub mod pipe;
pub mod rig;
pub mod seeded;
pub mod station;
mod stream;
mod too_big;

use std::io::Write;

pub use middle::{Counters, Middle, Port, Side};

/// Says that a test does not run, past the test harness, which keeps back what a test prints that
/// does not fail.
pub fn skip(why: &str) {
    // Without a standard error there is nobody to tell.
    let _ = writeln!(std::io::stderr(), "skipped: {why}");
}
