//! A server and a client task on one board without a device: what the stack and the scheduler can
//! move by themselves.
use std::process::ExitCode;
use std::sync::OnceLock;

use clap::Parser;
use gannet_examples::board::{NET, STACK_WORDS};
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

    /// Instead: writes of several sizes and round trips, as rows of a table.
    #[arg(long, conflicts_with_all = ["write", "round_trips"])]
    table: bool,

    /// The stack's secrets are drawn from this number, so that a run can be repeated.
    #[arg(long, value_name = "NUMBER")]
    seed: Option<u64>,
}

/// One measurement.
#[derive(Clone, Copy)]
enum Work {
    Bulk { bytes: u64, write: usize },
    RoundTrips { count: u32, len: usize },
}

/// What to do; for the main task, which is given nothing.
#[derive(Clone, Copy)]
enum Task {
    One(Work),
    Table { bytes: u64 },
}

static TASK: OnceLock<Task> = OnceLock::new();
const PORT: u16 = 5001;
/// Of the table.
const ROUND_TRIPS: u32 = 50_000;

fn main() -> ExitCode {
    let options = Options::parse();
    let bytes = options.megabytes.saturating_mul(1_000_000);
    let len = usize::from(options.write);
    TASK.get_or_init(|| match options.round_trips {
        _ if options.table => Task::Table { bytes },
        Some(count) => Task::One(Work::RoundTrips { count, len }),
        None => Task::One(Work::Bulk { bytes, write: len }),
    });
    run_alone(options.seed, measure)
}

fn measure() -> Result<(), String> {
    match *TASK.get().ok_or("nothing to do")? {
        Task::One(work) => tell(work, Cost::of(work)?),
        Task::Table { bytes } => {
            let bulk = [64, 1460, 8192].map(|write| Work::Bulk { bytes, write });
            masked(|| println!("{HEAD}"));
            for work in bulk {
                row(work, Cost::of(work)?);
            }
            let work = Work::RoundTrips {
                count: ROUND_TRIPS,
                len: 64,
            };
            row(work, Cost::of(work)?);
        }
    }
    Ok(())
}

/// What the board counted.
#[derive(Clone, Copy)]
struct Cost {
    seconds: f64,
    switches: f64,
    wakeups: f64,
    sections: f64,
}

impl Cost {
    fn of(work: Work) -> Result<Self, String> {
        let counts = || {
            let wakeups = NET.wakeups();
            [
                counters::context_switches(),
                wakeups,
                counters::critical_sections(),
            ]
        };
        let (start, before) = (now(), counts());
        match work {
            Work::Bulk { bytes, write } => transfer(bytes, write),
            Work::RoundTrips { count, len } => ask(count, len),
        }
        .map_err(|error| error.to_string())?;
        let seconds = now().saturating_since(start).as_secs_f64();
        let after = counts();
        let since = |at: usize| f64::from(after[at].wrapping_sub(before[at]));
        Ok(Self {
            seconds,
            switches: since(0),
            wakeups: since(1),
            sections: since(2),
        })
    }
}

/// What a round trip cost; or a megabyte, and of wake-ups a thousand writes.
struct Each {
    /// Round trips, or megabytes, a second.
    rate: f64,
    switches: f64,
    wakeups: f64,
    sections: f64,
}

impl Each {
    fn of(work: Work, cost: Cost) -> Self {
        let (units, wakeup_units) = match work {
            Work::RoundTrips { count, .. } => (f64::from(count), f64::from(count)),
            Work::Bulk { bytes, write } => (bytes as f64 / 1e6, bytes as f64 / write as f64 / 1e3),
        };
        Self {
            rate: units / cost.seconds,
            switches: cost.switches / units,
            wakeups: cost.wakeups / wakeup_units,
            sections: cost.sections / units,
        }
    }
}

fn tell(work: Work, cost: Cost) {
    let each = Each::of(work, cost);
    masked(|| match work {
        Work::RoundTrips { count, len } => {
            println!(
                "{count} round trips of {len} bytes in {:.3} s",
                cost.seconds
            );
            println!(
                "{:.0} a second, {:.2} context switches each, {:.2} wake-ups of the tcpip task, {:.1} critical sections",
                each.rate, each.switches, each.wakeups, each.sections
            );
        }
        Work::Bulk { bytes, .. } => {
            println!(
                "{bytes} bytes in {:.3} s: {:.1} MB/s",
                cost.seconds, each.rate
            );
            println!(
                "for each MB: {:.0} context switches, {:.0} critical sections",
                each.switches, each.sections
            );
            println!(
                "for 1000 writes: {:.1} wake-ups of the tcpip task",
                each.wakeups
            );
        }
    });
}

const HEAD: &str = "\
| | speed | switches | wake-ups of the tcpip task | critical sections |
|---|---|---|---|---|";

fn row(work: Work, cost: Cost) {
    let Each {
        rate,
        switches,
        wakeups,
        sections,
    } = Each::of(work, cost);
    masked(|| match work {
        Work::RoundTrips { len, .. } => println!(
            "| round trip of {len} bytes | {rate:.0} a second | {switches:.2} | {wakeups:.2} | {sections:.1} |"
        ),
        Work::Bulk { write, .. } => println!(
            "| writes of {write} bytes | {rate:.0} MB/s | {switches:.0} per MB | {wakeups:.1} per 1,000 writes | {sections:.0} per MB |"
        ),
    });
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
fn transfer(bytes: u64, write: usize) -> Result<(), Error> {
    let server = start_server()?;
    beside(move || send(bytes, write))?;
    // Less than was sent is an error of the client, which it has told.
    match receive(&server)? == bytes {
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
