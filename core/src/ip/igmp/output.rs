//! What this host says in IGMP: due answers, changes of membership, and their packets.
use core::net::Ipv4Addr;

use crate::error::Error;
use crate::netif::{Netif, NetifId, ethernet};
use crate::pbuf::Pbuf;
use crate::time::Instant;
use crate::wire::NoRoom;
use crate::wire::checksum::ComputedBy;
use crate::wire::ethernet::EtherType;
use crate::wire::igmp::{self, RecordKind, Simple, emit_report, report_len};
use crate::wire::ipv4::{ALERT_HEADER_LEN, Ecn, Fields, Fragmentation, Protocol};

use super::super::Ip;
use super::super::stats::count;
use super::groups::{Group, Reporter};
use super::querier::Version;

/// RFC 2236 §3, §9: all routers on the link.
const ALL_ROUTERS: Ipv4Addr = Ipv4Addr::new(224, 0, 0, 2);
/// RFC 3376 §4.2.14: all routers that know version 3.
const ALL_V3_ROUTERS: Ipv4Addr = Ipv4Addr::new(224, 0, 0, 22);

impl Ip {
    /// Says what is due.
    #[inline]
    pub(in crate::ip) fn igmp_expire(&mut self, now: Instant) {
        if self.groups.deadline <= now {
            self.igmp_due(now);
        }
    }

    #[inline(never)]
    fn igmp_due(&mut self, now: Instant) {
        for place in 0..self.netifs.limit() {
            // At most 255 of them.
            let id = NetifId(place as u8);
            self.igmp_version(now, id);
            let netif = self.netifs.at_mut(id);
            let due = netif.filter(|netif| netif.querier.respond_at <= now);
            if let Some(netif) = due {
                netif.querier.respond_at = Instant::MAX;
                self.send_all_memberships(id);
            }
        }
        for place in 0..self.groups.capacity() {
            let due = self.groups.at(place).filter(|group| group.due_at() <= now);
            if let Some(group) = due {
                let group = self.say_what_is_due(now, group);
                self.groups.put(place, group);
            }
        }
        self.groups.sweep();
        self.igmp_settle();
    }

    fn say_what_is_due(&mut self, now: Instant, mut group: Group) -> Group {
        let netif = self.netifs.at(group.netif);
        let version = netif.map_or(Version::V3, |netif| netif.querier.version());
        if group.respond_at <= now {
            group.respond_at = Instant::MAX;
            if group.tell_at > now || version == Version::V3 {
                self.say(version, &mut group, RecordKind::IsMember);
            }
        }
        if group.tell_at <= now {
            let change = match group.is_member() {
                true => RecordKind::Joined,
                false => RecordKind::Left,
            };
            self.say(version, &mut group, change);
            group.tell_left = match (version, change) {
                // RFC 2236 §3: a leave is said once.
                (Version::V1 | Version::V2, RecordKind::Left) => 0,
                _ => group.tell_left.saturating_sub(1),
            };
            // RFC 3376 §5.1, RFC 2236 §3: again at random times.
            group.tell_at = match group.tell_left {
                0 => Instant::MAX,
                _ => now + self.groups.delay(version.unsolicited_interval()),
            };
        }
        group
    }

    /// Says one thing about one group, in a version the routers know.
    fn say(&mut self, version: Version, group: &mut Group, what: RecordKind) {
        let (id, addr) = (group.netif, group.addr);
        let (message, to) = match (version, what) {
            (Version::V3, _) => {
                let record = core::iter::once((what, addr));
                self.send_igmp(id, ALL_V3_ROUTERS, report_len(1), |_, out| {
                    emit_report(record, out)
                });
                return;
            }
            // RFC 2236 §3: who was not the last to report need not tell that it leaves.
            (Version::V2, RecordKind::Left) if group.reporter == Reporter::Us => {
                (Simple::Leave, ALL_ROUTERS)
            }
            // RFC 1112: nothing is said at all.
            (Version::V1 | Version::V2, RecordKind::Left) => return,
            (Version::V2, _) => (Simple::ReportV2, addr),
            (Version::V1, _) => (Simple::ReportV1, addr),
        };
        group.reporter = Reporter::Us;
        self.send_igmp(id, to, igmp::HEADER_LEN, |_, out| message.emit(addr, out));
    }

