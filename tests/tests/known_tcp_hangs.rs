//! Hangs, truncations and wrong turns that other TCP implementations fell to (X in our list), one
//! test a record; the vulnerabilities are in `known_tcp`, windows in `known_tcp_windows`, timers and
//! rates in `known_tcp_pace`.
use gannet_core::config::Use;
use gannet_core::tcp::{Keepalive, State};
use gannet_core::wire::icmpv4::Unreachable;
use gannet_core::{Error, Owner};
use gannet_tests::recorder::Recorder;
use gannet_tests::recorder::accepted;
use gannet_tests::script::{Script, plain_config};
use gannet_tests::segment::pattern;
use std::net::Ipv4Addr;
use std::time::Duration;

#[test]
fn x004_an_acknowledgement_of_what_was_never_sent() {
    let (mut t, mut app) = accepted();
    let pcb = app.pcb();
    t.put(&mut app, ". 1:1(0) ack 1 win 5");
    t.write(pcb, 1, 10);
    t.turn(&mut app);
    t.sent();
    t.put(&mut app, ". 1:1(0) ack 11 win 1000");
    assert!(app.take().is_empty());
    assert_eq!(t.tcp().sndbuf(pcb), Ok(65_525));
}

#[test]
fn x005_nothing_is_tried_for_ever() {
    let (mut t, mut app) = accepted();
    t.write(app.pcb(), 1, 10);
    t.wait(&mut app, Duration::from_secs(3600));
    t.sent();
    assert_eq!(app.take(), ["err TimedOut"]);
    t.peer.port += 1;
    t.put(&mut app, "S 0:0(0)");
    t.wait(&mut app, Duration::from_secs(3600));
    t.sent();
    assert_eq!(t.stack.tcp_census().half_open, 0);
    let (mut t, _) = Script::connecting(plain_config());
    t.wait(&mut app, Duration::from_secs(3600));
    t.sent();
    assert_eq!(app.take(), ["err TimedOut"]);
}

#[test]
fn x006_acknowledgements_and_resets_after_a_timeout_have_the_highest_number() {
    let (mut t, mut app) = accepted();
    let pcb = app.pcb();
    t.write(pcb, 1, 3000);
    t.turn(&mut app);
    t.sent();
    t.wait(&mut app, Duration::from_millis(250));
    t.sent();
    t.put(&mut app, ". 1:1001(1000) ack 1 win 1000");
    t.put(&mut app, ". 1001:2001(1000) ack 1 win 1000");
    assert_eq!(t.sent(), [". 3001:3001(0) ack 2001 win 65535"]);
    t.tcp().abort(pcb).expect("live");
    assert_eq!(t.sent(), ["R. 3001:3001(0) ack 2001 win 0"]);
}

#[test]
fn x008_the_end_of_time_wait_takes_no_received_data_away() {
    let (mut t, mut app) = accepted();
    app.refusals = 1000;
    let pcb = app.pcb();
    t.put(&mut app, "P. 1:11(10) ack 1");
    t.tcp().close(pcb).expect("live");
    t.turn(&mut app);
    t.put(&mut app, "F. 11:11(0) ack 2");
    assert_eq!(t.stack.tcp_census().time_wait, 1);
    t.wait(&mut app, Duration::from_secs(100));
    assert_eq!(t.stack.tcp_census().time_wait, 0);
    (app.refusals, app.log) = (0, Vec::new());
    t.wait(&mut app, Duration::from_secs(1));
    assert_eq!(app.take(), ["recv 10", "recv end"]);
    assert_eq!(t.stack.tcp_census().connections, 0);
}

