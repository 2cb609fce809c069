//! Half-open connections under attack: RFC 4987.
use gannet_core::Config;
use gannet_core::config::Use;
use gannet_core::tcp::State;
use gannet_tests::recorder::Recorder;
use gannet_tests::script::{Script, plain_config};
use gannet_tests::segment::{End, Segment};
use std::net::Ipv4Addr;
use std::time::Duration;

/// Room for half-open connections in the rig's default storage.
const ROOM: usize = 8;

fn without_cookies() -> Config {
    let mut config = plain_config();
    config.tcp.syn_cookies = Use::Off;
    config
}

/// The end of the `n`-th of many strangers.
fn stranger(n: u32) -> End {
    let [_, b, c, d] = n.to_be_bytes();
    End {
        addr: Ipv4Addr::new(77, b, c, d),
        port: 1024 + (n % 50_000) as u16,
        isn: gannet_core::wire::tcp::SeqNum(n.wrapping_mul(2_654_435_761)),
    }
}

/// Puts a SYN of the `n`-th stranger on the wire; no answer ever finds it.
fn forge(t: &mut Script, n: u32, options: &str) {
    let from = stranger(n);
    let syn = Segment::parse(&format!("S 0:0(0) win 1000 <{options}>"), from, t.local);
    t.wire.put(syn.packet(from, t.local));
}

fn discard(t: &mut Script) -> usize {
    let mut count = 0;
    while t.wire.take().is_some() {
        count += 1;
    }
    count
}

/// Fills the table of half-open connections.
fn fill(t: &mut Script, app: &mut Recorder) {
    for n in 0..ROOM as u32 {
        forge(t, n, "mss 1460");
        t.turn(app);
    }
    assert_eq!(discard(t), ROOM);
    assert_eq!(t.stack.tcp_census().half_open, ROOM);
}

#[test]
fn a_client_connects_in_a_flood_of_100_000_forged_syns_and_memory_stays_within_its_cap() {
    let mut app = Recorder::default();
    let mut t = Script::listening(Config::default(), 5);
    let mut clients = 0;
    for n in 0..100_000u32 {
        forge(&mut t, n, "mss 1460,sackOK,ts 5 0,ws 7");
        t.wait(&mut app, Duration::from_micros(100));
        assert!(discard(&mut t) > 0);
        if n % 10_000 != 9_999 {
            continue;
        }
        // All blocks but those of received frames are back, and no table has grown.
        let [rx, tx, header] = t.pools.in_use();
        assert_eq!((rx, tx, header), (0, 0, 0));
        let census = t.stack.tcp_census();
        assert!(census.half_open <= ROOM && census.connections == clients);
        // The client's SYN, with its answer, and data.
        t.peer.port = 6000 + clients as u16;
        t.put(
            &mut app,
            "S 0:0(0) win 1000 <mss 1460,sackOK,ts 100 0,ws 7>",
        );
        let syn_ack = Segment::from_packet(&t.wire.take().expect("an answer"))
            .expect("TCP")
            .0;
        assert_eq!(syn_ack.ack, Some(t.peer.isn + 1));
        t.local.isn = syn_ack.seq;
        let stamp = syn_ack.options.timestamps.expect("timestamps").value;
        t.run(
            &mut app,
            &format!("< P. 1:11(10) ack 1 win 1000 <ts 101 {stamp}>"),
        );
        clients += 1;
        assert_eq!(app.take(), ["accept", "recv 10"]);
        let info = t.tcp().info(app.pcb()).expect("a live connection");
        assert_eq!(info.state, State::Established);
        assert_eq!((info.snd_mss, info.window_scales), (1448, Some((0, 7))));
        assert!(info.sack && info.timestamps && !info.ecn);
        assert_eq!(info.snd_wnd, 1000 << 7);
    }
    assert_eq!(clients, 10);
    assert_eq!(t.stack.tcp_stats().syn_cookies_received, 10);
    assert!(t.stack.tcp_stats().syn_cookies_sent > 90_000);
}

