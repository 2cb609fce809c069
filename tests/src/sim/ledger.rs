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
    /// What another stack did to it.
    pub excuse: Option<Excuse>,
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
    /// What other stacks did wrong.
    pub rival: Rival,
    /// Hosts whose stack panicked, a bit each.
    pub panicked: u32,
}

/// Why a connection with another stack need not succeed: what that stack does wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Excuse {
    /// It has data to send, and has sent none for minutes: no timer runs.
    Silent,
    /// An old duplicate SYN made a second socket answer for the connection, with resets.
    Twin,
}

/// What another stack did wrong in a scenario that gannet shares with it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Rival {
    /// It panicked, and was started anew.
    pub panics: u64,
    /// Connections with [`Excuse::Silent`].
    pub silent: u64,
    /// Connections with [`Excuse::Twin`].
    pub twins: u64,
}

impl Rival {
    /// Adds what another run saw.
    pub fn add(&mut self, other: Self) {
        self.panics += other.panics;
        self.silent += other.silent;
        self.twins += other.twins;
    }
}

impl Ledger {
    /// A connection of flow `flow` begins; its number.
    pub fn open(&mut self, flow: usize) -> u32 {
        self.records.push(Record {
            flow,
            sent: [0; 2],
            got: [0; 2],
            fate: [Fate::Open; 2],
            excuse: None,
        });
        self.records.len() as u32 - 1
    }

    /// Another stack's fault concerns this connection.
    pub fn excuse(&mut self, talk: &Dialogue, excuse: Excuse) {
        let record = talk.id.and_then(|id| self.records.get_mut(id as usize));
        let Some(record) = record.filter(|record| record.excuse.is_none()) else {
            return;
        };
        record.excuse = Some(excuse);
        match excuse {
            Excuse::Silent => self.rival.silent += 1,
            Excuse::Twin => self.rival.twins += 1,
        }
    }

    /// The stack of host `host`, which is not ours, panicked.
    pub fn panicked(&mut self, host: usize) {
        self.rival.panics += 1;
        self.panicked |= 1 << host;
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
