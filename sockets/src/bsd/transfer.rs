//! Sending and receiving: `send` to `writev`. All of them are a message with or without flags,
//! address and several buffers.
use core::net::SocketAddr;

use gannet_netconn::{Fill, Flow, Kind, Netconn, Patience, Peek, Settings};

use super::errno::Errno;
use super::errqueue;
use super::event;
use super::flags::{
    MSG_DONTWAIT, MSG_ERRQUEUE, MSG_MORE, MSG_OOB, MSG_PEEK, MSG_TRUNC, MSG_WAITALL, MsgFlags,
};
use super::message::ReceivedMsg;
use super::socket::check_family;
use super::table::{self, Fd};

/// Sends to the connected peer. TCP: sleeps while the send buffer is full; less than all is sent
/// only if the send time-out passes or the connection ends in between. Datagrams: sleeps while there
/// is no buffer or no room for it.
///
/// # Errors
/// `EAGAIN`: nothing can be sent at once and the call does not sleep, or the send time-out passed.
/// `EPIPE`: shut down for writing, or over. `ECONNRESET`, `ETIMEDOUT` and others, once: how the
/// connection ended. `ENOTCONN`: TCP, not connected. `EDESTADDRREQ`: UDP, not connected.
/// `EMSGSIZE`: a datagram above 65,507 bytes, or larger than the whole pool. `ENETUNREACH`,
/// `ENETDOWN`, `EACCES`: a broadcast without [`sockopt::Broadcast`](super::sockopt::Broadcast).
/// `EINVAL`: a wrong IP header of a raw socket. `EOPNOTSUPP`: `MSG_OOB`, or datagrams with
/// `MSG_MORE`. `EBADF`, `ENOTSOCK`.
#[doc(alias = "lwip_send")]
pub fn send(fd: Fd, data: &[u8], flags: MsgFlags) -> Result<usize, Errno> {
    transmit(fd, &[data], None, flags)
}

/// As [`send`]; a datagram goes to `to`, if given, also when connected. TCP ignores `to`.
///
/// # Errors
/// As [`send`]; `EAFNOSUPPORT`, `EINVAL`: port 0.
#[doc(alias = "lwip_sendto")]
pub fn sendto(
    fd: Fd,
    data: &[u8],
    flags: MsgFlags,
    to: Option<SocketAddr>,
) -> Result<usize, Errno> {
    transmit(fd, &[data], to, flags)
}

/// As [`send`] without flags. To an event it adds a number of eight bytes in native order.
///
/// # Errors
/// As [`send`]. An event: `EINVAL` if there are less than eight bytes, or all of them ones;
/// `EAGAIN` if its counter has no room.
#[doc(alias = "lwip_write")]
pub fn write(fd: Fd, data: &[u8]) -> Result<usize, Errno> {
    writev(fd, &[data])
}

/// As [`write()`], from several buffers, one after another; one datagram together.
#[doc(alias = "lwip_writev")]
pub fn writev(fd: Fd, bufs: &[&[u8]]) -> Result<usize, Errno> {
    let socket = table::look(fd)?;
    match socket.1 {
        Kind::Event => event::write(&socket.0, bufs),
        _ => transmit_on(socket, bufs, None, MsgFlags::NONE),
    }
}

/// Receives; sleeps until there is something. TCP: 0 is the end of the stream. UDP: one datagram;
/// what does not fit `buf` is lost.
///
/// # Errors
/// `EAGAIN`: nothing is there and the call does not sleep, or the receive time-out passed.
/// `ENOTCONN`: TCP, not connected. `ECONNRESET`, `ETIMEDOUT` and others, once: how the connection
/// ended, behind all data. `ECONNREFUSED` and others: an ICMP error about datagrams sent, once.
/// `EOPNOTSUPP`: `MSG_OOB`. `EBADF`: not open, or closed while the task slept. `ENOTSOCK`.
#[doc(alias = "lwip_recv")]
pub fn recv(fd: Fd, buf: &mut [u8], flags: MsgFlags) -> Result<usize, Errno> {
    Ok(receive(fd, &mut [buf], flags)?.len)
}

/// As [`recv`], with the sender of a datagram; `None` for streams.
#[doc(alias = "lwip_recvfrom")]
pub fn recvfrom(
    fd: Fd,
    buf: &mut [u8],
    flags: MsgFlags,
) -> Result<(usize, Option<SocketAddr>), Errno> {
    let received = receive(fd, &mut [buf], flags)?;
    Ok((received.len, received.from))
}

