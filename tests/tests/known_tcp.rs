//! Attacks and bugs that TCP implementations fell to, one test a record: the name begins with the
//! record's number in our list (C: vulnerabilities by CVE number, K: classes of them). What is
//! shared with other tests of the same behaviour is short here. Options and urgent data are in
//! `known_tcp_options`.
use gannet_core::Config;
use gannet_core::config::Use;
use gannet_core::wire::tcp::{Flags, SeqNum};
use gannet_tests::recorder::Recorder;
use gannet_tests::recorder::accepted;
use gannet_tests::script::{Script, plain_config};
use gannet_tests::segment::{Segment, pattern, seal, set_tos};
use gannet_tests::victim::{assert_alive, packet};
use std::net::Ipv4Addr;
use std::time::Duration;

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
