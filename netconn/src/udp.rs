//! Receiving datagrams: of UDP, packets of raw IP, frames, and those of local pairs.
use core::net::SocketAddr;

use critical_section::CriticalSection;
use gannet_core::netif::Class;
use gannet_core::wire::ethernet::EtherType;
use gannet_core::{Instant, NetifId, Pbuf};

use crate::control::Kind;
use crate::datagram::{About, Datagram};
use crate::error::Error;
use crate::gather::scatter;
use crate::net::Net;
use crate::netconn::Netconn;
use crate::recv::Peek;
use crate::shared::{NO_ADDR, Shared, Side};
use crate::wait::{Patience, Wake};

/// What is known of a datagram received.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Received {
    /// Bytes written to the buffer.
    pub len: usize,
    /// Bytes the datagram has; more than `len` if the buffer was too small (`MSG_TRUNC`).
    pub datagram_len: usize,
    /// Who sent it. Raw IP: port 0. Frames and local pairs: unspecified.
    pub from: SocketAddr,
    /// The local address it was sent to (`IP_PKTINFO`).
    pub to: SocketAddr,
    /// The interface it came in by, or a frame left by (`IP_PKTINFO`, `sll_ifindex`).
    pub netif: NetifId,
    /// Type of service: DSCP in the upper six bits, ECN in the lower two (`IP_RECVTOS`).
    pub tos: u8,
    /// Hops it might still have taken (`IP_RECVTTL`).
    pub ttl: u8,
    /// What a frame carries (`sll_protocol`).
    pub ethertype: EtherType,
    /// To whom a frame was addressed (`sll_pkttype`).
    pub class: Class,
    /// When it was received (`SO_TIMESTAMP`).
    pub at: Instant,
}

impl Netconn {
    /// Receives a datagram; what does not fit `buf` is cut off. Of raw IP and frames the header is
    /// part of the data. Sleeps until there is one, as
    /// long as `patience` permits.
    ///
    /// # Errors
    /// [`Error::NotSupported`]: no datagrams. [`Error::WouldBlock`], [`Error::Closed`];
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
            return Ok(Received::of(&About::NOTHING, 0));
        };
        Ok(Received {
            len: scatter(&data, bufs, 0),
            ..about
        })
    }

    fn peek_from(&self, bufs: &mut [&mut [u8]], patience: Patience) -> Result<Received, Error> {
        self.sleep_until(Side::Read, patience, |shared, cs| {
            // Peeking is rare, and needs no descriptor when it copies here.
            let look = |data: &Pbuf, about: &About| Received {
                len: scatter(data, bufs, 0),
                ..Received::of(about, data.tot_len())
            };
            match self.net.datagrams.peek(cs, &shared.inbox, look) {
                Some(received) => Some(Ok(received)),
                None => shared
                    .nothing_received()
                    .map(|end| end.map(|()| Received::of(&About::NOTHING, 0))),
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

    /// Receives a datagram without copying, and what is known of it; `None` after a shutdown.
    ///
    /// # Errors
    /// As [`Netconn::recv_from`].
    pub fn recv_datagram(&self, patience: Patience) -> Result<Option<(Pbuf, Received)>, Error> {
        let mut wake = Wake::NONE;
        let received = self.sleep_until(Side::Read, patience, |shared, cs| {
            if let Some(Datagram { data, about }) = self.net.datagrams.pop(cs, &mut shared.inbox) {
                wake = self.net.has_read(shared, cs);
                let about = Received::of(&about, data.tot_len());
                return Some(Ok(Some((data, about))));
            }
            shared.nothing_received().map(|end| end.map(|()| None))
        })?;
        self.net.signal(wake);
        received
    }
}

impl Net {
    /// A datagram was taken out of `shared`: the other end of a pair may send.
    fn has_read(&self, shared: &Shared, cs: CriticalSection<'_>) -> Wake {
        match shared.kind {
            Kind::DatagramPair => self.other_end(shared, cs, |other| other.peer_full = false),
            _ => Wake::NONE,
        }
    }
}

impl Received {
    /// Of a datagram of so many bytes, none of which was copied.
    fn of(about: &About, datagram_len: usize) -> Self {
        Self {
            len: 0,
            datagram_len,
            from: about.peer,
            to: about.local,
            netif: about.netif,
            tos: about.tos,
            ttl: about.ttl,
            ethertype: about.ethertype,
            class: about.class,
            at: about.at,
        }
    }
}

impl Shared {
    /// What a receiving call does without a datagram: `None` sleeps.
    fn nothing_received(&mut self) -> Option<Result<(), Error>> {
        if !self.kind.is_datagram() {
            return Some(Err(Error::NotSupported));
        }
        if let Some(error) = self.error.take() {
            return Some(Err(error));
        }
        (self.read_shut || self.eof).then_some(Ok(()))
    }

    /// Whether a datagram may wait to be received; the first one always may.
    pub(crate) fn has_inbox_room(&self, data: &Pbuf) -> bool {
        let bytes = u64::from(self.inbox.bytes()) + data.tot_len() as u64;
        let fits = bytes <= self.inbox_limit() || self.inbox.is_empty();
        fits && self.inbox.len() < self.settings.recv_queue
    }

    /// Whether no further datagram may wait.
    pub(crate) fn is_inbox_full(&self) -> bool {
        let is_full = u64::from(self.inbox.bytes()) >= self.inbox_limit();
        self.inbox.len() >= self.settings.recv_queue || (is_full && !self.inbox.is_empty())
    }

    fn inbox_limit(&self) -> u64 {
        let limit = self.settings.recv_buffer;
        limit.map_or(u64::MAX, |bytes| bytes.get().into())
    }
}
