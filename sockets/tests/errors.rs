//! One error by all its names: of the stack, of POSIX and Linux, of `embedded-io`, of
//! `embedded-nal`; and what people read.
use std::collections::HashSet;

use embedded_io::{Error as _, ErrorKind as Io};
use gannet_port_std as _;
use gannet_sockets::Error;
use gannet_sockets::bsd::{EaiError, Errno};
use gannet_sockets::io::IoError;
use std::io::ErrorKind as Std;

/// Each error with its POSIX name, what std makes of Linux's number for that name (`None`: no kind
/// of its own), and its kind in `embedded-io`.
const NAMES: [(Error, Errno, Option<Std>, Io); 24] = [
    (
        Error::Aborted,
        Errno::ECONNABORTED,
        Some(Std::ConnectionAborted),
        Io::ConnectionAborted,
    ),
    (
        Error::AddressNotAvailable,
        Errno::EADDRNOTAVAIL,
        Some(Std::AddrNotAvailable),
        Io::AddrNotAvailable,
    ),
    (Error::AlreadyConnected, Errno::EISCONN, None, Io::Other),
    (Error::AlreadyInProgress, Errno::EALREADY, None, Io::Other),
    (
        Error::BrokenPipe,
        Errno::EPIPE,
        Some(Std::BrokenPipe),
        Io::BrokenPipe,
    ),
    (Error::Closed, Errno::EBADF, None, Io::NotConnected),
    (
        Error::Denied,
        Errno::EACCES,
        Some(Std::PermissionDenied),
        Io::PermissionDenied,
    ),
    (
        Error::HostUnreachable,
        Errno::EHOSTUNREACH,
        Some(Std::HostUnreachable),
        Io::Other,
    ),
    (Error::InProgress, Errno::EINPROGRESS, None, Io::Other),
    (
        Error::InUse,
        Errno::EADDRINUSE,
        Some(Std::AddrInUse),
        Io::AddrInUse,
    ),
    (
        Error::Invalid,
        Errno::EINVAL,
        Some(Std::InvalidInput),
        Io::InvalidInput,
    ),
    (
        Error::NetworkDown,
        Errno::ENETDOWN,
        Some(Std::NetworkDown),
        Io::Other,
    ),
    (
        Error::NetworkUnreachable,
        Errno::ENETUNREACH,
        Some(Std::NetworkUnreachable),
        Io::Other,
    ),
    (Error::NoBuffers, Errno::ENOBUFS, None, Io::OutOfMemory),
    (Error::NoInterface, Errno::ENODEV, None, Io::Other),
    (
        Error::NotConnected,
        Errno::ENOTCONN,
        Some(Std::NotConnected),
        Io::NotConnected,
    ),
    (
        Error::NotSupported,
        Errno::EOPNOTSUPP,
        Some(Std::Unsupported),
        Io::Unsupported,
    ),
    (
        Error::Refused,
        Errno::ECONNREFUSED,
        Some(Std::ConnectionRefused),
        Io::ConnectionRefused,
    ),
    (
        Error::Reset,
        Errno::ECONNRESET,
        Some(Std::ConnectionReset),
        Io::ConnectionReset,
    ),
    (Error::Protocol, Errno::EPROTO, None, Io::Other),
    (
        Error::TimedOut,
        Errno::ETIMEDOUT,
        Some(Std::TimedOut),
        Io::TimedOut,
    ),
    (Error::TooLong, Errno::EMSGSIZE, None, Io::Other),
    (Error::TooMany, Errno::ENFILE, None, Io::Other),
    (
        Error::WouldBlock,
        Errno::EAGAIN,
        Some(Std::WouldBlock),
        Io::TimedOut,
    ),
];

/// Those that calls find out themselves, with the words Linux has for them.
const OF_CALLS: [(Errno, &str); 12] = [
    (Errno::EMFILE, "Too many open files"),
    (Errno::ENOTTY, "Inappropriate ioctl for device"),
    (Errno::ENOSPC, "No space left on device"),
    (Errno::EDOM, "Numerical argument out of domain"),
    (Errno::ENOTSOCK, "Socket operation on non-socket"),
    (Errno::EDESTADDRREQ, "Destination address required"),
    (Errno::EPROTOTYPE, "Protocol wrong type for socket"),
    (Errno::ENOPROTOOPT, "Protocol not available"),
    (Errno::EPROTONOSUPPORT, "Protocol not supported"),
    (
        Errno::EAFNOSUPPORT,
        "Address family not supported by protocol",
    ),
    (Errno::EBADF, "Bad file descriptor"),
    (Errno::EISCONN, "Transport endpoint is already connected"),
];

#[test]
fn an_error_has_one_name_in_each_interface() {
    for (error, errno, _, io) in NAMES {
        assert_eq!(Errno::from(error), errno);
        assert_eq!(IoError(error).kind(), io, "{error:?}");
    }
    assert_eq!(Errno::EWOULDBLOCK, Errno::EAGAIN);
}

#[test]
#[cfg(target_os = "linux")]
fn numbers_are_those_of_linux() {
    let of = |errno: Errno| std::io::Error::from_raw_os_error(errno as i32);
    for (_, errno, std, _) in NAMES {
        if let Some(kind) = std {
            assert_eq!(of(errno).kind(), kind, "{errno:?}");
        }
    }
    for (errno, text) in OF_CALLS {
        let linux = of(errno).to_string();
        assert!(linux.starts_with(text), "{errno:?}: {linux}");
    }
}

#[test]
fn texts_tell_errors_apart() {
    let errors: HashSet<_> = NAMES.iter().map(|(error, ..)| error.to_string()).collect();
    assert_eq!(errors.len(), NAMES.len());
    for (error, ..) in NAMES {
        assert_eq!(IoError(error).to_string(), error.to_string());
    }
    let of_stack = NAMES.iter().map(|(_, errno, ..)| *errno);
    let errnos: HashSet<_> = of_stack.chain(OF_CALLS.map(|(errno, _)| errno)).collect();
    let texts: HashSet<_> = errnos.iter().map(Errno::to_string).collect();
    assert_eq!(texts.len(), errnos.len());
    assert!(!texts.contains(""));
    let eai = [
        EaiError::NoName,
        EaiError::Service,
        EaiError::Family,
        EaiError::SockType,
    ];
    let texts: HashSet<_> = eai.iter().map(EaiError::to_string).collect();
    assert_eq!(texts.len(), eai.len());
    assert_eq!(EaiError::NoName.to_string(), "name or service not known");
    assert_eq!(
        Errno::EAGAIN.to_string(),
        "resource temporarily unavailable"
    );
}

#[cfg(feature = "embedded-nal")]
#[test]
fn embedded_nal_wants_to_know_which_connections_are_over() {
    use embedded_nal::{TcpError, TcpErrorKind};
    let over = [
        Error::Aborted,
        Error::BrokenPipe,
        Error::Closed,
        Error::NotConnected,
        Error::Reset,
        Error::TimedOut,
    ];
    for (error, ..) in NAMES {
        let kind = match over.contains(&error) {
            true => TcpErrorKind::PipeClosed,
            false => TcpErrorKind::Other,
        };
        assert_eq!(
            gannet_sockets::nal::NalError(error).kind(),
            kind,
            "{error:?}"
        );
    }
}
