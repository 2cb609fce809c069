use super::*;

const MSS: u32 = 1460;

fn newreno() -> Congestion {
    Congestion::new(CongestionControl::NewReno, MSS)
}

fn ack(bytes: u32) -> Acked {
    Acked {
        now: Instant::from_millis(1_000),
        bytes,
        mss: MSS,
        una: SeqNum(1),
        nxt: SeqNum(1_000_000),
        rtt: Some(Span::from_millis(50)),
        srtt: Span::from_millis(50),
    }
}

#[test]
fn slow_start_doubles_in_a_round_trip() {
    let mut c = newreno();
    let before = c.cwnd();
    for _ in 0..before / MSS {
        c.acked(&ack(MSS));
    }
    assert_eq!(c.cwnd(), 2 * before);
}

#[test]
fn avoidance_adds_one_segment_in_a_round_trip() {
    let mut c = newreno();
    c.enter_recovery(20 * MSS, MSS);
    c.exit_recovery(10 * MSS, MSS);
    let before = c.cwnd();
    for _ in 0..before / MSS {
        c.acked(&ack(MSS));
    }
    assert_eq!(c.cwnd(), before + MSS);
}

#[test]
fn split_acknowledgements_gain_nothing() {
    let (mut one, mut split) = (newreno(), newreno());
    one.acked(&ack(MSS));
    for _ in 0..MSS {
        split.acked(&ack(1));
    }
    assert_eq!(one.cwnd(), split.cwnd());
}

#[test]
fn forged_duplicates_inflate_the_window_by_no_more_than_the_flight() {
    let mut c = newreno();
    c.enter_recovery(20 * MSS, MSS);
    for _ in 0..1000 {
        c.duplicate_in_recovery(20 * MSS, MSS);
    }
    assert_eq!(c.cwnd(), 30 * MSS);
}

#[test]
fn the_window_never_overflows() {
    let mut c = newreno();
    for _ in 0..10 {
        c.acked(&Acked {
            mss: u32::MAX / 2,
            ..ack(u32::MAX)
        });
    }
    assert_eq!(c.cwnd(), MAX_CWND);
}

#[test]
fn an_undone_reduction_leaves_no_trace() {
    let mut c = newreno();
    let before = (c.cwnd(), c.ssthresh());
    c.timed_out(10 * MSS, 0, MSS, Again::First);
    assert_eq!(c.cwnd(), MSS);
    c.undo();
    assert_eq!((c.cwnd(), c.ssthresh()), before);
}
