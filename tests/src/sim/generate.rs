//! What a seed means. Everything random about a scenario is decided here, but for what happens to
//! single frames.
use std::time::Duration;

use gannet_core::Config;
use gannet_core::config::Use;
use gannet_core::tcp::{CongestionControl, Cork, Keepalive, Nagle, QuickAck};

use super::plan::{
    End, Expect, Fault, Flow, HostPlan, Kind, Line, Medium, Noise, Options, Plan, Read, Rng, Side,
    StackKind, TcpFlow, UdpFlow, Which, Writes,
};
use super::pools::Shape;
use crate::storage::Sizes;

fn chance(rng: &mut Rng, p: f64) -> bool {
    rng.f64() < p
}

fn pick<T: Copy>(rng: &mut Rng, from: &[T]) -> T {
    from[rng.usize(..from.len())]
}

fn millis(rng: &mut Rng, range: std::ops::Range<u64>) -> Duration {
    Duration::from_millis(rng.u64(range))
}

impl Plan {
    /// The scenario of `seed`.
    pub fn new(seed: u64) -> Self {
        let rng = &mut Rng::with_seed(seed);
        let expect = match rng.bool() {
            true => Expect::Success,
            false => Expect::AnEnd,
        };
        let strict = expect == Expect::Success;
        let forged = !strict && chance(rng, 0.25);
        let count = pick(rng, &[2, 2, 2, 3, 3, 4, 5]);
        let hosts: Vec<_> = (0..count).map(|_| host(rng, strict)).collect();
        let flows = (0..rng.usize(1..=5))
            .map(|n| flow(rng, count, n as u16, strict, &hosts))
            .collect();
        let calm = millis(rng, 1_000..60_000);
        let mut plan = Self {
            seed,
            hosts,
            network: [10, 0, 0],
            medium: pick(rng, &[Medium::Hub, Medium::Switch, Medium::Switch]),
            flows,
            faults: Vec::new(),
            calm,
            expect,
            forged,
        };
        plan.add_faults(rng);
        plan.faults.sort_by_key(|(at, _)| *at);
        plan
    }

    /// The scenario of `seed`, but with smoltcp on some hosts. At least one end of each flow is
    /// gannet.
    pub fn against_smoltcp(seed: u64) -> Self {
        let mut plan = Self::new(seed);
        let rng = &mut Rng::with_seed(seed ^ 0x736d_6f6c);
        let hosts = plan.hosts.len();
        let first = rng.usize(..hosts);
        for n in 0..hosts - 1 {
            if n == 0 || rng.bool() {
                plan.hosts[(first + n) % hosts].stack = StackKind::Smoltcp;
            }
        }
        let gannet: Vec<_> = (0..hosts)
            .filter(|n| plan.hosts[*n].stack == StackKind::Gannet)
            .collect();
        for flow in &mut plan.flows {
            let ends = [flow.client, flow.server];
            if ends.iter().all(|end| !gannet.contains(end)) {
                let ours = pick(rng, &gannet);
                match rng.bool() {
                    true => flow.client = ours,
                    false => flow.server = ours,
                }
            }
        }
        plan
    }

    /// A scenario of host 0 with gannet and host 1 with a real Linux, in real time: no application
    /// takes long, and what goes wrong on the way is somebody else's plan. All has to succeed, but
    /// for what is aborted.
    pub fn against_linux(seed: u64, network: [u8; 3]) -> Self {
        let rng = &mut Rng::with_seed(seed);
        let mut hosts: Vec<_> = (0..2).map(|_| host(rng, true)).collect();
        for HostPlan { config, .. } in &mut hosts {
            config.tcp.rcv_wnd = config.tcp.rcv_wnd.max(4_096);
            config.tcp.rcv_wnd_max = config.tcp.rcv_wnd_max.max(config.tcp.rcv_wnd);
            config.tcp.time_wait = Duration::from_secs(1);
            // Segments of 100 bytes to a receiver that keeps nothing early take minutes.
            config.tcp.max_out_of_order_runs = config.tcp.max_out_of_order_runs.max(1);
            if config.tcp.max_mss == 100 {
                config.tcp.max_mss = 536;
            }
        }
        let mut flows: Vec<_> = (0..rng.u16(2..=4))
            .map(|n| flow(rng, 2, n, true, &hosts))
            .collect();
        for flow in &mut flows {
            flow.client = rng.usize(..2);
            flow.server = 1 - flow.client;
            flow.start /= 10;
            match &mut flow.kind {
                Kind::Tcp(tcp) => {
                    tcp.connections = tcp.connections.min(4);
                    tcp.rounds = tcp.rounds.min(20);
                    for side in [&mut tcp.client_side, &mut tcp.server_side] {
                        side.bytes = side.bytes.min(100_000);
                        if let Read::Slow(interval) = &mut side.read {
                            *interval /= 20;
                        }
                        if chance(rng, 0.1) {
                            side.end = End::Abort(rng.u64(0..side.bytes * tcp.rounds + 10));
                        }
                    }
                }
                // Linux sends back.
                Kind::Udp(udp) => {
                    (flow.client, flow.server) = (0, 1);
                    udp.interval /= 10;
                }
            }
        }
        Self {
            seed,
            hosts,
            network,
            medium: Medium::Switch,
            flows,
            faults: Vec::new(),
            calm: Duration::ZERO,
            expect: Expect::Success,
            forged: false,
        }
    }

