//! Options of TCP: `IPPROTO_TCP`.
use core::num::{NonZeroU8, NonZeroU16};
use core::time::Duration;

pub use gannet_core::tcp::{CongestionControl, TcpInfo};
use gannet_core::tcp::{Cork, Nagle, QuickAck};
use gannet_netconn::{Kind, Netconn, Settings};

use super::{only, options, socket::change};
use crate::bsd::errno::Errno;

options! {
    /// The congestion control algorithm.
    #[doc(alias = "TCP_CONGESTION")]
    Congestion: CongestionControl,
        get |conn, kind| Ok(match settings(conn, kind)?.congestion {
            Some(chosen) => chosen,
            None => conn.tcp_info()?.congestion,
        }),
        set |conn, kind, algorithm| {
            only(Kind::Tcp, kind)?;
            change(conn, |settings| settings.congestion = Some(algorithm))
        };

    /// Segments that are not full are held back, until this is switched off or, like the rest, at
    /// the latest one retransmission time-out after everything else was acknowledged. Off at
    /// first.
    #[doc(alias = "TCP_CORK")]
    TcpCork: bool,
        get |conn, kind| Ok(settings(conn, kind)?.cork == Cork::On),
        set |conn, kind, on| {
            only(Kind::Tcp, kind)?;
            let cork = if on { Cork::On } else { Cork::Off };
            change(conn, |settings| settings.cork = cork)
        };

    /// Before listening: connections are accepted when data has come, at the latest after this
    /// time; `None`: at the end of the handshake. `EINVAL` on a connection or listener.
    #[doc(alias = "TCP_DEFER_ACCEPT")]
    DeferAccept: Option<Duration>,
        get |conn, kind| Ok(settings(conn, kind)?.defer_accept),
        set |conn, kind, limit| {
            only_unconnected(conn, kind)?;
            change(conn, |settings| settings.defer_accept = limit)
        };

    /// How the connection is doing; asks the tcpip thread. `ENOTCONN` while neither bound nor
    /// connected, on a listener, and when it is over.
    #[doc(alias = "TCP_INFO")]
    Info: TcpInfo, get |conn, kind| {
        only(Kind::Tcp, kind)?;
        Ok(conn.tcp_info()?)
    };

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

    /// The largest segment in payload bytes. Set before connecting or listening (`EINVAL` later),
    /// at least 48: the largest to send and to announce; 0 before it is set. Read on a connection:
    /// what is sent now.
    #[doc(alias = "TCP_MAXSEG")]
    MaxSeg: u16,
        get |conn, kind| {
            let set = settings(conn, kind)?.max_segment.map_or(0, NonZeroU16::get);
            if conn.peer_addr().is_err() {
                return Ok(set);
            }
            let mss = conn.tcp_info()?.snd_mss;
            Ok(u16::try_from(mss).unwrap_or(u16::MAX))
        },
        set |conn, kind, bytes| {
            only_unconnected(conn, kind)?;
            let bytes = NonZeroU16::new(bytes).filter(|bytes| bytes.get() >= MIN_SEGMENT);
            let bytes = bytes.ok_or(Errno::EINVAL)?;
            change(conn, |settings| settings.max_segment = Some(bytes))
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

    /// Every segment is acknowledged at once; stays as it is set. Off at first.
    #[doc(alias = "TCP_QUICKACK")]
    TcpQuickAck: bool,
        get |conn, kind| Ok(settings(conn, kind)?.quick_ack == QuickAck::On),
        set |conn, kind, on| {
            only(Kind::Tcp, kind)?;
            let quick_ack = if on { QuickAck::On } else { QuickAck::Off };
            change(conn, |settings| settings.quick_ack = quick_ack)
        };

    /// How often an unanswered SYN is sent again; `None`: as the stack is configured.
    #[doc(alias = "TCP_SYNCNT")]
    SynCnt: Option<NonZeroU8>,
        get |conn, kind| Ok(settings(conn, kind)?.syn_retransmits),
        set |conn, kind, count| {
            only(Kind::Tcp, kind)?;
            change(conn, |settings| settings.syn_retransmits = count)
        };

    /// The connection is given up (`ETIMEDOUT`) when nothing of what is to be sent was
    /// acknowledged for so long; `None` or zero: the number of retransmissions decides.
    #[doc(alias = "TCP_USER_TIMEOUT")]
    UserTimeout: Option<Duration>,
        get |conn, kind| Ok(settings(conn, kind)?.user_timeout),
        set |conn, kind, time| {
            only(Kind::Tcp, kind)?;
            let time = time.filter(|time| !time.is_zero());
            change(conn, |settings| settings.user_timeout = time)
        };
}

/// The smallest segment that the engine takes.
const MIN_SEGMENT: u16 = 48;

/// # Errors
/// `ENOPROTOOPT`: not TCP. `EINVAL`: connected, or a listener.
fn only_unconnected(conn: &Netconn, kind: Kind) -> Result<(), Errno> {
    only(Kind::Tcp, kind)?;
    if conn.peer_addr().is_ok() || conn.is_listening()? {
        return Err(Errno::EINVAL);
    }
    Ok(())
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
