//! Messages: `sendmsg`, `recvmsg`, and several in one call. What C passes as control data has
//! fields here.
use core::net::{IpAddr, SocketAddr};
use core::time::Duration;

use gannet_core::NetifId;
use gannet_netconn::{Instant, sys};

use super::errno::Errno;
use super::flags::{MSG_DONTWAIT, MSG_WAITFORONE, MsgFlags};
use super::table::Fd;
use super::transfer::{receive, transmit};

/// A message to send (`struct msghdr`).
#[derive(Clone, Copy, Debug)]
pub struct SendMsg<'a> {
    /// UDP: where to (`msg_name`); `None`: to the connected peer.
    pub to: Option<SocketAddr>,
    /// The data, one buffer after another (`msg_iov`).
    pub iov: &'a [&'a [u8]],
}

/// What was received (`struct msghdr` after the call).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ReceivedMsg {
    /// Bytes received; with [`MSG_TRUNC`](super::MSG_TRUNC) asked for, the datagram's length.
    pub len: usize,
    /// Who sent it (`msg_name`); `None` for streams. Of an error: where the datagram went.
    pub from: Option<SocketAddr>,
    /// The local address a datagram was sent to (`IP_PKTINFO`); always there, needs no option.
    pub to: Option<IpAddr>,
    /// Type of service of a datagram (`IP_RECVTOS`); always there, needs no option.
    pub tos: Option<u8>,
    /// Hops a datagram might still have taken (`IP_RECVTTL`); always there, needs no option.
    pub ttl: Option<u8>,
    /// The interface a datagram came in by (`IP_PKTINFO`); always there, needs no option.
    pub netif: Option<NetifId>,
    /// Of a frame: what C has in the address (`sockaddr_ll`).
    #[cfg(feature = "packet")]
    pub link: Option<super::link::SockAddrLl>,
    /// When a datagram was received (`SO_TIMESTAMP`); always there, needs no option.
    pub at: Option<Instant>,
    /// With [`MSG_ERRQUEUE`](super::MSG_ERRQUEUE): the error.
    pub error: Option<super::errqueue::SockExtendedErr>,
    /// [`MSG_TRUNC`](super::MSG_TRUNC): the datagram was longer (`msg_flags`).
    pub flags: MsgFlags,
}

impl ReceivedMsg {
    pub(super) const NOTHING: Self = Self {
        len: 0,
        from: None,
        to: None,
        tos: None,
        ttl: None,
        netif: None,
        #[cfg(feature = "packet")]
        link: None,
        at: None,
        error: None,
        flags: MsgFlags::NONE,
    };
}

impl Default for ReceivedMsg {
    fn default() -> Self {
        Self::NOTHING
    }
}

/// Where one of several messages is received (`struct mmsghdr`).
#[derive(Debug)]
pub struct RecvMsg<'a, 'b> {
    /// The buffers, one after another (`msg_iov`).
    pub iov: &'a mut [&'b mut [u8]],
    /// Filled in by [`recvmmsg`].
    pub received: ReceivedMsg,
}

/// Sends a message.
///
/// # Errors
/// As [`sendto`](super::sendto).
#[doc(alias = "lwip_sendmsg")]
pub fn sendmsg(fd: Fd, message: &SendMsg<'_>, flags: MsgFlags) -> Result<usize, Errno> {
    transmit(fd, message.iov, message.to, flags)
}

/// Receives a message into several buffers.
///
/// With [`MSG_ERRQUEUE`](super::MSG_ERRQUEUE) it takes an ICMP error that was kept for
/// [`RecvErr`](super::sockopt::RecvErr) and never sleeps. There is no data with it: what the router
/// quoted of the datagram is not kept.
///
/// # Errors
/// As [`recv`](super::recv). With `MSG_ERRQUEUE`: `EAGAIN` if there is none.
#[doc(alias = "lwip_recvmsg")]
pub fn recvmsg(fd: Fd, iov: &mut [&mut [u8]], flags: MsgFlags) -> Result<ReceivedMsg, Errno> {
    receive(fd, iov, flags)
}

/// Sends messages one after another; returns how many were sent completely.
///
/// # Errors
/// As [`sendto`](super::sendto), when the first one failed.
pub fn sendmmsg(fd: Fd, messages: &[SendMsg<'_>], flags: MsgFlags) -> Result<usize, Errno> {
    for (count, message) in messages.iter().enumerate() {
        let len: usize = message.iov.iter().map(|buf| buf.len()).sum();
        match sendmsg(fd, message, flags) {
            Ok(n) if n == len => {}
            Ok(_) => return Ok(count),
            Err(error) if count == 0 => return Err(error),
            Err(_) => return Ok(count),
        }
    }
    Ok(messages.len())
}

/// Receives messages one after another until all places are filled; returns how many. `timeout`
/// is looked at after each message, as in Linux: a call that sleeps for one does so by the
/// socket's own time-out. With [`MSG_WAITFORONE`] only the first one is slept for.
///
/// # Errors
/// As [`recv`](super::recv), when the first one failed.
pub fn recvmmsg(
    fd: Fd,
    messages: &mut [RecvMsg<'_, '_>],
    flags: MsgFlags,
    timeout: Option<Duration>,
) -> Result<usize, Errno> {
    let end = timeout.map(|timeout| sys::now() + timeout);
    let mut flags = flags;
    for (count, message) in messages.iter_mut().enumerate() {
        match receive(fd, message.iov, flags) {
            Ok(received) => message.received = received,
            Err(error) if count == 0 => return Err(error),
            Err(_) => return Ok(count),
        }
        if flags.contains(MSG_WAITFORONE) {
            flags |= MSG_DONTWAIT;
        }
        if end.is_some_and(|end| sys::now() >= end) {
            return Ok(count + 1);
        }
    }
    Ok(messages.len())
}
