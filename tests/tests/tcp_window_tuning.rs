//! The receive window grows as the application proves to need it.
use gannet_core::Config;
use gannet_tests::apps::{Sink, Source, listen};
use gannet_tests::link::Faults;
use gannet_tests::network::{Host, Network};
use gannet_tests::recorder::Recorder;
use gannet_tests::script::Script;
use std::time::Duration;

/// A server that starts with 8 KiB of window and may grow to `most`; returns the virtual seconds
/// a transfer of `total` bytes takes over a path with a round trip of 40 ms.
fn seconds(total: u64, most: u32) -> f64 {
    let mut config = Config::default();
    (config.tcp.rcv_wnd, config.tcp.rcv_wnd_max) = (8_192, most);
    let a = Host::new(1, Config::default(), Source::new(total), 1);
    let b = Host::new(2, config, Sink::default(), 2);
    let faults = Faults {
        latency: Duration::from_millis(20),
        ..Faults::default()
    };
    let mut net = Network::new(a, b, faults, 3);
    let server = net.b.addr;
    listen(&mut net.b.stack.tcp(net.now), 80, 5);
    let mut tcp = net.a.stack.tcp(net.now);
    let pcb = tcp.new(gannet_core::Owner(0)).expect("a free block");
    tcp.connect(pcb, (server, 80).into()).expect("a route");
    net.a.app.pcb = Some(pcb);
    let start = net.now;
    net.kick();
    let done = net.run_until(Duration::from_secs(100), |net| net.b.app.received == total);
    assert!(done, "{} of {total} bytes", net.b.app.received);
    net.now.saturating_since(start).as_secs_f64()
}

#[test]
fn a_fast_reader_gets_a_larger_window() {
    let fixed = seconds(500_000, 0);
    let tuned = seconds(500_000, 65_535);
    // 8 KiB and 64 KiB for each round trip.
    assert!(fixed > 2.0, "{fixed}");
    assert!(tuned < fixed / 2.5, "{tuned} and {fixed}");
}

fn config() -> Config {
    let mut config = Config::default();
    (config.tcp.rcv_wnd, config.tcp.rcv_wnd_max) = (4_000, 64_000);
    config.tcp.timestamps = gannet_core::config::Use::Off;
    config.tcp.sack = gannet_core::config::Use::Off;
    config.tcp.ecn = gannet_core::config::Use::Off;
    config
}

/// Fills the window once in each of `turns` round trips of 100 ms; returns what it is then.
fn window_after(t: &mut Script, app: &mut Recorder, turns: u32) -> u32 {
    let pcb = app.pcb();
    let mut seq = 1;
    for _ in 0..turns {
        let window = t.tcp().info(pcb).expect("live").rcv_wnd;
        let mut left = window;
        while left > 0 {
            let len = left.min(1000);
            t.put(app, &format!(". {seq}:{}({len}) ack 1", seq + len));
            (seq, left) = (seq + len, left - len);
        }
        t.wait(app, Duration::from_millis(100));
        t.sent();
    }
    t.tcp().info(pcb).expect("live").rcv_space
}

fn accepted(app: &mut Recorder) -> Script {
    let mut t = Script::listening(config(), 5);
    t.run(
        app,
        "< S 0:0(0) win 10000 <mss 1000>
         > S. 0:0(0) ack 1 <mss 1460>
         wait 100
         < . 1:1(0) ack 1 win 10000",
    );
    t
}

#[test]
fn it_grows_to_the_cap_and_no_further() {
    let mut app = Recorder::default();
    let mut t = accepted(&mut app);
    assert_eq!(window_after(&mut t, &mut app, 20), 64_000);
}

#[test]
fn it_does_not_grow_for_an_application_that_does_not_read() {
    let mut app = Recorder {
        hold_window: true,
        ..Recorder::default()
    };
    let mut t = accepted(&mut app);
    assert_eq!(window_after(&mut t, &mut app, 20), 4_000);
}

#[test]
fn it_does_not_grow_for_a_slow_peer() {
    let mut app = Recorder::default();
    let mut t = accepted(&mut app);
    for n in 0..50u32 {
        let seq = 1 + 10 * n;
        t.put(&mut app, &format!(". {seq}:{}(10) ack 1", seq + 10));
        t.wait(&mut app, Duration::from_millis(50));
        t.sent();
    }
    assert!(t.tcp().info(app.pcb()).expect("live").rcv_space <= 4_100);
}

#[test]
fn a_window_set_by_the_application_stays() {
    let mut app = Recorder::default();
    let mut t = accepted(&mut app);
    t.tcp().rcv_wnd(app.pcb(), 5_000).expect("live");
    assert_eq!(window_after(&mut t, &mut app, 20), 5_000);
}
