//! Everything at random, with all the memory that it takes. See `stress/mod.rs`.
#![cfg(all(feature = "raw", feature = "packet"))]
mod common;
mod stress;

use std::time::Duration;

#[test]
fn everything_at_random() {
    let net = common::net();
    common::bsd::table();
    // Each operation sleeps a few milliseconds at most.
    common::within(stress::limit(Duration::from_millis(20)), move || {
        stress::rounds(|seed| {
            stress::sockets(net, seed);
            common::assert_at_rest();
            stress::descriptors(seed);
            assert_eq!(common::bsd::table().in_use(), 0);
            common::assert_at_rest();
        });
    });
}
