//! Attacks on TCP implementations with options, urgent data and where the data begins, one test a
//! record (C: vulnerabilities by CVE number, K: classes of them).
use gannet_core::Config;
use gannet_core::config::Use;
use gannet_tests::recorder::Recorder;
use gannet_tests::recorder::accepted;
use gannet_tests::script::{Script, plain_config};
use gannet_tests::segment::{Segment, pattern, seal, set_options};
use gannet_tests::victim::{assert_alive, packet, put_options};
use std::net::Ipv4Addr;
use std::time::Duration;

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
fn c090_the_options_of_an_answer_are_our_own() {
    // What a SYN carries, and what the answer's buffer held before, stays out of it.
    let mut t = Script::listening(Config::default(), 100);
    let mut app = Recorder::default();
    for port in 1..20 {
        t.peer.addr = Ipv4Addr::new(10, 0, 1, port);
        let mut syn = packet(&t, "S 0:0(0) win 1000");
        let mut unknown = [0x77; 40];
        (unknown[0], unknown[1], unknown[20], unknown[21]) = (0xaa, 20, 0xbb, 20);
        set_options(&mut syn, &unknown);
        t.wire.put(syn);
        t.turn(&mut app);
        let answer = t.wire.take().expect("an answer");
        let header_len = usize::from(answer[20 + 12] >> 4) * 4;
        // RFC 9293 §3.2: the size of segments, which is all that this peer understands.
        assert_eq!(answer[40..20 + header_len], [2, 4, 5, 0xb4]);
    }
}
