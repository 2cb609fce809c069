//! All hosts and the network on one clock, stepped from one event to the next, checked after each.
use std::cell::RefCell;
use std::rc::Rc;
use std::time::Duration;

use gannet_core::netif::Link;
use gannet_core::{Error, Instant};

use super::host::Host;
use super::ledger::{Fate, Ledger, Rival};
use super::net::{Captured, Net};
use super::node::{Node, Place};
use super::noise::noise;
use super::plan::{Expect, Fault, Kind, Plan, Rng, StackKind};
use super::smol::Smol;

/// Where the clock starts.
const START: Instant = Instant::from_millis(1_000);
/// Steps of a run; more mean that something turns in circles.
const STEPS: u64 = 5_000_000;
/// All flows have ended so long after the last fault: the applications have patience for less.
const END: Duration = Duration::from_secs(24 * 3_600);
/// Everything is at rest so long after the last flow.
const REST: Duration = Duration::from_secs(3_600);

/// What a run came to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Report {
    /// Connections opened.
    pub connections: u64,
    /// Those that did all they were to do.
    pub complete: u64,
    /// Bytes delivered by TCP.
    pub bytes: u64,
    /// Datagrams sent, and echoes received.
    pub datagrams: [u64; 2],
    /// Frames the hosts sent.
    pub frames: u64,
    /// Turns of stacks.
    pub turns: u64,
    /// What other stacks did wrong.
    pub rival: Rival,
}

impl Report {
    /// Adds what another run came to.
    pub fn add(&mut self, other: &Self) {
        self.connections += other.connections;
        self.complete += other.complete;
        self.bytes += other.bytes;
        self.datagrams[0] += other.datagrams[0];
        self.datagrams[1] += other.datagrams[1];
        self.frames += other.frames;
        self.turns += other.turns;
        self.rival.add(other.rival);
    }
}

/// See the module.
#[derive(Debug)]
pub struct World {
    plan: Rc<Plan>,
    ledger: Rc<RefCell<Ledger>>,
    hosts: Vec<Box<dyn Node>>,
    net: Net,
    now: Instant,
    next_fault: usize,
    random: Rng,
    turns: u64,
    steps: u64,
}

impl World {
    /// The world of `plan`; `capture`: every frame is kept.
    pub fn new(plan: Plan, capture: bool) -> Self {
        let plan = Rc::new(plan);
        let ledger = Rc::new(RefCell::new(Ledger {
            forged: plan.forged,
            ..Ledger::default()
        }));
        let mut net = Net::new(plan.medium, plan.seed ^ 0x6e65_7477);
        net.capture = capture.then(Vec::new);
        let mut random = Rng::with_seed(plan.seed ^ 0x776f_726c);
        let hosts = (0..plan.hosts.len())
            .map(|n| {
                let (plan, ledger) = (plan.clone(), ledger.clone());
                let host = node(Place { n, plan, ledger }, random.u64(..), START);
                net.join(host.wire().clone());
                host
            })
            .collect();
        Self {
            plan,
            ledger,
            hosts,
            net,
            now: START,
            next_fault: 0,
            random,
            turns: 0,
            steps: 0,
        }
    }

    /// What was captured.
    pub fn captured(&mut self) -> Vec<Captured> {
        self.net.capture.take().unwrap_or_default()
    }

    /// Runs to the end.
    ///
    /// # Errors
    /// What must not be.
    pub fn run(&mut self) -> Result<Report, String> {
        let limit = START + self.plan.calm + END;
        while !self.is_finished() {
            if self.now > limit {
                return Err(format!("{:?}: some flow never ends", self.now));
            }
            if !self.step()? {
                return Err(format!("{:?}: nothing will happen any more", self.now));
            }
        }
        self.judge()?;
        for host in &mut self.hosts {
            host.shut_down(self.now);
        }
        let limit = self.now + REST;
        while self.now <= limit && self.step()? {}
        for (n, host) in self.hosts.iter().enumerate() {
            if let Some(left) = host.unrest() {
                return Err(format!("host {n} does not come to rest: {left}"));
            }
        }
        Ok(self.report())
    }

    /// Gives everything back that later runs can use.
    pub fn put_away(self) {
        for host in self.hosts {
            host.put_away();
        }
    }

    fn is_finished(&self) -> bool {
        self.next_fault >= self.plan.faults.len()
            && self.now >= START + self.plan.calm
            && self.hosts.iter().all(|host| host.is_finished())
    }

