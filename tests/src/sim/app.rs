//! The application of a simulated host: client and server of all flows of the plan that concern
//! it, on the raw API. Datagrams are in `echo`.
use std::cell::RefCell;
use std::collections::VecDeque;
use std::net::SocketAddr;
use std::rc::Rc;
use std::time::Duration;

use gannet_core::tcp::{Data, More, Shutdown, State};
use gannet_core::udp::Datagram;
use gannet_core::{
    Error, Handler, Instant, Owner, Pbuf, Pool, Refused, Stack, Tcp, TcpListener, TcpPcb, Udp,
    UdpPcb,
};

use super::dialogue::{Dialogue, Next, Sender};
use super::echo::Echo;
use super::ledger::{Fate, Ledger};
use super::plan::{End, Expect, Flow, Kind, Options, Plan, Read, TcpFlow, Writes};

/// How long an application waits for a silent peer.
pub(super) const PATIENCE: Duration = Duration::from_secs(45 * 60);
/// How often it tries again what failed for want of memory.
const RETRY: Duration = Duration::from_millis(50);

#[derive(Debug)]
struct Conn {
    pcb: TcpPcb,
    talk: Dialogue,
    closed: bool,
    /// Lengths, and what the application keeps.
    held: VecDeque<(usize, Option<Pbuf>)>,
    offers: u8,
    /// Bytes of a write; fewer when so many never fit.
    piece: usize,
    next_read: Option<Instant>,
    retry: Option<Instant>,
    progress: Instant,
}

/// A client's flow.
#[derive(Debug)]
struct Client {
    flow: usize,
    opened: u32,
    tries: u32,
    next: Option<Instant>,
}

/// See the module.
#[derive(Debug)]
pub struct App {
    host: usize,
    plan: Rc<Plan>,
    ledger: Rc<RefCell<Ledger>>,
    tx: &'static Pool,
    conns: Vec<Conn>,
    clients: Vec<Client>,
    listeners: Vec<(usize, Option<TcpListener>)>,
    echo: Echo,
    /// No new connections.
    pub closing: bool,
}

impl App {
    /// The application of host `host`, which begins at `start`.
    pub fn new(
        host: usize,
        plan: &Rc<Plan>,
        ledger: &Rc<RefCell<Ledger>>,
        tx: &'static Pool,
        start: Instant,
    ) -> Self {
        let of = |n: &(usize, &Flow)| matches!(n.1.kind, Kind::Tcp(_));
        let flows = || plan.flows.iter().enumerate().filter(of);
        Self {
            host,
            plan: plan.clone(),
            ledger: ledger.clone(),
            tx,
            conns: Vec::new(),
            clients: flows()
                .filter(|(_, flow)| flow.client == host)
                .map(|(n, flow)| Client {
                    flow: n,
                    opened: 0,
                    tries: 0,
                    next: Some(start + flow.start),
                })
                .collect(),
            listeners: flows()
                .filter(|(_, flow)| flow.server == host)
                .map(|(n, _)| (n, None))
                .collect(),
            echo: Echo::new(host, plan, ledger, tx, start),
            closing: false,
        }
    }

    /// The host was started anew: its connections are lost, its clients do not come back.
    pub fn rebooted(&mut self, old: Self) {
        let mut ledger = self.ledger.borrow_mut();
        for conn in &old.conns {
            ledger.conclude(&conn.talk, Fate::Dropped);
        }
        self.clients.clear();
        drop(ledger);
        self.echo.rebooted();
    }

    /// The clock went forward.
    pub fn jumped(&mut self, by: Duration) {
        for conn in &mut self.conns {
            conn.progress += by;
        }
    }

    /// Whether everything this application wanted is over.
    pub fn is_finished(&self) -> bool {
        self.conns.is_empty()
            && self.clients.iter().all(|client| client.next.is_none())
            && self.echo.is_finished()
    }

    /// When it wants to be woken.
    pub fn next_wake(&self) -> Option<Instant> {
        let conns = self.conns.iter().flat_map(|conn| {
            let patience = Some(conn.progress + PATIENCE);
            [conn.next_read, conn.retry, patience].into_iter().flatten()
        });
        let clients = self.clients.iter().filter_map(|client| client.next);
        conns.chain(clients).chain(self.echo.next_wake()).min()
    }

