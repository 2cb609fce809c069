//! The segments of a burst: what they have in common is found out once. Their headers of link and
//! IP are those of the connection's `Head`; all headers go in front of the data where it is, if
//! there is room, else into a block of their own.
use core::net::Ipv4Addr;

use crate::error::Error;
use crate::ip::{Fragmentation, Head, Ip};
use crate::pbuf::{Chain, Pbuf};
use crate::wire::checksum::Checksum;
use crate::wire::ipv4::{Ecn, Mark, Protocol};
use crate::wire::tcp::{Fields, Flags, HEADER_LEN};
use crate::wire::tcp_options::MAX_LEN;

use super::input::Context;
use super::output::Plan;
use super::pcb::Pcb;
use super::segment::{Emit, Service};

/// What is the same in all segments of a burst.
#[derive(Debug)]
pub(super) struct Series {
    /// But for the number and the flags.
    pub(super) fields: Fields,
    /// As on the wire.
    options: [u8; MAX_LEN],
    options_len: usize,
    service: Service,
    ends: (Ipv4Addr, Ipv4Addr),
    /// Over addresses, protocol and options.
    sum: Checksum,
}

/// Where the data of a segment is in the queue.
#[derive(Clone, Copy, Debug)]
pub(super) struct Place {
    pub(super) offset: usize,
    pub(super) len: usize,
}

impl Pcb {
    /// What segments sent now have in common. The window is chosen with this.
    pub(super) fn series(&mut self, cx: &Context<'_>) -> Series {
        let window = self.rcv.advertise(self.effective_mss());
        let ends = (*self.local.ip(), *self.remote.ip());
        let mut options = [0; MAX_LEN];
        let options_len = self.write_options(cx.runs, cx.now, &mut options);
        let mut sum = Checksum::new();
        sum.pseudo_header(ends.0, ends.1, Protocol::TCP, 0);
        sum.add_header(options.get(..options_len).unwrap_or_default());
        Series {
            fields: Fields {
                src_port: self.local.port(),
                dst_port: self.remote.port(),
                seq: self.snd.nxt,
                ack: Some(self.rcv.nxt),
                flags: Flags::NONE,
                window,
            },
            options,
            options_len,
            service: self.settings.service(cx.config),
            ends,
            sum,
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
        let (ecn_flags, ecn) = self.ecn_of(plan);
        let place = match plan.len {
            0 => Place { offset: 0, len: 0 },
            len => Place {
                offset: plan.seq.since(self.snd.queue_start()) as usize,
                len: len as usize,
            },
        };
        let fields = Fields {
            seq: plan.seq,
            flags: plan.flags | ecn_flags,
            ..series.fields
        };
        // Without a head, or too long for the link, which is an error: IP's long way.
        if self.head.fits(series.header_len() + place.len) {
            self.transmit_headed(series, ip, &fields, ecn, place)?;
        } else {
            self.transmit_alone(series, ip, cx, &fields, ecn, place)?;
        }
        Ok(ecn_flags)
    }

    /// Hands the segment with the data at `place` to IP; it fits the head.
    #[inline]
    pub(super) fn transmit_headed(
        &mut self,
        series: &Series,
        ip: &mut Ip,
        fields: &Fields,
        ecn: Ecn,
        place: Place,
    ) -> Result<(), Error> {
        let packet = series.packet(ip, &self.head, fields, ecn, &mut self.snd.queue, place)?;
        ip.send_headed(&self.head, packet, series.frame_len(&self.head, place.len))
    }

    /// As [`Pcb::transmit_in`], of new data that the device cuts into segments of `mss` bytes.
    pub(super) fn transmit_cut(
        &mut self,
        series: &Series,
        ip: &mut Ip,
        plan: &Plan,
        mss: u32,
    ) -> Result<Flags, Error> {
        let (ecn_flags, ecn) = self.ecn_of(plan);
        let place = Place {
            offset: plan.seq.since(self.snd.queue_start()) as usize,
            len: plan.len as usize,
        };
        let fields = Fields {
            seq: plan.seq,
            flags: plan.flags | ecn_flags,
            ..series.fields
        };
        let packet = series.packet(ip, &self.head, &fields, ecn, &mut self.snd.queue, place)?;
        let len = series.frame_len(&self.head, place.len);
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
        fields: &Fields,
        ecn: Ecn,
        Place { offset, len }: Place,
    ) -> Result<(), Error> {
        let payload = match len {
            0 => None,
            _ => Some(self.snd.queue.slice(offset, len)?),
        };
        let emit = Emit {
            local: self.local,
            remote: self.remote,
            seq: fields.seq,
            ack: fields.ack,
            flags: fields.flags,
            window: fields.window,
            options: &self.options(cx.runs, cx.now),
            service: Service {
                tos: series.service.tos | ecn.bits(),
                ..series.service
            },
        };
        let route = ip.route(*self.remote.ip(), Some(*self.local.ip()))?;
        emit.send(ip, cx.now, &route, payload)
    }
}

impl Series {
    /// Bytes of the TCP header with its options.
    fn header_len(&self) -> usize {
        HEADER_LEN + self.options_len
    }

