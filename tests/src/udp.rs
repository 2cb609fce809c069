//! A stack with UDP endpoints, the packets a peer exchanges with it, and an application that
//! writes down what it is told.
use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4};

use gannet_core::UdpPcb;
use gannet_core::udp::Datagram;
use gannet_core::wire::icmpv4::{HEADER_LEN as ICMP_LEN, Kind};
use gannet_core::wire::ipv4::{self, Protocol};
use gannet_core::wire::udp::{self, Fields};
use gannet_core::wire::{Checksum, icmpv4};
use gannet_core::{
    Config, Error, Handler, IcmpReport, Instant, NetifId, Owner, Pbuf, Stack, Subnet, Udp,
};

use crate::segment::ipv4_packet;
use crate::storage::{Pools, Sizes, leak_storage};
use crate::wire::{Wire, WireDriver};

/// The stack's address.
pub const STACK: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 2);
/// The peer's address.
pub const PEER: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 1);
/// The broadcast address of the network.
pub const NET_BROADCAST: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 255);

/// A datagram on the wire, checked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sent {
    /// Source.
    pub from: SocketAddrV4,
    /// Destination.
    pub to: SocketAddrV4,
    /// The payload.
    pub data: Vec<u8>,
    /// Time to live.
    pub ttl: u8,
    /// The second byte of the IP header.
    pub tos: u8,
    /// The checksum field.
    pub checksum: u16,
}

impl Sent {
    /// Reads an IPv4 packet.
    ///
    /// # Panics
    /// It is not a whole datagram with a right checksum.
    pub fn read(packet: &[u8]) -> Self {
        let ip = ipv4::Packet::parse(packet, packet.len()).expect("an IPv4 packet");
        assert_eq!(ip.protocol(), Protocol::UDP);
        assert!(ip.checksum_is_valid(), "IP header checksum");
        assert_eq!(ip.total_len(), packet.len(), "IP total length");
        let bytes = ip.first_payload();
        let udp = udp::Datagram::parse(bytes, bytes.len()).expect("a datagram");
        assert_eq!(udp.len(), bytes.len(), "UDP length");
        assert!(udp_sum(ip.src(), ip.dst(), bytes).is_valid(), "checksum");
        Self {
            from: SocketAddrV4::new(ip.src(), udp.src_port()),
            to: SocketAddrV4::new(ip.dst(), udp.dst_port()),
            data: bytes[udp::HEADER_LEN..].to_vec(),
            ttl: ip.ttl(),
            tos: packet[1],
            checksum: u16::from_be_bytes([bytes[6], bytes[7]]),
        }
    }
}

fn udp_sum(src: Ipv4Addr, dst: Ipv4Addr, bytes: &[u8]) -> Checksum {
    let mut sum = Checksum::new();
    sum.pseudo_header(src, dst, Protocol::UDP, bytes.len() as u16);
    sum.add(bytes);
    sum
}

/// The UDP header and data of a datagram, with its checksum.
pub fn udp_bytes(from: SocketAddrV4, to: SocketAddrV4, data: &[u8]) -> Vec<u8> {
    let mut bytes = vec![0; udp::HEADER_LEN];
    let fields = Fields {
        src_port: from.port(),
        dst_port: to.port(),
        payload_len: data.len() as u16,
    };
    fields.emit(&mut bytes).expect("room");
    bytes.extend(data);
    let sum = udp_sum(*from.ip(), *to.ip(), &bytes).finish_udp();
    udp::set_checksum(&mut bytes, sum).expect("a header");
    bytes
}

/// An IPv4 packet with a datagram.
pub fn packet(from: SocketAddrV4, to: SocketAddrV4, data: &[u8]) -> Vec<u8> {
    let bytes = udp_bytes(from, to, data);
    ipv4_packet(*from.ip(), *to.ip(), Protocol::UDP, &bytes)
}

/// What the application was told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Told {
    /// A datagram.
    Recv {
        /// Its endpoint.
        pcb: UdpPcb,
        /// The payload.
        data: Vec<u8>,
        /// The source.
        from: SocketAddr,
        /// The destination.
        to: SocketAddr,
        /// The interface.
        netif: NetifId,
        /// The type of service.
        tos: u8,
    },
    /// An error.
    Err(UdpPcb, Error),
}

/// An application that writes down what it is told.
#[derive(Debug, Default)]
pub struct UdpRecorder {
    /// What it was told, in order.
    pub told: Vec<Told>,
    /// All that is known of the errors.
    pub reports: Vec<IcmpReport>,
    /// Send each datagram back, in the buffers it came in.
    pub echo: bool,
    /// Close the endpoint in the callback.
    pub close: bool,
    /// Keep the received buffers.
    pub keep: Option<Vec<Pbuf>>,
}

impl UdpRecorder {
    /// Takes the received payloads with their endpoints.
    pub fn payloads(&mut self) -> Vec<(UdpPcb, Vec<u8>)> {
        let told = std::mem::take(&mut self.told).into_iter();
        told.filter_map(|told| match told {
            Told::Recv { pcb, data, .. } => Some((pcb, data)),
            Told::Err(..) => None,
        })
        .collect()
    }
}

impl Handler for UdpRecorder {
    fn udp_recv(&mut self, udp: &mut Udp<'_>, pcb: UdpPcb, datagram: Datagram) {
        self.told.push(Told::Recv {
            pcb,
            data: datagram.data.parts().flatten().copied().collect(),
            from: datagram.from,
            to: datagram.to,
            netif: datagram.netif,
            tos: datagram.tos,
        });
        if self.close {
            udp.close(pcb).expect("the endpoint in a callback exists");
        } else if self.echo {
            udp.send_to(pcb, datagram.data, datagram.from)
                .expect("sent");
        } else if let Some(keep) = &mut self.keep {
            keep.push(datagram.data);
        }
    }

