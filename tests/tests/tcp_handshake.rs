//! Opening: RFC 9293 §3.5 and §3.10.7.1 to §3.10.7.3; the backlog; what strangers can do.
use gannet_core::tcp::State;
use gannet_core::{Config, Error, Owner};
use gannet_tests::recorder::Recorder;
use gannet_tests::script::{Script, plain_config};

#[test]
fn a_segment_for_nobody_is_reset_and_a_reset_is_not() {
    let (mut t, mut app) = (Script::new(plain_config(), 80), Recorder::default());
    t.run(
        &mut app,
        "< S 0:0(0) win 1000
         > R. 0:0(0) ack 1 win 0
         < . 5:5(0) ack 7 win 1000
         > R 7:7(0) win 0
         < F. 5:5(0) ack 7 win 1000
         > R 7:7(0) win 0
         < R 5:5(0) win 0
         > nothing
         < R. 5:5(0) ack 7 win 0
         > nothing",
    );
}

#[test]
fn resets_for_strangers_are_rate_limited() {
    let (mut t, mut app) = (Script::new(plain_config(), 80), Recorder::default());
    let limit = Config::default().tcp.resets_per_second as usize;
    for _ in 0..limit + 100 {
        let segment = gannet_tests::segment::Segment::parse("S 0:0(0)", t.peer, t.local);
        t.wire.put(segment.packet(t.peer, t.local));
    }
    t.turn(&mut app);
    assert_eq!(t.sent().len(), limit);
}

#[test]
fn a_listener_answers_acknowledgements_with_a_reset() {
    let (mut t, mut app) = (Script::listening(plain_config(), 5), Recorder::default());
    t.run(
        &mut app,
        "< . 5:5(0) ack 7 win 1000
         > R 7:7(0) win 0
         < S. 5:5(0) ack 7 win 1000
         > R 7:7(0) win 0
         < R 5:5(0) win 0
         > nothing",
    );
}

#[test]
fn a_lost_syn_ack_is_sent_again_on_the_timer_and_on_the_peers_syn() {
    let (mut t, mut app) = (Script::listening(plain_config(), 5), Recorder::default());
    t.run(
        &mut app,
        "< S 0:0(0) win 1000 <mss 1000>
         > S. 0:0(0) ack 1 <mss 1460>
         wait 1000
         > S. 0:0(0) ack 1 <mss 1460>
         < S 0:0(0) win 1000 <mss 1000>
         > S. 0:0(0) ack 1 <mss 1460>
         < . 1:1(0) ack 1 win 1000",
    );
    assert_eq!(app.take(), ["accept"]);
}

#[test]
fn half_open_connections_are_given_up() {
    let (mut t, mut app) = (Script::listening(plain_config(), 5), Recorder::default());
    t.run(
        &mut app,
        "< S 0:0(0) win 1000\n> S. 0:0(0) ack 1 <mss 1460>",
    );
    let mut tries = 0;
    for _ in 0..400 {
        t.wait(&mut app, std::time::Duration::from_secs(1));
        tries += t.sent().len();
    }
    assert_eq!(
        tries,
        usize::from(Config::default().tcp.max_syn_retransmits)
    );
    assert_eq!(t.stack.tcp_census().half_open, 0);
    assert!(app.take().is_empty());
}

#[test]
fn a_reset_ends_a_half_open_connection_only_with_the_exact_number() {
    let (mut t, mut app) = (Script::listening(plain_config(), 5), Recorder::default());
    t.run(
        &mut app,
        "< S 0:0(0) win 1000
         > S. 0:0(0) ack 1 <mss 1460>
         < R 2:2(0) win 0
         > . 1:1(0) ack 1
         < R 90000:90000(0) win 0
         > nothing",
    );
    assert_eq!(t.stack.tcp_census().half_open, 1);
    t.run(&mut app, "< R 1:1(0) win 0\n> nothing");
    assert_eq!(t.stack.tcp_census().half_open, 0);
    assert!(app.take().is_empty());
}

#[test]
fn a_wrong_acknowledgement_of_the_syn_ack_is_reset_and_the_right_one_still_counts() {
    let (mut t, mut app) = (Script::listening(plain_config(), 5), Recorder::default());
    t.run(
        &mut app,
        "< S 0:0(0) win 1000
         > S. 0:0(0) ack 1 <mss 1460>
         < . 1:1(0) ack 9 win 1000
         > R 9:9(0) win 0
         < . 1:1(0) ack 1 win 1000
         > nothing",
    );
    assert_eq!(app.take(), ["accept"]);
}

#[test]
fn data_and_fin_may_come_with_the_third_segment() {
    let (mut t, mut app) = (Script::listening(plain_config(), 5), Recorder::default());
    t.run(
        &mut app,
        "< S 0:0(0) win 1000
         > S. 0:0(0) ack 1 <mss 1460>
         < FP. 1:11(10) ack 1 win 1000
         > . 1:1(0) ack 12",
    );
    assert_eq!(app.take(), ["accept", "recv 10", "recv end"]);
}

