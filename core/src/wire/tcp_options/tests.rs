//! Tests of the tcp_options codec.
