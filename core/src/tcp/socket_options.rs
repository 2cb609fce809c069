//! The options of a connection (`setsockopt` of other stacks) as calls of the raw API. All may be
//! called at any time unless they say otherwise; those made before [`Tcp::listen`] are inherited
//! by the connections the listener accepts.
use core::num::{NonZeroU8, NonZeroU16, NonZeroU32};
use core::time::Duration;

use crate::config::TcpConfig;
use crate::error::Error;
use crate::handle::TcpPcb;
use crate::ip::{Head, MtuDiscovery};

use super::engine::Engine;
use super::info::TcpInfo;
use super::pcb::Pcb;
use super::receive::{AckDue, PeerFin};
use super::{CongestionControl, Cork, Keepalive, MIN_MSS, Nagle, QuickAck, State, Tcp};

impl Tcp<'_> {
    /// Switches the Nagle algorithm.
    #[doc(alias = "tcp_nagle_enable")]
    #[doc(alias = "tcp_nagle_disable")]
    #[doc(alias = "TCP_NODELAY")]
    pub fn nagle(&mut self, pcb: TcpPcb, nagle: Nagle) -> Result<(), Error> {
        self.engine_mut().change(pcb, |pcb, _| {
            pcb.settings.nagle = nagle;
            Ok(())
        })
    }

    /// Chooses the congestion control algorithm; while connected, the window stays as it is.
    #[doc(alias = "TCP_CONGESTION")]
    pub fn congestion(&mut self, pcb: TcpPcb, algorithm: CongestionControl) -> Result<(), Error> {
        self.engine_mut().change(pcb, |pcb, _| {
            pcb.settings.congestion = Some(algorithm);
            pcb.follow(algorithm);
            Ok(())
        })
    }

    /// Whether the Nagle algorithm is off.
    #[doc(alias = "tcp_nagle_disabled")]
    pub fn nagle_disabled(&self, pcb: TcpPcb) -> Result<bool, Error> {
        Ok(self.engine().pcb(pcb)?.settings.nagle == Nagle::Disabled)
    }

    /// Holds back segments that are not full, or sends what was held back.
    #[doc(alias = "TCP_CORK")]
    pub fn cork(&mut self, pcb: TcpPcb, cork: Cork) -> Result<(), Error> {
        self.engine_mut().change(pcb, |pcb, _| {
            pcb.settings.cork = cork;
            Ok(())
        })
    }

    /// Acknowledges every segment at once, or (the default) as RFC 9293 §3.8.6.3 suggests.
    #[doc(alias = "TCP_QUICKACK")]
    pub fn quick_ack(&mut self, pcb: TcpPcb, quick_ack: QuickAck) -> Result<(), Error> {
        self.engine_mut().change(pcb, |pcb, _| {
            pcb.settings.quick_ack = quick_ack;
            if quick_ack == QuickAck::On && pcb.rcv.ack == AckDue::Delayed {
                pcb.rcv.acknowledge(AckDue::Now);
            }
            Ok(())
        })
    }

    /// Switches keepalive probes on (with their times) or off (`None`).
    ///
    /// # Errors
    /// [`Error::Argument`]: an interval or idle time of zero.
    #[doc(alias = "SOF_KEEPALIVE")]
    #[doc(alias = "SO_KEEPALIVE")]
    #[doc(alias = "TCP_KEEPIDLE")]
    #[doc(alias = "TCP_KEEPINTVL")]
    #[doc(alias = "TCP_KEEPCNT")]
    pub fn keepalive(&mut self, pcb: TcpPcb, keepalive: Option<Keepalive>) -> Result<(), Error> {
        let now = self.stack.now();
        self.engine_mut().change(pcb, |pcb, _| {
            // Probes without a pause between them would never end.
            if keepalive.is_some_and(|k| k.idle.is_zero() || k.interval.is_zero()) {
                return Err(Error::Argument);
            }
            pcb.settings.keepalive = keepalive;
            pcb.start_keepalive_timer(now);
            Ok(())
        })
    }

    /// Sets how many bytes [`Tcp::write`] takes that are not acknowledged, up to 2^30. Fewer than
    /// are queued: nothing is lost, nothing more is taken until they are acknowledged.
    ///
    /// # Errors
    /// [`Error::Argument`]: zero.
    #[doc(alias = "SO_SNDBUF")]
    pub fn snd_buf(&mut self, pcb: TcpPcb, bytes: u32) -> Result<(), Error> {
        let bytes = NonZeroU32::new(bytes).ok_or(Error::Argument)?;
        self.engine_mut().change(pcb, |pcb, config| {
            pcb.settings.snd_buf = Some(bytes);
            pcb.snd.limit = pcb.settings.send_buffer(config);
            Ok(())
        })
    }

    /// Sets the receive window in bytes, up to 2^30, and ends its automatic growth.
    ///
    /// The window scale is agreed on in the handshake: set later, a window above
    /// [`TcpConfig::rcv_wnd_max`] is cut to what that scale can express. A smaller window takes
    /// effect as data is received: what the peer was offered stays offered.
    ///
    /// # Errors
    /// [`Error::Argument`]: zero.
    #[doc(alias = "SO_RCVBUF")]
    pub fn rcv_wnd(&mut self, pcb: TcpPcb, bytes: u32) -> Result<(), Error> {
        let bytes = NonZeroU32::new(bytes).ok_or(Error::Argument)?;
        self.engine_mut().change(pcb, |pcb, config| {
            pcb.settings.rcv_wnd = Some(bytes);
            pcb.rcv.limit = pcb.settings.first_window(config);
            let mss = pcb.effective_mss();
            let may_receive = pcb.is_synchronized() && pcb.rcv.fin == PeerFin::Open;
            if may_receive && pcb.rcv.update_is_due(mss) {
                pcb.rcv.acknowledge(AckDue::Now);
            }
            Ok(())
        })
    }

    /// Sets the largest segment to announce and to send, in payload bytes.
    ///
    /// # Errors
    /// [`Error::Argument`]: below 48. [`Error::AlreadyConnected`]: the SYN was sent.
    #[doc(alias = "TCP_MAXSEG")]
    pub fn max_mss(&mut self, pcb: TcpPcb, bytes: u16) -> Result<(), Error> {
        let bytes = NonZeroU16::new(bytes)
            .filter(|bytes| bytes.get() >= MIN_MSS)
            .ok_or(Error::Argument)?;
        self.engine_mut().change(pcb, |pcb, _| {
            if pcb.state != State::Closed {
                return Err(Error::AlreadyConnected);
            }
            pcb.settings.max_mss = Some(bytes);
            Ok(())
        })
    }

    /// Gives the connection up when nothing of what is to be sent was acknowledged for so long:
    /// because segments are lost, or because the peer keeps its window closed. With `None` the
    /// number of retransmissions decides ([`TcpConfig::max_retransmits`]) and a closed window may
    /// last.
    ///
    /// This is the USER TIMEOUT of RFC 9293 §3.9.1. The TCP option of RFC 5482, which tells the
    /// peer about it, is neither sent nor heeded.
    ///
    /// # Errors
    /// [`Error::Argument`]: zero.
    #[doc(alias = "TCP_USER_TIMEOUT")]
    pub fn user_timeout(&mut self, pcb: TcpPcb, timeout: Option<Duration>) -> Result<(), Error> {
        let now = self.stack.now();
        self.engine_mut().change(pcb, |pcb, _| {
            if timeout.is_some_and(|timeout| timeout.is_zero()) {
                return Err(Error::Argument);
            }
            pcb.settings.user_timeout = timeout;
            pcb.restart_user_timer(now);
            Ok(())
        })
    }

    /// Sets how often an unanswered SYN is sent again before [`Tcp::connect`] fails.
    ///
    /// # Errors
    /// [`Error::Argument`]: zero.
    #[doc(alias = "TCP_SYNCNT")]
    pub fn syn_retransmits(&mut self, pcb: TcpPcb, count: u8) -> Result<(), Error> {
        let count = NonZeroU8::new(count).ok_or(Error::Argument)?;
        self.engine_mut().change(pcb, |pcb, _| {
            pcb.settings.syn_retransmits = Some(count);
            Ok(())
        })
    }

    /// For the listener to be: connections stay half open, in a small record, until the peer
    /// sends data, so that peers who connect and say nothing cost no control block. After `limit`
    /// they are accepted all the same. `None`: accepted at the end of the handshake.
    ///
    /// # Errors
    /// [`Error::AlreadyConnected`].
    #[doc(alias = "TCP_DEFER_ACCEPT")]
    pub fn defer_accept(&mut self, pcb: TcpPcb, limit: Option<Duration>) -> Result<(), Error> {
        self.engine_mut().change(pcb, |pcb, _| {
            if pcb.state != State::Closed {
                return Err(Error::AlreadyConnected);
            }
            pcb.settings.defer_accept = limit;
            Ok(())
        })
    }

    /// Sets the type of service of the packets sent: the DSCP in the upper six bits. The lower
    /// two belong to ECN (RFC 3168 §5) and are ignored.
    #[doc(alias = "IP_TOS")]
    pub fn tos(&mut self, pcb: TcpPcb, tos: u8) -> Result<(), Error> {
        self.engine_mut().change(pcb, |pcb, _| {
            pcb.settings.tos = tos & !super::ecn::TOS_MASK;
            pcb.head = Head::NONE;
            Ok(())
        })
    }

    /// Whether the packets sent may be fragmented on their way; as the stack is configured at first.
    #[doc(alias = "IP_MTU_DISCOVER")]
    pub fn mtu_discovery(&mut self, pcb: TcpPcb, mtu_discovery: MtuDiscovery) -> Result<(), Error> {
        self.engine_mut().change(pcb, |pcb, _| {
            pcb.settings.mtu_discovery = mtu_discovery;
            pcb.head = Head::NONE;
            Ok(())
        })
    }

    /// Sets the time to live of the packets sent, 1 to 255 hops; `None`: the stack's default.
    ///
    /// # Errors
    /// [`Error::Argument`]: zero.
    #[doc(alias = "IP_TTL")]
    pub fn ttl(&mut self, pcb: TcpPcb, hops: Option<u8>) -> Result<(), Error> {
        let hops = match hops {
            Some(hops) => Some(NonZeroU8::new(hops).ok_or(Error::Argument)?),
            None => None,
        };
        self.engine_mut().change(pcb, |pcb, _| {
            pcb.settings.ttl = hops;
            pcb.head = Head::NONE;
            Ok(())
        })
    }

    /// How the connection is doing.
    #[doc(alias = "TCP_INFO")]
    pub fn info(&self, pcb: TcpPcb) -> Result<TcpInfo, Error> {
        Ok(TcpInfo::of(self.engine().pcb(pcb)?, self.stack.now()))
    }
}

impl Engine {
    /// Changes an option of a connection.
    fn change(
        &mut self,
        handle: TcpPcb,
        change: impl FnOnce(&mut Pcb, &TcpConfig) -> Result<(), Error>,
    ) -> Result<(), Error> {
        let index = self.index(handle)?;
        let Self { slots, config, .. } = self;
        let slot = slots.get_mut(usize::from(index)).ok_or(Error::Closed)?;
        change(&mut slot.pcb, config)?;
        self.settle(index);
        Ok(())
    }
}
