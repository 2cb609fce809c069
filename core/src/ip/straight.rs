//! The straight way in, of what is nearly all traffic: TCP and UDP for this host alone, in an
//! Ethernet frame, whole, without IP options. Whatever takes it would pass [`Ip::input`] unchanged;
//! everything else, and the reasons to drop a packet, are left to that.
//!
//! Frames come in trains. What is true of all frames between two neighbours is found out with the
//! first; of those that follow only the same bytes are compared.
use core::net::Ipv4Addr;

use zerocopy::network_endian::U16;
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

use crate::netif::driver::Medium;
use crate::netif::{Admin, NetifId};
use crate::pbuf::Pbuf;
use crate::wire::checksum::Checksum;
use crate::wire::ethernet::{self, EtherType};
use crate::wire::ipv4::{self, Protocol};

use super::input::transport_header;
use super::stats::count;
use super::{ChecksumState, Destination, Envelope, Ip, Received};

/// The headers of Ethernet and IPv4 in a frame: by what is alike in those of one peer.
#[derive(Clone, Copy, Debug, FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned)]
#[repr(C)]
struct Headers {
    /// The link's header, version, header length, and type of service.
    front: [u8; 16],
    total_len: U16,
    ident: U16,
    flags_offset: U16,
    ttl: u8,
    protocol: u8,
    checksum: U16,
    /// Source and destination.
    addresses: [u8; 8],
}

/// Where the transport's header starts.
const HEADERS_LEN: usize = ethernet::HEADER_LEN + ipv4::HEADER_LEN;
const _: () = assert!(size_of::<Headers>() == HEADERS_LEN);

/// Version 4, five words of header.
const NO_OPTIONS: u8 = 0x45;
/// Reserved, and "don't fragment": what a whole packet may have set.
const OF_WHOLE: u16 = 0xc000;

/// What was found out about the last frame that took the straight way, and which frames it is true
/// of, too. To be forgotten whenever interfaces, addresses or observers change.
#[derive(Clone, Copy, Debug)]
pub(super) struct Familiar {
    netif: NetifId,
    front: [u8; 16],
    protocol: u8,
    addresses: [u8; 8],
    /// Over what is always the same of the IP header; `None`: the device has verified the sum.
    sum: Option<Checksum>,
    envelope: Envelope,
}

impl Familiar {
    /// There was no such frame, and none is like it: version 0 is not IPv4's.
    pub(super) const NONE: Self = Self {
        netif: NetifId::LOOPBACK,
        front: [0; 16],
        protocol: 0,
        addresses: [0; 8],
        sum: None,
        envelope: Envelope {
            src: Ipv4Addr::UNSPECIFIED,
            dst: Ipv4Addr::UNSPECIFIED,
            tos: 0,
            checksum: ChecksumState::ToVerify,
            start: HEADERS_LEN as u8,
        },
    };

    #[inline]
    fn covers(&self, netif: NetifId, headers: &Headers) -> bool {
        // As a number: Arm compares arrays by a call.
        u128::from_ne_bytes(self.front) == u128::from_ne_bytes(headers.front)
            && self.addresses == headers.addresses
            && self.protocol == headers.protocol
            && self.netif == netif
    }

    /// Whether the checksum of a header that this covers is right.
    #[inline]
    fn is_intact(&self, headers: &Headers) -> bool {
        let Some(mut sum) = self.sum else {
            return true;
        };
        let [a, b] = headers.total_len.to_bytes();
        let [c, d] = headers.ident.to_bytes();
        let [e, f] = headers.flags_offset.to_bytes();
        let [g, h] = headers.checksum.to_bytes();
        sum.add_words([
            u32::from_ne_bytes([a, b, c, d]),
            u32::from_ne_bytes([e, f, headers.ttl, headers.protocol]),
            u32::from_ne_bytes([g, h, 0, 0]),
        ]);
        sum.is_valid()
    }
}

/// A packet that takes the straight way. Whose it is says the last [`Familiar`].
#[derive(Clone, Copy, Debug)]
pub(crate) struct Straight {
    /// Bytes of the transport's packet.
    pub(crate) len: usize,
    ttl: u8,
    padding: Padding,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Padding {
    None,
    Some,
}

impl Straight {
    /// Takes off what follows the packet.
    #[inline]
    pub(crate) fn trim(self, frame: &mut Pbuf) {
        // RFC 894: short packets are padded to the smallest frame.
        if self.padding == Padding::Some {
            frame.truncate(HEADERS_LEN + self.len);
        }
    }

