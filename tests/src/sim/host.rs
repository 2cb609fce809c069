//! A simulated host: a stack, its application, its clock, and somebody who takes its buffers.
use std::time::Duration;

use gannet_core::netif::Link;
use gannet_core::{
    Capabilities, Checksums, HwAddr, Instant, Medium, Owner, Pbuf, Pool, Stack, Subnet, owner_bit,
};

use crate::arena::Arena;
use crate::storage::{Pools, storage_in};
use crate::wire::{Wire, WireDriver};

use super::app::App;
use super::node::{Node, Place};
use super::plan::{Plan, Which};

/// Turns in a row a stack may ask for without a frame to receive.
const REPEATS: u32 = 200;
/// As many when the host talks to itself: a whole transfer takes no time then.
const LOOPED: u32 = 1_000_000;

/// See the module.
#[derive(Debug)]
pub struct Host {
    /// The stack.
    stack: Stack,
    /// Its application.
    app: App,
    /// Its pools.
    pools: Pools,
    /// Its device.
    wire: Wire,
    /// What its clock is ahead.
    ahead: Duration,
    /// A turn is due, whatever the deadlines.
    kicked: bool,
    deadline: Option<Instant>,
    hoard: [Vec<Pbuf>; 3],
    repeats: u32,
    most_repeats: u32,
    place: Place,
    /// What the stack was lent.
    arena: Arena,
}

impl Host {
    /// The host at `place`, at its own time `now`.
    pub fn new(place: Place, seed: u64, now: Instant) -> Self {
        let pools = place.plan.hosts[place.n].shape.take();
        Self::with(place, pools, seed, now)
    }

    fn with(place: Place, pools: Pools, seed: u64, now: Instant) -> Self {
        let Place { n, plan, ledger } = &place;
        let mut arena = Arena::default();
        let of = &plan.hosts[*n];
        let wire = Wire::default();
        wire.set_part(of.part);
        let stack = stack(*n, plan, &mut arena, pools, &wire, seed);
        let app = App::new(*n, plan, ledger, pools.tx, now);
        let loops = plan.flows.iter().any(|f| f.client == *n && f.server == *n);
        let mut host = Self {
            stack,
            app,
            pools,
            wire,
            ahead: Duration::ZERO,
            kicked: true,
            deadline: None,
            hoard: Default::default(),
            repeats: 0,
            most_repeats: if loops { LOOPED } else { REPEATS },
            place,
            arena,
        };
        host.app.listen(&mut host.stack, now);
        host
    }

    /// Its clock, when the world's is at `now`.
    fn clock(&self, now: Instant) -> Instant {
        now + self.ahead
    }

    /// Ends the host; what it was lent is free again. Its application is left.
    #[allow(unsafe_code, reason = "gives back what the stack was lent")]
    #[allow(
        clippy::drop_non_drop,
        reason = "ends the stack's borrows, and says so"
    )]
    fn end(self) -> App {
        let Self {
            stack, arena, app, ..
        } = self;
        drop(stack);
        // SAFETY: the stack is dropped, and with it all that refers to the storage and the
        // driver.
        unsafe { arena.release() };
        app
    }

    fn pool(&self, which: Which) -> &'static Pool {
        match which {
            Which::Rx => self.pools.rx,
            Which::Tx => self.pools.tx,
            Which::Header => self.pools.header,
        }
    }
}

impl Node for Host {
    fn wire(&self) -> &Wire {
        &self.wire
    }

    fn next_event(&self) -> Option<Instant> {
        let next = [self.deadline, self.app.next_wake()].into_iter().flatten();
        next.min().map(|at| at - self.ahead)
    }

    fn wants_turn(&self, now: Instant) -> bool {
        self.kicked || self.wire.waiting() > 0 || self.next_event().is_some_and(|at| at <= now)
    }

