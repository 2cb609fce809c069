//! The table of descriptors: small integers for connections. Several may name one connection
//! (`dup`), which is closed with the last of them.
use core::cell::Cell;

use critical_section::{CriticalSection, Mutex};
use gannet_netconn::{Error, Kind, Netconn, Settings};

use super::errno::Errno;

/// A descriptor. Negative ones name nothing.
pub type Fd = i32;

/// What a descriptor names.
#[derive(Clone, Copy, Debug)]
enum Entry {
    Free,
    /// Of a call that is about to open it.
    Reserved,
    Open(Netconn),
}

/// Storage of one descriptor, for [`descriptors!`](crate::descriptors).
#[derive(Debug)]
pub struct Slot(Mutex<Cell<Entry>>);

impl Slot {
    /// A descriptor that names nothing.
    #[allow(clippy::new_without_default, reason = "for statics only")]
    pub const fn new() -> Self {
        Self(Mutex::new(Cell::new(Entry::Free)))
    }
}

/// Descriptors, as a static of any size. Declare it with [`descriptors!`](crate::descriptors).
#[derive(Debug)]
pub struct Descriptors {
    slots: &'static [Slot],
    first: Fd,
}

/// What the functions of this module use.
static DEFAULT: Mutex<Cell<Option<&'static Descriptors>>> = Mutex::new(Cell::new(None));

impl Descriptors {
    /// A table over its storage; the first descriptor is `first`, where others are in use for
    /// files, say. [`descriptors!`](crate::descriptors) is the way to call this.
    ///
    /// # Panics
    /// At compile time: `first` is negative, or descriptors would be above 65,535.
    #[doc(alias = "LWIP_SOCKET_OFFSET")]
    pub const fn new(slots: &'static [Slot], first: Fd) -> Self {
        assert!(
            first >= 0 && first <= 0xffff,
            "descriptors are not negative"
        );
        assert!(slots.len() <= 0xffff, "at most 65,535 descriptors");
        Self { slots, first }
    }

    /// Makes this the table of all functions in this module.
    pub fn make_default(&'static self) {
        critical_section::with(|cs| DEFAULT.borrow(cs).set(Some(self)));
    }

    /// Descriptors in use.
    pub fn in_use(&self) -> usize {
        let in_use = |slot: &&Slot| {
            critical_section::with(|cs| !matches!(slot.0.borrow(cs).get(), Entry::Free))
        };
        self.slots.iter().filter(in_use).count()
    }

    pub(super) fn find(&self, cs: CriticalSection<'_>, fd: Fd) -> Option<Netconn> {
        match self.slot(fd)?.0.borrow(cs).get() {
            Entry::Open(conn) => Some(conn),
            Entry::Free | Entry::Reserved => None,
        }
    }

    fn slot(&self, fd: Fd) -> Option<&Slot> {
        self.slots
            .get(usize::try_from(fd.checked_sub(self.first)?).ok()?)
    }

    /// Takes the lowest free descriptor from `from` on.
    fn reserve(&'static self, from: Fd) -> Result<Place, Errno> {
        (self.first..)
            .zip(self.slots)
            .filter(|(fd, _)| *fd >= from)
            .find(|(_, slot)| {
                critical_section::with(|cs| {
                    let entry = slot.0.borrow(cs);
                    let is_free = matches!(entry.get(), Entry::Free);
                    if is_free {
                        entry.set(Entry::Reserved);
                    }
                    is_free
                })
            })
            .map(|(fd, slot)| Place { slot, fd })
            .ok_or(Errno::EMFILE)
    }
}

/// A descriptor that is reserved; free again when dropped.
#[derive(Debug)]
pub(super) struct Place {
    slot: &'static Slot,
    fd: Fd,
}

impl Place {
    /// The descriptor names `conn` from now on, one owner of which it is.
    pub(super) fn open(self, conn: Netconn) -> Fd {
        critical_section::with(|cs| self.slot.0.borrow(cs).set(Entry::Open(conn)));
        let fd = self.fd;
        core::mem::forget(self);
        fd
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        critical_section::with(|cs| self.slot.0.borrow(cs).set(Entry::Free));
    }
}

