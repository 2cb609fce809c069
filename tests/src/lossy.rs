//! Bulk transfers over a lossy path in virtual time: what one run measures, and the median of
//! many. The paths that are measured, and what other stacks reach on them, are in `matrix`.
use std::time::Duration;

use gannet_core::tcp::{Data, More, Nagle};
use gannet_core::{
    Config, Error, Handler, Instant, Owner, Pbuf, Refused, Tcp, TcpListener, TcpPcb,
};

use crate::apps::listen;
use crate::link::Faults;
use crate::network::{Host, Network};
use crate::storage::Pools;

/// A path and the windows of both ends.
#[derive(Clone, Debug)]
pub struct Path {
    /// Faults from the sender to the receiver.
    pub data: Faults,
    /// Faults from the receiver to the sender.
    pub acks: Faults,
    /// Receive window and send buffer in bytes.
    pub window: u32,
    /// Bytes to carry.
    pub bytes: u64,
    /// When to stop, whatever has arrived.
    pub limit: Duration,
}

impl Path {
    /// The same faults both ways, half of `rtt` each.
    pub fn symmetric(rtt: Duration, loss: f64, window: u32) -> Self {
        let faults = Faults {
            latency: rtt / 2,
            loss,
            ..Faults::default()
        };
        Self {
            data: faults,
            acks: faults,
            window,
            bytes: 10 << 20,
            limit: Duration::from_secs(600),
        }
    }

    /// A line of `rate` bit/s with a drop-tail queue of `queue` frames, both ways.
    #[must_use]
    pub fn limited(mut self, rate: u64, queue: usize) -> Self {
        for faults in [&mut self.data, &mut self.acks] {
            (faults.rate, faults.queue) = (Some(rate), queue);
        }
        self
    }
}

/// What a transfer came to.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Outcome {
    /// Bytes per second from the call of `connect` until the last byte arrived.
    pub goodput: f64,
    /// Longest time the receiver heard nothing new, in milliseconds.
    pub silence_ms: u64,
    /// Expiries of the retransmission timer.
    pub timeouts: u32,
    /// Segments sent again.
    pub retransmitted: u32,
}

/// Buffers that are used for one run after the other.
#[derive(Clone, Copy, Debug)]
pub struct Bench {
    sender: Pools,
    receiver: Pools,
}

impl Default for Bench {
    fn default() -> Self {
        Self {
            sender: Pools::leak(),
            receiver: Pools::leak(),
        }
    }
}

impl Bench {
    /// One transfer over `path`.
    ///
    /// # Panics
    /// The connection failed, or buffers are missing at the end.
    pub fn run(&self, path: &Path, mut config: Config, seed: u64) -> Outcome {
        config.tcp.rcv_wnd = path.window;
        config.tcp.snd_buf = path.window;
        // Enough for what fits the window in small writes, and out of order.
        let buffers = u16::try_from(path.window / 500 + 16).unwrap_or(u16::MAX);
        config.tcp.snd_queuelen = buffers;
        config.tcp.max_out_of_order_buffers = buffers;
        config.tcp.max_out_of_order_runs = 64;
        let source = Feeder {
            left: path.bytes,
            error: None,
        };
        let a = Host::with_pools(1, config.clone(), source, seed, self.sender);
        let b = Host::with_pools(2, config, Counter::default(), seed, self.receiver);
        let mut net = Network::new(a, b, path.data, seed);
        net.ba.faults = path.acks;
        listen(&mut net.b.stack.tcp(net.now), 7, 4);
        let start = net.now;
        let mut tcp = net.a.stack.tcp(net.now);
        let pcb = tcp.new(Owner(0)).expect("a free control block");
        tcp.nagle(pcb, Nagle::Disabled).expect("a new connection");
        tcp.connect(pcb, (net.b.addr, 7).into()).expect("a route");
        net.kick();
        net.run_until(path.limit, |net| net.b.app.received >= path.bytes);
        assert_eq!(
            (net.a.app.error, net.b.app.error),
            (None, None),
            "seed {seed}"
        );
        let end = match net.b.app.received >= path.bytes {
            true => net.b.app.last.unwrap_or(net.now),
            false => net.now,
        };
        let stats = *net.a.stack.tcp_stats();
        let outcome = Outcome {
            goodput: net.b.app.received as f64 / end.saturating_since(start).as_secs_f64(),
            silence_ms: net.b.app.silence_ms,
            timeouts: stats.timeouts,
            retransmitted: stats.segments_retransmitted,
        };
        let _ = net.a.stack.tcp(net.now).abort(pcb);
        if let Some(pcb) = net.b.app.pcb {
            let _ = net.b.stack.tcp(net.now).abort(pcb);
        }
        net.run_until(Duration::from_secs(2), |_| false);
        assert!(
            self.sender.at_rest() && self.receiver.at_rest(),
            "seed {seed}"
        );
        outcome
    }

