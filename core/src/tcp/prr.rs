//! Proportional Rate Reduction: how much may be sent on each acknowledgement while losses are
//! repaired (RFC 9937).

/// PRR's state of one recovery; the names are those of RFC 9937 §6.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Prr {
    delivered: u32,
    out: u32,
    recover_fs: u32,
}

/// RFC 9937 §6 "safeACK".
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Progress {
    /// The acknowledgement advances SND.UNA and indicates no further loss.
    Safe,
    /// Anything else.
    Unclear,
}

impl Prr {
    pub(crate) const IDLE: Self = Self {
        delivered: 0,
        out: 0,
        recover_fs: 1,
    };

    /// A recovery begins that `recover_fs` bytes in flight will be delivered in.
    pub(crate) const fn start(recover_fs: u32) -> Self {
        Self {
            delivered: 0,
            out: 0,
            recover_fs: if recover_fs == 0 { 1 } else { recover_fs },
        }
    }

    /// `len` bytes were sent.
    pub(crate) fn sent(&mut self, len: u32) {
        self.out = self.out.saturating_add(len);
    }

    /// RFC 9937 §6, on every acknowledgement: the congestion window after `delivered` more bytes
    /// arrived, with `inflight` bytes in the network.
    pub(crate) fn acked(
        &mut self,
        delivered: u32,
        inflight: u32,
        ssthresh: u32,
        mss: u32,
        progress: Progress,
    ) -> u32 {
        self.delivered = self.delivered.saturating_add(delivered);
        let mut count = if inflight > ssthresh {
            let target = (u64::from(self.delivered) * u64::from(ssthresh))
                .div_ceil(u64::from(self.recover_fs.max(1)));
            u32::try_from(target)
                .unwrap_or(u32::MAX)
                .saturating_sub(self.out)
        } else {
            // PRR-CRB, and PRR-SSRB while all goes well.
            let mut count = self.delivered.saturating_sub(self.out).max(delivered);
            if progress == Progress::Safe {
                count = count.saturating_add(mss);
            }
            count.min(ssthresh - inflight)
        };
        // The fast retransmission leaves in any case.
        if self.out == 0 && count < mss {
            count = mss;
        }
        inflight.saturating_add(count)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MSS: u32 = 1000;

    /// 20 segments in flight, one lost: 7 leave for each 10 that arrive.
    #[test]
    fn the_rate_falls_in_proportion() {
        let mut prr = Prr::start(20 * MSS);
        let (ssthresh, mut inflight, mut sent) = (14 * MSS, 20 * MSS - MSS, 0);
        for _ in 0..19 {
            inflight -= MSS;
            let cwnd = prr.acked(MSS, inflight, ssthresh, MSS, Progress::Unclear);
            while inflight + MSS <= cwnd {
                (inflight, sent) = (inflight + MSS, sent + 1);
                prr.sent(MSS);
            }
        }
        assert!((13..=14).contains(&sent), "{sent}");
        assert!(
            inflight <= ssthresh && inflight >= ssthresh - 2 * MSS,
            "{inflight}"
        );
    }

    /// 20 in flight, 15 of them lost: the window is rebuilt segment for segment, and faster only
    /// when nothing more is lost.
    #[test]
    fn after_heavy_loss_the_window_grows_no_faster_than_slow_start() {
        let mut prr = Prr::start(20 * MSS);
        let cwnd = prr.acked(MSS, 4 * MSS, 14 * MSS, MSS, Progress::Unclear);
        assert_eq!(cwnd, 5 * MSS);
        prr.sent(MSS);
        let cwnd = prr.acked(MSS, 4 * MSS, 14 * MSS, MSS, Progress::Safe);
        assert_eq!(cwnd, 6 * MSS);
    }

    #[test]
    fn the_first_retransmission_is_never_held_back() {
        let mut prr = Prr::start(20 * MSS);
        let cwnd = prr.acked(0, 19 * MSS, 10 * MSS, MSS, Progress::Unclear);
        assert_eq!(cwnd, 20 * MSS);
    }
}
