//! [`BufStream`]: reads a TCP stream where it was received, without copying.
use embedded_io::{BufRead, ErrorType, Read, ReadReady, Write, WriteReady};
use gannet_core::Pbuf;

use crate::TcpStream;
use crate::io::IoError;

/// Bytes taken from the receive queue at a time. They are still in their buffers, which is why it
/// is not more.
pub(crate) const AT_ONCE: usize = 4096;

/// A stream whose [`BufRead::fill_buf`] lends the bytes out of the buffers they were received in.
///
/// Made of a [`TcpStream`], or of a reference to one: as tasks share a stream by sharing references,
/// the bytes that one has taken to look at are in its own `BufStream`.
///
/// ```no_run
/// use embedded_io::BufRead;
/// use gannet_sockets::{BufStream, TcpStream};
/// # use gannet_port_std as _;
///
/// /// Skips a line.
/// fn skip_line(stream: &mut BufStream<&TcpStream>) -> Result<(), gannet_sockets::io::IoError> {
///     loop {
///         let bytes = stream.fill_buf()?;
///         let end = bytes.iter().position(|byte| *byte == b'\n');
///         let (done, n) = (end.is_some() || bytes.is_empty(), end.map_or(bytes.len(), |n| n + 1));
///         stream.consume(n);
///         if done {
///             return Ok(());
///         }
///     }
/// }
/// ```
#[derive(Debug)]
pub struct BufStream<S> {
    stream: S,
    /// Taken from the stream and not consumed.
    current: Option<Pbuf>,
}

impl<S> BufStream<S> {
    /// Reads from `stream`.
    pub const fn new(stream: S) -> Self {
        let current = None;
        Self { stream, current }
    }

    /// The stream. Bytes that [`BufRead::fill_buf`] has lent and that were not consumed are not in
    /// it any more.
    pub const fn stream(&self) -> &S {
        &self.stream
    }

    /// The stream; what was not consumed comes with it.
    pub fn into_parts(self) -> (S, Option<Pbuf>) {
        (self.stream, self.current)
    }

    /// Bytes at hand.
    pub(crate) fn at_hand(&self) -> &[u8] {
        let mut parts = self.current.iter().flat_map(Pbuf::parts);
        parts.find(|part| !part.is_empty()).unwrap_or_default()
    }

    /// The next bytes to lend; `None`: the end of the stream.
    pub(crate) fn take_in(&mut self, data: Option<Pbuf>) {
        self.current = data;
    }

    pub(crate) fn consumed(&mut self, n: usize) {
        let Some(current) = &mut self.current else {
            return;
        };
        current.advance(n);
        if current.is_empty() {
            self.current = None;
        }
    }

    /// Copies bytes at hand to `buf`; how many.
    pub(crate) fn copy_out(&mut self, buf: &mut [u8]) -> usize {
        let n = self
            .current
            .as_ref()
            .map_or(0, |current| current.copy_to(0, buf));
        self.consumed(n);
        n
    }
}

impl<S> ErrorType for BufStream<S> {
    type Error = IoError;
}

macro_rules! blocking {
    ($($stream:ty),*) => {$(
        impl BufRead for BufStream<$stream> {
            /// Bytes at hand, else the next ones received; sleeps until there are some. None: the
            /// end of the stream.
            fn fill_buf(&mut self) -> Result<&[u8], IoError> {
                if self.current.is_none() {
                    let conn = self.stream.netconn();
                    let patience = conn.recv_patience().map_err(IoError)?;
                    let data = conn.recv_pbuf(AT_ONCE, patience).map_err(IoError)?;
                    self.take_in(data);
                }
                Ok(self.at_hand())
            }

            fn consume(&mut self, n: usize) {
                self.consumed(n);
            }
        }

        impl Read for BufStream<$stream> {
            fn read(&mut self, buf: &mut [u8]) -> Result<usize, IoError> {
                match self.copy_out(buf) {
                    0 => Read::read(&mut self.stream, buf),
                    n => Ok(n),
                }
            }
        }

        impl Write for BufStream<$stream> {
            fn write(&mut self, buf: &[u8]) -> Result<usize, IoError> {
                Write::write(&mut self.stream, buf)
            }

            fn flush(&mut self) -> Result<(), IoError> {
                Write::flush(&mut self.stream)
            }
        }

        impl ReadReady for BufStream<$stream> {
            fn read_ready(&mut self) -> Result<bool, IoError> {
                let ready = self.stream.netconn().ready().map_err(IoError)?;
                Ok(self.current.is_some() || ready.read)
            }
        }

        impl WriteReady for BufStream<$stream> {
            fn write_ready(&mut self) -> Result<bool, IoError> {
                Ok(self.stream.netconn().ready().map_err(IoError)?.write)
            }
        }
    )*};
}

blocking!(TcpStream, &TcpStream);
