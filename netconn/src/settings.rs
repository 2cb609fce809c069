//! What can be set on a connection; kept in its slot and carried to the engine by the service.
use core::num::{NonZeroU8, NonZeroU16, NonZeroU32};
use core::time::Duration;

use gannet_core::MtuDiscovery;
use gannet_core::Via;
use gannet_core::tcp::{CongestionControl, Cork, Keepalive, Nagle, QuickAck};
use gannet_core::udp::MulticastLoop;

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
    /// TCP: segments that are not full are held back (`TCP_CORK`).
    pub cork: Cork,
    /// TCP: every segment is acknowledged at once (`TCP_QUICKACK`).
    pub quick_ack: QuickAck,
    /// TCP: the congestion control; `None`: as the stack is configured (`TCP_CONGESTION`).
    pub congestion: Option<CongestionControl>,
    /// TCP: the connection is given up when nothing was acknowledged for so long; `None`: the
    /// number of retransmissions decides (`TCP_USER_TIMEOUT`).
    pub user_timeout: Option<Duration>,
    /// TCP, before connecting or listening: the largest segment to send and to announce; `None`:
    /// what the route allows (`TCP_MAXSEG`).
    pub max_segment: Option<NonZeroU16>,
    /// TCP, before connecting: how often a SYN is sent again (`TCP_SYNCNT`).
    pub syn_retransmits: Option<NonZeroU8>,
    /// TCP, before listening: connections are accepted when data has come, at the latest after
    /// this (`TCP_DEFER_ACCEPT`).
    pub defer_accept: Option<Duration>,
    /// What closing does with data not yet sent (`SO_LINGER`).
    pub linger: Linger,
    /// TCP: bytes that make a connection ready for reading (`SO_RCVLOWAT`). Receiving sleeps
    /// until there are so many, or the stream has ended; at most half of the window counts.
    pub recv_low_water: u32,
    /// TCP: bytes that may be written and not acknowledged; `None`: as the stack is configured.
    /// Datagrams: bytes that may wait to be handed to a device; `None`: a quarter of the pool's
    /// (`SO_SNDBUF`).
    pub send_buffer: Option<NonZeroU32>,
    /// Datagrams that wait to be received, at most; more are dropped and counted.
    pub recv_queue: u16,
    /// Bytes that wait to be received, at most (`SO_RCVBUF`). TCP: the receive window; `None`: as
    /// the stack is configured, growing by itself. Else: a datagram that goes beyond is dropped and
    /// counted, unless it is the only one; `None`: any.
    pub recv_buffer: Option<NonZeroU32>,
    /// Hops a packet may take; `None`: the stack's default (`IP_TTL`).
    pub ttl: Option<NonZeroU8>,
    /// TCP and UDP: whether packets may be fragmented (`IP_MTU_DISCOVER`).
    pub mtu_discovery: MtuDiscovery,
    /// TCP: room in the send buffer from which on a connection is ready for writing; at most all of
    /// it counts, and `None` is a third of it (`SO_SNDLOWAT`).
    pub send_low_water: Option<NonZeroU32>,
    /// Type of service: DSCP in the upper six bits (`IP_TOS`).
    pub tos: u8,
    /// UDP: hops of multicast datagrams, not 0 (`IP_MULTICAST_TTL`).
    pub multicast_ttl: u8,
    /// UDP: multicasts reach members on this host too (`IP_MULTICAST_LOOP`).
    pub multicast_loop: MulticastLoop,
    /// UDP: where multicasts leave (`IP_MULTICAST_IF`). One that is not there changes nothing;
    /// [`set_multicast_interface`](crate::Netconn::set_multicast_interface) tells.
    pub multicast_interface: Via,
    /// Event: what taking from it takes (`EFD_SEMAPHORE`).
    pub take: Take,
    /// UDP and raw IP: ICMP errors are kept, see [`set_recv_errors`] (`IP_RECVERR`).
    ///
    /// [`set_recv_errors`]: crate::Netconn::set_recv_errors
    pub recv_errors: bool,
    /// Raw IP: what is sent begins with the IP header (`IP_HDRINCL`).
    pub header_included: bool,
    /// UDP and raw IP: sending to broadcast addresses is allowed (`SO_BROADCAST`).
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
        cork: Cork::Off,
        quick_ack: QuickAck::Off,
        congestion: None,
        user_timeout: None,
        max_segment: None,
        syn_retransmits: None,
        defer_accept: None,
        linger: Linger::Background,
        recv_low_water: 1,
        send_buffer: None,
        recv_queue: 16,
        recv_buffer: None,
        ttl: None,
        mtu_discovery: MtuDiscovery::AsConfigured,
        send_low_water: None,
        tos: 0,
        // RFC 1112 §6.1.
        multicast_ttl: 1,
        multicast_loop: MulticastLoop::On,
        multicast_interface: Via::Route,
        take: Take::All,
        recv_errors: false,
        header_included: false,
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
        let more = (self.cork, self.quick_ack, self.congestion);
        let times = (self.user_timeout, self.syn_retransmits, self.defer_accept);
        let sizes = (self.max_segment, self.send_buffer, self.recv_buffer);
        let ip = (self.ttl, self.tos, self.multicast_ttl);
        let ip = (ip, self.mtu_discovery, self.broadcast, self.header_included);
        let multicast = (self.multicast_loop, self.multicast_interface);
        (tcp, more, times, sizes, ip, multicast, self.recv_errors)
    }
}

impl Default for Settings {
    fn default() -> Self {
        Self::DEFAULT
    }
}
