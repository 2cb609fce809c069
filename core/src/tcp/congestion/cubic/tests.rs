use super::*;
use crate::wire::tcp::SeqNum;

const MSS: u32 = 1000;

fn ack(now_ms: u64, bytes: u32) -> Acked {
    Acked {
        now: Instant::from_millis(now_ms),
        bytes,
        mss: MSS,
        una: SeqNum(0),
        nxt: SeqNum(1),
        rtt: None,
        srtt: Span::from_millis(100),
    }
}

/// Runs one window of acknowledgements each 100 ms and returns the window after each.
fn run(cubic: &mut Cubic, mut cwnd: u32, rounds: u64) -> Vec<u32> {
    (0..rounds)
        .map(|round| {
            let segments = cwnd / MSS;
            for i in 0..segments {
                let at = 1_000 + round * 100 + u64::from(i) * 100 / u64::from(segments);
                cwnd += cubic.avoid(cwnd, &ack(at, MSS));
            }
            cwnd
        })
        .collect()
}

#[test]
fn cube_roots_are_rounded_down() {
    for root in [0, 1, 2, 9, 1_000, 1_999_999] {
        assert_eq!(cube_root(root * root * root), root);
        assert_eq!(cube_root((root + 1) * (root + 1) * (root + 1) - 1), root);
    }
    assert_eq!(cube_root(u64::MAX), (1 << 21) - 1);
}

/// W_max 100 segments: K is the cube root of 30 / 0.4, 4.2 s.
#[test]
fn the_window_is_back_after_k_seconds_and_flat_around_them() {
    let mut cubic = Cubic::NEW;
    let cwnd = cubic.reduced(100 * MSS, 100 * MSS, MSS);
    assert_eq!(cwnd, 70 * MSS);
    assert_eq!(k_ms(30 * u64::from(MSS), u64::from(MSS)), 4_217);
    let windows = run(&mut cubic, cwnd, 80);
    let at = |ms: usize| windows[ms / 100 - 1] / MSS;
    assert!((98..=100).contains(&at(4_200)), "{}", at(4_200));
    // Concave before, convex after.
    assert!(at(1_000) - 70 > at(4_200) - at(3_200), "{windows:?}");
    assert!(at(8_000) - at(7_000) > at(5_200) - at(4_200), "{windows:?}");
    assert!(windows.windows(2).all(|pair| pair[0] <= pair[1]));
}

/// On a short path NewReno's line is above the curve.
#[test]
fn with_a_short_round_trip_it_is_as_fast_as_newreno() {
    let mut cubic = Cubic::NEW;
    let mut cwnd = cubic.reduced(20 * MSS, 20 * MSS, MSS);
    let before = cwnd;
    // Ten windows in 10 ms: alpha is 9/17 of a segment for each.
    for i in 0..10 {
        for _ in 0..cwnd / MSS {
            let mut ack = ack(1_000 + i, MSS);
            ack.srtt = Span::from_millis(1);
            cwnd += cubic.avoid(cwnd, &ack);
        }
    }
    let grown = (cwnd - before) * 17 / 9 / MSS;
    assert!((9..=11).contains(&grown), "{grown}");
}

#[test]
fn a_second_reduction_below_the_first_makes_room() {
    let mut cubic = Cubic::NEW;
    cubic.reduced(100 * MSS, 100 * MSS, MSS);
    cubic.reduced(80 * MSS, 80 * MSS, MSS);
    assert_eq!(cubic.w_max, 68 * MSS);
}

#[test]
fn a_window_that_was_not_used_is_not_believed() {
    let mut cubic = Cubic::NEW;
    assert_eq!(cubic.reduced(100 * MSS, 7 * MSS, MSS), 7 * MSS);
}

#[test]
fn undo_restores_the_curve() {
    let mut cubic = Cubic::NEW;
    let cwnd = cubic.reduced(100 * MSS, 100 * MSS, MSS);
    run(&mut cubic, cwnd, 5);
    let before = (cubic.w_max, cubic.prior, cubic.epoch.map(|e| e.k_ms));
    cubic.reduced(75 * MSS, 75 * MSS, MSS);
    cubic.undo();
    assert_eq!(
        (cubic.w_max, cubic.prior, cubic.epoch.map(|e| e.k_ms)),
        before
    );
}

#[test]
fn no_window_time_or_segment_size_overflows() {
    for mss in [1, 48, 65_535] {
        for cwnd in [1, 1 << 30] {
            let mut cubic = Cubic::NEW;
            cubic.reduced(1 << 30, 1 << 30, mss);
            for ms in [0, 1, 1_000_000, u64::from(u32::MAX)] {
                let mut ack = ack(ms, 1 << 30);
                ack.mss = mss;
                cubic.avoid(cwnd, &ack);
            }
        }
    }
}
