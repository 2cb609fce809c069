//! TIME-WAIT: RFC 9293 §3.6.1, RFC 6191 (reuse), RFC 1337 (assassination).
use gannet_core::config::Use;
use gannet_tests::recorder::Recorder;
use gannet_tests::script::{Script, plain_config};
use std::time::Duration;

/// A connection the stack closed first: in TIME-WAIT, with all numbers at 2. With timestamps the
/// peer's last one was 1000.
fn time_wait(timestamps: Use) -> (Script, Recorder) {
    let mut config = plain_config();
    config.tcp.timestamps = Use::On;
    let mut app = Recorder::default();
    let mut t = Script::listening(config, 5);
    let stamps = |value: u32| match timestamps {
        Use::On => format!(" <ts {value} 0>"),
        Use::Off => String::new(),
    };
    t.put(&mut app, &format!("S 0:0(0){}", stamps(998)));
    t.sent();
    t.put(&mut app, &format!(". 1:1(0) ack 1{}", stamps(999)));
    t.tcp().close(app.pcb()).expect("live");
    t.turn(&mut app);
    t.put(&mut app, &format!("F. 1:1(0) ack 2{}", stamps(1000)));
    t.sent();
    assert_eq!(t.stack.tcp_census().time_wait, 1);
    app.take();
    (t, app)
}

#[test]
fn a_new_connection_takes_the_place_as_rfc_6191_says() {
    use Use::{Off, On};
    // Timestamps before, those of the new SYN, and how far its number lies beyond the last.
    for (before, stamp, beyond, taken) in [
        (On, Some(1001), 5, true),
        (On, Some(1001), -100_000, true),
        (On, Some(1000), 5, true),
        (On, Some(1000), 0, false),
        (On, Some(1000), -5, false),
        (On, Some(999), 100_000, false),
        (On, None, 5, true),
        (On, None, -5, false),
        (Off, Some(1), -100_000, true),
        (Off, None, 5, true),
        (Off, None, 0, false),
        (Off, None, -5, false),
    ] {
        let (mut t, mut app) = time_wait(before);
        let old = t.local.isn + 2;
        let seq = 2i32.wrapping_add(beyond) as u32;
        let stamps = stamp.map_or(String::new(), |stamp| format!(" <ts {stamp} 0>"));
        t.put(&mut app, &format!("S {seq}:{seq}(0){stamps}"));
        let sent = t.sent();
        let what = format!("{before:?} {stamp:?} {beyond}: {sent:?}");
        assert_eq!(sent[0].starts_with("S."), taken, "{what}");
        assert_eq!(
            t.stack.tcp_census().time_wait,
            usize::from(!taken),
            "{what}"
        );
        if taken {
            // RFC 6191 §2, RFC 9293 §3.6.1: our numbers lie beyond the old ones.
            assert!(t.local.isn.after(old), "{what}");
        } else {
            // RFC 9293 §3.10.7.4: the old connection's acknowledgement.
            assert!(sent[0].starts_with(". 2:2(0) ack 2"), "{what}");
        }
    }
}

#[test]
fn old_duplicates_and_resets_do_not_end_it() {
    // RFC 1337 §3: hazards H1 to H3.
    let (mut t, mut app) = time_wait(Use::Off);
    for text in [
        "R 2:2(0) win 0",
        "R. 2:2(0) ack 2 win 0",
        "P. 1:101(100) ack 1",
        ". 1:1(0) ack 1",
        ". 2:2(0) ack 2",
        "S. 0:0(0) ack 1",
        "P. 2:102(100) ack 2",
    ] {
        t.put(&mut app, text);
        for sent in t.sent() {
            assert!(sent.starts_with(". 2:2(0) ack 2"), "{text}: {sent}");
        }
    }
    assert_eq!(t.stack.tcp_census().time_wait, 1);
    assert!(app.take().is_empty());
}

#[test]
fn a_fin_that_comes_again_restarts_the_wait() {
    // RFC 9293 §3.10.7.4: its acknowledgement was lost.
    let (mut t, mut app) = time_wait(Use::Off);
    t.wait(&mut app, Duration::from_secs(50));
    t.run(&mut app, "< F. 1:1(0) ack 2\n> . 2:2(0) ack 2");
    t.wait(&mut app, Duration::from_secs(59));
    assert_eq!(t.stack.tcp_census().time_wait, 1);
    t.wait(&mut app, Duration::from_secs(1));
    assert_eq!(t.stack.tcp_census().time_wait, 0);
}

#[test]
fn a_flood_is_not_reflected() {
    let (mut t, mut app) = time_wait(Use::Off);
    let mut answers = 0;
    for _ in 0..1000 {
        t.put(&mut app, "P. 1:2(1) ack 2");
        answers += t.sent().len();
    }
    assert_eq!(answers, 10);
}

#[test]
fn two_in_time_wait_do_not_answer_each_other_for_ever() {
    let (mut t, mut app) = time_wait(Use::Off);
    t.run(&mut app, "< . 2:2(0) ack 2\n> nothing");
}
