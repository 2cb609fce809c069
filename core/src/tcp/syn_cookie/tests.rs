//! Tests of SYN cookies.
#![allow(unsafe_code, reason = "what `pbuf_pool!` expands to in its own crate")]
use core::net::{Ipv4Addr, SocketAddrV4};

use super::*;
use crate::wire::tcp::Flags;
use crate::wire::tcp_options::Options;

fn cookies() -> SynCookies {
    SynCookies::new(Keyed::new(&mut |key| key.fill(7)))
}

fn segment(seq: u32, port: u16) -> Arrived {
    Arrived {
        local: SocketAddrV4::new(Ipv4Addr::new(10, 0, 0, 2), 80),
        remote: SocketAddrV4::new(Ipv4Addr::new(10, 0, 0, 1), port),
        seq: SeqNum(seq),
        ack: None,
        flags: Flags::SYN,
        window: 1000,
        options: Options::default(),
        payload: None,
        len: 0,
        tos: 0,
    }
}

const T: Instant = Instant::from_millis(1_000_000);

#[test]
fn a_cookie_brings_the_segment_size_back_rounded_down() {
    let cookies = cookies();
    for (offered, kept) in [
        (0, 48),
        (48, 48),
        (300, 216),
        (536, 536),
        (1459, 1452),
        (1460, 1460),
        (9000, 1460),
    ] {
        let cookie = cookies.number(&segment(5, 4000), offered, T);
        assert_eq!(
            cookies.verify(&segment(6, 4000), cookie + 1, T),
            Some(kept),
            "{offered}"
        );
    }
}

#[test]
fn a_cookie_is_good_for_one_to_two_minutes() {
    let cookies = cookies();
    for offset in [0, 1, 31, 63] {
        let sent = Instant::from_millis(64_000 * 100) + Duration::from_secs(offset);
        let cookie = cookies.number(&segment(5, 4000), 1460, sent);
        let at = |after| cookies.verify(&segment(6, 4000), cookie + 1, sent + after);
        assert_eq!(at(LIFETIME), Some(1460));
        assert_eq!(at(LIFETIME * 2), None, "sent {offset} s into the minute");
    }
}

#[test]
fn a_cookie_counts_for_its_connection_only() {
    let cookies = cookies();
    let cookie = cookies.number(&segment(5, 4000), 1460, T);
    assert_eq!(cookies.verify(&segment(6, 4001), cookie + 1, T), None);
    assert_eq!(cookies.verify(&segment(7, 4000), cookie + 1, T), None);
    let other = SynCookies::new(Keyed::new(&mut |key| key.fill(8)));
    assert_eq!(other.verify(&segment(6, 4000), cookie + 1, T), None);
}

#[test]
fn guessing_finds_none() {
    // 28 bits of hash, and one of two minutes: 2^16 guesses find one with a chance below 1/1000.
    let cookies = cookies();
    let mut random = 1u32;
    let hits = (0..1 << 16).filter(|_| {
        random = random.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        cookies
            .verify(&segment(6, 4000), SeqNum(random.rotate_left(9)), T)
            .is_some()
    });
    assert_eq!(hits.count(), 0);
}

#[test]
fn the_timestamp_carries_the_other_options_and_never_lies_ahead() {
    for clock in [0u32, 1, 63, 64, 1_000_000, u32::MAX] {
        for window_scale in [None, Some(0), Some(7), Some(14)] {
            for (sack, ecn) in [(false, true), (true, false), (true, true), (false, false)] {
                let extras = Extras {
                    window_scale,
                    sack,
                    ecn,
                };
                let stamp = extras.stamp(clock);
                assert!(clock.wrapping_sub(stamp) < 64);
                let later = clock.wrapping_add(127_000);
                assert_eq!(Extras::read(stamp, later), Some(extras));
                assert_eq!(Extras::read(stamp, clock.wrapping_add(200_000)), None);
                assert_eq!(Extras::read(stamp.wrapping_add(100), clock), None);
            }
        }
    }
}
