//! Data in both directions: acknowledgements, order, Nagle, silly windows, retransmission.
use gannet_core::tcp::{Data, More, Nagle};
use gannet_core::{Config, Error};
use gannet_tests::recorder::{Recorder, accepted};
use gannet_tests::script::{Script, plain_config};
use gannet_tests::segment::pattern;

#[test]
fn one_segment_waits_for_its_acknowledgement_and_two_do_not() {
    let (mut t, mut app) = accepted();
    t.run(
        &mut app,
        "< . 1:1001(1000) ack 1
         > nothing
         wait 39
         > nothing
         wait 1
         > . 1:1(0) ack 1001
         < . 1001:2001(1000) ack 1
         > nothing
         < . 2001:3001(1000) ack 1
         > . 1:1(0) ack 3001",
    );
    assert_eq!(app.data, (1..3001).map(pattern).collect::<Vec<_>>());
}

#[test]
fn early_data_is_kept_and_acknowledged_at_once() {
    let (mut t, mut app) = accepted();
    t.run(
        &mut app,
        "< . 1001:2001(1000) ack 1
         > . 1:1(0) ack 1
         < . 3001:4001(1000) ack 1
         > . 1:1(0) ack 1
         < . 1:1001(1000) ack 1
         > . 1:1(0) ack 2001
         < . 2001:3001(1000) ack 1
         > . 1:1(0) ack 4001",
    );
    assert_eq!(app.data, (1..4001).map(pattern).collect::<Vec<_>>());
}

#[test]
fn sack_blocks_name_the_newest_run_first() {
    let mut app = Recorder::default();
    let mut config = plain_config();
    config.tcp.sack = gannet_core::config::Use::On;
    let mut t = Script::listening(config, 5);
    t.run(
        &mut app,
        "< S 0:0(0) win 10000 <mss 1000,sackOK>
         > S. 0:0(0) ack 1 <mss 1460,sackOK>
         < . 1:1(0) ack 1 win 10000
         < . 1001:2001(1000) ack 1
         > . 1:1(0) ack 1 <sack 1001:2001>
         < . 3001:4001(1000) ack 1
         > . 1:1(0) ack 1 <sack 3001:4001,sack 1001:2001>
         < . 5001:6001(1000) ack 1
         > . 1:1(0) ack 1 <sack 5001:6001,sack 1001:2001,sack 3001:4001>
         < . 2001:3001(1000) ack 1
         > . 1:1(0) ack 1 <sack 1001:4001,sack 5001:6001>
         < . 1:1001(1000) ack 1
         > . 1:1(0) ack 4001 <sack 5001:6001>",
    );
}

#[test]
fn overlaps_are_trimmed_on_both_sides() {
    let (mut t, mut app) = accepted();
    t.run(
        &mut app,
        "< . 1:501(500) ack 1
         < . 301:801(500) ack 1
         > . 1:1(0) ack 801
         < . 1001:1501(500) ack 1
         > . 1:1(0) ack 801
         < . 1201:1301(100) ack 1
         > . 1:1(0) ack 801
         < . 901:1601(700) ack 1
         > . 1:1(0) ack 801
         < . 801:1051(250) ack 1
         > . 1:1(0) ack 1601
         < . 1:801(800) ack 1
         > . 1:1(0) ack 1601",
    );
    assert_eq!(app.data, (1..1601).map(pattern).collect::<Vec<_>>());
}

#[test]
fn a_fin_before_its_data_ends_the_stream_once_and_at_the_right_place() {
    let (mut t, mut app) = accepted();
    t.run(
        &mut app,
        "< F. 501:501(0) ack 1
         > . 1:1(0) ack 1
         < F. 301:501(200) ack 1
         > . 1:1(0) ack 1
         < . 1:301(300) ack 1
         > . 1:1(0) ack 502
         < . 502:602(100) ack 1
         > . 1:1(0) ack 502
         < F. 301:501(200) ack 1
         > . 1:1(0) ack 502",
    );
    assert_eq!(app.take(), ["recv 500", "recv end"]);
}

