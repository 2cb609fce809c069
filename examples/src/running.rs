//! A program of this package as a child process, where its ports are forwarded from, and its board:
//! for tests and other programs that drive one from outside. Failures of the system are panics.
use std::collections::HashMap;
use std::fs;
use std::io::{BufRead, BufReader, Read};
use std::net::SocketAddr;
use std::process::{Child, ChildStdout, Command, ExitStatus, Stdio};
use std::sync::mpsc::{self, Receiver};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

/// Waiting is for a condition; this is when it counts as never.
pub const LIMIT: Duration = Duration::from_secs(120);

/// A port of the board.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Port {
    /// Of connections.
    Tcp(u16),
    /// Of datagrams.
    Udp(u16),
}

/// A program that runs until it is stopped or dropped.
#[derive(Debug)]
pub struct Running {
    child: Child,
    forwards: HashMap<Port, SocketAddr>,
    /// What it still says.
    _output: Option<ChildStdout>,
}

impl Running {
    /// Starts `program` with `args`, forwarding `ports` from wherever there is room, and waits
    /// until it has said where.
    ///
    /// # Panics
    /// If it does not start, or ends before it serves.
    pub fn start(program: &str, ports: &[Port], args: &[&str]) -> Self {
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
    ///
    /// # Panics
    /// If it does not start.
    pub fn client(program: &str, args: &[&str]) -> (Self, Lines) {
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
    ///
    /// # Panics
    /// If that was not asked for.
    pub fn addr(&self, port: Port) -> SocketAddr {
        self.forwards[&port]
    }

    /// Where the board's web server is forwarded from.
    ///
    /// # Panics
    /// If that was not asked for.
    pub fn web(&self) -> SocketAddr {
        self.addr(Port::Tcp(80))
    }

    /// The process's number.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// The board's process.
    ///
    /// # Panics
    /// If the program has ended.
    pub fn board(&self) -> u32 {
        let id = self.child.id();
        let children = fs::read_to_string(format!("/proc/{id}/task/{id}/children"));
        let children = children.expect("it runs");
        children
            .trim()
            .parse()
            .unwrap_or_else(|_| panic!("one child: {children:?}"))
    }

    /// Sends it a signal; no matter if it has ended.
    pub fn signal(&self, signal: Signal) {
        // Fails only if it has ended.
        let _ = kill_process(Pid::from_child(&self.child), signal);
    }

    /// Ends it as Ctrl-C does, and waits until it has.
    ///
    /// # Panics
    /// If it does not end.
    pub fn stop(mut self) -> ExitStatus {
        self.signal(Signal::INT);
        self.ended()
    }

    fn ended(&mut self) -> ExitStatus {
        let start = Instant::now();
        loop {
            if let Some(status) = self.child.try_wait().expect("it is ours") {
                return status;
            }
            assert!(start.elapsed() < LIMIT, "the program does not end");
            std::thread::sleep(Duration::from_millis(2));
        }
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
#[derive(Debug)]
pub struct Lines(Receiver<String>);

impl Lines {
    /// Those of `output`, which is read whether anybody listens or not.
    pub fn of(output: impl Read + Send + 'static) -> Self {
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
    ///
    /// # Panics
    /// If there is none in time.
    pub fn wait_for(&self, text: &str) -> String {
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
