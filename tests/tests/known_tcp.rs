//! Attacks and bugs that TCP implementations fell to, one test a record: the name begins with the
//! record's number in our list (C: vulnerabilities by CVE number, K: classes of them). What is
//! shared with other tests of the same behaviour is short here.
use gannet_core::Config;
use gannet_core::config::Use;
use gannet_core::tcp::{Data, More};
use gannet_core::wire::tcp::{Flags, SeqNum};
use gannet_tests::recorder::Recorder;
use gannet_tests::script::{Script, plain_config};
use gannet_tests::segment::{Segment, pattern, seal, set_options, set_tos};
use std::net::Ipv4Addr;
use std::time::Duration;

fn accepted() -> (Script, Recorder) {
    let mut app = Recorder::default();
    let t = Script::accepted(plain_config(), &mut app);
    assert_eq!(app.take(), ["accept"]);
    (t, app)
}

/// The connection works: ten bytes at `seq` arrive, and ours are sent.
#[track_caller]
fn assert_alive(t: &mut Script, app: &mut Recorder, seq: u32) {
    t.turn(app);
    while t.wire.take().is_some() {}
    app.take();
    t.put(app, &format!("P. {seq}:{}(10) ack 1", seq + 10));
    assert_eq!(app.take(), ["recv 10"]);
    let pcb = app.pcb();
    t.wait(app, Duration::from_millis(200));
    while t.wire.take().is_some() {}
    t.tcp()
        .write(pcb, Data::Copy(b"alive"), More::No)
        .expect("room");
    t.turn(app);
    let sent = t.sent();
    assert!(sent[0].starts_with("P. 1:6(5)"), "{sent:?}");
}

/// The packet of a segment from the peer.
fn packet(t: &Script, text: &str) -> Vec<u8> {
    Segment::parse(text, t.peer, t.local).packet(t.peer, t.local)
}

/// A segment with these option bytes arrives.
fn put_options(t: &mut Script, app: &mut Recorder, text: &str, options: &[u8]) {
    let mut bytes = packet(t, text);
    set_options(&mut bytes, options);
    t.wire.put(bytes);
    t.turn(app);
}

#[test]
fn c001_urgent_pointer_of_zero() {
    let (mut t, mut app) = accepted();
    t.put(&mut app, "PU. 1:11(10) ack 1 urg 0");
    assert_eq!(app.take(), ["recv 10"]);
    assert_alive(&mut t, &mut app, 11);
}

#[test]
fn c002_urgent_data_with_a_malformed_authentication_option() {
    let (mut t, mut app) = accepted();
    for options in [
        [29, 3, 0, 0],
        [29, 0, 0, 0],
        [29, 255, 0, 0],
        [29, 1, 29, 1],
        [19, 18, 0, 0],
    ] {
        put_options(&mut t, &mut app, "PU. 1:11(10) ack 1 urg 4", &options);
    }
    // The first is well formed, though it authenticates nothing: unknown options are skipped.
    assert_eq!(app.take(), ["recv 10"]);
    assert_eq!(t.stack.tcp_stats().malformed, 4);
    assert_alive(&mut t, &mut app, 11);
}

#[test]
fn c003_urgent_pointer_in_the_answer_to_a_syn() {
    let (mut t, _) = Script::connecting(plain_config());
    let mut app = Recorder::default();
    t.run(&mut app, "> S 0:0(0) <mss 1460>");
    t.put(&mut app, "SU. 0:0(0) ack 1 win 10000 urg 65535");
    assert_eq!(app.take(), ["connected"]);
    assert_alive(&mut t, &mut app, 1);
}

#[test]
fn c004_urgent_pointers_that_change_from_segment_to_segment() {
    let (mut t, mut app) = accepted();
    for (seq, urgent) in [(1, 3), (11, 1), (21, 65_535), (31, 0), (41, 10)] {
        t.put(
            &mut app,
            &format!("PU. {seq}:{}(10) ack 1 urg {urgent}", seq + 10),
        );
    }
    // RFC 6093 §6: in line.
    assert_eq!(app.data, (1..51).map(pattern).collect::<Vec<_>>());
    assert_alive(&mut t, &mut app, 51);
}

