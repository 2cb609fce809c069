//! The link layer under IP: packets into frames, to the neighbour or group they are for, and
//! frames into packets. Interfaces without link layer pass packets through.
use core::net::Ipv4Addr;

use crate::error::Error;
use crate::ip::Ip;
use crate::ip::output::with_header;
use crate::ip::stats::count;
use crate::pbuf::{Pbuf, Pool};
use crate::time::Instant;
use crate::wire::ethernet::{EtherType, HEADER_LEN, Header, parse};

use super::driver::{Checksums, HwAddr};
use super::{Admin, NetifId};

/// Room that every packet built here has in front of its IP header.
pub(crate) const HEADROOM: usize = HEADER_LEN;

/// To whom the link layer has delivered a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum LinkDestination {
    /// To this station.
    Own,
    /// To a group, or to all.
    Group,
    /// There was no link: the packet is from this host.
    Loopback,
}

/// How a packet has come in.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Arrival {
    pub(crate) netif: NetifId,
    pub(crate) link: LinkDestination,
    /// What needs no verification.
    pub(crate) verified: Checksums,
}

impl Arrival {
    /// From this host, as if through an interface.
    pub(crate) const fn looped(netif: NetifId) -> Self {
        Self {
            netif,
            link: LinkDestination::Loopback,
            verified: Checksums::ALL,
        }
    }
}

impl Ip {
    /// A packet that waited for its neighbour goes out.
    pub(crate) fn send_waiting(&mut self, id: NetifId, addr: Ipv4Addr, hw: HwAddr) {
        while let Some(packet) = self.neighbors.take_waiting(id, addr) {
            let Some(own) = self.netifs.at(id).and_then(|netif| netif.hw_addr()) else {
                continue;
            };
            let frame = framed(self.header_pool, packet, own, hw, EtherType::IPV4);
            // What the device does not take is lost, and counted there.
            let _ = self.transmit_frame(id, frame);
        }
    }

    pub(crate) fn transmit_frame(
        &mut self,
        id: NetifId,
        frame: Result<Pbuf, Error>,
    ) -> Result<(), Error> {
        if let Ok(frame) = &frame {
            self.show_leaving(id, frame);
        }
        let netif = self.netifs.usable(id)?;
        match frame {
            Ok(frame) => netif.transmit(frame),
            Err(error) => {
                count(&mut netif.stats.out_discards);
                Err(error)
            }
        }
    }

    /// Takes the link header off a received frame. `None` if it holds no IP packet for this host;
    /// ARP is processed here.
    pub(crate) fn link_input(
        &mut self,
        now: Instant,
        id: NetifId,
        frame: Pbuf,
    ) -> Option<(Arrival, Pbuf)> {
        let netif = self.netifs.at_mut(id)?;
        if netif.admin == Admin::Down {
            count(&mut netif.stats.in_discards);
            return None;
        }
        let own = netif.hw_addr();
        let mut arrival = Arrival {
            netif: id,
            link: LinkDestination::Own,
            verified: netif.capabilities.rx_checksums,
        };
        let Some(own) = own else {
            return Some((arrival, frame));
        };
        let frame = self.contiguous(frame, HEADER_LEN);
        let netif = self.netifs.at_mut(id)?;
        let Some(mut frame) = frame else {
            count(&mut netif.stats.in_errors);
            return None;
        };
        let Ok((header, _)) = parse(frame.data()) else {
            count(&mut netif.stats.in_errors);
            return None;
        };
        let (src, dst, ethertype) = (header.src(), header.dst(), header.ethertype());
        // IEEE 802.3: a group is never a source.
        if src.is_group() {
            count(&mut netif.stats.in_errors);
            return None;
        }
        if dst.is_group() {
            // The device lets through what it can't tell apart, or everything.
            if is_ipv4_group(dst) && !self.groups.hears(id, dst) {
                count(&mut netif.stats.in_other_groups);
                return None;
            }
            arrival.link = LinkDestination::Group;
        } else if dst != own {
            // The device lets everything through, or a switch does not know better.
            count(&mut netif.stats.in_discards);
            return None;
        }
        if !frame.remove_header(HEADER_LEN) {
            return None; // it was contiguous: not reached
        }
        match ethertype {
            EtherType::IPV4 => Some((arrival, frame)),
            EtherType::ARP => {
                self.arp_input(now, id, own, frame);
                None
            }
            _ => {
                count(&mut netif.stats.in_unknown_protocols);
                None
            }
        }
    }
}

/// `payload` with an Ethernet header in front, in place if there is room.
#[inline]
pub(crate) fn framed(
    pool: &'static Pool,
    payload: Pbuf,
    src: HwAddr,
    dst: HwAddr,
    ethertype: EtherType,
) -> Result<Pbuf, Error> {
    with_header(pool, payload, 0, HEADER_LEN, |room| {
        Header::new(dst, src, ethertype).emit(room)
    })
}

/// The hardware address of a group, if `addr` is one.
pub(crate) fn group_address(addr: Ipv4Addr, subnet_broadcast: Option<Ipv4Addr>) -> Option<HwAddr> {
    if addr.is_broadcast() || Some(addr) == subnet_broadcast {
        return Some(HwAddr::BROADCAST);
    }
    addr.is_multicast().then(|| multicast_address(addr))
}

/// The hardware address of a multicast group.
pub(crate) fn multicast_address(group: Ipv4Addr) -> HwAddr {
    let [_, b, c, d] = group.octets();
    // RFC 1112 §6.4: the low 23 bits of the group go behind 01-00-5E.
    HwAddr([0x01, 0x00, 0x5e, b & 0x7f, c, d])
}

/// Whether a hardware address is that of multicast groups of IPv4.
fn is_ipv4_group(addr: HwAddr) -> bool {
    matches!(addr.0, [0x01, 0x00, 0x5e, 0..=0x7f, ..])
}
