//! Closing: shutting down one direction, and letting go.
use gannet_core::tcp::Shutdown;

use crate::control::Kind;
use crate::error::Error;
use crate::netconn::Netconn;
use crate::shared::{Holder, Phase, Requests};
use crate::wait::WaitSet;

impl Netconn {
    /// Closes one direction or both. Threads that sleep in it wake: receiving ends as at the end
    /// of the stream (data that still arrives is acknowledged and dropped), sending fails with
    /// [`Error::BrokenPipe`] and a FIN follows what is queued.
    ///
    /// # Errors
    /// [`Error::NotConnected`].
    #[doc(alias = "netconn_shutdown")]
    pub fn shutdown(&self, how: Shutdown) -> Result<(), Error> {
        let set = self.with(|shared, _| {
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
            if read {
                shared.read_shut = true;
                let unread = u32::try_from(shared.rx.len()).unwrap_or(u32::MAX);
                shared.rx.clear();
                shared.consumed = shared.consumed.saturating_add(unread);
                shared.request(Requests::RECVED);
            }
            if write && !shared.write_shut {
                shared.write_shut = true;
                shared.request(Requests::SHUT_WRITE);
            }
            let mut set = WaitSet::EMPTY;
            if read {
                set.merge(shared.readers.take());
            }
            if write {
                set.merge(shared.writers.take());
            }
            Ok(set)
        })??;
        self.net.signal(set);
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
        let set = self.with(|shared, _| {
            shared.holder = Holder::Service;
            shared.generation = shared.generation.wrapping_add(1);
            shared.request(Requests::CLOSE);
            shared.take_all_waiters()
        });
        if let Ok(set) = set {
            self.net.signal(set);
        }
    }
}
