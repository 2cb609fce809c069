//! What gannet and Linux agree on in the handshake, either way, and that data flows with it.
//! Skips where network namespaces cannot be made.
use gannet_core::Config;
use gannet_core::config::Use;
use gannet_tests_linux::Side;
use gannet_tests_linux::pipe::Faults;
use gannet_tests_linux::rig::{Rig, bytes};

const BYTES: usize = 200_000;

#[derive(Clone, Copy, Debug, PartialEq)]
enum Opener {
    Gannet,
    Linux,
}

/// One connection after Linux was told `sysctls`; some data each way.
fn connection(opener: Opener, config: Config, sysctls: &[(&str, &str)]) -> Option<Rig> {
    let mut rig = Rig::or_skip(config, Faults::default())?;
    for (name, value) in sysctls {
        rig.linux.sysctl(name, value).unwrap();
    }
    let stream = match opener {
        Opener::Gannet => rig.connect(),
        Opener::Linux => rig.accept(),
    };
    rig.to_linux(&stream, &bytes(BYTES));
    rig.to_gannet(&stream, &bytes(BYTES));
    Some(rig)
}

#[test]
fn all_options_are_agreed_on() {
    for opener in [Opener::Gannet, Opener::Linux] {
        let Some(mut rig) = connection(opener, Config::default(), &[]) else {
            return;
        };
        let info = rig.info();
        assert!(info.timestamps && info.sack, "{opener:?}: {info:?}");
        assert!(info.window_scales.is_some(), "{opener:?}: {info:?}");
        // RFC 7323 appendix A: timestamps take 12 bytes of each segment.
        assert_eq!((info.snd_mss, info.rcv_mss), (1_448, 1_448), "{opener:?}");
        assert_eq!(info.retransmitted, 0, "{opener:?}: {info:?}");
    }
}

#[test]
fn what_linux_does_not_want_is_not_used() {
    let off = [
        ("ipv4/tcp_timestamps", "0"),
        ("ipv4/tcp_sack", "0"),
        ("ipv4/tcp_window_scaling", "0"),
        ("ipv4/tcp_ecn", "0"),
    ];
    for opener in [Opener::Gannet, Opener::Linux] {
        let Some(mut rig) = connection(opener, Config::default(), &off) else {
            return;
        };
        let info = rig.info();
        assert!(!info.timestamps && !info.sack && !info.ecn, "{opener:?}");
        assert_eq!(info.window_scales, None, "{opener:?}");
        assert_eq!((info.snd_mss, info.rcv_mss), (1_460, 1_460), "{opener:?}");
    }
}

#[test]
fn what_gannet_does_not_want_is_not_used() {
    let mut config = Config::default();
    config.tcp.timestamps = Use::Off;
    config.tcp.sack = Use::Off;
    config.tcp.window_scaling = Use::Off;
    config.tcp.ecn = Use::Off;
    for opener in [Opener::Gannet, Opener::Linux] {
        let on = [("ipv4/tcp_ecn", "1")];
        let Some(mut rig) = connection(opener, config.clone(), &on) else {
            return;
        };
        let info = rig.info();
        assert!(!info.timestamps && !info.sack && !info.ecn, "{opener:?}");
        assert_eq!(info.window_scales, None, "{opener:?}");
    }
}

#[test]
fn ecn_is_agreed_on_as_linux_is_set() {
    // tcp_ecn: 0 never, 1 asked for and granted, 2 granted (Linux's default).
    for (opener, setting, agreed) in [
        (Opener::Gannet, "0", false),
        (Opener::Gannet, "1", true),
        (Opener::Gannet, "2", true),
        (Opener::Linux, "0", false),
        (Opener::Linux, "1", true),
        (Opener::Linux, "2", false),
    ] {
        let sysctl = [("ipv4/tcp_ecn", setting)];
        let Some(mut rig) = connection(opener, Config::default(), &sysctl) else {
            return;
        };
        assert_eq!(rig.info().ecn, agreed, "{opener:?}, tcp_ecn = {setting}");
    }
}

#[test]
fn congestion_marks_are_heard_and_told() {
    let marks = Faults {
        mark: 0.05,
        ..Faults::default()
    };
    let Some(mut rig) = Rig::or_skip(Config::default(), marks) else {
        return;
    };
    rig.linux.sysctl("ipv4/tcp_ecn", "1").unwrap();
    let before = rig.linux.counter("InCEPkts").unwrap();
    let stream = rig.connect();
    rig.to_linux(&stream, &bytes(5 * BYTES));
    let marked = rig.middle.counters(Side::Left).marked;
    let seen = rig.linux.counter("InCEPkts").unwrap() - before;
    assert!(marked > 0 && seen > 0, "{marked} marked, {seen} seen");
    let info = rig.info();
    assert_eq!(info.retransmitted, 0, "a mark is no loss");
    assert!(
        info.snd_ssthresh < 65_535 && info.snd_cwnd < 65_535,
        "gannet slowed down: {info:?}"
    );
    rig.to_gannet(&stream, &bytes(5 * BYTES));
    let marked = rig.middle.counters(Side::Right).marked;
    assert!(marked > 0);
    let heard = u64::from(rig.info().ecn_marks);
    assert!((1..=marked).contains(&heard), "{heard} of {marked}");
}
