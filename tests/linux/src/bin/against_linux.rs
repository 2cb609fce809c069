//! Prints gannet's goodput against the Linux kernel beside that of Linux to Linux on the same
//! path, and how they share a bottleneck. In real time, in network namespaces of its own.
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use clap::{Parser, Subcommand, ValueEnum};
use gannet_core::tcp::CongestionControl;
use gannet_port_freertos::device::namespace;
use gannet_tests_linux::bulk::{self, Ends, Path};
use gannet_tests_linux::fair::{self, First};
use gannet_tests_linux::linux::cubic_or_reno;
use gannet_tests_linux::pipe::Faults;

/// gannet against the Linux kernel over TAP devices, with an impaired path in between.
///
/// Needs CAP_NET_ADMIN and CAP_SYS_ADMIN, or the right to make user namespaces, and read and write
/// permission on /dev/net/tun.
#[derive(Parser)]
#[command(name = "against_linux")]
struct Options {
    #[command(subcommand)]
    what: What,
    /// Bits per second of the path.
    #[arg(long, default_value_t = 50_000_000, global = true)]
    rate: u64,
    /// Frames its queue holds.
    #[arg(long, default_value_t = 100, global = true)]
    queue: usize,
    /// Receive window and send buffer in bytes.
    #[arg(long, default_value_t = 512 * 1024, global = true)]
    window: u32,
    /// Length of each transfer in seconds.
    #[arg(long, default_value_t = 3.0, global = true)]
    seconds: f64,
    /// Transfers of each kind.
    #[arg(long, default_value_t = 5, global = true)]
    seeds: u64,
    /// Congestion control of either side.
    #[arg(long, value_enum, default_value_t = Congestion::Cubic, global = true)]
    congestion: Congestion,
}

#[derive(Subcommand)]
enum What {
    /// Loss 0, 1, 3 %, delay 0, 5, 25 ms each way, with and without reordering.
    Matrix {
        /// Only cells whose name contains this.
        #[arg(long, default_value = "")]
        only: String,
    },
    /// Two flows over 10 Mbit/s with a queue of 16 frames: gannet's and Linux's.
    Fair,
    /// One transfer.
    One {
        #[arg(long, value_enum)]
        ends: Direction,
        /// Probability from 0 to 1.
        #[arg(long, default_value_t = 0.0)]
        loss: f64,
        /// Milliseconds each way.
        #[arg(long, default_value_t = 0.0)]
        delay: f64,
        /// Probability from 0 to 1 that others overtake a frame.
        #[arg(long, default_value_t = 0.0)]
        reorder: f64,
        #[arg(long, default_value_t = 1)]
        seed: u64,
        /// Writes all frames to this file, in pcap format.
        #[arg(long)]
        capture: Option<PathBuf>,
    },
}

#[derive(Clone, Copy, ValueEnum)]
enum Congestion {
    Cubic,
    Reno,
}

#[derive(Clone, Copy, ValueEnum)]
enum Direction {
    Sends,
    Receives,
    Linux,
}

/// How likely a frame is to be overtaken where frames are.
const REORDER: f64 = 0.02;

