//! A server and a client task on one board without a device: what the stack and the scheduler can
//! move by themselves.
use std::process::ExitCode;
use std::sync::OnceLock;

use clap::Parser;
use gannet_examples::board::STACK_WORDS;
use gannet_examples::{pattern, run_alone};
use gannet_port_freertos::host::masked;
use gannet_port_freertos::{Priority, counters, now, spawn};
use gannet_sockets::{Error, TcpListener, TcpStream};

gannet_port_freertos::host!();

/// Sends data from one task of a simulated FreeRTOS board to another, over the stack's loopback.
#[derive(Parser)]
#[command(name = "loopback")]
struct Options {
    /// How much to send, in millions of bytes.
    #[arg(long, value_name = "MB", default_value = "200")]
    megabytes: u64,

    /// The stack's secrets are drawn from this number, so that a run can be repeated.
    #[arg(long, value_name = "NUMBER")]
    seed: Option<u64>,
}

/// For the main task, which is given nothing.
static BYTES: OnceLock<u64> = OnceLock::new();
const PORT: u16 = 5001;

fn main() -> ExitCode {
    let options = Options::parse();
    BYTES.get_or_init(|| options.megabytes.saturating_mul(1_000_000));
    run_alone(options.seed, measure)
}

fn measure() -> Result<(), String> {
    let bytes = BYTES.get().copied().unwrap_or(0);
    let start = (now(), counters::context_switches());
    let received = transfer(bytes).map_err(|error| error.to_string())?;
    let elapsed = now().saturating_since(start.0).as_secs_f64();
    let switches = counters::context_switches().wrapping_sub(start.1);
    if received != bytes {
        return Err(format!("{received} of {bytes} bytes arrived"));
    }
    let megabytes = bytes as f64 / 1e6;
    let (rate, per_megabyte) = (megabytes / elapsed, f64::from(switches) / megabytes);
    masked(|| {
        println!("{bytes} bytes in {elapsed:.3} s: {rate:.1} MB/s");
        println!("{switches} context switches: {per_megabyte:.0} for each MB");
    });
    Ok(())
}

/// Sends `bytes` from a task of its own to this one; how many arrived.
fn transfer(bytes: u64) -> Result<u64, Error> {
    let server = start_server()?;
    spawn("client", Priority::APPLICATION, STACK_WORDS, move || {
        if let Err(error) = send(bytes) {
            masked(|| eprintln!("client: {error}"));
        }
    })
    .map_err(|_| Error::NoBuffers)?;
    receive(&server)
}

fn start_server() -> Result<TcpListener, Error> {
    TcpListener::bind(([127, 0, 0, 1], PORT).into())
}

/// Receives until the end of the stream, and looks at every byte; how many there were.
fn receive(server: &TcpListener) -> Result<u64, Error> {
    let (stream, _) = server.accept()?;
    let mut received = 0;
    let mut buffer = [0; 16 * 1024];
    loop {
        let n = stream.read(&mut buffer)?;
        if n == 0 {
            return Ok(received);
        }
        let mut rest = buffer.get(..n).unwrap_or(&[]);
        while !rest.is_empty() {
            let wanted = pattern::at(received, rest.len() as u64);
            let Some((piece, after)) = rest.split_at_checked(wanted.len()) else {
                return Err(Error::Invalid);
            };
            if piece != wanted {
                return Err(Error::Invalid);
            }
            received += piece.len() as u64;
            rest = after;
        }
    }
}

fn send(bytes: u64) -> Result<(), Error> {
    let stream = TcpStream::connect(([127, 0, 0, 1], PORT).into())?;
    let mut offset = 0;
    while offset < bytes {
        let piece = pattern::at(offset, bytes - offset);
        stream.write_all(piece)?;
        offset += piece.len() as u64;
    }
    Ok(())
}
