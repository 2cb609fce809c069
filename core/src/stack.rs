//! The stack: all protocols of one host, and one turn of its thread.
//!
//! ```text
//! frames -> input -> due timers -> dispatch (callbacks) -> output -> next deadline
//!           (datagrams are delivered here)
//! ```
use crate::config::Config;
use crate::handler::Handler;
use crate::ip::{ChecksumState, Input, Ip, IpStorage, NetifId, Received, Straight};
use crate::packet::PacketStorage;
use crate::pbuf::{Pbuf, Pool};
use crate::random::Entropy;
use crate::raw::RawStorage;
use crate::tcp::{self, Tcp, TcpStats, TcpStorage, Unforeseen};
use crate::time::Instant;
use crate::udp::{self, Udp, UdpStats, UdpStorage};
use crate::wire::ipv4::Protocol;
use crate::wire::tcp::Headline;
use crate::wire::udp::HEADER_LEN as UDP_HEADER_LEN;

/// Received frames one turn takes from the devices at most, each of which has an equal share, and
/// from loopback, before callbacks run and answers leave: a flood delays nobody for longer than
/// these take, and an acknowledgement covers a batch of them.
const FRAMES_PER_TURN: usize = 32;

/// All the memory a stack will ever use, given to it for good.
#[derive(Debug)]
pub struct Storage {
    /// TCP's control blocks and queues.
    pub tcp: TcpStorage,
    /// UDP's endpoints and datagrams.
    pub udp: UdpStorage,
    /// Interfaces, neighbours, routes, reassembly.
    pub ip: IpStorage,
    /// Raw IP endpoints.
    pub raw: RawStorage,
    /// Packet endpoints.
    pub packet: PacketStorage,
    /// Where data to send is copied to; its descriptors also name what is in flight.
    pub tx_pool: &'static Pool,
    /// Headers and short control packets: blocks of 128 bytes or more, apart from the data, so
    /// that acknowledgements leave when all data buffers are taken.
    pub header_pool: &'static Pool,
}

/// A TCP/IP host. Owned by one thread; several can live in one process.
#[derive(Debug)]
pub struct Stack {
    now: Instant,
    pub(crate) ip: Ip,
    pub(crate) tcp: tcp::Engine,
    pub(crate) udp: udp::Engine,
}

/// How many connections there are, in each stage of their lives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct TcpCensus {
    /// Control blocks in use.
    pub connections: usize,
    /// Half-open connections of listeners.
    pub half_open: usize,
    /// Connections in TIME-WAIT.
    pub time_wait: usize,
}

impl Stack {
    /// A stack without interfaces but loopback. `entropy` is asked for keys now and never again.
    pub fn new(storage: Storage, config: Config, entropy: Entropy<'_>) -> Self {
        let Storage {
            tcp,
            udp,
            ip,
            raw,
            packet,
            tx_pool,
            header_pool,
        } = storage;
        Self {
            now: Instant::ZERO,
            ip: Ip::new(ip, header_pool, config.ip, entropy).with_observers(raw, packet),
            tcp: tcp::Engine::new(tcp, tx_pool, config.tcp, entropy),
            udp: udp::Engine::new(udp, config.udp, entropy),
        }
    }

    /// One turn at time `now`: takes received frames from the drivers (a bounded number), runs
    /// due timers, calls the handlers, sends.
    ///
    /// Returns when to call again at the latest: `None` is "only when something happens" (a
    /// frame, a doorbell), a moment not later than `now` is "at once, more frames wait".
    pub fn turn(&mut self, now: Instant, handlers: &mut [&mut dyn Handler]) -> Option<Instant> {
        self.set_now(now);
        // Frames first: an acknowledgement that waits in the driver spares a retransmission.
        let more = self.input(handlers);
        self.expire();
        self.dispatch(handlers);
        self.output();
        // What was sent to an own address came back meanwhile.
        if more || self.ip.has_input() {
            Some(now)
        } else {
            self.next_deadline()
        }
    }

