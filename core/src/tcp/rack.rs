//! RACK: which segments are lost, told by time (RFC 8985 §6). A segment is lost when one that was
//! sent sufficiently later has arrived.
use crate::time::{Instant, Span};
use crate::wire::tcp::SeqNum;

use super::min_rtt::MinRtt;
use super::scoreboard::{Front, Record, Scoreboard, Sent};
use super::sent_store::SentStore;
use super::stamp::Stamp;

/// RFC 8985 §4 "DupThresh".
const DUP_THRESH: u16 = 3;
/// RFC 8985 §6.2.4: recoveries without D-SACK until the reordering window shrinks again.
const PERSIST: u8 = 16;

/// The granularity of our timestamp clock.
pub(crate) const TICK: Span = Span::from_millis(1);

/// RACK's state of one connection; the names are those of RFC 8985 §5.2.
#[derive(Clone, Debug)]
pub(crate) struct Rack {
    /// RACK.xmit_ts and RACK.end_seq: of all segments that arrived, the one sent last.
    newest: Option<(Stamp, SeqNum)>,
    /// RACK.rtt: its round-trip time.
    rtt: Span,
    min_rtt: MinRtt,
    /// RACK.fack: the highest number that arrived.
    fack: Option<SeqNum>,
    reordering_seen: bool,
    dsack_round: Option<SeqNum>,
    reo_wnd_mult: u8,
    reo_wnd_persist: u8,
}

/// Whether losses are being repaired.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Repair {
    Idle,
    Busy,
}

/// What one acknowledgement said about the segments in flight.
#[derive(Clone, Debug)]
pub(crate) struct Delivery {
    now: Instant,
    /// How long ago the timestamp was made that the acknowledgement echoes.
    pub(crate) echo_age: Option<Span>,
    /// Bytes that were not known to have arrived.
    pub(crate) bytes: u32,
    /// The newest segment, and how often it was sent.
    newest: Option<(Stamp, SeqNum)>,
    /// Of segments sent once, the longest and the shortest time since.
    pub(crate) longest: Option<Span>,
    pub(crate) shortest: Option<Span>,
    /// Of segments sent again, the shortest time since the last copy.
    pub(crate) repeated: Option<Span>,
    /// The highest end of a segment sent once, and the lowest start: for F-RTO and reordering.
    pub(crate) original: Option<SeqNum>,
    lowest_original: Option<SeqNum>,
    highest: Option<SeqNum>,
    min_rtt: Span,
    /// The record whose delivery the rate is measured by: the one sent last.
    #[cfg(feature = "bbr")]
    pub(crate) rated: Option<Record>,
}

impl Delivery {
    pub(crate) fn new(now: Instant, echo_age: Option<Span>, rack: &Rack) -> Self {
        Self {
            now,
            echo_age,
            bytes: 0,
            newest: None,
            longest: None,
            shortest: None,
            repeated: None,
            original: None,
            lowest_original: None,
            highest: None,
            min_rtt: rack.min_rtt.value().unwrap_or(Span::ZERO),
            #[cfg(feature = "bbr")]
            rated: None,
        }
    }

    /// `start..record.end` arrived.
    pub(crate) fn add(&mut self, start: SeqNum, record: Record) {
        self.bytes = self.bytes.saturating_add(record.end.since(start));
        self.highest = Some(later(self.highest, record.end));
        let age = record.at.age(self.now);
        if record.sent == Sent::Once {
            self.longest = Some(self.longest.map_or(age, |longest| longest.max(age)));
            self.shortest = Some(self.shortest.map_or(age, |shortest| shortest.min(age)));
            self.original = Some(later(self.original, record.end));
            let lowest = self
                .lowest_original
                .map_or(record.end, |l| l.min(record.end));
            self.lowest_original = Some(lowest);
        } else {
            self.repeated = Some(self.repeated.map_or(age, |shortest| shortest.min(age)));
        }
        #[cfg(feature = "bbr")]
        if self.rated.is_none_or(|rated| record.at.after(rated.at)) {
            self.rated = Some(record);
        }
        // RFC 8985 §6.2.2: of a segment sent again it is not known which copy arrived. Not the
        // last one if the echoed timestamp is older, or if it
        // came back faster than the path is.
        let older_copy = record.sent == Sent::Again
            && (age < self.min_rtt
                || self
                    .echo_age
                    .is_some_and(|echo| echo > age.saturating_add(TICK)));
        let sent = (record.at, record.end);
        if !older_copy && self.newest.is_none_or(|newest| sent_after(sent, newest)) {
            self.newest = Some(sent);
        }
    }
}

fn later(known: Option<SeqNum>, new: SeqNum) -> SeqNum {
    known.map_or(new, |known| known.max(new))
}

/// RFC 8985 §6.1 "RACK_sent_after".
fn sent_after(a: (Stamp, SeqNum), b: (Stamp, SeqNum)) -> bool {
    a.0.after(b.0) || (a.0 == b.0 && a.1.after(b.1))
}

impl Rack {
    pub(crate) const NEW: Self = Self {
        newest: None,
        rtt: Span::ZERO,
        min_rtt: MinRtt::NEW,
        fack: None,
        reordering_seen: false,
        dsack_round: None,
        reo_wnd_mult: 1,
        reo_wnd_persist: 0,
    };

    /// The shortest round-trip time of late, if one was measured.
    #[cfg(feature = "bbr")]
    pub(crate) fn min_rtt(&self) -> Option<Span> {
        self.min_rtt.value()
    }