    fn add_faults(&mut self, rng: &mut Rng) {
        let strict = self.expect == Expect::Success;
        let hosts = self.hosts.len();
        let latency = pick(rng, &[50u64, 500, 500, 5_000, 50_000]);
        for host in 0..hosts {
            let latency = Duration::from_micros(rng.u64(latency / 2 + 1..=latency));
            let mut at = Duration::ZERO;
            // A line that was bad may become bad in another way.
            for _ in 0..rng.usize(1..=3) {
                if at >= self.calm {
                    break;
                }
                let mut line = line(rng, latency, strict);
                if !self.forged {
                    line.forge = 0.0;
                }
                self.faults.push((at, Fault::Line(host, line)));
                at += millis(rng, 1..self.calm.as_millis() as u64);
            }
            self.faults
                .push((self.calm, Fault::Line(host, Line::good(latency))));
        }
        for _ in 0..rng.usize(0..=4) {
            let from = millis(rng, 0..self.calm.as_millis() as u64);
            let longest = if strict { 4_000 } else { 40_000 };
            let until = (from + millis(rng, 1..longest)).min(self.calm);
            let (begin, end) = outage(rng, hosts, strict, &self.hosts);
            self.faults.push((from, begin));
            if let Some(end) = end {
                self.faults.push((until, end));
            }
        }
    }
}

/// A fault and how it ends.
fn outage(rng: &mut Rng, hosts: usize, strict: bool, plans: &[HostPlan]) -> (Fault, Option<Fault>) {
    use gannet_core::netif::Link;
    let host = rng.usize(..hosts);
    let kinds = if strict { 5 } else { 9 };
    match rng.usize(..kinds) {
        0 => (Fault::Partition(rng.u32(..)), Some(Fault::Partition(0))),
        1 => (
            Fault::Link(host, Link::Down),
            Some(Fault::Link(host, Link::Up)),
        ),
        2 => (
            Fault::Room(host, Some(rng.usize(..20))),
            Some(Fault::Room(host, None)),
        ),
        3 => {
            let which = pick(rng, &[Which::Rx, Which::Tx, Which::Header]);
            let leave = pick(rng, &[0, 0, 1, 2, 5, 20]);
            (
                Fault::Hog(host, which, Some(leave)),
                Some(Fault::Hog(host, which, None)),
            )
        }
        4 => {
            let noise = pick(rng, &[Noise::Ping, Noise::Closed, Noise::Garbage]);
            (Fault::Noise(host, noise, rng.u16(1..50)), None)
        }
        5 => (Fault::Reboot(host), None),
        6 => (Fault::Jump(host, jump(rng, &plans[host])), None),
        7 => {
            let noise = pick(rng, &[Noise::Syn, Noise::Fragments, Noise::Arp]);
            (Fault::Noise(host, noise, rng.u16(1..200)), None)
        }
        _ => (Fault::Room(host, Some(0)), Some(Fault::Room(host, None))),
    }
}

fn jump(rng: &mut Rng, plan: &HostPlan) -> Duration {
    match rng.u8(..4) {
        0 => plan.config.tcp.rto_min,
        1 => millis(rng, 1..5_000),
        2 => Duration::from_secs(rng.u64(1..600)),
        _ => Duration::from_secs(rng.u64(1..90 * 86_400)),
    }
}

