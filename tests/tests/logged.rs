//! What the log tells somebody who looks for a fault, and that it is not told for each packet.
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use gannet_core::netif::Link;
use gannet_core::wire::ipv4::Protocol;
use gannet_core::{HwAddr, Owner};
use gannet_tests::frames::{Packet, echo_request};
use gannet_tests::lan::{Lan, PEER, STACK, reply, request};
use log::{LevelFilter, Log, Metadata, Record};

/// Writes down what is logged.
struct Lines(Mutex<Vec<String>>);

static LINES: Lines = Lines(Mutex::new(Vec::new()));

impl Log for Lines {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.target() == "gannet"
    }

    fn log(&self, record: &Record<'_>) {
        assert!(self.enabled(record.metadata()), "one target: {record:?}");
        let line = format!("{} {}", record.level(), record.args());
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .push(line);
    }

    fn flush(&self) {}
}

fn told() -> Vec<String> {
    std::mem::take(&mut LINES.0.lock().unwrap_or_else(PoisonError::into_inner))
}

/// One test: the log is that of the process.
#[test]
fn rare_events_are_logged() {
    log::set_logger(&LINES).expect("the first one");
    log::set_max_level(LevelFilter::Trace);
    let mut lan = Lan::acquainted();
    let n = lan.netif.index();
    told();
    // Ordinary traffic, and what is only counted.
    for _ in 0..10 {
        lan.put_ip(&Packet::new(PEER, STACK, Protocol::ICMP, echo_request(10)));
        lan.put_ip(&Packet::new(PEER, STACK, Protocol::UDP, vec![1; 7]));
    }
    lan.sent();
    assert_eq!(told(), [""; 0]);

    lan.wire.set_link(Link::Down);
    lan.turn();
    lan.wire.set_link(Link::Up);
    lan.turn();
    let both = ["down", "up"].map(|what| format!("INFO interface {n}: {what}"));
    assert_eq!(told(), both);

    // A claim of our address: once in ten seconds.
    let stranger = HwAddr([2, 0, 0, 0, 0, 66]);
    for _ in 0..5 {
        lan.put_arp(HwAddr::BROADCAST, request(STACK, stranger, STACK));
    }
    let claim = format!("WARN interface {n}: {stranger} has our address {STACK}");
    assert_eq!(told(), [claim.as_str()]);
    lan.wait(Duration::from_secs(10));
    lan.put_arp(HwAddr::BROADCAST, reply(STACK, stranger));
    assert_eq!(told(), [claim.as_str()]);

    // A neighbour that moves; and one that is not there, in which a connection ends.
    lan.sent();
    lan.introduce();
    lan.put_arp(HwAddr::BROADCAST, request(PEER, stranger, PEER));
    let known = gannet_tests::lan::PEER_HW;
    let moved = format!("INFO {PEER} is at {stranger} now, not at {known}");
    assert_eq!(told(), [moved]);
    let nobody = Ipv4Addr::new(10, 0, 0, 99);
    let to = SocketAddr::from((nobody, 80));
    let mut tcp = lan.stack.tcp(lan.now);
    let pcb = tcp.new(Owner(0)).expect("free");
    tcp.connect(pcb, to).expect("a route");
    let from = tcp.local_addr(pcb).expect("connecting");
    lan.wait(Duration::from_secs(3_600));
    let told = told();
    let no_answer = format!("DEBUG interface {n}: no answer from {nobody}");
    assert_eq!(told[0], no_answer);
    let end = format!("DEBUG {from} to {to}: ");
    let last = told.last().expect("the connection's end");
    assert!(last.starts_with(&end), "{told:?}");
    assert_eq!(told.iter().filter(|line| line.starts_with(&end)).count(), 1);
    assert!(told.len() < 20, "{told:?}");
}
