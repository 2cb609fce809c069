//! Addresses, gateways and routes set by threads while the stack runs, and packets below IP: two
//! stacks with a cable between them.
#![cfg(feature = "packet")]
mod common;

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread;
use std::time::Duration;

use common::within_limit;
use gannet_core::{
    Capabilities, Checksums, Config, Driver, HwAddr, Medium, Owner, Pbuf, Stack, StorageCell,
    pbuf_pool, stack_storage,
};
use gannet_netconn::{Service, net};
use gannet_port_std as _;
use gannet_sockets::{Admin, Error, Net, NetifId, Subnet, TcpListener, TcpStream, UdpSocket};

pbuf_pool! { static TX: [1536; 128] + refs 256 }
pbuf_pool! { static RX: [1536; 128] + refs 128 }
pbuf_pool! { static HEADERS: [128; 128] + refs 64 }
macro_rules! host {
    ($storage:ident, $net:ident) => {
        stack_storage! {
            static $storage: {
                connections: 16, listeners: 4, half_open: 4, time_wait: 8, out_of_order: 8,
                in_flight: 64, udp: 8, datagrams: 16, interfaces: 1, neighbors: 4, pending: 4,
                routes: 3, reassembly: 2, loopback: 16, raw: 2, packet: 2,
            }
        }
        net! {
            static $net: { connections: 16, datagrams: 16, waiters: 16, tx_pool: TX }
        }
    };
}
host!(STORAGE_A, A);
host!(STORAGE_B, B);

const IF: NetifId = NetifId::with_index(0);
const ADDR_A: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 1);
const ADDR_B: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 2);
const HW_A: [u8; 6] = [2, 0, 0, 0, 0, 1];
const HW_B: [u8; 6] = [2, 0, 0, 0, 0, 2];

/// One end of a cable.
struct Cable {
    hw: [u8; 6],
    other: &'static Net,
    outgoing: Sender<Vec<u8>>,
    incoming: Receiver<Vec<u8>>,
}

impl Driver for Cable {
    fn capabilities(&self) -> Capabilities {
        Capabilities {
            medium: Medium::Ethernet(HwAddr(self.hw)),
            mtu: 1500,
            tx_checksums: Checksums::NONE,
            rx_checksums: Checksums::NONE,
            tso: 0,
        }
    }

    fn receive(&mut self) -> Option<Pbuf> {
        let frame = self.incoming.try_recv().ok()?;
        let mut pbuf = Pbuf::alloc(&RX, 0, frame.len()).ok()?;
        pbuf.copy_from(&frame);
        Some(pbuf)
    }

    fn transmit(&mut self, frame: Pbuf) -> Result<(), Pbuf> {
        let bytes = frame.parts().flatten().copied().collect();
        self.outgoing.send(bytes).map_err(|_| frame)?;
        self.other.ring();
        Ok(())
    }
}

fn start(net: &'static Net, storage: &'static StorageCell, cable: Cable) {
    thread::spawn(move || {
        let storage = storage.take(&TX, &HEADERS).expect("taken once");
        let mut random = fastrand::Rng::with_seed(cable.hw[5].into());
        let mut stack = Stack::new(storage, Config::default(), &mut |bytes| random.fill(bytes));
        let netif = stack.add_netif(Box::leak(Box::new(cable)), None);
        assert_eq!(netif, Ok(IF));
        let mut service = Service::new(net, Owner(0));
        net.run(&mut stack, &mut [&mut service])
            .expect("an event to sleep on");
    });
}

fn subnet(addr: Ipv4Addr) -> Option<Subnet> {
    Some(Subnet::new(addr, 24).expect("a prefix"))
}

#[test]
fn interfaces() {
    A.make_default();
    let (to_b, from_a) = channel();
    let (to_a, from_b) = channel();
    for (net, storage, hw, other, outgoing, incoming) in [
        (&A, &STORAGE_A, HW_A, &B, to_b, from_b),
        (&B, &STORAGE_B, HW_B, &A, to_a, from_a),
    ] {
        let cable = Cable {
            hw,
            other,
            outgoing,
            incoming,
        };
        start(net, storage, cable);
    }
    within_limit(|| {
        for (name, test) in [
            #[cfg(feature = "async")]
            ("packets before there is an address", raw::packets as fn()),
            ("an address comes and goes", comes_and_goes),
            ("sleepers hear of it", sleepers),
            ("what is refused", refused),
            ("routes", routes),
            ("many threads ask", many),
        ] {
            println!("{name}");
            A.set_addr(IF, subnet(ADDR_A)).expect("free");
            B.set_addr(IF, subnet(ADDR_B)).expect("free");
            test();
            common::wait_until("all is closed", || {
                A.connections() == 0 && B.connections() == 0
            });
            assert_eq!((A.sleepers(), B.sleepers()), (0, 0));
        }
    });
}

