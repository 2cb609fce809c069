//! A long run: clients of all kinds over a bad path, for minutes or days; then everything has to be
//! given back.
mod clients;

use core::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use core::time::Duration;
use std::env;
use std::fs;
use std::net::Ipv4Addr;
use std::thread;
use std::time::Instant;

use fastrand::Rng;
use serde_json::Value;

use crate::running::Running;
use clients::{ACTIVITIES, Client, PORTS};

/// Clients at a time.
const CLIENTS: u64 = 16;
/// Between two lines of progress.
const REPORT: Duration = Duration::from_secs(10);
/// How long the last connections may take to go: several timers of a minute.
const REST: Duration = Duration::from_secs(240);
/// Stack of a task on the simulator.
const TASK_STACK: u64 = 1 << 20;

/// What the run does.
#[derive(Clone, Copy, Debug)]
pub struct Soak {
    /// How long.
    pub duration: Duration,
    /// The clients' choices.
    pub seed: u64,
    /// This host as the board sees it.
    pub host: Ipv4Addr,
}

/// What an activity has come to.
#[derive(Debug, Default)]
struct Tally {
    done: AtomicU64,
    bytes: AtomicU64,
    failed: AtomicU64,
}

impl Soak {
    /// Runs clients against a board that this program serves when started with `args`.
    ///
    /// # Errors
    /// What went wrong, in sentences.
    pub fn run(self, args: &[&str]) -> Result<(), String> {
        let program = env::current_exe().map_err(|error| error.to_string())?;
        let board = Running::start(&program.to_string_lossy(), &PORTS, args);
        let client = Client {
            board: &board,
            host: self.host,
        };
        let stats = || {
            client
                .stats()
                .map_err(|error| format!("the board's counters: {error}"))
        };
        let before = stats()?;
        let tallies: [Tally; ACTIVITIES.len()] = Default::default();
        let over = AtomicBool::new(false);
        thread::scope(|scope| {
            for n in 0..CLIENTS {
                let (tallies, over) = (&tallies, &over);
                let mut random = Rng::with_seed(self.seed.wrapping_add(n));
                scope.spawn(move || {
                    while !over.load(Ordering::Relaxed) {
                        act(client, tallies, &mut random);
                    }
                });
            }
            self.report(&board, &tallies);
            over.store(true, Ordering::Relaxed);
        });
        println!("the clients have ended; waiting for the board's timers");
        let after = at_rest(&before, stats)?;
        summarize(&board, &tallies, &after);
        let failed: u64 = tallies.iter().map(|tally| get(&tally.failed)).sum();
        let idle = ACTIVITIES
            .iter()
            .zip(&tallies)
            .find(|(_, tally)| get(&tally.done) == 0);
        match (failed, idle) {
            (0, None) if board.stop().success() => Ok(()),
            (0, None) => Err("the board did not end in order".into()),
            (0, Some(((name, _), _))) => Err(format!("nobody got to {name:?}: too short a run")),
            _ => Err(format!("{failed} activities failed")),
        }
    }

    fn report(self, board: &Running, tallies: &[Tally]) {
        let start = Instant::now();
        while let Some(left) = self
            .duration
            .checked_sub(start.elapsed())
            .filter(|d| !d.is_zero())
        {
            thread::sleep(left.min(REPORT));
            println!(
                "{:>6} s: {}, {}",
                start.elapsed().as_secs(),
                total(tallies),
                memory(board)
            );
        }
    }
}

/// One activity at random, and its outcome.
fn act(client: Client<'_>, tallies: &[Tally], random: &mut Rng) {
    let pairs: Vec<_> = ACTIVITIES.iter().zip(tallies).collect();
    let Some(((name, activity), tally)) = random.choice(pairs) else {
        return;
    };
    match activity(client, random) {
        Ok(bytes) => {
            tally.done.fetch_add(1, Ordering::Relaxed);
            tally.bytes.fetch_add(bytes, Ordering::Relaxed);
        }
        Err(error) => {
            println!("failed: {name}: {error}");
            tally.failed.fetch_add(1, Ordering::Relaxed);
        }
    }
}

