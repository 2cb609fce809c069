//! `poll`: waits for any of many descriptors.
use core::time::Duration;

use critical_section::CriticalSection;
use gannet_netconn::{Net, Patience, Ready, Watch, Watched};

use super::errno::Errno;
use super::flags::{
    POLLERR, POLLHUP, POLLIN, POLLNVAL, POLLOUT, POLLRDHUP, POLLRDNORM, POLLWRNORM, PollFlags,
};
use super::table::{self, Fd};

/// A descriptor to wait for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PollFd {
    /// The descriptor; a negative one is skipped.
    pub fd: Fd,
    /// What to wait for.
    pub events: PollFlags,
    /// What was found; filled in by the call.
    pub revents: PollFlags,
}

impl PollFd {
    /// Waits for `events` of `fd`.
    pub const fn new(fd: Fd, events: PollFlags) -> Self {
        Self {
            fd,
            events,
            revents: PollFlags::NONE,
        }
    }
}

/// Sleeps until something is found, for at most `timeout` milliseconds (negative: for ever, 0: not
/// at all). Returns how many descriptors have something; 0 after the time-out.
///
/// # Errors
/// `ENOBUFS`: more tasks sleep than the net has waiters. `ENETDOWN`: no net was made the default
/// one.
#[doc(alias = "lwip_poll")]
pub fn poll(fds: &mut [PollFd], timeout: i32) -> Result<usize, Errno> {
    ppoll(fds, u64::try_from(timeout).ok().map(Duration::from_millis))
}

/// As [`poll`], with a finer time-out; `None`: for ever. There are no signals to mask.
///
/// # Errors
/// As [`poll`].
pub fn ppoll(fds: &mut [PollFd], timeout: Option<Duration>) -> Result<usize, Errno> {
    fds.iter_mut()
        .for_each(|entry| entry.revents = PollFlags::NONE);
    let mut set = Polled(fds);
    Ok(Net::default_net()?.poll(&mut set, Patience::from_timeout(timeout))?)
}

struct Polled<'a>(&'a mut [PollFd]);

impl Watch for Polled<'_> {
    fn next(&self, cs: CriticalSection<'_>, from: usize) -> Option<Watched> {
        let behind = self.0.get(from..)?;
        let (at, entry) = (from..).zip(behind).find(|(_, entry)| entry.fd >= 0)?;
        let conn = table::table(cs).and_then(|table| table.find(cs, entry.fd));
        Some(Watched {
            at,
            conn,
            interest: interest(entry.events),
        })
    }

    fn found(&mut self, at: usize, ready: Option<Ready>) {
        if let Some(entry) = self.0.get_mut(at) {
            entry.revents = ready.map_or(POLLNVAL, |ready| found(ready, entry.events));
        }
    }
}

fn interest(events: PollFlags) -> Ready {
    Ready {
        read: events.intersects(POLLIN | POLLRDNORM),
        write: events.intersects(POLLOUT | POLLWRNORM),
        peer_closed: events.contains(POLLRDHUP),
        ..Ready::NONE
    }
}

/// What `ready` is of `events`; errors and hang-ups are told in any case.
fn found(ready: Ready, events: PollFlags) -> PollFlags {
    let given = |flag| {
        if events.contains(flag) {
            flag
        } else {
            PollFlags::NONE
        }
    };
    let mut found = PollFlags::NONE;
    if ready.read {
        found |= given(POLLIN) | given(POLLRDNORM);
    }
    // POSIX: a hang-up and room to write exclude each other.
    if ready.write && !ready.hang_up {
        found |= given(POLLOUT) | given(POLLWRNORM);
    }
    if ready.peer_closed {
        found |= given(POLLRDHUP);
    }
    if ready.error {
        found |= POLLERR;
    }
    if ready.hang_up {
        found |= POLLHUP;
    }
    found
}
