//! Tests of the ethernet codec.
