//! How fast other TCP implementations sent, and for how long they waited (X in our list): timers,
//! round trips and windows of the sender. The arithmetic of CUBIC has its records in the unit tests
//! of `congestion`.
use std::time::Duration;

use gannet_core::Config;
use gannet_core::TcpPcb;
use gannet_core::config::Use;
use gannet_core::tcp::CongestionControl;
use gannet_tests::recorder::Recorder;
use gannet_tests::script::{Script, plain_config};

/// An accepted connection without options, with a peer whose window is `window`.
fn accepted(window: u16) -> (Script, Recorder, TcpPcb) {
    let mut config = plain_config();
    config.tcp.congestion = CongestionControl::NewReno;
    let mut app = Recorder::default();
    let mut t = Script::accepted(config, &mut app);
    app.take();
    t.put(&mut app, &format!(". 1:1(0) ack 1 win {window}"));
    let pcb = app.pcb();
    (t, app, pcb)
}

fn data_segments(t: &mut Script) -> usize {
    let sent = t.sent();
    sent.iter().filter(|text| !text.contains("(0)")).count()
}

#[test]
fn x030_after_a_lost_syn_data_waits_three_seconds_at_first() {
    // RFC 6298 §5.7: of the path nothing is known, but that it is slow or lossy.
    let (mut t, pcb) = Script::connecting(plain_config());
    let mut app = Recorder::default();
    t.run(
        &mut app,
        "> S 0:0(0) <mss 1460>
         wait 1000
         > S 0:0(0) <mss 1460>
         < S. 0:0(0) ack 1 win 60000 <mss 1000>
         > . 1:1(0) ack 1",
    );
    t.write(pcb, 1, 100);
    t.run(
        &mut app,
        "> P. 1:101(100) ack 1
         wait 2900
         > nothing
         wait 200
         > P. 1:101(100) ack 1",
    );
}

#[test]
fn x033_a_window_of_a_gigabyte_is_scaled_by_14() {
    // RFC 7323 §2.3: no larger shift than 14.
    for (window, shift) in [
        (65_535, 0),
        (65_536, 1),
        (1 << 20, 5),
        (1 << 30, 14),
        (u32::MAX, 14),
    ] {
        let mut config = plain_config();
        config.tcp.window_scaling = Use::On;
        config.tcp.rcv_wnd_max = window;
        let (mut t, _) = Script::connecting(config);
        let expected = format!("> S 0:0(0) <mss 1460,ws {shift}>");
        t.run(&mut Recorder::default(), &expected);
    }
}

#[test]
fn x043_each_further_duplicate_lets_another_segment_out() {
    // RFC 6582 §3.2 step 3 and 4.
    let (mut t, mut app, pcb) = accepted(60_000);
    t.write(pcb, 1, 10_000);
    t.turn(&mut app);
    let flight = data_segments(&mut t);
    t.write(pcb, 10_001, 20_000);
    t.turn(&mut app);
    t.sent();
    assert!(flight >= 8, "{flight}");
    let mut sent = Vec::new();
    for _ in 0..flight - 1 {
        t.put(&mut app, ". 1:1(0) ack 1 win 60000");
        sent.push(data_segments(&mut t));
    }
    assert_eq!(sent[2], 1, "the lost one: {sent:?}");
    assert!(sent[3..].iter().sum::<usize>() >= 2, "{sent:?}");
}

#[test]
fn x048_urgent_data_is_data_whatever_the_pointer_says() {
    // RFC 6093 §6: in line.
    for urgent in [0, 1, 5, 10, 11, 65_535] {
        let (mut t, mut app, _) = accepted(60_000);
        t.put(
            &mut app,
            &format!("PU. 1:11(10) ack 1 win 60000 urg {urgent}"),
        );
        t.put(&mut app, "P. 11:21(10) ack 1 win 60000");
        assert_eq!(app.take(), ["recv 10", "recv 10"], "{urgent}");
    }
}

#[test]
fn x059_round_trips_are_measured_again_after_a_timeout() {
    // RFC 6298 §3: what was sent twice says nothing; what comes after it does.
    let (mut t, mut app, pcb) = accepted(60_000);
    t.write(pcb, 1, 3_000);
    t.turn(&mut app);
    t.wait(&mut app, Duration::from_millis(1_500));
    t.put(&mut app, ". 1:1(0) ack 3001 win 60000");
    t.sent();
    // That of the handshake.
    let before = t.tcp().info(pcb).expect("live").srtt;
    assert_eq!(before, Some(Duration::ZERO));
    for at in [3_001, 4_001] {
        t.write(pcb, at, 1_000);
        t.turn(&mut app);
        t.wait(&mut app, Duration::from_millis(100));
        t.put(&mut app, &format!(". 1:1(0) ack {} win 60000", at + 1_000));
    }
    // Each counts an eighth.
    let srtt = t.tcp().info(pcb).expect("live").srtt;
    assert!(
        srtt > Some(Duration::from_millis(20)) && srtt < Some(Duration::from_millis(30)),
        "{srtt:?}"
    );
}

#[test]
fn x060_a_timeout_sends_one_segment_not_the_window() {
    // RFC 5681 §3.1: the loss window is one segment, whichever algorithm is in use.
    for congestion in [CongestionControl::NewReno, CongestionControl::Cubic] {
        let mut config = plain_config();
        config.tcp.congestion = congestion;
        let mut app = Recorder::default();
        let mut t = Script::accepted(config, &mut app);
        t.put(&mut app, ". 1:1(0) ack 1 win 60000");
        t.write(app.pcb(), 1, 10_000);
        t.turn(&mut app);
        assert!(data_segments(&mut t) >= 8);
        for wait in [300, 400, 800] {
            t.wait(&mut app, Duration::from_millis(wait));
            assert_eq!(data_segments(&mut t), 1, "{congestion:?}");
        }
    }
}

#[test]
fn x075_a_router_that_says_what_fits_is_heard() {
    // RFC 1191 §6.3: DF is set, so what it says has to be followed, or nothing gets through.
    let mut config = Config::default();
    config.tcp = plain_config().tcp;
    config.tcp.pmtud = Use::On;
    let mut app = Recorder::default();
    let mut t = Script::accepted(config, &mut app);
    t.put(&mut app, ". 1:1(0) ack 1 win 60000");
    t.write(app.pcb(), 1, 2_000);
    t.turn(&mut app);
    assert!(t.sent()[0].contains("(1000)"));
    t.too_long(&mut app, 1, 576);
    let sent = t.sent();
    assert!(sent[0].contains(" 1:537(536)"), "{sent:?}");
}
