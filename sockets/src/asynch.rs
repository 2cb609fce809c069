//! Sockets for the tasks of an executor (feature `async`): the methods return futures that the
//! stack wakes, and the types have the traits of `embedded-io-async`, `embedded-nal-async` and
//! `edge-nal`.
//!
//! Nothing depends on which executor it is; [`block_on`] is one that needs nothing but a task. Only
//! calls that need the tcpip thread's verdict (bind, listen, the start of a connect, the first
//! datagram to a destination) sleep for one of its turns.
mod buffered;
mod edge_udp;
mod nal;
mod tcp;
mod udp;

pub use gannet_netconn::block_on;
pub use nal::Stack;
pub use tcp::{TcpListener, TcpStream};
pub use udp::UdpSocket;
