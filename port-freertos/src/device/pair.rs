//! A cable inside the host: a pair of sockets, one end the board's network interface, the other for
//! a thread of this program or for another program. Needs no privilege.
use core::sync::atomic::{AtomicBool, Ordering};
use core::time::Duration;
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd};
use std::sync::Arc;

use gannet_core::{Capabilities, Driver, Pbuf};

use super::fd_device::FdDevice;
use super::frame_io::{Framing, check};
use super::{DeviceCounters, Setup};
use crate::interrupt::{self, Line};

/// The board's end of a socket pair that carries Ethernet frames.
pub struct FramePair {
    device: FdDevice,
    waits: Arc<AtomicBool>,
}

impl FramePair {
    /// A new pair.
    ///
    /// # Errors
    ///
    /// Those of the system: no free file descriptor.
    pub fn new(setup: Setup) -> io::Result<(Self, HostEnd)> {
        let mut fds = [0; 2];
        let kind = libc::SOCK_SEQPACKET | libc::SOCK_CLOEXEC;
        // SAFETY: writes two descriptors.
        check(unsafe { libc::socketpair(libc::AF_UNIX, kind, 0, fds.as_mut_ptr()) })?;
        // SAFETY: both are open and owned by nobody.
        let [board, host] = fds.map(|fd| unsafe { OwnedFd::from_raw_fd(fd) });
        let board = Self::from_fd(board, setup)?;
        let host = HostEnd {
            fd: host,
            board_waits: Arc::clone(&board.waits),
        };
        Ok((board, host))
    }

    /// The board's end on a descriptor that carries one Ethernet frame per read and write, such as
    /// one end of an AF_UNIX socket pair of type SEQPACKET or DGRAM that another program made.
    ///
    /// # Errors
    ///
    /// Those of the system, if `fd` can't raise interrupts.
    pub fn from_fd(fd: OwnedFd, setup: Setup) -> io::Result<Self> {
        Ok(Self {
            device: FdDevice::new(fd, setup, Framing::Plain)?,
            waits: Arc::default(),
        })
    }

    /// Its counters, to keep when the stack has taken over the device.
    pub fn counters(&self) -> Arc<DeviceCounters> {
        Arc::clone(self.device.counters())
    }
}

impl Driver for FramePair {
    fn capabilities(&self) -> Capabilities {
        self.device.capabilities()
    }

    /// Until the peer closes its end.
    fn link_up(&mut self) -> bool {
        self.device.is_open()
    }

    fn receive(&mut self) -> Option<Pbuf> {
        self.device.receive()
    }

    /// Linux signals no room on a full socket pair, so [`HostEnd::recv`] does it; a peer in another
    /// program doesn't, and the stack finds out when it next tries.
    fn can_transmit(&mut self) -> bool {
        if self.device.can_transmit() {
            return true;
        }
        self.waits.store(true, Ordering::SeqCst);
        // Again, for room that came before the peer could see that it is waited for.
        self.device.can_transmit()
    }

    fn transmit(&mut self, frame: Pbuf) -> Result<(), Pbuf> {
        let result = self.device.transmit(frame, None);
        if result.is_err() {
            self.waits.store(true, Ordering::SeqCst);
        }
        result
    }
}

/// The other end, for a thread of the host program (or, as a descriptor, another program). Not for
/// tasks: it blocks.
pub struct HostEnd {
    fd: OwnedFd,
    board_waits: Arc<AtomicBool>,
}

impl HostEnd {
    /// Sends a frame to the board; waits for room.
    ///
    /// # Errors
    ///
    /// Those of the system: `BrokenPipe` if the board's end is closed. `InvalidInput` for a frame
    /// without bytes.
    pub fn send(&self, frame: &[u8]) -> io::Result<()> {
        if frame.is_empty() {
            return Err(io::ErrorKind::InvalidInput.into());
        }
        retry(|| {
            // SAFETY: reads the frame's bytes.
            let sent = unsafe {
                let (data, len) = (frame.as_ptr().cast(), frame.len());
                libc::send(self.fd.as_raw_fd(), data, len, libc::MSG_NOSIGNAL)
            };
            if sent < 0 {
                Err(io::Error::last_os_error())
            } else {
                Ok(())
            }
        })
    }

    /// The next frame from the board, at the front of `buffer` (cut if that is too short); its
    /// length. `None` after `timeout` (`None`: waits for ever, zero: asks).
    ///
    /// # Errors
    ///
    /// Those of the system; `UnexpectedEof` if the board's end is closed.
    pub fn recv(&self, buffer: &mut [u8], timeout: Option<Duration>) -> io::Result<Option<usize>> {
        let mut poll = libc::pollfd {
            fd: self.fd.as_raw_fd(),
            events: libc::POLLIN,
            revents: 0,
        };
        let millis = timeout.map_or(-1, |timeout| {
            i32::try_from(timeout.as_micros().div_ceil(1_000)).unwrap_or(i32::MAX)
        });
        // SAFETY: one `pollfd`.
        if retry(|| check(unsafe { libc::poll(&mut poll, 1, millis) }))? == 0 {
            return Ok(None);
        }
        let len = retry(|| {
            // SAFETY: writes at most the buffer's length.
            let len = unsafe {
                libc::recv(
                    self.fd.as_raw_fd(),
                    buffer.as_mut_ptr().cast(),
                    buffer.len(),
                    0,
                )
            };
            usize::try_from(len).map_err(|_| io::Error::last_os_error())
        })?;
        if len == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        if self.board_waits.swap(false, Ordering::SeqCst) {
            interrupt::raise(Line::DEVICE);
        }
        Ok(Some(len))
    }
}

impl AsFd for HostEnd {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

impl From<HostEnd> for OwnedFd {
    /// To hand to another program.
    fn from(end: HostEnd) -> Self {
        end.fd
    }
}

/// A signal that lands on the thread is no reason to give up.
fn retry<T>(mut call: impl FnMut() -> io::Result<T>) -> io::Result<T> {
    loop {
        match call() {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            result => return result,
        }
    }
}
