//! Copies: how often gannet touches each byte of payload, by what its core counts (feature `tally`).
use std::process::ExitCode;

use crate::Options;

/// Says that this build does not count.
#[cfg(not(feature = "tally"))]
pub fn run(_: &Options) -> ExitCode {
    eprintln!("this build does not count: cargo run --features tally -- copies");
    ExitCode::FAILURE
}

/// Counts and prints the table; fails if data that is sent and read in place is copied by anybody
/// but the driver, or anything is summed more than once by each host.
#[cfg(feature = "tally")]
pub fn run(options: &Options) -> ExitCode {
    use crate::cell::{Api, Checksums, Work};

    println!(
        "bytes copied and bytes summed for each byte of payload, both hosts; headers count too\n"
    );
    println!(
        "{:24} {:>8} {:>8} {:>8}",
        "cell", "driver", "stack", "summed"
    );
    let mut worse = false;
    for cell in options.cells() {
        let payload = cell.work.payload();
        if payload == 0 {
            continue;
        }
        let mut bench = match crate::gannet::make(cell) {
            Ok(bench) => bench,
            Err(why) => {
                println!("{:24} left out: {why}", cell.name);
                continue;
            }
        };
        bench.run(cell.warm_up());
        let (copied, summed) = gannet_core::tally();
        let octets = bench.octets();
        bench.run(cell.counted());
        let by_driver = bench.octets() - octets;
        let (copied_later, summed_later) = gannet_core::tally();
        let per_byte = |bytes: usize| bytes as f64 / (payload * cell.counted()) as f64;
        let driver = per_byte(by_driver as usize);
        let stack = per_byte(copied_later.wrapping_sub(copied)) - driver;
        let sums = per_byte(summed_later.wrapping_sub(summed));
        println!("{:24} {driver:>8.2} {stack:>8.2} {sums:>8.2}", cell.name);
        let in_place = matches!(
            cell.work,
            Work::Bulk {
                api: Api::ZeroCopy,
                ..
            }
        );
        let bulk = matches!(cell.work, Work::Bulk { .. });
        let passes = match cell.checksums {
            Checksums::Software => 2.2, // one by each host, and the headers
            Checksums::Off => 0.0,
        };
        worse |= in_place && stack > 0.0 || bulk && sums > passes;
    }
    match worse {
        true => ExitCode::FAILURE,
        false => ExitCode::SUCCESS,
    }
}
