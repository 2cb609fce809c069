//! Options of IPv4: `IPPROTO_IP`.
use core::num::NonZeroU8;

use gannet_netconn::{Kind, Netconn};

use super::{only_ip_datagrams, options, socket::change};
use crate::bsd::errno::Errno;

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
fn only_raw(kind: Kind) -> Result<(), Errno> {
    match kind {
        Kind::Raw(_) => Ok(()),
        _ => Err(Errno::ENOPROTOOPT),
    }
}
