//! Ethernet frames on a file descriptor that gives and takes one frame per call. How one learns that
//! a frame has arrived is left to others: `fd_device` is told by a signal, the users of `polled`
//! wait in poll(2).
use std::boxed::Box;
use std::io::{self, IoSlice, IoSliceMut};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::Arc;
use std::vec;
use std::vec::Vec;

use gannet_core::{Capabilities, Chain, Checksums, Medium, Pbuf};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::{Errno, retry_on_intr};

use super::vnet;
use super::{DeviceCounters, Setup, count};

/// Parts of a frame that are written without a copy, and blocks that are read into.
const MAX_PARTS: usize = 64;
/// Most frames have fewer; it is not worth making a list for more.
const FEW_PARTS: usize = 5;
/// A frame of several parts that is not longer is copied into one: for the kernel a list of parts
/// is more work than that.
const SHORT: usize = 2048;
/// Of the Ethernet II header.
const HEADER_LEN: usize = 14;
/// Largest IP packet there is.
const MAX_PACKET: u16 = u16::MAX;

/// What is in front of each frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Framing {
    /// Nothing.
    Plain,
    /// `struct virtio_net_hdr`: the other side does checksums, and takes and gives large segments.
    Vnet,
}

/// What a call of [`FrameIo::receive`] has found.
pub(super) enum Received {
    Frame(Pbuf),
    /// A frame that was lost, and counted.
    Dropped,
    Nothing,
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

pub(super) struct FrameIo {
    fd: OwnedFd,
    setup: Setup,
    framing: Framing,
    /// Of the largest frame received, link header included.
    frame_len: usize,
    /// Blocks to be read into; filled up before a read, given back when nothing comes.
    landing: Vec<Pbuf>,
    /// Blocks that the next frame is expected to need: after a large segment those of a large one.
    expected: usize,
    /// Room for a frame, what is in front of it and one byte: for what the blocks do not hold, and
    /// for what is written in one part.
    scratch: Box<[u8]>,
    link: Link,
    room: Room,
    pub(super) counters: Arc<DeviceCounters>,
}

impl FrameIo {
    /// On `fd`, which does not block. All memory is taken now: a task of the simulator must not be
    /// interrupted within the host's allocator.
    ///
    /// # Errors
    ///
    /// `InvalidInput`: the largest frame does not fit into 64 blocks of the pool.
    pub(super) fn new(fd: OwnedFd, setup: Setup, framing: Framing) -> io::Result<Self> {
        let largest = match framing {
            Framing::Plain => setup.mtu,
            Framing::Vnet => MAX_PACKET,
        };
        let frame_len = usize::from(largest) + HEADER_LEN;
        let scratch_len = (frame_len + 1 + vnet::LEN).max(vnet::MAX_FRONT);
        let blocks = frame_len.div_ceil(setup.pool.block_size());
        if blocks > MAX_PARTS {
            return Err(io::Error::new(
                io::ErrorKind::InvalidInput,
                "the largest frame needs more than 64 blocks of the pool",
            ));
        }
        Ok(Self {
            fd,
            setup,
            framing,
            frame_len,
            landing: Vec::with_capacity(blocks),
            expected: 1,
            scratch: vec![0; scratch_len].into_boxed_slice(),
            link: Link::Up,
            room: Room::Free,
            counters: Arc::default(),
        })
    }

    pub(super) fn fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }

    pub(super) fn capabilities(&self) -> Capabilities {
        let (sent, verified, tso) = match self.framing {
            Framing::Plain => (Checksums::NONE, Checksums::NONE, 0),
            Framing::Vnet => {
                let tcp = Checksums {
                    tcp: true,
                    ..Checksums::NONE
                };
                (tcp, Checksums { udp: true, ..tcp }, MAX_PACKET)
            }
        };
        Capabilities {
            medium: Medium::Ethernet(self.setup.hw),
            mtu: self.setup.mtu,
            tx_checksums: sent,
            rx_checksums: verified,
            tso,
        }
    }

    pub(super) fn is_open(&self) -> bool {
        self.link == Link::Up
    }

