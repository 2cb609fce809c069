//! The straight way does with every frame what the general way does.
use proptest::prelude::*;

use super::*;
use crate::netif::ethernet::HEADROOM;
use crate::wire::checksum::checksum;

const TCP: u8 = 6;
const UDP: u8 = 17;

/// What is not as it should be.
#[derive(Clone, Debug)]
enum Flaw {
    /// A byte of the headers is another one.
    Byte(usize, u8),
    /// As above, and the IP header's checksum fits again.
    ByteAndSum(usize, u8),
    /// Less arrived than was sent.
    Short(usize),
    /// More arrived: padding.
    Long(usize),
}

#[derive(Clone, Debug)]
struct Sent {
    protocol: u8,
    from: u8,
    flaws: Vec<Flaw>,
    /// Where the first part ends.
    cut: Option<usize>,
}

fn frame(of: &Sent) -> Vec<u8> {
    let mut bytes = vec![2, 0, 0, 0, 0, 2, 2, 0, 0, 0, 0, of.from, 8, 0];
    let header = [0x45, 0, 0, 52, 0, 1, 0x40, 0, 64, of.protocol, 0, 0];
    bytes.extend(header);
    bytes.extend([10, 0, 0, of.from, 10, 0, 0, 2]);
    bytes.extend([1, 0, 1, 1, 0, 32, 0, 0, 9, 9, 9, 9, 0x50, 0x10, 8, 7]);
    bytes.extend([6; 16]);
    fit_sum(&mut bytes);
    for flaw in &of.flaws {
        match *flaw {
            Flaw::Byte(at, byte) | Flaw::ByteAndSum(at, byte) => bytes[at] = byte,
            Flaw::Short(by) => bytes.truncate(bytes.len() - by),
            Flaw::Long(by) => bytes.extend(vec![0; by]),
        }
        if let Flaw::ByteAndSum(..) = flaw {
            fit_sum(&mut bytes);
        }
    }
    bytes
}

fn fit_sum(frame: &mut [u8]) {
    frame[24..26].fill(0);
    let sum = checksum(&frame[HEADROOM..34]);
    frame[24..26].copy_from_slice(&sum.to_be_bytes());
}

fn buffer(bytes: &[u8], cut: Option<usize>) -> Pbuf {
    let part = |bytes: &[u8]| {
        let mut part = Pbuf::alloc(&DATA, 0, bytes.len()).expect("a buffer");
        part.copy_from(bytes);
        part
    };
    let (first, rest) = bytes.split_at(cut.map_or(bytes.len(), |cut| cut.min(bytes.len())));
    let mut frame = part(first);
    if !rest.is_empty() {
        frame.cat(part(rest));
    }
    frame
}

/// What a transport gets, and what was counted.
fn outcome(ip: &Ip, received: Option<(Protocol, Received)>) -> String {
    let seen = received.map(|(protocol, received)| {
        let bytes: Vec<u8> = received.payload.parts().flatten().copied().collect();
        let Received {
            payload: _,
            netif,
            src,
            dst,
            to,
            tos,
            ttl,
            checksum,
            header_len,
        } = received;
        let rest = (tos, ttl, checksum, header_len);
        format!("{protocol:?} {netif:?} {src} {dst} {to:?} {rest:?} {bytes:?}")
    });
    format!("{seen:?} {:?}", ip.stats)
}

fn general(ip: &mut Ip, id: NetifId, frame: Pbuf) -> Option<(Protocol, Received)> {
    match ip.input(NOW, id, frame)? {
        Input::Tcp(received) => Some((Protocol::TCP, received)),
        Input::Udp(received) => Some((Protocol::UDP, received)),
        Input::TcpError(_) | Input::UdpError(_) => None,
    }
}

fn straight(ip: &mut Ip, id: NetifId, mut frame: Pbuf) -> Option<(Protocol, Received)> {
    let Some((straight, _)) = ip.straight(id, &frame, frame.tot_len()) else {
        return general(ip, id, frame);
    };
    straight.trim(&mut frame);
    let protocol = ip.protocol();
    let header_len = match protocol {
        Protocol::TCP => straight.tcp_header_len(&frame),
        _ => crate::wire::udp::HEADER_LEN,
    };
    let checksum = ip.envelope().checksum;
    Some((protocol, ip.open(straight, frame, header_len, checksum)?))
}

/// Nothing waits any more, neither fragments nor answers: the slots are leaked, the buffers in them
/// must not be.
fn rest(ip: &mut Ip) {
    for minute in 1..6 {
        ip.expire(NOW + core::time::Duration::from_secs(60 * minute));
    }
}

fn flaw() -> impl Strategy<Value = Flaw> {
    let byte = prop_oneof![any::<u8>(), prop::sample::select(vec![0u8, 0x20, 0x80, 10])];
    prop_oneof![
        2 => (0..48usize, byte.clone()).prop_map(|(at, byte)| Flaw::Byte(at, byte)),
        4 => (0..48usize, byte).prop_map(|(at, byte)| Flaw::ByteAndSum(at, byte)),
        1 => (1..33usize).prop_map(Flaw::Short),
        1 => (1..9usize).prop_map(Flaw::Long),
    ]
}

fn sent() -> impl Strategy<Value = Sent> {
    (
        prop_oneof![6 => Just(TCP), 4 => Just(UDP), 1 => any::<u8>()],
        prop::sample::select(vec![1u8, 3]),
        // Before a length is cut, so that no byte is missing then.
        prop::option::weighted(0.6, flaw()),
        prop::option::weighted(0.2, 0..80usize),
    )
        .prop_map(|(protocol, from, flaw, cut)| Sent {
            protocol,
            from,
            flaws: flaw.into_iter().collect(),
            cut,
        })
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, cases: 500, ..ProptestConfig::default() })]

    #[test]
    fn every_frame_is_taken_as_on_the_general_way(train in prop::collection::vec(sent(), 1..20)) {
        let (mut a, mut b) = (new_ip(), new_ip());
        let (id, _) = attach(&mut a, ([10, 0, 0, 2], 24), Checksums::NONE);
        attach(&mut b, ([10, 0, 0, 2], 24), Checksums::NONE);
        for of in &train {
            let bytes = frame(of);
            let one = straight(&mut a, id, buffer(&bytes, of.cut));
            let other = general(&mut b, id, buffer(&bytes, of.cut));
            prop_assert_eq!(outcome(&a, one), outcome(&b, other), "{:?}", of);
        }
        rest(&mut a);
        rest(&mut b);
    }
}

/// The comparison above would show nothing if the straight way were never taken; and what was found
/// out is forgotten when it may not be true any more.
#[test]
fn what_is_familiar_is_forgotten_with_the_address() {
    let mut ip = new_ip();
    let (id, _) = attach(&mut ip, ([10, 0, 0, 2], 24), Checksums::NONE);
    let usual = Sent {
        protocol: TCP,
        from: 1,
        flaws: Vec::new(),
        cut: None,
    };
    let usual = buffer(&frame(&usual), None);
    assert!(ip.straight(id, &usual, usual.tot_len()).is_some());
    let other = Subnet::new([10, 0, 0, 9].into(), 24);
    ip.netifs.at_mut(id).expect("the interface").subnet = other;
    ip.ways_changed();
    assert!(ip.straight(id, &usual, usual.tot_len()).is_none());
}