#[test]
fn x009_close_while_the_handshake_goes_on() {
    let (mut t, pcb) = Script::connecting(plain_config());
    let mut app = Recorder::default();
    t.run(
        &mut app,
        "> S 0:0(0) <mss 1460>
         < S 0:0(0) win 1000 <mss 1000>
         > S. 0:0(0) ack 1 <mss 1460>",
    );
    t.tcp().close(pcb).expect("live");
    // The SYN,ACK goes again; its acknowledgement is not that of the FIN.
    t.run(
        &mut app,
        "wait 1000
         > S. 0:0(0) ack 1 <mss 1460>
         < . 1:1(0) ack 1 win 1000
         > F. 1:1(0) ack 1
         < . 1:1(0) ack 2 win 1000
         < F. 1:1(0) ack 2 win 1000
         > . 2:2(0) ack 2",
    );
    assert_eq!(t.stack.tcp_census().time_wait, 1);
}

#[test]
fn x010_an_acknowledgement_the_device_had_no_room_for_leaves_later() {
    let (mut t, mut app) = accepted();
    t.wire.set_room(Some(0));
    t.put(&mut app, "P. 1:1001(1000) ack 1");
    t.put(&mut app, "P. 1001:2001(1000) ack 1");
    t.wait(&mut app, Duration::from_millis(50));
    assert!(t.wire.take().is_none());
    t.wire.set_room(None);
    t.wait(&mut app, Duration::from_millis(2));
    assert_eq!(t.sent(), [". 1:1(0) ack 2001 win 65535"]);
}

#[test]
fn x011_a_syn_on_a_connection_is_answered() {
    // The peer has restarted: RFC 9293 §3.5.1, figure 9.
    let (mut t, mut app) = accepted();
    t.run(
        &mut app,
        "< S 70000:70000(0) win 1000
         > . 1:1(0) ack 1
         < R 1:1(0) win 0
         > nothing",
    );
    assert_eq!(app.take(), ["err Reset"]);
}

#[test]
fn x013_a_fin_that_comes_early_is_remembered() {
    let (mut t, mut app) = accepted();
    t.put(&mut app, "FP. 11:21(10) ack 1");
    t.put(&mut app, "P. 1:11(10) ack 1");
    assert_eq!(app.take(), ["recv 20", "recv end"]);
}

#[test]
fn x014_a_reset_somewhere_in_the_window() {
    let (mut t, mut app) = accepted();
    t.run(&mut app, "< R 1001:1001(0) win 0\n> . 1:1(0) ack 1");
    assert!(app.take().is_empty());
}

#[test]
fn x016_x039_nothing_comes_after_a_fin() {
    let (mut t, mut app) = accepted();
    t.put(&mut app, "FP. 1:11(10) ack 1");
    t.put(&mut app, "P. 11:21(10) ack 1");
    t.put(&mut app, "P. 12:22(10) ack 1");
    assert_eq!(app.take(), ["recv 10", "recv end"]);
    // Neither what came before the FIN did.
    let (mut t, mut app) = accepted();
    t.put(&mut app, "P. 21:31(10) ack 1");
    t.put(&mut app, "FP. 1:11(10) ack 1");
    assert_eq!(app.take(), ["recv 10", "recv end"]);
    assert_eq!(t.pools.in_use()[0], 0);
}

#[test]
fn x020_fin_wait_2_ends_when_the_application_is_gone() {
    let (mut t, mut app) = accepted();
    t.tcp().close(app.pcb()).expect("live");
    t.turn(&mut app);
    t.put(&mut app, ". 1:1(0) ack 2");
    t.wait(&mut app, Duration::from_secs(30));
    t.sent();
    assert_eq!(t.stack.tcp_census().connections, 0);
}

#[test]
fn x023_a_fin_alone_in_flight_keeps_its_timer() {
    let (mut t, mut app) = accepted();
    t.tcp().close(app.pcb()).expect("live");
    t.run(&mut app, "> F. 1:1(0) ack 1");
    for _ in 0..5 {
        t.put(&mut app, ". 1:1(0) ack 1 win 10000");
    }
    t.sent();
    t.wait(&mut app, Duration::from_secs(2));
    let sent = t.sent();
    assert!(sent[0].starts_with("F. 1:1(0) ack 1"), "{sent:?}");
}

