//! What a machine that is busy with other things cannot blur: the system calls of a unit and, of the
//! instructions, those outside of the kernel. The program does each job once more, under strace and
//! under valgrind.
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::profile::Profile;

use super::{Job, Runner, Took};

/// The command of the process that is watched.
pub const CHILD: &str = "--tap-once";

/// What callgrind counts, by its name.
#[unsafe(no_mangle)]
#[inline(never)]
pub(super) fn gannet_compare_tap_counted(runner: &mut Runner, job: Job) -> Took {
    runner.time(job)
}

/// Of one job, done by one stack.
pub(super) struct Counts {
    /// System calls by name, most first; only those there are many of.
    pub(super) calls: Vec<(String, u64)>,
    /// Instructions of the stack and what drives it, without the kernel's.
    pub(super) instructions: u64,
}

/// Counts them.
///
/// # Errors
/// One sentence: a tool is missing, or has not done it.
pub(super) fn count(cell: &str, stack: &str) -> Result<Counts, String> {
    let out = std::env::temp_dir().join(format!("gannet-tap-{}", std::process::id()));
    let result = calls(&out, cell, stack).and_then(|calls| {
        Ok(Counts {
            calls,
            instructions: instructions(&out, cell, stack)?,
        })
    });
    // Left behind if it cannot be removed: harmless.
    let _ = std::fs::remove_file(&out);
    result
}

/// Of the thread that drives the stack: the kernel's servers have others, which are not followed.
fn calls(out: &Path, cell: &str, stack: &str) -> Result<Vec<(String, u64)>, String> {
    let mut strace = Command::new("strace");
    strace.arg("-c").arg("-o").arg(out);
    let text = watched("strace", strace, out, cell, stack)?;
    let mut calls: Vec<_> = text.lines().filter_map(call_of).collect();
    calls.sort_by_key(|(_, n)| std::cmp::Reverse(*n));
    Ok(calls)
}

/// A line of strace's table: per cent, seconds, microseconds a call, calls, errors if any, name.
fn call_of(line: &str) -> Option<(String, u64)> {
    let words: Vec<_> = line.split_whitespace().collect();
    let calls = words.get(3)?.parse().ok()?;
    let name = *words.last()?;
    // Not those of the start, and not the sum.
    (calls >= 1_000 && name != "total").then(|| (name.into(), calls))
}

fn instructions(out: &Path, cell: &str, stack: &str) -> Result<u64, String> {
    let mut valgrind = Command::new("valgrind");
    valgrind
        .args(["--tool=callgrind", "--quiet", "--collect-atstart=no"])
        .arg("--toggle-collect=gannet_compare_tap_counted")
        .arg(format!("--callgrind-out-file={}", out.display()))
        .env("GLIBC_TUNABLES", crate::instructions::COPYING);
    let text = watched("valgrind", valgrind, out, cell, stack)?;
    Ok(Profile::parse(&text).total)
}

/// Has `tool` watch the job. Returns what it has written.
fn watched(
    name: &str,
    mut tool: Command,
    out: &Path,
    cell: &str,
    stack: &str,
) -> Result<String, String> {
    let me: PathBuf = std::env::current_exe().map_err(|error| error.to_string())?;
    let status = tool
        .arg(me)
        .args([CHILD, "--cell", cell, "--stack", stack])
        .stdout(Stdio::null())
        .status()
        .map_err(|error| format!("{name}: {error}"))?;
    if !status.success() {
        return Err(format!("{name}: {status}"));
    }
    std::fs::read_to_string(out).map_err(|error| format!("what {name} has written: {error}"))
}
