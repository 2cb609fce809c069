//! Wrong frames, packets and segments to a running board: each is counted under its reason and
//! dropped, answered only where an RFC says so, and the board goes on.
mod common;

use std::net::{Ipv4Addr, SocketAddrV4};
use std::process::ExitCode;

use common::raw_link::{BOARD_HW, PEER_HW, RawBoard};
use common::{BOARD, GATEWAY, Outcome, PASSED, run_tests};
use gannet_core::HwAddr;
use gannet_core::wire::ethernet::EtherType;
use gannet_core::wire::icmpv4::Kind;
use gannet_core::wire::ipv4::Protocol;
use gannet_core::wire::tcp::SeqNum;
use gannet_tests::frames::{Packet, Sent, echo_request, fix_checksum, frame};
use gannet_tests::segment::{End, Segment, set_options};
use gannet_tests::udp;

fn main() -> ExitCode {
    run_tests(tests![
        wrong_frames,
        wrong_packets,
        wrong_sources,
        wrong_messages,
        wrong_datagrams,
        wrong_segments,
        overlapping_fragments,
        endless_fragments,
        noise,
    ])
}

/// A counter: section and name.
type Counter = (&'static str, &'static str);

/// Sends `frame`; `counter` has to count it, and the board to be silent.
#[track_caller]
fn counted(board: &mut RawBoard, what: &str, frame: &[u8], counter: Counter) {
    let answers = provoke(board, what, frame, counter);
    assert!(answers.is_empty(), "{what}: answered with {answers:?}");
}

/// As [`counted`], and what the board has answered.
#[track_caller]
fn provoke(board: &mut RawBoard, what: &str, frame: &[u8], counter: Counter) -> Vec<Vec<u8>> {
    let (section, name) = counter;
    let (before, late) = board.counters(section);
    assert!(late.is_empty(), "before {what}: {late:?}");
    board.send(frame);
    let (after, answers) = board.counters(section);
    let count = |value: &serde_json::Value| value[name].as_u64().expect("a counter");
    assert_eq!(
        count(&after),
        count(&before) + 1,
        "{what}: {name} in {after}"
    );
    answers
}

fn ip_frame(packet: &[u8]) -> Vec<u8> {
    frame(BOARD_HW, PEER_HW, EtherType::IPV4, packet)
}

fn ping() -> Packet {
    Packet::new(GATEWAY, BOARD, Protocol::ICMP, echo_request(32))
}

/// A ping with bytes changed, the header checksum right.
fn changed(change: impl Fn(&mut Vec<u8>)) -> Vec<u8> {
    let mut bytes = ping().bytes();
    change(&mut bytes);
    fix_checksum(&mut bytes);
    ip_frame(&bytes)
}

#[track_caller]
fn assert_answers_pings(board: &mut RawBoard) {
    let answers = provoke(
        board,
        "a ping",
        &ip_frame(&ping().bytes()),
        ("icmp", "in_echos"),
    );
    assert_eq!(answers.len(), 1);
    let reply = Sent::parse(&answers[0], BOARD_HW).ip();
    assert!(matches!(reply.icmp().0, Kind::EchoReply(_)));
}

fn wrong_frames() -> Outcome {
    let board = &mut RawBoard::start();
    let whole = ip_frame(&ping().bytes());
    for len in [1, 6, 13] {
        counted(
            board,
            "a short frame",
            &whole[..len],
            ("interface", "in_errors"),
        );
    }
    let group = frame(
        BOARD_HW,
        HwAddr([3, 0, 0, 0, 0, 1]),
        EtherType::IPV4,
        &ping().bytes(),
    );
    counted(
        board,
        "a group as source",
        &group,
        ("interface", "in_errors"),
    );
    let other = frame(
        HwAddr([2, 0, 0, 0, 0, 9]),
        PEER_HW,
        EtherType::IPV4,
        &ping().bytes(),
    );
    counted(
        board,
        "a frame to another station",
        &other,
        ("interface", "in_discards"),
    );
    let unknown = frame(BOARD_HW, PEER_HW, EtherType(0x1234), &[0; 46]);
    counted(
        board,
        "an unknown protocol",
        &unknown,
        ("interface", "in_unknown_protocols"),
    );
    let arp = frame(BOARD_HW, PEER_HW, EtherType::ARP, &[0, 1, 8, 0, 6, 4]);
    counted(board, "a short ARP packet", &arp, ("arp", "in_errors"));
    let arp = frame(BOARD_HW, PEER_HW, EtherType::ARP, &[0xff; 28]);
    counted(board, "ARP of no kind", &arp, ("arp", "in_errors"));
    assert_answers_pings(board);
    PASSED
}

