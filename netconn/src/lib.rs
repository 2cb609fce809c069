//! (bones)
#![no_std]
pub mod sys;
pub use gannet_core::Instant;