/// The default table in a critical section.
pub(super) fn table(cs: CriticalSection<'_>) -> Option<&'static Descriptors> {
    DEFAULT.borrow(cs).get()
}

/// Takes the lowest free descriptor from `from` on.
///
/// # Errors
/// `EMFILE`: none is free, or there is no table.
pub(super) fn reserve(from: Fd) -> Result<Place, Errno> {
    critical_section::with(table)
        .ok_or(Errno::EMFILE)?
        .reserve(from)
}

/// What `fd` names.
///
/// # Errors
/// `EBADF`.
pub(super) fn conn(fd: Fd) -> Result<Netconn, Errno> {
    critical_section::with(|cs| table(cs)?.find(cs, fd)).ok_or(Errno::EBADF)
}

/// What `fd` names, with its kind and options, in one critical section.
///
/// # Errors
/// `EBADF`.
pub(super) fn look(fd: Fd) -> Result<(Netconn, Kind, Settings), Errno> {
    critical_section::with(|cs| {
        let conn = table(cs)?.find(cs, fd)?;
        let (kind, settings) = conn.kind_and_settings().ok()?;
        Some((conn, kind, settings))
    })
    .ok_or(Errno::EBADF)
}

/// Frees `fd`; what it named.
///
/// # Errors
/// `EBADF`.
fn take(fd: Fd) -> Result<Netconn, Errno> {
    critical_section::with(|cs| {
        let slot = table(cs)?.slot(fd)?.0.borrow(cs);
        match slot.get() {
            Entry::Open(conn) => {
                slot.set(Entry::Free);
                Some(conn)
            }
            Entry::Free | Entry::Reserved => None,
        }
    })
    .ok_or(Errno::EBADF)
}

/// Frees the descriptor. With the last descriptor of a connection, the connection is closed: tasks
/// that sleep in a call on it get `EBADF`, what was written is sent in the background, and the
/// connection is reset if received data was not read.
///
/// Sleeps only if [`sockopt::Linger`](super::sockopt::Linger) asks for it, at most that long, and
/// then the descriptor is free before it sleeps.
///
/// # Errors
/// `EBADF`.
#[doc(alias = "lwip_close")]
#[doc(alias = "closesocket")]
pub fn close(fd: Fd) -> Result<(), Errno> {
    take(fd)?.release_lingering();
    Ok(())
}

/// Another descriptor, the lowest free one, for what `fd` names: options, `O_NONBLOCK` and data
/// are shared.
///
/// # Errors
/// `EBADF`, `EMFILE`.
pub fn dup(fd: Fd) -> Result<Fd, Errno> {
    dup_from(fd, 0)
}

/// As [`dup`], on descriptor `to`, which is closed first if it is open. With `fd` itself nothing
/// happens.
///
/// # Errors
/// `EBADF`: `fd` is not open, or `to` not in the table. `EMFILE`: `to` is about to be opened by
/// another task.
pub fn dup2(fd: Fd, to: Fd) -> Result<Fd, Errno> {
    let conn = conn(fd)?;
    if fd == to {
        return Ok(to);
    }
    share(conn)?;
    let replaced = critical_section::with(|cs| {
        let slot = table(cs).and_then(|table| table.slot(to));
        let slot = slot.ok_or(Errno::EBADF)?.0.borrow(cs);
        match slot.get() {
            Entry::Reserved => Err(Errno::EMFILE),
            old => {
                slot.set(Entry::Open(conn));
                Ok(old)
            }
        }
    });
    match replaced {
        Ok(Entry::Open(old)) => old.release_lingering(),
        Ok(Entry::Free | Entry::Reserved) => {}
        Err(error) => {
            conn.release();
            return Err(error);
        }
    }
    Ok(to)
}

/// As [`dup`], from descriptor `from` on (`F_DUPFD`).
pub(super) fn dup_from(fd: Fd, from: Fd) -> Result<Fd, Errno> {
    let conn = conn(fd)?;
    let place = reserve(from)?;
    share(conn)?;
    Ok(place.open(conn))
}

/// One owner more of `conn`.
fn share(conn: Netconn) -> Result<(), Errno> {
    match conn.share() {
        Err(Error::TooMany) => Err(Errno::EMFILE),
        outcome => Ok(outcome?),
    }
}

/// Declares a table of [`Descriptors`] with its storage.
///
/// ```
/// use gannet_sockets::bsd::{Errno, close};
///
/// gannet_sockets::descriptors! { static FDS: 16 }
/// FDS.make_default();
/// assert_eq!(close(3), Err(Errno::EBADF));
///
/// // 0, 1 and 2 are the console's.
/// gannet_sockets::descriptors! { static BEHIND_THE_CONSOLE: 16 from 3 }
/// # use gannet_port_std as _;
/// ```
#[macro_export]
macro_rules! descriptors {
    ($(#[$attr:meta])* $vis:vis static $name:ident: $count:literal $(;)?) => {
        $crate::descriptors! { $(#[$attr])* $vis static $name: $count from 0 }
    };
    ($(#[$attr:meta])* $vis:vis static $name:ident: $count:literal from $first:literal $(;)?) => {
        $(#[$attr])*
        $vis static $name: $crate::bsd::Descriptors = {
            static SLOTS: [$crate::bsd::Slot; $count] =
                [const { $crate::bsd::Slot::new() }; $count];
            $crate::bsd::Descriptors::new(&SLOTS, $first)
        };
    };
}
