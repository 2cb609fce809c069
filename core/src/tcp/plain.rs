//! The common case of output, the sender's counterpart of `fast_path`: an established connection
//! sends data for the first time, or acknowledges, and nothing else is the matter. What `plan` and
//! `sent` find out and write down for any segment is then done for a whole burst at once. All else
//! is left to `output`; the tests hold the two against each other.
use crate::error::Error;
use crate::ip::Ip;
use crate::wire::tcp::{Flags, SeqNum};

use super::input::Context;
use super::output::{Kind, Plan};
use super::pcb::{Force, Pcb};
use super::receive::AckDue;
use super::send::Fin;
use super::series::{Piece, Series};
use super::transmit::{BURST, Turn};
use super::{Cork, Nagle, State};

/// Where a burst of plain segments stands.
#[derive(Clone, Copy, Debug)]
pub(super) struct Plain {
    /// The number behind the last one sent: SND.NXT, once that is written down.
    nxt: SeqNum,
    /// Bytes queued behind it.
    unsent: u32,
    /// Bytes of the peer's window behind it.
    usable: u32,
    /// Bytes in flight, and how many congestion control allows.
    flight: u32,
    allowed: u32,
    /// Segments sent.
    segments: u32,
}

impl Pcb {
    /// The beginning of a burst, if whatever is to be sent now is plain.
    pub(super) fn plain(&self) -> Option<Plain> {
        let plain = matches!(self.state, State::Established | State::CloseWait)
            && self.snd.fin == Fin::Open
            && self.force == Force::No
            && !self.keepalive_due
            // No options but timestamps.
            && self.rcv.runs.is_empty()
            && self.rcv.duplicate.is_none()
            && self.ecn.is_silent()
            && self.path.is_settled()
            // Records tell the round trip; nothing is sent again or at a rate.
            && self.is_selective()
            && self.sends_new_only()
            && !self.has_rate();
        plain.then(|| Plain {
            nxt: self.snd.nxt,
            unsent: self.snd.unsent(),
            usable: self.usable(),
            flight: self.believed_in_flight(),
            allowed: self.congestion.cwnd() + self.limited_transmit(),
            segments: 0,
        })
    }

    /// Sends the burst that begins with `plain`, through the current head.
    pub(super) fn burst_of_plain(
        &mut self,
        ip: &mut Ip,
        cx: &mut Context<'_>,
        mut plain: Plain,
    ) -> Turn {
        let mut len = self.next_plain(&plain);
        if len == 0 && self.rcv.ack != AckDue::Now {
            return Turn::Done;
        }
        let netif = self.head.netif();
        let series = self.series(cx);
        let mut refused = None;
        let turn = loop {
            if !ip.can_transmit(netif) {
                break Turn::Held;
            }
            if let Err(error) = self.transmit_plain(&series, ip, &plain, len) {
                refused = Some(error);
                break Turn::Done;
            }
            self.record_plain(&mut plain, len, cx);
            len = self.next_plain(&plain);
            if len == 0 {
                break Turn::Done;
            }
            if plain.segments == BURST as u32 {
                break Turn::More;
            }
        };
        self.sent_plain(&plain, cx);
        match refused {
            None => turn,
            Some(error) => self.not_transmitted(&plain.plan(len), error, cx),
        }
    }

    /// Payload bytes of the next segment, as `plan_new` would have it. 0: none, but perhaps an
    /// acknowledgement.
    pub(super) fn next_plain(&self, plain: &Plain) -> u32 {
        if plain.unsent == 0 {
            return 0;
        }
        let mss = self.effective_mss();
        let wanted = plain.unsent.min(mss);
        let len = wanted.min(plain.usable);
        let allowed = plain.flight == 0 || plain.flight.saturating_add(wanted) <= plain.allowed;
        if len == 0 || !allowed || len > self.record_room() {
            return 0;
        }
        // RFC 9293 §3.8.6.2.1, conditions (1) to (3): full, or the last and nothing forbids it, or
        // half of the largest window.
        let nagle_allows = self.settings.nagle == Nagle::Disabled || plain.nxt == self.snd.una;
        let last = len == plain.unsent && nagle_allows && self.settings.cork == Cork::Off;
        match len == mss || last || len >= (self.snd.max_wnd / 2).max(1) {
            true => len,
            false => 0,
        }
    }

    fn transmit_plain(
        &mut self,
        series: &Series,
        ip: &mut Ip,
        plain: &Plain,
        len: u32,
    ) -> Result<(), Error> {
        let seq = plain.nxt;
        // Of its flags there is none.
        let (_, ecn) = self.ecn_of(&plain.plan(len));
        let piece = Piece {
            seq,
            flags: self.push_within(seq, len),
            ecn,
            // The handshake is over: the queue begins with SND.UNA.
            offset: seq.since(self.snd.una) as usize,
            len: len as usize,
        };
        self.transmit_headed(series, ip, piece)
    }

    /// A segment of `len` bytes was handed to IP.
    pub(super) fn record_plain(&mut self, plain: &mut Plain, len: u32, cx: &mut Context<'_>) {
        let end = plain.nxt + len;
        if len > 0 {
            if !self.path.has_passed(len + self.options_len()) {
                self.path_sent(&plain.plan(len), end);
            }
            self.record_new(plain.nxt, end, cx.now, cx.sends);
        }
        *plain = Plain {
            nxt: end,
            unsent: plain.unsent - len,
            usable: plain.usable - len,
            flight: plain.flight + len,
            segments: plain.segments + 1,
            ..*plain
        };
    }

    /// The burst is over: what `sent` writes down for each segment.
    pub(super) fn sent_plain(&mut self, plain: &Plain, cx: &mut Context<'_>) {
        if plain.segments == 0 {
            return;
        }
        let bytes = plain.nxt.since(self.snd.nxt);
        if bytes > 0 {
            self.snd.nxt = plain.nxt;
            self.timers_due = true;
            self.watch_tail();
            self.counters.data_sent = Some(cx.now);
        }
        self.counters.sent_new(plain.segments, bytes);
        cx.stats.segments_sent = cx.stats.segments_sent.wrapping_add(plain.segments);
        cx.stats.bytes_sent = cx.stats.bytes_sent.wrapping_add(u64::from(bytes));
        self.rcv.acknowledged();
    }
}

impl Plain {
    /// The next segment, of `len` bytes, as a plan.
    fn plan(&self, len: u32) -> Plan {
        Plan {
            seq: self.nxt,
            len,
            flags: Flags::NONE,
            kind: if len > 0 { Kind::New } else { Kind::Ack },
        }
    }
}
