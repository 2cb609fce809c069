//! ICMP errors this host sends (RFC 1122 §3.2.2): when, how many, and what they quote.
use crate::error::Error;
use crate::netif::NetifId;
use crate::pbuf::Pbuf;
use crate::time::Instant;
use crate::wire::icmpv4::{Exceeded, HEADER_LEN, Kind, Message, Unreachable};
use crate::wire::ipv4::{self, Packet, Protocol};

use super::icmp::complete;
use super::stats::count;
use super::{Destination, Fragmentation, Ip, Outgoing, Received};

/// Nobody listens on the port.
const PORT_UNREACHABLE: Kind = Kind::DestinationUnreachable(Unreachable::Port);
/// The protocol is not known here.
pub(super) const PROTOCOL_UNREACHABLE: Kind = Kind::DestinationUnreachable(Unreachable::Protocol);
/// Fragments are missing.
pub(super) const REASSEMBLY_TIMEOUT: Kind = Kind::TimeExceeded(Exceeded::Reassembly);

/// RFC 1812 §4.3.2.3: errors are at most this long, IP header included.
const MAX_ERROR: usize = 576;
/// What that leaves for the quoted packet.
const MAX_QUOTE: usize = MAX_ERROR - ipv4::HEADER_LEN - HEADER_LEN;

impl Ip {
    /// Tells the sender of a packet that nobody listens on the port, see [`Ip::send_icmp_error`].
    #[inline(never)]
    pub(crate) fn port_unreachable(&mut self, now: Instant, about: Received) {
        self.send_icmp_error(now, PORT_UNREACHABLE, about);
    }

    /// Tells the sender of a packet that it was in vain, if that may be told and the limits allow.
    ///
    /// `about` must be as [`Ip::input`] has returned it: nothing added to the front.
    pub(crate) fn send_icmp_error(&mut self, now: Instant, kind: Kind, about: Received) {
        // RFC 1122 §3.2.2: never about what was sent to many (nor from many, which is no valid
        // source here).
        if about.to != Destination::Unicast {
            count(&mut self.icmp_stats.out_suppressed);
            return;
        }
        let (src, dst) = (about.dst, about.src);
        let mut quote = about.payload;
        // The header is still there.
        if !quote.uncover(about.header_len.into()) {
            count(&mut self.icmp_stats.out_errors);
            return;
        }
        if is_icmp_error(&quote) {
            count(&mut self.icmp_stats.out_suppressed);
            return;
        }
        // RFC 1812 §4.3.2.8. CVE-2020-25705: a limit that all share tells an attacker, by whether
        // its own probe is answered, how many others were. So each costs 0 to 2, one on average.
        let cost = self.error_cost.next() % 3;
        if about.netif != NetifId::LOOPBACK && !self.error_bucket.take(now, cost) {
            count(&mut self.icmp_stats.out_rate_limited);
            return;
        }
        let sent = self.send_error(now, kind, src, dst, quote);
        count(match (sent, kind) {
            (Err(_), _) => &mut self.icmp_stats.out_errors,
            (Ok(()), Kind::TimeExceeded(_)) => &mut self.icmp_stats.out_time_exceeded,
            (Ok(()), _) => &mut self.icmp_stats.out_unreachable,
        });
    }

    fn send_error(
        &mut self,
        now: Instant,
        kind: Kind,
        src: core::net::Ipv4Addr,
        dst: core::net::Ipv4Addr,
        quote: Pbuf,
    ) -> Result<(), Error> {
        let route = self.route(dst, Some(src))?;
        let mut message = self.error_message(kind, quote, MAX_QUOTE)?;
        if !route.tx_checksums.icmpv4 {
            complete(&mut message)?;
        }
        let out = Outgoing {
            src,
            dst,
            protocol: Protocol::ICMP,
            ttl: self.ttl(),
            tos: 0,
            fragmentation: Fragmentation::Allowed,
        };
        self.send(now, &route, &out, message)
    }

    /// The message, with checksum zero: a header, and the packet in its own buffer.
    fn error_message(&self, kind: Kind, mut quote: Pbuf, len: usize) -> Result<Pbuf, Error> {
        quote.truncate(len);
        let mut header = self.transport_header(HEADER_LEN)?;
        let room = header.data_mut().unwrap_or_default();
        kind.emit(room).map_err(|_| Error::NoMemory)?;
        Ok(quote.prepend(header))
    }

    /// A packet of this host, IP header first, could not be delivered because its next hop does
    /// not answer: its transport is told as by a router, through loopback.
    pub(crate) fn report_host_unreachable(&mut self, now: Instant, packet: Pbuf) {
        let Ok(quoted) = Packet::parse_quoted(packet.data()) else {
            return; // made by this host, its header in one part: not reached
        };
        let src = quoted.src();
        let transport = matches!(quoted.protocol(), Protocol::TCP | Protocol::UDP);
        if !(transport || self.raw_concerned(&quoted)) || src.is_unspecified() {
            return;
        }
        let kind = Kind::DestinationUnreachable(Unreachable::Host);
        let out = Outgoing {
            src,
            dst: src,
            protocol: Protocol::ICMP,
            ttl: self.ttl(),
            tos: 0,
            fragmentation: Fragmentation::Forbidden,
        };
        // RFC 792: the header and 64 bits are enough to find the transport's endpoint.
        let quote = quoted.header_len() + 8;
        let queued = self.route(src, Some(src)).and_then(|route| {
            let message = self.error_message(kind, packet, quote)?;
            let len = u16::try_from(message.tot_len()).map_err(|_| Error::TooLong)?;
            let mark = self.mark(out.fragmentation, out.flow());
            self.send_whole(now, &route, &out, mark, message, len)
        });
        if queued.is_err() {
            // The transport's own timers have to do.
            count(&mut self.icmp_stats.out_errors);
        }
    }
}

/// Whether a packet is an ICMP error itself, or not recognisable.
fn is_icmp_error(packet: &Pbuf) -> bool {
    let Ok(quoted) = Packet::parse_quoted(packet.data()) else {
        return true;
    };
    // RFC 1122 §3.2.2: no errors about errors, or two hosts would talk about each other for ever;
    // and none about other fragments than the first.
    let icmp_error = quoted.protocol() == Protocol::ICMP
        && Message::parse(quoted.first_payload(), quoted.payload_len())
            .map_or(true, |message| message.kind().is_error());
    icmp_error || quoted.fragment_offset() != 0
}