#[test]
fn x025_connections_do_not_take_places_in_time_wait() {
    let mut t = Script::new(plain_config(), 50_000);
    let mut app = Recorder::default();
    let peer = t.peer_addr();
    let connect = |t: &mut Script| {
        let mut tcp = t.stack.tcp(t.now);
        let pcb = tcp.new(Owner(0)).expect("a free block");
        tcp.bind(pcb, ([0, 0, 0, 0], 50_000).into()).expect("free");
        let result = tcp.connect(pcb, peer);
        (pcb, result)
    };
    let (pcb, result) = connect(&mut t);
    assert_eq!(result, Ok(()));
    t.run(
        &mut app,
        "> S 0:0(0) <mss 1460>
         < S. 0:0(0) ack 1 win 1000 <mss 1000>
         > . 1:1(0) ack 1",
    );
    t.tcp().close(pcb).expect("live");
    t.run(
        &mut app,
        "> F. 1:1(0) ack 1\n< F. 1:1(0) ack 2\n> . 2:2(0) ack 2",
    );
    let (pcb, result) = connect(&mut t);
    assert_eq!(result, Err(Error::InUse));
    assert_eq!(t.stack.tcp_census().time_wait, 1);
    t.wait(&mut app, Duration::from_secs(61));
    assert_eq!(t.tcp().connect(pcb, peer), Ok(()));
}

#[test]
fn x026_x027_addresses_nobody_can_be_connected_to_or_from() {
    let mut t = Script::new(plain_config(), 0);
    let mut tcp = t.tcp();
    let pcb = tcp.new(Owner(0)).expect("a free block");
    for to in [
        [0, 0, 0, 0],
        [255, 255, 255, 255],
        [224, 0, 0, 1],
        [239, 1, 1, 1],
    ] {
        assert_eq!(tcp.connect(pcb, (to, 80).into()), Err(Error::Argument));
    }
    let six = ([0u16; 8], 80);
    assert_eq!(tcp.connect(pcb, six.into()), Err(Error::Argument));
    assert_eq!(tcp.bind(pcb, six.into()), Err(Error::Argument));
    assert_eq!(
        tcp.bind(pcb, ([10, 9, 9, 9], 80).into()),
        Err(Error::Argument)
    );
    assert_eq!(tcp.state(pcb), Ok(State::Closed));
}

#[test]
fn x028_a_syn_that_comes_twice_makes_one_connection() {
    let mut app = Recorder::default();
    let mut t = Script::listening(plain_config(), 5);
    t.put(&mut app, "S 0:0(0) win 1000");
    t.put(&mut app, "S 0:0(0) win 1000");
    t.sent();
    assert_eq!(t.stack.tcp_census().half_open, 1);
    t.put(&mut app, ". 1:1(0) ack 1 win 1000");
    t.run(&mut app, "< S 0:0(0) win 1000\n> . 1:1(0) ack 1");
    assert_eq!(app.take(), ["accept"]);
    assert_eq!(t.stack.tcp_census().connections, 1);
}

#[test]
fn x029_segments_to_many_are_nobodys() {
    let mut app = Recorder::default();
    for to in [
        Ipv4Addr::new(10, 0, 0, 255),
        Ipv4Addr::BROADCAST,
        Ipv4Addr::new(224, 0, 0, 1),
    ] {
        let mut t = Script::listening(plain_config(), 5);
        t.local.addr = to;
        t.put(&mut app, "S 0:0(0) win 1000");
        t.put(&mut app, ". 1:1(0) ack 1");
        assert!(t.wire.take().is_none());
        assert_eq!(t.stack.tcp_census().half_open, 0);
    }
}

#[test]
fn x031_time_wait_lasts_a_minute() {
    let (mut t, mut app) = accepted();
    t.tcp().close(app.pcb()).expect("live");
    t.turn(&mut app);
    t.put(&mut app, "F. 1:1(0) ack 2");
    t.wait(&mut app, Duration::from_millis(59_999));
    assert_eq!(t.stack.tcp_census().time_wait, 1);
    t.wait(&mut app, Duration::from_millis(1));
    assert_eq!(t.stack.tcp_census().time_wait, 0);
}