#[test]
fn c007_malformed_options_do_not_reset_a_connection() {
    let (mut t, mut app) = accepted();
    for flags in ["S", "R", "R.", "F.", "."] {
        let ack = if flags.contains('.') { " ack 1" } else { "" };
        for options in [[2, 1, 0, 0], [3, 0, 0, 0], [8, 9, 0, 0], [5, 255, 0, 0]] {
            put_options(&mut t, &mut app, &format!("{flags} 1:1(0){ack}"), &options);
        }
    }
    assert_eq!(t.stack.tcp_stats().malformed, 20);
    assert_alive(&mut t, &mut app, 1);
}

#[test]
fn c023_lengths_of_ip_and_tcp_that_contradict_each_other() {
    let (mut t, mut app) = accepted();
    let good = packet(&t, "P. 1:11(10) ack 1");
    for total in 20..good.len() as u16 {
        let mut lies = good.clone();
        lies[2..4].copy_from_slice(&total.to_be_bytes());
        set_tos(&mut lies, 0);
        t.wire.put(lies);
        t.turn(&mut app);
    }
    assert!(app.take().is_empty());
    assert_alive(&mut t, &mut app, 1);
}

#[test]
fn c028_options_cut_short() {
    // SACK and timestamp options that end behind the header.
    let (mut t, mut app) = accepted();
    for options in [
        &[5, 10, 0, 0][..],
        &[5, 34, 0, 0, 0, 0, 0, 1],
        &[8, 10, 0, 0, 0, 0, 0, 0],
        &[1, 1, 1, 8],
        &[1, 1, 1, 5],
        &[2, 4, 5, 0xb4, 3, 3],
    ] {
        let mut padded = options.to_vec();
        padded.resize(options.len().next_multiple_of(4), 254);
        put_options(&mut t, &mut app, "P. 1:11(10) ack 1", &padded);
    }
    assert!(app.take().is_empty());
    assert_alive(&mut t, &mut app, 1);
}

#[test]
fn c036_c089_c170_segment_size_of_zero() {
    let mut app = Recorder::default();
    for mss in [0, 1, 11, 12, 13] {
        let mut config = Config::default();
        config.tcp.ecn = Use::Off;
        let mut t = Script::listening(config, 5);
        t.put(&mut app, &format!("S 0:0(0) win 1000 <mss {mss},ts 1 0>"));
        let syn_ack = Segment::from_packet(&t.wire.take().expect("an answer"));
        let syn_ack = syn_ack.expect("TCP").0;
        t.local.isn = syn_ack.seq;
        let stamp = syn_ack.options.timestamps.expect("a stamp").value;
        t.put(&mut app, &format!(". 1:1(0) ack 1 win 1000 <ts 2 {stamp}>"));
        let pcb = app.pcb();
        // RFC 9293 has no floor; 48 less twelve bytes of timestamps is ours.
        assert_eq!(t.tcp().mss(pcb), Ok(36));
        t.write(pcb, 1, 200);
        t.turn(&mut app);
        // The rest waits for Nagle.
        assert_eq!(t.sent().len(), 5);
    }
}

#[test]
fn c037_c076_c134_urgent_pointer_outside_of_the_segment() {
    let (mut t, mut app) = accepted();
    t.put(&mut app, "PU. 1:11(10) ack 1 urg 11");
    t.put(&mut app, "PU. 11:21(10) ack 1 urg 65535");
    t.put(&mut app, "U. 21:21(0) ack 1 urg 1000");
    t.put(&mut app, "PU. 1:11(10) ack 1 urg 32768");
    assert_eq!(app.take(), ["recv 10", "recv 10"]);
    assert_eq!(app.data, (1..21).map(pattern).collect::<Vec<_>>());
    assert_alive(&mut t, &mut app, 21);
}

#[test]
fn c050_unknown_option_of_length_zero() {
    let (mut t, mut app) = accepted();
    for kind in [6, 7, 9, 14, 99, 253, 255] {
        put_options(&mut t, &mut app, "P. 1:11(10) ack 1", &[kind, 0, 0, 0]);
        put_options(&mut t, &mut app, "P. 1:11(10) ack 1", &[1, 1, kind, 0]);
    }
    assert!(app.take().is_empty());
    assert_alive(&mut t, &mut app, 1);
}

