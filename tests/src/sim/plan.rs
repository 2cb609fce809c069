//! A scenario: hosts, the network between them, what their applications do, and what goes wrong
//! when. How a seed becomes one is in `generate`.
use std::net::Ipv4Addr;
use std::time::Duration;

use gannet_core::Config;
use gannet_core::tcp::{Cork, Keepalive, Nagle, QuickAck};

use crate::storage::Sizes;

use super::pools::Shape;

/// The generator's source of randomness.
pub type Rng = fastrand::Rng;

/// A scenario.
#[derive(Clone, Debug)]
pub struct Plan {
    /// Where it comes from.
    pub seed: u64,
    /// The hosts.
    pub hosts: Vec<HostPlan>,
    /// The network they are in; see [`Plan::addr`].
    pub network: [u8; 3],
    /// Whether frames for others are seen.
    pub medium: Medium,
    /// What the applications do.
    pub flows: Vec<Flow>,
    /// What goes wrong, and when; sorted.
    pub faults: Vec<(Duration, Fault)>,
    /// From here on nothing goes wrong any more.
    pub calm: Duration,
    /// How much of it has to succeed.
    pub expect: Expect,
    /// Frames are altered with their checksums put right: what arrives may be wrong.
    pub forged: bool,
}

impl Plan {
    /// The address of host `n`.
    pub fn addr(&self, n: usize) -> Ipv4Addr {
        let [a, b, c] = self.network;
        Ipv4Addr::new(a, b, c, n as u8 + 1)
    }
}

/// How the hosts are joined.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Medium {
    /// Everybody hears everything.
    Hub,
    /// Unicast frames go to their station.
    Switch,
}

/// What must come of the flows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Expect {
    /// All succeed: resources are ample and outages short.
    Success,
    /// Each succeeds or fails in time.
    AnEnd,
}

/// Whose stack a host has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StackKind {
    /// Ours.
    Gannet,
    /// smoltcp, with the settings of ours that it has too.
    Smoltcp,
}

/// One host.
#[derive(Clone, Debug)]
pub struct HostPlan {
    /// Whose stack it has.
    pub stack: StackKind,
    /// Settings of its stack.
    pub config: Config,
    /// Capacities.
    pub sizes: Sizes,
    /// Its pools.
    pub shape: Shape,
    /// Largest IP packet.
    pub mtu: u16,
    /// Received frames come in parts of this size.
    pub part: Option<usize>,
}

/// Options of a connection, for one side.
#[derive(Clone, Copy, Debug)]
pub struct Options {
    /// See [`gannet_core::Tcp::nagle`].
    pub nagle: Nagle,
    /// See [`gannet_core::Tcp::cork`].
    pub cork: Cork,
    /// See [`gannet_core::Tcp::quick_ack`].
    pub quick_ack: QuickAck,
    /// See [`gannet_core::Tcp::keepalive`].
    pub keepalive: Option<Keepalive>,
    /// See [`gannet_core::Tcp::user_timeout`].
    pub user_timeout: Option<Duration>,
}

/// How a side reads.
#[derive(Clone, Copy, Debug)]
pub enum Read {
    /// At once.
    Prompt,
    /// One buffer in each interval; those not read yet are kept.
    Slow(Duration),
    /// Refuses every so many-th offer.
    Refuse(u8),
}

/// How a side ends a connection when it has done its part.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// `close`.
    Close,
    /// `shutdown` for writing after the last byte; `close` at the peer's end of stream.
    HalfClose,
    /// `orphan`.
    Orphan,
    /// `abort` when so many bytes were sent and received.
    Abort(u64),
}

/// How data is written.
#[derive(Clone, Copy, Debug)]
pub enum Writes {
    /// Copied, in pieces of so many bytes.
    Copy(usize),
    /// In buffers of the transmit pool.
    Pbuf(usize),
}

impl Writes {
    /// Bytes of a piece.
    pub fn size(self) -> usize {
        match self {
            Self::Copy(size) | Self::Pbuf(size) => size,
        }
    }
}

