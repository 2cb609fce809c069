//! The sending half of a connection: sequence numbers, the peer's window, and the queue of bytes
//! from the first unacknowledged one on.
use crate::pbuf::Chain;
use crate::wire::tcp::SeqNum;

/// How far our end of stream has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fin {
    /// The application may still write.
    Open,
    /// A FIN follows the queue; never sent.
    Queued,
    /// Sent at least once.
    Sent,
    /// Acknowledged.
    Acked,
}

#[derive(Debug)]
pub(crate) struct Sender {
    /// Initial sequence number (ISS).
    pub(crate) iss: SeqNum,
    /// Oldest unacknowledged number (SND.UNA).
    pub(crate) una: SeqNum,
    /// Next number never sent before (SND.NXT). Never goes back: an acknowledgement with a lower
    /// number would be outside the peer's window.
    pub(crate) nxt: SeqNum,
    /// The peer's window in bytes from `una` on (SND.WND).
    pub(crate) wnd: u32,
    /// Largest window the peer ever offered, for the sender's SWS rule.
    pub(crate) max_wnd: u32,
    /// Segment numbers of the last window update (SND.WL1, SND.WL2).
    pub(crate) wl1: SeqNum,
    pub(crate) wl2: SeqNum,
    /// The peer's window field is multiplied by 2^shift (RFC 7323 §2.2).
    pub(crate) shift: u8,
    /// Payload of a full segment without options. Who changes it, or which options there are,
    /// calls `fit_segments`.
    pub(crate) mss: u16,
    /// Payload of a full segment with the options that every segment carries.
    pub(crate) full: u32,
    /// Bytes the queue may hold.
    pub(crate) limit: u32,
    /// Bytes not acknowledged, sent or not; starts at `una` once the SYN is acknowledged.
    pub(crate) queue: Chain,
    /// Our SYN is acknowledged: the queue starts at `una`.
    pub(crate) syn_acked: bool,
    pub(crate) fin: Fin,
    /// PSH goes on the segment that reaches this number.
    pub(crate) push: Option<SeqNum>,
}

impl Sender {
    #[expect(
        clippy::declare_interior_mutable_const,
        reason = "a value to start from, copied at each use"
    )]
    pub(crate) const UNUSED: Self = Self {
        iss: SeqNum(0),
        una: SeqNum(0),
        nxt: SeqNum(0),
        wnd: 0,
        max_wnd: 0,
        wl1: SeqNum(0),
        wl2: SeqNum(0),
        shift: 0,
        mss: super::DEFAULT_MSS,
        full: super::DEFAULT_MSS as u32,
        limit: 0,
        queue: Chain::new(),
        syn_acked: false,
        fin: Fin::Open,
        push: None,
    };

    pub(crate) fn start(&mut self, iss: SeqNum) {
        (self.iss, self.una, self.nxt) = (iss, iss, iss);
        (self.wl1, self.wl2) = (SeqNum(0), iss);
    }

    /// Number of the first byte in the queue. The SYN comes before it while unacknowledged.
    pub(crate) fn queue_start(&self) -> SeqNum {
        if self.syn_acked {
            self.una
        } else {
            self.iss + 1
        }
    }

    /// Bytes in the queue.
    pub(crate) fn queued(&self) -> u32 {
        // Bounded by `limit`, which is a u32.
        u32::try_from(self.queue.len()).unwrap_or(u32::MAX)
    }

    /// Number behind the last byte in the queue: that of the FIN, unless that is acknowledged.
    pub(crate) fn queue_end(&self) -> SeqNum {
        self.queue_start() + self.queued()
    }

    /// Bytes and flags sent and not acknowledged.
    pub(crate) fn in_flight(&self) -> u32 {
        self.nxt.since(self.una)
    }

    /// Bytes queued and never sent.
    pub(crate) fn unsent(&self) -> u32 {
        // The FIN, behind the queue, is no byte of it; nor is the SYN before it, which may not be
        // out yet.
        let syn = u32::from(!self.syn_acked);
        self.queued()
            .saturating_sub(self.in_flight().saturating_sub(syn))
    }

    /// Bytes that may still be queued.
    pub(crate) fn room(&self) -> u32 {
        self.limit.saturating_sub(self.queued())
    }

    /// As [`Sender::acknowledge`], after the handshake and before a FIN is sent.
    #[cfg(feature = "sack")]
    pub(crate) fn acknowledge_data(&mut self, ack: SeqNum) -> u32 {
        let bytes = ack.since(self.una);
        self.queue.consume(bytes as usize);
        self.una = ack;
        bytes
    }

    /// Takes `ack`, which lies in (una, nxt]: removes what it covers from the queue and returns
    /// how many bytes that were.
    pub(crate) fn acknowledge(&mut self, ack: SeqNum) -> u32 {
        let (start, end) = (self.queue_start(), self.queue_end());
        let covered = if ack.after(start) {
            ack.since(start)
        } else {
            0
        };
        // The FIN's number is not a byte of the queue.
        let bytes = covered.min(self.queued());
        if self.fin == Fin::Sent && ack.after(end) {
            self.fin = Fin::Acked;
        }
        self.queue.consume(bytes as usize);
        self.una = ack;
        self.syn_acked = true;
        bytes
    }
}
