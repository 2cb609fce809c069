//! Seeds of the generator against Linux: 4, or as many as `GANNET_LINUX_SEEDS` says, from
//! `GANNET_LINUX_FROM` on. Skips where network namespaces cannot be made.
use gannet_tests_linux::seeded::run;
use gannet_tests_linux::skip;

fn from_env(name: &str, default: u64) -> u64 {
    let value = std::env::var(name).ok();
    value
        .and_then(|value| value.parse().ok())
        .unwrap_or(default)
}

#[test]
fn no_seed_fails_against_linux() {
    let from = from_env("GANNET_LINUX_FROM", 0);
    let (mut failures, mut bytes) = (Vec::new(), 0);
    for seed in from..from + from_env("GANNET_LINUX_SEEDS", 4) {
        match run(seed) {
            Ok(Ok(outcome)) => {
                println!("seed {seed}: {outcome:?}");
                bytes += outcome.bytes;
            }
            Ok(Err(why)) => return skip(&why),
            Err(what) => failures.push(format!("seed {seed}: {what}")),
        }
    }
    assert!(failures.is_empty(), "{}", failures.join("\n"));
    assert!(bytes > 0, "something was carried");
}
