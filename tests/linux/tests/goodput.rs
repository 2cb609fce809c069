//! A short version of what `against_linux` measures: one cell of the table each way, and the
//! bottleneck shared with Linux. In real time on whatever machine this is: only ratios, with
//! generous margins. Skips where network namespaces cannot be made.
use std::time::Duration;

use gannet_tests_linux::bulk::{self, Ends, Path};
use gannet_tests_linux::fair::{self, First};
use gannet_tests_linux::linux::{Linux, cubic_or_reno};
use gannet_tests_linux::pipe::Faults;
use gannet_tests_linux::skip;

fn is_possible() -> bool {
    match Linux::new(2) {
        Ok(_) => true,
        Err(why) => {
            skip(&why);
            false
        }
    }
}

fn median(ends: Ends, path: Path<'_>) -> f64 {
    let mut rates = [1, 2, 3].map(|seed| bulk::run(ends, path, seed).unwrap().goodput);
    rates.sort_by(f64::total_cmp);
    rates[1]
}

// One test: transfers at the same time would measure each other.
#[test]
fn gannet_keeps_up_with_linux_and_shares_with_it() {
    if !is_possible() {
        return;
    }
    let congestion = cubic_or_reno();
    for loss in [0.0, 0.01] {
        let path = Path {
            faults: Faults {
                loss,
                delay: Duration::from_millis(5),
                rate: Some(20_000_000),
                queue: 64,
                ..Faults::default()
            },
            window: 256 * 1024,
            span: Duration::from_secs(1),
            congestion,
            capture: None,
        };
        let linux = median(Ends::Linux, path);
        for ends in [Ends::GannetSends, Ends::GannetReceives] {
            let gannet = median(ends, path);
            assert!(
                gannet > 0.5 * linux,
                "{ends:?} at {loss}: {gannet:.0} bytes/s, Linux to Linux {linux:.0}"
            );
        }
    }
    let [gannet, linux] = fair::run(
        First::Gannet,
        fair::bottleneck(Duration::ZERO),
        Duration::from_secs(5),
        Duration::ZERO,
        congestion,
        1,
    )
    .unwrap();
    let share = gannet / (gannet + linux);
    assert!((0.2..0.8).contains(&share), "gannet's share is {share:.2}");
}
