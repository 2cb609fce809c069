//! Multicast datagrams: who receives them, where they leave, and what comes back to this host.
use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4};
use std::time::Duration;

use gannet_core::udp::{MulticastLoop, Reuse};
use gannet_core::wire::ipv4::Protocol;
use gannet_core::{Config, Error, NetifId, Owner, Subnet, UdpPcb, Via};
use gannet_tests::frames::Packet;
use gannet_tests::igmp::{GROUP, Said, TO_EXCLUDE, TO_INCLUDE};
use gannet_tests::storage::Sizes;
use gannet_tests::udp::{PEER, STACK, Sent, Told, UdpRecorder, UdpRig};
use gannet_tests::wire::{Wire, WireDriver};

const PORT: u16 = 5000;
const OTHER_GROUP: Ipv4Addr = Ipv4Addr::new(239, 9, 0, 1);
const ANY: Ipv4Addr = Ipv4Addr::UNSPECIFIED;

fn rig() -> (UdpRig, UdpRecorder) {
    let rig = UdpRig::new(Config::default(), Sizes::default());
    (rig, UdpRecorder::default())
}

/// An endpoint bound to `addr` and [`PORT`], which it shares.
fn shared(rig: &mut UdpRig, addr: Ipv4Addr) -> UdpPcb {
    let pcb = rig.endpoint();
    rig.udp().reuse(pcb, Reuse::Shared).expect("open");
    let addr = SocketAddr::from((addr, PORT));
    rig.udp().bind(pcb, addr).expect("shared");
    pcb
}

fn member(rig: &mut UdpRig, group: Ipv4Addr) -> UdpPcb {
    let pcb = shared(rig, ANY);
    rig.udp().join_group(pcb, group, Via::Route).expect("room");
    pcb
}

/// Datagrams and IGMP messages sent.
fn sent(rig: &UdpRig) -> (Vec<Sent>, Vec<Said>) {
    let (mut datagrams, mut said) = (Vec::new(), Vec::new());
    for bytes in rig.packets() {
        let packet = Packet::parse(&bytes);
        match packet.protocol {
            Protocol::IGMP => said.push(Said::parse(&packet)),
            _ => datagrams.push(Sent::read(&bytes)),
        }
    }
    (datagrams, said)
}

fn receivers(app: &mut UdpRecorder) -> Vec<UdpPcb> {
    app.payloads().into_iter().map(|(pcb, _)| pcb).collect()
}

fn send(rig: &mut UdpRig, pcb: UdpPcb, to: Ipv4Addr, data: &[u8]) {
    let data = rig.data(data);
    rig.udp()
        .send_to(pcb, data, (to, PORT).into())
        .expect("sent");
}

/// Another interface, 10.9.0.2/24.
fn second_interface(rig: &mut UdpRig) -> (NetifId, Wire) {
    let wire = Wire::default();
    let driver = WireDriver::ip(wire.clone(), rig.pools.rx);
    let subnet = Subnet::new([10, 9, 0, 2].into(), 24);
    let netif = rig.stack.add_netif(driver, subnet).expect("room");
    (netif, wire)
}

#[test]
fn each_member_and_nobody_else_receives() {
    let (mut rig, mut app) = rig();
    let one = member(&mut rig, GROUP);
    let two = member(&mut rig, GROUP);
    let _other = member(&mut rig, OTHER_GROUP);
    let _none = shared(&mut rig, ANY);
    let at_group = shared(&mut rig, GROUP);
    let joined = rig.udp().join_group(at_group, GROUP, Via::Addr(STACK));
    joined.expect("room");
    let at_own = shared(&mut rig, STACK);
    rig.receive(GROUP, PORT, b"to members");
    rig.turn(&mut app);
    let told = std::mem::take(&mut app.told);
    let expected = [one, two, at_group].map(|pcb| Told::Recv {
        pcb,
        data: b"to members".to_vec(),
        from: (PEER, 4000).into(),
        to: (GROUP, PORT).into(),
        netif: rig.stack.netifs().next().expect("one"),
        tos: 0,
    });
    assert_eq!(told, expected);
    // Unicast still goes to one.
    rig.receive(STACK, PORT, b"to one");
    rig.turn(&mut app);
    assert_eq!(receivers(&mut app), [at_own]);
    assert!(rig.pools.at_rest());
}

#[test]
fn members_share_the_buffers() {
    let (mut rig, mut app) = rig();
    app.keep = Some(Vec::new());
    let _one = member(&mut rig, GROUP);
    let _two = member(&mut rig, GROUP);
    rig.receive(GROUP, PORT, b"once in memory");
    rig.turn(&mut app);
    let kept = app.keep.take().expect("kept");
    assert_eq!(kept.len(), 2);
    assert!(kept[0].shares_block(&kept[1]));
    assert_eq!(rig.pools.in_use()[0], 1);
    drop(kept);
    assert!(rig.pools.at_rest());
}

