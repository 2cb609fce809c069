//! The UDP traits of `edge-nal`.
use core::net::{Ipv4Addr, Ipv6Addr, SocketAddr};

use edge_nal::{
    MulticastV4, MulticastV6, Readable, UdpBind, UdpConnect, UdpReceive, UdpSend, UdpSplit,
    UdpSplitMulticast,
};
use embedded_io_async::ErrorType;
use gannet_netconn::Error;

use super::{Stack, UdpSocket};
use crate::io::IoError;

impl UdpBind for Stack {
    type Error = IoError;
    type Socket<'a> = UdpSocket;

    async fn bind(&self, local: SocketAddr) -> Result<UdpSocket, IoError> {
        UdpSocket::bind_on(self.net(), local).map_err(IoError)
    }
}

impl UdpConnect for Stack {
    type Error = IoError;
    type Socket<'a> = UdpSocket;

    async fn connect(&self, local: SocketAddr, remote: SocketAddr) -> Result<UdpSocket, IoError> {
        let socket = UdpSocket::bind_on(self.net(), local).map_err(IoError)?;
        socket.connect(remote).map_err(IoError)?;
        Ok(socket)
    }
}

impl UdpSocket {
    /// As the trait wants it: a connected socket ignores `remote`.
    async fn send_ignoring(&self, remote: SocketAddr, data: &[u8]) -> Result<(), IoError> {
        let to = match self.netconn().peer_addr() {
            Ok(_) => None,
            Err(_) => Some(remote),
        };
        self.send_to(data, to).await.map_err(IoError)
    }

    async fn receive(&self, buffer: &mut [u8]) -> Result<(usize, SocketAddr), IoError> {
        let received = self.recv_from(buffer).await.map_err(IoError)?;
        // The whole length, by which the caller sees that some was cut off.
        Ok((received.datagram_len, received.from))
    }
}

impl ErrorType for UdpSocket {
    type Error = IoError;
}

impl ErrorType for &UdpSocket {
    type Error = IoError;
}

macro_rules! udp {
    ($($socket:ty),*) => {$(
        impl UdpReceive for $socket {
            async fn receive(&mut self, buf: &mut [u8]) -> Result<(usize, SocketAddr), IoError> {
                UdpSocket::receive(self, buf).await
            }
        }

        impl UdpSend for $socket {
            async fn send(&mut self, remote: SocketAddr, data: &[u8]) -> Result<(), IoError> {
                self.send_ignoring(remote, data).await
            }
        }

        impl Readable for $socket {
            async fn readable(&mut self) -> Result<(), IoError> {
                UdpSocket::readable(self).await.map_err(IoError)
            }
        }

        impl MulticastV4 for $socket {
            async fn join_v4(&mut self, group: Ipv4Addr, on: Ipv4Addr) -> Result<(), IoError> {
                self.netconn().join_multicast(group, on).map_err(IoError)
            }

            async fn leave_v4(&mut self, group: Ipv4Addr, on: Ipv4Addr) -> Result<(), IoError> {
                self.netconn().leave_multicast(group, on).map_err(IoError)
            }
        }

        /// There is no IPv6: [`Error::NotSupported`].
        impl MulticastV6 for $socket {
            async fn join_v6(&mut self, _: Ipv6Addr, _: u32) -> Result<(), IoError> {
                Err(IoError(Error::NotSupported))
            }

            async fn leave_v6(&mut self, _: Ipv6Addr, _: u32) -> Result<(), IoError> {
                Err(IoError(Error::NotSupported))
            }
        }
    )*};
}

udp!(UdpSocket, &UdpSocket);

impl UdpSplit for UdpSocket {
    type Receive<'a> = &'a Self;
    type Send<'a> = &'a Self;

    fn split(&mut self) -> (&Self, &Self) {
        (self, self)
    }
}

impl UdpSplitMulticast for UdpSocket {
    type MulticastV4<'a> = &'a Self;
    type MulticastV6<'a> = &'a Self;

    fn split_multicast(&mut self) -> (&Self, &Self, &Self, &Self) {
        (self, self, self, self)
    }
}
