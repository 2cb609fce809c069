//! Several connections that send without end over one path, and how they share it.
use std::time::Duration;

use gannet_core::tcp::{CongestionControl, Data, More};
use gannet_core::{Config, Error, Handler, Owner, Pbuf, Refused, Tcp, TcpListener, TcpPcb};

use crate::apps::listen;
use crate::link::Faults;
use crate::network::{Host, Network};

static ZEROS: [u8; 4096] = [0; 4096];

/// Fills every connection it is told of.
#[derive(Debug, Default)]
pub struct Feeders;

impl Feeders {
    fn fill(tcp: &mut Tcp<'_>, pcb: TcpPcb) {
        while tcp.write(pcb, Data::Static(&ZEROS), More::Yes).is_ok() {}
    }
}

impl Handler for Feeders {
    fn connected(&mut self, tcp: &mut Tcp<'_>, pcb: TcpPcb) {
        Self::fill(tcp, pcb);
    }

    fn sent(&mut self, tcp: &mut Tcp<'_>, pcb: TcpPcb, _: usize) {
        Self::fill(tcp, pcb);
    }
}

/// Counts what each connection brings.
#[derive(Debug, Default)]
pub struct Counters(pub Vec<(TcpPcb, u64)>);

impl Handler for Counters {
    fn accept(&mut self, _: &mut Tcp<'_>, _: TcpListener, pcb: TcpPcb) -> Result<(), Error> {
        self.0.push((pcb, 0));
        Ok(())
    }

    fn recv(&mut self, tcp: &mut Tcp<'_>, pcb: TcpPcb, data: Option<Pbuf>) -> Result<(), Refused> {
        let len = data.map_or(0, |data| data.tot_len());
        if let Some((_, bytes)) = self.0.iter_mut().find(|(known, _)| *known == pcb) {
            *bytes += len as u64;
        }
        let _ = tcp.recved(pcb, len);
        Ok(())
    }
}

/// What so many flows carry in `time` after a warm-up of five seconds, in bytes each.
///
/// # Panics
/// A flow did not come about.
pub fn share(flows: &[CongestionControl], path: Faults, time: Duration, seed: u64) -> Vec<u64> {
    let config = Config::default();
    let a = Host::new(1, config.clone(), Feeders, seed);
    let b = Host::new(2, config, Counters::default(), seed);
    let mut net = Network::new(a, b, path, seed);
    listen(&mut net.b.stack.tcp(net.now), 7, 16);
    for (i, algorithm) in flows.iter().enumerate() {
        let mut tcp = net.a.stack.tcp(net.now);
        let pcb = tcp.new(Owner(0)).expect("a free control block");
        tcp.congestion(pcb, *algorithm).expect("a new block");
        tcp.connect(pcb, (net.b.addr, 7).into()).expect("a route");
        net.kick();
        // They do not start together.
        net.run_until(Duration::from_millis(100 * (i as u64 + 1)), |_| false);
    }
    net.run_until(Duration::from_secs(5), |_| false);
    let counts = |net: &Network<Feeders, Counters>| -> Vec<u64> {
        net.b.app.0.iter().map(|(_, bytes)| *bytes).collect()
    };
    let before = counts(&net);
    assert_eq!(before.len(), flows.len(), "flows");
    net.run_until(time, |_| false);
    let after = counts(&net);
    after.iter().zip(&before).map(|(a, b)| a - b).collect()
}

/// Jain's fairness index: 1 if all are equal, 1/n if one has everything.
pub fn jain(shares: &[u64]) -> f64 {
    let sum: f64 = shares.iter().map(|share| *share as f64).sum();
    let squares: f64 = shares.iter().map(|share| (*share as f64).powi(2)).sum();
    sum * sum / (shares.len() as f64 * squares)
}