    fn turn(&mut self, now: Instant) -> Result<(), String> {
        let clock = self.clock(now);
        let received = self.wire.waiting();
        let woken = self.app.next_wake().is_some_and(|at| at <= clock);
        if woken {
            self.stack
                .wake(clock, owner_bit(Owner(0)), &mut [&mut self.app]);
        }
        self.kicked = false;
        self.deadline = self.stack.turn(clock, &mut [&mut self.app]);
        self.app.sweep(&mut self.stack, clock);
        self.stack.check_invariants()?;
        let again = self.deadline.is_some_and(|at| at <= clock);
        self.repeats = if again && received == 0 && !woken {
            self.repeats + 1
        } else {
            0
        };
        if self.repeats > self.most_repeats {
            return Err("the stack asks for turns without an end".into());
        }
        Ok(())
    }

    fn jump(&mut self, by: Duration) {
        self.ahead += by;
        self.app.jumped(by);
        self.kicked = true;
    }

    fn hog(&mut self, which: Which, leave: Option<usize>) {
        let pool = self.pool(which);
        let hoard = &mut self.hoard[which as usize];
        hoard.clear();
        if let Some(leave) = leave {
            while pool.available() > leave {
                let Ok(p) = Pbuf::alloc(pool, 0, 1) else {
                    break;
                };
                hoard.push(p);
            }
        }
        // The driver of a real host rings when there is room again.
        self.kicked = true;
    }

    fn set_link(&mut self, link: Link) {
        self.wire.set_link(link);
        self.kicked = true;
    }

    fn unrest(&self) -> Option<String> {
        let census = self.stack.tcp_census();
        let busy = census.connections + census.half_open + census.time_wait > 0;
        if busy || !self.pools.at_rest() || self.deadline.is_some() {
            let in_use = self.pools.in_use();
            let deadline = self.deadline;
            return Some(format!(
                "{census:?}, buffers in use (rx, tx, header) {in_use:?}, deadline {deadline:?}"
            ));
        }
        None
    }

    fn reboot(&mut self, seed: u64, now: Instant) {
        self.hoard = Default::default();
        let clock = self.clock(now);
        let mut other = Self::with(self.place.clone(), self.pools, seed, clock);
        std::mem::swap(self, &mut other);
        self.ahead = other.ahead;
        self.app.rebooted(other.end());
    }

    fn set_room(&mut self, room: Option<usize>) {
        self.wire.set_room(room);
        self.kicked = true;
    }

    fn is_finished(&self) -> bool {
        // Orphans are connections too, and a server may not know yet of a connection.
        let census = self.stack.tcp_census();
        self.app.is_finished() && census.connections + census.half_open == 0
    }

    fn shut_down(&mut self, now: Instant) {
        let clock = self.clock(now);
        self.app.shut_down(&mut self.stack, clock);
        self.kicked = true;
    }

    fn put_away(self: Box<Self>) {
        let pools = self.pools;
        let shape = self.place.plan.hosts[self.place.n].shape;
        drop(self.end());
        shape.give(pools);
    }
}

fn stack(n: usize, plan: &Plan, arena: &mut Arena, pools: Pools, wire: &Wire, seed: u64) -> Stack {
    let of = &plan.hosts[n];
    let mut random = fastrand::Rng::with_seed(seed);
    let storage = storage_in(arena, of.sizes, pools);
    let mut stack = Stack::new(storage, of.config.clone(), &mut |bytes| random.fill(bytes));
    // Some devices cut large segments.
    let cuts = seed.is_multiple_of(4);
    let capabilities = Capabilities {
        medium: Medium::Ethernet(HwAddr([2, 0, 0, 0, 0, n as u8 + 1])),
        mtu: of.mtu,
        tx_checksums: Checksums {
            tcp: cuts,
            ..Checksums::NONE
        },
        rx_checksums: Checksums::NONE,
        tso: if cuts { u16::MAX } else { 0 },
    };
    let driver = arena.one(WireDriver::new(wire.clone(), pools.rx, capabilities));
    let subnet = Subnet::new(plan.addr(n), 24).expect("a valid prefix");
    stack
        .add_netif(driver, Some(subnet))
        .expect("room for an interface");
    stack
}
