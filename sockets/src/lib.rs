//! Blocking sockets of gannet, for the tasks of an RTOS; two faces over `gannet-netconn`.
//!
//! * [`TcpStream`], [`TcpListener`] and [`UdpSocket`] have the shape of `std::net`; `RawSocket` and
//!   `PacketSocket` are made after them. All their
//!   methods take `&self`: tasks share a socket by sharing a reference to it.
//! * [`bsd`] has integer descriptors and the names of POSIX: `socket` to `select`, `errno`.
//!
//! Both use the net that was made the default one (`Net::make_default`), or one they are given.
//! Any task may call anything on any socket at any time; closing one wakes those that sleep in it.
#![no_std]
#![forbid(unsafe_code)]

#[cfg(feature = "async")]
pub mod asynch;
pub mod bsd;
mod buffered;
pub mod io;
mod listener;
#[cfg(feature = "embedded-nal")]
pub mod nal;
mod options;
#[cfg(feature = "packet")]
pub mod packet;
#[cfg(feature = "raw")]
mod raw;
mod stream;
mod udp;

pub use buffered::BufStream;
pub use gannet_core::tcp::{Keepalive, Shutdown};
pub use gannet_core::{NetifId, Pbuf, Subnet};
pub use gannet_netconn::{Admin, Error, IcmpReport, Net, NetifStatus, Patience, Via};
pub use listener::{Incoming, TcpListener};
#[cfg(feature = "packet")]
pub use packet::PacketSocket;
#[cfg(feature = "raw")]
pub use raw::{Header, Protocol, RawSocket};
pub use stream::TcpStream;
pub use udp::UdpSocket;
