//! The peer's window: closed, tiny, shrinking; probes, keepalive.
use gannet_core::Error;
use gannet_core::tcp::Keepalive;
use gannet_tests::recorder::accepted;
use std::time::Duration;

#[test]
fn a_closed_window_is_probed_with_one_byte_for_as_long_as_the_peer_answers() {
    let (mut t, mut app) = accepted();
    let pcb = app.pcb();
    t.run(&mut app, "< . 1:1(0) ack 1 win 0");
    t.write(pcb, 1, 100);
    t.run(&mut app, "> nothing\nwait 200\n> . 1:2(1) ack 1");
    // RFC 9293 §3.8.6.1 (MUST-36): however long it takes, far beyond the retransmission limit.
    for _ in 0..40 {
        t.run(&mut app, "< . 1:1(0) ack 1 win 0");
        t.wait(&mut app, Duration::from_secs(61));
        assert!(!t.sent().is_empty());
    }
    assert!(app.take().is_empty());
    t.run(&mut app, "< . 1:1(0) ack 1 win 10000\n> . 1:2(1) ack 1");
    t.run(&mut app, "< . 1:1(0) ack 2 win 10000\n> P. 2:101(99) ack 1");
    t.run(&mut app, "< . 1:1(0) ack 101 win 10000\n> nothing");
    assert_eq!(app.take(), ["sent 1", "sent 99"]);
}

#[test]
fn unanswered_probes_end_the_connection() {
    let (mut t, mut app) = accepted();
    let pcb = app.pcb();
    t.run(&mut app, "< . 1:1(0) ack 1 win 0");
    t.write(pcb, 1, 100);
    for _ in 0..20 {
        t.wait(&mut app, Duration::from_secs(60));
    }
    t.sent();
    assert_eq!(app.take(), ["err TimedOut"]);
}

#[test]
fn a_probe_whose_byte_the_peer_takes_goes_on_with_the_next() {
    let (mut t, mut app) = accepted();
    let pcb = app.pcb();
    t.run(&mut app, "< . 1:1(0) ack 1 win 0");
    t.write(pcb, 1, 3);
    t.run(
        &mut app,
        "wait 200
         > . 1:2(1) ack 1
         < . 1:1(0) ack 2 win 0
         > nothing",
    );
    t.wait(&mut app, Duration::from_millis(200));
    assert_eq!(t.sent(), [". 2:3(1) ack 1 win 65535"]);
}

#[test]
fn a_small_window_is_not_filled_bit_by_bit() {
    // RFC 9293 §3.8.6.2.1: less than a segment and less than half the largest window waits for
    // the override timer.
    let (mut t, mut app) = accepted();
    let pcb = app.pcb();
    t.run(&mut app, "< . 1:1(0) ack 1 win 300");
    t.write(pcb, 1, 2000);
    t.run(&mut app, "> nothing\nwait 200\n> . 1:301(300) ack 1");
    t.run(
        &mut app,
        "< . 1:1(0) ack 301 win 10000\n> . 301:1301(1000) ack 1",
    );
}

#[test]
fn a_window_that_shrinks_is_obeyed() {
    let (mut t, mut app) = accepted();
    let pcb = app.pcb();
    t.write(pcb, 1, 3000);
    t.run(
        &mut app,
        "> . 1:1001(1000) ack 1
         > . 1001:2001(1000) ack 1
         > P. 2001:3001(1000) ack 1
         < . 1:1(0) ack 1001 win 0
         > nothing",
    );
    // In flight and beyond the window: one byte asks.
    t.wait(&mut app, Duration::from_millis(500));
    assert_eq!(t.sent(), [". 1001:1002(1) ack 1 win 65535"]);
    t.run(
        &mut app,
        "< . 1:1(0) ack 1001 win 5000
         > . 1001:2001(1000) ack 1
         > P. 2001:3001(1000) ack 1
         < . 1:1(0) ack 3001 win 5000\n> nothing",
    );
    assert_eq!(app.take(), ["sent 1000", "sent 2000"]);
}

#[test]
fn an_old_segment_does_not_set_the_window_back() {
    let (mut t, mut app) = accepted();
    let pcb = app.pcb();
    t.run(
        &mut app,
        "< . 1:11(10) ack 1 win 5000
         < . 11:21(10) ack 1 win 200
         > . 1:1(0) ack 21
         < . 1:11(10) ack 1 win 9000
         > . 1:1(0) ack 21",
    );
    t.write(pcb, 1, 2000);
    t.run(&mut app, "> nothing");
}

#[test]
fn two_sides_that_probe_each_other_both_get_through() {
    // xarxa audit 018: a probe's byte has to count as sent.
    let (mut t, mut app) = accepted();
    let pcb = app.pcb();
    t.run(&mut app, "< . 1:1(0) ack 1 win 0");
    t.write(pcb, 1, 10);
    t.run(
        &mut app,
        "wait 200
         > . 1:2(1) ack 1
         < . 1:2(1) ack 2 win 10000
         > P. 2:11(9) ack 2
         < . 2:2(0) ack 11 win 10000
         > nothing",
    );
    assert_eq!(app.take(), ["recv 1", "sent 1", "sent 9"]);
}

#[test]
fn keepalive_asks_and_gives_up() {
    let (mut t, mut app) = accepted();
    let pcb = app.pcb();
    let keepalive = Keepalive {
        idle: Duration::from_secs(10),
        interval: Duration::from_secs(2),
        count: 3,
    };
    t.tcp()
        .keepalive(pcb, Some(keepalive))
        .expect("a live connection");
    t.run(
        &mut app,
        "wait 9999
         > nothing
         wait 1
         > . 0:0(0) ack 1
         < . 1:1(0) ack 1 win 10000
         wait 9999
         > nothing
         wait 1
         > . 0:0(0) ack 1
         wait 2000
         > . 0:0(0) ack 1
         wait 2000
         > . 0:0(0) ack 1
         wait 2000
         > R. 1:1(0) ack 1 win 0",
    );
    assert_eq!(app.take(), ["err TimedOut"]);
}

#[test]
fn keepalive_is_answered_with_and_without_a_garbage_byte() {
    let (mut t, mut app) = accepted();
    t.run(
        &mut app,
        "< . 0:0(0) ack 1
         > . 1:1(0) ack 1
         < . 0:1(1) ack 1
         > . 1:1(0) ack 1",
    );
    assert!(app.take().is_empty());
}

#[test]
fn keepalive_switched_off_stays_off() {
    let (mut t, mut app) = accepted();
    let pcb = app.pcb();
    t.tcp()
        .keepalive(pcb, Some(Keepalive::default()))
        .expect("a live connection");
    t.tcp().keepalive(pcb, None).expect("a live connection");
    t.wait(&mut app, Duration::from_secs(20_000));
    assert!(t.sent().is_empty());
    t.tcp().abort(pcb).expect("a live connection");
    assert_eq!(t.tcp().keepalive(pcb, None), Err(Error::Closed));
}