    /// Looks at the links, and takes a bounded number of frames; `true` if there may be more.
    fn input(&mut self, handlers: &mut [&mut dyn Handler]) -> bool {
        let mut more = false;
        let interfaces = self.ip.netifs.limit();
        let share = match interfaces {
            0 | 1 => FRAMES_PER_TURN,
            n => (FRAMES_PER_TURN / n).max(1),
        };
        for place in 0..interfaces {
            let id = NetifId(place as u8); // at most 255 of them
            self.ip.poll_link(id);
            more |= self.input_from(id, share, handlers);
        }
        if self.ip.has_input() {
            more |= self.input_from(NetifId::LOOPBACK, FRAMES_PER_TURN, handlers);
        }
        more
    }

    /// Takes at most `share` frames that came to one interface; `true` if there may be more.
    fn input_from(
        &mut self,
        source: NetifId,
        share: usize,
        handlers: &mut [&mut dyn Handler],
    ) -> bool {
        for _ in 0..share {
            let Some((frame, len)) = self.ip.receive(source) else {
                return false;
            };
            self.take(source, frame, len, handlers);
        }
        true
    }

    #[inline]
    fn take(
        &mut self,
        source: NetifId,
        mut frame: Pbuf,
        len: usize,
        handlers: &mut [&mut dyn Handler],
    ) {
        let Some((straight, transport)) = self.ip.straight(source, &frame, len) else {
            return self.take_any(source, frame, handlers);
        };
        let envelope = self.ip.envelope();
        if self.ip.protocol() == Protocol::UDP {
            let checksum = envelope.checksum;
            straight.trim(&mut frame);
            let packet = self.ip.open(straight, frame, UDP_HEADER_LEN, checksum);
            if let Some(packet) = packet {
                self.take_udp(packet, handlers);
            }
            return;
        }
        // Whatever it is, that has to be known: so it is found out first, while little else is.
        let intact = tcp::is_intact(envelope, straight.len, transport, &frame);
        let head = match intact {
            true => Headline::parse(transport, straight.len),
            false => None,
        };
        straight.trim(&mut frame);
        let left = match &head {
            Some(head) => self.tcp.take_predicted(self.now, envelope, head, frame),
            None => Err(Unforeseen::unread(frame)),
        };
        match left {
            Ok(()) => self.ip.count_straight(),
            Err(unforeseen) => {
                let checksum = match intact {
                    true => ChecksumState::Verified,
                    false => ChecksumState::ToVerify,
                };
                self.take_unforeseen(straight, unforeseen, checksum);
            }
        }
    }

    /// A TCP segment that came the straight way, but only so far.
    #[inline(never)]
    fn take_unforeseen(
        &mut self,
        straight: Straight,
        unforeseen: Unforeseen,
        checksum: ChecksumState,
    ) {
        let Unforeseen { packet, lookup } = unforeseen;
        let header_len = straight.tcp_header_len(&packet);
        let packet = self.ip.open(straight, packet, header_len, checksum);
        if let Some(packet) = packet {
            let (ip, now) = (&mut self.ip, self.now);
            self.tcp.input_unforeseen(ip, now, packet, lookup);
        }
    }

    /// Apart from [`Stack::take`], so that the straight way needs little stack.
    #[inline(never)]
    fn take_any(&mut self, source: NetifId, frame: Pbuf, handlers: &mut [&mut dyn Handler]) {
        match self.ip.input(self.now, source, frame) {
            None => {}
            Some(Input::Tcp(packet)) => self.tcp.input(&mut self.ip, self.now, packet),
            Some(Input::Udp(packet)) => self.take_udp(packet, handlers),
            Some(Input::TcpError(error)) => self.tcp.icmp_error(&error),
            Some(Input::UdpError(error)) => self.udp.icmp_error(&error),
        }
    }

