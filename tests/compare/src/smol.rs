//! smoltcp at work: two interfaces joined by a wire of pooled frames that move and are not copied.
use alloc::boxed::Box;
use alloc::rc::Rc;
use alloc::{vec, vec::Vec};
use core::cell::RefCell;

use rtrb::{Consumer, Producer, RingBuffer};
use smoltcp::iface::{
    Config, Interface, PollIngressSingleResult, PollResult, SocketHandle, SocketSet,
};
use smoltcp::phy::{
    Checksum, ChecksumCapabilities, Device, DeviceCapabilities, Medium, RxToken, TxToken,
};
use smoltcp::socket::{tcp, udp};
use smoltcp::time::Instant;
use smoltcp::wire::{EthernetAddress, IpAddress, IpCidr, IpEndpoint};

use crate::cell::{
    Api, Arrival, Bench, Cell, Checksums, MSS, Made, OWN_TABLES, TOO_MANY, Timestamps, Work,
};
use crate::clock::{TICK_US, piece};

const FRAMES: usize = 256;
const PORT: u16 = 7;
static CONTENT: [u8; 8 * MSS as usize] = [0x5a; 8 * MSS as usize];

struct Frame {
    len: usize,
    bytes: Box<[u8; 1536]>,
}

type Free = Rc<RefCell<Vec<Frame>>>;

/// A device on the wire.
struct Port {
    checksums: Checksums,
    free: Free,
    to_peer: Producer<Frame>,
    from_peer: Consumer<Frame>,
    sent: u64,
}

struct Rx {
    frame: Frame,
    free: Free,
}

struct Tx<'a>(&'a Free, &'a mut Producer<Frame>, &'a mut u64);

impl RxToken for Rx {
    fn consume<R, F: FnOnce(&[u8]) -> R>(self, f: F) -> R {
        let result = f(&self.frame.bytes[..self.frame.len]);
        self.free.borrow_mut().push(self.frame);
        result
    }
}

impl TxToken for Tx<'_> {
    fn consume<R, F: FnOnce(&mut [u8]) -> R>(self, len: usize, f: F) -> R {
        let mut frame = self.0.borrow_mut().pop().expect("a free frame");
        frame.len = len;
        let result = f(&mut frame.bytes[..len]);
        *self.2 += 1;
        assert!(self.1.push(frame).is_ok(), "the wire has room");
        result
    }
}

impl Device for Port {
    type RxToken<'a> = Rx;
    type TxToken<'a> = Tx<'a>;

    fn receive(&mut self, _: Instant) -> Option<(Rx, Tx<'_>)> {
        let frame = self.from_peer.pop().ok()?;
        let free = Rc::clone(&self.free);
        let tx = Tx(&self.free, &mut self.to_peer, &mut self.sent);
        Some((Rx { frame, free }, tx))
    }

    fn transmit(&mut self, _: Instant) -> Option<Tx<'_>> {
        (!self.to_peer.is_full()).then_some(Tx(&self.free, &mut self.to_peer, &mut self.sent))
    }

    fn capabilities(&self) -> DeviceCapabilities {
        let mut capabilities = DeviceCapabilities::default();
        capabilities.medium = Medium::Ethernet;
        capabilities.max_transmission_unit = 1514;
        if self.checksums == Checksums::Off {
            capabilities.checksum = ChecksumCapabilities::ignored();
            capabilities.checksum.icmpv4 = Checksum::Both;
        }
        capabilities
    }
}

/// An interface with its sockets.
struct Host {
    iface: Interface,
    port: Port,
    sockets: SocketSet<'static>,
    handles: Vec<SocketHandle>,
}

impl Host {
    fn new(number: u8, mut port: Port) -> Self {
        let mut config = Config::new(EthernetAddress([2, 0, 0, 0, 0, number]).into());
        config.random_seed = number.into();
        let mut iface = Interface::new(config, &mut port, Instant::ZERO);
        iface.update_ip_addrs(|addrs| {
            addrs.push(IpCidr::new(addr(number), 24)).expect("room");
        });
        Self {
            iface,
            port,
            sockets: SocketSet::new(vec![]),
            handles: Vec::new(),
        }
    }

    fn add_tcp(&mut self, cell: &Cell, window: usize, nagle: bool) {
        let buffer = || tcp::SocketBuffer::new(vec![0; window]);
        let mut socket = tcp::Socket::new(buffer(), buffer());
        socket.set_nagle_enabled(nagle);
        if cell.timestamps == Timestamps::On {
            socket.set_tsval_generator(Some(|| 1));
        }
        self.handles.push(self.sockets.add(socket));
    }

