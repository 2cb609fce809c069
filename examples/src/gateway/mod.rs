//! The way to the board without any privilege: a second gannet stack on the host's side of the
//! link, on the raw API and poll(2) alone, that ends the board's connections and goes on with
//! sockets of the host. QEMU's user network works like that.
//!
//! * Connections to a forwarded port of 127.0.0.1 go to the board, and so do datagrams.
//! * What the board connects to at the gateway's address, ends at the same port of 127.0.0.1.
//!
//! No other address of the host's world is ever contacted.
mod admit;
mod datagrams;
mod splice;
mod wire;

use core::net::{Ipv4Addr, SocketAddr};
use std::collections::HashMap;
use std::io;
use std::net::{TcpListener as HostListener, UdpSocket};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::Instant as HostInstant;

use gannet_core::{
    Config, Error, Handler, Instant, Owner, Pbuf, Refused, Stack, Subnet, Tcp, TcpListener, TcpPcb,
    Udp, UdpPcb, pbuf_pool, stack_storage, udp,
};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;

use crate::path::Faults;
use admit::{Admissions, Verdict};
use datagrams::Datagrams;
pub(crate) use splice::reset;
use splice::{Splice, State};
use wire::Wire;

/// Connections through the gateway at a time.
const CONNECTIONS: usize = 256;
const OWNER: Owner = Owner(0);

pbuf_pool! { static RX: [1536; 2048] + refs 2048 }
pbuf_pool! { static TX: [1536; 4096] + refs 8192 }
pbuf_pool! { static HEADERS: [128; 1024] }
stack_storage! {
    static STORAGE: {
        connections: CONNECTIONS, listeners: 40, half_open: 128, time_wait: 512,
        out_of_order: 1024, in_flight: 8192, udp: 72, datagrams: 128, interfaces: 1, neighbors: 8, pending: 64,
        routes: 1, reassembly: 8, loopback: 1,
    }
}

/// What a gateway forwards to the board.
#[derive(Debug, Default)]
pub struct Forwards {
    /// Listeners on the host and the board's ports behind them.
    pub tcp: Vec<(HostListener, u16)>,
    /// Sockets on the host and the board's ports behind them.
    pub udp: Vec<(UdpSocket, u16)>,
}

/// The gateway, ready to serve.
#[derive(Debug)]
pub struct Gateway {
    stack: Stack,
    wire: Wire,
    link: OwnedFd,
    listeners: Vec<(HostListener, SocketAddr)>,
    switch: Switch,
    start: HostInstant,
}

/// What is connected with what.
#[derive(Debug)]
struct Switch {
    splices: HashMap<TcpPcb, Splice>,
    admissions: Admissions,
    datagrams: Datagrams,
}

/// What a descriptor that was waited for is of.
#[derive(Clone, Copy, Debug)]
enum Source {
    Until,
    Link,
    Listener(usize),
    Datagrams(usize),
    Admission,
    Splice(TcpPcb),
}

impl Gateway {
    /// A gateway with the address and network `subnet` to the board at `board`, on the other side
    /// of `link`, a socket that carries a frame per message. One in each process.
    ///
    /// # Errors
    /// Those of the system, and `AddrNotAvailable` if `subnet` has no such host.
    pub fn new(
        link: OwnedFd,
        subnet: Subnet,
        board: Ipv4Addr,
        forwards: Forwards,
        faults: Faults,
    ) -> io::Result<Self> {
        let storage = STORAGE
            .take(&TX, &HEADERS)
            .ok_or(io::ErrorKind::AlreadyExists)?;
        let mut config = Config::default();
        config.tcp.rcv_wnd = 256 * 1024;
        config.tcp.snd_buf = 256 * 1024;
        config.tcp.snd_queuelen = 1024;
        let mut random = Ok(());
        let mut stack = Stack::new(storage, config, &mut |bytes| {
            random = random.and(getrandom::fill(bytes));
        });
        random.map_err(io::Error::other)?;
        let wire = Wire::new(link, faults, &RX)?;
        stack
            .add_netif(Box::leak(Box::new(wire.clone())), Some(subnet))
            .map_err(|error| io::Error::new(io::ErrorKind::AddrNotAvailable, error))?;
        let Forwards { tcp, udp } = forwards;
        for (listener, _) in &tcp {
            listener.set_nonblocking(true)?;
        }
        let to_board = |port| SocketAddr::from((board, port));
        let udp = udp
            .into_iter()
            .map(|(socket, port)| (socket, to_board(port)))
            .collect();
        Ok(Self {
            stack,
            link: wire.fd()?,
            wire,
            listeners: tcp
                .into_iter()
                .map(|(host, port)| (host, to_board(port)))
                .collect(),
            switch: Switch {
                splices: HashMap::new(),
                admissions: Admissions::new(subnet.addr(), OWNER),
                datagrams: Datagrams::new(udp, &TX, OWNER)?,
            },
            start: HostInstant::now(),
        })
    }

