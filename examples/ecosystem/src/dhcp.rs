//! A DHCP client with the messages of `edge-dhcp`: it gives an interface its address, keeps it as
//! long as a server says, takes it off when that is over, and looks for the next one. Messages are
//! in `message`, the check whether somebody else has the address in `probe`.
//!
//! `edge-dhcp`'s own loop (`Lease`) is not used: it does not tell a refusal from silence, renews at
//! a third of the lease with a precision of a minute, has no rebinding, and does not name the
//! server it has chosen.
//!
//! Nobody signs DHCP messages: whoever is on the same network can pose as the server.
mod message;
mod probe;
mod sound;

use core::convert::Infallible;
use core::net::{Ipv4Addr, SocketAddr};

use edge_nal::{UdpReceive, UdpSend};
use edge_raw::io::RawSocket2Udp;
use embassy_time::{Duration, Instant, Timer, with_deadline};
use gannet_core::{HwAddr, Medium};
use gannet_sockets::asynch::{LinkSocket, UdpSocket};
use gannet_sockets::{Error, Net, NetifId, Subnet};
use getrandom::rand_core::Rng;

use message::{Kind, Messages, Reply};
use sound::Sound;

const CLIENT: u16 = 68;
const SERVER: u16 = 67;
/// RFC 2131 §4.1: four seconds at first, twice as long each time, up to 64; give or take one.
const FIRST_WAIT: Duration = Duration::from_secs(4);
const LONGEST_WAIT: Duration = Duration::from_secs(64);
/// How often an offer is asked for before another one is looked for.
const REQUESTS: u32 = 4;
/// RFC 2131 §4.4.5: between two attempts to renew, if the lease is long enough.
const RENEW_WAIT: Duration = Duration::from_secs(60);
/// RFC 2131 §3.1: after an address that somebody else has.
const DECLINED_WAIT: Duration = Duration::from_secs(10);
/// After an offer that came to nothing: no server can make this client ask without end.
const PAUSE: Duration = Duration::from_secs(1);
/// The largest message that fits a packet.
const LARGEST: usize = 1_472;

/// What a server has lent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lease {
    /// The address and its network.
    pub subnet: Subnet,
    /// The way to all other networks.
    pub gateway: Option<Ipv4Addr>,
    /// Who knows names.
    pub name_servers: [Option<Ipv4Addr>; 2],
    /// The server.
    pub server: Ipv4Addr,
    /// When to ask this server for more time (T1).
    pub renew: Instant,
    /// When to ask any server (T2).
    pub rebind: Instant,
    /// When the address must not be used any more.
    pub end: Instant,
}

/// What happens to the address, in the order in which it does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Event {
    /// The interface has this address now.
    Bound(Lease),
    /// It may keep it.
    Renewed(Lease),
    /// It has it no more.
    Lost(Why),
    /// It was not taken: this host answers to it.
    Declined(Ipv4Addr, HwAddr),
}

/// Why an address is given up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Why {
    /// A server says so.
    Refused,
    /// No server has prolonged it.
    Expired,
}

/// The client of one interface.
#[derive(Debug)]
pub struct Client<R> {
    net: &'static Net,
    netif: NetifId,
    hw: HwAddr,
    messages: Messages<R>,
    at_most: Duration,
}

impl<R: Rng> Client<R> {
    /// A client for the Ethernet interface `netif` of `net`'s stack. It trusts no lease for longer
    /// than `at_most`.
    ///
    /// # Errors
    /// [`Error::Invalid`]: there is no such interface. [`Error::NotSupported`]: it is not Ethernet.
    pub fn new(
        net: &'static Net,
        netif: NetifId,
        at_most: Duration,
        random: R,
    ) -> Result<Self, Error> {
        let Medium::Ethernet(hw) = net.netif_status(netif)?.medium else {
            return Err(Error::NotSupported);
        };
        let messages = Messages::new(hw, random);
        Ok(Self {
            net,
            netif,
            hw,
            messages,
            at_most,
        })
    }

