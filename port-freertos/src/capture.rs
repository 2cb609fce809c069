//! Frames to a pcap file, without stopping the tcpip thread for a moment: [`Captured`] wraps a
//! driver and copies frames into a ring (bbqueue), a task of the lowest priority writes the file.
//! What the ring has no room for is counted, not waited for.
use core::cell::Cell;
use core::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use core::time::Duration;
use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::Path;
use std::sync::{Arc, PoisonError};
use std::time::SystemTime;

use bbqueue::nicknames::{GogiGui, YakiNiku};
use bbqueue::prod_cons::framed::{FramedConsumer, FramedGrantW, FramedProducer};
use bbqueue::traits::storage::BoxedSlice;
use critical_section::Mutex;
use gannet_core::{Capabilities, Driver, HwAddr, Medium, Pbuf};
use pcap_file::pcap::{PcapHeader, PcapPacket, PcapWriter};
use pcap_file::{DataLink, PcapError};

use crate::{Event, OutOfMemory, Priority, clock, spawn};

/// Sizes of a capture.
#[derive(Clone, Copy, Debug)]
pub struct Options {
    /// Bytes kept of a frame; at most 65,000 are.
    pub snaplen: u16,
    /// Bytes of the ring between tcpip thread and file. What two whole frames take is the least,
    /// and is taken if this is less.
    pub ring: usize,
}

impl Default for Options {
    /// Whole frames of up to 1600 bytes, about 300 of them.
    fn default() -> Self {
        Self {
            snaplen: 1_600,
            ring: 512 * 1_024,
        }
    }
}

/// Captures what `driver` receives and transmits into the file `path`. Call it in a task.
///
/// # Errors
///
/// Those of making the file; `OutOfMemory` if FreeRTOS's heap is full.
pub fn capture<D: Driver>(
    driver: D,
    path: impl AsRef<Path>,
    options: Options,
) -> io::Result<(Captured<D>, Capture)> {
    let snaplen = options.snaplen.min(MAX_SNAPLEN);
    let header = PcapHeader {
        // Not the limit given: the crate's reader takes a frame that was longer for an error.
        snaplen: u16::MAX.into(),
        datalink: match driver.capabilities().medium {
            Medium::Ethernet(_) => DataLink::ETHERNET,
            Medium::Ip => DataLink::RAW,
        },
        ..PcapHeader::default()
    };
    let buffer = Buffer(Arc::new(std::sync::Mutex::new(BufWriter::new(
        File::create(path)?,
    ))));
    let writer = PcapWriter::with_header(buffer.clone(), header).map_err(to_io)?;
    // A frame lies in one piece: with less than twice its size, an empty ring could refuse it for
    // ever, because there is too little room on either side of where the ring stands.
    let least = 2 * (usize::from(snaplen) + RECORD_LEN + size_of::<u16>());
    let ring = GogiGui::new_with_storage(BoxedSlice::new(options.ring.max(least)));
    let shared = Arc::new(Shared {
        work: Event::new().map_err(no_memory)?,
        done: Event::new().map_err(no_memory)?,
        stop: AtomicBool::new(false),
        written: AtomicU32::new(0),
        skipped: AtomicU32::new(0),
        error: Mutex::new(Cell::new(None)),
    });
    let file = CaptureFile {
        frames: ring.framed_consumer(),
        writer,
        buffer,
        boot: boot_time(),
        shared: Arc::clone(&shared),
    };
    spawn("capture", Priority::BACKGROUND, 1_024, move || file.run()).map_err(no_memory)?;
    let captured = Captured {
        driver,
        frames: ring.framed_producer(),
        snaplen: snaplen.into(),
        shared: Arc::clone(&shared),
    };
    Ok((captured, Capture(shared)))
}

/// A driver whose frames are captured.
pub struct Captured<D> {
    driver: D,
    frames: FramedProducer<Ring>,
    snaplen: usize,
    shared: Arc<Shared>,
}

impl<D: Driver> Driver for Captured<D> {
    fn capabilities(&self) -> Capabilities {
        self.driver.capabilities()
    }

    fn link_up(&mut self) -> bool {
        self.driver.link_up()
    }

    fn multicast(&mut self, groups: &mut dyn Iterator<Item = HwAddr>) {
        self.driver.multicast(groups);
    }

    fn receive(&mut self) -> Option<Pbuf> {
        let frame = self.driver.receive()?;
        let record = self.record(&frame);
        self.keep(record);
        Some(frame)
    }

    fn can_transmit(&mut self) -> bool {
        self.driver.can_transmit()
    }

    /// Copied before the driver takes the frame, kept only if it does.
    fn transmit(&mut self, frame: Pbuf) -> Result<(), Pbuf> {
        let record = self.record(&frame);
        self.driver.transmit(frame)?;
        self.keep(record);
        Ok(())
    }

    fn transmit_large(&mut self, frame: Pbuf, mss: u16) -> Result<(), Pbuf> {
        let record = self.record(&frame);
        self.driver.transmit_large(frame, mss)?;
        self.keep(record);
        Ok(())
    }
}