#[test]
fn a_cookie_without_timestamps_keeps_the_segment_size_only() {
    let mut app = Recorder::default();
    let mut t = Script::listening(Config::default(), 20);
    fill(&mut t, &mut app);
    t.run(
        &mut app,
        "< S 0:0(0) win 1000 <mss 1400,sackOK,ws 7>
         > S. 0:0(0) ack 1 <mss 1460>
         < P. 1:11(10) ack 1 win 5000
         wait 100
         > . 1:1(0) ack 11",
    );
    assert_eq!(app.take(), ["accept", "recv 10"]);
    let info = t.tcp().info(app.pcb()).expect("a live connection");
    assert_eq!((info.snd_mss, info.window_scales), (1360, None));
    assert!(!info.sack && !info.timestamps);
    assert_eq!(info.snd_wnd, 5000);
}

#[test]
fn a_forged_cookie_is_reset_and_none_is_believed_before_any_was_sent() {
    let mut app = Recorder::default();
    let mut t = Script::listening(plain_config(), 20);
    t.run(&mut app, "< . 1:1(0) ack 1\n> R 1:1(0) win 0");
    assert_eq!(t.stack.tcp_stats().syn_cookies_failed, 0);
    fill(&mut t, &mut app);
    t.run(
        &mut app,
        "< S 0:0(0) win 1000
         > S. 0:0(0) ack 1 <mss 1460>
         < . 1:1(0) ack 2
         > R 2:2(0) win 0
         < . 2:2(0) ack 1
         > R 1:1(0) win 0",
    );
    assert_eq!(t.stack.tcp_stats().syn_cookies_failed, 2);
    assert!(app.take().is_empty());
    t.run(&mut app, "< . 1:1(0) ack 1\n> nothing");
    assert_eq!(app.take(), ["accept"]);
}

#[test]
fn a_cookie_expires() {
    let mut app = Recorder::default();
    let mut t = Script::listening(plain_config(), 20);
    fill(&mut t, &mut app);
    t.run(
        &mut app,
        "< S 0:0(0) win 1000\n> S. 0:0(0) ack 1 <mss 1460>",
    );
    t.wait(&mut app, Duration::from_secs(129));
    discard(&mut t);
    t.run(&mut app, "< . 1:1(0) ack 1\n> R 1:1(0) win 0");
    assert!(app.take().is_empty());
}

#[test]
fn a_cookie_is_not_believed_twice_while_its_connection_lives() {
    let mut app = Recorder::default();
    let mut t = Script::listening(plain_config(), 20);
    fill(&mut t, &mut app);
    t.run(
        &mut app,
        "< S 0:0(0) win 1000
         > S. 0:0(0) ack 1 <mss 1460>
         < . 1:1(0) ack 1
         < . 1:1(0) ack 1
         > nothing",
    );
    assert_eq!(app.take(), ["accept"]);
    assert_eq!(t.stack.tcp_census().connections, 1);
}

#[test]
fn cookies_respect_the_backlog_and_the_control_blocks() {
    let mut app = Recorder {
        delay_accept: true,
        ..Recorder::default()
    };
    let mut t = Script::listening(plain_config(), 9);
    fill(&mut t, &mut app);
    for port in 5000..5009 {
        t.peer.port = port;
        t.run(
            &mut app,
            "< S 0:0(0) win 1000\n> S. 0:0(0) ack 1 <mss 1460>\n< . 1:1(0) ack 1",
        );
    }
    assert_eq!(app.take().len(), 9);
    // The backlog is full of accepted connections: neither record nor cookie.
    t.peer.port = 5100;
    t.run(&mut app, "< S 0:0(0) win 1000\n> nothing");
    assert_eq!(t.stack.tcp_census().connections, 9);
    // One place becomes free.
    t.tcp().accepted(app.pcb()).expect("a live connection");
    t.run(
        &mut app,
        "< S 0:0(0) win 1000\n> S. 0:0(0) ack 1 <mss 1460>\n< . 1:1(0) ack 1",
    );
    assert_eq!(app.take(), ["accept"]);
}

