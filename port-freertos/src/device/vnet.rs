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

/// Largest headers of link, IP and TCP.
const MAX_HEADERS: usize = 14 + 60 + 60;
/// Room that [`write_front`] may need.
pub(super) const MAX_FRONT: usize = LEN + MAX_HEADERS;

/// Writes to `front` what is to be in front of `frame`, which the kernel is to cut into segments of
/// `mss` bytes if that is given. Returns how many bytes of the frame it replaces, which are behind
/// the first [`LEN`]: the headers of a TCP segment, with what the kernel expects in the checksum
/// field. The frame's own block may be one that others view, too.
pub(super) fn write_front(frame: &Pbuf, mss: Option<u16>, front: &mut [u8; MAX_FRONT]) -> usize {
    let (vnet, copy) = front.split_at_mut(LEN);
    vnet.fill(0);
    let Some(place) = tcp_in(frame) else {
        return 0;
    };
    let mut sum = Checksum::new();
    sum.pseudo_header(place.src, place.dst, Protocol::TCP, place.len);
    // Not complemented: a sum to which the kernel adds the segment's.
    let partial = !sum.finish();
    // At most `MAX_HEADERS`, and in the frame's first part: it was parsed there.
    let headers = place.at + place.header_len;
    vnet[0] = NEEDS_CHECKSUM;
    if let Some(mss) = mss {
        vnet[1] = LARGE_TCP;
        vnet[2..4].copy_from_slice(&(headers as u16).to_ne_bytes());
        vnet[4..6].copy_from_slice(&mss.to_ne_bytes());
    }
    vnet[6..8].copy_from_slice(&(place.at as u16).to_ne_bytes());
    vnet[8..10].copy_from_slice(&(CHECKSUM_AT as u16).to_ne_bytes());
    copy[..headers].copy_from_slice(&frame.data()[..headers]);
    copy[place.at + CHECKSUM_AT..][..2].copy_from_slice(&partial.to_be_bytes());
    headers
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
