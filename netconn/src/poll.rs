//! [`poll`]: one thread waits for any of many connections, with one waiter and no allocation.
use crate::error::Error;
use crate::netconn::Netconn;
use crate::shared::Ready;
use crate::wait::Patience;

/// A connection to wait for.
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

    /// Looks once; leaves `waiter` in the slot if nothing is ready.
    fn look(&mut self, waiter: Option<u8>) -> bool {
        let Some(conn) = self.conn else { return false };
        let interest = self.interest;
        let looked = conn.with(|shared, _| {
            let ready = shared.ready().of(interest);
            if let Some(waiter) = waiter.filter(|_| !ready.any()) {
                if interest.write {
                    shared.writers.insert(waiter);
                }
                // Errors and ends are news for readers.
                shared.readers.insert(waiter);
            }
            ready
        });
        self.stale = looked.is_err();
        self.ready = looked.unwrap_or_default();
        self.stale || self.ready.any()
    }
}

/// Sleeps until at least one entry is ready (or stale) or the patience ends, and returns how many
/// are: 0 at the end of the patience.
///
/// All entries must be of one net.
///
/// # Errors
/// [`Error::NoBuffers`]: no waiter is free. [`Error::Invalid`]: nothing to wait for and no end, or
/// entries of several nets.
#[doc(alias = "lwip_poll")]
pub fn poll(entries: &mut [PollEntry], patience: Patience) -> Result<usize, Error> {
    let ready = look(entries, None);
    if ready > 0 || patience == Patience::Never {
        return Ok(ready);
    }
    let mut nets = entries
        .iter()
        .filter_map(|entry| entry.conn)
        .map(|conn| conn.net);
    let net = nets.next().ok_or(Error::Invalid)?;
    if nets.any(|other| !core::ptr::eq(other, net)) {
        return Err(Error::Invalid);
    }
    let waiter = net.waiters.borrow()?;
    let outcome = loop {
        let ready = look(entries, Some(waiter.number));
        if ready > 0 {
            break Ok(ready);
        }
        if waiter.sleep(patience).is_err() {
            break Ok(0);
        }
    };
    for entry in entries.iter().filter_map(|entry| entry.conn) {
        net.with(entry.index, |shared, _| {
            shared.readers.remove(waiter.number);
            shared.writers.remove(waiter.number);
        });
    }
    outcome
}

/// Looks at all entries; how many are ready.
fn look(entries: &mut [PollEntry], waiter: Option<u8>) -> usize {
    entries
        .iter_mut()
        .map(|entry| usize::from(entry.look(waiter)))
        .sum()
}
