//! DHCP messages with `edge-dhcp`: what the client says in each of its states (RFC 2131 table 5), and
//! what servers answer.
use core::net::Ipv4Addr;

use edge_dhcp::{DhcpOption, MessageType, Options, Packet};
use embassy_time::{Duration, Instant};
use gannet_core::HwAddr;
use gannet_sockets::Subnet;
use getrandom::rand_core::Rng;

use super::{LARGEST, Lease, sound};

/// RFC 2132 §9.11, §9.12; `edge-dhcp` leaves these two to others.
const RENEWAL_TIME: u8 = 58;
const REBINDING_TIME: u8 = 59;
/// What the server is asked to tell: network mask, router, name servers, times.
const WANTED: &[u8] = &[1, 3, 6, 51, RENEWAL_TIME, REBINDING_TIME];
/// Octets of a request with the options below; all are shorter.
const REQUEST: usize = 300;

/// A request as it is sent.
pub(super) type Request = heapless::Vec<u8, REQUEST>;

/// Makes requests and reads answers.
#[derive(Debug)]
pub(super) struct Messages<R> {
    client: Client<R>,
}

struct Client<R>(edge_dhcp::client::Client<R>);

impl<R> core::fmt::Debug for Client<R> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Client").field("mac", &self.0.mac).finish()
    }
}

/// What an answer is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Offer,
    Ack,
    Nak,
}

/// What a server has answered.
#[derive(Clone, Copy, Debug)]
pub(super) struct Reply {
    pub(super) kind: Kind,
    pub(super) addr: Ipv4Addr,
    /// Who the server says it is; an answer without is dropped.
    pub(super) server: Ipv4Addr,
    mask: Option<Ipv4Addr>,
    gateway: Option<Ipv4Addr>,
    name_servers: [Option<Ipv4Addr>; 2],
    duration: Option<u32>,
    renewal: Option<u32>,
    rebinding: Option<u32>,
}

impl<R: Rng> Messages<R> {
    pub(super) const fn new(HwAddr(mac): HwAddr, random: R) -> Self {
        Self {
            client: Client(edge_dhcp::client::Client::new(random, mac)),
        }
    }

    /// A number nobody can guess.
    pub(super) fn number(&mut self) -> u32 {
        self.client.0.rng.next_u32()
    }

    pub(super) fn discover(&mut self, xid: u32, since: Duration) -> Request {
        let options = [
            DhcpOption::MessageType(MessageType::Discover),
            DhcpOption::ParameterRequestList(WANTED),
        ];
        self.request(xid, since, None, &options)
    }

    /// The answer to an offer. RFC 2131 §4.3.2: with the server, so that all others hear that they
    /// were not chosen.
    pub(super) fn select(
        &mut self,
        xid: u32,
        since: Duration,
        addr: Ipv4Addr,
        server: Ipv4Addr,
    ) -> Request {
        let options = [
            DhcpOption::MessageType(MessageType::Request),
            DhcpOption::RequestedIpAddress(addr),
            DhcpOption::ServerIdentifier(server),
            DhcpOption::ParameterRequestList(WANTED),
        ];
        self.request(xid, since, None, &options)
    }

    /// RENEWING and REBINDING. RFC 2131 §4.3.2: the address is in `ciaddr` and in no option.
    pub(super) fn prolong(&mut self, xid: u32, since: Duration, addr: Ipv4Addr) -> Request {
        let options = [
            DhcpOption::MessageType(MessageType::Request),
            DhcpOption::ParameterRequestList(WANTED),
        ];
        self.request(xid, since, Some(addr), &options)
    }

    /// RFC 2131 §4.4.4: somebody else has the address.
    pub(super) fn decline(&mut self, addr: Ipv4Addr, server: Ipv4Addr) -> Request {
        let options = [
            DhcpOption::MessageType(MessageType::Decline),
            DhcpOption::RequestedIpAddress(addr),
            DhcpOption::ServerIdentifier(server),
        ];
        let xid = self.number();
        self.request(xid, Duration::MIN, None, &options)
    }

