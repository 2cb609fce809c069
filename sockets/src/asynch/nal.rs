//! The traits of `embedded-nal-async`, and those of TCP of `edge-nal`.
use core::net::SocketAddr;

use edge_nal::{Close, Readable, TcpAccept, TcpBind, TcpShutdown, TcpSplit};
use embedded_io_async::ErrorType;
use embedded_nal_async::{ConnectedUdp, UdpStack, UnconnectedUdp};
use gannet_core::tcp::Shutdown;
use gannet_netconn::{Error, Linger, Net};

use super::{TcpListener, TcpStream, UdpSocket};
use crate::io::IoError;

/// How many connections may wait to be accepted.
const BACKLOG: u16 = 8;

/// A net as the traits want it.
#[derive(Clone, Copy, Debug)]
pub struct Stack(&'static Net);

impl Stack {
    /// The stack behind `net`.
    pub const fn new(net: &'static Net) -> Self {
        Self(net)
    }

    pub(super) const fn net(&self) -> &'static Net {
        self.0
    }
}

impl embedded_nal_async::TcpConnect for Stack {
    type Error = IoError;
    type Connection<'a> = TcpStream;

    async fn connect(&self, remote: SocketAddr) -> Result<TcpStream, IoError> {
        TcpStream::connect_on(self.0, remote).await.map_err(IoError)
    }
}

impl UdpStack for Stack {
    type Error = IoError;
    type Connected = UdpSocket;
    type UniquelyBound = UdpSocket;
    type MultiplyBound = UdpSocket;

    async fn connect_from(
        &self,
        local: SocketAddr,
        remote: SocketAddr,
    ) -> Result<(SocketAddr, UdpSocket), IoError> {
        let socket = UdpSocket::bind_on(self.0, local).map_err(IoError)?;
        socket.connect(remote).map_err(IoError)?;
        Ok((socket.local_addr().map_err(IoError)?, socket))
    }

    async fn bind_single(&self, local: SocketAddr) -> Result<(SocketAddr, UdpSocket), IoError> {
        let socket = UdpSocket::bind_on(self.0, local).map_err(IoError)?;
        Ok((socket.local_addr().map_err(IoError)?, socket))
    }

    async fn bind_multiple(&self, local: SocketAddr) -> Result<UdpSocket, IoError> {
        UdpSocket::bind_on(self.0, local).map_err(IoError)
    }
}

impl ConnectedUdp for UdpSocket {
    type Error = IoError;

    async fn send(&mut self, data: &[u8]) -> Result<(), IoError> {
        self.send_to(data, None).await.map_err(IoError)
    }

    async fn receive_into(&mut self, buffer: &mut [u8]) -> Result<usize, IoError> {
        Ok(self.recv_from(buffer).await.map_err(IoError)?.len)
    }
}

impl UnconnectedUdp for UdpSocket {
    type Error = IoError;

    /// The stack chooses the source address by the route: `local` must be the socket's own, or
    /// have no address.
    async fn send(
        &mut self,
        local: SocketAddr,
        remote: SocketAddr,
        data: &[u8],
    ) -> Result<(), IoError> {
        let own = self.local_addr().map_err(IoError)?;
        let ports_differ = local.port() != own.port();
        let is_free = local.ip().is_unspecified() || own.ip().is_unspecified();
        if ports_differ || (!is_free && local.ip() != own.ip()) {
            return Err(IoError(Error::AddressNotAvailable));
        }
        self.send_to(data, Some(remote)).await.map_err(IoError)
    }

    async fn receive_into(
        &mut self,
        buffer: &mut [u8],
    ) -> Result<(usize, SocketAddr, SocketAddr), IoError> {
        let received = self.recv_from(buffer).await.map_err(IoError)?;
        Ok((received.len, received.to, received.from))
    }
}

impl edge_nal::TcpConnect for Stack {
    type Error = IoError;
    type Socket<'a> = TcpStream;

    async fn connect(&self, remote: SocketAddr) -> Result<TcpStream, IoError> {
        TcpStream::connect_on(self.0, remote).await.map_err(IoError)
    }
}

impl TcpBind for Stack {
    type Error = IoError;
    type Accept<'a> = TcpListener;

    async fn bind(&self, local: SocketAddr) -> Result<TcpListener, IoError> {
        TcpListener::bind_on(self.0, local, BACKLOG).map_err(IoError)
    }
}

impl TcpAccept for TcpListener {
    type Error = IoError;
    type Socket<'a> = TcpStream;

    async fn accept(&self) -> Result<(SocketAddr, TcpStream), IoError> {
        let (stream, peer) = Self::accept(self).await.map_err(IoError)?;
        Ok((peer, stream))
    }
}

impl Readable for TcpStream {
    async fn readable(&mut self) -> Result<(), IoError> {
        Self::readable(self).await.map_err(IoError)
    }
}

impl Readable for &TcpStream {
    async fn readable(&mut self) -> Result<(), IoError> {
        TcpStream::readable(self).await.map_err(IoError)
    }
}

impl TcpSplit for TcpStream {
    type Read<'a> = &'a Self;
    type Write<'a> = &'a Self;

    fn split(&mut self) -> (&Self, &Self) {
        (self, self)
    }
}

impl TcpShutdown for TcpStream {
    async fn close(&mut self, what: Close) -> Result<(), <Self as ErrorType>::Error> {
        let how = match what {
            Close::Read => Shutdown::Read,
            Close::Write => Shutdown::Write,
            Close::Both => Shutdown::Both,
        };
        self.shutdown(how).map_err(IoError)
    }

    /// Resets the connection; later calls are [`Error::Closed`].
    async fn abort(&mut self) -> Result<(), <Self as ErrorType>::Error> {
        let conn = self.netconn();
        conn.change_settings(|settings| settings.linger = Linger::Abort)
            .map_err(IoError)?;
        conn.close();
        Ok(())
    }
}