fn main() -> ExitCode {
    let options = Options::parse();
    // For the whole process: where there is no privilege, a user namespace gives it.
    let outcome = namespace::enter()
        .map_err(|error| error.to_string())
        .and_then(|()| match &options.what {
            What::Matrix { only } => options.matrix(only),
            What::Fair => options.fair(),
            What::One { .. } => options.one(),
        });
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

impl Options {
    fn path(&self, loss: f64, delay: Duration, reorder: f64) -> Path<'_> {
        Path {
            faults: Faults {
                loss,
                reorder,
                delay,
                rate: Some(self.rate),
                queue: self.queue,
                ..Faults::default()
            },
            window: self.window,
            span: Duration::from_secs_f64(self.seconds),
            congestion: match self.congestion {
                Congestion::Cubic => cubic_or_reno(),
                Congestion::Reno => CongestionControl::NewReno,
            },
            capture: None,
        }
    }

    fn matrix(&self, only: &str) -> Result<(), String> {
        println!(
            "Medians of {} transfers of {} s; Mbit/s; {} Mbit/s, queue of {} frames, windows of {} KiB.",
            self.seeds,
            self.seconds,
            self.rate / 1_000_000,
            self.queue,
            self.window / 1024,
        );
        println!();
        println!(
            "| loss | delay | overtaken | Linux to Linux | gannet sends | ratio | gannet receives | ratio |"
        );
        println!("|---|---|---|---|---|---|---|---|");
        for reorder in [0.0, REORDER] {
            for loss in [0.0, 0.01, 0.03] {
                for delay in [0, 5, 25] {
                    let name = format!(
                        "| {} % | {delay} ms | {} % |",
                        loss * 100.0,
                        reorder * 100.0
                    );
                    if !name.contains(only) {
                        continue;
                    }
                    let path = self.path(loss, Duration::from_millis(delay), reorder);
                    let [linux, sends, receives] = self.medians(path)?;
                    println!(
                        "{name} {linux:.2} | {sends:.2} | {:.2} | {receives:.2} | {:.2} |",
                        sends / linux,
                        receives / linux,
                    );
                }
            }
        }
        Ok(())
    }

    /// Mbit/s of Linux, and of gannet as sender and receiver; taken in turn, so that what else the
    /// machine does concerns all of them.
    fn medians(&self, path: Path<'_>) -> Result<[f64; 3], String> {
        let mut rates = [const { Vec::new() }; 3];
        for seed in 1..=self.seeds.max(1) {
            let all = [Ends::Linux, Ends::GannetSends, Ends::GannetReceives];
            for (rates, ends) in rates.iter_mut().zip(all) {
                rates.push(bulk::run(ends, path, seed)?.goodput * 8.0 / 1e6);
            }
        }
        Ok(rates.map(|mut rates| {
            rates.sort_by(f64::total_cmp);
            rates.get(rates.len() / 2).copied().unwrap_or_default()
        }))
    }

    fn fair(&self) -> Result<(), String> {
        let congestion = self.path(0.0, Duration::ZERO, 0.0).congestion;
        println!(
            "Mbit/s of two {congestion:?} flows over 10 Mbit/s with a queue of 16 frames, and the share of the first."
        );
        println!();
        println!(
            "| delay | first flow | head start of the second | seed | first | second | share |"
        );
        println!("|---|---|---|---|---|---|---|");
        for delay in [0, 10] {
            for (first, name) in [(First::Gannet, "gannet"), (First::Linux, "Linux")] {
                for head_start in [0, 2] {
                    for seed in 1..=self.seeds {
                        let [a, b] = fair::run(
                            first,
                            fair::bottleneck(Duration::from_millis(delay)),
                            Duration::from_secs_f64(self.seconds),
                            Duration::from_secs(head_start),
                            congestion,
                            seed,
                        )?
                        .map(|rate| rate * 8.0 / 1e6);
                        println!(
                            "| {delay} ms | {name} | {head_start} s | {seed} | {a:.2} | {b:.2} | {:.2} |",
                            a / (a + b)
                        );
                    }
                }
            }
        }
        Ok(())
    }

    fn one(&self) -> Result<(), String> {
        let What::One {
            ends,
            loss,
            delay,
            reorder,
            seed,
            capture,
        } = &self.what
        else {
            return Ok(());
        };
        let ends = match ends {
            Direction::Sends => Ends::GannetSends,
            Direction::Receives => Ends::GannetReceives,
            Direction::Linux => Ends::Linux,
        };
        let path = Path {
            capture: capture.as_deref(),
            ..self.path(*loss, Duration::from_secs_f64(delay / 1e3), *reorder)
        };
        let outcome = bulk::run(ends, path, *seed)?;
        println!(
            "{:.2} Mbit/s, {} segments sent again, {} timeouts",
            outcome.goodput * 8.0 / 1e6,
            outcome.retransmitted,
            outcome.timeouts
        );
        Ok(())
    }
}
