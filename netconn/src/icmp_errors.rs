//! ICMP errors that datagram sockets keep to be looked at one by one (`IP_RECVERR`): a few for all
//! connections of a net together. That there was one is told as the error of the next call, too.
use core::cell::RefCell;

use critical_section::{CriticalSection, Mutex};
use gannet_core::IcmpReport;

use crate::control::Kind;
use crate::error::Error;
use crate::guarded::lock;
use crate::net::Net;
use crate::netconn::Netconn;
use crate::shared::{Attached, Shared};

/// Errors kept in a net.
const CAPACITY: usize = 8;
/// Of those for one connection.
const SHARE: usize = 4;

/// The errors kept, each with the endpoint it is about.
#[derive(Debug)]
pub(crate) struct IcmpErrors(Mutex<RefCell<Kept>>);

/// The oldest first; there may be gaps.
type Kept = [Option<(Attached, IcmpReport)>; CAPACITY];

impl IcmpErrors {
    pub(crate) const fn new() -> Self {
        Self(Mutex::new(RefCell::new([None; CAPACITY])))
    }

    /// Keeps an error about endpoint `of`; where there are as many as may be, the oldest goes.
    pub(crate) fn push(&self, cs: CriticalSection<'_>, of: Attached, report: IcmpReport) {
        let Some(mut kept) = lock(self.0.borrow(cs)) else {
            return;
        };
        if kept.iter().filter(|entry| is_of(entry, of)).count() >= SHARE {
            take_first(&mut kept, of);
        }
        // Those behind the first gap move up; without a gap, all do.
        let gap = kept.iter().position(Option::is_none).unwrap_or(0);
        if let Some(behind) = kept.get_mut(gap..) {
            behind.rotate_left(1);
        }
        if let Some(last) = kept.last_mut() {
            *last = Some((of, report));
        }
    }

    /// The oldest error about endpoint `of`, and the one behind it, which stays.
    fn take(
        &self,
        cs: CriticalSection<'_>,
        of: Attached,
    ) -> Option<(IcmpReport, Option<IcmpReport>)> {
        let mut kept = lock(self.0.borrow(cs))?;
        let taken = take_first(&mut kept, of)?;
        let next = kept.iter().find(|entry| is_of(entry, of));
        Some((taken, next.copied().flatten().map(|(_, report)| report)))
    }

    pub(crate) fn has(&self, cs: CriticalSection<'_>, of: Attached) -> bool {
        lock(self.0.borrow(cs)).is_some_and(|kept| kept.iter().any(|entry| is_of(entry, of)))
    }

    /// Drops all about endpoint `of`.
    pub(crate) fn forget(&self, cs: CriticalSection<'_>, of: Attached) {
        if let Some(mut kept) = lock(self.0.borrow(cs)) {
            for entry in &mut *kept {
                entry.take_if(|(other, _)| *other == of);
            }
        }
    }
}

fn is_of(entry: &Option<(Attached, IcmpReport)>, of: Attached) -> bool {
    entry.is_some_and(|(other, _)| other == of)
}

fn take_first(kept: &mut Kept, of: Attached) -> Option<IcmpReport> {
    let first = kept.iter_mut().find(|entry| is_of(entry, of))?;
    first.take().map(|(_, report)| report)
}

impl Shared {
    /// Whether an ICMP error is kept.
    pub(crate) fn keeps_error(&self, net: &Net, cs: CriticalSection<'_>) -> bool {
        self.settings.recv_errors && net.icmp_errors.has(cs, self.attached)
    }
}

impl Netconn {
    /// UDP and raw IP: whether ICMP errors are kept for [`Netconn::take_icmp_error`], and heard of
    /// without a connected peer, too (`IP_RECVERR`). Those kept are dropped when it is turned off.
    ///
    /// # Errors
    /// [`Error::NotSupported`]: another kind. [`Error::Closed`].
    #[doc(alias = "IP_RECVERR")]
    pub fn set_recv_errors(&self, on: bool) -> Result<(), Error> {
        match self.kind()? {
            Kind::Udp | Kind::Raw(_) => self.change_settings(|settings| settings.recv_errors = on),
            _ => Err(Error::NotSupported),
        }
    }

    /// Takes the oldest ICMP error that was kept (`MSG_ERRQUEUE`); `None`: there is none. Does not
    /// sleep. At most four of a connection are kept, and eight of all of a net; of more the oldest
    /// are lost.
    ///
    /// The error that waits for the next call ([`Netconn::take_error`]) is taken with it, if it is
    /// the same; that of the next ICMP error, if one is kept, waits instead.
    #[doc(alias = "MSG_ERRQUEUE")]
    pub fn take_icmp_error(&self) -> Result<Option<IcmpReport>, Error> {
        self.with(|shared, cs| {
            let (taken, next) = self.net.icmp_errors.take(cs, shared.attached)?;
            if shared.error == Some(taken.error.into()) {
                shared.error = next.map(|report| report.error.into());
            }
            Some(taken)
        })
    }
}
