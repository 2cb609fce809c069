//! [`poll`]: one thread waits for any of many connections, with one waiter and no allocation.
//!
//! Up to [`BATCH`] connections are looked at in one critical section, so a look at many costs
//! little more than one at a single connection, and no critical section grows with their number.
use critical_section::CriticalSection;

use crate::doorbell::Ring;
use crate::error::Error;
use crate::net::Net;
use crate::netconn::Netconn;
use crate::shared::{Ready, Shared};
use crate::wait::Patience;

/// Connections looked at in one critical section.
const BATCH: usize = 32;

/// One of the connections to wait for.
#[derive(Clone, Copy, Debug)]
pub struct Watched {
    /// Its place in the set.
    pub at: usize,
    /// The connection; `None` is reported as stale.
    pub conn: Option<Netconn>,
    /// What to wait for. Errors and hang-ups always count.
    pub interest: Ready,
}

/// Connections to wait for, however they are kept: `poll` and `select` of POSIX name them by
/// descriptors that are looked up as late as possible.
pub trait Watch {
    /// The first connection at place `from` or behind it. Called in a critical section: must be
    /// quick.
    fn next(&self, cs: CriticalSection<'_>, from: usize) -> Option<Watched>;

    /// What was found at place `at`: `None` is a stale name (`POLLNVAL`). Called in a critical
    /// section.
    fn found(&mut self, at: usize, ready: Option<Ready>);
}

impl Net {
    /// Sleeps until at least one connection of `set` is ready (or stale) or the patience ends,
    /// and returns how many are: 0 at the end of the patience. A set of nothing only sleeps.
    ///
    /// Connections of other nets are reported as stale.
    ///
    /// # Errors
    /// [`Error::NoBuffers`]: no waiter is free.
    #[doc(alias = "lwip_poll")]
    #[doc(alias = "lwip_select")]
    pub fn poll(&'static self, set: &mut dyn Watch, patience: Patience) -> Result<usize, Error> {
        let ready = self.look(set, None);
        if ready > 0 || patience == Patience::Never {
            return Ok(ready);
        }
        let waiter = self.waiters.borrow()?;
        let ready = loop {
            let ready = self.look(set, Some(waiter.number));
            if ready > 0 || waiter.sleep(patience).is_err() {
                break ready;
            }
        };
        // The number may still be there; it must not outlive this call, for it is borrowed. (A
        // descriptor may have come to name another connection meanwhile: then it does, and its
        // next borrower is at worst woken once for nothing.)
        self.each(set, |net, watched, _, cs| {
            if let Some(conn) = watched.conn {
                net.in_section(conn.index, cs, |shared| shared.forget(waiter.number));
            }
        });
        Ok(ready)
    }

    /// Looks at all of `set`; how many are ready. Leaves `waiter` with those that are not.
    fn look(&'static self, set: &mut dyn Watch, waiter: Option<u8>) -> usize {
        let mut count = 0;
        let mut rings = false;
        self.each(set, |net, watched, set, cs| {
            let mut look = |shared: &mut Shared| {
                let ready = shared.look(net, cs, watched.interest, waiter);
                // A ring of this section is given by nobody.
                rings |= core::mem::take(&mut shared.ring) > Ring::No;
                ready
            };
            let ready = watched
                .conn
                .filter(|conn| core::ptr::eq(conn.net, net))
                .and_then(|conn| conn.in_section(cs, &mut look));
            count += usize::from(ready.is_none_or(Ready::any));
            set.found(watched.at, ready);
        });
        if rings {
            self.ring();
        }
        count
    }

    /// Runs `f` on all of `set`, on up to [`BATCH`] in a critical section.
    fn each(
        &'static self,
        set: &mut dyn Watch,
        mut f: impl FnMut(&'static Self, Watched, &mut dyn Watch, CriticalSection<'_>),
    ) {
        let mut from = Some(0);
        while let Some(first) = from {
            from = critical_section::with(|cs| {
                let mut at = first;
                for _ in 0..BATCH {
                    let watched = set.next(cs, at)?;
                    at = watched.at + 1;
                    f(self, watched, set, cs);
                }
                Some(at)
            });
        }
    }
}

impl Shared {
    /// What of `interest` is ready; if nothing is, `waiter` is left where the news will be.
    pub(crate) fn look(
        &mut self,
        net: &Net,
        cs: CriticalSection<'_>,
        interest: Ready,
        waiter: Option<u8>,
    ) -> Ready {
        let ready = self.ready(net, cs).of(interest);
        if !ready.any() {
            self.let_go(net, cs);
        }
        if let Some(waiter) = waiter.filter(|_| !ready.any()) {
            if interest.write {
                self.writers.insert(waiter);
                if self.kind.is_datagram() {
                    self.wait_for_room(net);
                }
            }
            // Errors and ends are news for both; who waits for nothing else hears them here.
            if interest.read || interest.peer_closed || !interest.write {
                self.readers.insert(waiter);
            }
        }
        ready
    }
}

/// A connection to wait for with [`poll`].
#[derive(Clone, Copy, Debug)]
pub struct PollEntry {
    /// The connection; `None` is skipped (a negative descriptor of POSIX).
    pub conn: Option<Netconn>,
    /// What to wait for. Errors and hang-ups always count.
    pub interest: Ready,
    /// What was found. Filled in by [`poll`].
    pub ready: Ready,
    /// The name is stale (`POLLNVAL`). Filled in by [`poll`].
    pub stale: bool,
}

impl PollEntry {
    /// Waits for `interest` of `conn`.
    pub const fn new(conn: Netconn, interest: Ready) -> Self {
        Self {
            conn: Some(conn),
            interest,
            ready: Ready::NONE,
            stale: false,
        }
    }
}

impl Watch for &mut [PollEntry] {
    fn next(&self, _: CriticalSection<'_>, from: usize) -> Option<Watched> {
        let mut behind = self.iter().enumerate().skip(from);
        behind.find_map(|(at, entry)| {
            entry.conn.map(|conn| Watched {
                at,
                conn: Some(conn),
                interest: entry.interest,
            })
        })
    }

    fn found(&mut self, at: usize, ready: Option<Ready>) {
        if let Some(entry) = self.get_mut(at) {
            entry.stale = ready.is_none();
            entry.ready = ready.unwrap_or_default();
        }
    }
}

/// [`Net::poll`] for connections by their names, all of one net.
///
/// # Errors
/// As [`Net::poll`]. [`Error::Invalid`]: nothing to wait for and no end, or entries of several
/// nets.
pub fn poll(mut entries: &mut [PollEntry], patience: Patience) -> Result<usize, Error> {
    let mut nets = entries
        .iter()
        .filter_map(|entry| entry.conn)
        .map(|conn| conn.net);
    let net = match nets.next() {
        Some(net) => net,
        None if patience == Patience::Forever => return Err(Error::Invalid),
        None => Net::default_net()?,
    };
    if nets.any(|other| !core::ptr::eq(other, net)) {
        return Err(Error::Invalid);
    }
    net.poll(&mut entries, patience)
}
