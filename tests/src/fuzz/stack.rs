//! A whole stack with applications: frames, calls of the raw API, faults and time in any order.
//! After each step its invariants hold, and when all is closed every buffer is back.
use std::time::Duration;

use arbitrary::{Arbitrary, Unstructured};
use gannet_core::config::Use;
use gannet_core::tcp::{Cork, Data, Keepalive, More, Nagle, QuickAck, Shutdown};
use gannet_core::udp::Datagram;
use gannet_core::wire::ipv4::Protocol;
use gannet_core::{
    Capabilities, Checksums, Config, Error, Handler, Instant, Medium, Owner, Pbuf, Refused, Stack,
    Subnet, Tcp, TcpListener, TcpPcb, Udp, UdpPcb, Via,
};

use crate::arena::Arena;
use crate::frames::{Packet, arp_bytes, echo_request, frame};
use crate::igmp::{GROUP, with_checksum};
use crate::lan::request;
use crate::sim::pools::Shape;
use crate::storage::{Pools, Sizes, storage_in};
use crate::wire::{Wire, WireDriver};
use gannet_core::wire::ethernet::EtherType;

use super::peer::{PEER, PEER_HW, PORT, Peer, STACK, STACK_HW, Say, datagram, packet_frame};

/// Steps of one input.
const STEPS: usize = 200;
const STATIC: [u8; 3_000] = [0x55; 3_000];

/// One step.
#[derive(Arbitrary, Debug)]
enum Step<'a> {
    /// Bytes behind an Ethernet header to the stack.
    Raw {
        ethertype: u16,
        bytes: &'a [u8],
    },
    /// An IP packet, or a fragment of one, with these fields.
    Ip {
        protocol: u8,
        place: u16,
        more: bool,
        ident: u8,
        options: &'a [u8],
        payload: &'a [u8],
    },
    /// A segment on a connection.
    Segment {
        n: u8,
        seq: i16,
        ack: i16,
        flags: u8,
        window: u16,
        urgent: u8,
        options: &'a [u8],
        len: u16,
    },
    /// A segment that is what the stack expects: data, or an acknowledgement.
    Next {
        n: u8,
        flags: u8,
        len: u16,
    },
    Udp {
        to: u8,
        len: u16,
    },
    Ping {
        len: u16,
    },
    Arp {
        host: u8,
    },
    Wait {
        millis: u16,
    },
    WaitLong {
        seconds: u16,
    },
    Call {
        n: u8,
        call: Call,
    },
    Policy {
        refuse: bool,
        hold: bool,
        reject: bool,
    },
    Room {
        frames: Option<u8>,
    },
    Hog {
        which: u8,
        leave: u8,
    },
    Part {
        size: Option<u8>,
    },
    Link {
        up: bool,
    },
}

/// A call of the raw API on connection `n`.
#[derive(Arbitrary, Debug)]
enum Call {
    Connect { port: u8 },
    Write { len: u16, more: bool, how: u8 },
    Output,
    Recved { len: u16 },
    Close,
    Shutdown { how: u8 },
    Abort,
    Orphan,
    Nagle { on: bool },
    Cork { on: bool },
    QuickAck { on: bool },
    Keepalive { idle: u16, interval: u16, count: u8 },
    UserTimeout { millis: u16 },
    Poll { interval: u8 },
    RcvBuf { len: u16 },
    SndBuf { len: u16 },
    Accepted,
    UdpSend { len: u16, to: u16 },
    UdpConnect { to: u16 },
}

/// Settings of the stack.
#[derive(Arbitrary, Debug)]
struct Setup {
    rcv_wnd: u16,
    snd_buf: u16,
    switches: u8,
    mtu: u8,
    sends: u8,
}

#[derive(Debug, Default)]
struct App {
    pcbs: Vec<TcpPcb>,
    udp: Vec<UdpPcb>,
    refuse: bool,
    hold: bool,
    reject: bool,
    unread: Vec<(TcpPcb, usize)>,
}

