//! Delivery rate: how fast the path carried what was acknowledged
//! (draft-ietf-ccwg-bbr §4.1, after draft-cheng-iccrg-delivery-rate-estimation).
use crate::time::{Instant, Span};

use super::scoreboard::Record;
use super::stamp::Stamp;

/// What is remembered with each transmission; the names are those of the draft, "P.".
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Snapshot {
    delivered: u32,
    delivered_time: Stamp,
    first_sent_time: Stamp,
    lost: u32,
    /// Bytes in flight, this segment included.
    pub(crate) tx_in_flight: u32,
    limited: Limited,
}

/// What held the sender back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Limited {
    /// The network.
    No,
    /// The application or the peer's window: the rate says little about the path.
    Application,
}

impl Snapshot {
    pub(crate) const NONE: Self = Self {
        delivered: 0,
        delivered_time: Stamp::ZERO,
        first_sent_time: Stamp::ZERO,
        lost: 0,
        tx_in_flight: 0,
        limited: Limited::No,
    };
}

/// The state of one connection, "C." in the draft. Sums wrap.
#[derive(Clone, Debug)]
pub(crate) struct DeliveryRate {
    /// Somebody asks for samples.
    pub(crate) measures: bool,
    delivered: u32,
    delivered_time: Stamp,
    first_sent_time: Stamp,
    lost: u32,
    /// Deliveries up to this sum were held back by the application.
    limited_until: Option<u32>,
}

/// What one acknowledgement shows, "RS." in the draft.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Sample {
    pub(crate) now: Instant,
    /// Bytes per second, if the acknowledgement tells.
    pub(crate) rate: Option<u64>,
    pub(crate) limited: Limited,
    /// Bytes delivered since the newest segment acknowledged was sent.
    pub(crate) delivered: u32,
    /// Bytes lost meanwhile.
    pub(crate) lost: u32,
    /// What was in flight when it was sent.
    pub(crate) tx_in_flight: u32,
    /// The sum of all deliveries, before it was sent and now.
    pub(crate) prior_delivered: u32,
    pub(crate) total_delivered: u32,
    /// Bytes this acknowledgement delivered, and those found lost by it.
    pub(crate) newly_acked: u32,
    pub(crate) newly_lost: u32,
    /// Its round-trip time, if it tells one.
    pub(crate) rtt: Option<Span>,
    /// Bytes in flight now.
    pub(crate) in_flight: u32,
    pub(crate) mss: u32,
}

impl DeliveryRate {
    pub(crate) const NEW: Self = Self {
        measures: false,
        delivered: 0,
        delivered_time: Stamp::ZERO,
        first_sent_time: Stamp::ZERO,
        lost: 0,
        limited_until: None,
    };

    /// A segment of `len` bytes is sent, with `in_flight` others.
    pub(crate) fn sent(&mut self, now: Instant, in_flight: u32, len: u32) -> Snapshot {
        if !self.measures {
            return Snapshot::NONE;
        }
        if in_flight == 0 {
            // Draft §4.1.2.1: after a pause the intervals start anew.
            self.first_sent_time = Stamp::of(now);
            self.delivered_time = Stamp::of(now);
        }
        Snapshot {
            delivered: self.delivered,
            delivered_time: self.delivered_time,
            first_sent_time: self.first_sent_time,
            lost: self.lost,
            tx_in_flight: in_flight.saturating_add(len),
            limited: match self.limited_until {
                Some(_) => Limited::Application,
                None => Limited::No,
            },
        }
    }

    /// `bytes` were found lost.
    pub(crate) fn lost(&mut self, bytes: u32) {
        self.lost = self.lost.wrapping_add(bytes);
    }

    /// Nothing more is to be sent although `in_flight` bytes are less than allowed
    /// (draft §4.1.2.4).
    pub(crate) fn limited_by_application(&mut self, in_flight: u32) {
        self.limited_until = Some(self.delivered.wrapping_add(in_flight.max(1)));
    }

