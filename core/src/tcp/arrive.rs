//! A packet arrives: parsed, checked, and given to the connection, half-open connection,
//! TIME-WAIT record or listener it belongs to.
use core::net::SocketAddrV4;

use crate::error::Error;
use crate::ip::{
    ChecksumState, Destination, Envelope, Head, IcmpError, IcmpErrorKind, Ip, Received,
};
use crate::pbuf::Pbuf;
use crate::time::Instant;
use crate::wire::tcp::{Flags, Headline, SeqNum};

use super::State;
use super::demux::Pair;
use super::engine::Engine;
use super::fast_path::Foreseen;
use super::headline::{Lookup, Unforeseen, is_intact};
use super::pcb::Life;
use super::segment::{Arrived, Unfit};
use super::time_wait::Reply;

impl Engine {
    /// Processes one TCP packet.
    pub(crate) fn input(&mut self, ip: &mut Ip, now: Instant, mut received: Received) {
        let mut lookup = Lookup::Open;
        // RFC 9293 §3.9.2.3 (MUST-57): broadcast and multicast are not for TCP.
        let (first, total) = (received.payload.data(), received.payload.tot_len());
        let envelope = received.envelope();
        if received.to == Destination::Unicast
            && is_intact(&envelope, total, first, &received.payload)
        {
            received.checksum = ChecksumState::Verified;
            if let Some(head) = Headline::parse(first, total) {
                match self.take_predicted(now, &envelope, &head, received.payload) {
                    Ok(()) => return,
                    Err(left) => (received.payload, lookup) = (left.packet, left.lookup),
                }
            }
        }
        self.input_unforeseen(ip, now, received, lookup);
    }

    /// Processes the segment in `packet`, which is intact and whose header says `head`, if it is the
    /// one that its connection waits for. (No connection comes to one that [`is_nonsense`] is true of: its
    /// handshake would have failed.)
    pub(crate) fn take_predicted(
        &mut self,
        now: Instant,
        envelope: &Envelope,
        head: &Headline,
        packet: Pbuf,
    ) -> Result<(), Unforeseen> {
        let pair = Pair::of_received(envelope.src, envelope.dst, head.ports);
        let found = self.find(pair);
        if let Ok(index) = found
            && let Some(foreseen) = self.foresee(index, head, envelope.tos)
        {
            // Before it is processed: then nothing has to be found again.
            self.settle_before_output(index, foreseen.news(head));
            let (slots, mut cx) = self.context(now);
            if let Some(slot) = slots.get_mut(usize::from(index)) {
                cx.stats.segments_received += 1;
                let data_at = usize::from(envelope.start) + usize::from(head.header_len);
                slot.pcb
                    .take_predicted(foreseen, head, packet, data_at, &mut cx);
            }
            return Ok(());
        }
        Err(Unforeseen {
            packet,
            lookup: Lookup::Done(found),
        })
    }

    #[inline]
    fn foresee(&self, index: u16, head: &Headline, tos: u8) -> Option<Foreseen> {
        let slot = self.slots.get(usize::from(index))?;
        slot.pcb.predicted(head, tos, &self.sends)
    }

    /// Processes a packet that was not predicted.
    #[inline(never)]
    pub(crate) fn input_unforeseen(
        &mut self,
        ip: &mut Ip,
        now: Instant,
        received: Received,
        lookup: Lookup,
    ) {
        self.stats.segments_received += 1;
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
        let found = match lookup {
            Lookup::Done(found) => found,
            Lookup::Open => self.find(segment.pair()),
        };
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
    #[inline(never)]
    fn connection_between(
        &mut self,
        local: SocketAddrV4,
        remote: SocketAddrV4,
    ) -> Result<u16, u32> {
        let hash = self.secrets.table_hash(local, remote);
        self.demux.find(self.slots, hash, local, remote).ok_or(hash)
    }

    /// As [`Engine::connection_between`]; the one found last is found at once.
    #[inline]
    fn find(&mut self, pair: Pair) -> Result<u16, u32> {
        match self.demux.find_again(pair) {
            Some(again) => Ok(again),
            None => self.search(pair),
        }
    }

    #[inline(never)]
    fn search(&mut self, pair: Pair) -> Result<u16, u32> {
        let (local, remote) = pair.endpoints();
        self.connection_between(local, remote)
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
            Some(Reply::Ack(remains)) => self.send_time_wait_ack(ip, now, &remains, &Head::NONE),
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
