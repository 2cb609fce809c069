//! Closing: shutting down one direction, letting go, and waiting until data has arrived.
use core::cell::Cell;
use core::time::Duration;

use critical_section::{CriticalSection, Mutex};
use gannet_core::tcp::Shutdown;

use crate::control::Kind;
use crate::error::Error;
use crate::netconn::Netconn;
use crate::settings::Linger;
use crate::shared::{Holder, Phase, Requests, Shared};
use crate::wait::{Patience, Wake};

impl Netconn {
    /// Closes one direction or both. Threads that sleep in it wake: receiving ends as at the end
    /// of the stream (data that still arrives is acknowledged and dropped), sending fails with
    /// [`Error::BrokenPipe`] and a FIN follows what is queued.
    ///
    /// # Errors
    /// [`Error::NotConnected`].
    #[doc(alias = "netconn_shutdown")]
    pub fn shutdown(&self, how: Shutdown) -> Result<(), Error> {
        let (unread, wake) = self.with(|shared, cs| {
            let (read, write) = match how {
                Shutdown::Read => (true, false),
                Shutdown::Write => (false, true),
                Shutdown::Both => (true, true),
            };
            match (shared.kind, shared.phase) {
                (_, Phase::Connected) => {}
                // Accepting ends.
                (Kind::Tcp, Phase::Listening) if read => {}
                _ => return Err(Error::NotConnected),
            }
            let other = self.net.other_end(shared, cs, |other| {
                other.eof |= write;
                other.write_shut |= read;
            });
            let mut unread = gannet_core::Chain::new();
            if read {
                shared.read_shut = true;
                unread = core::mem::take(&mut shared.rx);
                let bytes = u32::try_from(unread.len()).unwrap_or(u32::MAX);
                shared.consumed = shared.consumed.saturating_add(bytes);
                shared.request(Requests::RECVED);
            }
            if write && !shared.write_shut {
                shared.write_shut = true;
                shared.request(Requests::SHUT_WRITE);
            }
            Ok((unread, [other, shared.take_sides(read, write)]))
        })??;
        drop(unread);
        self.net.signal_both(wake);
        Ok(())
    }

    /// Closes the connection. All names of it are stale from now on, and threads that sleep in a
    /// call on it wake with [`Error::Closed`]. Never sleeps, never fails; a stale name is ignored.
    ///
    /// What was sent still leaves in the background, then a FIN. If received data was not read,
    /// or `Linger::Abort` is set, the connection is reset instead (RFC 9293 §3.10.4,
    /// RFC 2525 §2.17).
    #[doc(alias = "netconn_delete")]
    #[doc(alias = "netconn_close")]
    pub fn close(&self) {
        if let Ok(wake) = self.with(|shared, cs| self.end(shared, cs)) {
            self.net.signal_both(wake);
        }
    }

    /// Counts one more owner of the name: each calls [`Netconn::release`] (`dup`).
    ///
    /// # Errors
    /// [`Error::Closed`]. [`Error::TooMany`]: 65,535 owners.
    pub fn share(&self) -> Result<(), Error> {
        self.with(|shared, _| {
            shared.owners = shared.owners.checked_add(1).ok_or(Error::TooMany)?;
            Ok(())
        })?
    }

    /// One owner lets go; with the last one the connection is closed. Never sleeps, never fails.
    pub fn release(&self) {
        let wake = self.with(|shared, cs| {
            shared.owners = shared.owners.saturating_sub(1);
            (shared.owners == 0).then(|| self.end(shared, cs))
        });
        if let Ok(Some(wake)) = wake {
            self.net.signal_both(wake);
        }
    }

    /// As [`Netconn::release`], but if this is the last owner of a TCP connection with
    /// [`Linger::Wait`], sleeps first until the peer has acknowledged what was written, for at
    /// most the time set. Then it is closed in any case; what is not acknowledged is still sent in
    /// the background.
    #[doc(alias = "SO_LINGER")]
    pub fn release_lingering(&self) {
        let time = self.with(|shared, _| match shared.settings.linger {
            Linger::Wait(time) if shared.owners == 1 && shared.kind == Kind::Tcp => Some(time),
            _ => None,
        });
        if let Ok(Some(time)) = time {
            self.linger(time);
        }
        self.release();
    }

    /// Sleeps until what was written is acknowledged, for at most `time`.
    fn linger(&self, time: Duration) {
        // However it ends, the connection is closed next; not connected is as good as sent.
        if self.shutdown(Shutdown::Write).is_ok() {
            let _ = self.wait_acknowledged(Patience::from_timeout(Some(time)));
        }
    }

    /// The name is stale from here on; the service does the rest.
    fn end(&self, shared: &mut Shared, cs: CriticalSection<'_>) -> [Wake; 2] {
        shared.holder = Holder::Service;
        shared.generation = shared.generation.wrapping_add(1);
        shared.request(Requests::CLOSE);
        self.net.closing.more(cs);
        [self.net.part(shared, cs), shared.take_all_waiters()]
    }
}

/// Connections that the application has closed and the service has not seen yet.
#[derive(Debug)]
pub(crate) struct Closing(Mutex<Cell<u16>>);

impl Closing {
    pub(crate) const fn new() -> Self {
        Self(Mutex::new(Cell::new(0)))
    }

    /// One more; at most as many as there are slots, for a name is closed once.
    fn more(&self, cs: CriticalSection<'_>) {
        let count = self.0.borrow(cs);
        count.set(count.get().saturating_add(1));
    }

    /// The service takes `requests` of a connection, or frees it with them; whether connections are
    /// left that it has not seen.
    pub(crate) fn seen(&self, cs: CriticalSection<'_>, requests: Requests) -> bool {
        let count = self.0.borrow(cs);
        if requests.contains(Requests::CLOSE) {
            count.set(count.get().saturating_sub(1));
        }
        count.get() > 0
    }
}
