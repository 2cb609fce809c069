//! TCP: the raw API (`tcp_new` ... `tcp_abort`) over the engine in the files beside this one.
use core::net::SocketAddr;
use core::time::Duration;

mod ack;
mod arrive;
mod autotune;
mod calls;
#[cfg(feature = "sack")]
mod calm;
mod chains;
mod conclude;
mod congestion;
mod data;
#[cfg(feature = "bbr")]
mod delivery_rate;
mod demux;
mod due;
mod ecn;
mod engine;
mod events;
mod expire;
mod farewell;
mod fast_path;
#[cfg(feature = "sack")]
mod frto;
mod half_open;
mod headline;
mod info;
mod input;
#[cfg(feature = "invariants")]
mod invariants;
mod large;
mod limit;
mod list;
mod listen;
#[cfg(feature = "sack")]
mod min_rtt;
mod out_of_order;
mod output;
#[cfg(feature = "bbr")]
mod pacing;
mod pcb;
mod plain;
mod pmtud;
mod ports;
#[cfg(feature = "sack")]
mod prr;
#[cfg(feature = "sack")]
mod rack;
mod receive;
mod records;
mod retransmit;
mod rtt;
#[cfg(feature = "sack")]
mod scoreboard;
mod segment;
#[cfg(feature = "sack")]
mod selective;
mod send;
#[cfg(feature = "sack")]
mod sent_store;
#[cfg(not(feature = "sack"))]
#[path = "sent_store_none.rs"]
mod sent_store;
mod series;
mod settings;
mod socket_options;
#[cfg(feature = "sack")]
mod stamp;
mod stats;
mod syn_cookie;
mod syn_queue;
#[cfg(feature = "sack")]
mod tail_probe;
mod time_wait;
mod timers;
mod transmit;
mod undo;
mod user_timeout;

use crate::error::Error;
use crate::handle::{Owner, TcpListener, TcpPcb};
use crate::ip::Ip;
use crate::pbuf::Pbuf;
use crate::stack::Stack;
use crate::time::Instant;

pub use congestion::CongestionControl;
pub use demux::Bucket;
pub(crate) use engine::Engine;
pub use engine::{PcbSlot, TcpStorage};
pub(crate) use events::Progress;
pub(crate) use headline::{Unforeseen, is_intact};
pub use info::TcpInfo;
pub use listen::ListenSlot;
pub use out_of_order::RunSlot;
pub use sent_store::SentSlot;
pub use stats::TcpStats;
pub use syn_queue::SynSlot;
pub use time_wait::TimeWaitSlot;

/// RFC 9293 §3.7.1: the segment size of a peer that names none.
const DEFAULT_MSS: u16 = 536;
/// The smallest segment size a peer can make us use (Linux's floor).
const MIN_MSS: u16 = 48;

/// Data for [`Tcp::write`]; ownership instead of `TCP_WRITE_FLAG_COPY`.
#[derive(Debug)]
pub enum Data<'a> {
    /// Copied into buffers of the transmit pool before `write` returns (`TCP_WRITE_FLAG_COPY`).
    Copy(&'a [u8]),
    /// Constant data, referenced until acknowledged.
    Static(&'static [u8]),
    /// A buffer the stack takes over, sends without copying and frees when it is acknowledged.
    Pbuf(Pbuf),
}

/// Whether more data follows at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum More {
    /// The data ends a message: PSH is set on its last segment.
    No,
    /// More follows: PSH is not set (`TCP_WRITE_FLAG_MORE`).
    Yes,
}

/// A write that queued nothing, with the data to try again.
#[derive(Debug)]
pub struct WriteError<'a> {
    /// Why: [`Error::NoMemory`] (try again after `sent`), [`Error::Closed`],
    /// [`Error::NotConnected`].
    pub error: Error,
    /// The data, untouched.
    pub data: Data<'a>,
}

/// Which directions of a connection to close.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shutdown {
    /// No more receiving: data that arrives from now on resets the connection.
    Read,
    /// No more sending: a FIN follows the queued data.
    Write,
    /// Both: the same as [`Tcp::close`].
    Both,
}

/// The Nagle algorithm (RFC 9293 §3.7.4).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Nagle {
    /// Small segments wait while data is in flight (`tcp_nagle_enable`, the default).
    Enabled,
    /// Small segments leave at once (`tcp_nagle_disable`, `TCP_NODELAY`).
    Disabled,
}

