//! Bytes against the parsers: none panics, and what is parsed, written and parsed again is the
//! same.
use gannet_core::wire::tcp_options::Options;
use gannet_core::wire::{arp, ethernet, icmpv4, igmp, ipv4, tcp, udp};

/// The target: the first byte says which parser.
pub fn wire(data: &[u8]) {
    let Some((which, bytes)) = data.split_first() else {
        return;
    };
    match which % 7 {
        0 => ethernet(bytes),
        1 => arp(bytes),
        2 => ipv4(bytes),
        3 => {
            icmpv4(bytes);
            igmp(bytes);
        }
        4 => udp(bytes),
        5 => tcp(bytes),
        _ => options(bytes),
    }
}

fn ethernet(bytes: &[u8]) {
    let Ok((header, payload)) = ethernet::parse(bytes) else {
        return;
    };
    let mut out = vec![0; ethernet::HEADER_LEN];
    header.emit(&mut out).expect("room");
    assert_eq!(out, bytes[..ethernet::HEADER_LEN]);
    match header.ethertype() {
        ethernet::EtherType::ARP => arp(payload),
        ethernet::EtherType::IPV4 => ipv4(payload),
        _ => {}
    }
}

fn arp(bytes: &[u8]) {
    let Ok(packet) = arp::Packet::parse(bytes) else {
        return;
    };
    let mut out = vec![0; arp::HEADER_LEN];
    packet.emit(&mut out).expect("room");
    assert_eq!(arp::Packet::parse(&out), Ok(packet));
}

fn ipv4(bytes: &[u8]) {
    // A packet may be longer than its first part.
    for total in [bytes.len(), bytes.len() + 9, usize::MAX] {
        let Ok(packet) = ipv4::Packet::parse(bytes, total) else {
            continue;
        };
        assert!(packet.header_len() >= ipv4::HEADER_LEN && packet.header_len() <= bytes.len());
        assert!(packet.total_len() <= total);
        assert_eq!(
            packet.header_len() + packet.payload_len(),
            packet.total_len()
        );
        assert!(packet.first_payload().len() <= packet.payload_len());
        let _ = (packet.checksum_is_valid(), packet.has_source_route());
        let _ = (packet.ecn(), packet.dscp(), packet.ident(), packet.ttl());
        if packet.is_fragment() {
            assert!(packet.more_fragments() || packet.fragment_offset() > 0);
        }
        let payload = packet.first_payload();
        match packet.protocol() {
            ipv4::Protocol::ICMP => icmpv4(payload),
            ipv4::Protocol::UDP => udp(payload),
            ipv4::Protocol::TCP => tcp(payload),
            _ => {}
        }
    }
    if let Ok(quoted) = ipv4::Packet::parse_quoted(bytes) {
        assert!(quoted.header_len() <= bytes.len());
        let _ = (quoted.src(), quoted.dst(), quoted.first_payload());
    }
}

fn icmpv4(bytes: &[u8]) {
    for total in [bytes.len(), bytes.len() + 9] {
        let Ok(message) = icmpv4::Message::parse(bytes, total) else {
            continue;
        };
        let _ = message.quote();
        let kind = message.kind();
        let mut out = vec![0; icmpv4::HEADER_LEN];
        if kind.emit(&mut out).is_ok() {
            let again = icmpv4::Message::parse(&out, out.len()).expect("what was written");
            assert_eq!(again.kind(), kind);
        }
    }
    let mut reply = bytes.to_vec();
    let _ = icmpv4::reply_in_place(&mut reply);
    assert_eq!(reply.len(), bytes.len());
}

fn igmp(bytes: &[u8]) {
    // Sources may lie behind the first part.
    for total in [bytes.len(), bytes.len() + 9, usize::MAX] {
        if let Ok(igmp::Message::Query(query)) = igmp::Message::parse(bytes, total) {
            assert!(query.group.is_none_or(|group| group.is_multicast()));
        }
    }
}

fn udp(bytes: &[u8]) {
    let Ok(datagram) = udp::Datagram::parse(bytes, bytes.len()) else {
        return;
    };
    assert!(datagram.len() <= bytes.len());
    assert_eq!(udp::HEADER_LEN + datagram.payload_len(), datagram.len());
    let fields = udp::Fields {
        src_port: datagram.src_port(),
        dst_port: datagram.dst_port(),
        payload_len: datagram.payload_len() as u16,
    };
    let mut out = vec![0; udp::HEADER_LEN];
    fields.emit(&mut out).expect("room");
    assert_eq!(out[..6], bytes[..6]);
}

fn tcp(bytes: &[u8]) {
    for total in [bytes.len(), bytes.len() + 9] {
        let Ok(segment) = tcp::Segment::parse(bytes, total) else {
            continue;
        };
        assert!(segment.header_len() >= tcp::HEADER_LEN);
        assert_eq!(segment.header_len() + segment.payload_len(), total);
        let _ = (segment.urgent(), segment.seg_len(), segment.window());
        let fields = tcp::Fields {
            src_port: segment.src_port(),
            dst_port: segment.dst_port(),
            seq: segment.seq(),
            ack: segment.ack(),
            flags: segment.flags(),
            window: segment.window(),
        };
        let mut out = [0; 60];
        let options = segment.options();
        let Ok(len) = fields.emit(&options, &mut out) else {
            // Aligned as we align them they may take more room than there is.
            continue;
        };
        let again = tcp::Segment::parse(&out[..len], len).expect("what was written");
        if !options.malformed {
            same_options(&again.options(), &options);
        }
        assert_eq!(
            (again.seq(), again.ack(), again.window()),
            (segment.seq(), segment.ack(), segment.window())
        );
    }
    let _ = tcp::Quoted::parse(bytes);
}

fn options(bytes: &[u8]) {
    let parsed = Options::parse(bytes);
    let mut out = [0; 40];
    let len = parsed.emit(&mut out).expect("room");
    assert_eq!(len, parsed.len());
    if !parsed.malformed {
        same_options(&Options::parse(&out[..len]), &parsed);
    }
}

/// Of the blocks of SACK as many are written as fit beside the others.
fn same_options(written: &Options, parsed: &Options) {
    let all = |options: &Options| {
        let Options {
            mss,
            window_scale,
            sack_permitted,
            timestamps,
            ..
        } = *options;
        (mss, window_scale, sack_permitted, timestamps)
    };
    assert_eq!(all(written), all(parsed));
    assert!(parsed.sack.as_slice().starts_with(written.sack.as_slice()));
}
