//! What is measured: the work of each cell of the table, and the settings it is done with. This
//! file and the stacks at work (`gannet`, `smol`) are also `examples/mps2/speed`'s, without std.
use alloc::boxed::Box;
use core::fmt;

/// Payload bytes of a full segment: MTU 1500, no TCP options.
pub const MSS: u64 = 1460;

/// Who computes and verifies checksums.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Checksums {
    /// The stacks.
    Software,
    /// Nobody: what a device with checksum offload leaves to the stack.
    Off,
}

/// RFC 7323 timestamps.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Timestamps {
    /// Not offered.
    Off,
    /// On both sides.
    On,
}

/// How the receiver of bulk data gets its frames.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Arrival {
    /// Two a turn: an acknowledgement for every second segment.
    InPairs,
    /// As many as there are: the stack may acknowledge a batch at once.
    InBatches,
}

/// Which of a stack's interfaces the applications of a bulk transfer use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Api {
    /// Bytes are handed over and read where they are.
    ZeroCopy,
    /// Bytes are copied from and to buffers of the application.
    Copying,
}

/// What connections do beside those that are made and closed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Beside {
    /// Nothing, established.
    Established,
    /// Waiting in TIME-WAIT at the client.
    TimeWait,
    /// Half open at the server.
    HalfOpen,
}

/// One kind of work, done unit by unit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Work {
    /// One direction, one connection; a unit is a full segment.
    Bulk {
        /// Send buffer and receive window, in bytes.
        window: usize,
        /// How frames arrive.
        arrival: Arrival,
        /// How data is written and read.
        api: Api,
    },
    /// Request and response; a unit is a round trip.
    RoundTrip {
        /// Bytes of the request, and of the response.
        len: usize,
        /// Connections that take turns.
        connections: usize,
        /// Connections besides them that do nothing.
        idle: usize,
    },
    /// A unit is a connection made and closed by both.
    Connect {
        /// How many others there are.
        others: usize,
        /// What they are doing.
        beside: Beside,
    },
    /// A unit is a datagram sent and sent back.
    UdpEcho {
        /// Bytes of payload.
        len: usize,
    },
    /// A unit is a hole in what arrived, made by one segment and filled by another.
    Holes {
        /// Holes at a time.
        holes: u16,
    },
}

/// A cell of the table.
#[derive(Clone, Copy, Debug)]
pub struct Cell {
    /// Its name, as in the file of recorded figures.
    pub name: &'static str,
    /// What is done.
    pub work: Work,
    /// Who computes checksums.
    pub checksums: Checksums,
    /// Whether segments carry timestamps.
    pub timestamps: Timestamps,
    /// Instructions of a unit that gannet must not exceed.
    pub bar: Option<u64>,
}

impl Cell {
    const fn new(name: &'static str, work: Work) -> Self {
        Self {
            name,
            work,
            checksums: Checksums::Software,
            timestamps: Timestamps::Off,
            bar: None,
        }
    }

    const fn no_checksums(self) -> Self {
        Self {
            checksums: Checksums::Off,
            ..self
        }
    }

    const fn timestamps(self) -> Self {
        Self {
            timestamps: Timestamps::On,
            ..self
        }
    }

    const fn bar(self, bar: u64) -> Self {
        Self {
            bar: Some(bar),
            ..self
        }
    }

    /// Units that bring a stack to its steady state.
    pub fn warm_up(&self) -> u64 {
        match self.work {
            Work::Bulk { .. } => 2_000,
            Work::RoundTrip { connections, .. } => 200.max(2 * connections as u64),
            // The table of TIME-WAIT is as large as there are others: it has to be full.
            Work::Connect { others, .. } => 200.max(2 * others as u64),
            Work::UdpEcho { .. } => 200,
            Work::Holes { .. } => 1_000,
        }
    }

    /// Units whose instructions are counted.
    pub fn counted(&self) -> u64 {
        match self.work {
            Work::Bulk { .. } => 4_000,
            Work::RoundTrip { connections, .. } => 1_000.max(2 * connections as u64),
            Work::Connect { .. } | Work::UdpEcho { .. } | Work::Holes { .. } => 1_000,
        }
    }
}

impl Work {
    /// Bytes of payload of a unit, in both directions.
    #[cfg(feature = "tally")]
    pub fn payload(&self) -> u64 {
        match *self {
            Self::Bulk { .. } => MSS,
            Self::RoundTrip { len, .. } | Self::UdpEcho { len } => 2 * len as u64,
            Self::Connect { .. } | Self::Holes { .. } => 0,
        }
    }
}

impl fmt::Display for Work {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Bulk { .. } => f.write_str("segment"),
            Self::RoundTrip { .. } => f.write_str("round trip"),
            Self::Connect { .. } => f.write_str("connection"),
            Self::UdpEcho { .. } => f.write_str("echo"),
            Self::Holes { .. } => f.write_str("hole"),
        }
    }
}

const K64: usize = 65_535;
const K8: usize = 8_192;

