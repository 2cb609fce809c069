//! Running the example programs as a user would. Of other packages' tests too: names no program.
#![allow(dead_code, reason = "each test program uses a part")]

use std::fs;
use std::net::Ipv4Addr;
use std::process::{Command, ExitCode, ExitStatus, Stdio};
use std::time::{Duration, Instant};

#[allow(unused_imports, reason = "each test program uses a part")]
pub(crate) use gannet_examples::running::{LIMIT, Lines, Port, Running};
use libtest_mimic::{Arguments, Completion, Failed, Trial};

/// Runs a program to its end: status, standard output, standard error.
pub(crate) fn run(program: &str, args: &[&str]) -> (ExitStatus, Vec<u8>, String) {
    let output = Command::new(program)
        .args(args)
        .stdin(Stdio::null())
        .output();
    let output = output.expect("the program starts");
    let errors = String::from_utf8_lossy(&output.stderr).into_owned();
    (output.status, output.stdout, errors)
}

pub(crate) fn wait_until(what: &str, mut done: impl FnMut() -> bool) {
    let start = Instant::now();
    while !done() {
        assert!(start.elapsed() < LIMIT, "{what}: not within {LIMIT:?}");
        std::thread::sleep(Duration::from_millis(2));
    }
}

/// Whether a process is there, and not only because nobody has asked how it ended.
pub(crate) fn is_alive(process: u32) -> bool {
    let stat = fs::read_to_string(format!("/proc/{process}/stat")).unwrap_or_default();
    let state = stat
        .rsplit(')')
        .next()
        .and_then(|rest| rest.split_whitespace().next());
    !matches!(state, None | Some("Z" | "X"))
}

/// Whether the long tests run too (`GANNET_LONG=1`).
pub(crate) fn long() -> bool {
    std::env::var_os("GANNET_LONG").is_some_and(|value| value != "0")
}

/// Bytes of a transfer.
pub(crate) fn transfer() -> u64 {
    if long() { 100 << 20 } else { 8 << 20 }
}

/// What a test comes to.
pub(crate) type Outcome = Result<Completion, Failed>;

/// A test.
pub(crate) type Test = fn() -> Outcome;

pub(crate) const PASSED: Outcome = Ok(Completion::Completed);

/// A test that did not run, and why.
pub(crate) fn skipped(reason: &str) -> Outcome {
    println!("skipped: {reason}");
    Ok(Completion::ignored_with(format!("skipped: {reason}")))
}

/// Runs tests with a board each, no more of them at a time than a small machine bears.
pub(crate) fn run_tests(tests: Vec<(&'static str, Test)>) -> ExitCode {
    let trial = |(name, test)| Trial::ignorable_test(name, test);
    run_trials(tests.into_iter().map(trial).collect())
}

/// As above.
pub(crate) fn run_trials(trials: Vec<Trial>) -> ExitCode {
    let mut args = Arguments::from_args();
    args.test_threads = args.test_threads.or(Some(2));
    libtest_mimic::run(&args, trials).exit_code()
}

/// The names of functions and the functions.
#[macro_export]
macro_rules! tests {
    ($($test:ident),* $(,)?) => { vec![$((stringify!($test), $test as common::Test)),*] };
}

pub(crate) const BOARD: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 2);
pub(crate) const GATEWAY: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 1);
