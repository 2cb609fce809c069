//! Sending datagrams: UDP, raw IP, frames, and local pairs.
use core::net::SocketAddr;

use critical_section::CriticalSection;
use gannet_core::{NetifId, Pbuf};

use crate::control::{Control, Kind};
use crate::datagram::{About, Datagram};
use crate::error::Error;
use crate::gather::Gather;
use crate::net::Net;
use crate::netconn::Netconn;
use crate::room::HEADROOM;
use crate::send::PbufError;
use crate::shared::{NO_ADDR, Phase, Requests, Shared};
use crate::wait::{Patience, Wake};

/// The largest datagram: 65,535 bytes less the headers of IPv4 and UDP.
const MAX_DATAGRAM: usize = 65_507;

/// Where a datagram goes.
#[derive(Clone, Copy, Debug)]
enum Target {
    /// An address, or the connected peer.
    Addr(Option<SocketAddr>),
    /// Out of an interface.
    Netif(NetifId),
}

/// When the sender of a datagram learns what became of it.
enum Verdict {
    /// The destination is known to be reachable; an error is told by a later call.
    Later(Wake),
    /// At once.
    Awaited,
}

impl Netconn {
    /// Sends a datagram to `to`, or to the connected peer if `to` is `None`. Sleeps while there is
    /// no buffer or no room for it, as long as `SO_SNDTIMEO` and `O_NONBLOCK` permit. Raw IP ignores
    /// the port.
    ///
    /// The first datagram to a destination waits for the tcpip thread's verdict, so that a missing
    /// route is told at once; those that follow to the same destination do not wait, and an error
    /// of theirs is told by a later call.
    ///
    /// # Errors
    /// [`Error::NotConnected`]: no destination. [`Error::TooLong`]: also if the buffers of the pool
    /// are not enough. [`Error::NetworkUnreachable`], [`Error::NetworkDown`], [`Error::Invalid`]:
    /// port 0, or a wrong header of raw IP; [`Error::Denied`]: a broadcast without permission.
    /// [`Error::WouldBlock`]. [`Error::BrokenPipe`]: shut down.
    #[doc(alias = "netconn_sendto")]
    pub fn send_to(&self, data: &[u8], to: Option<SocketAddr>) -> Result<(), Error> {
        self.send_to_vectored(&[data], to, self.send_patience()?)
    }

    /// As [`Netconn::send_to`]: the buffers, one after another, are one datagram; with a patience of
    /// its own.
    #[doc(alias = "sendmsg")]
    pub fn send_to_vectored(
        &self,
        bufs: &[&[u8]],
        to: Option<SocketAddr>,
        patience: Patience,
    ) -> Result<(), Error> {
        self.send_copy(bufs, Target::Addr(to), patience)
    }

    /// Sends a frame, link header first, out of `netif`, from several buffers, one after another.
    /// Sleeps as [`Netconn::send_to`].
    ///
    /// # Errors
    /// [`Error::NotSupported`]: no packet connection. [`Error::Invalid`]: no such interface, or
    /// shorter than the header. [`Error::TooLong`], [`Error::NetworkDown`], [`Error::WouldBlock`].
    pub fn send_frame(
        &self,
        bufs: &[&[u8]],
        netif: NetifId,
        patience: Patience,
    ) -> Result<(), Error> {
        self.send_copy(bufs, Target::Netif(netif), patience)
    }

    fn send_copy(&self, bufs: &[&[u8]], target: Target, patience: Patience) -> Result<(), Error> {
        let data = Gather::new(bufs);
        let len = data.len();
        if len > MAX_DATAGRAM || self.net.blocks_for(len) > self.net.tx_pool.blocks() {
            return Err(Error::TooLong);
        }
        loop {
            self.with(|shared, _| shared.destination(target))??;
            let mut source = data;
            if let Ok(copy) = source.copy_out(self.net.tx_pool, HEADROOM, len) {
                match self.queue_datagram(copy, target) {
                    Err(PbufError {
                        error: Error::NoBuffers,
                        data: Some(_),
                    }) => {}
                    outcome => return outcome.map_err(|refused| refused.error),
                }
            }
            self.sleep_for_room(len, patience)?;
        }
    }

    /// As [`Netconn::send_to`], without copying. Does not wait for room.
    ///
    /// # Errors
    /// With the buffer, unless the stack had it already; [`Error::NoBuffers`]: no room.
    pub fn send_pbuf_to(&self, data: Pbuf, to: Option<SocketAddr>) -> Result<(), PbufError> {
        self.queue_datagram(data, Target::Addr(to))
    }

