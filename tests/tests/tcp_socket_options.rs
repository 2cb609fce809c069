//! What an application can set for each connection, and what a listener hands on.
use gannet_core::config::Use;
use gannet_core::tcp::{Cork, Data, Keepalive, More, Nagle, QuickAck, State};
use gannet_core::{Config, Error, MtuDiscovery, Owner};
use gannet_tests::recorder::{Recorder, accepted};
use gannet_tests::script::{Script, plain_config};
use std::time::Duration;

#[test]
fn accepted_connections_start_from_their_listeners_settings() {
    let mut app = Recorder {
        hold_window: true,
        ..Recorder::default()
    };
    let mut t = Script::new(plain_config(), 80);
    let mut tcp = t.stack.tcp(t.now);
    let pcb = tcp.new(Owner(0)).expect("a free block");
    tcp.bind(pcb, ([0, 0, 0, 0], 80).into()).expect("free");
    tcp.arg(pcb, 7).expect("live");
    tcp.nagle(pcb, Nagle::Disabled).expect("live");
    tcp.snd_buf(pcb, 2000).expect("live");
    tcp.rcv_wnd(pcb, 3000).expect("live");
    tcp.max_mss(pcb, 500).expect("live");
    tcp.tos(pcb, 0xb8).expect("live");
    tcp.ttl(pcb, Some(3)).expect("live");
    tcp.user_timeout(pcb, Some(Duration::from_secs(5)))
        .expect("live");
    let keepalive = Keepalive {
        idle: Duration::from_secs(2),
        ..Keepalive::default()
    };
    tcp.keepalive(pcb, Some(keepalive)).expect("live");
    tcp.listen(pcb, 5).expect("a free listener");
    t.run(
        &mut app,
        "< S 0:0(0) win 10000 <mss 1000>
         > [tos 184] S. 0:0(0) ack 1 win 3000 <mss 500>
         < . 1:1(0) ack 1 win 10000
         > nothing",
    );
    let pcb = app.pcb();
    assert_eq!(t.tcp().arg_of(pcb), Ok(7));
    assert_eq!(t.tcp().nagle_disabled(pcb), Ok(true));
    assert_eq!(t.tcp().sndbuf(pcb), Ok(2000));
    assert_eq!(t.tcp().mss(pcb), Ok(500));
    assert_eq!(t.tcp().info(pcb).expect("live").rcv_wnd, 3000);
    t.write(pcb, 1, 10);
    t.turn(&mut app);
    let packet = t.wire.take().expect("the data");
    assert_eq!((packet[1], packet[8]), (0xb8, 3));
    // The keepalive's idle time, and the user timeout of what is not acknowledged.
    t.run(&mut app, "< . 1:1(0) ack 11 win 10000");
    t.wait(&mut app, Duration::from_secs(2));
    assert_eq!(t.sent(), ["[tos 184] . 10:10(0) ack 1 win 3000"]);
    t.run(&mut app, "< . 1:1(0) ack 11 win 10000");
    t.write(pcb, 11, 10);
    t.wait(&mut app, Duration::from_secs(5));
    t.sent();
    assert_eq!(app.take(), ["accept", "sent 10", "err TimedOut"]);
}

#[test]
fn what_the_path_carries_is_found_out_or_not_and_hops_are_reset() {
    let (mut t, mut app) = accepted();
    let pcb = app.pcb();
    let mut at = 1;
    for (wanted, hops, marked) in [
        (MtuDiscovery::AsConfigured, None, 0),
        (MtuDiscovery::Fragment, Some(9), 0),
        (MtuDiscovery::Discover, None, 0x40),
    ] {
        t.tcp().mtu_discovery(pcb, wanted).expect("live");
        t.tcp().ttl(pcb, hops).expect("live");
        t.write(pcb, at, 10);
        t.turn(&mut app);
        let packet = t.wire.take().expect("the data");
        assert_eq!((packet[6], packet[8]), (marked, hops.unwrap_or(64)));
        at += 10;
        t.run(&mut app, &format!("< . 1:1(0) ack {at} win 10000"));
    }
}

