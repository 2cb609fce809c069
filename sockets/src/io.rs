//! The traits of `embedded-io` for [`TcpStream`].
use embedded_io::{ErrorKind, ErrorType, Read, ReadReady, Write, WriteReady};

use crate::{Error, TcpStream};

/// [`Error`] as `embedded-io` wants it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct IoError(pub Error);

impl core::fmt::Display for IoError {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        self.0.fmt(f)
    }
}

impl core::error::Error for IoError {}

impl embedded_io::Error for IoError {
    fn kind(&self) -> ErrorKind {
        match self.0 {
            Error::Aborted => ErrorKind::ConnectionAborted,
            Error::AddressNotAvailable => ErrorKind::AddrNotAvailable,
            Error::BrokenPipe => ErrorKind::BrokenPipe,
            Error::Denied => ErrorKind::PermissionDenied,
            Error::InUse => ErrorKind::AddrInUse,
            Error::Invalid => ErrorKind::InvalidInput,
            Error::NoBuffers => ErrorKind::OutOfMemory,
            Error::Closed | Error::NotConnected => ErrorKind::NotConnected,
            Error::NotSupported => ErrorKind::Unsupported,
            Error::Refused => ErrorKind::ConnectionRefused,
            Error::Reset => ErrorKind::ConnectionReset,
            Error::TimedOut | Error::WouldBlock => ErrorKind::TimedOut,
            _ => ErrorKind::Other,
        }
    }
}

impl ErrorType for TcpStream {
    type Error = IoError;
}

impl ErrorType for &TcpStream {
    type Error = IoError;
}

impl Read for &TcpStream {
    fn read(&mut self, buf: &mut [u8]) -> Result<usize, IoError> {
        TcpStream::read(self, buf).map_err(IoError)
    }
}

impl Write for &TcpStream {
    fn write(&mut self, buf: &[u8]) -> Result<usize, IoError> {
        TcpStream::write(self, buf).map_err(IoError)
    }

    /// Nothing to do: what was written is the stack's.
    fn flush(&mut self) -> Result<(), IoError> {
        Ok(())
    }
}

impl Read for TcpStream {
    fn read(&mut self, buf: &mut [u8]) -> Result<usize, IoError> {
        Self::read(self, buf).map_err(IoError)
    }
}

impl Write for TcpStream {
    fn write(&mut self, buf: &[u8]) -> Result<usize, IoError> {
        Self::write(self, buf).map_err(IoError)
    }

    /// Nothing to do: what was written is the stack's.
    fn flush(&mut self) -> Result<(), IoError> {
        Ok(())
    }
}

impl ReadReady for TcpStream {
    fn read_ready(&mut self) -> Result<bool, IoError> {
        self.netconn()
            .ready()
            .map(|ready| ready.read)
            .map_err(IoError)
    }
}

impl WriteReady for TcpStream {
    fn write_ready(&mut self) -> Result<bool, IoError> {
        self.netconn()
            .ready()
            .map(|ready| ready.write)
            .map_err(IoError)
    }
}
