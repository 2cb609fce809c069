//! Received ICMP messages (RFC 792, RFC 1122 §3.2.2): echo requests are answered, errors about own
//! packets passed to their transport, everything else ignored. Own errors are in `icmp_error`.
use core::net::SocketAddrV4;

use crate::error::Error;
use crate::pbuf::Pbuf;
use crate::time::Instant;
use crate::wire::checksum::Checksum;
use crate::wire::icmpv4::{self, HEADER_LEN, Kind, Message, Unreachable, reply_in_place};
use crate::wire::ipv4::{self, Protocol};
use crate::wire::tcp::SeqNum;

use super::stats::count;
use super::{
    ChecksumState, Destination, Fragmentation, IcmpError, IcmpErrorKind, Input, Ip, Outgoing,
    Received,
};

/// RFC 791 §3.2: every link carries packets of this size.
const MIN_MTU: u16 = 68;

/// RFC 1191 §7, table 7-1: sizes to try when a router does not say what fits.
const PLATEAUS: [u16; 10] = [
    32_000, 17_914, 8_166, 4_352, 2_002, 1_492, 1_006, 508, 296, MIN_MTU,
];

/// The errors this stack heeds.
enum Report<'a> {
    Known(IcmpErrorKind, &'a [u8]),
    /// Quotes a packet this host cannot have sent.
    BadQuote,
}

impl Ip {
    /// Processes an ICMP message; an error about an own packet is for its transport.
    pub(super) fn icmp_input(&mut self, now: Instant, received: Received) -> Option<Input> {
        count(&mut self.icmp_stats.in_messages);
        let message = &received.payload;
        let total = message.tot_len();
        if received.checksum == ChecksumState::ToVerify && !sum(message).is_valid() {
            count(&mut self.icmp_stats.in_checksum_errors);
            return None;
        }
        let Ok(parsed) = Message::parse(message.data(), total) else {
            count(&mut self.icmp_stats.in_errors);
            return None;
        };
        let report = match (parsed.kind(), parsed.quote()) {
            (Kind::EchoRequest(_), _) => {
                count(&mut self.icmp_stats.in_echos);
                self.echo(now, received);
                return None;
            }
            // RFC 5927 §7: nobody can check a redirect, and a host with one gateway needs none.
            (Kind::Other { kind: 5, .. }, _) => {
                count(&mut self.icmp_stats.in_redirects);
                return None;
            }
            (Kind::DestinationUnreachable(why), Some(quote)) => unreachable(why, quote),
            (Kind::TimeExceeded(_), Some(quote)) => {
                Report::Known(IcmpErrorKind::TimeExceeded, quote)
            }
            // RFC 1122 §3.2.2.5: to be passed on, whatever it is that is wrong.
            (Kind::ParameterProblem { .. }, Some(quote)) => {
                Report::Known(IcmpErrorKind::ParameterProblem, quote)
            }
            // RFC 6633 (source quench), RFC 6918 (timestamps, address masks and others).
            _ => {
                count(&mut self.icmp_stats.in_ignored);
                return None;
            }
        };
        let input = match report {
            Report::Known(kind, quote) => self.about_own_packet(kind, quote, &received),
            Report::BadQuote => None,
        };
        count(match &input {
            None => &mut self.icmp_stats.in_bad_quotes,
            Some(Input::TcpError(error) | Input::UdpError(error)) => match error.kind {
                IcmpErrorKind::TimeExceeded => &mut self.icmp_stats.in_time_exceeded,
                IcmpErrorKind::ParameterProblem => &mut self.icmp_stats.in_parameter_problems,
                _ => &mut self.icmp_stats.in_unreachable,
            },
            Some(_) => &mut self.icmp_stats.in_unreachable, // none other: not reached
        });
        input
    }

