//! temporary
#![allow(dead_code, missing_docs, unused)]
use crate::wire::ipv4::Protocol;
use crate::wire::tcp::SeqNum;
use crate::*;
use core::net::*;
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NetifId(pub u8);
#[derive(Debug)]
pub struct IpStorage {}
#[derive(Debug, Clone, Copy)]
pub struct Subnet(Ipv4Addr, u8);
impl Subnet {
    pub fn new(a: Ipv4Addr, p: u8) -> Option<Self> {
        Some(Self(a, p))
    }
}
pub(crate) struct Ip {
    d: Option<&'static mut dyn Driver>,
    pool: &'static Pool,
    a: Ipv4Addr,
}
impl core::fmt::Debug for Ip {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        Ok(())
    }
}
impl Stack {
    pub fn add_netif(
        &mut self,
        d: &'static mut dyn Driver,
        s: Option<Subnet>,
    ) -> Result<NetifId, Error> {
        self.ip.d = Some(d);
        self.ip.a = s.unwrap().0;
        Ok(NetifId(0))
    }
}

#[derive(Clone, Copy, Debug)]
pub(crate) struct Route {
    pub(crate) netif: NetifId,
    pub(crate) src: Ipv4Addr,
    pub(crate) next_hop: Ipv4Addr,
    pub(crate) mtu: u16,
    pub(crate) tx_checksums: Checksums,
}
#[derive(Clone, Copy, Debug)]
pub(crate) enum Fragmentation {
    Allowed,
    Forbidden,
}
pub(crate) struct Outgoing {
    pub(crate) src: Ipv4Addr,
    pub(crate) dst: Ipv4Addr,
    pub(crate) protocol: Protocol,
    pub(crate) ttl: u8,
    pub(crate) tos: u8,
    pub(crate) fragmentation: Fragmentation,
}
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Destination {
    Unicast,
    Broadcast,
    Multicast,
}
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ChecksumState {
    ToVerify,
    Verified,
}
pub(crate) struct Received {
    pub(crate) netif: NetifId,
    pub(crate) src: Ipv4Addr,
    pub(crate) dst: Ipv4Addr,
    pub(crate) to: Destination,
    pub(crate) tos: u8,
    pub(crate) checksum: ChecksumState,
    pub(crate) payload: Pbuf,
}
pub(crate) enum IcmpErrorKind {
    PortUnreachable,
    ProtocolUnreachable,
    Unreachable,
    FragmentationNeeded { mtu: u16 },
    TimeExceeded,
}
pub(crate) struct IcmpError {
    pub(crate) kind: IcmpErrorKind,
    pub(crate) local: SocketAddrV4,
    pub(crate) remote: SocketAddrV4,
    pub(crate) quoted_seq: Option<SeqNum>,
}
pub(crate) enum Input {
    Tcp(Received),
    Udp(Received),
    TcpError(IcmpError),
    UdpError(IcmpError),
}
impl Ip {
    pub(crate) fn new(
        storage: IpStorage,
        header_pool: &'static Pool,
        config: crate::config::IpConfig,
        entropy: Entropy<'_>,
    ) -> Self {
        Self {
            d: None,
            pool: header_pool,
            a: Ipv4Addr::UNSPECIFIED,
        }
    }
    pub(crate) fn route(&self, dst: Ipv4Addr, src: Option<Ipv4Addr>) -> Result<Route, Error> {
        Ok(Route {
            netif: NetifId(0),
            src: self.a,
            next_hop: dst,
            mtu: 1500,
            tx_checksums: Checksums::NONE,
        })
    }
    pub(crate) fn is_own(&self, addr: Ipv4Addr) -> bool {
        self.a == addr
    }
    pub(crate) fn is_broadcast(&self, addr: Ipv4Addr) -> bool {
        addr.is_broadcast()
    }
    pub(crate) fn transport_header(&self, len: usize) -> Result<Pbuf, NoBufs> {
        Pbuf::alloc(self.pool, 34, len)
    }
    pub(crate) fn can_transmit(&mut self, netif: NetifId) -> bool {
        self.d.as_mut().unwrap().can_transmit()
    }
    pub(crate) fn ttl(&self) -> u8 {
        64
    }
    pub(crate) fn send(
        &mut self,
        now: Instant,
        route: &Route,
        out: &Outgoing,
        mut packet: Pbuf,
    ) -> Result<(), Error> {
        let n = packet.tot_len();
        let h = packet.add_header(20).unwrap();
        h[0] = 0x45;
        h[1] = out.tos;
        if matches!(out.fragmentation, Fragmentation::Forbidden) {
            h[6] = 0x40;
        }
        h[2..4].copy_from_slice(&((n + 20) as u16).to_be_bytes());
        h[8] = out.ttl;
        h[9] = out.protocol.0;
        h[12..16].copy_from_slice(&out.src.octets());
        h[16..20].copy_from_slice(&out.dst.octets());
        let c = crate::wire::checksum::checksum(h);
        h[10..12].copy_from_slice(&c.to_be_bytes());
        self.d
            .as_mut()
            .unwrap()
            .transmit(packet)
            .map_err(|_| Error::NoMemory)
    }
    pub(crate) fn drain(&mut self) -> Option<(NetifId, Pbuf)> {
        Some((NetifId(0), self.d.as_mut()?.receive()?))
    }
    pub(crate) fn has_input(&self) -> bool {
        false
    }
    pub(crate) fn input(&mut self, now: Instant, netif: NetifId, mut frame: Pbuf) -> Option<Input> {
        let (src, dst, n, tos, total) = {
            let p = crate::wire::ipv4::Packet::parse(frame.data(), frame.tot_len()).ok()?;
            if p.protocol() == Protocol::ICMP {
                use crate::wire::icmpv4::{Kind, Message, Unreachable};
                let icmp = Message::parse(p.first_payload(), p.payload_len()).ok()?;
                let Kind::DestinationUnreachable(why) = icmp.kind() else {
                    return None;
                };
                let kind = match why {
                    Unreachable::Port => IcmpErrorKind::PortUnreachable,
                    Unreachable::Protocol => IcmpErrorKind::ProtocolUnreachable,
                    Unreachable::FragmentationNeeded { mtu } => {
                        IcmpErrorKind::FragmentationNeeded { mtu }
                    }
                    _ => IcmpErrorKind::Unreachable,
                };
                let quoted = crate::wire::ipv4::Packet::parse_quoted(icmp.quote()?).ok()?;
                let tcp = crate::wire::tcp::Quoted::parse(quoted.first_payload()).ok()?;
                return Some(Input::TcpError(IcmpError {
                    kind,
                    local: SocketAddrV4::new(quoted.src(), tcp.src_port),
                    remote: SocketAddrV4::new(quoted.dst(), tcp.dst_port),
                    quoted_seq: Some(tcp.seq),
                }));
            }
            let tos = *frame.data().get(1)?;
            (p.src(), p.dst(), p.header_len(), tos, p.total_len())
        };
        frame.truncate(total);
        let _ = frame.remove_header(n);
        Some(Input::Tcp(Received {
            netif,
            src,
            dst,
            to: if dst.is_multicast() {
                Destination::Multicast
            } else if dst.is_broadcast() || dst.octets()[3] == 255 {
                Destination::Broadcast
            } else {
                Destination::Unicast
            },
            tos,
            checksum: ChecksumState::ToVerify,
            payload: frame,
        }))
    }
    pub(crate) fn next_deadline(&self) -> Option<Instant> {
        None
    }
    pub(crate) fn expire(&mut self, now: Instant) {}
}
