//! What all sockets have in common: they own a connection, and have its options. Each gets the same
//! methods from here, so that there is one way to do a thing.
use core::time::Duration;

use gannet_netconn::{Error, Netconn};

/// Declares the methods of a type that owns a [`Netconn`] as its only field, and closes it when
/// dropped.
macro_rules! owns_connection {
    ($socket:ident) => {
        impl $socket {
            /// The connection underneath, for `poll` and all that is not wrapped; still owned by
            /// the socket.
            pub const fn netconn(&self) -> ::gannet_netconn::Netconn {
                self.0
            }

            /// Closes now, from any task; calls that sleep in it return
            /// [`Error::Closed`](::gannet_netconn::Error::Closed), as do all later ones.
            pub fn close(&self) {
                self.0.close();
            }

            /// The local address.
            pub fn local_addr(&self) -> Result<::core::net::SocketAddr, ::gannet_netconn::Error> {
                self.0.local_addr()
            }

            /// Takes the error that waits to be told (`SO_ERROR`).
            pub fn take_error(
                &self,
            ) -> Result<Option<::gannet_netconn::Error>, ::gannet_netconn::Error> {
                self.0.take_error()
            }
        }

        impl Drop for $socket {
            fn drop(&mut self) {
                self.0.close();
            }
        }
    };
}

/// Declares how long the calls of a blocking socket sleep.
macro_rules! blocks {
    ($socket:ident) => {
        impl $socket {
            /// Whether calls return
            /// [`Error::WouldBlock`](::gannet_netconn::Error::WouldBlock) instead of sleeping.
            pub fn set_nonblocking(
                &self,
                nonblocking: bool,
            ) -> Result<(), ::gannet_netconn::Error> {
                self.0
                    .change_settings(|settings| settings.nonblocking = nonblocking)
            }
        }
    };
    ($socket:ident both ways) => {
        crate::options::blocks!($socket);

        impl $socket {
            /// How long receiving may sleep; `None`: for ever.
            ///
            /// # Errors
            /// [`Error::Invalid`](::gannet_netconn::Error::Invalid): zero.
            pub fn set_read_timeout(
                &self,
                timeout: Option<::core::time::Duration>,
            ) -> Result<(), ::gannet_netconn::Error> {
                crate::options::set_recv_timeout(&self.0, timeout)
            }

            /// How long sending may sleep; `None`: for ever.
            ///
            /// # Errors
            /// [`Error::Invalid`](::gannet_netconn::Error::Invalid): zero.
            pub fn set_write_timeout(
                &self,
                timeout: Option<::core::time::Duration>,
            ) -> Result<(), ::gannet_netconn::Error> {
                crate::options::set_send_timeout(&self.0, timeout)
            }

            /// How long receiving may sleep.
            pub fn read_timeout(
                &self,
            ) -> Result<Option<::core::time::Duration>, ::gannet_netconn::Error> {
                Ok(self.0.settings()?.recv_timeout)
            }

            /// How long sending may sleep.
            pub fn write_timeout(
                &self,
            ) -> Result<Option<::core::time::Duration>, ::gannet_netconn::Error> {
                Ok(self.0.settings()?.send_timeout)
            }
        }
    };
}

/// Declares the methods of a socket that may be connected to a peer and exchanges datagrams.
macro_rules! has_peer {
    ($socket:ident) => {
        impl $socket {
            /// The connected peer.
            ///
            /// # Errors
            /// [`Error::NotConnected`](::gannet_netconn::Error::NotConnected).
            pub fn peer_addr(&self) -> Result<::core::net::SocketAddr, ::gannet_netconn::Error> {
                self.0.peer_addr()
            }

            /// Whether datagrams may be sent to broadcast addresses (`SO_BROADCAST`).
            pub fn set_broadcast(&self, broadcast: bool) -> Result<(), ::gannet_netconn::Error> {
                self.0
                    .change_settings(|settings| settings.broadcast = broadcast)
            }

            /// Whether ICMP errors are kept for `take_icmp_error`, and told without a connected
            /// peer, too (`IP_RECVERR`).
            pub fn set_recv_errors(&self, on: bool) -> Result<(), ::gannet_netconn::Error> {
                self.0.set_recv_errors(on)
            }

            /// Takes the oldest ICMP error that was kept (`MSG_ERRQUEUE`); does not sleep. Of more
            /// than four the oldest are lost.
            pub fn take_icmp_error(
                &self,
            ) -> Result<Option<::gannet_netconn::IcmpReport>, ::gannet_netconn::Error> {
                self.0.take_icmp_error()
            }

            /// Hops a datagram may take; `None`: the stack's default (`IP_TTL`).
            pub fn set_ttl(
                &self,
                ttl: Option<::core::num::NonZeroU8>,
            ) -> Result<(), ::gannet_netconn::Error> {
                self.0.change_settings(|settings| settings.ttl = ttl)
            }
        }
    };
}

pub(crate) use {blocks, has_peer, owns_connection};

pub(crate) fn set_recv_timeout(conn: &Netconn, timeout: Option<Duration>) -> Result<(), Error> {
    check(timeout)?;
    conn.change_settings(|settings| settings.recv_timeout = timeout)
}

pub(crate) fn set_send_timeout(conn: &Netconn, timeout: Option<Duration>) -> Result<(), Error> {
    check(timeout)?;
    conn.change_settings(|settings| settings.send_timeout = timeout)
}

/// As std does: a time-out of zero would mean for ever to POSIX and at once to people.
fn check(timeout: Option<Duration>) -> Result<(), Error> {
    if timeout == Some(Duration::ZERO) {
        Err(Error::Invalid)
    } else {
        Ok(())
    }
}
