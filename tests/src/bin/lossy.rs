//! Prints the goodput of a transfer on lossy paths beside what other stacks reach on them.
//!
//! ```text
//! lossy [--seeds 20] [--table a|lwip|netsim]...
//! ```
use gannet_core::Config;
use gannet_core::config::Use;
use gannet_tests::lossy::{Bench, Outcome};
use gannet_tests::matrix;

fn main() {
    let mut seeds = 20;
    let mut tables = Vec::new();
    let mut args = std::env::args().skip(1);
    while let Some(arg) = args.next() {
        match (arg.as_str(), args.next()) {
            ("--seeds", Some(n)) => seeds = n.parse().expect("a number of seeds"),
            ("--table", Some(name)) => tables.push(name),
            _ => {
                eprintln!("lossy [--seeds 20] [--table a|lwip|netsim]...");
                std::process::exit(2);
            }
        }
    }
    let wanted = |name: &str| tables.is_empty() || tables.iter().any(|table| table == name);
    let bench = Bench::default();
    println!("Medians of {seeds} seeds, virtual time.\n");
    if wanted("a") {
        path_a(&bench, seeds);
    }
    if wanted("lwip") {
        lwip(&bench, seeds);
    }
    if wanted("netsim") {
        netsim(&bench, seeds);
    }
}

fn algorithms() -> Vec<(&'static str, Config)> {
    use gannet_core::tcp::CongestionControl;
    let with = |name, algorithm| {
        let mut config = Config::default();
        config.tcp.congestion = algorithm;
        (name, config)
    };
    vec![
        with("NewReno", CongestionControl::NewReno),
        with("CUBIC", CongestionControl::Cubic),
        with("BBR", CongestionControl::Bbr),
    ]
}

fn megabytes(outcome: Outcome) -> f64 {
    outcome.goodput / 1e6
}

fn megabits(outcome: Outcome) -> f64 {
    outcome.goodput * 8.0 / 1e6
}

fn path_a(bench: &Bench, seeds: u64) {
    println!("## Path A: 64 KiB window, RTT 5 ms, loss on data and acknowledgements\n");
    println!("| MB/s | loss | no rate limit | timeouts | 100 Mbit/s | timeouts |");
    println!("|---|---|---|---|---|---|");
    for (name, config) in algorithms() {
        for loss in matrix::PATH_A_LOSS {
            let open = bench.median(&matrix::path_a(loss), &config, seeds);
            let limited = bench.median(&matrix::path_a_limited(loss), &config, seeds);
            println!(
                "| {name} | {loss} % | {:.2} | {} | {:.2} | {} |",
                megabytes(open),
                open.timeouts,
                megabytes(limited),
                limited.timeouts
            );
        }
    }
    println!("\nlwIP 2.2.1 at 1 %: 1.52 and 1.57 MB/s; smoltcp 0.14 with CUBIC: 0.18 and 0.96.\n");
}

fn lwip(bench: &Bench, seeds: u64) {
    // lwIP was measured without timestamps, which are 12 bytes in each segment.
    let mut algorithms = algorithms();
    for (_, config) in &mut algorithms {
        config.tcp.timestamps = Use::Off;
    }
    println!("## 100 Mbit/s, drop-tail queue of 100 frames\n");
    println!(
        "Without timestamps, as lwIP. Mbit/s, in brackets lwIP 2.2.1; silence: the longest at 1 % in ms.\n"
    );
    println!("| | window | RTT | 0 % | 0.1 % | 1 % | 3 % | silence 0 % | silence 1 % |");
    println!("|---|---|---|---|---|---|---|---|---|");
    for (name, config) in algorithms {
        for (window, rows) in matrix::LWIP {
            for (rtt, (theirs, stall)) in matrix::LWIP_RTT_MS.into_iter().zip(rows) {
                print!("| {name} | {window} | {rtt} ms |");
                let mut silences = Vec::new();
                for (loss, theirs) in matrix::LWIP_LOSS.into_iter().zip(theirs) {
                    let path = matrix::lwip_path(window, rtt, loss);
                    let ours = bench.median(&path, &config, seeds);
                    print!(" {:.2} ({theirs}) |", megabits(ours));
                    silences.push(ours.silence_ms);
                }
                println!(" {} | {} ({stall}) |", silences[0], silences[2]);
            }
        }
    }
    println!();
}

fn netsim(bench: &Bench, seeds: u64) {
    println!("## netsim: RTT 100 ms, no rate limit, loss both ways, 10 MiB\n");
    println!("Goodput in bytes/s; smoltcp 0.14 with CUBIC and without congestion control.\n");
    print!("| | window |");
    for loss in matrix::NETSIM_LOSS {
        print!(" {loss} % |");
    }
    println!("\n|---|---|---|---|---|---|---|---|---|");
    let print_theirs = |name: &str, rows: [(u32, [u32; 7]); 2]| {
        for (window, row) in rows {
            print!("| {name} | {window} |");
            row.iter().for_each(|goodput| print!(" {goodput} |"));
            println!();
        }
    };
    print_theirs("smoltcp CUBIC", matrix::NETSIM_CUBIC);
    print_theirs("smoltcp none", matrix::NETSIM_NONE);
    for (name, config) in algorithms() {
        for (window, _) in matrix::NETSIM_CUBIC {
            print!("| {name} | {window} |");
            for loss in matrix::NETSIM_LOSS {
                let path = matrix::netsim_path(window, loss);
                print!(" {:.0} |", bench.median(&path, &config, seeds).goodput);
            }
            println!();
        }
    }
    println!();
}
