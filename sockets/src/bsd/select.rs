//! `select`: `poll` with sets of bits.
use core::time::Duration;

use critical_section::CriticalSection;
use gannet_netconn::{Net, Patience, Ready, Watch, Watched};

use super::errno::Errno;
use super::table::{self, Fd};

/// Descriptors below this fit an [`FdSet`].
pub const FD_SETSIZE: usize = 256;

const WORDS: usize = FD_SETSIZE / 32;

/// A set of descriptors (`fd_set`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct FdSet([u32; WORDS]);

impl FdSet {
    /// An empty set (`FD_ZERO`).
    pub const fn new() -> Self {
        Self([0; WORDS])
    }

    /// Puts `fd` in (`FD_SET`).
    ///
    /// # Errors
    /// `EINVAL`: negative, or not below [`FD_SETSIZE`].
    #[doc(alias = "FD_SET")]
    pub fn insert(&mut self, fd: Fd) -> Result<(), Errno> {
        let at = usize::try_from(fd).map_err(|_| Errno::EINVAL)?;
        *self.0.get_mut(at / 32).ok_or(Errno::EINVAL)? |= 1 << (at % 32);
        Ok(())
    }

    /// Takes `fd` out (`FD_CLR`).
    #[doc(alias = "FD_CLR")]
    pub fn remove(&mut self, fd: Fd) {
        let Ok(at) = usize::try_from(fd) else { return };
        if let Some(word) = self.0.get_mut(at / 32) {
            *word &= !(1 << (at % 32));
        }
    }

    /// Whether `fd` is in it (`FD_ISSET`).
    #[doc(alias = "FD_ISSET")]
    pub fn contains(&self, fd: Fd) -> bool {
        usize::try_from(fd).is_ok_and(|at| self.has(at))
    }

    fn has(&self, at: usize) -> bool {
        self.0
            .get(at / 32)
            .is_some_and(|word| word & 1 << (at % 32) != 0)
    }

    fn len(&self) -> usize {
        self.0.iter().map(|word| word.count_ones() as usize).sum()
    }

    /// The first member from `from` on.
    fn first(&self, from: usize) -> Option<usize> {
        let mut mask = u32::MAX << (from % 32);
        for (at, word) in self.0.iter().enumerate().skip(from / 32) {
            let word = word & core::mem::replace(&mut mask, u32::MAX);
            if word != 0 {
                return Some(at * 32 + word.trailing_zeros() as usize);
            }
        }
        None
    }

    /// What is in either.
    fn or(mut self, other: &Self) -> Self {
        self.0
            .iter_mut()
            .zip(other.0)
            .for_each(|(word, other)| *word |= other);
        self
    }

    /// What is below `nfds`.
    fn below(mut self, nfds: usize) -> Self {
        for (word, first) in self.0.iter_mut().zip((0..).step_by(32)) {
            let bits = nfds.saturating_sub(first).min(32);
            *word &= if bits == 32 {
                u32::MAX
            } else {
                (1 << bits) - 1
            };
        }
        self
    }
}

/// Sleeps until a descriptor of `read` or `write` below `nfds` is ready, for at most `timeout`
/// (`None`: for ever). The sets then hold those that are; returns how many, 0 after the time-out.
/// Nothing is ever ready for `except`: urgent data is received in line.
///
/// Errors and ends make a descriptor ready for both, as calls on it would not sleep.
///
/// # Errors
/// `EBADF`: a descriptor of a set is not open; `EINVAL`: `nfds` is negative or above
/// [`FD_SETSIZE`]. The sets are as they were. `ENOBUFS`: more tasks sleep than the net has
/// waiters. `ENETDOWN`: no net was made the default one.
#[doc(alias = "lwip_select")]
pub fn select(
    nfds: i32,
    read: Option<&mut FdSet>,
    write: Option<&mut FdSet>,
    except: Option<&mut FdSet>,
    timeout: Option<Duration>,
) -> Result<usize, Errno> {
    let nfds = usize::try_from(nfds).map_err(|_| Errno::EINVAL)?;
    if nfds > FD_SETSIZE {
        return Err(Errno::EINVAL);
    }
    let wanted = |set: &Option<&mut FdSet>| set.as_deref().copied().unwrap_or_default().below(nfds);
    let unready = wanted(&except);
    let mut at = unready.first(0);
    while let Some(fd) = at {
        table::conn(fd as Fd)?;
        at = unready.first(fd + 1);
    }
    let mut set = Selected {
        read: wanted(&read),
        write: wanted(&write),
        found_read: FdSet::new(),
        found_write: FdSet::new(),
        is_bad: false,
    };
    Net::default_net()?.poll(&mut set, Patience::from_timeout(timeout))?;
    if set.is_bad {
        return Err(Errno::EBADF);
    }
    let results = [
        (read, set.found_read),
        (write, set.found_write),
        (except, FdSet::new()),
    ];
    let mut count = 0;
    for (set, found) in results {
        count += found.len();
        if let Some(set) = set {
            *set = found;
        }
    }
    Ok(count)
}

/// As [`select`]; there are no signals to mask.
///
/// # Errors
/// As [`select`].
pub fn pselect(
    nfds: i32,
    read: Option<&mut FdSet>,
    write: Option<&mut FdSet>,
    except: Option<&mut FdSet>,
    timeout: Option<Duration>,
) -> Result<usize, Errno> {
    select(nfds, read, write, except, timeout)
}

struct Selected {
    read: FdSet,
    write: FdSet,
    found_read: FdSet,
    found_write: FdSet,
    is_bad: bool,
}

impl Watch for Selected {
    fn next(&self, cs: CriticalSection<'_>, from: usize) -> Option<Watched> {
        let at = self.read.or(&self.write).first(from)?;
        // Below FD_SETSIZE.
        let conn = table::table(cs).and_then(|table| table.find(cs, at as Fd));
        let interest = Ready {
            read: self.read.has(at),
            write: self.write.has(at),
            ..Ready::NONE
        };
        Some(Watched { at, conn, interest })
    }

    fn found(&mut self, at: usize, ready: Option<Ready>) {
        let Some(ready) = ready else {
            self.is_bad = true;
            return;
        };
        let over = ready.error || ready.hang_up;
        // Below FD_SETSIZE, for it comes from a set.
        if self.read.has(at) && (ready.read || over) {
            let _ = self.found_read.insert(at as Fd);
        }
        if self.write.has(at) && (ready.write || over) {
            let _ = self.found_write.insert(at as Fd);
        }
    }
}