fn wrong_packets() -> Outcome {
    let board = &mut RawBoard::start();
    let header = ("ip", "in_header_errors");
    counted(
        board,
        "a header alone, cut",
        &ip_frame(&ping().bytes()[..19]),
        header,
    );
    counted(board, "no packet", &ip_frame(&[]), header);
    counted(board, "version 5", &changed(|p| p[0] = 0x55), header);
    let mut short = ping().bytes();
    short[0] = 0x44;
    counted(board, "a header of 16 bytes", &ip_frame(&short), header);
    let mut long = Packet::new(GATEWAY, BOARD, Protocol::ICMP, vec![]).bytes();
    long[0] = 0x4f;
    counted(board, "a header past the end", &ip_frame(&long), header);
    counted(
        board,
        "a length past the end",
        &changed(|p| p[3] = 200),
        header,
    );
    counted(
        board,
        "a length below the header",
        &changed(|p| p[3] = 19),
        header,
    );
    let mut spoiled = ping().bytes();
    spoiled[10] ^= 1;
    counted(
        board,
        "a wrong checksum",
        &ip_frame(&spoiled),
        ("ip", "in_checksum_errors"),
    );
    let options = |options: &[u8]| {
        ip_frame(
            &Packet {
                options: options.to_vec(),
                ..ping()
            }
            .bytes(),
        )
    };
    counted(
        board,
        "an option of length 0",
        &options(&[7, 0, 0, 0]),
        header,
    );
    counted(
        board,
        "an option of length 1",
        &options(&[7, 1, 0, 0]),
        header,
    );
    counted(
        board,
        "an option past the end",
        &options(&[7, 40, 4, 0]),
        header,
    );
    let route = options(&[131, 7, 4, 10, 0, 0, 9, 0]);
    counted(board, "a source route", &route, ("ip", "in_source_routes"));
    let other = ip_frame(
        &Packet {
            dst: Ipv4Addr::new(10, 0, 0, 77),
            ..ping()
        }
        .bytes(),
    );
    counted(
        board,
        "a packet to another host",
        &other,
        ("ip", "in_address_errors"),
    );
    // RFC 1122 §3.2.2.1: a protocol that is not there is told.
    let unknown = ip_frame(
        &Packet {
            protocol: Protocol(200),
            ..ping()
        }
        .bytes(),
    );
    let answers = provoke(
        board,
        "protocol 200",
        &unknown,
        ("ip", "in_unknown_protocols"),
    );
    let answer = Sent::parse(&answers[0], BOARD_HW).ip();
    assert!(
        matches!(answer.icmp().0, Kind::DestinationUnreachable(_)),
        "{answer:?}"
    );
    assert_answers_pings(board);
    PASSED
}

fn wrong_sources() -> Outcome {
    let board = &mut RawBoard::start();
    for src in [
        [255, 255, 255, 255],
        [10, 0, 0, 255],
        [10, 0, 0, 2],
        [127, 0, 0, 1],
        [224, 0, 0, 1],
        [240, 0, 0, 1],
    ] {
        let packet = Packet {
            src: src.into(),
            ..ping()
        };
        let what = format!("a packet from {}", packet.src);
        counted(
            board,
            &what,
            &ip_frame(&packet.bytes()),
            ("ip", "in_martians"),
        );
    }
    assert_answers_pings(board);
    PASSED
}

