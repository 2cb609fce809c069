//! Explicit congestion notification: RFC 3168 §6.1.
use gannet_core::Config;
use gannet_core::config::Use;
use gannet_core::tcp::CongestionControl;
use gannet_tests::recorder::Recorder;
use gannet_tests::script::{Script, plain_config};

fn config() -> Config {
    let mut config = plain_config();
    config.tcp.ecn = Use::On;
    config.tcp.congestion = CongestionControl::NewReno;
    config
}

/// A connection from the stack; both sides agreed.
fn connected(app: &mut Recorder) -> Script {
    let (mut t, _) = Script::connecting(config());
    t.run(
        app,
        "> SEW 0:0(0) <mss 1460>
         < SE. 0:0(0) ack 1 win 60000 <mss 1000>
         > . 1:1(0) ack 1",
    );
    t
}

#[test]
fn it_is_used_only_if_both_sides_say_so() {
    // RFC 3168 §6.1.1. What the peer answers to our offer, and whether marks are used then.
    for (answer, agreed) in [
        ("SE.", true),
        ("S.", false),
        ("SEW.", false),
        ("SW.", false),
    ] {
        let (mut t, pcb) = Script::connecting(config());
        let mut app = Recorder::default();
        t.run(
            &mut app,
            &format!(
                "> SEW 0:0(0) <mss 1460>
                 < {answer} 0:0(0) ack 1 win 60000 <mss 1000>
                 > . 1:1(0) ack 1"
            ),
        );
        assert_eq!(t.tcp().info(pcb).expect("live").ecn, agreed, "{answer}");
    }
    // What the peer offers, and what we answer.
    let mut t = Script::listening(config(), 20);
    let mut app = Recorder::default();
    for (port, (offer, answer)) in
        (5000..).zip([("SEW", "SE."), ("S", "S."), ("SE", "S."), ("SW", "S.")])
    {
        t.peer.port = port;
        t.run(
            &mut app,
            &format!(
                "< {offer} 0:0(0) win 1000
                 > {answer} 0:0(0) ack 1 <mss 1460>
                 < . 1:1(0) ack 1"
            ),
        );
        let info = t.tcp().info(app.pcb()).expect("a live connection");
        assert_eq!(info.ecn, offer == "SEW");
    }
}

#[test]
fn switched_off_it_is_neither_offered_nor_accepted() {
    let (mut t, _) = Script::connecting(plain_config());
    t.run(&mut Recorder::default(), "> S 0:0(0) <mss 1460>");
    let mut t = Script::listening(plain_config(), 20);
    t.run(
        &mut Recorder::default(),
        "< SEW 0:0(0) win 1000\n> S. 0:0(0) ack 1 <mss 1460>",
    );
}

#[test]
fn a_syn_sent_again_does_without_and_then_the_connection_does_too() {
    // RFC 3168 §6.1.1.1.
    let (mut t, pcb) = Script::connecting(config());
    let mut app = Recorder::default();
    t.run(
        &mut app,
        "> SEW 0:0(0) <mss 1460>
         wait 1000
         > S 0:0(0) <mss 1460>
         < SE. 0:0(0) ack 1 win 60000 <mss 1000>
         > . 1:1(0) ack 1",
    );
    assert!(!t.tcp().info(pcb).expect("live").ecn);
    t.write(pcb, 1, 10);
    t.run(&mut app, "> P. 1:11(10) ack 1");
}

#[test]
fn only_new_data_is_marked_as_capable() {
    // RFC 3168 §6.1.4, §6.1.5: not acknowledgements, not retransmissions.
    let mut app = Recorder::default();
    let mut t = connected(&mut app);
    let pcb = app.pcb();
    t.write(pcb, 1, 1500);
    t.run(
        &mut app,
        "> [tos 2] . 1:1001(1000) ack 1
         > nothing
         < P. 1:11(10) ack 1 win 60000
         wait 100
         > . 1001:1001(0) ack 11",
    );
    t.wait(&mut app, std::time::Duration::from_millis(200));
    assert_eq!(t.sent(), [". 1:1001(1000) ack 11 win 65535"]);
}

#[test]
fn window_probes_are_not_marked() {
    // RFC 3168 §6.1.6.
    let mut app = Recorder::default();
    let mut t = connected(&mut app);
    let pcb = app.pcb();
    t.run(&mut app, "< . 1:1(0) ack 1 win 0");
    t.write(pcb, 1, 10);
    t.wait(&mut app, std::time::Duration::from_millis(1500));
    let sent = t.sent();
    assert!(sent[0].starts_with(". 1:2(1) ack 1"), "{sent:?}");
}