    /// The next frame. Without a buffer it is dropped, as a MAC does whose descriptors have run
    /// out: left in the descriptor, it would raise no further interrupt.
    pub(super) fn receive(&mut self) -> Received {
        let pool = self.setup.pool;
        let block = pool.block_size();
        while self.landing.len() < self.expected {
            match Pbuf::alloc(pool, 0, block) {
                Ok(fresh) => self.landing.push(fresh),
                Err(_) => break,
            }
        }
        let room = self.landing.len() * block;
        let mut header = [0; vnet::LEN];
        let Some(len) = self.read(&mut header) else {
            self.landing.clear();
            return Received::Nothing;
        };
        self.expected = match len > self.expected * block {
            true => self.landing.capacity(),
            false => len.div_ceil(block).max(1),
        };
        if len > self.frame_len {
            count(&self.counters.rx_too_long);
            return Received::Dropped;
        }
        let Some(frame) = self.landed(len, room) else {
            return Received::Dropped;
        };
        if self.framing == Framing::Vnet
            && !vnet::is_vouched_for(&header)
            && !vnet::checksum_is_right(&frame)
        {
            count(&self.counters.rx_errors);
            return Received::Dropped;
        }
        count(&self.counters.rx_frames);
        Received::Frame(frame)
    }

    /// The frame of `len` bytes that was read: the first `room` of them into the blocks, others into
    /// the scratch buffer.
    fn landed(&mut self, len: usize, room: usize) -> Option<Pbuf> {
        let block = self.setup.pool.block_size();
        // The way of most frames: it is in the only block.
        if self.landing.len() == 1 && (1..=block).contains(&len) {
            let mut frame = self.landing.pop()?;
            frame.truncate(len);
            return Some(frame);
        }
        let mut chain = Chain::new();
        let mut left = len.min(room);
        for mut part in self.landing.drain(..left.div_ceil(block)) {
            part.truncate(left.min(block));
            left -= part.tot_len();
            chain.push(part);
        }
        if let Some(unexpected) = len.checked_sub(room).filter(|&rest| rest > 0) {
            let Ok(mut rest) = Pbuf::alloc(self.setup.pool, 0, unexpected) else {
                count(&self.counters.rx_no_buffer);
                return None;
            };
            rest.copy_from(&self.scratch[..unexpected]);
            chain.push(rest);
        }
        // `None`: a frame without bytes.
        chain.take_all()
    }

    /// Reads a frame into the landing blocks and what does not fit into the scratch buffer: its
    /// length, or `None` if there is none.
    fn read(&mut self, header: &mut [u8; vnet::LEN]) -> Option<usize> {
        let (read, before) = match self.framing {
            Framing::Plain => (
                self.read_block().unwrap_or_else(|| self.read_parts(None)),
                0,
            ),
            Framing::Vnet => (self.read_parts(Some(header)), vnet::LEN),
        };
        match read {
            Ok(0) => {
                self.link = Link::Closed;
                None
            }
            Ok(len) => len.checked_sub(before),
            Err(_) => None,
        }
    }

    /// Reads into the one block there is, if it also has room to see that a frame is too long: the
    /// way of most frames.
    fn read_block(&mut self) -> Option<Result<usize, Errno>> {
        let [block] = &mut self.landing[..] else {
            return None;
        };
        let room = block
            .data_mut()
            .filter(|room| room.len() > self.frame_len)?;
        Some(retry_on_intr(|| rustix::io::read(&self.fd, &mut *room)))
    }

    fn read_parts(&mut self, header: Option<&mut [u8; vnet::LEN]>) -> Result<usize, Errno> {
        match self.landing.len() + 1 < FEW_PARTS {
            true => self.read_so_many::<FEW_PARTS>(header),
            false => self.read_so_many::<{ MAX_PARTS + 2 }>(header),
        }
    }