fn wrong_messages() -> Outcome {
    let board = &mut RawBoard::start();
    let message = |payload: Vec<u8>| ip_frame(&Packet { payload, ..ping() }.bytes());
    counted(
        board,
        "a short message",
        &message(vec![8, 0, 0xf7, 0xff]),
        ("icmp", "in_errors"),
    );
    let mut spoiled = echo_request(32);
    spoiled[20] ^= 1;
    counted(
        board,
        "a wrong checksum",
        &message(spoiled),
        ("icmp", "in_checksum_errors"),
    );
    let broadcast = Packet {
        dst: Ipv4Addr::new(10, 0, 0, 255),
        ..ping()
    };
    let to_all = frame(
        HwAddr::BROADCAST,
        PEER_HW,
        EtherType::IPV4,
        &broadcast.bytes(),
    );
    counted(board, "a ping to all", &to_all, ("icmp", "in_group_echos"));
    assert_answers_pings(board);
    PASSED
}

fn wrong_datagrams() -> Outcome {
    let board = &mut RawBoard::start();
    let from = SocketAddrV4::new(GATEWAY, 5_000);
    let echo = |change: &dyn Fn(&mut Vec<u8>)| {
        let mut packet = udp::packet(from, SocketAddrV4::new(BOARD, 7), b"data");
        change(&mut packet);
        ip_frame(&packet)
    };
    let malformed = ("udp", "malformed");
    counted(
        board,
        "a length below the header",
        &echo(&|p| p[25] = 7),
        malformed,
    );
    counted(
        board,
        "a length past the end",
        &echo(&|p| p[25] = 99),
        malformed,
    );
    counted(
        board,
        "a wrong checksum",
        &echo(&|p| p[26] ^= 1),
        ("udp", "checksum_errors"),
    );
    // RFC 1122 §4.1.3.1: a port that nobody has is told.
    let nobody = ip_frame(&udp::packet(from, SocketAddrV4::new(BOARD, 4_444), b"data"));
    let answers = provoke(board, "a port nobody has", &nobody, ("udp", "no_ports"));
    let answer = Sent::parse(&answers[0], BOARD_HW).ip();
    assert!(
        matches!(answer.icmp().0, Kind::DestinationUnreachable(_)),
        "{answer:?}"
    );
    assert_answers_pings(board);
    PASSED
}

fn wrong_segments() -> Outcome {
    let board = &mut RawBoard::start();
    let peer = End {
        addr: GATEWAY,
        port: 6_000,
        isn: SeqNum(1_000),
    };
    let echo = End {
        addr: BOARD,
        port: 7,
        isn: SeqNum(0),
    };
    let syn = || Segment::parse("S 0:0(0) win 1000", peer, echo).packet(peer, echo);
    let malformed = ("tcp", "malformed");
    let with = |options: &[u8]| {
        let mut packet = syn();
        set_options(&mut packet, options);
        ip_frame(&packet)
    };
    let mut short = syn();
    short.truncate(20 + 19);
    short[3] = 39;
    fix_checksum(&mut short);
    counted(board, "a segment of 19 bytes", &ip_frame(&short), malformed);
    let mut spoiled = syn();
    spoiled[36] ^= 1;
    counted(
        board,
        "a wrong checksum",
        &ip_frame(&spoiled),
        ("tcp", "checksum_errors"),
    );
    counted(
        board,
        "an option of length 0",
        &with(&[2, 0, 5, 0]),
        malformed,
    );
    counted(
        board,
        "an option of length 1",
        &with(&[2, 1, 5, 0]),
        malformed,
    );
    counted(
        board,
        "an option past the end",
        &with(&[1, 1, 2, 4]),
        malformed,
    );
    let mut offset = syn();
    set_options(&mut offset, &[]);
    offset[32] = 4 << 4;
    reseal(&mut offset);
    counted(board, "a header of 16 bytes", &ip_frame(&offset), malformed);
    let mut offset = syn();
    set_options(&mut offset, &[]);
    offset[32] = 15 << 4;
    reseal(&mut offset);
    counted(
        board,
        "a header past the end",
        &ip_frame(&offset),
        malformed,
    );
    let nobody = End {
        port: 4_444,
        ..echo
    };
    // RFC 9293 §3.10.7.1: a reset for what belongs to no connection, but none for a reset.
    let data = Segment::parse("P. 5:9(4) ack 5 win 1000", peer, nobody).packet(peer, nobody);
    let answers = provoke(
        board,
        "a lost segment",
        &ip_frame(&data),
        ("tcp", "no_connection"),
    );
    let reset = Sent::parse(&answers[0], BOARD_HW).ip();
    assert!(reset.payload[13] & 4 != 0, "{reset:?}");
    let reset = Segment::parse("R 5:5(0) win 0", peer, nobody).packet(peer, nobody);
    counted(
        board,
        "a lost reset",
        &ip_frame(&reset),
        ("tcp", "no_connection"),
    );
    assert_answers_pings(board);
    PASSED
}

