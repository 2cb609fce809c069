//! The headers of link and IP that packets of a flow have in front: found and made once, kept by
//! those who send many, and written with what is different in each packet.
use core::net::Ipv4Addr;

use crate::error::Error;
use crate::netif::driver::Checksums;
use crate::netif::neighbor::Resolution;
use crate::netif::{NetifId, ethernet};
use crate::pbuf::Pbuf;
use crate::time::Instant;
use crate::wire::checksum::ComputedBy;
use crate::wire::ethernet::{EtherType, Header};
use crate::wire::ipv4::{self, Ecn, Fields, HEADER_LEN, Mark};
use crate::wire::tcp;

use super::stats::count;
use super::{Ip, Outgoing, Route};

/// Room in front of a transport's header for those of IP and the link.
pub(crate) const HEADROOM: usize = ethernet::HEADROOM + HEADER_LEN;

/// Link and IP header of the packets of a flow.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Head {
    link: Header,
    ip: ipv4::Template,
    netif: NetifId,
    next: Next,
    /// Largest payload of a packet in bytes.
    room: u16,
    /// Largest packet that the device cuts into segments; 0: none.
    tso: u16,
    pub(crate) tx_checksums: Checksums,
    /// [`Ip::generation`] when it was made.
    generation: u32,
}

/// Where packets go that have their headers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Next {
    /// To the device, with a link header.
    Ethernet,
    /// To the device, without.
    Bare,
    /// To wait for the neighbour to be found.
    Neighbor(Ipv4Addr),
    Loopback,
}

impl Head {
    /// Of no flow, and never current.
    pub(crate) const NONE: Self = Self {
        link: Header::ZERO,
        ip: ipv4::Template::ZERO,
        netif: NetifId::LOOPBACK,
        next: Next::Loopback,
        room: 0,
        tso: 0,
        tx_checksums: Checksums::ALL,
        generation: 0,
    };

    /// Whether it leads to a device, and may be used as long as [`Ip::generation`] is this.
    #[inline]
    pub(crate) fn is_current(&self, generation: u32) -> bool {
        self.generation == generation && matches!(self.next, Next::Ethernet | Next::Bare)
    }

    pub(crate) fn netif(&self) -> NetifId {
        self.netif
    }

    /// Whether a payload of `len` bytes need not be fragmented.
    #[inline]
    pub(crate) fn fits(&self, len: usize) -> bool {
        len <= usize::from(self.room)
    }

    /// Largest packet in bytes, IP header included.
    pub(crate) fn mtu(&self) -> u16 {
        self.room.saturating_add(HEADER_LEN as u16)
    }

    /// Whether the device cuts large TCP segments.
    #[inline]
    pub(crate) fn is_cut_by_device(&self) -> bool {
        self.tso > 0
    }

    /// Bytes of data in the largest TCP segment with `options` bytes of options that the device
    /// cuts into others.
    #[inline]
    pub(crate) fn large_room(&self, options: u32) -> u32 {
        let headers = HEADER_LEN as u32 + tcp::HEADER_LEN as u32 + options;
        u32::from(self.tso).saturating_sub(headers)
    }

    /// Bytes of both headers.
    #[inline]
    pub(crate) fn len(&self) -> usize {
        match self.next {
            Next::Ethernet => HEADROOM,
            Next::Bare | Next::Neighbor(_) | Next::Loopback => HEADER_LEN,
        }
    }

    /// Writes the headers of a packet with `payload_len` bytes behind IP's to the front of `out`,
    /// which has [`Head::len`] bytes or more; returns what is behind them.
    // What is different is mostly known where it is called.
    #[inline(always)]
    pub(crate) fn write<'a>(
        &self,
        out: &'a mut [u8],
        payload_len: u16,
        mark: Mark,
    ) -> Option<&'a mut [u8]> {
        let out = match self.next {
            Next::Ethernet => {
                let (link, rest) = out.split_first_chunk_mut()?;
                self.link.write(link);
                rest
            }
            Next::Bare | Next::Neighbor(_) | Next::Loopback => out,
        };
        let (network, rest) = out.split_first_chunk_mut()?;
        self.ip.write(network, payload_len, mark);
        Some(rest)
    }
}

impl Ip {
    /// Changes whenever a way, or a neighbour, may have become another one; and from time to time,
    /// so that the neighbours of who keeps [`Head`]s are known to be in use, and are asked whether
    /// they are still there.
    #[inline]
    pub(crate) fn generation(&mut self, now: Instant) -> u32 {
        if now >= self.renewal {
            self.renewal = now + self.neighbors.patience();
            self.ways_generation = self.ways_generation.wrapping_add(1);
        }
        self.ways_generation
            .wrapping_add(self.neighbors.generation())
    }

