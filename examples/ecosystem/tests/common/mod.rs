//! Running the programs as the other examples' tests do, against programs of the host.
#![allow(dead_code, reason = "each test program uses a part")]
#[path = "../../../tests/common/running.rs"]
mod running;
mod wire;

use std::io::Write;
use std::net::{Ipv4Addr, TcpListener};
use std::process::{Child, Command, Stdio};

pub(crate) use running::*;
pub(crate) use wire::*;

/// A program of the host that runs until this is dropped.
pub(crate) struct Peer(Child);

impl Peer {
    pub(crate) fn start(command: &mut Command) -> Self {
        Self(
            command
                .stdin(Stdio::null())
                .spawn()
                .expect("the program starts"),
        )
    }

    /// What it says; once.
    pub(crate) fn lines(&mut self) -> Lines {
        Lines::of(self.0.stdout.take().expect("it is piped"))
    }

    /// What it says of what it does; once.
    pub(crate) fn errors(&mut self) -> std::process::ChildStderr {
        self.0.stderr.take().expect("it is piped")
    }

    /// How it ended, if it has.
    pub(crate) fn ended(&mut self) -> Option<std::process::ExitStatus> {
        self.0.try_wait().expect("it is ours")
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        // Fails only if it has ended.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Runs a program of the host to its end, which must be a good one: what it has said.
pub(crate) fn output(command: &mut Command, input: &[u8]) -> Vec<u8> {
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the program starts");
    let mut stdin = child.stdin.take().expect("it is piped");
    let input = input.to_vec();
    let writer = std::thread::spawn(move || {
        // Who does not want it need not read it.
        let _ = stdin.write_all(&input);
    });
    let output = child.wait_with_output().expect("it is ours");
    writer.join().expect("no panic");
    assert!(
        output.status.success(),
        "{command:?}: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    output.stdout
}

/// The program `name`, if this machine has it.
pub(crate) fn find(name: &str) -> Option<String> {
    let path = std::env::var("PATH").unwrap_or_default();
    // Daemons are where not every user looks.
    let places = path.split(':').chain(["/usr/sbin", "/usr/local/sbin"]);
    places
        .map(|place| format!("{place}/{name}"))
        .find(|file| std::fs::metadata(file).is_ok_and(|file| file.is_file()))
}

/// A port of 127.0.0.1 that was free a moment ago, for a program that can't pick one.
pub(crate) fn free_port() -> u16 {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port");
    listener.local_addr().expect("bound").port()
}

/// The first `n` bytes of the examples' pattern.
pub(crate) fn pattern(n: usize) -> Vec<u8> {
    let period = gannet_examples::pattern::at(0, 251);
    period.iter().copied().cycle().take(n).collect()
}
