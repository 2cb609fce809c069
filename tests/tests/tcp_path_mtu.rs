//! What the path carries: RFC 1191, RFC 5927 §7, and black holes in the manner of RFC 4821.
use gannet_core::Config;
use gannet_core::config::Use;
use gannet_core::wire::icmpv4::Unreachable;
use gannet_tests::recorder::Recorder;
use gannet_tests::script::{Script, plain_config};
use std::time::Duration;

fn config() -> Config {
    let mut config = plain_config();
    config.tcp.pmtud = Use::On;
    config
}

/// A connection with segments of 1460 bytes; the peer's window is 60000.
fn accepted() -> (Script, Recorder) {
    let mut app = Recorder::default();
    let mut t = Script::listening(config(), 5);
    t.run(
        &mut app,
        "< S 0:0(0) win 60000 <mss 1460>
         > S. 0:0(0) ack 1 <mss 1460>
         < . 1:1(0) ack 1 win 60000",
    );
    assert_eq!(app.take(), ["accept"]);
    (t, app)
}

#[test]
fn packets_must_not_be_fragmented_unless_discovery_is_off() {
    // RFC 1191 §3.
    for (setting, df) in [(Use::On, 0x40), (Use::Off, 0)] {
        let mut config = config();
        config.tcp.pmtud = setting;
        let mut app = Recorder::default();
        let mut t = Script::accepted(config, &mut app);
        t.write(app.pcb(), 1, 10);
        t.turn(&mut app);
        let packet = t.wire.take().expect("the data");
        assert_eq!(packet[6] & 0x40, df);
    }
}

#[test]
fn a_router_that_says_what_fits_is_believed_at_once() {
    let (mut t, mut app) = accepted();
    let pcb = app.pcb();
    t.write(pcb, 1, 2920);
    t.run(
        &mut app,
        "> . 1:1461(1460) ack 1
         > P. 1461:2921(1460) ack 1",
    );
    t.too_long(&mut app, 1, 1000);
    t.run(
        &mut app,
        "> . 1:961(960) ack 1
         > . 961:1921(960) ack 1
         > . 1921:2881(960) ack 1
         > P. 2881:2921(40) ack 1",
    );
    assert_eq!(t.tcp().mss(pcb), Ok(960));
    // The second packet's message says the same.
    t.too_long(&mut app, 1461, 1000);
    t.run(&mut app, "> nothing\n< . 1:1(0) ack 2921 win 60000");
    assert_eq!(app.take(), ["sent 2920"]);
    let info = t.tcp().info(pcb).expect("live");
    // RFC 1191 §6.4: no sign of congestion.
    assert!(info.snd_cwnd >= 14_600, "{info:?}");
}

#[test]
fn messages_that_cannot_be_true_are_ignored() {
    // RFC 5927 §4.1, §7.2; RFC 1191 §3.
    let (mut t, mut app) = accepted();
    let pcb = app.pcb();
    t.too_long(&mut app, 0, 600);
    t.write(pcb, 1, 1460);
    t.run(&mut app, "> P. 1:1461(1460) ack 1");
    for (seq, mtu) in [
        // Numbers that are not in flight.
        (0, 600),
        (1461, 600),
        (0x8000_0000, 600),
        // Sizes that were not exceeded.
        (1, 1500),
        (1, 9000),
    ] {
        t.too_long(&mut app, seq, mtu);
    }
    t.run(&mut app, "> nothing");
    assert_eq!(t.tcp().mss(pcb), Ok(1460));
    // The numbers are checked by TCP, the sizes by IP against the quoted packet.
    assert_eq!(t.stack.tcp_stats().icmp_ignored, 4);
    assert_eq!(t.stack.icmp_stats().in_bad_quotes, 2);
}

#[test]
fn segments_that_would_have_fitted_were_not_too_long() {
    // RFC 5927 §7.2: nothing longer than the claim was sent.
    let (mut t, mut app) = accepted();
    t.write(app.pcb(), 1, 300);
    t.run(&mut app, "> P. 1:301(300) ack 1");
    t.too_long(&mut app, 1, 600);
    assert_eq!(t.tcp().mss(app.pcb()), Ok(1460));
}

