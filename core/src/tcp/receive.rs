//! The receiving half of a connection: the window, the in-order queue, and when to acknowledge.
//! Data that arrives too early waits in `out_of_order`.
use crate::pbuf::{Chain, Pbuf};
use crate::time::Instant;
use crate::wire::tcp::SeqNum;
use crate::wire::tcp_options::SackBlock;

use super::out_of_order::RunList;

/// Data of at most this many bytes is copied behind the previous segment's where that has room,
/// so that a peer who sends single bytes cannot pin a receive buffer with each.
const COMPACT_BELOW: usize = 256;
/// A queue whose buffers hold less than this on average has too many of them.
const SPARSE_BELOW: usize = 512;
/// As long as it has no more than so many.
const FEW_PARTS: usize = 8;

/// Moves `data` behind `queue`, small parts by copying them into the room behind the last one.
/// However the bytes were cut into segments, two neighbouring buffers hold more than
/// [`COMPACT_BELOW`] bytes, and of many buffers the average holds [`SPARSE_BELOW`] or what a buffer
/// has room for.
pub(crate) fn join(queue: &mut Chain, data: &mut Chain) {
    loop {
        let part = data.front().len();
        let sparse = || queue.parts() > FEW_PARTS && queue.len() / SPARSE_BELOW < queue.parts();
        if part == 0 || (part > COMPACT_BELOW && !sparse()) || part > queue.tail_room() {
            break;
        }
        // A whole part comes off without a new descriptor; should it not, it stays linked.
        let Ok(Some(small)) = data.take_front(part) else {
            break;
        };
        queue.push_compact(small, part);
    }
    queue.append(data);
}

/// When the next acknowledgement is due.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum AckDue {
    /// Nothing to acknowledge.
    No,
    /// Held back for data to ride on, or for a second segment.
    Delayed,
    /// With the next output.
    Now,
}

/// How far the peer's end of stream has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum PeerFin {
    /// The peer may still send.
    Open,
    /// All data and the FIN are here; the application does not know yet.
    Arrived,
    /// The application was told.
    Told,
}

#[derive(Debug)]
pub(crate) struct Receiver {
    /// Next sequence number expected (RCV.NXT).
    pub(crate) nxt: SeqNum,
    /// The right edge of the window as last advertised; never goes back.
    pub(crate) edge: SeqNum,
    /// Window size when nothing is unread.
    pub(crate) limit: u32,
    /// In order, not yet taken by the application.
    pub(crate) queue: Chain,
    /// Taken by the application, but not yet `recved`.
    pub(crate) unread: u32,
    /// Our window is advertised divided by 2^shift (RFC 7323 §2.2).
    pub(crate) shift: u8,
    pub(crate) fin: PeerFin,
    pub(crate) ack: AckDue,
    /// Bytes received since the last acknowledgement.
    pub(crate) unacked_bytes: u32,
    /// The largest segment seen: what "full" means for this peer.
    pub(crate) largest: u32,
    /// Out-of-order data.
    pub(crate) runs: RunList,
    /// Data that arrived twice: the first SACK block of the next segment (RFC 2883).
    pub(crate) duplicate: Option<SackBlock>,
    /// The acknowledgement number last sent.
    pub(crate) last_ack_sent: SeqNum,
    /// RFC 7323 TS.Recent and when it was set.
    pub(crate) ts_recent: u32,
    pub(crate) ts_recent_at: Instant,
}

