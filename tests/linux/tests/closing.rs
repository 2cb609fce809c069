//! Ends of connections between gannet and Linux: half-close, reset, refusal, keepalive. Skips
//! where network namespaces cannot be made.
use std::io::ErrorKind;
use std::net::Shutdown;
use std::time::Duration;

use gannet_core::Config;
use gannet_core::tcp::{self, Keepalive};
use gannet_tests_linux::Side;
use gannet_tests_linux::pipe::Faults;
use gannet_tests_linux::rig::{Rig, bytes, error, is_end};
use rustix::net::sockopt;

const BYTES: usize = 300_000;

fn rig() -> Option<Rig> {
    Rig::or_skip(Config::default(), Faults::default())
}

#[test]
fn gannet_goes_on_sending_after_linux_has_ended() {
    let Some(mut rig) = rig() else { return };
    let stream = rig.connect();
    rig.to_gannet(&stream, b"request");
    stream.shutdown(Shutdown::Write).unwrap();
    rig.told("recv end");
    rig.to_linux(&stream, &bytes(BYTES));
    let (mut tcp, pcb) = rig.tcp();
    tcp.close(pcb).unwrap();
    rig.until("the end at Linux", |_| is_end(&stream));
    rig.until("gannet to forget it", |gannet| {
        gannet.stack().tcp_census().connections == 0
    });
    // Linux closed first: TIME-WAIT is there.
    assert_eq!(rig.gannet.stack().tcp_census().time_wait, 0);
}

#[test]
fn linux_goes_on_sending_after_gannet_has_ended() {
    let Some(mut rig) = rig() else { return };
    let stream = rig.accept();
    rig.to_linux(&stream, b"request");
    let (mut tcp, pcb) = rig.tcp();
    tcp.shutdown(pcb, tcp::Shutdown::Write).unwrap();
    rig.until("the end at Linux", |_| is_end(&stream));
    rig.to_gannet(&stream, &bytes(BYTES));
    drop(stream);
    rig.told("recv end");
    rig.until("TIME-WAIT", |gannet| {
        gannet.stack().tcp_census().time_wait == 1
    });
}

#[test]
fn linux_resets() {
    let Some(mut rig) = rig() else { return };
    let stream = rig.connect();
    rig.to_gannet(&stream, &bytes(BYTES));
    sockopt::set_socket_linger(&stream, Some(Duration::ZERO)).unwrap();
    drop(stream);
    rig.told("err Reset");
}

#[test]
fn linux_resets_for_data_nobody_reads() {
    let Some(mut rig) = rig() else { return };
    let stream = rig.connect();
    let (mut tcp, pcb) = rig.tcp();
    assert!(gannet_tests_linux::rig::write(&mut tcp, pcb, &bytes(1_000)) > 0);
    rig.until("Linux to have it", |gannet| {
        let pcb = gannet.app.pcb();
        gannet.tcp().info(pcb).unwrap().in_flight == 0
    });
    drop(stream);
    rig.told("err Reset");
}

#[test]
fn gannet_resets() {
    let Some(mut rig) = rig() else { return };
    let stream = rig.accept();
    rig.to_linux(&stream, &bytes(BYTES));
    let (mut tcp, pcb) = rig.tcp();
    tcp.abort(pcb).unwrap();
    rig.until("the reset at Linux", |_| {
        error(&stream) == Some(ErrorKind::ConnectionReset)
    });
}

#[test]
fn closed_ports_refuse() {
    let Some(mut rig) = rig() else { return };
    rig.start_connect();
    rig.told("err Refused");
    let stream = rig.linux_starts_connect();
    rig.until("the refusal at Linux", |_| {
        error(&stream) == Some(ErrorKind::ConnectionRefused)
    });
}

#[test]
fn linux_answers_keepalive_probes_until_it_is_gone() {
    let Some(mut rig) = rig() else { return };
    let stream = rig.connect();
    let (mut tcp, pcb) = rig.tcp();
    let keepalive = Keepalive {
        idle: Duration::from_millis(200),
        interval: Duration::from_millis(200),
        count: 3,
    };
    tcp.keepalive(pcb, Some(keepalive)).unwrap();
    let before = rig.middle.counters(Side::Right).sent;
    let limit = Duration::from_secs(60);
    let Rig { gannet, middle, .. } = &mut rig;
    assert!(gannet.run_until(limit, |_| middle.counters(Side::Right).sent >= before + 5));
    assert_eq!(rig.info().state, tcp::State::Established);
    rig.middle.set_faults(Side::Right, Faults::CUT);
    rig.told("err TimedOut");
    drop(stream);
}

#[test]
fn gannet_answers_keepalive_probes_until_it_is_gone() {
    let Some(mut rig) = rig() else { return };
    let stream = rig.connect();
    let second = Duration::from_secs(1);
    sockopt::set_tcp_keepidle(&stream, second).unwrap();
    sockopt::set_tcp_keepintvl(&stream, second).unwrap();
    sockopt::set_tcp_keepcnt(&stream, 2).unwrap();
    sockopt::set_socket_keepalive(&stream, true).unwrap();
    let before = rig.middle.counters(Side::Left).sent;
    let limit = Duration::from_secs(60);
    let Rig { gannet, middle, .. } = &mut rig;
    assert!(gannet.run_until(limit, |_| middle.counters(Side::Left).sent >= before + 4));
    assert_eq!(error(&stream), None);
    rig.middle.set_faults(Side::Left, Faults::CUT);
    rig.until("Linux to give up", |_| {
        error(&stream) == Some(ErrorKind::TimedOut)
    });
}
