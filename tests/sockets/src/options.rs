//! The options that are set, and their values.
use std::num::{NonZeroU8, NonZeroU32};
use std::time::Duration;

use arbitrary::Arbitrary;
use gannet_core::tcp::CongestionControl;
use gannet_sockets::bsd::sockopt::MtuDiscovery;
use gannet_sockets::bsd::{Errno, Fd, setsockopt, sockopt};

use crate::calls::{Place, Timeout};

/// An option and its value.
#[derive(Arbitrary, Clone, Copy, Debug)]
pub struct Setting(Opt);

#[derive(Arbitrary, Clone, Copy, Debug)]
enum Opt {
    RcvTimeo(Timeout),
    SndTimeo(Timeout),
    Linger(Timeout),
    RcvBuf(NonZeroU32),
    SndBuf(NonZeroU32),
    RcvLowat(u32),
    KeepAlive(bool),
    KeepIdle(u8),
    KeepIntvl(u8),
    KeepCnt(u8),
    NoDelay(bool),
    Cork(bool),
    QuickAck(bool),
    MaxSeg(u16),
    SynCnt(Option<NonZeroU8>),
    UserTimeout(Timeout),
    DeferAccept(Timeout),
    NewReno,
    ReuseAddr(bool),
    Broadcast(bool),
    Tos(u8),
    Ttl(Option<NonZeroU8>),
    SndLowat(Option<NonZeroU32>),
    RecvErr(bool),
    HdrIncl(bool),
    Join(Place),
    Leave(Place),
    MulticastIf(Place),
    MulticastLoop(bool),
    MulticastTtl(u8),
    MtuDiscover(bool),
}

impl Setting {
    /// Sets it.
    pub(crate) fn set(self, fd: Fd) -> Result<(), Errno> {
        let seconds = |n: u8| Duration::from_secs(n.into());
        match self.0 {
            Opt::RcvTimeo(t) => setsockopt(fd, sockopt::RcvTimeo, t.get()),
            Opt::SndTimeo(t) => setsockopt(fd, sockopt::SndTimeo, t.get()),
            Opt::Linger(t) => setsockopt(fd, sockopt::Linger, t.get()),
            Opt::RcvBuf(n) => setsockopt(fd, sockopt::RcvBuf, Some(n)),
            Opt::SndBuf(n) => setsockopt(fd, sockopt::SndBuf, Some(n)),
            Opt::RcvLowat(n) => setsockopt(fd, sockopt::RcvLowat, n),
            Opt::KeepAlive(on) => setsockopt(fd, sockopt::KeepAlive, on),
            Opt::KeepIdle(n) => setsockopt(fd, sockopt::KeepIdle, seconds(n)),
            Opt::KeepIntvl(n) => setsockopt(fd, sockopt::KeepIntvl, seconds(n)),
            Opt::KeepCnt(n) => setsockopt(fd, sockopt::KeepCnt, n),
            Opt::NoDelay(on) => setsockopt(fd, sockopt::NoDelay, on),
            Opt::Cork(on) => setsockopt(fd, sockopt::TcpCork, on),
            Opt::QuickAck(on) => setsockopt(fd, sockopt::TcpQuickAck, on),
            Opt::MaxSeg(n) => setsockopt(fd, sockopt::MaxSeg, n),
            Opt::SynCnt(n) => setsockopt(fd, sockopt::SynCnt, n),
            Opt::UserTimeout(t) => setsockopt(fd, sockopt::UserTimeout, t.get()),
            Opt::DeferAccept(t) => setsockopt(fd, sockopt::DeferAccept, t.get()),
            Opt::NewReno => setsockopt(fd, sockopt::Congestion, CongestionControl::NewReno),
            Opt::ReuseAddr(on) => setsockopt(fd, sockopt::ReuseAddr, on),
            Opt::Broadcast(on) => setsockopt(fd, sockopt::Broadcast, on),
            Opt::Tos(n) => setsockopt(fd, sockopt::Tos, n),
            Opt::Ttl(n) => setsockopt(fd, sockopt::Ttl, n),
            Opt::SndLowat(n) => setsockopt(fd, sockopt::SndLowat, n),
            Opt::RecvErr(on) => setsockopt(fd, sockopt::RecvErr, on),
            Opt::HdrIncl(on) => setsockopt(fd, sockopt::HdrIncl, on),
            Opt::Join(place) => setsockopt(fd, sockopt::AddMembership, place.membership()),
            Opt::Leave(place) => setsockopt(fd, sockopt::DropMembership, place.membership()),
            Opt::MulticastIf(place) => setsockopt(fd, sockopt::MulticastIf, place.via()),
            Opt::MulticastLoop(on) => setsockopt(fd, sockopt::MulticastLoop, on),
            Opt::MulticastTtl(n) => setsockopt(fd, sockopt::MulticastTtl, n),
            Opt::MtuDiscover(on) => {
                let discovery = match on {
                    true => MtuDiscovery::Discover,
                    false => MtuDiscovery::Fragment,
                };
                setsockopt(fd, sockopt::MtuDiscover, discovery)
            }
        }
    }
}
