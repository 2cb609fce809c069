//! The programs over their default link: sockets of the host, the user-mode gateway, the board.
mod common;

use std::io::{Read, Write};
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::process::ExitCode;
use std::thread;
use std::time::{Duration, Instant};

use common::client::{
    ask, assert_comes_to_rest, connect, datagrams, download, exchange, get, stats, status, upload,
};
use common::{
    FETCH, GATEWAY, HTTPD, LIMIT, LOOPBACK, Outcome, PASSED, Port, Running, SERVICES, SERVICES_RAW,
    httpd, is_alive, long, run, run_tests, skipped, transfer, wait_until,
};
use rustix::net::sockopt::set_socket_linger;
use rustix::process::Signal;
use serde_json::Value;

const PING: &str = env!("CARGO_BIN_EXE_ping");

fn main() -> ExitCode {
    run_tests(tests![
        a_page_is_served,
        requests_share_a_connection,
        bad_requests_get_clear_answers,
        data_arrives_whole_both_ways,
        data_arrives_whole_over_a_bad_path,
        a_thousand_connections_leave_nothing_behind,
        thirty_two_connections_at_once_leave_nothing_behind,
        a_client_that_does_not_read_stops_nobody,
        a_half_closed_connection_goes_on,
        resets_cross_the_gateway,
        the_board_connects_to_the_host,
        the_board_is_refused_where_the_host_refuses,
        small_services_answer,
        small_services_on_the_raw_api_answer,
        sixty_four_connections_are_held,
        sixty_four_connections_are_held_by_the_raw_api,
        fetch_fetches,
        ping_pings,
        loopback_measures,
        a_capture_has_all_frames,
        nothing_is_left_after_ctrl_c,
        nothing_is_left_after_a_kill,
        wrong_options_are_explained,
        an_idle_board_sleeps,
    ])
}

const WEB: Port = Port::Tcp(80);
const ECHO: Port = Port::Tcp(7);
const DISCARD: Port = Port::Tcp(9);
const CONTROL: Port = Port::Udp(9999);
/// Sockets of `services` that listen: TCP 7, 9, 13, 19, 80, UDP 7, 9999.
const SERVICE_SOCKETS: u64 = 7;

fn services(program: &str) -> Running {
    let mut ports = vec![
        ECHO,
        DISCARD,
        Port::Tcp(13),
        Port::Tcp(19),
        Port::Udp(7),
        CONTROL,
    ];
    if program == SERVICES {
        ports.push(WEB);
    }
    Running::start(program, &ports, &[])
}

fn a_page_is_served() -> Outcome {
    let httpd = httpd(&[]);
    let page = String::from_utf8(get(httpd.web(), "/")).expect("text");
    assert!(page.contains("<title>gannet</title>"));
    assert_eq!(get(httpd.web(), "/bytes/0"), b"");
    assert_eq!(stats(httpd.web())["connections"]["half_open"], 0);
    PASSED
}

fn requests_share_a_connection() -> Outcome {
    let httpd = httpd(&[]);
    let stream = connect(httpd.web());
    // Both at once, and the second in pieces.
    let requests = b"GET /bytes/5 HTTP/1.1\r\nHost: b\r\n\r\nHEAD / HTTP/1.1\r\nHost: b\r\nConn";
    (&stream).write_all(requests).expect("sent");
    thread::sleep(Duration::from_millis(50));
    let answers = exchange(&stream, b"ection: close\r\n\r\n").expect("answers");
    let text = String::from_utf8_lossy(&answers);
    assert_eq!(text.matches("HTTP/1.1 200 OK").count(), 2, "{text}");
    assert!(
        text.contains("\r\n\r\n\u{0}\u{1}\u{2}\u{3}\u{4}HTTP/1.1"),
        "{text}"
    );
    assert_eq!(stats(httpd.web())["tcp"]["passive_opens"], 2);
    PASSED
}

fn bad_requests_get_clear_answers() -> Outcome {
    let httpd = httpd(&[]);
    assert_eq!(status(httpd.web(), "/nothing"), 404);
    assert_eq!(status(httpd.web(), "/bytes/many"), 400);
    for (request, answer) in [
        ("nonsense\r\n\r\n".to_string(), "HTTP/1.1 400"),
        (
            format!("GET / HTTP/1.1\r\nX: {}", "x".repeat(5_000)),
            "HTTP/1.1 431",
        ),
        (
            "POST / HTTP/1.1\r\nContent-Length: 3\r\n\r\nabc".to_string(),
            "HTTP/1.1 405",
        ),
        (
            "POST /upload HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n".into(),
            "HTTP/1.1 411",
        ),
    ] {
        let stream = connect(httpd.web());
        (&stream).write_all(request.as_bytes()).expect("sent");
        let mut start = [0; 12];
        (&stream).read_exact(&mut start).expect("an answer");
        assert_eq!(String::from_utf8_lossy(&start), answer);
    }
    assert_comes_to_rest(httpd.web(), 1);
    PASSED
}

