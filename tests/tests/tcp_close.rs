//! Closing: RFC 9293 §3.6, §3.10.4, §3.10.5; TIME-WAIT; orphans.
use gannet_core::tcp::{Shutdown, State};
use gannet_core::{Error, Handler, Owner, Pbuf, Refused, Tcp, TcpPcb};
use gannet_tests::recorder::{Recorder, accepted};
use gannet_tests::script::{Script, plain_config};
use std::time::Duration;

#[test]
fn both_sides_may_close_at_once() {
    // RFC 9293 §3.6, figure 13.
    let (mut t, mut app) = accepted();
    let pcb = app.pcb();
    t.tcp().close(pcb).expect("a live connection");
    t.run(
        &mut app,
        "> F. 1:1(0) ack 1\n< F. 1:1(0) ack 1 win 10000\n> . 2:2(0) ack 2",
    );
    assert_eq!(t.tcp().state(pcb), Ok(State::Closing));
    t.run(&mut app, "< . 2:2(0) ack 2 win 10000\n> nothing");
    assert_eq!(app.take(), ["recv end"]);
    assert_eq!(t.stack.tcp_census().time_wait, 1);
}

#[test]
fn queued_data_leaves_before_the_fin() {
    let (mut t, mut app) = accepted();
    let pcb = app.pcb();
    t.write(pcb, 1, 2500);
    t.tcp().close(pcb).expect("a live connection");
    t.run(
        &mut app,
        "> . 1:1001(1000) ack 1
         > . 1001:2001(1000) ack 1
         > FP. 2001:2501(500) ack 1
         < . 1:1(0) ack 2502 win 10000
         > nothing",
    );
    assert_eq!(t.tcp().state(pcb), Ok(State::FinWait2));
}

#[test]
fn a_lost_fin_is_sent_again() {
    let (mut t, mut app) = accepted();
    let pcb = app.pcb();
    t.tcp().close(pcb).expect("a live connection");
    t.run(
        &mut app,
        "> F. 1:1(0) ack 1
         wait 200
         > F. 1:1(0) ack 1
         < . 1:1(0) ack 2 win 10000
         > nothing",
    );
}

#[test]
fn a_closed_connection_does_not_wait_for_the_peers_fin_for_ever() {
    let (mut t, mut app) = accepted();
    let pcb = app.pcb();
    t.tcp().close(pcb).expect("a live connection");
    t.run(
        &mut app,
        "> F. 1:1(0) ack 1\n< . 1:1(0) ack 2 win 10000\nwait 19999",
    );
    assert_eq!(t.tcp().state(pcb), Ok(State::FinWait2));
    t.run(&mut app, "wait 1");
    assert_eq!(t.tcp().state(pcb), Err(Error::Closed));
}

#[test]
fn a_half_closed_connection_does_wait() {
    let (mut t, mut app) = accepted();
    let pcb = app.pcb();
    t.tcp()
        .shutdown(pcb, Shutdown::Write)
        .expect("a live connection");
    t.run(
        &mut app,
        "> F. 1:1(0) ack 1\n< . 1:1(0) ack 2 win 10000\nwait 3600000",
    );
    assert_eq!(t.tcp().state(pcb), Ok(State::FinWait2));
    t.run(&mut app, "< P. 1:11(10) ack 2\nwait 100\n> . 2:2(0) ack 11");
    assert_eq!(app.take(), ["recv 10"]);
    // Closing the rest starts the limit.
    t.tcp().close(pcb).expect("a live connection");
    t.run(&mut app, "wait 20000");
    assert_eq!(t.tcp().state(pcb), Err(Error::Closed));
}

#[test]
fn a_writer_that_closed_cannot_write() {
    let (mut t, mut app) = accepted();
    let pcb = app.pcb();
    t.tcp()
        .shutdown(pcb, Shutdown::Write)
        .expect("a live connection");
    let data = gannet_core::tcp::Data::Static(b"late");
    let refused = t
        .tcp()
        .write(pcb, data, gannet_core::tcp::More::No)
        .expect_err("closed");
    assert_eq!(refused.error, Error::Closed);
    t.run(&mut app, "> F. 1:1(0) ack 1");
}