    fn udp_err(&mut self, _: &mut Udp<'_>, pcb: UdpPcb, report: IcmpReport) {
        self.told.push(Told::Err(pcb, report.error));
        self.reports.push(report);
    }
}

/// A stack and the wire a peer is on.
#[derive(Debug)]
pub struct UdpRig {
    /// The stack under test.
    pub stack: Stack,
    /// Its pools.
    pub pools: Pools,
    /// The peer's end of the wire.
    pub wire: Wire,
    /// Virtual time.
    pub now: Instant,
}

impl UdpRig {
    /// A stack with storage of `sizes`.
    pub fn new(config: Config, sizes: Sizes) -> Self {
        let pools = Pools::leak();
        let wire = Wire::default();
        let mut seed = fastrand::Rng::with_seed(11);
        let storage = leak_storage(sizes, pools);
        let mut stack = Stack::new(storage, config, &mut |bytes| seed.fill(bytes));
        let driver = WireDriver::ip(wire.clone(), pools.rx);
        let subnet = Subnet::new(STACK, 24).expect("a valid prefix");
        stack
            .add_netif(driver, Some(subnet))
            .expect("room for an interface");
        let now = Instant::from_millis(1_000_000);
        Self {
            stack,
            pools,
            wire,
            now,
        }
    }

    /// The raw API.
    pub fn udp(&mut self) -> Udp<'_> {
        self.stack.udp(self.now)
    }

    /// A new endpoint of owner 0.
    pub fn endpoint(&mut self) -> UdpPcb {
        self.udp().new(Owner(0)).expect("a free endpoint")
    }

    /// An endpoint of owner 0 bound to `addr`.
    pub fn bound(&mut self, addr: Ipv4Addr, port: u16) -> UdpPcb {
        let pcb = self.endpoint();
        let addr = SocketAddr::from((addr, port));
        self.udp().bind(pcb, addr).expect("a free address");
        pcb
    }

    /// A buffer of the transmit pool without headroom.
    pub fn data(&self, bytes: &[u8]) -> Pbuf {
        self.data_behind(0, bytes)
    }

    /// A buffer of the transmit pool with headroom.
    pub fn data_behind(&self, headroom: usize, bytes: &[u8]) -> Pbuf {
        let mut data = Pbuf::alloc(self.pools.tx, headroom, bytes.len()).expect("buffers");
        assert_eq!(data.copy_from(bytes), bytes.len());
        data
    }

    /// The peer sends from its port 4000.
    pub fn receive(&self, to: Ipv4Addr, port: u16, data: &[u8]) {
        let from = SocketAddrV4::new(PEER, 4000);
        self.wire
            .put(packet(from, SocketAddrV4::new(to, port), data));
    }

    /// The peer says in an ICMP error what became of a datagram from `local` to `remote`.
    pub fn receive_error(&self, kind: Kind, local: SocketAddrV4, remote: SocketAddrV4) {
        let quote = packet(local, remote, b"quoted");
        let mut message = vec![0; ICMP_LEN + quote.len()];
        kind.emit_with(&quote, &mut message).expect("room");
        self.wire
            .put(ipv4_packet(PEER, STACK, Protocol::ICMP, &message));
    }

    /// Turns until no received frame waits.
    pub fn turn(&mut self, app: &mut UdpRecorder) {
        for _ in 0..100 {
            self.stack.turn(self.now, &mut [app]);
            if self.wire.waiting() == 0 {
                return;
            }
        }
        panic!("the stack does not take its frames");
    }

    /// All datagrams the stack has sent.
    pub fn sent(&self) -> Vec<Sent> {
        self.packets()
            .iter()
            .map(|packet| Sent::read(packet))
            .collect()
    }

    /// The one datagram the stack has sent, perhaps in fragments: its length field and payload.
    pub fn sent_in_fragments(&self) -> (usize, Vec<u8>) {
        let mut fragments: Vec<_> = self
            .packets()
            .iter()
            .map(|packet| {
                let ip = ipv4::Packet::parse(packet, packet.len()).expect("an IPv4 packet");
                (ip.fragment_offset(), ip.first_payload().to_vec())
            })
            .collect();
        fragments.sort();
        let mut bytes = Vec::new();
        for (offset, fragment) in fragments {
            assert_eq!(offset, bytes.len(), "a fragment is missing or twice there");
            bytes.extend(fragment);
        }
        assert!(udp_sum(STACK, PEER, &bytes).is_valid(), "checksum");
        let udp = udp::Datagram::parse(&bytes, bytes.len()).expect("a datagram");
        (udp.len(), bytes[udp::HEADER_LEN..].to_vec())
    }

    /// All packets the stack has sent.
    pub fn packets(&self) -> Vec<Vec<u8>> {
        std::iter::from_fn(|| self.wire.take()).collect()
    }

    /// What an ICMP error the stack has sent says: its kind, its receiver, and the datagram's
    /// source and destination port.
    pub fn sent_error(&self) -> (Kind, Ipv4Addr, u16, u16) {
        let packet = self.wire.take().expect("a packet");
        let ip = ipv4::Packet::parse(&packet, packet.len()).expect("an IPv4 packet");
        assert_eq!(ip.protocol(), Protocol::ICMP);
        let bytes = ip.first_payload();
        let message = icmpv4::Message::parse(bytes, bytes.len()).expect("an ICMP message");
        let quote = message.quote().expect("an error");
        let quoted = ipv4::Packet::parse_quoted(quote).expect("a quoted packet");
        let ports = udp::Quoted::parse(quoted.first_payload()).expect("a quoted header");
        (message.kind(), ip.dst(), ports.src_port, ports.dst_port)
    }
}