impl Receiver {
    #[expect(
        clippy::declare_interior_mutable_const,
        reason = "a value to start from, copied at each use"
    )]
    pub(crate) const UNUSED: Self = Self {
        nxt: SeqNum(0),
        edge: SeqNum(0),
        limit: 0,
        queue: Chain::new(),
        unread: 0,
        shift: 0,
        fin: PeerFin::Open,
        ack: AckDue::No,
        unacked_bytes: 0,
        largest: 1,
        runs: RunList::EMPTY,
        duplicate: None,
        last_ack_sent: SeqNum(0),
        ts_recent: 0,
        ts_recent_at: Instant::ZERO,
    };

    /// The peer's SYN with number `irs` arrived.
    pub(crate) fn synchronized(&mut self, irs: SeqNum) {
        self.nxt = irs + 1;
        self.last_ack_sent = irs + 1;
        self.edge = irs + 1 + self.limit.min(u32::from(u16::MAX));
    }

    /// RCV.WND: what the peer may send beyond `nxt`.
    pub(crate) fn window(&self) -> u32 {
        self.edge.since(self.nxt)
    }

    /// Appends data that is next in order to the queue; returns how many bytes it was.
    pub(crate) fn append(&mut self, data: &mut Chain) -> u32 {
        // Bounded by the window.
        let len = u32::try_from(data.len()).unwrap_or(u32::MAX);
        self.nxt += len;
        if self.queue.is_empty() {
            self.queue = core::mem::take(data);
        } else {
            join(&mut self.queue, data);
        }
        len
    }

    /// As [`Receiver::append`], for the data of one segment.
    #[inline]
    pub(crate) fn append_segment(&mut self, data: Pbuf, len: u32) {
        // What `join` would move at once.
        let plain = self.queue.is_empty()
            || data.first_len() > COMPACT_BELOW && self.queue.parts() <= FEW_PARTS;
        if plain {
            self.nxt += len;
            self.queue.push(data);
        } else {
            self.append_small(data);
        }
    }

    #[inline(never)]
    fn append_small(&mut self, data: Pbuf) {
        self.append(&mut Chain::from(data));
    }

    /// Bytes that could be stored if the application reads nothing more.
    fn space(&self) -> u32 {
        let held = u32::try_from(self.queue.len())
            .unwrap_or(u32::MAX)
            .saturating_add(self.unread);
        // What the window field cannot express is not offered.
        let largest = self.limit.min(u32::from(u16::MAX) << self.shift);
        largest.saturating_sub(held)
    }

    /// Chooses the window to advertise with segments of up to `mss` bytes, moves the edge, and
    /// returns the value for the header.
    pub(crate) fn advertise(&mut self, mss: u32) -> u16 {
        let (space, mut window) = (self.space(), self.window());
        if self.edge_moves(space, window, mss) {
            self.edge = self.nxt + space;
            window = space;
        }
        // RFC 7323 §2.3: rounded down; what the rounding hides is accepted all the same.
        u16::try_from(window >> self.shift).unwrap_or(u16::MAX)
    }

    /// RFC 9293 §3.8.6.2.2: the edge moves only by a substantial step, to avoid the silly window
    /// syndrome; and it never goes back (§3.8.6).
    fn edge_moves(&self, space: u32, window: u32, mss: u32) -> bool {
        let step = mss.min(self.limit / 2).max(1);
        space >= window.saturating_add(step) || (space > window && window >= step)
    }

    /// Whether telling the peer about the window is worth a segment of its own: it opens by a
    /// quarter of the whole or two segments, or from nothing (`TCP_WND_UPDATE_THRESHOLD`).
    pub(crate) fn update_is_due(&self, mss: u32) -> bool {
        let (space, window) = (self.space(), self.window());
        let gain = space.saturating_sub(window);
        // Most often it is not even that.
        gain >= (self.limit / 4).max(1).min(2 * mss.max(1))
            && self.edge_moves(space, window, mss)
            && (gain >= mss || window < mss || gain >= self.limit / 2)
    }

    /// `left..right` arrived for the second time.
    pub(crate) fn arrived_twice(&mut self, left: SeqNum, right: SeqNum) {
        // RFC 2883 §4 (2): each duplicate is reported once; of several the first.
        if left.before(right) && self.duplicate.is_none() {
            self.duplicate = Some(SackBlock { left, right });
        }
    }

    /// Asks for an acknowledgement no later than `due`.
    pub(crate) fn acknowledge(&mut self, due: AckDue) {
        if self.ack != AckDue::Now && due != AckDue::No {
            self.ack = due;
        }
    }

    /// A segment that carries `nxt` as its acknowledgement was sent.
    pub(crate) fn acknowledged(&mut self) {
        self.ack = AckDue::No;
        self.unacked_bytes = 0;
        self.duplicate = None;
        self.last_ack_sent = self.nxt;
    }
}

#[cfg(all(test, not(loom)))]
mod tests;
