//! Exact figures: the program runs itself under callgrind, which counts the instructions of
//! warmed-up units and nothing else.
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};

use crate::Options;
use crate::cell::{Bench, Cell};
use crate::contender::Contender;
use crate::profile::Profile;

/// The command of the process under callgrind.
pub const CHILD: &str = "--counted";
/// The C library chooses its copying by the CPU; `rep movs` would count as one instruction.
pub const COPYING: &str = "glibc.cpu.x86_rep_movsb_threshold=1000000000";
/// More than recorded by so much fails a check.
const TOLERANCE_PERCENT: u64 = 3;

/// Figures by cell and stack.
type Figures = BTreeMap<String, BTreeMap<String, u64>>;

/// What callgrind counts, by its name.
#[unsafe(no_mangle)]
#[inline(never)]
fn gannet_compare_counted(bench: &mut dyn Bench, units: u64) {
    bench.run(units);
}

/// In the process under callgrind: one count for each pair there is.
pub fn child(options: &Options) -> ExitCode {
    for cell in options.cells() {
        for stack in options.contenders() {
            if let Ok(mut bench) = (stack.make)(cell) {
                bench.run(cell.warm_up());
                gannet_compare_counted(&mut *bench, cell.counted());
            }
        }
    }
    ExitCode::SUCCESS
}

/// Counts, prints, and records or checks.
pub fn run(options: &Options) -> ExitCode {
    let profiles = match count(options) {
        Ok(profiles) => profiles,
        Err(error) => {
            eprintln!("{error}");
            return ExitCode::FAILURE;
        }
    };
    println!("instructions of a unit, both hosts, the wire and acknowledgements included\n");
    let stacks = options.contenders();
    print!("{:<22}", "cell");
    for stack in &stacks {
        print!(" {:>9}", stack.name);
    }
    println!(" {:>7} {:>7}   frames each way per unit", "bar", "of bar");
    let mut figures = Figures::new();
    for cell in options.cells() {
        print_row(cell, &stacks, &profiles, &mut figures);
    }
    crate::speed::print_notes(options);
    if options.top > 0 {
        for (cell, stack, profile) in &profiles {
            print_top(cell, stack, profile, options.top);
        }
    }
    if options.record {
        return record(&figures);
    }
    if options.check {
        return check(&figures);
    }
    ExitCode::SUCCESS
}

type Profiles = Vec<(&'static Cell, &'static Contender, Profile)>;

fn count(options: &Options) -> Result<Profiles, String> {
    let dir = std::env::temp_dir().join(format!("gannet-compare-{}", std::process::id()));
    std::fs::create_dir_all(&dir).map_err(|error| error.to_string())?;
    let result = count_in(options, &dir);
    // Left behind if it cannot be removed: harmless.
    let _ = std::fs::remove_dir_all(&dir);
    result
}

fn count_in(options: &Options, dir: &Path) -> Result<Profiles, String> {
    let out = dir.join("out");
    let me = std::env::current_exe().map_err(|error| error.to_string())?;
    let mut command = Command::new("valgrind");
    command
        .args(["--tool=callgrind", "--quiet", "--collect-atstart=no"])
        .arg("--toggle-collect=gannet_compare_counted")
        .arg("--dump-after=gannet_compare_counted")
        .arg(format!("--callgrind-out-file={}", out.display()))
        .arg(me)
        .arg(CHILD)
        .env("GLIBC_TUNABLES", COPYING)
        .stdout(Stdio::null());
    for name in &options.cells {
        command.args(["--cell", name]);
    }
    for name in &options.stacks {
        command.args(["--stack", name]);
    }
    let status = command
        .status()
        .map_err(|error| format!("valgrind: {error}"))?;
    if !status.success() {
        return Err(format!("the program under valgrind: {status}"));
    }
    let mut profiles = Profiles::new();
    for cell in options.cells() {
        for stack in options.contenders() {
            if (stack.make)(cell).is_ok() {
                let part = PathBuf::from(format!("{}.{}", out.display(), profiles.len() + 1));
                let text = std::fs::read_to_string(&part)
                    .map_err(|error| format!("{}: {error}", part.display()))?;
                profiles.push((cell, stack, Profile::parse(&text)));
            }
        }
    }
    Ok(profiles)
}

