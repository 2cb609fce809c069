//! Linux's side of the generator's applications: sockets that do not block, looked at each turn of
//! gannet's.
use std::cell::RefCell;
use std::io::{ErrorKind, Read as _, Write as _};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::rc::Rc;
use std::time::{Duration, Instant};

use gannet_core::Error;
use gannet_tests::sim::Plan;
use gannet_tests::sim::dialogue::{Dialogue, Next, Sender};
use gannet_tests::sim::ledger::{Fate, Ledger};
use gannet_tests::sim::plan::{Kind, Read, Side, TcpFlow};
use rustix::net::sockopt;

use crate::linux::Linux;
use crate::linux_ends::{listen, start_connect};

/// Linux's number among the hosts of the plan.
const LINUX: usize = 1;
/// What a slow reader takes at a time.
const SIP: usize = 1_460;
/// How long a reader that refuses waits.
const REFUSED: Duration = Duration::from_millis(10);

#[derive(Debug)]
struct Conn {
    stream: TcpStream,
    talk: Dialogue,
    connected: bool,
    next_read: Instant,
    offers: u8,
}

#[derive(Debug)]
struct Client {
    flow: usize,
    opened: u32,
    next: Option<Instant>,
}

/// See the module.
#[derive(Debug)]
pub(crate) struct LinuxApp {
    plan: Rc<Plan>,
    ledger: Rc<RefCell<Ledger>>,
    conns: Vec<Conn>,
    clients: Vec<Client>,
    listeners: Vec<(usize, TcpListener)>,
    echoes: Vec<UdpSocket>,
}

impl LinuxApp {
    /// The application of the plan's host 1, which begins now.
    ///
    /// # Panics
    /// Linux has no sockets.
    pub(crate) fn new(linux: &Linux, plan: &Rc<Plan>, ledger: &Rc<RefCell<Ledger>>) -> Self {
        let start = Instant::now();
        let (mut clients, mut listeners, mut echoes) = (Vec::new(), Vec::new(), Vec::new());
        for (n, flow) in plan.flows.iter().enumerate() {
            match flow.kind {
                Kind::Tcp(_) if flow.client == LINUX => clients.push(Client {
                    flow: n,
                    opened: 0,
                    next: Some(start + flow.start),
                }),
                Kind::Tcp(_) => {
                    let listener = listen(linux, flow.port).expect("a free port");
                    listener.set_nonblocking(true).expect("a socket");
                    listeners.push((n, listener));
                }
                Kind::Udp(_) => {
                    let addr = SocketAddr::from((linux.address(), flow.port));
                    let socket = linux.run(move || UdpSocket::bind(addr));
                    let socket = socket.expect("a free port");
                    socket.set_nonblocking(true).expect("a socket");
                    echoes.push(socket);
                }
            }
        }
        Self {
            plan: Rc::clone(plan),
            ledger: Rc::clone(ledger),
            conns: Vec::new(),
            clients,
            listeners,
            echoes,
        }
    }

    /// Whether everything this application wanted is over.
    pub(crate) fn is_finished(&self) -> bool {
        self.conns.is_empty() && self.clients.iter().all(|client| client.next.is_none())
    }

    /// Does what can be done.
    pub(crate) fn turn(&mut self, linux: &Linux) {
        let now = Instant::now();
        let mut buffer = [0; 65_535];
        for echo in &self.echoes {
            while let Ok((n, from)) = echo.recv_from(&mut buffer) {
                // Datagrams may be lost.
                let _ = echo.send_to(&buffer[..n], from);
            }
        }
        for at in 0..self.clients.len() {
            if self.clients[at].next.is_some_and(|next| next <= now) {
                self.open(at, linux, now);
            }
        }
        for (flow, listener) in &self.listeners {
            while let Ok((stream, _)) = listener.accept() {
                stream.set_nonblocking(true).expect("a socket");
                self.conns
                    .push(Conn::new(stream, Dialogue::new(*flow, 1, None), now));
            }
        }
        let mut at = 0;
        while at < self.conns.len() {
            match self.serve(at, now) {
                Some(fate) => self.conclude(at, fate, now),
                None => at += 1,
            }
        }
    }