    /// Takes what an acknowledgement delivered (RFC 8985 §6.2, steps 1 to 3).
    pub(crate) fn update(&mut self, delivery: &Delivery) {
        if let Some(shortest) = delivery.shortest {
            self.min_rtt.measured(shortest, delivery.now);
        }
        if let Some(newest) = delivery.newest
            && self
                .newest_at(delivery.now)
                .is_none_or(|known| sent_after(newest, known))
        {
            self.newest = Some(newest);
            self.rtt = newest.0.age(delivery.now);
        }
        // Step 3: against what was known before this acknowledgement; the blocks within one come
        // in any order, because others may have been lost.
        if let (Some(fack), Some(original)) = (self.fack, delivery.lowest_original)
            && original.before(fack)
        {
            self.reordering_seen = true;
        }
        if let Some(highest) = delivery.highest {
            self.fack = Some(later(self.fack, highest));
        }
    }

    /// [`Rack::update`] for segments sent once and in order, all of them behind RACK.fack: nothing
    /// behind SND.UNA is known to have arrived.
    pub(crate) fn update_calm(&mut self, front: &Front, rtt: Span, now: Instant) {
        self.min_rtt.measured(rtt, now);
        self.newest = Some((front.newest, front.end));
        self.rtt = rtt;
        self.fack = Some(later(self.fack, front.end));
    }

    /// Whether `record` may be lost because what was sent after it arrived.
    pub(crate) fn suspects(&self, record: &Record) -> bool {
        self.newest
            .is_some_and(|newest| sent_after(newest, (record.at, record.end)))
    }

    /// The newest segment delivered. One so old that its stamp seems to lie ahead of `now` is
    /// none: whatever is in flight was sent after it.
    fn newest_at(&self, now: Instant) -> Option<(Stamp, SeqNum)> {
        self.newest.filter(|(at, _)| !at.after(Stamp::of(now)))
    }

    /// What arrived last was not what it seemed to be.
    pub(crate) fn forget_newest(&mut self) {
        self.newest = None;
    }

    /// A segment came later than one sent after it, shown by a timestamp.
    pub(crate) fn saw_reordering(&mut self) {
        self.reordering_seen = true;
    }

    /// An acknowledgement reports data that arrived twice (RFC 8985 §6.2.4): we were too hasty.
    pub(crate) fn on_dsack(&mut self, una: SeqNum, nxt: SeqNum) {
        if self.dsack_round.is_some_and(|round| una.after_eq(round)) {
            self.dsack_round = None;
        }
        if self.dsack_round.is_none() {
            self.dsack_round = Some(nxt);
            self.reo_wnd_mult = self.reo_wnd_mult.saturating_add(1);
            self.reo_wnd_persist = PERSIST;
        }
    }

    /// A recovery ended (RFC 8985 §6.2.4).
    pub(crate) fn on_recovery_end(&mut self) {
        self.reo_wnd_persist = self.reo_wnd_persist.saturating_sub(1);
        if self.reo_wnd_persist == 0 {
            self.reo_wnd_mult = 1;
        }
    }

    /// RFC 8985 §6.2.4 "RACK_update_reo_wnd": how much later a segment may come.
    fn reordering_window(&self, board: &Scoreboard, srtt: Span, repair: Repair) -> Span {
        // Without any sign of reordering it is all the same to wait once three segments are in.
        let impatient = repair == Repair::Busy || board.sacked_segments() >= DUP_THRESH;
        if !self.reordering_seen && impatient {
            return Span::ZERO;
        }
        let min_rtt = self.min_rtt.value().unwrap_or(srtt);
        min_rtt
            .times(u32::from(self.reo_wnd_mult))
            .part(4)
            .min(srtt)
    }

    /// RFC 8985 §6.2.5 "RACK_detect_loss": marks what is lost. Returns how long to wait for
    /// segments that are only late.
    pub(crate) fn detect(
        &self,
        board: &mut Scoreboard,
        store: &mut SentStore,
        now: Instant,
        srtt: Span,
        repair: Repair,
    ) -> Option<Span> {
        let newest = self.newest_at(now)?;
        // In order and nothing sent twice: whatever is in flight was sent later.
        let first = board.first(store)?;
        if board.sacked_segments() == 0
            && !board.has_repeated()
            && !sent_after(newest, (first.at, first.end))
        {
            return None;
        }
        let patience = self
            .rtt
            .saturating_add(self.reordering_window(board, srtt, repair));
        let mut wait = None;
        board.mark_missing(store, |_, record| {
            if !sent_after(newest, (record.at, record.end)) {
                return false;
            }
            let age = record.at.age(now);
            if age >= patience {
                return true;
            }
            let left = patience.saturating_sub(age);
            wait = Some(wait.map_or(left, |wait: Span| wait.max(left)));
            false
        });
        wait
    }

    /// RFC 8985 §6.3 "RACK_mark_losses_on_RTO": the first segment is lost, and all that are
    /// overdue.
    pub(crate) fn timed_out(
        &self,
        board: &mut Scoreboard,
        store: &mut SentStore,
        una: SeqNum,
        now: Instant,
        srtt: Span,
    ) {
        let patience = self
            .rtt
            .saturating_add(self.reordering_window(board, srtt, Repair::Busy));
        board.mark_missing(store, |start, record| {
            start == una || record.at.age(now) >= patience
        });
    }
}
