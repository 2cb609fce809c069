//! UDP: datagrams in and out of the slots shared by all connections of the net.
use core::net::SocketAddr;

use gannet_core::{Instant, Pbuf};

use crate::control::{Control, Kind};
use crate::datagram::Datagram;
use crate::error::Error;
use crate::gather::{Gather, scatter};
use crate::netconn::Netconn;
use crate::recv::Peek;
use crate::send::PbufError;
use crate::shared::{NO_ADDR, Phase, Requests, Shared, Side};
use crate::wait::Patience;

/// Room left in front of a datagram for its headers, so that they are written in place.
const HEADROOM: usize = 64;

/// The largest datagram: 65,535 bytes less the headers of IPv4 and UDP.
const MAX_DATAGRAM: usize = 65_507;

/// What is known of a datagram received.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Received {
    /// Bytes written to the buffer.
    pub len: usize,
    /// Bytes the datagram has; more than `len` if the buffer was too small (`MSG_TRUNC`).
    pub datagram_len: usize,
    /// Who sent it.
    pub from: SocketAddr,
    /// The local address it was sent to (`IP_PKTINFO`).
    pub to: SocketAddr,
    /// Type of service: DSCP in the upper six bits, ECN in the lower two (`IP_RECVTOS`).
    pub tos: u8,
    /// When it was received (`SO_TIMESTAMP`).
    pub at: Instant,
}

impl Netconn {
    /// Receives a datagram; what does not fit `buf` is cut off. Sleeps until there is one, as
    /// long as `patience` permits.
    ///
    /// # Errors
    /// [`Error::NotSupported`]: not UDP. [`Error::WouldBlock`], [`Error::Closed`];
    /// [`Error::Refused`] and others: an ICMP error from the connected peer, told once.
    #[doc(alias = "netconn_recv_udp_raw_netbuf")]
    pub fn recv_from(
        &self,
        buf: &mut [u8],
        peek: Peek,
        patience: Patience,
    ) -> Result<Received, Error> {
        self.recv_from_vectored(&mut [buf], peek, patience)
    }

    /// As [`Netconn::recv_from`], into several buffers, one after another.
    #[doc(alias = "recvmsg")]
    pub fn recv_from_vectored(
        &self,
        bufs: &mut [&mut [u8]],
        peek: Peek,
        patience: Patience,
    ) -> Result<Received, Error> {
        if peek == Peek::Keep {
            return self.peek_from(bufs, patience);
        }
        let Some((data, about)) = self.recv_datagram(patience)? else {
            return Ok(nothing());
        };
        Ok(Received {
            len: scatter(&data, bufs, 0),
            ..about
        })
    }

    fn peek_from(&self, bufs: &mut [&mut [u8]], patience: Patience) -> Result<Received, Error> {
        self.sleep_until(Side::Read, patience, |shared, cs| {
            // Peeking is rare, and needs no descriptor when it copies here.
            let look = |data: &Pbuf, about| Received {
                len: scatter(data, bufs, 0),
                ..about
            };
            match self.net.datagrams.peek(cs, &shared.inbox, look) {
                Some(received) => Some(Ok(received)),
                None => shared.nothing_received().map(|end| end.map(|()| nothing())),
            }
        })?
    }

    /// Receives a datagram without copying: data (`None` after a shutdown), who sent it, and the
    /// local address it was sent to.
    ///
    /// # Errors
    /// As [`Netconn::recv_from`].
    pub fn recv_pbuf_from(
        &self,
        patience: Patience,
    ) -> Result<(Option<Pbuf>, SocketAddr, SocketAddr), Error> {
        Ok(match self.recv_datagram(patience)? {
            Some((data, about)) => (Some(data), about.from, about.to),
            None => (None, NO_ADDR, NO_ADDR),
        })
    }

    /// A datagram and what is known of it; `None` after a shutdown.
    fn recv_datagram(&self, patience: Patience) -> Result<Option<(Pbuf, Received)>, Error> {
        self.sleep_until(Side::Read, patience, |shared, cs| {
            if let Some(datagram) = self.net.datagrams.pop(cs, &mut shared.inbox) {
                let about = Received {
                    len: 0,
                    datagram_len: datagram.data.tot_len(),
                    from: datagram.peer,
                    to: datagram.local,
                    tos: datagram.tos,
                    at: datagram.at,
                };
                return Some(Ok(Some((datagram.data, about))));
            }
            shared.nothing_received().map(|end| end.map(|()| None))
        })?
    }