fn data_arrives_whole_both_ways() -> Outcome {
    let httpd = httpd(&[]);
    download(httpd.web(), transfer());
    upload(httpd.web(), transfer());
    assert_comes_to_rest(httpd.web(), 1);
    PASSED
}

fn data_arrives_whole_over_a_bad_path() -> Outcome {
    let faults = [
        "--loss",
        "1",
        "--duplicate",
        "1",
        "--reorder",
        "2",
        "--seed",
        "7",
    ];
    let httpd = httpd(&faults);
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
    let httpd = httpd(&[]);
    let before = stats(httpd.web());
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
    let after = stats(httpd.web());
    let opens = |stats: &Value| stats["tcp"]["passive_opens"].as_u64().expect("a number");
    assert!(opens(&after) - opens(&before) >= 1_000);
    PASSED
}

fn thirty_two_connections_at_once_leave_nothing_behind() -> Outcome {
    let httpd = httpd(&[]);
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

fn a_client_that_does_not_read_stops_nobody() -> Outcome {
    let httpd = httpd(&[]);
    let sleepers: Vec<_> = (0..8)
        .map(|_| {
            let stream = connect(httpd.web());
            (&stream)
                .write_all(b"GET /bytes/30000000 HTTP/1.1\r\n\r\n")
                .expect("sent");
            stream
        })
        .collect();
    download(httpd.web(), 1_000_000);
    upload(httpd.web(), 1_000_000);
    // Backpressure reaches the board: it has not sent what nobody reads.
    let sent = stats(httpd.web())["tcp"]["bytes_sent"]
        .as_u64()
        .expect("a number");
    assert!(sent < 8 * 30_000_000 / 2, "{sent}");
    for stream in sleepers {
        stream.shutdown(Shutdown::Write).expect("it is open");
        let mut all = Vec::new();
        (&stream)
            .read_to_end(&mut all)
            .expect("the rest, and its end");
        let body = all
            .windows(4)
            .position(|four| four == b"\r\n\r\n")
            .expect("a head")
            + 4;
        assert_eq!(all.len() - body, 30_000_000);
    }
    assert_comes_to_rest(httpd.web(), 1);
    PASSED
}

fn a_half_closed_connection_goes_on() -> Outcome {
    let services = services(SERVICES);
    let stream = connect(services.addr(ECHO));
    (&stream).write_all(b"first").expect("sent");
    stream.shutdown(Shutdown::Write).expect("it is open");
    let mut echo = Vec::new();
    (&stream)
        .read_to_end(&mut echo)
        .expect("the echo, and its end");
    assert_eq!(echo, b"first");
    // And much more than all buffers together hold.
    let data: Vec<u8> = (0..3_000_000u32).map(|n| (n % 253) as u8).collect();
    let echo = exchange(&connect(services.addr(ECHO)), &data).expect("an echo");
    assert!(echo == data, "{} of {} bytes", echo.len(), data.len());
    assert_comes_to_rest(services.addr(WEB), SERVICE_SOCKETS);
    PASSED
}

fn resets_cross_the_gateway() -> Outcome {
    let closed = Port::Tcp(81);
    let httpd = Running::start(SERVICES, &[WEB, ECHO, closed], &[]);
    // From the host to the board.
    let stream = connect(httpd.addr(ECHO));
    (&stream).write_all(b"x").expect("sent");
    (&stream).read_exact(&mut [0]).expect("an echo");
    set_socket_linger(&stream, Some(Duration::ZERO)).expect("an option");
    drop(stream);
    wait_until("the board is reset", || {
        stats(httpd.web())["tcp"]["resets_received"].as_u64() > Some(0)
    });
    // From the board to the host: nothing listens there.
    let outcome = TcpStream::connect_timeout(&httpd.addr(closed), LIMIT)
        .and_then(|stream| (&stream).read(&mut [0]));
    let error = outcome.expect_err("a reset");
    assert_eq!(error.kind(), std::io::ErrorKind::ConnectionReset);
    assert_comes_to_rest(httpd.web(), SERVICE_SOCKETS);
    PASSED
}

/// A listener of the host, and the commands' words for it.
fn listener() -> (TcpListener, String) {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port");
    let port = listener.local_addr().expect("an address").port();
    (listener, format!("{GATEWAY} {port}"))
}

fn command(services: &Running, command: &str) {
    datagrams(services.addr(CONTROL))
        .send(command.as_bytes())
        .expect("sent");
}

fn accept(listener: &TcpListener) -> TcpStream {
    listener.set_nonblocking(true).expect("an option");
    let mut accepted = None;
    wait_until("a connection of the board", || {
        accepted = listener.accept().ok();
        accepted.is_some()
    });
    let (stream, _) = accepted.expect("waited for");
    stream.set_nonblocking(false).expect("an option");
    stream.set_read_timeout(Some(LIMIT)).expect("a limit");
    stream
}

fn the_board_connects_to_the_host() -> Outcome {
    for program in [SERVICES, SERVICES_RAW] {
        let services = services(program);
        let (listener, place) = listener();
        command(&services, &format!("send {place} 2000000"));
        let mut received = Vec::new();
        accept(&listener)
            .read_to_end(&mut received)
            .expect("the bytes, and their end");
        assert_eq!(received.len(), 2_000_000);
        assert!(
            received
                .iter()
                .zip(0u32..)
                .all(|(byte, n)| u32::from(*byte) == n % 251)
        );

        command(&services, &format!("connect {place}"));
        let echo = exchange(&accept(&listener), &[7; 300_000]).expect("an echo");
        assert!(echo == [7; 300_000], "{program}: {}", echo.len());
        if program == SERVICES {
            assert_comes_to_rest(services.addr(WEB), SERVICE_SOCKETS);
        }
    }
    PASSED
}

fn the_board_is_refused_where_the_host_refuses() -> Outcome {
    let services = services(SERVICES);
    let (listener, place) = listener();
    // Once it is open, so that the gateway's stack listens there; then no more.
    command(&services, &format!("send {place} 1"));
    accept(&listener).read_exact(&mut [0]).expect("a byte");
    let control = datagrams(services.addr(CONTROL));
    let fails = || -> u64 {
        let tcp: Value = serde_json::from_slice(&ask(&control, b"stats tcp")).expect("JSON");
        tcp["attempt_fails"].as_u64().expect("a number")
    };
    assert_eq!(fails(), 0);
    drop(listener);
    command(&services, &format!("send {place} 1"));
    wait_until("the attempt fails", || fails() > 0);
    assert_comes_to_rest(services.addr(WEB), SERVICE_SOCKETS);
    PASSED
}

fn answer_as_they_should(program: &str) -> Outcome {
    let services = services(program);
    assert_eq!(
        exchange(&connect(services.addr(ECHO)), b"hello").expect("an echo"),
        b"hello"
    );
    let discarded = exchange(&connect(services.addr(DISCARD)), &[1; 500_000]);
    assert_eq!(discarded.expect("an end"), b"");
    let daytime = exchange(&connect(services.addr(Port::Tcp(13))), b"").expect("a line");
    assert!(daytime.ends_with(b" GMT\r\n"), "{daytime:?}");

    let characters = connect(services.addr(Port::Tcp(19)));
    let mut lines = vec![0; 74 * 2_000];
    (&characters).read_exact(&mut lines).expect("lines");
    assert!(lines.chunks(74).all(|line| line.ends_with(b"\r\n")));
    assert!(lines.starts_with(b" !\"#"));
    drop(characters);

    let echo = datagrams(services.addr(Port::Udp(7)));
    for len in [0, 1, 1_472, 1_473, 9_000] {
        // An empty one or two may be of an earlier question.
        let data = vec![len as u8; len];
        wait_until("the echo of a datagram", || ask(&echo, &data) == data);
    }
    let control = datagrams(services.addr(CONTROL));
    assert_eq!(ask(&control, b"ping"), b"pong");
    assert!(ask(&control, b"dance").starts_with(b"commands: "));
    if program == SERVICES {
        get(services.addr(WEB), "/");
        assert_comes_to_rest(services.addr(WEB), SERVICE_SOCKETS);
    }
    PASSED
}

fn small_services_answer() -> Outcome {
    answer_as_they_should(SERVICES)
}

fn small_services_on_the_raw_api_answer() -> Outcome {
    answer_as_they_should(SERVICES_RAW)
}

fn hold(program: &str) {
    let services = services(program);
    let held: Vec<_> = (0..64).map(|_| connect(services.addr(ECHO))).collect();
    for round in 0..3u8 {
        for (stream, n) in held.iter().zip(0u8..) {
            let mut stream = stream;
            stream.write_all(&[n, round]).expect("sent");
        }
        for (stream, n) in held.iter().zip(0u8..) {
            let mut echo = [0; 2];
            let mut stream = stream;
            stream.read_exact(&mut echo).expect("an echo");
            assert_eq!(echo, [n, round]);
        }
    }
    drop(held);
    if program == SERVICES {
        assert_comes_to_rest(services.addr(WEB), SERVICE_SOCKETS);
    }
}

fn sixty_four_connections_are_held() -> Outcome {
    hold(SERVICES);
    PASSED
}

fn sixty_four_connections_are_held_by_the_raw_api() -> Outcome {
    hold(SERVICES_RAW);
    PASSED
}

/// Answers one request with `answer`; where.
fn serve_once(answer: Vec<u8>) -> SocketAddr {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port");
    let addr = listener.local_addr().expect("an address");
    thread::spawn(move || {
        let (mut stream, _) = listener.accept().expect("a client");
        let mut request = Vec::new();
        // The client ends its side after the request.
        stream.read_to_end(&mut request).expect("a request");
        assert!(request.starts_with(b"GET /a?b=c HTTP/1.0\r\n"));
        stream.write_all(&answer).expect("a client that reads");
    });
    addr
}

fn fetch_fetches() -> Outcome {
    let body: Vec<u8> = (0..1_000_000u32).map(|n| (n % 241) as u8).collect();
    let mut answer = b"HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n".to_vec();
    answer.extend_from_slice(&body);
    let port = serve_once(answer).port();
    let (status, output, errors) = run(FETCH, &[&format!("http://{GATEWAY}:{port}/a?b=c")]);
    assert!(status.success(), "{errors}");
    assert!(output == body, "{} bytes", output.len());

    let port = serve_once(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nshort".to_vec()).port();
    let (status, _, errors) = run(FETCH, &[&format!("http://{GATEWAY}:{port}/a?b=c")]);
    assert!(
        !status.success() && errors.contains("5 of 9 bytes"),
        "{errors}"
    );

    // The port is free again, most likely.
    let (status, _, errors) = run(FETCH, &[&format!("http://{GATEWAY}:{port}/")]);
    assert!(
        !status.success() && errors.contains("connection refused"),
        "{errors}"
    );
    let (status, _, errors) = run(FETCH, &["http://example.org/"]);
    assert!(
        !status.success() && errors.contains("names are not resolved"),
        "{errors}"
    );
    PASSED
}

fn ping_pings() -> Outcome {
    let args = ["--count=5", "--interval=50", "--size=3000"];
    let gateway = GATEWAY.to_string();
    let (status, output, errors) = run(PING, &[&args[..], &[&gateway]].concat());
    assert!(status.success(), "{errors}");
    let output = String::from_utf8(output).expect("text");
    assert!(output.contains("5 requests, 5 replies"), "{output}");
    assert_eq!(output.matches("3008 bytes from 10.0.0.1: seq=").count(), 5);

    // Nobody has the address.
    let args = ["--count=1", "--interval=10000", "10.0.0.77"];
    let (status, output, errors) = run(PING, &args);
    assert!(!status.success());
    assert!(errors.contains("did not answer"), "{errors}");
    let output = String::from_utf8(output).expect("text");
    assert!(output.contains("seq=1: host unreachable"), "{output}");
    PASSED
}

fn loopback_measures() -> Outcome {
    // Writes of any size wake the stack for several segments at once, and that the reader.
    for write in ["64", "1460", "8192"] {
        let (status, output, errors) = run(LOOPBACK, &["--megabytes", "20", "--write", write]);
        assert!(status.success(), "{errors}");
        let output = String::from_utf8_lossy(&output);
        assert!(output.starts_with("20000000 bytes in "), "{output}");
        assert!(
            number_before(&output, "context switches") <= 400.0,
            "{output}"
        );
        let writes = 20e3 / write.parse::<f64>().expect("a number");
        let wakeups = number_before(&output, "wake-ups") * writes;
        assert!(wakeups <= 150.0 * 20.0, "{output}");
    }
    let (status, output, errors) = run(LOOPBACK, &["--round-trips", "5000", "--write", "64"]);
    assert!(status.success(), "{errors}");
    // Task, stack, task and back: with each other's preemptions not more than six switches.
    let output = String::from_utf8_lossy(&output);
    assert!(
        number_before(&output, "context switches") <= 6.5,
        "{output}"
    );
    PASSED
}

/// The number that stands before `what`.
fn number_before(text: &str, what: &str) -> f64 {
    let (before, _) = text.split_once(what).expect("it is told");
    let number = before.split_whitespace().next_back();
    number
        .and_then(|number| number.parse().ok())
        .expect("a number")
}

fn a_capture_has_all_frames() -> Outcome {
    let path = std::env::temp_dir().join(format!("gannet-{}.pcap", std::process::id()));
    let httpd = httpd(&["--pcap", path.to_str().expect("text")]);
    download(httpd.web(), 100_000);
    assert!(httpd.stop().success());
    let file = std::fs::File::open(&path).expect("a capture");
    let mut reader = pcap_file::pcap::PcapReader::new(file).expect("a header");
    let (mut frames, mut bytes) = (0, 0);
    while let Some(packet) = reader.next_packet() {
        frames += 1;
        bytes += packet.expect("a whole record").data.len();
    }
    std::fs::remove_file(&path).expect("it was there");
    assert!(
        frames > 70 && bytes > 100_000,
        "{frames} frames, {bytes} bytes"
    );
    PASSED
}

fn nothing_is_left_after_ctrl_c() -> Outcome {
    let httpd = httpd(&[]);
    get(httpd.web(), "/");
    let (host, board) = (httpd.id(), httpd.board());
    let start = Instant::now();
    assert!(httpd.stop().success());
    assert!(!is_alive(host) && !is_alive(board));
    assert!(start.elapsed() < LIMIT);
    PASSED
}

fn nothing_is_left_after_a_kill() -> Outcome {
    let httpd = httpd(&[]);
    get(httpd.web(), "/");
    let board = httpd.board();
    httpd.signal(Signal::KILL);
    wait_until("the board ends", || !is_alive(board));
    PASSED
}

fn wrong_options_are_explained() -> Outcome {
    let taken = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port");
    let port = taken.local_addr().expect("an address").port();
    let taken_port = format!("{port}:80");
    for (args, answer) in [
        (&["--forward", &taken_port][..], "can't be forwarded"),
        (&["--forward", "80"], "two ports with a colon"),
        (&["--loss", "101"], "between 0 and 100"),
        (&["--mask", "255.0.255.0"], "is not a network mask"),
        (
            &["--addr", "10.0.0.255", "--forward", "0:80"],
            "10.0.0.255 as the board's address",
        ),
        (
            &["--gateway", "10.1.0.1", "--forward", "0:80"],
            "10.1.0.1 as the board's gateway",
        ),
        (&["--tap", "x", "--forward", "0:80"], "nothing is forwarded"),
    ] {
        let (status, _, errors) = run(HTTPD, args);
        assert!(!status.success(), "{args:?}");
        assert!(errors.contains(answer), "{args:?}: {errors}");
    }
    let (status, help, _) = run(HTTPD, &["--help"]);
    let help = String::from_utf8_lossy(&help).into_owned();
    assert!(status.success() && help.contains("--forward") && help.contains("/stats"));
    PASSED
}

fn an_idle_board_sleeps() -> Outcome {
    if !long() {
        return skipped("takes most of a minute; GANNET_LONG=1 has it run");
    }
    let services = services(SERVICES);
    let control = datagrams(services.addr(CONTROL));
    // Switches from one task to another: the tcpip thread can't run without two.
    let switches = || -> u64 {
        let counters: Value =
            serde_json::from_slice(&ask(&control, b"stats simulator")).expect("JSON");
        counters["context_switches"].as_u64().expect("a number")
    };
    // The link's announcement and the like are over.
    thread::sleep(Duration::from_secs(5));
    let first = switches();
    let asking = switches() - first;
    let before = switches();
    let start = Instant::now();
    thread::sleep(Duration::from_secs(35));
    let idle = (switches() - before).saturating_sub(asking);
    let minutes = start.elapsed().as_secs_f64() / 60.0;
    println!("{idle} switches in {minutes:.2} minutes, and {asking} for asking");
    assert!(
        idle as f64 / 2.0 < 2.0 * minutes,
        "{idle} switches in {minutes:.2} minutes"
    );
    PASSED
}
