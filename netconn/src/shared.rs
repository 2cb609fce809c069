//! What an application thread and the tcpip thread share about one connection. All of it is
//! behind one short critical section, so there is nothing to get wrong about memory ordering;
//! bytes are copied before and after.
use core::net::{Ipv4Addr, SocketAddr, SocketAddrV4};
use core::num::NonZeroU32;

use critical_section::CriticalSection;
use gannet_core::{Chain, TcpListener, TcpPcb, UdpPcb};

use crate::control::{Control, Kind};
use crate::datagram::Queue;
use crate::doorbell::Ring;
use crate::error::Error;
use crate::net::Net;
use crate::settings::Settings;
use crate::wait::{Callback, WaitSet, Wake};

/// "Not bound", "not connected".
pub(crate) const NO_ADDR: SocketAddr = SocketAddr::V4(SocketAddrV4::new(Ipv4Addr::UNSPECIFIED, 0));

/// Who uses a slot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Holder {
    /// Nobody.
    Free,
    /// The application, by its name.
    Application,
    /// A listener's queue, until the application accepts it.
    Queue,
    /// The service, until what was sent is with the engine: the application has closed it.
    Service,
}

/// The engine's object behind a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Attached {
    Nothing,
    Tcp(TcpPcb),
    Listener(TcpListener),
    Udp(UdpPcb),
    #[cfg(feature = "raw")]
    Raw(gannet_core::RawPcb),
    #[cfg(feature = "packet")]
    Packet(gannet_core::PacketPcb),
}

/// How far a connection is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Phase {
    /// Made; perhaps bound.
    Idle,
    /// TCP: a connect is under way.
    Connecting,
    /// TCP: data can flow. UDP: the peer is fixed.
    Connected,
    /// Listens.
    Listening,
    /// TCP: over, by an error or by both sides' end.
    Dead,
}

/// What the service is asked to do; a set of bits, so that asking twice is asking once.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Requests(u8);

impl Requests {
    pub(crate) const NONE: Self = Self(0);
    /// Carry out [`Shared::control`].
    pub(crate) const CONTROL: Self = Self(1);
    /// Apply [`Shared::settings`].
    pub(crate) const SETTINGS: Self = Self(2);
    /// The application accepted the connection: its place in the backlog is free.
    pub(crate) const ACCEPTED: Self = Self(4);
    /// Enough was read to be worth a window update.
    pub(crate) const RECVED: Self = Self(8);
    /// There is something to send.
    pub(crate) const SEND: Self = Self(16);
    /// Send a FIN behind what is queued.
    pub(crate) const SHUT_WRITE: Self = Self(32);
    /// The application let go.
    pub(crate) const CLOSE: Self = Self(64);

    pub(crate) const fn contains(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }

    pub(crate) const fn insert(&mut self, other: Self) {
        self.0 |= other.0;
    }

    pub(crate) const fn take(&mut self) -> Self {
        core::mem::replace(self, Self::NONE)
    }
}

/// What a connection is ready for: what [`poll`](crate::poll) waits for and reports.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Ready {
    /// Receiving (or accepting) would not sleep: data, a connection, the end of the stream or an
    /// error is there (`POLLIN`).
    pub read: bool,
    /// Sending would not sleep: there is room, or an error (`POLLOUT`).
    pub write: bool,
    /// An error waits to be told (`POLLERR`).
    pub error: bool,
    /// The peer has closed its side (`POLLRDHUP`).
    pub peer_closed: bool,
    /// Nothing will ever flow again (`POLLHUP`).
    pub hang_up: bool,
}

impl Ready {
    /// Waits for reading.
    pub const READ: Self = Self {
        read: true,
        write: false,
        error: false,
        peer_closed: false,
        hang_up: false,
    };
    /// Waits for writing.
    pub const WRITE: Self = Self {
        read: false,
        write: true,
        error: false,
        peer_closed: false,
        hang_up: false,
    };
    /// Waits for both.
    pub const BOTH: Self = Self {
        read: true,
        ..Self::WRITE
    };
    /// Nothing.
    pub const NONE: Self = Self {
        read: false,
        ..Self::READ
    };

    /// Whether anything is set.
    pub fn any(self) -> bool {
        self != Self::NONE
    }

    /// What of `self` was asked for with `interest`; errors and hang-ups always are.
    pub fn of(self, interest: Self) -> Self {
        Self {
            read: self.read && interest.read,
            write: self.write && interest.write,
            peer_closed: self.peer_closed && interest.peer_closed,
            ..self
        }
    }
}

/// Which way a thread sleeps.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Side {
    /// For data, connections, and the answers of control calls.
    Read,
    /// For room.
    Write,
}

