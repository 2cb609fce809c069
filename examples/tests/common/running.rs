//! Running the example programs as a user would. Of other packages' tests too: names no program.
#![allow(dead_code, reason = "each test program uses a part")]

use std::collections::HashMap;
use std::fs;
use std::io::{BufRead, BufReader, Read};
use std::net::{Ipv4Addr, SocketAddr};
use std::process::{Child, ChildStdout, Command, ExitCode, ExitStatus, Stdio};
use std::sync::mpsc::{self, Receiver};
use std::time::{Duration, Instant};

use libtest_mimic::{Arguments, Completion, Failed, Trial};
use rustix::process::{Pid, Signal, kill_process};

/// Waiting in a test is for a condition; this is when it counts as never.
pub(crate) const LIMIT: Duration = Duration::from_secs(120);

/// A port of the board.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Port {
    Tcp(u16),
    Udp(u16),
}

/// A program that runs until it is stopped or dropped.
pub(crate) struct Running {
    child: Child,
    forwards: HashMap<Port, SocketAddr>,
    /// What it still says.
    _output: Option<ChildStdout>,
}

impl Running {
    /// Starts `program` with `args`, forwarding `ports` from wherever there is room, and waits
    /// until it has said where.
    pub(crate) fn start(program: &str, ports: &[Port], args: &[&str]) -> Self {
        let mut command = Command::new(program);
        for port in ports {
            command.arg("--forward").arg(match port {
                Port::Tcp(port) => format!("0:{port}"),
                Port::Udp(port) => format!("0:{port}/udp"),
            });
        }
        let mut child = command
            .args(args)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .expect("the program starts");
        let mut forwards = HashMap::new();
        let mut output = BufReader::new(child.stdout.take().expect("it is piped"));
        while forwards.len() < ports.len().max(1) {
            let mut line = String::new();
            output.read_line(&mut line).expect("it is text");
            assert!(!line.is_empty(), "{program} ended before it served");
            match announced(line.trim()) {
                Some((port, addr)) => forwards.insert(port, addr),
                // The board's own address, with a TAP device that is not of its making.
                None => break,
            };
        }
        assert_eq!(forwards.len(), ports.len());
        Self {
            child,
            forwards,
            _output: Some(output.into_inner()),
        }
    }

    /// Starts `program`, which serves nothing: it and what it says.
    pub(crate) fn client(program: &str, args: &[&str]) -> (Self, Lines) {
        let mut child = Command::new(program)
            .args(args)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .expect("the program starts");
        let lines = Lines::of(child.stdout.take().expect("it is piped"));
        let running = Self {
            child,
            forwards: HashMap::new(),
            _output: None,
        };
        (running, lines)
    }

    /// Where `port` of the board is forwarded from.
    pub(crate) fn addr(&self, port: Port) -> SocketAddr {
        self.forwards[&port]
    }

    pub(crate) fn web(&self) -> SocketAddr {
        self.addr(Port::Tcp(80))
    }

    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    /// The board's process.
    pub(crate) fn board(&self) -> u32 {
        let id = self.child.id();
        let children = fs::read_to_string(format!("/proc/{id}/task/{id}/children"));
        let children = children.expect("it runs");
        children
            .trim()
            .parse()
            .unwrap_or_else(|_| panic!("one child: {children:?}"))
    }

    pub(crate) fn signal(&self, signal: Signal) {
        // Fails only if it has ended.
        let _ = kill_process(Pid::from_child(&self.child), signal);
    }

    /// Ends it as Ctrl-C does, and waits until it has.
    pub(crate) fn stop(mut self) -> ExitStatus {
        self.signal(Signal::INT);
        self.ended()
    }

    fn ended(&mut self) -> ExitStatus {
        let mut status = None;
        wait_until("the program ends", || {
            status = self.child.try_wait().expect("it is ours");
            status.is_some()
        });
        status.expect("waited for")
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if matches!(self.child.try_wait(), Ok(None)) {
            // Not killed: it has a child to end.
            self.signal(Signal::TERM);
            if !std::thread::panicking() {
                self.ended();
            } else {
                // Long enough to end in order; the failure itself is the news.
                std::thread::sleep(Duration::from_secs(1));
                let _ = self.child.kill();
            }
        }
        let _ = self.child.wait();
    }
}

