//! The sequential API of gannet (lwIP's `netconn_*`): threads meet the engine over mailboxes.
//!
//! The engine belongs to one thread, the tcpip thread ([`Net::run`]). Application threads never
//! touch it: each connection has a slot in [`Net`] with two queues of packet buffers and a few
//! request bits, behind one short critical section. What a thread wants done is a bit in the slot
//! and a ring of the doorbell; asking twice is asking once, nothing is allocated to ask, and no
//! mailbox can be full.
//!
//! ```text
//!  application thread                     tcpip thread
//!  send: copy, queue, maybe ring  ──tx──▶ Service::wake ─▶ tcp.write
//!  recv: take, maybe ring         ◀──rx── Service::recv  ◀─ dispatch
//! ```
//!
//! Capacity is counted before it is promised: bytes in the receive queue are part of the TCP
//! window, bytes in the send queue part of the send buffer. So nothing that was acknowledged is
//! ever dropped, and an end of stream needs no room at all.
//!
//! # Any thread, any time
//!
//! A [`Netconn`] is a copyable name (slot and generation), like a file descriptor. Every call may
//! be made from any thread at any time, also while others sleep in a call on the same connection;
//! [`Netconn::close`] wakes them with [`Error::Closed`], and a name that outlives its connection
//! gets the same error.
#![no_std]
#![deny(unsafe_code)]

#[cfg(test)]
extern crate std;

#[cfg(feature = "async")]
mod block_on;
mod close;
mod control;
mod datagram;
mod doorbell;
mod error;
mod event;
#[cfg(feature = "async")]
mod futures;
mod gather;
mod guarded;
mod icmp_errors;
mod info;
mod interfaces;
mod listen;
mod multicast;
mod net;
mod netconn;
mod pace;
#[cfg(feature = "packet")]
mod packet;
mod pair;
mod poll;
#[cfg(feature = "raw")]
mod raw;
mod recv;
mod room;
mod send;
mod send_datagram;
mod service;
mod settings;
mod shared;
mod snapshot;
pub mod sys;
mod udp;
mod wait;

#[cfg(feature = "async")]
pub use block_on::block_on;
pub use control::Kind;
pub use error::Error;
pub use event::Take;
pub use gannet_core::netif::{Admin, NetifStatus};
pub use gannet_core::udp::MulticastLoop;
pub use gannet_core::{IcmpReport, MtuDiscovery};
pub use gannet_core::{Instant, Via};
pub use net::{Net, storage};
pub use netconn::Netconn;
pub use poll::{PollEntry, Watch, Watched, poll};
pub use recv::{Fill, Peek};
pub use send::{Flow, PbufError};
pub use service::Service;
pub use settings::{Linger, Settings};
pub use shared::Ready;
pub use snapshot::Snapshot;
pub use udp::Received;
pub use wait::Patience;
