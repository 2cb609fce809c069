//! Options of IPv4: `IPPROTO_IP`.
use core::net::Ipv4Addr;
use core::num::NonZeroU8;

pub use gannet_netconn::MtuDiscovery;
use gannet_netconn::{Error, Kind, MulticastLoop as Looped, Netconn, Via};

use super::{only, only_ip_datagrams, options, socket::change};
use crate::bsd::errno::Errno;

/// The membership of a socket in a group (`struct ip_mreq`, `struct ip_mreqn`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Membership {
    /// The group (`imr_multiaddr`).
    pub group: Ipv4Addr,
    /// On which interface (`imr_interface`, `imr_ifindex`); [`Via::Route`] is `INADDR_ANY`.
    pub interface: Via,
}

impl Membership {
    /// In `group`, on the interface that has the address `interface`; 0.0.0.0: on the one the route
    /// leads through.
    pub fn new(group: Ipv4Addr, interface: Ipv4Addr) -> Self {
        Self {
            group,
            interface: interface.into(),
        }
    }
}

options! {
    /// Raw IP: what is sent begins with the IP header. It must be one of a whole IPv4 packet; its
    /// length, checksum, and a source or identification of zero are filled in. Off at first.
    #[doc(alias = "IP_HDRINCL")]
    HdrIncl: bool,
        get |conn, kind| {
            only_raw(kind)?;
            Ok(conn.settings()?.header_included)
        },
        set |conn, kind, on| {
            only_raw(kind)?;
            change(conn, |settings| settings.header_included = on)
        };

    /// Joins a multicast group. What is sent to it arrives at this socket, if it is bound to the
    /// port, and at no other that has not joined (Linux with `IP_MULTICAST_ALL` off).
    ///
    /// `EINVAL`: not a group. `ENODEV`: no such interface. `EADDRINUSE`: joined already. `ENOBUFS`:
    /// the stack's table of groups is full.
    #[doc(alias = "IP_ADD_MEMBERSHIP")]
    AddMembership: Membership,
        set |conn, kind, of| {
            only(Kind::Udp, kind)?;
            Ok(conn.join_multicast(of.group, of.interface)?)
        };

    /// Leaves a multicast group. Closing a socket leaves all of its groups.
    ///
    /// `EADDRNOTAVAIL`: it was not joined. `EINVAL`: not a group. `ENODEV`: no such interface.
    #[doc(alias = "IP_DROP_MEMBERSHIP")]
    DropMembership: Membership,
        set |conn, kind, of| {
            only(Kind::Udp, kind)?;
            Ok(conn.leave_multicast(of.group, of.interface)?)
        };

    /// The interface multicasts leave through. The route decides at first.
    ///
    /// `EADDRNOTAVAIL`: no interface has the address. `ENODEV`: no such interface.
    #[doc(alias = "IP_MULTICAST_IF")]
    MulticastIf: Via,
        get |conn, kind| {
            only(Kind::Udp, kind)?;
            Ok(conn.settings()?.multicast_interface)
        },
        set |conn, kind, interface| {
            only(Kind::Udp, kind)?;
            conn.set_multicast_interface(interface)
                .map_err(|error| match (error, interface) {
                    (Error::NoInterface, Via::Addr(_)) => Errno::EADDRNOTAVAIL,
                    (error, _) => error.into(),
                })
        };

    /// Whether what this socket sends to a group reaches members on this host, perhaps itself. It
    /// does at first.
    #[doc(alias = "IP_MULTICAST_LOOP")]
    MulticastLoop: bool,
        get |conn, kind| {
            only(Kind::Udp, kind)?;
            Ok(conn.settings()?.multicast_loop == Looped::On)
        },
        set |conn, kind, on| {
            only(Kind::Udp, kind)?;
            let looped = if on { Looped::On } else { Looped::Off };
            change(conn, |settings| settings.multicast_loop = looped)
        };

    /// TCP and UDP: whether packets may be fragmented. With [`MtuDiscovery::Discover`] a datagram that is
    /// longer than the link carries is `EMSGSIZE`.
    #[doc(alias = "IP_MTU_DISCOVER")]
    MtuDiscover: MtuDiscovery,
        get |conn, kind| {
            only_transports(kind)?;
            Ok(conn.settings()?.mtu_discovery)
        },
        set |conn, kind, mtu_discovery| {
            only_transports(kind)?;
            change(conn, |settings| settings.mtu_discovery = mtu_discovery)
        };

    /// Hops a multicast datagram may take, at least 1. 1 at first (RFC 1112 §6.1).
    #[doc(alias = "IP_MULTICAST_TTL")]
    MulticastTtl: u8,
        get |conn, kind| {
            only_ip_datagrams(kind)?;
            Ok(conn.settings()?.multicast_ttl)
        },
        set |conn, kind, hops| {
            only_ip_datagrams(kind)?;
            if hops == 0 {
                return Err(Errno::EINVAL);
            }
            change(conn, |settings| settings.multicast_ttl = hops)
        };

    /// UDP and raw IP: ICMP errors are kept, for [`MSG_ERRQUEUE`](crate::bsd::MSG_ERRQUEUE), and
    /// told without a connected peer, too. While one is kept there is `POLLERR`. Off at first;
    /// turned off, those kept are dropped.
    #[doc(alias = "IP_RECVERR")]
    RecvErr: bool,
        get |conn, kind| {
            only_ip_datagrams(kind)?;
            Ok(conn.settings()?.recv_errors)
        },
        set |conn, kind, on| {
            only_ip_datagrams(kind)?;
            Ok(conn.set_recv_errors(on)?)
        };

    /// Type of service: DSCP in the upper six bits. 0 at first.
    #[doc(alias = "IP_TOS")]
    Tos: u8,
        get |conn, _| Ok(conn.settings()?.tos),
        set |conn, _, tos| change(conn, |settings| settings.tos = tos);

    /// Hops a packet may take; `None`: the stack's default.
    #[doc(alias = "IP_TTL")]
    Ttl: Option<NonZeroU8>,
        get |conn, _| Ok(conn.settings()?.ttl),
        set |conn, _, hops| change(conn, |settings| settings.ttl = hops);
}

/// # Errors
/// `ENOPROTOOPT`: another kind of socket.
fn only_transports(kind: Kind) -> Result<(), Errno> {
    match kind {
        Kind::Tcp | Kind::Udp => Ok(()),
        _ => Err(Errno::ENOPROTOOPT),
    }
}

/// # Errors
/// `ENOPROTOOPT`: another kind of socket.
fn only_raw(kind: Kind) -> Result<(), Errno> {
    match kind {
        Kind::Raw(_) => Ok(()),
        _ => Err(Errno::ENOPROTOOPT),
    }
}
