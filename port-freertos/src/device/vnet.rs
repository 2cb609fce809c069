//! The header before each frame of a TAP device with offloads: Linux's `struct virtio_net_hdr`
//! (`linux/virtio_net.h`), in the byte order of the host. It says which checksum is still to be
//! filled in, and into which segments a large one is to be cut.
use core::net::Ipv4Addr;

use gannet_core::Pbuf;
use gannet_core::wire::checksum::Checksum;
use gannet_core::wire::ipv4::{Packet, Protocol};
use gannet_core::wire::{ethernet, tcp};

/// Bytes of the header.
pub(super) const LEN: usize = 10;

/// `VIRTIO_NET_HDR_F_NEEDS_CSUM`: the checksum field holds the sum of the pseudo-header only.
const NEEDS_CHECKSUM: u8 = 1;
/// `VIRTIO_NET_HDR_F_DATA_VALID`: the checksum was verified.
const VERIFIED: u8 = 2;
/// `VIRTIO_NET_HDR_GSO_TCPV4`: a large TCP segment.
const LARGE_TCP: u8 = 1;
/// Where the checksum is in the TCP header.
const CHECKSUM_AT: usize = 16;

/// Where in a frame the TCP segment is.
struct Place {
    at: usize,
    header_len: usize,
    src: Ipv4Addr,
    dst: Ipv4Addr,
    /// Bytes of the segment.
    len: u16,
}

/// The header of `frame`, which the kernel is to cut into segments of `mss` bytes if that is given.
/// Into the checksum field of a TCP segment goes what the kernel expects there. `None`: its headers
/// are not in one writable part.
pub(super) fn header_for(frame: &mut Pbuf, mss: Option<u16>) -> Option<[u8; LEN]> {
    let mut header = [0; LEN];
    let Some(place) = tcp_in(frame) else {
        return Some(header);
    };
    let mut sum = Checksum::new();
    sum.pseudo_header(place.src, place.dst, Protocol::TCP, place.len);
    // Not complemented: a sum to which the kernel adds the segment's.
    let partial = !sum.finish();
    let field_at = place.at + CHECKSUM_AT;
    let field = frame.data_mut()?.get_mut(field_at..field_at + 2)?;
    field.copy_from_slice(&partial.to_be_bytes());
    let headers = place.at + place.header_len;
    if let Some(mss) = mss {
        header[1] = LARGE_TCP;
        header[2..4].copy_from_slice(&u16::try_from(headers).ok()?.to_ne_bytes());
        header[4..6].copy_from_slice(&mss.to_ne_bytes());
    }
    header[0] = NEEDS_CHECKSUM;
    header[6..8].copy_from_slice(&u16::try_from(place.at).ok()?.to_ne_bytes());
    header[8..10].copy_from_slice(&(CHECKSUM_AT as u16).to_ne_bytes());
    Some(header)
}

/// Whether the kernel vouches for the data of the frame behind `header`.
pub(super) fn is_vouched_for(header: &[u8; LEN]) -> bool {
    header[0] & (NEEDS_CHECKSUM | VERIFIED) != 0
}

/// Whether the checksum of the TCP segment or UDP datagram in `frame` is right. What else a frame
/// may hold is not looked at here: the stack does that itself.
pub(super) fn checksum_is_right(frame: &Pbuf) -> bool {
    let Some((packet, at)) = packet_in(frame) else {
        return true;
    };
    let checked = matches!(packet.protocol(), Protocol::TCP | Protocol::UDP);
    // Of a fragment no device can tell.
    if !checked || packet.is_fragment() {
        return true;
    }
    let Ok(len) = u16::try_from(packet.payload_len()) else {
        return true;
    };
    let payload = packet.first_payload();
    if packet.protocol() == Protocol::UDP && payload.get(6..8) == Some(&[0, 0]) {
        return true; // RFC 768: without a checksum
    }
    let mut sum = Checksum::new();
    sum.pseudo_header(packet.src(), packet.dst(), packet.protocol(), len);
    let (mut skip, mut left) = (at + packet.header_len(), usize::from(len));
    for part in frame.parts() {
        let part = part.get(skip.min(part.len())..).unwrap_or_default();
        skip = skip.saturating_sub(part.len());
        let part = &part[..left.min(part.len())];
        left -= part.len();
        sum.add(part);
    }
    sum.is_valid()
}

fn tcp_in(frame: &Pbuf) -> Option<Place> {
    let (packet, at) = packet_in(frame)?;
    if packet.protocol() != Protocol::TCP || packet.is_fragment() {
        return None;
    }
    let total = packet.payload_len();
    let segment = tcp::Segment::parse(packet.first_payload(), total).ok()?;
    Some(Place {
        at: at + packet.header_len(),
        header_len: segment.header_len(),
        src: packet.src(),
        dst: packet.dst(),
        len: u16::try_from(total).ok()?,
    })
}

/// The IPv4 packet in `frame`, and where it starts.
fn packet_in(frame: &Pbuf) -> Option<(Packet<'_>, usize)> {
    let (link, rest) = ethernet::parse(frame.data()).ok()?;
    if link.ethertype() != ethernet::EtherType::IPV4 {
        return None;
    }
    let total = frame.tot_len().checked_sub(ethernet::HEADER_LEN)?;
    Some((Packet::parse(rest, total).ok()?, ethernet::HEADER_LEN))
}
