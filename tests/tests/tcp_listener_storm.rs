//! Random segments and random applications at a listener: whatever happens, no place in the
//! backlog, no control block and no buffer is lost.
use gannet_core::config::Use;
use gannet_core::{Error, Handler, Pbuf, Refused, Tcp, TcpListener, TcpPcb};
use gannet_tests::script::{Script, plain_config};
use gannet_tests::segment::Segment;
use std::net::Ipv4Addr;
use std::time::Duration;

/// Does anything with its connections.
struct Chaos {
    random: fastrand::Rng,
    live: Vec<TcpPcb>,
}

impl Handler for Chaos {
    fn accept(&mut self, tcp: &mut Tcp<'_>, _: TcpListener, pcb: TcpPcb) -> Result<(), Error> {
        match self.random.u8(0..8) {
            0 => return Err(Error::Aborted),
            1 => return tcp.abort(pcb),
            2 => return tcp.orphan(pcb),
            3 => tcp.close(pcb)?,
            4 | 5 => tcp.delay_accept(pcb)?,
            _ => {}
        }
        self.live.push(pcb);
        Ok(())
    }

    fn recv(&mut self, tcp: &mut Tcp<'_>, pcb: TcpPcb, data: Option<Pbuf>) -> Result<(), Refused> {
        match (data, self.random.u8(0..4)) {
            (Some(data), 0) => return Err(Refused(data)),
            (Some(data), _) => drop(tcp.recved(pcb, data.tot_len())),
            (None, _) => drop(tcp.close(pcb)),
        }
        Ok(())
    }
}

/// One round: a storm of `steps` segments, then silence, then the backlog must be whole. Returns
/// how many connections were made, and how many of these from cookies.
fn storm(seed: u64, cookies: Use, steps: u32) -> (u32, u32) {
    const BACKLOG: u16 = 6;
    let mut config = plain_config();
    config.tcp.syn_cookies = cookies;
    config.tcp.timestamps = if seed & 1 == 0 { Use::Off } else { Use::On };
    let mut t = Script::listening(config, BACKLOG);
    let mut random = fastrand::Rng::with_seed(seed);
    let mut app = Chaos {
        random: random.fork(),
        live: Vec::new(),
    };
    // What the stack said last to each of the peers.
    let mut heard = [(0u32, 0u32); 24];
    for _ in 0..steps {
        let who = random.usize(0..heard.len());
        t.peer.addr = Ipv4Addr::new(10, 0, 0, 10 + (who % 5) as u8);
        t.peer.port = 4000 + who as u16;
        let (their, ours) = heard[who];
        let text = match random.u8(0..10) {
            0..3 => "S 0:0(0) win 1000",
            3..5 => ". 1:1(0) ack 1 win 1000",
            5..7 => "P. 1:11(10) ack 1 win 1000",
            7 => "R 1:1(0) win 0",
            8 => "F. 1:1(0) ack 1 win 1000",
            _ => "S 7777:7777(0) win 1000",
        };
        let mut segment = Segment::parse(text, t.peer, t.local);
        if segment.ack.is_some() {
            segment.ack = Some(gannet_core::wire::tcp::SeqNum(their));
            segment.seq = segment.seq.max(gannet_core::wire::tcp::SeqNum(ours));
        }
        if random.u8(0..4) == 0 {
            segment.options.timestamps = Some(gannet_core::wire::tcp_options::Timestamps {
                value: random.u32(0..100),
                echo: random.u32(..),
            });
        }
        t.wire.put(segment.packet(t.peer, t.local));
        t.wait(&mut app, Duration::from_millis(random.u64(0..200)));
        while let Some(packet) = t.wire.take() {
            let (segment, _, port) = Segment::from_packet(&packet).expect("TCP");
            let end = segment.seq + segment.data.len() as u32;
            let syn = segment.flags.contains(gannet_core::wire::tcp::Flags::SYN);
            heard[usize::from(port - 4000)] =
                ((end + u32::from(syn)).0, segment.ack.map_or(0, |ack| ack.0));
        }
        if random.u8(0..6) == 0 && !app.live.is_empty() {
            let pcb = app.live.swap_remove(random.usize(0..app.live.len()));
            let mut tcp = t.tcp();
            let _ = match random.u8(0..4) {
                0 => tcp.close(pcb),
                1 => tcp.abort(pcb),
                2 => tcp.orphan(pcb),
                _ => {
                    app.live.push(pcb);
                    tcp.accepted(pcb)
                }
            };
        }
    }
    for pcb in std::mem::take(&mut app.live) {
        let _ = t.tcp().abort(pcb);
    }
    t.wait(&mut app, Duration::from_secs(1000));
    for pcb in std::mem::take(&mut app.live) {
        let _ = t.tcp().abort(pcb);
    }
    t.turn(&mut app);
    while t.wire.take().is_some() {}
    let census = t.stack.tcp_census();
    assert_eq!(
        (census.connections, census.half_open),
        (0, 0),
        "seed {seed}"
    );
    assert!(t.pools.at_rest(), "seed {seed}: {:?}", t.pools.in_use());
    // The whole backlog is there, and no more.
    for n in 0..=BACKLOG {
        t.peer.addr = Ipv4Addr::new(10, 0, 0, 100 + n as u8);
        t.peer.port = 6000 + n;
        let syn = Segment::parse("S 0:0(0) win 1000", t.peer, t.local);
        t.wire.put(syn.packet(t.peer, t.local));
        t.turn(&mut app);
        let filed = t.stack.tcp_census().half_open;
        assert_eq!(filed, usize::from((n + 1).min(BACKLOG)), "seed {seed}");
    }
    let stats = t.stack.tcp_stats();
    (stats.passive_opens, stats.syn_cookies_received)
}

#[test]
fn no_place_is_lost_with_cookies() {
    let all: Vec<_> = (0..60).map(|seed| storm(seed, Use::On, 400)).collect();
    let (opens, cookies): (Vec<_>, Vec<_>) = all.into_iter().unzip();
    assert!(opens.iter().sum::<u32>() > 500, "{opens:?}");
    assert!(cookies.iter().sum::<u32>() > 50, "{cookies:?}");
}

#[test]
fn no_place_is_lost_without_cookies() {
    let all: Vec<_> = (100..160).map(|seed| storm(seed, Use::Off, 400)).collect();
    assert!(all.iter().map(|(opens, _)| opens).sum::<u32>() > 500);
    assert!(all.iter().all(|(_, cookies)| *cookies == 0));
}
