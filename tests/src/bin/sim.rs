//! Runs seeds of the simulation: `sim [--seeds N] [--from S] [--against smoltcp] [--pcap FILE]
//! [--show]`.
//!
//! With `--pcap` the frames of the first seed are written; `--show` prints its scenario.
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Instant;

use gannet_tests::sim::{self, Plan, Report};

fn main() -> ExitCode {
    let (mut seeds, mut from, mut pcap, mut show) = (1_000, 0, None, false);
    let mut plan: fn(u64) -> Plan = Plan::new;
    let mut args = std::env::args().skip(1);
    while let Some(arg) = args.next() {
        let mut number = || args.next().and_then(|n| n.parse().ok());
        let known = match arg.as_str() {
            "--seeds" => number().map(|n| seeds = n).is_some(),
            "--from" => number().map(|n| from = n).is_some(),
            "--pcap" => {
                pcap = args.next().map(PathBuf::from);
                pcap.is_some()
            }
            "--against" => {
                plan = Plan::against_smoltcp;
                args.next().is_some_and(|rival| rival == "smoltcp")
            }
            "--show" => {
                show = true;
                true
            }
            _ => false,
        };
        if !known {
            eprintln!(
                "usage: sim [--seeds N] [--from S] [--against smoltcp] [--pcap FILE] [--show]"
            );
            return ExitCode::FAILURE;
        }
    }
    if show {
        println!("{:#?}", plan(from));
    }
    if let Some(path) = pcap {
        return match sim::run(plan(from), Some(&path)) {
            Ok(report) => {
                println!("seed {from}: {report:?}");
                ExitCode::SUCCESS
            }
            Err(failure) => {
                println!("{failure}");
                ExitCode::FAILURE
            }
        };
    }
    let start = Instant::now();
    let (mut sum, mut failures, mut done) = (Report::default(), 0u64, 0u64);
    sim::run_many(plan, from..from + seeds, |_, result| {
        done += 1;
        match result {
            Ok(report) => sum.add(&report),
            Err(failure) => {
                failures += 1;
                println!("{failure}");
            }
        }
        if done.is_multiple_of(10_000) {
            eprintln!("{done} seeds, {failures} failures, {:?}", start.elapsed());
        }
    });
    println!(
        "{seeds} seeds from {from}, {failures} failures, {:?}: {sum:?}",
        start.elapsed()
    );
    if failures == 0 {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}
