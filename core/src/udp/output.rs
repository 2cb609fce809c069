//! Sending a datagram: its addresses, its header, its checksum.
use core::net::{IpAddr, Ipv4Addr, SocketAddr, SocketAddrV4};

use crate::error::Error;
use crate::handle::UdpPcb;
use crate::ip::{Fragmentation, Ip, Outgoing, Route};
use crate::pbuf::Pbuf;
use crate::time::Instant;
use crate::wire::checksum::ComputedBy;
use crate::wire::ipv4::{self, Protocol};
use crate::wire::udp::{self, Fields};
use crate::wire::{Checksum, NoRoom, ethernet};

use super::calls::v4;
use super::engine::{Engine, Pcb};
use super::stats::count;
use super::{MAX_PAYLOAD, SendError};

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
    /// Sends from `from`, else from where the endpoint is bound, to `to`, else to its peer.
    pub(super) fn send(
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
        let dst = match (to, current.remote) {
            (Some(to), _) => current.destination(ip, to)?,
            (None, Some(remote)) => current.destination(ip, remote.into())?,
            (None, None) => return Err(Error::NotConnected),
        };
        let payload_len = u16::try_from(data.tot_len())
            .ok()
            .filter(|len| usize::from(*len) <= MAX_PAYLOAD)
            .ok_or(Error::TooLong)?;
        let src = match from {
            Some(from) => Some(own(ip, v4(from)?)?),
            None => current.source(ip),
        };
        let route = ip.route(*dst.ip(), src)?;
        let out = current.outgoing(ip, route.src, dst);
        let src_port = self.bound(pcb)?.port();
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
            fragmentation: Fragmentation::Allowed,
        }
    }
}

fn own(ip: &Ip, addr: Ipv4Addr) -> Result<Ipv4Addr, Error> {
    ip.is_own(addr).then_some(addr).ok_or(Error::Argument)
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
    let mut packet = match header {
        Some(header) => data.prepend(header),
        None => {
            // Written below.
            let _ = data.add_header(udp::HEADER_LEN).ok_or(NoRoom)?;
            data
        }
    };
    fields.emit(packet.data_mut().ok_or(NoRoom)?)?;
    if checksum_by == ComputedBy::Software {
        let mut sum = Checksum::new();
        let len = fields.payload_len.saturating_add(udp::HEADER_LEN as u16);
        sum.pseudo_header(out.src, out.dst, out.protocol, len);
        for part in packet.parts() {
            sum.add(part);
        }
        udp::set_checksum(packet.data_mut().ok_or(NoRoom)?, sum.finish_udp())?;
    }
    Ok(packet)
}

#[cfg(test)]
mod tests;