    fn tcp_flow(&self, flow: usize) -> TcpFlow {
        match self.plan.flows[flow].kind {
            Kind::Tcp(plan) => plan,
            Kind::Udp(_) => unreachable!("the number is that of a TCP flow"),
        }
    }

    fn open(&mut self, at: usize, linux: &Linux, now: Instant) {
        let client = &mut self.clients[at];
        client.next = None;
        client.opened += 1;
        let flow = client.flow;
        let to = &self.plan.flows[flow];
        let to = (self.plan.addr(to.server), to.port).into();
        let id = self.ledger.borrow_mut().open(flow);
        let talk = Dialogue::new(flow, 0, Some(id));
        let stream = start_connect(linux, to);
        self.conns.push(Conn::new(stream, talk, now));
    }

    fn serve(&mut self, at: usize, now: Instant) -> Option<Fate> {
        let plan = self.tcp_flow(self.conns[at].talk.flow);
        let conn = &mut self.conns[at];
        let side = conn.talk.of(&plan);
        if !conn.connected {
            conn.connected = conn.stream.peer_addr().is_ok();
            if !conn.connected {
                let failed = conn.stream.take_error().is_ok_and(|error| error.is_some());
                return failed.then_some(Fate::Failed(Error::Refused));
            }
        }
        let ledger = &mut self.ledger.borrow_mut();
        if conn.talk.is_to_be_aborted(&plan) {
            // Closing resets then.
            sockopt::set_socket_linger(&conn.stream, Some(Duration::ZERO)).expect("a socket");
            return Some(Fate::Dropped);
        }
        if let Err(error) = conn.read(&side, ledger, now) {
            return Some(error);
        }
        while let Some(bytes) = conn.talk.piece(&plan, side.writes.size()) {
            match conn.stream.write(&bytes) {
                Ok(n) => conn.talk.wrote(n, ledger),
                Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                Err(_) => return Some(Fate::Failed(Error::Reset)),
            }
        }
        match conn.talk.next(&plan) {
            Next::GoOn => None,
            Next::HalfClose => {
                conn.talk.shut = conn.stream.shutdown(Shutdown::Write).is_ok();
                None
            }
            Next::Close => Some(Fate::Done),
        }
    }

    fn conclude(&mut self, at: usize, fate: Fate, now: Instant) {
        let conn = self.conns.swap_remove(at);
        self.ledger.borrow_mut().conclude(&conn.talk, fate);
        let flow = conn.talk.flow;
        let connections = self.tcp_flow(flow).connections;
        let client = self.clients.iter_mut().find(|client| client.flow == flow);
        if let Some(client) = client.filter(|client| client.opened < connections) {
            client.next = Some(now);
        }
    }
}

impl Conn {
    fn new(stream: TcpStream, talk: Dialogue, now: Instant) -> Self {
        Self {
            stream,
            talk,
            connected: false,
            next_read: now,
            offers: 0,
        }
    }

    /// Reads what its side reads now.
    fn read(&mut self, side: &Side, ledger: &mut Ledger, now: Instant) -> Result<(), Fate> {
        let mut buffer = [0; 16_384];
        while self.next_read <= now && !self.talk.eof {
            let most = match side.read {
                Read::Slow(_) => SIP,
                Read::Prompt | Read::Refuse(_) => buffer.len(),
            };
            match self.stream.read(&mut buffer[..most]) {
                Ok(0) => self.talk.eof = true,
                Ok(n) => {
                    if self.talk.received(buffer[..n].iter(), ledger) == Sender::Stranger {
                        return Err(Fate::Dropped);
                    }
                    self.offers = self.offers.wrapping_add(1);
                    match side.read {
                        Read::Slow(interval) => self.next_read = now + interval,
                        Read::Refuse(every) if self.offers.is_multiple_of(every) => {
                            self.next_read = now + REFUSED;
                        }
                        Read::Prompt | Read::Refuse(_) => {}
                    }
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                Err(_) => return Err(Fate::Failed(Error::Reset)),
            }
        }
        Ok(())
    }
}
