//! The classic small services on blocking sockets, for tests from outside.
use std::process::ExitCode;

use clap::Parser;
use gannet_examples::options::Network;
use gannet_examples::{Program, run, services};

gannet_port_freertos::host!();

/// The classic small services on a simulated FreeRTOS board, on blocking sockets.
///
/// TCP: 7 echo, 9 discard, 13 daytime, 19 chargen, 80 HTTP. UDP: 7 echo, 9999 control.
///
/// A datagram to the control port is a command: "ping" is answered with "pong", "stats" with the
/// counters ("stats tcp" with some of them); "connect IP PORT" opens a connection and echoes until its end, "send IP PORT N" opens
/// one, sends N bytes and closes it.
///
/// Unless --forward says otherwise, they are at 127.0.0.1: 7007, 7009, 7013, 7019, 8080, UDP 7007
/// and 9999.
#[derive(Parser)]
#[command(name = "services")]
struct Options {
    #[command(flatten)]
    network: Network,
}

fn main() -> ExitCode {
    let options = Options::parse();
    run(
        options.network,
        Program {
            forwards: services::FORWARDS,
            raw: None,
            main: services::serve,
        },
    )
}