#[test]
fn the_backlog_bounds_connections_not_yet_accepted() {
    let mut t = Script::listening(plain_config(), 2);
    let mut app = Recorder {
        delay_accept: true,
        ..Recorder::default()
    };
    let handshake = |t: &mut Script, app: &mut Recorder, port: u16| {
        t.peer.port = port;
        t.run(
            app,
            "< S 0:0(0) win 1000\n> S. 0:0(0) ack 1 <mss 1460>\n< . 1:1(0) ack 1",
        );
        app.pcb()
    };
    let first = handshake(&mut t, &mut app, 5001);
    handshake(&mut t, &mut app, 5002);
    t.peer.port = 5003;
    // RFC 4987: silence, so that the peer tries again.
    t.run(&mut app, "< S 0:0(0) win 1000\n> nothing");
    t.tcp().accepted(first).expect("a live connection");
    handshake(&mut t, &mut app, 5003);
    assert_eq!(app.take(), ["accept"; 3]);
    assert_eq!(t.stack.tcp_stats().syns_dropped, 1);
}

#[test]
fn a_refused_connection_is_reset_and_its_place_is_free() {
    let mut t = Script::listening(plain_config(), 1);
    let mut app = Recorder {
        refuse_connections: true,
        ..Recorder::default()
    };
    for port in [5001, 5002] {
        t.peer.port = port;
        t.run(
            &mut app,
            "< S 0:0(0) win 1000
             > S. 0:0(0) ack 1 <mss 1460>
             < . 1:1(0) ack 1
             > R. 1:1(0) ack 1 win 0",
        );
    }
    assert!(t.pools.at_rest());
    assert_eq!(t.stack.tcp_census().connections, 0);
}

#[test]
fn closing_a_listener_resets_what_waits() {
    let mut t = Script::new(plain_config(), 80);
    let listener = gannet_tests::apps::listen(&mut t.tcp(), 80, 5);
    let mut app = Recorder::default();
    t.run(
        &mut app,
        "< S 0:0(0) win 1000\n> S. 0:0(0) ack 1 <mss 1460>",
    );
    t.tcp().close_listener(listener).expect("a live listener");
    t.run(&mut app, "> R. 1:1(0) ack 1 win 0");
    assert_eq!(t.tcp().close_listener(listener), Err(Error::Closed));
    t.run(&mut app, "< S 0:0(0) win 1000\n> R. 0:0(0) ack 1 win 0");
}

#[test]
fn a_refused_attempt_to_connect_says_so() {
    let (mut t, pcb) = Script::connecting(plain_config());
    let mut app = Recorder::default();
    t.run(
        &mut app,
        "> S 0:0(0) <mss 1460>\n< R. 0:0(0) ack 1 win 0\n> nothing",
    );
    assert_eq!(app.take(), ["err Refused"]);
    assert_eq!(t.tcp().state(pcb), Err(Error::Closed));
}

#[test]
fn an_attempt_to_connect_ignores_resets_and_syns_that_acknowledge_something_else() {
    let (mut t, _) = Script::connecting(plain_config());
    let mut app = Recorder::default();
    t.run(
        &mut app,
        "> S 0:0(0) <mss 1460>
         < R 0:0(0) win 0
         > nothing
         < R. 0:0(0) ack 9 win 0
         > nothing
         < S. 0:0(0) ack 9 win 1000
         > R 9:9(0) win 0
         < S. 0:0(0) ack 1 win 1000
         > . 1:1(0) ack 1",
    );
    assert_eq!(app.take(), ["connected"]);
}

#[test]
fn an_attempt_to_connect_backs_off_and_gives_up() {
    let (mut t, _) = Script::connecting(plain_config());
    let mut app = Recorder::default();
    t.run(
        &mut app,
        "> S 0:0(0) <mss 1460>
         wait 1000
         > S 0:0(0) <mss 1460>
         wait 2000
         > S 0:0(0) <mss 1460>
         wait 4000
         > S 0:0(0) <mss 1460>
         wait 8000
         > S 0:0(0) <mss 1460>
         wait 16000
         > S 0:0(0) <mss 1460>
         wait 32000
         > S 0:0(0) <mss 1460>
         wait 59999",
    );
    assert!(app.take().is_empty());
    t.run(&mut app, "wait 1\n> nothing");
    assert_eq!(app.take(), ["err TimedOut"]);
}

#[test]
fn both_sides_may_open_at_once() {
    // RFC 9293 §3.5, figure 8.
    let (mut t, pcb) = Script::connecting(plain_config());
    let mut app = Recorder::default();
    t.run(
        &mut app,
        "> S 0:0(0) <mss 1460>
         < S 0:0(0) win 1000 <mss 1000>
         > S. 0:0(0) ack 1 <mss 1460>",
    );
    assert_eq!(t.tcp().state(pcb), Ok(State::SynReceived));
    t.run(&mut app, "< S. 0:0(0) ack 1 win 1000 <mss 1000>\n> nothing");
    assert_eq!(t.tcp().state(pcb), Ok(State::Established));
    assert_eq!(app.take(), ["connected"]);
}

