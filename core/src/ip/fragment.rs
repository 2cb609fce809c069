//! Packets longer than the MTU, in pieces (RFC 791 §3.2): each a header and a view of the data,
//! which is not copied.
use crate::error::Error;
use crate::pbuf::Pbuf;
use crate::time::Instant;
use crate::wire::checksum::Checksum;
use crate::wire::ipv4::{Ecn, Fragmentation, HEADER_LEN, Mark, Protocol};

use super::stats::count;
use super::{Ip, Outgoing, Route};

impl Ip {
    /// Sends a packet of at most [`MAX_PAYLOAD`](crate::wire::ipv4::MAX_PAYLOAD) bytes in
    /// fragments. If one cannot be sent the rest isn't either: the whole is lost then anyway.
    pub(super) fn send_fragments(
        &mut self,
        now: Instant,
        route: &Route,
        out: &Outgoing,
        ident: u16,
        mut packet: Pbuf,
    ) -> Result<(), Error> {
        complete_checksum(route, out, &mut packet)?;
        let total = packet.tot_len();
        // RFC 791 §3.2: all but the last carry a multiple of 8 bytes. An MTU has at least 68.
        let room = usize::from(route.mtu).saturating_sub(HEADER_LEN) / 8 * 8;
        let pieces = total.div_ceil(room.max(8));
        // Two descriptors a piece at least; rather nothing than some.
        if self.header_pool.available() < pieces {
            return Err(Error::NoMemory);
        }
        let mut offset = 0;
        while offset < total {
            let len = room.max(8).min(total - offset);
            let piece = packet.slice(offset, len)?;
            let at = u16::try_from(offset).map_err(|_| Error::TooLong)?;
            let place = if offset + len < total {
                Fragmentation::Part { offset: at }
            } else {
                Fragmentation::LastPart { offset: at }
            };
            let mark = Mark::new(ident, place, Ecn::NotEct);
            let len = u16::try_from(len).map_err(|_| Error::TooLong)?;
            self.send_whole(now, route, out, mark, piece, len)?;
            count(&mut self.stats.fragments_created);
            offset += usize::from(len);
        }
        count(&mut self.stats.fragmented);
        Ok(())
    }
}

/// Computes the transport's checksum if the device was to do it: it cannot over fragments.
fn complete_checksum(route: &Route, out: &Outgoing, packet: &mut Pbuf) -> Result<(), Error> {
    let offloaded = route.tx_checksums;
    let (at, pseudo_header) = match out.protocol {
        Protocol::UDP if offloaded.udp => (6, true),
        Protocol::ICMP if offloaded.icmpv4 => (2, false),
        _ => return Ok(()),
    };
    let mut sum = Checksum::new();
    if pseudo_header {
        let len = u16::try_from(packet.tot_len()).map_err(|_| Error::TooLong)?;
        sum.pseudo_header(out.src, out.dst, out.protocol, len);
    }
    // The field itself is zero.
    packet.parts().for_each(|part| sum.add(part));
    let value = match out.protocol {
        Protocol::UDP => sum.finish_udp(),
        _ => sum.finish(),
    };
    let header = packet.data_mut().ok_or(Error::NoMemory)?;
    let field = header.get_mut(at..at + 2).ok_or(Error::NoMemory)?;
    field.copy_from_slice(&value.to_be_bytes());
    Ok(())
}
