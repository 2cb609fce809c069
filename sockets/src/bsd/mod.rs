//! BSD sockets: integer descriptors and the names of POSIX.
//!
//! Functions keep the names, the meaning and the errors that POSIX gives them, with Rust's types
//! where C has untyped ones: addresses are [`SocketAddr`](core::net::SocketAddr), time-outs
//! `Option<Duration>`, option values have the type of the option, several buffers are slices of
//! slices, and a call returns a `Result` with an [`Errno`] instead of setting `errno`.
//!
//! Descriptors live in a table that the firmware declares ([`descriptors!`](crate::descriptors))
//! and makes the default one; connections come from the default net. Any task may use any
//! descriptor at any time.
//!
//! ```no_run
//! use gannet_sockets::bsd::*;
//! # use gannet_port_std as _;
//!
//! fn echo() -> Result<(), Errno> {
//!     let listener = socket(AF_INET, SOCK_STREAM, IPPROTO_IP)?;
//!     setsockopt(listener, sockopt::ReuseAddr, true)?;
//!     bind(listener, ([0, 0, 0, 0], 7).into())?;
//!     listen(listener, SOMAXCONN)?;
//!     loop {
//!         let (fd, _peer) = accept(listener)?;
//!         let mut buf = [0; 512];
//!         loop {
//!             let n = recv(fd, &mut buf, MsgFlags::NONE)?;
//!             if n == 0 {
//!                 break;
//!             }
//!             send(fd, &buf[..n], MSG_NOSIGNAL)?;
//!         }
//!         close(fd)?;
//!     }
//! }
//! ```

mod address;
mod control;
mod errno;
mod errqueue;
mod event;
mod flags;
#[cfg(feature = "packet")]
mod link;
mod message;
mod poll;
mod select;
mod socket;
pub mod sockopt;
mod table;
mod transfer;

pub use address::{
    AI_NUMERICHOST, AI_NUMERICSERV, AI_PASSIVE, AddrInfo, AddrInfos, AiFlags, EaiError, Hints,
    getaddrinfo, inet_ntop, inet_pton,
};
pub use control::{Fcntl, Ioctl, fcntl, ioctl};
pub use errno::Errno;
pub use errqueue::{SO_EE_ORIGIN_ICMP, SockExtendedErr};
pub use event::{eventfd, eventfd_read, eventfd_write, eventfd_write_from_isr};
pub use flags::*;
pub use gannet_core::tcp::Shutdown;
#[cfg(feature = "packet")]
pub use link::{SockAddrLl, bind_ll, recvfrom_ll, sendto_ll};
pub use message::{ReceivedMsg, RecvMsg, SendMsg, recvmmsg, recvmsg, sendmmsg, sendmsg};
pub use poll::{PollFd, poll, ppoll};
pub use select::{FD_SETSIZE, FdSet, pselect, select};
pub use socket::{
    AF_INET, AF_INET6, AF_PACKET, AF_UNIX, Domain, ETH_P_ALL, ETH_P_ARP, ETH_P_IP, IPPROTO_ICMP,
    IPPROTO_IP, IPPROTO_TCP, IPPROTO_UDP, Protocol, SOCK_DGRAM, SOCK_RAW, SOCK_STREAM, SOMAXCONN,
    SocketType, Type, accept, accept4, bind, connect, disconnect, getpeername, getsockname, listen,
    shutdown, socket, socketpair,
};
pub use sockopt::{getsockopt, setsockopt};
pub use table::{Descriptors, Fd, Slot, close, dup, dup2};
pub use transfer::{read, readv, recv, recvfrom, send, sendto, write, writev};