#[test]
fn data_beyond_the_window_is_cut_and_a_fin_behind_it_does_not_count() {
    let mut config = plain_config();
    config.tcp.rcv_wnd = 1000;
    let mut app = Recorder {
        hold_window: true,
        ..Recorder::default()
    };
    let mut t = Script::accepted(config, &mut app);
    t.run(
        &mut app,
        "< FP. 1:1101(1100) ack 1
         > . 1:1(0) ack 1001 win 0
         < . 1001:1002(1) ack 1
         > . 1:1(0) ack 1001 win 0",
    );
    assert_eq!(app.take(), ["accept", "recv 1000"]);
    let pcb = app.pcb();
    // Less than half the buffer: not worth telling (RFC 9293 §3.8.6.2.2).
    t.tcp().recved(pcb, 100).expect("a live connection");
    t.run(&mut app, "> nothing");
    t.tcp().recved(pcb, 900).expect("a live connection");
    t.run(
        &mut app,
        "> . 1:1(0) ack 1001 win 1000
         < FP. 1001:1101(100) ack 1
         > . 1:1(0) ack 1102",
    );
    assert_eq!(app.take(), ["recv 100", "recv end"]);
}

#[test]
fn a_fin_is_taken_even_by_a_closed_window() {
    let mut config = plain_config();
    config.tcp.rcv_wnd = 1000;
    let mut app = Recorder {
        hold_window: true,
        ..Recorder::default()
    };
    let mut t = Script::accepted(config, &mut app);
    t.run(
        &mut app,
        "< . 1:1001(1000) ack 1
         wait 100
         > . 1:1(0) ack 1001 win 0
         < F. 1001:1001(0) ack 1
         > . 1:1(0) ack 1002 win 0",
    );
    assert_eq!(app.take(), ["accept", "recv 1000", "recv end"]);
}

#[test]
fn refused_data_is_offered_again_and_the_end_of_stream_comes_after_it() {
    let (mut t, mut app) = accepted();
    app.refusals = 2;
    t.run(
        &mut app,
        "< P. 1:11(10) ack 1
         wait 100
         > . 1:1(0) ack 11
         < FP. 11:21(10) ack 1
         > . 1:1(0) ack 22
         wait 249",
    );
    assert_eq!(app.take(), ["refuse 10", "refuse 20"]);
    t.run(&mut app, "wait 1\n> nothing");
    assert_eq!(app.take(), ["recv 20", "recv end"]);
    assert_eq!(app.data, (1..21).map(pattern).collect::<Vec<_>>());
}

#[test]
fn nagle_holds_small_segments_while_data_is_in_flight() {
    let (mut t, mut app) = accepted();
    let pcb = app.pcb();
    t.write(pcb, 1, 10);
    t.run(&mut app, "> P. 1:11(10) ack 1");
    t.write(pcb, 11, 10);
    t.write(pcb, 21, 10);
    t.run(
        &mut app,
        "> nothing\n< . 1:1(0) ack 11 win 10000\n> P. 11:31(20) ack 1",
    );
    t.tcp()
        .nagle(pcb, Nagle::Disabled)
        .expect("a live connection");
    assert_eq!(t.tcp().nagle_disabled(pcb), Ok(true));
    t.write(pcb, 31, 5);
    t.run(&mut app, "> P. 31:36(5) ack 1");
    t.tcp()
        .nagle(pcb, Nagle::Enabled)
        .expect("a live connection");
    t.write(pcb, 36, 5);
    t.run(&mut app, "> nothing");
    t.tcp().output(pcb).expect("a live connection");
    t.run(
        &mut app,
        "> P. 36:41(5) ack 1\n< . 1:1(0) ack 41 win 10000\n> nothing",
    );
    assert_eq!(app.take(), ["sent 10", "sent 30"]);
}

#[test]
fn push_marks_the_end_of_a_write_only() {
    let (mut t, mut app) = accepted();
    let pcb = app.pcb();
    let mut tcp = t.tcp();
    tcp.write(pcb, Data::Copy(&[0; 1500]), More::Yes)
        .expect("room");
    t.run(&mut app, "> . 1:1001(1000) ack 1");
    t.tcp()
        .write(pcb, Data::Copy(&[0; 500]), More::No)
        .expect("room");
    t.run(&mut app, "> P. 1001:2001(1000) ack 1");
}

