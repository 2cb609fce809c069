//! A board on a TAP device, with the Linux kernel at the other end, in a network namespace that the
//! test program makes for itself.
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU8, Ordering};

use gannet_port_freertos::device::namespace;

use super::{Outcome, Running, skipped};

/// Why there is no namespace.
static UNAVAILABLE: OnceLock<Option<String>> = OnceLock::new();

/// To be called first of all, while the process has one thread, as a user namespace demands.
pub(crate) fn enter_namespace() {
    let entered = namespace::enter().and_then(|()| namespace::loopback_up());
    let _ = UNAVAILABLE.set(entered.err().map(|error| error.to_string()));
}

/// Why there is no namespace, if there is none.
pub(crate) fn unavailable() -> Option<&'static str> {
    UNAVAILABLE.get()?.as_deref()
}

/// A board in a network of its own.
pub(crate) struct Tapped {
    /// Ended with this value.
    _program: Running,
    pub(crate) board: Ipv4Addr,
    pub(crate) kernel: Ipv4Addr,
    /// The kernel's interface.
    pub(crate) interface: String,
}

impl Tapped {
    /// `Err` if there is no permission.
    pub(crate) fn start(program: &str, args: &[&str]) -> Result<Self, Outcome> {
        static NETWORKS: AtomicU8 = AtomicU8::new(1);
        if let Some(reason) = unavailable() {
            return Err(skipped(reason));
        }
        let network = NETWORKS.fetch_add(1, Ordering::Relaxed);
        let interface = format!("board{network}");
        let (kernel, board) = ([10, 1, network, 1].into(), [10, 1, network, 2].into());
        let addresses = [("--addr", board), ("--gateway", kernel)].map(|(o, a)| format!("{o}={a}"));
        let mut all: Vec<&str> = addresses.iter().map(String::as_str).collect();
        all.extend(args);
        let tap = format!("--tap={interface}");
        all.push(&tap);
        let program = Running::start(program, &[], &all);
        if let Err(error) = namespace::configure(&interface, None, kernel, 24) {
            return Err(skipped(&error.to_string()));
        }
        Ok(Self {
            _program: program,
            board,
            kernel,
            interface,
        })
    }

    pub(crate) fn web(&self) -> SocketAddr {
        (self.board, 80).into()
    }
}

/// The board, or the end of the test.
#[macro_export]
macro_rules! board {
    ($($start:tt)*) => {
        match $($start)* {
            Ok(board) => board,
            Err(skipped) => return skipped,
        }
    };
}
