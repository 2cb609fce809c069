//! Interfaces, addresses and routes from any thread (lwIP's `netifapi_*`): a request lies in one
//! place of the net until the tcpip thread has carried it out, and whoever asked sleeps that long.
//! Others wait for their turn, so nothing grows. How it is carried out is in `service`.
use core::cell::Cell;
use core::net::Ipv4Addr;

use critical_section::{CriticalSection, Mutex};
use gannet_core::netif::{Admin, NetifStatus};
use gannet_core::{NetifId, Subnet};

use crate::error::Error;
use crate::net::Net;
use crate::wait::{Patience, WaitSet, Wake};

/// What a thread asks of the stack as a whole.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Request {
    Status(NetifId),
    SetAddr(NetifId, Option<Subnet>),
    SetAdmin(NetifId, Admin),
    SetDefaultGateway(Option<Ipv4Addr>),
    AddRoute(Subnet, Ipv4Addr),
    RemoveRoute(Subnet, Ipv4Addr),
}

/// What the tcpip thread answers.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Answer {
    Done,
    Status(NetifStatus),
}

#[derive(Clone, Copy, Debug)]
enum State {
    Idle,
    Asked(Request),
    /// Whoever asked takes it.
    Answered(Result<Answer, Error>),
}

/// Where a request lies, and those who wait for the answer or for their turn.
#[derive(Debug)]
pub(crate) struct RequestCell {
    state: Mutex<Cell<State>>,
    waiting: Mutex<Cell<WaitSet>>,
}

impl RequestCell {
    pub(crate) const fn new() -> Self {
        Self {
            state: Mutex::new(Cell::new(State::Idle)),
            waiting: Mutex::new(Cell::new(WaitSet::EMPTY)),
        }
    }

    /// The request that waits to be carried out.
    pub(crate) fn asked(&self, cs: CriticalSection<'_>) -> Option<Request> {
        match self.state.borrow(cs).get() {
            State::Asked(request) => Some(request),
            State::Idle | State::Answered(_) => None,
        }
    }

    fn take_waiting(&self, cs: CriticalSection<'_>) -> WaitSet {
        self.waiting.borrow(cs).replace(WaitSet::EMPTY)
    }
}

impl Net {
    /// An interface's address, device and state.
    ///
    /// This call and those below ask the tcpip thread and sleep for one of its turns.
    ///
    /// # Errors
    /// [`Error::Invalid`]: there is no such interface, or it is loopback. [`Error::NoBuffers`]: no
    /// waiter is free.
    pub fn netif_status(&self, netif: NetifId) -> Result<NetifStatus, Error> {
        match self.request(Request::Status(netif))? {
            Answer::Status(status) => Ok(status),
            Answer::Done => Err(Error::Invalid), // the answer to another question: not reached
        }
    }

    /// Gives an interface another address, or none, and tells the neighbours.
    ///
    /// Connections of the old address end with [`Error::Aborted`], as nothing can reach them any
    /// more; their peers hear nothing of it, for who has lost an address must not send from it
    /// (RFC 2131 §4.4.5). Endpoints that are bound to it stay, and can be used again when it is
    /// back; until then sending is an error. Connections of applications on the raw API are their
    /// own business, and those that were closed finish or time out alone.
    ///
    /// ```no_run
    /// # use gannet_port_std as _;
    /// use core::net::Ipv4Addr;
    /// use gannet_core::{NetifId, Subnet};
    /// use gannet_netconn::{Error, Net};
    ///
    /// /// What DHCP has found out about the first interface.
    /// fn configure(net: &Net, addr: Ipv4Addr, gateway: Ipv4Addr) -> Result<(), Error> {
    ///     net.set_addr(NetifId::with_index(0), Subnet::new(addr, 24))?;
    ///     net.set_default_gateway(Some(gateway))
    /// }
    /// ```
    ///
    /// # Errors
    /// [`Error::Invalid`]: no such interface, or no address a host can have in that subnet.
    /// [`Error::InUse`]: another interface has the address. [`Error::NoBuffers`]: no waiter is free.
    #[doc(alias = "netifapi_netif_set_addr")]
    pub fn set_addr(&self, netif: NetifId, subnet: Option<Subnet>) -> Result<(), Error> {
        self.request(Request::SetAddr(netif, subnet)).map(drop)
    }

    /// Switches an interface on or off.
    ///
    /// # Errors
    /// [`Error::Invalid`]: there is no such interface. [`Error::NoBuffers`]: no waiter is free.
    #[doc(alias = "netifapi_netif_set_up")]
    #[doc(alias = "netifapi_netif_set_down")]
    pub fn set_admin(&self, netif: NetifId, admin: Admin) -> Result<(), Error> {
        self.request(Request::SetAdmin(netif, admin)).map(drop)
    }

    /// Replaces all default gateways by this one, or none.
    ///
    /// # Errors
    /// As [`Net::add_route`].
    #[doc(alias = "netifapi_netif_set_default")]
    pub fn set_default_gateway(&self, gateway: Option<Ipv4Addr>) -> Result<(), Error> {
        self.request(Request::SetDefaultGateway(gateway)).map(drop)
    }

    /// Adds a route: packets to `network` go to `gateway`, a neighbour.
    ///
    /// # Errors
    /// [`Error::NetworkUnreachable`]: the gateway is in no subnet of an interface, or is this host.
    /// [`Error::NoBuffers`]: the table of routes is full, or no waiter is free.
    pub fn add_route(&self, network: Subnet, gateway: Ipv4Addr) -> Result<(), Error> {
        self.request(Request::AddRoute(network, gateway)).map(drop)
    }

    /// Removes a route.
    ///
    /// # Errors
    /// [`Error::NetworkUnreachable`]: it was not there. [`Error::NoBuffers`]: no waiter is free.
    pub fn remove_route(&self, network: Subnet, gateway: Ipv4Addr) -> Result<(), Error> {
        self.request(Request::RemoveRoute(network, gateway))
            .map(drop)
    }

    fn request(&self, request: Request) -> Result<Answer, Error> {
        // First, for the answer has to be waited for: nobody else would take it, and all who ask
        // later would wait for their turn for ever.
        let waiter = self.waiters.borrow()?;
        let cell = &self.requests;
        let mut asked = false;
        loop {
            let (answer, ring, wake) = critical_section::with(|cs| {
                let state = cell.state.borrow(cs);
                let mut ring = false;
                match state.get() {
                    State::Answered(answer) if asked => {
                        state.set(State::Idle);
                        // Whoever waits to ask next.
                        return (Some(answer), false, cell.take_waiting(cs));
                    }
                    State::Idle if !asked => {
                        state.set(State::Asked(request));
                        (asked, ring) = (true, true);
                    }
                    // Another thread's request is under way, or this one.
                    _ => {}
                }
                let waiting = cell.waiting.borrow(cs);
                let mut set = waiting.get();
                set.insert(waiter.number);
                waiting.set(set);
                (None, ring, WaitSet::EMPTY)
            });
            self.signal(Wake {
                set: wake,
                ..Wake::NONE
            });
            if let Some(answer) = answer {
                return answer;
            }
            if ring {
                self.wake(self.owner());
            }
            // Without a limit it ends with a signal only.
            let _ = waiter.sleep(Patience::Forever);
        }
    }

    /// Leaves the answer to the request that was carried out. For the service.
    pub(crate) fn answer(&self, answer: Result<Answer, Error>) {
        let set = critical_section::with(|cs| {
            self.requests.state.borrow(cs).set(State::Answered(answer));
            self.requests.take_waiting(cs)
        });
        self.signal(Wake { set, ..Wake::NONE });
    }
}
