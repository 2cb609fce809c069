//! Sockets for the tasks of an executor (feature `async`): the methods return futures that the
//! stack wakes, and the types have the traits of `embedded-io-async`, `embedded-nal-async` and
//! `edge-nal`.
//!
//! Nothing depends on which executor it is; [`block_on`] is one that needs nothing but a task. Only
//! calls that need the tcpip thread's verdict (bind, listen, the start of a connect, the first
//! datagram to a destination) sleep for one of its turns.
mod buffered;
#[cfg(feature = "packet")]
mod edge_raw;
mod edge_udp;
mod nal;
#[cfg(feature = "packet")]
mod packet;
mod tcp;
mod udp;

#[cfg(feature = "packet")]
pub use edge_raw::{Interface, LinkSocket};
pub use gannet_netconn::block_on;
pub use nal::Stack;
#[cfg(feature = "packet")]
pub use packet::PacketSocket;
pub use tcp::{TcpListener, TcpStream};
pub use udp::UdpSocket;
