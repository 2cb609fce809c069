//! Accepting: connections wait in a list of their listener, in slots of their own.
use critical_section::CriticalSection;

use crate::error::Error;
use crate::net::Net;
use crate::netconn::Netconn;
use crate::shared::{Holder, Phase, Requests, Shared, Side};
use crate::wait::Patience;

impl Netconn {
    /// The next connection; sleeps until there is one, as long as `SO_RCVTIMEO` and
    /// `O_NONBLOCK` of the listener permit.
    ///
    /// # Errors
    /// [`Error::Invalid`]: not a listener. [`Error::WouldBlock`], [`Error::Closed`].
    #[doc(alias = "netconn_accept")]
    pub fn accept(&self) -> Result<Self, Error> {
        let patience = self.recv_patience()?;
        self.accept_within(patience)
    }

    /// As [`Netconn::accept`], with a patience of its own.
    pub fn accept_within(&self, patience: Patience) -> Result<Self, Error> {
        let index = self.sleep_until(Side::Read, patience, |shared, cs| {
            if let Some(error) = shared.error.take() {
                return Some(Err(error));
            }
            if shared.phase != Phase::Listening || shared.read_shut {
                return Some(Err(Error::Invalid));
            }
            self.net.unqueue(shared, cs).map(Ok)
        })??;
        let generation = self.net.with(index, |shared, _| {
            shared.holder = Holder::Application;
            shared.request(Requests::ACCEPTED);
            shared.generation
        });
        Ok(Self::named(
            self.net,
            index,
            generation.ok_or(Error::Closed)?,
        ))
    }
}

impl Net {
    /// Takes the first waiting connection out of `listener`'s list.
    pub(crate) fn unqueue(&self, listener: &mut Shared, cs: CriticalSection<'_>) -> Option<u16> {
        let index = listener.accept_first?;
        listener.accept_first = self.in_section(index, cs, |shared| shared.accept_next.take())?;
        if listener.accept_first.is_none() {
            listener.accept_last = None;
        }
        Some(index)
    }

    /// Appends connection `index` to `listener`'s list.
    pub(crate) fn enqueue(&self, listener: &mut Shared, cs: CriticalSection<'_>, index: u16) {
        match listener.accept_last {
            Some(last) => {
                self.in_section(last, cs, |shared| shared.accept_next = Some(index));
            }
            None => listener.accept_first = Some(index),
        }
        listener.accept_last = Some(index);
    }
}
