//! The straight way of most datagrams: from the endpoint that sent last to the host it sent to. All
//! their headers were prepared then, and what could be wrong with them was found out.
use core::net::{Ipv4Addr, SocketAddr};

use crate::handle::UdpPcb;
use crate::ip::{self, Ip, Outgoing, Route};
use crate::pbuf::Pbuf;
use crate::time::Instant;
use crate::wire::Checksum;
use crate::wire::checksum::ComputedBy;
use crate::wire::udp::{self, Fields, HEADER_LEN};

use super::SendError;
use super::engine::Engine;
use super::stats::count;

/// What the datagrams of an endpoint to a host have in common.
#[derive(Debug)]
pub(super) struct Template {
    pcb: UdpPcb,
    dst: Ipv4Addr,
    src_port: u16,
    checksum_by: ComputedBy,
    /// The sum over addresses, protocol and source port.
    sum: u16,
    ip: ip::Template,
}

impl Template {
    /// For datagrams from `src_port` of an endpoint like `out`, along `route`; `None` if they
    /// cannot take the straight way.
    pub(super) fn new(
        ip: &Ip,
        pcb: UdpPcb,
        src_port: u16,
        route: &Route,
        out: &Outgoing,
    ) -> Option<Self> {
        let mut sum = Checksum::new();
        sum.pseudo_header(out.src, out.dst, out.protocol, 0);
        sum.add_u16(src_port);
        Some(Self {
            pcb,
            dst: out.dst,
            src_port,
            checksum_by: match route.tx_checksums.udp {
                true => ComputedBy::Device,
                false => ComputedBy::Software,
            },
            sum: sum.folded(),
            ip: ip.template(route, out)?,
        })
    }

    /// The header of a datagram to this port. `None`: its length does not fit 16 bits.
    #[inline]
    fn header(&self, dst_port: u16, data: &Pbuf, data_len: usize) -> Option<[u8; HEADER_LEN]> {
        let payload_len = u16::try_from(data_len).ok()?;
        let fields = Fields {
            src_port: self.src_port,
            dst_port,
            payload_len,
        };
        let mut header = [0; HEADER_LEN];
        fields.emit(&mut header).ok()?;
        if self.checksum_by == ComputedBy::Software {
            // The length is in the pseudo header, too.
            let len = payload_len.wrapping_add(HEADER_LEN as u16);
            let mut sum =
                Checksum::of_words([self.sum, dst_port.to_be(), len.to_be(), len.to_be()]);
            data.parts().for_each(|part| sum.add(part));
            udp::set_checksum(&mut header, sum.finish_udp()).ok()?;
        }
        Some(header)
    }
}

impl Engine {
    /// Sends like the last datagram. `Err` gives the data back, untouched, if that cannot be:
    /// everything else, and the reasons not to send, are for [`Engine::send`].
    #[inline]
    pub(super) fn send_like(
        &mut self,
        ip: &mut Ip,
        now: Instant,
        pcb: UdpPcb,
        data: Pbuf,
        to: SocketAddr,
    ) -> Result<Result<(), SendError>, Pbuf> {
        let (Some(template), SocketAddr::V4(to)) = (&self.template, to) else {
            return Err(data);
        };
        if template.pcb != pcb || template.dst != *to.ip() || to.port() == 0 {
            return Err(data);
        }
        let len = data.tot_len();
        let Some(header) = template.header(to.port(), &data, len) else {
            return Err(data);
        };
        let sent = ip.send_like(now, &template.ip, &header, data, len)?;
        count(match sent {
            Ok(()) => &mut self.stats.datagrams_sent,
            Err(_) => &mut self.stats.send_errors,
        });
        Ok(sent.map_err(|error| SendError { error, data: None }))
    }
}