#[test]
fn c053_c133_data_offset_outside_of_the_segment() {
    let (mut t, mut app) = accepted();
    let good = packet(&t, "P. 1:11(10) ack 1");
    for words in 0..16u8 {
        let mut bad = good.clone();
        bad[32] = words << 4;
        seal(&mut bad);
        // 5 is right; 6 and 7 take data for options.
        if words != 5 {
            t.wire.put(bad[..46].to_vec());
            bad.truncate(46);
            seal(&mut bad);
            t.wire.put(bad);
        }
    }
    t.turn(&mut app);
    let got: usize = app.data.len();
    assert!(got <= 2, "{got}");
    let next = 1 + got as u32;
    assert_alive(&mut t, &mut app, next.max(1));
}

/// The statistics are in the tests beside `ports.rs`.
#[test]
fn c060_c061_initial_numbers_and_timestamps_cannot_be_guessed() {
    // What an attacker sees of one connection says nothing about the next peer's.
    let mut config = Config::default();
    config.tcp.ecn = Use::Off;
    let mut t = Script::listening(config, 1000);
    let mut app = Recorder::default();
    let mut seen = Vec::new();
    for n in 0..64u16 {
        t.peer.port = 3000 + n;
        t.peer.addr = Ipv4Addr::new(10, 0, 1, n as u8);
        t.put(&mut app, "S 0:0(0) <mss 1000,ts 1 0>");
        let answer = Segment::from_packet(&t.wire.take().expect("an answer")).expect("TCP");
        let stamp = answer.0.options.timestamps.expect("a stamp").value;
        seen.push((answer.0.seq.0, stamp));
    }
    for (a, b) in [(0, 1), (1, 2), (2, 3)] {
        let step = |a: usize, b: usize| seen[b].0.wrapping_sub(seen[a].0);
        assert_ne!(step(a, b), step(b, b + 1), "a constant increment");
    }
    let high = |n: u32| n >> 24;
    let distinct = |values: Vec<u32>| {
        let set: std::collections::HashSet<u32> = values.into_iter().collect();
        set.len()
    };
    assert!(distinct(seen.iter().map(|s| high(s.0)).collect()) > 40);
    assert!(distinct(seen.iter().map(|s| high(s.1)).collect()) > 40);
}

#[test]
fn c077_c078_ip_payload_shorter_than_a_tcp_header() {
    let (mut t, mut app) = accepted();
    let good = packet(&t, ". 1:1(0) ack 1");
    for len in 20..40 {
        let mut short = good[..len].to_vec();
        let total = len as u16;
        short[2..4].copy_from_slice(&total.to_be_bytes());
        set_tos(&mut short, 0);
        t.wire.put(short);
    }
    t.turn(&mut app);
    assert_eq!(t.stack.tcp_stats().malformed, 20);
    assert_alive(&mut t, &mut app, 1);
}

#[test]
fn c084_c150_c160_selective_acknowledgements_that_make_no_sense() {
    let mut config = plain_config();
    config.tcp.sack = Use::On;
    let mut t = Script::listening(config, 5);
    let mut app = Recorder::default();
    t.run(
        &mut app,
        "< S 0:0(0) win 60000 <mss 1000,sackOK>
         > S. 0:0(0) ack 1 <mss 1460,sackOK>
         < . 1:1(0) ack 1 win 60000",
    );
    let pcb = app.pcb();
    t.write(pcb, 1, 20_000);
    t.turn(&mut app);
    while t.wire.take().is_some() {}
    let edges = [
        0u32,
        1,
        2,
        500,
        1001,
        5001,
        20_001,
        30_000,
        1 << 31,
        u32::MAX,
    ];
    for left in edges {
        for right in edges {
            let text = format!(". 1:1(0) ack 1 win 60000 <sack {left}:{right}>");
            t.put(&mut app, &text);
            while t.wire.take().is_some() {}
        }
    }
    // Blocks of a wrong length.
    for options in [
        [5, 9, 0, 0, 0, 1, 0, 0, 0, 2, 0, 0],
        [5, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0],
        [5, 11, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0],
    ] {
        put_options(&mut t, &mut app, ". 1:1(0) ack 1", &options);
        while t.wire.take().is_some() {}
    }
    // Nothing of it counts as received: every byte is still there and arrives.
    assert_eq!(t.tcp().sndbuf(pcb), Ok(65_535 - 20_000));
    let mut ack = 1;
    for _ in 0..200 {
        t.wait(&mut app, Duration::from_secs(2));
        while let Some(sent) = t.wire.take() {
            let segment = Segment::from_packet(&sent).expect("TCP").0;
            let start = segment.seq.since(t.local.isn);
            let end = start + segment.data.len() as u32;
            if start <= ack && end > ack {
                ack = end;
            }
        }
        if ack == 20_001 {
            break;
        }
        t.put(&mut app, &format!(". 1:1(0) ack {ack} win 60000"));
    }
    assert_eq!(ack, 20_001);
}

