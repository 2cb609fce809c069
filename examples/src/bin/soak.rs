//! Clients of all kinds against a board over a bad path, for as long as one likes.
use core::time::Duration;
use std::process::ExitCode;

use clap::Parser;
use gannet_examples::options::Network;
use gannet_examples::soak::Soak;
use gannet_examples::{Program, run, services};

gannet_port_freertos::host!();

/// Sixteen clients of all kinds against the services of a simulated board, over a path that loses,
/// repeats, reorders and damages frames, with a cable that is pulled out now and then.
///
/// Prints its progress and a verdict, and fails if data was wrong, a connection failed or hung, or
/// if something is still held when all have ended. Built with --features invariants the stack is
/// checked after each turn.
#[derive(Parser)]
#[command(name = "soak")]
struct Options {
    /// How long.
    #[arg(long, default_value_t = 10.0)]
    minutes: f64,

    /// Is the board and its host's side; for the program itself.
    #[arg(long, hide = true)]
    serve: bool,

    #[command(flatten)]
    network: Network,
}

/// The path, if the command line says nothing of it.
const FAULTS: [&str; 5] = [
    "--loss=1",
    "--duplicate=1",
    "--reorder=2",
    "--corrupt=0.5",
    "--flap=15",
];

fn main() -> ExitCode {
    let options = Options::parse();
    if options.serve {
        return run(
            options.network,
            Program {
                forwards: services::FORWARDS,
                raw: None,
                main: services::serve,
            },
        );
    }
    let seed = options.network.seed.unwrap_or_else(|| fastrand::u64(..));
    let checked = match cfg!(feature = "invariants") {
        true => "the stack is checked after each turn",
        false => "the stack is not checked (--features invariants)",
    };
    println!("{} minutes, seed {seed}; {checked}", options.minutes);
    let soak = Soak {
        duration: Duration::from_secs_f64(60.0 * options.minutes.max(0.0)),
        seed,
        host: options.network.gateway,
    };
    // The program serves with the same command line, and what is missing there.
    let mut args: Vec<String> = std::env::args().skip(1).collect();
    args.extend(["--serve".into(), format!("--seed={seed}")]);
    if options.network.seed.is_some() {
        args.pop();
    }
    if options.network.faults().is_none() && options.network.flap.is_none() {
        args.extend(FAULTS.map(String::from));
    }
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    match soak.run(&args) {
        Ok(()) => {
            println!("passed");
            ExitCode::SUCCESS
        }
        Err(error) => {
            println!("FAILED: {error}");
            ExitCode::FAILURE
        }
    }
}
