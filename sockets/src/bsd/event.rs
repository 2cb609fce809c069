//! Events: a counter with a descriptor, to wake a task that sleeps in `poll` or `select`.
use gannet_netconn::{Net, Netconn, Patience, Take};

use super::errno::Errno;
use super::flags::{EFD_NONBLOCK, EFD_SEMAPHORE, EventFlags};
use super::table::{self, Fd};

/// An event that counts from `initial`.
///
/// # Errors
/// `EMFILE`: out of descriptors. `ENFILE`: out of connections, of which it takes one. `ENETDOWN`:
/// no net was made the default one.
pub fn eventfd(initial: u32, flags: EventFlags) -> Result<Fd, Errno> {
    let place = table::reserve(0)?;
    let event = Netconn::event(Net::default_net()?, initial.into())?;
    event.change_settings(|settings| {
        settings.nonblocking = flags.contains(EFD_NONBLOCK);
        settings.take = if flags.contains(EFD_SEMAPHORE) {
            Take::One
        } else {
            Take::All
        };
    })?;
    Ok(place.open(event))
}

/// Takes the number, or one of it with [`EFD_SEMAPHORE`]; sleeps while it is 0.
///
/// # Errors
/// `EAGAIN`: 0, and the event does not sleep. `EINVAL`: not an event. `EBADF`.
pub fn eventfd_read(fd: Fd) -> Result<u64, Errno> {
    take(&table::conn(fd)?)
}

/// Adds `n`, and wakes who waits; sleeps while there is no room.
///
/// # Errors
/// `EAGAIN`: no room, and the event does not sleep. `EINVAL`: `n` is `u64::MAX`, or not an event.
/// `EBADF`.
pub fn eventfd_write(fd: Fd, n: u64) -> Result<(), Errno> {
    post(&table::conn(fd)?, n)
}

/// As [`eventfd_write`], from an interrupt handler; never sleeps.
pub fn eventfd_write_from_isr(fd: Fd, n: u64) -> Result<(), Errno> {
    table::conn(fd)?.post_from_isr(check(n)?).map_err(of_event)
}

pub(super) fn write(event: &Netconn, bufs: &[&[u8]]) -> Result<usize, Errno> {
    let mut bytes = [0; 8];
    let given = bufs.iter().flat_map(|buf| buf.iter());
    let n = bytes
        .iter_mut()
        .zip(given)
        .map(|(to, from)| *to = *from)
        .count();
    if n < bytes.len() {
        return Err(Errno::EINVAL);
    }
    post(event, u64::from_ne_bytes(bytes))?;
    Ok(n)
}

pub(super) fn read(event: &Netconn, bufs: &mut [&mut [u8]]) -> Result<usize, Errno> {
    if bufs.iter().map(|buf| buf.len()).sum::<usize>() < 8 {
        return Err(Errno::EINVAL);
    }
    let bytes = take(event)?.to_ne_bytes();
    let room = bufs.iter_mut().flat_map(|buf| buf.iter_mut());
    Ok(room.zip(bytes).map(|(to, from)| *to = from).count())
}

fn take(event: &Netconn) -> Result<u64, Errno> {
    let settings = event.settings()?;
    event
        .take(settings.take, patience(settings.nonblocking))
        .map_err(of_event)
}

fn post(event: &Netconn, n: u64) -> Result<(), Errno> {
    let nonblocking = event.settings()?.nonblocking;
    event
        .post(check(n)?, patience(nonblocking))
        .map_err(of_event)
}

fn patience(nonblocking: bool) -> Patience {
    if nonblocking {
        Patience::Never
    } else {
        Patience::Forever
    }
}

fn check(n: u64) -> Result<u64, Errno> {
    if n == u64::MAX {
        Err(Errno::EINVAL)
    } else {
        Ok(n)
    }
}

/// Linux: `EINVAL` for other descriptors.
fn of_event(error: gannet_netconn::Error) -> Errno {
    match error {
        gannet_netconn::Error::NotSupported => Errno::EINVAL,
        error => error.into(),
    }
}