    fn add_udp(&mut self, port: u16) {
        let buffer = || udp::PacketBuffer::new(vec![udp::PacketMetadata::EMPTY; 4], vec![0; 8192]);
        let mut socket = udp::Socket::new(buffer(), buffer());
        socket.bind(port).expect("a free port");
        self.handles.push(self.sockets.add(socket));
    }

    fn tcp(&mut self, n: usize) -> &mut tcp::Socket<'static> {
        self.sockets.get_mut(self.handles[n])
    }

    fn udp(&mut self) -> &mut udp::Socket<'static> {
        self.sockets.get_mut(self.handles[0])
    }

    /// Takes at most so many frames.
    fn ingress(&mut self, now: Instant, limit: usize) {
        for _ in 0..limit {
            let result = self
                .iface
                .poll_ingress_single(now, &mut self.port, &mut self.sockets);
            if result == PollIngressSingleResult::None {
                return;
            }
        }
    }

    fn egress(&mut self, now: Instant) {
        let (port, sockets) = (&mut self.port, &mut self.sockets);
        while self.iface.poll_egress(now, port, sockets) != PollResult::None {}
    }

    fn connect(&mut self, n: usize, local: u16) {
        let handle = self.handles[n];
        let to = IpEndpoint::new(addr(2), PORT);
        let socket: &mut tcp::Socket<'_> = self.sockets.get_mut(handle);
        socket
            .connect(self.iface.context(), to, local)
            .expect("a closed socket");
    }
}

fn addr(number: u8) -> IpAddress {
    IpAddress::v4(10, 0, 0, number)
}

/// Two joined hosts.
struct Pair {
    a: Host,
    b: Host,
    now: Instant,
    work: Work,
    connected: bool,
    /// Whose turn it is; the local port of the next connection.
    turn: usize,
    port: u16,
    buffer: Vec<u8>,
}

/// A pair for a cell.
pub fn make(cell: &Cell) -> Made {
    let frame = || Frame {
        len: 0,
        bytes: Box::new([0; 1536]),
    };
    let free: Free = Rc::new(RefCell::new((0..2 * FRAMES).map(|_| frame()).collect()));
    let (to_b, from_a) = RingBuffer::new(FRAMES);
    let (to_a, from_b) = RingBuffer::new(FRAMES);
    let port = |to_peer, from_peer| Port {
        checksums: cell.checksums,
        free: Rc::clone(&free),
        to_peer,
        from_peer,
        sent: 0,
    };
    let mut a = Host::new(1, port(to_b, from_b));
    let mut b = Host::new(2, port(to_a, from_a));
    match cell.work {
        Work::Bulk { window, .. } => {
            a.add_tcp(cell, window, true);
            b.add_tcp(cell, window, true);
        }
        Work::RoundTrip { idle: 1.., .. } => return Err(TOO_MANY),
        Work::RoundTrip { connections, .. } => {
            for _ in 0..connections {
                a.add_tcp(cell, 4096, false);
                b.add_tcp(cell, 4096, false);
            }
        }
        Work::Connect { others: 1.., .. } | Work::Holes { .. } => return Err(OWN_TABLES),
        Work::Connect { .. } => {
            a.add_tcp(cell, 4096, false);
            b.add_tcp(cell, 4096, false);
        }
        Work::UdpEcho { .. } => {
            a.add_udp(PORT);
            b.add_udp(PORT);
        }
    }
    Ok(Box::new(Pair {
        a,
        b,
        now: Instant::from_millis(1_000),
        work: cell.work,
        connected: false,
        turn: 0,
        port: 49_152,
        buffer: vec![0; 65_535],
    }))
}

impl Pair {
    fn tick(&mut self) {
        self.now += TICK_US.into();
    }

    fn connect_all(&mut self) {
        for n in 0..self.a.handles.len() {
            self.b.tcp(n).listen(PORT).expect("a closed socket");
            self.a.connect(n, self.port);
            self.port += 1;
            while !(self.a.tcp(n).may_send() && self.b.tcp(n).may_send()) {
                self.tick();
                self.a.egress(self.now);
                self.b.ingress(self.now, usize::MAX);
                self.b.egress(self.now);
                self.a.ingress(self.now, usize::MAX);
            }
        }
        self.connected = true;
    }

