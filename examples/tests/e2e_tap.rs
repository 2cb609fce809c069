//! The programs over a TAP device, with the Linux kernel as the peer, in a network namespace that
//! this test program makes for itself. Without the permission for that all tests are skipped.
mod common;

use std::io::Read;
use std::mem::MaybeUninit;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::os::fd::OwnedFd;
use std::process::ExitCode;
use std::thread;
use std::time::{Duration, Instant};

use common::client::{
    ask, assert_comes_to_rest, connect, datagrams, download, exchange, get, stats, upload,
};
use common::tapped::{self, Tapped};
use common::{
    HTTPD, LIMIT, Outcome, PASSED, RESPONDER, SERVICES, httpd, is_alive, run, run_tests, skipped,
    transfer, wait_until,
};
use gannet_core::wire::icmpv4::{Echo, Kind};
use gannet_tests::frames::{Packet, icmp};
use rustix::net::sockopt::set_socket_timeout;
use rustix::net::{AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType};

const PING: &str = env!("CARGO_BIN_EXE_ping");

fn main() -> ExitCode {
    tapped::enter_namespace();
    run_tests(tests![
        data_arrives_whole_both_ways,
        data_arrives_whole_over_a_bad_path,
        a_thousand_connections_leave_nothing_behind,
        thirty_two_connections_at_once_leave_nothing_behind,
        pings_are_all_answered,
        the_board_pings_the_kernel,
        datagrams_of_all_sizes_are_echoed,
        the_board_connects_to_the_kernel,
        a_namespace_of_its_own_is_reached_through_forwarded_ports,
    ])
}

fn data_arrives_whole_both_ways() -> Outcome {
    let httpd = board!(Tapped::start(HTTPD, &[]));
    download(httpd.web(), transfer());
    upload(httpd.web(), transfer());
    assert_comes_to_rest(httpd.web(), 1);
    PASSED
}

fn data_arrives_whole_over_a_bad_path() -> Outcome {
    let faults = ["--loss=1", "--duplicate=1", "--reorder=2", "--seed=7"];
    let httpd = board!(Tapped::start(HTTPD, &faults));
    download(httpd.web(), transfer());
    upload(httpd.web(), transfer());
    let stats = stats(httpd.web());
    assert_ne!(
        stats["tcp"]["segments_retransmitted"], 0,
        "the path was bad"
    );
    assert_ne!(stats["tcp"]["out_of_order"], 0, "the path was bad");
    assert_comes_to_rest(httpd.web(), 1);
    PASSED
}

fn a_thousand_connections_leave_nothing_behind() -> Outcome {
    let httpd = board!(Tapped::start(HTTPD, &[]));
    for n in 0..1_000 {
        let close = if n % 2 == 0 {
            "Connection: close\r\n"
        } else {
            ""
        };
        let request = format!("GET /bytes/2000 HTTP/1.1\r\nHost: board\r\n{close}\r\n");
        let answer = exchange(&connect(httpd.web()), request.as_bytes()).expect("an answer");
        assert!(answer.starts_with(b"HTTP/1.1 200") && answer.len() > 2_000);
    }
    assert_comes_to_rest(httpd.web(), 1);
    PASSED
}

fn thirty_two_connections_at_once_leave_nothing_behind() -> Outcome {
    let httpd = board!(Tapped::start(HTTPD, &[]));
    let server = httpd.web();
    thread::scope(|scope| {
        for n in 0..32 {
            scope.spawn(move || match n % 2 {
                0 => download(server, 200_000),
                _ => upload(server, 200_000),
            });
        }
    });
    assert_comes_to_rest(server, 1);
    PASSED
}

/// As `ping -c 1000 -i 0.002`: nothing is lost, and the stack takes no more than three times as
/// long as a task that answers pings and knows nothing else, on a device of the same kind.
fn pings_are_all_answered() -> Outcome {
    let httpd = board!(Tapped::start(HTTPD, &[]));
    let bare = board!(Tapped::start(RESPONDER, &[]));
    let socket = match ping_socket() {
        Ok(socket) => socket,
        Err(error) => return skipped(&format!("raw sockets need CAP_NET_RAW: {error}")),
    };
    // The machine may be busy with something else for a while; one of a few rounds has to do.
    let in_time = (0..5).any(|_| {
        let (stack, bare) = (median(&socket, &httpd), median(&socket, &bare));
        println!("pings: median {stack:?}, a bare responder's {bare:?}");
        stack < 3 * bare
    });
    assert!(in_time, "more than three times as long as a bare responder");
    PASSED
}