#[test]
fn wrong_values_are_errors_and_change_nothing() {
    let (mut t, app) = accepted();
    let (pcb, zero) = (app.pcb(), Some(Duration::ZERO));
    let mut tcp = t.tcp();
    let before = tcp.info(pcb);
    assert_eq!(tcp.snd_buf(pcb, 0), Err(Error::Argument));
    assert_eq!(tcp.rcv_wnd(pcb, 0), Err(Error::Argument));
    assert_eq!(tcp.max_mss(pcb, 47), Err(Error::Argument));
    assert_eq!(tcp.max_mss(pcb, 500), Err(Error::AlreadyConnected));
    assert_eq!(tcp.defer_accept(pcb, None), Err(Error::AlreadyConnected));
    assert_eq!(tcp.ttl(pcb, Some(0)), Err(Error::Argument));
    assert_eq!(tcp.syn_retransmits(pcb, 0), Err(Error::Argument));
    assert_eq!(tcp.user_timeout(pcb, zero), Err(Error::Argument));
    let endless = Keepalive {
        interval: Duration::ZERO,
        ..Keepalive::default()
    };
    assert_eq!(tcp.keepalive(pcb, Some(endless)), Err(Error::Argument));
    assert_eq!(tcp.info(pcb), before);
    tcp.abort(pcb).expect("live");
    assert_eq!(tcp.tos(pcb, 4), Err(Error::Closed));
    assert_eq!(tcp.info(pcb), Err(Error::Closed));
}

#[test]
fn the_send_buffer_can_be_set_at_any_time() {
    let (mut t, app) = accepted();
    let pcb = app.pcb();
    t.tcp().snd_buf(pcb, 3000).expect("live");
    t.write(pcb, 1, 2500);
    assert_eq!(t.tcp().sndbuf(pcb), Ok(500));
    // Smaller than what is queued: nothing is lost, nothing more is taken.
    t.tcp().snd_buf(pcb, 1000).expect("live");
    assert_eq!(t.tcp().sndbuf(pcb), Ok(0));
    let refused = t.tcp().write(pcb, Data::Copy(b"x"), More::No);
    assert_eq!(refused.expect_err("no room").error, Error::NoMemory);
    t.tcp().snd_buf(pcb, 1 << 20).expect("live");
    assert_eq!(t.tcp().sndbuf(pcb), Ok((1 << 20) - 2500));
}

#[test]
fn a_larger_receive_window_is_told_at_once() {
    let (mut t, mut app) = accepted();
    let pcb = app.pcb();
    t.tcp().rcv_wnd(pcb, 20_000).expect("live");
    // It shrank, but what was offered stays offered: RFC 9293 §3.8.6 (SHLD-14).
    t.run(
        &mut app,
        "> nothing
         < . 1:1001(1000) ack 1
         < . 1001:2001(1000) ack 1
         > . 1:1(0) ack 2001 win 63535",
    );
    t.tcp().rcv_wnd(pcb, 200_000).expect("live");
    // Without scaling no more than the field can say.
    t.run(&mut app, "> . 1:1(0) ack 2001 win 65535");
}

#[test]
fn a_smaller_window_closes_as_data_arrives_and_never_retracts_its_edge() {
    let mut app = Recorder {
        hold_window: true,
        ..Recorder::default()
    };
    let mut t = Script::accepted(plain_config(), &mut app);
    let pcb = app.pcb();
    t.tcp().rcv_wnd(pcb, 5000).expect("live");
    let mut edge = 1 + 65_535u32;
    let mut seq = 1u32;
    for _ in 0..65 {
        t.put(&mut app, &format!(". {seq}:{}(1000) ack 1", seq + 1000));
        seq += 1000;
        t.wait(&mut app, Duration::from_millis(100));
        for sent in t.sent() {
            let window: u32 = sent.split(" win ").nth(1).expect("win").parse().expect("n");
            assert!(seq + window >= edge, "{sent}");
            edge = seq + window;
        }
    }
    assert_eq!(edge, 65_536);
    assert_eq!(t.tcp().info(pcb).expect("live").unread, 65_000);
    // Read: now it is what was set.
    t.tcp().recved(pcb, 65_000).expect("live");
    t.run(&mut app, "> . 1:1(0) ack 65001 win 5000");
}