/// What a program says, line by line.
pub(crate) struct Lines(Receiver<String>);

impl Lines {
    pub(crate) fn of(output: impl Read + Send + 'static) -> Self {
        let (give, take) = mpsc::channel();
        std::thread::spawn(move || {
            for line in BufReader::new(output).lines().map_while(Result::ok) {
                // Nobody listens any more: it is read all the same, or the program would wait.
                let _ = give.send(line);
            }
        });
        Self(take)
    }

    /// Waits for a line with `text` in it, and passes over all before.
    pub(crate) fn wait_for(&self, text: &str) -> String {
        let start = Instant::now();
        let mut passed = Vec::new();
        loop {
            let left = LIMIT.saturating_sub(start.elapsed());
            match self.0.recv_timeout(left) {
                Ok(line) if line.contains(text) => return line,
                Ok(line) => passed.push(line),
                Err(error) => panic!("{text:?} is never said ({error}), but {passed:#?}"),
            }
        }
    }
}

/// `http://127.0.0.1:8080/ is the board's port 80` and its like.
fn announced(line: &str) -> Option<(Port, SocketAddr)> {
    let (url, port) = line.split_once(" is the board's port ")?;
    let (scheme, addr) = url.split_once("://")?;
    let port = port.parse().ok()?;
    let port = if scheme == "udp" {
        Port::Udp(port)
    } else {
        Port::Tcp(port)
    };
    Some((port, addr.trim_end_matches('/').parse().ok()?))
}

/// Runs a program to its end: status, standard output, standard error.
pub(crate) fn run(program: &str, args: &[&str]) -> (ExitStatus, Vec<u8>, String) {
    let output = Command::new(program)
        .args(args)
        .stdin(Stdio::null())
        .output();
    let output = output.expect("the program starts");
    let errors = String::from_utf8_lossy(&output.stderr).into_owned();
    (output.status, output.stdout, errors)
}

pub(crate) fn wait_until(what: &str, mut done: impl FnMut() -> bool) {
    let start = Instant::now();
    while !done() {
        assert!(start.elapsed() < LIMIT, "{what}: not within {LIMIT:?}");
        std::thread::sleep(Duration::from_millis(2));
    }
}

/// Whether a process is there, and not only because nobody has asked how it ended.
pub(crate) fn is_alive(process: u32) -> bool {
    let stat = fs::read_to_string(format!("/proc/{process}/stat")).unwrap_or_default();
    let state = stat
        .rsplit(')')
        .next()
        .and_then(|rest| rest.split_whitespace().next());
    !matches!(state, None | Some("Z" | "X"))
}

/// Whether the long tests run too (`GANNET_LONG=1`).
pub(crate) fn long() -> bool {
    std::env::var_os("GANNET_LONG").is_some_and(|value| value != "0")
}

/// Bytes of a transfer.
pub(crate) fn transfer() -> u64 {
    if long() { 100 << 20 } else { 8 << 20 }
}

/// What a test comes to.
pub(crate) type Outcome = Result<Completion, Failed>;

/// A test.
pub(crate) type Test = fn() -> Outcome;

pub(crate) const PASSED: Outcome = Ok(Completion::Completed);

/// A test that did not run, and why.
pub(crate) fn skipped(reason: &str) -> Outcome {
    println!("skipped: {reason}");
    Ok(Completion::ignored_with(format!("skipped: {reason}")))
}

/// Runs tests with a board each, no more of them at a time than a small machine bears.
pub(crate) fn run_tests(tests: Vec<(&'static str, Test)>) -> ExitCode {
    let trial = |(name, test)| Trial::ignorable_test(name, test);
    run_trials(tests.into_iter().map(trial).collect())
}

/// As above.
pub(crate) fn run_trials(trials: Vec<Trial>) -> ExitCode {
    let mut args = Arguments::from_args();
    args.test_threads = args.test_threads.or(Some(2));
    libtest_mimic::run(&args, trials).exit_code()
}

/// The names of functions and the functions.
#[macro_export]
macro_rules! tests {
    ($($test:ident),* $(,)?) => { vec![$((stringify!($test), $test as common::Test)),*] };
}

pub(crate) const BOARD: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 2);
pub(crate) const GATEWAY: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 1);
