//! [`Netconn`]: the name of a connection, and how its calls look into the slot and sleep.
use core::net::SocketAddr;

use critical_section::CriticalSection;
use gannet_core::Pbuf;

use crate::control::Kind;
use crate::error::Error;
use crate::net::Net;
use crate::send::PbufError;
use crate::settings::Settings;
use crate::shared::{Holder, Phase, Ready, Requests, Shared, Side};
use crate::wait::Patience;

/// A TCP connection, TCP listener or UDP endpoint (lwIP's `struct netconn *`).
///
/// A name that can be copied and used by any thread, like a file descriptor: whoever made the
/// connection calls [`Netconn::close`] once; from then on all copies give [`Error::Closed`]. The
/// types of `gannet-sockets` own one each and close it when they are dropped.
#[derive(Clone, Copy, Debug)]
pub struct Netconn {
    pub(crate) net: &'static Net,
    pub(crate) index: u16,
    generation: u16,
}

impl PartialEq for Netconn {
    fn eq(&self, other: &Self) -> bool {
        let same = self.index == other.index && self.generation == other.generation;
        same && core::ptr::eq(self.net, other.net)
    }
}

impl Eq for Netconn {}

impl Netconn {
    /// A new connection of `net`, neither bound nor connected.
    ///
    /// # Errors
    /// [`Error::TooMany`]: all slots of the net are in use.
    #[doc(alias = "netconn_new")]
    pub fn new(net: &'static Net, kind: Kind) -> Result<Self, Error> {
        let (index, generation) = net.allocate(kind, Holder::Application)?;
        Ok(Self {
            net,
            index,
            generation,
        })
    }

    /// The name of slot `index` as it is now; for the service, which hands it to a listener.
    pub(crate) const fn named(net: &'static Net, index: u16, generation: u16) -> Self {
        Self {
            net,
            index,
            generation,
        }
    }

