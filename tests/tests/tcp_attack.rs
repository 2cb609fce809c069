//! Segments from those who are not the peer, or a peer who is not honest: RFC 5961, RFC 5927.
use gannet_core::Config;
use gannet_tests::recorder::{Recorder, accepted};
use gannet_tests::script::{Script, plain_config};
use gannet_tests::segment::Segment;

#[test]
fn only_the_exact_number_resets() {
    // RFC 5961 §3.2.
    let (mut t, mut app) = accepted();
    t.run(
        &mut app,
        "< R. 2:2(0) ack 1 win 0
         > . 1:1(0) ack 1
         < R 60000:60000(0) win 0
         > . 1:1(0) ack 1
         < R 70000:70000(0) win 0
         > nothing
         < R 0:0(0) win 0
         > nothing",
    );
    assert!(app.take().is_empty());
    t.run(&mut app, "< R. 1:1(0) ack 1 win 0\n> nothing");
    assert_eq!(app.take(), ["err Reset"]);
}

#[test]
fn a_syn_on_a_connection_is_challenged() {
    // RFC 5961 §4.2.
    let (mut t, mut app) = accepted();
    t.run(
        &mut app,
        "< S 1:1(0) win 1000
         > . 1:1(0) ack 1
         < S. 500:500(0) ack 1 win 1000
         > . 1:1(0) ack 1
         < S 90000:90000(0) win 1000
         > . 1:1(0) ack 1",
    );
    assert!(app.take().is_empty());
}

#[test]
fn acknowledgements_out_of_range_are_challenged_and_their_data_dropped() {
    // RFC 5961 §5.2.
    let (mut t, mut app) = accepted();
    t.run(
        &mut app,
        "< P. 1:11(10) ack 2 win 1000
         > . 1:1(0) ack 1
         < P. 1:11(10) ack 3000000000 win 1000
         > . 1:1(0) ack 1
         < P 1:11(10) win 1000
         > nothing
         < - 1:11(10) win 1000
         > nothing
         < F 1:1(0) win 1000
         > nothing",
    );
    assert!(app.take().is_empty());
}

#[test]
fn an_acknowledgement_of_data_never_sent_loses_nothing() {
    let (mut t, mut app) = accepted();
    let pcb = app.pcb();
    t.run(&mut app, "< . 1:1(0) ack 1 win 0");
    t.write(pcb, 1, 5);
    t.run(&mut app, "< . 1:1(0) ack 6 win 0\n> . 1:1(0) ack 1");
    assert_eq!(t.tcp().sndqueuelen(pcb), Ok(1));
    assert!(app.take().is_empty());
}

#[test]
fn challenges_are_limited_for_each_connection() {
    // RFC 5961 §10; not globally, CVE-2016-5696.
    let (mut t, mut app) = accepted();
    let limit = usize::from(Config::default().tcp.challenge_acks_per_second);
    let mut answers = 0;
    for _ in 0..1000 {
        let reset = Segment::parse("R 9:9(0)", t.peer, t.local);
        t.wire.put(reset.packet(t.peer, t.local));
        t.turn(&mut app);
        answers += t.sent().len();
    }
    assert_eq!(answers, limit);
}

#[test]
fn the_segment_size_cannot_be_changed_later_nor_be_absurd() {
    let (mut t, mut app) = accepted();
    let pcb = app.pcb();
    t.run(&mut app, "< . 1:1(0) ack 1 win 10000 <mss 1>\n> nothing");
    assert_eq!(t.tcp().mss(pcb), Ok(1000));
    let mut t = Script::listening(plain_config(), 5);
    for (port, mss) in [(5001, 0), (5002, 1), (5003, 47)] {
        t.peer.port = port;
        t.run(
            &mut app,
            &format!(
                "< S 0:0(0) win 1000 <mss {mss}>
                 > S. 0:0(0) ack 1 <mss 1460>
                 < . 1:1(0) ack 1"
            ),
        );
        let pcb = app.pcb();
        assert_eq!(t.tcp().mss(pcb), Ok(48));
    }
}

#[test]
fn forged_segments_do_not_keep_a_dead_connection_alive() {
    let (mut t, mut app) = accepted();
    let keepalive = gannet_core::tcp::Keepalive {
        idle: std::time::Duration::from_secs(5),
        interval: std::time::Duration::from_secs(1),
        count: 2,
    };
    t.tcp()
        .keepalive(app.pcb(), Some(keepalive))
        .expect("a live connection");
    for _ in 0..20 {
        let forged = Segment::parse("P. 2000000000:2000000010(10) ack 1", t.peer, t.local);
        t.wire.put(forged.packet(t.peer, t.local));
        t.wait(&mut app, std::time::Duration::from_secs(1));
    }
    t.sent();
    assert_eq!(app.take(), ["err TimedOut"]);
}

