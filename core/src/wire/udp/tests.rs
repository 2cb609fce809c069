//! Tests of the udp codec.
