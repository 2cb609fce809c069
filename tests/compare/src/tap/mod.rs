//! Over a TAP device with the kernel as the peer: real frames, real time, the raw API in one thread
//! that waits in poll(2). All ends in turns and back again; only the ratios mean anything.
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

use crate::Options;
use crate::speed::median;
use kernel::Kernel;

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
    /// What is counted.
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

type Make = fn(std::os::fd::OwnedFd) -> Box<dyn End>;

const ENDS: &[(&str, Offloads, Make)] = &[
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

/// Measures and prints the table.
pub fn run(options: &Options) -> ExitCode {
    println!(
        "over TAP with the kernel as peer, windows of {WINDOW} bytes, raw API; and how many times"
    );
    println!("as fast as smoltcp, by the time that passed and by that of the processor (median of");
    println!("the turns' ratios, least and greatest)\n");
    for (name, job) in JOBS
        .iter()
        .filter(|(name, _)| crate::chosen(&options.cells, name))
    {
        let mut runners = Vec::new();
        let ends = ENDS
            .iter()
            .filter(|(end, ..)| (options.stacks.is_empty() || options.stacks.iter().any(|stack| stack == end)));
        for (number, (end, offloads, make)) in (1..).zip(ends) {
            match Runner::new(number, end, *offloads, *make) {
                Ok(runner) => runners.push(runner),
                Err(why) => {
                    println!("skipped: {why}");
                    return ExitCode::SUCCESS;
                }
            }
        }
        for turn in 0..options.turns {
            let mut one = |runner: &mut Runner| {
                let took = runner.time(*job);
                runner.took.push(took);
            };
            if turn % 2 == 0 {
                runners.iter_mut().for_each(&mut one);
            } else {
                runners.iter_mut().rev().for_each(&mut one);
            }
        }
        print_row(name, *job, &runners);
    }
    ExitCode::SUCCESS
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
        let kinds: [(&str, fn(&Took) -> f64); 2] = [
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
