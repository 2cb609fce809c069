//! A received segment, parsed; and the building of segments to send.
use core::net::{Ipv4Addr, SocketAddrV4};
use core::num::NonZeroU8;

use crate::error::Error;
use crate::ip::{Fragmentation, Head, Ip, Outgoing, Received, Route};
use crate::pbuf::Pbuf;
use crate::time::Instant;
use crate::wire::NoRoom;
use crate::wire::checksum::Checksum;
use crate::wire::ipv4::Protocol;
use crate::wire::tcp::{Fields, Flags, HEADER_LEN, Segment, SeqNum, set_checksum};
use crate::wire::tcp_options::Options;

use super::demux::Pair;
use super::headline::is_intact;

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
    /// The data, until somebody takes it; may be shorter than it was when trimmed to the window.
    pub(crate) payload: Option<Pbuf>,
    pub(crate) len: u32,
    /// The IP header's type of service, with the congestion marks.
    pub(crate) tos: u8,
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
        let envelope = received.envelope();
        let Received {
            src,
            dst,
            tos,
            mut payload,
            ..
        } = received;
        let (first, total) = (payload.data(), payload.tot_len());
        let segment = Segment::parse(first, total).map_err(|_| Unfit::Malformed)?;
        if !is_intact(&envelope, total, first, &payload) {
            return Err(Unfit::Checksum);
        }
        let local = SocketAddrV4::new(dst, segment.dst_port());
        let remote = SocketAddrV4::new(src, segment.src_port());
        let (seq, ack, flags) = (segment.seq(), segment.ack(), segment.flags());
        let (window, options) = (segment.window(), segment.options());
        let (header_len, len) = (segment.header_len(), segment.payload_len());
        // A segment whose options lie about their lengths was not made by a TCP.
        // A part that held headers only is freed: the data may be queued for long.
        if options.malformed || payload.advance(header_len) != header_len {
            return Err(Unfit::Malformed);
        }
        Ok(Self {
            local,
            remote,
            seq,
            ack,
            flags,
            window,
            options,
            payload: Some(payload),
            len: u32::try_from(len).map_err(|_| Unfit::Malformed)?,
            tos,
        })
    }

    pub(crate) fn pair(&self) -> Pair {
        Pair::of(self.local, self.remote)
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

    /// The number behind the segment.
    pub(crate) fn seq_end(&self) -> SeqNum {
        self.seq + self.seg_len()
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
        if let Some(payload) = &mut self.payload {
            payload.advance(cut as usize);
        }
        self.len -= cut;
        self.seq = start;
    }

    /// Cuts what lies at or behind `end` off, and says whether that was anything. A FIN behind
    /// cut data goes too: it would end a stream whose last bytes are missing.
    pub(crate) fn trim_back(&mut self, end: SeqNum) -> bool {
        let behind = (self.seq + self.len).after(end);
        if behind {
            self.len = end.since(self.seq).min(self.len);
            if let Some(payload) = &mut self.payload {
                payload.truncate(self.len as usize);
            }
            self.flags = self.flags.without(Flags::FIN);
        }
        behind
    }
}

/// How IP is to treat a segment.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Service {
    pub(crate) tos: u8,
    /// `None`: the stack's.
    pub(crate) ttl: Option<NonZeroU8>,
    pub(crate) fragmentation: Fragmentation,
}

impl Service {
    /// For segments that belong to no connection: small, and nothing special.
    pub(crate) const DEFAULT: Self = Self {
        tos: 0,
        ttl: None,
        fragmentation: Fragmentation::Forbidden,
    };

    pub(crate) fn outgoing(&self, ip: &Ip, src: Ipv4Addr, dst: Ipv4Addr) -> Outgoing {
        Outgoing {
            src,
            dst,
            protocol: Protocol::TCP,
            ttl: self.ttl.map_or(ip.ttl(), NonZeroU8::get),
            tos: self.tos,
            fragmentation: self.fragmentation,
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
    pub(crate) service: Service,
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
        let out = self.outgoing(ip);
        let len = self.header_len();
        if payload.is_none() {
            let head = ip.head_to_send(now, route, &out)?;
            if head.fits(len) {
                return self.send_headed(ip, &head, len);
            }
        }
        let mut packet = ip.transport_header(len).map_err(|_| Error::NoMemory)?;
        let header = packet.data_mut().ok_or(Error::NoMemory)?;
        self.fields()
            .emit(self.options, header)
            .map_err(|_| Error::NoMemory)?;
        if let Some(payload) = payload {
            packet.cat(payload);
        }
        if !route.tx_checksums.tcp {
            let total = packet.tot_len();
            let checksum = sum(out.src, out.dst, &packet, total).finish();
            let header = packet.data_mut().ok_or(Error::NoMemory)?;
            set_checksum(header, checksum).map_err(|_| Error::NoMemory)?;
        }
        ip.send(now, route, &out, packet)
    }

    /// As [`Emit::send`], without data: behind `head`, of this flow and service, if that is still
    /// current.
    pub(crate) fn send_behind(&self, ip: &mut Ip, now: Instant, head: &Head) -> Result<(), Error> {
        let len = self.header_len();
        if head.is_current(ip.generation(now)) && head.fits(len) {
            return self.send_headed(ip, head, len);
        }
        let route = ip.route(*self.remote.ip(), Some(*self.local.ip()))?;
        self.send(ip, now, &route, None)
    }

    fn send_headed(&self, ip: &mut Ip, head: &Head, len: usize) -> Result<(), Error> {
        let (src, dst) = (*self.local.ip(), *self.remote.ip());
        let mark = ip.mark(self.service.fragmentation, (src, dst, Protocol::TCP));
        ip.send_header(head, mark, len, |room| {
            let (header, options) = room.split_first_chunk_mut().ok_or(NoRoom)?;
            if len > HEADER_LEN {
                self.options.emit(options)?;
            }
            let mut sum = Checksum::new();
            // At most 60 bytes.
            sum.pseudo_header(src, dst, Protocol::TCP, len as u16);
            sum.add_header(options);
            let payload = (!head.tx_checksums.tcp).then(Checksum::new);
            let template = self.fields().template(len, sum);
            template.write(header, self.seq, Flags::NONE, payload);
            Ok(())
        })
    }

    fn outgoing(&self, ip: &Ip) -> Outgoing {
        self.service
            .outgoing(ip, *self.local.ip(), *self.remote.ip())
    }

    fn header_len(&self) -> usize {
        HEADER_LEN + self.options.len()
    }

    fn fields(&self) -> Fields {
        Fields {
            src_port: self.local.port(),
            dst_port: self.remote.port(),
            seq: self.seq,
            ack: self.ack,
            flags: self.flags,
            window: self.window,
        }
    }
}

/// The sum over pseudo header and segment.
#[inline(never)]
fn sum(src: Ipv4Addr, dst: Ipv4Addr, segment: &Pbuf, len: usize) -> Checksum {
    let mut sum = Checksum::new();
    // An IPv4 payload always fits 16 bits.
    sum.pseudo_header(
        src,
        dst,
        Protocol::TCP,
        u16::try_from(len).unwrap_or(u16::MAX),
    );
    for part in segment.parts() {
        sum.add(part);
    }
    sum
}