#[test]
fn out_of_order_data_is_capped_and_the_connection_lives() {
    let (mut t, mut app) = accepted();
    let before = t.pools.rx.available();
    for n in 0..500u32 {
        let seq = 3 + 2 * n;
        let text = format!(". {seq}:{}(1) ack 1", seq + 1);
        let segment = Segment::parse(&text, t.peer, t.local);
        t.wire.put(segment.packet(t.peer, t.local));
        t.turn(&mut app);
        t.sent();
    }
    let pinned = before - t.pools.rx.available();
    assert!(pinned <= 16, "500 one-byte holes pin {pinned} buffers");
    t.run(&mut app, "< P. 1:1001(1000) ack 1\n> . 1:1(0) ack 1001");
    let whole: Vec<_> = (1..1001).map(gannet_tests::segment::pattern).collect();
    assert_eq!(app.data[..1000], whole);
}

#[test]
fn options_that_lie_about_their_length_are_dropped_with_their_segment() {
    let (mut t, mut app) = accepted();
    for options in [
        [2u8, 0, 0, 0],
        [2, 1, 0, 0],
        [2, 60, 0, 0],
        [8, 10, 0, 0],
        [5, 3, 0, 0],
    ] {
        let segment = Segment::parse("P. 1:11(10) ack 1 <mss 1>", t.peer, t.local);
        let mut packet = segment.packet(t.peer, t.local);
        packet[40..44].copy_from_slice(&options);
        fix_tcp_checksum(&mut packet);
        t.wire.put(packet);
        t.run(&mut app, "> nothing");
    }
    assert_eq!(t.stack.tcp_stats().malformed, 5);
    assert!(app.take().is_empty());
}

#[test]
fn no_byte_of_a_segment_can_be_changed_unnoticed_and_no_prefix_panics() {
    let (mut t, mut app) = accepted();
    let segment = Segment::parse("P. 1:11(10) ack 1 <mss 1>", t.peer, t.local);
    let packet = segment.packet(t.peer, t.local);
    for at in 20..packet.len() {
        let mut changed = packet.clone();
        changed[at] ^= 0x10;
        t.wire.put(changed);
        t.turn(&mut app);
    }
    for len in 0..packet.len() {
        t.wire.put(packet[..len].to_vec());
        t.turn(&mut app);
    }
    t.sent();
    assert!(app.take().is_empty());
    t.run(&mut app, "< P. 1:11(10) ack 1\nwait 100\n> . 1:1(0) ack 11");
}

#[test]
fn random_segments_on_a_connection_neither_panic_nor_leak() {
    let mut random = fastrand::Rng::with_seed(1);
    for round in 0..200 {
        let mut app = Recorder::default();
        let mut t = Script::accepted(plain_config(), &mut app);
        let pcb = app.pcb();
        for _ in 0..100 {
            let mut segment = Segment::parse(". 1:1(0) ack 1", t.peer, t.local);
            segment.seq = t.peer.isn + random.u32(0..200);
            segment.ack = random.bool().then(|| t.local.isn + random.u32(0..50));
            segment.window = random.u16(..);
            segment.data = vec![0; random.usize(0..100)];
            for flag in [1u8, 2, 4, 8] {
                if random.u8(0..20) == 0 {
                    segment.flags = segment.flags | flag_of(flag);
                }
            }
            t.wire.put(segment.packet(t.peer, t.local));
            // Any of these may find the connection gone.
            let mut tcp = t.tcp();
            match random.u8(0..40) {
                0 => drop(tcp.close(pcb)),
                1 => drop(tcp.abort(pcb)),
                2..8 => {
                    let data = gannet_core::tcp::Data::Copy(&[0; 30]);
                    drop(tcp.write(pcb, data, gannet_core::tcp::More::No));
                }
                _ => {}
            }
            t.wait(
                &mut app,
                std::time::Duration::from_millis(random.u64(0..50)),
            );
            while t.wire.take().is_some() {}
        }
        let mut tcp = t.tcp();
        let _ = tcp.abort(pcb);
        t.wait(&mut app, std::time::Duration::from_secs(600));
        while t.wire.take().is_some() {}
        assert!(t.pools.at_rest(), "round {round}: {:?}", t.pools.in_use());
        assert_eq!(t.stack.tcp_census().connections, 0, "round {round}");
    }
}

fn flag_of(bit: u8) -> gannet_core::wire::tcp::Flags {
    use gannet_core::wire::tcp::Flags;
    match bit {
        1 => Flags::FIN,
        2 => Flags::SYN,
        4 => Flags::RST,
        _ => Flags::PSH,
    }
}

fn fix_tcp_checksum(packet: &mut [u8]) {
    use gannet_core::wire::checksum::Checksum;
    use gannet_core::wire::ipv4::{Packet, Protocol};
    let (src, dst) = {
        let ip = Packet::parse(packet, packet.len()).expect("an IPv4 packet");
        (ip.src(), ip.dst())
    };
    let segment = &mut packet[20..];
    segment[16..18].fill(0);
    let mut sum = Checksum::new();
    sum.pseudo_header(src, dst, Protocol::TCP, segment.len() as u16);
    sum.add(segment);
    segment[16..18].copy_from_slice(&sum.finish().to_be_bytes());
}
