//! Over a TAP device with the kernel as the peer: real frames, real time, the raw API in one thread
//! that waits in poll(2). All ends in turns and back again; only the ratios mean anything.
//!
//! All threads are on one processor: the kernel's share of the work is the same from turn to turn
//! then. With two, it depends on the moment which of them does it.
mod counts;
mod end_gannet;
mod end_smol;
mod kernel;

use std::net::SocketAddr;
use std::os::fd::BorrowedFd;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use gannet_tests_linux::linux::Offloads;
use rustix::event::{PollFd, PollFlags, poll};
use rustix::io::Errno;
use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};

use crate::Options;
use crate::speed::median;
use kernel::Kernel;

pub use counts::CHILD;

/// What an end does over one connection to the kernel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Job {
    /// Sends so many bytes.
    Send(u64),
    /// Receives so many bytes.
    Receive(u64),
    /// So many round trips of so many bytes.
    RoundTrips(u64, usize),
}

impl Job {
    /// What system calls and instructions are counted by.
    fn units_counted(self) -> (f64, &'static str) {
        match self {
            Self::Send(bytes) | Self::Receive(bytes) => (bytes as f64 / 1_460.0, "1,460 bytes"),
            Self::RoundTrips(n, _) => (n as f64, "round trip"),
        }
    }

    /// What rates are of.
    fn units(self) -> (f64, &'static str) {
        match self {
            Self::Send(bytes) | Self::Receive(bytes) => (bytes as f64 / 1e6, "MB/s"),
            Self::RoundTrips(n, _) => (n as f64 / 1e3, "k/s"),
        }
    }
}

const JOBS: &[(&str, Job)] = &[
    ("tap-send", Job::Send(128 << 20)),
    ("tap-receive", Job::Receive(128 << 20)),
    ("tap-rr-64", Job::RoundTrips(20_000, 64)),
];

/// Bytes of send buffer and receive window: what fits without window scaling.
const WINDOW: usize = 65_535;

/// A stack at the end of a cable.
trait End {
    /// To wait for frames on.
    fn fd(&self) -> BorrowedFd<'_>;
    /// Starts a connection.
    fn begin(&mut self, job: Job, to: SocketAddr);
    /// Does what there is to do. Returns how long nothing will be, if no frame comes.
    fn turn(&mut self) -> Option<Duration>;
    /// Whether the job is done.
    fn is_done(&self) -> bool;
    /// Resets the connection.
    fn finish(&mut self);
}

/// An end with its kernel.
struct Runner {
    name: &'static str,
    end: Box<dyn End>,
    kernel: Kernel,
    took: Vec<Took>,
}

/// Seconds of a job.
#[derive(Clone, Copy, Debug)]
struct Took {
    passed: f64,
    /// On the processor, in this thread: the stack, the system calls, and the kernel's share that
    /// it does within them.
    busy: f64,
}

/// Which of the two.
type Seconds = fn(&Took) -> f64;

type Make = fn(std::os::fd::OwnedFd) -> Box<dyn End>;

/// Name, cable, and how it is made.
type Kind = (&'static str, Offloads, Make);

const ENDS: &[Kind] = &[
    ("gannet", Offloads::None, end_gannet::plain),
    ("gannet-vnet", Offloads::All, end_gannet::offloading),
    ("smoltcp", Offloads::None, end_smol::plain),
];

impl Runner {
    fn new(number: u8, name: &'static str, offloads: Offloads, make: Make) -> Result<Self, String> {
        let (kernel, cable) = Kernel::new(number, offloads)?;
        Ok(Self {
            name,
            end: make(cable),
            kernel,
            took: Vec::new(),
        })
    }

    /// Does `job` over a new connection.
    fn time(&mut self, job: Job) -> Took {
        let (start, busy) = (Instant::now(), processor_time());
        self.end.begin(job, self.kernel.server(job));
        while !self.end.is_done() {
            let wait = self.end.turn();
            if !self.end.is_done() && wait != Some(Duration::ZERO) {
                wait_for_frame(self.end.fd(), wait);
            }
            assert!(
                start.elapsed() < Duration::from_secs(120),
                "{}: {job:?} hangs",
                self.name
            );
        }
        let took = Took {
            passed: start.elapsed().as_secs_f64(),
            busy: processor_time() - busy,
        };
        self.end.finish();
        self.end.turn();
        took
    }
}

fn processor_time() -> f64 {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime);
    time.tv_sec as f64 + time.tv_nsec as f64 / 1e9
}

fn wait_for_frame(fd: BorrowedFd<'_>, wait: Option<Duration>) {
    let wait = wait.unwrap_or(Duration::from_millis(10));
    let wait = rustix::time::Timespec {
        tv_sec: wait.as_secs().min(1) as i64,
        tv_nsec: wait.subsec_nanos().into(),
    };
    let mut fds = [PollFd::from_borrowed_fd(fd, PollFlags::IN)];
    match poll(&mut fds, Some(&wait)) {
        Ok(_) | Err(Errno::INTR) => {}
        Err(error) => panic!("poll: {error}"),
    }
}