#[test]
fn x034_timestamps_are_answered_and_then_expected() {
    // RFC 7323 §3.2.
    let mut config = plain_config();
    config.tcp.timestamps = Use::On;
    let mut app = Recorder::default();
    let mut t = Script::listening(config, 5);
    // Not offered, not used.
    t.put(&mut app, "S 0:0(0) win 1000");
    assert!(!t.sent()[0].contains("ts"));
    t.peer.port += 1;
    t.put(&mut app, "S 0:0(0) win 1000 <ts 77 12345>");
    let answer = &t.sent()[0];
    assert!(answer.ends_with(" 77>"), "{answer}");
    t.put(&mut app, ". 1:1(0) ack 1 win 1000 <ts 78 0>");
    assert_eq!(app.take(), ["accept"]);
    // Without it a segment is dropped, but a reset is not.
    t.put(&mut app, "P. 1:11(10) ack 1 win 1000");
    assert!(app.take().is_empty());
    t.put(&mut app, "R. 1:1(0) ack 1 win 0");
    assert_eq!(app.take(), ["err Reset"]);
}

#[test]
fn x035_data_that_acknowledges_something_else_in_syn_sent() {
    let (mut t, _) = Script::connecting(plain_config());
    t.run(
        &mut Recorder::default(),
        "> S 0:0(0) <mss 1460>
         < P. 500:510(10) ack 77
         > R 77:77(0) win 0
         < P. 500:510(10) ack 1
         > nothing",
    );
}

#[test]
fn x036_the_number_of_a_fin_counts_for_its_acceptability() {
    let (mut t, mut app) = accepted();
    t.put(&mut app, "F. 1:1(0) ack 1");
    t.sent();
    // The FIN again, wholly in the past: acknowledged again.
    t.run(&mut app, "< F. 1:1(0) ack 1\n> . 1:1(0) ack 2");
    // Data and FIN again, of which only the FIN's number is the last.
    let (mut t, mut app) = accepted();
    t.put(&mut app, "P. 1:11(10) ack 1");
    t.put(&mut app, "FP. 1:11(10) ack 1");
    assert_eq!(app.take(), ["recv 10", "recv end"]);
}

#[test]
fn x040_a_reset_after_the_end_of_stream_is_told() {
    let (mut t, mut app) = accepted();
    t.put(&mut app, "F. 1:1(0) ack 1");
    t.put(&mut app, "R. 2:2(0) ack 1 win 0");
    assert_eq!(app.take(), ["recv end", "err Reset"]);
}

#[test]
fn x042_flags_and_data_are_no_duplicate_acknowledgements() {
    let (mut t, mut app) = accepted();
    let pcb = app.pcb();
    t.write(pcb, 1, 5000);
    t.turn(&mut app);
    t.sent();
    for n in 0..5u32 {
        let seq = 1 + 10 * n;
        t.put(
            &mut app,
            &format!("P. {seq}:{}(10) ack 1 win 10000", seq + 10),
        );
    }
    for _ in 0..5 {
        t.put(&mut app, "F. 51:51(0) ack 1 win 10000");
    }
    assert_eq!(t.stack.tcp_stats().duplicate_acks, 0);
    let sent = t.sent();
    assert!(sent.iter().all(|s| s.contains("(0)")), "{sent:?}");
}

#[test]
fn x045_a_lost_syn_does_not_slow_the_connection_for_life() {
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
    assert!(t.tcp().info(pcb).expect("live").snd_ssthresh > 60_000);
}

#[test]
fn x046_keepalive_may_be_switched_on_while_idle() {
    let (mut t, mut app) = accepted();
    t.wait(&mut app, Duration::from_secs(1000));
    let keepalive = Keepalive {
        idle: Duration::from_secs(5),
        ..Keepalive::default()
    };
    t.tcp().keepalive(app.pcb(), Some(keepalive)).expect("live");
    t.run(&mut app, "wait 4999\n> nothing\nwait 1\n> . 0:0(0) ack 1");
}

