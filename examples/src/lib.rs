//! What the example programs share: the board (FreeRTOS simulator, stack, pools), the command line,
//! and the host's side of the link. The programs themselves are in `src/bin`.
//!
//! ```text
//!  curl ─▶ 127.0.0.1:8080 ─▶ gateway, or a TAP device ─▶ socket pair ─▶ board (child process)
//!          └──────────── host process ───────────────┘                 └ tasks, tcpip thread ┘
//! ```
//!
//! A program started by a user is the host's side ([`run`]): it makes the link and starts itself
//! again as the board, in a process of its own. So the board is a machine that nothing of the host
//! gets into, and nothing of it is left when the host's side ends.

pub mod board;
mod cable;
pub mod classic;
pub mod gateway;
mod host;
pub mod http;
pub mod options;
pub mod path;
pub mod pattern;
pub mod running;
pub mod services;
pub mod soak;
pub mod stats;
mod tap;
pub mod tasks;

use std::env;
use std::process::ExitCode;

use board::{Board, Raw};
use host::Role;
use options::{Forward, Network};

/// A program with a network.
#[derive(Clone, Copy, Debug)]
pub struct Program {
    /// Ports forwarded if the command line names none, as `HOST:BOARD[/udp]`; none for a client.
    pub forwards: &'static [&'static str],
    /// Its application on the raw API, if it has one.
    pub raw: Option<Raw>,
    /// Its main task; the board ends with it.
    /// An error is a sentence for the user.
    pub main: fn(&Board) -> Result<(), String>,
}

/// Runs `program`: as the board, if this process was started as that, else as the host's side.
pub fn run(mut network: Network, program: Program) -> ExitCode {
    let outcome = if env::var_os(host::BOARD_VARIABLE).is_some() {
        board::run(network, program.raw, program.main).map(|()| ExitCode::SUCCESS)
    } else {
        if network.forwards.is_empty() && !matches!(network.link(), options::Link::Tap(_)) {
            let defaults = program
                .forwards
                .iter()
                .map(|forward| forward.parse::<Forward>());
            network.forwards = defaults.collect::<Result<_, _>>().expect("well written");
        }
        let role = match program.forwards {
            [] => Role::Client,
            _ => Role::Server,
        };
        host::run(&network, role)
    };
    finish(outcome)
}

/// Runs a program that does without the stack, for comparison.
pub fn run_bare(network: Network, main: board::Bare) -> ExitCode {
    finish(if env::var_os(host::BOARD_VARIABLE).is_some() {
        board::run_bare(&network, main).map(|()| ExitCode::SUCCESS)
    } else {
        host::run(&network, Role::Server)
    })
}

/// Runs `main` on a board without network devices.
pub fn run_alone(seed: Option<u64>, main: fn() -> Result<(), String>) -> ExitCode {
    finish(board::run_alone(seed, main).map(|()| ExitCode::SUCCESS))
}

fn finish(outcome: Result<ExitCode, String>) -> ExitCode {
    outcome.unwrap_or_else(|error| {
        eprintln!("error: {error}");
        ExitCode::FAILURE
    })
}

/// The examples of the README are compiled and run.
#[cfg(doctest)]
#[doc = include_str!("../../README.md")]
struct Readme;
