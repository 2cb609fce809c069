//! The receive window against the promises of RFC 9293 §3.8.6, for all small windows and random
//! large ones. A model checker could call the same property with any values.
use proptest::prelude::*;

use super::*;

/// What a receiver was, in small numbers.
#[derive(Clone, Copy, Debug)]
struct Was {
    /// Where the window ends, from RCV.NXT on.
    window: u32,
    /// Window size when nothing is unread.
    limit: u32,
    /// Bytes the application has and has not yet acknowledged.
    unread: u32,
    shift: u8,
    mss: u32,
}

fn receiver(was: Was, nxt: u32) -> Receiver {
    Receiver {
        nxt: SeqNum(nxt),
        edge: SeqNum(nxt) + was.window,
        limit: was.limit,
        unread: was.unread,
        shift: was.shift,
        ..Receiver::UNUSED
    }
}

/// The edge never goes back; what is offered there is room for, unless it was offered before; the
/// field says no more than is accepted; and a window that is worth telling is told.
fn the_window_keeps_its_promises(was: Was, nxt: u32) {
    let mut rcv = receiver(was, nxt);
    let (edge, due) = (rcv.edge, rcv.update_is_due(was.mss));
    let room = was
        .limit
        .min(u32::from(u16::MAX) << was.shift)
        .saturating_sub(was.unread);
    let field = rcv.advertise(was.mss);
    let moved = rcv.edge.since(edge);
    // RFC 9293 §3.8.6: "shrinking the window" is not done.
    assert!(moved < 1 << 31, "the edge went back");
    assert!(
        rcv.window() <= was.window.max(room),
        "more than there is room for"
    );
    let told = u32::from(field) << was.shift;
    assert!(told <= rcv.window(), "the field says more than is accepted");
    assert!(
        rcv.window() - told < 1 << was.shift || field == u16::MAX,
        "less than could be said"
    );
    // RFC 9293 §3.8.6.2.2: by less than a segment or half the buffer it moves only if what was left
    // open is as much already.
    let step = was.mss.min(was.limit / 2).max(1);
    assert!(
        moved == 0 || moved >= step || was.window >= step,
        "a silly window"
    );
    // An application that reads everything opens the window again, however it was closed.
    let whole = room == was.limit && was.unread == 0;
    assert!(!whole || rcv.window() >= room.min(step), "it stays closed");
    // Who wakes up to tell the peer moves the edge.
    assert!(!due || moved > 0, "an update that says nothing new");
    // Nothing changed: the same again.
    assert_eq!(
        (rcv.advertise(was.mss), rcv.edge.since(edge)),
        (field, moved)
    );
}

#[test]
fn small_cases() {
    for limit in 0..=12 {
        for window in 0..=12 {
            for unread in 0..=limit {
                for mss in 1..=6 {
                    for shift in 0..=2 {
                        let was = Was {
                            window,
                            limit,
                            unread,
                            shift,
                            mss,
                        };
                        the_window_keeps_its_promises(was, u32::MAX - 4);
                    }
                }
            }
        }
    }
}

proptest! {
    #[test]
    fn large_cases(
        nxt: u32,
        window in 0..1u32 << 30,
        limit in 0..=1u32 << 30,
        unread: u32,
        shift in 0..=14u8,
        mss in 1..65_535u32,
    ) {
        let was = Was { window, limit, unread, shift, mss };
        the_window_keeps_its_promises(was, nxt);
        let small = Was { window: window >> 14, limit: limit >> 14, unread: unread >> 16, ..was };
        the_window_keeps_its_promises(small, nxt);
    }
}
