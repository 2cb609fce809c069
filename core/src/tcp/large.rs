//! Several full segments in one frame, for a device that cuts them (TCP segmentation offload,
//! [`Capabilities::tso`](crate::Capabilities::tso)). Everything but the frame is as if they had been
//! sent one by one: the scoreboard has a record of each, and what is sent again is sent by itself.
use crate::wire::tcp::Flags;

use super::input::Context;
use super::output::{Kind, Plan};
use super::pcb::{Force, Pcb};

impl Pcb {
    /// As many full segments as may leave now, the one of `plan` first, if that is more than one.
    pub(super) fn enlarged(&self, plan: &Plan, cx: &Context<'_>) -> Option<Plan> {
        let mss = self.effective_mss();
        let room = self.head.large_room(self.options_len());
        let ordinary = plan.kind != Kind::New
            || plan.len != mss
            || plan.flags.contains(Flags::FIN)
            || self.force != Force::No;
        if room < 2 * mss || ordinary {
            return None;
        }
        // RFC 3168 §6.1.2: CWR is on one segment; a rate is for single ones, too.
        if !self.sends_new_only() || self.must_tell_cwr() || self.has_rate() {
            return None;
        }
        let segments = (self.sendable_new().min(room) / mss).min(self.records_for(cx.sends));
        (segments > 1).then(|| {
            self.with_push(Plan {
                len: segments * mss,
                flags: Flags::NONE,
                ..*plan
            })
        })
    }

    /// Bytes queued and never sent that both windows have room for.
    fn sendable_new(&self) -> u32 {
        let flight = self.believed_in_flight();
        let congestion = self.congestion.cwnd().saturating_sub(flight);
        self.snd.unsent().min(self.usable()).min(congestion)
    }
}

impl Plan {
    /// The segments of at most `mss` bytes that a device makes of this one.
    pub(super) fn segments(&self, mss: u32) -> impl Iterator<Item = Self> {
        let mut rest = Some(*self);
        core::iter::from_fn(move || {
            let plan = rest.take()?;
            if plan.len <= mss {
                return Some(plan);
            }
            rest = Some(Self {
                seq: plan.seq + mss,
                len: plan.len - mss,
                ..plan
            });
            Some(Self {
                len: mss,
                flags: plan.flags.without(Flags::PSH),
                ..plan
            })
        })
    }
}
