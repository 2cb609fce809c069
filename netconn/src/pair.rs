//! A pair of connected local endpoints, streams or datagrams (`socketpair`): what one end writes is
//! in the other's receive queue at once. Neither the engine nor the tcpip thread takes part, until an end is closed.
use critical_section::CriticalSection;
use gannet_core::Pbuf;

use crate::control::Kind;
use crate::error::Error;
use crate::net::Net;
use crate::netconn::Netconn;
use crate::shared::{Holder, Phase, Shared};
use crate::wait::Wake;

/// Bytes that an end may have written and the other not read.
const CAPACITY: u32 = 8192;

impl Netconn {
    /// Two ends of a local stream; each uses a connection's slot of `net`.
    ///
    /// # Errors
    /// [`Error::TooMany`]: all slots of the net are in use.
    #[doc(alias = "socketpair")]
    pub fn pair(net: &'static Net) -> Result<(Self, Self), Error> {
        Self::pair_of(net, Kind::Pair)
    }

    /// Two ends of a local pair that exchanges datagrams, in order and without loss: a sender
    /// sleeps while the receiver's queue (`recv_queue`, `SO_RCVBUF`) is full.
    ///
    /// # Errors
    /// As [`Netconn::pair`].
    #[doc(alias = "socketpair")]
    pub fn datagram_pair(net: &'static Net) -> Result<(Self, Self), Error> {
        Self::pair_of(net, Kind::DatagramPair)
    }

    fn pair_of(net: &'static Net, kind: Kind) -> Result<(Self, Self), Error> {
        let one = Self::new(net, kind)?;
        let two = match Self::new(net, kind) {
            Ok(two) => two,
            Err(error) => {
                one.close();
                return Err(error);
            }
        };
        for (end, other) in [(&one, &two), (&two, &one)] {
            end.with(|shared, _| {
                shared.other = Some(other.index);
                shared.phase = Phase::Connected;
                shared.snd_buf = CAPACITY;
                shared.window_step = CAPACITY / 4;
            })?;
        }
        Ok((one, two))
    }
}

impl Net {
    /// Runs `f` on the other end of `shared`, and takes the waiters whom that concerns.
    pub(crate) fn other_end(
        &self,
        shared: &Shared,
        cs: CriticalSection<'_>,
        f: impl FnOnce(&mut Shared),
    ) -> Wake {
        let wake = shared.other.and_then(|other| {
            self.in_section(other, cs, |other| {
                f(other);
                other.take_waiters(self, cs)
            })
        });
        wake.unwrap_or(Wake::NONE)
    }

    /// Hands `data` of the end `shared` to the other.
    pub(crate) fn deliver(&self, shared: &Shared, cs: CriticalSection<'_>, data: Pbuf) -> Wake {
        self.other_end(shared, cs, |other| {
            if !other.read_shut {
                other.rx.push(data);
            }
        })
    }

    /// The end `shared` was closed.
    pub(crate) fn part(&self, shared: &mut Shared, cs: CriticalSection<'_>) -> Wake {
        let unread = !shared.rx.is_empty() || !shared.inbox.is_empty();
        let wake = self.other_end(shared, cs, |other| {
            other.other = None;
            other.eof = true;
            other.phase = Phase::Dead;
            other.peer_full = false;
            // As Linux does: what was written is lost, and the writer should know.
            if unread && other.holder == Holder::Application {
                other.error = Some(Error::Reset);
            }
        });
        shared.other = None;
        wake
    }
}

impl Shared {
    /// Whether it is an end of a datagram pair whose other end was closed.
    pub(crate) fn is_parted(&self) -> bool {
        self.kind == Kind::DatagramPair && self.other.is_none()
    }
}
