//! `mqtt_station` (rust-mqtt) against Debian's broker.
mod common;

use std::fs;
use std::net::{Ipv4Addr, TcpStream};
use std::process::{Command, ExitCode, Stdio};

use common::{
    Lines, Outcome, PASSED, Peer, Running, Wire, find, free_port, output, run_on_links, skipped,
    wait_until,
};
use tempfile::TempDir;

fn main() -> ExitCode {
    run_on_links(link_tests![
        messages_go_both_ways,
        the_station_survives_its_broker,
        a_station_waits_for_its_broker,
    ])
}

const STATION: &str = env!("CARGO_BIN_EXE_mqtt_station");

/// A broker's port and directory; it runs or not.
struct Broker<'a> {
    wire: &'a Wire,
    program: String,
    dir: TempDir,
    port: u16,
}

impl<'a> Broker<'a> {
    /// `Err`: this machine has none.
    fn new(wire: &'a Wire) -> Result<Self, &'static str> {
        let program = find("mosquitto").ok_or("there is no mosquitto")?;
        find("mosquitto_pub").ok_or("there are no clients of mosquitto")?;
        Ok(Self {
            wire,
            program,
            dir: tempfile::tempdir().expect("a directory"),
            port: free_port(),
        })
    }

    fn start(&self) -> Peer {
        let file = self.dir.path().join("mosquitto.conf");
        let (host, port) = (self.wire.host(), self.port);
        // As root it would change to a user who may not read the file.
        let settings =
            format!("listener {port} {host}\nallow_anonymous true\npersistence false\nuser root\n");
        fs::write(&file, settings).expect("room");
        let mut command = Command::new(&self.program);
        let mut broker = Peer::start(command.arg("-c").arg(&file).stderr(Stdio::null()));
        wait_until("the broker listens", || {
            assert!(broker.ended().is_none(), "port {port} went to another");
            TcpStream::connect((Ipv4Addr::LOCALHOST, port)).is_ok()
        });
        broker
    }

    fn station(&self) -> (Running, Lines) {
        self.wire
            .client(STATION, &[&self.wire.seen_by_board(self.port)])
    }

    /// A client of the host's.
    fn client(&self, program: &str) -> Command {
        let mut command = Command::new(program);
        command.args(["-h", "127.0.0.1", "-p", &self.port.to_string()]);
        command
    }

    fn publish(&self, qos: &str, text: &str) {
        let args = ["-t", "gannet/command", "-q", qos, "-m", text];
        output(self.client("mosquitto_pub").args(args), b"");
    }
}

/// What a station says of a session's beginning, in this order: of the messages of QoS 1 the broker
/// acknowledges ours before it delivers it.
fn expect_online(lines: &Lines) {
    lines.wait_for("subscribed");
    lines.wait_for("gannet/state QoS 1: online");
}

fn messages_go_both_ways(wire: &Wire) -> Outcome {
    let broker = match Broker::new(wire) {
        Ok(broker) => broker,
        Err(why) => return skipped(why),
    };
    let _running = broker.start();
    let (station, lines) = broker.station();
    expect_online(&lines);
    lines.wait_for("gannet/count QoS 0: 1");
    for (qos, text) in [
        ("0", "light on"),
        ("1", "light off"),
        ("1", &"long ".repeat(3_000)),
    ] {
        broker.publish(qos, text);
        lines.wait_for(&format!("gannet/command QoS {qos}: {text}"));
    }
    // Others hear the station too.
    let wanted = ["-t", "gannet/count", "-C", "2", "-W", "60"];
    let counts = output(broker.client("mosquitto_sub").args(wanted), b"");
    let counts: Vec<u32> = String::from_utf8_lossy(&counts)
        .lines()
        .map(|line| line.parse().expect("a number"))
        .collect();
    assert!(matches!(counts[..], [a, b] if b == a + 1), "{counts:?}");
    assert!(station.stop().success());
    PASSED
}

fn the_station_survives_its_broker(wire: &Wire) -> Outcome {
    let broker = match Broker::new(wire) {
        Ok(broker) => broker,
        Err(why) => return skipped(why),
    };
    let (_station, lines) = {
        let _running = broker.start();
        let station = broker.station();
        expect_online(&station.1);
        station
    };
    lines.wait_for("offline");
    let _running = broker.start();
    expect_online(&lines);
    broker.publish("1", "back");
    lines.wait_for("gannet/command QoS 1: back");
    PASSED
}

fn a_station_waits_for_its_broker(wire: &Wire) -> Outcome {
    let broker = match Broker::new(wire) {
        Ok(broker) => broker,
        Err(why) => return skipped(why),
    };
    let (_station, lines) = broker.station();
    lines.wait_for("offline: ");
    let _running = broker.start();
    expect_online(&lines);
    PASSED
}
