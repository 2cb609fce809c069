//! `coap_server` (coap-lite) against libcoap's client.
mod common;

use std::net::SocketAddr;
use std::process::{Command, ExitCode};

use common::{Outcome, PASSED, Port, Wire, find, output, run_on_links, skipped};

fn main() -> ExitCode {
    run_on_links(link_tests![
        requests_are_answered,
        requests_are_answered_over_a_bad_path
    ])
}

const SERVER: &str = env!("CARGO_BIN_EXE_coap_server");
const COAP: Port = Port::Udp(5683);

/// `Err`: this machine has no client.
fn client(server: SocketAddr) -> Result<impl Fn(&[&str], &str) -> String, &'static str> {
    let program = find("coap-client-notls").ok_or("there is no coap-client-notls")?;
    Ok(move |args: &[&str], path: &str| {
        let mut command = Command::new(&program);
        // Waits for the answer as long as CoAP asks again.
        command.args(["-B", "100"]).args(args);
        command.arg(format!("coap://{server}{path}"));
        String::from_utf8(output(&mut command, b"")).expect("text")
    })
}

fn requests_are_answered(wire: &Wire) -> Outcome {
    let (running, server) = wire.serve(SERVER, COAP, &[]);
    let ask = match client(server) {
        Ok(ask) => ask,
        Err(why) => return skipped(why),
    };
    assert_eq!(ask(&["-m", "get"], "/temperature"), "21.5\n");
    assert_eq!(ask(&["-m", "get"], "/light"), "off\n");
    assert_eq!(ask(&["-m", "put", "-e", "on"], "/light"), "");
    assert_eq!(ask(&["-m", "get"], "/light"), "on\n");
    // Not to be confirmed.
    assert_eq!(ask(&["-N", "-m", "get"], "/light"), "on\n");
    // Most of what a message may carry.
    let long = "x".repeat(1_000);
    ask(&["-m", "put", "-e", &long], "/light");
    assert_eq!(ask(&["-m", "get"], "/light").trim_end(), long);
    for path in ["/nothing", "/"] {
        assert_eq!(ask(&["-m", "get"], path), "", "4.04 has no body");
    }
    assert!(running.stop().success());
    PASSED
}

/// CoAP sends confirmable messages again.
fn requests_are_answered_over_a_bad_path(wire: &Wire) -> Outcome {
    // With some seeds CoAP is silent for a minute, for it doubles its time-outs.
    let faults = ["--loss", "15", "--duplicate", "15", "--seed", "5"];
    let (_running, server) = wire.serve(SERVER, COAP, &faults);
    let ask = match client(server) {
        Ok(ask) => ask,
        Err(why) => return skipped(why),
    };
    for text in ["on", "off", "dim"] {
        ask(&["-m", "put", "-e", text], "/light");
        assert_eq!(ask(&["-m", "get"], "/light").trim_end(), text);
    }
    PASSED
}
