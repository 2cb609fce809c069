//! Proportional rate reduction (RFC 9937) and limited transmit (RFC 3042), on the wire.
use gannet_tests::sender::{Sender, sack_config};

/// A flight of 14 segments from 10,001 on.
fn fourteen_in_flight() -> Sender {
    let mut s = Sender::new(sack_config());
    s.flight(10);
    s.run(
        "wait 100
         < . 1:1(0) ack 2001 win 60000
         < . 1:1(0) ack 4001 win 60000
         < . 1:1(0) ack 10001 win 60000",
    );
    s.flight(14);
    s
}

/// RFC 9937 §6: while more is in flight than the target, one segment leaves for every two that
/// arrive (NewReno halves), and nothing in a burst.
#[test]
fn sending_goes_on_at_half_the_rate() {
    let mut s = fourteen_in_flight();
    s.write(20_000);
    // Limited transmit: two segments for the first two blocks.
    s.run(
        "wait 100
         < . 1:1(0) ack 10001 win 60000 <sack 11001:12001>
         > . 24001:25001(1000) ack 1
         < . 1:1(0) ack 10001 win 60000 <sack 11001:13001>
         > . 25001:26001(1000) ack 1
         wait 1
         < . 1:1(0) ack 10001 win 60000 <sack 11001:14001>
         > . 10001:11001(1000) ack 1",
    );
    let (mut sent, mut next) = (0, 26_001);
    for n in 15..=26 {
        let line = format!("< . 1:1(0) ack 10001 win 60000 <sack 11001:{n}001>");
        s.t.wire.put(segment(&s, &line));
        s.t.turn(&mut s.app);
        let now = s.t.sent();
        assert!(now.len() <= 1, "a burst: {now:?}");
        for text in now {
            let end = next + 1000;
            assert!(text.contains(&format!("{next}:{end}(1000)")), "{text}");
            (next, sent) = (end, sent + 1);
        }
    }
    // Twelve arrived since the fast retransmission.
    assert!((6..=8).contains(&sent), "{sent}");
    s.run("wait 100");
    s.t.wire.put(segment(&s, "< . 1:1(0) ack 26001 win 60000"));
    s.t.turn(&mut s.app);
    // Afterwards the window is half of what was in flight, 16, and what this round trip adds.
    let in_flight = (next - 26_001) / 1000 + s.t.sent().len() as u32;
    assert_eq!(in_flight, 9);
}

fn segment(s: &Sender, line: &str) -> Vec<u8> {
    let text = line.strip_prefix("< ").expect("a line of the peer");
    let (peer, local) = (s.t.peer, s.t.local);
    gannet_tests::segment::Segment::parse(text, peer, local).packet(peer, local)
}

/// RFC 9937 §6 (PRR-CRB, PRR-SSRB): with most of a flight lost, what arrives is replaced, and one
/// more for an acknowledgement that advances and shows no new loss.
#[test]
fn with_most_lost_it_starts_slowly() {
    let mut s = fourteen_in_flight();
    // Ten are lost; the last four arrive.
    s.run(
        "wait 100
         < . 1:1(0) ack 10001 win 60000 <sack 20001:21001>
         < . 1:1(0) ack 10001 win 60000 <sack 20001:22001>
         < . 1:1(0) ack 10001 win 60000 <sack 20001:23001>
         > . 10001:11001(1000) ack 1
         < . 1:1(0) ack 10001 win 60000 <sack 20001:24001>
         > . 11001:12001(1000) ack 1
         wait 100
         < . 1:1(0) ack 11001 win 60000 <sack 20001:24001>
         > . 12001:13001(1000) ack 1
         > . 13001:14001(1000) ack 1
         < . 1:1(0) ack 12001 win 60000 <sack 20001:24001>
         > . 14001:15001(1000) ack 1
         > . 15001:16001(1000) ack 1",
    );
    assert_eq!(s.stats().timeouts, 0);
}

/// RFC 3042: the first two duplicates send new data.
#[test]
fn the_first_blocks_let_new_data_out() {
    let mut s = Sender::new(sack_config());
    s.flight(10);
    s.write(5000);
    s.run(
        "wait 100
         < . 1:1(0) ack 1 win 60000 <sack 1001:2001>
         > . 10001:11001(1000) ack 1
         < . 1:1(0) ack 1 win 60000 <sack 1001:3001>
         > . 11001:12001(1000) ack 1",
    );
}

/// X-class attack: acknowledgements repeated or made up send nothing.
#[test]
fn forged_duplicates_send_nothing() {
    let mut s = Sender::new(sack_config());
    s.flight(10);
    s.write(20_000);
    for _ in 0..1000 {
        s.run("< . 1:1(0) ack 1 win 60000\n> nothing");
    }
    // Without SACK each duplicate stands for a segment that left, of ten in flight.
    let mut config = sack_config();
    config.tcp.sack = gannet_core::config::Use::Off;
    let mut s = Sender::new(config);
    s.flight(10);
    s.write(40_000);
    let mut sent = 0;
    for _ in 0..1000 {
        let forged = segment(&s, "< . 1:1(0) ack 1 win 60000");
        s.t.wire.put(forged);
        s.t.turn(&mut s.app);
        sent += s.t.sent().len();
    }
    assert!(sent <= 10, "{sent}");
}