    /// `bytes` arrived; `newest` is the one of their segments sent last (draft §4.1.2.3). The
    /// rest of the sample is the caller's.
    pub(crate) fn acked(
        &mut self,
        now: Instant,
        bytes: u32,
        newest: &Record,
        min_rtt: Option<Span>,
    ) -> Sample {
        self.delivered = self.delivered.wrapping_add(bytes);
        self.delivered_time = Stamp::of(now);
        if self
            .limited_until
            .is_some_and(|until| (self.delivered.wrapping_sub(until) as i32) > 0)
        {
            self.limited_until = None;
        }
        let snapshot = &newest.snapshot;
        self.first_sent_time = newest.at;
        let send_elapsed = newest.at.since(snapshot.first_sent_time);
        let ack_elapsed = snapshot.delivered_time.age(now);
        let interval = send_elapsed.max(ack_elapsed);
        let delivered = self.delivered.wrapping_sub(snapshot.delivered);
        // Shorter than any round trip: of a segment sent twice the first copy arrived.
        let plausible = interval > Span::ZERO
            && min_rtt.is_none_or(|least| interval >= least)
            // Sent before somebody asked.
            && *snapshot != Snapshot::NONE;
        let micros = u64::from(interval.as_micros().max(1));
        Sample {
            now,
            rate: plausible.then(|| u64::from(delivered) * 1_000_000 / micros),
            limited: snapshot.limited,
            delivered,
            lost: self.lost.wrapping_sub(snapshot.lost),
            tx_in_flight: snapshot.tx_in_flight,
            prior_delivered: snapshot.delivered,
            total_delivered: self.delivered,
            newly_acked: bytes,
            newly_lost: 0,
            rtt: None,
            in_flight: 0,
            mss: 1,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::tcp::SeqNum;

    fn at(ms: u64) -> Instant {
        Instant::from_millis(ms)
    }

    #[test]
    fn the_rate_is_the_slower_of_sending_and_acknowledging() {
        let mut rate = DeliveryRate {
            measures: true,
            ..DeliveryRate::NEW
        };
        let send = |rate: &mut DeliveryRate, ms, in_flight| {
            let mut record = Record::new(SeqNum(1), at(ms));
            record.snapshot = rate.sent(at(ms), in_flight, 1000);
            record
        };
        let first = send(&mut rate, 1_000, 0);
        let second = send(&mut rate, 1_010, 1000);
        rate.acked(at(1_100), 1000, &first, None);
        // Ten milliseconds apart when sent, 100 when they came back.
        let sample = rate.acked(at(1_200), 1000, &second, None);
        assert_eq!(sample.delivered, 2000);
        assert_eq!(sample.rate, Some(10_000));
    }

    #[test]
    fn a_pause_of_the_application_is_no_property_of_the_path() {
        let mut rate = DeliveryRate {
            measures: true,
            ..DeliveryRate::NEW
        };
        let mut record = Record::new(SeqNum(1), at(1_000));
        record.snapshot = rate.sent(at(1_000), 0, 1000);
        rate.limited_by_application(1000);
        let mut next = Record::new(SeqNum(1), at(1_001));
        next.snapshot = rate.sent(at(1_001), 1000, 1000);
        assert_eq!(
            rate.acked(at(1_100), 1000, &record, None).limited,
            Limited::No
        );
        let sample = rate.acked(at(1_101), 1000, &next, None);
        assert_eq!(sample.limited, Limited::Application);
        assert_eq!(rate.sent(at(1_102), 0, 1000).limited, Limited::No);
    }

    #[test]
    fn what_comes_back_faster_than_the_path_allows_is_no_sample() {
        let mut rate = DeliveryRate {
            measures: true,
            ..DeliveryRate::NEW
        };
        let mut record = Record::new(SeqNum(1), at(1_000));
        record.snapshot = rate.sent(at(1_000), 0, 1000);
        let least = Some(Span::from_millis(50));
        assert_eq!(rate.acked(at(1_001), 1000, &record, least).rate, None);
    }
}
