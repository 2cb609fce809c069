//! A scripted peer: each line is a segment it sends, a segment the stack has to send, or a wait.
//!
//! ```text
//! < S 0:0(0) win 1000 <mss 1000>      the peer sends
//! > S. 0:0(0) ack 1 <mss 1460>        the stack sends exactly this (win only compared if given)
//! > nothing                           the stack sends nothing
//! wait 200                            200 ms pass, turns running at every deadline
//! ```
//! Two lines without a wait between them happen at the same moment. What the stack sends and no
//! line expects is an error.
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::Duration;

use gannet_core::config::Use;
use gannet_core::tcp::{Data, More};
use gannet_core::wire::icmpv4::{Kind, Unreachable};
use gannet_core::wire::tcp::SeqNum;
use gannet_core::{Config, Handler, Instant, Owner, Stack, Subnet, Tcp, TcpPcb};

use crate::segment::{End, Segment, icmp_error};
use crate::storage::{Pools, Sizes, leak_storage};
use crate::wire::{Wire, WireDriver};

/// The stack's address in scripts.
pub const STACK: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 2);
/// The peer's address in scripts.
pub const PEER: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 1);
/// The router between the stack and other networks.
pub const GATEWAY: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 254);
/// The peer's port in scripts.
pub const PEER_PORT: u16 = 4000;

/// A stack and the peer that talks to it.
#[derive(Debug)]
pub struct Script {
    /// The stack under test.
    pub stack: Stack,
    /// Its pools.
    pub pools: Pools,
    /// The peer's end of the wire.
    pub wire: Wire,
    /// Virtual time.
    pub now: Instant,
    /// The peer. Its numbers start in the upper half of the circle, so that they wrap.
    pub peer: End,
    /// The stack's end, as far as known: its initial number is taken from its SYN.
    pub local: End,
    deadline: Option<Instant>,
}

/// TCP without what would clutter scripts: no timestamps, no scaling, no SACK, no ECN, and no
/// suspicion that segments are too long for the path.
pub fn plain_config() -> Config {
    let mut config = Config::default();
    config.tcp.timestamps = Use::Off;
    config.tcp.window_scaling = Use::Off;
    config.tcp.sack = Use::Off;
    config.tcp.ecn = Use::Off;
    config.tcp.pmtud = Use::Off;
    config
}

impl Script {
    /// A stack with `config`; the script's local port is `port`.
    pub fn new(config: Config, port: u16) -> Self {
        let pools = Pools::leak();
        let wire = Wire::default();
        let mut seed = fastrand::Rng::with_seed(7);
        let mut stack = Stack::new(
            leak_storage(Sizes::default(), pools),
            config,
            &mut |bytes| {
                seed.fill(bytes);
            },
        );
        let driver = WireDriver::ip(wire.clone(), pools.rx);
        stack
            .add_netif(
                driver,
                Some(Subnet::new(STACK, 24).expect("a valid prefix")),
            )
            .expect("room for an interface");
        // Peers elsewhere are reached as well.
        stack
            .set_default_gateway(Some(GATEWAY))
            .expect("a host of the subnet");
        Self {
            stack,
            pools,
            wire,
            now: Instant::from_millis(1_000_000),
            peer: End {
                addr: PEER,
                port: PEER_PORT,
                isn: SeqNum(0xffff_ff00),
            },
            local: End {
                addr: STACK,
                port,
                isn: SeqNum(0),
            },
            deadline: None,
        }
    }

    /// A stack that listens on port 80 and has accepted a connection from the peer: both sides are
    /// at number 1, the peer's segments hold 1000 bytes, ours 1000, its window is 10000.
    #[track_caller]
    pub fn accepted(config: Config, app: &mut dyn Handler) -> Self {
        let mut t = Self::listening(config, 5);
        t.run(
            app,
            "< S 0:0(0) win 10000 <mss 1000>
             > S. 0:0(0) ack 1 <mss 1460>
             < . 1:1(0) ack 1 win 10000
             > nothing",
        );
        t
    }

    /// A stack that listens on port 80.
    pub fn listening(config: Config, backlog: u16) -> Self {
        let mut t = Self::new(config, 80);
        crate::apps::listen(&mut t.stack.tcp(t.now), 80, backlog);
        t
    }

    /// A stack that has just been told to connect to the peer.
    #[track_caller]
    pub fn connecting(config: Config) -> (Self, TcpPcb) {
        let mut t = Self::new(config, 0);
        let peer = t.peer_addr();
        let mut tcp = t.stack.tcp(t.now);
        let pcb = tcp.new(Owner(0)).expect("a free control block");
        tcp.connect(pcb, peer).expect("a route");
        (t, pcb)
    }

    /// A connection made from the stack, as [`Script::accepted`].
    #[track_caller]
    pub fn connected(config: Config, app: &mut dyn Handler) -> (Self, TcpPcb) {
        let (mut t, pcb) = Self::connecting(config);
        t.run(
            app,
            "> S 0:0(0) <mss 1460>
             < S. 0:0(0) ack 1 win 10000 <mss 1000>
             > . 1:1(0) ack 1",
        );
        (t, pcb)
    }