#[test]
fn what_the_host_joins_is_for_all() {
    let (mut rig, mut app) = rig();
    let pcb = shared(&mut rig, ANY);
    rig.receive(GROUP, PORT, b"too early");
    rig.turn(&mut app);
    rig.stack.join_group(GROUP, Via::Route).expect("room");
    rig.receive(GROUP, PORT, b"heard");
    rig.turn(&mut app);
    assert_eq!(app.payloads(), [(pcb, b"heard".to_vec())]);
    // With a member beside it, too; and without it, only the member hears.
    let one = member(&mut rig, GROUP);
    rig.receive(GROUP, PORT, b"both");
    rig.turn(&mut app);
    assert_eq!(receivers(&mut app), [pcb, one]);
    rig.stack.leave_group(GROUP, Via::Route).expect("in");
    rig.receive(GROUP, PORT, b"one");
    rig.turn(&mut app);
    assert_eq!(receivers(&mut app), [one]);
}

#[test]
fn the_group_of_all_hosts_needs_no_joining() {
    let (mut rig, mut app) = rig();
    let pcb = shared(&mut rig, ANY);
    rig.receive([224, 0, 0, 1].into(), PORT, b"all");
    rig.turn(&mut app);
    assert_eq!(receivers(&mut app), [pcb]);
}

#[test]
fn the_errors_of_joining_and_leaving() {
    let (mut rig, _) = rig();
    let pcb = rig.endpoint();
    let mut udp = rig.udp();
    let join = |udp: &mut gannet_core::Udp<'_>, group, via| udp.join_group(pcb, group, via);
    assert_eq!(join(&mut udp, PEER, Via::Route), Err(Error::Argument));
    assert_eq!(udp.leave_group(pcb, PEER, Via::Route), Err(Error::Argument));
    let nobodys = Via::Addr([10, 0, 0, 77].into());
    assert_eq!(join(&mut udp, GROUP, nobodys), Err(Error::NoInterface));
    assert_eq!(
        udp.multicast_interface(pcb, nobodys),
        Err(Error::NoInterface)
    );
    assert_eq!(join(&mut udp, GROUP, Via::Route), Ok(()));
    assert_eq!(join(&mut udp, GROUP, Via::Addr(STACK)), Err(Error::InUse));
    for n in 1..=3 {
        let group = Ipv4Addr::new(239, 9, 9, n);
        assert_eq!(join(&mut udp, group, Via::Route), Ok(()));
    }
    assert_eq!(
        join(&mut udp, OTHER_GROUP, Via::Route),
        Err(Error::NoMemory)
    );
    let stranger = udp.leave_group(pcb, OTHER_GROUP, Via::Route);
    assert_eq!(stranger, Err(Error::NotMember));
    assert_eq!(udp.leave_group(pcb, GROUP, Via::Addr(STACK)), Ok(()));
    let again = udp.leave_group(pcb, GROUP, Via::Route);
    assert_eq!(again, Err(Error::NotMember));
    assert_eq!(join(&mut udp, OTHER_GROUP, Via::Route), Ok(()));
    // What the host has joined is not an endpoint's to leave, nor the other way round.
    rig.stack.join_group(OTHER_GROUP, Via::Route).expect("in");
    let mut udp = rig.udp();
    assert_eq!(udp.leave_group(pcb, OTHER_GROUP, Via::Route), Ok(()));
    let again = udp.leave_group(pcb, OTHER_GROUP, Via::Route);
    assert_eq!(again, Err(Error::NotMember));
    udp.join_group(pcb, OTHER_GROUP, Via::Route).expect("room");
    rig.stack.leave_group(OTHER_GROUP, Via::Route).expect("in");
    let again = rig.stack.leave_group(OTHER_GROUP, Via::Route);
    assert_eq!(again, Err(Error::NotMember));
    rig.udp().close(pcb).expect("open");
    let closed = rig.udp().join_group(pcb, GROUP, Via::Route);
    assert_eq!(closed, Err(Error::Closed));
}

#[test]
fn the_last_member_to_close_leaves_the_group() {
    let (mut rig, mut app) = rig();
    let one = member(&mut rig, GROUP);
    let two = member(&mut rig, GROUP);
    rig.turn(&mut app);
    let joined = Said::V3(vec![(TO_EXCLUDE, GROUP)]);
    assert_eq!(sent(&rig).1, std::slice::from_ref(&joined));
    rig.now += Duration::from_secs(10);
    rig.turn(&mut app);
    assert_eq!(sent(&rig).1, [joined], "the repetition");
    rig.udp().close(one).expect("open");
    rig.turn(&mut app);
    assert_eq!(sent(&rig).1, []);
    rig.udp().close(two).expect("open");
    rig.turn(&mut app);
    assert_eq!(sent(&rig).1, [Said::V3(vec![(TO_INCLUDE, GROUP)])]);
    // The next endpoint in the same slot is in no group.
    let three = shared(&mut rig, ANY);
    assert_eq!(three.index(), one.index());
    rig.receive(GROUP, PORT, b"nobody");
    rig.turn(&mut app);
    assert_eq!(receivers(&mut app), []);
}

