//! Bulk transfers over the path, gannet or Linux at either end: bytes in a given time after the
//! connection was accepted, every one of them checked.
use std::path::Path as FilePath;
use std::time::Duration;

use gannet_core::tcp::CongestionControl;
use gannet_core::{Config, Error, Handler, TcpPcb};

use crate::gannet_ends::{Sink, Source, connect_to, listen};
use crate::linux::Linux;
use crate::linux_ends::{PORT, Receiver, Sender};
use crate::middle::{Middle, Port, Side};
use crate::pipe::Faults;
use crate::station::Station;

/// How long a connection may take to come about: several lost SYNs.
pub(crate) const CONNECT: Duration = Duration::from_secs(30);
/// How long after the end buffers may be on their way back.
const REST: Duration = Duration::from_millis(500);

/// Who sends and who receives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ends {
    /// gannet to Linux.
    GannetSends,
    /// Linux to gannet.
    GannetReceives,
    /// Linux to Linux: what the path permits.
    Linux,
}

/// A path, and the windows at its ends.
#[derive(Clone, Copy, Debug)]
pub struct Path<'a> {
    /// Faults of both directions; the sender is on the left.
    pub faults: Faults,
    /// Receive window and send buffer in bytes; Linux gets as much memory as that takes there.
    pub window: u32,
    /// How long to measure.
    pub span: Duration,
    /// CUBIC or NewReno, on either side.
    pub congestion: CongestionControl,
    /// Where to write a capture to.
    pub capture: Option<&'a FilePath>,
}

/// What a transfer came to.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Outcome {
    /// Bytes per second, from the moment the connection was accepted.
    pub goodput: f64,
    /// Segments the sender sent again.
    pub retransmitted: u64,
    /// Its retransmission timer expired.
    pub timeouts: u64,
}

/// Runs one transfer.
///
/// # Errors
/// What is missing on this machine, or what went wrong, in one sentence.
pub fn run(ends: Ends, path: Path<'_>, seed: u64) -> Result<Outcome, String> {
    match ends {
        Ends::GannetSends => gannet_sends(path, seed),
        Ends::GannetReceives => gannet_receives(path, seed),
        Ends::Linux => linux_to_linux(path, seed),
    }
}

/// gannet's configuration for the windows of `path`.
pub fn config(window: u32, congestion: CongestionControl) -> Config {
    let mut config = Config::default();
    config.tcp.rcv_wnd = window;
    config.tcp.rcv_wnd_max = window;
    config.tcp.snd_buf = window;
    config.tcp.snd_queuelen = 2_048;
    config.tcp.max_out_of_order_buffers = 512;
    config.tcp.max_out_of_order_runs = 64;
    config.tcp.congestion = congestion;
    config
}

/// A Linux with the windows of `path`.
pub(crate) fn linux(number: u8, window: u32) -> Result<(Linux, Port), String> {
    let (linux, fd) = Linux::new(number)?;
    // It counts the memory of its buffers, not what is in them: the window it then offers is what
    // gannet's is, as a capture shows.
    let memory = window + window / 2;
    for which in ["ipv4/tcp_rmem", "ipv4/tcp_wmem"] {
        linux.sysctl(which, &format!("4096 {memory} {memory}"))?;
    }
    // Whatever the machine's default is, it may be one that paces. Senders choose for themselves.
    linux.sysctl("ipv4/tcp_congestion_control", "reno")?;
    let side = side(number);
    Ok((linux, Port { side, fd }))
}

/// Odd stations are on the left.
fn side(number: u8) -> Side {
    match number % 2 {
        1 => Side::Left,
        _ => Side::Right,
    }
}

fn join(path: &Path<'_>, ports: [Port; 2], seed: u64) -> Result<Middle, String> {
    Middle::start(ports.into(), path.faults, path.faults, seed, path.capture)
        .map_err(|error| format!("the path can't be made: {error}"))
}

