//! Floods of seven kinds over a TAP device, as fast as a packet socket sends: a client of another
//! connection, and one that opens a connection anew, are answered all the while, and what the flood
//! took up is given back. Needs a network namespace and CAP_NET_RAW; skipped without.
mod common;

use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddrV4, TcpStream};
use std::process::ExitCode;
use std::sync::{Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use common::client::{assert_comes_to_rest, connect, stats};
use common::packet_socket::{Hears, PacketSocket};
use common::raw_link::{BOARD_HW, PEER_HW};
use common::tapped::{self, Tapped};
use common::{HTTPD, LIMIT, Outcome, PASSED, long, run_tests, skipped};
use gannet_core::HwAddr;
use gannet_core::wire::arp::{Operation, Packet as Arp};
use gannet_core::wire::ethernet::EtherType;
use gannet_core::wire::ipv4::Protocol;
use gannet_core::wire::tcp::SeqNum;
use gannet_tests::frames::{Packet, Sent, arp_bytes, echo_request, frame};
use gannet_tests::segment::{End, Segment};
use gannet_tests::udp;

fn main() -> ExitCode {
    tapped::enter_namespace();
    run_tests(tests![
        syns_from_everywhere,
        fragments_that_are_never_whole,
        arp_of_strangers,
        tiny_segments,
        datagrams_to_closed_ports,
        pings,
        garbage,
    ])
}

/// Different frames of a flood, which repeats them.
const FRAMES: usize = 8_192;
/// The bar for a client that is not the attacker.
const PROMPT: Duration = Duration::from_secs(1);
/// Of a frame sent to the board without a flood; more than this were a broken test.
const FEWEST: u64 = 10_000;

/// One flood at a time: it takes the machine. What comes after, with its timers, may overlap.
static FLOODING: Mutex<()> = Mutex::new(());

fn duration() -> Duration {
    Duration::from_secs(if long() { 10 } else { 2 })
}

/// The board under the flood that `frames` makes of it, with clients beside it; then at rest.
fn withstand(what: &str, frames: impl FnOnce(&Tapped) -> Vec<Vec<u8>>) -> Outcome {
    withstand_and(what, frames, |_, _| {})
}

/// As [`withstand`]; `and_then` does what follows the flood.
fn withstand_and(
    what: &str,
    frames: impl FnOnce(&Tapped) -> Vec<Vec<u8>>,
    and_then: impl FnOnce(&Tapped, &PacketSocket),
) -> Outcome {
    let board = board!(Tapped::start(HTTPD, &[]));
    let socket = match PacketSocket::open(&board.interface, Hears::Nothing) {
        Ok(socket) => socket,
        Err(error) => return skipped(&format!("packet sockets need CAP_NET_RAW: {error}")),
    };
    flood(&board, &socket, what, &frames(&board));
    and_then(&board, &socket);
    assert_comes_to_rest(board.web(), 1);
    PASSED
}

fn flood(board: &Tapped, socket: &PacketSocket, what: &str, frames: &[Vec<u8>]) {
    let turn = FLOODING.lock().unwrap_or_else(PoisonError::into_inner);
    let open = connect(board.web());
    request(&open);
    let received = || {
        let stats = stats(board.web());
        stats["interface"]["in_frames"].as_u64().expect("a count")
    };
    let before = received();
    let (mut old, mut new) = (Vec::new(), Vec::new());
    let sent = thread::scope(|scope| {
        let flood = scope.spawn(|| socket.flood(frames, duration()));
        while !flood.is_finished() {
            old.push(time(|| request(&open)));
            new.push(time(|| request(&connect(board.web()))));
            // Clients that rush are a flood of their own.
            thread::sleep(Duration::from_millis(2));
        }
        flood.join().expect("the attacker's thread")
    });
    drop(turn);
    let received = received() - before;
    let (old, new) = (Times::of(old), Times::of(new));
    println!(
        "{what}: {sent} frames sent in {:?}, {received} received by the stack; open connection: {old}; new ones: {new}",
        duration()
    );
    assert!(sent > FEWEST && received > sent / 2, "{what}: no flood");
    for times in [old, new] {
        assert!(
            times.median < PROMPT && times.late < PROMPT,
            "{what}: {times}"
        );
    }
}

fn time(ask: impl FnOnce()) -> Duration {
    let start = Instant::now();
    ask();
    start.elapsed()
}

/// How long answers took. The worst may be what the machine did meanwhile, whose limit is that of
/// the client's socket.
struct Times {
    count: usize,
    median: Duration,
    /// One of twenty took longer.
    late: Duration,
    worst: Duration,
}

impl Times {
    fn of(mut times: Vec<Duration>) -> Self {
        times.sort_unstable();
        let count = times.len();
        Self {
            count,
            median: times[count / 2],
            late: times[count * 19 / 20],
            worst: times[count - 1],
        }
    }
}

impl std::fmt::Display for Times {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self {
            count,
            median,
            late,
            worst,
        } = self;
        write!(
            f,
            "{count} answers, median {median:.1?}, 95 % {late:.1?}, worst {worst:.1?}"
        )
    }
}