/// Whether small segments are held back for what the application is about to add.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[doc(alias = "TCP_CORK")]
pub enum Cork {
    /// Sent as Nagle and window permit (the default).
    Off,
    /// Only full segments, the last one before a FIN, and what [`Tcp::output`] flushes; the rest
    /// when a write finds no room, and at the latest one retransmission timeout after everything
    /// else was acknowledged.
    On,
}

/// When to acknowledge data.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[doc(alias = "TCP_QUICKACK")]
pub enum QuickAck {
    /// Every second full segment, the rest after a short while (the default).
    Off,
    /// Every segment, at once.
    On,
}

/// When to ask a silent peer whether it is still there (RFC 9293 §3.8.4).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Keepalive {
    /// Silence until the first probe; default 2 h (`keep_idle`).
    pub idle: Duration,
    /// Time between probes; default 75 s (`keep_intvl`).
    pub interval: Duration,
    /// Unanswered probes until the connection is given up; default 9 (`keep_cnt`).
    pub count: u8,
}

impl Default for Keepalive {
    fn default() -> Self {
        Self {
            idle: Duration::from_secs(7200),
            interval: Duration::from_secs(75),
            count: 9,
        }
    }
}

/// The states of RFC 9293 §3.3.2.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// Not connected yet, or no longer.
    Closed,
    /// A SYN was sent.
    SynSent,
    /// SYNs crossed; one of each was sent and received.
    SynReceived,
    /// Data flows both ways.
    Established,
    /// Closed here, FIN not acknowledged.
    FinWait1,
    /// Closed here, FIN acknowledged; the peer may still send.
    FinWait2,
    /// Both closed at the same time.
    Closing,
    /// The peer has closed; this side may still send.
    CloseWait,
    /// Both closed, the last FIN not acknowledged.
    LastAck,
    /// Waiting for old segments to die out. No control block is in this state; see
    /// [`Stack::tcp_census`].
    TimeWait,
}

/// Something an application has to be told; delivered by [`Stack::dispatch`].
#[derive(Debug)]
pub(crate) enum Event {
    Accept { listener: TcpListener, pcb: TcpPcb },
    Connected { pcb: TcpPcb },
    Recv { pcb: TcpPcb, data: Option<Pbuf> },
    Sent { pcb: TcpPcb, len: usize },
    Poll { pcb: TcpPcb },
    Err { pcb: TcpPcb, error: Error },
}

/// The raw TCP API of a stack; borrowed in the tcpip thread, or handed to a callback.
#[derive(Debug)]
pub struct Tcp<'s> {
    stack: &'s mut Stack,
}

impl<'s> Tcp<'s> {
    pub(crate) fn new_on(stack: &'s mut Stack) -> Self {
        Self { stack }
    }
}