#[test]
fn the_scale_is_chosen_for_the_largest_window_there_may_be() {
    for (fixed, wnd, max, shift, first) in [
        (None, 65_535, 65_535, 0, 65_535),
        (None, 4_000, 65_536, 1, 4_000),
        (None, 65_535, 1 << 20, 5, 65_535),
        (Some(1 << 30), 65_535, 0, 14, 65_535),
        (Some(2_000), 65_535, 1 << 20, 0, 2_000),
    ] {
        let mut config = Config::default();
        (config.tcp.rcv_wnd, config.tcp.rcv_wnd_max) = (wnd, max);
        (config.tcp.timestamps, config.tcp.ecn) = (Use::Off, Use::Off);
        let mut t = Script::new(config, 0);
        let peer = t.peer_addr();
        let mut tcp = t.stack.tcp(t.now);
        let pcb = tcp.new(Owner(0)).expect("a free block");
        if let Some(fixed) = fixed {
            tcp.rcv_wnd(pcb, fixed).expect("live");
        }
        tcp.connect(pcb, peer).expect("a route");
        let expected = format!("> S 0:0(0) win {first} <mss 1460,sackOK,ws {shift}>");
        t.run(&mut Recorder::default(), &expected);
    }
}

#[test]
fn what_is_offered_never_exceeds_what_scale_and_field_can_say() {
    let mut config = Config::default();
    config.tcp.rcv_wnd_max = 1 << 20;
    config.tcp.timestamps = Use::Off;
    config.tcp.ecn = Use::Off;
    let mut app = Recorder::default();
    let mut t = Script::listening(config, 5);
    // The peer does not scale: then neither do we.
    t.run(
        &mut app,
        "< S 0:0(0) win 1000
         > S. 0:0(0) ack 1 <mss 1460>
         < . 1:1(0) ack 1",
    );
    let pcb = app.pcb();
    t.tcp().rcv_wnd(pcb, 1 << 20).expect("live");
    t.run(
        &mut app,
        "< . 1:1001(1000) ack 1
         < . 1001:2001(1000) ack 1
         > . 1:1(0) ack 2001 win 65535",
    );
    assert_eq!(t.tcp().info(pcb).expect("live").rcv_wnd, 65_535);
}

#[test]
fn the_user_timeout_takes_the_place_of_the_number_of_retransmissions() {
    // RFC 9293 §3.8.3 (MUST-21), RFC 5482 §3.
    for (timeout, dead) in [(3, true), (3000, false)] {
        let (mut t, mut app) = accepted();
        let pcb = app.pcb();
        t.tcp()
            .user_timeout(pcb, Some(Duration::from_secs(timeout)))
            .expect("live");
        // Idle time does not count.
        t.wait(&mut app, Duration::from_secs(5000));
        t.write(pcb, 1, 10);
        t.wait(&mut app, Duration::from_millis(2900));
        assert!(app.take().is_empty());
        // Far beyond twelve retransmissions.
        t.wait(&mut app, Duration::from_secs(1500));
        let sent = t.sent();
        let expected: &[&str] = if dead { &["err TimedOut"] } else { &[] };
        assert_eq!(app.take(), expected);
        // RFC 9293 §3.8.3: the peer is told.
        let reset = sent.last().is_some_and(|s| s.starts_with("R. "));
        assert_eq!(reset, dead, "{sent:?}");
    }
}

#[test]
fn progress_restarts_the_user_timeout_and_a_closed_window_does_not() {
    let (mut t, mut app) = accepted();
    let pcb = app.pcb();
    t.tcp()
        .user_timeout(pcb, Some(Duration::from_secs(3)))
        .expect("live");
    let mut at = 1;
    for _ in 0..5 {
        t.write(pcb, at, 10);
        t.wait(&mut app, Duration::from_secs(2));
        at += 10;
        t.sent();
        t.put(&mut app, &format!(". 1:1(0) ack {at} win 1000"));
    }
    // Part of what is in flight counts too.
    t.put(&mut app, &format!(". 1:1(0) ack {at} win 10000"));
    t.write(pcb, at, 3000);
    for _ in 0..3 {
        t.wait(&mut app, Duration::from_secs(2));
        at += 1000;
        t.sent();
        t.put(&mut app, &format!(". 1:1(0) ack {at} win 10000"));
    }
    let told = app.take();
    assert!(
        told.iter().all(|event| event.starts_with("sent")),
        "{told:?}"
    );
    t.wait(&mut app, Duration::from_secs(10));
    t.sent();
    t.put(&mut app, &format!(". 1:1(0) ack {at} win 0"));
    t.write(pcb, at, 10);
    for _ in 0..6 {
        t.wait(&mut app, Duration::from_millis(500));
        t.sent();
        t.put(&mut app, &format!(". 1:1(0) ack {at} win 0"));
    }
    t.wait(&mut app, Duration::from_millis(100));
    assert_eq!(app.take(), ["err TimedOut"]);
}

