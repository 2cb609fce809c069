//! A stack that sends to a scripted peer 100 ms away: segments of 1000 bytes, a window of 60,000.
use gannet_core::config::Use;
use gannet_core::tcp::{CongestionControl, Nagle, TcpStats};
use gannet_core::{Config, TcpPcb};

use crate::recorder::Recorder;
use crate::script::{Script, plain_config};

/// See the module.
#[derive(Debug)]
pub struct Sender {
    /// The stack and its peer.
    pub t: Script,
    /// The application.
    pub app: Recorder,
    /// The connection.
    pub pcb: TcpPcb,
    written: u32,
}

/// SACK, no timestamps, NewReno: the numbers of the RFCs.
pub fn sack_config() -> Config {
    let mut config = plain_config();
    config.tcp.sack = Use::On;
    config.tcp.congestion = CongestionControl::NewReno;
    config
}

impl Sender {
    /// Accepts a connection with `config`.
    pub fn new(config: Config) -> Self {
        let mut app = Recorder::default();
        let sack = match config.tcp.sack {
            Use::On => ",sackOK",
            Use::Off => "",
        };
        let mut t = Script::listening(config, 5);
        let handshake = format!(
            "< S 0:0(0) win 60000 <mss 1000{sack}>
             > S. 0:0(0) ack 1 <mss 1460{sack}>
             wait 100
             < . 1:1(0) ack 1 win 60000"
        );
        t.run(&mut app, &handshake);
        let pcb = app.pcb();
        t.tcp().nagle(pcb, Nagle::Disabled).expect("alive");
        Self {
            t,
            app,
            pcb,
            written: 0,
        }
    }

    /// Writes `len` bytes more.
    #[track_caller]
    pub fn write(&mut self, len: u32) {
        self.t.write(self.pcb, 1 + self.written, len);
        self.written += len;
    }

    /// Runs script lines.
    #[track_caller]
    pub fn run(&mut self, lines: &str) {
        self.t.run(&mut self.app, lines);
    }

    /// Writes `segments` segments in one piece and expects them all to leave at once.
    #[track_caller]
    pub fn flight(&mut self, segments: u32) {
        let first = 1 + self.written;
        self.write(segments * 1000);
        let lines: Vec<_> = (0..segments)
            .map(|i| {
                let start = first + i * 1000;
                let push = if i + 1 == segments { "P" } else { "" };
                format!("> {push}. {start}:{}(1000) ack 1", start + 1000)
            })
            .collect();
        self.run(&lines.join("\n"));
    }

    /// What TCP has counted.
    pub fn stats(&self) -> TcpStats {
        *self.t.stack.tcp_stats()
    }
}