#[test]
fn x047_resets_with_other_flags() {
    let (mut t, mut app) = accepted();
    t.put(&mut app, "SR. 1:1(0) ack 1 win 0");
    t.put(&mut app, "SF. 1:1(0) ack 1 win 0");
    t.put(&mut app, "SFR. 1:1(0) ack 1 win 0");
    assert!(app.take().is_empty());
    t.put(&mut app, "FR. 1:1(0) ack 1 win 0");
    assert_eq!(app.take(), ["err Reset"]);
}

#[test]
fn x049_the_reset_of_a_segment_without_acknowledgement_has_one() {
    let mut t = Script::new(plain_config(), 80);
    t.run(
        &mut Recorder::default(),
        "< FP 1:11(10)
         > R. 0:0(0) ack 12 win 0
         < - 1:1(0)
         > R. 0:0(0) ack 1 win 0",
    );
}

#[test]
fn x050_icmp_errors_count_for_exactly_what_is_in_flight() {
    let mut config = plain_config();
    config.tcp.pmtud = Use::On;
    for (seq, counts) in [
        (0, false),
        (1, true),
        (500, true),
        (1000, true),
        (1001, false),
    ] {
        let mut app = Recorder::default();
        let mut t = Script::accepted(config.clone(), &mut app);
        let pcb = app.pcb();
        t.write(pcb, 1, 1000);
        t.turn(&mut app);
        t.sent();
        t.too_long(&mut app, seq, 600);
        assert_eq!(t.tcp().mss(pcb) == Ok(560), counts, "{seq}");
    }
}

#[test]
fn x056_clocks_that_are_older_than_24_days() {
    // RFC 7323 §5.5: milliseconds in 32 bits half wrap after 24.8 days.
    let mut config = plain_config();
    config.tcp.timestamps = Use::On;
    let mut app = Recorder::default();
    let mut t = Script::listening(config, 5);
    t.now += Duration::from_secs(86_400 * 49);
    t.put(&mut app, "S 0:0(0) win 60000 <mss 1000,ts 100 0>");
    let stamp = |text: &str| -> u32 {
        let stamps = text.split("ts ").nth(1).expect("a stamp");
        let value = stamps.split(' ').next().expect("a value");
        value.parse().expect("a number")
    };
    let mut echo = stamp(&t.sent()[0]);
    t.put(
        &mut app,
        &format!(". 1:1(0) ack 1 win 60000 <ts 101 {echo}>"),
    );
    let pcb = app.pcb();
    let (mut seq, mut clock) = (1u32, 200u32);
    for _ in 0..5 {
        t.wait(&mut app, Duration::from_secs(86_400 * 25));
        // The peer's clock has wrapped to something that looks older.
        clock = clock.wrapping_sub(50);
        app.take();
        t.put(
            &mut app,
            &format!(
                "P. {seq}:{}(10) ack 1 win 60000 <ts {clock} {echo}>",
                seq + 10
            ),
        );
        seq += 10;
        assert_eq!(app.take(), ["recv 10"]);
        t.wait(&mut app, Duration::from_millis(100));
        echo = stamp(t.sent().last().expect("an acknowledgement"));
    }
    let before = t.tcp().info(pcb).expect("live").snd_cwnd;
    t.write(pcb, 1, 20_000);
    t.turn(&mut app);
    let sent = t.sent();
    echo = stamp(sent.last().expect("data"));
    let end = 1 + 988 * sent.len();
    t.put(
        &mut app,
        &format!(". {seq}:{seq}(0) ack {end} win 60000 <ts {clock} {echo}>"),
    );
    assert!(t.tcp().info(pcb).expect("live").snd_cwnd > before);
}

