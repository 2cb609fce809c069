//! [`FrameIo`] that raises interrupts. What kind of descriptor it is on, is the business of `tap`
//! and `pair`.
//!
//! The interrupt: the descriptor has `O_ASYNC` and this process as its owner, so the Linux kernel
//! sends SIGIO to the process whenever a frame arrives, which the simulator's port takes as
//! interrupt line 0. There is nothing to mask: requests merge until the handler runs.
use std::io;
use std::os::fd::{AsRawFd, OwnedFd};
use std::sync::Arc;

use gannet_core::{Capabilities, Pbuf};

use super::frame_io::{FrameIo, Framing, Received, check};
use super::{DeviceCounters, Setup};
use crate::interrupt::{self, Line};

/// Frames dropped in one go while there is no buffer; then the tcpip thread does other things.
const MAX_DROPS: usize = 256;

pub(super) struct FdDevice {
    frames: FrameIo,
}

impl FdDevice {
    /// Takes over `fd` and has it raise interrupts.
    pub(super) fn new(fd: OwnedFd, setup: Setup, framing: Framing) -> io::Result<Self> {
        interrupt::connect(Line::DEVICE); // or the signal would end the process
        // SAFETY: system calls without pointers.
        unsafe {
            let fd = fd.as_raw_fd();
            check(libc::fcntl(fd, libc::F_SETOWN, libc::getpid()))?;
            let flags = check(libc::fcntl(fd, libc::F_GETFL))?;
            check(libc::fcntl(
                fd,
                libc::F_SETFL,
                flags | libc::O_ASYNC | libc::O_NONBLOCK,
            ))?;
        }
        Ok(Self {
            frames: FrameIo::new(fd, setup, framing)?,
        })
    }

    pub(super) fn counters(&self) -> &Arc<DeviceCounters> {
        &self.frames.counters
    }

    pub(super) fn capabilities(&self) -> Capabilities {
        self.frames.capabilities()
    }

    pub(super) fn is_open(&self) -> bool {
        self.frames.is_open()
    }

    /// The next frame.
    pub(super) fn receive(&mut self) -> Option<Pbuf> {
        for _ in 0..MAX_DROPS {
            match self.frames.receive() {
                Received::Frame(frame) => return Some(frame),
                Received::Nothing => return None,
                Received::Dropped => {}
            }
        }
        interrupt::raise(Line::DEVICE); // come again
        None
    }

    pub(super) fn can_transmit(&mut self) -> bool {
        self.frames.can_transmit()
    }

    pub(super) fn transmit(&mut self, frame: Pbuf, mss: Option<u16>) -> Result<(), Pbuf> {
        self.frames.transmit(frame, mss)
    }
}
