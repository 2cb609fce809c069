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
/// Batches that are taken to be of one frame, as one was that has been looked at to its end.
const TAKEN_TO_BE_LONE: u8 = 7;

/// Ethernet frames on a file descriptor, one per read and write.
///
/// Its user waits in poll(2), or a relative of it that reports what there is (level-triggered),
/// before each turn that is to take frames. So a frame that comes while few do need not be followed
/// by a read that finds nothing: should there be another, poll(2) returns at once.
pub struct Polled {
    frames: FrameIo,
    /// Frames of this batch: given since it was last said that there are no more.
    batch: usize,
    /// So many batches yet are taken to be of one frame.
    lone: u8,
}

impl Polled {
    /// On `fd`, which must not block: a TAP device of [`Tap::attach`](super::Tap::attach), an end
    /// of a SEQPACKET socket pair.
    ///
    /// # Errors
    ///
    /// `InvalidInput`: a frame needs more than 64 blocks of the pool.
    pub fn new(fd: OwnedFd, setup: Setup) -> io::Result<Self> {
        Self::with(fd, setup, Framing::Plain)
    }

    /// On a TAP device of [`Tap::attach_offloading`](super::Tap::attach_offloading).
    ///
    /// # Errors
    ///
    /// `InvalidInput`: 64 KiB need more than 64 blocks of the pool.
    pub fn offloading(fd: OwnedFd, setup: Setup) -> io::Result<Self> {
        Self::with(fd, setup, Framing::Vnet)
    }

    fn with(fd: OwnedFd, setup: Setup, framing: Framing) -> io::Result<Self> {
        Ok(Self {
            frames: FrameIo::new(fd, setup, framing)?,
            batch: 0,
            lone: 0,
        })
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
        if self.batch == 1 && self.lone > 0 {
            self.lone -= 1;
            self.batch = 0;
            return None;
        }
        for _ in 0..MAX_DROPS {
            match self.frames.receive() {
                Received::Frame(frame) => {
                    self.batch += 1;
                    return Some(frame);
                }
                Received::Nothing => {
                    if self.batch == 1 {
                        self.lone = TAKEN_TO_BE_LONE;
                    }
                    self.batch = 0;
                    return None;
                }
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

#[cfg(test)]
mod tests;