#[test]
fn c085_c144_segments_of_random_bytes() {
    let mut random = fastrand::Rng::with_seed(85);
    let (mut t, mut app) = accepted();
    for _ in 0..20_000 {
        let mut bytes = packet(&t, "P. 1:11(10) ack 1");
        let len = random.usize(0..80);
        bytes.resize(20 + len, 0);
        for byte in bytes.iter_mut().skip(24) {
            *byte = random.u8(..);
        }
        if len >= 20 {
            seal(&mut bytes);
        }
        t.wire.put(bytes);
        t.turn(&mut app);
        while t.wire.take().is_some() {}
    }
    assert_eq!(t.pools.in_use()[0], 0);
}

#[test]
fn c100_no_ports() {
    let (mut t, mut app) = accepted();
    for at in [20, 22] {
        let mut bytes = packet(&t, "P. 1:11(10) ack 1");
        bytes[at..at + 2].fill(0);
        seal(&mut bytes);
        t.wire.put(bytes);
    }
    t.turn(&mut app);
    assert_eq!(t.stack.tcp_stats().malformed, 2);
    assert_alive(&mut t, &mut app, 1);
}

#[test]
fn c142_k18_a_second_segment_cannot_pass_the_window_the_first_has_filled() {
    let mut config = plain_config();
    config.tcp.rcv_wnd = 2000;
    let mut app = Recorder {
        hold_window: true,
        ..Recorder::default()
    };
    let mut t = Script::accepted(config, &mut app);
    for (seq, len) in [
        (1, 1500),
        (1501, 1400),
        (1001, 1400),
        (2001, 1400),
        (1990, 1400),
    ] {
        t.put(&mut app, &format!("P. {seq}:{}({len}) ack 1", seq + len));
    }
    assert_eq!(app.data, (1..2001).map(pattern).collect::<Vec<_>>());
}

#[test]
fn c147_blind_resets_in_the_window() {
    let (mut t, mut app) = accepted();
    for seq in (0..200_000).step_by(1000).map(|n| n + 2) {
        t.put(&mut app, &format!("R {seq}:{seq}(0) win 0"));
        t.put(&mut app, &format!("S {seq}:{seq}(0) win 0"));
    }
    assert_alive(&mut t, &mut app, 1);
}

#[test]
fn c151_tiny_segments_cannot_be_demanded() {
    let mut app = Recorder::default();
    let mut t = Script::listening(plain_config(), 5);
    t.run(
        &mut app,
        "< S 0:0(0) win 65535 <mss 8>
         > S. 0:0(0) ack 1 <mss 1460>
         < . 1:1(0) ack 1 win 65535",
    );
    let pcb = app.pcb();
    t.write(pcb, 1, 60_000);
    t.turn(&mut app);
    // Ten segments of 48 bytes are the initial window; not 60,000 of one.
    assert_eq!(t.sent().len(), 10);
}

#[test]
fn c152_k14_out_of_order_segments_cost_little() {
    // 200,000 tiny pieces from back to front: bounded work and memory for each.
    let (mut t, mut app) = accepted();
    for round in 0..4 {
        for n in (0..50_000u32).rev() {
            let seq = 2 + n + (round & 1);
            t.put(&mut app, &format!(". {seq}:{}(1) ack 1", seq + 1));
            while t.wire.take().is_some() {}
        }
    }
    assert!(t.pools.in_use()[0] <= 48 + 16);
    t.put(&mut app, "P. 1:1001(1000) ack 1");
    assert_eq!(app.data[..1000], (1..1001).map(pattern).collect::<Vec<_>>());
}