fn line(rng: &mut Rng, latency: Duration, strict: bool) -> Line {
    let mut line = Line::good(latency);
    let worst = if strict { 0.1 } else { 0.4 };
    if chance(rng, 0.5) {
        line.loss = rng.f64() * worst;
    }
    if chance(rng, 0.3) {
        line.jitter = latency.mul_f64(rng.f64() * 4.0);
    }
    if chance(rng, 0.2) {
        line.spike = (rng.f64() * 0.1, millis(rng, 1..3_000));
    }
    if chance(rng, 0.2) {
        line.rate = Some(rng.u64(50_000..20_000_000));
    }
    if chance(rng, 0.2) {
        line.burst = (rng.f64() * 0.02, 0.5 + rng.f64() * 0.4);
    }
    if chance(rng, 0.2) {
        line.duplicate = rng.f64() * 0.3;
    }
    if chance(rng, 0.3) {
        line.corrupt = rng.f64() * 0.1;
    }
    if chance(rng, 0.5) {
        line.forge = rng.f64() * 0.1;
    }
    if chance(rng, 0.1) {
        line.replay = rng.f64() * 0.1;
    }
    line
}

fn host(rng: &mut Rng, strict: bool) -> HostPlan {
    let mut config = Config::default();
    let tcp = &mut config.tcp;
    let windows: &[u32] = match strict {
        true => &[1_000, 1_460, 4_096, 8_192, 16_384, 65_535, 131_072],
        false => &[16, 100, 536, 1_460, 4_096, 16_384, 65_535, 131_072],
    };
    tcp.rcv_wnd = pick(rng, windows);
    tcp.rcv_wnd_max = if chance(rng, 0.3) {
        131_072
    } else {
        tcp.rcv_wnd
    };
    tcp.snd_buf = pick(rng, &[1_000, 1_460, 4_096, 16_384, 65_535, 131_072]);
    tcp.snd_queuelen = pick(rng, &[4, 8, 32, 256]);
    tcp.max_mss = pick(rng, &[0, 0, 0, 536, 100]);
    tcp.rto_min = Duration::from_millis(pick(rng, &[200, 200, 1_000]));
    tcp.delayed_ack = Duration::from_millis(pick(rng, &[0, 1, 40, 100, 200]));
    tcp.congestion = pick(
        rng,
        &[CongestionControl::default(), CongestionControl::NewReno],
    );
    tcp.max_half_open_per_peer = 20;
    tcp.time_wait = Duration::from_secs(pick(rng, &[8, 8, 60]));
    tcp.max_syn_retransmits = if strict { 10 } else { pick(rng, &[2, 6]) };
    tcp.max_retransmits = if strict { 15 } else { pick(rng, &[3, 12, 12]) };
    tcp.max_out_of_order_runs = pick(rng, &[0, 1, 4, 16, 64]);
    tcp.max_out_of_order_buffers = pick(rng, &[0, 4, 48, 48]);
    let mut off = |p| if chance(rng, p) { Use::Off } else { Use::On };
    tcp.timestamps = off(0.3);
    tcp.window_scaling = off(0.3);
    tcp.sack = off(0.3);
    tcp.ecn = off(0.3);
    tcp.pmtud = off(0.2);
    tcp.syn_cookies = off(0.3);
    config.ip.reassembly_timeout = Duration::from_secs(pick(rng, &[1, 15]));
    let mut sizes = Sizes {
        connections: 12,
        listeners: 8,
        half_open: 20,
        time_wait: 8,
        runs: 48,
        sends: pick(rng, &[0, 12, 64, 256]),
        datagrams: 32,
        ..Sizes::default()
    };
    if !strict {
        sizes.connections = pick(rng, &[2, 4, 12]);
        sizes.half_open = pick(rng, &[1, 2, 8]);
        sizes.time_wait = pick(rng, &[1, 8]);
        sizes.runs = pick(rng, &[1, 8, 48]);
        sizes.neighbors = pick(rng, &[1, 3, 16]);
        sizes.pending = pick(rng, &[1, 4, 16]);
        sizes.reassembly = pick(rng, &[0, 1, 4]);
        sizes.loopback = pick(rng, &[1, 4, 32]);
    }
    let mtus: &[u16] = match strict {
        true => &[576, 1280, 1500, 1500],
        false => &[68, 100, 296, 576, 1500, 1500],
    };
    HostPlan {
        stack: StackKind::Gannet,
        config,
        sizes,
        shape: Shape::new(rng, strict),
        mtu: pick(rng, mtus),
        part: chance(rng, 0.2).then(|| rng.usize(60..600)),
    }
}