    fn queue_datagram(&self, data: Pbuf, target: Target) -> Result<(), PbufError> {
        let verdict = self.with_data(data, |shared, cs, data| {
            let about = match shared.destination(target) {
                Ok(about) => about,
                Err(error) => return Err(PbufError::new(error, data)),
            };
            if shared.kind == Kind::DatagramPair {
                let delivered = self.net.deliver_datagram(shared, cs, data);
                return delivered.map(Verdict::Later);
            }
            if !self.net.may_queue(shared, cs, data.tot_len()) {
                return Err(PbufError::new(Error::NoBuffers, data));
            }
            let datagram = Datagram { data, about };
            if let Err(back) = self.net.datagrams.push(cs, &mut shared.outbox, datagram) {
                return Err(PbufError::new(Error::NoBuffers, back.data));
            }
            // A header is looked at by the engine.
            let is_known = about.peer != NO_ADDR && !shared.settings.header_included;
            if is_known && shared.reachable == about.peer {
                shared.request(Requests::SEND);
                return Ok(Verdict::Later(Wake::NONE));
            }
            Ok(Verdict::Awaited)
        })?;
        match verdict {
            Verdict::Later(wake) => {
                self.net.signal(wake);
                Ok(())
            }
            Verdict::Awaited => match self.net.waiters.borrow() {
                Ok(waiter) => self
                    .ask_on(&waiter, Control::SendAll, |_| Ok(()))
                    .map_err(|error| PbufError { error, data: None }),
                // It is sent all the same; an error is told by a later call.
                Err(_) => {
                    let _ = self.with(|shared, _| shared.request(Requests::SEND));
                    Ok(())
                }
            },
        }
    }
}

impl Net {
    /// Hands `data` of the end `shared` to the other.
    fn deliver_datagram(
        &self,
        shared: &mut Shared,
        cs: CriticalSection<'_>,
        data: Pbuf,
    ) -> Result<Wake, PbufError> {
        let Some(other) = shared.other else {
            return Err(PbufError::new(Error::Refused, data)); // `destination` has looked
        };
        let mut about = About::NOTHING;
        about.at = crate::sys::now();
        let mut datagram = Some(Datagram { data, about });
        let delivered = self.in_section(other, cs, |other| {
            let Some(given) = datagram.take() else {
                return (Wake::NONE, false); // it was put there just now: not reached
            };
            if other.read_shut {
                // As if nobody ever read it.
                return (Wake::NONE, false);
            }
            if !other.has_inbox_room(&given.data) {
                datagram = Some(given);
                return (Wake::NONE, true);
            }
            if let Err(back) = self.datagrams.push(cs, &mut other.inbox, given) {
                datagram = Some(back);
            }
            (other.take_waiters(self, cs), other.is_inbox_full())
        });
        let (wake, is_full) = delivered.unwrap_or((Wake::NONE, false));
        shared.peer_full = is_full;
        match datagram {
            Some(back) => Err(PbufError::new(Error::NoBuffers, back.data)),
            None => Ok(wake),
        }
    }
}

impl Shared {
    /// Where a datagram to `target` goes; tells a pending error first.
    fn destination(&mut self, target: Target) -> Result<About, Error> {
        match (self.kind, target) {
            (Kind::Udp | Kind::Raw(_) | Kind::DatagramPair, Target::Addr(_)) => {}
            (Kind::Packet, Target::Netif(_)) => {}
            (Kind::Packet, Target::Addr(_)) => return Err(Error::NotConnected),
            _ => return Err(Error::NotSupported),
        }
        if let Some(error) = self.error.take() {
            return Err(error);
        }
        if self.write_shut {
            return Err(Error::BrokenPipe);
        }
        // Before room is waited for, which nobody will make.
        if self.is_parted() {
            return Err(Error::Refused);
        }
        match (target, self.phase) {
            (Target::Netif(netif), _) => Ok(About {
                netif,
                ..About::NOTHING
            }),
            _ if self.kind == Kind::DatagramPair => Ok(About::NOTHING),
            (Target::Addr(Some(to)), _) => Ok(About::to(to)),
            (Target::Addr(None), Phase::Connected) => Ok(About::to(self.remote)),
            // The header says where to.
            (Target::Addr(None), _) if self.settings.header_included => Ok(About::NOTHING),
            (Target::Addr(None), _) => Err(Error::NotConnected),
        }
    }
}