    /// Serves until one of `until` can be read from, or has ended.
    ///
    /// # Errors
    /// Those of waiting, and of the link.
    pub fn serve(&mut self, until: &[BorrowedFd<'_>]) -> io::Result<()> {
        let mut deadline = self.turn();
        loop {
            let ready = self.wait(until, deadline)?;
            for (source, flags) in ready {
                match source {
                    Source::Until => return Ok(()),
                    Source::Link if flags.contains(PollFlags::OUT) => self.wire.has_room(),
                    Source::Link | Source::Admission => {}
                    Source::Listener(n) => self.accept_from_host(n),
                    Source::Datagrams(n) => {
                        let now = self.now();
                        self.switch.datagrams.forward(&mut self.stack.udp(now), n);
                    }
                    Source::Splice(pcb) => {
                        let now = self.now();
                        let tcp = &mut self.stack.tcp(now);
                        self.switch.run(pcb, |splice| splice.host_ready(tcp, flags));
                    }
                }
            }
            self.receive()?;
            deadline = self.turn();
        }
    }

    fn now(&self) -> Instant {
        let micros = self.start.elapsed().as_micros();
        Instant::from_micros(u64::try_from(micros).unwrap_or(u64::MAX))
    }

    /// A turn of the stack; when the next one is due.
    fn turn(&mut self) -> Option<Instant> {
        let now = self.now();
        self.stack.turn(now, &mut [&mut self.switch])
    }

    /// Waits until something is to be done: what is ready.
    fn wait(
        &mut self,
        until: &[BorrowedFd<'_>],
        deadline: Option<Instant>,
    ) -> io::Result<Vec<(Source, PollFlags)>> {
        let now = self.now();
        let host_now = HostInstant::now();
        let stack = deadline.map(|deadline| deadline.saturating_since(now));
        let path = self
            .wire
            .next_arrival()
            .map(|due| due.saturating_duration_since(host_now));
        let timeout = stack.into_iter().chain(path).min();
        let timeout = timeout.map(|timeout| Timespec {
            tv_sec: timeout.as_secs().try_into().unwrap_or(i64::MAX),
            tv_nsec: timeout.subsec_nanos().into(),
        });

        let tcp = self.stack.tcp(now);
        let mut sources = Vec::new();
        let mut fds = Vec::new();
        let mut watch = |source, fd, flags| {
            sources.push(source);
            fds.push(PollFd::from_borrowed_fd(fd, flags));
        };
        for fd in until {
            watch(Source::Until, *fd, PollFlags::IN);
        }
        let room = match self.wire.waits_for_room() {
            true => PollFlags::OUT,
            false => PollFlags::empty(),
        };
        watch(Source::Link, self.link.as_fd(), PollFlags::IN | room);
        if self.switch.splices.len() < CONNECTIONS {
            for (n, (listener, _)) in self.listeners.iter().enumerate() {
                watch(Source::Listener(n), listener.as_fd(), PollFlags::IN);
            }
        }
        for (n, socket) in self.switch.datagrams.sockets().enumerate() {
            watch(Source::Datagrams(n), socket.as_fd(), PollFlags::IN);
        }
        for fd in self.switch.admissions.fds() {
            watch(Source::Admission, fd, PollFlags::OUT);
        }
        for (pcb, splice) in &self.switch.splices {
            if let Some((fd, flags)) = splice.interest(&tcp) {
                watch(Source::Splice(*pcb), fd, flags);
            }
        }
        match poll(&mut fds, timeout.as_ref()) {
            Ok(_) => {}
            Err(Errno::INTR) => return Ok(Vec::new()),
            Err(error) => return Err(error.into()),
        }
        let ready = sources.into_iter().zip(fds.iter().map(PollFd::revents));
        Ok(ready.filter(|(_, flags)| !flags.is_empty()).collect())
    }

    /// Takes frames from the link and gives them to the stack, or has them wait.
    fn receive(&mut self) -> io::Result<()> {
        let now = self.now();
        let tcp = &mut self.stack.tcp(now);
        for frame in self.wire.take(HostInstant::now())? {
            match self.switch.admissions.inspect(tcp, &frame) {
                Verdict::Pass => self.wire.deliver(&frame),
                Verdict::Hold => {}
            }
        }
        for frame in self.switch.admissions.progress(tcp) {
            self.wire.deliver(&frame);
        }
        Ok(())
    }

    /// Accepts a connection on a forwarded port and connects to the board for it.
    fn accept_from_host(&mut self, listener: usize) {
        let now = self.now();
        let Some((listener, board)) = self.listeners.get(listener) else {
            return;
        };
        let Ok((host, _)) = listener.accept() else {
            return;
        };
        let mut tcp = self.stack.tcp(now);
        let Ok(pcb) = connect(&mut tcp, *board) else {
            return reset(&host);
        };
        match Splice::connecting(host, pcb) {
            Ok(splice) => {
                self.switch.splices.insert(pcb, splice);
            }
            Err(_) => {
                let _ = tcp.abort(pcb);
            }
        }
    }
}

fn connect(tcp: &mut Tcp<'_>, board: SocketAddr) -> Result<TcpPcb, Error> {
    let pcb = tcp.new(OWNER)?;
    match tcp.connect(pcb, board) {
        Ok(()) => Ok(pcb),
        Err(error) => {
            let _ = tcp.abort(pcb);
            Err(error)
        }
    }
}

impl Switch {
    /// Runs `f` on the splice of `pcb`, and forgets it if it is over.
    fn run(&mut self, pcb: TcpPcb, f: impl FnOnce(&mut Splice) -> State) {
        if let Some(splice) = self.splices.get_mut(&pcb)
            && f(splice) == State::Over
        {
            self.splices.remove(&pcb);
        }
    }
}

impl Handler for Switch {
    fn accept(&mut self, tcp: &mut Tcp<'_>, _: TcpListener, pcb: TcpPcb) -> Result<(), Error> {
        let SocketAddr::V4(from) = tcp.peer_addr(pcb)? else {
            return Err(Error::Argument);
        };
        let port = tcp.local_addr(pcb)?.port();
        let host = self.admissions.take(from, port).ok_or(Error::Refused)?;
        let splice = Splice::open(host, pcb).map_err(|_| Error::Aborted)?;
        self.splices.insert(pcb, splice);
        Ok(())
    }

    fn connected(&mut self, tcp: &mut Tcp<'_>, pcb: TcpPcb) {
        self.run(pcb, |splice| splice.connected(tcp));
    }

    fn recv(&mut self, tcp: &mut Tcp<'_>, pcb: TcpPcb, data: Option<Pbuf>) -> Result<(), Refused> {
        self.run(pcb, |splice| splice.board_sent(tcp, data));
        Ok(())
    }

    fn sent(&mut self, tcp: &mut Tcp<'_>, pcb: TcpPcb, _: usize) {
        self.run(pcb, |splice| splice.pump(tcp));
    }

    fn err(&mut self, _: &mut Tcp<'_>, pcb: TcpPcb, _: Error) {
        if let Some(splice) = self.splices.remove(&pcb) {
            splice.board_failed();
        }
    }

    fn udp_recv(&mut self, _: &mut Udp<'_>, pcb: UdpPcb, datagram: udp::Datagram) {
        self.datagrams.answer(pcb, &datagram.data);
    }
}