/// As [`recv`] without flags. From an event it reads the number in eight bytes in native order.
///
/// # Errors
/// As [`recv`]. An event: `EINVAL` if the buffer has less than eight bytes, `EAGAIN` if its
/// counter is 0 and it does not sleep.
#[doc(alias = "lwip_read")]
pub fn read(fd: Fd, buf: &mut [u8]) -> Result<usize, Errno> {
    readv(fd, &mut [buf])
}

/// As [`read`], into several buffers, one after another.
#[doc(alias = "lwip_readv")]
pub fn readv(fd: Fd, bufs: &mut [&mut [u8]]) -> Result<usize, Errno> {
    let socket = table::look(fd)?;
    match socket.1 {
        Kind::Event => event::read(&socket.0, bufs),
        _ => Ok(receive_on(socket, bufs, MsgFlags::NONE)?.len),
    }
}

pub(super) fn transmit(
    fd: Fd,
    bufs: &[&[u8]],
    to: Option<SocketAddr>,
    flags: MsgFlags,
) -> Result<usize, Errno> {
    match table::look(fd)? {
        (_, Kind::Event, _) => Err(Errno::ENOTSOCK),
        socket => transmit_on(socket, bufs, to, flags),
    }
}

pub(super) fn receive(
    fd: Fd,
    bufs: &mut [&mut [u8]],
    flags: MsgFlags,
) -> Result<ReceivedMsg, Errno> {
    match table::look(fd)? {
        (_, Kind::Event, _) => Err(Errno::ENOTSOCK),
        socket => receive_on(socket, bufs, flags),
    }
}

fn transmit_on(
    (conn, kind, settings): (Netconn, Kind, Settings),
    bufs: &[&[u8]],
    to: Option<SocketAddr>,
    flags: MsgFlags,
) -> Result<usize, Errno> {
    if flags.contains(MSG_OOB) {
        return Err(Errno::EOPNOTSUPP);
    }
    let patience = if flags.contains(MSG_DONTWAIT) {
        Patience::Never
    } else {
        settings.send_patience()
    };
    if !kind.is_datagram() {
        let flow = if flags.contains(MSG_MORE) {
            Flow::GoesOn
        } else {
            Flow::Ends
        };
        return Ok(conn.send_vectored(bufs, flow, patience)?);
    }
    if flags.contains(MSG_MORE) {
        return Err(Errno::EOPNOTSUPP);
    }
    to.map_or(Ok(()), check_family)?;
    match conn.send_to_vectored(bufs, to, patience) {
        Ok(()) => Ok(bufs.iter().map(|buf| buf.len()).sum()),
        Err(gannet_netconn::Error::NotConnected) => Err(Errno::EDESTADDRREQ),
        Err(error) => Err(error.into()),
    }
}

fn receive_on(
    (conn, kind, settings): (Netconn, Kind, Settings),
    bufs: &mut [&mut [u8]],
    flags: MsgFlags,
) -> Result<ReceivedMsg, Errno> {
    if flags.contains(MSG_OOB) {
        return Err(Errno::EOPNOTSUPP);
    }
    if flags.contains(MSG_ERRQUEUE) {
        return errqueue::receive(&conn);
    }
    let patience = if flags.contains(MSG_DONTWAIT) {
        Patience::Never
    } else {
        settings.recv_patience()
    };
    let peek = if flags.contains(MSG_PEEK) {
        Peek::Keep
    } else {
        Peek::Take
    };
    if !kind.is_datagram() {
        let fill = if flags.contains(MSG_WAITALL) {
            Fill::All
        } else {
            Fill::Some
        };
        let len = conn.recv_vectored(bufs, peek, fill, patience)?;
        return Ok(ReceivedMsg {
            len,
            ..ReceivedMsg::NOTHING
        });
    }
    let received = conn.recv_from_vectored(bufs, peek, patience)?;
    let is_cut = received.datagram_len > received.len;
    // Nothing is known of local datagrams, and after a shutdown there is none.
    let is_one = !received.from.ip().is_unspecified();
    #[cfg(feature = "packet")]
    let link = (kind == Kind::Packet).then(|| super::link::SockAddrLl::of(&received));
    Ok(ReceivedMsg {
        len: if flags.contains(MSG_TRUNC) {
            received.datagram_len
        } else {
            received.len
        },
        flags: if is_cut { MSG_TRUNC } else { MsgFlags::NONE },
        from: is_one.then_some(received.from),
        to: is_one.then(|| received.to.ip()),
        tos: is_one.then_some(received.tos),
        ttl: is_one.then_some(received.ttl),
        netif: is_one.then_some(received.netif),
        #[cfg(feature = "packet")]
        link,
        at: is_one.then_some(received.at),
        error: None,
    })
}