    /// Opens what the host listens on.
    pub fn listen(&mut self, stack: &mut Stack, now: Instant) {
        for (n, listener) in &mut self.listeners {
            let flow = &self.plan.flows[*n];
            let Kind::Tcp(plan) = flow.kind else { continue };
            let mut tcp = stack.tcp(now);
            let pcb = tcp.new(Owner(0)).expect("nothing is open yet");
            let any = SocketAddr::from(([0, 0, 0, 0], flow.port));
            tcp.bind(pcb, any).expect("each flow has its own port");
            set_options(&mut tcp, pcb, &plan.server_side.options);
            tcp.arg(pcb, *n).expect("a fresh block");
            *listener = Some(tcp.listen(pcb, plan.backlog).expect("enough listeners"));
        }
        self.echo.listen(stack, now);
    }

    /// Closes what it listens on.
    pub fn shut_down(&mut self, stack: &mut Stack, now: Instant) {
        self.closing = true;
        for (_, listener) in &mut self.listeners {
            if let Some(listener) = listener.take() {
                let _ = stack.tcp(now).close_listener(listener);
            }
        }
        self.echo.shut_down(stack, now);
    }

    /// Finds out which connections are gone without a word.
    pub fn sweep(&mut self, stack: &mut Stack, now: Instant) {
        let tcp = stack.tcp(now);
        let mut at = 0;
        while let Some(conn) = self.conns.get(at) {
            if tcp.state(conn.pcb).is_err() {
                self.conclude(at, Fate::Done, now);
            } else {
                at += 1;
            }
        }
    }

    fn tcp_flow(&self, flow: usize) -> TcpFlow {
        match self.plan.flows[flow].kind {
            Kind::Tcp(plan) => plan,
            Kind::Udp(_) => unreachable!("the number is that of a TCP flow"),
        }
    }

    fn find(&self, pcb: TcpPcb) -> Option<usize> {
        self.conns.iter().position(|conn| conn.pcb == pcb)
    }

    fn conclude(&mut self, at: usize, fate: Fate, now: Instant) {
        let conn = self.conns.remove(at);
        self.ledger.borrow_mut().conclude(&conn.talk, fate);
        if conn.talk.side == 0 {
            self.schedule_next(conn.talk.flow, now);
        }
    }

    fn schedule_next(&mut self, flow: usize, now: Instant) {
        let connections = self.tcp_flow(flow).connections;
        let client = self.clients.iter_mut().find(|client| client.flow == flow);
        if let Some(client) = client.filter(|client| client.opened < connections) {
            client.next = Some(now + Duration::from_millis(3));
        }
    }

    fn open(&mut self, tcp: &mut Tcp<'_>, at: usize, now: Instant) {
        let client = &mut self.clients[at];
        let n = client.flow;
        let flow = self.plan.flows[n];
        client.next = None;
        client.tries += 1;
        let tries = client.tries;
        let plan = self.tcp_flow(n);
        match start(tcp, &plan, (self.plan.addr(flow.server), flow.port).into()) {
            Ok(pcb) => {
                let id = self.ledger.borrow_mut().open(n);
                self.clients[at].opened += 1;
                self.clients[at].tries = 0;
                self.add(pcb, Dialogue::new(n, 0, Some(id)), now);
                let index = self.conns.len() - 1;
                self.pump(tcp, index);
            }
            // Something is missing for now.
            Err(_) if tries < 200 => self.clients[at].next = Some(now + 10 * RETRY),
            Err(_) => self.clients[at].opened = plan.connections,
        }
    }

    fn add(&mut self, pcb: TcpPcb, talk: Dialogue, now: Instant) {
        self.conns.push(Conn {
            pcb,
            talk,
            closed: false,
            held: VecDeque::new(),
            offers: 0,
            piece: usize::MAX,
            next_read: None,
            retry: None,
            progress: now,
        });
    }