fn print_row(
    cell: &Cell,
    stacks: &[&'static Contender],
    profiles: &Profiles,
    figures: &mut Figures,
) {
    print!("{:<22}", cell.name);
    let mut frames = String::new();
    let mut own = None;
    for stack in stacks {
        let found = profiles
            .iter()
            .find(|(at, of, _)| at.name == cell.name && of.name == stack.name);
        let Some((_, _, profile)) = found else {
            print!(" {:>9}", "-");
            continue;
        };
        let figure = profile.total / cell.counted();
        print!(" {figure:>9}");
        own.get_or_insert(figure);
        let row = figures.entry(cell.name.into()).or_default();
        row.insert(stack.name.into(), figure);
        frames += &format!("  {}", frames_of(cell, stack));
    }
    match (cell.bar, own) {
        (Some(bar), Some(own)) => print!(" {bar:>7} {:>7.2}", own as f64 / bar as f64),
        _ => print!(" {:>7} {:>7}", "", ""),
    }
    println!(" {frames}");
}

/// Frames of a unit each way, counted in a run of their own.
pub fn frames_of(cell: &Cell, stack: &Contender) -> String {
    let Ok(mut bench) = (stack.make)(cell) else {
        return "-".into();
    };
    bench.run(cell.warm_up());
    let before = bench.frames();
    bench.run(cell.counted());
    let after = bench.frames();
    let of = |side: usize| (after[side] - before[side]) as f64 / cell.counted() as f64;
    format!("{:.2}+{:.2}", of(0), of(1))
}

fn print_top(cell: &Cell, stack: &Contender, profile: &Profile, top: usize) {
    println!(
        "\n{} {}: functions, then source files, per {}",
        cell.name, stack.name, cell.work
    );
    for list in [&profile.functions, &profile.files] {
        for (name, cost) in list.iter().take(top) {
            let each = *cost as f64 / cell.counted() as f64;
            let percent = *cost as f64 * 100.0 / profile.total as f64;
            println!("  {each:>9.1} {percent:>5.1} %  {}", short(name));
        }
        println!();
    }
}

/// Without the hash behind it, and without the directories in front of a registry's sources.
fn short(name: &str) -> &str {
    let name = name
        .rsplit_once("/registry/src/")
        .map_or(name, |(_, file)| file);
    match name.rsplit_once("::h") {
        Some((path, hash)) if hash.len() == 16 => path,
        _ => name,
    }
}

fn recorded_path() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("recorded.json")
}

fn recorded() -> Result<Figures, String> {
    let text = std::fs::read_to_string(recorded_path()).map_err(|error| error.to_string())?;
    serde_json::from_str(&text).map_err(|error| error.to_string())
}

/// Replaces the figures of what was measured; those of other cells and stacks stay.
fn record(figures: &Figures) -> ExitCode {
    let mut all = recorded().unwrap_or_default();
    for (cell, row) in figures {
        all.entry(cell.clone()).or_default().extend(row.clone());
    }
    let text = serde_json::to_string_pretty(&all).expect("names and numbers");
    match std::fs::write(recorded_path(), text + "\n") {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("recorded.json: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Only gannet's: what the rivals need is for the table, and depends on what is installed.
fn check(figures: &Figures) -> ExitCode {
    let before = match recorded() {
        Ok(before) => before,
        Err(error) => {
            eprintln!("recorded.json: {error}");
            return ExitCode::FAILURE;
        }
    };
    let mut failed = false;
    println!("\nagainst recorded.json, tolerance {TOLERANCE_PERCENT} %");
    for (cell, row) in figures {
        let now = row.get("gannet");
        let then = before.get(cell).and_then(|row| row.get("gannet"));
        let (Some(now), Some(then)) = (now, then) else {
            println!("{cell:<22} not recorded");
            failed = true;
            continue;
        };
        let percent = (*now as f64 / *then as f64 - 1.0) * 100.0;
        let verdict = if *now * 100 > *then * (100 + TOLERANCE_PERCENT) {
            failed = true;
            "SLOWER"
        } else if *now * 100 < *then * (100 - TOLERANCE_PERCENT) {
            "faster: record it"
        } else {
            "as before"
        };
        println!("{cell:<22} {then:>8} -> {now:>8} ({percent:+.1} %) {verdict}");
    }
    if failed {
        ExitCode::FAILURE
    } else {
        ExitCode::SUCCESS
    }
}
