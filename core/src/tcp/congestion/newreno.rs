//! NewReno: congestion avoidance with appropriate byte counting (RFC 5681, RFC 3465) and halving
//! on loss.
use super::Acked;

#[derive(Clone, Debug)]
pub(crate) struct NewReno {
    /// Bytes acknowledged towards the next increase in congestion avoidance.
    counted: u32,
}

impl NewReno {
    pub(super) const NEW: Self = Self { counted: 0 };

    /// Bytes to grow a window of `cwnd` by.
    pub(super) fn avoid(&mut self, cwnd: u32, acked: &Acked) -> u32 {
        // RFC 3465 §2.1: one segment for each window's worth of acknowledged bytes.
        self.counted = self.counted.saturating_add(acked.bytes);
        if self.counted < cwnd {
            return 0;
        }
        self.counted -= cwnd;
        acked.mss
    }

    /// RFC 5681 §3.1, equation (4).
    pub(super) fn reduced(&mut self, flight: u32) -> u32 {
        self.counted = 0;
        flight / 2
    }

    pub(super) fn restart(&mut self) {
        self.counted = 0;
    }
}
