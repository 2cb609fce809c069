//! Options: one type for each, which says of what type its values are.
//!
//! ```no_run
//! # use gannet_port_std as _;
//! use gannet_sockets::bsd::{Errno, Fd, getsockopt, setsockopt, sockopt};
//!
//! fn hurry(fd: Fd) -> Result<bool, Errno> {
//!     setsockopt(fd, sockopt::NoDelay, true)?;
//!     getsockopt(fd, sockopt::KeepAlive)
//! }
//! ```
use gannet_netconn::{Kind, Netconn};

use super::errno::Errno;
use super::socket::find;
use super::table::Fd;

mod ip;
mod socket;
mod tcp;

pub use ip::*;
pub use socket::*;
pub use tcp::*;

/// An option that can be read.
pub trait Get: of::Option {
    /// Reads it.
    #[doc(hidden)]
    fn get(self, conn: &Netconn, kind: Kind) -> Result<Self::Value, Errno>;
}

/// An option that can be set.
pub trait Set: of::Option {
    /// Sets it.
    #[doc(hidden)]
    fn set(self, conn: &Netconn, kind: Kind, value: Self::Value) -> Result<(), Errno>;
}

/// What all options have.
pub mod of {
    /// An option of a socket.
    pub trait Option: Copy {
        /// The type of its values.
        type Value;
    }
}

/// Reads an option.
///
/// # Errors
/// `ENOPROTOOPT`: the socket is not of the option's protocol. `EBADF`, `ENOTSOCK`.
#[doc(alias = "lwip_getsockopt")]
pub fn getsockopt<O: Get>(fd: Fd, option: O) -> Result<O::Value, Errno> {
    let (conn, kind) = find(fd)?;
    option.get(&conn, kind)
}

/// Sets an option.
///
/// # Errors
/// `ENOPROTOOPT`: the socket is not of the option's protocol. `EINVAL`: the value is out of range,
/// or the state does not fit. `EDOM`: a time-out is out of range. `EBADF`, `ENOTSOCK`.
#[doc(alias = "lwip_setsockopt")]
pub fn setsockopt<O: Set>(fd: Fd, option: O, value: O::Value) -> Result<(), Errno> {
    let (conn, kind) = find(fd)?;
    option.set(&conn, kind, value)
}

/// Declares options: name, type of the values, how to read and how to set.
macro_rules! options {
    ($(
        $(#[$attr:meta])*
        $name:ident: $value:ty $(, get $get:expr)? $(, set $set:expr)?;
    )*) => {$(
        $(#[$attr])*
        #[derive(Clone, Copy, Debug)]
        pub struct $name;

        impl super::of::Option for $name {
            type Value = $value;
        }

        $(impl super::Get for $name {
            fn get(self, conn: &Netconn, kind: Kind) -> Result<$value, Errno> {
                let get: fn(&Netconn, Kind) -> Result<$value, Errno> = $get;
                get(conn, kind)
            }
        })?

        $(impl super::Set for $name {
            fn set(self, conn: &Netconn, kind: Kind, value: $value) -> Result<(), Errno> {
                let set: fn(&Netconn, Kind, $value) -> Result<(), Errno> = $set;
                set(conn, kind, value)
            }
        })?
    )*};
}

use options;

/// # Errors
/// `ENOPROTOOPT`: another kind of socket.
fn only_ip_datagrams(kind: Kind) -> Result<(), Errno> {
    match kind {
        Kind::Udp | Kind::Raw(_) => Ok(()),
        _ => Err(Errno::ENOPROTOOPT),
    }
}

/// # Errors
/// `ENOPROTOOPT`: another kind of socket.
fn only(wanted: Kind, kind: Kind) -> Result<(), Errno> {
    if kind == wanted {
        Ok(())
    } else {
        Err(Errno::ENOPROTOOPT)
    }
}
