//! A web application with `picoserve` on async sockets: one task for each connection.
use std::net::Ipv4Addr;
use std::process::ExitCode;
use std::sync::atomic::{AtomicU32, Ordering};

use clap::Parser;
use gannet_ecosystem::picoserve_on_gannet::{Clock, Gannet};
use gannet_ecosystem::{run_server, say};
use gannet_examples::board::{Board, NET, STACK_WORDS};
use gannet_examples::options::Network;
use gannet_port_freertos::{Priority, spawn};
use gannet_sockets::asynch::{TcpListener, block_on};
use picoserve::routing::{get, parse_path_segment, post};
use picoserve::{Router, Server, Timeouts, time};

gannet_port_freertos::host!();

/// A web application on a simulated FreeRTOS board.
///
/// GET / is a page, GET /add/A/B computes, GET /hits counts, POST /echo sends the body back.
#[derive(Parser)]
#[command(name = "web_app")]
struct Options {
    #[command(flatten)]
    network: Network,
}

/// Tasks, hence connections served at a time; more wait in the backlog.
const TASKS: usize = 8;
const BACKLOG: u16 = 16;

static CONFIG: picoserve::Config = picoserve::Config::new(Timeouts {
    start_read_request: time::Duration::from_secs(10),
    persistent_start_read_request: time::Duration::from_secs(10),
    read_request: time::Duration::from_secs(10),
    write: time::Duration::from_secs(10),
})
.keep_connection_alive();

static HITS: AtomicU32 = AtomicU32::new(0);

fn main() -> ExitCode {
    run_server(Options::parse().network, start)
}

fn start(board: &Board) -> Result<(), String> {
    let listener = TcpListener::bind_on(&NET, (Ipv4Addr::UNSPECIFIED, 80).into(), BACKLOG)
        .map_err(|error| error.to_string())?;
    let listener: &'static TcpListener = Box::leak(Box::new(listener));
    for _ in 0..TASKS {
        spawn("web", Priority::APPLICATION, STACK_WORDS, || {
            if let Err(error) = block_on(serve(listener)) {
                say(format_args!("no executor: {error}"));
            }
        })
        .map_err(|error| error.to_string())?;
    }
    board.serve_until_stopped();
    Ok(())
}

/// A task: one connection after another.
async fn serve(listener: &TcpListener) {
    let add = |(a, b): (u32, u32)| async move { a.wrapping_add(b).to_string() };
    let app = Router::new()
        .route("/", get(async || "This is picoserve on gannet.\n"))
        .route(
            ("/add", parse_path_segment(), parse_path_segment()),
            get(add),
        )
        .route(
            "/hits",
            get(async || HITS.load(Ordering::Relaxed).to_string()),
        )
        .route("/echo", post(echo));
    // A request has to fit, without its body.
    let mut buffer = [0; 2_048];
    // Ends when the listener is closed, which is never.
    while let Ok((stream, peer)) = listener.accept().await {
        let server = Server::custom(&app, Clock, &CONFIG, &mut buffer);
        if let Err(error) = server.serve(Gannet(stream)).await {
            say(format_args!("{peer}: {error:?}"));
        }
    }
}

/// Larger bodies are refused.
async fn echo(body: heapless::Vec<u8, 4_096>) -> heapless::Vec<u8, 4_096> {
    HITS.fetch_add(1, Ordering::Relaxed);
    body
}