/// A connection from A to B.
fn pair() -> (TcpStream, TcpStream) {
    let listener = TcpListener::bind_on(&B, ([0, 0, 0, 0], 0).into(), 4).expect("a free port");
    let port = listener.local_addr().expect("bound").port();
    let stream = TcpStream::connect_on(&A, (ADDR_B, port).into()).expect("it listens");
    let (accepted, peer) = listener.accept().expect("it comes");
    assert_eq!(peer.ip(), ADDR_A);
    (stream, accepted)
}

fn comes_and_goes() {
    A.set_addr(IF, None).expect("an interface");
    assert_eq!(A.netif_status(IF).expect("there").subnet, None);
    let to = SocketAddr::from((ADDR_B, 7));
    let unreachable = Some(Error::NetworkUnreachable);
    assert_eq!(TcpStream::connect_on(&A, to).err(), unreachable);
    let any = UdpSocket::bind_on(&A, ([0, 0, 0, 0], 0).into()).expect("a free port");
    assert_eq!(any.send_to(b"x", to).err(), unreachable);
    let early = UdpSocket::bind_on(&A, (ADDR_A, 0).into());
    assert_eq!(early.err(), Some(Error::AddressNotAvailable));

    A.set_addr(IF, subnet(ADDR_A)).expect("free");
    let status = A.netif_status(IF).expect("there");
    assert_eq!(status.subnet, subnet(ADDR_A));
    assert_eq!(status.medium, Medium::Ethernet(HwAddr(HW_A)));
    let server = UdpSocket::bind_on(&B, ([0, 0, 0, 0], 0).into()).expect("a free port");
    let to = SocketAddr::from((ADDR_B, server.local_addr().expect("bound").port()));
    let bound = UdpSocket::bind_on(&A, (ADDR_A, 0).into()).expect("its own");
    let connected = UdpSocket::bind_on(&A, ([0, 0, 0, 0], 0).into()).expect("a free port");
    connected.connect(to).expect("a route");
    let mut buf = [0; 8];
    let mut arrives = |what: &str, sent: Result<(), Error>| {
        assert_eq!(sent, Ok(()), "{what}");
        assert_eq!(server.recv_from(&mut buf).expect("it comes").1.ip(), ADDR_A);
    };
    arrives("not bound", any.send_to(b"x", to).map(drop));
    arrives("bound", bound.send_to(b"x", to).map(drop));
    arrives("connected", connected.send(b"x").map(drop));

    A.set_addr(IF, None).expect("an interface");
    // The first after a destination was found reachable is told by the one that follows.
    let refuses = |what: &str, send: &dyn Fn() -> Result<usize, Error>| {
        common::wait_until(what, || send().is_err());
    };
    refuses("not bound", &|| any.send_to(b"x", to));
    refuses("bound", &|| bound.send_to(b"x", to));
    refuses("connected", &|| connected.send(b"x"));

    A.set_addr(IF, subnet(ADDR_A)).expect("free");
    let again = |send: &dyn Fn() -> Result<usize, Error>| {
        // An error that was not told yet is told first.
        common::wait_until("it can send again", || send().is_ok());
    };
    again(&|| bound.send_to(b"y", to));
    again(&|| connected.send(b"y"));
    again(&|| any.send_to(b"y", to));
}

