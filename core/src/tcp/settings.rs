//! What an application chooses for a connection, and what follows from it. Accepted connections
//! start from their listener's choices. The calls that change them are in `socket_options`.
use core::net::SocketAddr;
use core::num::{NonZeroU8, NonZeroU16, NonZeroU32};
use core::time::Duration;

use crate::config::{TcpConfig, Use};
use crate::error::Error;
use crate::handle::{Owner, TcpListener, TcpPcb};
use crate::ip::{Fragmentation, MtuDiscovery};
use crate::time::Instant;

use super::congestion::CongestionControl;
use super::engine::Engine;
use super::segment::Service;
use super::stats::TcpStats;
use super::{Cork, Keepalive, MIN_MSS, Nagle, QuickAck};

/// The largest window: RFC 7323 §2.3, 65,535 · 2^14, rounded down to a power of two.
pub(crate) const MAX_WINDOW: u32 = 1 << 30;

/// The choices of one connection or listener. What is `None` follows [`TcpConfig`].
#[derive(Clone, Copy, Debug)]
pub(crate) struct Settings {
    pub(crate) nagle: Nagle,
    pub(crate) cork: Cork,
    pub(crate) quick_ack: QuickAck,
    pub(crate) keepalive: Option<Keepalive>,
    /// Set by the application: then the window is not tuned.
    pub(crate) rcv_wnd: Option<NonZeroU32>,
    pub(crate) snd_buf: Option<NonZeroU32>,
    pub(crate) max_mss: Option<NonZeroU16>,
    pub(crate) user_timeout: Option<Duration>,
    pub(crate) syn_retransmits: Option<NonZeroU8>,
    /// Of a listener: announce connections when data has come, at the latest after this.
    pub(crate) defer_accept: Option<Duration>,
    /// DSCP in the upper six bits; the lower two are ECN's.
    pub(crate) tos: u8,
    pub(crate) ttl: Option<NonZeroU8>,
    pub(crate) mtu_discovery: MtuDiscovery,
    pub(crate) congestion: Option<CongestionControl>,
}

impl Settings {
    /// Everything as configured.
    pub(crate) const NONE: Self = Self {
        nagle: Nagle::Enabled,
        cork: Cork::Off,
        quick_ack: QuickAck::Off,
        keepalive: None,
        rcv_wnd: None,
        snd_buf: None,
        max_mss: None,
        user_timeout: None,
        syn_retransmits: None,
        defer_accept: None,
        tos: 0,
        ttl: None,
        mtu_discovery: MtuDiscovery::AsConfigured,
        congestion: None,
    };

    /// The receive window a connection starts with.
    pub(crate) fn first_window(&self, config: &TcpConfig) -> u32 {
        self.rcv_wnd
            .map_or(config.rcv_wnd, NonZeroU32::get)
            .min(MAX_WINDOW)
    }

    /// The largest receive window it may come to have.
    pub(crate) fn largest_window(&self, config: &TcpConfig) -> u32 {
        match self.rcv_wnd {
            Some(fixed) => fixed.get(),
            None => config.rcv_wnd.max(config.rcv_wnd_max),
        }
        .min(MAX_WINDOW)
    }

    /// The window field of a SYN: RFC 7323 §2.2, never scaled.
    pub(crate) fn syn_window(&self, config: &TcpConfig) -> u16 {
        u16::try_from(self.first_window(config)).unwrap_or(u16::MAX)
    }

    /// The window scale to offer: RFC 7323 §2.3, for the largest window there may be, because it
    /// cannot be changed later.
    pub(crate) fn shift(&self, config: &TcpConfig) -> u8 {
        let largest = self.largest_window(config);
        (0..14)
            .find(|&shift| largest >> shift <= u32::from(u16::MAX))
            .unwrap_or(14)
    }

    pub(crate) fn send_buffer(&self, config: &TcpConfig) -> u32 {
        self.snd_buf
            .map_or(config.snd_buf, NonZeroU32::get)
            .min(MAX_WINDOW)
    }

    /// The segment size to announce on a link whose packets have up to `mtu` bytes: RFC 9293 §3.7.1 (MUST-67), without regard to
    /// options (RFC 6691 §2).
    pub(crate) fn own_mss(&self, mtu: u16, config: &TcpConfig) -> u16 {
        let fits = mtu.saturating_sub(40);
        let configured = NonZeroU16::new(config.max_mss).map_or(u16::MAX, NonZeroU16::get);
        let chosen = self.max_mss.map_or(u16::MAX, NonZeroU16::get);
        fits.min(configured).min(chosen).max(MIN_MSS)
    }

    /// Transmissions of a SYN after the first.
    pub(crate) fn syn_retransmits(&self, config: &TcpConfig) -> u8 {
        self.syn_retransmits
            .map_or(config.max_syn_retransmits, NonZeroU8::get)
    }

    /// Whether the connection finds out what the path carries.
    pub(crate) fn discovers_path_mtu(&self, config: &TcpConfig) -> bool {
        let wanted = match self.mtu_discovery {
            MtuDiscovery::Fragment => false,
            MtuDiscovery::AsConfigured => config.pmtud == Use::On,
            MtuDiscovery::Discover => true,
        };
        cfg!(feature = "pmtud") && wanted
    }

    /// How IP treats the packets of the connection.
    pub(crate) fn service(&self, config: &TcpConfig) -> Service {
        // RFC 1191 §3: DF lets routers say what fits; without the discovery they fragment.
        let discovers = self.discovers_path_mtu(config);
        Service {
            tos: self.tos,
            ttl: self.ttl,
            fragmentation: if discovers {
                Fragmentation::Forbidden
            } else {
                Fragmentation::Allowed
            },
        }
    }
}

impl Engine {
    pub(super) fn create(&mut self, owner: Owner) -> Result<TcpPcb, Error> {
        let index = self.allocate(owner, Settings::NONE)?;
        self.handle(index).ok_or(Error::NoMemory)
    }

    pub(super) fn set_poll(
        &mut self,
        handle: TcpPcb,
        interval: u8,
        now: Instant,
    ) -> Result<(), Error> {
        let index = handle.0.slot;
        let pcb = self.pcb_mut(handle)?;
        pcb.poll_interval = interval;
        if pcb.is_synchronized() {
            pcb.start_poll_timer(now);
        }
        self.settle(index);
        Ok(())
    }

    pub(super) fn listener_addr(&self, listener: TcpListener) -> Result<SocketAddr, Error> {
        self.listeners
            .get(usize::from(listener.0.slot))
            .filter(|slot| slot.is(listener.0.generation))
            .map(|slot| slot.local.into())
            .ok_or(Error::Closed)
    }

    pub(crate) fn stats(&self) -> &TcpStats {
        &self.stats
    }

    /// Connections, half-open ones, and those in TIME-WAIT.
    pub(crate) fn census(&self) -> (usize, usize, usize) {
        (self.used(), self.syns.len(), self.time_waits.len())
    }
}
