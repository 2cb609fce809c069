//! The application of a smoltcp host: the same flows as in `sim::app`, on smoltcp's sockets, which
//! are asked after each turn what became of them. Datagrams are in `echo`.
use std::time::Duration;

use gannet_core::config::Use;
use gannet_core::tcp::Nagle;
use gannet_core::{Error, Instant};
use smoltcp::iface::{Interface, SocketHandle, SocketSet};
use smoltcp::socket::tcp::{CongestionControl, RecvError, Socket, SocketBuffer, State};
use smoltcp::time::Duration as SmolDuration;
use smoltcp::wire::IpEndpoint;

use super::super::app::PATIENCE;
use super::super::dialogue::{Dialogue, Next, Sender};
use super::super::ledger::{Excuse, Fate};
use super::super::node::Place;
use super::super::plan::{Flow, Kind, Options, Read, Side, TcpFlow};
use super::device::Port;
use super::echo::Echo;
use super::{instant, timestamp};

/// Sockets that listen for one flow, in place of a backlog.
const LISTENING: usize = 8;
/// What a slow reader takes at a time.
const SIP: usize = 1_460;
/// How long a reader that refuses waits.
const REFUSED: Duration = Duration::from_millis(100);
/// With data in flight no sender is silent for so long: RFC 6298 lets a timeout be a minute.
const SILENCE: SmolDuration = SmolDuration::from_secs(600);

#[derive(Debug)]
struct Conn {
    socket: SocketHandle,
    talk: Dialogue,
    closed: bool,
    local_port: u16,
    peer: Option<IpEndpoint>,
    /// Another socket answered for it.
    twin: bool,
    next_read: Option<Instant>,
    offers: u8,
    /// Bytes in the send queue, and the end of the stream, when last seen.
    queued: usize,
    progress: Instant,
}

#[derive(Debug)]
struct Client {
    flow: usize,
    opened: u32,
    next: Option<Instant>,
}

/// See the module.
#[derive(Debug)]
pub struct App {
    place: Place,
    conns: Vec<Conn>,
    clients: Vec<Client>,
    listeners: Vec<(usize, Vec<SocketHandle>)>,
    echo: Echo,
    /// In TIME-WAIT, or with a reset to send.
    ending: Vec<SocketHandle>,
    local_port: u16,
}

fn peer(sockets: &SocketSet<'static>, handle: SocketHandle) -> Option<IpEndpoint> {
    sockets.get::<Socket<'_>>(handle).remote_endpoint()
}

fn plan(flow: &Flow) -> Option<TcpFlow> {
    match flow.kind {
        Kind::Tcp(plan) => Some(plan),
        Kind::Udp(_) => None,
    }
}

fn socket(place: &Place, options: &Options) -> Socket<'static> {
    let of = &place.plan.hosts[place.n].config.tcp;
    let buffer = |len: u32| SocketBuffer::new(vec![0; len as usize]);
    let mut socket = Socket::new(buffer(of.rcv_wnd), buffer(of.snd_buf));
    let delay = (!of.delayed_ack.is_zero()).then(|| of.delayed_ack.into());
    socket.set_ack_delay(delay);
    socket.set_nagle_enabled(options.nagle == Nagle::Enabled);
    socket.set_keep_alive(options.keepalive.map(|keepalive| keepalive.idle.into()));
    socket.set_timeout(options.user_timeout.map(Into::into));
    if of.timestamps == Use::On {
        socket.set_tsval_generator(Some(timestamp));
    }
    socket.set_congestion_control(match of.congestion {
        gannet_core::tcp::CongestionControl::NewReno => CongestionControl::Reno,
        _ => CongestionControl::Cubic,
    });
    socket
}

impl App {
    /// The application of the host at `place`, which begins at `start`.
    pub fn new(place: &Place, sockets: &mut SocketSet<'static>, seed: u64, start: Instant) -> Self {
        let flows = || {
            let flows = place.plan.flows.iter().enumerate();
            flows.filter(|(_, flow)| plan(flow).is_some())
        };
        let clients = flows().filter(|(_, flow)| flow.client == place.n);
        let servers = flows().filter(|(_, flow)| flow.server == place.n);
        Self {
            place: place.clone(),
            conns: Vec::new(),
            clients: clients
                .map(|(flow, of)| Client {
                    flow,
                    opened: 0,
                    next: Some(start + of.start),
                })
                .collect(),
            listeners: servers.map(|(flow, _)| (flow, Vec::new())).collect(),
            echo: Echo::new(place, sockets, start),
            ending: Vec::new(),
            local_port: 49_152 + (seed % 16_000) as u16,
        }
    }

    /// The host was started anew: its connections are lost, its clients do not come back.
    pub fn rebooted(&mut self, old: &mut Self) {
        for conn in &old.conns {
            let mut ledger = self.place.ledger.borrow_mut();
            ledger.conclude(&conn.talk, Fate::Dropped);
        }
        for client in &mut self.clients {
            client.next = None;
        }
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
        let clients = self.clients.iter().all(|client| client.next.is_none());
        clients && self.conns.is_empty() && self.echo.is_finished()
    }