#[test]
fn the_user_timeout_ends_an_attempt_to_connect() {
    let (mut t, pcb) = Script::connecting(plain_config());
    let mut app = Recorder::default();
    t.tcp()
        .user_timeout(pcb, Some(Duration::from_secs(5)))
        .expect("live");
    t.wait(&mut app, Duration::from_millis(4999));
    assert!(app.take().is_empty());
    t.wait(&mut app, Duration::from_millis(2));
    t.sent();
    assert_eq!(app.take(), ["err TimedOut"]);
}

#[test]
fn the_number_of_syns_can_be_set() {
    let (mut t, pcb) = Script::connecting(plain_config());
    let mut app = Recorder::default();
    t.tcp().syn_retransmits(pcb, 1).expect("live");
    t.run(
        &mut app,
        "> S 0:0(0) <mss 1460>
         wait 1000
         > S 0:0(0) <mss 1460>
         wait 1999",
    );
    assert!(app.take().is_empty());
    t.run(&mut app, "wait 1\n> nothing");
    assert_eq!(app.take(), ["err TimedOut"]);
}

#[test]
fn a_cork_holds_small_segments_back_for_a_while() {
    let (mut t, mut app) = accepted();
    let pcb = app.pcb();
    t.tcp().nagle(pcb, Nagle::Disabled).expect("live");
    t.tcp().cork(pcb, Cork::On).expect("live");
    t.write(pcb, 1, 600);
    t.run(&mut app, "> nothing");
    t.write(pcb, 601, 600);
    t.run(&mut app, "> . 1:1001(1000) ack 1\n> nothing");
    t.tcp().cork(pcb, Cork::Off).expect("live");
    t.run(
        &mut app,
        "> P. 1001:1201(200) ack 1\n< . 1:1(0) ack 1201 win 10000",
    );
    // Forgotten: the override timer sends it.
    t.tcp().cork(pcb, Cork::On).expect("live");
    t.write(pcb, 1201, 10);
    t.run(&mut app, "> nothing");
    t.wait(&mut app, Duration::from_millis(600));
    assert_eq!(t.sent()[0], "P. 1201:1211(10) ack 1 win 65535");
    t.run(&mut app, "< . 1:1(0) ack 1211 win 10000");
    // A flush and a FIN let it go.
    t.write(pcb, 1211, 10);
    t.tcp().output(pcb).expect("live");
    t.run(
        &mut app,
        "> P. 1211:1221(10) ack 1\n< . 1:1(0) ack 1221 win 10000",
    );
    t.write(pcb, 1221, 10);
    t.tcp().close(pcb).expect("live");
    t.run(&mut app, "> FP. 1221:1231(10) ack 1");
}

#[test]
fn quick_acknowledgements_leave_at_once() {
    let (mut t, mut app) = accepted();
    let pcb = app.pcb();
    t.run(&mut app, "< P. 1:11(10) ack 1\n> nothing");
    t.tcp().quick_ack(pcb, QuickAck::On).expect("live");
    t.run(
        &mut app,
        "> . 1:1(0) ack 11
         < P. 11:21(10) ack 1
         > . 1:1(0) ack 21",
    );
    t.tcp().quick_ack(pcb, QuickAck::Off).expect("live");
    t.run(
        &mut app,
        "< P. 21:31(10) ack 1\n> nothing\nwait 100\n> . 1:1(0) ack 31",
    );
}

