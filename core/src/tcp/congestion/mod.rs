//! Congestion control: how much may be in flight. One file per algorithm, chosen by enum.
mod newreno;

use newreno::NewReno;

/// The congestion state of one connection.
#[derive(Clone, Debug)]
pub(crate) enum Congestion {
    NewReno(NewReno),
}

impl Congestion {
    pub(crate) const UNUSED: Self = Self::NewReno(NewReno::UNUSED);

    /// The state of a connection just established, with segments of `mss` bytes.
    pub(crate) const fn new(mss: u32) -> Self {
        Self::NewReno(NewReno::new(mss))
    }

    /// Bytes that may be in flight.
    pub(crate) const fn cwnd(&self) -> u32 {
        match self {
            Self::NewReno(c) => c.cwnd(),
        }
    }

    /// The slow start threshold in bytes.
    pub(crate) const fn ssthresh(&self) -> u32 {
        match self {
            Self::NewReno(c) => c.ssthresh(),
        }
    }

    /// `acked` new bytes were acknowledged outside recovery, while the window was the limit.
    pub(crate) fn acked(&mut self, acked: u32, mss: u32) {
        match self {
            Self::NewReno(c) => c.acked(acked, mss),
        }
    }

    /// A loss was found by duplicate acknowledgements, with `flight` bytes in flight.
    pub(crate) fn enter_recovery(&mut self, flight: u32, mss: u32) {
        match self {
            Self::NewReno(c) => c.enter_recovery(flight, mss),
        }
    }

    /// One more duplicate acknowledgement in recovery: a segment has left the network.
    pub(crate) fn duplicate_in_recovery(&mut self, mss: u32) {
        match self {
            Self::NewReno(c) => c.duplicate_in_recovery(mss),
        }
    }

    /// `acked` bytes were acknowledged, but not all that were in flight when recovery began.
    pub(crate) fn partial_ack(&mut self, acked: u32, mss: u32) {
        match self {
            Self::NewReno(c) => c.partial_ack(acked, mss),
        }
    }

    /// Everything that was in flight when recovery began is acknowledged.
    pub(crate) fn exit_recovery(&mut self, flight: u32, mss: u32) {
        match self {
            Self::NewReno(c) => c.exit_recovery(flight, mss),
        }
    }

    /// The retransmission timer expired, for the first time since the last progress if `first`.
    pub(crate) fn timed_out(&mut self, flight: u32, mss: u32, again: Again) {
        match self {
            Self::NewReno(c) => c.timed_out(flight, mss, again),
        }
    }

    /// Routers on the way marked what was sent (RFC 3168 §6.1.2), once for each window of data.
    pub(crate) fn ecn_echo(&mut self, flight: u32, mss: u32) {
        match self {
            Self::NewReno(c) => c.ecn_echo(flight, mss),
        }
    }

    /// The algorithm's name.
    pub(crate) const fn name(&self) -> &'static str {
        match self {
            Self::NewReno(_) => "newreno",
        }
    }

    /// Nothing was sent for longer than the retransmission timeout (RFC 5681 §4.1).
    pub(crate) fn restart_after_idle(&mut self, mss: u32) {
        match self {
            Self::NewReno(c) => c.restart_after_idle(mss),
        }
    }
}

/// Whether a timeout is the first for this data or a repetition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Again {
    First,
    Repeated,
}

/// The initial window: ten segments (RFC 6928), fewer if they are large.
pub(crate) const fn initial_window(mss: u32) -> u32 {
    // RFC 6928 §2: min(10 MSS, max(2 MSS, 14600)).
    let floor = if 2 * mss > 14_600 { 2 * mss } else { 14_600 };
    if 10 * mss < floor { 10 * mss } else { floor }
}
