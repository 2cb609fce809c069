//! What the simulation and the fuzzers have found, each as a script of its own.
use gannet_core::Error;
use gannet_core::tcp::{Cork, Data, More};
use gannet_tests::recorder::Recorder;
use gannet_tests::script::{Script, plain_config};

/// Seed 648: writes so small that the queue had no room for a full segment waited for the override
/// timer, one after the other: a transfer of 100 kB took hours.
#[test]
fn a_cork_lets_go_of_what_there_is_when_a_write_finds_no_room() {
    let mut config = plain_config();
    config.tcp.snd_buf = 100;
    let mut app = Recorder::default();
    let mut t = Script::accepted(config, &mut app);
    let pcb = app.pcb();
    t.tcp().cork(pcb, Cork::On).expect("live");
    t.write(pcb, 1, 100);
    t.run(&mut app, "> nothing");
    let refused = t.tcp().write(pcb, Data::Copy(b"more"), More::No);
    assert_eq!(refused.expect_err("no room").error, Error::NoMemory);
    t.run(&mut app, "> P. 1:101(100) ack 1");
}

/// Fuzzing: data in a SYN,ACK was taken beyond the window, which then counted as 4 GB large.
#[test]
fn data_in_a_syn_ack_is_cut_at_the_window() {
    let mut config = plain_config();
    config.tcp.rcv_wnd = 100;
    config.tcp.rcv_wnd_max = 100;
    let (mut t, pcb) = Script::connecting(config);
    let mut app = Recorder {
        hold_window: true,
        ..Recorder::default()
    };
    t.run(&mut app, "> S 0:0(0) win 100 <mss 1460>\n< S. 0:500(500) ack 1 win 1000 <mss 1000>\n> . 1:1(0) ack 101 win 0");
    assert_eq!(app.data.len(), 100);
    assert_eq!(t.tcp().info(pcb).expect("live").rcv_wnd, 0);
}

/// Seed 125653: acknowledgements older than what was acknowledged before counted as answers to
/// window probes, so that a connection whose peer had lost its place was never given up.
#[test]
fn an_old_acknowledgement_answers_no_window_probe() {
    let mut config = plain_config();
    config.tcp.max_retransmits = 3;
    let mut app = Recorder::default();
    let mut t = Script::accepted(config, &mut app);
    let pcb = app.pcb();
    t.write(pcb, 1, 100);
    t.run(&mut app, "> P. 1:101(100) ack 1\n< . 1:1(0) ack 101 win 0");
    t.write(pcb, 101, 100);
    app.take();
    for _ in 0..20 {
        t.wait(&mut app, std::time::Duration::from_secs(10));
        t.sent();
        t.put(&mut app, ". 1:1(0) ack 51 win 1000");
        t.sent();
    }
    assert_eq!(app.take(), ["err TimedOut"]);
}

/// Seed 118603: stamps of what was sent wrap after 71 minutes. After 40 idle ones, what had been
/// delivered before seemed to be sent after everything in flight: each acknowledgement declared
/// it lost, as fast as the path allowed.
#[test]
fn an_idle_hour_does_not_make_what_is_in_flight_look_lost() {
    let mut app = Recorder::default();
    let mut config = plain_config();
    config.tcp.sack = gannet_core::config::Use::On;
    let mut t = Script::listening(config, 5);
    t.run(
        &mut app,
        "< S 0:0(0) win 10000 <mss 1000,sackOK>
         > S. 0:0(0) ack 1 <mss 1460,sackOK>
         < . 1:1(0) ack 1",
    );
    let pcb = app.pcb();
    t.write(pcb, 1, 100);
    t.run(
        &mut app,
        "> P. 1:101(100) ack 1\nwait 100\n< . 1:1(0) ack 101 win 10000",
    );
    t.wait(&mut app, std::time::Duration::from_secs(40 * 60));
    t.write(pcb, 101, 100);
    t.run(&mut app, "> P. 101:201(100) ack 1");
    t.wait(&mut app, std::time::Duration::from_millis(150));
    t.run(
        &mut app,
        "< . 1:1(0) ack 101 win 9000\n> nothing\n< . 1:1(0) ack 101 win 8000\n> nothing",
    );
}

/// Seed 403788: an acknowledgement of exactly 2^31 more than everything was, with nothing in flight,
/// both after SND.UNA and before SND.NXT, and the connection went on from there.
#[test]
fn an_acknowledgement_half_the_circle_away_acknowledges_nothing() {
    let mut app = Recorder::default();
    let mut t = Script::accepted(plain_config(), &mut app);
    t.run(
        &mut app,
        "< . 1:11(10) ack 2147483649 win 100\n> . 1:1(0) ack 1",
    );
    assert_eq!(t.stack.tcp_stats().challenge_acks, 1);
    let pcb = app.pcb();
    t.write(pcb, 1, 10);
    t.run(&mut app, "> P. 1:11(10) ack 1\n< . 1:1(0) ack 11 win 1000");
}

/// Seed 450557: a forged segment ahead of its time closed the window, and what the peer really sent
/// afterwards was older than that: a byte went with each probe, for ever.
#[test]
fn a_window_forged_ahead_of_its_time_lasts_until_the_next_acknowledgement() {
    let mut app = Recorder::default();
    let mut t = Script::accepted(plain_config(), &mut app);
    let pcb = app.pcb();
    t.write(pcb, 1, 10);
    t.run(
        &mut app,
        "> P. 1:11(10) ack 1\n< . 129:129(0) ack 1 win 0\n> nothing\n< . 1:1(0) ack 11 win 1000",
    );
    t.write(pcb, 11, 10);
    t.run(&mut app, "> P. 11:21(10) ack 1");
}