#[test]
fn data_for_a_reader_that_shut_down_resets() {
    let (mut t, mut app) = accepted();
    t.tcp()
        .shutdown(app.pcb(), Shutdown::Read)
        .expect("a live connection");
    t.run(&mut app, "< P. 1:11(10) ack 1\n> R. 1:1(0) ack 1 win 0");
    assert_eq!(app.take(), ["err Aborted"]);
}

#[test]
fn an_orphan_closes_gracefully_when_nothing_is_unread() {
    let (mut t, mut app) = accepted();
    let pcb = app.pcb();
    t.write(pcb, 1, 10);
    t.tcp().orphan(pcb).expect("a live connection");
    assert_eq!(
        t.tcp().state(pcb),
        Err(Error::Closed),
        "the handle is stale at once"
    );
    t.run(
        &mut app,
        "> FP. 1:11(10) ack 1
         < . 1:1(0) ack 12 win 10000
         < F. 1:1(0) ack 12 win 10000
         > . 12:12(0) ack 2",
    );
    assert!(app.take().is_empty(), "no events for an orphan");
    assert_eq!(t.stack.tcp_census().connections, 0);
}

#[test]
fn an_orphan_with_unread_data_resets() {
    // RFC 2525 §2.17.
    let (mut t, mut app) = accepted();
    app.hold_window = true;
    t.run(&mut app, "< P. 1:11(10) ack 1");
    t.tcp().orphan(app.pcb()).expect("a live connection");
    t.run(&mut app, "> R. 1:1(0) ack 11 win 0");
    assert_eq!(t.stack.tcp_census().connections, 0);
}

#[test]
fn data_that_arrives_for_an_orphan_resets() {
    let (mut t, mut app) = accepted();
    t.tcp().orphan(app.pcb()).expect("a live connection");
    t.run(
        &mut app,
        "> F. 1:1(0) ack 1
         < P. 1:11(10) ack 2
         > R. 2:2(0) ack 1 win 0
         < P. 11:21(10) ack 2
         > R 2:2(0) win 0",
    );
    assert!(t.pools.at_rest());
}

#[test]
fn abort_resets_and_says_nothing_to_its_caller() {
    let (mut t, mut app) = accepted();
    t.write(app.pcb(), 1, 10);
    t.tcp().abort(app.pcb()).expect("a live connection");
    t.run(&mut app, "> R. 1:1(0) ack 1 win 0");
    assert!(app.take().is_empty());
    assert!(t.pools.at_rest());
}

/// Leaves its connection as soon as data comes.
struct Leaver {
    told: Recorder,
    leave: fn(&mut Tcp<'_>, TcpPcb) -> Result<(), Error>,
}

impl Handler for Leaver {
    fn recv(&mut self, tcp: &mut Tcp<'_>, pcb: TcpPcb, data: Option<Pbuf>) -> Result<(), Refused> {
        self.told.recv(tcp, pcb, data)?;
        (self.leave)(tcp, pcb).expect("a live connection");
        Ok(())
    }

