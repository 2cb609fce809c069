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

    /// Bytes of a write, and of a request and its response.
    #[arg(long, value_name = "BYTES", default_value = "1460", value_parser = clap::value_parser!(u16).range(1..=8192))]
    write: u16,

    /// Instead of sending in bulk: so many requests, each with its response.
    #[arg(long, value_name = "NUMBER")]
    round_trips: Option<u32>,

    /// The stack's secrets are drawn from this number, so that a run can be repeated.
    #[arg(long, value_name = "NUMBER")]
    seed: Option<u64>,
}

/// What to do; for the main task, which is given nothing.
#[derive(Clone, Copy)]
struct Work {
    bytes: u64,
    write: usize,
    round_trips: Option<u32>,
}

static WORK: OnceLock<Work> = OnceLock::new();
const PORT: u16 = 5001;

fn main() -> ExitCode {
    let options = Options::parse();
    WORK.get_or_init(|| Work {
        bytes: options.megabytes.saturating_mul(1_000_000),
        write: options.write.into(),
        round_trips: options.round_trips,
    });
    run_alone(options.seed, measure)
}

fn measure() -> Result<(), String> {
    let work = *WORK.get().ok_or("nothing to do")?;
    let start = (now(), counters::context_switches());
    match work.round_trips {
        Some(count) => ask(count, work.write),
        None => transfer(work),
    }
    .map_err(|error| error.to_string())?;
    let elapsed = now().saturating_since(start.0).as_secs_f64();
    let switches = f64::from(counters::context_switches().wrapping_sub(start.1));
    masked(|| match work.round_trips {
        Some(count) => {
            let count = f64::from(count);
            println!(
                "{count} round trips of {} bytes in {elapsed:.3} s",
                work.write
            );
            println!(
                "{:.0} a second, {:.2} context switches each",
                count / elapsed,
                switches / count
            );
        }
        None => {
            let megabytes = work.bytes as f64 / 1e6;
            let rate = megabytes / elapsed;
            println!("{} bytes in {elapsed:.3} s: {rate:.1} MB/s", work.bytes);
            println!(
                "{switches} context switches: {:.0} for each MB",
                switches / megabytes
            );
        }
    });
    Ok(())
}

/// Runs `client` in a task of its own.
fn beside(client: impl FnOnce() -> Result<(), Error> + Send + 'static) -> Result<(), Error> {
    spawn("client", Priority::APPLICATION, STACK_WORDS, move || {
        if let Err(error) = client() {
            masked(|| eprintln!("client: {error}"));
        }
    })
    .map(|_| ())
    .map_err(|_| Error::NoBuffers)
}

/// A task of its own asks this one `count` times, with messages of `len` bytes.
fn ask(count: u32, len: usize) -> Result<(), Error> {
    let server = start_server()?;
    beside(move || {
        let stream = TcpStream::connect(([127, 0, 0, 1], PORT).into())?;
        stream.set_nodelay(true)?;
        let mut message = vec![0x5a; len];
        for _ in 0..count {
            stream.write_all(&message)?;
            stream.read_exact(&mut message)?;
        }
        Ok(())
    })?;
    let (stream, _) = server.accept()?;
    stream.set_nodelay(true)?;
    let mut message = vec![0; len];
    for _ in 0..count {
        stream.read_exact(&mut message)?;
        stream.write_all(&message)?;
    }
    Ok(())
}

/// Sends from a task of its own to this one.
fn transfer(work: Work) -> Result<(), Error> {
    let server = start_server()?;
    beside(move || send(work.bytes, work.write))?;
    // Less than was sent is an error of the client, which it has told.
    match receive(&server)? == work.bytes {
        true => Ok(()),
        false => Err(Error::Reset),
    }
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

fn send(bytes: u64, write: usize) -> Result<(), Error> {
    let stream = TcpStream::connect(([127, 0, 0, 1], PORT).into())?;
    let mut offset = 0;
    while offset < bytes {
        let piece = pattern::at(offset, bytes - offset);
        // The pattern ends somewhere.
        let piece = piece.get(..write).unwrap_or(piece);
        stream.write_all(piece)?;
        offset += piece.len() as u64;
    }
    Ok(())
}