    /// Queues `len` bytes of the pattern that starts at number `seq`.
    #[track_caller]
    pub fn write(&mut self, pcb: TcpPcb, seq: u32, len: u32) {
        let bytes: Vec<u8> = (seq..seq + len).map(crate::segment::pattern).collect();
        let mut tcp = self.stack.tcp(self.now);
        tcp.write(pcb, Data::Copy(&bytes), More::No)
            .expect("room to write");
    }

    /// The raw TCP API, now.
    pub fn tcp(&mut self) -> Tcp<'_> {
        self.stack.tcp(self.now)
    }

    /// The peer's address.
    pub fn peer_addr(&self) -> SocketAddr {
        SocketAddr::new(IpAddr::V4(self.peer.addr), self.peer.port)
    }

    /// A router on the way says that the segment with our relative number `seq` needs
    /// fragmentation for a link of `mtu` bytes.
    pub fn too_long(&mut self, app: &mut dyn Handler, seq: u32, mtu: u16) {
        self.unreachable(app, seq, Unreachable::FragmentationNeeded { mtu });
    }

    /// A router on the way says that the segment with our relative number `seq` cannot be
    /// delivered.
    pub fn unreachable(&mut self, app: &mut dyn Handler, seq: u32, why: Unreachable) {
        let kind = Kind::DestinationUnreachable(why);
        let seq = self.local.isn + seq;
        self.wire
            .put(icmp_error(GATEWAY, kind, self.local, self.peer, seq));
        self.turn(app);
    }

    /// Runs turns until nothing more happens at this moment.
    pub fn turn(&mut self, app: &mut dyn Handler) {
        for _ in 0..1000 {
            self.deadline = self.stack.turn(self.now, &mut [&mut *app]);
            if self.deadline.is_none_or(|deadline| deadline > self.now) {
                return;
            }
        }
        panic!("the stack always wants another turn");
    }

    /// Lets the peer send a segment; the answers are left for [`Script::sent`].
    #[track_caller]
    pub fn put(&mut self, app: &mut dyn Handler, text: &str) {
        let segment = Segment::parse(text, self.peer, self.local);
        self.wire.put(segment.packet(self.peer, self.local));
        self.turn(app);
    }

    /// Runs the lines of a script. Panics where the stack does something else.
    #[track_caller]
    pub fn run(&mut self, app: &mut dyn Handler, lines: &str) {
        for line in lines.lines().map(str::trim).filter(|line| !line.is_empty()) {
            if line.starts_with("//") {
                continue;
            }
            self.line(app, line);
        }
        let rest = self.sent();
        assert!(rest.is_empty(), "not expected by the script: {rest:#?}");
    }

    #[track_caller]
    fn line(&mut self, app: &mut dyn Handler, line: &str) {
        if let Some(text) = line.strip_prefix("< ") {
            let rest = self.sent();
            assert!(rest.is_empty(), "before {line:?} the stack sent: {rest:#?}");
            let segment = Segment::parse(text, self.peer, self.local);
            self.wire.put(segment.packet(self.peer, self.local));
            self.turn(app);
        } else if line == "> nothing" {
            self.turn(app);
            let rest = self.sent();
            assert!(
                rest.is_empty(),
                "expected nothing, the stack sent: {rest:#?}"
            );
        } else if let Some(text) = line.strip_prefix("> ") {
            self.turn(app);
            self.expect(text);
        } else if let Some(millis) = line.strip_prefix("wait ") {
            let rest = self.sent();
            assert!(rest.is_empty(), "before {line:?} the stack sent: {rest:#?}");
            self.wait(
                app,
                Duration::from_millis(millis.parse().expect("milliseconds")),
            );
        } else {
            panic!("what is {line:?}?");
        }
    }

    /// Lets time pass; turns run at every deadline on the way.
    pub fn wait(&mut self, app: &mut dyn Handler, time: Duration) {
        let until = self.now + time;
        self.turn(app);
        while let Some(deadline) = self.deadline.filter(|deadline| *deadline <= until) {
            self.now = deadline;
            self.turn(app);
        }
        self.now = until;
        self.turn(app);
    }

    #[track_caller]
    fn expect(&mut self, text: &str) {
        let Some(packet) = self.wire.take() else {
            panic!("expected {text:?}, the stack sent nothing");
        };
        let actual = self.read(&packet);
        let actual = if text.contains(" win ") {
            actual
        } else {
            without_window(&actual)
        };
        assert_eq!(
            actual, text,
            "left: what the stack sent; right: what the script expects"
        );
    }

    fn read(&mut self, packet: &[u8]) -> String {
        let (segment, src, dst) = Segment::from_packet(packet).expect("a TCP segment");
        assert_eq!(dst, self.peer.port, "the destination port");
        if segment.flags.contains(gannet_core::wire::tcp::Flags::SYN) {
            (self.local.port, self.local.isn) = (src, segment.seq);
        }
        assert_eq!(src, self.local.port, "the source port");
        segment.text(self.local, self.peer)
    }

    /// Everything the stack has sent and nobody looked at.
    pub fn sent(&mut self) -> Vec<String> {
        let mut sent = Vec::new();
        while let Some(packet) = self.wire.take() {
            sent.push(self.read(&packet));
        }
        sent
    }
}

fn without_window(text: &str) -> String {
    let Some((before, after)) = text.split_once(" win ") else {
        return text.to_owned();
    };
    match after.split_once(' ') {
        Some((_, rest)) => format!("{before} {rest}"),
        None => before.to_owned(),
    }
}