    fn sent(&mut self, tcp: &mut Tcp<'_>, pcb: TcpPcb, len: usize) {
        self.told.sent(tcp, pcb, len);
    }
}

#[test]
fn who_leaves_while_told_of_data_is_not_told_what_it_acknowledged() {
    let told = |leave, answer: &str| {
        let (mut t, app) = accepted();
        t.write(app.pcb(), 1, 10);
        let mut app = Leaver { told: app, leave };
        let heard = "> P. 1:11(10) ack 1\n< P. 1:11(10) ack 11";
        t.run(&mut app, &format!("{heard}\n{answer}"));
        app.told.take()
    };
    let stayed = told(|tcp, pcb| tcp.state(pcb).map(drop), "> nothing");
    assert_eq!(stayed, ["recv 10", "sent 10"]);
    let aborted = told(|tcp, pcb| tcp.abort(pcb), "> R. 11:11(0) ack 11 win 0");
    assert_eq!(aborted, ["recv 10"]);
    let orphaned = told(|tcp, pcb| tcp.orphan(pcb), "> F. 11:11(0) ack 11");
    assert_eq!(orphaned, ["recv 10"]);
}

/// Aborts when data arrives.
struct Aborter;

impl Handler for Aborter {
    fn recv(&mut self, tcp: &mut Tcp<'_>, pcb: TcpPcb, _: Option<Pbuf>) -> Result<(), Refused> {
        tcp.abort(pcb).expect("the connection in a callback");
        Ok(())
    }
}

#[test]
fn nothing_follows_a_reset_whatever_was_due() {
    let (mut t, _) = accepted();
    t.run(
        &mut Aborter,
        // The FIN is to be acknowledged at once.
        "< FP. 1:1001(1000) ack 1
         > R. 1:1(0) ack 1002 win 0
         > nothing",
    );
    assert!(t.pools.at_rest());
}

#[test]
fn what_was_received_before_a_reset_is_delivered_before_the_error() {
    let (mut t, mut app) = accepted();
    app.refusals = 2;
    t.run(
        &mut app,
        "< P. 1:11(10) ack 1\n< R. 11:11(0) ack 1 win 0\nwait 249",
    );
    assert_eq!(app.take(), ["refuse 10", "refuse 10"]);
    t.run(&mut app, "wait 1");
    assert_eq!(app.take(), ["recv 10", "err Reset"]);
    assert_eq!(t.stack.tcp_census().connections, 0);
}

#[test]
fn closing_what_was_never_connected_sends_nothing() {
    let mut app = Recorder::default();
    let (mut t, pcb) = Script::connecting(plain_config());
    t.run(&mut app, "> S 0:0(0) <mss 1460>");
    t.tcp().close(pcb).expect("a live block");
    t.run(
        &mut app,
        "> nothing\n< S. 0:0(0) ack 1 win 1000\n> R 1:1(0) win 0",
    );
    let fresh = t.tcp().new(Owner(0)).expect("a free block");
    t.tcp().close(fresh).expect("a live block");
    t.run(&mut app, "> nothing");
    assert_eq!(t.stack.tcp_census().connections, 0);
}

#[test]
fn time_wait_answers_old_segments_and_gives_way_to_a_newer_connection() {
    let (mut t, mut app) = accepted();
    t.tcp().close(app.pcb()).expect("a live connection");
    t.run(
        &mut app,
        "> F. 1:1(0) ack 1
         < F. 1:1(0) ack 2 win 10000
         > . 2:2(0) ack 2
         < R 2:2(0) win 0
         > nothing
         < P. 1:1001(1000) ack 2
         > . 2:2(0) ack 2
         < S 0:0(0) win 1000
         > . 2:2(0) ack 2",
    );
    app.take();
    // RFC 6191: a SYN beyond everything the old connection had.
    let old = t.local.isn;
    t.peer.isn += 100_000;
    t.run(
        &mut app,
        "< S 0:0(0) win 1000
         > S. 0:0(0) ack 1 <mss 1460>
         < . 1:1(0) ack 1 win 1000",
    );
    assert_eq!(app.take(), ["accept"]);
    assert!(
        t.local.isn.after(old + 1),
        "the new numbers lie beyond the old"
    );
    assert_eq!(t.stack.tcp_census().time_wait, 0);
}

#[test]
fn more_connections_in_time_wait_than_there_is_room_for_reuse_the_oldest() {
    let mut app = Recorder::default();
    let mut t = Script::listening(plain_config(), 5);
    for port in 5000..5020 {
        t.peer.port = port;
        t.run(
            &mut app,
            "< S 0:0(0) win 1000
             > S. 0:0(0) ack 1 <mss 1460>
             < . 1:1(0) ack 1",
        );
        t.tcp().close(app.pcb()).expect("a live connection");
        t.run(
            &mut app,
            "> F. 1:1(0) ack 1\n< F. 1:1(0) ack 2\n> . 2:2(0) ack 2\nwait 10",
        );
    }
    let census = t.stack.tcp_census();
    assert_eq!((census.connections, census.time_wait), (0, 8));
    t.wait(&mut app, Duration::from_secs(60));
    assert_eq!(t.stack.tcp_census().time_wait, 0);
}

#[test]
fn an_orphan_in_fin_wait_2_gives_way_when_all_blocks_are_taken() {
    let (mut t, mut app) = accepted();
    t.tcp().orphan(app.pcb()).expect("a live connection");
    t.run(&mut app, "> F. 1:1(0) ack 1\n< . 1:1(0) ack 2");
    let mut tcp = t.tcp();
    let all = std::iter::from_fn(|| tcp.new(Owner(0)).ok()).count();
    assert_eq!(all, gannet_tests::storage::Sizes::default().connections);
}