#[test]
fn members_on_this_host_receive_what_it_sends() {
    let (mut rig, mut app) = rig();
    let one = member(&mut rig, GROUP);
    let two = member(&mut rig, GROUP);
    let _stranger = shared(&mut rig, ANY);
    rig.turn(&mut app);
    sent(&rig);
    send(&mut rig, one, GROUP, b"to all of us");
    rig.turn(&mut app);
    let netif = rig.stack.netifs().next().expect("one");
    let expected = [one, two].map(|pcb| Told::Recv {
        pcb,
        data: b"to all of us".to_vec(),
        from: (STACK, PORT).into(),
        to: (GROUP, PORT).into(),
        netif,
        tos: 0,
    });
    assert_eq!(std::mem::take(&mut app.told), expected);
    let (datagrams, _) = sent(&rig);
    assert_eq!(datagrams.len(), 1, "and the wire");
    assert_eq!(datagrams[0].to, SocketAddrV4::new(GROUP, PORT));
    assert_eq!(
        (datagrams[0].ttl, &datagrams[0].data[..]),
        (1, &b"to all of us"[..])
    );
    // Not if the sender does not want it.
    rig.udp()
        .multicast_loop(one, MulticastLoop::Off)
        .expect("open");
    send(&mut rig, one, GROUP, b"to others");
    rig.turn(&mut app);
    assert_eq!(receivers(&mut app), []);
    assert_eq!(sent(&rig).0.len(), 1);
    // Nor if nobody is in the group.
    send(&mut rig, two, OTHER_GROUP, b"to others");
    rig.turn(&mut app);
    assert_eq!(receivers(&mut app), []);
    assert_eq!(sent(&rig).0.len(), 1);
    assert!(rig.pools.at_rest());
}

#[test]
fn a_copy_shares_the_buffers_and_long_ones_come_back_whole() {
    let (mut rig, mut app) = rig();
    let one = member(&mut rig, GROUP);
    rig.turn(&mut app);
    sent(&rig);
    let long: Vec<u8> = (0..5000u32).map(|n| n as u8).collect();
    send(&mut rig, one, GROUP, &long);
    let blocks = rig.pools.in_use()[1];
    assert_eq!(blocks, 5000usize.div_ceil(1536), "no copy of the data");
    rig.turn(&mut app);
    assert_eq!(app.payloads(), [(one, long)]);
    assert_eq!(rig.packets().len(), 4, "in fragments");
    assert!(rig.pools.at_rest());
}

#[test]
fn without_room_the_copy_is_lost_and_the_datagram_is_not() {
    let sizes = Sizes {
        loopback: 1,
        ..Sizes::default()
    };
    let mut app = UdpRecorder::default();
    let mut rig = UdpRig::new(Config::default(), sizes);
    let one = member(&mut rig, GROUP);
    send(&mut rig, one, GROUP, b"first");
    send(&mut rig, one, GROUP, b"second");
    assert_eq!(rig.stack.ip_stats().out_copies_lost, 1);
    rig.turn(&mut app);
    assert_eq!(app.payloads(), [(one, b"first".to_vec())]);
    assert_eq!(sent(&rig).0.len(), 2);
}

#[test]
fn a_member_that_answers_itself_does_not_keep_the_turn_for_ever() {
    /// Sends whatever the group hears to the group.
    #[derive(Default)]
    struct Parrot(u32);
    impl gannet_core::Handler for Parrot {
        fn udp_recv(
            &mut self,
            udp: &mut gannet_core::Udp<'_>,
            pcb: UdpPcb,
            heard: gannet_core::udp::Datagram,
        ) {
            self.0 += 1;
            udp.send_to(pcb, heard.data, heard.to).expect("sent");
        }
    }
    let (mut rig, _) = rig();
    let one = member(&mut rig, GROUP);
    send(&mut rig, one, GROUP, b"round and round");
    let mut parrot = Parrot::default();
    for turns in 1..=5 {
        rig.stack.turn(rig.now, &mut [&mut parrot]);
        assert_eq!(parrot.0, turns);
    }
}

