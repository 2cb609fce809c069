//! A received segment, parsed; and the building of segments to send.
use core::net::{Ipv4Addr, SocketAddrV4};

use crate::ip::{ChecksumState, Fragmentation, Ip, Outgoing, Received, Route};
use crate::error::Error;
use crate::pbuf::Pbuf;
use crate::time::Instant;
use crate::wire::checksum::Checksum;
use crate::wire::ipv4::Protocol;
use crate::wire::tcp::{Flags, HEADER_LEN, Header, Segment, SeqNum};
use crate::wire::tcp_options::Options;

/// A received segment whose structure and checksum are right.
#[derive(Debug)]
pub(crate) struct Arrived {
    pub(crate) local: SocketAddrV4,
    pub(crate) remote: SocketAddrV4,
    pub(crate) seq: SeqNum,
    /// Present with the ACK flag.
    pub(crate) ack: Option<SeqNum>,
    pub(crate) flags: Flags,
    /// As on the wire, not scaled.
    pub(crate) window: u16,
    pub(crate) options: Options,
    /// The data; may be shorter than it was when trimmed to the window.
    pub(crate) payload: Pbuf,
    pub(crate) len: u32,
}

/// Why a packet is not a segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Unfit {
    Malformed,
    Checksum,
}

impl Arrived {
    /// Parses and verifies the TCP segment in `received`.
    pub(crate) fn parse(received: Received) -> Result<Self, Unfit> {
        let Received { src, dst, checksum, mut payload, .. } = received;
        let total = payload.tot_len();
        let (header_len, mut arrived) = {
            let segment =
                Segment::parse(payload.data(), total).map_err(|_| Unfit::Malformed)?;
            if checksum == ChecksumState::ToVerify && sum(src, dst, &payload, total) != 0 {
                return Err(Unfit::Checksum);
            }
            let options = Options::parse(segment.options());
            // A segment whose options lie about their lengths was not made by a TCP.
            if options.malformed {
                return Err(Unfit::Malformed);
            }
            let header_len = segment.header_len();
            let arrived = (
                SocketAddrV4::new(dst, segment.dst_port()),
                SocketAddrV4::new(src, segment.src_port()),
                segment.seq(),
                segment.ack(),
                segment.flags(),
                segment.window(),
                options,
            );
            (header_len, arrived)
        };
        let len = total.checked_sub(header_len).ok_or(Unfit::Malformed)?;
        if !payload.remove_header(header_len) {
            return Err(Unfit::Malformed);
        }
        let (local, remote, seq, ack, flags, window, ref mut options) = arrived;
        Ok(Self {
            local,
            remote,
            seq,
            ack,
            flags,
            window,
            options: core::mem::take(options),
            payload,
            len: u32::try_from(len).map_err(|_| Unfit::Malformed)?,
        })
    }

    pub(crate) fn syn(&self) -> bool {
        self.flags.contains(Flags::SYN)
    }

    pub(crate) fn fin(&self) -> bool {
        self.flags.contains(Flags::FIN)
    }

    pub(crate) fn rst(&self) -> bool {
        self.flags.contains(Flags::RST)
    }

    /// SEG.LEN: data plus one for each of SYN and FIN (RFC 9293 §3.3.1).
    pub(crate) fn seg_len(&self) -> u32 {
        self.len + u32::from(self.syn()) + u32::from(self.fin())
    }

    /// Cuts what lies before `start` off the front. SYN goes with it.
    pub(crate) fn trim_front(&mut self, start: SeqNum) {
        if !self.seq.before(start) {
            return;
        }
        let mut cut = start.since(self.seq);
        if self.syn() {
            self.flags = self.flags.without(Flags::SYN);
            cut -= 1;
        }
        let cut = cut.min(self.len);
        self.payload.advance(cut as usize);
        self.len -= cut;
        self.seq = start;
    }

    /// Cuts what lies at or behind `end` off. A FIN there goes too: it would end a stream whose
    /// last bytes are missing.
    pub(crate) fn trim_back(&mut self, end: SeqNum) {
        let data_end = self.seq + self.len;
        if data_end.after(end) {
            self.len = end.since(self.seq).min(self.len);
            self.payload.truncate(self.len as usize);
            self.flags = self.flags.without(Flags::FIN);
        } else if self.fin() && data_end == end {
            // The FIN itself would be the first octet beyond the window.
            self.flags = self.flags.without(Flags::FIN);
        }
    }
}

/// The fields of a segment to send.
#[derive(Clone, Debug)]
pub(crate) struct Emit<'a> {
    pub(crate) local: SocketAddrV4,
    pub(crate) remote: SocketAddrV4,
    pub(crate) seq: SeqNum,
    pub(crate) ack: Option<SeqNum>,
    pub(crate) flags: Flags,
    pub(crate) window: u16,
    pub(crate) options: &'a Options,
    pub(crate) tos: u8,
}

impl Emit<'_> {
    /// Builds the segment around `payload` and hands it to IP.
    pub(crate) fn send(
        &self,
        ip: &mut Ip,
        now: Instant,
        route: &Route,
        payload: Option<Pbuf>,
    ) -> Result<(), Error> {
        let options_len = self.options.encoded_len();
        let header_len = HEADER_LEN + options_len;
        let mut packet = ip.transport_header(header_len).map_err(|_| Error::NoMemory)?;
        let bytes = packet.data_mut().ok_or(Error::NoMemory)?;
        let (fixed, rest) = bytes.split_at_mut_checked(HEADER_LEN).ok_or(Error::NoMemory)?;
        let header = Header::emit(fixed).ok_or(Error::NoMemory)?;
        header.src_port = self.local.port().into();
        header.dst_port = self.remote.port().into();
        header.seq = self.seq.0.into();
        header.ack = self.ack.map_or(0, |ack| ack.0).into();
        header.window = self.window.into();
        header.checksum = 0.into();
        header.urgent = 0.into();
        let flags = if self.ack.is_some() { self.flags | Flags::ACK } else { self.flags };
        header.set(flags, options_len);
        self.options.emit(rest);
        if let Some(payload) = payload {
            packet.cat(payload);
        }
        if !route.tx_checksums.tcp {
            let total = packet.tot_len();
            let checksum = sum(*self.local.ip(), *self.remote.ip(), &packet, total);
            let fixed = packet.data_mut().and_then(|bytes| bytes.get_mut(..HEADER_LEN));
            if let Some(header) = fixed.and_then(Header::emit) {
                header.checksum = checksum.into();
            }
        }
        let out = Outgoing {
            src: *self.local.ip(),
            dst: *self.remote.ip(),
            protocol: Protocol::TCP,
            ttl: ip.ttl(),
            tos: self.tos,
            fragmentation: Fragmentation::Forbidden,
        };
        ip.send(now, route, &out, packet)
    }
}

/// The complemented sum over pseudo header and segment: zero when a received one is right, the
/// field's value when the field was zero.
fn sum(src: Ipv4Addr, dst: Ipv4Addr, segment: &Pbuf, len: usize) -> u16 {
    let mut sum = Checksum::new();
    // An IPv4 payload always fits 16 bits.
    sum.pseudo_header(src, dst, Protocol::TCP, u16::try_from(len).unwrap_or(u16::MAX));
    for part in segment.parts() {
        sum.add(part);
    }
    sum.finish()
}