/// Makes the checksum of a TCP segment right whose header length is wrong.
fn reseal(packet: &mut [u8]) {
    gannet_tests::segment::seal(packet);
}

fn overlapping_fragments() -> Outcome {
    let board = &mut RawBoard::start();
    let whole = Packet {
        ident: 77,
        payload: echo_request(1_400),
        ..ping()
    };
    let pieces = whole.fragments(800);
    board.send_ip(&pieces[0].bytes());
    // The second begins in the first one.
    let overlap = Packet {
        offset: 400,
        payload: vec![0; 1_008],
        ..pieces[1].clone()
    };
    counted(
        board,
        "an overlap",
        &ip_frame(&overlap.bytes()),
        ("ip", "reassembly_overlaps"),
    );
    // In order, the next one arrives whole.
    let whole = Packet { ident: 78, ..whole };
    let mut answers = Vec::new();
    for piece in whole.fragments(800) {
        board.send_ip(&piece.bytes());
    }
    answers.extend(board.counters("ip").1);
    assert_eq!(answers.len(), 1, "an echo reply fits one frame");
    PASSED
}

fn endless_fragments() -> Outcome {
    let board = &mut RawBoard::start();
    // None ever is the last, none ever complete.
    for ident in 0..400u16 {
        for offset in [0, 1_480, 2_960, 60_000] {
            let payload = vec![1; 1_480];
            let piece = Packet {
                ident,
                offset,
                more: true,
                payload,
                ..ping()
            };
            board.send_ip(&piece.bytes());
        }
        if ident % 8 == 0 {
            // Not faster than the board: what is refused for want of buffers counts elsewhere.
            board.counters("ip");
        }
    }
    let (ip, answers) = board.counters("ip");
    assert!(answers.is_empty(), "{} answers", answers.len());
    assert_ne!(ip["reassembly_evicted"], 0, "{ip}");
    let (pools, _) = board.counters("pools");
    let available = pools["rx"]["available"].as_u64().expect("a number");
    assert!(available > 900, "{available} of 1,024 buffers are left");
    assert_answers_pings(board);
    PASSED
}

/// Frames of random bytes, and right ones with random faults.
fn noise() -> Outcome {
    let board = &mut RawBoard::start();
    let mut random = fastrand::Rng::with_seed(11);
    let peer = End {
        addr: GATEWAY,
        port: 6_000,
        isn: SeqNum(1_000),
    };
    let echo = End {
        addr: BOARD,
        port: 7,
        isn: SeqNum(0),
    };
    let syn = Segment::parse("S 0:0(0) win 1000 <mss 1460>", peer, echo).packet(peer, echo);
    let to_echo = SocketAddrV4::new(BOARD, 7);
    let datagram = udp::packet(SocketAddrV4::new(GATEWAY, 5_000), to_echo, b"data");
    let models = [syn, datagram, ping().bytes()];
    for n in 0..5_000 {
        let mut bytes = match random.u8(0..4) {
            0 => {
                let mut bytes = vec![0; random.usize(1..1_500)];
                random.fill(&mut bytes);
                bytes
            }
            model => ip_frame(&models[usize::from(model) - 1]),
        };
        for _ in 0..random.usize(0..4) {
            let at = random.usize(0..bytes.len());
            bytes[at] = random.u8(..);
        }
        bytes.truncate(random.usize(bytes.len() / 2..=bytes.len()).max(1));
        board.send(&bytes);
        if n % 16 == 0 {
            board.counters("ip");
        }
    }
    board.counters("ip");
    // Whatever answers there were, they have been read; what is still to come is of connections.
    let (icmp, _) = board.counters("icmp");
    let echos = icmp["in_echos"].as_u64().expect("a number");
    board.send(&ip_frame(&ping().bytes()));
    let (icmp, _) = board.counters("icmp");
    assert_eq!(icmp["in_echos"], echos + 1);
    PASSED
}
