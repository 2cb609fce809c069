//! The UDP traits of `edge-nal`. Those of TCP are in `nal`.
use core::net::{Ipv4Addr, Ipv6Addr, SocketAddr};

use edge_nal::{
    MulticastV4, MulticastV6, Readable, UdpBind, UdpConnect, UdpReceive, UdpSend, UdpSplit,
    UdpSplitMulticast,
};
use embedded_io_async::ErrorType;
use gannet_netconn::Error;

use super::{Stack, UdpSocket};
use crate::io::IoError;

impl UdpConnect for Stack {
    type Error = IoError;
    type Socket<'a> = UdpSocket;

    async fn connect(&self, local: SocketAddr, remote: SocketAddr) -> Result<UdpSocket, IoError> {
        let socket = UdpSocket::bind_on(self.net(), local).map_err(IoError)?;
        socket.connect(remote).map_err(IoError)?;
        Ok(socket)
    }
}

impl UdpBind for Stack {
    type Error = IoError;
    type Socket<'a> = UdpSocket;

    async fn bind(&self, local: SocketAddr) -> Result<UdpSocket, IoError> {
        UdpSocket::bind_on(self.net(), local).map_err(IoError)
    }
}

impl ErrorType for UdpSocket {
    type Error = IoError;
}

impl ErrorType for &UdpSocket {
    type Error = IoError;
}

/// The traits of a socket and of its parts, which are references to it.
macro_rules! traits {
    ($($socket:ty),*) => {$(
        impl UdpReceive for $socket {
            async fn receive(&mut self, buffer: &mut [u8]) -> Result<(usize, SocketAddr), IoError> {
                let received = self.recv_from(buffer).await.map_err(IoError)?;
                Ok((received.datagram_len, received.from))
            }
        }

        impl UdpSend for $socket {
            async fn send(&mut self, remote: SocketAddr, data: &[u8]) -> Result<(), IoError> {
                let to = self.peer_addr().is_err().then_some(remote);
                self.send_to(data, to).await.map_err(IoError)
            }
        }

        impl Readable for $socket {
            async fn readable(&mut self) -> Result<(), IoError> {
                UdpSocket::readable(self).await.map_err(IoError)
            }
        }

        impl MulticastV4 for $socket {
            async fn join_v4(&mut self, group: Ipv4Addr, on: Ipv4Addr) -> Result<(), IoError> {
                self.join_multicast(group, on).map_err(IoError)
            }

            async fn leave_v4(&mut self, group: Ipv4Addr, on: Ipv4Addr) -> Result<(), IoError> {
                self.leave_multicast(group, on).map_err(IoError)
            }
        }

        /// [`Error::NotSupported`]: the stack has IPv4 only so far.
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

traits!(UdpSocket, &UdpSocket);

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
