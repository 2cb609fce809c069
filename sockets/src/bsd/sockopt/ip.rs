//! Options of IPv4: `IPPROTO_IP`.
use core::num::NonZeroU8;

use gannet_netconn::{Kind, Netconn};

use super::{only, options, socket::change};
use crate::bsd::errno::Errno;

options! {
    /// Hops a multicast datagram may take, at least 1. 1 at first (RFC 1112 §6.1).
    #[doc(alias = "IP_MULTICAST_TTL")]
    MulticastTtl: u8,
        get |conn, kind| {
            only(Kind::Udp, kind)?;
            Ok(conn.settings()?.multicast_ttl)
        },
        set |conn, kind, hops| {
            only(Kind::Udp, kind)?;
            if hops == 0 {
                return Err(Errno::EINVAL);
            }
            change(conn, |settings| settings.multicast_ttl = hops)
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