    fn read_so_many<const PARTS: usize>(
        &mut self,
        header: Option<&mut [u8; vnet::LEN]>,
    ) -> Result<usize, Errno> {
        let mut parts: [_; PARTS] = core::array::from_fn(|_| IoSliceMut::new(&mut []));
        let mut used = 0;
        // Fresh blocks are nobody else's.
        let blocks = self.landing.iter_mut().filter_map(Pbuf::data_mut);
        let header = header.map(|header| &mut header[..]);
        let all = header
            .into_iter()
            .chain(blocks)
            .chain([&mut self.scratch[..]]);
        for (slot, part) in parts.iter_mut().zip(all) {
            *slot = IoSliceMut::new(part);
            used += 1;
        }
        retry_on_intr(|| rustix::io::readv(&self.fd, &mut parts[..used]))
    }

    pub(super) fn can_transmit(&mut self) -> bool {
        if self.room == Room::Full && self.is_writable() {
            self.room = Room::Free;
        }
        self.room == Room::Free
    }

    /// Writes the frame's parts; with `mss`, for the other side to cut. Without room it is given
    /// back.
    pub(super) fn transmit(&mut self, frame: Pbuf, mss: Option<u16>) -> Result<(), Pbuf> {
        loop {
            match self.write(&frame, mss) {
                Ok(_) => {
                    count(&self.counters.tx_frames);
                    return Ok(());
                }
                Err(Errno::INTR) => {}
                Err(Errno::AGAIN | Errno::NOBUFS) => {
                    self.room = Room::Full;
                    count(&self.counters.tx_busy);
                    return Err(frame);
                }
                // The peer has gone, the interface is down, the frame is too short, ...: lost, as
                // on a cable.
                Err(_) => {
                    count(&self.counters.tx_errors);
                    return Ok(());
                }
            }
        }
    }

    // MSG_NOSIGNAL has no counterpart here: Rust ignores SIGPIPE.
    fn write(&mut self, frame: &Pbuf, mss: Option<u16>) -> Result<usize, Errno> {
        let (front, replaced) = match self.framing {
            Framing::Plain if frame.clen() == 1 => {
                return rustix::io::write(&self.fd, frame.data());
            }
            Framing::Plain => (0, 0),
            Framing::Vnet => {
                // The scratch buffer is not smaller.
                let front = self.scratch.first_chunk_mut().expect("room for headers");
                let replaced = vnet::write_front(frame, mss, front);
                (vnet::LEN + replaced, replaced)
            }
        };
        if frame.tot_len() <= SHORT || frame.clen() > MAX_PARTS {
            let rest = frame.copy_to(replaced, &mut self.scratch[front..]);
            return rustix::io::write(&self.fd, &self.scratch[..front + rest]);
        }
        let front = &self.scratch[..front];
        match frame.clen() < FEW_PARTS {
            true => self.write_parts::<FEW_PARTS>(front, replaced, frame),
            false => self.write_parts::<{ MAX_PARTS + 1 }>(front, replaced, frame),
        }
    }

    /// Writes the parts of a frame, with `front` in place of its first bytes: so many of its first
    /// part.
    fn write_parts<const PARTS: usize>(
        &self,
        front: &[u8],
        replaced: usize,
        frame: &Pbuf,
    ) -> Result<usize, Errno> {
        let mut parts = [IoSlice::new(&[]); PARTS];
        let mut used = 0;
        let mut frame = frame.parts();
        let first = frame.next().and_then(|first| first.get(replaced..));
        let all = [Some(front), first].into_iter().flatten().chain(frame);
        for (slot, part) in parts.iter_mut().zip(all.filter(|part| !part.is_empty())) {
            *slot = IoSlice::new(part);
            used += 1;
        }
        rustix::io::writev(&self.fd, &parts[..used])
    }

    fn is_writable(&self) -> bool {
        let mut fds = [PollFd::from_borrowed_fd(self.fd.as_fd(), PollFlags::OUT)];
        // Does not wait. What else may be is found out by the next write.
        !matches!(poll(&mut fds, Some(&Timespec::default())), Ok(0))
    }
}

pub(super) fn check(result: i32) -> io::Result<i32> {
    if result < 0 {
        Err(io::Error::last_os_error())
    } else {
        Ok(result)
    }
}