#[test]
fn c154_challenges_of_one_connection_say_nothing_about_another() {
    let mut app = Recorder::default();
    let mut t = Script::listening(plain_config(), 5);
    let mut ports = [5000u16, 5001].into_iter().map(|port| {
        t.peer.port = port;
        t.run(
            &mut app,
            "< S 0:0(0) win 1000\n> S. 0:0(0) ack 1 <mss 1460>\n< . 1:1(0) ack 1",
        );
        (port, t.local)
    });
    let (first, second) = (ports.next().expect("one"), ports.next().expect("two"));
    drop(ports);
    let mut challenge = |t: &mut Script, (port, local): (u16, _), times| {
        (t.peer.port, t.local) = (port, local);
        let mut answers = 0;
        for _ in 0..times {
            t.put(&mut app, "R 5:5(0) win 0");
            answers += t.sent().len();
        }
        answers
    };
    let limit = usize::from(Config::default().tcp.challenge_acks_per_second);
    assert_eq!(challenge(&mut t, first, 1000), limit);
    // The other's allowance is untouched.
    assert_eq!(challenge(&mut t, second, limit), limit);
}

#[test]
fn c159_c117_syns_from_addresses_nobody_has() {
    let mut app = Recorder::default();
    let mut t = Script::listening(plain_config(), 5);
    for from in [
        Ipv4Addr::UNSPECIFIED,
        Ipv4Addr::BROADCAST,
        Ipv4Addr::new(224, 0, 0, 1),
    ] {
        t.peer.addr = from;
        t.put(&mut app, "S 0:0(0) win 1000");
        t.put(&mut app, ". 1:1(0) ack 1");
    }
    assert!(t.wire.take().is_none());
    assert_eq!(t.stack.tcp_census().half_open, 0);
}

#[test]
fn c171_answer_to_a_syn_that_does_not_acknowledge_it() {
    let (mut t, _) = Script::connecting(plain_config());
    let mut app = Recorder::default();
    t.run(
        &mut app,
        "> S 0:0(0) <mss 1460>
         < S. 0:0(0) ack 0 win 1000
         > R 0:0(0) win 0
         < S. 0:0(0) ack 1 win 1000
         > . 1:1(0) ack 1",
    );
    assert_eq!(app.take(), ["connected"]);
}

#[test]
fn c172_numbers_that_wrap() {
    for isn in [0u32, 1, u32::MAX, u32::MAX - 1, 0x7fff_ffff, 0x8000_0000] {
        let mut app = Recorder::default();
        let mut t = Script::new(plain_config(), 80);
        t.peer.isn = SeqNum(isn);
        gannet_tests::apps::listen(&mut t.stack.tcp(t.now), 80, 5);
        t.run(
            &mut app,
            "< S 0:0(0) win 1000
             > S. 0:0(0) ack 1 <mss 1460>
             < P. 1:11(10) ack 1
             < P. 21:31(10) ack 1
             > . 1:1(0) ack 11
             < P. 11:21(10) ack 1
             > . 1:1(0) ack 31
             < F. 31:31(0) ack 1
             > . 1:1(0) ack 32",
        );
        assert_eq!(app.data, (1..31).map(pattern).collect::<Vec<_>>());
    }
}

#[test]
fn c173_a_window_that_shrinks_below_what_is_in_flight() {
    let (mut t, mut app) = accepted();
    let pcb = app.pcb();
    t.write(pcb, 1, 8000);
    t.turn(&mut app);
    while t.wire.take().is_some() {}
    for window in [500, 0, 1, 9000] {
        t.put(&mut app, &format!(". 1:1(0) ack 1 win {window}"));
        t.wait(&mut app, Duration::from_secs(1));
        while t.wire.take().is_some() {}
    }
    t.put(&mut app, ". 1:1(0) ack 8001 win 9000");
    assert_eq!(app.take(), ["sent 8000"]);
}