    /// When it wants to be woken.
    pub fn next_wake(&self) -> Option<Instant> {
        let conns = self.conns.iter();
        let conns = conns.flat_map(|conn| [conn.next_read, Some(conn.progress + PATIENCE)]);
        let clients = self.clients.iter().map(|client| client.next);
        let all = conns.chain(clients).flatten();
        all.chain(self.echo.next_wake()).min()
    }

    /// Closes what it listens on.
    pub fn shut_down(&mut self, sockets: &mut SocketSet<'static>) {
        for (_, listening) in self.listeners.drain(..) {
            for handle in listening {
                sockets.get_mut::<Socket<'_>>(handle).abort();
                self.ending.push(handle);
            }
        }
    }

    /// Does what can be done; `true` if the stack may have to send something for it.
    pub fn turn(
        &mut self,
        iface: &mut Interface,
        sockets: &mut SocketSet<'static>,
        port: &Port,
        now: Instant,
    ) -> bool {
        let mut acted = false;
        self.echo
            .turn(sockets, &mut self.place.ledger.borrow_mut(), now);
        for at in 0..self.clients.len() {
            if self.clients[at].next.is_some_and(|next| next <= now) {
                self.open(at, iface, sockets, now);
                acted = true;
            }
        }
        self.accept(sockets, now);
        let mut at = 0;
        while at < self.conns.len() {
            let (did, fate) = self.serve(at, sockets, now);
            acted |= did;
            self.look_for_faults(at, port, now, fate);
            match fate {
                Some(fate) => self.conclude(at, fate, now),
                None => at += 1,
            }
        }
        self.ending.retain(|handle| {
            let socket = sockets.get::<Socket<'_>>(*handle);
            let over = socket.state() == State::Closed && socket.remote_endpoint().is_none();
            if over {
                sockets.remove(*handle);
            }
            !over
        });
        acted
    }

    fn open(
        &mut self,
        at: usize,
        iface: &mut Interface,
        sockets: &mut SocketSet<'static>,
        now: Instant,
    ) {
        let client = &mut self.clients[at];
        client.next = None;
        client.opened += 1;
        let n = client.flow;
        let flow = self.place.plan.flows[n];
        let Some(plan) = plan(&flow) else { return };
        let id = self.place.ledger.borrow_mut().open(n);
        self.local_port = 49_152 + (self.local_port - 49_151) % 16_000;
        let mut socket = socket(&self.place, &plan.client_side.options);
        let to = self.place.plan.addr(flow.server);
        let to = IpEndpoint::new(to.into(), flow.port);
        socket
            .connect(iface.context(), to, self.local_port)
            .expect("a fresh socket and a valid address");
        let handle = sockets.add(socket);
        self.add(handle, Dialogue::new(n, 0, Some(id)), now);
        if let Some(conn) = self.conns.last_mut() {
            conn.local_port = self.local_port;
        }
    }

    fn add(&mut self, socket: SocketHandle, talk: Dialogue, now: Instant) {
        self.conns.push(Conn {
            socket,
            talk,
            closed: false,
            local_port: 0,
            peer: None,
            twin: false,
            next_read: None,
            offers: 0,
            queued: 0,
            progress: now,
        });
    }

    /// Takes over sockets that have a connection now, and puts others in their places.
    fn accept(&mut self, sockets: &mut SocketSet<'static>, now: Instant) {
        let mut accepted = Vec::new();
        for (n, listening) in &mut self.listeners {
            let flow = self.place.plan.flows[*n];
            for conn in self.conns.iter_mut().filter(|conn| conn.talk.flow == *n) {
                let mut peers = listening.iter().map(|handle| peer(sockets, *handle));
                conn.twin |= conn.peer.is_some() && peers.any(|peer| peer == conn.peer);
            }
            let Some(plan) = plan(&flow) else { continue };
            listening.retain(|handle| {
                let state = sockets.get::<Socket<'_>>(*handle).state();
                match state {
                    State::Listen | State::SynReceived => return true,
                    State::Closed => self.ending.push(*handle),
                    _ => accepted.push((*handle, Dialogue::new(*n, 1, None))),
                }
                false
            });
            while listening.len() < LISTENING {
                let mut socket = socket(&self.place, &plan.server_side.options);
                socket.listen(flow.port).expect("a fresh socket");
                listening.push(sockets.add(socket));
            }
        }
        for (handle, talk) in accepted {
            self.add(handle, talk, now);
            if let Some(conn) = self.conns.last_mut() {
                conn.peer = peer(sockets, handle);
            }
        }
    }