    /// RFC 1122 §3.2.2, RFC 5927 §4: an error counts if it quotes what this host can have sent,
    /// from the address the error was sent to.
    fn about_own_packet(
        &mut self,
        kind: IcmpErrorKind,
        quote: &[u8],
        received: &Received,
    ) -> Option<Input> {
        let packet = ipv4::Packet::parse_quoted(quote).ok()?;
        let ours = packet.src() == received.dst && received.to == Destination::Unicast;
        if !ours || packet.fragment_offset() != 0 {
            return None;
        }
        // RFC 792: at least 64 bits of the data, where both transports have their ports.
        let [a, b, c, d, e, f, g, h] = *packet.first_payload().first_chunk()?;
        let port = |high, low| u16::from_be_bytes([high, low]);
        let [icmp_type, code] = *received.payload.data().first_chunk()?;
        let mut error = IcmpError {
            kind,
            local: SocketAddrV4::new(packet.src(), port(a, b)),
            remote: SocketAddrV4::new(packet.dst(), port(c, d)),
            offender: received.src,
            icmp_type,
            code,
            quoted_seq: None,
        };
        match packet.protocol() {
            Protocol::TCP => {
                error.quoted_seq = Some(SeqNum(u32::from_be_bytes([e, f, g, h])));
                Some(Input::TcpError(error))
            }
            Protocol::UDP => Some(Input::UdpError(error)),
            protocol => {
                // Told here, to the endpoint itself.
                error.local.set_port(0);
                error.remote.set_port(0);
                self.raw_error(protocol, &error);
                None
            }
        }
    }

    /// RFC 1122 §3.2.2.6: answers an echo request with everything in it.
    fn echo(&mut self, now: Instant, received: Received) {
        // RFC 1122 §3.2.2.6: answers to broadcasts are how floods are made.
        if received.to != Destination::Unicast {
            count(&mut self.icmp_stats.in_group_echos);
            return;
        }
        if !self.echo_bucket.take(now, 1) {
            count(&mut self.icmp_stats.out_rate_limited);
            return;
        }
        let sent = self.send_echo_reply(now, received);
        count(match sent {
            Ok(()) => &mut self.icmp_stats.out_echo_replies,
            Err(_) => &mut self.icmp_stats.out_errors,
        });
    }

    fn send_echo_reply(&mut self, now: Instant, received: Received) -> Result<(), Error> {
        let (src, dst, tos) = (received.dst, received.src, received.tos);
        let mut message = received.payload;
        let route = self.route(dst, Some(src))?;
        if message.data_mut().is_none() {
            // Somebody else views the buffer: the header is written anew, the data stays there.
            let mut header = self.transport_header(HEADER_LEN)?;
            message.copy_to(0, header.data_mut().unwrap_or_default());
            message.advance(HEADER_LEN);
            message = message.prepend(header);
        }
        let header = message.data_mut().ok_or(Error::NoMemory)?;
        reply_in_place(header).map_err(|_| Error::NoMemory)?;
        if route.tx_checksums.icmpv4 {
            icmpv4::set_checksum(header, 0).map_err(|_| Error::NoMemory)?;
        }
        let out = Outgoing {
            src,
            dst,
            protocol: Protocol::ICMP,
            ttl: self.ttl(),
            // RFC 1122 §3.2.2.6 says nothing, RFC 1349 §5.1: the same service; ECN is not echoed.
            tos: tos & !3,
            fragmentation: Fragmentation::Allowed,
        };
        self.send(now, &route, &out, message)
    }
}

/// Sets the checksum of a message whose checksum field is zero.
pub(super) fn complete(message: &mut Pbuf) -> Result<(), Error> {
    let value = sum(message).finish();
    let header = message.data_mut().ok_or(Error::NoMemory)?;
    icmpv4::set_checksum(header, value).map_err(|_| Error::NoMemory)
}

fn sum(message: &Pbuf) -> Checksum {
    let mut sum = Checksum::new();
    message.parts().for_each(|part| sum.add(part));
    sum
}

/// What a transport makes of a "destination unreachable".
fn unreachable(why: Unreachable, quote: &[u8]) -> Report<'_> {
    let kind = match why {
        Unreachable::Port => IcmpErrorKind::PortUnreachable,
        Unreachable::Protocol => IcmpErrorKind::ProtocolUnreachable,
        Unreachable::FragmentationNeeded { mtu } => {
            let quoted = ipv4::Packet::parse_quoted(quote);
            let sent = quoted.map_or(0, |packet| packet.total_len());
            let mtu = match mtu {
                0 => plateau_below(sent),
                mtu => mtu,
            };
            // RFC 1191 §3, RFC 5927 §7.2: no link carries less, and what fitted was not too long.
            if mtu < MIN_MTU || usize::from(mtu) >= sent {
                return Report::BadQuote;
            }
            IcmpErrorKind::FragmentationNeeded { mtu }
        }
        _ => IcmpErrorKind::Unreachable,
    };
    Report::Known(kind, quote)
}

/// RFC 1191 §5: the next size to try after one that was too long.
fn plateau_below(sent: usize) -> u16 {
    let fits = |plateau: &&u16| usize::from(**plateau) < sent;
    PLATEAUS.iter().find(fits).copied().unwrap_or(MIN_MTU)
}