#[test]
fn c174_a_path_that_is_dead_for_weeks() {
    let (mut t, mut app) = accepted();
    let pcb = app.pcb();
    t.tcp()
        .user_timeout(pcb, Some(Duration::from_secs(86_400 * 60)))
        .expect("live");
    t.write(pcb, 1, 100);
    let mut longest = Duration::ZERO;
    let mut last = t.now;
    for _ in 0..86_400 * 30 / 60 {
        t.wait(&mut app, Duration::from_secs(60));
        if t.wire.take().is_some() {
            longest = longest.max(t.now.saturating_since(last));
            last = t.now;
        }
    }
    assert!(longest <= Duration::from_secs(121), "{longest:?}");
    t.put(&mut app, ". 1:1(0) ack 101");
    assert_eq!(app.take(), ["sent 100"]);
}

#[test]
fn c176_x066_a_flood_does_not_keep_a_turn_from_ending() {
    let (mut t, mut app) = accepted();
    let flood = packet(&t, "P. 3000000000:3000000001(1) ack 1");
    for _ in 0..100_000 {
        t.wire.put(flood.clone());
    }
    let next = t.stack.turn(t.now, &mut [&mut app]);
    assert!(t.wire.waiting() > 99_900);
    // And the stack asks to be called again at once.
    assert_eq!(next, Some(t.now));
}

#[test]
fn k02_a_wrong_checksum_changes_nothing() {
    let (mut t, mut app) = accepted();
    for text in ["R. 1:1(0) ack 1", "F. 1:1(0) ack 1", "P. 1:11(10) ack 1"] {
        let mut bytes = packet(&t, text);
        bytes[36] ^= 0x55;
        t.wire.put(bytes);
    }
    t.turn(&mut app);
    assert_eq!(t.stack.tcp_stats().checksum_errors, 3);
    assert_alive(&mut t, &mut app, 1);
}

#[test]
fn k04_numbers_half_the_circle_away() {
    let (mut t, mut app) = accepted();
    for far in [0x7fff_fffeu32, 0x7fff_ffff, 0x8000_0000, 0x8000_0001] {
        for flags in ["P.", "F.", "S.", "R."] {
            let (seq, ack) = (1u32.wrapping_add(far), 1u32.wrapping_add(far));
            let end = seq.wrapping_add(1);
            t.put(&mut app, &format!("{flags} {seq}:{end}(1) ack 1"));
            t.put(&mut app, &format!("{flags} 2:3(1) ack {ack}"));
        }
    }
    assert_alive(&mut t, &mut app, 1);
}

#[test]
fn k06_window_scale_of_15_and_more() {
    // RFC 7323 §2.3: as 14.
    let mut config = plain_config();
    config.tcp.window_scaling = Use::On;
    for shift in [14, 15, 255] {
        let mut app = Recorder::default();
        let mut t = Script::listening(config.clone(), 5);
        let mut syn = packet(&t, "S 0:0(0) win 1000");
        set_options(&mut syn, &[1, 3, 3, shift]);
        t.wire.put(syn);
        t.turn(&mut app);
        assert_eq!(t.sent().len(), 1);
        t.put(&mut app, ". 1:1(0) ack 1 win 65535");
        let info = t.tcp().info(app.pcb()).expect("live");
        assert_eq!(info.window_scales, Some((0, 14)));
        assert_eq!(info.snd_wnd, 65_535 << 14);
    }
}

#[test]
fn k07_options_twice_unknown_or_where_they_do_not_belong() {
    let (mut t, mut app) = accepted();
    let pcb = app.pcb();
    // MSS, window scale, SACK permitted in a segment without SYN mean nothing.
    let options = [2, 4, 0, 1, 3, 3, 14, 4, 2, 99, 4, 1, 2, 1, 1, 0];
    put_options(&mut t, &mut app, ". 1:1(0) ack 1 win 10000", &options);
    let info = t.tcp().info(pcb).expect("live");
    assert_eq!((info.snd_mss, info.snd_wnd), (1000, 10_000));
    assert!(!info.sack && info.window_scales.is_none());
    // Timestamps and SACK blocks that were not agreed on.
    t.put(&mut app, ". 1:1(0) ack 1 win 10000 <ts 0 0>");
    t.put(&mut app, ". 1:1(0) ack 1 win 10000 <sack 1:900>");
    assert_alive(&mut t, &mut app, 1);
}