/// The slot of one connection.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) holder: Holder,
    /// Changes when the application closes: older names are stale.
    pub(crate) generation: u16,
    pub(crate) kind: Kind,
    pub(crate) attached: Attached,
    pub(crate) phase: Phase,
    pub(crate) requests: Requests,
    /// The doorbell has to be rung for `requests` when the critical section ends.
    pub(crate) ring: Ring,
    pub(crate) control: Control,
    pub(crate) settings: Settings,
    pub(crate) local: SocketAddr,
    pub(crate) remote: SocketAddr,
    /// Told once, to whoever asks next.
    pub(crate) error: Option<Error>,
    pub(crate) readers: WaitSet,
    pub(crate) writers: WaitSet,
    /// Tasks of an executor that wait.
    #[cfg(feature = "async")]
    pub(crate) wakers: crate::futures::Wakers,
    /// Called with each news.
    pub(crate) callback: Option<Callback>,
    /// Owners of the name; the connection closes with the last one's [`Netconn::release`].
    ///
    /// [`Netconn::release`]: crate::Netconn::release
    pub(crate) owners: u16,

    /// TCP: received, in order, not read yet.
    pub(crate) rx: Chain,
    /// TCP: a reader sleeps that is content with less than the low-water mark.
    pub(crate) eager: bool,
    /// TCP: bytes read that the engine does not know of yet.
    pub(crate) consumed: u32,
    /// TCP: bytes read that are worth telling the engine.
    pub(crate) window_step: u32,
    /// The peer's end of stream is behind `rx`.
    pub(crate) eof: bool,
    /// Shut down for reading: as if at the end of the stream.
    pub(crate) read_shut: bool,

    /// TCP: written, not with the engine yet.
    pub(crate) tx: Chain,
    /// TCP: bytes in `tx`, promised to a writer, or with the engine and not acknowledged.
    pub(crate) queued: u32,
    /// TCP: what `queued` may be.
    pub(crate) snd_buf: u32,
    /// TCP: bytes in `tx` from which on the engine could transmit; below it has something in
    /// flight whose acknowledgement will fetch them anyway.
    pub(crate) ring_at: u32,
    /// TCP: what was last fetched of `tx` was bulk data, so more is expected.
    pub(crate) bulk: bool,
    /// TCP: bytes in `tx` from which on the tcpip thread's nap is disturbed.
    pub(crate) hold_to: u32,
    /// TCP: bytes in `tx` wait for the end of a nap.
    pub(crate) held: bool,
    /// The last write said that more follows.
    pub(crate) more: bool,
    pub(crate) write_shut: bool,

    /// Listener: connections to accept. In such a connection: the next one.
    pub(crate) accept_first: Option<u16>,
    pub(crate) accept_last: Option<u16>,
    pub(crate) accept_next: Option<u16>,

    /// Pair: the other end's slot, while it is open.
    pub(crate) other: Option<u16>,
    /// Datagrams: bytes of the last one for which there was no room.
    pub(crate) wanted: usize,
    /// Pair of datagrams: the other end takes no more until it has read.
    pub(crate) peer_full: bool,
    /// Event: posted and not taken.
    pub(crate) count: u64,

    /// Datagrams received.
    pub(crate) inbox: Queue,
    /// Datagrams to send.
    pub(crate) outbox: Queue,
    /// Datagrams that did not fit.
    pub(crate) dropped: u32,
    /// UDP: the last destination a datagram could be routed to; another one is waited for.
    pub(crate) reachable: SocketAddr,
}

