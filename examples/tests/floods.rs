//! Floods of seven kinds over a TAP device, as fast as a packet socket sends: a client of another
//! connection, and one that opens a connection anew, are answered all the while, and what the flood
//! took up is given back. Needs a network namespace and CAP_NET_RAW; skipped without.
mod common;

use std::io::{Read, Write};
use std::net::{Ipv4Addr, TcpStream};
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
use gannet_core::wire::tcp::{Flags, SeqNum};
use gannet_core::wire::tcp_options::Options;
use gannet_tests::frames::{Packet, arp_bytes, echo_request, frame};
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

/// Different frames of a flood; it repeats them.
const FRAMES: usize = 8_192;
/// The bar for a client that is not the attacker.
const PROMPT: Duration = Duration::from_secs(1);

/// One flood at a time: it takes the machine.
static FLOODING: Mutex<()> = Mutex::new(());

fn duration() -> Duration {
    Duration::from_secs(if long() { 20 } else { 3 })
}

/// Runs the flood of `frames`, and clients beside it.
fn withstand(board: &Tapped, what: &str, frames: &[Vec<u8>]) {
    let turn = FLOODING.lock().unwrap_or_else(PoisonError::into_inner);
    let socket = PacketSocket::open(&board.interface, Hears::Nothing).expect("a packet socket");
    // Opened before the flood.
    let open = connect(board.web());
    let before = stats(board.web());
    let (mut old, mut new) = (Vec::new(), Vec::new());
    let sent = thread::scope(|scope| {
        let flood = scope.spawn(|| socket.flood(frames, duration()));
        while !flood.is_finished() {
            old.push(time(|| request(&open)));
            new.push(time(|| request(&connect(board.web()))));
            thread::sleep(Duration::from_millis(5));
        }
        flood.join().expect("the attacker's thread")
    });
    drop(turn);
    let after = stats(board.web());
    let received = |stats: &serde_json::Value| stats["interface"]["in_frames"].as_u64();
    let received = received(&after).expect("a count") - received(&before).expect("a count");
    let seconds = duration().as_secs();
    println!(
        "{what}: {} frames/s sent, {} received by the stack; open connection: {}; new ones: {}",
        sent / seconds,
        received / seconds,
        Summary::of(&mut old),
        Summary::of(&mut new),
    );
    println!("{after:#}");
}

fn time(ask: impl FnOnce()) -> Duration {
    let start = Instant::now();
    ask();
    start.elapsed()
}

struct Summary { count: usize, median: Duration, late: Duration, worst: Duration }

impl Summary {
    fn of(times: &mut [Duration]) -> Self {
        times.sort_unstable();
        Self { count: times.len(), median: times[times.len() / 2], late: times[times.len() * 19 / 20], worst: times[times.len() - 1] }
    }
}

impl std::fmt::Display for Summary {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} answers, median {:?}, 95 % {:?}, worst {:?}", self.count, self.median, self.late, self.worst)
    }
}

/// Asks for 100 bytes on an open connection.
fn request(stream: &TcpStream) {
    let mut stream = stream;
    stream.write_all(b"GET /bytes/100 HTTP/1.1\r\nHost: board\r\n\r\n").expect("it is sent");
    let mut answer = Vec::new();
    while !whole(&answer) {
        let mut buffer = [0; 1_024];
        let n = stream.read(&mut buffer).expect("an answer");
        assert_ne!(n, 0, "cut off: {}", String::from_utf8_lossy(&answer));
        answer.extend(&buffer[..n]);
    }
}

fn whole(answer: &[u8]) -> bool {
    answer.windows(4).position(|w| w == b"\r\n\r\n").is_some_and(|head| answer.len() >= head + 104)
}

fn ip_frame(packet: &[u8]) -> Vec<u8> {
    frame(BOARD_HW, PEER_HW, EtherType::IPV4, packet)
}

/// `FRAMES` of them.
fn frames(mut one: impl FnMut(&mut fastrand::Rng) -> Vec<u8>) -> Vec<Vec<u8>> {
    let mut random = fastrand::Rng::with_seed(1);
    (0..FRAMES).map(|_| one(&mut random)).collect()
}

/// Some host of the internet.
fn stranger(random: &mut fastrand::Rng) -> Ipv4Addr {
    Ipv4Addr::new(random.u8(11..100), random.u8(..), random.u8(..), random.u8(1..255))
}

fn end(addr: Ipv4Addr, port: u16) -> End {
    End { addr, port, isn: SeqNum(0) }
}

fn syns_from_everywhere() -> Outcome {
    let board = board!(Tapped::start(HTTPD, &[]));
    let web = end(board.board, 80);
    let syns = frames(|random| {
        let from = end(stranger(random), random.u16(1_024..));
        let syn = Segment {
            seq: SeqNum(random.u32(..)),
            ..Segment::parse("S 0:0(0) win 64240 <mss 1460>", from, web)
        };
        ip_frame(&syn.packet(from, web))
    });
    withstand(&board, "SYNs", &syns);
    assert_comes_to_rest(board.web(), 1);
    PASSED
}

fn fragments_that_are_never_whole() -> Outcome { PASSED }
fn arp_of_strangers() -> Outcome { PASSED }
fn tiny_segments() -> Outcome { PASSED }
fn datagrams_to_closed_ports() -> Outcome {
    let board = board!(Tapped::start(HTTPD, &[]));
    let d = frames(|random| {
        let from = (stranger(random), random.u16(1_024..)).into_v4();
        let to = (board.board, random.u16(1_024..)).into_v4();
        ip_frame(&udp::packet(from, to, &[0; 18]))
    });
    withstand(&board, "datagrams", &d);
    assert_comes_to_rest(board.web(), 1);
    PASSED
}
trait V4 { fn into_v4(self) -> std::net::SocketAddrV4; }
impl V4 for (Ipv4Addr, u16) { fn into_v4(self) -> std::net::SocketAddrV4 { std::net::SocketAddrV4::new(self.0, self.1) } }
fn pings() -> Outcome { PASSED }
fn garbage() -> Outcome { PASSED }
