//! A path that carries less than its ends, and one that carries all badly. Skips where network
//! namespaces cannot be made.
use std::time::Duration;

use gannet_core::Config;
use gannet_tests_linux::Side;
use gannet_tests_linux::pipe::Faults;
use gannet_tests_linux::rig::{Rig, bytes};

const BYTES: usize = 500_000;

/// 1,000 bytes less the headers of IP and TCP and the timestamps.
const MSS: u32 = 1_000 - 40 - 12;

fn narrow() -> Option<Rig> {
    let faults = Faults {
        mtu: 1_000,
        ..Faults::default()
    };
    Rig::or_skip(Config::default(), faults)
}

#[test]
fn gannet_finds_out_what_fits() {
    let Some(mut rig) = narrow() else { return };
    let stream = rig.connect();
    rig.to_linux(&stream, &bytes(BYTES));
    assert!(rig.middle.counters(Side::Left).too_big > 0);
    assert!(rig.gannet.stack().tcp_stats().path_mtu_lowered > 0);
    assert_eq!(rig.info().snd_mss, MSS);
}

#[test]
fn linux_finds_out_what_fits() {
    let Some(mut rig) = narrow() else { return };
    let stream = rig.accept();
    rig.to_gannet(&stream, &bytes(BYTES));
    assert!(rig.middle.counters(Side::Right).too_big > 0);
    assert_eq!(rig.info().rcv_mss, MSS);
}

#[test]
fn bytes_are_intact_over_a_bad_path() {
    let faults = Faults {
        loss: 0.03,
        reorder: 0.05,
        delay: Duration::from_millis(2),
        ..Faults::default()
    };
    let Some(mut rig) = Rig::or_skip(Config::default(), faults) else {
        return;
    };
    let stream = rig.connect();
    rig.to_linux(&stream, &bytes(BYTES));
    rig.to_gannet(&stream, &bytes(BYTES));
    let lost = [Side::Left, Side::Right].map(|side| rig.middle.counters(side).lost);
    assert!(lost.iter().all(|lost| *lost > 0), "{lost:?}");
}
