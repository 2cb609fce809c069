//! Making sockets, and what makes connections of them.
use core::net::SocketAddr;
use core::ops::BitOr;

use gannet_core::tcp::Shutdown;
use gannet_core::wire::ethernet::EtherType;
use gannet_core::wire::ipv4::Protocol as IpProtocol;
use gannet_netconn::{Error, Kind, Net, Netconn};

use super::errno::Errno;
use super::flags::{SOCK_NONBLOCK, SocketFlags};
use super::table::{self, Fd};

/// The family of a socket: `AF_...`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Domain {
    /// IPv4.
    Inet,
    /// IPv6; the stack has none so far (`EAFNOSUPPORT`).
    Inet6,
    /// Local; for [`socketpair`] only.
    Unix,
    /// Frames of an interface.
    Packet,
}

/// [`Domain::Inet`].
pub const AF_INET: Domain = Domain::Inet;
/// [`Domain::Inet6`].
pub const AF_INET6: Domain = Domain::Inet6;
/// [`Domain::Unix`].
pub const AF_UNIX: Domain = Domain::Unix;
/// [`Domain::Packet`].
pub const AF_PACKET: Domain = Domain::Packet;

/// What a socket carries: `SOCK_...`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Type {
    /// A stream: TCP.
    Stream,
    /// Datagrams: UDP.
    Dgram,
    /// Packets of IP with their headers, or whole frames.
    Raw,
}

/// [`Type::Stream`].
pub const SOCK_STREAM: Type = Type::Stream;
/// [`Type::Dgram`].
pub const SOCK_DGRAM: Type = Type::Dgram;
/// [`Type::Raw`].
pub const SOCK_RAW: Type = Type::Raw;

/// A type, perhaps with flags: `SOCK_STREAM | SOCK_NONBLOCK`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SocketType {
    /// What the socket carries.
    pub kind: Type,
    /// How it is made.
    pub flags: SocketFlags,
}

impl From<Type> for SocketType {
    fn from(kind: Type) -> Self {
        Self {
            kind,
            flags: SocketFlags::NONE,
        }
    }
}

impl BitOr<SocketFlags> for Type {
    type Output = SocketType;

    fn bitor(self, flags: SocketFlags) -> SocketType {
        SocketType { kind: self, flags }
    }
}

/// The protocol of a socket: `IPPROTO_...`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Protocol {
    /// The one of the type.
    Default,
    /// ICMP, with [`SOCK_RAW`].
    Icmp,
    /// TCP.
    Tcp,
    /// UDP.
    Udp,
    /// Another protocol of IP by its number, with [`SOCK_RAW`].
    Ip(u8),
    /// Received frames of an EtherType, with [`AF_PACKET`] (`ETH_P_...`).
    Ethernet(EtherType),
    /// All frames, received and sent, with [`AF_PACKET`] (`ETH_P_ALL`).
    EthernetAll,
}

/// [`Protocol::Default`]: 0.
pub const IPPROTO_IP: Protocol = Protocol::Default;
/// [`Protocol::Icmp`].
pub const IPPROTO_ICMP: Protocol = Protocol::Icmp;
/// [`Protocol::Tcp`].
pub const IPPROTO_TCP: Protocol = Protocol::Tcp;
/// [`Protocol::Udp`].
pub const IPPROTO_UDP: Protocol = Protocol::Udp;

/// [`Protocol::EthernetAll`].
pub const ETH_P_ALL: Protocol = Protocol::EthernetAll;
/// [`Protocol::Ethernet`] of IPv4.
pub const ETH_P_IP: Protocol = Protocol::Ethernet(EtherType::IPV4);
/// [`Protocol::Ethernet`] of ARP.
pub const ETH_P_ARP: Protocol = Protocol::Ethernet(EtherType::ARP);

/// The largest backlog of [`listen`] that is asked of the stack.
pub const SOMAXCONN: i32 = 128;

