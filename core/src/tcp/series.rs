//! The segments of a burst: what they have in common is found out once. Their headers of link and
//! IP are those of the connection's `Head`; all headers go in front of the data where it is, if
//! there is room, else into a block of their own.
use core::net::Ipv4Addr;

use crate::error::Error;
use crate::ip::{Fragmentation, Head, Ip};
use crate::pbuf::{Chain, Pbuf};
use crate::wire::checksum::Checksum;
use crate::wire::ipv4::{Ecn, Mark, Protocol};
use crate::wire::tcp::{Fields, Flags, HEADER_LEN, SeqNum, Template};
use crate::wire::tcp_options::MAX_LEN;

use super::input::Context;
use super::output::Plan;
use super::pcb::Pcb;
use super::segment::{Emit, Service};

/// What is the same in all segments of a burst.
#[derive(Debug)]
pub(super) struct Series {
    header: Template,
    /// Bytes of the header with its options.
    header_len: usize,
    /// As on the wire, so many bytes of them; `None`: the segments have no options.
    options: Option<[u8; MAX_LEN]>,
    fragmentation: Fragmentation,
    ends: (Ipv4Addr, Ipv4Addr),
}

/// What is different in each.
#[derive(Clone, Copy, Debug)]
pub(super) struct Piece {
    pub(super) seq: SeqNum,
    /// Besides ACK.
    pub(super) flags: Flags,
    pub(super) ecn: Ecn,
    /// Where the data is in the queue.
    pub(super) offset: usize,
    pub(super) len: usize,
}

impl Pcb {
    /// What segments sent now have in common. The window is chosen with this.
    #[inline]
    pub(super) fn series(&mut self, cx: &Context<'_>) -> Series {
        let window = self.rcv.advertise(self.effective_mss());
        let ends = (*self.local.ip(), *self.remote.ip());
        let mut sum = Checksum::new();
        sum.pseudo_header(ends.0, ends.1, Protocol::TCP, 0);
        let mut header_len = HEADER_LEN;
        let options = self.has_options().then(|| {
            let mut options = [0; MAX_LEN];
            let len = self.write_options(cx.runs, cx.now, &mut options);
            sum.add_header(options.get(..len).unwrap_or_default());
            header_len += len;
            options
        });
        let fields = Fields {
            src_port: self.local.port(),
            dst_port: self.remote.port(),
            seq: self.snd.nxt,
            ack: Some(self.rcv.nxt),
            flags: Flags::NONE,
            window,
        };
        Series {
            header: fields.template(header_len, sum),
            header_len,
            options,
            fragmentation: self.settings.service(cx.config).fragmentation,
            ends,
        }
    }

    /// Hands the segment of `plan` to IP; returns the flags it has for ECN's sake.
    #[inline]
    pub(super) fn transmit_in(
        &mut self,
        series: &Series,
        ip: &mut Ip,
        cx: &Context<'_>,
        plan: &Plan,
    ) -> Result<Flags, Error> {
        let (ecn_flags, piece) = self.piece(plan);
        // Without a head, or too long for the link, which is an error: IP's long way.
        if self.head.fits(series.header_len + piece.len) {
            self.transmit_headed(series, ip, piece)?;
        } else {
            self.transmit_alone(series, ip, cx, piece)?;
        }
        Ok(ecn_flags)
    }

    /// The segment of `plan`, and the flags it has for ECN's sake.
    #[inline]
    fn piece(&self, plan: &Plan) -> (Flags, Piece) {
        let (ecn_flags, ecn) = self.ecn_of(plan);
        let offset = match plan.len {
            0 => 0,
            _ => plan.seq.since(self.snd.queue_start()) as usize,
        };
        let piece = Piece {
            seq: plan.seq,
            flags: plan.flags | ecn_flags,
            ecn,
            offset,
            len: plan.len as usize,
        };
        (ecn_flags, piece)
    }

    /// Hands a segment to IP that fits the head.
    #[inline]
    pub(super) fn transmit_headed(
        &mut self,
        series: &Series,
        ip: &mut Ip,
        piece: Piece,
    ) -> Result<(), Error> {
        let packet = series.packet(ip, &self.head, piece, &mut self.snd.queue)?;
        ip.send_headed(&self.head, packet, series.frame_len(&self.head, piece.len))
    }

