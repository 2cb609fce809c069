//! Path MTU discovery: routers say what fits (RFC 1191), are believed only if what they say fits
//! what was sent (RFC 5927 §7), and are not needed when they are silent (black holes, in the
//! manner of RFC 4821 §7). Each connection finds out for itself; there is no cache by destination.
use core::time::Duration;

use crate::config::TcpConfig;
use crate::time::Instant;
use crate::wire::tcp::SeqNum;

use super::MIN_MSS;
use super::input::Context;
use super::output::{Kind, Plan};
use super::pcb::Pcb;
use super::stats::TcpStats;

/// IPv4 and TCP header without options.
const HEADERS: u16 = 40;
/// RFC 1191 §6.3: a larger size is tried again after 10 minutes (never before 5).
const ASK_AGAIN: Duration = Duration::from_secs(600);
/// Where segments of the size have passed before, silence may as well have been bad luck: then it
/// is tried again after so long, and at doubled intervals (RFC 4821 §7.7 resumes the search).
const DOUBT: Duration = Duration::from_secs(2);
/// Segment sizes for paths that swallow larger ones silently: RFC 4821 §7.2 suggests 1024, and
/// 536 passes everywhere (RFC 9293 §3.7.1).
const BLACK_HOLE: [u16; 2] = [1024, 536];
/// After so many timeouts in a row without progress a black hole is suspected; after three times
/// as many where segments of the size have passed before: on a path that loses a fifth of its
/// packets four in a row are common, and small segments would make it worse.
const SUSPICIOUS: u8 = 2;

/// What a connection knows about its path. Sizes are segment sizes as in the MSS option.
#[derive(Clone, Copy, Debug)]
pub(crate) struct PathMtu {
    /// The size that was agreed on, while a smaller one is used.
    full: Option<u16>,
    /// When to try it again, with a single segment, and how long to wait after that.
    ask_again: Instant,
    ask_interval: Duration,
    probe: Probe,
    /// The largest size sent, and acknowledged.
    sent: u16,
    acked: u16,
    /// A segment in flight that is larger than any acknowledged: its end and its size.
    mark: Option<(SeqNum, u16)>,
    /// A size some router names, though larger segments have passed: believed if the quoted
    /// segment turns out to be lost (RFC 5927 §7.2).
    claim: Option<(SeqNum, u16)>,
}

impl PathMtu {
    pub(crate) const NEW: Self = Self {
        full: None,
        ask_again: Instant::MAX,
        ask_interval: ASK_AGAIN,
        probe: Probe::No,
        sent: 0,
        acked: 0,
        mark: None,
        claim: None,
    };

    /// Whether nothing is to be found out with the next segment.
    pub(super) fn is_settled(&self) -> bool {
        self.probe == Probe::No
    }

    /// Whether segments of this size have arrived.
    pub(super) fn has_passed(&self, size: u32) -> bool {
        size <= u32::from(self.acked)
    }
}

/// One segment of the full size (RFC 4821 §7.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Probe {
    No,
    /// As soon as there is so much to send.
    Due,
    /// In flight; it ends before this number.
    Sent(SeqNum),
}

/// The segment size a router's `mtu` leaves room for. IP has seen to it that `mtu` is possible.
fn size_for(mtu: u16) -> u16 {
    // No smaller segments than a peer could ask for.
    mtu.saturating_sub(HEADERS).max(MIN_MSS)
}

impl Pcb {
    /// A router says that the segment at `quoted`, which is in flight, needs fragmentation.
    pub(super) fn fragmentation_needed(
        &mut self,
        quoted: SeqNum,
        mtu: u16,
        now: Instant,
        config: &TcpConfig,
        stats: &mut TcpStats,
    ) {
        let size = size_for(mtu);
        // RFC 5927 §7.2: what was never sent cannot have been too long. RFC 1191 §3: a message
        // never raises the estimate.
        if !self.settings.discovers_path_mtu(config)
            || size >= self.path.sent
            || size >= self.snd.mss
        {
            stats.icmp_ignored += 1;
        } else if size < self.path.acked {
            // Larger segments have passed: perhaps a forgery, perhaps a new route.
            self.path.claim = Some((quoted, size));
        } else {
            self.lower_segment_size(size, now, stats);
        }
    }