/// Asks for 100 bytes on an open connection.
fn request(mut stream: &TcpStream) {
    let request = b"GET /bytes/100 HTTP/1.1\r\nHost: board\r\n\r\n";
    stream.write_all(request).expect("it is sent");
    let mut answer = Vec::new();
    while !is_whole(&answer) {
        let mut buffer = [0; 1_024];
        let n = stream.read(&mut buffer).expect("an answer in time");
        assert_ne!(n, 0, "cut off: {}", String::from_utf8_lossy(&answer));
        answer.extend(&buffer[..n]);
    }
}

fn is_whole(answer: &[u8]) -> bool {
    let end = answer.windows(4).position(|four| four == b"\r\n\r\n");
    end.is_some_and(|end| answer.len() >= end + 4 + 100)
}

fn ip_frame(packet: &[u8]) -> Vec<u8> {
    frame(BOARD_HW, PEER_HW, EtherType::IPV4, packet)
}

fn frames(mut one: impl FnMut(&mut fastrand::Rng) -> Vec<u8>) -> Vec<Vec<u8>> {
    let mut random = fastrand::Rng::with_seed(1);
    (0..FRAMES).map(|_| one(&mut random)).collect()
}

/// Some host of the internet.
fn stranger(random: &mut fastrand::Rng) -> Ipv4Addr {
    let [a, b, c] = random.u32(..).to_be_bytes()[..3] else {
        unreachable!("three of four")
    };
    Ipv4Addr::new(11 + a % 89, b, c, random.u8(1..255))
}

fn end(addr: Ipv4Addr, port: u16) -> End {
    End {
        addr,
        port,
        isn: SeqNum(0),
    }
}

fn bytes(random: &mut fastrand::Rng, len: usize) -> Vec<u8> {
    core::iter::repeat_with(|| random.u8(..))
        .take(len)
        .collect()
}

/// The strangers whose addresses were forged are not there in the long form, and half-open
/// connections end after the seventh SYN,ACK, 127 s later; in the short form they say so.
fn syns_from_everywhere() -> Outcome {
    let of_strangers = |board: &Tapped, text: &str, ahead: u32| {
        let web = end(board.board, 80);
        frames(|random| {
            let from = end(stranger(random), random.u16(1_024..));
            let segment = Segment {
                seq: SeqNum(random.u32(..)) + ahead,
                ..Segment::parse(text, from, web)
            };
            ip_frame(&segment.packet(from, web))
        })
    };
    withstand_and(
        "SYNs",
        |board| of_strangers(board, "S 0:0(0) win 64240 <mss 1460>", 0),
        |board, socket| {
            if !long() {
                let resets = of_strangers(board, "R 0:0(0) win 0", 1);
                socket.flood(&resets, Duration::from_millis(500));
            }
        },
    )
}

fn fragments_that_are_never_whole() -> Outcome {
    withstand("fragments", |board| {
        frames(|random| {
            let data = bytes(random, 1_480);
            ip_frame(
                &Packet {
                    ident: random.u16(..),
                    more: random.u8(..) > 0,
                    // The first one is missing more often than not.
                    offset: random.usize(..40) * 1_480,
                    ..Packet::new(stranger(random), board.board, Protocol::UDP, data)
                }
                .bytes(),
            )
        })
    })
}

fn arp_of_strangers() -> Outcome {
    withstand("ARP", |board| {
        let [a, b, c, _] = board.board.octets();
        frames(|random| {
            let hw = HwAddr([
                2,
                1,
                random.u8(..),
                random.u8(..),
                random.u8(..),
                random.u8(..),
            ]);
            let reply = Arp {
                operation: if random.bool() {
                    Operation::Request
                } else {
                    Operation::Reply
                },
                sender_hw: hw,
                // Not the kernel's and the board's, of which others could be made to believe.
                sender_ip: Ipv4Addr::new(a, b, c, random.u8(3..255)),
                target_hw: BOARD_HW,
                target_ip: board.board,
            };
            frame(BOARD_HW, hw, EtherType::ARP, &arp_bytes(&reply))
        })
    })
}

