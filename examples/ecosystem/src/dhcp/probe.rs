//! Whether another host has an address that was lent: ARP probes over a packet socket (RFC 5227).
use core::net::Ipv4Addr;

use embassy_time::{Duration, Instant, with_deadline};
use gannet_core::HwAddr;
use gannet_core::wire::{arp, ethernet};
use gannet_sockets::asynch::PacketSocket;
use gannet_sockets::packet::{EtherType, Filter};
use gannet_sockets::{Error, Net, NetifId};

/// RFC 5227 §1.1: so many probes, so far apart (one to two seconds: here one), and so long after the
/// last one. The random pause before the first is left out: DHCP's answers have spread the hosts.
const PROBES: u32 = 3;
const INTERVAL: Duration = Duration::from_secs(1);
const AFTER: Duration = Duration::from_secs(2);

/// Octets of a frame with an ARP packet for IPv4 over Ethernet.
const FRAME: usize = ethernet::HEADER_LEN + arp::HEADER_LEN;

/// The host that has `addr` or wants it as well, if one makes itself heard.
///
/// # Errors
/// Out of endpoints.
pub(super) async fn owner(
    net: &'static Net,
    netif: NetifId,
    own: HwAddr,
    addr: Ipv4Addr,
) -> Result<Option<HwAddr>, Error> {
    let socket = PacketSocket::new_on(net, Filter::EtherType(EtherType::ARP), Some(netif))?;
    for n in 1..=PROBES {
        // What can't leave now is sent again.
        let _ = socket.send(&probe(own, addr), netif).await;
        let until = Instant::now() + if n < PROBES { INTERVAL } else { AFTER };
        let mut frame = [0; FRAME];
        while let Ok(received) = with_deadline(until, socket.recv(&mut frame)).await {
            let len = received?.len;
            let claims = frame.get(..len).and_then(|frame| claims(frame, addr));
            if let Some(other) = claims.filter(|other| *other != own) {
                return Ok(Some(other));
            }
        }
    }
    Ok(None)
}

/// RFC 5227 §2.1.1: who has `addr`? The sender's own is left open, so that nobody learns it.
fn probe(own: HwAddr, addr: Ipv4Addr) -> [u8; FRAME] {
    let link = ethernet::Header::new(HwAddr::BROADCAST, own, EtherType::ARP);
    let who_has = arp::Packet {
        operation: arp::Operation::Request,
        sender_hw: own,
        sender_ip: Ipv4Addr::UNSPECIFIED,
        target_hw: HwAddr([0; 6]),
        target_ip: addr,
    };
    let mut frame = [0; FRAME];
    let (header, packet) = frame.split_at_mut(ethernet::HEADER_LEN);
    // There is room for both.
    let _ = link.emit(header);
    let _ = who_has.emit(packet);
    frame
}

/// Who claims `addr` with this frame: it sends from it, or probes it as well (RFC 5227 §2.1.1).
fn claims(frame: &[u8], addr: Ipv4Addr) -> Option<HwAddr> {
    let (_, packet) = ethernet::parse(frame).ok()?;
    let packet = arp::Packet::parse(packet).ok()?;
    let probes = packet.sender_ip.is_unspecified() && packet.target_ip == addr;
    (packet.sender_ip == addr || probes).then_some(packet.sender_hw)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn claims_are_seen() {
        let (hw, addr) = (HwAddr([2, 0, 0, 0, 0, 9]), Ipv4Addr::new(10, 0, 0, 9));
        let frame = probe(hw, addr);
        assert_eq!(claims(&frame, addr), Some(hw));
        assert_eq!(claims(&frame, Ipv4Addr::new(10, 0, 0, 8)), None);
        let mut answer = frame;
        answer[28..32].copy_from_slice(&addr.octets());
        answer[38..42].copy_from_slice(&[10, 0, 0, 1]);
        assert_eq!(claims(&answer, addr), Some(hw));
        // Somebody asks for a host, and is not it.
        answer[28..32].copy_from_slice(&[10, 0, 0, 1]);
        answer[38..42].copy_from_slice(&addr.octets());
        assert_eq!(claims(&answer, addr), None);
        assert_eq!(claims(&frame[..40], addr), None);
    }
}
