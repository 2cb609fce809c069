//! The straight way of most datagrams: from the endpoint that sent last to the host it sent to. What
//! could be wrong with them was found out then, and the headers in front of theirs are known.
use core::net::{Ipv4Addr, SocketAddr};

use crate::handle::UdpPcb;
use crate::ip::{Fragmentation, Head, Ip, Outgoing};
use crate::pbuf::Pbuf;
use crate::time::Instant;
use crate::wire::Checksum;
use crate::wire::ipv4::Protocol;
use crate::wire::udp::{self, Fields, HEADER_LEN};

use super::SendError;
use super::engine::Engine;
use super::stats::count;

/// What the datagrams of an endpoint to a host have in common.
#[derive(Debug)]
pub(super) struct Template {
    pcb: UdpPcb,
    src: Ipv4Addr,
    dst: Ipv4Addr,
    src_port: u16,
    /// The sum over addresses, protocol and source port.
    sum: u16,
    head: Head,
}

impl Template {
    /// For datagrams from `src_port` of an endpoint, which have `head` in front.
    pub(super) fn new(pcb: UdpPcb, src_port: u16, out: &Outgoing, head: Head) -> Self {
        let mut sum = Checksum::new();
        sum.pseudo_header(out.src, out.dst, Protocol::UDP, 0);
        sum.add_u16(src_port);
        Self {
            pcb,
            src: out.src,
            dst: out.dst,
            src_port,
            sum: sum.folded(),
            head,
        }
    }

    /// The header of a datagram to this port. `None`: its length does not fit 16 bits.
    #[inline(always)]
    fn header(&self, dst_port: u16, data: &Pbuf, data_len: usize) -> Option<[u8; HEADER_LEN]> {
        let payload_len = u16::try_from(data_len).ok()?;
        let fields = Fields {
            src_port: self.src_port,
            dst_port,
            payload_len,
        };
        let mut header = [0; HEADER_LEN];
        fields.emit(&mut header).ok()?;
        if !self.head.tx_checksums.udp {
            // The length is in the pseudo header, too.
            let len = payload_len.wrapping_add(HEADER_LEN as u16).to_be();
            let mut sum = Checksum::of_words([self.sum, dst_port.to_be(), len, len]);
            for part in data.parts() {
                sum.add(part);
            }
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
        let Template { src, dst, head, .. } = template;
        let len = data.tot_len().saturating_add(HEADER_LEN);
        let current = head.is_current(ip.generation(now)) && head.fits(len);
        if !current || template.pcb != pcb || dst != to.ip() || to.port() == 0 {
            return Err(data);
        }
        let Some(header) = template.header(to.port(), &data, len - HEADER_LEN) else {
            return Err(data);
        };
        let mark = ip.mark(Fragmentation::Allowed, (*src, *dst, Protocol::UDP));
        let sent = ip.send_behind(head, mark, &header, data, len - HEADER_LEN)?;
        count(match sent {
            Ok(()) => &mut self.stats.datagrams_sent,
            Err(_) => &mut self.stats.send_errors,
        });
        Ok(sent.map_err(|error| SendError { error, data: None }))
    }
}
