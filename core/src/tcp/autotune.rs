//! Growth of the receive window: as large as the application proves to need, and no larger than
//! configured. Measured is what the application consumes in a round trip (dynamic right-sizing);
//! the window is kept at twice that, so that a sender in slow start is never held up by it.
use crate::config::TcpConfig;
use crate::time::{Instant, Span};
use crate::wire::tcp_options::Timestamps;

use super::pcb::Pcb;

/// Round trips shorter than this are measured together: the clock of timestamps is no finer.
const SHORTEST: Span = Span::from_millis(1);

/// What the application consumed, and how long a round trip takes as the receiver sees it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct AutoTune {
    since: Option<Instant>,
    consumed: u32,
    rtt: Option<Span>,
}

impl AutoTune {
    pub(crate) const NEW: Self = Self {
        since: None,
        consumed: 0,
        rtt: None,
    };

    /// The round-trip time seen from the receiving side, if measured.
    pub(crate) fn rtt(&self) -> Option<Span> {
        self.rtt
    }
}

impl Pcb {
    /// Data arrived: its echoed timestamp says how long ago we sent what allowed it to be sent
    /// (RFC 7323 §4.1 turned round).
    pub(super) fn measure_as_receiver(&mut self, timestamps: Option<Timestamps>, now: Instant) {
        let (Some(offset), Some(timestamps)) = (self.negotiated.timestamps, timestamps) else {
            return;
        };
        let elapsed = Self::timestamp(offset, now).wrapping_sub(timestamps.echo);
        // What the peer's application held back says nothing about the path: only short times
        // count at once, longer ones shift the estimate slowly.
        if elapsed > 60_000 {
            return;
        }
        let sample = Span::from_millis(elapsed);
        self.tune.rtt = Some(match self.tune.rtt {
            Some(rtt) if sample > rtt => rtt.saturating_add(sample.saturating_sub(rtt).part(8)),
            _ => sample,
        });
    }

    /// The application has processed `len` bytes.
    pub(super) fn consumed(&mut self, len: u32, now: Instant, config: &TcpConfig) {
        // A window that the application has set is the largest.
        let largest = self.settings.largest_window(config);
        if self.rcv.limit >= largest {
            return;
        }
        let Some(rtt) = self.tune.rtt.or_else(|| self.rtt.srtt()) else {
            return;
        };
        let since = *self.tune.since.get_or_insert(now);
        self.tune.consumed = self.tune.consumed.saturating_add(len);
        if now.since(since) < rtt.max(SHORTEST) {
            return;
        }
        let wanted = self
            .tune
            .consumed
            .saturating_mul(2)
            .saturating_add(4 * self.effective_mss());
        self.rcv.limit = self.rcv.limit.max(wanted.min(largest));
        (self.tune.since, self.tune.consumed) = (Some(now), 0);
    }
}
