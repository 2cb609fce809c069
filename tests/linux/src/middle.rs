//! The middle of the path: a thread that carries frames between descriptors on the left and on the
//! right, through one pipe for each direction. All stations of a side share the pipe.
use std::collections::HashMap;
use std::fs::File;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant, SystemTime};

use pcap_file::pcap::{PcapPacket, PcapWriter};
use rustix::event::{EventfdFlags, PollFd, PollFlags, Timespec, eventfd, poll};
use rustix::io::Errno;

use crate::pipe::{Fate, Faults, Pipe};
use crate::too_big;

/// Ethernet header and the largest packet, and room to see that a frame is too long.
const FRAME_ROOM: usize = 2_048;
/// Frames read from one descriptor before others have their turn.
const BATCH: usize = 64;

/// Where a station is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    /// At the left end.
    Left,
    /// At the right end.
    Right,
}

/// A station's end of the path: a TAP device or a socket, one frame per read and write.
#[derive(Debug)]
pub struct Port {
    /// Where it is.
    pub side: Side,
    /// Where its frames come from and go to.
    pub fd: OwnedFd,
}

/// What became of the frames of one direction.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    /// Sent on their way.
    pub sent: u64,
    /// Of these: given a congestion mark.
    pub marked: u64,
    /// Lost at random.
    pub lost: u64,
    /// Dropped by the queue.
    pub overflowed: u64,
    /// Too big.
    pub too_big: u64,
}

/// A path that works as long as this value lives.
#[derive(Debug)]
pub struct Middle {
    shared: Arc<Mutex<Shared>>,
    stop: OwnedFd,
    thread: Option<JoinHandle<()>>,
}

/// A direction, by where its frames come from.
#[derive(Debug)]
struct Direction {
    pipe: Pipe,
    counters: Counters,
}

#[derive(Debug)]
struct Shared {
    /// From the left, from the right.
    directions: [Direction; 2],
}

type Capture = Arc<Mutex<PcapWriter<File>>>;

impl Middle {
    /// Joins `ports` by pipes with the faults `rightward` and `leftward`.
    ///
    /// # Errors
    /// Those of the system.
    pub fn start(
        ports: Vec<Port>,
        rightward: Faults,
        leftward: Faults,
        seed: u64,
        capture: Option<&Path>,
    ) -> io::Result<Self> {
        for port in &ports {
            rustix::io::ioctl_fionbio(&port.fd, true)?;
        }
        let capture = match capture {
            Some(path) => {
                let writer = PcapWriter::new(File::create(path)?).map_err(io::Error::other)?;
                Some(Arc::new(Mutex::new(writer)))
            }
            None => None,
        };
        let direction = |faults, seed| Direction {
            pipe: Pipe::new(faults, seed),
            counters: Counters::default(),
        };
        let shared = Arc::new(Mutex::new(Shared {
            directions: [
                direction(rightward, seed),
                direction(leftward, seed ^ 0x5bd1_e995_0000_0000),
            ],
        }));
        let stop = eventfd(0, EventfdFlags::CLOEXEC)?;
        let mut relay = Relay {
            ports,
            shared: Arc::clone(&shared),
            stop: stop.try_clone()?,
            homes: HashMap::new(),
            capture,
        };
        let thread = std::thread::Builder::new()
            .name("middle".into())
            .spawn(move || {
                // Delays are kept to the microsecond where the machine permits. It is no fault if
                // the slack cannot be changed.
                let _ = rustix::thread::set_current_timer_slack(core::num::NonZero::new(1));
                if let Err(error) = relay.run() {
                    eprintln!("the path has ended: {error}");
                }
            })?;
        Ok(Self {
            shared,
            stop,
            thread: Some(thread),
        })
    }

    /// Changes the faults of the frames from `side`.
    pub fn set_faults(&self, side: Side, faults: Faults) {
        lock(&self.shared).of(side).pipe.faults = faults;
    }

    /// What became of the frames from `side`.
    pub fn counters(&self, side: Side) -> Counters {
        lock(&self.shared).of(side).counters
    }
}

impl Drop for Middle {
    fn drop(&mut self) {
        // An eventfd takes eight bytes; there is nothing to do about it if it does not.
        let _ = rustix::io::write(&self.stop, &1_u64.to_ne_bytes());
        if let Some(thread) = self.thread.take() {
            // It has reported a panic itself.
            let _ = thread.join();
        }
    }
}

impl Shared {
    fn of(&mut self, side: Side) -> &mut Direction {
        let [rightward, leftward] = &mut self.directions;
        match side {
            Side::Left => rightward,
            Side::Right => leftward,
        }
    }
}

