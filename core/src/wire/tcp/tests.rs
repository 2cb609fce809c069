//! Tests of the tcp codec.