fn sleepers() {
    let (stream, accepted) = pair();
    thread::scope(|scope| {
        let reader = scope.spawn(|| stream.read(&mut [0; 8]));
        common::wait_until("it sleeps", || A.sleepers() == 1);
        A.set_addr(IF, None).expect("an interface");
        assert_eq!(reader.join().expect("no panic"), Err(Error::Aborted));
    });
    // Told once; then it is over.
    assert_eq!(stream.write(b"x"), Err(Error::BrokenPipe));
    // The peer hears nothing: nothing is sent from an address that is not ours.
    accepted
        .set_read_timeout(Some(Duration::from_millis(200)))
        .expect("open");
    assert_eq!(accepted.read(&mut [0; 8]), Err(Error::WouldBlock));
    // Another address of the same network, and back: what was begun with the other is over.
    A.set_addr(IF, subnet(ADDR_A)).expect("free");
    let (stream, _accepted) = pair();
    A.set_addr(IF, subnet(Ipv4Addr::new(10, 0, 0, 9)))
        .expect("free");
    assert_eq!(stream.read(&mut [0; 8]), Err(Error::Aborted));
    // Only the prefix changes: what was begun goes on.
    A.set_addr(IF, subnet(ADDR_A)).expect("free");
    let (stream, accepted) = pair();
    A.set_addr(IF, Subnet::new(ADDR_A, 16)).expect("free");
    stream.write_all(b"still").expect("connected");
    let mut buf = [0; 8];
    assert_eq!(accepted.read(&mut buf), Ok(5));
    // The side that accepted is told as well.
    B.set_addr(IF, None).expect("an interface");
    assert_eq!(accepted.read(&mut buf), Err(Error::Aborted));
}

fn refused() {
    let nowhere = NetifId::with_index(3);
    for netif in [nowhere, NetifId::LOOPBACK] {
        assert_eq!(A.netif_status(netif), Err(Error::Invalid));
        assert_eq!(A.set_addr(netif, subnet(ADDR_A)), Err(Error::Invalid));
        assert_eq!(A.set_admin(netif, Admin::Up), Err(Error::Invalid));
    }
    for wrong in [
        [10, 0, 0, 255],
        [224, 0, 0, 1],
        [127, 0, 0, 1],
        [0, 0, 0, 0],
    ] {
        assert_eq!(A.set_addr(IF, subnet(wrong.into())), Err(Error::Invalid));
    }
    assert_eq!(A.netif_status(IF).expect("there").subnet, subnet(ADDR_A));
    A.set_admin(IF, Admin::Down).expect("an interface");
    assert_eq!(A.netif_status(IF).expect("there").admin, Admin::Down);
    assert!(TcpStream::connect_on(&A, (ADDR_B, 7).into()).is_err());
    A.set_admin(IF, Admin::Up).expect("an interface");
    drop(pair());
}

fn routes() {
    let far = Subnet::new(Ipv4Addr::new(192, 0, 2, 0), 24).expect("a prefix");
    let to = SocketAddr::from(([192, 0, 2, 7], 9));
    let socket = UdpSocket::bind_on(&A, ([0, 0, 0, 0], 0).into()).expect("a free port");
    let unreachable = Err(Error::NetworkUnreachable);
    assert_eq!(socket.send_to(b"x", to), unreachable);
    // No neighbour, or the host itself.
    for wrong in [[10, 9, 9, 9].into(), ADDR_A] {
        assert_eq!(
            A.set_default_gateway(Some(wrong)),
            Err(Error::NetworkUnreachable)
        );
        assert_eq!(A.add_route(far, wrong), Err(Error::NetworkUnreachable));
    }
    A.set_default_gateway(Some(ADDR_B)).expect("a neighbour");
    assert_eq!(socket.send_to(b"x", to), Ok(1));
    A.set_default_gateway(None)
        .expect("none is always possible");
    common::wait_until("no way", || socket.send_to(b"x", to).is_err());
    A.add_route(far, ADDR_B).expect("a neighbour");
    common::wait_until("a way", || socket.send_to(b"x", to).is_ok());
    A.remove_route(far, ADDR_B).expect("there");
    assert_eq!(A.remove_route(far, ADDR_B), Err(Error::NetworkUnreachable));
    // The table has three places.
    for n in 1..=3 {
        A.add_route(
            Subnet::new([10, n, 0, 0].into(), 16).expect("a prefix"),
            ADDR_B,
        )
        .expect("room");
    }
    assert_eq!(A.add_route(far, ADDR_B), Err(Error::NoBuffers));
    for n in 1..=3 {
        A.remove_route(
            Subnet::new([10, n, 0, 0].into(), 16).expect("a prefix"),
            ADDR_B,
        )
        .expect("there");
    }
}

