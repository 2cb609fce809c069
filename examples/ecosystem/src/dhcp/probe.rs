//! Whether another host has an address that was lent: ARP probes over a packet socket (RFC 5227).
use core::net::Ipv4Addr;

use embassy_time::{Duration, Instant, with_deadline};
use gannet_core::HwAddr;
use gannet_sockets::asynch::PacketSocket;
use gannet_sockets::packet::{EtherType, Filter};
use gannet_sockets::{Error, Net, NetifId};

/// RFC 5227 §1.1: so many probes, so far apart (one to two seconds: here one), and so long after the
/// last one. The random pause before the first is left out: DHCP's answers have spread the hosts.
const PROBES: u32 = 3;
const INTERVAL: Duration = Duration::from_secs(1);
const AFTER: Duration = Duration::from_secs(2);

/// Octets of a frame with an ARP packet for IPv4 over Ethernet.
const FRAME: usize = 42;

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
fn probe(HwAddr(own): HwAddr, addr: Ipv4Addr) -> [u8; FRAME] {
    let mut frame = [0; FRAME];
    for (at, field) in [
        (0, &[0xff; 6][..]),
        (6, &own),
        (12, &[0x08, 0x06]),
        // Ethernet, IPv4, lengths of their addresses, a request.
        (14, &[0, 1, 8, 0, 6, 4, 0, 1]),
        (22, &own),
        (38, &addr.octets()),
    ] {
        if let Some(place) = frame.get_mut(at..at + field.len()) {
            place.copy_from_slice(field);
        }
    }
    frame
}

/// Who claims `addr` with this frame: it sends from it, or probes it as well (RFC 5227 §2.1.1).
fn claims(frame: &[u8], addr: Ipv4Addr) -> Option<HwAddr> {
    let address = |at| {
        let octets: [u8; 4] = frame.get(at..at + 4)?.try_into().ok()?;
        Some(Ipv4Addr::from(octets))
    };
    let (sender, target) = (address(28)?, address(38)?);
    let is_claim = sender == addr || (sender.is_unspecified() && target == addr);
    let hw = frame.get(22..28)?.try_into().ok()?;
    is_claim.then_some(HwAddr(hw))
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
