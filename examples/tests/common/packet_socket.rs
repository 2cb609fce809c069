//! An attacker's network card: frames onto an interface as fast as the kernel takes them, and what
//! comes back. Needs CAP_NET_RAW.
use std::fs::File;
use std::io::IoSlice;
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::fs::FileExt;
use std::thread;
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::ifaddrs::getifaddrs;
use nix::sys::socket::sockopt::ReceiveTimeout;
use nix::sys::socket::{
    AddressFamily, LinkAddr, MsgFlags, MultiHeaders, SockFlag, SockProtocol, SockType, bind, recv,
    sendmmsg, setsockopt, socket,
};
use nix::sys::time::TimeVal;
use nix::{libc, setsockopt_impl, sockopt_impl};

sockopt_impl!(
    /// Past the queueing discipline, which would not say that the interface's queue is full.
    QdiscBypass,
    SetOnly,
    libc::SOL_PACKET,
    libc::PACKET_QDISC_BYPASS,
    bool
);

/// Frames of one system call.
const BATCH: usize = 64;
/// Frames that an attacker keeps waiting for the board, of the thousand that the interface has room
/// for: the board always has the next one, and other senders find room.
const IN_QUEUE: u64 = 384;
/// Of the attacker meanwhile.
const REST: Duration = Duration::from_micros(20);

/// Whether a socket also receives; each frame it does not read costs the sender time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Hears {
    Nothing,
    Everything,
}

pub(crate) struct PacketSocket {
    fd: OwnedFd,
    interface: String,
}

impl PacketSocket {
    pub(crate) fn open(interface: &str, hears: Hears) -> nix::Result<Self> {
        let protocol = (hears == Hears::Everything).then_some(SockProtocol::EthAll);
        let fd = socket(
            AddressFamily::Packet,
            SockType::Raw,
            SockFlag::SOCK_CLOEXEC,
            protocol,
        )?;
        bind(fd.as_raw_fd(), &address(interface)?)?;
        setsockopt(&fd, QdiscBypass, &true)?;
        setsockopt(&fd, ReceiveTimeout, &TimeVal::new(0, 100_000))?;
        Ok(Self {
            fd,
            interface: interface.into(),
        })
    }

    /// Sends the frames over and over for as long as `duration`, always some hundred ahead of the
    /// board; how many the interface took.
    pub(crate) fn flood(&self, frames: &[Vec<u8>], duration: Duration) -> u64 {
        let mut headers = MultiHeaders::<()>::preallocate(BATCH, None);
        let mut queue = Queue::of(&self.interface);
        let end = Instant::now() + duration;
        for batch in frames.chunks(BATCH).cycle() {
            let slices: Vec<_> = batch.iter().map(|frame| [IoSlice::new(frame)]).collect();
            while queue.waiting() > IN_QUEUE {
                thread::sleep(REST);
                if Instant::now() > end {
                    return queue.put;
                }
            }
            let to = vec![None; batch.len()];
            let flags = MsgFlags::empty();
            match sendmmsg(self.fd.as_raw_fd(), &mut headers, &slices, to, [], flags) {
                Ok(taken) => queue.put += taken.count() as u64,
                Err(Errno::ENOBUFS) => queue.is_full(),
                Err(error) => panic!("a frame can't be sent: {error}"),
            }
        }
        unreachable!("the frames have no end")
    }

    pub(crate) fn send(&self, frame: &[u8]) {
        nix::sys::socket::send(self.fd.as_raw_fd(), frame, MsgFlags::empty()).expect("it is sent");
    }

    /// The next frame that was received or sent on the interface; `None` if there is none for a
    /// while.
    pub(crate) fn recv(&self) -> Option<Vec<u8>> {
        let mut frame = vec![0; 2_048];
        let len = recv(self.fd.as_raw_fd(), &mut frame, MsgFlags::empty()).ok()?;
        frame.truncate(len);
        Some(frame)
    }
}

fn address(interface: &str) -> nix::Result<LinkAddr> {
    getifaddrs()?
        .filter(|it| it.interface_name == interface)
        .find_map(|it| it.address?.as_link_addr().copied())
        .ok_or(Errno::ENODEV)
}

/// What waits in an interface's queue, as far as one of its senders can tell.
struct Queue {
    file: File,
    interface: String,
    /// Frames of this sender.
    put: u64,
    /// Frames of other senders that were taken meanwhile, and those before it began.
    others: u64,
}

impl Queue {
    fn of(interface: &str) -> Self {
        let file = File::open("/proc/thread-self/net/dev").expect("the namespace's interfaces");
        let mut queue = Self {
            file,
            interface: format!("{interface}:"),
            put: 0,
            others: 0,
        };
        queue.others = queue.taken();
        queue
    }

    fn waiting(&self) -> u64 {
        (self.put + self.others).saturating_sub(self.taken())
    }

    /// Other senders' frames were counted as this one's.
    fn is_full(&mut self) {
        self.others = (self.taken() + 1_000).saturating_sub(self.put);
    }

    /// Frames that the board has taken.
    fn taken(&self) -> u64 {
        let mut text = [0; 4_096];
        let len = self.file.read_at(&mut text, 0).expect("it is there");
        let text = std::str::from_utf8(&text[..len]).expect("text");
        let mut words = text.split_whitespace().skip_while(|w| *w != self.interface);
        // The tenth number of the interface's line.
        let packets = words.nth(10).expect("a line for the interface");
        packets.parse().expect("a number")
    }
}