impl Tcp<'_> {
    fn engine(&self) -> &Engine {
        &self.stack.tcp
    }

    fn engine_mut(&mut self) -> &mut Engine {
        &mut self.stack.tcp
    }

    fn parts(&mut self) -> (&mut Engine, &mut Ip, Instant) {
        let now = self.stack.now();
        (&mut self.stack.tcp, &mut self.stack.ip, now)
    }

    pub(crate) fn accept_done(&mut self, pcb: TcpPcb) {
        self.engine_mut().accept_done(pcb);
    }

    /// The stack this belongs to: UDP, interfaces, statistics.
    pub fn stack(&mut self) -> &mut Stack {
        self.stack
    }

    /// A new control block, in state CLOSED, whose events go to `owner`.
    ///
    /// # Errors
    /// [`Error::NoMemory`]: all control blocks are in use.
    #[doc(alias = "tcp_new")]
    #[expect(
        clippy::new_ret_no_self,
        reason = "lwIP's name: a new block, not a new API"
    )]
    pub fn new(&mut self, owner: Owner) -> Result<TcpPcb, Error> {
        self.engine_mut().create(owner)
    }

    /// Attaches a number to the connection, for [`Tcp::arg_of`]; accepted connections inherit
    /// their listener's. [`PcbMap`](crate::PcbMap) is the typed way.
    #[doc(alias = "tcp_arg")]
    pub fn arg(&mut self, pcb: TcpPcb, arg: usize) -> Result<(), Error> {
        self.engine_mut().pcb_mut(pcb)?.arg = arg;
        Ok(())
    }

    /// The number set with [`Tcp::arg`]; 0 at first.
    pub fn arg_of(&self, pcb: TcpPcb) -> Result<usize, Error> {
        Ok(self.engine().pcb(pcb)?.arg)
    }

    /// Binds to a local address; the unspecified address means all of them, port 0 picks one.
    ///
    /// # Errors
    /// [`Error::InUse`]: another endpoint has the address. [`Error::Argument`]: bound already,
    /// or not an address of this stack. [`Error::AlreadyConnected`]: not in state CLOSED.
    #[doc(alias = "tcp_bind")]
    pub fn bind(&mut self, pcb: TcpPcb, addr: SocketAddr) -> Result<(), Error> {
        let (tcp, ip, _) = self.parts();
        tcp.bind(ip, pcb, addr)
    }

    /// Turns a bound control block into a listener; `pcb` is stale afterwards. At most `backlog`
    /// connections (1 to 65,535) wait to be accepted, half-open ones included.
    ///
    /// # Errors
    /// On any error `pcb` stays as it was. [`Error::NoMemory`]: no listener is free.
    /// [`Error::Argument`]: not bound, or a backlog of 0. [`Error::AlreadyConnected`].
    #[doc(alias = "tcp_listen")]
    #[doc(alias = "tcp_listen_with_backlog")]
    pub fn listen(&mut self, pcb: TcpPcb, backlog: u16) -> Result<TcpListener, Error> {
        self.engine_mut().listen(pcb, backlog)
    }

    /// Holds the backlog slot of a connection just accepted until [`Tcp::accepted`]; to be called
    /// in [`Handler::accept`](crate::Handler::accept).
    #[doc(alias = "tcp_backlog_delayed")]
    pub fn delay_accept(&mut self, pcb: TcpPcb) -> Result<(), Error> {
        self.engine_mut().pcb_mut(pcb)?.accept_delayed = true;
        Ok(())
    }

    /// Gives the backlog slot back that [`Tcp::delay_accept`] held. No effect otherwise.
    #[doc(alias = "tcp_accepted")]
    #[doc(alias = "tcp_backlog_accepted")]
    pub fn accepted(&mut self, pcb: TcpPcb) -> Result<(), Error> {
        self.engine_mut().accepted(pcb)
    }

    /// Starts to connect; [`Handler::connected`](crate::Handler::connected) or
    /// [`Handler::err`](crate::Handler::err) follows.
    ///
    /// # Errors
    /// [`Error::AlreadyConnected`]: not in state CLOSED. [`Error::Argument`]: not a unicast
    /// address, or port 0. [`Error::NoRoute`]. [`Error::InUse`]: no local port is free, or the
    /// same connection exists. `pcb` stays as it was.
    #[doc(alias = "tcp_connect")]
    pub fn connect(&mut self, pcb: TcpPcb, addr: SocketAddr) -> Result<(), Error> {
        let (tcp, ip, now) = self.parts();
        tcp.connect(ip, now, pcb, addr)
    }

    /// Queues data: all of it, or nothing and the data comes back. May be called before the
    /// connection is established. It leaves at the end of the turn, as window and Nagle permit.
    #[doc(alias = "tcp_write")]
    pub fn write<'d>(
        &mut self,
        pcb: TcpPcb,
        data: Data<'d>,
        more: More,
    ) -> Result<(), WriteError<'d>> {
        self.engine_mut().write(pcb, data, more)
    }

    /// Sends what is queued at the end of this turn, a last small segment too (once, in spite of
    /// Nagle).
    #[doc(alias = "tcp_output")]
    pub fn output(&mut self, pcb: TcpPcb) -> Result<(), Error> {
        self.engine_mut().flush(pcb)
    }

    /// Bytes [`Tcp::write`] would take now.
    #[doc(alias = "tcp_sndbuf")]
    pub fn sndbuf(&self, pcb: TcpPcb) -> Result<usize, Error> {
        Ok(self.engine().pcb(pcb)?.snd.room() as usize)
    }

    /// The receive window in bytes when nothing is unread (`TCP_WND`).
    pub fn rcvbuf(&self, pcb: TcpPcb) -> Result<usize, Error> {
        Ok(self.engine().pcb(pcb)?.rcv.limit as usize)
    }

    /// Buffers in the send queue.
    #[doc(alias = "tcp_sndqueuelen")]
    pub fn sndqueuelen(&self, pcb: TcpPcb) -> Result<usize, Error> {
        Ok(self.engine().pcb(pcb)?.snd.queue.parts())
    }

    /// Bytes that could be put on the wire right now, without an acknowledgement from the peer:
    /// the smaller of its window and the congestion window, less what is in flight and queued.
    pub fn sendable(&self, pcb: TcpPcb) -> Result<usize, Error> {
        Ok(self.engine().pcb(pcb)?.sendable() as usize)
    }

    /// Payload bytes of a full segment.
    #[doc(alias = "tcp_mss")]
    pub fn mss(&self, pcb: TcpPcb) -> Result<u16, Error> {
        // At most the 16 bits of the option.
        Ok(u16::try_from(self.engine().pcb(pcb)?.effective_mss()).unwrap_or(u16::MAX))
    }

    /// Says that `len` received bytes were processed: the window opens by as much. More than was
    /// received counts as all of it.
    #[doc(alias = "tcp_recved")]
    pub fn recved(&mut self, pcb: TcpPcb, len: usize) -> Result<(), Error> {
        self.engine_mut().recved(pcb, len)
    }

    /// Calls [`Handler::poll`](crate::Handler::poll) whenever the connection was idle for
    /// `interval` half seconds; 0 stops it.
    #[doc(alias = "tcp_poll")]
    pub fn poll(&mut self, pcb: TcpPcb, interval: u8) -> Result<(), Error> {
        let now = self.stack.now();
        self.engine_mut().set_poll(pcb, interval, now)
    }

    /// Closes gracefully: what is queued is sent, then a FIN. Cannot fail for want of memory.
    ///
    /// Data the peer still sends goes to [`Handler::recv`](crate::Handler::recv), then `None`;
    /// [`Tcp::orphan`] is for those who do not want that. A control block that was never
    /// connected is freed at once.
    #[doc(alias = "tcp_close")]
    pub fn close(&mut self, pcb: TcpPcb) -> Result<(), Error> {
        let now = self.stack.now();
        self.engine_mut().close(pcb, now)
    }

    /// Closes and forgets: no event of `pcb`, which is stale afterwards, is delivered any more.
    ///
    /// If received data was not [`recved`](Tcp::recved), or arrives later, the connection is
    /// reset (RFC 9293 §3.10.4, RFC 2525 §2.17), else it closes gracefully.
    pub fn orphan(&mut self, pcb: TcpPcb) -> Result<(), Error> {
        let (tcp, ip, now) = self.parts();
        tcp.orphan(ip, pcb, now)
    }

    /// Closes one direction.
    ///
    /// # Errors
    /// [`Error::NotConnected`].
    #[doc(alias = "tcp_shutdown")]
    pub fn shutdown(&mut self, pcb: TcpPcb, how: Shutdown) -> Result<(), Error> {
        let now = self.stack.now();
        self.engine_mut().shutdown(pcb, how, now)
    }

    /// Resets the connection; `pcb` is stale afterwards and gets no event.
    #[doc(alias = "tcp_abort")]
    pub fn abort(&mut self, pcb: TcpPcb) -> Result<(), Error> {
        let (tcp, ip, now) = self.parts();
        tcp.abort(ip, pcb, now)
    }

    /// Stops listening; half-open connections and those not yet accepted are reset.
    #[doc(alias = "tcp_close")]
    pub fn close_listener(&mut self, listener: TcpListener) -> Result<(), Error> {
        let (tcp, ip, now) = self.parts();
        tcp.close_listener(ip, listener, now)
    }

    pub(crate) fn refuse(&mut self, pcb: TcpPcb) -> Result<(), Error> {
        let (tcp, ip, now) = self.parts();
        tcp.refuse(ip, pcb, now)
    }

    /// Whether the handle is not stale.
    pub(crate) fn is_current(&self, pcb: TcpPcb) -> bool {
        self.engine().pcb(pcb).is_ok()
    }

    pub(crate) fn put_back(&mut self, pcb: TcpPcb, data: Pbuf) {
        self.engine_mut().put_back(pcb, data);
    }

    /// The state of the connection.
    pub fn state(&self, pcb: TcpPcb) -> Result<State, Error> {
        Ok(self.engine().pcb(pcb)?.state)
    }

    /// The local address; unspecified and port 0 while not bound.
    pub fn local_addr(&self, pcb: TcpPcb) -> Result<SocketAddr, Error> {
        Ok(self.engine().pcb(pcb)?.local.into())
    }

    /// The peer's address.
    ///
    /// # Errors
    /// [`Error::NotConnected`].
    pub fn peer_addr(&self, pcb: TcpPcb) -> Result<SocketAddr, Error> {
        let remote = self.engine().pcb(pcb)?.remote;
        if remote.port() == 0 {
            Err(Error::NotConnected)
        } else {
            Ok(remote.into())
        }
    }

    /// The address a listener listens on.
    pub fn listener_addr(&self, listener: TcpListener) -> Result<SocketAddr, Error> {
        self.engine().listener_addr(listener)
    }
}
