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
use crate::wait::{Borrowed, Callback, Limit, Patience};

/// A TCP connection, TCP listener or endpoint for datagrams (lwIP's `struct netconn *`).
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

    /// Runs `f` on the slot in a critical section that is for several connections. `None`: the
    /// name is stale.
    pub(crate) fn in_section<R>(
        &self,
        cs: CriticalSection<'_>,
        f: impl FnOnce(&mut Shared) -> R,
    ) -> Option<R> {
        let run = |shared: &mut Shared| self.checked(shared, cs, |shared, _| f(shared)).ok();
        self.net.in_section(self.index, cs, run).flatten()
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
        attempt: impl FnMut(&mut Shared, CriticalSection<'_>) -> Option<R>,
    ) -> Result<R, Error> {
        self.sleep_within(side, &mut Limit::Is(patience), attempt)
    }

    /// As [`Netconn::sleep_until`].
    pub(crate) fn sleep_within<R>(
        &self,
        side: Side,
        limit: &mut Limit,
        mut attempt: impl FnMut(&mut Shared, CriticalSection<'_>) -> Option<R>,
    ) -> Result<R, Error> {
        // Most calls find what they want, and need neither patience nor waiter.
        let attempted = self.with(|shared, cs| {
            let result = attempt(shared, cs);
            if result.is_none() {
                shared.let_go(self.net, cs);
            }
            result
        });
        if let Some(result) = attempted? {
            return Ok(result);
        }
        let patience = limit.patience(|| match side {
            Side::Read => self.recv_patience(),
            Side::Write => self.send_patience(),
        })?;
        if patience == Patience::Never {
            return Err(Error::WouldBlock);
        }
        let waiter = self.net.waiters.borrow()?;
        self.sleep_on(&waiter, side, patience, attempt)
    }

    /// As [`Netconn::sleep_until`], with a waiter that the caller has, and at least one attempt.
    pub(crate) fn sleep_on<R>(
        &self,
        waiter: &Borrowed<'_>,
        side: Side,
        patience: Patience,
        mut attempt: impl FnMut(&mut Shared, CriticalSection<'_>) -> Option<R>,
    ) -> Result<R, Error> {
        let error = loop {
            let attempted = self.with(|shared, cs| {
                let result = attempt(shared, cs);
                if result.is_some() {
                    shared.forget(waiter.number);
                } else {
                    match side {
                        Side::Read => shared.readers.insert(waiter.number),
                        Side::Write => shared.writers.insert(waiter.number),
                    }
                }
                result
            });
            match attempted {
                Ok(None) => {}
                Ok(Some(result)) => return Ok(result),
                Err(error) => break error,
            }
            if let Err(error) = waiter.sleep(patience) {
                break error;
            }
        };
        // The number may still be there; it must not outlive this call, for it is borrowed.
        self.net
            .with(self.index, |shared, _| shared.forget(waiter.number));
        Err(error)
    }

    /// What kind of connection it is.
    pub fn kind(&self) -> Result<Kind, Error> {
        self.with(|shared, _| shared.kind)
    }

    /// What kind of connection it is, and its options: a look at both at once.
    pub fn kind_and_settings(&self) -> Result<(Kind, Settings), Error> {
        self.with(|shared, _| (shared.kind, shared.settings))
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

    /// Datagrams and frames that were dropped because as many waited as may, since the last call;
    /// of frames also those not seen for want of buffers.
    pub fn take_dropped(&self) -> Result<u32, Error> {
        self.with(|shared, _| core::mem::take(&mut shared.dropped))
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

    /// Has `call` called with `arg` and what the connection is ready for whenever there may be
    /// news of it; the call may come without any. An application hangs its own event of the
    /// operating system here. `None`: no call any more.
    ///
    /// It runs in the thread that causes the news, which is the tcpip thread except for events and
    /// local pairs; it may be an interrupt handler that posts an event. It must not sleep.
    #[doc(alias = "netconn_new_with_callback")]
    pub fn on_event(&self, call: Option<fn(usize, Ready)>, arg: usize) -> Result<(), Error> {
        self.with(|shared, _| shared.callback = call.map(|call| Callback { call, arg }))
    }

    /// What would not sleep now.
    pub fn ready(&self) -> Result<Ready, Error> {
        self.with(|shared, cs| shared.ready(self.net, cs))
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
        self.with(|shared, cs| {
            let before = shared.settings;
            change(&mut shared.settings);
            if before.recv_errors && !shared.settings.recv_errors {
                self.net.icmp_errors.forget(cs, shared.attached);
            }
            if before.engine_part() != shared.settings.engine_part() {
                shared.request(Requests::SETTINGS);
            }
        })
    }

    /// How long a receiving call may sleep by the settings.
    pub fn recv_patience(&self) -> Result<Patience, Error> {
        self.with(|shared, _| shared.settings.recv_patience())
    }

    /// How long a sending call may sleep by the settings.
    pub fn send_patience(&self) -> Result<Patience, Error> {
        self.with(|shared, _| shared.settings.send_patience())
    }
}
