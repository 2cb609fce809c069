//! RFC 5961 §3 to §5 as a table: every kind of blind segment in every state.
use gannet_tests::recorder::Recorder;
use gannet_tests::script::{Script, plain_config};
use std::time::Duration;

/// What became of a segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Answer {
    /// Nothing at all.
    Silence,
    /// A challenge: an acknowledgement of what is known.
    Challenge,
    /// The connection is gone.
    Dead,
}

/// Brings a connection into each of the synchronized states; all numbers are at (our, their).
fn states() -> Vec<(&'static str, Script, Recorder, u32, u32)> {
    let make = || {
        let mut app = Recorder::default();
        let t = Script::accepted(plain_config(), &mut app);
        app.take();
        (t, app)
    };
    let close = |t: &mut Script, app: &mut Recorder| {
        let pcb = app.pcb();
        t.tcp().close(pcb).expect("live");
        t.turn(app);
    };
    let mut all = Vec::new();
    let (t, app) = make();
    all.push(("ESTABLISHED", t, app, 1, 1));
    let (mut t, mut app) = make();
    close(&mut t, &mut app);
    all.push(("FIN-WAIT-1", t, app, 2, 1));
    let (mut t, mut app) = make();
    close(&mut t, &mut app);
    t.put(&mut app, ". 1:1(0) ack 2");
    all.push(("FIN-WAIT-2", t, app, 2, 1));
    let (mut t, mut app) = make();
    t.put(&mut app, "F. 1:1(0) ack 1");
    all.push(("CLOSE-WAIT", t, app, 1, 2));
    let (mut t, mut app) = make();
    close(&mut t, &mut app);
    t.put(&mut app, "F. 1:1(0) ack 1");
    all.push(("CLOSING", t, app, 2, 2));
    let (mut t, mut app) = make();
    t.put(&mut app, "F. 1:1(0) ack 1");
    close(&mut t, &mut app);
    all.push(("LAST-ACK", t, app, 2, 2));
    all
}

/// Puts a segment to each state; `text` gets the next expected number, and ours.
fn check(text: impl Fn(u32, u32) -> String, expected: Answer) {
    for (state, mut t, mut app, ours, theirs) in states() {
        t.sent();
        let text = text(theirs, ours);
        let before = t.stack.tcp_census().connections;
        t.put(&mut app, &text);
        let sent = t.sent();
        let ack = format!(". {ours}:{ours}(0) ack {theirs} ");
        let answer = match (t.stack.tcp_census().connections < before, &sent[..]) {
            (true, []) => Answer::Dead,
            (false, []) => Answer::Silence,
            (false, [one]) if one.starts_with(&ack) => Answer::Challenge,
            other => panic!("{state}, {text}: {other:?}"),
        };
        assert_eq!(answer, expected, "{state}, {text}");
    }
}

#[test]
fn resets() {
    // §3.2: outside the window silence, inside a challenge, at the exact number the end.
    for outside in [100_000u32, 3_000_000_000, u32::MAX - 5] {
        check(
            |nxt, _| format!("R {0}:{0}(0) win 0", nxt.wrapping_add(outside)),
            Answer::Silence,
        );
    }
    for inside in [1, 2, 1000, 60_000] {
        check(
            |nxt, _| format!("R {0}:{0}(0) win 0", nxt + inside),
            Answer::Challenge,
        );
        check(
            |nxt, una| format!("R. {0}:{0}(0) ack {una} win 0", nxt + inside),
            Answer::Challenge,
        );
    }
    check(|nxt, _| format!("R {nxt}:{nxt}(0) win 0"), Answer::Dead);
    // RFC 9293 §3.5.3 (SHLD-2): it may carry data, an explanation.
    check(
        |nxt, _| format!("R {nxt}:{}(10) win 0", nxt + 10),
        Answer::Dead,
    );
    // The acknowledgement in a reset does not count.
    check(
        |nxt, _| format!("R. {nxt}:{nxt}(0) ack 999999 win 0"),
        Answer::Dead,
    );
}