fn datagrams_to_closed_ports() -> Outcome {
    withstand("datagrams to closed ports", |board| {
        frames(|random| {
            let from = SocketAddrV4::new(stranger(random), random.u16(1_024..));
            let to = SocketAddrV4::new(board.board, random.u16(1..));
            ip_frame(&udp::packet(from, to, &[0; 18]))
        })
    })
}

fn pings() -> Outcome {
    withstand("pings", |board| {
        frames(|random| {
            let echo = echo_request(random.usize(..1_472));
            ip_frame(&Packet::new(stranger(random), board.board, Protocol::ICMP, echo).bytes())
        })
    })
}

fn garbage() -> Outcome {
    withstand("garbage", |_| {
        frames(|random| {
            let ethertype = match random.u8(..4) {
                0 => EtherType(random.u16(..)),
                1 => EtherType::ARP,
                _ => EtherType::IPV4,
            };
            frame(BOARD_HW, PEER_HW, ethertype, &bytes(random, 1_500))
        })
    })
}

/// A connection of the attacker's own, in which each byte has a segment: an upload in order, over
/// and over, and more bytes with a gap before each.
fn tiny_segments() -> Outcome {
    let board = board!(Tapped::start(HTTPD, &[]));
    let open = |hears| PacketSocket::open(&board.interface, hears);
    let (deaf, ears) = match (open(Hears::Nothing), open(Hears::Everything)) {
        (Ok(deaf), Ok(ears)) => (deaf, ears),
        (Err(error), _) | (_, Err(error)) => {
            return skipped(&format!("packet sockets need CAP_NET_RAW: {error}"));
        }
    };
    let attacker = End {
        isn: SeqNum(0xffff_f000),
        ..end(Ipv4Addr::new(11, 0, 0, 1), 40_000)
    };
    let web = end(board.board, 80);
    let bytes = |segment: Segment, web: End| ip_frame(&segment.packet(attacker, web));
    let syn = Segment::parse("S 0:0(0) win 65535 <mss 1460>", attacker, web);
    let isn = answer(&ears, &bytes(syn, web), attacker).seq;
    let web = End { isn, ..web };
    let head = b"POST /upload HTTP/1.1\r\nHost: board\r\nContent-Length: 1000000\r\n\r\n";
    let request = Segment {
        data: head.to_vec(),
        ..Segment::parse("P. 1:1(0) ack 1 win 65535", attacker, web)
    };
    answer(&ears, &bytes(request, web), attacker);
    drop(ears);
    let body = 1 + head.len() as u32;
    let tiny = |seq: u32| {
        let text = format!("P. {seq}:{}(1) ack 1 win 65535", seq + 1);
        bytes(Segment::parse(&text, attacker, web), web)
    };
    let half = FRAMES as u32 / 2;
    let in_order = (0..half).map(|n| tiny(body + n));
    let with_gaps = (0..half).map(|n| tiny(body + half + 1 + 2 * n));
    let both: Vec<_> = in_order.zip(with_gaps).flat_map(|(a, b)| [a, b]).collect();
    flood(&board, &deaf, "tiny segments", &both);
    // All that was in order was taken. Another old byte is answered with what is expected next.
    let ears = open(Hears::Everything).expect("as the other one");
    let next = answer(&ears, &tiny(body), attacker).ack.expect("a number");
    assert!(next.since(attacker.isn + body) >= half, "nothing was taken");
    let reset = Segment {
        seq: next,
        ..Segment::parse("R. 0:0(0) ack 1 win 0", attacker, web)
    };
    ears.send(&bytes(reset, web));
    assert_comes_to_rest(board.web(), 1);
    PASSED
}

/// Sends `frame`, again if need be, until the board sends a segment to `attacker`.
fn answer(socket: &PacketSocket, frame: &[u8], attacker: End) -> Segment {
    let start = Instant::now();
    while start.elapsed() < LIMIT {
        socket.send(frame);
        while let Some(heard) = socket.recv() {
            if heard.get(6..12) != Some(&BOARD_HW.0) {
                continue;
            }
            let Sent::Ip(_, packet) = Sent::parse(&heard, BOARD_HW) else {
                continue;
            };
            if packet.dst != attacker.addr || packet.protocol != Protocol::TCP {
                continue;
            }
            if let Some((segment, ..)) = Segment::from_packet(&packet.bytes()) {
                return segment;
            }
        }
    }
    panic!("no answer within {LIMIT:?}");
}
