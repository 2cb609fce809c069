//! Windows that close and open again between gannet and Linux. Skips where network namespaces
//! cannot be made.
use std::io::{ErrorKind, Write};
use std::time::Duration;

use gannet_core::Config;
use gannet_tests_linux::Side;
use gannet_tests_linux::pipe::Faults;
use gannet_tests_linux::rig::{Rig, bytes, read, write};

/// More than all buffers together take.
const BYTES: usize = 1_000_000;

#[test]
fn gannet_probes_a_linux_that_does_not_read() {
    let Some(mut rig) = Rig::or_skip(Config::default(), Faults::default()) else {
        return;
    };
    // 128 KiB of memory, no growth.
    rig.linux
        .sysctl("ipv4/tcp_rmem", "4096 131072 131072")
        .unwrap();
    let stream = rig.connect();
    let sent = bytes(BYTES);
    let mut written = 0;
    rig.until("a closed window, and probes", |gannet| {
        let pcb = gannet.app.pcb();
        written += write(&mut gannet.tcp(), pcb, &sent[written..]);
        let info = gannet.tcp().info(pcb).unwrap();
        info.snd_wnd == 0 && info.retransmitted >= 4
    });
    assert!(written < BYTES);
    let mut received = Vec::new();
    rig.until("everything to arrive", |gannet| {
        let pcb = gannet.app.pcb();
        written += write(&mut gannet.tcp(), pcb, &sent[written..]);
        read(&stream, &mut received);
        received.len() >= BYTES
    });
    assert!(received == sent);
}

#[test]
fn linux_probes_a_gannet_that_does_not_read() {
    let Some(mut rig) = Rig::or_skip(Config::default(), Faults::default()) else {
        return;
    };
    rig.gannet.app.hold_window = true;
    let mut stream = rig.connect();
    let sent = bytes(BYTES);
    let mut written = 0;
    let mut pump = move |upto: usize| {
        while written < upto {
            match stream.write(&sent[written..upto]) {
                Ok(n) => written += n,
                Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                Err(error) => panic!("Linux's connection: {error}"),
            }
        }
    };
    rig.until("a closed window", |gannet| {
        pump(BYTES);
        let pcb = gannet.app.pcb();
        gannet.tcp().info(pcb).unwrap().rcv_wnd == 0
    });
    // Linux's probes back off from 200 ms; three of them are answered.
    let before = rig.middle.counters(Side::Right).sent;
    let Rig { gannet, middle, .. } = &mut rig;
    let limit = Duration::from_secs(60);
    assert!(gannet.run_until(limit, |_| middle.counters(Side::Right).sent >= before + 3));
    assert!(rig.gannet.app.data.len() <= 65_535, "the window was kept");
    rig.gannet.app.hold_window = false;
    let held = std::mem::take(&mut rig.gannet.app.held);
    let (mut tcp, pcb) = rig.tcp();
    tcp.recved(pcb, held).unwrap();
    rig.until("everything to arrive", |gannet| {
        pump(BYTES);
        gannet.app.data.len() >= BYTES
    });
    assert!(rig.gannet.app.data == bytes(BYTES));
}
