//! Where frames are seen, and how an endpoint sends one.
use crate::error::Error;
use crate::handle::{Owner, PacketPcb};
use crate::ip::stats::count;
use crate::ip::{Ip, NetifId};
use crate::pbuf::Pbuf;
use crate::wire::ethernet::{self, EtherType};

use super::engine::Seen;
use super::{Class, Filter, SendError};
use crate::netif::driver::HwAddr;

impl Ip {
    pub(super) fn packet_create(
        &mut self,
        filter: Filter,
        owner: Owner,
    ) -> Result<PacketPcb, Error> {
        let pcb = self.packet.create(filter, owner)?;
        self.observers_changed();
        Ok(pcb)
    }

    pub(super) fn packet_close(&mut self, pcb: PacketPcb) -> Result<(), Error> {
        self.packet.close(pcb)?;
        self.observers_changed();
        Ok(())
    }

    pub(super) fn packet_bind(
        &mut self,
        pcb: PacketPcb,
        filter: Filter,
        netif: Option<NetifId>,
    ) -> Result<(), Error> {
        let exists = |id| id == NetifId::LOOPBACK || self.netifs.at(id).is_some();
        if netif.is_some_and(|id| !exists(id)) {
            return Err(Error::Argument);
        }
        let current = self.packet.pcb_mut(pcb)?;
        (current.filter, current.netif) = (filter, netif);
        self.packet.forget(pcb);
        Ok(())
    }

    /// A frame has arrived.
    pub(crate) fn packet_received(&mut self, netif: NetifId, frame: &Pbuf) {
        let own = self.netifs.at(netif).and_then(|netif| netif.hw_addr());
        let seen = match own {
            None => Seen {
                netif,
                ethertype: EtherType::IPV4,
                class: Class::Host,
            },
            Some(own) => match link(frame) {
                Some((dst, ethertype)) => Seen {
                    netif,
                    ethertype,
                    class: class_of(dst, own),
                },
                None => return,
            },
        };
        self.packet.offer(seen, frame, None);
    }

    /// A frame is about to leave.
    pub(crate) fn packet_leaves(&mut self, netif: NetifId, frame: &Pbuf) {
        self.show_outgoing(netif, frame, None);
    }

    fn show_outgoing(&mut self, netif: NetifId, frame: &Pbuf, sender: Option<PacketPcb>) {
        let has_link = self.netifs.at(netif).and_then(|netif| netif.hw_addr());
        let ethertype = match has_link.and_then(|_| link(frame)) {
            Some((_, ethertype)) => ethertype,
            None => EtherType::IPV4,
        };
        let seen = Seen {
            netif,
            ethertype,
            class: Class::Outgoing,
        };
        self.packet.offer(seen, frame, sender);
    }

    pub(super) fn packet_send(
        &mut self,
        pcb: PacketPcb,
        id: NetifId,
        frame: Pbuf,
    ) -> Result<(), SendError> {
        if let Err(error) = self.packet_check(pcb, id, &frame) {
            count(&mut self.packet.stats.send_errors);
            let data = Some(frame);
            return Err(SendError { error, data });
        }
        self.show_outgoing(id, &frame, Some(pcb));
        let sent = match self.netifs.at_mut(id) {
            Some(netif) => netif.transmit(frame),
            None => self.loopback_push(frame),
        };
        count(match sent {
            Ok(()) => &mut self.packet.stats.frames_sent,
            Err(_) => &mut self.packet.stats.send_errors,
        });
        sent.map_err(|error| SendError { error, data: None })
    }

    fn packet_check(&mut self, pcb: PacketPcb, id: NetifId, frame: &Pbuf) -> Result<(), Error> {
        self.packet.pcb(pcb)?;
        let len = frame.tot_len();
        let (header, mtu) = if id == NetifId::LOOPBACK {
            (0, usize::from(crate::netif::loopback::MTU))
        } else {
            self.netifs.at(id).ok_or(Error::Argument)?;
            let netif = self.netifs.usable(id)?;
            let header = netif.hw_addr().map_or(0, |_| ethernet::HEADER_LEN);
            (header, usize::from(netif.mtu()))
        };
        if len > header + mtu {
            return Err(Error::TooLong);
        }
        if len < header.max(1) {
            return Err(Error::Argument);
        }
        match self.can_transmit(id) {
            true => Ok(()),
            false => Err(Error::NoMemory),
        }
    }
}

/// Destination and EtherType, wherever in the chain they are.
fn link(frame: &Pbuf) -> Option<(HwAddr, EtherType)> {
    let mut bytes = [0; ethernet::HEADER_LEN];
    if frame.copy_to(0, &mut bytes) < bytes.len() {
        return None;
    }
    let (header, _) = ethernet::parse(&bytes).ok()?;
    Some((header.dst(), header.ethertype()))
}

fn class_of(dst: HwAddr, own: HwAddr) -> Class {
    match dst {
        HwAddr::BROADCAST => Class::Broadcast,
        dst if dst.is_group() => Class::Multicast,
        dst if dst == own => Class::Host,
        _ => Class::OtherHost,
    }
}
