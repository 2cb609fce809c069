//! Tests of the ipv4 codec.
