//! Seeds of the simulation: 200, and 100 against smoltcp, or as many as `GANNET_SIM_SEEDS` says, from `GANNET_SIM_FROM` on.
use gannet_tests::sim::{Plan, Report, run, run_many};

fn from_env(name: &str, default: u64) -> u64 {
    std::env::var(name)
        .ok()
        .and_then(|value| value.parse().ok())
        .unwrap_or(default)
}

/// The seeds that the environment asks for, else so many; what they came to.
fn run_all(plan: fn(u64) -> Plan, seeds: u64) -> Report {
    let from = from_env("GANNET_SIM_FROM", 0);
    let seeds = from..from + from_env("GANNET_SIM_SEEDS", seeds);
    let (mut failures, mut sum) = (Vec::new(), Report::default());
    run_many(plan, seeds, |_, result| match result {
        Ok(report) => sum.add(&report),
        Err(failure) => failures.push(failure.to_string()),
    });
    assert!(failures.is_empty(), "{}", failures.join("\n"));
    println!("{sum:?}");
    sum
}

#[test]
fn no_seed_fails() {
    let sum = run_all(Plan::new, 200);
    assert!(sum.complete > 0, "something was carried");
}

/// What smoltcp does wrong is told apart and counted (`gannet_tests::sim::ledger::Rival`); most of
/// what both do together succeeds.
#[test]
fn no_seed_fails_against_smoltcp() {
    let sum = run_all(Plan::against_smoltcp, 100);
    assert!(sum.complete > sum.connections / 2);
    let forgiven = sum.rival.silent + sum.rival.twins;
    assert!(forgiven < sum.connections / 100);
}

/// A failure can only be looked into if it happens again.
#[test]
fn a_seed_is_the_same_each_time() {
    for seed in [3, 14, 15, 92, 65] {
        let (first, second) = (run(Plan::new(seed), None), run(Plan::new(seed), None));
        assert_eq!(first.expect("a good seed"), second.expect("a good seed"));
    }
}
