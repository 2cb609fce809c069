//! What holds for sequence numbers. Each property is a function of plain numbers that panics where
//! it does not hold; the drivers below go through all small cases and through random large ones. A
//! model checker could call the same functions with any values.
use proptest::prelude::*;

use super::SeqNum;

/// `a` and `a + step`, and how far apart they are.
fn order_is_that_of_the_shorter_way(a: u32, step: i32) {
    let (a, b) = (SeqNum(a), SeqNum(a.wrapping_add_signed(step)));
    // Half the circle away each is before the other; then nothing else is claimed.
    if step == i32::MIN {
        assert!(a.before(b) && b.before(a));
        return;
    }
    assert_eq!(a.before(b), step > 0);
    assert_eq!(a.before_eq(b), step >= 0);
    assert_eq!(a.after(b), step < 0);
    assert_eq!(a.after_eq(b), step <= 0);
    assert_eq!(b - a, step);
    assert_eq!(a.max(b), if step > 0 { b } else { a });
    assert_eq!(a.min(b), if step < 0 { b } else { a });
    assert_eq!(b.since(a), step.cast_unsigned());
}

/// Steps forward and back cancel out, and lengths add up.
fn steps_add_up(a: u32, one: u32, two: u32) {
    let a = SeqNum(a);
    assert_eq!(a + one - one, a);
    assert_eq!(a + one + two, a + two + one);
    assert_eq!((a + one).since(a), one);
    assert_eq!((a + one + two).since(a + one), two);
}

/// Membership in a window is that of the numbers `start`, `start + 1`, ...
fn a_window_is_what_is_counted_from_its_start(start: u32, len: u8, n: u32) {
    let counted = (0..u32::from(len)).any(|step| SeqNum(start) + step == SeqNum(n));
    assert_eq!(SeqNum(n).in_window(SeqNum(start), len.into()), counted);
}

/// The check of an acknowledgement by its distance accepts what lies between, and nothing else,
/// wherever on the circle the number is.
fn distance_tells_what_is_between(una: u32, flight: u8, ack: u32) {
    let (una, ack) = (SeqNum(una), SeqNum(ack));
    let between = (0..=u32::from(flight)).any(|step| una + step == ack);
    assert_eq!(ack.since(una) <= u32::from(flight), between);
    // Comparisons say the same, except half the circle away.
    let nxt = una + u32::from(flight);
    let compared = ack.after_eq(una) && ack.before_eq(nxt);
    assert!(compared == between || ack.since(una) == 1 << 31 || ack.since(nxt) == 1 << 31);
}

/// The circle of all numbers has 256 of these, at equal distances.
fn sparse() -> impl Iterator<Item = u32> {
    (0..=255).map(|n: u32| n << 24)
}

/// Numbers on both sides of the two places where arithmetic may go wrong.
fn edges() -> impl Iterator<Item = u32> {
    let around = |n: u32| (0..24).map(move |i| n.wrapping_sub(12).wrapping_add(i));
    around(0).chain(around(1 << 31))
}

#[test]
fn small_cases() {
    for a in sparse().chain(edges()) {
        for b in sparse().chain(edges()) {
            order_is_that_of_the_shorter_way(a, b.cast_signed());
            steps_add_up(a, b, b ^ 0xff);
        }
    }
    for start in edges() {
        for len in 0..=12 {
            for n in edges() {
                a_window_is_what_is_counted_from_its_start(start, len, n);
                distance_tells_what_is_between(start, len, n);
            }
        }
    }
}

proptest! {
    #[test]
    fn large_cases(a: u32, b: u32, step: i32, len: u8) {
        order_is_that_of_the_shorter_way(a, step);
        steps_add_up(a, b, step.cast_unsigned());
        a_window_is_what_is_counted_from_its_start(a, len, b);
        distance_tells_what_is_between(a, len, b);
        distance_tells_what_is_between(a, len, a.wrapping_add_signed(step >> 24));
    }
}
