//! Deterministic simulation: a seed is a scenario (hosts, network, applications, faults), and
//! after every step of it the stacks' invariants hold, what is delivered is what was sent, and at
//! the end everything has ended and every buffer is back.
//!
//! `cargo run --release -p gannet-tests --bin sim -- --from SEED` runs one again.
pub mod app;
pub mod capture;
pub mod dialogue;
pub mod echo;
pub mod forge;
pub mod generate;
pub mod host;
pub mod ledger;
pub mod net;
pub mod node;
pub mod noise;
pub mod plan;
pub mod pools;
pub mod smol;
pub mod world;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;

pub use plan::{Plan, StackKind};
pub use world::Report;
use world::World;

/// A run that went wrong.
#[derive(Clone, Debug)]
pub struct Failure {
    /// The seed.
    pub seed: u64,
    /// Whose stack some hosts have.
    pub rival: Option<StackKind>,
    /// What must not be.
    pub what: String,
}

impl std::fmt::Display for Failure {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { seed, rival, what } = self;
        let against = rival.map_or("", |_| "--against smoltcp ");
        writeln!(f, "seed {seed}: {what}")?;
        write!(
            f,
            "again: cargo run --release -p gannet-tests --bin sim -- {against}--from {seed} --seeds 1 --pcap {seed}.pcapng"
        )
    }
}

/// Runs a scenario; writes its frames to `pcap`.
///
/// # Errors
/// Something happened that must not be.
pub fn run(plan: Plan, pcap: Option<&Path>) -> Result<Report, Failure> {
    let seed = plan.seed;
    let mut stacks = plan.hosts.iter().map(|host| host.stack);
    let rival = stacks.find(|stack| *stack != StackKind::Gannet);
    let mut world = World::new(plan, pcap.is_some());
    let outcome = catch_unwind(AssertUnwindSafe(|| world.run()));
    let result = match outcome {
        Ok(result) => result,
        Err(panic) => {
            let what = panic
                .downcast_ref::<String>()
                .cloned()
                .or_else(|| panic.downcast_ref::<&str>().map(ToString::to_string));
            Err(format!("panic: {}", what.unwrap_or_default()))
        }
    };
    if let Some(path) = pcap {
        let captured = world.captured();
        capture::write(path, &captured).expect("the capture can be written");
    }
    match result {
        Ok(report) => {
            world.put_away();
            Ok(report)
        }
        Err(what) => {
            // Whatever state it is in, nobody uses it again.
            std::mem::forget(world);
            Err(Failure { seed, rival, what })
        }
    }
}

/// Runs the scenarios that `plan` makes of `seeds` on all processors; `seen` gets each result as it
/// comes, in any order.
pub fn run_many(
    plan: fn(u64) -> Plan,
    seeds: std::ops::Range<u64>,
    mut seen: impl FnMut(u64, Result<Report, Failure>),
) {
    use std::sync::atomic::{AtomicU64, Ordering};
    let next = AtomicU64::new(seeds.start);
    let workers = std::thread::available_parallelism().map_or(1, usize::from);
    let (send, receive) = std::sync::mpsc::channel();
    std::thread::scope(|scope| {
        for _ in 0..workers {
            let (next, send, end) = (&next, send.clone(), seeds.end);
            scope.spawn(move || {
                loop {
                    let seed = next.fetch_add(1, Ordering::Relaxed);
                    if seed >= end || send.send((seed, run(plan(seed), None))).is_err() {
                        return;
                    }
                }
            });
        }
        drop(send);
        for (seed, result) in receive {
            seen(seed, result);
        }
    });
}