#[test]
fn static_data_and_pbufs_are_sent_in_place_and_given_back_when_acknowledged() {
    let (mut t, mut app) = accepted();
    let pcb = app.pcb();
    static PAGE: [u8; 700] = [7; 700];
    let at_rest = t.pools.tx.available();
    let mut tcp = t.tcp();
    tcp.write(pcb, Data::Static(&PAGE), More::Yes)
        .expect("room");
    let own = gannet_core::Pbuf::alloc(t.pools.tx, 0, 300).expect("a free block");
    t.tcp().write(pcb, Data::Pbuf(own), More::No).expect("room");
    t.run(&mut app, "> P. 1:1001(1000) ack 1");
    assert_eq!(t.pools.tx.available(), at_rest - 1, "one block, not copied");
    t.run(&mut app, "< . 1:1(0) ack 1001 win 10000");
    assert!(t.pools.at_rest());
    assert_eq!(app.take(), ["sent 1000"]);
}

#[test]
fn a_write_that_does_not_fit_gives_everything_back() {
    let mut config = plain_config();
    config.tcp.snd_buf = 1000;
    let mut app = Recorder::default();
    let mut t = Script::accepted(config, &mut app);
    let pcb = app.pcb();
    assert_eq!(t.tcp().sndbuf(pcb), Ok(1000));
    let big = [0; 1001];
    let refused = t
        .tcp()
        .write(pcb, Data::Copy(&big), More::No)
        .expect_err("too much");
    assert_eq!(refused.error, Error::NoMemory);
    assert!(matches!(refused.data, Data::Copy(data) if data.len() == 1001));
    assert_eq!(
        (t.tcp().sndbuf(pcb), t.tcp().sndqueuelen(pcb)),
        (Ok(1000), Ok(0))
    );
    t.run(&mut app, "> nothing");
}

#[test]
fn the_retransmission_timer_sends_the_first_segment_again_and_backs_off() {
    let (mut t, mut app) = accepted();
    let pcb = app.pcb();
    t.write(pcb, 1, 2000);
    // The handshake took no time: SRTT 0, so the timeout is the minimum of 200 ms.
    t.run(
        &mut app,
        "> . 1:1001(1000) ack 1
         > P. 1001:2001(1000) ack 1
         wait 199
         > nothing
         wait 1
         > . 1:1001(1000) ack 1
         wait 399
         > nothing
         wait 1
         > . 1:1001(1000) ack 1
         < . 1:1(0) ack 1001 win 10000
         > P. 1001:2001(1000) ack 1
         < . 1:1(0) ack 2001 win 10000
         > nothing",
    );
}

#[test]
fn the_third_duplicate_acknowledgement_resends_one_segment_at_once() {
    let (mut t, mut app) = accepted();
    let pcb = app.pcb();
    t.write(pcb, 1, 5000);
    t.run(
        &mut app,
        "> . 1:1001(1000) ack 1
         > . 1001:2001(1000) ack 1
         > . 2001:3001(1000) ack 1
         > . 3001:4001(1000) ack 1
         > P. 4001:5001(1000) ack 1
         < . 1:1(0) ack 1 win 10000
         < . 1:1(0) ack 1 win 10000
         > nothing
         < . 1:1(0) ack 1 win 10000
         > . 1:1001(1000) ack 1
         < . 1:1(0) ack 1 win 10000
         > nothing
         < . 1:1(0) ack 5001 win 10000
         > nothing",
    );
    assert_eq!(app.take(), ["sent 5000"]);
    assert_eq!(t.stack.tcp_stats().timeouts, 0);
}

#[test]
fn a_partial_acknowledgement_in_recovery_names_the_next_hole() {
    // RFC 6582 §3.2 (3): two segments lost, one recovery, no timeout.
    let (mut t, mut app) = accepted();
    let pcb = app.pcb();
    t.write(pcb, 1, 6000);
    t.run(
        &mut app,
        "> . 1:1001(1000) ack 1
         > . 1001:2001(1000) ack 1
         > . 2001:3001(1000) ack 1
         > . 3001:4001(1000) ack 1
         > . 4001:5001(1000) ack 1
         > P. 5001:6001(1000) ack 1
         < . 1:1(0) ack 1 win 10000
         < . 1:1(0) ack 1 win 10000
         < . 1:1(0) ack 1 win 10000
         > . 1:1001(1000) ack 1
         < . 1:1(0) ack 2001 win 10000
         > . 2001:3001(1000) ack 1
         < . 1:1(0) ack 6001 win 10000
         > nothing",
    );
    assert_eq!(t.stack.tcp_stats().timeouts, 0);
}

