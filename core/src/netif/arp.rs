//! ARP (RFC 826): answers for own addresses, claims passed to the neighbour cache, questions the
//! cache wants asked, announcements (RFC 5227). What is believed is decided in `neighbor`.
use core::net::Ipv4Addr;
use core::time::Duration;

use crate::ip::Ip;
use crate::ip::stats::count;
use crate::logged::logged;
use crate::pbuf::Pbuf;
use crate::time::Instant;
use crate::wire::arp::{HEADER_LEN, Operation, Packet};
use crate::wire::ethernet::EtherType;

use super::NetifId;
use super::driver::HwAddr;
use super::ethernet::{HEADROOM, framed};
use super::neighbor::{Claim, Due, Heard, Question};

/// RFC 5227 §1.1, DEFEND_INTERVAL: an address is defended once in this time.
const DEFEND_INTERVAL: Duration = Duration::from_secs(10);

const NO_HW_ADDR: HwAddr = HwAddr([0; 6]);

impl Ip {
    /// Processes a received ARP packet; its Ethernet header is gone.
    pub(super) fn arp_input(&mut self, now: Instant, id: NetifId, own_hw: HwAddr, packet: Pbuf) {
        count(&mut self.arp_stats.in_packets);
        let mut bytes = [0; HEADER_LEN];
        let len = packet.copy_to(0, &mut bytes);
        let Some(Ok(arp)) = bytes.get(..len).map(Packet::parse) else {
            count(&mut self.arp_stats.in_errors);
            return;
        };
        let Some(subnet) = self.netifs.at(id).and_then(|netif| netif.subnet) else {
            // Without an address nothing is ours, and nobody is a neighbour.
            count(&mut self.arp_stats.in_ignored);
            return;
        };
        let own = subnet.addr();
        // RFC 5227 §2.4: somebody else uses our address.
        if arp.sender_ip == own && arp.sender_hw != own_hw {
            count(&mut self.arp_stats.conflicts);
            self.defend(now, id, own, arp.sender_hw);
            return;
        }
        // RFC 1122 §2.3.2.1, RFC 1812 §3.3.2: groups have no host behind them.
        let implausible = arp.sender_hw.is_group() || arp.sender_hw == NO_HW_ADDR;
        if implausible || arp.sender_hw == own_hw {
            count(&mut self.arp_stats.in_ignored);
            return;
        }
        let to_us = arp.target_ip == own;
        let claim = match (arp.operation, to_us) {
            (Operation::Request, true) => Claim::RequestToUs,
            (Operation::Request, false) => Claim::Request,
            (Operation::Reply, true) => Claim::Reply,
            (Operation::Reply, false) => Claim::ReplyToOthers,
        };
        if subnet.is_host(arp.sender_ip) {
            self.hear(now, id, arp.sender_ip, arp.sender_hw, claim);
        } else if !arp.sender_ip.is_unspecified() {
            count(&mut self.arp_stats.in_ignored);
        }
        // RFC 826: requests for us are answered; also probes (RFC 5227 §2.1.1), whose sender has
        // no address yet.
        let answerable = subnet.is_host(arp.sender_ip) || arp.sender_ip.is_unspecified();
        if claim == Claim::RequestToUs && answerable {
            count(&mut self.arp_stats.out_replies);
            self.arp_output(
                id,
                arp.sender_hw,
                &Packet {
                    operation: Operation::Reply,
                    sender_hw: own_hw,
                    sender_ip: own,
                    target_hw: arp.sender_hw,
                    target_ip: arp.sender_ip,
                },
            );
        }
    }

    fn hear(&mut self, now: Instant, id: NetifId, addr: Ipv4Addr, hw: HwAddr, claim: Claim) {
        match self.neighbors.heard(now, id, addr, hw, claim) {
            Heard::Learned => self.send_waiting(id, addr, hw),
            Heard::Ignored => count(&mut self.arp_stats.in_ignored),
        }
        self.neighbor_timers(now);
    }

    /// Runs the timers of the neighbour cache.
    #[inline]
    pub(crate) fn neighbor_timers(&mut self, now: Instant) {
        if self.neighbors.next_deadline() <= now {
            self.due_neighbor_timers(now);
        }
    }

    #[cold]
    fn due_neighbor_timers(&mut self, now: Instant) {
        while let Some(due) = self.neighbors.due(now) {
            match due {
                Due::Ask(question) => self.ask(question),
                Due::GaveUp { netif, addr } => {
                    count(&mut self.arp_stats.unresolved);
                    let n = netif.index();
                    logged!(debug, "interface {}: no answer from {}", n, addr);
                    while let Some(packet) = self.neighbors.take_waiting(netif, addr) {
                        self.arp_stats.drop_waiting(1);
                        self.report_host_unreachable(now, packet);
                    }
                }
            }
        }
    }

    /// Tells everybody on the link where our address is (gratuitous ARP).
    #[doc(alias = "etharp_gratuitous")]
    pub(crate) fn announce(&mut self, id: NetifId) {
        let addr = |ip: &Self| Some(ip.netifs.at(id)?.subnet?.addr());
        if let Some(addr) = addr(self) {
            // RFC 5227 §2.3: a request with sender and target the same.
            self.ask(Question {
                netif: id,
                addr,
                hw: None,
            });
        }
    }

    fn defend(&mut self, now: Instant, id: NetifId, own: Ipv4Addr, other: HwAddr) {
        let Some(netif) = self.netifs.at_mut(id) else {
            return;
        };
        // RFC 5227 §2.4 (b): one announcement, and no more for a while, or two hosts that both
        // defend would never stop.
        let recently = netif
            .defended
            .is_some_and(|at| now.saturating_since(at) < DEFEND_INTERVAL);
        if !recently {
            netif.defended = Some(now);
            let n = id.index();
            logged!(warn, "interface {}: {} has our address {}", n, other, own);
            self.announce(id);
        }
    }

    fn ask(&mut self, question: Question) {
        let Some(netif) = self.netifs.at(question.netif) else {
            return;
        };
        let (Some(own_hw), Some(subnet)) = (netif.hw_addr(), netif.subnet) else {
            return;
        };
        if !netif.is_usable() {
            return;
        }
        count(&mut self.arp_stats.out_requests);
        self.arp_output(
            question.netif,
            question.hw.unwrap_or(HwAddr::BROADCAST),
            &Packet {
                operation: Operation::Request,
                sender_hw: own_hw,
                sender_ip: subnet.addr(),
                target_hw: NO_HW_ADDR,
                target_ip: question.addr,
            },
        );
    }

    /// Sends an ARP packet. If that fails it is as lost on the wire: the cache asks again, the
    /// other side too.
    fn arp_output(&mut self, id: NetifId, dst: HwAddr, packet: &Packet) {
        let pool = self.header_pool;
        let frame = Pbuf::alloc(pool, HEADROOM, HEADER_LEN)
            .map_err(Into::into)
            .and_then(|mut payload| {
                let room = payload.data_mut().unwrap_or_default();
                // A fresh block of the header pool has room.
                let _ = packet.emit(room);
                framed(pool, payload, packet.sender_hw, dst, EtherType::ARP)
            });
        let _ = self.transmit_frame(id, frame);
    }
}