impl Handler for App {
    fn accept(&mut self, tcp: &mut Tcp<'_>, _: TcpListener, pcb: TcpPcb) -> Result<(), Error> {
        if self.reject {
            return Err(Error::Aborted);
        }
        if self.hold {
            let _ = tcp.delay_accept(pcb);
        }
        self.pcbs.push(pcb);
        Ok(())
    }

    fn recv(&mut self, tcp: &mut Tcp<'_>, pcb: TcpPcb, data: Option<Pbuf>) -> Result<(), Refused> {
        match data {
            Some(data) if self.refuse => Err(Refused(data)),
            Some(data) if self.hold => {
                self.unread.push((pcb, data.tot_len()));
                Ok(())
            }
            Some(data) => {
                assert!(data.tot_len() > 0, "empty data");
                let _ = tcp.recved(pcb, data.tot_len());
                Ok(())
            }
            None => Ok(()),
        }
    }

    fn udp_recv(&mut self, udp: &mut Udp<'_>, pcb: UdpPcb, datagram: Datagram) {
        // Only the server sends back, or there would be no end of it.
        if self.udp.first() == Some(&pcb) {
            let _ = udp.send_to(pcb, datagram.data, datagram.from);
        }
    }
}

struct Rig {
    stack: Stack,
    app: App,
    peer: Peer,
    wire: Wire,
    pools: Pools,
    now: Instant,
    deadline: Option<Instant>,
    hoard: Vec<Pbuf>,
}

/// The target.
pub fn stack(data: &[u8]) {
    let mut input = Unstructured::new(data);
    let Ok(setup) = Setup::arbitrary(&mut input) else {
        return;
    };
    let mut arena = Arena::default();
    let pools = Shape::SMALL.take();
    let mut rig = Rig::new(&setup, &mut arena, pools);
    for _ in 0..STEPS {
        if input.is_empty() {
            break;
        }
        let Ok(step) = Step::arbitrary(&mut input) else {
            break;
        };
        if std::env::var_os("GANNET_FUZZ_SHOW").is_some() {
            println!("{:?} {step:?}", rig.now);
        }
        rig.step(step);
        rig.turn();
    }
    rig.finish();
    Shape::SMALL.give(pools);
    release(arena);
}

#[allow(unsafe_code, reason = "gives back what the stack was lent")]
fn release(arena: Arena) {
    // SAFETY: the rig is dropped, and with it the stack and all that refers to the storage.
    unsafe { arena.release() };
}

impl Rig {
    fn new(setup: &Setup, arena: &mut Arena, pools: Pools) -> Self {
        let mut config = Config::default();
        let on = |bit: u8| match setup.switches >> bit & 1 {
            0 => Use::On,
            _ => Use::Off,
        };
        config.tcp.rcv_wnd = u32::from(setup.rcv_wnd) + 1;
        config.tcp.snd_buf = u32::from(setup.snd_buf) + 1;
        config.tcp.timestamps = on(0);
        config.tcp.sack = on(1);
        config.tcp.window_scaling = on(2);
        config.tcp.ecn = on(3);
        config.tcp.syn_cookies = on(4);
        config.tcp.pmtud = on(5);
        config.tcp.rcv_wnd_max = config.tcp.rcv_wnd << (setup.switches >> 6);
        let sizes = Sizes {
            connections: 5,
            half_open: 2,
            time_wait: 2,
            runs: 6,
            sends: usize::from(setup.sends),
            udp: 3,
            neighbors: 3,
            pending: 3,
            reassembly: 2,
            loopback: 4,
            ..Sizes::default()
        };
        let wire = Wire::default();
        let mut seed = fastrand::Rng::with_seed(5);
        let storage = storage_in(arena, sizes, pools);
        let mut stack = Stack::new(storage, config, &mut |bytes| seed.fill(bytes));
        let capabilities = Capabilities {
            medium: Medium::Ethernet(STACK_HW),
            mtu: 68 + 6 * u16::from(setup.mtu),
            tx_checksums: Checksums::NONE,
            rx_checksums: Checksums::NONE,
            tso: 0,
        };
        let driver = arena.one(WireDriver::new(wire.clone(), pools.rx, capabilities));
        let subnet = Subnet::new(STACK, 24).expect("a valid prefix");
        stack.add_netif(driver, Some(subnet)).expect("room");
        let now = Instant::from_millis(1_000_000);
        let mut tcp = stack.tcp(now);
        let pcb = tcp.new(Owner(0)).expect("a free block");
        tcp.bind(pcb, ([0, 0, 0, 0], PORT).into()).expect("free");
        tcp.listen(pcb, 2).expect("a free listener");
        let mut udp = stack.udp(now);
        let pcb = udp.new(Owner(0)).expect("a free endpoint");
        udp.bind(pcb, ([0, 0, 0, 0], PORT).into()).expect("free");
        udp.join_group(pcb, GROUP, Via::Route).expect("room");
        let app = App {
            udp: vec![pcb],
            ..App::default()
        };
        wire.put(arp(1));
        Self {
            stack,
            app,
            peer: Peer::default(),
            wire,
            pools,
            now,
            deadline: None,
            hoard: Vec::new(),
        }
    }

