//! Tests of the icmpv4 codec.
