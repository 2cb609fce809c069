//! What a peer can make the stack hold: receive buffers, not only bytes, are capped.
use gannet_core::tcp::{Data, More};
use gannet_tests::recorder::{Recorder, accepted};
use gannet_tests::script::{Script, plain_config};
use gannet_tests::segment::pattern;

/// Sends one-byte segments at `seqs`; returns how many receive buffers they pin.
fn pinned_by(
    t: &mut Script,
    app: &mut Recorder,
    seqs: impl Iterator<Item = u32>,
    len: u32,
) -> usize {
    for seq in seqs {
        t.put(app, &format!(". {seq}:{}({len}) ack 1", seq + len));
        t.sent();
    }
    t.pools.in_use()[0]
}

/// The missing front arrives: everything is there, in order, and all buffers come back.
fn fill_up_to(t: &mut Script, app: &mut Recorder, gap: u32, end: u32) {
    t.put(app, &format!(". 1:{}({gap}) ack 1", 1 + gap));
    t.sent();
    assert_eq!(app.data, (1..end).map(pattern).collect::<Vec<_>>());
    assert_eq!(t.pools.in_use()[0], 0);
}

#[test]
fn bytes_in_a_row_share_buffers() {
    let (mut t, mut app) = accepted();
    assert!(pinned_by(&mut t, &mut app, 2..65, 1) <= 1);
    fill_up_to(&mut t, &mut app, 1, 65);
}

#[test]
fn bytes_from_back_to_front_share_buffers() {
    let (mut t, mut app) = accepted();
    assert!(pinned_by(&mut t, &mut app, (2..65).rev(), 1) <= 1);
    assert!(pinned_by(&mut t, &mut app, (65..2065).rev(), 1) <= 9);
    fill_up_to(&mut t, &mut app, 1, 2065);
}

#[test]
fn every_other_byte_and_then_the_rest_share_buffers() {
    let (mut t, mut app) = accepted();
    // Sixteen runs at most are kept; what is beyond comes again.
    assert!(pinned_by(&mut t, &mut app, (3..35).step_by(2), 1) <= 16);
    assert!(pinned_by(&mut t, &mut app, (4..34).step_by(2), 1) <= 1);
    fill_up_to(&mut t, &mut app, 2, 34);
}

#[test]
fn holes_are_capped() {
    let (mut t, mut app) = accepted();
    assert!(pinned_by(&mut t, &mut app, (3..1003).step_by(2), 1) <= 16);
    assert!(t.stack.tcp_stats().out_of_order_dropped > 400);
    t.put(&mut app, ". 1:1003(1002) ack 1");
    assert_eq!(app.data, (1..1003).map(pattern).collect::<Vec<_>>());
}

#[test]
fn large_pieces_out_of_order_are_capped_in_buffers() {
    let (mut t, mut app) = accepted();
    // 64 KiB in segments of 1000 would be 65 buffers.
    assert!(pinned_by(&mut t, &mut app, (1001..65_001).step_by(1000), 1000) <= 48);
    t.put(&mut app, ". 1:1001(1000) ack 1");
    assert_eq!(
        app.data,
        (1..48_001 + 1000).map(pattern).collect::<Vec<_>>()
    );
}

#[test]
fn an_application_that_does_not_read_makes_nobody_hold_a_buffer_for_each_small_segment() {
    for len in [1u32, 100, 257, 400, 511] {
        let mut app = Recorder {
            refusals: u32::MAX,
            ..Recorder::default()
        };
        let mut t = Script::accepted(plain_config(), &mut app);
        let count = 20_000 / len.max(20);
        let pinned = pinned_by(&mut t, &mut app, (0..count).map(|n| 1 + n * len), len);
        // Of each buffer of 1536 bytes a third is used, except for the first few.
        let fair = (count * len) as usize / 512 + 9;
        assert!(
            pinned <= fair,
            "{count} segments of {len}: {pinned} > {fair}"
        );
    }
}

#[test]
fn single_bytes_between_early_ones_share_buffers() {
    // Each second byte comes first, then the one before it.
    let mut app = Recorder {
        refusals: u32::MAX,
        ..Recorder::default()
    };
    let mut t = Script::accepted(plain_config(), &mut app);
    let seqs = (0..500u32).map(|n| if n % 2 == 0 { n + 2 } else { n });
    let pinned = pinned_by(&mut t, &mut app, seqs, 1);
    assert!(pinned <= 2, "{pinned}");
}

#[test]
fn one_connection_cannot_take_all_runs_from_the_others() {
    let mut app = Recorder::default();
    let mut t = Script::listening(plain_config(), 20);
    for port in 5000..5003 {
        t.peer.port = port;
        t.run(
            &mut app,
            "< S 0:0(0) win 1000\n> S. 0:0(0) ack 1 <mss 1460>\n< . 1:1(0) ack 1",
        );
        for seq in (3..1003).step_by(2) {
            t.put(&mut app, &format!(". {seq}:{}(1) ack 1", seq + 1));
            t.sent();
        }
    }
    let dropped = t.stack.tcp_stats().out_of_order_dropped;
    t.peer.port = 5003;
    t.run(
        &mut app,
        "< S 0:0(0) win 1000\n> S. 0:0(0) ack 1 <mss 1460>\n< . 1:1(0) ack 1",
    );
    t.put(&mut app, ". 3:4(1) ack 1");
    assert_eq!(t.stack.tcp_stats().out_of_order_dropped, dropped);
}

#[test]
fn a_peer_that_never_acknowledges_pins_no_more_than_the_send_buffer() {
    let (mut t, mut app) = accepted();
    let pcb = app.pcb();
    let mut written = 0;
    while t.tcp().write(pcb, Data::Copy(&[0; 100]), More::No).is_ok() {
        written += 100;
        t.turn(&mut app);
        while t.wire.take().is_some() {}
    }
    assert!(written <= 65_535);
    // Small writes share buffers too.
    assert!(
        t.pools.in_use()[1] <= written / 700,
        "{:?}",
        t.pools.in_use()
    );
    t.tcp().abort(pcb).expect("live");
    t.turn(&mut app);
    assert_eq!(t.pools.in_use(), [0, 0, 0]);
}