fn flow(rng: &mut Rng, hosts: usize, n: u16, strict: bool, plans: &[HostPlan]) -> Flow {
    let client = rng.usize(..hosts);
    // One in sixteen talks to itself.
    let server = (client + rng.usize(1..hosts.max(2))) % hosts;
    let server = if chance(rng, 0.06) { client } else { server };
    let kind = if chance(rng, 0.15) {
        Kind::Udp(UdpFlow {
            count: rng.u32(1..40),
            size: pick(rng, &[20, 100, 1_000, 1_472, 1_473, 3_000, 6_000]),
            interval: millis(rng, 1..500),
        })
    } else {
        // Segments of a byte take their time.
        let tiny = plans[client]
            .config
            .tcp
            .rcv_wnd
            .min(plans[server].config.tcp.rcv_wnd)
            < 500;
        Kind::Tcp(tcp_flow(rng, strict, tiny))
    };
    Flow {
        client,
        server,
        port: 1_000 + n,
        start: millis(rng, 0..5_000),
        kind,
    }
}

fn tcp_flow(rng: &mut Rng, strict: bool, tiny: bool) -> TcpFlow {
    let (rounds, request, response, connections) = match rng.u8(..5) {
        // Bulk, one way or the other or both.
        0 => (1, rng.u64(8..200_000), 0, 1),
        1 => (1, rng.u64(8..200), rng.u64(1..200_000), 1),
        2 => (1, rng.u64(8..60_000), rng.u64(1..60_000), 1),
        // Request and response.
        3 => (
            rng.u64(1..50),
            rng.u64(8..3_000),
            rng.u64(1..3_000),
            rng.u32(1..3),
        ),
        // Churn.
        _ => (1, rng.u64(8..500), rng.u64(0..500), rng.u32(2..12)),
    };
    let cap = if tiny { 300 } else { u64::MAX };
    let rounds = if tiny { rounds.min(3) } else { rounds };
    let client_side = side(rng, request.min(cap), strict, rounds);
    let mut server_side = side(rng, response.min(cap), strict, rounds);
    if strict && server_side.end == End::Orphan {
        // An orphan with data unread resets, which is right, but no success.
        server_side.end = End::Close;
    }
    TcpFlow {
        client_side,
        server_side,
        rounds,
        connections,
        // A full backlog means SYN cookies, and a connection from a cookie needs its first segment
        // to arrive first (RFC 4987 §3.6).
        backlog: if strict { 20 } else { rng.u16(1..5) },
    }
}

fn side(rng: &mut Rng, bytes: u64, strict: bool, rounds: u64) -> Side {
    let size = pick(rng, &[1, 10, 100, 536, 1_000, 1_460, 4_000]).max(bytes as usize / 400);
    let end = match rng.u8(..10) {
        0..5 => End::Close,
        5..8 => End::HalfClose,
        8 => End::Orphan,
        _ if strict => End::Close,
        _ => End::Abort(rng.u64(0..bytes * rounds + 10)),
    };
    Side {
        bytes,
        writes: match rng.u8(..3) {
            0 => Writes::Pbuf(size),
            _ => Writes::Copy(size),
        },
        read: match rng.u8(..6) {
            0 => Read::Slow(millis(rng, 1..300)),
            1 => Read::Refuse(rng.u8(2..6)),
            _ => Read::Prompt,
        },
        end,
        options: Options {
            nagle: pick(rng, &[Nagle::Enabled, Nagle::Enabled, Nagle::Disabled]),
            cork: if strict && chance(rng, 0.1) {
                Cork::On
            } else {
                Cork::Off
            },
            quick_ack: if chance(rng, 0.2) {
                QuickAck::On
            } else {
                QuickAck::Off
            },
            keepalive: chance(rng, 0.2).then(|| Keepalive {
                idle: millis(rng, 1_000..20_000),
                interval: millis(rng, 1_000..10_000),
                count: if strict { 200 } else { rng.u8(1..10) },
            }),
            user_timeout: (!strict && chance(rng, 0.1)).then(|| millis(rng, 100..60_000)),
        },
    }
}