impl Shared {
    #[expect(
        clippy::declare_interior_mutable_const,
        reason = "copied, never changed in place"
    )]
    const NEW: Self = Self::new();

    pub(crate) const fn new() -> Self {
        Self {
            holder: Holder::Free,
            generation: 0,
            kind: Kind::Tcp,
            attached: Attached::Nothing,
            phase: Phase::Idle,
            requests: Requests::NONE,
            ring: Ring::No,
            control: Control::Idle,
            settings: Settings::DEFAULT,
            local: NO_ADDR,
            remote: NO_ADDR,
            error: None,
            readers: WaitSet::EMPTY,
            writers: WaitSet::EMPTY,
            #[cfg(feature = "async")]
            wakers: crate::futures::Wakers::NONE,
            callback: None,
            owners: 1,
            rx: Chain::new(),
            eager: false,
            consumed: 0,
            window_step: 1,
            eof: false,
            read_shut: false,
            tx: Chain::new(),
            queued: 0,
            snd_buf: 0,
            ring_at: 1,
            bulk: false,
            hold_to: 0,
            held: false,
            more: false,
            write_shut: false,
            accept_first: None,
            accept_last: None,
            accept_next: None,
            other: None,
            wanted: 0,
            peer_full: false,
            count: 0,
            inbox: Queue::EMPTY,
            outbox: Queue::EMPTY,
            dropped: 0,
            reachable: NO_ADDR,
        }
    }

    /// As new, but for the generation. Copied from a constant: it is too large to be made on the
    /// stack of a small task.
    pub(crate) fn reset(&mut self) {
        let generation = self.generation;
        *self = Self::NEW;
        self.generation = generation;
    }

    /// Asks the service for something.
    pub(crate) fn request(&mut self, what: Requests) {
        self.requests.insert(what);
        self.ring = Ring::Now;
    }

    /// As [`Shared::request`]; it may wait for the end of a nap.
    pub(crate) fn request_later(&mut self, what: Requests) {
        self.requests.insert(what);
        self.ring = self.ring.max(Ring::Later);
    }

    /// A thread found nothing to do here, and may sleep: what is held back, wherever, leaves now,
    /// for it may be what the thread waits for an answer to.
    pub(crate) fn let_go(&mut self, net: &Net, cs: CriticalSection<'_>) {
        if net.doorbell.holds(cs) {
            self.ring = Ring::Now;
        }
    }

    /// Bytes that may be written now.
    pub(crate) fn room(&self) -> u32 {
        self.send_buffer().saturating_sub(self.queued)
    }

    /// What may be written and not acknowledged.
    pub(crate) fn send_buffer(&self) -> u32 {
        self.settings
            .send_buffer
            .map_or(self.snd_buf, NonZeroU32::get)
    }

    /// Room from which on a sleeping writer is woken: a third of the send buffer if nothing was set,
    /// so that it is not woken for each segment acknowledged.
    pub(crate) fn is_worth_writing(&self) -> bool {
        let all = self.send_buffer();
        let wanted = self
            .settings
            .send_low_water
            .map_or(all / 3, |bytes| bytes.get().min(all));
        self.room() >= wanted.max(1)
    }

    /// Bytes that make it ready for reading (`SO_RCVLOWAT`). Never more than half of the window,
    /// or the peer could not send them.
    pub(crate) fn low_water(&self) -> usize {
        // A step is a quarter of the window.
        let half = self.window_step.saturating_mul(2);
        self.settings.recv_low_water.min(half).max(1) as usize
    }

    /// What would not sleep now.
    pub(crate) fn ready(&self, net: &Net, cs: CriticalSection<'_>) -> Ready {
        let error = self.error.is_some();
        let over = self.phase == Phase::Dead;
        let end = self.eof || self.read_shut;
        match self.kind {
            Kind::Event => Ready {
                read: self.count > 0,
                write: self.count < crate::event::MAX_COUNT,
                ..Ready::NONE
            },
            Kind::Udp | Kind::Raw(_) | Kind::Packet => Ready {
                read: error || end || !self.inbox.is_empty(),
                write: error || self.write_shut || net.has_room(self, cs, self.wanted),
                error: error || self.keeps_error(net, cs),
                peer_closed: false,
                hang_up: false,
            },
            Kind::DatagramPair => Ready {
                read: error || end || !self.inbox.is_empty(),
                write: error || over || self.write_shut || net.has_room(self, cs, self.wanted),
                error,
                peer_closed: end || over,
                hang_up: over || (end && self.write_shut),
            },
            Kind::Tcp if self.phase == Phase::Listening => Ready {
                read: error || self.accept_first.is_some(),
                error,
                ..Ready::NONE
            },
            Kind::Tcp | Kind::Pair => {
                let connected = self.phase == Phase::Connected;
                Ready {
                    read: error || over || end || self.rx.len() >= self.low_water(),
                    write: error
                        || over
                        || (connected && (self.write_shut || self.is_worth_writing())),
                    error,
                    peer_closed: end || over,
                    hang_up: over || (end && self.write_shut),
                }
            }
        }
    }

    /// There are news: takes those that they concern.
    pub(crate) fn take_waiters(&mut self, net: &Net, cs: CriticalSection<'_>) -> Wake {
        let ready = self.ready(net, cs);
        let mut wake = self.take_sides(
            ready.read || ready.peer_closed || ready.hang_up || (self.eager && !self.rx.is_empty()),
            ready.write || ready.hang_up,
        );
        wake.callback = self
            .callback
            .filter(|_| ready.any())
            .map(|callback| (callback, ready));
        wake
    }

    /// Whether somebody waits to write.
    pub(crate) fn has_writers(&self) -> bool {
        let sleeps = self.writers != WaitSet::EMPTY;
        #[cfg(feature = "async")]
        let sleeps = sleeps || self.wakers.write.is_some();
        sleeps || self.callback.is_some()
    }

    /// `waiter` waits here no longer.
    pub(crate) fn forget(&mut self, waiter: u8) {
        self.readers.remove(waiter);
        self.writers.remove(waiter);
    }

    /// Takes all that sleep.
    pub(crate) fn take_all_waiters(&mut self) -> Wake {
        self.take_sides(true, true)
    }

    /// Takes those that sleep for reading, for writing, or both.
    pub(crate) fn take_sides(&mut self, read: bool, write: bool) -> Wake {
        let mut wake = Wake::NONE;
        if read {
            self.eager = false;
            wake.set.merge(self.readers.take());
            #[cfg(feature = "async")]
            {
                wake.wakers.read = self.wakers.read.take();
            }
        }
        if write {
            wake.set.merge(self.writers.take());
            #[cfg(feature = "async")]
            {
                wake.wakers.write = self.wakers.write.take();
            }
        }
        wake
    }
}