impl<D> Captured<D> {
    /// A record of `frame` in the ring, if that has room; dropped, it was never there.
    fn record(&self, frame: &Pbuf) -> Option<Record> {
        let len = frame.tot_len();
        // Of a large segment the last bytes have no room in a record.
        let kept = len
            .min(self.snaplen)
            .min(usize::from(u16::MAX) - RECORD_LEN);
        let record_len = u16::try_from(RECORD_LEN + kept).ok()?;
        let mut bytes = self.frames.grant(record_len).ok()?;
        let (head, data) = bytes.split_at_mut(RECORD_LEN);
        let (time, frame_len) = head.split_at_mut(size_of::<u64>());
        time.copy_from_slice(&clock::now().as_micros().to_le_bytes());
        frame_len.copy_from_slice(&u32::try_from(len).unwrap_or(u32::MAX).to_le_bytes());
        frame.copy_to(0, &mut data[..kept]);
        Some(Record {
            bytes,
            len: record_len,
        })
    }

    fn keep(&self, record: Option<Record>) {
        match record {
            Some(record) => {
                record.bytes.commit(record.len);
                self.shared.work.signal();
            }
            None => {
                self.shared.skipped.fetch_add(1, Ordering::Relaxed);
            }
        }
    }
}

/// A capture that goes on: its counters, and its end.
pub struct Capture(Arc<Shared>);

impl Capture {
    /// Frames written to the file.
    pub fn written(&self) -> u32 {
        self.0.written.load(Ordering::Relaxed)
    }

    /// Frames that are missing in the file, because the ring was full.
    pub fn skipped(&self) -> u32 {
        self.0.skipped.load(Ordering::Relaxed)
    }

    /// Writes what is in the ring and closes the file; waits for the capture's task, and hence for
    /// a moment when nothing else runs. Frames that come later are not captured. Without it the file
    /// lacks the last frames. Returns how many frames it has.
    ///
    /// # Errors
    ///
    /// The first one of writing the file; from there on it has no more frames.
    pub fn finish(self) -> io::Result<u32> {
        self.0.stop.store(true, Ordering::Release);
        self.0.work.signal();
        self.0.done.wait(None);
        let error = critical_section::with(|cs| self.0.error.borrow(cs).take());
        error.map_or_else(|| Ok(self.written()), Err)
    }
}

type Ring = Arc<YakiNiku>;

/// In front of a frame in the ring: microseconds (u64) and the frame's whole length (u32).
const RECORD_LEN: usize = 12;
/// The ring's frames have a length of 16 bits.
const MAX_SNAPLEN: u16 = 65_000;

struct Record {
    bytes: FramedGrantW<Ring>,
    len: u16,
}

struct Shared {
    /// Frames are in the ring, or it is time to stop.
    work: Event,
    /// The file is closed.
    done: Event,
    stop: AtomicBool,
    written: AtomicU32,
    skipped: AtomicU32,
    error: Mutex<Cell<Option<io::Error>>>,
}

/// The task that writes the file.
struct CaptureFile {
    frames: FramedConsumer<Ring>,
    writer: PcapWriter<Buffer>,
    buffer: Buffer,
    /// When the clock was zero, since the Unix epoch.
    boot: Duration,
    shared: Arc<Shared>,
}

impl CaptureFile {
    fn run(mut self) {
        loop {
            // Asked first: what came before the request to stop is written.
            let last = self.shared.stop.load(Ordering::Acquire);
            if let Err(error) = self.drain() {
                critical_section::with(|cs| self.shared.error.borrow(cs).set(Some(error)));
                break;
            }
            if last {
                break;
            }
            self.shared.work.wait(None);
        }
        self.shared.done.signal();
    }

    fn drain(&mut self) -> io::Result<()> {
        while let Ok(record) = self.frames.read() {
            let (head, data) = record.split_at(RECORD_LEN);
            let (time, len) = head.split_at(size_of::<u64>());
            let time = u64::from_le_bytes(time.try_into().expect("split at 8"));
            let len = u32::from_le_bytes(len.try_into().expect("the rest of 12"));
            let timestamp = self.boot + Duration::from_micros(time);
            let written = self
                .writer
                .write_packet(&PcapPacket::new(timestamp, len, data));
            record.release();
            written.map_err(to_io)?;
            self.shared.written.fetch_add(1, Ordering::Relaxed);
        }
        self.buffer.flush()
    }
}

/// The file's buffer, shared with a `PcapWriter`, which has no way to flush what it writes to. Only
/// one task locks it.
#[derive(Clone)]
struct Buffer(Arc<std::sync::Mutex<BufWriter<File>>>);

impl Buffer {
    fn lock(&self) -> std::sync::MutexGuard<'_, BufWriter<File>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Write for Buffer {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.lock().write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.lock().flush()
    }
}

fn boot_time() -> Duration {
    let since_epoch = SystemTime::now()
        .duration_since(SystemTime::UNIX_EPOCH)
        .unwrap_or_default();
    since_epoch.saturating_sub(Duration::from_micros(clock::now().as_micros()))
}

fn to_io(error: PcapError) -> io::Error {
    match error {
        PcapError::IoError(error) => error,
        other => io::Error::other(other),
    }
}

fn no_memory(_: OutOfMemory) -> io::Error {
    io::ErrorKind::OutOfMemory.into()
}
