//! Ethernet frames on a file descriptor that gives and takes one frame per call, and raises
//! interrupts. What kind of descriptor it is, is the business of `tap` and `pair`.
//!
//! The interrupt: the descriptor has `O_ASYNC` and this process as its owner, so the Linux kernel
//! sends SIGIO to the process whenever a frame arrives, which the simulator's port takes as
//! interrupt line 0. There is nothing to mask: requests merge until the handler runs.
use std::boxed::Box;
use std::io;
use std::os::fd::{AsRawFd, OwnedFd, RawFd};
use std::sync::Arc;
use std::vec;

use gannet_core::{Capabilities, Checksums, Medium, Pbuf, Pool};

use super::{DeviceCounters, Setup, count};
use crate::interrupt::{self, Line};

/// Parts of a frame that are written without a copy.
const MAX_PARTS: usize = 16;
/// Frames dropped in one go while there is no buffer; then the tcpip thread does other things.
const MAX_DROPS: usize = 256;
/// Of the Ethernet II header.
const HEADER_LEN: usize = 14;

pub(super) struct FdDevice {
    fd: OwnedFd,
    setup: Setup,
    /// Of the largest frame, header included.
    frame_len: usize,
    /// Room for a frame and one byte, to see that one is too long.
    scratch: Box<[u8]>,
    link: Link,
    room: Room,
    pub(super) counters: Arc<DeviceCounters>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Link {
    Up,
    /// The peer has closed its end.
    Closed,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Room {
    Free,
    /// The last write found none.
    Full,
}

impl FdDevice {
    /// Takes over `fd` and has it raise interrupts.
    pub(super) fn new(fd: OwnedFd, setup: Setup) -> io::Result<Self> {
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
        let frame_len = usize::from(setup.mtu) + HEADER_LEN;
        Ok(Self {
            fd,
            setup,
            frame_len,
            scratch: vec![0; frame_len + 1].into_boxed_slice(),
            link: Link::Up,
            room: Room::Free,
            counters: Arc::default(),
        })
    }

    pub(super) fn capabilities(&self) -> Capabilities {
        Capabilities {
            medium: Medium::Ethernet(self.setup.hw),
            mtu: self.setup.mtu,
            tx_checksums: Checksums::NONE,
            rx_checksums: Checksums::NONE,
        }
    }

    pub(super) fn is_open(&self) -> bool {
        self.link == Link::Up
    }

    /// The next frame. Without a buffer frames are dropped, as a MAC does whose descriptors have
    /// run out: left in the descriptor, they would raise no further interrupt.
    pub(super) fn receive(&mut self) -> Option<Pbuf> {
        for _ in 0..MAX_DROPS {
            if let Received::Frame(frame) = self.receive_once() {
                return frame;
            }
        }
        interrupt::raise(Line::DEVICE); // come again
        None
    }

    fn receive_once(&mut self) -> Received {
        let pool = self.setup.pool;
        let room = self.scratch.len();
        let direct = Pbuf::alloc(pool, 0, room)
            .ok()
            .filter(|_| room <= pool.block_size());
        let (len, frame) = match direct {
            Some(mut frame) => match frame.data_mut().map(|data| read(self.fd.as_raw_fd(), data)) {
                Some(len) => (len, Some(frame)),
                None => return Received::Frame(None), // a fresh block is nobody else's
            },
            None => (read(self.fd.as_raw_fd(), &mut self.scratch), None),
        };
        let len = match len {
            Ok(0) => {
                self.link = Link::Closed;
                return Received::Frame(None);
            }
            Ok(len) => len,
            Err(_) => return Received::Frame(None),
        };
        if len > self.frame_len {
            count(&self.counters.rx_too_long);
            return Received::Dropped;
        }
        let frame = match frame {
            Some(mut frame) => {
                frame.truncate(len);
                Some(frame)
            }
            None => copy(pool, &self.scratch[..len]),
        };
        match frame {
            Some(frame) => {
                count(&self.counters.rx_frames);
                Received::Frame(Some(frame))
            }
            None => {
                count(&self.counters.rx_no_buffer);
                Received::Dropped
            }
        }
    }

    pub(super) fn can_transmit(&mut self) -> bool {
        if self.room == Room::Full && self.is_writable() {
            self.room = Room::Free;
        }
        self.room == Room::Free
    }

    /// Writes the frame's parts. Without room it is given back.
    pub(super) fn transmit(&mut self, frame: Pbuf) -> Result<(), Pbuf> {
        loop {
            let written = if frame.clen() <= MAX_PARTS {
                write_parts(self.fd.as_raw_fd(), &frame)
            } else {
                let len = frame.copy_to(0, &mut self.scratch);
                write(self.fd.as_raw_fd(), &self.scratch[..len])
            };
            let Err(error) = written else {
                count(&self.counters.tx_frames);
                return Ok(());
            };
            match error.raw_os_error() {
                Some(libc::EINTR) => {}
                Some(libc::EAGAIN | libc::ENOBUFS) => {
                    self.room = Room::Full;
                    count(&self.counters.tx_busy);
                    return Err(frame);
                }
                // The peer has gone, the interface is down, the frame is too short, ...: lost, as
                // on a cable.
                _ => {
                    count(&self.counters.tx_errors);
                    return Ok(());
                }
            }
        }
    }

    fn is_writable(&self) -> bool {
        let mut poll = libc::pollfd {
            fd: self.fd.as_raw_fd(),
            events: libc::POLLOUT,
            revents: 0,
        };
        // SAFETY: one `pollfd`; does not wait.
        unsafe { libc::poll(&mut poll, 1, 0) != 0 }
    }
}

enum Received {
    /// A frame, or there is none.
    Frame(Option<Pbuf>),
    Dropped,
}

/// Blocks smaller than a frame: a chain of them.
fn copy(pool: &'static Pool, data: &[u8]) -> Option<Pbuf> {
    let mut frame = Pbuf::alloc(pool, 0, data.len()).ok()?;
    frame.copy_from(data);
    Some(frame)
}

pub(super) fn check(result: i32) -> io::Result<i32> {
    if result < 0 {
        Err(io::Error::last_os_error())
    } else {
        Ok(result)
    }
}

fn check_len(result: isize) -> io::Result<usize> {
    usize::try_from(result).map_err(|_| io::Error::last_os_error())
}

fn read(fd: RawFd, buffer: &mut [u8]) -> io::Result<usize> {
    loop {
        // SAFETY: writes at most the buffer's length.
        let len = check_len(unsafe { libc::read(fd, buffer.as_mut_ptr().cast(), buffer.len()) });
        if !matches!(&len, Err(error) if error.kind() == io::ErrorKind::Interrupted) {
            return len;
        }
    }
}

fn write(fd: RawFd, frame: &[u8]) -> io::Result<usize> {
    // SAFETY: reads the frame's bytes. MSG_NOSIGNAL has no counterpart here: Rust ignores SIGPIPE.
    check_len(unsafe { libc::write(fd, frame.as_ptr().cast(), frame.len()) })
}

fn write_parts(fd: RawFd, frame: &Pbuf) -> io::Result<usize> {
    let mut parts = [libc::iovec {
        iov_base: core::ptr::null_mut(),
        iov_len: 0,
    }; MAX_PARTS];
    let mut used = 0;
    for (slot, part) in parts.iter_mut().zip(frame.parts()) {
        slot.iov_base = part.as_ptr().cast_mut().cast();
        slot.iov_len = part.len();
        used += 1;
    }
    // SAFETY: reads `used` slices that `frame` holds.
    check_len(unsafe { libc::writev(fd, parts.as_ptr(), used) })
}
