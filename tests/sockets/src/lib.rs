//! Any calls of the BSD interface, from up to three tasks, in any interleaving: no panic, no hang,
//! and everything at rest when all descriptors are closed. An input says what the tasks call and how
//! they are scheduled; the same input always does the same.
//!
//! A crate of its own, because it is a port: a program that links it is bound to it.
pub mod calls;
pub mod forged;
pub mod options;
pub mod port;
pub mod run;

pub use run::sockets;
