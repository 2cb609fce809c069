//! What ICMP errors tell of packets that endpoints have sent, from their arrival until the owners of
//! the endpoints are told. Whom an error concerns is the business of UDP and raw IP.
use core::net::{IpAddr, SocketAddr};

use crate::error::Error;
use crate::ip::{IcmpError, IcmpErrorKind};

/// Reports that may wait. They are told within the turn that received them.
const CAPACITY: usize = 8;

/// An ICMP error about a packet that was sent.
#[doc(alias = "sock_extended_err")]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct IcmpReport {
    /// What it means for who sent the packet.
    pub error: Error,
    /// The type of the ICMP message (`ee_type`).
    pub icmp_type: u8,
    /// Its code (`ee_code`).
    pub code: u8,
    /// The packet was too long: the bytes, IP header included, that the next link carries
    /// (`ee_info`).
    pub mtu: Option<u16>,
    /// Who says so (`SO_EE_OFFENDER`): a router, or the host that was to get the packet.
    pub offender: IpAddr,
    /// Where the packet was sent to. Raw IP: port 0.
    pub sent_to: SocketAddr,
}

/// Which ICMP errors an endpoint is told of (`IP_RECVERR`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum HearsErrors {
    /// Those about the peer it is connected to; of several in one turn the last.
    #[default]
    OfPeer,
    /// Each one; and if it is not connected, those about any packet that it may have sent.
    OfAll,
}

impl IcmpErrorKind {
    pub(crate) fn error(self) -> Error {
        match self {
            Self::PortUnreachable | Self::ProtocolUnreachable => Error::Refused,
            Self::Unreachable | Self::TimeExceeded => Error::Unreachable,
            Self::FragmentationNeeded { .. } => Error::TooLong,
            Self::ParameterProblem => Error::Protocol,
        }
    }
}

impl IcmpError {
    fn report(&self) -> IcmpReport {
        IcmpReport {
            error: self.kind.error(),
            icmp_type: self.icmp_type,
            code: self.code,
            mtu: match self.kind {
                IcmpErrorKind::FragmentationNeeded { mtu } => Some(mtu),
                _ => None,
            },
            offender: self.offender.into(),
            sent_to: self.remote.into(),
        }
    }
}

/// The errors not yet told, each with the number of its endpoint; of too many the oldest are lost.
#[derive(Debug)]
pub(crate) struct Reports {
    /// The oldest first; there may be gaps.
    waiting: [Option<(u16, IcmpError)>; CAPACITY],
    /// Some may wait.
    any: bool,
}

impl Reports {
    pub(crate) const NONE: Self = Self {
        waiting: [None; CAPACITY],
        any: false,
    };

    /// Of an endpoint that hears of its peer only, the last one waits: it is told of a state, not of
    /// each datagram.
    pub(crate) fn push(&mut self, endpoint: u16, hears: HearsErrors, error: IcmpError) {
        if hears == HearsErrors::OfPeer {
            self.forget(endpoint);
        }
        // Those behind the first gap move up; without a gap, all do.
        let gap = self.waiting.iter().position(Option::is_none).unwrap_or(0);
        if let Some(behind) = self.waiting.get_mut(gap..) {
            behind.rotate_left(1);
        }
        if let Some(last) = self.waiting.last_mut() {
            *last = Some((endpoint, error));
        }
        self.any = true;
    }

    #[inline]
    pub(crate) fn pop(&mut self) -> Option<(u16, IcmpReport)> {
        if self.any { self.oldest() } else { None }
    }

    #[inline(never)]
    fn oldest(&mut self) -> Option<(u16, IcmpReport)> {
        let oldest = self.waiting.iter_mut().find_map(Option::take);
        self.any = oldest.is_some();
        oldest.map(|(endpoint, error)| (endpoint, error.report()))
    }

    /// The endpoint is another one from now on, or talks to somebody else.
    pub(crate) fn forget(&mut self, endpoint: u16) {
        for entry in &mut self.waiting {
            entry.take_if(|(of, _)| *of == endpoint);
        }
    }
}