pub(crate) fn station<H: Handler>(
    number: u8,
    config: Config,
    app: H,
    seed: u64,
) -> Result<(Station<H>, Port), String> {
    let (station, fd) = Station::new(number, config, app, seed)
        .map_err(|error| format!("the station can't be made: {error}"))?;
    let side = side(number);
    Ok((station, Port { side, fd }))
}

fn gannet_sends(path: Path<'_>, seed: u64) -> Result<Outcome, String> {
    let (linux, right) = linux(2, path.window)?;
    let config = config(path.window, path.congestion);
    let (mut gannet, left) = station(1, config, Source::default(), seed)?;
    let _middle = join(&path, [left, right], seed)?;
    let receiver = Receiver::start(&linux, PORT, Duration::ZERO, path.span)?;
    let pcb = connect_to(&mut gannet, (linux.address(), PORT).into())?;
    gannet.run_until(CONNECT + path.span, |gannet| {
        receiver.has_ended() || gannet.app.error.is_some()
    });
    let stats = *gannet.stack().tcp_stats();
    let error = gannet.app.error;
    end(&mut gannet, Some(pcb));
    let goodput = receiver.goodput()?;
    match error {
        // The receiver ends by a reset.
        None | Some(Error::Reset) => Ok(Outcome {
            goodput,
            retransmitted: stats.segments_retransmitted.into(),
            timeouts: stats.timeouts.into(),
        }),
        Some(error) => Err(format!("gannet's connection has failed: {error}")),
    }
}

fn gannet_receives(path: Path<'_>, seed: u64) -> Result<Outcome, String> {
    let (linux, left) = linux(1, path.window)?;
    let config = config(path.window, path.congestion);
    let (mut gannet, right) = station(2, config, Sink::new(path.span), seed)?;
    let _middle = join(&path, [left, right], seed)?;
    listen(&mut gannet)?;
    let sender = Sender::start(&linux, gannet.address(), PORT, path.congestion);
    gannet.run_until(CONNECT + path.span, |gannet| {
        gannet.app.goodput().is_some() || gannet.app.error.is_some()
    });
    let counters = sent_by(&linux);
    let pcb = gannet.app.pcb;
    end(&mut gannet, pcb);
    sender.stop()?;
    match (gannet.app.goodput(), gannet.app.error) {
        (Some(goodput), _) => Ok(Outcome {
            goodput,
            ..counters
        }),
        (None, Some(error)) => Err(format!("gannet's connection has failed: {error}")),
        (None, None) => Err("nobody connected to gannet".into()),
    }
}

fn linux_to_linux(path: Path<'_>, seed: u64) -> Result<Outcome, String> {
    let (a, left) = linux(1, path.window)?;
    let (b, right) = linux(2, path.window)?;
    let _middle = join(&path, [left, right], seed)?;
    let receiver = Receiver::start(&b, PORT, Duration::ZERO, path.span)?;
    let sender = Sender::start(&a, b.address(), PORT, path.congestion);
    let goodput = receiver.goodput();
    let counters = sent_by(&a);
    sender.stop()?;
    Ok(Outcome {
        goodput: goodput?,
        ..counters
    })
}

/// What Linux has counted as the only sender of its namespace.
fn sent_by(linux: &Linux) -> Outcome {
    let counter = |name| linux.counter(name).unwrap_or(0);
    Outcome {
        goodput: 0.0,
        retransmitted: counter("RetransSegs"),
        timeouts: counter("TCPTimeouts"),
    }
}

/// Resets the connection, so that all buffers come back.
pub(crate) fn end<H: Handler>(gannet: &mut Station<H>, pcb: Option<TcpPcb>) {
    if let Some(pcb) = pcb {
        // Stale if the peer has reset it.
        let _ = gannet.tcp().abort(pcb);
    }
    gannet.run_until(REST, |gannet| gannet.is_at_rest());
}