    fn bulk(&mut self, units: u64, window: usize, limit: usize, api: Api) {
        let mut to_write = units * MSS;
        let mut to_read = units * MSS;
        let piece = piece(window);
        while to_read > 0 || self.a.tcp(0).send_queue() > 0 {
            self.tick();
            let idle = self.a.port.from_peer.is_empty() && self.b.port.from_peer.is_empty();
            self.a.ingress(self.now, usize::MAX);
            let socket = self.a.tcp(0);
            while to_write > 0 && socket.can_send() {
                let most = to_write.min(piece as u64) as usize;
                let wrote = match api {
                    Api::ZeroCopy => socket.send(|room| {
                        let n = room.len().min(most);
                        (n, n)
                    }),
                    Api::Copying => socket.send_slice(&CONTENT[..most]),
                };
                to_write -= wrote.expect("connected") as u64;
            }
            self.a.egress(self.now);
            self.b.ingress(self.now, limit);
            let socket = self.b.tcp(0);
            while socket.can_recv() {
                let read = match api {
                    Api::ZeroCopy => socket.recv(|data| (data.len(), data.len())),
                    Api::Copying => socket.recv_slice(&mut self.buffer),
                };
                to_read -= read.expect("connected") as u64;
            }
            self.b.egress(self.now);
            if idle && self.b.port.from_peer.is_empty() && self.a.port.from_peer.is_empty() {
                // A timer is waited for: the last, delayed acknowledgement.
                self.now += smoltcp::time::Duration::from_millis(1);
            }
        }
    }

    fn round_trips(&mut self, units: u64, len: usize) {
        for _ in 0..units {
            let n = self.turn;
            self.turn = (n + 1) % self.a.handles.len();
            let message = &CONTENT[..len];
            assert_eq!(self.a.tcp(n).send_slice(message), Ok(len));
            self.a.egress(self.now);
            let mut missing = len;
            while missing > 0 {
                self.tick();
                self.b.ingress(self.now, usize::MAX);
                let socket = self.b.tcp(n);
                if socket.recv(|data| (data.len(), data.len())) == Ok(len) {
                    assert_eq!(socket.send_slice(message), Ok(len));
                }
                self.b.egress(self.now);
                self.a.ingress(self.now, usize::MAX);
                let read = self.a.tcp(n).recv(|data| (data.len(), data.len()));
                missing -= read.expect("connected");
            }
        }
        // The acknowledgement of the last response.
        self.a.egress(self.now);
    }

    fn connections(&mut self, units: u64) {
        for _ in 0..units {
            self.b.tcp(0).listen(PORT).expect("a closed socket");
            self.a.connect(0, self.port);
            self.port = 49_152 + (self.port - 49_151) % 16_000;
            let mut closing = false;
            while self.a.tcp(0).is_open() || self.b.tcp(0).is_open() {
                self.tick();
                self.a.egress(self.now);
                self.b.ingress(self.now, usize::MAX);
                let socket = self.b.tcp(0);
                if socket.state() == tcp::State::CloseWait {
                    socket.close();
                }
                self.b.egress(self.now);
                self.a.ingress(self.now, usize::MAX);
                let socket = self.a.tcp(0);
                if !closing && socket.may_send() {
                    closing = true;
                    socket.close();
                }
            }
        }
    }

    fn echoes(&mut self, units: u64, len: usize) {
        let to = IpEndpoint::new(addr(2), PORT);
        for _ in 0..units {
            self.a.udp().send_slice(&CONTENT[..len], to).expect("room");
            self.a.egress(self.now);
            let mut waiting = true;
            while waiting {
                self.tick();
                self.b.ingress(self.now, usize::MAX);
                // The socket cannot lend the datagram and take the echo at once.
                let buffer = &mut self.buffer;
                let socket: &mut udp::Socket<'_> = self.b.sockets.get_mut(self.b.handles[0]);
                if let Ok((n, from)) = socket.recv_slice(buffer) {
                    socket
                        .send_slice(&buffer[..n], from.endpoint)
                        .expect("room");
                }
                self.b.egress(self.now);
                self.a.ingress(self.now, usize::MAX);
                waiting = self.a.udp().recv().is_err();
                if waiting {
                    // The neighbour had to be asked for first.
                    self.a.egress(self.now);
                }
            }
        }
    }
}

impl Bench for Pair {
    fn run(&mut self, units: u64) {
        match self.work {
            Work::Bulk { .. } | Work::RoundTrip { .. } if !self.connected => self.connect_all(),
            _ => {}
        }
        match self.work {
            Work::Bulk {
                window,
                arrival,
                api,
            } => {
                let limit = match arrival {
                    Arrival::InPairs => 2,
                    Arrival::InBatches => usize::MAX,
                };
                self.bulk(units, window, limit, api);
            }
            Work::RoundTrip { len, .. } => self.round_trips(units, len),
            Work::Connect { .. } => self.connections(units),
            Work::UdpEcho { len } => self.echoes(units, len),
            Work::Holes { .. } => unreachable!("no pair is made for it"),
        }
    }

    fn frames(&self) -> [u64; 2] {
        [self.a.port.sent, self.b.port.sent]
    }
}