    /// The headers of packets like `out` along `route`. Asks for the neighbour if it is not known.
    ///
    /// # Errors
    /// [`Error::LinkDown`]; [`Error::NoMemory`]: there is no room to remember the neighbour.
    pub(crate) fn head(
        &mut self,
        now: Instant,
        route: &Route,
        out: &Outgoing,
    ) -> Result<Head, Error> {
        let (next, link) = self.way_on(now, route)?;
        let by = match route.tx_checksums.ipv4 {
            true => ComputedBy::Device,
            false => ComputedBy::Software,
        };
        let fields = Fields {
            src: out.src,
            dst: out.dst,
            protocol: out.protocol,
            ttl: out.ttl,
            dscp: out.tos >> 2,
            ecn: Ecn::of(out.tos),
            // Different in each.
            ident: 0,
            fragmentation: ipv4::Fragmentation::Allowed,
            payload_len: 0,
        };
        Ok(Head {
            link,
            ip: fields.template(by),
            netif: route.netif,
            next,
            room: route.mtu.saturating_sub(HEADER_LEN as u16),
            tso: match next {
                Next::Ethernet | Next::Bare => self.tso_of(route.netif),
                // One at a time, for those are kept.
                Next::Neighbor(_) | Next::Loopback => 0,
            },
            tx_checksums: route.tx_checksums,
            generation: self.generation(now),
        })
    }

    fn tso_of(&self, netif: NetifId) -> u16 {
        let capabilities = self.netifs.at(netif).map(|netif| &netif.capabilities);
        capabilities
            .filter(|device| device.tx_checksums.tcp)
            .map_or(0, |device| device.tso)
    }

    /// Where packets along `route` go, and with which link header.
    fn way_on(&mut self, now: Instant, route: &Route) -> Result<(Next, Header), Error> {
        if route.netif == NetifId::LOOPBACK {
            return Ok((Next::Loopback, Header::ZERO));
        }
        let netif = self.netifs.usable(route.netif)?;
        let Some(own) = netif.hw_addr() else {
            return Ok((Next::Bare, Header::ZERO));
        };
        let to = |hw| (Next::Ethernet, Header::new(hw, own, EtherType::IPV4));
        let next_hop = route.next_hop;
        let subnet_broadcast = netif.subnet.and_then(|subnet| subnet.broadcast());
        if let Some(group) = ethernet::group_address(next_hop, subnet_broadcast) {
            return Ok(to(group));
        }
        let routes = &self.routes;
        let found = self
            .neighbors
            .resolve(now, route.netif, next_hop, |addr| routes.is_gateway(addr));
        let way = match found {
            Resolution::Known(hw) => Ok(to(hw)),
            Resolution::Wait => Ok((Next::Neighbor(next_hop), Header::ZERO)),
            Resolution::Full => Err(Error::NoMemory),
        };
        self.neighbor_timers(now);
        way
    }

    /// Sends a packet that has the headers of `head`; with them it has `len` bytes.
    #[inline]
    pub(super) fn send_on(&mut self, head: &Head, packet: Pbuf, len: usize) -> Result<(), Error> {
        match head.next {
            Next::Ethernet | Next::Bare => {
                self.show_leaving(head.netif, &packet);
                self.netifs
                    .at_mut(head.netif)
                    .ok_or(Error::LinkDown)?
                    .transmit_bytes(packet, len)
            }
            Next::Neighbor(addr) => {
                let dropped = self.neighbors.wait(head.netif, addr, packet);
                self.arp_stats.drop_waiting(dropped);
                Ok(())
            }
            Next::Loopback => {
                self.show_leaving(NetifId::LOOPBACK, &packet);
                self.loopback_push(packet)
            }
        }
    }

    /// Sends a packet that has its IP header already and is not longer than the MTU.
    #[cfg(feature = "raw")]
    pub(crate) fn send_written(
        &mut self,
        now: Instant,
        route: &Route,
        packet: Pbuf,
    ) -> Result<(), Error> {
        super::stats::count(&mut self.stats.out_requests);
        let (next, link) = self.way_on(now, route)?;
        match next {
            Next::Ethernet => {
                let (pool, len) = (self.header_pool, ethernet::HEADROOM);
                let frame =
                    super::output::with_header(pool, packet, 0, len, |room| link.emit(room));
                self.transmit_frame(route.netif, frame)
            }
            Next::Bare => self.transmit_frame(route.netif, Ok(packet)),
            Next::Neighbor(addr) => {
                let dropped = self.neighbors.wait(route.netif, addr, packet);
                self.arp_stats.drop_waiting(dropped);
                Ok(())
            }
            Next::Loopback => {
                self.show_leaving(NetifId::LOOPBACK, &packet);
                self.loopback_push(packet)
            }
        }
    }

    /// Hands a TCP segment of up to [`Head::large_room`] that has the headers of `head`, `len` bytes
    /// with them, to a device that cuts it into segments of `mss` bytes.
    ///
    /// # Errors
    /// As [`Ip::send`].
    pub(crate) fn send_large(
        &mut self,
        head: &Head,
        packet: Pbuf,
        len: usize,
        mss: u16,
    ) -> Result<(), Error> {
        count(&mut self.stats.out_requests);
        let netif = self.netifs.at_mut(head.netif).ok_or(Error::LinkDown)?;
        netif.transmit_large(packet, len, mss)
    }
}
