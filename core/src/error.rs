//! The errors of the raw API, one for each of lwIP's `err_t` values that can still occur.
use core::fmt;

/// Why a call on the stack failed, or why a connection died.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Error {
    /// Given up locally: own abort, or a limit of the stack (`ERR_ABRT`).
    Aborted,
    /// The connection is being or has been opened already (`ERR_ISCONN`).
    AlreadyConnected,
    /// An argument is out of its documented range (`ERR_ARG`, `ERR_VAL`).
    Argument,
    /// The handle's object no longer exists, or its sending side is closed (`ERR_CLSD`).
    Closed,
    /// The destination is a broadcast address, and broadcasts were not allowed (`EACCES`).
    Denied,
    /// Another socket uses the address (`ERR_USE`).
    InUse,
    /// The interface, or its link, is down (`ERR_IF`).
    LinkDown,
    /// No control block, buffer or room in a queue is free; worth trying again (`ERR_MEM`).
    NoMemory,
    /// There is no such interface (`ERR_IF`).
    NoInterface,
    /// No route leads to the destination (`ERR_RTE`).
    NoRoute,
    /// The operation needs a connected socket (`ERR_CONN`).
    NotConnected,
    /// The group was not joined (`ERR_VAL`).
    NotMember,
    /// A router or the peer could not make sense of a packet's header (`EPROTO`).
    Protocol,
    /// The peer answered that nothing listens there (`ERR_RST` while connecting, or ICMP port
    /// unreachable).
    Refused,
    /// The peer reset the connection (`ERR_RST`).
    Reset,
    /// The peer did not answer within the limits of the retransmission timers (`ERR_TIMEOUT`).
    TimedOut,
    /// The datagram is larger than can be sent (`EMSGSIZE`).
    TooLong,
    /// A router reported that the host cannot be reached.
    Unreachable,
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Aborted => "connection aborted",
            Self::AlreadyConnected => "already connected",
            Self::Argument => "invalid argument",
            Self::Closed => "closed",
            Self::Denied => "broadcast not allowed",
            Self::InUse => "address in use",
            Self::LinkDown => "interface down",
            Self::NoMemory => "out of buffers",
            Self::NoInterface => "no such interface",
            Self::NoRoute => "no route to the destination",
            Self::NotConnected => "not connected",
            Self::NotMember => "not a member of the group",
            Self::Protocol => "protocol error",
            Self::Refused => "connection refused",
            Self::Reset => "connection reset by peer",
            Self::TimedOut => "timed out",
            Self::TooLong => "message too long",
            Self::Unreachable => "host unreachable",
        })
    }
}

impl core::error::Error for Error {}
