//! All packet endpoints and the frames that wait for them.
use crate::error::Error;
use crate::handle::{Owner, PacketPcb};
use crate::ip::NetifId;
use crate::ip::stats::count;
use crate::pbuf::Pbuf;
use crate::queue::{Entry, Queue};
use crate::table::{Slot, Table};
use crate::wire::ethernet::EtherType;

use super::{Class, Filter, Frame, PacketStats};

/// Storage of one endpoint.
pub type PacketSlot = Slot<Pcb>;

/// Storage of one frame that waits for its endpoint.
#[derive(Debug, Default)]
pub struct FrameSlot(Option<Waiting>);

impl FrameSlot {
    /// An empty slot.
    pub const fn new() -> Self {
        Self(None)
    }
}

impl Entry for FrameSlot {
    type Item = Waiting;

    fn place(&mut self) -> &mut Option<Waiting> {
        &mut self.0
    }
}

/// The packet endpoints' share of a stack's storage; by default, nothing.
#[derive(Debug, Default)]
pub struct PacketStorage {
    /// One for each endpoint.
    pub pcbs: &'static mut [PacketSlot],
    /// Frames that were not delivered yet. They are delivered within the turn that saw them: 32
    /// for each endpoint are plenty.
    pub frames: &'static mut [FrameSlot],
}

/// One endpoint.
#[expect(unnameable_types, reason = "users name its slot")]
#[derive(Debug)]
pub struct Pcb {
    owner: Owner,
    pub(super) arg: usize,
    pub(super) filter: Filter,
    /// `None`: all interfaces.
    pub(super) netif: Option<NetifId>,
    /// Frames in the queue.
    queued: usize,
    /// Frames wanted and not got.
    pub(super) dropped: u32,
}

/// A frame and the endpoint it is for.
#[derive(Debug)]
pub(crate) struct Waiting {
    /// Number of the endpoint; its frames are removed before the number is given away again.
    endpoint: u16,
    frame: Frame,
}

/// What there is to know of a frame.
#[derive(Clone, Copy, Debug)]
pub(super) struct Seen {
    pub(super) netif: NetifId,
    pub(super) ethertype: EtherType,
    pub(super) class: Class,
}

/// The packet endpoints of one stack.
#[derive(Debug)]
pub(crate) struct Engine {
    pcbs: Table<Pcb>,
    queue: Queue<FrameSlot>,
    /// The most frames of one endpoint that may wait.
    share: usize,
    pub(super) stats: PacketStats,
}

impl Engine {
    pub(crate) fn new(storage: PacketStorage) -> Self {
        let queue = Queue::new(storage.frames);
        let capacity = queue.capacity();
        Self {
            pcbs: Table::new(storage.pcbs),
            queue,
            // One endpoint never takes the whole table: a quarter is left to the others.
            share: capacity - capacity / 4,
            stats: PacketStats::default(),
        }
    }

    pub(crate) fn stats(&self) -> &PacketStats {
        &self.stats
    }

    pub(crate) fn is_used(&self) -> bool {
        self.pcbs.iter().next().is_some()
    }

    pub(super) fn create(&mut self, filter: Filter, owner: Owner) -> Result<PacketPcb, Error> {
        let pcb = Pcb {
            owner,
            arg: 0,
            filter,
            netif: None,
            queued: 0,
            dropped: 0,
        };
        self.pcbs.insert(pcb).map(PacketPcb)
    }

    pub(super) fn close(&mut self, pcb: PacketPcb) -> Result<(), Error> {
        self.pcbs.remove(pcb.0)?;
        self.forget(pcb);
        Ok(())
    }

    /// Drops what waits for an endpoint.
    pub(super) fn forget(&mut self, pcb: PacketPcb) {
        self.queue.retain(|waiting| waiting.endpoint != pcb.0.slot);
        if let Ok(pcb) = self.pcb_mut(pcb) {
            pcb.queued = 0;
        }
    }

    pub(super) fn pcb(&self, pcb: PacketPcb) -> Result<&Pcb, Error> {
        self.pcbs.of(pcb.0)
    }

    pub(super) fn pcb_mut(&mut self, pcb: PacketPcb) -> Result<&mut Pcb, Error> {
        self.pcbs.of_mut(pcb.0)
    }

    /// Gives a view of a frame to each endpoint that wants it, but not to its `sender`.
    pub(super) fn offer(&mut self, seen: Seen, data: &Pbuf, sender: Option<PacketPcb>) {
        let sender = sender.map(|pcb| pcb.0.slot);
        let is_short = data.is_pool_short();
        for (endpoint, pcb) in self.pcbs.iter_mut() {
            if sender == Some(endpoint) || !pcb.wants(&seen) {
                continue;
            }
            let view = match is_short {
                true => None,
                false => data.slice(0, data.tot_len()).ok(),
            };
            let Some(data) = view else {
                count(&mut self.stats.no_buffers);
                count(&mut pcb.dropped);
                continue;
            };
            let frame = Frame {
                data,
                netif: seen.netif,
                ethertype: seen.ethertype,
                class: seen.class,
            };
            let waiting = Waiting { endpoint, frame };
            if pcb.queued < self.share && self.queue.push(waiting).is_ok() {
                pcb.queued += 1;
                count(&mut self.stats.frames_seen);
            } else {
                count(&mut self.stats.queue_full);
                count(&mut pcb.dropped);
            }
        }
    }

    /// The next frame to deliver, in order.
    pub(crate) fn next_frame(&mut self) -> Option<(Owner, PacketPcb, Frame)> {
        let waiting = self.queue.pop()?;
        // What waits for a closed endpoint was removed with it: this one exists.
        let (handle, pcb) = self.pcbs.at_mut(waiting.endpoint)?;
        pcb.queued = pcb.queued.saturating_sub(1);
        Some((pcb.owner, PacketPcb(handle), waiting.frame))
    }
}

impl Pcb {
    fn wants(&self, seen: &Seen) -> bool {
        let by_type = match self.filter {
            Filter::All => true,
            Filter::EtherType(wanted) => wanted == seen.ethertype && seen.class != Class::Outgoing,
        };
        by_type && self.netif.is_none_or(|netif| netif == seen.netif)
    }
}
