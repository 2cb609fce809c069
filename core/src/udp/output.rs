//! Sending a datagram: its addresses, its header, its checksum.
use core::net::{IpAddr, Ipv4Addr, SocketAddr, SocketAddrV4};

use crate::error::Error;
use crate::handle::UdpPcb;
use crate::ip::{Destination, Fragmentation, Ip, MtuDiscovery, NetifId, Outgoing, OwnCopy, Route};
use crate::pbuf::Pbuf;
use crate::time::Instant;
use crate::wire::checksum::ComputedBy;
use crate::wire::ipv4::{self, Protocol};
use crate::wire::udp::{self, Fields};
use crate::wire::{Checksum, NoRoom, ethernet};

use super::calls::v4;
use super::engine::{Engine, Pcb};
use super::stats::count;
use super::template::Template;
use super::{MAX_PAYLOAD, MulticastLoop, SendError};

/// Room for all headers, so that none of them needs a block of its own.
const HEADROOM: usize = udp::HEADER_LEN + ipv4::HEADER_LEN + ethernet::HEADER_LEN;

/// Everything about a datagram but its data.
struct Envelope {
    fields: Fields,
    route: Route,
    out: Outgoing,
    /// A block for the header, if it can't go in front of the data.
    header: Option<Pbuf>,
}

impl Engine {
    /// Sends from `from`, else from where the endpoint is bound, to `to`.
    pub(super) fn send(
        &mut self,
        ip: &mut Ip,
        now: Instant,
        pcb: UdpPcb,
        data: Pbuf,
        from: Option<IpAddr>,
        to: Option<SocketAddr>,
    ) -> Result<(), SendError> {
        let like_last = match (from, to) {
            (None, Some(to)) => self.send_like(ip, now, pcb, data, to),
            _ => Err(data),
        };
        let data = match like_last {
            Ok(sent) => return sent,
            Err(data) => data,
        };
        self.send_any(ip, now, pcb, data, from, to)
    }

    #[inline(never)]
    fn send_any(
        &mut self,
        ip: &mut Ip,
        now: Instant,
        pcb: UdpPcb,
        data: Pbuf,
        from: Option<IpAddr>,
        to: Option<SocketAddr>,
    ) -> Result<(), SendError> {
        // Whatever can fail is asked for before the data is touched, so that it can be given back.
        let envelope = match self.prepare(ip, pcb, &data, from, to) {
            Ok(envelope) => envelope,
            Err(error) => {
                count(&mut self.stats.send_errors);
                let data = Some(data);
                return Err(SendError { error, data });
            }
        };
        let Envelope {
            fields,
            route,
            out,
            header,
        } = envelope;
        let checksum_by = checksum_by(&route, fields.payload_len);
        let sent = write_header(data, header, &fields, &out, checksum_by)
            // Room for the header was made sure of.
            .map_err(|NoRoom| Error::NoMemory)
            .and_then(|packet| ip.send(now, &route, &out, packet));
        match sent {
            Ok(()) => {
                count(&mut self.stats.datagrams_sent);
                if from.is_none() && route.to == Destination::Unicast {
                    let head = ip.head_at_hand(now, &route, &out).ok();
                    self.template =
                        head.map(|head| Template::new(pcb, fields.src_port, &out, head));
                }
                Ok(())
            }
            Err(error) => {
                count(&mut self.stats.send_errors);
                Err(SendError { error, data: None })
            }
        }
    }

    fn prepare(
        &mut self,
        ip: &mut Ip,
        pcb: UdpPcb,
        data: &Pbuf,
        from: Option<IpAddr>,
        to: Option<SocketAddr>,
    ) -> Result<Envelope, Error> {
        let current = self.pcb(pcb)?;
        let to = to.ok_or(Error::NotConnected)?;
        let (route, dst) = match current.last_way(ip, from, to) {
            Some(found) => found,
            None => current.find_way(ip, from, to)?,
        };
        let payload_len = u16::try_from(data.tot_len())
            .ok()
            .filter(|len| usize::from(*len) <= MAX_PAYLOAD)
            .ok_or(Error::TooLong)?;
        let out = current.outgoing(ip, route.src, dst);
        if out.fragmentation == Fragmentation::Forbidden && !fits(&route, payload_len) {
            return Err(Error::TooLong);
        }
        let src_port = match current.local.port() {
            0 => self.bound(pcb)?.port(),
            port => port,
        };
        if !ip.can_transmit(route.netif) {
            return Err(Error::NoMemory);
        }
        let header = if data.headroom() >= HEADROOM {
            None
        } else {
            Some(ip.transport_header(udp::HEADER_LEN)?)
        };
        let fields = Fields {
            src_port,
            dst_port: dst.port(),
            payload_len,
        };
        Ok(Envelope {
            fields,
            route,
            out,
            header,
        })
    }
}