    fn request(
        &mut self,
        xid: u32,
        since: Duration,
        own: Option<Ipv4Addr>,
        options: &[DhcpOption<'_>],
    ) -> Request {
        let secs = u16::try_from(since.as_secs()).unwrap_or(u16::MAX);
        // Unicast answers are received, too: the broadcast flag is not needed.
        let (mut packet, _) = self
            .client
            .0
            .bootp_request(secs, own, false, Options::new(options));
        packet.xid = xid;
        packet.yiaddr = Ipv4Addr::UNSPECIFIED;
        let mut buf = [0; REQUEST];
        // It fits.
        let encoded = packet.encode(&mut buf).unwrap_or(&[]);
        Request::from_slice(encoded).unwrap_or_default()
    }

    /// What `message` says, if it is a sound answer to request `xid`. It may be changed.
    pub(super) fn reply(&self, message: &mut [u8], xid: u32) -> Option<Reply> {
        debug_assert!(message.len() <= LARGEST);
        let len = sound::tidy_options(message)?;
        let packet = Packet::decode(message.get(..len)?).ok()?;
        let client = &self.client.0;
        let kind = if client.is_offer(&packet, xid) {
            Kind::Offer
        } else if client.is_ack(&packet, xid) {
            Kind::Ack
        } else if client.is_nak(&packet, xid) {
            Kind::Nak
        } else {
            return None;
        };
        let mut server = None;
        let mut reply = Reply {
            kind,
            addr: packet.yiaddr,
            server: Ipv4Addr::UNSPECIFIED,
            mask: None,
            gateway: None,
            name_servers: [None; 2],
            duration: None,
            renewal: None,
            rebinding: None,
        };
        for option in packet.options.iter() {
            match option {
                DhcpOption::ServerIdentifier(addr) => server = Some(addr),
                DhcpOption::SubnetMask(mask) => reply.mask = Some(mask),
                DhcpOption::Router(routers) => reply.gateway = routers.iter().next(),
                DhcpOption::DomainNameServer(servers) => {
                    let mut servers = servers.iter();
                    reply.name_servers = [servers.next(), servers.next()];
                }
                DhcpOption::IpAddressLeaseTime(secs) => reply.duration = Some(secs),
                DhcpOption::Unrecognized(RENEWAL_TIME, value) => reply.renewal = seconds(value),
                DhcpOption::Unrecognized(REBINDING_TIME, value) => {
                    reply.rebinding = seconds(value);
                }
                _ => {}
            }
        }
        reply.server = server?;
        Some(reply)
    }
}

impl Reply {
    /// The address in its network, if it is one that a host can have.
    pub(super) fn subnet(&self) -> Option<Subnet> {
        let prefix = match self.mask.map(u32::from) {
            Some(mask) if mask.leading_ones() == mask.count_ones() => mask.leading_ones(),
            Some(_) => return None,
            // RFC 2131 §4.3.1 has servers tell it; those of BOOTP's time meant the class.
            None => match self.addr.octets() {
                [0..=127, ..] => 8,
                [128..=191, ..] => 16,
                _ => 24,
            },
        };
        let subnet = Subnet::new(self.addr, u8::try_from(prefix).ok()?)?;
        // RFC 1122 §3.2.1.3, RFC 6890: this network, loopback, groups, reserved.
        let unusable = matches!(self.addr.octets(), [0 | 127 | 224..=255, ..]);
        (subnet.is_host(self.addr) && !unusable).then_some(subnet)
    }

    /// What an acknowledgement of a request sent at `sent` lends, for not longer than `at_most`.
    pub(super) fn lease(&self, sent: Instant, at_most: Duration) -> Option<Lease> {
        let time = |secs: u32| Duration::from_secs(secs.into());
        // RFC 2131 §3.1: without one it is no lease.
        let duration = time(self.duration?).min(at_most);
        // RFC 2131 §4.4.5: half of it and seven eighths, if the server says nothing better.
        let rebinding = self.rebinding.map(time).filter(|t2| *t2 < duration);
        let rebinding = rebinding.unwrap_or(duration * 7 / 8);
        let renewal = self.renewal.map(time).filter(|t1| *t1 < rebinding);
        let renewal = renewal.unwrap_or((duration / 2).min(rebinding));
        Some(Lease {
            subnet: self.subnet()?,
            gateway: self.gateway,
            name_servers: self.name_servers,
            server: self.server,
            renew: sent + renewal,
            rebind: sent + rebinding,
            end: sent + duration,
        })
    }
}

fn seconds(value: &[u8]) -> Option<u32> {
    value.try_into().ok().map(u32::from_be_bytes)
}

#[cfg(test)]
mod tests {
    use getrandom::SysRng;
    use getrandom::rand_core::UnwrapErr;

    use super::*;