#[test]
fn k15_every_state_has_a_timer() {
    // Each lost segment in turn: the handshake's, data, the window update, the FIN.
    let (mut t, mut app) = accepted();
    let pcb = app.pcb();
    t.write(pcb, 1, 10);
    t.turn(&mut app);
    assert!(t.stack.turn(t.now, &mut [&mut app]).is_some(), "data");
    t.put(&mut app, ". 1:1(0) ack 11 win 0");
    t.write(pcb, 11, 10);
    t.turn(&mut app);
    assert!(t.stack.turn(t.now, &mut [&mut app]).is_some(), "window");
    t.put(&mut app, ". 1:1(0) ack 11 win 10000");
    t.put(&mut app, ". 1:1(0) ack 21 win 10000");
    t.tcp().close(pcb).expect("live");
    t.turn(&mut app);
    assert!(t.stack.turn(t.now, &mut [&mut app]).is_some(), "FIN");
    t.put(&mut app, ". 1:1(0) ack 22 win 10000");
    assert!(t.stack.turn(t.now, &mut [&mut app]).is_some(), "FIN-WAIT-2");
}

#[test]
fn k16_frames_no_driver_should_deliver() {
    let (mut t, mut app) = accepted();
    let good = packet(&t, "P. 1:11(10) ack 1");
    for len in 0..good.len() {
        t.wire.put(good[..len].to_vec());
    }
    // Longer than it says: padding of the link.
    let mut padded = packet(&t, ". 1:1(0) ack 1");
    padded.extend([0xaa; 30]);
    t.wire.put(padded);
    for _ in 0..3 {
        t.wire.put(good.clone());
    }
    t.turn(&mut app);
    assert_eq!(app.data.len(), 10);
    while t.wire.take().is_some() {}
    assert_alive(&mut t, &mut app, 11);
}

#[test]
fn k06_every_combination_of_flags_in_every_reachable_number() {
    for bits in 0..=255u8 {
        let (mut t, mut app) = accepted();
        for seq in [0u32, 1, 2, 40_000, 65_536] {
            let mut segment = Segment::parse(". 1:1(0) ack 1", t.peer, t.local);
            segment.seq = t.peer.isn + seq;
            segment.ack = (bits & 0x10 != 0).then(|| t.local.isn + 1);
            segment.flags = flags_of(bits & !0x10);
            segment.urgent = 7;
            t.wire.put(segment.packet(t.peer, t.local));
            t.turn(&mut app);
            while t.wire.take().is_some() {}
        }
        // Only the exact reset, and FIN, end anything.
        let log = app.take();
        let (fin, syn, rst) = (bits & 1 != 0, bits & 2 != 0, bits & 4 != 0);
        let expected: &[&str] = match (rst && !syn, fin && !syn && bits & 0x10 != 0) {
            (true, _) => &["err Reset"],
            (false, true) => &["recv end"],
            _ => &[],
        };
        assert_eq!(log, expected, "flags {bits:08b}");
    }
}

fn flags_of(bits: u8) -> Flags {
    let all = [
        (1, Flags::FIN),
        (2, Flags::SYN),
        (4, Flags::RST),
        (8, Flags::PSH),
        (0x20, Flags::URG),
        (0x40, Flags::ECE),
        (0x80, Flags::CWR),
    ];
    all.into_iter()
        .filter(|(bit, _)| bits & bit != 0)
        .fold(Flags::NONE, |flags, (_, flag)| flags | flag)
}

#[test]
fn c090_the_options_of_an_answer_are_our_own() {
    // What a SYN carries, and what the answer's buffer held before, stays out of it.
    let mut t = Script::listening(Config::default(), 100);
    let mut app = Recorder::default();
    for port in 1..20 {
        t.peer.addr = Ipv4Addr::new(10, 0, 1, port);
        let mut syn = packet(&t, "S 0:0(0) win 1000");
        set_options(&mut syn, &[0xaa; 40]);
        t.wire.put(syn);
        t.turn(&mut app);
        let answer = t.wire.take().expect("an answer");
        let header_len = usize::from(answer[20 + 12] >> 4) * 4;
        // RFC 9293 §3.2: the size of segments, which is all that this peer understands.
        assert_eq!(answer[40..20 + header_len], [2, 4, 5, 0xb4]);
    }
}
