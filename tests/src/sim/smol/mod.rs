//! A simulated host whose stack is smoltcp: the same applications, network and faults. What it does
//! wrong is counted and forgiven here; what gannet makes of it is judged in `world`.
pub mod app;
pub mod device;
pub mod echo;

use std::cell::Cell;
use std::collections::HashMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Once;
use std::time::Duration;

use gannet_core::Instant;
use gannet_core::netif::Link;
use smoltcp::iface::{Config, Interface, PollIngressSingleResult, PollResult, SocketSet};
use smoltcp::time::Instant as SmolInstant;
use smoltcp::wire::{EthernetAddress, IpCidr};

use super::node::{Node, Place};
use super::plan::Which;
use crate::wire::Wire;
use app::App;
use device::Port;

/// If it asks for turns without an end, it gets one so often.
const AGAIN: Duration = Duration::from_millis(1);
/// Packets of one turn.
const MOST: usize = 10_000;

thread_local! {
    static CLOCK_MS: Cell<u32> = const { Cell::new(0) };
    static IN_SMOLTCP: Cell<bool> = const { Cell::new(false) };
}

/// Panics of smoltcp are counted, not printed.
fn keep_quiet() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let usual = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |panic| {
            if !IN_SMOLTCP.get() {
                usual(panic);
            }
        }));
    });
}

/// smoltcp wants its timestamp clock to be a function without an argument.
fn timestamp() -> u32 {
    CLOCK_MS.get()
}

/// An instant of smoltcp.
pub(crate) fn instant(at: Instant) -> SmolInstant {
    SmolInstant::from_micros(i64::try_from(at.as_micros()).unwrap_or(i64::MAX))
}

/// See the module.
pub struct Smol {
    place: Place,
    iface: Interface,
    sockets: SocketSet<'static>,
    app: App,
    port: Port,
    ahead: Duration,
    kicked: bool,
    deadline: Option<Instant>,
}

impl std::fmt::Debug for Smol {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Smol({}, {:?})", self.place.n, self.app)
    }
}

impl Smol {
    /// The host at `place`, at its own time `now`.
    pub fn new(place: Place, seed: u64, now: Instant) -> Self {
        keep_quiet();
        let of = &place.plan.hosts[place.n];
        let mut port = Port {
            wire: Wire::default(),
            mtu: of.mtu,
            deaf: false,
            sent: 0,
            last: HashMap::new(),
        };
        let station = place.n as u8 + 1;
        let mut config = Config::new(EthernetAddress([2, 0, 0, 0, 0, station]).into());
        config.random_seed = seed;
        let mut iface = Interface::new(config, &mut port, instant(now));
        iface.update_ip_addrs(|addrs| {
            let ours = IpCidr::new(place.plan.addr(place.n).into(), 24);
            addrs.push(ours).expect("room for one");
        });
        let mut sockets = SocketSet::new(Vec::new());
        let app = App::new(&place, &mut sockets, seed, now);
        Self {
            place,
            iface,
            sockets,
            app,
            port,
            ahead: Duration::ZERO,
            kicked: true,
            deadline: None,
        }
    }

    fn poll(&mut self, clock: Instant) {
        let now = instant(clock);
        CLOCK_MS.set((clock.as_micros() / 1_000) as u32);
        let Self {
            iface,
            sockets,
            app,
            port,
            ..
        } = self;
        iface.poll_maintenance(now);
        for _ in 0..MOST {
            if iface.poll_ingress_single(now, port, sockets) == PollIngressSingleResult::None {
                break;
            }
        }
        app.turn(iface, sockets, port, clock);
        for _ in 0..MOST {
            if iface.poll_egress(now, port, sockets) == PollResult::None {
                break;
            }
        }
        self.kicked = app.turn(iface, sockets, port, clock);
        let next = iface.poll_at(now, sockets);
        self.deadline = next.map(|at| Instant::from_micros(at.total_micros().max(0) as u64));
    }
}

impl Node for Smol {
    fn wire(&self) -> &Wire {
        &self.port.wire
    }

    fn next_event(&self) -> Option<Instant> {
        let next = [self.deadline, self.app.next_wake()].into_iter().flatten();
        next.min().map(|at| at - self.ahead)
    }

    fn wants_turn(&self, now: Instant) -> bool {
        let due = self.next_event().is_some_and(|at| at <= now);
        self.kicked || self.port.wire.waiting() > 0 || due
    }

    fn turn(&mut self, now: Instant) -> Result<(), String> {
        let clock = now + self.ahead;
        let (sent, waiting) = (self.port.sent, self.port.wire.waiting());
        IN_SMOLTCP.set(true);
        let outcome = catch_unwind(AssertUnwindSafe(|| self.poll(clock)));
        IN_SMOLTCP.set(false);
        if outcome.is_err() {
            self.place.ledger.borrow_mut().panicked(self.place.n);
            self.reboot(1, now);
            return Ok(());
        }
        // It may say "at once" as long as it cannot send.
        if self.port.sent == sent && waiting == 0 {
            self.deadline = self.deadline.map(|at| at.max(clock + AGAIN));
        }
        Ok(())
    }

    fn reboot(&mut self, seed: u64, now: Instant) {
        let wire = self.port.wire.clone();
        let clock = now + self.ahead;
        let mut other = Self::new(self.place.clone(), seed, clock);
        std::mem::swap(self, &mut other);
        // The same device goes on.
        self.port.wire = wire;
        self.ahead = other.ahead;
        self.app.rebooted(&mut other.app);
    }

    fn hog(&mut self, which: Which, leave: Option<usize>) {
        // Its sockets have their own buffers; only the driver's can be taken.
        if matches!(which, Which::Rx) {
            self.port.deaf = leave.is_some_and(|leave| leave < 2);
        }
        self.kicked = true;
    }

    fn jump(&mut self, by: Duration) {
        self.ahead += by;
        self.app.jumped(by);
        self.kicked = true;
    }

    fn set_link(&mut self, link: Link) {
        self.port.wire.set_link(link);
        self.kicked = true;
    }

    fn set_room(&mut self, room: Option<usize>) {
        self.port.wire.set_room(room);
        self.kicked = true;
    }

    fn is_finished(&self) -> bool {
        self.app.is_finished()
    }

    fn shut_down(&mut self, now: Instant) {
        let _ = now;
        self.app.shut_down(&mut self.sockets);
        self.kicked = true;
    }

    /// What smoltcp has left is its own affair.
    fn unrest(&self) -> Option<String> {
        None
    }

    fn put_away(self: Box<Self>) {}
}
