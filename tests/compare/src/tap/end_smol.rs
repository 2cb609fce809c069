//! smoltcp at the end of the cable, with a device of pooled frames: its own one allocates each.
use std::net::SocketAddr;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::Duration;

use smoltcp::iface::{
    Config, Interface, PollIngressSingleResult, PollResult, SocketHandle, SocketSet,
};
use smoltcp::phy::{Device, DeviceCapabilities, Medium, RxToken, TxToken};
use smoltcp::socket::tcp;
use smoltcp::time::Instant;
use smoltcp::wire::{EthernetAddress, IpCidr, IpEndpoint};

use super::kernel::station;
use super::{End, Job, WINDOW};

static REQUEST: [u8; 4_096] = [0x5a; 4_096];

type Frame = Box<[u8; 1536]>;

/// A TAP device.
struct Tap {
    fd: OwnedFd,
    free: Option<Frame>,
    out: Frame,
}

struct Rx<'a> {
    frame: Frame,
    len: usize,
    free: &'a mut Option<Frame>,
}

struct Tx<'a>(&'a OwnedFd, &'a mut Frame);

impl RxToken for Rx<'_> {
    fn consume<R, F: FnOnce(&[u8]) -> R>(self, f: F) -> R {
        let result = f(&self.frame[..self.len]);
        *self.free = Some(self.frame);
        result
    }
}

impl TxToken for Tx<'_> {
    fn consume<R, F: FnOnce(&mut [u8]) -> R>(self, len: usize, f: F) -> R {
        let result = f(&mut self.1[..len]);
        // What does not fit is lost, as with smoltcp's own device.
        let _ = rustix::io::write(self.0, &self.1[..len]);
        result
    }
}

impl Device for Tap {
    type RxToken<'a> = Rx<'a>;
    type TxToken<'a> = Tx<'a>;

    fn receive(&mut self, _: Instant) -> Option<(Rx<'_>, Tx<'_>)> {
        let mut frame = self.free.take().unwrap_or_else(|| Box::new([0; 1536]));
        match rustix::io::read(&self.fd, &mut frame[..]) {
            Ok(len) => {
                let rx = Rx {
                    frame,
                    len,
                    free: &mut self.free,
                };
                Some((rx, Tx(&self.fd, &mut self.out)))
            }
            Err(_) => {
                self.free = Some(frame);
                None
            }
        }
    }

    fn transmit(&mut self, _: Instant) -> Option<Tx<'_>> {
        Some(Tx(&self.fd, &mut self.out))
    }

    fn capabilities(&self) -> DeviceCapabilities {
        let mut capabilities = DeviceCapabilities::default();
        capabilities.medium = Medium::Ethernet;
        capabilities.max_transmission_unit = 1514;
        capabilities
    }
}

struct Smol {
    iface: Interface,
    device: Tap,
    sockets: SocketSet<'static>,
    handle: SocketHandle,
    port: u16,
    job: Job,
    to_write: u64,
    to_receive: u64,
    answered: usize,
    /// The next request may be written.
    ask: bool,
}

pub(super) fn plain(fd: OwnedFd) -> Box<dyn End> {
    let mut device = Tap {
        fd,
        free: None,
        out: Box::new([0; 1536]),
    };
    let config = Config::new(EthernetAddress([2, 0, 0, 0, 77, 1]).into());
    let mut iface = Interface::new(config, &mut device, Instant::now());
    iface.update_ip_addrs(|addrs| {
        addrs.push(IpCidr::new(station().into(), 24)).expect("room");
    });
    let mut sockets = SocketSet::new(vec![]);
    let buffer = || tcp::SocketBuffer::new(vec![0; WINDOW]);
    let handle = sockets.add(tcp::Socket::new(buffer(), buffer()));
    Box::new(Smol {
        iface,
        device,
        sockets,
        handle,
        port: 50_000,
        job: Job::Send(0),
        to_write: 0,
        to_receive: 0,
        answered: 0,
        ask: false,
    })
}

impl Smol {
    fn application(&mut self) {
        let socket: &mut tcp::Socket<'_> = self.sockets.get_mut(self.handle);
        while socket.can_recv() {
            let len = socket.recv(|data| (data.len(), data.len())).expect("open");
            self.to_receive = self.to_receive.saturating_sub(len as u64);
            if let Job::RoundTrips(_, whole) = self.job {
                self.answered += len;
                if self.answered >= whole {
                    self.answered = 0;
                    self.ask = true;
                }
            }
        }
        match self.job {
            Job::Send(_) => {
                // Twice, around the end of the ring.
                for _ in 0..2 {
                    if self.to_write > 0 && socket.can_send() {
                        let most = self.to_write;
                        let fill = |data: &mut [u8]| {
                            let len = (data.len() as u64).min(most) as usize;
                            (len, len)
                        };
                        self.to_write -= socket.send(fill).expect("open") as u64;
                    }
                }
            }
            Job::RoundTrips(_, len) if self.ask && self.to_write > 0 && socket.can_send() => {
                let sent = socket.send_slice(&REQUEST[..len]).expect("open");
                assert_eq!(sent, len, "room for a request");
                self.to_write -= len as u64;
                self.ask = false;
            }
            _ => {}
        }
    }
}

impl End for Smol {
    fn fd(&self) -> BorrowedFd<'_> {
        self.device.fd.as_fd()
    }

    fn begin(&mut self, job: Job, to: SocketAddr) {
        self.job = job;
        (self.to_write, self.to_receive) = match job {
            Job::Send(bytes) => (bytes, 0),
            Job::Receive(bytes) => (0, bytes),
            Job::RoundTrips(n, len) => (n * len as u64, n * len as u64),
        };
        (self.ask, self.answered) = (true, 0);
        self.port += 1;
        let socket: &mut tcp::Socket<'_> = self.sockets.get_mut(self.handle);
        socket.set_nagle_enabled(!matches!(job, Job::RoundTrips(..)));
        let SocketAddr::V4(to) = to else {
            panic!("the kernel's servers have IPv4");
        };
        let to = IpEndpoint::new((*to.ip()).into(), to.port());
        socket
            .connect(self.iface.context(), to, self.port)
            .expect("a closed socket");
    }

    /// All frames there are, the application, all there is to send: smoltcp's fastest order.
    fn turn(&mut self) -> Option<Duration> {
        let now = Instant::now();
        let (device, sockets) = (&mut self.device, &mut self.sockets);
        while self.iface.poll_ingress_single(now, device, sockets) != PollIngressSingleResult::None
        {
        }
        self.application();
        let (device, sockets) = (&mut self.device, &mut self.sockets);
        while self.iface.poll_egress(now, device, sockets) != PollResult::None {}
        let delay = self.iface.poll_delay(now, &self.sockets)?;
        Some(Duration::from_micros(delay.total_micros()))
    }

    fn is_done(&self) -> bool {
        let socket: &tcp::Socket<'_> = self.sockets.get(self.handle);
        self.to_write == 0 && self.to_receive == 0 && socket.send_queue() == 0
    }

    fn finish(&mut self) {
        let socket: &mut tcp::Socket<'_> = self.sockets.get_mut(self.handle);
        socket.abort();
    }
}