    fn turn(&mut self) {
        for _ in 0..10_000 {
            self.deadline = self.stack.turn(self.now, &mut [&mut self.app]);
            if let Err(what) = self.stack.check_invariants() {
                panic!("{what}");
            }
            while let Some(bytes) = self.wire.take() {
                self.peer.hear(&bytes);
            }
            let again = self.deadline.is_some_and(|at| at <= self.now);
            if !again && self.wire.waiting() == 0 {
                return;
            }
        }
        panic!("the stack asks for turns without an end");
    }

    fn wait(&mut self, time: Duration) {
        let until = self.now + time;
        // A pool that stays empty is asked every 2 ms.
        for _ in 0..2_000 {
            match self.deadline.filter(|at| *at <= until) {
                Some(at) => self.now = self.now.max(at),
                None => break,
            }
            self.turn();
        }
        self.now = until;
        self.turn();
    }

    fn step(&mut self, step: Step<'_>) {
        match step {
            Step::Raw { ethertype, bytes } => {
                let kind = match ethertype % 4 {
                    0 => EtherType::IPV4,
                    1 => EtherType::ARP,
                    _ => EtherType(ethertype),
                };
                self.wire.put(frame(STACK_HW, PEER_HW, kind, bytes));
            }
            Step::Ip {
                protocol,
                place,
                more,
                ident,
                options,
                payload,
            } => {
                let protocol = Protocol([1, 6, 17, protocol][usize::from(protocol % 4)]);
                let mut packet = Packet {
                    more,
                    ident: ident.into(),
                    offset: usize::from(place % 0x2000) * 8,
                    options: options[..options.len().min(40) & !3].to_vec(),
                    ..Packet::new(PEER, STACK, protocol, payload.to_vec())
                };
                // A number nobody has, of those that are left: IGMP, which is heard only like this.
                if protocol == Protocol(3) && payload.len() >= 4 {
                    packet.protocol = Protocol::IGMP;
                    packet.ttl = 1;
                    packet.payload = with_checksum(packet.payload);
                }
                self.wire.put(packet_frame(&packet));
            }
            Step::Segment {
                n,
                seq,
                ack,
                flags,
                window,
                urgent,
                options,
                len,
            } => {
                let say = Say {
                    flags,
                    window,
                    urgent: urgent.into(),
                    options,
                    len: len % 1_600,
                };
                let (seq, ack) = (i32::from(seq) as u32, i32::from(ack) as u32);
                self.put(Protocol::TCP, self.peer.segment(n, seq, ack, &say));
            }
            Step::Next { n, flags, len } => {
                let say = Say {
                    // ACK, and perhaps FIN, SYN or PSH.
                    flags: 0x10 | flags & 0xb,
                    window: 30_000,
                    urgent: 0,
                    options: &[],
                    len: len % 1_600,
                };
                self.put(Protocol::TCP, self.peer.segment(n, 0, 0, &say));
            }
            Step::Udp { to, len } => {
                let to = if to.is_multiple_of(2) {
                    PORT
                } else {
                    u16::from(to)
                };
                self.put(Protocol::UDP, datagram(9, to, len % 3_000));
            }
            Step::Ping { len } => self.put(Protocol::ICMP, echo_request((len % 3_000).into())),
            Step::Arp { host } => self.wire.put(arp(host)),
            Step::Wait { millis } => self.wait(Duration::from_millis(millis.into())),
            Step::WaitLong { seconds } => self.wait(Duration::from_secs(seconds.into())),
            Step::Call { n, call } => self.call(n, call),
            Step::Policy {
                refuse,
                hold,
                reject,
            } => {
                let app = &mut self.app;
                (app.refuse, app.hold, app.reject) = (refuse, hold, reject);
            }
            Step::Room { frames } => self.wire.set_room(frames.map(usize::from)),
            Step::Hog { which, leave } => self.hog(which, leave.into()),
            Step::Part { size } => self.wire.set_part(size.map(|size| usize::from(size) + 1)),
            Step::Link { up } => self.wire.set_link(match up {
                true => gannet_core::netif::Link::Up,
                false => gannet_core::netif::Link::Down,
            }),
        }
    }

