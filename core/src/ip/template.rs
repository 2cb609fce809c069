//! The headers of IP and the link for packets of one flow, prepared once: what is left for each
//! packet is its length, its identification, and where the neighbour is now.
use core::net::Ipv4Addr;

use crate::error::Error;
use crate::netif::driver::HwAddr;
use crate::netif::{NetifId, ethernet};
use crate::pbuf::Pbuf;
use crate::time::Instant;
use crate::wire::ethernet::{EtherType, Header};
use crate::wire::ipv4::{self, HEADER_LEN};

use super::output::{HEADROOM, Ident, fields, ip_checksum_by};
use super::stats::count;
use super::{Destination, Ip, Outgoing, Route};

/// What all packets of a flow have in common that takes the straight way: whole, to one host,
/// over Ethernet.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Template {
    /// The state of things it was prepared for.
    ways: u32,
    netif: NetifId,
    next_hop: Ipv4Addr,
    own: HwAddr,
    /// Largest payload in bytes.
    max_len: usize,
    ident: Ident,
    network: ipv4::Template,
}

impl Ip {
    /// What packets like `out` along `route` have in common; `None` if that is not the straight
    /// way.
    pub(crate) fn template(&self, route: &Route, out: &Outgoing) -> Option<Template> {
        // Loopback has no slot. The next hop of what goes to one host is no group.
        let netif = self.netifs.at(route.netif)?;
        if route.to != Destination::Unicast {
            return None;
        }
        let (fragmentation, ident) = self.idents.of_flow(out);
        let fields = fields(out, fragmentation, 0, 0);
        Some(Template {
            ways: self.ways,
            netif: route.netif,
            next_hop: route.next_hop,
            own: netif.hw_addr()?,
            max_len: usize::from(route.mtu).saturating_sub(HEADER_LEN),
            ident,
            network: ipv4::Template::new(&fields, ip_checksum_by(route)),
        })
    }

    /// Sends `data` of `data_len` bytes with a transport's `header` in front, all headers being
    /// written at once. `Err` gives it back, untouched, if that cannot be: everything else, and
    /// the reasons not to send it, are for [`Ip::route`] and [`Ip::send`].
    #[inline]
    pub(crate) fn send_like<const N: usize>(
        &mut self,
        now: Instant,
        template: &Template,
        header: &[u8; N],
        mut data: Pbuf,
        data_len: usize,
    ) -> Result<Result<(), Error>, Pbuf> {
        let len = data_len.saturating_add(N);
        let Template {
            netif, next_hop, ..
        } = *template;
        if template.ways != self.ways || len > template.max_len {
            return Err(data);
        }
        let hw = self.neighbors.at_hand(now, netif, next_hop);
        let (Some(hw), Some(netif)) = (hw, self.netifs.at_mut(netif)) else {
            return Err(data);
        };
        if !netif.can_transmit() {
            return Err(data);
        }
        // None: no room, or not ours alone.
        let Some(room) = data.add_header(HEADROOM + N) else {
            return Err(data);
        };
        if let Some((link, rest)) = room.split_first_chunk_mut::<{ ethernet::HEADROOM }>()
            && let Some((network, rest)) = rest.split_first_chunk_mut::<HEADER_LEN>()
            && let Some(transport) = rest.first_chunk_mut::<N>()
        {
            let ident = self.idents.next_of(template.ident);
            // Not longer than the MTU, which is 16 bits.
            template.network.emit(len as u16, ident, network);
            *transport = *header;
            // There is room.
            let _ = Header::new(hw, template.own, EtherType::IPV4).emit(link);
        }
        count(&mut self.stats.out_requests);
        let sent = netif.transmit_bytes(data, len + HEADROOM);
        if sent.is_err() {
            count(&mut self.stats.out_discards);
        }
        Ok(sent)
    }
}
