//! What can be set on a connection; kept in its slot and carried to the engine by the service.
use core::num::NonZeroU8;
use core::time::Duration;

use gannet_core::tcp::{Keepalive, Nagle};

use crate::event::Take;
use crate::wait::Patience;

/// The options of a connection. Those of a listener are inherited by what it accepts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Settings {
    /// Calls do not sleep (`O_NONBLOCK`).
    pub nonblocking: bool,
    /// How long receiving and accepting may sleep (`SO_RCVTIMEO`); `None`: for ever.
    pub recv_timeout: Option<Duration>,
    /// How long sending may sleep (`SO_SNDTIMEO`); `None`: for ever.
    pub send_timeout: Option<Duration>,
    /// TCP: small segments wait for acknowledgements, or not (`TCP_NODELAY`).
    pub nagle: Nagle,
    /// TCP: a silent peer is probed (`SO_KEEPALIVE`).
    pub keepalive: bool,
    /// TCP: when it is probed (`TCP_KEEPIDLE`, `TCP_KEEPINTVL`, `TCP_KEEPCNT`).
    pub keepalive_times: Keepalive,
    /// What closing does with data not yet sent (`SO_LINGER`).
    pub linger: Linger,
    /// TCP: bytes that make a connection ready for reading (`SO_RCVLOWAT`). Receiving sleeps
    /// until there are so many, or the stream has ended; at most half of the window counts.
    pub recv_low_water: u32,
    /// TCP: bytes that may be written and not acknowledged, at most what the engine gives
    /// (`SO_SNDBUF`).
    pub send_buffer: u32,
    /// UDP: datagrams that wait to be received, at most; more are dropped and counted.
    pub recv_queue: u16,
    /// UDP: bytes that wait to be received, at most; a datagram that goes beyond is dropped and
    /// counted, unless it is the only one (`SO_RCVBUF`).
    pub recv_buffer: u32,
    /// Hops a packet may take; `None`: the stack's default (`IP_TTL`).
    pub ttl: Option<NonZeroU8>,
    /// Type of service: DSCP in the upper six bits (`IP_TOS`).
    pub tos: u8,
    /// UDP: hops of multicast datagrams, not 0 (`IP_MULTICAST_TTL`).
    pub multicast_ttl: u8,
    /// Event: what taking from it takes (`EFD_SEMAPHORE`).
    pub take: Take,
    /// UDP: sending to broadcast addresses is allowed (`SO_BROADCAST`).
    pub broadcast: bool,
    /// Binding to an address in use is allowed: UDP shares it (`SO_REUSEADDR`). TCP needs no such
    /// thing here: connections in TIME-WAIT never keep a listener from its port.
    pub reuse_address: bool,
}

/// What [`Netconn::close`](crate::Netconn::close) does with data not yet acknowledged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Linger {
    /// It is sent in the background; closing returns at once (the default).
    Background,
    /// The connection is reset, the data dropped (`SO_LINGER` with a time of zero).
    Abort,
    /// [`Netconn::release_lingering`](crate::Netconn::release_lingering) waits so long until it is
    /// acknowledged; all other ways of closing do not wait (`SO_LINGER`).
    Wait(Duration),
}

impl Settings {
    /// What a new connection has.
    pub const DEFAULT: Self = Self {
        nonblocking: false,
        recv_timeout: None,
        send_timeout: None,
        nagle: Nagle::Enabled,
        keepalive: false,
        keepalive_times: Keepalive {
            // RFC 9293 §3.8.4: not below two hours by default.
            idle: Duration::from_secs(7200),
            interval: Duration::from_secs(75),
            count: 9,
        },
        linger: Linger::Background,
        recv_low_water: 1,
        send_buffer: u32::MAX,
        recv_queue: 16,
        recv_buffer: u32::MAX,
        ttl: None,
        tos: 0,
        // RFC 1112 §6.1.
        multicast_ttl: 1,
        take: Take::All,
        broadcast: false,
        reuse_address: false,
    };

    /// How long a receiving call may sleep.
    pub fn recv_patience(&self) -> Patience {
        self.patience(self.recv_timeout)
    }

    /// How long a sending call may sleep.
    pub fn send_patience(&self) -> Patience {
        self.patience(self.send_timeout)
    }

    fn patience(&self, timeout: Option<Duration>) -> Patience {
        if self.nonblocking {
            return Patience::Never;
        }
        // A time-out of zero means none, as for SO_RCVTIMEO.
        Patience::from_timeout(timeout.filter(|time| !time.is_zero()))
    }

    /// What the engine has to hear of.
    pub(crate) fn engine_part(&self) -> impl PartialEq + use<> {
        let tcp = (self.nagle, self.keepalive, self.keepalive_times);
        (tcp, self.ttl, self.tos, self.multicast_ttl, self.broadcast)
    }
}

impl Default for Settings {
    fn default() -> Self {
        Self::DEFAULT
    }
}
