//! Everything at random, with all the memory that it takes. See `stress/mod.rs`.
mod common;
mod stress;

use std::time::Duration;

#[test]
fn everything_at_random() {
    let net = common::net();
    common::bsd::table();
    // Each operation sleeps a few milliseconds at most.
    let limit = common::LIMIT + Duration::from_millis(stress::operations() * 20);
    common::within(limit, move || stress::sockets(net));
    common::assert_at_rest();
    common::within(limit, stress::descriptors);
    assert_eq!(common::bsd::table().in_use(), 0);
    common::assert_at_rest();
}