#[test]
fn a_claim_against_the_evidence_waits_for_a_timeout() {
    // RFC 5927 §7.2: segments of this size have passed.
    let (mut t, mut app) = accepted();
    let pcb = app.pcb();
    t.write(pcb, 1, 1460);
    t.run(
        &mut app,
        "> P. 1:1461(1460) ack 1\n< . 1:1(0) ack 1461 win 60000",
    );
    t.write(pcb, 1461, 1460);
    t.run(&mut app, "> P. 1461:2921(1460) ack 1");
    t.too_long(&mut app, 1461, 600);
    t.run(&mut app, "> nothing");
    // Acknowledged: it was a forgery.
    t.run(&mut app, "< . 1:1(0) ack 2921 win 60000");
    t.write(pcb, 2921, 1460);
    t.run(&mut app, "> P. 2921:4381(1460) ack 1");
    t.wait(&mut app, Duration::from_millis(300));
    assert_eq!(t.tcp().mss(pcb), Ok(1460));
    // Not acknowledged in time: the route has changed.
    t.sent();
    t.run(&mut app, "< . 1:1(0) ack 4381 win 60000");
    t.write(pcb, 4381, 1460);
    t.run(&mut app, "> P. 4381:5841(1460) ack 1");
    t.too_long(&mut app, 4381, 600);
    t.wait(&mut app, Duration::from_millis(700));
    assert_eq!(t.tcp().mss(pcb), Ok(560));
    let sent = t.sent();
    assert!(sent[0].starts_with(". 4381:4941(560)"), "{sent:?}");
}

#[test]
fn no_message_makes_segments_absurdly_small() {
    let (mut t, mut app) = accepted();
    let pcb = app.pcb();
    t.write(pcb, 1, 1460);
    t.run(&mut app, "> P. 1:1461(1460) ack 1");
    // RFC 791: no link carries less than 68 bytes.
    t.too_long(&mut app, 1, 67);
    assert_eq!(t.tcp().mss(pcb), Ok(1460));
    t.too_long(&mut app, 1, 68);
    assert_eq!(t.tcp().mss(pcb), Ok(48));
}

#[test]
fn an_old_router_that_names_no_size_means_the_next_plateau() {
    // RFC 1191 §5, §7.1.
    let (mut t, mut app) = accepted();
    let pcb = app.pcb();
    t.write(pcb, 1, 1460);
    t.run(&mut app, "> P. 1:1461(1460) ack 1");
    t.too_long(&mut app, 1, 0);
    t.run(&mut app, "> . 1:1453(1452) ack 1\n> P. 1453:1461(8) ack 1");
    assert_eq!(t.tcp().mss(pcb), Ok(1452));
}

#[test]
fn a_path_that_swallows_large_segments_is_found_out() {
    // RFC 4821 §7: no message at all.
    let (mut t, mut app) = accepted();
    let pcb = app.pcb();
    t.write(pcb, 1, 1460);
    t.run(&mut app, "> P. 1:1461(1460) ack 1");
    // One timeout says nothing.
    t.wait(&mut app, Duration::from_millis(400));
    assert_eq!(t.tcp().mss(pcb), Ok(1460));
    t.wait(&mut app, Duration::from_millis(400));
    assert_eq!(t.tcp().mss(pcb), Ok(1024));
    t.wait(&mut app, Duration::from_secs(4));
    assert_eq!(t.tcp().mss(pcb), Ok(536));
    let last = t.sent().pop().expect("a retransmission");
    assert!(last.starts_with(". 1:537(536) ack 1"), "{last}");
    t.run(
        &mut app,
        "< . 1:1(0) ack 537 win 60000
         > . 537:1073(536) ack 1
         > P. 1073:1461(388) ack 1
         < . 1:1(0) ack 1461 win 60000",
    );
    assert_eq!(t.stack.tcp_stats().black_holes, 2);
    // RFC 1191 §6.3: after ten minutes the larger size gets another chance.
    t.wait(&mut app, Duration::from_secs(580));
    t.write(pcb, 1461, 10);
    t.run(
        &mut app,
        "> P. 1461:1471(10) ack 1\n< . 1:1(0) ack 1471 win 60000",
    );
    assert_eq!(t.tcp().mss(pcb), Ok(536));
    t.wait(&mut app, Duration::from_secs(30));
    // With one segment; the size counts when that is acknowledged.
    t.write(pcb, 1471, 1460);
    t.run(&mut app, "> P. 1471:2931(1460) ack 1");
    assert_eq!(t.tcp().mss(pcb), Ok(536));
    t.run(&mut app, "< . 1:1(0) ack 2931 win 60000");
    assert_eq!(t.tcp().mss(pcb), Ok(1460));
    t.write(pcb, 2931, 1460);
    t.run(&mut app, "> P. 2931:4391(1460) ack 1");
}