/// A new socket. With [`SOCK_RAW`] it receives all packets of the protocol from now on, IP header
/// included, beside the stack; with [`AF_PACKET`] it sees frames of all interfaces, until
/// [`bind_ll`](super::bind_ll) names one.
///
/// # Errors
/// `EAFNOSUPPORT`: neither [`Domain::Inet`] nor [`Domain::Packet`], or that is left out.
/// `EPROTONOSUPPORT`: a raw socket without a protocol, or raw sockets are left out. `EPROTOTYPE`:
/// the protocol is not one of the type. `EMFILE`: out of descriptors. `ENFILE`: out of
/// connections. `ENOBUFS`: out of raw or packet endpoints. `ENETDOWN`: no net was made the default
/// one.
#[doc(alias = "lwip_socket")]
pub fn socket(
    domain: Domain,
    kind: impl Into<SocketType>,
    protocol: Protocol,
) -> Result<Fd, Errno> {
    let SocketType { kind, flags } = kind.into();
    match domain {
        Domain::Inet => {}
        #[cfg(feature = "packet")]
        Domain::Packet => return super::link::socket(kind, flags, protocol),
        _ => return Err(Errno::EAFNOSUPPORT),
    }
    let kind = match (kind, protocol) {
        (_, Protocol::Ethernet(_) | Protocol::EthernetAll)
        | (Type::Raw, Protocol::Default)
        | (Type::Stream | Type::Dgram, Protocol::Icmp | Protocol::Ip(_)) => {
            return Err(Errno::EPROTONOSUPPORT);
        }
        (Type::Stream, Protocol::Default | Protocol::Tcp) => Kind::Tcp,
        (Type::Dgram, Protocol::Default | Protocol::Udp) => Kind::Udp,
        (Type::Stream, Protocol::Udp) | (Type::Dgram, Protocol::Tcp) => {
            return Err(Errno::EPROTOTYPE);
        }
        (Type::Raw, Protocol::Icmp) => Kind::Raw(IpProtocol::ICMP),
        (Type::Raw, Protocol::Tcp) => Kind::Raw(IpProtocol::TCP),
        (Type::Raw, Protocol::Udp) => Kind::Raw(IpProtocol::UDP),
        (Type::Raw, Protocol::Ip(number)) => Kind::Raw(IpProtocol(number)),
    };
    open(flags, |net| match kind {
        #[cfg(feature = "raw")]
        Kind::Raw(protocol) => Netconn::raw(net, protocol),
        kind => Netconn::new(net, kind),
    })
}

