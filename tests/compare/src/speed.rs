//! Time: all stacks in one process, in turns and back again, so that what slows the machine slows
//! all of them. Only the ratios mean anything.
use std::process::ExitCode;
use std::time::{Duration, Instant};

use crate::Options;
use crate::cell::{Bench, Cell};
use crate::contender::Contender;

/// How long a stack works before the next has its turn.
const SLICE: Duration = Duration::from_millis(30);

/// A stack at work, and the nanoseconds a unit took in each of its turns.
struct Runner {
    stack: &'static Contender,
    bench: Box<dyn Bench>,
    units: u64,
    took: Vec<f64>,
}

impl Runner {
    fn new(cell: &Cell, stack: &'static Contender) -> Option<Self> {
        let mut bench = (stack.make)(cell).ok()?;
        bench.run(cell.warm_up());
        let mut runner = Self {
            stack,
            bench,
            units: cell.counted(),
            took: Vec::new(),
        };
        let each = runner.time();
        let units = SLICE.as_nanos() as f64 / each;
        runner.units = (units as u64).max(1);
        Some(runner)
    }

    fn time(&mut self) -> f64 {
        let start = Instant::now();
        self.bench.run(self.units);
        start.elapsed().as_nanos() as f64 / self.units as f64
    }

    fn turn(&mut self) {
        let took = self.time();
        self.took.push(took);
    }
}

/// Measures and prints the table.
pub fn run(options: &Options) -> ExitCode {
    println!("nanoseconds of a unit (median) and how many times as fast as each rival gannet is");
    println!("(median of the turns' ratios, and the least and the greatest of them)\n");
    for cell in options.cells() {
        let stacks = options.contenders();
        let mut runners: Vec<_> = stacks
            .iter()
            .filter_map(|stack| Runner::new(cell, stack))
            .collect();
        for turn in 0..options.turns {
            // A B C, then C B A.
            if turn % 2 == 0 {
                runners.iter_mut().for_each(Runner::turn);
            } else {
                runners.iter_mut().rev().for_each(Runner::turn);
            }
        }
        print_row(cell, &runners);
    }
    print_notes(options);
    ExitCode::SUCCESS
}

fn print_row(cell: &Cell, runners: &[Runner]) {
    print!("{:<22}", cell.name);
    for (n, runner) in runners.iter().enumerate() {
        print!("  {} {:.0}", runner.stack.name, median(&runner.took));
        if n > 0 {
            let pairs = runner.took.iter().zip(&runners[0].took);
            let ratios: Vec<f64> = pairs.map(|(rival, own)| rival / own).collect();
            let least = ratios.iter().copied().fold(f64::INFINITY, f64::min);
            let greatest = ratios.iter().copied().fold(0.0, f64::max);
            print!(" = {:.2}x ({least:.2}-{greatest:.2})", median(&ratios));
        }
    }
    println!();
}

/// The one in the middle.
pub fn median(figures: &[f64]) -> f64 {
    let mut sorted = figures.to_vec();
    sorted.sort_by(f64::total_cmp);
    sorted.get(sorted.len() / 2).copied().unwrap_or(f64::NAN)
}

/// What took part, and what was left out and why.
pub fn print_notes(options: &Options) {
    println!("\nIn memory, one thread, virtual time, Ethernet + ARP + IPv4, MTU 1500.");
    for stack in options.contenders() {
        println!("{}: {}", stack.name, stack.about);
    }
    println!("\nleft out:");
    let mut reasons: Vec<(String, Vec<&str>)> = Vec::new();
    for stack in options.contenders() {
        for cell in options.cells() {
            let Err(reason) = (stack.make)(cell) else {
                continue;
            };
            let reason = format!("{}: {reason}", stack.name);
            match reasons.iter_mut().find(|(known, _)| *known == reason) {
                Some((_, cells)) => cells.push(cell.name),
                None => reasons.push((reason, vec![cell.name])),
            }
        }
    }
    for (reason, cells) in reasons {
        println!("  {reason} ({})", cells.join(", "));
    }
    println!("  netconn and sockets: not in one thread; TAP against the kernel: see `tap`");
}
