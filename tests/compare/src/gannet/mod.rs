//! gannet at work: two stacks joined by a wire, used through the raw API as a firmware would.
mod bulk;
mod connect;
#[cfg(not(target_os = "none"))]
mod holes;
mod round_trip;
mod udp;
mod wire;

use alloc::boxed::Box;
use core::net::{Ipv4Addr, SocketAddr};

use gannet_core::config::Use;
use gannet_core::{Config, Handler, HwAddr, Instant, NetifId, Stack, Storage, Subnet};

use crate::cell::{Arrival, Bench, Cell, Made, Timestamps, Work};
use crate::clock::TICK_US;
use crate::memory;

const ADDRS: [Ipv4Addr; 2] = [Ipv4Addr::new(10, 0, 0, 1), Ipv4Addr::new(10, 0, 0, 2)];
/// Where the server is.
const PORT: u16 = 7;

fn server_addr() -> SocketAddr {
    (ADDRS[1], PORT).into()
}

/// A stack with its application.
struct Host<H> {
    stack: Stack,
    app: H,
    netif: NetifId,
    deadline: Option<Instant>,
}

impl<H: Handler> Host<H> {
    fn turn(&mut self, now: Instant) {
        self.deadline = self.stack.turn(now, &mut [&mut self.app]);
    }

    fn frames(&self) -> u64 {
        let stats = self.stack.netif_stats(self.netif);
        stats.map_or(0, |stats| stats.out_frames.into())
    }

    #[cfg(feature = "tally")]
    fn octets(&self) -> u64 {
        let stats = self.stack.netif_stats(self.netif);
        stats.map_or(0, |stats| stats.out_octets)
    }
}

/// The side that has the work done.
trait Client: Handler {
    /// Begins with so many more units.
    fn start(&mut self, stack: &mut Stack, now: Instant, units: u64);

    /// Whether they are done.
    fn is_done(&self) -> bool;
}

/// What a server does before the first frame.
trait Server: Handler {
    fn listen(&mut self, stack: &mut Stack, now: Instant);
}

/// Two joined hosts.
struct Pair<A, B> {
    a: Host<A>,
    b: Host<B>,
    now: Instant,
}

impl<A: Client, B: Server> Pair<A, B> {
    fn boxed(cell: &Cell, client: A, server: B) -> Box<dyn Bench>
    where
        A: 'static,
        B: 'static,
    {
        let now = Instant::from_millis(1_000);
        let [of_a, of_b] = [0, 1].map(|number| memory::of_host(cell, number));
        let batch = match cell.work {
            Work::Bulk {
                arrival: Arrival::InPairs,
                ..
            } => Some(2),
            _ => None,
        };
        let [to_a, to_b] = wire::join(cell.checksums, [of_a.rx, of_b.rx], batch);
        let mut pair = Self {
            a: host(cell, 0, of_a.storage, to_a, client),
            b: host(cell, 1, of_b.storage, to_b, server),
            now,
        };
        pair.b.app.listen(&mut pair.b.stack, now);
        Box::new(pair)
    }

    fn step(&mut self) {
        let [from_a, from_b] = self.frames();
        self.now += TICK_US;
        self.a.turn(self.now);
        self.b.turn(self.now);
        let nothing_moved = from_a == self.a.frames() && from_b == self.b.frames();
        if nothing_moved && !self.a.app.is_done() {
            // A timer is waited for.
            let next = [self.a.deadline, self.b.deadline]
                .into_iter()
                .flatten()
                .min();
            let next = next.expect("nothing will ever happen again");
            self.now = self.now.max(next);
        }
    }
}

impl<A: Client, B: Server> Bench for Pair<A, B> {
    fn run(&mut self, units: u64) {
        self.a.app.start(&mut self.a.stack, self.now, units);
        while !self.a.app.is_done() {
            self.step();
        }
    }

    fn frames(&self) -> [u64; 2] {
        [self.a.frames(), self.b.frames()]
    }

    #[cfg(feature = "tally")]
    fn octets(&self) -> u64 {
        self.a.octets() + self.b.octets()
    }
}

fn host<H: Handler>(
    cell: &Cell,
    number: usize,
    storage: Storage,
    port: &'static mut wire::Port,
    app: H,
) -> Host<H> {
    let mut config = Config::default();
    config.tcp.timestamps = match cell.timestamps {
        Timestamps::On => Use::On,
        Timestamps::Off => Use::Off,
    };
    // The rivals have none at this window.
    config.tcp.window_scaling = Use::Off;
    match cell.work {
        Work::Bulk { window, .. } => {
            let window = u32::try_from(window).expect("a window");
            config.tcp.rcv_wnd = window;
            config.tcp.snd_buf = window;
        }
        Work::Connect { .. } => config.tcp.max_half_open_per_peer = u16::MAX,
        Work::RoundTrip { .. } | Work::UdpEcho { .. } | Work::Holes { .. } => {}
    }
    let mut seed = 17u8.wrapping_add(number as u8);
    let mut entropy = |bytes: &mut [u8]| {
        for byte in bytes {
            seed = seed.wrapping_mul(29).wrapping_add(7);
            *byte = seed;
        }
    };
    let mut stack = Stack::new(storage, config, &mut entropy);
    let subnet = Subnet::new(ADDRS[number], 24).expect("a valid prefix");
    let netif = stack.add_netif(port, Some(subnet)).expect("room");
    Host {
        stack,
        app,
        netif,
        deadline: None,
    }
}

/// The hardware address of a host.
fn hw(number: u8) -> HwAddr {
    HwAddr([2, 0, 0, 0, 0, number])
}

/// A pair for a cell.
pub fn make(cell: &Cell) -> Made {
    Ok(match cell.work {
        Work::Bulk { window, api, .. } => {
            let (source, sink) = bulk::apps(window, api);
            Pair::boxed(cell, source, sink)
        }
        Work::RoundTrip {
            len,
            connections,
            idle,
        } => {
            let (client, server) = round_trip::apps(len, connections, idle);
            Pair::boxed(cell, client, server)
        }
        Work::Connect { others, beside } => {
            let (caller, callee) = connect::apps(others, beside);
            Pair::boxed(cell, caller, callee)
        }
        Work::UdpEcho { len } => {
            let (client, server) = udp::apps(len);
            Pair::boxed(cell, client, server)
        }
        #[cfg(not(target_os = "none"))]
        Work::Holes { holes } => holes::boxed(holes),
        #[cfg(target_os = "none")]
        Work::Holes { .. } => return Err("the scripted peer is for hosts"),
    })
}
