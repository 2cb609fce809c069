//! Threads that do anything with anything: sixteen places that hold sockets, ten threads that
//! open, share, time out, shut down, close, poll and transfer at random. What is checked: every
//! byte is the right one, nothing hangs, and at the end everything is at rest.
//!
//! `GANNET_STRESS_OPS` says how many operations each thread does, `GANNET_STRESS_SEED` where the
//! random numbers start; the seed is printed. `GANNET_STRESS_SECONDS` repeats it for so long, each
//! time with the next seed.
mod descriptors;

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use fastrand::Rng;
use gannet_netconn::{Netconn, PollEntry, Ready};
use gannet_sockets::{Keepalive, Net, Patience, Shutdown, TcpListener, TcpStream, UdpSocket};

pub(crate) use descriptors::descriptors;

const THREADS: u64 = 10;
const PLACES: usize = 16;

fn from_env(name: &str, default: u64) -> u64 {
    std::env::var(name)
        .ok()
        .map_or(default, |text| text.parse().expect("a number"))
}

/// Operations of each thread.
pub(crate) fn operations() -> u64 {
    from_env("GANNET_STRESS_OPS", 1500)
}

/// How long it is to be repeated.
fn duration() -> Duration {
    Duration::from_secs(from_env("GANNET_STRESS_SECONDS", 0))
}

/// When it counts as a hang, if each operation takes `operation`.
pub(crate) fn limit(operation: Duration) -> Duration {
    let count = u32::try_from(operations()).expect("not so many");
    Duration::from_secs(150) + 2 * duration() + operation * count
}

/// Runs `round` with a seed, and again with others while there is time.
pub(crate) fn rounds(round: impl Fn(u64)) {
    let mut seed = from_env("GANNET_STRESS_SEED", fastrand::u64(..1_000_000));
    let end = Instant::now() + duration();
    let mut count = 0;
    loop {
        println!("GANNET_STRESS_SEED={seed}");
        round(seed);
        (seed, count) = (seed + 1, count + 1);
        if Instant::now() >= end {
            println!("{count} rounds");
            return;
        }
    }
}

enum Socket {
    Stream(TcpStream),
    Listener(TcpListener),
    Udp(UdpSocket),
}

impl Socket {
    fn netconn(&self) -> Netconn {
        match self {
            Self::Stream(stream) => stream.netconn(),
            Self::Listener(listener) => listener.netconn(),
            Self::Udp(socket) => socket.netconn(),
        }
    }

    fn close(&self) {
        match self {
            Self::Stream(stream) => stream.close(),
            Self::Listener(listener) => listener.close(),
            Self::Udp(socket) => socket.close(),
        }
    }
}

struct Places {
    net: &'static Net,
    places: [Mutex<Option<Arc<Socket>>>; PLACES],
}

impl Places {
    fn at(&self, rng: &mut Rng) -> Option<Arc<Socket>> {
        self.places[rng.usize(..PLACES)]
            .lock()
            .expect("no panic")
            .clone()
    }

    fn put(&self, rng: &mut Rng, socket: Option<Socket>) {
        let place = &self.places[rng.usize(..PLACES)];
        let old = std::mem::replace(&mut *place.lock().expect("no panic"), socket.map(Arc::new));
        // Perhaps the last owner: closes it, outside the lock.
        drop(old);
    }
}

/// Runs the threads over `net` until each has done [`operations`].
pub(crate) fn sockets(net: &'static Net, seed: u64) {
    let places = Arc::new(Places {
        net,
        places: std::array::from_fn(|_| Mutex::new(None)),
    });
    let threads: Vec<_> = (0..THREADS)
        .map(|id| {
            let places = Arc::clone(&places);
            thread::spawn(move || {
                let mut rng = Rng::with_seed(seed * THREADS + id);
                (0..operations()).for_each(|_| operation(&places, &mut rng));
            })
        })
        .collect();
    threads
        .into_iter()
        .for_each(|thread| thread.join().expect("no panic"));
}

fn operation(places: &Places, rng: &mut Rng) {
    match rng.u8(..16) {
        0 => {
            let socket = UdpSocket::bind_on(places.net, any()).ok().map(Socket::Udp);
            places.put(rng, socket.inspect(|socket| impatient(socket, rng.clone())));
        }
        1 => {
            let listener = TcpListener::bind_on(places.net, any(), rng.u16(1..4));
            let socket = listener.ok().map(Socket::Listener);
            places.put(rng, socket.inspect(|socket| impatient(socket, rng.clone())));
        }
        2..=4 => connect(places, rng),
        5 => match places.at(rng).as_deref() {
            Some(Socket::Listener(listener)) => accept(places, listener, rng),
            _ => places.put(rng, None),
        },
        6 => {
            if let Some(socket) = places.at(rng) {
                impatient(&socket, rng.clone());
            }
        }
        7 if rng.u8(..4) == 0 => {
            if let Some(socket) = places.at(rng) {
                socket.close();
            }
        }
        8 | 9 => poll(places, rng),
        10 => {
            if let Some(Socket::Stream(stream)) = places.at(rng).as_deref() {
                let how = [Shutdown::Read, Shutdown::Write, Shutdown::Both][rng.usize(..3)];
                let _ = stream.shutdown(how);
            }
        }
        _ => {
            if let Some(socket) = places.at(rng) {
                transfer(places, &socket, rng);
            }
        }
    }
}

