//! Flows that share a bottleneck: gannet's beside those of Linux, from stations of their own on
//! the left to one Linux on the right.
use std::time::Duration;

use gannet_core::tcp::CongestionControl;

use crate::bulk::{CONNECT, config, end, linux, station};
use crate::gannet_ends::{Source, connect_to};
use crate::linux_ends::{Receiver, Sender};
use crate::middle::Middle;
use crate::pipe::Faults;

/// Whose the first flow is; the second is always that of Linux.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum First {
    /// gannet's.
    Gannet,
    /// Another Linux's: how fair the path itself is.
    Linux,
}

/// A bottleneck: 10 Mbit/s with a queue of 16 frames, and `delay` each way.
pub fn bottleneck(delay: Duration) -> Faults {
    Faults {
        rate: Some(10_000_000),
        queue: 16,
        delay,
        ..Faults::default()
    }
}

/// Bytes per second of two flows at once that go on for `span`; `head_start` is how much earlier
/// the second, Linux's, starts.
///
/// # Errors
/// What is missing on this machine, or what went wrong, in one sentence.
pub fn run(
    first: First,
    faults: Faults,
    span: Duration,
    head_start: Duration,
    congestion: CongestionControl,
    seed: u64,
) -> Result<[f64; 2], String> {
    const WINDOW: u32 = 256 * 1024;
    const PORTS: [u16; 2] = [7, 8];
    let (receiver, right) = linux(2, WINDOW)?;
    let (rival, left) = linux(3, WINDOW)?;
    let mut ports = vec![right, left];
    // Both are measured over the same time: the first starts last and ends first.
    let receivers = [
        Receiver::start(&receiver, PORTS[0], Duration::ZERO, span)?,
        Receiver::start(&receiver, PORTS[1], head_start, span)?,
    ];
    let start_rival = || {
        let sender = Sender::start(&rival, receiver.address(), PORTS[1], congestion);
        std::thread::sleep(head_start);
        sender
    };
    match first {
        First::Linux => {
            let (other, port) = linux(1, WINDOW)?;
            ports.push(port);
            let _middle = join(ports, faults, seed)?;
            let second = start_rival();
            let sender = Sender::start(&other, receiver.address(), PORTS[0], congestion);
            let shares = receivers.map(Receiver::goodput);
            sender.stop()?;
            second.stop()?;
            both(shares)
        }
        First::Gannet => {
            let config = config(WINDOW, congestion);
            let (mut gannet, port) = station(1, config, Source::default(), seed)?;
            ports.push(port);
            let _middle = join(ports, faults, seed)?;
            let second = start_rival();
            let pcb = connect_to(&mut gannet, (receiver.address(), PORTS[0]).into())?;
            gannet.run_until(CONNECT + span, |_| {
                receivers.iter().all(Receiver::has_ended)
            });
            end(&mut gannet, Some(pcb));
            second.stop()?;
            both(receivers.map(Receiver::goodput))
        }
    }
}

fn both(shares: [Result<f64, String>; 2]) -> Result<[f64; 2], String> {
    let [a, b] = shares;
    Ok([a?, b?])
}

fn join(ports: Vec<crate::Port>, faults: Faults, seed: u64) -> Result<Middle, String> {
    Middle::start(ports, faults, faults, seed, None)
        .map_err(|error| format!("the path can't be made: {error}"))
}
