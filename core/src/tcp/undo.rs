//! Finding out that nothing was lost after all, to take the reduction of the window back: by
//! timestamps (Eifel, RFC 3522, RFC 4015) and by D-SACK (RFC 3708). F-RTO is in `frto`.
use crate::wire::tcp::SeqNum;
#[cfg(feature = "sack")]
use crate::wire::tcp_options::SackBlock;

/// What is remembered of the last recovery.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Undo {
    /// The recovery's first retransmission: where it started, and the value of our timestamp
    /// clock then (RFC 3522 §3.2 step 2, "RetransmitTS").
    first: Option<(SeqNum, u32)>,
    /// Retransmissions that no D-SACK has reported as superfluous, and the range they are in.
    outstanding: Option<Outstanding>,
}

#[derive(Clone, Copy, Debug)]
#[cfg_attr(not(feature = "sack"), allow(dead_code, reason = "for D-SACK"))]
struct Outstanding {
    segments: u16,
    from: SeqNum,
    until: SeqNum,
}

impl Undo {
    pub(crate) const NOTHING: Self = Self {
        first: None,
        outstanding: None,
    };

    /// A recovery of `from..until` begins.
    pub(crate) fn start(from: SeqNum, until: SeqNum) -> Self {
        Self {
            first: None,
            outstanding: Some(Outstanding {
                segments: 0,
                from,
                until,
            }),
        }
    }

    /// A segment that starts at `start` was sent again when our timestamp clock was at `clock`.
    pub(crate) fn sent_again(&mut self, start: SeqNum, clock: u32) {
        if let Some(outstanding) = &mut self.outstanding {
            outstanding.segments = outstanding.segments.saturating_add(1);
            self.first.get_or_insert((start, clock));
        }
    }

    /// RFC 3522 §3.2 step 4: whether an acknowledgement of everything before `una`, which echoes
    /// `echo`, was caused by the original of the first segment sent again.
    pub(crate) fn original_arrived(&self, una: SeqNum, echo: Option<u32>) -> bool {
        match (self.first, echo) {
            (Some((start, clock)), Some(echo)) => {
                una.after(start) && SeqNum(echo).before(SeqNum(clock))
            }
            _ => false,
        }
    }

    /// Counts a D-SACK; `true` if by now every retransmission was superfluous (RFC 3708 §3).
    #[cfg(feature = "sack")]
    pub(crate) fn on_dsack(&mut self, block: &SackBlock) -> bool {
        let Some(outstanding) = &mut self.outstanding else {
            return false;
        };
        let ours =
            block.left.after_eq(outstanding.from) && block.right.before_eq(outstanding.until);
        if !ours || outstanding.segments == 0 {
            return false;
        }
        outstanding.segments -= 1;
        outstanding.segments == 0
    }
}
