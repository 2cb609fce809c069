//! One side of one connection, whatever stack carries it: what it may write now, whether what came
//! is what was sent, and how it ends. Who writes and reads is in `app` and in `smol`.
use super::ledger::{Ledger, content, named};
use super::plan::{End, Side, TcpFlow};

/// See the module.
#[derive(Debug)]
pub struct Dialogue {
    /// Number of the flow it belongs to.
    pub flow: usize,
    /// 0 client, 1 server.
    pub side: usize,
    /// Its record; a server learns it from the first bytes.
    pub id: Option<u32>,
    /// Bytes written.
    pub sent: u64,
    /// Bytes received.
    pub got: u64,
    /// The peer has ended its stream.
    pub eof: bool,
    /// Our stream is ended, the peer's goes on.
    pub shut: bool,
    first: Vec<u8>,
}

/// What is to be done besides writing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Next {
    /// Nothing.
    GoOn,
    /// End our stream.
    HalfClose,
    /// End the connection.
    Close,
}

/// Who sent what was received.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sender {
    /// The peer.
    Peer,
    /// Nobody of this scenario.
    Stranger,
}

impl Dialogue {
    /// A side of a connection of flow `flow`.
    pub fn new(flow: usize, side: usize, id: Option<u32>) -> Self {
        Self {
            flow,
            side,
            id,
            sent: 0,
            got: 0,
            eof: false,
            shut: false,
            first: Vec::new(),
        }
    }

    /// What this side does.
    pub fn of(&self, plan: &TcpFlow) -> Side {
        [plan.client_side, plan.server_side][self.side]
    }

    /// Bytes it sends in all, and those it expects.
    fn totals(&self, plan: &TcpFlow) -> [u64; 2] {
        let mut bytes = [plan.client_side.bytes, plan.server_side.bytes];
        bytes.rotate_left(self.side);
        bytes.map(|bytes| bytes * plan.rounds)
    }

    /// Bytes it may have sent by now: a request waits for the response before it.
    pub fn allowed(&self, plan: &TcpFlow) -> u64 {
        let (request, response) = (plan.client_side.bytes, plan.server_side.bytes);
        let allowed = match self.side {
            0 if response == 0 => u64::MAX,
            0 => (self.got / response + 1) * request,
            _ => self.got / request * response,
        };
        allowed.min(self.totals(plan)[0])
    }

    /// The next bytes to write, at most `most`; `None` if it has to wait.
    pub fn piece(&self, plan: &TcpFlow, most: usize) -> Option<Vec<u8>> {
        let left = self.allowed(plan).saturating_sub(self.sent);
        let n = (most as u64).min(left);
        let id = self.id.filter(|_| n > 0 && !self.shut)?;
        let bytes = self.sent..self.sent + n;
        Some(bytes.map(|at| content(id, self.side, at)).collect())
    }

    /// So many bytes more were written.
    pub fn wrote(&mut self, n: usize, ledger: &mut Ledger) {
        self.sent += n as u64;
        if let Some(id) = self.id {
            ledger.records[id as usize].sent[self.side] = self.sent;
        }
    }

    /// Compares what was received with what the peer sent.
    pub fn received<'a>(
        &mut self,
        bytes: impl Iterator<Item = &'a u8>,
        ledger: &mut Ledger,
    ) -> Sender {
        for byte in bytes.copied() {
            if self.first.len() < 8 && self.side == 1 {
                self.first.push(byte);
                if let Ok(first) = <[u8; 8]>::try_from(self.first.as_slice()) {
                    let flow = self.flow;
                    self.id = named(first).filter(|id| {
                        let record = ledger.records.get(*id as usize);
                        record.is_some_and(|record| record.flow == flow)
                    });
                    if self.id.is_none() {
                        ledger.suspect(format!("a stream begins with {first:?}"));
                        return Sender::Stranger;
                    }
                }
            } else if let Some(id) = self.id
                && byte != content(id, 1 - self.side, self.got)
            {
                ledger.suspect(format!("connection {id}: byte {} is wrong", self.got));
            }
            self.got += 1;
        }
        if let Some(id) = self.id {
            let record = &mut ledger.records[id as usize];
            record.got[self.side] = self.got;
            let sent = record.sent[1 - self.side];
            if self.got > sent {
                let got = self.got;
                ledger.suspect(format!("connection {id}: {got} bytes came of {sent} sent"));
            }
        }
        Sender::Peer
    }

    /// Whether the application has had enough.
    pub fn is_to_be_aborted(&self, plan: &TcpFlow) -> bool {
        matches!(self.of(plan).end, End::Abort(after) if self.sent + self.got >= after)
    }

    /// What is to be done now that all that can be written is written.
    pub fn next(&self, plan: &TcpFlow) -> Next {
        let [total, expected] = self.totals(plan);
        let half = self.of(plan).end == End::HalfClose;
        let (all_sent, all_got) = (self.sent == total, self.got >= expected);
        let over = self.eof || (all_sent && all_got && self.side == 0 && !half);
        // At the end of the stream the server has all it will ever get.
        if over && self.sent >= self.allowed(plan) {
            Next::Close
        } else if all_sent && half && !self.shut && (self.side == 0 || all_got) {
            Next::HalfClose
        } else {
            Next::GoOn
        }
    }
}
