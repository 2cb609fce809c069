//! Two hosts and a link on one virtual clock, stepped from one event to the next.
use std::net::Ipv4Addr;
use std::time::Duration;

use gannet_core::{
    Capabilities, Checksums, Config, Handler, HwAddr, Instant, Medium, Stack, Subnet,
};

use crate::link::{Direction, Faults};
use crate::storage::{Pools, Sizes, leak_storage};
use crate::wire::{Wire, WireDriver};

/// A stack with its application.
#[derive(Debug)]
pub struct Host<H> {
    /// The stack.
    pub stack: Stack,
    /// The application: owner 0.
    pub app: H,
    /// Its pools.
    pub pools: Pools,
    /// Its address.
    pub addr: Ipv4Addr,
    /// What its device is on.
    pub wire: Wire,
    deadline: Option<Instant>,
}

impl<H: Handler> Host<H> {
    /// A host with one Ethernet interface with the address 10.0.0.`number`/24.
    pub fn new(number: u8, config: Config, app: H, seed: u64) -> Self {
        Self::with_pools(number, config, app, seed, Pools::leak())
    }

    /// As [`Host::new`] with pools that are used again: nobody else may hold buffers of them.
    pub fn with_pools(number: u8, config: Config, app: H, seed: u64, pools: Pools) -> Self {
        Self::with_storage(number, config, app, seed, pools, Sizes::default())
    }

    /// As [`Host::with_pools`] with so much of everything else.
    pub fn with_storage(
        number: u8,
        config: Config,
        app: H,
        seed: u64,
        pools: Pools,
        sizes: Sizes,
    ) -> Self {
        let wire = Wire::default();
        let mut random = fastrand::Rng::with_seed(seed ^ u64::from(number) << 32);
        let storage = leak_storage(sizes, pools);
        let mut stack = Stack::new(storage, config, &mut |bytes| random.fill(bytes));
        let addr = Ipv4Addr::new(10, 0, 0, number);
        let hw = HwAddr([2, 0, 0, 0, 0, number]);
        let driver = WireDriver::ethernet(wire.clone(), pools.rx, hw);
        let subnet = Subnet::new(addr, 24).expect("a valid prefix");
        stack
            .add_netif(driver, Some(subnet))
            .expect("room for an interface");
        Self {
            stack,
            app,
            pools,
            addr,
            wire,
            deadline: Some(Instant::ZERO),
        }
    }

    /// A device that cuts large segments takes the place of its interface's, with the same address.
    ///
    /// # Panics
    /// There is no room for another interface.
    pub fn cuts_segments(mut self) -> Self {
        let number = self.addr.octets()[3];
        let capabilities = Capabilities {
            medium: Medium::Ethernet(HwAddr([2, 0, 0, 0, 0, number])),
            mtu: 1500,
            tx_checksums: Checksums {
                tcp: true,
                ..Checksums::NONE
            },
            rx_checksums: Checksums::NONE,
            tso: u16::MAX,
        };
        let netif = self.stack.netifs().next().expect("its interface");
        self.stack.remove_netif(netif).expect("its interface");
        let driver = WireDriver::with(self.wire.clone(), self.pools.rx, capabilities);
        let subnet = Subnet::new(self.addr, 24).expect("a valid prefix");
        self.stack
            .add_netif(driver, Some(subnet))
            .expect("room for an interface");
        self
    }

    fn turn(&mut self, now: Instant) {
        self.deadline = self.stack.turn(now, &mut [&mut self.app]);
    }

    fn wants_turn(&self, now: Instant) -> bool {
        self.wire.waiting() > 0 || self.deadline.is_some_and(|deadline| deadline <= now)
    }
}

/// Two hosts, one link.
#[derive(Debug)]
pub struct Network<A, B> {
    /// One side.
    pub a: Host<A>,
    /// The other.
    pub b: Host<B>,
    /// From `a` to `b`.
    pub ab: Direction,
    /// From `b` to `a`.
    pub ba: Direction,
    /// The time of both.
    pub now: Instant,
}

impl<A: Handler, B: Handler> Network<A, B> {
    /// Joins two hosts; both directions get `faults`.
    pub fn new(a: Host<A>, b: Host<B>, faults: Faults, seed: u64) -> Self {
        let ab = Direction::new(a.wire.clone(), b.wire.clone(), faults, seed);
        let ba = Direction::new(b.wire.clone(), a.wire.clone(), faults, seed ^ 0xabcd_ef01);
        Self {
            a,
            b,
            ab,
            ba,
            now: Instant::from_millis(1_000),
        }
    }

    /// Makes the application's calls between turns count: both hosts get a turn now.
    pub fn kick(&mut self) {
        self.a.turn(self.now);
        self.b.turn(self.now);
    }

    /// Moves to the next event; `false` if nothing will ever happen again.
    pub fn step(&mut self) -> bool {
        let moved = self.ab.step(self.now) | self.ba.step(self.now);
        let (a, b) = (self.a.wants_turn(self.now), self.b.wants_turn(self.now));
        if a {
            self.a.turn(self.now);
        }
        if b {
            self.b.turn(self.now);
        }
        if moved || a || b {
            return true;
        }
        let next = [
            self.a.deadline,
            self.b.deadline,
            self.ab.next_arrival(),
            self.ba.next_arrival(),
        ];
        let Some(next) = next.into_iter().flatten().min() else {
            return false;
        };
        self.now = self.now.max(next);
        true
    }

    /// Steps until `done`, or nothing happens any more, or `limit` of virtual time has passed.
    /// Returns whether `done` was reached.
    pub fn run_until(&mut self, limit: Duration, mut done: impl FnMut(&Self) -> bool) -> bool {
        let end = self.now + limit;
        while !done(self) {
            if self.now > end || !self.step() {
                return done(self);
            }
        }
        true
    }
}