#[test]
fn a_mark_is_echoed_until_the_peer_says_it_slowed_down() {
    // RFC 3168 §6.1.3.
    let mut app = Recorder::default();
    let mut t = connected(&mut app);
    t.run(
        &mut app,
        "< [tos 2] . 1:1001(1000) ack 1
         < [tos 3] . 1001:2001(1000) ack 1
         > E. 1:1(0) ack 2001
         < [tos 2] . 2001:3001(1000) ack 1
         < [tos 2] . 3001:4001(1000) ack 1
         > E. 1:1(0) ack 4001
         < [tos 2] W. 4001:5001(1000) ack 1
         < [tos 2] . 5001:6001(1000) ack 1
         > . 1:1(0) ack 6001
         < [tos 3] W. 6001:7001(1000) ack 1
         < [tos 2] . 7001:8001(1000) ack 1
         > E. 1:1(0) ack 8001",
    );
    assert_eq!(t.tcp().info(app.pcb()).expect("live").ecn_marks, 2);
}

#[test]
fn marks_on_a_connection_without_agreement_mean_nothing() {
    let mut app = Recorder::default();
    let mut t = Script::accepted(config(), &mut app);
    t.run(
        &mut app,
        "< [tos 3] . 1:1001(1000) ack 1
         < [tos 3] E. 1001:2001(1000) ack 1
         > . 1:1(0) ack 2001",
    );
}

#[test]
fn an_echo_lowers_the_window_once_and_is_confirmed_once() {
    // RFC 3168 §6.1.2. By how much is the algorithm's business.
    let mut app = Recorder::default();
    let mut t = connected(&mut app);
    let pcb = app.pcb();
    t.write(pcb, 1, 30_000);
    t.turn(&mut app);
    let before = t.tcp().info(pcb).expect("live");
    assert_eq!((before.snd_cwnd, before.in_flight), (10_000, 10_000));
    t.sent();
    t.run(&mut app, "< E. 1:1(0) ack 1001 win 60000\n> nothing");
    let lower = t.tcp().info(pcb).expect("live").snd_cwnd;
    assert!((5_000..9_000).contains(&lower), "{lower}");
    // Echoes of the same window change nothing more; the next new data says so, once.
    t.put(&mut app, "E. 1:1(0) ack 5001 win 60000");
    t.put(&mut app, "E. 1:1(0) ack 7001 win 60000");
    assert_eq!(t.tcp().info(pcb).expect("live").snd_cwnd, lower);
    let sent = t.sent();
    let (first, rest) = sent.split_first().expect("new data");
    assert!(
        first.starts_with("[tos 2] W. 10001:11001(1000) ack 1"),
        "{first}"
    );
    assert!(!rest.is_empty() && rest.iter().all(|s| s.starts_with("[tos 2] . ")));
    // An echo of what was sent after the reduction counts again.
    t.put(&mut app, "E. 1:1(0) ack 11001 win 60000");
    assert!(t.tcp().info(pcb).expect("live").snd_cwnd < lower);
    let confirmed = t.sent().iter().filter(|s| s.contains(" W. ")).count();
    assert!(confirmed <= 1);
}

#[test]
fn an_echo_out_of_range_does_not_slow_down() {
    let mut app = Recorder::default();
    let mut t = connected(&mut app);
    let pcb = app.pcb();
    t.write(pcb, 1, 30_000);
    t.turn(&mut app);
    t.sent();
    t.run(
        &mut app,
        "< E. 1:1(0) ack 3000000000 win 60000
         > . 10001:10001(0) ack 1
         < E. 70000:70000(0) ack 1001 win 60000
         > . 10001:10001(0) ack 1",
    );
    assert_eq!(t.tcp().info(pcb).expect("live").snd_cwnd, 10_000);
}

#[test]
fn both_sides_agree_in_a_simultaneous_open() {
    let (mut t, pcb) = Script::connecting(config());
    let mut app = Recorder::default();
    t.run(
        &mut app,
        "> SEW 0:0(0) <mss 1460>
         < SEW 0:0(0) win 1000 <mss 1000>
         > SE. 0:0(0) ack 1 <mss 1460>
         < SE. 0:0(0) ack 1 win 1000
         > nothing",
    );
    assert!(t.tcp().info(pcb).expect("live").ecn);
}
