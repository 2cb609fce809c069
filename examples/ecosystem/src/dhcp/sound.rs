//! What is kept from `edge-raw` 0.8 and `edge-dhcp` 0.8, which would panic on it or lose the rest of a
//! message: a board on a network of others must not fall over a malformed packet.
use edge_nal::{MacAddr, RawReceive, RawSend};
use embedded_io_async::ErrorType;
use gannet_core::wire::{ipv4, udp};

/// Where options begin: behind the fields of BOOTP and the cookie (RFC 2131 §2, §3).
const OPTIONS: usize = 240;
/// RFC 2132 §3.1, §3.2.
const PAD: u8 = 0;
const END: u8 = 255;
/// Options with lists of addresses.
const ROUTERS: u8 = 3;
const NAME_SERVERS: u8 = 6;

/// Receives only IPv4 packets with a whole UDP datagram in them, cut to what is theirs.
///
/// `edge-raw` panics on a datagram that says it is shorter than its header, and on a packet that is
/// longer than its buffer.
#[derive(Debug)]
pub(super) struct Sound<S>(pub(super) S);

impl<S: ErrorType> ErrorType for Sound<S> {
    type Error = S::Error;
}

impl<S: RawReceive> RawReceive for Sound<S> {
    async fn receive(&mut self, buffer: &mut [u8]) -> Result<(usize, MacAddr), S::Error> {
        loop {
            let (len, from) = self.0.receive(buffer).await?;
            if let Some(len) = buffer.get(..len).and_then(udp_packet) {
                return Ok((len, from));
            }
        }
    }
}

impl<S: RawSend> RawSend for Sound<S> {
    async fn send(&mut self, addr: MacAddr, data: &[u8]) -> Result<(), S::Error> {
        self.0.send(addr, data).await
    }
}

/// The length of the IPv4 packet at the begin of `data`, if it carries one whole UDP datagram.
fn udp_packet(data: &[u8]) -> Option<usize> {
    let packet = ipv4::Packet::parse(data, data.len()).ok()?;
    let is_udp = packet.protocol() == ipv4::Protocol::UDP && !packet.is_fragment();
    let datagram = udp::Datagram::parse(packet.first_payload(), packet.payload_len());
    (is_udp && datagram.is_ok()).then_some(packet.total_len())
}

/// Takes padding and malformed lists of addresses out of the options of a DHCP message; the length of
/// what is left. `None`: it is no message, or its options do not end.
///
/// `edge-dhcp` takes padding for an option, and panics on a list that is no multiple of four.
pub(super) fn tidy_options(message: &mut [u8]) -> Option<usize> {
    let (mut from, mut to) = (OPTIONS, OPTIONS);
    loop {
        let code = *message.get(from)?;
        match code {
            PAD => {
                from += 1;
                continue;
            }
            END => {
                *message.get_mut(to)? = END;
                return Some(to + 1);
            }
            _ => {}
        }
        let len = usize::from(*message.get(from + 1)?);
        let end = from + 2 + len;
        if end > message.len() {
            return None;
        }
        let is_list = matches!(code, ROUTERS | NAME_SERVERS);
        if !is_list || (len > 0 && len % 4 == 0) {
            message.copy_within(from..end, to);
            to += end - from;
        }
        from = end;
    }
}

#[cfg(test)]
mod tests {
    use super::{END, OPTIONS, tidy_options, udp_packet};

    fn message(options: &[u8]) -> Vec<u8> {
        [&[7; OPTIONS], options].concat()
    }

    #[test]
    fn options_are_tidied() {
        for (given, left) in [
            (&[END][..], Some(&[END][..])),
            (&[0, 0, 53, 1, 2, 0, END, 9, 9], Some(&[53, 1, 2, END])),
            // A list of five octets, and an empty one.
            (
                &[3, 5, 1, 2, 3, 4, 5, 53, 1, 2, END],
                Some(&[53, 1, 2, END]),
            ),
            (
                &[6, 0, 6, 4, 1, 2, 3, 4, END],
                Some(&[6, 4, 1, 2, 3, 4, END]),
            ),
            // Without an end, cut off in the length or in the value.
            (&[53, 1, 2], None),
            (&[53], None),
            (&[53, 200, 2, END], None),
            (&[], None),
        ] {
            let mut message = message(given);
            let len = tidy_options(&mut message);
            assert_eq!(len.map(|len| &message[OPTIONS..len]), left, "{given:?}");
        }
        assert_eq!(tidy_options(&mut [0; 10]), None);
    }

    #[test]
    fn only_whole_datagrams_are_let_through() {
        let mut packet = [0u8; 40];
        packet[0] = 0x45;
        packet[3] = 32;
        packet[9] = 17;
        packet[23] = 68;
        packet[25] = 12;
        // Behind it is padding of Ethernet's.
        assert_eq!(udp_packet(&packet), Some(32));
        for (at, wrong) in [
            (0, 0x65), // version
            (0, 0x44), // a header that is too short
            (0, 0x4f), // and one that is too long
            (3, 41),   // more than there is
            (6, 0x20), // a fragment
            (7, 1),
            (9, 6),
            (25, 7), // shorter than its header
            (25, 13),
        ] {
            let mut packet = packet;
            packet[at] = wrong;
            assert_eq!(udp_packet(&packet), None, "{at}: {wrong}");
        }
        for len in 0..32 {
            assert_eq!(udp_packet(&packet[..len]), None, "{len}");
        }
    }
}