/// The first segment finds the backlog full. The second, which brings no cookie, reset the connection.
#[test]
fn a_connection_of_a_cookie_waits_for_a_place_in_the_backlog() {
    let mut app = Recorder {
        delay_accept: true,
        ..Recorder::default()
    };
    let mut t = Script::listening(plain_config(), 2);
    // Two half-open connections: the third gets a cookie, and then both complete.
    let ends = [5000, 5001, 5002].map(|port| {
        t.peer.port = port;
        t.run(
            &mut app,
            "< S 0:0(0) win 1000\n> S. 0:0(0) ack 1 <mss 1460>",
        );
        (t.peer, t.local)
    });
    assert_eq!(t.stack.tcp_stats().syn_cookies_sent, 1);
    for end in &ends[..2] {
        (t.peer, t.local) = *end;
        t.run(&mut app, "< . 1:1(0) ack 1\n> nothing");
    }
    assert_eq!(app.take(), ["accept", "accept"]);
    (t.peer, t.local) = ends[2];
    t.run(
        &mut app,
        "< . 1:11(10) ack 1 win 5000
         < . 11:21(10) ack 1 win 5000
         > nothing",
    );
    assert_eq!(t.stack.tcp_stats().accepts_deferred, 2);
    t.tcp().accepted(app.pcb()).expect("a live connection");
    // Now there is room, but what comes first is still behind the first.
    t.run(&mut app, "< . 21:31(10) ack 1 win 5000\n> nothing");
    t.run(
        &mut app,
        "wait 200
         < . 1:11(10) ack 1 win 5000
         < . 11:31(20) ack 1 win 5000
         > . 1:1(0) ack 31",
    );
    assert_eq!(app.take(), ["accept", "recv 10", "recv 20"]);
    assert_eq!(t.stack.tcp_stats().syn_cookies_failed, 0);
    // Later a stranger is told so as ever.
    t.run(&mut app, "wait 4000");
    t.peer.port = 5003;
    t.run(&mut app, "< . 1:1(0) ack 7\n> R 7:7(0) win 0");
    assert_eq!(t.stack.tcp_stats().syn_cookies_failed, 1);
}

#[test]
fn without_cookies_the_oldest_that_missed_its_timeout_gives_way() {
    // RFC 4987 §3.5.
    let mut app = Recorder::default();
    let mut t = Script::listening(without_cookies(), 20);
    fill(&mut t, &mut app);
    // All are young: the new one has to wait.
    t.run(&mut app, "< S 0:0(0) win 1000\n> nothing");
    assert_eq!(t.stack.tcp_stats().syns_dropped, 1);
    t.wait(&mut app, Duration::from_millis(1001));
    discard(&mut t);
    t.run(
        &mut app,
        "< S 0:0(0) win 1000
         > S. 0:0(0) ack 1 <mss 1460>
         < . 1:1(0) ack 1",
    );
    assert_eq!(app.take(), ["accept"]);
    assert_eq!(t.stack.tcp_stats().half_open_evicted, 1);
}

#[test]
fn without_cookies_clients_that_try_again_get_through_a_flood() {
    let mut app = Recorder::default();
    let mut t = Script::listening(without_cookies(), 20);
    let mut served = false;
    for n in 0..200 {
        // 20 forged SYNs a second; the client repeats its SYN each second.
        forge(&mut t, n, "mss 1460");
        t.wait(&mut app, Duration::from_millis(50));
        discard(&mut t);
        if n % 20 == 19 && !served {
            t.put(&mut app, "S 0:0(0) win 1000");
            for answer in t.sent() {
                assert!(answer.starts_with("S. 0:0(0) ack 1"), "{answer}");
                t.run(&mut app, "< . 1:1(0) ack 1");
                served = true;
            }
        }
    }
    assert_eq!(app.take(), ["accept"]);
}