    const ADDR: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 50);
    const SERVER: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 1);

    fn messages() -> Messages<UnwrapErr<SysRng>> {
        Messages::new(HwAddr([2, 0, 0, 0, 0, 2]), UnwrapErr(SysRng))
    }

    /// An acknowledgement with `options` besides those that each has.
    fn ack(xid: u32, options: &[u8]) -> Vec<u8> {
        let request = messages().prolong(xid, Duration::MIN, ADDR);
        let mut ack = request.get(..240).expect("as long as that").to_vec();
        ack[0] = 2;
        ack[12..16].fill(0);
        ack[16..20].copy_from_slice(&ADDR.octets());
        ack.extend([53, 1, 5, 54, 4, 10, 0, 0, 1, 1, 4, 255, 255, 255, 0]);
        ack.extend(options);
        ack.push(255);
        ack
    }

    fn lease(options: &[u8], at_most: u64) -> Option<[u64; 3]> {
        let reply = messages().reply(&mut ack(7, options), 7).expect("sound");
        let sent = Instant::from_ticks(0);
        let lease = reply.lease(sent, Duration::from_secs(at_most))?;
        assert_eq!((lease.subnet.addr(), lease.server), (ADDR, SERVER));
        assert_eq!(lease.subnet.prefix(), 24);
        Some([lease.renew, lease.rebind, lease.end].map(|time| (time - sent).as_secs()))
    }

    #[test]
    fn times_are_the_servers_or_parts_of_the_lease() {
        let (day, t1, t2) = (
            [51, 4, 0, 1, 0x51, 0x80],
            [58, 4, 0, 0, 0, 90],
            [59, 4, 0, 0, 0, 100],
        );
        assert_eq!(
            lease(&day, u64::MAX / 2_000_000),
            Some([43_200, 75_600, 86_400])
        );
        assert_eq!(lease(&day, 80), Some([40, 70, 80]));
        let all = [day, t1, t2].concat();
        assert_eq!(lease(&all, 1_000_000), Some([90, 100, 86_400]));
        // Later than the lease is trusted.
        assert_eq!(lease(&all, 80), Some([40, 70, 80]));
        // In the wrong order, or of the wrong length.
        let swapped = [&day[..], &[58, 4, 0, 0, 0, 100, 59, 4, 0, 0, 0, 90]].concat();
        assert_eq!(lease(&swapped, 1_000_000), Some([90, 90, 86_400]));
        let short = [&day[..], &[58, 2, 0, 90]].concat();
        assert_eq!(lease(&short, 80), Some([40, 70, 80]));
        // Without an end it is none; one of no time ends at once.
        assert_eq!(lease(&[], 80), None);
        assert_eq!(lease(&[51, 4, 0, 0, 0, 0], 80), Some([0, 0, 0]));
        let forever = [51, 4, 255, 255, 255, 255];
        assert_eq!(
            lease(&forever, 1 << 33).expect("a lease")[2],
            u64::from(u32::MAX)
        );
    }

    #[test]
    fn answers_to_others_are_none() {
        let mut good = ack(7, &[]);
        assert_eq!(
            messages().reply(&mut good, 7).map(|reply| reply.kind),
            Some(Kind::Ack)
        );
        for (at, what) in [
            (0, "a request"),
            (4, "another number"),
            (30, "another host"),
        ] {
            let mut other = good.clone();
            other[at] ^= 3;
            assert!(messages().reply(&mut other, 7).is_none(), "{what}");
        }
    }

    #[test]
    fn nothing_in_an_answer_panics() {
        let options = [
            3, 4, 10, 0, 0, 1, 6, 8, 10, 0, 0, 1, 10, 0, 0, 2, 51, 4, 0, 0, 0, 9, 12, 1, 65,
        ];
        let good = ack(7, &options);
        let mut messages = messages();
        let mut leases = 0;
        for at in 0..good.len() {
            for value in 0..=255 {
                let mut answer = good.clone();
                answer[at] = value;
                let reply = messages.reply(&mut answer, 7);
                let lease =
                    reply.and_then(|reply| reply.lease(Instant::from_ticks(0), Duration::MAX));
                leases += usize::from(lease.is_some());
            }
            let mut cut = good[..at].to_vec();
            assert!(messages.reply(&mut cut, 7).is_none());
        }
        assert!(leases > 0);
        assert_ne!(messages.number(), messages.number());
    }

    /// RFC 2131 table 5.
    #[test]
    fn requests_say_what_their_state_wants() {
        let mut messages = messages();
        let fields = |request: Request| {
            let packet = Packet::decode(&request).expect("well made");
            let options: Vec<u8> = packet.options.iter().map(|option| option.code()).collect();
            (
                packet.ciaddr,
                packet.yiaddr,
                packet.secs,
                packet.xid,
                options,
            )
        };
        let none = Ipv4Addr::UNSPECIFIED;
        let since = Duration::from_secs(5);
        let discover = messages.discover(7, since);
        assert_eq!(fields(discover), (none, none, 5, 7, vec![53, 55]));
        let select = messages.select(7, since, ADDR, SERVER);
        assert_eq!(fields(select), (none, none, 5, 7, vec![53, 50, 54, 55]));
        let prolong = messages.prolong(7, since, ADDR);
        assert_eq!(fields(prolong), (ADDR, none, 5, 7, vec![53, 55]));
        let (ciaddr, yiaddr, _, _, options) = fields(messages.decline(ADDR, SERVER));
        assert_eq!((ciaddr, yiaddr, options), (none, none, vec![53, 50, 54]));
    }
}