/// The board's counters when it has as many connections and as much memory as `before`.
fn at_rest(before: &Value, stats: impl Fn() -> Result<Value, String>) -> Result<Value, String> {
    let start = Instant::now();
    loop {
        let now = stats()?;
        let (tables, old) = (&now["connections"], &before["connections"]);
        let tables_rest = ["sockets", "tcp", "half_open"]
            .iter()
            .all(|table| tables[table] == old[table]);
        let pools_rest = ["rx", "tx", "headers"].iter().all(|pool| {
            let pool = &now["pools"][pool];
            pool["available"] == pool["blocks"]
                && pool["descriptors_available"] == pool["descriptors"]
        });
        if tables_rest && pools_rest {
            return Ok(now);
        }
        if start.elapsed() > REST {
            return Err(format!(
                "not at rest after {REST:?}: {tables}, {}",
                now["pools"]
            ));
        }
        thread::sleep(Duration::from_millis(200));
    }
}

fn summarize(board: &Running, tallies: &[Tally], stats: &Value) {
    for ((name, _), tally) in ACTIVITIES.iter().zip(tallies) {
        let (done, bytes, failed) = (get(&tally.done), get(&tally.bytes), get(&tally.failed));
        println!("{name:>16}: {done:>7} done, {failed} failed, {bytes:>12} bytes");
    }
    let tcp = &stats["tcp"];
    println!(
        "board: {} connections accepted, {} opened, {} segments received, {} sent again, {} out of \
         order, {} with a wrong checksum",
        tcp["passive_opens"],
        tcp["active_opens"],
        tcp["segments_received"],
        tcp["segments_retransmitted"],
        tcp["out_of_order"],
        tcp["checksum_errors"],
    );
    for pool in ["rx", "tx", "headers"] {
        let pool_stats = &stats["pools"][pool];
        println!(
            "pool {pool}: at least {} of {} were free",
            pool_stats["least_available"], pool_stats["blocks"]
        );
    }
    println!(
        "FreeRTOS's heap: at least {} bytes were free; {}",
        stats["heap"]["least_available"],
        memory(board)
    );
    println!("{}; nothing is held any more", total(tallies));
}

fn get(counter: &AtomicU64) -> u64 {
    counter.load(Ordering::Relaxed)
}

fn total(tallies: &[Tally]) -> String {
    let sum =
        |of: fn(&Tally) -> &AtomicU64| tallies.iter().map(|tally| get(of(tally))).sum::<u64>();
    format!(
        "{} activities, {} failed, {:.1} MB",
        sum(|t| &t.done),
        sum(|t| &t.failed),
        sum(|t| &t.bytes) as f64 / 1e6,
    )
}

/// What Linux knows of the board's process: its largest size, and the deepest stack of a task.
fn memory(board: &Running) -> String {
    let process = board.board();
    let status = fs::read_to_string(format!("/proc/{process}/status")).unwrap_or_default();
    let size = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let maps = fs::read_to_string(format!("/proc/{process}/smaps")).unwrap_or_default();
    format!(
        "the board's process had {} at most, {} kB of stack in a task",
        size.unwrap_or("?").trim(),
        deepest_stack(&maps),
    )
}

/// The most that was ever touched of a mapping of a task's stack, in kB.
fn deepest_stack(maps: &str) -> u64 {
    let mut is_stack = false;
    let mut deepest = 0;
    for line in maps.lines() {
        let mut words = line.split_whitespace();
        let (Some(name), value) = (
            words.next(),
            words.next().and_then(|v| v.parse::<u64>().ok()),
        ) else {
            continue;
        };
        match (name, value) {
            ("Size:", Some(kilobytes)) => is_stack = kilobytes * 1024 == TASK_STACK,
            ("Rss:", Some(kilobytes)) if is_stack => deepest = deepest.max(kilobytes),
            _ => {}
        }
    }
    deepest
}

#[cfg(test)]
mod tests {
    use super::deepest_stack;

    #[test]
    fn stacks_are_found_among_the_mappings() {
        let maps = "7f00-7f10 rw-p 0 0 0\nSize: 1024 kB\nRss: 20 kB\nVmFlags: rd wr\n\
                    7f20-7f30 rw-p 0 0 0\nSize: 1024 kB\nRss: 36 kB\n\
                    7f40-7f80 rw-p 0 0 0\nSize: 4096 kB\nRss: 400 kB\n";
        assert_eq!(deepest_stack(maps), 36);
    }
}
