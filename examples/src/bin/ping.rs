//! Asks a host whether it is there, with a raw socket: ICMP echo requests and the times of their
//! replies.
use std::io::{self, Write};
use std::net::{IpAddr, Ipv4Addr};
use std::process::ExitCode;
use std::sync::OnceLock;
use std::time::Duration;

use clap::Parser;
use gannet_core::wire::icmpv4::{Echo, Kind, Message};
use gannet_core::wire::ipv4;
use gannet_examples::board::Board;
use gannet_examples::options::Network;
use gannet_examples::{Program, run};
use gannet_netconn::{Instant, sys};
use gannet_port_freertos::host::masked;
use gannet_sockets::{Error, Protocol, RawSocket};

gannet_port_freertos::host!();

/// Pings a host from a simulated FreeRTOS board.
///
/// The built-in gateway answers at its own address, 10.0.0.1; with --tap this machine does. Fails
/// if a reply is missing.
#[derive(Parser)]
#[command(name = "ping")]
struct Options {
    /// Whom to ask.
    host: Ipv4Addr,

    #[command(flatten)]
    how: How,

    #[command(flatten)]
    network: Network,
}

#[derive(clap::Args)]
struct How {
    /// How many times.
    #[arg(long, short, default_value_t = 4)]
    count: u16,

    /// Milliseconds from one request to the next, and what a reply may take.
    #[arg(long, short, default_value_t = 1000, value_parser = clap::value_parser!(u64).range(1..))]
    interval: u64,

    /// Bytes of data in each request.
    #[arg(long, short, default_value_t = 56, value_parser = clap::value_parser!(u16).range(..=8000))]
    size: u16,
}

/// For the main task, which is given nothing.
static TASK: OnceLock<(Ipv4Addr, How)> = OnceLock::new();

/// Which of several programs on the board asks: each has an identifier of its own.
const IDENT: u16 = 0x6765;

fn main() -> ExitCode {
    let options = Options::parse();
    TASK.get_or_init(|| (options.host, options.how));
    run(
        options.network,
        Program {
            forwards: &[],
            raw: None,
            main: ping_all,
        },
    )
}

fn ping_all(_: &Board) -> Result<(), String> {
    let (host, how) = TASK.get().ok_or("no host")?;
    let replies = ping(*host, how).map_err(|error| format!("{host}: {error}"))?;
    let count = how.count;
    say(&format!("{count} requests, {replies} replies"))?;
    match replies == count {
        true => Ok(()),
        false => Err(format!("{host} did not answer all requests")),
    }
}

fn ping(host: Ipv4Addr, how: &How) -> Result<u16, String> {
    let text = |error: Error| error.to_string();
    let socket = RawSocket::new(Protocol::ICMP).map_err(text)?;
    socket.connect(IpAddr::V4(host)).map_err(text)?;
    let interval = Duration::from_millis(how.interval);
    let mut replies = 0;
    for seq in 1..=how.count {
        let sent = sys::now();
        socket.send(&request(seq, how.size)?).map_err(text)?;
        match reply(&socket, seq, sent + interval) {
            Ok(reply) => {
                replies += 1;
                let time = reply.at.saturating_since(sent);
                say(&format!(
                    "{} bytes from {host}: seq={seq} ttl={} time={:.3} ms",
                    reply.len,
                    reply.ttl,
                    time.as_secs_f64() * 1000.0
                ))?;
                // The next one in its time.
                let left = (sent + interval).saturating_since(sys::now());
                if seq < how.count && !left.is_zero() {
                    sleep(&socket, left);
                }
            }
            Err(error) => say(&format!("seq={seq}: {error}"))?,
        }
    }
    Ok(replies)
}

fn request(seq: u16, size: u16) -> Result<Vec<u8>, String> {
    let data: Vec<u8> = (0..size).map(|n| n as u8).collect();
    let echo = Echo { ident: IDENT, seq };
    let mut message = vec![0; gannet_core::wire::icmpv4::HEADER_LEN + data.len()];
    Kind::EchoRequest(echo)
        .emit_with(&data, &mut message)
        .map_err(|_| "no room for the message")?;
    Ok(message)
}

struct Reply {
    /// Bytes of the ICMP message.
    len: usize,
    ttl: u8,
    at: Instant,
}

/// Waits for the reply to request `seq`; other packets of ICMP are somebody else's.
fn reply(socket: &RawSocket, seq: u16, until: Instant) -> Result<Reply, Error> {
    let wanted = Kind::EchoReply(Echo { ident: IDENT, seq });
    loop {
        let left = until.saturating_since(sys::now());
        if left.is_zero() {
            return Err(Error::TimedOut);
        }
        socket.set_read_timeout(Some(left))?;
        let (packet, about) = match socket.recv_pbuf() {
            Err(Error::WouldBlock) => continue,
            received => received?,
        };
        let bytes: Vec<u8> = packet.parts().flatten().copied().collect();
        let Ok(ip) = ipv4::Packet::parse(&bytes, bytes.len()) else {
            continue;
        };
        let message = Message::parse(ip.first_payload(), ip.payload_len());
        if message.is_ok_and(|message| message.kind() == wanted) {
            return Ok(Reply {
                len: ip.payload_len(),
                ttl: about.ttl,
                at: about.at,
            });
        }
    }
}

/// Sleeps for a while, dropping what arrives.
fn sleep(socket: &RawSocket, time: Duration) {
    let until = sys::now() + time;
    loop {
        let left = until.saturating_since(sys::now());
        if left.is_zero() || socket.set_read_timeout(Some(left)).is_err() {
            return;
        }
        // What is late is told nowhere.
        let _ = socket.recv_pbuf();
    }
}

fn say(line: &str) -> Result<(), String> {
    masked(|| writeln!(io::stdout(), "{line}")).map_err(|error| error.to_string())
}
