//! A look at the stack from any thread: the tcpip thread writes down its counters on request.
use core::cell::Cell;

use critical_section::{CriticalSection, Mutex};
use gannet_core::netif::NetifStats;
use gannet_core::tcp::TcpStats;
use gannet_core::udp::UdpStats;
use gannet_core::{ArpStats, IcmpStats, IpStats, Stack, TcpCensus};

use crate::error::Error;
use crate::net::Net;
use crate::service::Service;
use crate::wait::{Patience, WaitSet, Wake};

/// The counters of a stack at one moment.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct Snapshot {
    /// What TCP has counted.
    pub tcp: TcpStats,
    /// What UDP has counted.
    pub udp: UdpStats,
    /// What IP has counted.
    pub ip: IpStats,
    /// What ICMP has counted.
    pub icmp: IcmpStats,
    /// What ARP has counted.
    pub arp: ArpStats,
    /// What the first interface has counted; zeros without one.
    pub interface: NetifStats,
    /// How many TCP connections there are.
    pub census: TcpCensus,
}

/// Where the tcpip thread leaves a snapshot.
#[derive(Debug)]
pub(crate) struct SnapshotCell {
    latest: Mutex<Cell<Option<Snapshot>>>,
    /// Threads that wait for one.
    waiting: Mutex<Cell<WaitSet>>,
}

impl SnapshotCell {
    pub(crate) const fn new() -> Self {
        Self {
            latest: Mutex::new(Cell::new(None)),
            waiting: Mutex::new(Cell::new(WaitSet::EMPTY)),
        }
    }

    /// Whether a thread waits for one.
    pub(crate) fn is_wanted(&self, cs: CriticalSection<'_>) -> bool {
        self.waiting.borrow(cs).get() != WaitSet::EMPTY
    }
}

impl Net {
    /// The counters of the stack now: asks the tcpip thread, and sleeps until it has answered.
    ///
    /// # Errors
    /// [`Error::NoBuffers`]: no waiter is free. [`Error::WouldBlock`]: no answer within
    /// `patience`.
    pub fn snapshot(&self, patience: Patience) -> Result<Snapshot, Error> {
        let waiter = self.waiters.borrow()?;
        // One that was left for others may be old.
        critical_section::with(|cs| self.snapshot.latest.borrow(cs).set(None));
        let look = || {
            critical_section::with(|cs| {
                let latest = self.snapshot.latest.borrow(cs).get();
                if latest.is_none() {
                    let waiting = self.snapshot.waiting.borrow(cs);
                    let mut set = waiting.get();
                    set.insert(waiter.number);
                    waiting.set(set);
                }
                latest
            })
        };
        let mut latest = look();
        self.wake(self.owner());
        let outcome = loop {
            if let Some(latest) = latest {
                break Ok(latest);
            }
            if let Err(error) = waiter.sleep(patience) {
                break Err(error);
            }
            latest = look();
        };
        critical_section::with(|cs| {
            let waiting = self.snapshot.waiting.borrow(cs);
            let mut set = waiting.get();
            set.remove(waiter.number);
            waiting.set(set);
        });
        outcome
    }
}

impl Service {
    /// Answers the threads that wait for a snapshot.
    pub(crate) fn publish_snapshot(&self, stack: &Stack) {
        let net = self.net();
        let snapshot = Snapshot {
            tcp: *stack.tcp_stats(),
            udp: *stack.udp_stats(),
            ip: *stack.ip_stats(),
            icmp: *stack.icmp_stats(),
            arp: *stack.arp_stats(),
            interface: first_interface(stack),
            census: stack.tcp_census(),
        };
        let set = critical_section::with(|cs| {
            net.snapshot.latest.borrow(cs).set(Some(snapshot));
            net.snapshot.waiting.borrow(cs).replace(WaitSet::EMPTY)
        });
        net.signal(Wake { set, ..Wake::NONE });
    }
}

fn first_interface(stack: &Stack) -> NetifStats {
    let first = stack.netifs().next();
    first
        .and_then(|netif| stack.netif_stats(netif).ok().copied())
        .unwrap_or_default()
}