    fn put(&mut self, protocol: Protocol, payload: Vec<u8>) {
        let packet = Packet::new(PEER, STACK, protocol, payload);
        self.wire.put(packet_frame(&packet));
    }

    fn hog(&mut self, which: u8, leave: usize) {
        self.hoard.clear();
        let pool = [self.pools.rx, self.pools.tx, self.pools.header][usize::from(which % 3)];
        // Every other hog takes descriptors only.
        while pool.available() > leave && which < 128 {
            let Ok(p) = Pbuf::alloc(pool, 0, 1) else {
                break;
            };
            self.hoard.push(p);
        }
        while which >= 128 && pool.descriptors_available() > leave {
            let Ok(p) = Pbuf::from_static(pool, &STATIC) else {
                break;
            };
            self.hoard.push(p);
        }
    }

    fn call(&mut self, n: u8, call: Call) {
        let app = &mut self.app;
        let mut tcp = self.stack.tcp(self.now);
        if let Call::Connect { port } = call {
            if let Ok(pcb) = tcp.new(Owner(0)) {
                // Ports of this host's own and of the peer's.
                let to = if port.is_multiple_of(4) { STACK } else { PEER };
                let port = if port.is_multiple_of(4) {
                    PORT
                } else {
                    port.into()
                };
                match tcp.connect(pcb, (to, port).into()) {
                    Ok(()) => app.pcbs.push(pcb),
                    Err(_) => drop(tcp.abort(pcb)),
                }
            }
            return;
        }
        if let Call::UdpSend { .. } | Call::UdpConnect { .. } = call {
            self.udp_call(call);
            return;
        }
        // Stale handles too: what is called on them is an error and nothing else.
        let Some(pcb) = app
            .pcbs
            .get(usize::from(n) % app.pcbs.len().max(1))
            .copied()
        else {
            return;
        };
        let stale = tcp.state(pcb).is_err();
        let result = match call {
            Call::Write { len, more, how } => {
                let bytes = &STATIC[..usize::from(len % 3_000)];
                let more = if more { More::Yes } else { More::No };
                let data = match how % 3 {
                    0 => Data::Copy(bytes),
                    1 => Data::Static(bytes),
                    _ => match Pbuf::alloc(self.pools.tx, 0, bytes.len()) {
                        Ok(mut p) => {
                            p.copy_from(bytes);
                            Data::Pbuf(p)
                        }
                        Err(_) => Data::Copy(bytes),
                    },
                };
                tcp.write(pcb, data, more).map_err(|refused| refused.error)
            }
            Call::Output => tcp.output(pcb),
            Call::Recved { len } => tcp.recved(pcb, len.into()),
            Call::Close => tcp.close(pcb),
            Call::Shutdown { how } => {
                let how = [Shutdown::Read, Shutdown::Write, Shutdown::Both][usize::from(how % 3)];
                tcp.shutdown(pcb, how)
            }
            Call::Abort => tcp.abort(pcb),
            Call::Orphan => tcp.orphan(pcb),
            Call::Nagle { on: true } => tcp.nagle(pcb, Nagle::Enabled),
            Call::Nagle { on: false } => tcp.nagle(pcb, Nagle::Disabled),
            Call::Cork { on: true } => tcp.cork(pcb, Cork::On),
            Call::Cork { on: false } => tcp.cork(pcb, Cork::Off),
            Call::QuickAck { on: true } => tcp.quick_ack(pcb, QuickAck::On),
            Call::QuickAck { on: false } => tcp.quick_ack(pcb, QuickAck::Off),
            Call::Keepalive {
                idle,
                interval,
                count,
            } => {
                let keepalive = Keepalive {
                    idle: Duration::from_millis(idle.into()),
                    interval: Duration::from_millis(interval.into()),
                    count,
                };
                tcp.keepalive(pcb, (idle > 0).then_some(keepalive))
            }
            Call::UserTimeout { millis } => {
                tcp.user_timeout(pcb, Some(Duration::from_millis(millis.into())))
            }
            Call::Poll { interval } => tcp.poll(pcb, interval),
            Call::RcvBuf { len } => tcp.rcv_wnd(pcb, u32::from(len)),
            Call::SndBuf { len } => tcp.snd_buf(pcb, u32::from(len)),
            Call::Accepted => tcp.accepted(pcb),
            Call::Connect { .. } | Call::UdpSend { .. } | Call::UdpConnect { .. } => Ok(()),
        };
        assert!(!stale || result.is_err(), "a stale handle was taken");
    }

