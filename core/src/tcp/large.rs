//! Several full segments in one frame, for a device that cuts them (TCP segmentation offload,
//! [`Capabilities::tso`](crate::Capabilities::tso)). Everything but the frame is as if they had been
//! sent one by one: the scoreboard has a record of each, and what is sent again is sent by itself.
use crate::error::Error;
use crate::ip::{Ip, NetifId};
use crate::wire::tcp::Flags;

use super::input::Context;
use super::output::{Kind, Plan};
use super::pcb::{Force, Pcb};
use super::series::Series;
use super::transmit::{BURST, Turn};

impl Pcb {
    /// The burst of `series` that begins with `plan`, through such a device.
    #[inline(never)]
    pub(super) fn burst_to_be_cut(
        &mut self,
        ip: &mut Ip,
        cx: &mut Context<'_>,
        netif: NetifId,
        series: &Series,
        mut plan: Plan,
    ) -> Turn {
        for _ in 0..BURST {
            if !ip.can_transmit(netif) {
                return Turn::Held;
            }
            let large = self.enlarged(&plan, cx);
            let outcome = match large {
                Some(large) => self.transmit_large(series, ip, cx, &large, plan.len),
                None => Err(Error::NoMemory),
            };
            match outcome {
                Ok(()) => {}
                // Nothing to put together; or there may be descriptors for one.
                Err(Error::NoMemory) => match self.transmit_in(series, ip, cx, &plan) {
                    Ok(flags) => self.transmitted(&plan, flags, cx),
                    Err(error) => return self.not_transmitted(&plan, error, cx),
                },
                Err(error) => return self.not_transmitted(&plan, error, cx),
            }
            match self.plan() {
                Some(next) => plan = next,
                None => return Turn::Done,
            }
            // What blocks say is not said twice.
            if series.has_blocks() {
                break;
            }
        }
        Turn::More
    }

    /// Hands the segments of `mss` bytes of `large` to IP in one.
    fn transmit_large(
        &mut self,
        series: &Series,
        ip: &mut Ip,
        cx: &mut Context<'_>,
        large: &Plan,
        mss: u32,
    ) -> Result<(), Error> {
        let flags = self.transmit_cut(series, ip, large, mss)?;
        for segment in large.segments(mss) {
            self.transmitted(&segment, flags, cx);
        }
        Ok(())
    }

    /// As many full segments as may leave now, the one of `plan` first, if that is more than one.
    fn enlarged(&self, plan: &Plan, cx: &Context<'_>) -> Option<Plan> {
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
        // A segment has room for a byte: the compiler does not know.
        let segments = self.sendable_new().min(room).checked_div(mss)?;
        let segments = segments.min(self.records_for(cx.sends));
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
    fn segments(&self, mss: u32) -> impl Iterator<Item = Self> {
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
