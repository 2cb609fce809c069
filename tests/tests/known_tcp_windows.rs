//! Windows that other TCP implementations got wrong, of either side (X in our list), one test a
//! record.
use gannet_core::Config;
use gannet_core::config::Use;
use gannet_tests::recorder::Recorder;
use gannet_tests::recorder::accepted;
use gannet_tests::script::{Script, plain_config};
use std::time::Duration;

/// An accepted connection whose application leaves the window closed by what it received.
fn holding(config: Config) -> (Script, Recorder) {
    let mut app = Recorder {
        hold_window: true,
        ..Recorder::default()
    };
    let t = Script::accepted(config, &mut app);
    app.take();
    (t, app)
}

fn window_of(bytes: u32) -> Config {
    let mut config = plain_config();
    config.tcp.rcv_wnd = bytes;
    config
}

#[test]
fn x001_handshake_that_completes_with_a_closed_window() {
    let (mut t, pcb) = Script::connecting(plain_config());
    let mut app = Recorder::default();
    t.write(pcb, 1, 10);
    t.run(
        &mut app,
        "> S 0:0(0) <mss 1460>
         < S. 0:0(0) ack 1 win 0 <mss 1000>
         > . 1:1(0) ack 1",
    );
    t.wait(&mut app, Duration::from_millis(1500));
    assert!(t.sent()[0].starts_with(". 1:2(1) ack 1"));
    t.put(&mut app, ". 1:1(0) ack 2 win 1000");
    assert_eq!(t.sent()[0], "P. 2:11(9) ack 1 win 65535");
}

#[test]
fn x002_the_window_of_a_syn_is_not_scaled() {
    let mut config = plain_config();
    config.tcp.window_scaling = Use::On;
    let (mut t, pcb) = Script::connecting(config);
    let mut app = Recorder::default();
    t.write(pcb, 1, 9000);
    t.run(
        &mut app,
        "> S 0:0(0) <mss 1460,ws 0>
         < S. 0:0(0) ack 1 win 2000 <mss 1000,ws 7>
         > . 1:1001(1000) ack 1
         > . 1001:2001(1000) ack 1
         > nothing",
    );
}

#[test]
fn x003_a_fin_behind_data_that_was_cut_does_not_count() {
    let (mut t, mut app) = holding(window_of(1000));
    t.put(&mut app, "FP. 1:1501(1500) ack 1");
    assert_eq!(app.take(), ["recv 1000"]);
    t.tcp().recved(app.pcb(), 1000).expect("live");
    t.turn(&mut app);
    t.put(&mut app, "FP. 1001:1501(500) ack 1");
    assert_eq!(app.take(), ["recv 500", "recv end"]);
}

#[test]
fn x007_x051_probes_count_as_sent_and_need_something_to_send() {
    let (mut t, mut app) = accepted();
    t.put(&mut app, ". 1:1(0) ack 1 win 0");
    assert_eq!(t.stack.turn(t.now, &mut [&mut app]), None, "nothing queued");
    t.write(app.pcb(), 1, 10);
    t.wait(&mut app, Duration::from_millis(300));
    assert_eq!(t.sent()[0], ". 1:2(1) ack 1 win 65535");
    t.put(&mut app, ". 1:1(0) ack 2 win 0");
    assert_eq!(app.take(), ["sent 1"]);
}

#[test]
fn x012_rounding_by_the_scale_takes_back_nothing_that_was_offered() {
    // RFC 7323 §2.4: what was ever inside the window is taken.
    let mut config = Config::default();
    config.tcp.rcv_wnd = 1 << 20;
    config.tcp.rcv_wnd_max = 1 << 20;
    (config.tcp.timestamps, config.tcp.ecn) = (Use::Off, Use::Off);
    let mut app = Recorder {
        hold_window: true,
        ..Recorder::default()
    };
    let mut t = Script::listening(config, 5);
    t.run(
        &mut app,
        "< S 0:0(0) win 10000 <mss 1460,ws 0>
         > S. 0:0(0) ack 1 win 65535 <mss 1460,ws 5>
         < . 1:1(0) ack 1 win 10000",
    );
    let (mut seq, mut edge) = (1u32, 65_536u32);
    // Odd sizes, so that the rounding bites, until nothing more is offered.
    while seq < edge {
        let len = (edge - seq).min(777);
        t.put(&mut app, &format!(". {seq}:{}({len}) ack 1", seq + len));
        seq += len;
        t.wait(&mut app, Duration::from_millis(100));
        for sent in t.sent() {
            let window = sent.split(" win ").nth(1).expect("win");
            let window: u32 = window.parse().expect("a number");
            edge = edge.max(seq + (window << 5));
        }
    }
    assert_eq!(app.data.len() as u32, seq - 1);
    assert!(seq - 1 > (1 << 20) - 32);
}

#[test]
fn x015_x053_x083_the_initial_window_is_ten_of_our_segments() {
    // RFC 6928 §2; not of what the peer would take.
    let mut app = Recorder::default();
    let mut t = Script::listening(plain_config(), 5);
    t.run(
        &mut app,
        "< S 0:0(0) win 65535 <mss 9000>
         > S. 0:0(0) ack 1 <mss 1460>
         < . 1:1(0) ack 1 win 65535",
    );
    assert_eq!(t.tcp().info(app.pcb()).expect("live").snd_cwnd, 14_600);
}

