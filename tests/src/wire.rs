//! A network device made of two queues; what is on the other end decides what happens to frames.
use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard};

use gannet_core::netif::Link;
use gannet_core::{Capabilities, Checksums, Driver, HwAddr, Medium, Pbuf, Pool};

use crate::cutting::{cut, fill_in};

#[derive(Debug, Default)]
struct Queues {
    to_stack: VecDeque<Vec<u8>>,
    from_stack: VecDeque<Vec<u8>>,
    /// Frames the device takes before it is full; `None` for ever.
    room: Option<usize>,
    no_buffers: usize,
    unplugged: bool,
    /// Received frames are given to the stack in parts of this size.
    part: Option<usize>,
    /// What the stack last wanted to hear.
    groups: Vec<HwAddr>,
    /// Large segments that were cut.
    large: usize,
}

/// The outer end of a device: frames go in and come out.
#[derive(Clone, Debug, Default)]
pub struct Wire(Arc<Mutex<Queues>>);

impl Wire {
    fn queues(&self) -> MutexGuard<'_, Queues> {
        self.0
            .lock()
            .expect("no holder of this lock panics while it has it")
    }

    /// Puts a frame where the stack will find it.
    pub fn put(&self, frame: Vec<u8>) {
        self.queues().to_stack.push_back(frame);
    }

    /// The next frame the stack has sent.
    pub fn take(&self) -> Option<Vec<u8>> {
        self.queues().from_stack.pop_front()
    }

    /// Large segments the stack has sent.
    pub fn large(&self) -> usize {
        self.queues().large
    }

    /// Frames that wait to be received by the stack.
    pub fn waiting(&self) -> usize {
        self.queues().to_stack.len()
    }

    /// Lets the device take only so many frames before it says it is full.
    pub fn set_room(&self, room: Option<usize>) {
        self.queues().room = room;
    }

    /// Pulls the cable or puts it in.
    pub fn set_link(&self, link: Link) {
        self.queues().unplugged = link == Link::Down;
    }

    /// Lets the stack find frames in chains of parts of this size, as a device with small buffers
    /// delivers them.
    pub fn set_part(&self, size: Option<usize>) {
        self.queues().part = size;
    }

    /// The groups whose frames the stack last asked for.
    pub fn groups(&self) -> Vec<HwAddr> {
        self.queues().groups.clone()
    }

    /// For a device of another stack: the next frame that arrived.
    pub fn arrived(&self) -> Option<Vec<u8>> {
        self.queues().to_stack.pop_front()
    }

    /// For a device of another stack: whether the device takes a frame.
    pub fn has_room(&self) -> bool {
        self.queues().room != Some(0)
    }

    /// For a device of another stack: sends a frame, if there is room.
    pub fn send(&self, frame: Vec<u8>) {
        let mut queues = self.queues();
        if let Some(room) = &mut queues.room {
            match room.checked_sub(1) {
                Some(left) => *room = left,
                None => return,
            }
        }
        queues.from_stack.push_back(frame);
    }

    /// Frames dropped because no receive buffer was free.
    pub fn no_buffers(&self) -> usize {
        self.queues().no_buffers
    }
}

/// The stack's end of a [`Wire`].
#[derive(Debug)]
pub struct WireDriver {
    wire: Wire,
    capabilities: Capabilities,
    rx_pool: &'static Pool,
}

impl WireDriver {
    /// A device without link layer.
    pub fn ip(wire: Wire, rx_pool: &'static Pool) -> &'static mut Self {
        Self::leak(wire, rx_pool, Medium::Ip)
    }

    /// An Ethernet device.
    pub fn ethernet(wire: Wire, rx_pool: &'static Pool, addr: HwAddr) -> &'static mut Self {
        Self::leak(wire, rx_pool, Medium::Ethernet(addr))
    }

    fn leak(wire: Wire, rx_pool: &'static Pool, medium: Medium) -> &'static mut Self {
        let capabilities = Capabilities {
            medium,
            mtu: 1500,
            tx_checksums: Checksums::NONE,
            rx_checksums: Checksums::NONE,
            tso: 0,
        };
        Self::with(wire, rx_pool, capabilities)
    }

    /// A device that says it is so; it computes and verifies nothing.
    pub fn with(
        wire: Wire,
        rx_pool: &'static Pool,
        capabilities: Capabilities,
    ) -> &'static mut Self {
        Box::leak(Box::new(Self::new(wire, rx_pool, capabilities)))
    }

    /// As [`WireDriver::with`], to be put somewhere by the caller.
    pub fn new(wire: Wire, rx_pool: &'static Pool, capabilities: Capabilities) -> Self {
        Self {
            wire,
            capabilities,
            rx_pool,
        }
    }
}

impl Driver for WireDriver {
    fn capabilities(&self) -> Capabilities {
        self.capabilities
    }

    fn link_up(&mut self) -> bool {
        !self.wire.queues().unplugged
    }

    fn multicast(&mut self, groups: &mut dyn Iterator<Item = HwAddr>) {
        self.wire.queues().groups = groups.collect();
    }

    fn receive(&mut self) -> Option<Pbuf> {
        let mut queues = self.wire.queues();
        while let Some(frame) = queues.to_stack.pop_front() {
            let part = queues.part.unwrap_or(frame.len());
            if let Some(p) = in_parts(self.rx_pool, &frame, part) {
                return Some(p);
            }
            queues.no_buffers += 1;
        }
        None
    }

    fn can_transmit(&mut self) -> bool {
        self.wire.queues().room != Some(0)
    }

    fn transmit(&mut self, frame: Pbuf) -> Result<(), Pbuf> {
        let mut bytes = bytes(&frame);
        if self.capabilities.tx_checksums.tcp {
            fill_in(&mut bytes);
        }
        self.send(frame, vec![bytes])
    }

    fn transmit_large(&mut self, frame: Pbuf, mss: u16) -> Result<(), Pbuf> {
        let pieces = cut(&bytes(&frame), mss.into());
        self.wire.queues().large += 1;
        self.send(frame, pieces)
    }
}

impl WireDriver {
    /// Sends the frames made of `frame`, if there is room for all.
    fn send(&mut self, frame: Pbuf, frames: Vec<Vec<u8>>) -> Result<(), Pbuf> {
        let mut queues = self.wire.queues();
        if let Some(room) = &mut queues.room {
            match room.checked_sub(frames.len()) {
                Some(left) => *room = left,
                None => return Err(frame),
            }
        }
        queues.from_stack.extend(frames);
        Ok(())
    }
}

fn bytes(frame: &Pbuf) -> Vec<u8> {
    frame.parts().flatten().copied().collect()
}

fn in_parts(pool: &'static Pool, frame: &[u8], part: usize) -> Option<Pbuf> {
    let mut whole: Option<Pbuf> = None;
    for bytes in frame.chunks(part.max(1)) {
        let mut p = Pbuf::alloc(pool, 0, bytes.len()).ok()?;
        p.copy_from(bytes);
        match &mut whole {
            Some(whole) => whole.cat(p),
            None => whole = Some(p),
        }
    }
    whole.or_else(|| Pbuf::alloc(pool, 0, 0).ok())
}
