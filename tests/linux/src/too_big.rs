//! What a router says of a packet that does not fit: ICMP "fragmentation needed" (RFC 1191 §4).
use gannet_core::wire::ethernet::{self, EtherType};
use gannet_core::wire::icmpv4::{Kind, Unreachable};
use gannet_core::wire::ipv4::{self, Protocol};
use gannet_tests::frames;

/// The answer to the Ethernet frame `frame` if it holds an IP packet of more than `mtu` bytes.
/// `Err`: it fits, or is no IP packet. `Ok(None)`: to be dropped in silence.
pub(crate) fn answer(frame: &[u8], mtu: usize) -> Result<Option<Vec<u8>>, Fits> {
    let (header, bytes) = ethernet::parse(frame).map_err(|_| Fits)?;
    if header.ethertype() != EtherType::IPV4 || bytes.len() <= mtu {
        return Err(Fits);
    }
    let packet = ipv4::Packet::parse(bytes, bytes.len()).map_err(|_| Fits)?;
    if packet.total_len() <= mtu {
        return Err(Fits);
    }
    if !packet.dont_fragment() {
        return Ok(None);
    }
    // RFC 792: the header and 64 bits of the payload come back.
    let quoted = bytes.get(..packet.header_len() + 8).unwrap_or(bytes);
    let next = u16::try_from(mtu).unwrap_or(u16::MAX);
    let message = frames::icmp(
        Kind::DestinationUnreachable(Unreachable::FragmentationNeeded { mtu: next }),
        quoted,
    );
    // In the name of the destination: the middle has no address of its own.
    let packet = frames::Packet::new(packet.dst(), packet.src(), Protocol::ICMP, message);
    Ok(Some(frames::frame(
        header.src(),
        header.dst(),
        EtherType::IPV4,
        &packet.bytes(),
    )))
}

/// Nothing is to be done about the frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Fits;