    /// Writes what may be written, and ends the connection when all is done.
    fn pump(&mut self, tcp: &mut Tcp<'_>, at: usize) {
        let now = tcp.stack().now();
        let plan = self.tcp_flow(self.conns[at].talk.flow);
        let conn = &mut self.conns[at];
        let side = conn.talk.of(&plan);
        if conn.talk.is_to_be_aborted(&plan) {
            let _ = tcp.abort(conn.pcb);
            self.conclude(at, Fate::Dropped, now);
            return;
        }
        conn.retry = None;
        let most = side.writes.size();
        while !conn.closed
            && let Some(bytes) = conn.talk.piece(&plan, most.min(conn.piece))
        {
            match write(tcp, conn.pcb, side.writes, &bytes, self.tx) {
                Ok(()) => {
                    conn.talk.wrote(bytes.len(), &mut self.ledger.borrow_mut());
                    conn.piece = conn.piece.saturating_mul(2);
                    conn.progress = now;
                }
                Err(Error::NoMemory) => {
                    conn.piece = (bytes.len() / 2).max(1);
                    // Room comes when something leaves, which a cork would prevent.
                    let _ = tcp.output(conn.pcb);
                    conn.retry = Some(now + RETRY);
                    break;
                }
                Err(Error::Closed | Error::NotConnected) => break,
                Err(other) => {
                    let what = format!("write on a connection: {other:?}");
                    self.ledger.borrow_mut().violate(what);
                    break;
                }
            }
        }
        match conn.talk.next(&plan) {
            Next::GoOn => {}
            Next::HalfClose => conn.talk.shut = tcp.shutdown(conn.pcb, Shutdown::Write).is_ok(),
            // To close an attempt to connect is to give it up, with what was written.
            Next::Close if conn.closed || tcp.state(conn.pcb) == Ok(State::SynSent) => {}
            Next::Close if side.end == End::Orphan && conn.held.is_empty() => {
                let _ = tcp.orphan(conn.pcb);
                self.conclude(at, Fate::Done, now);
            }
            Next::Close => conn.closed = tcp.close(conn.pcb).is_ok(),
        }
    }

    fn tick(&mut self, stack: &mut Stack) {
        let now = stack.now();
        let mut tcp = stack.tcp_now();
        for at in 0..self.clients.len() {
            if self.clients[at].next.is_some_and(|next| next <= now) {
                self.open(&mut tcp, at, now);
            }
        }
        let mut at = 0;
        while let Some(conn) = self.conns.get_mut(at) {
            let pcb = conn.pcb;
            if conn.next_read.is_some_and(|next| next <= now) {
                let interval = conn.interval(&self.plan);
                // Quicker when much is waiting: segments may hold a byte each.
                let take = 1 + conn.held.len() / 4;
                for (len, _) in conn.held.drain(..take.min(conn.held.len())) {
                    conn.progress = now;
                    let _ = tcp.recved(pcb, len);
                }
                conn.next_read = (!conn.held.is_empty()).then(|| now + interval);
            }
            if now.saturating_since(conn.progress) >= PATIENCE {
                self.lose_patience(&mut tcp, at, now);
                continue;
            }
            self.pump(&mut tcp, at);
            if self.conns.get(at).is_some_and(|conn| conn.pcb == pcb) {
                at += 1;
            }
        }
        self.echo.tick(stack);
    }

    fn lose_patience(&mut self, tcp: &mut Tcp<'_>, at: usize, now: Instant) {
        let conn = &self.conns[at];
        if let Ok(info) = tcp.info(conn.pcb)
            && (info.in_flight > 0 || info.unsent > 0)
        {
            let what = format!(
                "connection {:?} hangs with data to send: {info:?}",
                conn.talk.id
            );
            self.ledger.borrow_mut().violate(what);
        }
        let _ = tcp.abort(conn.pcb);
        self.conclude(at, Fate::GivenUp, now);
    }
}

impl Conn {
    fn interval(&self, plan: &Plan) -> Duration {
        match plan.flows[self.talk.flow].kind {
            Kind::Tcp(flow) => match self.talk.of(&flow).read {
                Read::Slow(interval) => interval,
                Read::Prompt | Read::Refuse(_) => Duration::ZERO,
            },
            Kind::Udp(_) => Duration::ZERO,
        }
    }
}

fn write(
    tcp: &mut Tcp<'_>,
    pcb: TcpPcb,
    how: Writes,
    bytes: &[u8],
    pool: &'static Pool,
) -> Result<(), Error> {
    match how {
        Writes::Copy(_) => tcp.write(pcb, Data::Copy(bytes), More::No),
        Writes::Pbuf(_) => {
            let mut p = Pbuf::alloc(pool, 0, bytes.len())?;
            p.copy_from(bytes);
            tcp.write(pcb, Data::Pbuf(p), More::No)
        }
    }
    .map_err(|refused| refused.error)
}

