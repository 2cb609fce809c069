//! Which segments are acceptable, and what is left of them, against a model that goes through their
//! numbers one by one (RFC 9293 §3.4); for all small windows and segments. A model checker could
//! call the same property with any small values.
#![allow(unsafe_code, reason = "what `pbuf_pool!` expands to in its own crate")]
use core::net::{Ipv4Addr, SocketAddrV4};

use super::*;
use crate::pbuf::Pbuf;
use crate::wire::tcp::Flags;
use crate::wire::tcp_options::Options;

crate::pbuf_pool! { static POOL: [64; 4] + refs 4 }

/// A segment of `len` bytes that begins `seq` after RCV.NXT.
fn segment(nxt: SeqNum, seq: i8, len: u8, fin: bool) -> Arrived {
    let flags = if fin {
        Flags::ACK | Flags::FIN
    } else {
        Flags::ACK
    };
    let local = SocketAddrV4::new(Ipv4Addr::LOCALHOST, 1);
    let mut payload = Pbuf::alloc(&POOL, 0, 64).expect("a buffer");
    payload.truncate(len.into());
    let bytes: Vec<u8> = (0..len).collect();
    payload.copy_from(&bytes);
    Arrived {
        local,
        remote: local,
        seq: SeqNum(nxt.0.wrapping_add_signed(seq.into())),
        ack: None,
        flags,
        window: 0,
        options: Options::default(),
        payload: Some(payload),
        len: len.into(),
        tos: 0,
    }
}

/// A connection whose window has `window` bytes, and a segment that begins `seq` after RCV.NXT.
fn what_is_acceptable_touches_the_window(nxt: u32, window: u8, seq: i8, len: u8, fin: bool) {
    let mut pcb = Pcb::UNUSED;
    (pcb.rcv.nxt, pcb.rcv.edge) = (SeqNum(nxt), SeqNum(nxt) + u32::from(window));
    let arrived = segment(SeqNum(nxt), seq, len, fin);
    let (from, to) = (
        i32::from(seq),
        i32::from(seq) + i32::from(len) + i32::from(fin),
    );
    let window = i32::from(window);
    let in_window = |n: i32| (0..window).contains(&n);
    let expected = match (from == to, window == 0) {
        // RFC 9293 §3.4, the first two rows of the table; and with a closed window the
        // acknowledgement of a segment at its edge counts.
        (true, true) | (false, true) => from == 0 || (from == window && fin && len == 0),
        (true, false) => in_window(from),
        (false, false) => (from..to).any(in_window) || (from == window && fin && len == 0),
    };
    assert_eq!(pcb.is_acceptable(&arrived), expected);
}

/// Cutting a segment to the window leaves the numbers that are in both.
fn cutting_leaves_what_is_in_both(nxt: u32, window: u8, seq: i8, len: u8, fin: bool) {
    let (nxt, edge) = (SeqNum(nxt), SeqNum(nxt) + u32::from(window));
    let mut arrived = segment(nxt, seq, len, fin);
    let end = i32::from(seq) + i32::from(len);
    if end < 0 || i32::from(seq) > i32::from(window) {
        // Not acceptable: it never comes so far.
        return;
    }
    arrived.trim_front(nxt);
    let cut = arrived.trim_back(edge);
    let inside = |n: &i32| (0..i32::from(window)).contains(n);
    let expected: Vec<u8> = (i32::from(seq)..end)
        .filter(inside)
        .map(|n| (n - i32::from(seq)) as u8)
        .collect();
    let parts = arrived.payload.iter().flat_map(Pbuf::parts);
    let left: Vec<u8> = parts.flatten().copied().collect();
    assert_eq!(left, expected);
    assert_eq!(arrived.len as usize, left.len());
    assert_eq!(arrived.seq, nxt + u32::from(seq.max(0).cast_unsigned()));
    assert_eq!(cut, end > i32::from(window));
    // RFC 9293 §3.10.7.4: an end of stream behind bytes that were cut is none.
    assert_eq!(arrived.fin(), fin && !cut);
}

#[test]
fn small_cases() {
    for nxt in [0, 5, u32::MAX - 3, 1 << 31] {
        for window in 0..=6 {
            for seq in -8..=8 {
                for len in 0..=8 {
                    for fin in [false, true] {
                        what_is_acceptable_touches_the_window(nxt, window, seq, len, fin);
                        cutting_leaves_what_is_in_both(nxt, window, seq, len, fin);
                    }
                }
            }
        }
    }
}

/// RFC 5681 §3.1: however few segments the first window holds.
#[test]
fn the_acknowledgement_of_a_syn_makes_the_window_no_larger() {
    let config = TcpConfig::default();
    let (mut runs, mut sends) = (Runs::new(&mut [], &mut |_| {}), SentStore::new(&mut [], 1));
    let mut stats = TcpStats::default();
    let mut cx = Context {
        now: Instant::from_millis(1_000),
        config: &config,
        runs: &mut runs,
        sends: &mut sends,
        stats: &mut stats,
    };
    for mss in [536, 1_460, 60_000] {
        let mut pcb = Pcb {
            state: State::SynReceived,
            ..Pcb::UNUSED
        };
        pcb.snd.start(SeqNum(7));
        (pcb.snd.nxt, pcb.snd.mss) = (SeqNum(8), mss);
        pcb.fit_segments();
        pcb.rcv.limit = 4_000;
        pcb.rcv.synchronized(SeqNum(99));
        let mut ack = segment(pcb.rcv.nxt, 0, 0, false);
        (ack.ack, ack.window) = (Some(SeqNum(8)), u16::MAX);
        assert_eq!(pcb.segment_arrives(&mut ack, &mut cx), Verdict::Done);
        let which = config.congestion;
        let first = super::super::congestion::Congestion::new(which, mss.into()).cwnd();
        assert_eq!(
            (pcb.state, pcb.congestion.cwnd()),
            (State::Established, first)
        );
        assert_eq!((pcb.snd.in_flight(), pcb.snd.queued()), (0, 0));
    }
}