    /// RFC 3376 §5.2: the answer to a query of all groups, in as many reports as are needed.
    fn send_all_memberships(&mut self, id: NetifId) {
        let mtu = self.netifs.at(id).map_or(0, Netif::mtu).into();
        let headers = ethernet::HEADROOM + ALERT_HEADER_LEN + report_len(0);
        let room = self.header_pool.block_size().min(mtu);
        // The header pool's blocks, and the smallest MTU, have room for some.
        let most = (room.saturating_sub(headers) / igmp::RECORD_LEN).max(1);
        let total = self.groups.reported(id).count();
        for said in (0..total).step_by(most) {
            let len = report_len(most.min(total - said));
            self.send_igmp(id, ALL_V3_ROUTERS, len, |ip, out| {
                let groups = ip.groups.reported(id).skip(said);
                emit_report(groups.map(|addr| (RecordKind::IsMember, addr)), out)
            });
        }
    }

    /// Sends the message of `len` bytes that `write` writes.
    fn send_igmp(
        &mut self,
        id: NetifId,
        to: Ipv4Addr,
        len: usize,
        write: impl FnOnce(&Self, &mut [u8]) -> Result<(), NoRoom>,
    ) {
        let packet = self.igmp_packet(id, to, len, write);
        let sent = packet.and_then(|packet| self.send_to_link(id, to, packet));
        let stats = &mut self.groups.stats;
        count(match sent {
            Ok(()) if to == ALL_ROUTERS => &mut stats.out_leaves,
            Ok(()) => &mut stats.out_reports,
            // It is said again, or asked for again.
            Err(_) => &mut stats.out_errors,
        });
    }

    /// Sends a packet, IP header first, to a group on the link.
    fn send_to_link(&mut self, id: NetifId, to: Ipv4Addr, packet: Pbuf) -> Result<(), Error> {
        let netif = self.netifs.usable(id)?;
        let Some(own) = netif.hw_addr() else {
            return self.transmit_frame(id, Ok(packet));
        };
        let hw = ethernet::multicast_address(to);
        let frame = ethernet::framed(self.header_pool, packet, own, hw, EtherType::IPV4);
        self.transmit_frame(id, frame)
    }

    fn igmp_packet(
        &self,
        id: NetifId,
        to: Ipv4Addr,
        len: usize,
        write: impl FnOnce(&Self, &mut [u8]) -> Result<(), NoRoom>,
    ) -> Result<Pbuf, Error> {
        let netif = self.netifs.at(id).ok_or(Error::LinkDown)?;
        let headroom = ethernet::HEADROOM + ALERT_HEADER_LEN;
        let mut packet = Pbuf::alloc(self.header_pool, headroom, len)?;
        let out = packet.data_mut().ok_or(Error::NoMemory)?;
        write(self, out).map_err(|NoRoom| Error::NoMemory)?;
        let fields = Fields {
            // RFC 3376 §4.2.13: 0.0.0.0 as long as the interface has no address.
            src: netif
                .subnet
                .map_or(Ipv4Addr::UNSPECIFIED, |subnet| subnet.addr()),
            dst: to,
            protocol: Protocol::IGMP,
            // RFC 3376 §4: TTL 1, precedence Internetwork Control, Router Alert.
            ttl: 1,
            dscp: 0xc0 >> 2,
            ecn: Ecn::NotEct,
            ident: 0,
            fragmentation: Fragmentation::Forbidden,
            payload_len: u16::try_from(len).map_err(|_| Error::TooLong)?,
        };
        let checksum_by = match netif.capabilities.tx_checksums.ipv4 {
            true => ComputedBy::Device,
            false => ComputedBy::Software,
        };
        let room = packet.add_header(ALERT_HEADER_LEN).ok_or(Error::NoMemory)?;
        fields
            .emit_with_alert(room, checksum_by)
            .map_err(|NoRoom| Error::NoMemory)?;
        Ok(packet)
    }

    /// The version to speak on an interface. Whoever was going to answer in another one does not.
    pub(super) fn igmp_version(&mut self, now: Instant, id: NetifId) -> Version {
        let Some(netif) = self.netifs.at_mut(id) else {
            return Version::V3;
        };
        let before = netif.querier.version();
        let version = netif.querier.version_at(now);
        if version != before {
            netif.querier.respond_at = Instant::MAX;
            self.groups.cancel(id);
        }
        version
    }

    /// Finds out when something is next to be said.
    pub(super) fn igmp_settle(&mut self) {
        for (id, netif) in self.netifs.iter_mut() {
            // Nobody is left to speak of.
            if self.groups.reported(id).next().is_none() {
                netif.querier.respond_at = Instant::MAX;
            }
        }
        let queriers = self
            .netifs
            .iter()
            .map(|(_, netif)| netif.querier.respond_at);
        let groups = self.groups.iter().map(Group::due_at);
        self.groups.deadline = queriers.chain(groups).min().unwrap_or(Instant::MAX);
    }
}
