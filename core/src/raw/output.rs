//! Sending a packet: its addresses, and the header that the application may have written.
use core::net::{IpAddr, Ipv4Addr};

use crate::error::Error;
use crate::handle::RawPcb;
use crate::ip::stats::count;
use crate::ip::{Destination, Fragmentation, Ip, NetifId, Outgoing, Route};
use crate::pbuf::Pbuf;
use crate::time::Instant;
use crate::wire::checksum::ComputedBy;
use crate::wire::ipv4::{self, MAX_PAYLOAD, Protocol, Written};

use super::{Header, Options, SendError};

/// The way of a packet.
struct Way {
    route: Route,
    dst: Ipv4Addr,
    protocol: Protocol,
    options: Options,
}

impl Ip {
    /// Sends to `to`, else to the peer, else (with an included header) where the header says.
    pub(super) fn raw_send(
        &mut self,
        now: Instant,
        pcb: RawPcb,
        data: Pbuf,
        to: Option<IpAddr>,
    ) -> Result<(), SendError> {
        // Whatever can fail is asked for before the data is touched, so that it can be given back.
        let way = match self.raw_way(pcb, &data, to) {
            Ok(way) => way,
            Err(error) => {
                count(&mut self.raw.stats.send_errors);
                let data = Some(data);
                return Err(SendError { error, data });
            }
        };
        let sent = match way.options.header {
            Header::Added => self.raw_send_payload(now, &way, data),
            Header::Included => self.raw_send_whole(now, &way, data),
        };
        count(match sent {
            Ok(()) => &mut self.raw.stats.packets_sent,
            Err(_) => &mut self.raw.stats.send_errors,
        });
        sent.map_err(|error| SendError { error, data: None })
    }

    fn raw_way(&mut self, pcb: RawPcb, data: &Pbuf, to: Option<IpAddr>) -> Result<Way, Error> {
        let pcb = self.raw.pcb(pcb)?;
        let (options, protocol) = (pcb.options, pcb.protocol);
        let included = match options.header {
            Header::Added => None,
            Header::Included => Some(checked_header(data)?),
        };
        let to = match (to, pcb.remote, included) {
            (Some(to), ..) => to,
            (None, Some(remote), _) => remote.into(),
            (None, None, Some(header)) => header.dst.into(),
            (None, None, None) => return Err(Error::NotConnected),
        };
        let dst = pcb.destination(self, to)?;
        let src = match included {
            // RFC 1122 §3.2.1.3: the source is one of the host's own addresses.
            Some(header) if !header.src.is_unspecified() => {
                let src = header.src;
                Some(self.is_own(src).then_some(src).ok_or(Error::Argument)?)
            }
            _ => pcb.source(self),
        };
        let route = self.route(dst, src)?;
        let most = match options.header {
            Header::Added => usize::from(MAX_PAYLOAD),
            // Nobody but the application knows what of its header goes into fragments.
            Header::Included => usize::from(route.mtu),
        };
        if data.tot_len() > most {
            return Err(Error::TooLong);
        }
        if !self.can_transmit(route.netif) {
            return Err(Error::NoMemory);
        }
        Ok(Way {
            route,
            dst,
            protocol,
            options,
        })
    }

    fn raw_send_payload(&mut self, now: Instant, way: &Way, data: Pbuf) -> Result<(), Error> {
        let out = Outgoing {
            src: way.route.src,
            dst: way.dst,
            protocol: way.protocol,
            ttl: match way.route.to {
                Destination::Multicast => way.options.multicast_ttl,
                _ => way.options.ttl.unwrap_or(self.ttl()),
            },
            tos: way.options.tos,
            fragmentation: Fragmentation::Allowed,
        };
        let data = self.without_checksum(&way.route, way.protocol, data, 0)?;
        self.send(now, &way.route, &out, data)
    }

    fn raw_send_whole(&mut self, now: Instant, way: &Way, data: Pbuf) -> Result<(), Error> {
        let head = checked_header(&data)?;
        let (header_len, protocol) = (head.header_len, head.protocol);
        let out = Outgoing {
            src: way.route.src,
            dst: head.dst,
            protocol,
            ttl: head.ttl,
            tos: 0,
            fragmentation: Fragmentation::Allowed,
        };
        let ident = self.next_ident((out.src, out.dst, out.protocol));
        let packet = self.without_checksum(&way.route, protocol, data, header_len)?;
        let mut packet = self.with_own_head(packet, header_len)?;
        let len = u16::try_from(packet.tot_len()).map_err(|_| Error::TooLong)?;
        let header = packet.data_mut().and_then(|all| all.get_mut(..header_len));
        let header = header.ok_or(Error::NoMemory)?;
        // On loopback nobody needs it, but it was promised.
        let offloaded = way.route.tx_checksums.ipv4 && way.route.netif != NetifId::LOOPBACK;
        let by = match offloaded {
            true => ComputedBy::Device,
            false => ComputedBy::Software,
        };
        ipv4::complete(header, len, way.route.src, ident, by).map_err(|_| Error::Argument)?;
        self.send_written(now, &way.route, packet)
    }

    /// A device that computes the checksum of `protocol` finds the field zero; `at` is where the
    /// protocol's header begins.
    fn without_checksum(
        &self,
        route: &Route,
        protocol: Protocol,
        packet: Pbuf,
        at: usize,
    ) -> Result<Pbuf, Error> {
        let field = at
            + match protocol {
                Protocol::ICMP if route.tx_checksums.icmpv4 => 2,
                Protocol::UDP if route.tx_checksums.udp => 6,
                Protocol::TCP if route.tx_checksums.tcp => 16,
                _ => return Ok(packet),
            };
        if packet.tot_len() < field + 2 {
            return Ok(packet);
        }
        let mut packet = self.with_own_head(packet, field + 2)?;
        let bytes = packet
            .data_mut()
            .and_then(|all| all.get_mut(field..field + 2));
        bytes.ok_or(Error::NoMemory)?.fill(0);
        Ok(packet)
    }

    /// `packet` with its first `n` bytes in one part and nobody else's.
    fn with_own_head(&self, mut packet: Pbuf, n: usize) -> Result<Pbuf, Error> {
        if packet.data_mut().is_some_and(|head| head.len() >= n) {
            return Ok(packet);
        }
        let mut head = self.transport_header(n)?;
        packet.copy_to(0, head.data_mut().ok_or(Error::NoMemory)?);
        packet.advance(n);
        Ok(packet.prepend(head))
    }
}

/// The header an application wrote.
fn checked_header(data: &Pbuf) -> Result<Written, Error> {
    let written = Written::parse(data.data(), data.tot_len()).map_err(|_| Error::Argument)?;
    // RFC 1122 §3.2.1.7: a datagram with a TTL of zero must not be sent.
    match written.ttl {
        0 => Err(Error::Argument),
        _ => Ok(written),
    }
}