#[test]
fn options_are_used_only_if_both_offer_them() {
    let mut app = Recorder::default();
    let mut t = Script::listening(Config::default(), 5);
    t.peer.port = 5001;
    t.run(
        &mut app,
        "< S 0:0(0) win 1000 <mss 1000>\n> S. 0:0(0) ack 1 <mss 1460>",
    );
    t.peer.port = 5002;
    t.run(
        &mut app,
        "< S 0:0(0) win 1000 <mss 1000,sackOK,ws 7>
         > S. 0:0(0) ack 1 <mss 1460,sackOK,ws 0>",
    );
}

#[test]
fn syns_that_no_tcp_sends_are_dropped() {
    let (mut t, mut app) = (Script::listening(plain_config(), 5), Recorder::default());
    t.run(
        &mut app,
        "< SF 0:0(0) win 1000
         > nothing
         < SR 0:0(0) win 1000
         > nothing",
    );
    // From the listener's own address and port ("land"): IP knows who that is.
    let peer = t.peer;
    t.peer = t.local;
    t.run(&mut app, "< S 0:0(0) win 1000\n> nothing");
    t.peer = peer;
    assert_eq!(t.stack.tcp_stats().malformed, 2);
    assert_eq!(t.stack.ip_stats().in_martians, 1);
    assert_eq!(t.stack.tcp_census().half_open, 0);
}

#[test]
fn wrong_use_of_bind_listen_and_connect_is_an_error() {
    let mut t = Script::listening(plain_config(), 5);
    let peer = t.peer_addr();
    let mut tcp = t.tcp();
    let pcb = tcp.new(Owner(0)).expect("a free control block");
    assert_eq!(tcp.listen(pcb, 5), Err(Error::Argument), "not bound");
    assert_eq!(
        tcp.bind(pcb, ([10, 0, 0, 99], 1).into()),
        Err(Error::Argument),
        "not ours"
    );
    assert_eq!(tcp.bind(pcb, ([0, 0, 0, 0], 80).into()), Err(Error::InUse));
    assert_eq!(tcp.bind(pcb, ([10, 0, 0, 2], 81).into()), Ok(()));
    assert_eq!(
        tcp.bind(pcb, ([10, 0, 0, 2], 82).into()),
        Err(Error::Argument),
        "bound twice"
    );
    assert_eq!(tcp.listen(pcb, 0), Err(Error::Argument), "no backlog");
    assert_eq!(
        tcp.connect(pcb, ([255, 255, 255, 255], 1).into()),
        Err(Error::Argument)
    );
    assert_eq!(
        tcp.connect(pcb, ([224, 0, 0, 1], 1).into()),
        Err(Error::Argument)
    );
    assert_eq!(
        tcp.connect(pcb, ([10, 0, 0, 1], 0).into()),
        Err(Error::Argument)
    );
    assert_eq!(tcp.connect(pcb, peer), Ok(()));
    assert_eq!(tcp.connect(pcb, peer), Err(Error::AlreadyConnected));
    assert_eq!(tcp.listen(pcb, 5), Err(Error::AlreadyConnected));
    tcp.abort(pcb).expect("a live connection");
    assert_eq!(
        tcp.connect(pcb, peer),
        Err(Error::Closed),
        "the handle is stale"
    );
    assert_eq!(tcp.abort(pcb), Err(Error::Closed));
}

#[test]
fn all_control_blocks_in_use_is_an_ordinary_error() {
    let mut t = Script::new(plain_config(), 80);
    let mut tcp = t.tcp();
    let all: Vec<_> = std::iter::from_fn(|| tcp.new(Owner(0)).ok()).collect();
    assert_eq!(
        all.len(),
        gannet_tests::storage::Sizes::default().connections
    );
    assert_eq!(tcp.new(Owner(0)), Err(Error::NoMemory));
    tcp.close(all[3]).expect("a live block");
    assert!(tcp.new(Owner(0)).is_ok());
}

#[test]
fn a_handshake_waits_for_a_free_control_block() {
    let (mut t, mut app) = (Script::listening(plain_config(), 5), Recorder::default());
    t.run(
        &mut app,
        "< S 0:0(0) win 1000\n> S. 0:0(0) ack 1 <mss 1460>",
    );
    let mut tcp = t.tcp();
    let all: Vec<_> = std::iter::from_fn(|| tcp.new(Owner(0)).ok()).collect();
    t.run(&mut app, "< . 1:1(0) ack 1 win 1000\n> nothing");
    assert!(app.take().is_empty());
    t.tcp().close(all[0]).expect("a live block");
    t.run(&mut app, "< P. 1:11(10) ack 1 win 1000\n> nothing");
    assert_eq!(app.take(), ["accept", "recv 10"]);
}
