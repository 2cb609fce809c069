//! gannet beside its rivals. See README.md.
extern crate alloc;

mod cell;
mod clock;
mod contender;
mod copies;
mod gannet;
mod instructions;
mod lwip;
mod memory;
mod profile;
mod smol;
mod speed;
mod tap;

use std::process::ExitCode;

const USAGE: &str = "\
usage: gannet-compare [speed | instructions | copies | tap] [options]
  speed           medians of interleaved runs, as ratios (the default)
  instructions    instructions of a unit, counted by valgrind, and the functions they are in
  copies          how often gannet copies and sums a byte (of builds with the feature tally)
  tap             over TAP against the kernel, as ratios; takes CAP_NET_ADMIN or user namespaces
options:
  --cell TEXT     only cells whose name contains TEXT; may be repeated
  --stack TEXT    only stacks whose name contains TEXT; may be repeated
  --turns N       speed, tap: turns of each stack (15)
  --top N         instructions: functions and source files to list (0)
  --record        instructions: write recorded.json
  --check         instructions: compare gannet with recorded.json, fail above 3 % more
";

/// What the command line says.
#[derive(Debug, Default)]
struct Options {
    command: String,
    cells: Vec<String>,
    stacks: Vec<String>,
    turns: usize,
    top: usize,
    record: bool,
    check: bool,
}

fn options() -> Option<Options> {
    let mut options = Options {
        command: "speed".into(),
        turns: 15,
        ..Options::default()
    };
    let mut args = std::env::args().skip(1);
    while let Some(arg) = args.next() {
        match arg.as_str() {
            "speed" | "tap" | "copies" | "instructions" | instructions::CHILD | tap::CHILD => {
                options.command = arg;
            }
            "--cell" => options.cells.push(args.next()?),
            "--stack" => options.stacks.push(args.next()?),
            "--turns" => options.turns = args.next()?.parse().ok()?,
            "--top" => options.top = args.next()?.parse().ok()?,
            "--record" => options.record = true,
            "--check" => options.check = true,
            _ => return None,
        }
    }
    Some(options)
}

impl Options {
    fn cells(&self) -> Vec<&'static cell::Cell> {
        let all = cell::CELLS.iter();
        all.filter(|cell| chosen(&self.cells, cell.name)).collect()
    }

    fn contenders(&self) -> Vec<&'static contender::Contender> {
        let all = contender::CONTENDERS.iter();
        all.filter(|stack| chosen(&self.stacks, stack.name))
            .collect()
    }
}

fn chosen(filters: &[String], name: &str) -> bool {
    filters.is_empty() || filters.iter().any(|text| name.contains(text))
}

fn main() -> ExitCode {
    let Some(options) = options() else {
        eprint!("{USAGE}");
        return ExitCode::FAILURE;
    };
    match options.command.as_str() {
        "instructions" => instructions::run(&options),
        instructions::CHILD => instructions::child(&options),
        "copies" => copies::run(&options),
        "tap" => tap::run(&options),
        tap::CHILD => tap::child(&options),
        _ => speed::run(&options),
    }
}