    /// The medians over `seeds` runs.
    pub fn median(&self, path: &Path, config: &Config, seeds: u64) -> Outcome {
        // Without loss all runs are the same.
        let random = path.data.loss > 0.0 || path.acks.loss > 0.0;
        let runs: Vec<_> = (1..=if random { seeds } else { 1 })
            .map(|seed| self.run(path, config.clone(), seed))
            .collect();
        let median = |value: &dyn Fn(&Outcome) -> f64| {
            let mut values: Vec<_> = runs.iter().map(value).collect();
            values.sort_by(f64::total_cmp);
            values.get(values.len() / 2).copied().unwrap_or_default()
        };
        Outcome {
            goodput: median(&|run| run.goodput),
            silence_ms: median(&|run| run.silence_ms as f64) as u64,
            timeouts: median(&|run| f64::from(run.timeouts)) as u32,
            retransmitted: median(&|run| f64::from(run.retransmitted)) as u32,
        }
    }
}

static ZEROS: [u8; 4096] = [0; 4096];

/// Writes whatever fits until all is written.
#[derive(Debug)]
pub struct Feeder {
    left: u64,
    error: Option<Error>,
}

impl Feeder {
    fn fill(&mut self, tcp: &mut Tcp<'_>, pcb: TcpPcb) {
        loop {
            let room = tcp.sndbuf(pcb).unwrap_or(0).min(ZEROS.len());
            let bytes = &ZEROS[..self.left.min(room as u64) as usize];
            if self.left == 0 {
                // So that Nagle's algorithm does not hold back the end. A second call finds the
                // connection closing already.
                let _ = tcp.close(pcb);
                return;
            }
            if bytes.is_empty() || tcp.write(pcb, Data::Static(bytes), More::No).is_err() {
                return;
            }
            self.left -= bytes.len() as u64;
        }
    }
}

impl Handler for Feeder {
    fn connected(&mut self, tcp: &mut Tcp<'_>, pcb: TcpPcb) {
        self.fill(tcp, pcb);
    }

    fn sent(&mut self, tcp: &mut Tcp<'_>, pcb: TcpPcb, _: usize) {
        self.fill(tcp, pcb);
    }

    fn err(&mut self, _: &mut Tcp<'_>, _: TcpPcb, error: Error) {
        self.error = Some(error);
    }
}

/// Accepts and counts; [`Sink`](crate::apps::Sink) checks every byte, which takes longer.
#[derive(Debug, Default)]
pub struct Counter {
    received: u64,
    pcb: Option<TcpPcb>,
    error: Option<Error>,
    last: Option<Instant>,
    silence_ms: u64,
}

impl Handler for Counter {
    fn accept(&mut self, tcp: &mut Tcp<'_>, _: TcpListener, pcb: TcpPcb) -> Result<(), Error> {
        self.pcb = Some(pcb);
        self.last = Some(tcp.stack().now());
        Ok(())
    }

    fn recv(&mut self, tcp: &mut Tcp<'_>, pcb: TcpPcb, data: Option<Pbuf>) -> Result<(), Refused> {
        let Some(data) = data else {
            let _ = tcp.close(pcb);
            return Ok(());
        };
        let now = tcp.stack().now();
        if let Some(last) = self.last.replace(now) {
            let silence = now.saturating_since(last).as_millis() as u64;
            self.silence_ms = self.silence_ms.max(silence);
        }
        self.received += data.tot_len() as u64;
        let _ = tcp.recved(pcb, data.tot_len());
        Ok(())
    }

    fn err(&mut self, _: &mut Tcp<'_>, _: TcpPcb, error: Error) {
        self.error = Some(error);
    }
}