    /// Gets an address, keeps it, gets the next; tells of all that happens to it.
    ///
    /// # Errors
    /// Out of endpoints, or of whatever else a call of the stack's needs.
    pub async fn run(&mut self, mut told: impl FnMut(Event)) -> Result<Infallible, Error> {
        loop {
            let Some(lease) = self.acquire(&mut told).await? else {
                Timer::after(PAUSE).await;
                continue;
            };
            if self.configure(None, Some(&lease)).is_err() {
                // No address that this host can have.
                Timer::after(PAUSE).await;
                continue;
            }
            told(Event::Bound(lease));
            let (lease, why) = self.keep(lease, &mut told).await?;
            self.configure(Some(&lease), None)?;
            told(Event::Lost(why));
        }
    }

    /// Gives the interface what the new lease says.
    fn configure(&self, old: Option<&Lease>, new: Option<&Lease>) -> Result<(), Error> {
        let gateway = |lease: Option<&Lease>| lease.and_then(|lease| lease.gateway);
        let keeps = gateway(old) == gateway(new);
        if let Some(old) = gateway(old).filter(|_| !keeps) {
            // It is gone if the address was changed by somebody else.
            let _ = self.net.remove_route(Subnet::ANY, old);
        }
        self.net
            .set_addr(self.netif, new.map(|lease| lease.subnet))?;
        if let Some(new) = gateway(new).filter(|_| !keeps) {
            // One that is no neighbour is as good as none.
            let _ = self.net.add_route(Subnet::ANY, new);
        }
        Ok(())
    }

    /// From nothing to an address (INIT, SELECTING, REQUESTING). `None`: this offer came to nothing.
    async fn acquire(&mut self, told: &mut impl FnMut(Event)) -> Result<Option<Lease>, Error> {
        // Below IP: there is no address to send from, nor one to receive at.
        let link = Sound(LinkSocket::new(self.net, self.netif)?);
        let own = core::net::SocketAddrV4::new(Ipv4Addr::UNSPECIFIED, CLIENT);
        let mut socket =
            RawSocket2Udp::<_, { LARGEST + 28 }>::new(link, Some(own), None, [0xff; 6]);
        let begun = Instant::now();
        let xid = self.messages.number();
        let all = Ipv4Addr::BROADCAST;

        let mut wait = FIRST_WAIT;
        let offer = loop {
            let message = self.messages.discover(xid, begun.elapsed());
            // What is lost, or can't leave now, is sent again.
            let _ = send(&mut socket, all, &message).await;
            let until = Instant::now() + self.jittered(wait);
            let offers = |reply: &Reply| reply.kind == Kind::Offer && reply.subnet().is_some();
            if let Some(offer) = receive(&mut socket, &self.messages, xid, until, offers).await {
                break offer;
            }
            wait = (wait * 2).min(LONGEST_WAIT);
        };

        wait = FIRST_WAIT;
        for _ in 0..REQUESTS {
            let sent = Instant::now();
            let message = self
                .messages
                .select(xid, begun.elapsed(), offer.addr, offer.server);
            let _ = send(&mut socket, all, &message).await;
            let until = sent + self.jittered(wait);
            let answers = |reply: &Reply| match reply.kind {
                Kind::Ack => reply.addr == offer.addr && reply.server == offer.server,
                Kind::Nak => reply.server == offer.server,
                Kind::Offer => false,
            };
            match receive(&mut socket, &self.messages, xid, until, answers).await {
                Some(reply) if reply.kind == Kind::Nak => return Ok(None),
                Some(reply) => {
                    let Some(lease) = reply.lease(sent, self.at_most) else {
                        return Ok(None);
                    };
                    let addr = lease.subnet.addr();
                    // RFC 2131 §3.1: it should be probed.
                    let owner = probe::owner(self.net, self.netif, self.hw, addr).await?;
                    let Some(owner) = owner else {
                        return Ok(Some(lease));
                    };
                    let message = self.messages.decline(addr, lease.server);
                    let _ = send(&mut socket, all, &message).await;
                    told(Event::Declined(addr, owner));
                    Timer::after(DECLINED_WAIT).await;
                    return Ok(None);
                }
                None => wait = (wait * 2).min(LONGEST_WAIT),
            }
        }
        Ok(None)
    }