#[test]
fn x068_x078_icmp_errors_and_quenches_do_not_end_connections() {
    use gannet_core::wire::icmpv4::Kind;
    let (mut t, mut app) = accepted();
    t.write(app.pcb(), 1, 10);
    t.turn(&mut app);
    t.sent();
    for seq in [0, 1, 5, 11] {
        t.unreachable(&mut app, seq, Unreachable::Host);
        t.unreachable(&mut app, seq, Unreachable::Port);
    }
    let quench = Kind::Other { kind: 4, code: 0 };
    let quoted = t.local.isn + 1;
    t.wire.put(gannet_tests::segment::icmp_error(
        t.peer.addr,
        quench,
        t.local,
        t.peer,
        quoted,
    ));
    t.put(&mut app, ". 1:1(0) ack 11");
    assert_eq!(app.take(), ["sent 10"]);
}

#[test]
fn x096_x099_x115_every_segment_carries_the_chosen_hops_and_class() {
    let (mut t, mut app) = accepted();
    let pcb = app.pcb();
    t.tcp().ttl(pcb, Some(7)).expect("live");
    t.tcp().tos(pcb, 0x2b).expect("live");
    t.write(pcb, 1, 10);
    t.put(&mut app, "P. 1:1001(1000) ack 1");
    t.put(&mut app, "R 5000:5000(0) win 0");
    t.wait(&mut app, Duration::from_millis(250));
    let mut count = 0;
    while let Some(packet) = t.wire.take() {
        // The lower two bits are ECN's.
        assert_eq!((packet[8], packet[1]), (7, 0x28));
        count += 1;
    }
    assert!(count >= 3, "{count}");
    // The last one too.
    t.tcp().abort(pcb).expect("live");
    let reset = t.wire.take().expect("a reset");
    assert_eq!((reset[8], reset[1]), (7, 0x28));
}

#[test]
fn x114_an_acknowledgement_that_waits_in_the_driver_spares_the_retransmission() {
    let (mut t, mut app) = accepted();
    t.write(app.pcb(), 1, 10);
    t.turn(&mut app);
    t.sent();
    // The thread was kept from running for a second; the answer has been there for long.
    let text = ". 1:1(0) ack 11 win 10000";
    let answer = gannet_tests::segment::Segment::parse(text, t.peer, t.local);
    t.wire.put(answer.packet(t.peer, t.local));
    t.now += Duration::from_secs(1);
    t.turn(&mut app);
    assert!(t.sent().is_empty());
    assert_eq!(t.stack.tcp_stats().timeouts, 0);
}

#[test]
fn x003_x013_x039_a_stream_cut_anywhere_arrives_whole() {
    // Segments of random size and order, with overlaps and repeats, the FIN among them.
    let mut random = fastrand::Rng::with_seed(39);
    for _ in 0..50 {
        let (mut t, mut app) = accepted();
        let end = random.u32(1..5000);
        let mut pieces: Vec<(u32, u32)> = (0..end.div_ceil(100) * 3)
            .map(|_| {
                let start = random.u32(1..=end);
                (start, random.u32(0..=(end + 1 - start).min(1000)))
            })
            .collect();
        pieces.extend((1..=end).step_by(100).map(|n| (n, 100.min(end + 1 - n))));
        random.shuffle(&mut pieces);
        // In any order at first, then as a sender would: the caps drop what they must.
        pieces.extend((1..=end).step_by(1000).map(|n| (n, 1000.min(end + 1 - n))));
        pieces.push((end + 1, 0));
        for (start, len) in pieces {
            let fin = if start + len == end + 1 { "F" } else { "" };
            let flags = format!("{fin}.");
            t.put(
                &mut app,
                &format!("{flags} {start}:{}({len}) ack 1", start + len),
            );
            while t.wire.take().is_some() {}
        }
        assert_eq!(app.data, (1..=end).map(pattern).collect::<Vec<_>>());
        assert_eq!(app.log.iter().filter(|l| *l == "recv end").count(), 1);
        assert_eq!(t.pools.in_use()[0], 0);
    }
}
