//! `fcntl` and `ioctl`.
use super::errno::Errno;
use super::flags::{O_NONBLOCK, O_RDWR, StatusFlags};
use super::socket::find;
use super::table::{self, Fd};

/// What [`fcntl`] does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fcntl {
    /// Tells the status (`F_GETFL`).
    GetFl,
    /// Sets the status; only [`O_NONBLOCK`] can change (`F_SETFL`).
    SetFl(StatusFlags),
    /// The lowest free descriptor from this one on, for the same connection (`F_DUPFD`).
    DupFd(Fd),
}

/// What [`ioctl`] does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ioctl {
    /// Bytes that can be received at once; UDP: those of the next datagram (`FIONREAD`).
    FionRead,
    /// Sets whether calls do not sleep; returns 0 (`FIONBIO`).
    FionBio(bool),
    /// TCP: bytes written that the peer has not acknowledged (`SIOCOUTQ`).
    SiocOutQ,
    /// Whether urgent data comes next: never, it is received in line; returns 0 (`SIOCATMARK`).
    SiocAtMark,
}

/// Controls a descriptor. Returns 0, the [`StatusFlags::bits`] or the new descriptor.
///
/// # Errors
/// `EBADF`. [`Fcntl::DupFd`]: `EINVAL`: negative. `EMFILE`.
#[doc(alias = "lwip_fcntl")]
pub fn fcntl(fd: Fd, what: Fcntl) -> Result<i32, Errno> {
    let conn = table::conn(fd)?;
    match what {
        Fcntl::GetFl => {
            let nonblocking = conn.settings()?.nonblocking;
            let flags = if nonblocking {
                O_RDWR | O_NONBLOCK
            } else {
                O_RDWR
            };
            i32::try_from(flags.bits()).map_err(|_| Errno::EINVAL)
        }
        Fcntl::SetFl(flags) => {
            let nonblocking = flags.contains(O_NONBLOCK);
            conn.change_settings(|settings| settings.nonblocking = nonblocking)?;
            Ok(0)
        }
        Fcntl::DupFd(from) if from < 0 => Err(Errno::EINVAL),
        Fcntl::DupFd(from) => table::dup_from(fd, from),
    }
}

/// Asks about a socket, or controls it.
///
/// # Errors
/// `EBADF`. `ENOTSOCK`: an event. `EOPNOTSUPP`: [`Ioctl::SiocOutQ`] for UDP.
#[doc(alias = "lwip_ioctl")]
pub fn ioctl(fd: Fd, what: Ioctl) -> Result<i32, Errno> {
    if let Ioctl::FionBio(nonblocking) = what {
        let conn = table::conn(fd)?;
        conn.change_settings(|settings| settings.nonblocking = nonblocking)?;
        return Ok(0);
    }
    let (conn, kind) = find(fd)?;
    let bytes = match what {
        Ioctl::FionRead => conn.available()?,
        Ioctl::SiocOutQ if kind.is_datagram() => return Err(Errno::EOPNOTSUPP),
        Ioctl::SiocOutQ => conn.unacknowledged()?,
        Ioctl::SiocAtMark | Ioctl::FionBio(_) => 0,
    };
    Ok(i32::try_from(bytes).unwrap_or(i32::MAX))
}