    /// Sends a datagram to `to`, or to the connected peer if `to` is `None`.
    ///
    /// The first datagram to a destination waits for the tcpip thread's verdict, so that a missing
    /// route is told at once; those that follow to the same destination do not wait, and an error
    /// of theirs is told by a later call.
    ///
    /// Does not wait for buffers: what cannot be queued is refused, as a full device would.
    ///
    /// # Errors
    /// [`Error::NotConnected`]: no destination. [`Error::TooLong`], [`Error::NetworkUnreachable`],
    /// [`Error::NetworkDown`], [`Error::Invalid`]: port 0, or a broadcast without permission.
    /// [`Error::NoBuffers`]. [`Error::BrokenPipe`]: shut down.
    #[doc(alias = "netconn_sendto")]
    pub fn send_to(&self, data: &[u8], to: Option<SocketAddr>) -> Result<(), Error> {
        self.send_to_vectored(&[data], to)
    }

    /// As [`Netconn::send_to`]: the buffers, one after another, are one datagram.
    #[doc(alias = "sendmsg")]
    pub fn send_to_vectored(&self, bufs: &[&[u8]], to: Option<SocketAddr>) -> Result<(), Error> {
        let mut data = Gather::new(bufs);
        let len = data.len();
        if len > MAX_DATAGRAM {
            return Err(Error::TooLong);
        }
        self.with(|shared, _| shared.destination(to))??;
        let copy = data
            .copy_out(self.net.tx_pool, HEADROOM, len)
            .map_err(|_| Error::NoBuffers)?;
        self.send_pbuf_to(copy, to).map_err(|refused| refused.error)
    }

    /// As [`Netconn::send_to`], without copying. Never waits for a buffer.
    ///
    /// # Errors
    /// With the buffer, unless the stack had it already; [`Error::NoBuffers`]: no datagram slot
    /// is free.
    pub fn send_pbuf_to(&self, data: Pbuf, to: Option<SocketAddr>) -> Result<(), PbufError> {
        let verdict = self.with_data(data, |shared, cs, data| {
            let peer = match shared.destination(to) {
                Ok(peer) => peer,
                Err(error) => return Err(PbufError::new(error, data)),
            };
            let datagram = Datagram {
                data,
                peer,
                local: NO_ADDR,
                tos: 0,
                at: Instant::ZERO,
            };
            if let Err(back) = self.net.datagrams.push(cs, &mut shared.outbox, datagram) {
                return Err(PbufError::new(Error::NoBuffers, back.data));
            }
            if shared.reachable == peer {
                shared.request(Requests::SEND);
                return Ok(Verdict::Later);
            }
            Ok(Verdict::Awaited)
        })?;
        match verdict {
            Verdict::Later => Ok(()),
            Verdict::Awaited => self
                .ask(Control::SendAll, |_| Ok(()))
                .map_err(|error| PbufError { error, data: None }),
        }
    }
}

/// When the sender of a datagram learns what became of it.
enum Verdict {
    /// The destination is known to be reachable; an error is told by a later call.
    Later,
    /// At once.
    Awaited,
}

fn nothing() -> Received {
    Received {
        len: 0,
        datagram_len: 0,
        from: NO_ADDR,
        to: NO_ADDR,
        tos: 0,
        at: Instant::ZERO,
    }
}

impl Shared {
    /// What a receiving call does without a datagram: `None` sleeps.
    fn nothing_received(&mut self) -> Option<Result<(), Error>> {
        if self.kind != Kind::Udp {
            return Some(Err(Error::NotSupported));
        }
        if let Some(error) = self.error.take() {
            return Some(Err(error));
        }
        self.read_shut.then_some(Ok(()))
    }

    /// Where a datagram to `to` goes; tells a pending error first.
    fn destination(&mut self, to: Option<SocketAddr>) -> Result<SocketAddr, Error> {
        if self.kind != Kind::Udp {
            return Err(Error::NotSupported);
        }
        if let Some(error) = self.error.take() {
            return Err(error);
        }
        if self.write_shut {
            return Err(Error::BrokenPipe);
        }
        match (to, self.phase) {
            (Some(to), _) => Ok(to),
            (None, Phase::Connected) => Ok(self.remote),
            (None, _) => Err(Error::NotConnected),
        }
    }
}
