//! Options of TCP: `IPPROTO_TCP`.
use core::time::Duration;

use gannet_core::tcp::Nagle;
use gannet_netconn::{Kind, Netconn, Settings};

use super::{only, options, socket::change};
use crate::bsd::errno::Errno;

options! {
    /// Unanswered probes until a connection is given up (`ETIMEDOUT`); not 0.
    #[doc(alias = "TCP_KEEPCNT")]
    KeepCnt: u8,
        get |conn, kind| Ok(settings(conn, kind)?.keepalive_times.count),
        set |conn, kind, count| {
            only(Kind::Tcp, kind)?;
            if count == 0 {
                return Err(Errno::EINVAL);
            }
            change(conn, |settings| settings.keepalive_times.count = count)
        };

    /// Silence until the first probe; at least a second.
    #[doc(alias = "TCP_KEEPIDLE")]
    #[doc(alias = "TCP_KEEPALIVE")]
    KeepIdle: Duration,
        get |conn, kind| Ok(settings(conn, kind)?.keepalive_times.idle),
        set |conn, kind, time| {
            only(Kind::Tcp, kind)?;
            let time = keepalive_time(time)?;
            change(conn, |settings| settings.keepalive_times.idle = time)
        };

    /// Time between probes; at least a second.
    #[doc(alias = "TCP_KEEPINTVL")]
    KeepIntvl: Duration,
        get |conn, kind| Ok(settings(conn, kind)?.keepalive_times.interval),
        set |conn, kind, time| {
            only(Kind::Tcp, kind)?;
            let time = keepalive_time(time)?;
            change(conn, |settings| settings.keepalive_times.interval = time)
        };

    /// Small segments leave at once, without waiting for acknowledgements (RFC 9293 §3.7.4). Off
    /// at first.
    #[doc(alias = "TCP_NODELAY")]
    NoDelay: bool,
        get |conn, kind| Ok(settings(conn, kind)?.nagle == Nagle::Disabled),
        set |conn, kind, on| {
            only(Kind::Tcp, kind)?;
            let nagle = if on { Nagle::Disabled } else { Nagle::Enabled };
            change(conn, |settings| settings.nagle = nagle)
        };
}

pub(super) fn settings(conn: &Netconn, kind: Kind) -> Result<Settings, Errno> {
    only(Kind::Tcp, kind)?;
    Ok(conn.settings()?)
}

/// Linux: between 1 s and 32,767 s.
fn keepalive_time(time: Duration) -> Result<Duration, Errno> {
    if (1..=32_767).contains(&time.as_secs()) {
        Ok(time)
    } else {
        Err(Errno::EINVAL)
    }
}
