//! gannet at the end of the cable.
use std::net::SocketAddr;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::{Duration, Instant as HostInstant};

use gannet_core::config::Use;
use gannet_core::tcp::{Data, More, Nagle};
use gannet_core::{
    Config, Error, Handler, HwAddr, Instant, Owner, Pbuf, Refused, Stack, Subnet, Tcp, TcpPcb,
};
use gannet_port_freertos::device::{Polled, Setup};
use gannet_tests::storage::{Pools, Sizes, leak_pool, leak_storage};

use super::kernel::station;
use super::{End, Job, WINDOW};

/// Bytes of one write.
const PIECE: usize = 8 * 1_460;
static CONTENT: [u8; PIECE] = [0x5a; PIECE];

/// Does a job over the connection it is told of.
struct App {
    job: Job,
    /// Bytes still to be written, to be acknowledged, to be received.
    to_write: u64,
    to_be_acked: u64,
    to_receive: u64,
    /// Bytes of the answer under way.
    answered: usize,
    pcb: Option<TcpPcb>,
}

struct Gannet {
    stack: Stack,
    app: App,
    fd: OwnedFd,
    start: HostInstant,
}

pub(super) fn plain(cable: OwnedFd) -> Box<dyn End> {
    make(cable, Polled::new)
}

pub(super) fn offloading(cable: OwnedFd) -> Box<dyn End> {
    make(cable, Polled::offloading)
}

fn make(cable: OwnedFd, device: fn(OwnedFd, Setup) -> std::io::Result<Polled>) -> Box<dyn End> {
    let pools = Pools {
        rx: leak_pool::<1024, 1536>("rx", 256),
        tx: leak_pool::<256, 1536>("tx", 4096),
        header: leak_pool::<1024, 128>("header", 128),
    };
    let sizes = Sizes {
        sends: 2048,
        ..Sizes::default()
    };
    let mut config = Config::default();
    // As the rival.
    config.tcp.timestamps = Use::Off;
    config.tcp.window_scaling = Use::Off;
    config.tcp.rcv_wnd = WINDOW as u32;
    config.tcp.snd_buf = WINDOW as u32;
    let mut stack = Stack::new(leak_storage(sizes, pools), config, &mut |bytes| {
        bytes.fill(7)
    });
    let fd = cable.try_clone().expect("a descriptor");
    let setup = Setup::new(HwAddr([2, 0, 0, 0, 77, 1]), pools.rx);
    let device = device(cable, setup).expect("large blocks");
    let subnet = Subnet::new(station(), 24).expect("a prefix");
    stack
        .add_netif(Box::leak(Box::new(device)), Some(subnet))
        .expect("a free slot");
    Box::new(Gannet {
        stack,
        app: App {
            job: Job::Send(0),
            to_write: 0,
            to_be_acked: 0,
            to_receive: 0,
            answered: 0,
            pcb: None,
        },
        fd,
        start: HostInstant::now(),
    })
}

impl Gannet {
    fn now(&self) -> Instant {
        Instant::from_micros(self.start.elapsed().as_micros() as u64)
    }
}

impl End for Gannet {
    fn fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }

    fn begin(&mut self, job: Job, to: SocketAddr) {
        let (send, receive) = match job {
            Job::Send(bytes) => (bytes, 0),
            Job::Receive(bytes) => (0, bytes),
            Job::RoundTrips(n, len) => (n * len as u64, n * len as u64),
        };
        self.app.job = job;
        (self.app.to_write, self.app.to_be_acked, self.app.to_receive) = (send, send, receive);
        self.app.answered = 0;
        let mut tcp = self.stack.tcp(self.now());
        let pcb = tcp.new(Owner(0)).expect("a free block");
        if matches!(job, Job::RoundTrips(..)) {
            tcp.nagle(pcb, Nagle::Disabled).expect("a connection");
        }
        tcp.connect(pcb, to).expect("a route");
        self.app.pcb = Some(pcb);
    }

    fn turn(&mut self) -> Option<Duration> {
        let now = self.now();
        let deadline = self.stack.turn(now, &mut [&mut self.app])?;
        Some(deadline.saturating_since(now))
    }

    fn is_done(&self) -> bool {
        self.app.to_be_acked == 0 && self.app.to_receive == 0
    }

    fn finish(&mut self) {
        let pcb = self.app.pcb.take();
        // It may be over already.
        let _ = pcb.map(|pcb| self.stack.tcp(self.now()).abort(pcb));
    }
}

impl App {
    fn fill(&mut self, tcp: &mut Tcp<'_>, pcb: TcpPcb) {
        let piece = match self.job {
            Job::RoundTrips(_, len) => len,
            _ => PIECE,
        };
        while self.to_write > 0 {
            let room = tcp.sndbuf(pcb).expect("a connection");
            let len = self.to_write.min(piece.min(room) as u64) as usize;
            if len == 0 {
                return;
            }
            let data = match self.job {
                Job::RoundTrips(..) => Data::Copy(&CONTENT[..len]),
                _ => Data::Static(&CONTENT[..len]),
            };
            match tcp.write(pcb, data, More::Yes) {
                Ok(()) => self.to_write -= len as u64,
                Err(refused) if refused.error == Error::NoMemory => return,
                Err(other) => panic!("write: {:?}", other.error),
            }
            if matches!(self.job, Job::RoundTrips(..)) {
                return;
            }
        }
    }
}

impl Handler for App {
    fn connected(&mut self, tcp: &mut Tcp<'_>, pcb: TcpPcb) {
        self.fill(tcp, pcb);
    }

    fn sent(&mut self, tcp: &mut Tcp<'_>, pcb: TcpPcb, len: usize) {
        self.to_be_acked -= len as u64;
        if matches!(self.job, Job::Send(_)) {
            self.fill(tcp, pcb);
        }
    }

    fn recv(&mut self, tcp: &mut Tcp<'_>, pcb: TcpPcb, data: Option<Pbuf>) -> Result<(), Refused> {
        let Some(data) = data else { return Ok(()) };
        let len = data.tot_len();
        self.to_receive = self.to_receive.saturating_sub(len as u64);
        tcp.recved(pcb, len).expect("the connection in a callback");
        if let Job::RoundTrips(_, whole) = self.job {
            self.answered += len;
            if self.answered >= whole {
                self.answered = 0;
                self.fill(tcp, pcb);
            }
        }
        Ok(())
    }
}
