//! Options of all sockets: `SOL_SOCKET`.
use core::num::NonZeroU32;
use core::time::Duration;

use gannet_core::wire::ipv4::Protocol as IpProtocol;
use gannet_netconn::{Kind, Netconn, Settings};

use super::options;
use crate::bsd::errno::Errno;
use crate::bsd::socket::{Domain, Protocol, Type};

/// Longest time-out that can be set: Linux's limit of a signed count of ticks, and then some.
const MAX_TIMEOUT: Duration = Duration::from_secs(u32::MAX as u64);

options! {
    /// Whether the socket listens.
    #[doc(alias = "SO_ACCEPTCONN")]
    AcceptConn: bool, get |conn, _| Ok(conn.is_listening()?);

    /// UDP and raw IP: datagrams may go to broadcast addresses. Off at first.
    #[doc(alias = "SO_BROADCAST")]
    Broadcast: bool,
        get |conn, _| Ok(conn.settings()?.broadcast),
        set |conn, _, on| change(conn, |settings| settings.broadcast = on);

    /// The family.
    #[doc(alias = "SO_DOMAIN")]
    SocketDomain: Domain, get |_, kind| Ok(match kind {
        Kind::Pair | Kind::DatagramPair => Domain::Unix,
        Kind::Packet => Domain::Packet,
        _ => Domain::Inet,
    });

    /// The error that waits to be told; reading takes it.
    #[doc(alias = "SO_ERROR")]
    Error: Option<Errno>, get |conn, _| Ok(conn.take_error()?.map(Errno::from));

    /// TCP: a silent peer is probed; see [`KeepIdle`](super::KeepIdle). Off at first.
    #[doc(alias = "SO_KEEPALIVE")]
    KeepAlive: bool,
        get |conn, _| Ok(conn.settings()?.keepalive),
        set |conn, _, on| change(conn, |settings| settings.keepalive = on);

    /// What closing the last descriptor does with data not yet acknowledged. `None`: it is sent in
    /// the background (the default). Zero: the connection is reset. Else
    /// [`close`](crate::bsd::close) sleeps until it is acknowledged, for at most this time.
    #[doc(alias = "SO_LINGER")]
    Linger: Option<Duration>,
        get |conn, _| Ok(match conn.settings()?.linger {
            gannet_netconn::Linger::Background => None,
            gannet_netconn::Linger::Abort => Some(Duration::ZERO),
            gannet_netconn::Linger::Wait(time) => Some(time),
        }),
        set |conn, _, time| {
            let linger = match time {
                None => gannet_netconn::Linger::Background,
                Some(Duration::ZERO) => gannet_netconn::Linger::Abort,
                Some(time) => gannet_netconn::Linger::Wait(limited(time)?),
            };
            change(conn, |settings| settings.linger = linger)
        };

    /// Urgent data is received in line: always. Setting `false` is `EINVAL`.
    #[doc(alias = "SO_OOBINLINE")]
    OobInline: bool,
        get |_, _| Ok(true),
        set |_, _, on| if on { Ok(()) } else { Err(Errno::EINVAL) };

    /// The protocol.
    #[doc(alias = "SO_PROTOCOL")]
    SocketProtocol: Protocol, get |_, kind| Ok(match kind {
        Kind::Tcp => Protocol::Tcp,
        Kind::Udp | Kind::Raw(IpProtocol::UDP) => Protocol::Udp,
        Kind::Raw(IpProtocol::TCP) => Protocol::Tcp,
        Kind::Raw(IpProtocol::ICMP) => Protocol::Icmp,
        Kind::Raw(IpProtocol(number)) => Protocol::Ip(number),
        _ => Protocol::Default,
    });

    /// Bytes that make a TCP socket ready for reading, and that receiving sleeps for, unless its
    /// buffer is smaller; at most half of the receive window counts. 1 at first.
    #[doc(alias = "SO_RCVLOWAT")]
    RcvLowat: u32,
        get |conn, _| Ok(conn.settings()?.recv_low_water),
        // POSIX: 0 means 1.
        set |conn, _, bytes| change(conn, |settings| settings.recv_low_water = bytes.max(1));

    /// How long receiving and accepting may sleep; `None`: for ever, as is zero.
    #[doc(alias = "SO_RCVTIMEO")]
    RcvTimeo: Option<Duration>,
        get |conn, _| Ok(conn.settings()?.recv_timeout),
        set |conn, _, time| {
            let time = timeout(time)?;
            change(conn, |settings| settings.recv_timeout = time)
        };

    /// TCP: room in the send buffer that makes a socket ready for writing, and wakes who sleeps for
    /// room; `None`: a third of the buffer.
    #[doc(alias = "SO_SNDLOWAT")]
    SndLowat: Option<NonZeroU32>,
        get |conn, kind| {
            super::only(Kind::Tcp, kind)?;
            Ok(conn.settings()?.send_low_water)
        },
        set |conn, kind, bytes| {
            super::only(Kind::Tcp, kind)?;
            change(conn, |settings| settings.send_low_water = bytes)
        };

    /// How long sending and connecting may sleep; `None`: for ever, as is zero.
    #[doc(alias = "SO_SNDTIMEO")]
    SndTimeo: Option<Duration>,
        get |conn, _| Ok(conn.settings()?.send_timeout),
        set |conn, _, time| {
            let time = timeout(time)?;
            change(conn, |settings| settings.send_timeout = time)
        };

    /// Bytes that may wait to be received; `None`: as the stack is configured. TCP: the receive
    /// window, set before connecting or listening if it is to be above 65,535; setting it ends its
    /// automatic growth. Else: a datagram that goes beyond is dropped, unless it waits alone.
    #[doc(alias = "SO_RCVBUF")]
    RcvBuf: Option<NonZeroU32>,
        get |conn, _| Ok(conn.settings()?.recv_buffer),
        set |conn, _, bytes| change(conn, |settings| settings.recv_buffer = bytes);

    /// TCP: bytes that may be written and not acknowledged; `None`: as the stack is configured.
    /// Datagrams: bytes that may wait for a device; `None`: a quarter of the pool's.
    #[doc(alias = "SO_SNDBUF")]
    SndBuf: Option<NonZeroU32>,
        get |conn, _| Ok(conn.settings()?.send_buffer),
        set |conn, _, bytes| change(conn, |settings| settings.send_buffer = bytes);

    /// UDP: a local address may be shared with others that say so too; set before
    /// [`bind`](crate::bsd::bind). TCP: accepted and without effect, because connections in
    /// TIME-WAIT never keep a listener from its port.
    #[doc(alias = "SO_REUSEADDR")]
    ReuseAddr: bool,
        get |conn, _| Ok(conn.settings()?.reuse_address),
        set |conn, _, on| change(conn, |settings| settings.reuse_address = on);

    /// UDP: as [`ReuseAddr`]. TCP: listeners cannot share a port (`ENOPROTOOPT`).
    #[doc(alias = "SO_REUSEPORT")]
    ReusePort: bool,
        get |conn, kind| {
            super::only(Kind::Udp, kind)?;
            Ok(conn.settings()?.reuse_address)
        },
        set |conn, kind, on| {
            super::only(Kind::Udp, kind)?;
            change(conn, |settings| settings.reuse_address = on)
        };

    /// What the socket carries.
    #[doc(alias = "SO_TYPE")]
    SocketType: Type, get |_, kind| Ok(match kind {
        Kind::Udp | Kind::DatagramPair => Type::Dgram,
        Kind::Raw(_) | Kind::Packet => Type::Raw,
        _ => Type::Stream,
    });
}

pub(super) fn change(conn: &Netconn, change: impl FnOnce(&mut Settings)) -> Result<(), Errno> {
    Ok(conn.change_settings(change)?)
}

fn timeout(time: Option<Duration>) -> Result<Option<Duration>, Errno> {
    time.filter(|time| !time.is_zero()).map(limited).transpose()
}

fn limited(time: Duration) -> Result<Duration, Errno> {
    if time <= MAX_TIMEOUT {
        Ok(time)
    } else {
        Err(Errno::EDOM)
    }
}
