//! What happens to a received packet, and to an ICMP error about one that was sent.
use core::net::Ipv4Addr;

use crate::icmp_report::HearsErrors;
use crate::ip::stats::count;
use crate::ip::{IcmpError, NetifId, Offered};
use crate::pbuf::Pbuf;
use crate::wire::ipv4::Protocol;

use super::engine::{Engine, Pcb, Waiting};

/// What there is to know of a packet that arrived.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Arrived {
    pub(crate) netif: NetifId,
    pub(crate) protocol: Protocol,
    pub(crate) src: Ipv4Addr,
    pub(crate) dst: Ipv4Addr,
    pub(crate) tos: u8,
    pub(crate) ttl: u8,
}

impl Engine {
    /// Whether an endpoint is for such packets.
    pub(crate) fn wants(&self, arrived: &Arrived) -> bool {
        self.pcbs.iter().any(|pcb| pcb.matches(arrived))
    }

    /// Gives a view of a packet, IP header first, to each endpoint that is for it.
    pub(crate) fn offer(&mut self, arrived: &Arrived, packet: &Pbuf) -> Offered {
        let mut offered = Offered::Unwanted;
        let mut from = 0;
        while let Some(endpoint) = self.next_match(from, arrived) {
            offered = Offered::Wanted;
            from = endpoint + 1;
            // Nobody whom the stack does not know gets its last buffers: an application that does
            // not read would keep them from everybody else.
            let view = match packet.is_pool_short() {
                true => None,
                false => packet.slice(0, packet.tot_len()).ok(),
            };
            let Some(data) = view else {
                count(&mut self.stats.no_buffers);
                continue;
            };
            self.enqueue(Waiting {
                endpoint,
                netif: arrived.netif,
                tos: arrived.tos,
                ttl: arrived.ttl,
                from: arrived.src,
                to: arrived.dst,
                data,
            });
        }
        offered
    }

    /// As [`Engine::offer`], of a packet for which there may have been no buffer.
    pub(crate) fn offer_or_count(&mut self, arrived: &Arrived, packet: Option<Pbuf>) -> Offered {
        match packet {
            Some(packet) => self.offer(arrived, &packet),
            None => {
                count(&mut self.stats.no_buffers);
                Offered::Wanted
            }
        }
    }

    /// Takes an ICMP error about a packet of `protocol`. Only an endpoint that is connected to where
    /// it went, or asked for all errors, learns of it.
    pub(crate) fn icmp_error(&mut self, protocol: Protocol, error: &IcmpError) {
        let (local, remote) = (*error.local.ip(), *error.remote.ip());
        for (index, pcb) in self.pcbs.iter_mut() {
            if pcb.sends(protocol, local, remote) {
                let hears = pcb.options.hears_errors;
                self.reports.push(index, hears, *error);
            }
        }
    }

    /// Whether an endpoint may have sent such a packet, and hears of errors.
    pub(crate) fn has_sent(&self, protocol: Protocol, local: Ipv4Addr, remote: Ipv4Addr) -> bool {
        let sends = |pcb: &Pcb| pcb.sends(protocol, local, remote);
        self.pcbs.iter().any(sends)
    }

    /// The first endpoint from number `from` on that a packet is for.
    fn next_match(&mut self, from: u16, arrived: &Arrived) -> Option<u16> {
        self.pcbs
            .iter_mut()
            .skip_while(|(index, _)| *index < from)
            .find(|(_, pcb)| pcb.matches(arrived))
            .map(|(index, _)| index)
    }
}

impl Pcb {
    fn sends(&self, protocol: Protocol, local: Ipv4Addr, remote: Ipv4Addr) -> bool {
        self.protocol == protocol
            && match self.remote {
                Some(peer) => peer == remote,
                None => self.options.hears_errors == HearsErrors::OfAll,
            }
            && (self.local.is_unspecified() || self.local == local)
    }

    fn matches(&self, arrived: &Arrived) -> bool {
        self.protocol == arrived.protocol
            && (self.local.is_unspecified() || self.local == arrived.dst)
            && self.remote.is_none_or(|remote| remote == arrived.src)
    }
}
