//! A device for stacks without an RTOS, on any descriptor that carries Ethernet frames: it raises no
//! interrupt, its user waits in poll(2).
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::Arc;

use gannet_core::{Capabilities, Driver, Pbuf};

use super::frame_io::{FrameIo, Framing, Received};
use super::{DeviceCounters, Setup};

/// Frames dropped in one go while there is no buffer.
const MAX_DROPS: usize = 256;

/// Ethernet frames on a file descriptor, one per read and write.
pub struct Polled {
    frames: FrameIo,
}

impl Polled {
    /// On `fd`, which must not block: a TAP device of [`Tap::attach`](super::Tap::attach), an end
    /// of a SEQPACKET socket pair.
    ///
    /// # Errors
    ///
    /// `InvalidInput`: a frame needs more than 64 blocks of the pool.
    pub fn new(fd: OwnedFd, setup: Setup) -> io::Result<Self> {
        let frames = FrameIo::new(fd, setup, Framing::Plain)?;
        Ok(Self { frames })
    }

    /// On a TAP device of [`Tap::attach_offloading`](super::Tap::attach_offloading).
    ///
    /// # Errors
    ///
    /// `InvalidInput`: 64 KiB need more than 64 blocks of the pool.
    pub fn offloading(fd: OwnedFd, setup: Setup) -> io::Result<Self> {
        let frames = FrameIo::new(fd, setup, Framing::Vnet)?;
        Ok(Self { frames })
    }

    /// Its counters, to keep when the stack has taken over the device.
    pub fn counters(&self) -> Arc<DeviceCounters> {
        Arc::clone(&self.frames.counters)
    }
}

impl AsFd for Polled {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.frames.fd()
    }
}

impl Driver for Polled {
    fn capabilities(&self) -> Capabilities {
        self.frames.capabilities()
    }

    fn link_up(&mut self) -> bool {
        self.frames.is_open()
    }

    fn receive(&mut self) -> Option<Pbuf> {
        for _ in 0..MAX_DROPS {
            match self.frames.receive() {
                Received::Frame(frame) => return Some(frame),
                Received::Nothing => return None,
                Received::Dropped => {}
            }
        }
        None
    }

    fn can_transmit(&mut self) -> bool {
        self.frames.can_transmit()
    }

    fn transmit(&mut self, frame: Pbuf) -> Result<(), Pbuf> {
        self.frames.transmit(frame, None)
    }

    fn transmit_large(&mut self, frame: Pbuf, mss: u16) -> Result<(), Pbuf> {
        self.frames.transmit(frame, Some(mss))
    }
}
