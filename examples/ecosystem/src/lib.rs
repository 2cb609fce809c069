//! What these programs share; they themselves are in `src/bin`, one for each crate of others.
//!
//! All run over the link of the other examples: without privilege, the board reaches this machine's
//! 127.0.0.1 at the gateway's address, 10.0.0.1.
pub mod dhcp;
pub mod picoserve_on_gannet;
pub mod resolver;

use std::io::Write;
use std::process::ExitCode;

use gannet_examples::board::Board;
use gannet_examples::options::{Addressing, Link, Network};
use gannet_examples::{Program, run};
use gannet_port_freertos::host::masked;

/// Runs a program that listens on the board's port 80, which is 127.0.0.1:8080 to the host.
pub fn run_server(network: Network, main: fn(&Board) -> Result<(), String>) -> ExitCode {
    let program = Program {
        forwards: &["8080:80"],
        raw: None,
        main,
    };
    run(network, program)
}

/// Runs a program that listens on nothing.
pub fn run_client(network: Network, main: fn(&Board) -> Result<(), String>) -> ExitCode {
    let program = Program {
        forwards: &[],
        raw: None,
        main,
    };
    run(network, program)
}

/// Runs a program that finds the board's address itself, on a TAP device.
pub fn run_dynamic(mut network: Network, main: fn(&Board) -> Result<(), String>) -> ExitCode {
    network.addressing = Addressing::Dynamic;
    if !matches!(network.link(), Link::Tap(_)) {
        // Neither the gateway nor a namespace of the program's own has a server.
        eprintln!("error: this needs a network with a DHCP server: --tap NAME");
        return ExitCode::FAILURE;
    }
    run_client(network, main)
}

/// Writes a line to standard output. On the simulator no task may be switched away while it holds
/// a lock of the host's library: hence masked.
pub fn say(line: impl core::fmt::Display) {
    masked(|| {
        // Nobody has to read it.
        let _ = writeln!(std::io::stdout(), "{line}");
    });
}