    /// Whether the segments have selective acknowledgements: the next is to have others.
    pub(super) fn has_blocks(&self) -> bool {
        // Timestamps are 12 bytes.
        self.options_len > 12
    }

    /// Bytes of a frame with `len` bytes of data.
    fn frame_len(&self, head: &Head, len: usize) -> usize {
        head.len() + self.header_len() + len
    }

    /// The packet with the data at a place of `queue`, all headers in front.
    #[inline]
    fn packet(
        &self,
        ip: &mut Ip,
        head: &Head,
        fields: &Fields,
        ecn: Ecn,
        queue: &mut Chain,
        Place { offset, len }: Place,
    ) -> Result<Pbuf, Error> {
        let mark = self.mark(ip, ecn);
        let front = head.len() + self.header_len();
        let by_device = head.tx_checksums.tcp;
        // The segment fits the path's MTU or the device's room for large ones: 16 bits.
        let segment_len = (self.header_len() + len) as u16;
        let write = |room: &mut [u8], payload: Option<Checksum>| {
            let header = head.write(room, segment_len, mark)?;
            let (fixed, options) = header.split_first_chunk_mut()?;
            if self.options_len > 0 {
                // As long as they are.
                for (to, from) in options.iter_mut().zip(&self.options) {
                    *to = *from;
                }
            }
            let sum = payload.map(|payload| {
                let mut sum = payload.behind();
                sum.add_sum(self.sum);
                sum.add_u16(segment_len);
                sum
            });
            fields.write(fixed, self.header_len(), sum);
            Some(())
        };
        let in_place = queue.slice_headed(offset, len, front, |room, bytes| {
            // There is so much room.
            let _ = write(room, sum_of([bytes], by_device));
        });
        match in_place {
            Some(packet) => Ok(packet),
            None => {
                let mut header = Pbuf::alloc(ip.header_pool, 0, front)?;
                let payload = match len {
                    0 => None,
                    _ => Some(queue.slice(offset, len)?),
                };
                let sum = sum_of(payload.iter().flat_map(Pbuf::parts), by_device);
                let room = header.data_mut().ok_or(Error::NoMemory)?;
                write(room, sum).ok_or(Error::NoMemory)?;
                if let Some(payload) = payload {
                    header.cat(payload);
                }
                Ok(header)
            }
        }
    }

    fn mark(&self, ip: &mut Ip, ecn: Ecn) -> Mark {
        let fragmentation: Fragmentation = self.service.fragmentation;
        let (local, remote) = self.ends;
        Mark {
            ecn,
            ..ip.mark(fragmentation, (local, remote, Protocol::TCP))
        }
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