    /// Reads, writes and closes; whether it did anything, and how the connection ended.
    fn serve(
        &mut self,
        at: usize,
        sockets: &mut SocketSet<'static>,
        now: Instant,
    ) -> (bool, Option<Fate>) {
        let conn = &mut self.conns[at];
        let Some(plan) = plan(&self.place.plan.flows[conn.talk.flow]) else {
            return (false, None);
        };
        let socket = sockets.get_mut::<Socket<'_>>(conn.socket);
        let ledger = &mut self.place.ledger.borrow_mut();
        let side = conn.talk.of(&plan);
        if conn.talk.is_to_be_aborted(&plan) {
            socket.abort();
            return (true, Some(Fate::Dropped));
        }
        let mut read = match socket.state() {
            // When TIME-WAIT ends, after 10 s, what was not read is gone.
            State::TimeWait => socket.recv_queue(),
            _ => conn.may_read(&side, now, socket.recv_queue()),
        };
        let mut acted = read > 0;
        let mut sender = Sender::Peer;
        for _ in 0..2 {
            // The ring's end splits what there is.
            let taken = socket.recv(|data| {
                let data = &data[..data.len().min(read)];
                (data.len(), data.to_vec())
            });
            match taken {
                Ok(data) if !data.is_empty() => {
                    read -= data.len();
                    conn.progress = now;
                    sender = conn.talk.received(data.iter(), ledger);
                }
                Err(RecvError::Finished) => conn.talk.eof = true,
                _ => {}
            }
        }
        if sender == Sender::Stranger {
            socket.abort();
            return (true, Some(Fate::Dropped));
        }
        while !conn.closed
            && socket.can_send()
            && let Some(bytes) = conn.talk.piece(&plan, side.writes.size())
            && let Ok(n) = socket.send_slice(&bytes)
        {
            conn.talk.wrote(n, ledger);
            (conn.progress, acted) = (now, true);
        }
        // The end of the stream waits for its acknowledgement like a byte.
        let fin = matches!(
            socket.state(),
            State::FinWait1 | State::Closing | State::LastAck
        );
        let queued = socket.send_queue() + usize::from(fin);
        if queued < conn.queued {
            conn.progress = now;
        }
        conn.queued = match socket.state() {
            // What was in the queue when it was given up.
            State::Closed => conn.queued,
            _ => queued,
        };
        let established = !matches!(socket.state(), State::SynSent | State::SynReceived);
        match conn.talk.next(&plan) {
            Next::HalfClose if established => {
                socket.close();
                (conn.talk.shut, acted) = (true, true);
            }
            Next::Close if established && !conn.closed => {
                socket.close();
                (conn.closed, acted) = (true, true);
            }
            _ => {}
        }
        if now.saturating_since(conn.progress) >= PATIENCE {
            socket.abort();
            return (true, Some(Fate::GivenUp));
        }
        let ended = matches!(socket.state(), State::Closed | State::TimeWait);
        if !ended || socket.recv_queue() > 0 {
            return (acted, None);
        }
        let fate = match conn.talk.eof && (conn.closed || conn.talk.shut) {
            true => Fate::Done,
            false => Fate::Failed(Error::Reset),
        };
        (acted, Some(fate))
    }

    /// Finds out whether smoltcp did to the connection what it is known for.
    fn look_for_faults(&mut self, at: usize, port: &Port, now: Instant, fate: Option<Fate>) {
        let conn = &self.conns[at];
        let mut ledger = self.place.ledger.borrow_mut();
        if conn.twin {
            ledger.excuse(&conn.talk, Excuse::Twin);
        }
        if !matches!(fate, Some(Fate::GivenUp | Fate::Failed(_))) || conn.queued == 0 {
            return;
        }
        let flow = &self.place.plan.flows[conn.talk.flow];
        let key = match conn.talk.side {
            0 => (conn.local_port, flow.port, flow.server as u8 + 1),
            _ => {
                let remote = conn.peer.map_or(0, |peer| peer.port);
                (flow.port, remote, flow.client as u8 + 1)
            }
        };
        let silence = instant(now) - SILENCE;
        if port.last.get(&key).is_none_or(|last| *last < silence) {
            ledger.excuse(&conn.talk, Excuse::Silent);
        }
    }

    fn conclude(&mut self, at: usize, fate: Fate, now: Instant) {
        let conn = self.conns.remove(at);
        self.ending.push(conn.socket);
        self.place.ledger.borrow_mut().conclude(&conn.talk, fate);
        let flow = conn.talk.flow;
        let Some(plan) = plan(&self.place.plan.flows[flow]) else {
            return;
        };
        let client = self.clients.iter_mut().find(|client| client.flow == flow);
        if let Some(client) = client.filter(|client| client.opened < plan.connections)
            && conn.talk.side == 0
        {
            client.next = Some(now + Duration::from_millis(3));
        }
    }
}

impl Conn {
    /// How much of `waiting` bytes is read now.
    fn may_read(&mut self, side: &Side, now: Instant, waiting: usize) -> usize {
        if waiting == 0 {
            self.next_read = None;
            return 0;
        }
        if self.next_read.is_some_and(|next| next > now) {
            return 0;
        }
        self.offers = self.offers.wrapping_add(1);
        match side.read {
            Read::Slow(interval) if self.next_read.is_none() => {
                self.next_read = Some(now + interval);
                0
            }
            Read::Slow(interval) => {
                self.next_read = Some(now + interval);
                SIP
            }
            Read::Refuse(every) if self.offers.is_multiple_of(every) => {
                self.next_read = Some(now + REFUSED);
                0
            }
            Read::Prompt | Read::Refuse(_) => {
                self.next_read = None;
                waiting
            }
        }
    }
}
