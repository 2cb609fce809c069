//! What was sent and what arrived, kept beside the network: who receives something that nobody
//! sent is found out here.
use gannet_core::Error;

use super::dialogue::Dialogue;

/// How a side of a connection fared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    /// Not heard of, or going on.
    Open,
    /// Ended without an error.
    Done,
    /// Failed.
    Failed(Error),
    /// The application ended it on purpose, or its host was started anew.
    Dropped,
    /// The peer was silent for so long that the application lost patience.
    GivenUp,
}

/// One connection.
#[derive(Clone, Copy, Debug)]
pub struct Record {
    /// Number of the flow it belongs to.
    pub flow: usize,
    /// Bytes written, by client and server.
    pub sent: [u64; 2],
    /// Bytes received by client and server.
    pub got: [u64; 2],
    /// What became of client and server.
    pub fate: [Fate; 2],
}

/// All connections of a run.
#[derive(Debug, Default)]
pub struct Ledger {
    /// In the order they were opened.
    pub records: Vec<Record>,
    /// The first thing that must not be.
    pub violation: Option<String>,
    /// Datagrams sent, and their echoes that came back.
    pub datagrams: [u64; 2],
    /// Arriving data may be wrong.
    pub forged: bool,
}

impl Ledger {
    /// A connection of flow `flow` begins; its number.
    pub fn open(&mut self, flow: usize) -> u32 {
        self.records.push(Record {
            flow,
            sent: [0; 2],
            got: [0; 2],
            fate: [Fate::Open; 2],
        });
        self.records.len() as u32 - 1
    }

    /// A side of a connection ended.
    pub fn conclude(&mut self, talk: &Dialogue, fate: Fate) {
        let record = talk.id.and_then(|id| self.records.get_mut(id as usize));
        if let Some(record) = record {
            record.fate[talk.side] = fate;
        }
    }

    /// Something is wrong.
    pub fn violate(&mut self, what: String) {
        self.violation.get_or_insert(what);
    }

    /// As [`Ledger::violate`], unless the network forges.
    pub fn suspect(&mut self, what: String) {
        if !self.forged {
            self.violate(what);
        }
    }
}

const MAGIC: [u8; 4] = *b"gnnt";

/// Byte `n` of what client (0) or server (1) sends on connection `id`; a client names the
/// connection first.
pub fn content(id: u32, side: usize, n: u64) -> u8 {
    match n {
        0..4 if side == 0 => MAGIC[n as usize],
        4..8 if side == 0 => id.to_le_bytes()[n as usize - 4],
        _ => {
            let key = u64::from(id) << 33 | (side as u64) << 32;
            (n.wrapping_add(key).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 56) as u8
        }
    }
}

/// The connection a client's first eight bytes name.
pub fn named(first: [u8; 8]) -> Option<u32> {
    let [a, b, c, d, id @ ..] = first;
    ([a, b, c, d] == MAGIC).then(|| u32::from_le_bytes(id))
}