#[test]
fn a_probe_of_a_path_that_is_still_narrow_costs_one_segment() {
    // RFC 4821 §7.6.2.
    let (mut t, mut app) = accepted();
    let pcb = app.pcb();
    t.write(pcb, 1, 1460);
    t.run(&mut app, "> P. 1:1461(1460) ack 1");
    t.too_long(&mut app, 1, 1000);
    t.run(&mut app, "> . 1:961(960) ack 1\n> P. 961:1461(500) ack 1");
    t.run(&mut app, "< . 1:1(0) ack 1461 win 60000");
    t.wait(&mut app, Duration::from_secs(601));
    t.write(pcb, 1461, 5300);
    t.turn(&mut app);
    let sent = t.sent();
    assert_eq!(sent[0], ". 1461:2921(1460) ack 1 win 65535");
    assert_eq!(sent.len(), 5);
    // All but the probe arrive.
    for _ in 0..4 {
        t.put(&mut app, ". 1:1(0) ack 1461 win 60000");
    }
    let again = t.sent();
    assert_eq!(again[0], ". 1461:2421(960) ack 1 win 65535");
    t.put(&mut app, ". 1:1(0) ack 2421 win 60000");
    assert_eq!(t.sent()[0], ". 2421:3381(960) ack 1 win 65535");
    t.put(&mut app, ". 1:1(0) ack 6761 win 60000");
    assert_eq!(t.tcp().mss(pcb), Ok(960));
    assert_eq!(t.stack.tcp_stats().timeouts, 0);
    // The next chance is ten minutes away.
    t.write(pcb, 6761, 3000);
    t.turn(&mut app);
    assert!(t.sent()[0].starts_with(". 6761:7721(960)"));
}

#[test]
fn small_segments_that_are_lost_are_no_black_hole() {
    let (mut t, mut app) = accepted();
    let pcb = app.pcb();
    t.write(pcb, 1, 500);
    t.wait(&mut app, Duration::from_secs(60));
    t.sent();
    assert_eq!(t.tcp().mss(pcb), Ok(1460));
    assert_eq!(t.stack.tcp_stats().black_holes, 0);
}

#[test]
fn switched_off_messages_change_nothing() {
    let mut app = Recorder::default();
    let mut t = Script::accepted(plain_config(), &mut app);
    let pcb = app.pcb();
    t.write(pcb, 1, 1000);
    t.run(&mut app, "> P. 1:1001(1000) ack 1");
    t.too_long(&mut app, 1, 600);
    t.wait(&mut app, Duration::from_secs(10));
    t.sent();
    assert_eq!(t.tcp().mss(pcb), Ok(1000));
}

#[test]
fn errors_about_an_established_connection_do_not_end_it() {
    // RFC 5927 §5.2 and RFC 9293 §3.9.2.2.
    let (mut t, mut app) = accepted();
    let pcb = app.pcb();
    t.write(pcb, 1, 10);
    t.run(&mut app, "> P. 1:11(10) ack 1");
    for why in [
        Unreachable::Port,
        Unreachable::Protocol,
        Unreachable::Host,
        Unreachable::Network,
        Unreachable::AdministrativelyProhibited,
    ] {
        t.unreachable(&mut app, 1, why);
    }
    t.run(&mut app, "> nothing\n< . 1:1(0) ack 11 win 60000");
    assert_eq!(app.take(), ["sent 10"]);
}

#[test]
fn an_attempt_to_connect_believes_only_errors_about_its_syn() {
    let (mut t, _) = Script::connecting(config());
    let mut app = Recorder::default();
    t.run(&mut app, "> S 0:0(0) <mss 1460>");
    t.unreachable(&mut app, 1, Unreachable::Port);
    t.unreachable(&mut app, 0xffff_ffff, Unreachable::Port);
    assert!(app.take().is_empty());
    t.unreachable(&mut app, 0, Unreachable::Port);
    assert_eq!(app.take(), ["err Refused"]);
}