    fn udp_call(&mut self, call: Call) {
        let app = &mut self.app;
        let mut udp = self.stack.udp(self.now);
        if app.udp.len() < 2
            && let Ok(pcb) = udp.new(Owner(0))
        {
            app.udp.push(pcb);
        }
        let Some(pcb) = app.udp.last().copied() else {
            return;
        };
        match call {
            Call::UdpSend { len, to } => {
                if let Ok(data) = Pbuf::alloc(self.pools.tx, 42, (len % 4_000).into()) {
                    let to = if to.is_multiple_of(2) {
                        (PEER, to)
                    } else {
                        (STACK, PORT)
                    };
                    let _ = udp.send_to(pcb, data, to.into());
                }
            }
            Call::UdpConnect { to } => drop(udp.connect(pcb, (PEER, to).into())),
            _ => {}
        }
    }

    /// All faults end, all is closed: everything comes back.
    fn finish(mut self) {
        self.hoard.clear();
        self.wire.set_room(None);
        self.app.refuse = false;
        self.app.hold = false;
        self.app.reject = true;
        let mut tcp = self.stack.tcp(self.now);
        for pcb in &self.app.pcbs {
            let _ = tcp.abort(*pcb);
        }
        let mut udp = self.stack.udp(self.now);
        for pcb in &self.app.udp {
            let _ = udp.close(*pcb);
        }
        self.turn();
        for _ in 0..100 {
            self.wait(Duration::from_secs(60));
            if self.deadline.is_none() {
                break;
            }
        }
        let census = self.stack.tcp_census();
        let left = census.connections + census.half_open + census.time_wait;
        assert_eq!(left, 0, "connections are left: {census:?}");
        assert!(self.pools.at_rest(), "buffers: {:?}", self.pools.in_use());
        assert_eq!(self.deadline, None, "an idle host has no deadline");
    }
}

fn arp(host: u8) -> Vec<u8> {
    let sender = std::net::Ipv4Addr::new(10, 0, 0, host);
    let arp = arp_bytes(&request(sender, PEER_HW, STACK));
    frame(STACK_HW, PEER_HW, EtherType::ARP, &arp)
}