    /// To the next event; `false` if there is none.
    fn step(&mut self) -> Result<bool, String> {
        self.steps += 1;
        if self.steps > STEPS {
            return Err(format!("{:?}: no end after {STEPS} steps", self.now));
        }
        let mut moved = false;
        while let Some((at, fault)) = self.plan.faults.get(self.next_fault).copied() {
            if START + at > self.now {
                break;
            }
            self.next_fault += 1;
            moved = true;
            self.apply(fault);
        }
        moved |= self.net.step(self.now);
        for (n, host) in self.hosts.iter_mut().enumerate() {
            if host.wants_turn(self.now) {
                moved = true;
                self.turns += 1;
                host.turn(self.now)
                    .map_err(|what| format!("{:?}: host {n}: {what}", self.now))?;
            }
        }
        if let Some(what) = &self.ledger.borrow().violation {
            return Err(format!("{:?}: {what}", self.now));
        }
        if moved {
            return Ok(true);
        }
        let fault = self.plan.faults.get(self.next_fault);
        let hosts = self.hosts.iter().filter_map(|host| host.next_event());
        let next = hosts
            .chain(self.net.next_arrival())
            .chain(fault.map(|(at, _)| START + *at))
            .min();
        if let Some(next) = next {
            self.now = self.now.max(next);
        } else if self.now < START + self.plan.calm {
            self.now = START + self.plan.calm;
        } else {
            return Ok(false);
        }
        Ok(true)
    }

    fn apply(&mut self, fault: Fault) {
        match fault {
            Fault::Line(host, line) => self.net.set_line(host, line),
            Fault::Partition(mask) => self.net.partition = mask,
            Fault::Link(host, link) => {
                self.net.set_up(host, link == Link::Up);
                self.hosts[host].set_link(link);
            }
            Fault::Reboot(n) => {
                let seed = self.random.u64(..);
                let host = &mut self.hosts[n];
                host.reboot(seed, self.now);
                self.net.replace(n, host.wire().clone());
                // The new device's cable is in.
                self.net.set_up(n, true);
            }
            Fault::Hog(host, which, leave) => self.hosts[host].hog(which, leave),
            Fault::Jump(host, by) => self.hosts[host].jump(by),
            Fault::Room(host, room) => self.hosts[host].set_room(room),
            Fault::Noise(host, kind, count) => {
                for n in 0..count {
                    let frame = noise(kind, host as u8 + 1, &mut self.random);
                    let after = Duration::from_micros(u64::from(n) * 100);
                    self.net.inject(host, frame, self.now, after);
                }
            }
        }
    }

    /// Whether what had to succeed has.
    fn judge(&self) -> Result<(), String> {
        if self.plan.expect != Expect::Success {
            return Ok(());
        }
        let ledger = self.ledger.borrow();
        for (n, flow) in self.plan.flows.iter().enumerate() {
            let Kind::Tcp(plan) = flow.kind else { continue };
            // Nobody can go on with a host that is started anew.
            if ledger.panicked >> flow.client & 1 != 0 || ledger.panicked >> flow.server & 1 != 0 {
                continue;
            }
            let records = || ledger.records.iter().filter(|record| record.flow == n);
            let wanted = [
                plan.client_side.bytes * plan.rounds,
                plan.server_side.bytes * plan.rounds,
            ];
            for record in records() {
                if record.excuse.is_some() {
                    continue;
                }
                // Nobody answered ARP for some seconds.
                if record.fate[0] == Fate::Failed(Error::Unreachable) && record.got == [0; 2] {
                    continue;
                }
                if record.got != [wanted[1], wanted[0]] || record.fate.contains(&Fate::GivenUp) {
                    return Err(format!(
                        "flow {n}: {record:?}, but client and server were to send {wanted:?}"
                    ));
                }
            }
            if records().count() != plan.connections as usize {
                return Err(format!("flow {n}: {} connections", records().count()));
            }
        }
        Ok(())
    }

    fn report(&self) -> Report {
        let ledger = self.ledger.borrow();
        let complete = |record: &&super::ledger::Record| {
            let Kind::Tcp(plan) = self.plan.flows[record.flow].kind else {
                return false;
            };
            record.got == [plan.server_side.bytes, plan.client_side.bytes].map(|n| n * plan.rounds)
        };
        Report {
            connections: ledger.records.len() as u64,
            complete: ledger.records.iter().filter(complete).count() as u64,
            bytes: ledger.records.iter().flat_map(|record| record.got).sum(),
            datagrams: ledger.datagrams,
            frames: self.net.frames,
            turns: self.turns,
            rival: ledger.rival,
        }
    }
}

/// The host at `place`.
fn node(place: Place, seed: u64, now: Instant) -> Box<dyn Node> {
    match place.plan.hosts[place.n].stack {
        StackKind::Gannet => Box::new(Host::new(place, seed, now)),
        StackKind::Smoltcp => Box::new(Smol::new(place, seed, now)),
    }
}
