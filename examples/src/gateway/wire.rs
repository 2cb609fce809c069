//! The gateway's end of the link: a socket that carries one frame per message, as the driver of the
//! gateway's stack, with the faults of the path in between.
use core::mem;
use std::collections::VecDeque;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use gannet_core::{Capabilities, Checksums, Driver, HwAddr, Medium, Pbuf, Pool};
use rustix::io::Errno;

use crate::path::{Faults, Path};

/// The gateway's hardware address; locally administered.
const HW: HwAddr = HwAddr([2, 0, 0, 0, 0, 1]);
const MTU: u16 = 1500;
/// Ethernet header and the largest packet, and one more to see that a frame is too long.
const FRAME_ROOM: usize = 14 + MTU as usize + 1;
/// Frames read in one go, before those read are dealt with.
const BATCH: usize = 64;

/// The link, shared by the gateway's loop and its stack.
#[derive(Clone, Debug)]
pub(super) struct Wire(Arc<Mutex<Ends>>);

#[derive(Debug)]
struct Ends {
    fd: OwnedFd,
    pool: &'static Pool,
    /// Received, for the stack.
    inbox: VecDeque<Pbuf>,
    paths: Option<Paths>,
    room: Room,
}

#[derive(Debug)]
struct Paths {
    to_board: Path,
    from_board: Path,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Room {
    Free,
    /// The socket took no more.
    Full,
}

impl Wire {
    pub(super) fn new(fd: OwnedFd, faults: Faults, pool: &'static Pool) -> io::Result<Self> {
        rustix::io::ioctl_fionbio(&fd, true)?;
        let paths = (!faults.is_none()).then(|| Paths {
            to_board: Path::new(faults, 1),
            from_board: Path::new(faults, 2),
        });
        Ok(Self(Arc::new(Mutex::new(Ends {
            fd,
            pool,
            inbox: VecDeque::new(),
            paths,
            room: Room::Free,
        }))))
    }

    fn lock(&self) -> MutexGuard<'_, Ends> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The link, to wait for.
    pub(super) fn fd(&self) -> io::Result<OwnedFd> {
        self.lock().fd.as_fd().try_clone_to_owned()
    }

    /// Whether the stack waits for room.
    pub(super) fn waits_for_room(&self) -> bool {
        self.lock().room == Room::Full
    }

    /// There is room again.
    pub(super) fn has_room(&self) {
        self.lock().room = Room::Free;
    }

    /// When a frame of the path arrives.
    pub(super) fn next_arrival(&self) -> Option<Instant> {
        let ends = self.lock();
        let paths = ends.paths.as_ref()?;
        let arrivals = [
            paths.to_board.next_arrival(),
            paths.from_board.next_arrival(),
        ];
        arrivals.into_iter().flatten().min()
    }

    /// Takes frames that have arrived, and lets those leave whose time has come.
    pub(super) fn take(&self, now: Instant) -> io::Result<Vec<Vec<u8>>> {
        let mut ends = self.lock();
        let mut frames = Vec::new();
        let mut buffer = [0; FRAME_ROOM];
        while frames.len() < BATCH {
            let len = match rustix::io::read(&ends.fd, &mut buffer) {
                // The board has gone (with frames unread: reset), and the host notices.
                Ok(0) | Err(Errno::CONNRESET) => break,
                Ok(len) => len,
                Err(Errno::AGAIN) => break,
                Err(Errno::INTR) => continue,
                Err(error) => return Err(error.into()),
            };
            if let Some(frame) = buffer.get(..len).filter(|_| len < FRAME_ROOM) {
                frames.push(frame.to_vec());
            }
        }
        let Ends {
            fd,
            paths: Some(paths),
            ..
        } = &mut *ends
        else {
            return Ok(frames);
        };
        for frame in mem::take(&mut frames) {
            paths.from_board.push(now, &frame);
        }
        while let Some(frame) = paths.to_board.pop(now) {
            // A full link loses it: one more fault of the path.
            let _ = write(fd.as_fd(), &[io::IoSlice::new(&frame)]);
        }
        Ok(core::iter::from_fn(|| paths.from_board.pop(now)).collect())
    }

    /// Gives a frame to the stack; without a buffer it is lost.
    pub(super) fn deliver(&self, frame: &[u8]) {
        let mut ends = self.lock();
        if let Ok(mut pbuf) = Pbuf::alloc(ends.pool, 0, frame.len()) {
            pbuf.copy_from(frame);
            ends.inbox.push_back(pbuf);
        }
    }
}

impl Driver for Wire {
    fn capabilities(&self) -> Capabilities {
        Capabilities {
            medium: Medium::Ethernet(HW),
            mtu: MTU,
            tx_checksums: Checksums::NONE,
            rx_checksums: Checksums::NONE,
            tso: 0,
        }
    }

    fn receive(&mut self) -> Option<Pbuf> {
        self.lock().inbox.pop_front()
    }

    fn can_transmit(&mut self) -> bool {
        !self.waits_for_room()
    }

    fn transmit(&mut self, frame: Pbuf) -> Result<(), Pbuf> {
        let mut ends = self.lock();
        if let Some(paths) = &mut ends.paths {
            let mut bytes = vec![0; frame.tot_len()];
            frame.copy_to(0, &mut bytes);
            paths.to_board.push(Instant::now(), &bytes);
            return Ok(());
        }
        let parts: Vec<_> = frame.parts().map(io::IoSlice::new).collect();
        match write(ends.fd.as_fd(), &parts) {
            Err(Errno::AGAIN) => {
                ends.room = Room::Full;
                drop(parts);
                Err(frame)
            }
            // Others: the board has gone, and the host notices.
            _ => Ok(()),
        }
    }
}

/// Writes a frame.
fn write(fd: BorrowedFd<'_>, parts: &[io::IoSlice<'_>]) -> Result<(), Errno> {
    loop {
        match rustix::io::writev(fd, parts) {
            Err(Errno::INTR) => {}
            Err(error) => return Err(error),
            Ok(_) => return Ok(()),
        }
    }
}