#[test]
fn one_host_cannot_take_all_places() {
    let mut config = without_cookies();
    config.tcp.max_half_open_per_peer = 3;
    let mut app = Recorder::default();
    let mut t = Script::listening(config, 20);
    for port in 5000..5003 {
        t.peer.port = port;
        t.run(
            &mut app,
            "< S 0:0(0) win 1000\n> S. 0:0(0) ack 1 <mss 1460>",
        );
    }
    t.peer.port = 5003;
    t.run(&mut app, "< S 0:0(0) win 1000\n> nothing");
    t.peer.addr = Ipv4Addr::new(10, 0, 0, 9);
    t.run(
        &mut app,
        "< S 0:0(0) win 1000\n> S. 0:0(0) ack 1 <mss 1460>",
    );
}

#[test]
fn a_listener_under_attack_leaves_others_alone() {
    let mut app = Recorder::default();
    let mut t = Script::listening(without_cookies(), 2);
    gannet_tests::apps::listen(&mut t.stack.tcp(t.now), 81, 5);
    for n in 0..100 {
        forge(&mut t, n, "mss 1460");
        t.turn(&mut app);
    }
    discard(&mut t);
    assert_eq!(t.stack.tcp_census().half_open, 2);
    t.local.port = 81;
    t.run(
        &mut app,
        "< S 0:0(0) win 1000\n> S. 0:0(0) ack 1 <mss 1460>\n< . 1:1(0) ack 1",
    );
    assert_eq!(app.take(), ["accept"]);
}

#[test]
fn repeated_syns_do_not_keep_a_half_open_connection_for_ever_nor_are_they_reflected() {
    let mut app = Recorder::default();
    let mut t = Script::listening(plain_config(), 5);
    t.run(
        &mut app,
        "< S 0:0(0) win 1000\n> S. 0:0(0) ack 1 <mss 1460>",
    );
    let isn = t.local.isn;
    // 1 + 2 + 4 + 8 + 16 + 32 + 60 s are all it may live, with a SYN every 100 ms.
    let mut lived = 0;
    while lived < 3000 {
        let syn = Segment::parse("S 0:0(0) win 1000", t.peer, t.local);
        t.wire.put(syn.packet(t.peer, t.local));
        t.wait(&mut app, Duration::from_millis(100));
        lived += 1;
        let answers = t.sent();
        if t.local.isn != isn {
            break;
        }
        assert!(answers.len() <= 2);
    }
    assert!((1229..=1231).contains(&lived), "{lived}");
    // A thousand at once are answered ten times.
    t.wait(&mut app, Duration::from_secs(2));
    discard(&mut t);
    for _ in 0..1000 {
        let syn = Segment::parse("S 0:0(0) win 1000", t.peer, t.local);
        t.wire.put(syn.packet(t.peer, t.local));
    }
    t.turn(&mut app);
    assert_eq!(discard(&mut t), 10);
}

#[test]
fn a_stranger_cannot_end_or_complete_a_half_open_connection() {
    let mut config = plain_config();
    config.tcp.timestamps = Use::On;
    let mut app = Recorder::default();
    let mut t = Script::listening(config, 5);
    t.put(&mut app, "S 0:0(0) win 1000 <mss 1000,ts 1000 0>");
    let sent = t.sent();
    assert!(sent[0].starts_with("S. 0:0(0) ack 1"), "{sent:?}");
    for (forged, answers) in [
        // RFC 5961 §3.2, §4.2; RFC 7323 §5.3: another SYN, resets, stamps from the past.
        ("S 700:700(0) win 1000 <ts 1001 0>", 1),
        ("R 2:2(0) win 0", 1),
        ("R 100000:100000(0) win 0", 0),
        (". 1:1(0) ack 1 <ts 999 0>", 1),
        (". 1:1(0) ack 1", 1),
        ("- 1:1(0) <ts 1001 0>", 0),
    ] {
        t.put(&mut app, forged);
        let sent = t.sent();
        assert_eq!(sent.len(), answers, "{forged}: {sent:?}");
        assert!(sent.iter().all(|s| s.starts_with(". 1:1(0) ack 1")));
    }
    assert_eq!(t.stack.tcp_census().half_open, 1);
    assert!(app.take().is_empty());
    t.run(&mut app, "< . 1:1(0) ack 1 <ts 1001 0>");
    assert_eq!(app.take(), ["accept"]);
}