#[test]
fn data_is_given_up_after_the_configured_tries() {
    let mut config = plain_config();
    config.tcp.max_retransmits = 3;
    let mut app = Recorder::default();
    let mut t = Script::accepted(config, &mut app);
    let pcb = app.pcb();
    t.write(pcb, 1, 10);
    t.run(
        &mut app,
        "> P. 1:11(10) ack 1
         wait 200
         > P. 1:11(10) ack 1
         wait 400
         > P. 1:11(10) ack 1
         wait 800
         > P. 1:11(10) ack 1
         wait 1600
         > R. 11:11(0) ack 1 win 0",
    );
    assert_eq!(app.take(), ["accept", "err TimedOut"]);
    assert!(t.pools.at_rest());
}

#[test]
fn single_bytes_do_not_pin_a_buffer_each() {
    let (mut t, mut app) = accepted();
    app.refusals = 1000;
    for n in 1..200u32 {
        let text = format!("< . {n}:{}(1) ack 1", n + 1);
        let segment = gannet_tests::segment::Segment::parse(&text[2..], t.peer, t.local);
        t.wire.put(segment.packet(t.peer, t.local));
        t.turn(&mut app);
        t.sent();
    }
    let in_use = t.pools.in_use()[0];
    assert!(in_use <= 2, "199 bytes pin {in_use} receive buffers");
}

#[test]
fn timestamps_are_echoed_and_old_ones_rejected() {
    let mut config = plain_config();
    config.tcp.timestamps = gannet_core::config::Use::On;
    let mut app = Recorder::default();
    let mut t = Script::listening(config, 5);
    let mine = |sent: &[String]| -> (u32, u32) {
        let text = sent.last().expect("a segment");
        let (_, stamps) = text.split_once("ts ").expect("a timestamp");
        let mut numbers = stamps
            .trim_end_matches('>')
            .split(' ')
            .map(|n| n.parse().expect("a number"));
        (
            numbers.next().expect("value"),
            numbers.next().expect("echo"),
        )
    };
    let segment = |t: &Script, text: &str| {
        gannet_tests::segment::Segment::parse(text, t.peer, t.local).packet(t.peer, t.local)
    };
    t.wire
        .put(segment(&t, "S 0:0(0) win 1000 <mss 1000,ts 100 0>"));
    t.turn(&mut app);
    let (value, echo) = mine(&t.sent());
    assert_eq!(echo, 100);
    t.run(&mut app, &format!("< . 1:1(0) ack 1 <ts 101 {value}>"));
    t.wire
        .put(segment(&t, &format!("P. 1:11(10) ack 1 <ts 200 {value}>")));
    t.wait(&mut app, std::time::Duration::from_millis(100));
    assert_eq!(mine(&t.sent()).1, 200);
    // RFC 7323 §5.3: from the past, answered and dropped; without the option, dropped.
    t.wire
        .put(segment(&t, &format!("P. 11:21(10) ack 1 <ts 150 {value}>")));
    t.wire.put(segment(&t, "P. 11:21(10) ack 1"));
    t.turn(&mut app);
    assert_eq!(app.take(), ["accept", "recv 10"]);
    assert_eq!(t.stack.tcp_stats().paws_rejected, 2);
}

#[test]
fn poll_is_called_while_the_connection_is_idle() {
    let (mut t, mut app) = accepted();
    t.tcp().poll(app.pcb(), 3).expect("a live connection");
    t.run(&mut app, "wait 1499");
    assert!(app.take().is_empty());
    t.run(&mut app, "wait 1");
    assert_eq!(app.take(), ["poll"]);
    t.run(
        &mut app,
        "wait 1400\n< . 1:2(1) ack 1\nwait 100\n> . 1:1(0) ack 2\nwait 1399",
    );
    assert_eq!(app.take(), ["recv 1"]);
    t.run(&mut app, "wait 1");
    assert_eq!(app.take(), ["poll"]);
    t.tcp().poll(app.pcb(), 0).expect("a live connection");
    t.run(&mut app, "wait 10000");
    assert!(app.take().is_empty());
}

#[test]
fn an_idle_stack_has_no_deadline() {
    let (mut t, mut app) = accepted();
    t.run(&mut app, "< P. 1:11(10) ack 1\nwait 100\n> . 1:1(0) ack 11");
    assert_eq!(t.stack.turn(t.now, &mut [&mut app]), None);
    let idle = Script::new(Config::default(), 80)
        .stack
        .turn(t.now, &mut []);
    assert_eq!(idle, None);
}