#[test]
fn the_interface_is_the_senders_choice() {
    let (mut rig, mut app) = rig();
    let (second, wire) = second_interface(&mut rig);
    let pcb = rig.bound(ANY, PORT);
    let to = |wire: &Wire| -> Vec<Ipv4Addr> {
        std::iter::from_fn(|| wire.take())
            .map(|bytes| *Sent::read(&bytes).from.ip())
            .collect()
    };
    send(&mut rig, pcb, GROUP, b"by the route");
    rig.turn(&mut app);
    assert_eq!((to(&rig.wire), to(&wire)), (vec![STACK], vec![]));
    let address = Ipv4Addr::new(10, 9, 0, 2);
    for via in [Via::Netif(second), Via::Addr(address)] {
        rig.udp().multicast_interface(pcb, via).expect("there");
        assert_eq!(
            rig.udp().options(pcb).expect("open").multicast_interface,
            Some(second)
        );
        send(&mut rig, pcb, GROUP, b"by choice");
        rig.turn(&mut app);
        assert_eq!((to(&rig.wire), to(&wire)), (vec![], vec![address]));
    }
    // Unicast does not care.
    send(&mut rig, pcb, PEER, b"to one");
    assert_eq!((to(&rig.wire), to(&wire)), (vec![STACK], vec![]));
    // An interface that goes takes the choice with it.
    rig.stack.remove_netif(second).expect("there");
    send(&mut rig, pcb, GROUP, b"by the route again");
    assert_eq!(to(&rig.wire), [STACK]);
    rig.udp()
        .multicast_interface(pcb, Via::Addr(STACK))
        .expect("there");
    rig.udp()
        .multicast_interface(pcb, Via::Route)
        .expect("open");
    assert_eq!(
        rig.udp().options(pcb).expect("open").multicast_interface,
        None
    );
}

#[test]
fn a_membership_is_of_one_interface() {
    let (mut rig, mut app) = rig();
    let (second, wire) = second_interface(&mut rig);
    let pcb = rig.bound(ANY, PORT);
    rig.udp()
        .join_group(pcb, GROUP, Via::Netif(second))
        .expect("room");
    rig.receive(GROUP, PORT, b"on the first");
    let from = SocketAddrV4::new([10, 9, 0, 1].into(), 4000);
    let to = SocketAddrV4::new(GROUP, PORT);
    wire.put(gannet_tests::udp::packet(from, to, b"on the second"));
    rig.turn(&mut app);
    rig.turn(&mut app);
    assert_eq!(app.payloads(), [(pcb, b"on the second".to_vec())]);
    // Left without saying where.
    rig.udp()
        .leave_group(pcb, GROUP, Via::Route)
        .expect("in one");
    // With the interface goes the membership; one of the same number is another.
    rig.udp()
        .join_group(pcb, GROUP, Via::Netif(second))
        .expect("room");
    rig.stack.remove_netif(second).expect("there");
    let (third, wire) = second_interface(&mut rig);
    assert_eq!(third, second);
    wire.put(gannet_tests::udp::packet(from, to, b"to nobody"));
    rig.turn(&mut app);
    rig.turn(&mut app);
    assert_eq!(receivers(&mut app), []);
    let joined = rig.udp().join_group(pcb, GROUP, Via::Netif(third));
    assert_eq!(joined, Ok(()));
}

#[test]
fn a_host_without_devices_has_groups_of_its_own() {
    let (mut rig, mut app) = rig();
    let one = member_on_loopback(&mut rig);
    let two = member_on_loopback(&mut rig);
    rig.udp()
        .multicast_interface(one, Via::Netif(NetifId::LOOPBACK))
        .expect("always there");
    send(&mut rig, one, GROUP, b"inside");
    rig.turn(&mut app);
    assert_eq!(receivers(&mut app), [one, two]);
    assert!(rig.packets().is_empty());
}

fn member_on_loopback(rig: &mut UdpRig) -> UdpPcb {
    let pcb = shared(rig, ANY);
    rig.udp()
        .join_group(pcb, GROUP, Ipv4Addr::LOCALHOST.into())
        .expect("room");
    pcb
}

#[test]
fn joining_in_a_callback_is_told_in_the_same_breath() {
    struct Joiner(UdpPcb);
    impl gannet_core::Handler for Joiner {
        fn udp_recv(
            &mut self,
            udp: &mut gannet_core::Udp<'_>,
            _: UdpPcb,
            _: gannet_core::udp::Datagram,
        ) {
            udp.join_group(self.0, GROUP, Via::Route).expect("room");
        }
    }
    let (mut rig, _) = rig();
    let pcb = rig.udp().new(Owner(0)).expect("free");
    rig.udp().bind(pcb, (STACK, PORT).into()).expect("free");
    rig.receive(STACK, PORT, b"join");
    let now = rig.now;
    // The callback runs before the timers of the same turn.
    rig.stack.turn(now, &mut [&mut Joiner(pcb)]);
    assert_eq!(sent(&rig).1, [Said::V3(vec![(TO_EXCLUDE, GROUP)])]);
}