    /// The retransmission timer expired: claims are believed, silence is suspicious.
    pub(super) fn path_timed_out(&mut self, cx: &mut Context<'_>) {
        if !self.settings.discovers_path_mtu(cx.config)
            || !self.is_synchronized()
            || self.snd.wnd == 0
        {
            return;
        }
        if let Some((quoted, size)) = self.path.claim.take()
            && quoted.after_eq(self.snd.una)
        {
            self.lower_segment_size(size, cx.now, cx.stats);
            return;
        }
        // RFC 4821 §7.7: several timeouts in a row, of segments larger than the next size.
        let attempts = self.recovery.attempts;
        let proven = self.path.acked >= self.snd.mss;
        let patience = if proven { 3 * SUSPICIOUS } else { SUSPICIOUS };
        let next = BLACK_HOLE.into_iter().find(|&size| {
            size < self.snd.mss && u32::from(size) < self.snd.in_flight().min(self.effective_mss())
        });
        if let Some(size) = next
            && attempts >= patience
            && attempts.is_multiple_of(SUSPICIOUS)
        {
            cx.stats.black_holes += 1;
            self.lower_segment_size(size, cx.now, cx.stats);
            if proven {
                self.path.ask_interval = DOUBT;
                self.path.ask_again = cx.now + DOUBT;
            }
        }
    }

    fn lower_segment_size(&mut self, size: u16, now: Instant, stats: &mut TcpStats) {
        stats.path_mtu_lowered += 1;
        self.path.full.get_or_insert(self.snd.mss);
        self.path.ask_interval = ASK_AGAIN;
        self.path.ask_again = now + ASK_AGAIN;
        (self.path.mark, self.path.claim, self.path.probe) = (None, None, Probe::No);
        self.path.acked = self.path.acked.min(size);
        self.snd.mss = size;
        self.fit_segments();
        self.timed = None;
        // RFC 1191 §6.4: resent at once in smaller pieces, and no sign of congestion.
        self.recovery.resend_all(self.snd.una, self.snd.nxt);
    }

    /// Before something is sent: after a while the path may have become better.
    pub(super) fn ask_path_again(&mut self, now: Instant) {
        if self.path.ask_again <= now && self.path.full.is_some() {
            self.path.ask_interval = self.path.ask_interval.saturating_mul(2).min(ASK_AGAIN);
            self.path.ask_again = now + self.path.ask_interval;
            self.path.probe = Probe::Due;
        }
    }

    /// The payload of a probe, if one is due and everything goes well.
    pub(super) fn path_probe_room(&self) -> Option<u32> {
        let full = self.path.full.filter(|_| self.path.probe == Probe::Due)?;
        let room = u32::from(full).saturating_sub(self.options_len());
        let quiet = !self.recovery.in_recovery() && self.rcv.runs.is_empty();
        // RFC 4821 §7.2 "delaying or disabling": only if it is sent whole.
        (quiet && self.snd.unsent() >= room && self.usable() >= room).then_some(room)
    }

    /// `plan` was sent; it ends before `end`.
    pub(super) fn path_sent(&mut self, plan: &Plan, end: SeqNum) {
        if plan.len == 0 {
            return;
        }
        let size = u16::try_from(plan.len + self.options_len()).unwrap_or(u16::MAX);
        // As large as others that arrived: nothing is to be found out.
        if self.path.probe == Probe::No && size <= self.path.acked {
            return;
        }
        match (plan.kind, self.path.probe) {
            // It may have been the probe that was lost. RFC 4821 §7.6.2: the size stays.
            (Kind::Again, _) => self.path.probe = Probe::No,
            (Kind::New, Probe::Due) if plan.len > self.effective_mss() => {
                self.path.probe = Probe::Sent(end);
            }
            _ => {}
        }
        self.path.sent = self.path.sent.max(size);
        if size > self.path.acked && self.path.mark.is_none() {
            self.path.mark = Some((end, size));
        }
    }

    /// Something new was acknowledged.
    pub(super) fn path_acked(&mut self) {
        let una = self.snd.una;
        // RFC 4821 §7.6.1: the probe arrived.
        if let Probe::Sent(end) = self.path.probe
            && una.after_eq(end)
            && let Some(full) = self.path.full.take()
        {
            self.path.probe = Probe::No;
            self.path.ask_again = Instant::MAX;
            self.snd.mss = full;
            self.fit_segments();
        }
        if let Some((_, size)) = self.path.mark.take_if(|(end, _)| una.after_eq(*end)) {
            self.path.acked = self.path.acked.max(size);
        }
        // The segment arrived: nothing was wrong with its size.
        let _ = self.path.claim.take_if(|(quoted, _)| una.after(*quoted));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_size_is_absurd() {
        for mtu in [68, 87, 88] {
            assert_eq!(size_for(mtu), MIN_MSS);
        }
        assert_eq!(size_for(1400), 1360);
        assert_eq!(size_for(u16::MAX), u16::MAX - 40);
    }
}
