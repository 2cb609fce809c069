//! A packet arrives: parsed, checked, and given to the connection, half-open connection,
//! TIME-WAIT record or listener it belongs to.
use core::net::SocketAddrV4;

use crate::error::Error;
use crate::ip::{Destination, IcmpError, IcmpErrorKind, Ip, Received};
use crate::time::Instant;
use crate::wire::tcp::{Flags, SeqNum};

use super::State;
use super::engine::Engine;
use super::pcb::Life;
use super::segment::{Arrived, Unfit};
use super::time_wait::Reply;

impl Engine {
    /// Processes one TCP packet.
    pub(crate) fn input(&mut self, ip: &mut Ip, now: Instant, received: Received) {
        self.stats.segments_received += 1;
        // RFC 9293 §3.9.2.3 (MUST-57): broadcast and multicast are not for TCP.
        if received.to != Destination::Unicast {
            self.stats.malformed += 1;
            return;
        }
        // Where it is parsed it stays: it is large.
        let mut parsed = Arrived::parse(received);
        let segment = match &mut parsed {
            Ok(segment) => segment,
            Err(Unfit::Malformed) => {
                self.stats.malformed += 1;
                return;
            }
            Err(Unfit::Checksum) => {
                self.stats.checksum_errors += 1;
                return;
            }
        };
        let found = self.connection_between(segment.local, segment.remote);
        if let Ok(index) = found
            && self.takes_as_predicted(now, index, segment)
        {
            return;
        }
        if is_nonsense(segment) {
            self.stats.malformed += 1;
            return;
        }
        match found {
            Ok(index) => self.arrives_at_connection(ip, now, index, segment),
            Err(hash) => self.arrives_elsewhere(ip, now, hash, segment),
        }
    }

    /// The connection between `local` and `remote`. `Err`: there is none; their hash, for the other
    /// tables.
    fn connection_between(
        &mut self,
        local: SocketAddrV4,
        remote: SocketAddrV4,
    ) -> Result<u16, u32> {
        if let Some(again) = self.demux.find_again(self.slots, local, remote) {
            return Ok(again);
        }
        let hash = self.secrets.table_hash(local, remote);
        self.demux.find(self.slots, hash, local, remote).ok_or(hash)
    }

    /// Processes the common case, to which no connection comes that [`is_nonsense`] is true
    /// of: its handshake would have failed.
    fn takes_as_predicted(&mut self, now: Instant, index: u16, segment: &mut Arrived) -> bool {
        let (slots, mut cx) = self.context(now);
        let Some(slot) = slots.get_mut(usize::from(index)) else {
            return false;
        };
        let Some(ack) = slot.pcb.predicted(segment, &cx) else {
            return false;
        };
        slot.pcb.take_predicted(ack, segment, &mut cx);
        self.settle_before_output(index);
        true
    }

    fn arrives_at_connection(
        &mut self,
        ip: &mut Ip,
        now: Instant,
        index: u16,
        segment: &mut Arrived,
    ) {
        let (slots, mut cx) = self.context(now);
        let Some(slot) = slots.get_mut(usize::from(index)) else {
            return;
        };
        let verdict = slot.pcb.segment_arrives(segment, &mut cx);
        self.carry_out(ip, now, index, verdict);
    }

    fn arrives_elsewhere(&mut self, ip: &mut Ip, now: Instant, hash: u32, segment: &mut Arrived) {
        if let Some(record) = self.syns.find(hash, segment) {
            self.arrives_half_open(ip, now, record, segment);
            return;
        }
        match self
            .time_waits
            .arrives(hash, segment, now, self.config.time_wait)
        {
            None => self.arrives_at_listener(ip, now, hash, segment, None),
            Some(Reply::Reuse { beyond }) => {
                self.arrives_at_listener(ip, now, hash, segment, Some(beyond));
            }
            Some(Reply::Ignore) => {}
            Some(Reply::Ack(remains)) => self.send_time_wait_ack(ip, now, &remains),
        }
    }

    /// RFC 9293 §3.10.7.1: answers a segment that belongs to nobody, at a limited rate.
    pub(super) fn reset_answer(&mut self, ip: &mut Ip, now: Instant, segment: &Arrived) {
        if segment.flags.contains(Flags::RST)
            || !self.resets.allow(now, self.config.resets_per_second)
        {
            return;
        }
        let (local, remote) = (segment.local, segment.remote);
        match segment.ack {
            Some(ack) => self.send_reset(ip, now, local, remote, ack, None),
            None => {
                let ack = segment.seq_end();
                self.send_reset(ip, now, local, remote, SeqNum(0), Some(ack));
            }
        }
    }

    /// An ICMP error quotes a segment of ours.
    pub(crate) fn icmp_error(&mut self, error: &IcmpError) {
        let found = self.connection_between(error.local, error.remote);
        let Ok(index) = found else { return };
        let Some(pcb) = self.at(index) else { return };
        // RFC 5927 §4.1: the quoted number has to be in flight.
        let in_flight = |seq: &SeqNum| seq.in_window(pcb.snd.una, pcb.snd.in_flight());
        let Some(quoted) = error.quoted_seq.filter(in_flight) else {
            self.stats.icmp_ignored += 1;
            return;
        };
        if let IcmpErrorKind::FragmentationNeeded { mtu } = error.kind {
            let Self {
                slots,
                config,
                stats,
                now,
                ..
            } = self;
            if let Some(slot) = slots.get_mut(usize::from(index)) {
                slot.pcb
                    .fragmentation_needed(quoted, mtu, *now, config, stats);
            }
            self.settle(index);
            return;
        }
        // RFC 5927 §5.2: hard errors end an attempt to connect; what is established outlives
        // them, its timers decide.
        if pcb.state == State::SynSent {
            let error = match error.kind {
                IcmpErrorKind::PortUnreachable | IcmpErrorKind::ProtocolUnreachable => {
                    Error::Refused
                }
                IcmpErrorKind::Unreachable => Error::Unreachable,
                _ => return,
            };
            self.end(index, Life::Failed(error));
            self.settle(index);
        }
    }
}

/// Whether no host would send that. (RFC 9293 §3.9.2.3, MUST-63: nor from an address no host has;
/// IP lets none of those pass.)
fn is_nonsense(segment: &Arrived) -> bool {
    // A connection from an endpoint to itself would answer itself for ever ("land"); SYN with
    // FIN or RST is nothing any TCP sends (RFC 9293 has no meaning for it).
    segment.local == segment.remote || segment.syn() && (segment.fin() || segment.rst())
}