impl Side {
    fn other(self) -> Self {
        match self {
            Self::Left => Self::Right,
            Self::Right => Self::Left,
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// What the thread works with.
struct Relay {
    ports: Vec<Port>,
    shared: Arc<Mutex<Shared>>,
    stop: OwnedFd,
    /// Which hardware address is behind which port.
    homes: HashMap<[u8; 6], usize>,
    capture: Option<Capture>,
}

impl Relay {
    fn run(&mut self) -> io::Result<()> {
        loop {
            let shared = Arc::clone(&self.shared);
            let next = {
                let mut shared = lock(&shared);
                for port in 0..self.ports.len() {
                    self.take(&mut shared, port)?;
                }
                for side in [Side::Left, Side::Right] {
                    let pipe = &mut shared.of(side).pipe;
                    while let Some(frame) = pipe.pop(Instant::now()) {
                        self.deliver(side.other(), &frame);
                    }
                }
                let arrivals = shared.directions.iter().map(|d| d.pipe.next_arrival());
                arrivals.flatten().min()
            };
            let timeout = next.map(|due| timespec(due.saturating_duration_since(Instant::now())));
            let ports = self.ports.iter().map(|port| port.fd.as_fd());
            let mut fds: Vec<_> = ports
                .chain([self.stop.as_fd()])
                .map(|fd| PollFd::from_borrowed_fd(fd, PollFlags::IN))
                .collect();
            match poll(&mut fds, timeout.as_ref()) {
                Ok(_) | Err(Errno::INTR) => {}
                Err(error) => return Err(error.into()),
            }
            if fds.last().is_some_and(|stop| !stop.revents().is_empty()) {
                return Ok(());
            }
        }
    }

    /// Takes what the station at `port` has sent.
    fn take(&mut self, shared: &mut Shared, port: usize) -> io::Result<()> {
        let mut buffer = [0; FRAME_ROOM];
        for _ in 0..BATCH {
            let Some(Port { fd, side }) = self.ports.get(port) else {
                return Ok(());
            };
            let side = *side;
            let frame = match rustix::io::read(fd, &mut buffer) {
                Ok(0) | Err(Errno::AGAIN) => return Ok(()),
                Ok(len) => buffer.get(..len).unwrap_or(&[]),
                Err(Errno::INTR) => continue,
                Err(error) => return Err(error.into()),
            };
            self.record(frame);
            if let Some(Ok(source)) = frame.get(6..12).map(<[u8; 6]>::try_from) {
                self.homes.insert(source, port);
            }
            // Address resolution is no part of the path; a lost question would cost a second.
            if frame.get(12..14) == Some(&[8, 6]) {
                self.deliver(side.other(), frame);
                continue;
            }
            let Direction { pipe, counters } = shared.of(side);
            if let Ok(answer) = too_big::answer(frame, pipe.faults.mtu) {
                counters.too_big += 1;
                if let Some(answer) = answer {
                    self.deliver(side, &answer);
                }
                continue;
            }
            match pipe.push(Instant::now(), frame.to_vec()) {
                Fate::Sent => counters.sent += 1,
                Fate::Marked => {
                    (counters.sent, counters.marked) = (counters.sent + 1, counters.marked + 1)
                }
                Fate::Lost => counters.lost += 1,
                Fate::Overflowed => counters.overflowed += 1,
            }
        }
        Ok(())
    }

    /// Gives a frame to the station it is for, or to all on that side.
    fn deliver(&self, side: Side, frame: &[u8]) {
        self.record(frame);
        let home = frame
            .get(..6)
            .and_then(|to| <[u8; 6]>::try_from(to).ok())
            .and_then(|to| self.homes.get(&to));
        for (n, port) in self.ports.iter().enumerate() {
            if port.side == side && home.is_none_or(|home| *home == n) {
                // A full queue loses it, as does a station that has gone.
                let _ = rustix::io::write(&port.fd, frame);
            }
        }
    }

    /// Writes the frame to the capture; each is there as it enters the path and as it leaves.
    fn record(&self, frame: &[u8]) {
        let Some(capture) = &self.capture else { return };
        let time = SystemTime::now()
            .duration_since(SystemTime::UNIX_EPOCH)
            .unwrap_or_default();
        let len = u32::try_from(frame.len()).unwrap_or(u32::MAX);
        // A full disk ends no measurement.
        let _ = lock(capture).write_packet(&PcapPacket::new(time, len, frame));
    }
}

/// `duration` for poll(2).
pub(crate) fn timespec(duration: Duration) -> Timespec {
    Timespec {
        tv_sec: duration.as_secs().try_into().unwrap_or(i64::MAX),
        tv_nsec: duration.subsec_nanos().into(),
    }
}