#[test]
fn a_closed_window_takes_resets() {
    // RFC 9293 §3.10.7.4 (MUST-66).
    let mut config = plain_config();
    config.tcp.rcv_wnd = 1000;
    let mut app = Recorder {
        hold_window: true,
        ..Recorder::default()
    };
    let mut t = Script::accepted(config, &mut app);
    t.put(&mut app, "P. 1:1001(1000) ack 1");
    t.wait(&mut app, Duration::from_millis(100));
    assert_eq!(t.sent(), [". 1:1(0) ack 1001 win 0"]);
    t.put(&mut app, "R 1002:1002(0) win 0");
    assert_eq!(app.take(), ["accept", "recv 1000"]);
    t.put(&mut app, "R 1001:1001(0) win 0");
    assert_eq!(app.take(), ["err Reset"]);
}

#[test]
fn syns() {
    // §4.2: a challenge whatever the number.
    for offset in [0, 1, 1000, 100_000, 3_000_000_000] {
        check(
            |nxt, _| format!("S {0}:{0}(0) win 0", nxt.wrapping_add(offset)),
            Answer::Challenge,
        );
        check(
            |nxt, una| format!("S. {0}:{0}(0) ack {una} win 0", nxt.wrapping_add(offset)),
            Answer::Challenge,
        );
    }
}

#[test]
fn data() {
    // §5.2: outside [SND.UNA - MAX.SND.WND, SND.NXT] a challenge, and the data is dropped.
    for ack in [1u32, 1000, 1 << 30, 3 << 30] {
        check(
            |nxt, una| {
                let ack = una.wrapping_add(ack);
                format!("P. {nxt}:{}(10) ack {ack}", nxt + 10)
            },
            Answer::Challenge,
        );
    }
    let mut app = Recorder::default();
    let mut t = Script::accepted(plain_config(), &mut app);
    t.put(&mut app, "P. 1:11(10) ack 5000");
    assert_eq!(app.take(), ["accept"]);
}

#[test]
fn acknowledgements_as_old_as_the_largest_window_are_taken() {
    // §5.2, the lower bound: MAX.SND.WND is 10,000 here.
    let mut app = Recorder::default();
    let mut t = Script::accepted(plain_config(), &mut app);
    let pcb = app.pcb();
    let mut at = 1u32;
    for _ in 0..3 {
        t.write(pcb, at, 9000);
        t.wait(&mut app, Duration::from_millis(1));
        t.sent();
        at += 9000;
        t.put(&mut app, &format!(". 1:1(0) ack {at} win 10000"));
    }
    app.take();
    let old = at - 10_000;
    t.put(&mut app, &format!("P. 1:11(10) ack {old}"));
    assert_eq!(app.take(), ["recv 10"]);
    let older = old - 1;
    t.put(&mut app, &format!("P. 11:21(10) ack {older}"));
    assert!(app.take().is_empty());
}

#[test]
fn challenges_are_limited() {
    // §10. Each connection has its own allowance, which comes back.
    let mut app = Recorder::default();
    let mut t = Script::accepted(plain_config(), &mut app);
    for _ in 0..3 {
        let mut answers = 0;
        for n in 0..300u32 {
            let kind = ["R 9:9(0)", "S 9:9(0)", "P. 1:2(1) ack 9"][n as usize % 3];
            t.put(&mut app, kind);
            answers += t.sent().len();
        }
        assert_eq!(answers, 10);
        t.wait(&mut app, Duration::from_secs(1));
    }
}

#[test]
fn an_attempt_to_connect_is_not_ended_blindly() {
    // RFC 9293 §3.10.7.3: only by an acknowledgement of its SYN.
    let (mut t, _) = Script::connecting(plain_config());
    let mut app = Recorder::default();
    t.turn(&mut app);
    t.sent();
    for text in [
        "R 0:0(0) win 0",
        "R. 0:0(0) ack 0 win 0",
        "R. 0:0(0) ack 2 win 0",
        "R. 0:0(0) ack 2147483649 win 0",
        "F. 0:0(0) ack 1",
        ". 0:0(0) ack 1",
    ] {
        t.put(&mut app, text);
    }
    assert!(app.take().is_empty());
    assert!(t.sent().is_empty());
    t.put(&mut app, "R. 0:0(0) ack 1 win 0");
    assert_eq!(app.take(), ["err Refused"]);
}
