//! `dhcp_station` (edge-dhcp, domain, reqwless) against dnsmasq, which lends addresses and knows names;
//! and against a name server that is not to be trusted.
mod common;

use std::io::{self, ErrorKind, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::process::{Command, ExitCode, Stdio};
use std::thread;
use std::time::Duration;

use common::{Lines, Outcome, PASSED, Peer, Running, Wire, find, run_on_tap, skipped};
use gannet_port_freertos::device::namespace;
use socket2::{Domain, Socket, Type};
use tempfile::TempDir;

fn main() -> ExitCode {
    run_on_tap(link_tests![
        a_lease_is_found_used_and_prolonged,
        a_refused_address_is_given_up,
        another_server_takes_over,
        an_expired_address_is_given_up,
        an_address_of_another_host_is_declined,
        malformed_offers_do_no_harm,
        what_is_lost_is_asked_again,
        only_answers_are_believed,
        long_answers_come_over_tcp,
    ])
}

const STATION: &str = env!("CARGO_BIN_EXE_dhcp_station");
/// Seconds. The shortest lease of dnsmasq's is two minutes, so the station trusts it for less.
const LEASE: &str = "--lease-at-most=20";
/// When to renew (T1) and to rebind (T2), in seconds.
const TIMES: [&str; 2] = ["--dhcp-option=option:T1,4", "--dhcp-option=option:T2,8"];

/// A station, its network, and dnsmasq's directory.
struct Net<'a> {
    wire: &'a Wire,
    dnsmasq: String,
    dir: TempDir,
    station: Running,
    lines: Lines,
}