    /// As [`Pcb::transmit_in`], of new data that the device cuts into segments of `mss` bytes.
    pub(super) fn transmit_cut(
        &mut self,
        series: &Series,
        ip: &mut Ip,
        plan: &Plan,
        mss: u32,
    ) -> Result<Flags, Error> {
        let (ecn_flags, piece) = self.piece(plan);
        let packet = series.packet(ip, &self.head, piece, &mut self.snd.queue)?;
        let len = series.frame_len(&self.head, piece.len);
        // Not more than a packet.
        ip.send_large(&self.head, packet, len, mss as u16)?;
        Ok(ecn_flags)
    }

    #[inline(never)]
    fn transmit_alone(
        &mut self,
        series: &Series,
        ip: &mut Ip,
        cx: &Context<'_>,
        piece: Piece,
    ) -> Result<(), Error> {
        let payload = match piece.len {
            0 => None,
            len => Some(self.snd.queue.slice(piece.offset, len)?),
        };
        let service = self.settings.service(cx.config);
        let emit = Emit {
            local: self.local,
            remote: self.remote,
            seq: piece.seq,
            ack: Some(self.rcv.nxt),
            flags: piece.flags,
            window: series.header.window(),
            options: &self.options(cx.runs, cx.now),
            service: Service {
                tos: service.tos | piece.ecn.bits(),
                ..service
            },
        };
        let route = ip.route(*self.remote.ip(), Some(*self.local.ip()))?;
        emit.send(ip, cx.now, &route, payload)
    }
}

impl Series {
    /// Whether the segments have selective acknowledgements: the next is to have others.
    pub(super) fn has_blocks(&self) -> bool {
        // Timestamps are 12 bytes.
        self.header_len > HEADER_LEN + 12
    }

    /// Bytes of a frame with `len` bytes of data.
    fn frame_len(&self, head: &Head, len: usize) -> usize {
        head.len() + self.header_len + len
    }

    /// The packet of `piece`, whose data is in `queue`, all headers in front.
    #[inline]
    fn packet(
        &self,
        ip: &mut Ip,
        head: &Head,
        piece: Piece,
        queue: &mut Chain,
    ) -> Result<Pbuf, Error> {
        let mark = self.mark(ip).with_ecn(piece.ecn);
        let front = head.len() + self.header_len;
        let in_place = queue.slice_headed(piece.offset, piece.len, front, |room, bytes| {
            let sum = sum_of([bytes], head.tx_checksums.tcp);
            // There is so much room.
            let _ = self.write(room, head, mark, piece, sum);
        });
        match in_place {
            Some(packet) => Ok(packet),
            None => {
                let mut header = Pbuf::alloc(ip.header_pool, 0, front)?;
                let payload = match piece.len {
                    0 => None,
                    len => Some(queue.slice(piece.offset, len)?),
                };
                let sum = match &payload {
                    None => sum_of([], head.tx_checksums.tcp),
                    Some(payload) => sum_of(payload.parts(), head.tx_checksums.tcp),
                };
                let room = header.data_mut().ok_or(Error::NoMemory)?;
                self.write(room, head, mark, piece, sum)
                    .ok_or(Error::NoMemory)?;
                if let Some(payload) = payload {
                    header.cat(payload);
                }
                Ok(header)
            }
        }
    }

    /// Writes all headers to `room`. `sum` is that over the data; `None`: the device computes it.
    // As a function it would spend as much on its arguments as on half of its work.
    #[inline(always)]
    fn write(
        &self,
        room: &mut [u8],
        head: &Head,
        mark: Mark,
        piece: Piece,
        sum: Option<Checksum>,
    ) -> Option<()> {
        // The segment fits the path's MTU or the device's room for large ones: 16 bits.
        let segment_len = (self.header_len + piece.len) as u16;
        let header = head.write(room, segment_len, mark)?;
        let (fixed, options) = header.split_first_chunk_mut()?;
        if let Some(bytes) = &self.options {
            // As long as they are.
            for (to, from) in options.iter_mut().zip(bytes) {
                *to = *from;
            }
        }
        let sum = sum.map(|payload| {
            let mut sum = payload.behind();
            sum.add_sum(Checksum::of_words([segment_len.to_be()]));
            sum
        });
        self.header.write(fixed, piece.seq, piece.flags, sum);
        Some(())
    }

    fn mark(&self, ip: &mut Ip) -> Mark {
        let (local, remote) = self.ends;
        ip.mark(self.fragmentation, (local, remote, Protocol::TCP))
    }
}

/// The sum over data, unless the device computes it.
fn sum_of<'a>(parts: impl IntoIterator<Item = &'a [u8]>, by_device: bool) -> Option<Checksum> {
    if by_device {
        return None;
    }
    let mut sum = Checksum::new();
    parts.into_iter().for_each(|part| sum.add(part));
    Some(sum)
}
