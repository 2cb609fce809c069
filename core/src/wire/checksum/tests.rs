//! Tests of the checksum codec.
