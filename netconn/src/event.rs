//! A counter that threads and interrupt handlers add to and a thread waits for, alone or in
//! [`poll`](crate::poll): how a task is woken that sleeps in the stack (`eventfd`).
use critical_section::CriticalSection;

use crate::control::Kind;
use crate::error::Error;
use crate::net::Net;
use crate::netconn::Netconn;
use crate::shared::{Shared, Side};
use crate::wait::{Patience, Wake};

/// What the counter may hold, as in Linux.
pub(crate) const MAX_COUNT: u64 = u64::MAX - 1;

/// What taking from an event does to its counter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Take {
    /// Takes all of it.
    All,
    /// Takes one (`EFD_SEMAPHORE`).
    One,
}

impl Netconn {
    /// A new event of `net` that counts from `initial`; it uses a connection's slot.
    ///
    /// # Errors
    /// [`Error::TooMany`]: all slots of the net are in use.
    #[doc(alias = "eventfd")]
    pub fn event(net: &'static Net, initial: u64) -> Result<Self, Error> {
        let event = Self::new(net, Kind::Event)?;
        event.with(|shared, _| shared.count = initial.min(MAX_COUNT))?;
        Ok(event)
    }

    /// Adds `n` to an event, and wakes who waits for it. Sleeps while the counter has no room.
    ///
    /// # Errors
    /// [`Error::NotSupported`]: not an event. [`Error::WouldBlock`], [`Error::Closed`].
    pub fn post(&self, n: u64, patience: Patience) -> Result<(), Error> {
        let wake = self.sleep_until(Side::Write, patience, |shared, cs| {
            shared.post(self.net, cs, n)
        })??;
        self.net.signal(wake);
        Ok(())
    }

    /// As [`Netconn::post`], from an interrupt handler.
    ///
    /// # Errors
    /// As [`Netconn::post`]; never sleeps.
    pub fn post_from_isr(&self, n: u64) -> Result<(), Error> {
        let wake = self.with(|shared, cs| {
            let posted = shared.post(self.net, cs, n);
            posted.unwrap_or(Err(Error::WouldBlock))
        })??;
        self.net.signal_from_isr(wake);
        Ok(())
    }

    /// Takes from an event; sleeps while there is nothing. Returns what was taken, at least 1.
    ///
    /// # Errors
    /// [`Error::NotSupported`]: not an event. [`Error::WouldBlock`], [`Error::Closed`].
    pub fn take(&self, take: Take, patience: Patience) -> Result<u64, Error> {
        let (taken, wake) = self.sleep_until(Side::Read, patience, |shared, cs| {
            if shared.kind != Kind::Event {
                return Some(Err(Error::NotSupported));
            }
            if shared.count == 0 {
                return None;
            }
            let taken = match take {
                Take::All => shared.count,
                Take::One => 1,
            };
            shared.count -= taken;
            Some(Ok((taken, shared.take_waiters(self.net, cs))))
        })??;
        self.net.signal(wake);
        Ok(taken)
    }
}

impl Shared {
    /// `None`: no room.
    fn post(&mut self, net: &Net, cs: CriticalSection<'_>, n: u64) -> Option<Result<Wake, Error>> {
        if self.kind != Kind::Event {
            return Some(Err(Error::NotSupported));
        }
        self.count = self
            .count
            .checked_add(n)
            .filter(|count| *count <= MAX_COUNT)?;
        Some(Ok(self.take_waiters(net, cs)))
    }
}
