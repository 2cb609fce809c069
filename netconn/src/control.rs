//! The calls that change what a connection is: bind, connect, listen. They are carried out by the
//! tcpip thread, and their callers sleep until it has answered.
use core::net::{Ipv4Addr, SocketAddr};

use critical_section::CriticalSection;
use gannet_core::Via;
use gannet_core::wire::ipv4::Protocol;

use crate::error::Error;
use crate::netconn::Netconn;
use crate::shared::{Phase, Requests, Shared, Side};
use crate::wait::{Borrowed, Patience};

/// What a connection is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A TCP connection or listener (`NETCONN_TCP`).
    Tcp,
    /// A UDP endpoint (`NETCONN_UDP`).
    Udp,
    /// A raw IP endpoint for packets of a protocol (`NETCONN_RAW`, [`Netconn::raw`]).
    Raw(Protocol),
    /// A packet endpoint, which sees frames ([`Netconn::packet`]).
    Packet,
    /// One end of a local stream, without the engine ([`Netconn::pair`]).
    Pair,
    /// One end of a local pair that exchanges datagrams ([`Netconn::datagram_pair`]).
    DatagramPair,
    /// A counter to wait for ([`Netconn::event`]).
    Event,
}

impl Kind {
    /// Whether it receives and sends datagrams, each of which is a message of its own.
    pub const fn is_datagram(self) -> bool {
        matches!(
            self,
            Self::Udp | Self::Raw(_) | Self::Packet | Self::DatagramPair
        )
    }
}

/// A control call under way; one at a time for each connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Control {
    Idle,
    /// Raw IP: begin to receive.
    #[cfg(feature = "raw")]
    Open,
    /// Packets: see these frames, of this interface or of all.
    #[cfg(feature = "packet")]
    Watch(gannet_core::packet::Filter, Option<gannet_core::NetifId>),
    Bind(SocketAddr),
    /// TCP: start to connect. Datagrams: fix the peer.
    Connect(SocketAddr),
    /// Datagrams: forget the peer.
    Disconnect,
    Listen(u16),
    /// TCP: how the connection is doing; the answer is with the net.
    Info,
    /// UDP: membership in a group.
    Join(Ipv4Addr, Via),
    Leave(Ipv4Addr, Via),
    /// UDP: where multicasts leave.
    MulticastInterface(Via),
    /// Datagrams: send what is queued; the answer is that of the last datagram.
    SendAll,
    /// The answer; whoever asked takes it.
    Done(Result<(), Error>),
}

impl Netconn {
    /// Binds to a local address; the unspecified address means all of them, port 0 picks one. Raw IP
    /// has no ports, and may be bound again.
    ///
    /// # Errors
    /// [`Error::InUse`], [`Error::AddressNotAvailable`], [`Error::Invalid`]: bound or connected
    /// already. [`Error::NoBuffers`]: the stack has no control block free.
    #[doc(alias = "netconn_bind")]
    pub fn bind(&self, addr: SocketAddr) -> Result<(), Error> {
        self.ask(Control::Bind(addr), |shared| {
            match (shared.kind, shared.phase) {
                (Kind::Tcp | Kind::Udp, Phase::Idle) | (Kind::Raw(_), _) => Ok(()),
                (Kind::Tcp | Kind::Udp, _) => Err(Error::Invalid),
                _ => Err(Error::NotSupported),
            }
        })
    }