fn any() -> SocketAddr {
    (Ipv4Addr::LOCALHOST, 0).into()
}

/// No call on `socket` sleeps for long.
fn impatient(socket: &Socket, mut rng: Rng) {
    let time = Some(Duration::from_micros(rng.u64(1..3000)));
    let _ = socket.netconn().change_settings(|settings| {
        settings.recv_timeout = time;
        settings.send_timeout = time;
        settings.nonblocking = rng.bool();
        settings.keepalive = rng.bool();
        settings.keepalive_times = Keepalive::default();
        settings.recv_low_water = rng.u32(1..100);
    });
}

fn connect(places: &Places, rng: &mut Rng) {
    let Some(socket) = places.at(rng) else { return };
    let addr = match &*socket {
        Socket::Listener(listener) => listener.local_addr(),
        Socket::Udp(_) | Socket::Stream(_) => return,
    };
    drop(socket);
    let Ok(addr) = addr else { return };
    let stream = TcpStream::connect_timeout(addr, Duration::from_micros(rng.u64(1..20_000)));
    let socket = stream.ok().map(Socket::Stream);
    places.put(rng, socket.inspect(|socket| impatient(socket, rng.clone())));
}

fn accept(places: &Places, listener: &TcpListener, rng: &mut Rng) {
    if let Ok((stream, _)) = listener.accept() {
        let socket = Socket::Stream(stream);
        impatient(&socket, rng.clone());
        places.put(rng, Some(socket));
    }
}

fn poll(places: &Places, rng: &mut Rng) {
    let chosen: Vec<_> = (0..rng.usize(1..PLACES))
        .filter_map(|_| places.at(rng))
        .collect();
    let interest = [Ready::READ, Ready::WRITE, Ready::BOTH][rng.usize(..3)];
    let mut entries: Vec<_> = chosen
        .iter()
        .map(|socket| PollEntry::new(socket.netconn(), interest))
        .collect();
    let patience = Patience::from_timeout(Some(Duration::from_micros(rng.u64(..3000))));
    let outcome = gannet_netconn::poll(&mut entries, patience);
    let ready = entries
        .iter()
        .filter(|entry| entry.stale || entry.ready.any())
        .count();
    if let Ok(n) = outcome {
        assert_eq!(n, ready);
    }
}

/// What every byte of a connection is, from both ends' point of view.
fn key(stream: &TcpStream) -> Option<u8> {
    let (local, peer) = (stream.local_addr().ok()?, stream.peer_addr().ok()?);
    Some(local.port().wrapping_add(peer.port()) as u8)
}

fn transfer(places: &Places, socket: &Socket, rng: &mut Rng) {
    match socket {
        Socket::Stream(stream) => transfer_stream(stream, rng),
        Socket::Listener(listener) => {
            let _ = listener.take_error();
        }
        Socket::Udp(socket) => transfer_datagram(places, socket, rng),
    }
}

fn transfer_stream(stream: &TcpStream, rng: &mut Rng) {
    let Some(key) = key(stream) else { return };
    let mut buf = [!key; 4000];
    let len = rng.usize(..buf.len());
    let buf = &mut buf[..len];
    match rng.u8(..8) {
        0 => {
            if let Ok(n) = stream.peek(buf) {
                assert_eq!(buf[..n].iter().find(|byte| **byte != key), None);
            }
        }
        1 => {
            if let Ok(Some(data)) = stream.read_pbuf(len) {
                assert_eq!(data.parts().flatten().find(|byte| **byte != key), None);
            }
        }
        2..5 => {
            if let Ok(n) = stream.read(buf) {
                assert_eq!(buf[..n].iter().find(|byte| **byte != key), None);
            }
        }
        5 => {
            let _ = stream.take_error();
            let _ = stream.set_nodelay(rng.bool());
        }
        _ => {
            buf.fill(key);
            let _ = stream.write(buf);
        }
    }
}

/// Every byte of a datagram is the lower half of its sender's port.
fn transfer_datagram(places: &Places, socket: &UdpSocket, rng: &mut Rng) {
    let mut buf = [0; 2000];
    if rng.bool() {
        if let Ok((n, from)) = socket.recv_from(&mut buf) {
            let key = from.port() as u8;
            assert_eq!(buf[..n].iter().find(|byte| **byte != key), None);
        }
        return;
    }
    let Some(other) = places.at(rng) else { return };
    let (Socket::Udp(other), Ok(own)) = (&*other, socket.local_addr()) else {
        return;
    };
    let Ok(to) = other.local_addr() else { return };
    buf.fill(own.port() as u8);
    let _ = socket.send_to(&buf[..rng.usize(..1400)], to);
}