    /// Prolongs the lease again and again (BOUND, RENEWING, REBINDING), until that fails: why.
    async fn keep(
        &mut self,
        mut lease: Lease,
        told: &mut impl FnMut(Event),
    ) -> Result<(Lease, Why), Error> {
        loop {
            Timer::at(lease.renew).await;
            // With an address the stack does what is below: routes, neighbours. Not open before, so
            // that nothing gathers there that is for others.
            let any = (Ipv4Addr::UNSPECIFIED, CLIENT).into();
            let mut socket = UdpSocket::bind_on(self.net, any)?;
            socket
                .netconn()
                .change_settings(|settings| settings.broadcast = true)?;
            match self.prolong(&mut socket, &lease).await {
                Some(Ok(new)) => {
                    if (new.subnet, new.gateway) != (lease.subnet, lease.gateway) {
                        self.configure(Some(&lease), Some(&new))?;
                    }
                    lease = new;
                    told(Event::Renewed(lease));
                }
                Some(Err(why)) => return Ok((lease, why)),
                None => return Ok((lease, Why::Expired)),
            }
        }
    }

    /// Asks for more time, first the server that lent it, then any. `None`: nobody has answered.
    async fn prolong(
        &mut self,
        socket: &mut UdpSocket,
        lease: &Lease,
    ) -> Option<Result<Lease, Why>> {
        let addr = lease.subnet.addr();
        let begun = Instant::now();
        let xid = self.messages.number();
        loop {
            let sent = Instant::now();
            let (to, from, phase_end) = if sent < lease.rebind {
                (lease.server, lease.renew, lease.rebind)
            } else if sent < lease.end {
                (Ipv4Addr::BROADCAST, lease.rebind, lease.end)
            } else {
                return None;
            };
            let message = self.messages.prolong(xid, begun.elapsed(), addr);
            let _ = send(socket, to, &message).await;
            // RFC 2131 §4.4.5: half of the time that is left, at least a minute. A phase that is
            // shorter than four minutes is a quarter of it instead.
            let shortest = RENEW_WAIT.min((phase_end - from) / 4);
            let wait = ((phase_end - sent) / 2).max(shortest);
            let until = (sent + wait).min(phase_end);
            let answers = |reply: &Reply| match reply.kind {
                Kind::Ack => reply.addr == addr && reply.subnet().is_some(),
                Kind::Nak => true,
                Kind::Offer => false,
            };
            match receive(socket, &self.messages, xid, until, answers).await {
                Some(reply) if reply.kind == Kind::Nak => return Some(Err(Why::Refused)),
                Some(reply) => {
                    if let Some(lease) = reply.lease(sent, self.at_most) {
                        return Some(Ok(lease));
                    }
                }
                None => {}
            }
        }
    }

    fn jittered(&mut self, wait: Duration) -> Duration {
        let jitter = u64::from(self.messages.number()) % 2_000;
        wait + Duration::from_millis(jitter) - Duration::from_secs(1)
    }
}

async fn send<S: UdpSend>(socket: &mut S, to: Ipv4Addr, message: &[u8]) -> Result<(), S::Error> {
    socket.send(SocketAddr::from((to, SERVER)), message).await
}

/// The first answer to request `xid` that `is_wanted`; `None`: there was none in time.
async fn receive<S: UdpReceive, R: Rng>(
    socket: &mut S,
    messages: &Messages<R>,
    xid: u32,
    until: Instant,
    is_wanted: impl Fn(&Reply) -> bool,
) -> Option<Reply> {
    let mut buf = [0; LARGEST];
    loop {
        let received = with_deadline(until, socket.receive(&mut buf)).await.ok()?;
        let Ok((len, from)) = received else {
            // An ICMP error, for one; never in a loop without a pause.
            with_deadline(until, Timer::after(PAUSE / 10)).await.ok()?;
            continue;
        };
        let Some(message) = buf.get_mut(..len).filter(|_| from.port() == SERVER) else {
            continue;
        };
        if let Some(reply) = messages.reply(message, xid).filter(&is_wanted) {
            return Some(reply);
        }
    }
}
