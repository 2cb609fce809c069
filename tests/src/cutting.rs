//! What a device does that computes TCP's checksum and cuts large segments (TSO), in software.
use gannet_core::wire::checksum::{Checksum, checksum};
use gannet_core::wire::ethernet::HEADER_LEN as LINK;
use gannet_core::wire::ipv4::{Packet, Protocol};
use gannet_core::wire::tcp::Segment;

const FIN: u8 = 0x01;
const PSH: u8 = 0x08;

/// The frames of at most `mss` bytes of data each that are made of `frame`, an Ethernet frame with a
/// TCP segment.
///
/// # Panics
/// It is none.
pub fn cut(frame: &[u8], mss: usize) -> Vec<Vec<u8>> {
    let packet = Packet::parse(&frame[LINK..], frame.len() - LINK).expect("an IPv4 packet");
    assert_eq!(packet.protocol(), Protocol::TCP, "a TCP segment");
    let tcp = LINK + packet.header_len();
    let segment = Segment::parse(packet.first_payload(), packet.payload_len());
    let segment = segment.expect("a TCP segment");
    let (headers, data) = frame.split_at(tcp + segment.header_len());
    let pieces: Vec<&[u8]> = match data.is_empty() {
        true => vec![data],
        false => data.chunks(mss).collect(),
    };
    let last = pieces.len() - 1;
    let pieces = pieces.iter().enumerate();
    pieces
        .map(|(n, piece)| {
            let mut bytes = [headers, piece].concat();
            let total = (bytes.len() - LINK) as u16;
            bytes[LINK + 2..][..2].copy_from_slice(&total.to_be_bytes());
            add(&mut bytes[LINK + 4..][..2], n as u16);
            let seq = segment.seq() + (n * mss) as u32;
            bytes[tcp + 4..][..4].copy_from_slice(&seq.0.to_be_bytes());
            if n < last {
                bytes[tcp + 13] &= !(FIN | PSH);
            }
            fill_in(&mut bytes);
            bytes
        })
        .collect()
}

/// Computes the checksums of IP and, if there is one, of the TCP segment.
pub fn fill_in(frame: &mut [u8]) {
    let Ok(packet) = Packet::parse(&frame[LINK..], frame.len() - LINK) else {
        return;
    };
    let (src, dst, protocol) = (packet.src(), packet.dst(), packet.protocol());
    let (header_len, fragment) = (packet.header_len(), packet.is_fragment());
    let header = &mut frame[LINK..][..header_len];
    header[10..12].fill(0);
    let sum = checksum(header);
    header[10..12].copy_from_slice(&sum.to_be_bytes());
    let segment = &mut frame[LINK + header_len..];
    if protocol == Protocol::TCP && !fragment && segment.len() >= 20 {
        segment[16..18].fill(0);
        let mut sum = Checksum::new();
        sum.pseudo_header(src, dst, protocol, segment.len() as u16);
        sum.add(segment);
        segment[16..18].copy_from_slice(&sum.finish().to_be_bytes());
    }
}

fn add(field: &mut [u8], n: u16) {
    let value = u16::from_be_bytes([field[0], field[1]]).wrapping_add(n);
    field.copy_from_slice(&value.to_be_bytes());
}