/// What one side of a connection does.
#[derive(Clone, Copy, Debug)]
pub struct Side {
    /// Bytes it sends in each round.
    pub bytes: u64,
    /// In such pieces.
    pub writes: Writes,
    /// How it reads.
    pub read: Read,
    /// How it ends.
    pub end: End,
    /// Its options.
    pub options: Options,
}

/// Connections that a client makes to a server. In each round the client sends, then the server
/// answers.
#[derive(Clone, Copy, Debug)]
pub struct TcpFlow {
    /// Who connects.
    pub client_side: Side,
    /// Who accepts.
    pub server_side: Side,
    /// Rounds on one connection.
    pub rounds: u64,
    /// Connections, one after the other.
    pub connections: u32,
    /// The listener's backlog.
    pub backlog: u16,
}

/// Datagrams that are sent back.
#[derive(Clone, Copy, Debug)]
pub struct UdpFlow {
    /// How many.
    pub count: u32,
    /// Bytes in each.
    pub size: usize,
    /// Time between them.
    pub interval: Duration,
}

/// What is done.
#[derive(Clone, Copy, Debug)]
#[allow(clippy::large_enum_variant, reason = "a few of them in a plan")]
pub enum Kind {
    /// See [`TcpFlow`].
    Tcp(TcpFlow),
    /// See [`UdpFlow`].
    Udp(UdpFlow),
}

/// Something a client does with a server.
#[derive(Clone, Copy, Debug)]
pub struct Flow {
    /// Number of the client's host.
    pub client: usize,
    /// Number of the server's host; may be the same.
    pub server: usize,
    /// The server's port.
    pub port: u16,
    /// When the client begins.
    pub start: Duration,
    /// What it does.
    pub kind: Kind,
}

/// What a host's line does to frames it sends. Probabilities are in 0..=1.
#[derive(Clone, Copy, Debug)]
pub struct Line {
    /// Time a frame takes.
    pub latency: Duration,
    /// Added at random, up to this: reorders.
    pub jitter: Duration,
    /// Some frames take so much longer.
    pub spike: (f64, Duration),
    /// Bits per second.
    pub rate: Option<u64>,
    /// Frames that vanish.
    pub loss: f64,
    /// A burst of losses begins, and goes on.
    pub burst: (f64, f64),
    /// Frames that arrive twice.
    pub duplicate: f64,
    /// Frames with a flipped bit.
    pub corrupt: f64,
    /// Frames with a changed header field and a right checksum.
    pub forge: f64,
    /// Old frames that come again.
    pub replay: f64,
}

impl Line {
    /// Does nothing bad.
    pub fn good(latency: Duration) -> Self {
        Self {
            latency,
            jitter: Duration::ZERO,
            spike: (0.0, Duration::ZERO),
            rate: None,
            loss: 0.0,
            burst: (0.0, 0.0),
            duplicate: 0.0,
            corrupt: 0.0,
            forge: 0.0,
            replay: 0.0,
        }
    }
}

/// Which pool is taken from.
#[derive(Clone, Copy, Debug)]
pub enum Which {
    /// Received frames.
    Rx,
    /// Data to send.
    Tx,
    /// Headers.
    Header,
}

/// Something that goes wrong, or ends.
#[derive(Clone, Copy, Debug)]
pub enum Fault {
    /// A host's line changes.
    Line(usize, Line),
    /// Hosts with different bits in the mask do not hear each other.
    Partition(u32),
    /// A host's cable.
    Link(usize, gannet_core::netif::Link),
    /// A host starts anew.
    Reboot(usize),
    /// Somebody takes all but so many buffers of a pool; gives them back with `None`.
    Hog(usize, Which, Option<usize>),
    /// A host's clock goes forward.
    Jump(usize, Duration),
    /// A host's device takes only so many frames more.
    Room(usize, Option<usize>),
    /// Strangers' packets.
    Noise(usize, Noise, u16),
}

/// What strangers send.
#[derive(Clone, Copy, Debug)]
pub enum Noise {
    /// Echo requests.
    Ping,
    /// Datagrams and SYNs to closed ports.
    Closed,
    /// SYNs to open ports, from many addresses.
    Syn,
    /// Fragments without an end.
    Fragments,
    /// Random bytes behind an Ethernet header.
    Garbage,
    /// ARP requests of many hosts.
    Arp,
}