    /// TCP: connects, and sleeps until the connection is established or has failed. UDP and raw IP:
    /// fixes the peer; calling it again changes the peer.
    ///
    /// `patience` limits the sleep; at its end the attempt goes on in the background
    /// ([`Error::InProgress`]), [`Netconn::ready`] says `write` when it is over, and
    /// [`Netconn::take_error`] how.
    ///
    /// # Errors
    /// [`Error::Refused`], [`Error::TimedOut`], [`Error::NetworkUnreachable`],
    /// [`Error::HostUnreachable`]: why there is no connection. [`Error::InProgress`].
    /// [`Error::AlreadyInProgress`], [`Error::AlreadyConnected`]. [`Error::Invalid`]: a listener,
    /// port 0, or not the address of a host. [`Error::InUse`]: no local port is free.
    #[doc(alias = "netconn_connect")]
    pub fn connect(&self, addr: SocketAddr, patience: Patience) -> Result<(), Error> {
        self.ask(Control::Connect(addr), |shared| {
            match (shared.kind, shared.phase) {
                (Kind::Udp | Kind::Raw(_), _) | (Kind::Tcp, Phase::Idle) => Ok(()),
                (Kind::Tcp, Phase::Connecting) => Err(Error::AlreadyInProgress),
                (Kind::Tcp, Phase::Connected) => Err(Error::AlreadyConnected),
                (Kind::Tcp, Phase::Listening | Phase::Dead) => Err(Error::Invalid),
                (Kind::Packet | Kind::Pair | Kind::DatagramPair | Kind::Event, _) => {
                    Err(Error::NotSupported)
                }
            }
        })?;
        let outcome = self.sleep_until(Side::Write, patience, |shared, _| match shared.phase {
            Phase::Connecting => None,
            Phase::Connected => Some(Ok(())),
            _ => Some(Err(shared.error.take().unwrap_or(Error::Aborted))),
        });
        match outcome {
            Err(Error::WouldBlock) => Err(Error::InProgress),
            outcome => outcome?,
        }
    }

    /// UDP and raw IP: forgets the peer; the local address stays.
    ///
    /// # Errors
    /// [`Error::NotSupported`]: neither.
    #[doc(alias = "netconn_disconnect")]
    pub fn disconnect(&self) -> Result<(), Error> {
        self.ask(Control::Disconnect, |shared| match shared.kind {
            Kind::Udp | Kind::Raw(_) => Ok(()),
            _ => Err(Error::NotSupported),
        })
    }

    /// Turns a bound TCP connection into a listener; at most `backlog` connections wait to be
    /// accepted, half-open ones included. Without [`Netconn::bind`] a port is picked.
    ///
    /// # Errors
    /// [`Error::NotSupported`]: UDP. [`Error::Invalid`]: connected, or a backlog of 0.
    /// [`Error::NoBuffers`]: the stack has no listener free.
    #[doc(alias = "netconn_listen_with_backlog")]
    pub fn listen(&self, backlog: u16) -> Result<(), Error> {
        self.ask(Control::Listen(backlog), |shared| {
            match (shared.kind, shared.phase) {
                (Kind::Tcp, Phase::Idle) => Ok(()),
                (Kind::Tcp, _) => Err(Error::Invalid),
                _ => Err(Error::NotSupported),
            }
        })
    }

    /// Has the service carry out `what`, if `check` permits, and sleeps until it has.
    pub(crate) fn ask(
        &self,
        what: Control,
        check: impl Fn(&Shared) -> Result<(), Error>,
    ) -> Result<(), Error> {
        // First, for the answer has to be waited for: nobody else would take it, and all who ask
        // later would wait for their turn for ever.
        let waiter = self.net.waiters.borrow()?;
        self.ask_on(&waiter, what, check)
    }

    /// As [`Netconn::ask`], with a waiter that the caller has.
    pub(crate) fn ask_on(
        &self,
        waiter: &Borrowed<'_>,
        what: Control,
        check: impl Fn(&Shared) -> Result<(), Error>,
    ) -> Result<(), Error> {
        let mut asked = false;
        let mut attempt = |shared: &mut Shared, _: CriticalSection<'_>| {
            match shared.control {
                Control::Idle if !asked => {
                    if let Err(error) = check(shared) {
                        return Some(Err(error));
                    }
                    asked = true;
                    shared.control = what;
                    shared.request(Requests::CONTROL);
                    None
                }
                Control::Done(result) if asked => {
                    shared.control = Control::Idle;
                    Some(result)
                }
                // Another thread's call is under way.
                _ => None,
            }
        };
        // Where the tcpip thread runs above this one, the answer is there at the second look.
        let outcome = match self.with(&mut attempt) {
            Ok(None) => self.sleep_on(waiter, Side::Read, Patience::Forever, &mut attempt),
            Ok(Some(result)) => Ok(result),
            Err(error) => Err(error),
        };
        if asked {
            // Whoever waits to ask next.
            self.net.wake_all(self.index);
        }
        outcome?
    }
}
