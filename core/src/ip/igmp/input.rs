//! What routers and other hosts say in IGMP.
use core::net::Ipv4Addr;
use core::time::Duration;

use crate::netif::NetifId;
use crate::netif::ethernet::LinkDestination;
use crate::time::Instant;
use crate::wire::checksum::Checksum;
use crate::wire::igmp::{Message, Query};

use super::super::stats::count;
use super::super::{ALL_HOSTS, Destination, Ip, Received};
use super::groups::Reporter;
use super::querier::Version;

/// An answer is delayed by a random time of up to this at least, whatever the query says: so a
/// flood of queries is answered some twenty times a second. RFC 3376 §4.1.1 lets a querier ask for
/// no delay at all, which one that wants a single answer of many hosts has no reason to.
const SHORTEST_RANGE: Duration = Duration::from_millis(100);

impl Ip {
    /// Processes an IGMP message.
    #[inline(never)]
    pub(in crate::ip) fn igmp_input(
        &mut self,
        now: Instant,
        link: LinkDestination,
        ttl: u8,
        received: &Received,
    ) {
        count(&mut self.groups.stats.in_messages);
        // RFC 3376 §4, RFC 2236 §2, RFC 1112 appendix I: of every version they are sent with a TTL
        // of 1, so that what comes with more has come over a router. (Linux does not look.) The
        // Router Alert, which RFC 3376 §9.1 has hosts insist on, is not, as in Linux: there are
        // queriers that don't send it.
        if ttl != 1 || link == LinkDestination::Loopback {
            count(&mut self.groups.stats.in_bad_path);
            return;
        }
        let message = &received.payload;
        let mut sum = Checksum::new();
        message.parts().for_each(|part| sum.add(part));
        if !sum.is_valid() {
            count(&mut self.groups.stats.in_checksum_errors);
            return;
        }
        match Message::parse(message.data(), message.tot_len()) {
            Ok(Message::Query(query)) => self.query_heard(now, received, &query),
            Ok(Message::Report { group }) => self.report_heard(now, received, group),
            // RFC 3376 §4: unknown types are ignored; leaves and reports of version 3 are for
            // routers.
            Ok(Message::Other { .. }) => count(&mut self.groups.stats.in_ignored),
            Err(_) => count(&mut self.groups.stats.in_errors),
        }
    }

    fn query_heard(&mut self, now: Instant, received: &Received, query: &Query) {
        let id = received.netif;
        let Some(netif) = self.netifs.at_mut(id).filter(|netif| netif.is_usable()) else {
            return;
        };
        let on_link = netif
            .subnet
            .is_some_and(|subnet| subnet.is_host(received.src));
        let plausible = match received.to {
            // RFC 3376 §9.1: general queries to other groups are forged.
            Destination::Multicast => query.group.is_some() || received.dst == ALL_HOSTS,
            // RFC 3376 §4.1.12: MUST accept those to any address of the interface. They are the
            // ones a router would let through: only from neighbours.
            Destination::Unicast | Destination::Broadcast => on_link,
        };
        if !plausible {
            count(&mut self.groups.stats.in_bad_path);
            return;
        }
        count(&mut self.groups.stats.in_queries);
        netif.querier.heard(now, query);
        let version = self.igmp_version(now, id);
        self.schedule(now, id, version, query);
        self.igmp_settle();
    }

    /// Decides when to answer.
    fn schedule(&mut self, now: Instant, id: NetifId, version: Version, query: &Query) {
        let Some(netif) = self.netifs.at_mut(id) else {
            return;
        };
        let range = query.max_response.max(SHORTEST_RANGE);
        let asked = |group: Ipv4Addr| query.group.is_none_or(|asked| asked == group);
        if version < Version::V3 {
            // RFC 2236 §3: each group has a delay of its own; one that runs is reset only if it
            // runs longer than the answer may take. A change that is told by then is an answer.
            for place in 0..self.groups.capacity() {
                let Some(mut group) = self.groups.at(place) else {
                    continue;
                };
                let here = group.netif == id && group.is_member() && group.addr != ALL_HOSTS;
                if here && asked(group.addr) && group.due_at() > now + range {
                    group.respond_at = now + self.groups.delay(range);
                    self.groups.put(place, group);
                }
            }
            return;
        }
        if !self.groups.reported(id).any(asked) {
            return; // nothing to say
        }
        let at = now + self.groups.delay(range);
        // What is due within the shortest range stays: or the smallest of many delays would count.
        let soon = now + SHORTEST_RANGE;
        // RFC 3376 §5.2 rule 1: an answer that is due sooner and says all is enough.
        if netif.querier.respond_at <= at.max(soon) {
            return;
        }
        match query.group {
            // Rule 2.
            None => netif.querier.respond_at = at,
            // Rules 3 to 5: the sooner of both. Sources need not be remembered: this host wants
            // the group from all, which is the answer whatever sources are asked for.
            Some(addr) => self
                .groups
                .iter_mut()
                .filter(|group| group.netif == id && group.addr == addr && group.is_member())
                .filter(|group| group.respond_at > soon)
                .for_each(|group| group.respond_at = group.respond_at.min(at)),
        }
    }

    /// RFC 2236 §3: one answer for a group is enough. In version 3 everybody answers (RFC 3376
    /// §7.2.2 MAY).
    fn report_heard(&mut self, now: Instant, received: &Received, addr: Ipv4Addr) {
        count(&mut self.groups.stats.in_reports);
        let id = received.netif;
        if received.to != Destination::Multicast || self.igmp_version(now, id) == Version::V3 {
            return;
        }
        // What was not said once is said: the switch between has to hear it from this port.
        let said = |group: &super::groups::Group| group.tell_at != Instant::ZERO;
        self.groups
            .iter_mut()
            .filter(|group| group.netif == id && group.addr == addr && group.is_member())
            .filter(|group| said(group))
            .for_each(|group| {
                group.reporter = Reporter::Other;
                group.tell_left = 0;
                (group.tell_at, group.respond_at) = (Instant::MAX, Instant::MAX);
            });
        self.igmp_settle();
    }
}