/// Measures and prints the tables.
pub fn run(options: &Options) -> ExitCode {
    if let Err(why) = measure(options) {
        println!("skipped: {why}");
        return ExitCode::SUCCESS;
    }
    println!("\nsystem calls, and instructions outside of the kernel\n");
    for (name, job) in jobs(options) {
        for (end, ..) in ends(options) {
            match counts::count(name, end) {
                Ok(counts) => print_counts(name, end, job, &counts),
                Err(why) => println!("{name:<12}  {end:<12} not counted: {why}"),
            }
        }
    }
    ExitCode::SUCCESS
}

/// In the process that is watched: one end does one job.
pub fn child(options: &Options) -> ExitCode {
    stay_on_one_processor();
    let (Some((_, job)), Some((end, offloads, make))) =
        (jobs(options).next(), ends(options).next())
    else {
        return ExitCode::FAILURE;
    };
    let Ok(mut runner) = Runner::new(1, end, *offloads, *make) else {
        return ExitCode::FAILURE;
    };
    counts::gannet_compare_tap_counted(&mut runner, job);
    ExitCode::SUCCESS
}

fn jobs(options: &Options) -> impl Iterator<Item = (&'static str, Job)> {
    let all = JOBS.iter().copied();
    all.filter(|(name, _)| crate::chosen(&options.cells, name))
}

fn ends(options: &Options) -> impl Iterator<Item = &'static Kind> {
    // Not by a part of the name, which one has in common with another.
    ENDS.iter().filter(|(end, ..)| {
        options.stacks.is_empty() || options.stacks.iter().any(|stack| stack == end)
    })
}

fn measure(options: &Options) -> Result<(), String> {
    stay_on_one_processor();
    println!(
        "over TAP with the kernel as peer, windows of {WINDOW} bytes, raw API; and how many times"
    );
    println!("as fast as smoltcp, by the time that passed and by that of the processor (median of");
    println!("the turns' ratios, least and greatest)\n");
    for (name, job) in jobs(options) {
        let mut runners = (1..)
            .zip(ends(options))
            .map(|(number, (end, offloads, make))| Runner::new(number, end, *offloads, *make))
            .collect::<Result<Vec<_>, _>>()?;
        for turn in 0..options.turns {
            let mut one = |runner: &mut Runner| {
                let took = runner.time(job);
                runner.took.push(took);
            };
            if turn % 2 == 0 {
                runners.iter_mut().for_each(&mut one);
            } else {
                runners.iter_mut().rev().for_each(&mut one);
            }
        }
        print_row(name, job, &runners);
    }
    Ok(())
}

/// This thread and those that it starts.
fn stay_on_one_processor() {
    let Ok(allowed) = sched_getaffinity(None) else {
        return; // more noise, else the same
    };
    let mut one = CpuSet::new();
    if let Some(first) = (0..CpuSet::MAX_CPU).find(|cpu| allowed.is_set(*cpu)) {
        one.set(first);
        let _ = sched_setaffinity(None, &one);
    }
}

fn print_counts(name: &str, end: &str, job: Job, counts: &counts::Counts) {
    let (units, unit) = job.units_counted();
    let each = |count: u64| count as f64 / units;
    let all: u64 = counts.calls.iter().map(|(_, n)| n).sum();
    print!("{name:<12}  {end:<12} {:.2} calls of the kernel", each(all));
    for (n, (call, calls)) in counts.calls.iter().enumerate() {
        let before = if n == 0 { " (" } else { ", " };
        print!("{before}{call} {:.2}", each(*calls));
    }
    println!(
        "), {:.0} instructions per {unit}",
        each(counts.instructions)
    );
}

fn print_row(name: &str, job: Job, runners: &[Runner]) {
    let (units, unit) = job.units();
    let Some((rival, own)) = runners.split_last() else {
        return;
    };
    let passed = |runner: &Runner| {
        runner
            .took
            .iter()
            .map(|took| took.passed)
            .collect::<Vec<_>>()
    };
    println!(
        "{name:<12}  smoltcp {:.0} {unit}",
        units / median(&passed(rival))
    );
    for runner in own {
        let rate = units / median(&passed(runner));
        print!("{:12}  {} {rate:.0} {unit}", "", runner.name);
        let kinds: [(&str, Seconds); 2] = [
            ("time", |took| took.passed),
            ("processor", |took| took.busy),
        ];
        for (kind, of) in kinds {
            let pairs = rival.took.iter().zip(&runner.took);
            let ratios: Vec<f64> = pairs.map(|(rival, own)| of(rival) / of(own)).collect();
            let least = ratios.iter().copied().fold(f64::INFINITY, f64::min);
            let greatest = ratios.iter().copied().fold(0.0, f64::max);
            print!(
                "  {kind} {:.2}x ({least:.2}-{greatest:.2})",
                median(&ratios)
            );
        }
        println!();
    }
}
