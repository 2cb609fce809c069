//! TCP for tasks of an executor.
use core::net::SocketAddr;

use embedded_io_async::{ErrorType, Read, Write};
use gannet_core::tcp::Shutdown;
use gannet_netconn::{Error, Flow, Kind, Net, Netconn, Patience, Peek, Ready};

use crate::io::IoError;
use crate::options::owns_connection;

/// A TCP connection. Dropping it closes it; what was written still leaves.
///
/// ```no_run
/// # use gannet_port_std as _;
/// use gannet_sockets::{Error, asynch::TcpStream};
///
/// async fn daytime(server: core::net::SocketAddr, line: &mut [u8]) -> Result<usize, Error> {
///     let stream = TcpStream::connect(server).await?;
///     stream.read(line).await
/// }
/// ```
#[derive(Debug)]
pub struct TcpStream(pub(super) Netconn);

owns_connection!(TcpStream);

impl TcpStream {
    /// Connects over the default net.
    ///
    /// # Errors
    /// As [`crate::TcpStream::connect`].
    pub async fn connect(addr: SocketAddr) -> Result<Self, Error> {
        Self::connect_on(Net::default_net()?, addr).await
    }

    /// As [`TcpStream::connect`], over `net`.
    pub async fn connect_on(net: &'static Net, addr: SocketAddr) -> Result<Self, Error> {
        // Owned from here on: closed on any error, and if the future is dropped.
        let stream = Self(Netconn::new(net, Kind::Tcp)?);
        match stream.0.connect(addr, Patience::Never) {
            Err(Error::InProgress) => {}
            outcome => return outcome.map(|()| stream),
        }
        let is_there = || match stream.0.take_error()? {
            Some(error) => Err(error),
            None if stream.0.ready()?.write => Ok(()),
            None => Err(Error::WouldBlock),
        };
        stream.0.ready_for(Ready::WRITE, is_there).await?;
        Ok(stream)
    }

    /// Reads up to `buf.len()` bytes, at least one; 0: the end of the stream.
    ///
    /// # Errors
    /// As [`crate::TcpStream::read`].
    pub async fn read(&self, buf: &mut [u8]) -> Result<usize, Error> {
        let attempt = || self.0.recv_within(buf, Peek::Take, Patience::Never);
        self.0.ready_for(Ready::READ, attempt).await
    }

    /// Writes as much as there is room for, at least one byte.
    ///
    /// # Errors
    /// As [`crate::TcpStream::write`].
    pub async fn write(&self, data: &[u8]) -> Result<usize, Error> {
        let attempt = || self.0.send_within(data, Flow::Ends, Patience::Never);
        self.0.ready_for(Ready::WRITE, attempt).await
    }

    /// Waits until reading would not.
    pub async fn readable(&self) -> Result<(), Error> {
        self.0.readable().await
    }

    /// Closes one direction or both.
    pub fn shutdown(&self, how: Shutdown) -> Result<(), Error> {
        self.0.shutdown(how)
    }
}

impl ErrorType for TcpStream {
    type Error = IoError;
}

impl ErrorType for &TcpStream {
    type Error = IoError;
}

impl Read for &TcpStream {
    async fn read(&mut self, buf: &mut [u8]) -> Result<usize, IoError> {
        TcpStream::read(self, buf).await.map_err(IoError)
    }
}

impl Write for &TcpStream {
    async fn write(&mut self, buf: &[u8]) -> Result<usize, IoError> {
        TcpStream::write(self, buf).await.map_err(IoError)
    }

    /// Nothing to do: what was written is the stack's.
    async fn flush(&mut self) -> Result<(), IoError> {
        Ok(())
    }
}

impl Read for TcpStream {
    async fn read(&mut self, buf: &mut [u8]) -> Result<usize, IoError> {
        Self::read(self, buf).await.map_err(IoError)
    }
}

impl Write for TcpStream {
    async fn write(&mut self, buf: &[u8]) -> Result<usize, IoError> {
        Self::write(self, buf).await.map_err(IoError)
    }

    /// Nothing to do: what was written is the stack's.
    async fn flush(&mut self) -> Result<(), IoError> {
        Ok(())
    }
}

/// A listening TCP endpoint. Dropping it resets the connections that were not accepted.
#[derive(Debug)]
pub struct TcpListener(Netconn);

owns_connection!(TcpListener);

impl TcpListener {
    /// Listens on `addr` of `net` with `backlog` connections that may wait; port 0 picks one.
    ///
    /// # Errors
    /// As [`crate::TcpListener::bind`].
    pub fn bind_on(net: &'static Net, addr: SocketAddr, backlog: u16) -> Result<Self, Error> {
        // Owned from here on: closed on any error.
        let listener = Self(Netconn::new(net, Kind::Tcp)?);
        listener.0.bind(addr)?;
        listener.0.listen(backlog)?;
        Ok(listener)
    }

    /// The next connection and its peer.
    ///
    /// # Errors
    /// As [`crate::TcpListener::accept`].
    pub async fn accept(&self) -> Result<(TcpStream, SocketAddr), Error> {
        let attempt = || self.0.accept_within(Patience::Never);
        let stream = TcpStream(self.0.ready_for(Ready::READ, attempt).await?);
        let peer = stream.0.peer_addr()?;
        Ok((stream, peer))
    }
}
