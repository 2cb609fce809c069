//! Packet sockets (`AF_PACKET`): what has addresses of the link layer where others have those of IP.
use gannet_core::NetifId;
use gannet_core::packet::{Class, Filter};
use gannet_core::wire::ethernet::EtherType;
use gannet_netconn::{Kind, Netconn, Received};

use super::errno::Errno;
use super::flags::{MSG_DONTWAIT, MSG_OOB, MsgFlags, SocketFlags};
use super::socket::{Protocol, Type, find, open};
use super::table::{self, Fd};
use super::transfer::receive;

/// Of which interface a frame is, and what kind of frame (`struct sockaddr_ll`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SockAddrLl {
    /// The interface (`sll_ifindex`).
    pub netif: NetifId,
    /// What it carries (`sll_protocol`).
    pub ethertype: EtherType,
    /// To whom it was addressed (`sll_pkttype`).
    pub class: Class,
}

impl SockAddrLl {
    pub(super) fn of(received: &Received) -> Self {
        Self {
            netif: received.netif,
            ethertype: received.ethertype,
            class: received.class,
        }
    }
}

pub(super) fn socket(kind: Type, flags: SocketFlags, protocol: Protocol) -> Result<Fd, Errno> {
    if kind != Type::Raw {
        return Err(Errno::EPROTONOSUPPORT);
    }
    let filter = filter(protocol)?;
    open(flags, |net| Netconn::packet(net, filter, None))
}

fn filter(protocol: Protocol) -> Result<Filter, Errno> {
    match protocol {
        Protocol::EthernetAll => Ok(Filter::All),
        Protocol::Ethernet(ethertype) => Ok(Filter::EtherType(ethertype)),
        _ => Err(Errno::EPROTONOSUPPORT),
    }
}

/// Has a packet socket see the frames of a protocol (`ETH_P_...`), of one interface or of all;
/// frames that wait are still received.
///
/// # Errors
/// `EINVAL`: there is no such interface. `EPROTONOSUPPORT`: not one of `ETH_P_...`. `EOPNOTSUPP`: no
/// packet socket. `EBADF`, `ENOTSOCK`.
#[doc(alias = "bind")]
pub fn bind_ll(fd: Fd, protocol: Protocol, netif: Option<NetifId>) -> Result<(), Errno> {
    let (conn, kind) = find(fd)?;
    if kind != Kind::Packet {
        return Err(Errno::EOPNOTSUPP);
    }
    Ok(conn.watch(filter(protocol)?, netif)?)
}

/// Sends a frame, link header first, out of an interface; sleeps while there is no buffer for it.
///
/// # Errors
/// `EINVAL`: no such interface, or shorter than the header. `EMSGSIZE`, `ENETDOWN`, `EAGAIN`: no
/// buffer, and the call does not sleep, or the send time-out passed. `EOPNOTSUPP`: no packet socket,
/// or `MSG_OOB`. `EBADF`, `ENOTSOCK`.
#[doc(alias = "sendto")]
pub fn sendto_ll(fd: Fd, frame: &[u8], flags: MsgFlags, netif: NetifId) -> Result<usize, Errno> {
    let (conn, kind, settings) = table::look(fd)?;
    match kind {
        Kind::Event => return Err(Errno::ENOTSOCK),
        Kind::Packet if !flags.contains(MSG_OOB) => {}
        _ => return Err(Errno::EOPNOTSUPP),
    }
    let patience = match flags.contains(MSG_DONTWAIT) {
        true => gannet_netconn::Patience::Never,
        false => settings.send_patience(),
    };
    conn.send_frame(&[frame], netif, patience)?;
    Ok(frame.len())
}

/// As [`recv`](super::recv), with what there is to know of a frame.
///
/// # Errors
/// As [`recv`](super::recv); `EOPNOTSUPP`: no packet socket.
#[doc(alias = "recvfrom")]
pub fn recvfrom_ll(fd: Fd, buf: &mut [u8], flags: MsgFlags) -> Result<(usize, SockAddrLl), Errno> {
    if find(fd)?.1 != Kind::Packet {
        return Err(Errno::EOPNOTSUPP);
    }
    let received = receive(fd, &mut [buf], flags)?;
    Ok((received.len, received.link.ok_or(Errno::EOPNOTSUPP)?))
}