fn deferring() -> Script {
    let mut t = Script::new(plain_config(), 80);
    let mut tcp = t.stack.tcp(t.now);
    let pcb = tcp.new(Owner(0)).expect("a free block");
    tcp.bind(pcb, ([0, 0, 0, 0], 80).into()).expect("free");
    tcp.defer_accept(pcb, Some(Duration::from_secs(10)))
        .expect("not connected");
    tcp.listen(pcb, 5).expect("a free listener");
    t
}

#[test]
fn a_deferred_connection_is_accepted_with_its_first_data() {
    let (mut t, mut app) = (deferring(), Recorder::default());
    t.run(
        &mut app,
        "< S 0:0(0) win 1000
         > S. 0:0(0) ack 1 <mss 1460>
         < . 1:1(0) ack 1
         wait 5000
         > nothing",
    );
    assert!(app.take().is_empty());
    let census = t.stack.tcp_census();
    assert_eq!((census.half_open, census.connections), (1, 0));
    t.run(&mut app, "< P. 1:11(10) ack 1\nwait 100\n> . 1:1(0) ack 11");
    assert_eq!(app.take(), ["accept", "recv 10"]);
    assert_eq!(t.stack.tcp_census().half_open, 0);
}

#[test]
fn a_deferred_connection_that_says_nothing_is_accepted_at_the_limit() {
    let (mut t, mut app) = (deferring(), Recorder::default());
    t.run(
        &mut app,
        "< S 0:0(0) win 1000
         > S. 0:0(0) ack 1 <mss 1460>
         < . 1:1(0) ack 1
         wait 9999
         > nothing
         wait 1
         > S. 0:0(0) ack 1 <mss 1460>
         < . 1:1(0) ack 1",
    );
    assert_eq!(app.take(), ["accept"]);
}

#[test]
fn a_deferred_connection_whose_peer_is_gone_is_given_up() {
    let (mut t, mut app) = (deferring(), Recorder::default());
    t.run(
        &mut app,
        "< S 0:0(0) win 1000
         > S. 0:0(0) ack 1 <mss 1460>
         < . 1:1(0) ack 1",
    );
    t.wait(&mut app, Duration::from_secs(200));
    t.sent();
    assert_eq!(t.stack.tcp_census().half_open, 0);
    assert!(app.take().is_empty());
}

#[test]
fn info_tells_how_a_connection_is_doing() {
    let mut app = Recorder {
        hold_window: true,
        ..Recorder::default()
    };
    let mut t = Script::accepted(plain_config(), &mut app);
    let pcb = app.pcb();
    let fresh = t.tcp().info(pcb).expect("live");
    assert_eq!(fresh.state, State::Established);
    assert_eq!((fresh.srtt, fresh.in_flight), (Some(Duration::ZERO), 0));
    assert!(!fresh.timestamps && !fresh.sack && fresh.window_scales.is_none());
    assert_eq!(fresh.congestion, Config::default().tcp.congestion);
    assert_eq!(fresh.since_data_sent, None);
    t.write(pcb, 1, 1500);
    t.run(
        &mut app,
        "> . 1:1001(1000) ack 1
         wait 50
         < . 1:1(0) ack 1001 win 8000
         > P. 1001:1501(500) ack 1
         < P. 1:301(300) ack 1001 win 8000
         wait 100
         > . 1501:1501(0) ack 301",
    );
    t.wait(&mut app, Duration::from_millis(300));
    assert_eq!(t.sent().len(), 1);
    let info = t.tcp().info(pcb).expect("live");
    assert_eq!((info.in_flight, info.unsent), (500, 0));
    assert_eq!((info.retransmitted, info.backoff), (1, 1));
    assert_eq!((info.snd_mss, info.rcv_mss), (1000, 300));
    assert_eq!((info.snd_wnd, info.unread), (8000, 300));
    assert_eq!((info.bytes_sent, info.bytes_received), (2000, 300));
    assert_eq!((info.segments_sent, info.segments_received), (4, 3));
    assert_eq!(info.since_data_received, Some(Duration::from_millis(400)));
    assert_eq!(info.since_heard, Some(Duration::from_millis(400)));
    assert!(info.srtt.expect("measured") > Duration::ZERO);
    assert!(info.rto > info.srtt.expect("measured"));
    assert!(info.since_data_sent.expect("sent") < Duration::from_millis(300));
}
