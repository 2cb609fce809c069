//! Those who look on: raw endpoints, which see packets, and packet endpoints, which see frames.
//! Here is where they are shown what passes; who they are and what they do with it is in
//! [`raw`](crate::raw) and [`packet`](crate::packet).
//!
//! Whoever adds a way that packets take past [`Ip::input`] or out past [`Ip::send`] has to look at
//! [`Ip::observed`] first.
use crate::netif::NetifId;
use crate::pbuf::Pbuf;

use super::input::Head;
#[cfg(any(feature = "raw", feature = "packet"))]
use super::straight::Familiar;
use super::{IcmpError, Ip};

/// Whether somebody who looks on is for a packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Offered {
    /// At least one, even if there was no room for it.
    Wanted,
    /// Nobody.
    Unwanted,
}

impl Ip {
    /// Looks anew whether packets may take the straight ways.
    #[cfg(any(feature = "raw", feature = "packet"))]
    pub(crate) fn observers_changed(&mut self) {
        self.observed = false;
        self.familiar = Familiar::NONE;
        #[cfg(feature = "raw")]
        {
            self.observed |= self.raw.wants_transports();
        }
        #[cfg(feature = "packet")]
        {
            self.observed |= self.packet.is_used();
        }
    }

    /// A frame arrived, while somebody looks on.
    #[cold]
    pub(super) fn show_received(&mut self, netif: NetifId, frame: &Pbuf) {
        #[cfg(feature = "packet")]
        if self.packet.is_used() {
            self.packet_received(netif, frame);
        }
        let _ = (netif, frame);
    }

    /// A frame is about to leave.
    #[inline]
    pub(crate) fn show_leaving(&mut self, netif: NetifId, frame: &Pbuf) {
        #[cfg(feature = "packet")]
        if self.observed {
            self.packet_leaves(netif, frame);
        }
        let _ = (netif, frame);
    }

    /// A whole packet for this host, IP header first.
    pub(super) fn offer_raw(&mut self, netif: NetifId, head: &Head, packet: &Pbuf) -> Offered {
        #[cfg(feature = "raw")]
        {
            let arrived = crate::raw::Arrived {
                netif,
                protocol: head.protocol,
                src: head.src,
                dst: head.dst,
                tos: head.tos,
                ttl: head.ttl,
            };
            if !self.raw.wants(&arrived) {
                return Offered::Unwanted;
            }
            if head.place.is_none() {
                return self.raw.offer(&arrived, packet);
            }
            let whole = self.with_whole_header(head, packet);
            self.raw.offer_or_count(&arrived, whole)
        }
        #[cfg(not(feature = "raw"))]
        {
            let _ = (netif, head, packet);
            Offered::Unwanted
        }
    }

    /// A view of a packet that came in fragments, with the header of the whole.
    #[cfg(feature = "raw")]
    fn with_whole_header(&self, head: &Head, packet: &Pbuf) -> Option<Pbuf> {
        use crate::wire::checksum::ComputedBy;

        let (total, len) = (packet.tot_len(), usize::from(head.header_len));
        let mut header = Pbuf::alloc(self.header_pool, 0, len).ok()?;
        let bytes = header.data_mut()?;
        packet.copy_to(0, bytes);
        let size = u16::try_from(total).ok()?;
        crate::wire::ipv4::complete(bytes, size, head.src, head.ident, ComputedBy::Software)
            .ok()?;
        let payload = packet.slice(len, total.checked_sub(len)?).ok()?;
        Some(payload.prepend(header))
    }

    /// Whether a raw endpoint wants to know what became of a packet it may have sent.
    pub(super) fn raw_concerned(&self, about: &crate::wire::ipv4::Packet<'_>) -> bool {
        #[cfg(feature = "raw")]
        {
            self.raw
                .has_sent(about.protocol(), about.src(), about.dst())
        }
        #[cfg(not(feature = "raw"))]
        {
            let _ = about;
            false
        }
    }

    /// An ICMP error about a packet that was sent by neither TCP nor UDP.
    pub(super) fn raw_error(&mut self, protocol: crate::wire::ipv4::Protocol, error: &IcmpError) {
        #[cfg(feature = "raw")]
        self.raw.icmp_error(protocol, error);
        let _ = (protocol, error);
    }
}