#[test]
fn x017_the_window_is_heeded_while_closing() {
    let (mut t, mut app) = accepted();
    let pcb = app.pcb();
    t.put(&mut app, "F. 1:1(0) ack 1 win 1000");
    t.sent();
    t.write(pcb, 1, 3000);
    t.tcp().close(pcb).expect("live");
    t.run(
        &mut app,
        "> . 1:1001(1000) ack 2
         < . 2:2(0) ack 1001 win 5000
         > . 1001:2001(1000) ack 2
         > FP. 2001:3001(1000) ack 2",
    );
}

#[test]
fn x018_limited_transmit_keeps_acknowledgements_coming() {
    // RFC 3042.
    let (mut t, mut app) = accepted();
    let pcb = app.pcb();
    t.put(&mut app, ". 1:1(0) ack 1 win 60000");
    t.write(pcb, 1, 20_000);
    t.turn(&mut app);
    assert_eq!(t.sent().len(), 10);
    t.put(&mut app, ". 1:1(0) ack 1 win 60000");
    assert_eq!(t.sent(), [". 10001:11001(1000) ack 1 win 65535"]);
}

#[test]
fn x019_x022_a_window_that_closes_after_a_partial_acknowledgement() {
    let (mut t, mut app) = accepted();
    let pcb = app.pcb();
    t.write(pcb, 1, 3000);
    t.turn(&mut app);
    t.sent();
    t.put(&mut app, ". 1:1(0) ack 1001 win 0");
    t.wait(&mut app, Duration::from_secs(3));
    let sent = t.sent();
    assert!(!sent.is_empty(), "the connection asks");
    t.put(&mut app, ". 1:1(0) ack 1001 win 9000");
    t.wait(&mut app, Duration::from_secs(1));
    let sent = t.sent();
    assert!(sent.iter().any(|s| s.contains("3001")), "{sent:?}");
}

#[test]
fn x021_the_window_does_not_open_by_bytes() {
    // RFC 9293 §3.8.6.2.2.
    let (mut t, mut app) = holding(window_of(4000));
    let pcb = app.pcb();
    for seq in [1, 1001, 2001, 3001] {
        t.put(&mut app, &format!(". {seq}:{}(1000) ack 1", seq + 1000));
    }
    t.wait(&mut app, Duration::from_millis(100));
    assert!(t.sent().last().expect("one").ends_with("win 0"));
    for _ in 0..900 {
        t.tcp().recved(pcb, 1).expect("live");
        t.turn(&mut app);
    }
    assert!(t.sent().is_empty());
    t.tcp().recved(pcb, 100).expect("live");
    t.turn(&mut app);
    assert_eq!(t.sent(), [". 1:1(0) ack 4001 win 1000"]);
}

#[test]
fn x024_small_windows_are_not_filled_with_small_segments() {
    let (mut t, mut app) = accepted();
    t.put(&mut app, ". 1:1(0) ack 1 win 10");
    t.write(app.pcb(), 1, 2000);
    t.run(&mut app, "> nothing");
}

#[test]
fn x037_x038_a_closed_window_takes_acknowledgements_and_answers_every_probe() {
    let (mut t, mut app) = holding(window_of(1000));
    let pcb = app.pcb();
    t.put(&mut app, "P. 1:1001(1000) ack 1");
    t.write(pcb, 1, 10);
    t.turn(&mut app);
    t.sent();
    app.take();
    // Data nobody has room for, but with an acknowledgement.
    t.put(&mut app, "P. 1001:1101(100) ack 11 win 10000");
    assert_eq!(app.take(), ["sent 10"]);
    assert_eq!(t.sent(), [". 11:11(0) ack 1001 win 0"]);
    for _ in 0..50 {
        t.put(&mut app, ". 1001:1002(1) ack 11");
        assert_eq!(t.sent(), [". 11:11(0) ack 1001 win 0"]);
    }
}

#[test]
fn x041_an_old_segment_does_not_set_the_window() {
    let (mut t, mut app) = accepted();
    t.put(&mut app, "P. 1:11(10) ack 1 win 100");
    t.put(&mut app, "P. 1:11(10) ack 1 win 9000");
    assert_eq!(t.tcp().info(app.pcb()).expect("live").snd_wnd, 100);
}

#[test]
fn x044_every_second_segment_of_the_size_that_comes_is_acknowledged() {
    let (mut t, mut app) = accepted();
    t.run(
        &mut app,
        "< . 1:301(300) ack 1
         > nothing
         < . 301:601(300) ack 1
         > . 1:1(0) ack 601
         < . 601:901(300) ack 1
         > nothing
         < . 901:1201(300) ack 1
         > . 1:1(0) ack 1201",
    );
}

#[test]
fn x052_a_garbage_byte_in_a_keepalive_probe_is_not_data() {
    let (mut t, mut app) = accepted();
    t.run(&mut app, "< . 0:1(1) ack 1\n> . 1:1(0) ack 1");
    assert!(app.take().is_empty());
}

#[test]
fn x058_an_idle_connection_starts_again_with_the_initial_window() {
    // RFC 5681 §4.1.
    let (mut t, mut app) = accepted();
    let pcb = app.pcb();
    let mut at = 1u32;
    for _ in 0..4 {
        let burst = t.tcp().info(pcb).expect("live").snd_cwnd;
        t.put(&mut app, &format!(". 1:1(0) ack {at} win 65000"));
        t.write(pcb, at, burst.min(30_000));
        t.wait(&mut app, Duration::from_millis(1));
        t.sent();
        at += burst.min(30_000);
        t.put(&mut app, &format!(". 1:1(0) ack {at} win 65000"));
    }
    assert!(t.tcp().info(pcb).expect("live").snd_cwnd > 10_000);
    t.wait(&mut app, Duration::from_secs(10));
    t.write(pcb, at, 40_000);
    t.turn(&mut app);
    assert!(t.sent().len() <= 10);
}
