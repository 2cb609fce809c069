//! The two links of a test: the gateway, and a TAP device with the Linux kernel's TCP at the other
//! end, in a network namespace that the test program makes for itself.
use std::net::{Ipv4Addr, SocketAddr};
use std::process::{Command, ExitCode, ExitStatus, Stdio};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU8, Ordering};

use gannet_port_freertos::device::namespace;
use libtest_mimic::Trial;

use super::{GATEWAY, Lines, Outcome, Port, Running, run_trials, skipped, wait_until};

/// A test on a link.
pub(crate) type LinkTest = fn(&Wire) -> Outcome;

/// The names of functions and the functions.
#[macro_export]
macro_rules! link_tests {
    ($($test:ident),* $(,)?) => {
        vec![$((stringify!($test), $test as common::LinkTest)),*]
    };
}

/// Why there is no namespace.
static UNAVAILABLE: OnceLock<Option<String>> = OnceLock::new();

/// Runs each test on either link; where a namespace is not permitted, the second half is skipped.
pub(crate) fn run_on_links(tests: Vec<(&'static str, LinkTest)>) -> ExitCode {
    enter_namespace();
    let trials = tests.into_iter().flat_map(|(name, test)| {
        let gateway = move || test(&Wire { tap: None });
        [
            Trial::ignorable_test(format!("{name} over the gateway"), gateway),
            on_tap(name, test),
        ]
    });
    run_trials(trials.collect())
}

/// Runs each test on a TAP device; where a namespace is not permitted, all are skipped.
pub(crate) fn run_on_tap(tests: Vec<(&'static str, LinkTest)>) -> ExitCode {
    enter_namespace();
    let trials = tests.into_iter().map(|(name, test)| on_tap(name, test));
    run_trials(trials.collect())
}

/// While this process has one thread, as a user namespace demands.
fn enter_namespace() {
    let entered = namespace::enter().and_then(|()| namespace::loopback_up());
    let _ = UNAVAILABLE.set(entered.err().map(|error| error.to_string()));
}

fn on_tap(name: &str, test: LinkTest) -> Trial {
    let run = move || match UNAVAILABLE.get() {
        Some(Some(reason)) => skipped(reason),
        _ => test(&Wire::tap()),
    };
    Trial::ignorable_test(format!("{name} over TAP"), run)
}

/// A link for one board.
pub(crate) struct Wire {
    /// `None`: the gateway.
    tap: Option<Tap>,
}

struct Tap {
    name: String,
    board: Ipv4Addr,
    kernel: Ipv4Addr,
}

impl Wire {
    fn tap() -> Self {
        static NETWORKS: AtomicU8 = AtomicU8::new(1);
        let network = NETWORKS.fetch_add(1, Ordering::Relaxed);
        let tap = Tap {
            name: format!("board{network}"),
            board: [10, 1, network, 2].into(),
            kernel: [10, 1, network, 1].into(),
        };
        Self { tap: Some(tap) }
    }

    /// The kernel's interface and its address, of a TAP device.
    pub(crate) fn kernel(&self) -> (&str, Ipv4Addr) {
        let tap = self.tap.as_ref().expect("a TAP device");
        (&tap.name, tap.kernel)
    }

    /// Where servers of the host listen, so that the board reaches them.
    pub(crate) fn host(&self) -> Ipv4Addr {
        match self.tap {
            None => Ipv4Addr::LOCALHOST,
            // The namespace has nobody else.
            Some(_) => Ipv4Addr::UNSPECIFIED,
        }
    }

    /// Where the board finds a port of the host.
    pub(crate) fn seen_by_board(&self, port: u16) -> String {
        let host = self.tap.as_ref().map_or(GATEWAY, |tap| tap.kernel);
        SocketAddr::from((host, port)).to_string()
    }

    /// Starts a server: it, and where it is.
    pub(crate) fn serve(&self, program: &str, port: Port, args: &[&str]) -> (Running, SocketAddr) {
        let Some(tap) = &self.tap else {
            let running = Running::start(program, &[port], args);
            let addr = running.addr(port);
            return (running, addr);
        };
        let link = tap.args();
        let running = Running::start(program, &[], &tap.with(&link, args));
        tap.configure();
        let (Port::Tcp(port) | Port::Udp(port)) = port;
        (running, (tap.board, port).into())
    }

    /// Starts a client that runs until it is stopped: it, and what it says.
    pub(crate) fn client(&self, program: &str, args: &[&str]) -> (Running, Lines) {
        let Some(tap) = &self.tap else {
            return Running::client(program, args);
        };
        let link = tap.args();
        let started = Running::client(program, &tap.with(&link, args));
        tap.configure();
        started
    }

    /// Runs a client to its end: status, standard output, standard error.
    pub(crate) fn run(&self, program: &str, args: &[&str]) -> (ExitStatus, Vec<u8>, String) {
        let Some(tap) = &self.tap else {
            return super::run(program, args);
        };
        let link = tap.args();
        let child = Command::new(program)
            .args(tap.with(&link, args))
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the program starts");
        tap.configure();
        let output = child.wait_with_output().expect("it is ours");
        let errors = String::from_utf8_lossy(&output.stderr).into_owned();
        (output.status, output.stdout, errors)
    }
}

impl Tap {
    fn args(&self) -> [String; 3] {
        [
            format!("--tap={}", self.name),
            format!("--addr={}", self.board),
            format!("--gateway={}", self.kernel),
        ]
    }

    fn with<'a>(&self, link: &'a [String; 3], args: &[&'a str]) -> Vec<&'a str> {
        let link = link.iter().map(String::as_str);
        args.iter().copied().chain(link).collect()
    }

    /// Gives the kernel its address, once the program has made the device.
    fn configure(&self) {
        wait_until("the device is there", || {
            namespace::configure(&self.name, None, self.kernel, 24).is_ok()
        });
    }
}