impl Pcb {
    /// The way to send and the destination, if it is the way that IP found last. Then it has been
    /// seen that the destination can be one and that the source is an own address.
    #[inline]
    fn last_way(
        &self,
        ip: &Ip,
        from: Option<IpAddr>,
        to: SocketAddr,
    ) -> Option<(Route, SocketAddrV4)> {
        let (SocketAddr::V4(dst), None) = (to, from) else {
            return None;
        };
        let local = *self.local.ip();
        let route = ip.last_way(*dst.ip(), (!local.is_unspecified()).then_some(local))?;
        (dst.port() != 0 && route.to == Destination::Unicast).then_some((route, dst))
    }

    #[inline(never)]
    fn find_way(
        &self,
        ip: &Ip,
        from: Option<IpAddr>,
        to: SocketAddr,
    ) -> Result<(Route, SocketAddrV4), Error> {
        let dst = self.destination(ip, to)?;
        let src = match from {
            Some(from) => Some(own(ip, v4(from)?)?),
            None => self.source(ip),
        };
        Ok((self.route(ip, *dst.ip(), src)?, dst))
    }

    /// The way to `dst`, for groups as the options want it.
    pub(super) fn route(
        &self,
        ip: &Ip,
        dst: Ipv4Addr,
        src: Option<Ipv4Addr>,
    ) -> Result<Route, Error> {
        if !dst.is_multicast() {
            return ip.route(dst, src);
        }
        let mut route = match self.options.multicast_interface {
            Some(netif) => ip.route_to_group(netif, dst, src)?,
            None => ip.route(dst, src)?,
        };
        route.own_copy = match self.options.multicast_loop {
            MulticastLoop::On if route.netif != NetifId::LOOPBACK => OwnCopy::Yes,
            _ => OwnCopy::No,
        };
        Ok(route)
    }

    fn outgoing(&self, ip: &Ip, src: Ipv4Addr, dst: SocketAddrV4) -> Outgoing {
        let ttl = if dst.ip().is_multicast() {
            self.options.multicast_ttl
        } else {
            self.options.ttl.unwrap_or(ip.ttl())
        };
        Outgoing {
            src,
            dst: *dst.ip(),
            protocol: Protocol::UDP,
            ttl,
            tos: self.options.tos,
            fragmentation: match self.options.mtu_discovery {
                MtuDiscovery::Discover => Fragmentation::Forbidden,
                MtuDiscovery::Fragment | MtuDiscovery::AsConfigured => Fragmentation::Allowed,
            },
        }
    }
}

fn own(ip: &Ip, addr: Ipv4Addr) -> Result<Ipv4Addr, Error> {
    ip.is_own(addr).then_some(addr).ok_or(Error::Argument)
}

/// Whether a datagram leaves in one piece. Loopback takes any.
fn fits(route: &Route, payload_len: u16) -> bool {
    let len = ipv4::HEADER_LEN + udp::HEADER_LEN + usize::from(payload_len);
    len <= usize::from(route.mtu) || route.netif == NetifId::LOOPBACK
}

/// A device sees only whole packets: the checksum of one that will be fragmented is ours.
fn checksum_by(route: &Route, payload_len: u16) -> ComputedBy {
    let len = ipv4::HEADER_LEN + udp::HEADER_LEN + usize::from(payload_len);
    if route.tx_checksums.udp && len <= usize::from(route.mtu) {
        ComputedBy::Device
    } else {
        ComputedBy::Software
    }
}

/// Puts the header in front of `data`: into `header`, or in place.
fn write_header(
    mut data: Pbuf,
    header: Option<Pbuf>,
    fields: &Fields,
    out: &Outgoing,
    checksum_by: ComputedBy,
) -> Result<Pbuf, NoRoom> {
    let checksum = match checksum_by {
        ComputedBy::Device => 0,
        ComputedBy::Software => {
            let mut sum = Checksum::new();
            let len = fields.payload_len.saturating_add(udp::HEADER_LEN as u16);
            sum.pseudo_header(out.src, out.dst, out.protocol, len);
            // The words of the header; its own checksum counts as zero.
            for word in [fields.src_port, fields.dst_port, len] {
                sum.add_u16(word);
            }
            data.parts().for_each(|part| sum.add(part));
            sum.finish_udp()
        }
    };
    let write = |room: &mut [u8]| {
        fields.emit(room)?;
        udp::set_checksum(room, checksum)
    };
    match header {
        Some(mut header) => {
            write(header.data_mut().ok_or(NoRoom)?)?;
            Ok(data.prepend(header))
        }
        None => {
            write(data.add_header(udp::HEADER_LEN).ok_or(NoRoom)?)?;
            Ok(data)
        }
    }
}

#[cfg(test)]
mod tests;
