//! Random input.