const fn bulk(window: usize, arrival: Arrival, api: Api) -> Work {
    Work::Bulk {
        window,
        arrival,
        api,
    }
}

const fn round_trip(len: usize, connections: usize) -> Work {
    Work::RoundTrip {
        len,
        connections,
        idle: 0,
    }
}

const fn connect(others: usize, beside: Beside) -> Work {
    Work::Connect { others, beside }
}

const PAIRS: Work = bulk(K64, Arrival::InPairs, Api::ZeroCopy);
const BATCHES: Work = bulk(K64, Arrival::InBatches, Api::ZeroCopy);

/// All cells, in the order of the table.
pub const CELLS: &[Cell] = &[
    Cell::new("bulk-64k", PAIRS).bar(3_700),
    Cell::new("bulk-64k-nosum", PAIRS).no_checksums().bar(2_300),
    Cell::new("bulk-64k-batch", BATCHES).bar(3_000),
    Cell::new("bulk-64k-batch-nosum", BATCHES)
        .no_checksums()
        .bar(1_900),
    Cell::new("bulk-64k-ts", PAIRS).timestamps().bar(3_996),
    Cell::new(
        "bulk-64k-copying",
        bulk(K64, Arrival::InPairs, Api::Copying),
    ),
    Cell::new("bulk-8k", bulk(K8, Arrival::InPairs, Api::ZeroCopy)),
    Cell::new("bulk-8k-batch", bulk(K8, Arrival::InBatches, Api::ZeroCopy)),
    Cell::new("rr-1", round_trip(1, 1)),
    Cell::new("rr-64", round_trip(64, 1)).bar(4_200),
    Cell::new("rr-64-nosum", round_trip(64, 1)).no_checksums(),
    Cell::new("rr-64-ts", round_trip(64, 1))
        .timestamps()
        .bar(4_536),
    Cell::new("rr-1024", round_trip(1_024, 1)),
    Cell::new("rr-64-10", round_trip(64, 10)),
    Cell::new("rr-64-100", round_trip(64, 100)),
    Cell::new("rr-64-1000", round_trip(64, 1_000)).bar(4_830),
    Cell::new(
        "rr-64-idle-10000",
        Work::RoundTrip {
            len: 64,
            connections: 1,
            idle: 10_000,
        },
    ),
    Cell::new("connect", connect(0, Beside::Established)).bar(10_500),
    Cell::new("connect-idle-1", connect(1, Beside::Established)),
    Cell::new("connect-idle-10", connect(10, Beside::Established)),
    Cell::new("connect-idle-100", connect(100, Beside::Established)),
    Cell::new("connect-idle-1000", connect(1_000, Beside::Established)),
    Cell::new("connect-time-wait-1", connect(1, Beside::TimeWait)),
    Cell::new("connect-time-wait-10", connect(10, Beside::TimeWait)),
    Cell::new("connect-time-wait-100", connect(100, Beside::TimeWait)),
    Cell::new("connect-time-wait-1000", connect(1_000, Beside::TimeWait)),
    Cell::new("connect-half-open-1", connect(1, Beside::HalfOpen)),
    Cell::new("connect-half-open-10", connect(10, Beside::HalfOpen)),
    Cell::new("connect-half-open-100", connect(100, Beside::HalfOpen)),
    Cell::new("connect-half-open-1000", connect(1_000, Beside::HalfOpen)),
    Cell::new("udp-64", Work::UdpEcho { len: 64 }).bar(2_700),
    Cell::new("udp-64-nosum", Work::UdpEcho { len: 64 }).no_checksums(),
    Cell::new("udp-1472", Work::UdpEcho { len: 1_472 }).bar(4_300),
    Cell::new("udp-1472-nosum", Work::UdpEcho { len: 1_472 }).no_checksums(),
    Cell::new("holes-1", Work::Holes { holes: 1 }),
    Cell::new("holes-10", Work::Holes { holes: 10 }),
    Cell::new("holes-100", Work::Holes { holes: 100 }),
    Cell::new("holes-1000", Work::Holes { holes: 1_000 }),
];

/// A pair of joined stacks at work.
pub trait Bench {
    /// Does so many units, all the way: the last one is answered, nothing is in flight.
    fn run(&mut self, units: u64);

    /// Frames sent so far by the client (the source of bulk data) and by the other side.
    fn frames(&self) -> [u64; 2];

    /// Bytes of the frames that both have sent so far, if it counts them.
    #[cfg(feature = "tally")]
    fn octets(&self) -> u64 {
        0
    }
}

/// A pair for a cell, or why there is none.
pub type Made = Result<Box<dyn Bench>, &'static str>;

/// Why a stack with linear searches is left out of the cell with 10,000 idle connections.
pub const TOO_MANY: &str = "10,000 connections make the run take hours";

/// Why the rivals are left out of the cells with other connections beside those that are made, and
/// with holes.
pub const OWN_TABLES: &str =
    "shows how this stack's tables grow; its rivals search lists and arrays";