fn the_board_pings_the_kernel() -> Outcome {
    if let Some(reason) = tapped::unavailable() {
        return skipped(reason);
    }
    // With a namespace of its own, where the kernel has the gateway's address.
    let args = ["--tap", "--count=10", "--interval=200", "10.0.0.1"];
    let (status, output, errors) = run(PING, &args);
    assert!(status.success(), "{errors}");
    let output = String::from_utf8(output).expect("text");
    assert!(output.contains("10 requests, 10 replies"), "{output}");
    assert_eq!(output.matches("64 bytes from 10.0.0.1: seq=").count(), 10);
    PASSED
}

/// The median round trip of a thousand pings, 2 ms apart.
fn median(socket: &OwnedFd, to: &Tapped) -> Duration {
    const COUNT: u16 = 1_000;
    let board = to.board;
    let to = SocketAddr::from((board, 0));
    let mut times = Vec::new();
    let start = Instant::now();
    for seq in 0..COUNT {
        let due = start + Duration::from_millis(2) * seq.into();
        thread::sleep(due.saturating_duration_since(Instant::now()));
        let request = icmp(Kind::EchoRequest(Echo { ident: 7, seq }), &[0x55; 56]);
        let sent = Instant::now();
        rustix::net::sendto(socket, &request, SendFlags::empty(), &to).expect("sent");
        assert!(answered(socket, board, seq), "number {seq} was lost");
        times.push(sent.elapsed());
    }
    times.sort_unstable();
    times[times.len() / 2]
}

fn ping_socket() -> rustix::io::Result<OwnedFd> {
    let socket = rustix::net::socket_with(
        AddressFamily::INET,
        SocketType::RAW,
        SocketFlags::CLOEXEC,
        Some(rustix::net::ipproto::ICMP),
    )?;
    set_socket_timeout(&socket, rustix::net::sockopt::Timeout::Recv, Some(LIMIT))?;
    Ok(socket)
}

/// Whether the reply `seq` of `board` comes; others are somebody else's.
fn answered(socket: &OwnedFd, board: Ipv4Addr, seq: u16) -> bool {
    loop {
        let mut buffer = [MaybeUninit::uninit(); 2_048];
        let received = rustix::net::recv(socket, &mut buffer[..], RecvFlags::empty());
        let Ok(((packet, _), _)) = received else {
            return false;
        };
        let packet = Packet::parse(packet);
        if packet.src == board && packet.icmp().0 == Kind::EchoReply(Echo { ident: 7, seq }) {
            return packet.icmp().1 == [0x55; 56];
        }
    }
}

fn datagrams_of_all_sizes_are_echoed() -> Outcome {
    let services = board!(Tapped::start(SERVICES, &[]));
    let echo = datagrams((services.board, 7).into());
    for len in [0, 1, 1_472, 1_473, 4_000, 20_000] {
        let data = vec![len as u8; len];
        wait_until("the echo of a datagram", || ask(&echo, &data) == data);
    }
    PASSED
}

fn the_board_connects_to_the_kernel() -> Outcome {
    let services = board!(Tapped::start(SERVICES, &[]));
    let listener = TcpListener::bind((services.kernel, 0)).expect("a port");
    let place = listener.local_addr().expect("an address");
    let control = datagrams((services.board, 9999).into());
    let command = format!("send {} {} 2000000", place.ip(), place.port());
    assert_eq!(ask(&control, b"ping"), b"pong");
    control.send(command.as_bytes()).expect("sent");
    let (mut stream, _) = listener.accept().expect("the board");
    let mut received = Vec::new();
    stream
        .read_to_end(&mut received)
        .expect("the bytes, and their end");
    assert_eq!(received.len(), 2_000_000);
    assert!(
        received
            .iter()
            .zip(0u32..)
            .all(|(byte, n)| u32::from(*byte) == n % 251)
    );
    PASSED
}

fn a_namespace_of_its_own_is_reached_through_forwarded_ports() -> Outcome {
    if let Some(reason) = tapped::unavailable() {
        return skipped(reason);
    }
    let httpd = httpd(&["--tap"]);
    let page = String::from_utf8(get(httpd.web(), "/")).expect("text");
    assert!(page.contains("<title>gannet</title>"));
    download(httpd.web(), 1_000_000);
    upload(httpd.web(), 1_000_000);
    assert_comes_to_rest(httpd.web(), 1);
    let board = httpd.board();
    assert!(httpd.stop().success());
    assert!(!is_alive(board));
    PASSED
}
