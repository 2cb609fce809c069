//! [`Errno`]: why a call failed, by its POSIX name, with the number Linux gives it.
use core::fmt;

use gannet_netconn::Error;

macro_rules! errnos {
    ($($(#[$attr:meta])* $name:ident = $number:literal, $text:literal;)*) => {
        /// The errors of the calls in this module. `as i32` is the number of Linux.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        #[non_exhaustive]
        #[repr(i32)]
        pub enum Errno {
            $($(#[$attr])* #[doc = $text] $name = $number,)*
        }

        impl fmt::Display for Errno {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(match self {
                    $(Self::$name => $text,)*
                })
            }
        }
    };
}

errnos! {
    EBADF = 9, "bad descriptor";
    /// Also `EWOULDBLOCK`.
    EAGAIN = 11, "resource temporarily unavailable";
    EACCES = 13, "permission denied";
    ENODEV = 19, "no such device";
    EINVAL = 22, "invalid argument";
    ENFILE = 23, "too many connections in the net";
    EMFILE = 24, "too many descriptors";
    ENOTTY = 25, "inappropriate control operation";
    ENOSPC = 28, "no space left";
    EPIPE = 32, "broken pipe";
    EDOM = 33, "argument out of domain";
    EPROTO = 71, "protocol error";
    ENOTSOCK = 88, "not a socket";
    EDESTADDRREQ = 89, "destination address required";
    EMSGSIZE = 90, "message too long";
    EPROTOTYPE = 91, "wrong protocol type for socket";
    ENOPROTOOPT = 92, "protocol not available";
    EPROTONOSUPPORT = 93, "protocol not supported";
    EOPNOTSUPP = 95, "operation not supported";
    EAFNOSUPPORT = 97, "address family not supported";
    EADDRINUSE = 98, "address in use";
    EADDRNOTAVAIL = 99, "address not available";
    ENETDOWN = 100, "network down";
    ENETUNREACH = 101, "network unreachable";
    ECONNABORTED = 103, "connection aborted";
    ECONNRESET = 104, "connection reset by peer";
    ENOBUFS = 105, "no buffer space";
    EISCONN = 106, "already connected";
    ENOTCONN = 107, "not connected";
    ETIMEDOUT = 110, "connection timed out";
    ECONNREFUSED = 111, "connection refused";
    EHOSTUNREACH = 113, "host unreachable";
    EALREADY = 114, "connection already in progress";
    EINPROGRESS = 115, "connection in progress";
}

impl Errno {
    /// The other POSIX name of [`Errno::EAGAIN`].
    pub const EWOULDBLOCK: Self = Self::EAGAIN;
}

impl core::error::Error for Errno {}

impl From<Error> for Errno {
    fn from(error: Error) -> Self {
        match error {
            Error::Aborted => Self::ECONNABORTED,
            Error::AddressNotAvailable => Self::EADDRNOTAVAIL,
            Error::AlreadyConnected => Self::EISCONN,
            Error::AlreadyInProgress => Self::EALREADY,
            Error::BrokenPipe => Self::EPIPE,
            Error::Closed => Self::EBADF,
            Error::Denied => Self::EACCES,
            Error::HostUnreachable => Self::EHOSTUNREACH,
            Error::InProgress => Self::EINPROGRESS,
            Error::InUse => Self::EADDRINUSE,
            Error::NetworkDown => Self::ENETDOWN,
            Error::NetworkUnreachable => Self::ENETUNREACH,
            Error::NoBuffers => Self::ENOBUFS,
            Error::NoInterface => Self::ENODEV,
            Error::NotConnected => Self::ENOTCONN,
            Error::NotSupported => Self::EOPNOTSUPP,
            Error::Protocol => Self::EPROTO,
            Error::Refused => Self::ECONNREFUSED,
            Error::Reset => Self::ECONNRESET,
            Error::TimedOut => Self::ETIMEDOUT,
            Error::TooLong => Self::EMSGSIZE,
            Error::TooMany => Self::ENFILE,
            Error::WouldBlock => Self::EAGAIN,
            // `Invalid`, and whatever is added.
            _ => Self::EINVAL,
        }
    }
}