    /// Length in bytes of the header of TCP in the frame, as far as the first part says.
    pub(crate) fn tcp_header_len(self, frame: &Pbuf) -> usize {
        let transport = frame.data().get(HEADERS_LEN..).unwrap_or_default();
        transport_header(Protocol::TCP, transport).min(self.len)
    }
}

impl Ip {
    /// Whether `frame`, of `arrived` bytes, may take the straight way, and what the first part has
    /// of the transport's packet.
    #[inline]
    pub(crate) fn straight<'a>(
        &mut self,
        id: NetifId,
        frame: &'a Pbuf,
        arrived: usize,
    ) -> Option<(Straight, &'a [u8])> {
        let (headers, rest) = frame.data().split_first_chunk::<HEADERS_LEN>()?;
        let headers: &Headers = zerocopy::transmute_ref!(headers);
        if !self.familiar.covers(id, headers) && !self.meet(id, headers) {
            return None;
        }
        let len = usize::from(headers.total_len.get()).checked_sub(ipv4::HEADER_LEN)?;
        let arrived = arrived.checked_sub(HEADERS_LEN)?;
        let whole = headers.flags_offset.get() & !OF_WHOLE == 0;
        if len > arrived || !whole || !self.familiar.is_intact(headers) {
            return None;
        }
        let transport = rest.get(..len.min(rest.len()))?;
        let straight = Straight {
            len,
            ttl: headers.ttl,
            padding: match arrived == len {
                true => Padding::None,
                false => Padding::Some,
            },
        };
        Some((straight, transport))
    }

    /// Finds out about frames with such headers; `true` if they may take the straight way.
    #[inline(never)]
    fn meet(&mut self, id: NetifId, headers: &Headers) -> bool {
        let familiar = self.acquaint(id, headers);
        // What was known stays known: frames of others pass between.
        self.familiar = familiar.unwrap_or(self.familiar);
        familiar.is_some()
    }

    fn acquaint(&self, id: NetifId, headers: &Headers) -> Option<Familiar> {
        if self.observed {
            return None;
        }
        // Loopback has no slot.
        let netif = self.netifs.at(id)?;
        let Medium::Ethernet(own) = netif.capabilities.medium else {
            return None;
        };
        let (link, rest) = ethernet::parse(&headers.front).ok()?;
        let &[version, tos] = rest else { return None };
        let for_us = link.dst() == own && link.ethertype() == EtherType::IPV4;
        if !for_us || link.src().is_group() || netif.admin == Admin::Down || version != NO_OPTIONS {
            return None;
        }
        let [a, b, c, d, e, f, g, h] = headers.addresses;
        let (src, dst) = (Ipv4Addr::new(a, b, c, d), Ipv4Addr::new(e, f, g, h));
        if dst != netif.subnet?.addr() || self.is_martian(src, dst) {
            return None;
        }
        let verified = netif.capabilities.rx_checksums;
        let of_transport = match Protocol(headers.protocol) {
            Protocol::TCP => verified.tcp,
            Protocol::UDP => verified.udp,
            _ => return None,
        };
        let mut sum = Checksum::new();
        sum.add(rest);
        sum.add(&headers.addresses);
        Some(Familiar {
            netif: id,
            front: headers.front,
            protocol: headers.protocol,
            addresses: headers.addresses,
            sum: (!verified.ipv4).then_some(sum),
            envelope: Envelope {
                src,
                dst,
                tos,
                checksum: match of_transport {
                    true => ChecksumState::Verified,
                    false => ChecksumState::ToVerify,
                },
                start: HEADERS_LEN as u8,
            },
        })
    }

    /// Of the packet that took the straight way last.
    #[inline]
    pub(crate) fn protocol(&self) -> Protocol {
        Protocol(self.familiar.protocol)
    }

    /// What its headers say about the transport's packet.
    #[inline]
    pub(crate) fn envelope(&self) -> &Envelope {
        &self.familiar.envelope
    }

    /// It is delivered.
    #[inline]
    pub(crate) fn count_straight(&mut self) {
        count(&mut self.stats.in_receives);
        count(&mut self.stats.in_delivers);
    }

    /// Takes the headers off it, from a frame without padding. The transport's header, which has
    /// `header_len` bytes, is in the first part then. `None`, and counted, if there was no buffer
    /// for that. What is known of the transport's checksum says `checksum`.
    #[inline]
    pub(crate) fn open(
        &mut self,
        straight: Straight,
        frame: Pbuf,
        header_len: usize,
        checksum: ChecksumState,
    ) -> Option<Received> {
        let wanted = HEADERS_LEN + header_len;
        let Some(mut payload) = self.contiguous(frame, wanted) else {
            count(&mut self.stats.in_receives);
            count(&mut self.stats.in_discards);
            return None;
        };
        if !payload.remove_header(HEADERS_LEN) {
            return None; // both headers are in the first part: not reached
        }
        self.count_straight();
        let Familiar {
            netif, envelope, ..
        } = self.familiar;
        Some(Received {
            netif,
            src: envelope.src,
            dst: envelope.dst,
            to: Destination::Unicast,
            tos: envelope.tos,
            ttl: straight.ttl,
            checksum,
            header_len: ipv4::HEADER_LEN as u8,
            payload,
        })
    }
}