/// One request at a time: the others wait for their turn, and each gets its own answer.
fn many() {
    thread::scope(|scope| {
        for n in 0..12u8 {
            scope.spawn(move || {
                for _ in 0..200 {
                    let missing = NetifId::with_index(1 + n);
                    assert_eq!(A.netif_status(missing), Err(Error::Invalid));
                    let network = Subnet::new([10, 100 + n, 0, 0].into(), 16).expect("a prefix");
                    let gone = A.remove_route(network, ADDR_B);
                    assert_eq!(gone, Err(Error::NetworkUnreachable));
                    let there = A.netif_status(IF).expect("there");
                    assert_eq!(there.subnet, subnet(ADDR_A));
                }
            });
        }
    });
    // More threads than the net has waiters are told so, and nothing hangs.
    let refusals = thread::scope(|scope| {
        let asked = (0..40)
            .map(|_| scope.spawn(|| (0..50).filter(|_| A.netif_status(IF).is_err()).count()));
        let asked: Vec<_> = asked.collect();
        asked
            .into_iter()
            .map(|thread| thread.join().expect("no panic"))
            .sum::<usize>()
    });
    println!("{refusals} of 2000 found no waiter");
    assert!(A.netif_status(IF).is_ok());
}

#[cfg(feature = "async")]
mod raw {
    use edge_nal::{MacAddr, RawBind, RawReceive, RawSend, RawSplit, Readable};
    use gannet_sockets::asynch::{Interface, LinkSocket, PacketSocket, block_on};
    use gannet_sockets::io::IoError;
    use gannet_sockets::packet::{EtherType, Filter};

    use super::*;

    /// A packet that is none but for its version.
    const PACKET: [u8; 24] = {
        let mut packet = [7; 24];
        packet[0] = 0x45;
        packet
    };

    pub(super) fn packets() {
        for net in [&A, &B] {
            net.set_addr(IF, None).expect("an interface");
        }
        block_on(async {
            let missing = Interface::new(&A, NetifId::with_index(1));
            assert_eq!(missing.bind().await.err(), Some(IoError(Error::Invalid)));
            let mut here = Interface::new(&A, IF).bind().await.expect("free");
            let mut there = Interface::new(&B, IF).bind().await.expect("free");
            for to in [MacAddr::from([0xff; 6]), HW_B] {
                here.send(to, &PACKET).await.expect("room");
                there.readable().await.expect("it comes");
                assert_eq!(receive(&mut there).await, (PACKET.to_vec(), HW_A));
            }
            // What does not fit is cut off, and its length told.
            here.send(HW_B, &PACKET).await.expect("room");
            let mut short = [0; 5];
            let (len, from) = there.receive(&mut short).await.expect("it comes");
            assert_eq!((len, from), (PACKET.len(), HW_A));
            assert_eq!(short, PACKET[..5]);
            // Not what others than IPv4 send, nor what is sent from here.
            let frames = PacketSocket::new_on(&A, Filter::EtherType(EtherType::ARP), None);
            let frames = frames.expect("free");
            let arp = [&HW_B[..], &HW_A, &[8, 6], &[0; 28]].concat();
            frames.send(&arp, IF).await.expect("room");
            let (mut receiving, mut sending) = there.split();
            sending.send(HW_A, &PACKET).await.expect("room");
            assert_eq!(here.receive(&mut short).await, Ok((PACKET.len(), HW_B)));
            here.send(HW_B, &PACKET[..20]).await.expect("room");
            let (packet, _) = receive(&mut receiving).await;
            assert_eq!(packet, PACKET[..20]);
        })
        .expect("a waiter");
    }

    async fn receive(
        socket: &mut (impl RawReceive<Error = IoError> + Readable),
    ) -> (Vec<u8>, MacAddr) {
        let mut buf = [0; 1500];
        let (len, from) = socket.receive(&mut buf).await.expect("it comes");
        (buf[..len].to_vec(), from)
    }

    /// All of it can be moved to the task that uses it.
    const _: fn() = || {
        fn is_send<T: Send>() {}
        is_send::<(Interface, LinkSocket, PacketSocket)>();
    };
}
