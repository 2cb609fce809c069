//! A web server with blocking sockets: one task for each connection, of a fixed set of tasks.
use std::process::ExitCode;

use clap::Parser;
use gannet_examples::board::{Board, STACK_WORDS};
use gannet_examples::options::Network;
use gannet_examples::{Program, http, run};
use gannet_port_freertos::{Priority, spawn};
use gannet_sockets::TcpListener;

gannet_port_freertos::host!();

/// A web server on a simulated FreeRTOS board.
///
/// Serves a page at /, N bytes at /bytes/N, counters at /stats, and takes a POST to /upload.
/// Needs no privilege: open http://127.0.0.1:8080/ while it runs, or where --forward says.
#[derive(Parser)]
#[command(name = "httpd")]
struct Options {
    #[command(flatten)]
    network: Network,
}

/// Tasks, hence connections served at a time; more wait in the backlog.
const TASKS: usize = 48;

fn main() -> ExitCode {
    let options = Options::parse();
    run(
        options.network,
        Program {
            forwards: &["8080:80"],
            raw: None,
            main: serve,
        },
    )
}

fn serve(board: &Board) -> Result<(), String> {
    let listener = TcpListener::bind(([0, 0, 0, 0], 80).into()).expect("port 80 is free");
    let listener: &'static TcpListener = Box::leak(Box::new(listener));
    for _ in 0..TASKS {
        spawn("http", Priority::APPLICATION, STACK_WORDS, move || {
            // Ends when the listener is closed, which is never.
            while let Ok((stream, peer)) = listener.accept() {
                if let Err(error) = http::serve(&stream) {
                    log::debug!("{peer}: {error}");
                }
            }
        })
        .expect("memory for the tasks");
    }
    board.serve_until_stopped();
    Ok(())
}
