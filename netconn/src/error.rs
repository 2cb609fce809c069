//! Why a call on a connection failed: the engine's errors, and those that only a thread can meet.
use core::fmt;

/// An error of the sequential API. The POSIX name behind each is what `sockets` reports.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Error {
    /// The connection was given up on this side (`ECONNABORTED`).
    Aborted,
    /// The address is not one of this host, or not a group it is in (`EADDRNOTAVAIL`).
    AddressNotAvailable,
    /// Connected already (`EISCONN`).
    AlreadyConnected,
    /// A connect is under way already (`EALREADY`).
    AlreadyInProgress,
    /// This side was shut down for sending, or the connection is over (`EPIPE`).
    BrokenPipe,
    /// The name is of a connection that was closed, perhaps during this call (`EBADF`).
    Closed,
    /// A broadcast without permission (`EACCES`).
    Denied,
    /// A router reported that the host cannot be reached (`EHOSTUNREACH`).
    HostUnreachable,
    /// A connect was started and goes on (`EINPROGRESS`).
    InProgress,
    /// Another endpoint has the address (`EADDRINUSE`).
    InUse,
    /// An argument is out of range, or the call does not fit the state (`EINVAL`).
    Invalid,
    /// The interface or its link is down (`ENETDOWN`).
    NetworkDown,
    /// No route leads there (`ENETUNREACH`).
    NetworkUnreachable,
    /// No buffer is free (`ENOBUFS`).
    NoBuffers,
    /// There is no such interface (`ENODEV`).
    NoInterface,
    /// Not connected (`ENOTCONN`).
    NotConnected,
    /// The call does not fit the kind of connection (`EOPNOTSUPP`).
    NotSupported,
    /// A router or the peer could not make sense of a packet's header (`EPROTO`).
    Protocol,
    /// The peer refused: nothing listens there (`ECONNREFUSED`).
    Refused,
    /// The peer reset the connection (`ECONNRESET`).
    Reset,
    /// The peer did not answer (`ETIMEDOUT`).
    TimedOut,
    /// The datagram is longer than can be sent (`EMSGSIZE`).
    TooLong,
    /// All connections (`ENFILE`) are taken.
    TooMany,
    /// Nothing can be done at once, or the time-out of the call passed (`EAGAIN`).
    WouldBlock,
}

impl From<gannet_core::Error> for Error {
    fn from(error: gannet_core::Error) -> Self {
        use gannet_core::Error as Core;
        match error {
            Core::Aborted => Self::Aborted,
            Core::AlreadyConnected => Self::AlreadyConnected,
            Core::Closed => Self::Closed,
            Core::Denied => Self::Denied,
            Core::InUse => Self::InUse,
            Core::LinkDown => Self::NetworkDown,
            Core::NoInterface => Self::NoInterface,
            Core::NoMemory => Self::NoBuffers,
            Core::NoRoute => Self::NetworkUnreachable,
            Core::NotMember => Self::AddressNotAvailable,
            Core::NotConnected => Self::NotConnected,
            Core::Protocol => Self::Protocol,
            Core::Refused => Self::Refused,
            Core::Reset => Self::Reset,
            Core::TimedOut => Self::TimedOut,
            Core::TooLong => Self::TooLong,
            Core::Unreachable => Self::HostUnreachable,
            // `Argument`, and whatever is added.
            _ => Self::Invalid,
        }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Aborted => "connection aborted",
            Self::AddressNotAvailable => "address not available",
            Self::AlreadyConnected => "already connected",
            Self::AlreadyInProgress => "connect already in progress",
            Self::BrokenPipe => "broken pipe",
            Self::Closed => "closed",
            Self::Denied => "permission denied",
            Self::HostUnreachable => "host unreachable",
            Self::InProgress => "connect in progress",
            Self::InUse => "address in use",
            Self::Invalid => "invalid argument",
            Self::NetworkDown => "network down",
            Self::NetworkUnreachable => "network unreachable",
            Self::NoBuffers => "out of buffers",
            Self::NoInterface => "no such interface",
            Self::NotConnected => "not connected",
            Self::NotSupported => "operation not supported",
            Self::Protocol => "protocol error",
            Self::Refused => "connection refused",
            Self::Reset => "connection reset by peer",
            Self::TimedOut => "connection timed out",
            Self::TooLong => "message too long",
            Self::TooMany => "too many connections",
            Self::WouldBlock => "would block",
        })
    }
}

impl core::error::Error for Error {}