    /// Runs `f` on the slot in a critical section.
    ///
    /// # Errors
    /// [`Error::Closed`]: the name is stale.
    pub(crate) fn with<R>(
        &self,
        f: impl FnOnce(&mut Shared, CriticalSection<'_>) -> R,
    ) -> Result<R, Error> {
        self.net
            .with(self.index, |shared, cs| self.checked(shared, cs, f))
            .unwrap_or(Err(Error::Closed))
    }

    /// As [`Netconn::with`], handing `data` over; it comes back if the name is stale.
    pub(crate) fn with_data<R>(
        &self,
        data: Pbuf,
        f: impl FnOnce(&mut Shared, CriticalSection<'_>, Pbuf) -> Result<R, PbufError>,
    ) -> Result<R, PbufError> {
        let mut data = Some(data);
        let outcome = self.with(|shared, cs| data.take().map(|data| f(shared, cs, data)));
        match outcome {
            Ok(Some(result)) => result,
            // Not called: the name is stale.
            Ok(None) | Err(_) => Err(PbufError {
                error: Error::Closed,
                data,
            }),
        }
    }

    fn checked<R>(
        &self,
        shared: &mut Shared,
        cs: CriticalSection<'_>,
        f: impl FnOnce(&mut Shared, CriticalSection<'_>) -> R,
    ) -> Result<R, Error> {
        if shared.holder == Holder::Application && shared.generation == self.generation {
            Ok(f(shared, cs))
        } else {
            Err(Error::Closed)
        }
    }

    /// Runs `attempt` in critical sections until it yields something, sleeping in between.
    ///
    /// # Errors
    /// [`Error::WouldBlock`]: the patience is at its end. [`Error::Closed`]: somebody closed the
    /// connection. [`Error::NoBuffers`]: no waiter is free.
    pub(crate) fn sleep_until<R>(
        &self,
        side: Side,
        patience: Patience,
        mut attempt: impl FnMut(&mut Shared, CriticalSection<'_>) -> Option<R>,
    ) -> Result<R, Error> {
        // Most calls find what they want, and need no waiter.
        if let Some(result) = self.with(&mut attempt)? {
            return Ok(result);
        }
        if patience == Patience::Never {
            return Err(Error::WouldBlock);
        }
        let waiter = self.net.waiters.borrow()?;
        let outcome = loop {
            let attempted = self.with(|shared, cs| {
                let result = attempt(shared, cs);
                if result.is_none() {
                    match side {
                        Side::Read => shared.readers.insert(waiter.number),
                        Side::Write => shared.writers.insert(waiter.number),
                    }
                }
                result
            });
            match attempted {
                Ok(None) => {}
                Ok(Some(result)) => break Ok(result),
                Err(error) => break Err(error),
            }
            if let Err(error) = waiter.sleep(patience) {
                break Err(error);
            }
        };
        // The number may still be there; it must not outlive this call, for it is borrowed.
        self.net.with(self.index, |shared, _| {
            shared.readers.remove(waiter.number);
            shared.writers.remove(waiter.number);
        });
        outcome
    }

    /// What kind of connection it is.
    pub fn kind(&self) -> Result<Kind, Error> {
        self.with(|shared, _| shared.kind)
    }

    /// The local address; unspecified and port 0 while not bound.
    #[doc(alias = "netconn_addr")]
    pub fn local_addr(&self) -> Result<SocketAddr, Error> {
        self.with(|shared, _| shared.local)
    }

    /// The peer's address.
    ///
    /// # Errors
    /// [`Error::NotConnected`].
    #[doc(alias = "netconn_peer")]
    pub fn peer_addr(&self) -> Result<SocketAddr, Error> {
        self.with(|shared, _| match shared.phase {
            Phase::Connected => Ok(shared.remote),
            // The connection was there; its peer is still known.
            Phase::Dead if shared.remote.port() != 0 => Ok(shared.remote),
            _ => Err(Error::NotConnected),
        })?
    }

    /// Whether it listens.
    pub fn is_listening(&self) -> Result<bool, Error> {
        self.with(|shared, _| shared.phase == Phase::Listening)
    }

    /// Takes the error that waits to be told (`SO_ERROR`).
    #[doc(alias = "netconn_err")]
    pub fn take_error(&self) -> Result<Option<Error>, Error> {
        self.with(|shared, _| shared.error.take())
    }

    /// What would not sleep now.
    pub fn ready(&self) -> Result<Ready, Error> {
        self.with(|shared, _| shared.ready())
    }

    /// The options.
    pub fn settings(&self) -> Result<Settings, Error> {
        self.with(|shared, _| shared.settings)
    }

    /// Changes options; the engine hears of it with the next turn of the tcpip thread.
    ///
    /// ```no_run
    /// # fn f(conn: gannet_netconn::Netconn) -> Result<(), gannet_netconn::Error> {
    /// conn.change_settings(|settings| settings.nonblocking = true)?;
    /// # Ok(()) }
    /// ```
    pub fn change_settings(&self, change: impl FnOnce(&mut Settings)) -> Result<(), Error> {
        self.with(|shared, _| {
            let before = shared.settings;
            change(&mut shared.settings);
            let engine = |s: &Settings| (s.nagle, s.keepalive, s.broadcast);
            if engine(&before) != engine(&shared.settings) {
                shared.request(Requests::SETTINGS);
            }
        })
    }

    /// How long a receiving call may sleep.
    pub(crate) fn recv_patience(&self) -> Result<Patience, Error> {
        let settings = self.settings()?;
        if settings.nonblocking {
            return Ok(Patience::Never);
        }
        // A time-out of zero means none, as for SO_RCVTIMEO.
        Ok(Patience::from_timeout(
            settings.recv_timeout.filter(|t| !t.is_zero()),
        ))
    }

    /// How long a sending call may sleep.
    pub(crate) fn send_patience(&self) -> Result<Patience, Error> {
        let settings = self.settings()?;
        if settings.nonblocking {
            return Ok(Patience::Never);
        }
        Ok(Patience::from_timeout(
            settings.send_timeout.filter(|t| !t.is_zero()),
        ))
    }
}