fn set_options(tcp: &mut Tcp<'_>, pcb: TcpPcb, options: &Options) {
    tcp.nagle(pcb, options.nagle).expect("a fresh block");
    tcp.cork(pcb, options.cork).expect("a fresh block");
    tcp.quick_ack(pcb, options.quick_ack)
        .expect("a fresh block");
    tcp.keepalive(pcb, options.keepalive).expect("valid times");
    tcp.user_timeout(pcb, options.user_timeout)
        .expect("not zero");
}

fn start(tcp: &mut Tcp<'_>, plan: &TcpFlow, to: SocketAddr) -> Result<TcpPcb, Error> {
    let pcb = tcp.new(Owner(0))?;
    set_options(tcp, pcb, &plan.client_side.options);
    match tcp.connect(pcb, to) {
        Ok(()) => Ok(pcb),
        Err(error) => {
            let _ = tcp.abort(pcb);
            Err(error)
        }
    }
}

impl Handler for App {
    fn accept(
        &mut self,
        tcp: &mut Tcp<'_>,
        listener: TcpListener,
        pcb: TcpPcb,
    ) -> Result<(), Error> {
        let of = self.listeners.iter().find(|(_, l)| *l == Some(listener));
        let flow = of.ok_or(Error::Aborted)?.0;
        let now = tcp.stack().now();
        self.add(pcb, Dialogue::new(flow, 1, None), now);
        Ok(())
    }

    fn connected(&mut self, tcp: &mut Tcp<'_>, pcb: TcpPcb) {
        if let Some(at) = self.find(pcb) {
            self.conns[at].progress = tcp.stack().now();
            self.pump(tcp, at);
        }
    }

    fn recv(&mut self, tcp: &mut Tcp<'_>, pcb: TcpPcb, data: Option<Pbuf>) -> Result<(), Refused> {
        let now = tcp.stack().now();
        let Some(at) = self.find(pcb) else {
            let what = format!("host {}: data of an unknown connection", self.host);
            self.ledger.borrow_mut().violate(what);
            return Ok(());
        };
        let plan = self.tcp_flow(self.conns[at].talk.flow);
        let read = self.conns[at].talk.of(&plan).read;
        let conn = &mut self.conns[at];
        conn.progress = now;
        let Some(data) = data else {
            conn.talk.eof = true;
            self.pump(tcp, at);
            return Ok(());
        };
        conn.offers = conn.offers.wrapping_add(1);
        if let Read::Refuse(every) = read
            && conn.offers.is_multiple_of(every)
        {
            return Err(Refused(data));
        }
        let bytes = data.parts().flatten();
        let sender = conn.talk.received(bytes, &mut self.ledger.borrow_mut());
        if sender == Sender::Stranger {
            let _ = tcp.abort(pcb);
            self.conclude(at, Fate::Dropped, now);
            return Ok(());
        }
        let conn = &mut self.conns[at];
        match read {
            Read::Slow(interval) => {
                // To keep a buffer for each small segment is to ask for trouble.
                let keeps = self.plan.expect == Expect::AnEnd;
                let len = data.tot_len();
                conn.held.push_back((len, keeps.then_some(data)));
                conn.next_read.get_or_insert(now + interval);
            }
            Read::Prompt | Read::Refuse(_) => drop(tcp.recved(pcb, data.tot_len())),
        }
        self.pump(tcp, at);
        Ok(())
    }

    fn sent(&mut self, tcp: &mut Tcp<'_>, pcb: TcpPcb, _: usize) {
        if let Some(at) = self.find(pcb) {
            self.conns[at].progress = tcp.stack().now();
            self.pump(tcp, at);
        }
    }

    fn err(&mut self, tcp: &mut Tcp<'_>, pcb: TcpPcb, error: Error) {
        let now = tcp.stack().now();
        if let Some(at) = self.find(pcb) {
            self.conclude(at, Fate::Failed(error), now);
        }
    }

    fn udp_recv(&mut self, udp: &mut Udp<'_>, pcb: UdpPcb, datagram: Datagram) {
        self.echo.received(udp, pcb, datagram);
    }

    fn wake(&mut self, stack: &mut Stack) {
        self.tick(stack);
    }
}
