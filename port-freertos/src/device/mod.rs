//! Network devices.
//!
//! On boards: the Ethernet controller [`lan9118`]. It needs registers and a delay, and no FreeRTOS.
//!
//! On the simulator: a TAP device (`Tap`) with the Linux kernel as the peer, and one end of a socket
//! pair (`FramePair`) with this or another program as the peer. No privilege is needed for the
//! latter. Both read and write whole Ethernet frames on a file descriptor (`frame_io`), and the Linux
//! kernel signals their interrupts (`fd_device`, `interrupt::on_interrupt`). A stack without an RTOS
//! reads the same descriptors with `Polled`. A TAP device may have Linux compute checksums and cut
//! large segments (`vnet`).
#[cfg(unix)]
mod fd_device;
#[cfg(unix)]
mod frame_io;
pub mod lan9118;
#[cfg(unix)]
pub mod namespace;
#[cfg(unix)]
mod pair;
#[cfg(unix)]
mod polled;
#[cfg(unix)]
mod tap;
#[cfg(unix)]
mod vnet;

use core::sync::atomic::{AtomicU32, Ordering};

use gannet_core::{HwAddr, Pool};

#[cfg(unix)]
pub use self::pair::{FramePair, HostEnd};
#[cfg(unix)]
pub use self::polled::Polled;
#[cfg(unix)]
pub use self::tap::Tap;

/// What a device is told when it is made.
#[derive(Clone, Copy, Debug)]
pub struct Setup {
    /// Its hardware address: the board's, not the one of the Linux side.
    pub hw: HwAddr,
    /// Largest IP packet in bytes.
    pub mtu: u16,
    /// Where received frames go. A frame fills as many blocks as it needs; blocks of `mtu` + 14 bytes or more
    /// hold any but a large segment of a TAP device with offloads.
    pub pool: &'static Pool,
}

impl Setup {
    /// With an MTU of 1500 bytes.
    pub const fn new(hw: HwAddr, pool: &'static Pool) -> Self {
        Self {
            hw,
            mtu: 1500,
            pool,
        }
    }
}

/// What a device counts; all counters wrap.
#[derive(Debug, Default)]
pub struct DeviceCounters {
    pub(crate) rx_frames: AtomicU32,
    pub(crate) rx_no_buffer: AtomicU32,
    pub(crate) rx_too_long: AtomicU32,
    pub(crate) rx_errors: AtomicU32,
    pub(crate) rx_missed: AtomicU32,
    pub(crate) tx_frames: AtomicU32,
    pub(crate) tx_busy: AtomicU32,
    pub(crate) tx_errors: AtomicU32,
}

impl DeviceCounters {
    /// Frames received.
    pub fn rx_frames(&self) -> u32 {
        self.rx_frames.load(Ordering::Relaxed)
    }

    /// Frames dropped because the pool was empty.
    pub fn rx_no_buffer(&self) -> u32 {
        self.rx_no_buffer.load(Ordering::Relaxed)
    }

    /// Frames dropped because they were longer than the MTU allows.
    pub fn rx_too_long(&self) -> u32 {
        self.rx_too_long.load(Ordering::Relaxed)
    }

    /// Frames dropped because they arrived damaged.
    pub fn rx_errors(&self) -> u32 {
        self.rx_errors.load(Ordering::Relaxed)
    }

    /// Frames the device itself dropped because its memory was full.
    pub fn rx_missed(&self) -> u32 {
        self.rx_missed.load(Ordering::Relaxed)
    }

    /// Frames sent.
    pub fn tx_frames(&self) -> u32 {
        self.tx_frames.load(Ordering::Relaxed)
    }

    /// Frames given back because there was no room.
    pub fn tx_busy(&self) -> u32 {
        self.tx_busy.load(Ordering::Relaxed)
    }

    /// Frames that the device refused for another reason, and that are lost.
    pub fn tx_errors(&self) -> u32 {
        self.tx_errors.load(Ordering::Relaxed)
    }
}

/// Counts one more. Nobody else does: a device is its stack's, and others only look.
pub(crate) fn count(counter: &AtomicU32) {
    let count = counter.load(Ordering::Relaxed);
    counter.store(count.wrapping_add(1), Ordering::Relaxed);
}