/// A descriptor for the connection that `make` makes.
pub(super) fn open(
    flags: SocketFlags,
    make: impl FnOnce(&'static Net) -> Result<Netconn, Error>,
) -> Result<Fd, Errno> {
    let place = table::reserve(0)?;
    let conn = make(Net::default_net()?)?;
    apply(&conn, flags)?;
    Ok(place.open(conn))
}

/// Two connected local sockets: what is written to one is read from the other, as a stream or, with
/// [`SOCK_DGRAM`], in datagrams, in order and without loss.
///
/// # Errors
/// `EAFNOSUPPORT`: not [`Domain::Unix`]. `EPROTONOSUPPORT`: neither. `EMFILE`, `ENFILE`,
/// `ENETDOWN`: as [`socket`].
pub fn socketpair(
    domain: Domain,
    kind: impl Into<SocketType>,
    protocol: Protocol,
) -> Result<[Fd; 2], Errno> {
    let SocketType { kind, flags } = kind.into();
    if domain != Domain::Unix {
        return Err(Errno::EAFNOSUPPORT);
    }
    let pair = match (kind, protocol) {
        (Type::Stream, Protocol::Default) => Netconn::pair,
        (Type::Dgram, Protocol::Default) => Netconn::datagram_pair,
        _ => return Err(Errno::EPROTONOSUPPORT),
    };
    let places = [table::reserve(0)?, table::reserve(0)?];
    let (one, two) = pair(Net::default_net()?)?;
    apply(&one, flags)?;
    apply(&two, flags)?;
    let [first, second] = places;
    Ok([first.open(one), second.open(two)])
}

/// Binds to a local address; the unspecified address means all of them, port 0 picks one.
///
/// # Errors
/// `EADDRINUSE`, `EADDRNOTAVAIL`, `EAFNOSUPPORT`: an IPv6 address. `EINVAL`: bound, connected or
/// listening already. `ENOBUFS`: the stack is out of control blocks. `EOPNOTSUPP`: a local socket.
/// `EBADF`, `ENOTSOCK`.
#[doc(alias = "lwip_bind")]
pub fn bind(fd: Fd, addr: SocketAddr) -> Result<(), Errno> {
    let (conn, _) = find(fd)?;
    check_family(addr)?;
    Ok(conn.bind(addr)?)
}

/// Makes a listener of a TCP socket. Of `backlog` at least 1 and at most [`SOMAXCONN`] is taken;
/// a socket that is not bound gets a port. On a listener it changes nothing.
///
/// # Errors
/// `EOPNOTSUPP`: not TCP. `EINVAL`: connected, or shut down. `ENOBUFS`: the stack is out of
/// listeners. `EBADF`, `ENOTSOCK`.
#[doc(alias = "lwip_listen")]
pub fn listen(fd: Fd, backlog: i32) -> Result<(), Errno> {
    let (conn, _) = find(fd)?;
    // Between 1 and SOMAXCONN it fits.
    let backlog = u16::try_from(backlog.clamp(1, SOMAXCONN)).unwrap_or(1);
    match conn.listen(backlog) {
        Err(Error::Invalid) if conn.is_listening()? => Ok(()),
        outcome => Ok(outcome?),
    }
}

/// The next connection of a listener, and its peer; sleeps until there is one.
///
/// # Errors
/// `EAGAIN`: none, and the socket is non-blocking or its receive time-out has passed. `EINVAL`:
/// not a listener. `EOPNOTSUPP`: not TCP. `EMFILE`: out of descriptors; the connection still
/// waits. `EBADF`: not open, or closed while the task slept. `ENOTSOCK`.
#[doc(alias = "lwip_accept")]
pub fn accept(fd: Fd) -> Result<(Fd, SocketAddr), Errno> {
    accept4(fd, SocketFlags::NONE)
}

/// As [`accept`], and sets `flags` on the new descriptor. Without [`SOCK_NONBLOCK`] it blocks,
/// whatever the listener does.
pub fn accept4(fd: Fd, flags: SocketFlags) -> Result<(Fd, SocketAddr), Errno> {
    let (listener, kind) = find(fd)?;
    if kind != Kind::Tcp {
        return Err(Errno::EOPNOTSUPP);
    }
    // Before a connection is taken, so that none is lost for want of a descriptor.
    let place = table::reserve(0)?;
    let conn = listener.accept()?;
    apply(&conn, flags)?;
    // A connection that is over already still knows its peer.
    let peer = conn.peer_addr().inspect_err(|_| conn.close())?;
    Ok((place.open(conn), peer))
}

/// TCP: connects; sleeps until the connection is there or has failed. UDP and raw IP: fixes the
/// peer.
///
/// # Errors
/// `ECONNREFUSED`, `ETIMEDOUT`, `ENETUNREACH`, `EHOSTUNREACH`: why there is no connection.
/// `EINPROGRESS`: the socket is non-blocking or its send time-out passed; the attempt goes on,
/// [`poll`](super::poll()) reports `POLLOUT` when it is over and
/// [`sockopt::Error`](super::sockopt::Error) tells how. `EALREADY`: one is under way. `EISCONN`.
/// `EADDRINUSE`: no local port is free. `EAFNOSUPPORT`. `EINVAL`: port 0, or not the address of a
/// host. `EOPNOTSUPP`: a listener, or a local socket. `ENOBUFS`, `EBADF`, `ENOTSOCK`.
#[doc(alias = "lwip_connect")]
pub fn connect(fd: Fd, addr: SocketAddr) -> Result<(), Errno> {
    let (conn, _) = find(fd)?;
    check_family(addr)?;
    let patience = conn.send_patience()?;
    match conn.connect(addr, patience) {
        // POSIX: connecting a listener.
        Err(Error::Invalid) if conn.is_listening()? => Err(Errno::EOPNOTSUPP),
        // An attempt that failed in the background is told here, if nobody has asked yet.
        Err(Error::Invalid) => Err(conn.take_error()?.unwrap_or(Error::Invalid).into()),
        outcome => Ok(outcome?),
    }
}

/// UDP and raw IP: forgets the peer, the local address stays (`connect` to `AF_UNSPEC`).
///
/// # Errors
/// `EOPNOTSUPP`: neither. `EBADF`, `ENOTSOCK`.
#[doc(alias = "AF_UNSPEC")]
pub fn disconnect(fd: Fd) -> Result<(), Errno> {
    Ok(find(fd)?.0.disconnect()?)
}

/// Ends one direction or both, for all descriptors of the socket; what was written is sent first.
///
/// # Errors
/// `ENOTCONN`, `EBADF`, `ENOTSOCK`.
#[doc(alias = "lwip_shutdown")]
pub fn shutdown(fd: Fd, how: Shutdown) -> Result<(), Errno> {
    Ok(find(fd)?.0.shutdown(how)?)
}

/// The local address; unspecified and port 0 while not bound.
///
/// # Errors
/// `EBADF`, `ENOTSOCK`.
#[doc(alias = "lwip_getsockname")]
pub fn getsockname(fd: Fd) -> Result<SocketAddr, Errno> {
    Ok(find(fd)?.0.local_addr()?)
}

/// The peer's address.
///
/// # Errors
/// `ENOTCONN`, `EBADF`, `ENOTSOCK`.
#[doc(alias = "lwip_getpeername")]
pub fn getpeername(fd: Fd) -> Result<SocketAddr, Errno> {
    Ok(find(fd)?.0.peer_addr()?)
}

/// The socket that `fd` names.
///
/// # Errors
/// `EBADF`. `ENOTSOCK`: an event.
pub(super) fn find(fd: Fd) -> Result<(Netconn, Kind), Errno> {
    match table::look(fd)? {
        (_, Kind::Event, _) => Err(Errno::ENOTSOCK),
        (conn, kind, _) => Ok((conn, kind)),
    }
}

pub(super) fn check_family(addr: SocketAddr) -> Result<(), Errno> {
    if addr.is_ipv4() {
        Ok(())
    } else {
        Err(Errno::EAFNOSUPPORT)
    }
}

fn apply(conn: &Netconn, flags: SocketFlags) -> Result<(), Errno> {
    if flags.contains(SOCK_NONBLOCK) {
        conn.change_settings(|settings| settings.nonblocking = true)?;
    }
    Ok(())
}