    fn take_udp(&mut self, packet: Received, handlers: &mut [&mut dyn Handler]) {
        if let Some(delivery) = self.udp.input(&mut self.ip, self.now, packet) {
            self.deliver_udp(delivery, handlers);
        }
    }

    fn expire(&mut self) {
        self.ip.expire(self.now);
        self.tcp.expire(&mut self.ip, self.now);
    }

    fn output(&mut self) {
        self.tcp.output(&mut self.ip, self.now);
    }

    fn next_deadline(&self) -> Option<Instant> {
        let next = self.tcp.next_deadline().min(self.ip.next_deadline());
        (next != Instant::MAX).then_some(next)
    }

    /// Time of the current turn.
    pub const fn now(&self) -> Instant {
        self.now
    }

    pub(crate) fn set_now(&mut self, now: Instant) {
        // A clock that goes back would make timers fire early; it is held instead.
        self.now = self.now.max(now);
        self.tcp.set_now(self.now);
    }

    /// The raw TCP API, between turns.
    pub fn tcp(&mut self, now: Instant) -> Tcp<'_> {
        self.set_now(now);
        Tcp::new_on(self)
    }

    /// As [`Stack::tcp`], at the time of the current turn: for [`Handler::wake`].
    pub fn tcp_now(&mut self) -> Tcp<'_> {
        Tcp::new_on(self)
    }

    /// As [`Stack::udp`], at the time of the current turn: for [`Handler::wake`].
    pub fn udp_now(&mut self) -> Udp<'_> {
        Udp::new_on(self)
    }

    /// The raw UDP API, between turns.
    pub fn udp(&mut self, now: Instant) -> Udp<'_> {
        self.set_now(now);
        Udp::new_on(self)
    }

    /// The raw IP API, between turns.
    #[cfg(feature = "raw")]
    pub fn raw(&mut self, now: Instant) -> crate::Raw<'_> {
        self.set_now(now);
        crate::Raw::new_on(self)
    }

    /// As [`Stack::raw`], at the time of the current turn: for [`Handler::wake`].
    #[cfg(feature = "raw")]
    pub fn raw_now(&mut self) -> crate::Raw<'_> {
        crate::Raw::new_on(self)
    }

    /// The packet API, between turns.
    #[cfg(feature = "packet")]
    pub fn packets(&mut self, now: Instant) -> crate::Packets<'_> {
        self.set_now(now);
        crate::Packets::new_on(self)
    }

    /// As [`Stack::packets`], at the time of the current turn: for [`Handler::wake`].
    #[cfg(feature = "packet")]
    pub fn packets_now(&mut self) -> crate::Packets<'_> {
        crate::Packets::new_on(self)
    }

    /// What raw IP endpoints have counted.
    #[cfg(feature = "raw")]
    pub fn raw_stats(&self) -> &crate::raw::RawStats {
        self.ip.raw.stats()
    }

    /// What packet endpoints have counted.
    #[cfg(feature = "packet")]
    pub fn packet_stats(&self) -> &crate::packet::PacketStats {
        self.ip.packet.stats()
    }

    /// What TCP has counted.
    pub fn tcp_stats(&self) -> &TcpStats {
        self.tcp.stats()
    }

    /// What UDP has counted.
    pub fn udp_stats(&self) -> &UdpStats {
        self.udp.stats()
    }

    /// How many connections there are.
    pub fn tcp_census(&self) -> TcpCensus {
        let (connections, half_open, time_wait) = self.tcp.census();
        TcpCensus {
            connections,
            half_open,
            time_wait,
        }
    }

    /// Checks what must hold between turns, whatever the network did; for tests.
    ///
    /// # Errors
    /// What is violated.
    #[cfg(feature = "invariants")]
    #[doc(hidden)]
    pub fn check_invariants(&self) -> Result<(), &'static str> {
        self.tcp.check_invariants()
    }
}