impl<'a> Net<'a> {
    /// Starts a station; nobody lends addresses yet. `Err`: this machine has no dnsmasq.
    fn new(wire: &'a Wire, args: &[&str]) -> Result<Self, &'static str> {
        let dnsmasq = find("dnsmasq").ok_or("there is no dnsmasq")?;
        let (station, lines) = wire.client(STATION, &[&[LEASE, "--every=1"], args].concat());
        Ok(Self {
            wire,
            dnsmasq,
            dir: tempfile::tempdir().expect("a directory"),
            station,
            lines,
        })
    }

    /// The address that ends in `host`.
    fn addr(&self, host: u8) -> Ipv4Addr {
        let [a, b, c, _] = self.wire.kernel().1.octets();
        [a, b, c, host].into()
    }

    /// Gives the kernel's interface, or an alias of it, the address that ends in `host`.
    fn kernel_has(&self, alias: &str, host: u8) {
        let name = format!("{}{alias}", self.wire.kernel().0);
        namespace::configure(&name, None, self.addr(host), 24).expect("a namespace of our own");
    }

    /// Starts dnsmasq, which lends the two addresses that end in `first` and the next, and says what
    /// it does. `memory`: a file of its leases.
    fn serve(&self, first: u8, memory: &str, args: &[String]) -> (Peer, Lines) {
        let interface = self.wire.kernel().0;
        let file = self.dir.path().join(memory);
        let mut command = Command::new(&self.dnsmasq);
        command
            // In the foreground, as the user who has started it, on this interface only.
            .args(["--no-daemon", "--conf-file=/dev/null", "--pid-file"])
            .args(["--bind-interfaces", "--except-interface=lo", "--log-dhcp"])
            .args(["--no-resolv", "--no-hosts", "--no-ping"])
            .arg("--dhcp-authoritative")
            .arg(format!("--interface={interface}"))
            .arg(format!("--dhcp-leasefile={}", file.display()))
            .arg(format!(
                "--dhcp-range={},{},255.255.255.0,120",
                self.addr(first),
                self.addr(first + 1)
            ))
            .args(TIMES)
            .args(args)
            .stderr(Stdio::piped());
        let mut peer = Peer::start(&mut command);
        let lines = Lines::of(peer.errors());
        lines.wait_for("DHCP, IP range");
        (peer, lines)
    }

    /// A server for names, with those that dnsmasq knows: an alias of a host.
    fn names(&self, host: u8) -> [String; 2] {
        [
            format!("--host-record=web.station.test,{}", self.addr(host)),
            "--cname=station.test,web.station.test".into(),
        ]
    }

    /// Waits until the station has an address that dnsmasq lends: it.
    fn bound(&self, first: u8) -> Ipv4Addr {
        let line = self.lines.wait_for("bound: ");
        let addr = line
            .trim_start_matches("bound: ")
            .split('/')
            .next()
            .and_then(|addr| addr.parse().ok())
            .unwrap_or_else(|| panic!("an address: {line}"));
        assert!(
            [self.addr(first), self.addr(first + 1)].contains(&addr),
            "{line}"
        );
        addr
    }
}

/// Whether a host answers at `addr`: that nobody listens there.
fn is_there(addr: Ipv4Addr) -> bool {
    let connected =
        TcpStream::connect_timeout(&SocketAddr::from((addr, 9)), Duration::from_secs(4));
    matches!(connected, Err(error) if error.kind() == ErrorKind::ConnectionRefused)
}

/// Serves a page at a free port of all addresses: the port.
fn serve_page(text: &'static str) -> u16 {
    let listener = TcpListener::bind((Ipv4Addr::UNSPECIFIED, 0)).expect("a port");
    let port = listener.local_addr().expect("bound").port();
    thread::spawn(move || {
        for mut client in listener.incoming().flatten() {
            // Who has gone wants no page.
            let _ = serve_to(&mut client, text);
        }
    });
    port
}

fn serve_to(client: &mut TcpStream, text: &str) -> io::Result<()> {
    let mut request = Vec::new();
    let mut piece = [0; 512];
    while !request.ends_with(b"\r\n\r\n") {
        match client.read(&mut piece)? {
            0 => return Ok(()),
            n => request.extend(&piece[..n]),
        }
    }
    let len = text.len();
    write!(
        client,
        "HTTP/1.1 200 OK\r\nContent-Length: {len}\r\nConnection: close\r\n\r\n{text}"
    )
}

fn a_lease_is_found_used_and_prolonged(wire: &Wire) -> Outcome {
    let port = serve_page("light on");
    let url = format!("http://station.test:{port}/");
    let net = match Net::new(wire, &[&url, "--resolve=nobody.station.test"]) {
        Ok(net) => net,
        Err(why) => return skipped(why),
    };
    let gateway = wire.kernel().1;
    let args = net.names(1);
    let args = [&args[..], &["--local=/station.test/".into()]].concat();
    let (_server, log) = net.serve(50, "leases", &args);
    let line = net.lines.wait_for("bound: ");
    let rest = format!("/24, gateway {gateway}, name server {gateway}, ");
    assert!(line.contains(&rest), "{line}");
    assert!(line.ends_with(&format!(" s from {gateway}")), "{line}");
    // The server heard whom the station has chosen.
    log.wait_for("DHCPDISCOVER");
    log.wait_for("DHCPREQUEST");
    log.wait_for("DHCPACK");
    net.lines
        .wait_for("no name: nobody.station.test: no such name");
    net.lines.wait_for("page: light on");
    // Renewed by the server that has lent it, before others are asked.
    for _ in 0..2 {
        let line = net.lines.wait_for("renewed: ");
        assert!(line.contains(&rest), "{line}");
        log.wait_for("DHCPREQUEST");
    }
    net.lines.wait_for("page: light on");
    assert!(net.station.stop().success());
    PASSED
}

fn a_refused_address_is_given_up(wire: &Wire) -> Outcome {
    let net = match Net::new(wire, &["--resolve=station.test"]) {
        Ok(net) => net,
        Err(why) => return skipped(why),
    };
    let (server, _) = net.serve(50, "leases", &net.names(1));
    let old = net.bound(50);
    assert!(is_there(old));
    drop(server);
    let (_server, log) = net.serve(60, "others", &net.names(7));
    log.wait_for("DHCPNAK");
    net.lines.wait_for("lost: a server has refused the address");
    let new = net.bound(60);
    assert!(is_there(new));
    assert!(!is_there(old));
    net.lines
        .wait_for(&format!("name: station.test is {}", net.addr(7)));
    PASSED
}

fn another_server_takes_over(wire: &Wire) -> Outcome {
    let net = match Net::new(wire, &["--resolve=station.test"]) {
        Ok(net) => net,
        Err(why) => return skipped(why),
    };
    let (server, _) = net.serve(50, "leases", &net.names(1));
    let addr = net.bound(50);
    net.lines
        .wait_for(&format!("name: station.test is {}", net.addr(1)));
    drop(server);
    // The old one's address is nobody's now, so nobody answers there.
    net.kernel_has("", 3);
    let (_server, _) = net.serve(50, "others", &net.names(3));
    // That is until the old server is not asked any more.
    let other = format!(" s from {}", net.addr(3));
    let line = net.lines.wait_for(&other);
    assert!(line.starts_with(&format!("renewed: {addr}/24")), "{line}");
    net.lines
        .wait_for(&format!("name: station.test is {}", net.addr(3)));
    let line = net.lines.wait_for("renewed: ");
    assert!(line.ends_with(&other), "{line}");
    PASSED
}

fn an_expired_address_is_given_up(wire: &Wire) -> Outcome {
    let net = match Net::new(wire, &["--resolve=station.test"]) {
        Ok(net) => net,
        Err(why) => return skipped(why),
    };
    let (server, _) = net.serve(50, "leases", &net.names(1));
    let addr = net.bound(50);
    net.lines.wait_for("name: ");
    assert!(is_there(addr));
    drop(server);
    net.lines
        .wait_for("lost: no server has prolonged the lease");
    assert!(!is_there(addr));
    let (_server, _) = net.serve(50, "leases", &net.names(1));
    // It is the station's still, as far as dnsmasq knows.
    assert_eq!(net.bound(50), addr);
    assert!(is_there(addr));
    net.lines.wait_for("name: ");
    PASSED
}

fn an_address_of_another_host_is_declined(wire: &Wire) -> Outcome {
    let net = match Net::new(wire, &[]) {
        Ok(net) => net,
        Err(why) => return skipped(why),
    };
    let taken = net.addr(40);
    net.kernel_has(":1", 40);
    let host = format!("--dhcp-host=02:00:00:00:00:02,{taken}");
    // To all: what is sent to an address of the server's own host does not leave it.
    let (_server, log) = net.serve(50, "leases", &[host, "--dhcp-broadcast".into()]);
    net.lines.wait_for(&format!("declined: {taken} is "));
    log.wait_for("DHCPDECLINE");
    let addr = net.bound(50);
    assert!(is_there(addr));
    PASSED
}

fn what_is_lost_is_asked_again(wire: &Wire) -> Outcome {
    let faults = ["--loss=20", "--duplicate=20", "--resolve=station.test"];
    let net = match Net::new(wire, &faults) {
        Ok(net) => net,
        Err(why) => return skipped(why),
    };
    let (_server, _) = net.serve(50, "leases", &net.names(1));
    net.bound(50);
    let name = format!("name: station.test is {}", net.addr(1));
    for _ in 0..3 {
        net.lines.wait_for(&name);
        net.lines.wait_for("renewed: ");
    }
    PASSED
}

/// Offers that `edge-dhcp` would stumble over, and some that no host can use; then comes dnsmasq.
fn malformed_offers_do_no_harm(wire: &Wire) -> Outcome {
    let net = match Net::new(wire, &[]) {
        Ok(net) => net,
        Err(why) => return skipped(why),
    };
    let server = server_on(wire.kernel().0).expect("a namespace of our own");
    let offers = offers(net.addr(50), net.addr(255));
    // It asks again and again, since it has heard of nothing that it can use.
    for _ in 0..3 {
        let mut discover = [0; 600];
        let (len, _) = server.recv_from(&mut discover).expect("the station asks");
        // A request of a client without an address, and DISCOVER first.
        assert_eq!((discover[0], &discover[12..16]), (1, &[0; 4][..]));
        assert_eq!(discover[240..243], [53, 1, 1], "{len}");
        for (addr, options) in &offers {
            let mut offer = discover[..240].to_vec();
            offer[0] = 2;
            offer[16..20].copy_from_slice(&addr.octets());
            offer.extend(options);
            let sent = server.send_to(&offer, (Ipv4Addr::BROADCAST, 68));
            sent.expect("the interface is up");
        }
    }
    drop(server);
    let (_server, _) = net.serve(50, "leases", &[]);
    let line = net.lines.wait_for("");
    assert!(line.starts_with("bound: "), "{line}");
    PASSED
}

/// A socket at the port of DHCP servers for what comes in by `interface`.
fn server_on(interface: &str) -> io::Result<UdpSocket> {
    let socket = Socket::new(Domain::IPV4, Type::DGRAM, None)?;
    // Other servers are on the networks of other tests.
    socket.set_reuse_address(true)?;
    socket.bind_device(Some(interface.as_bytes()))?;
    socket.set_broadcast(true)?;
    socket.set_read_timeout(Some(common::LIMIT))?;
    socket.bind(&SocketAddr::from((Ipv4Addr::UNSPECIFIED, 67)).into())?;
    Ok(socket.into())
}

/// Addresses offered and the options with them.
fn offers(good: Ipv4Addr, broadcast: Ipv4Addr) -> Vec<(Ipv4Addr, Vec<u8>)> {
    const OFFER: [u8; 3] = [53, 1, 2];
    const SERVER: [u8; 6] = [54, 4, 10, 9, 9, 9];
    const MASK: [u8; 6] = [1, 4, 255, 255, 255, 0];
    const END: [u8; 1] = [255];
    let whole = |more: &[u8]| [&OFFER[..], &SERVER, &MASK, more].concat();
    vec![
        // Without the server, without what it is, without an end.
        (good, [&OFFER[..], &MASK, &END].concat()),
        (good, [&SERVER[..], &MASK, &END].concat()),
        (good, whole(&[])),
        // An option that is longer than the message, or has no length.
        (good, whole(&[3, 200, 1, 255])),
        (good, whole(&[3])),
        // A kind of message that there is not, a mask with a hole, and one of three octets.
        (good, [&[53, 1, 99][..], &SERVER, &MASK, &END].concat()),
        (
            good,
            [&OFFER[..], &SERVER, &[1, 4, 255, 0, 255, 0], &END].concat(),
        ),
        (
            good,
            [&OFFER[..], &SERVER, &[1, 3, 255, 255, 255], &END].concat(),
        ),
        // Addresses that no host has.
        (broadcast, whole(&END)),
        (Ipv4Addr::UNSPECIFIED, whole(&END)),
        (Ipv4Addr::LOCALHOST, whole(&END)),
        ([224, 0, 0, 1].into(), whole(&END)),
        // Lists of addresses that are none, without the server: nothing to accept, but to survive.
        (
            good,
            [&OFFER[..], &[3, 5, 1, 2, 3, 4, 5, 6, 3, 1, 2, 3], &END].concat(),
        ),
        (good, [&[0, 0, 0][..], &OFFER, &[6, 0, 3, 0], &END].concat()),
        (good, Vec::new()),
    ]
}

/// A station whose name server is the test itself, at port 53.
fn untrusted<'a>(wire: &'a Wire) -> Result<(Net<'a>, Peer, UdpSocket), &'static str> {
    let net = Net::new(wire, &["--resolve=station.test"])?;
    let socket = UdpSocket::bind((net.addr(1), 53)).expect("dnsmasq is not there");
    socket.set_read_timeout(Some(common::LIMIT)).expect("open");
    let option = format!("--dhcp-option=option:dns-server,{}", net.addr(1));
    let (server, _) = net.serve(50, "leases", &["--port=0".into(), option]);
    Ok((net, server, socket))
}

/// A query and who has sent it.
fn query(socket: &UdpSocket) -> (Vec<u8>, SocketAddr) {
    let mut query = [0; 512];
    let (len, from) = socket.recv_from(&mut query).expect("the station asks");
    let query = query[..len].to_vec();
    // One question, recursion desired, and nothing else: RFC 1035 §4.1.
    assert_eq!(query[2..12], [1, 0, 0, 1, 0, 0, 0, 0, 0, 0]);
    assert_eq!(query[12..], *b"\x07station\x04test\x00\x00\x01\x00\x01");
    (query, from)
}

const POINTER: &[u8] = &[0xc0, 12];

/// The answer to `query` that the name `owner` has the address `addr`.
fn answer(query: &[u8], owner: &[u8], addr: Ipv4Addr) -> Vec<u8> {
    let mut answer = query.to_vec();
    // An answer, recursion available; one record of type A, class IN, for a minute.
    answer[2..4].copy_from_slice(&[0x81, 0x80]);
    answer[7] = 1;
    answer.extend(owner);
    answer.extend([0, 1, 0, 1, 0, 0, 0, 60, 0, 4]);
    answer.extend(addr.octets());
    answer
}

fn only_answers_are_believed(wire: &Wire) -> Outcome {
    let (net, _server, socket) = match untrusted(wire) {
        Ok(untrusted) => untrusted,
        Err(why) => return skipped(why),
    };
    let (right, wrong) = (net.addr(1), net.addr(66));
    // Not answered: it is asked again, with another number from another port.
    let (first, first_from) = query(&socket);
    let (asked, from) = query(&socket);
    assert_ne!((&first[..2], first_from), (&asked[..2], from));
    assert_eq!(first_from.ip(), from.ip());

    let forged = answer(&asked, POINTER, wrong);
    let other_port = UdpSocket::bind((net.addr(1), 0)).expect("free");
    other_port.send_to(&forged, from).expect("sent");
    net.kernel_has(":1", 9);
    let other_host = UdpSocket::bind((net.addr(9), 53)).expect("free");
    other_host.send_to(&forged, from).expect("sent");
    socket.send_to(&forged, first_from).expect("sent");
    let wrongs: [fn(&mut Vec<u8>); 8] = [
        // Another number; no answer; another kind of query.
        |answer| answer[1] ^= 1,
        |answer| answer[2] &= 0x7f,
        |answer| answer[2] |= 0x20,
        // Another name, another type, another class.
        |answer| answer[14] ^= 1,
        |answer| answer[27] = 28,
        |answer| answer[29] = 3,
        // No question; not even a header.
        |answer| answer[5] = 0,
        |answer| answer.truncate(11),
    ];
    for change in wrongs {
        let mut answer = forged.clone();
        change(&mut answer);
        socket.send_to(&answer, from).expect("sent");
    }
    // The right answer, with a record of another name before.
    let mut answer = answer(&asked, b"\x05other\x00", wrong);
    answer[7] = 2;
    answer.extend(POINTER);
    answer.extend([0, 1, 0, 1, 0, 0, 0, 60, 0, 4]);
    answer.extend(right.octets());
    socket.send_to(&answer, from).expect("sent");
    let line = net.lines.wait_for("name: ");
    assert_eq!(line, format!("name: station.test is {right}"));

    // A server that fails, a name without address, and a chain of aliases without end.
    for (change, told) in [
        (2, "the name server says SERVFAIL"),
        (0, "the name has no IPv4 address"),
    ] {
        let (asked, from) = query(&socket);
        let mut answer = asked;
        answer[2..4].copy_from_slice(&[0x81, 0x80 | change]);
        socket.send_to(&answer, from).expect("sent");
        let line = net.lines.wait_for("no name: ");
        assert!(line.starts_with("no name: station.test: "), "{line}");
        assert!(line.ends_with(told), "{line}");
    }
    let (mut endless, from) = query(&socket);
    endless[2..4].copy_from_slice(&[0x81, 0x80]);
    endless[7] = 1;
    endless.extend(POINTER);
    endless.extend([0, 5, 0, 1, 0, 0, 0, 60, 0, 2]);
    endless.extend(POINTER);
    socket.send_to(&endless, from).expect("sent");
    net.lines
        .wait_for("no name: station.test: the name server says FORMERR");
    PASSED
}

fn long_answers_come_over_tcp(wire: &Wire) -> Outcome {
    let (net, _server, socket) = match untrusted(wire) {
        Ok(untrusted) => untrusted,
        Err(why) => return skipped(why),
    };
    let (right, wrong) = (net.addr(1), net.addr(66));
    let listener = TcpListener::bind((net.addr(1), 53)).expect("free");
    let (asked, from) = query(&socket);
    // Cut off: what is there is not all.
    let mut short = answer(&asked, POINTER, wrong);
    short[2] |= 2;
    socket.send_to(&short, from).expect("sent");
    let (mut stream, _) = listener.accept().expect("the station comes");
    let mut again = [0; 2 + 30];
    stream.read_exact(&mut again).expect("a query");
    assert_eq!(again[..2], [0, 30]);
    assert_eq!(again[4..], asked[2..]);
    let answer = answer(&again[2..], POINTER, right);
    let len = u16::try_from(answer.len()).expect("short").to_be_bytes();
    stream.write_all(&len).expect("connected");
    stream.write_all(&answer).expect("connected");
    let line = net.lines.wait_for("name: ");
    assert_eq!(line, format!("name: station.test is {right}"));
    PASSED
}
