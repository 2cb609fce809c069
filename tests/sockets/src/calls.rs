//! The calls that an input consists of. Descriptors are named by their place among those opened so
//! far, or are none at all.
use std::net::{Ipv4Addr, SocketAddr};
use std::num::{NonZeroU8, NonZeroU32};
use std::time::Duration;

use arbitrary::Arbitrary;
use gannet_core::tcp::CongestionControl;
use gannet_sockets::bsd::*;

use crate::port;

/// Every byte that is sent, so that one received can only have been sent.
const BYTE: u8 = 0xa5;
/// The first descriptor, and how many there are.
pub const FIRST: Fd = 3;
/// How many descriptors there are.
pub const COUNT: usize = 14;

/// A descriptor: most values name one that can be open.
#[derive(Arbitrary, Clone, Copy, Debug)]
pub struct Which(u8);

impl Which {
    fn fd(self) -> Fd {
        match self.0 {
            0..240 => FIRST + Fd::from(self.0) % COUNT as Fd,
            other => Fd::from(other) - 245,
        }
    }
}

/// A time that calls wait; `None` for ever.
#[derive(Arbitrary, Clone, Copy, Debug)]
pub struct Timeout(u16);

impl Timeout {
    /// Who waits for nothing at all, which is allowed, would wait for ever.
    fn finite(self) -> Option<Duration> {
        self.get().or(Some(Duration::from_secs(100)))
    }

    fn get(self) -> Option<Duration> {
        (self.0 < 60_000).then(|| Duration::from_millis(self.0.into()))
    }
}

/// A few addresses and ports, so that calls meet.
#[derive(Arbitrary, Clone, Copy, Debug)]
pub struct Place {
    host: Host,
    port: u8,
}

#[derive(Arbitrary, Clone, Copy, Debug)]
enum Host {
    Any,
    Loopback,
    Own,
    /// Nobody answers.
    Silent,
    Broadcast,
    Unreachable,
}

impl Place {
    fn addr(self) -> SocketAddr {
        let ip = match self.host {
            Host::Any => Ipv4Addr::UNSPECIFIED,
            Host::Loopback => Ipv4Addr::LOCALHOST,
            Host::Own => Ipv4Addr::new(10, 0, 0, 1),
            Host::Silent => Ipv4Addr::new(10, 0, 0, 2),
            Host::Broadcast => Ipv4Addr::BROADCAST,
            Host::Unreachable => Ipv4Addr::new(192, 0, 2, 1),
        };
        (ip, u16::from(self.port % 4)).into()
    }
}

/// Flags of a transfer.
#[derive(Arbitrary, Clone, Copy, Debug)]
pub struct Flags(u8);

impl Flags {
    fn get(self) -> MsgFlags {
        let all = [
            MSG_DONTWAIT,
            MSG_PEEK,
            MSG_WAITALL,
            MSG_MORE,
            MSG_TRUNC,
            MSG_OOB,
        ];
        let chosen = all.iter().zip(0..).filter(|(_, n)| self.0 >> n & 1 != 0);
        chosen.fold(MsgFlags::NONE, |sum, (flag, _)| sum | *flag)
    }
}

#[derive(Arbitrary, Clone, Copy, Debug)]
enum Opt {
    RcvTimeo(Timeout),
    SndTimeo(Timeout),
    Linger(Timeout),
    RcvBuf(NonZeroU32),
    SndBuf(NonZeroU32),
    RcvLowat(u32),
    KeepAlive(bool),
    KeepIdle(u8),
    KeepIntvl(u8),
    KeepCnt(u8),
    NoDelay(bool),
    Cork(bool),
    QuickAck(bool),
    MaxSeg(u16),
    SynCnt(Option<NonZeroU8>),
    UserTimeout(Timeout),
    DeferAccept(Timeout),
    NewReno,
    ReuseAddr(bool),
    Broadcast(bool),
    Tos(u8),
}

#[derive(Arbitrary, Clone, Copy, Debug)]
enum How {
    Read,
    Write,
    Both,
}

impl How {
    fn get(self) -> Shutdown {
        match self {
            Self::Read => Shutdown::Read,
            Self::Write => Shutdown::Write,
            Self::Both => Shutdown::Both,
        }
    }
}

/// One call.
#[derive(Arbitrary, Clone, Debug)]
pub enum Call {
    #[allow(missing_docs, reason = "named after what they call")]
    Stream(bool),
    #[allow(missing_docs)]
    Datagram(bool),
    #[allow(missing_docs)]
    Pair(bool),
    #[allow(missing_docs)]
    Event(u8, bool),
    /// A socket that is bound and listens.
    Server(Place, u8, bool),
    /// A socket that is connected.
    Client(Place, bool),
    /// Both ends of a connection over loopback.
    Connection(bool),
    #[allow(missing_docs)]
    Bind(Which, Place),
    #[allow(missing_docs)]
    Listen(Which, u8),
    #[allow(missing_docs)]
    Accept(Which, bool),
    #[allow(missing_docs)]
    Connect(Which, Place),
    /// To where another is bound.
    ConnectTo(Which, Which),
    #[allow(missing_docs)]
    Disconnect(Which),
    #[allow(missing_docs)]
    Shutdown(Which, Direction),
    #[allow(missing_docs)]
    Close(Which),
    #[allow(missing_docs)]
    Dup(Which),
    #[allow(missing_docs)]
    DupFrom(Which, Which),
    #[allow(missing_docs)]
    Send(Which, u16, Flags),
    #[allow(missing_docs)]
    SendTo(Which, u16, Flags, Place),
    #[allow(missing_docs)]
    SendMany(Which, u8, Flags),
    #[allow(missing_docs)]
    Recv(Which, u16, Flags),
    #[allow(missing_docs)]
    RecvFrom(Which, u16, Flags),
    #[allow(missing_docs)]
    RecvMany(Which, u8, Flags, Timeout),
    #[allow(missing_docs)]
    Poll(Vec<(Which, u8)>, Timeout),
    #[allow(missing_docs)]
    Select(Vec<Which>, Vec<Which>, Timeout),
    #[allow(missing_docs)]
    EventRead(Which),
    #[allow(missing_docs)]
    EventWrite(Which, u8),
    #[allow(missing_docs)]
    Nonblocking(Which, bool),
    #[allow(missing_docs)]
    Set(Which, Setting),
    #[allow(missing_docs)]
    Ask(Which),
    #[allow(missing_docs)]
    Sleep(u16),
}

/// A direction to shut down.
#[derive(Arbitrary, Clone, Copy, Debug)]
pub struct Direction(How);

/// An option and its value.
#[derive(Arbitrary, Clone, Copy, Debug)]
pub struct Setting(Opt);

fn kind(kind: Type, nonblocking: bool) -> SocketType {
    kind | match nonblocking {
        true => SOCK_NONBLOCK,
        false => SocketFlags::NONE,
    }
}

/// All bytes are those that tasks send.
fn check(data: &[u8]) {
    assert!(
        data.iter().all(|byte| *byte == BYTE),
        "received what nobody sent: {data:?}"
    );
}

impl Call {
    /// Makes the call. Errors are as good as results.
    pub fn make(&self) {
        let _ = self.try_make();
    }

    fn try_make(&self) -> Result<(), Errno> {
        match *self {
            Self::Stream(nb) => socket(AF_INET, kind(SOCK_STREAM, nb), IPPROTO_TCP).map(drop),
            Self::Datagram(nb) => socket(AF_INET, kind(SOCK_DGRAM, nb), IPPROTO_UDP).map(drop),
            Self::Pair(nb) => socketpair(AF_UNIX, kind(SOCK_STREAM, nb), IPPROTO_IP).map(drop),
            Self::Event(n, nb) => {
                let flags = match nb {
                    true => EFD_NONBLOCK | EFD_SEMAPHORE,
                    false => EventFlags::NONE,
                };
                eventfd(n.into(), flags).map(drop)
            }
            Self::Server(place, backlog, nb) => {
                let fd = socket(AF_INET, kind(SOCK_STREAM, nb), IPPROTO_TCP)?;
                bind(fd, place.addr())?;
                listen(fd, backlog.into())
            }
            Self::Client(place, nb) => {
                let fd = socket(AF_INET, kind(SOCK_STREAM, nb), IPPROTO_TCP)?;
                connect(fd, place.addr())
            }
            Self::Connection(nb) => {
                let listening = socket(AF_INET, SOCK_STREAM, IPPROTO_TCP)?;
                let both = both_ends(listening, nb);
                let _ = close(listening);
                both
            }
            Self::Bind(fd, place) => bind(fd.fd(), place.addr()),
            Self::Listen(fd, backlog) => listen(fd.fd(), i32::from(backlog) - 5),
            Self::Accept(fd, nb) => {
                let flags = match nb {
                    true => SOCK_NONBLOCK,
                    false => SocketFlags::NONE,
                };
                accept4(fd.fd(), flags).map(drop)
            }
            Self::Connect(fd, place) => connect(fd.fd(), place.addr()),
            Self::ConnectTo(fd, other) => {
                let mut to = getsockname(other.fd())?;
                if to.ip().is_unspecified() {
                    to.set_ip(Ipv4Addr::LOCALHOST.into());
                }
                connect(fd.fd(), to)
            }
            Self::Disconnect(fd) => disconnect(fd.fd()),
            Self::Shutdown(fd, how) => shutdown(fd.fd(), how.0.get()),
            Self::Close(fd) => close(fd.fd()),
            Self::Dup(fd) => dup(fd.fd()).map(drop),
            Self::DupFrom(fd, from) => fcntl(fd.fd(), Fcntl::DupFd(from.fd())).map(drop),
            Self::EventRead(fd) => eventfd_read(fd.fd()).map(drop),
            Self::EventWrite(fd, n) => eventfd_write(fd.fd(), n.into()),
            Self::Nonblocking(fd, nb) => ioctl(fd.fd(), Ioctl::FionBio(nb)).map(drop),
            Self::Set(fd, setting) => setting.0.set(fd.fd()),
            Self::Ask(fd) => ask(fd.fd()),
            Self::Sleep(time) => {
                port::sleep(Duration::from_millis(time.into()));
                Ok(())
            }
            _ => self.transfer(),
        }
    }

    fn transfer(&self) -> Result<(), Errno> {
        let data = [BYTE; 8192];
        let mut room = [0; 8192];
        match self {
            Self::Send(fd, n, flags) => {
                let sent = send(fd.fd(), &data[..usize::from(*n) % 8192], flags.get())?;
                assert!(sent <= usize::from(*n));
            }
            Self::SendTo(fd, n, flags, place) => {
                let data = &data[..usize::from(*n) % 2048];
                sendto(fd.fd(), data, flags.get(), Some(place.addr()))?;
            }
            Self::SendMany(fd, n, flags) => {
                let iov = [&data[..usize::from(*n)], &data[..17]];
                let message = SendMsg {
                    to: None,
                    iov: &iov,
                };
                sendmmsg(fd.fd(), &[message; 3], flags.get())?;
            }
            Self::Recv(fd, n, flags) => {
                let room = &mut room[..usize::from(*n) % 8192];
                let n = recv(fd.fd(), room, flags.get())?;
                check(&room[..n.min(room.len())]);
            }
            Self::RecvFrom(fd, n, flags) => {
                let room = &mut room[..usize::from(*n) % 2048];
                let (n, _) = recvfrom(fd.fd(), room, flags.get())?;
                check(&room[..n.min(room.len())]);
            }
            Self::RecvMany(fd, n, flags, timeout) => {
                let (first, second) = room.split_at_mut(usize::from(*n));
                let mut iov = [&mut *first, second];
                let mut messages = [RecvMsg {
                    iov: &mut iov,
                    received: ReceivedMsg::default(),
                }];
                recvmmsg(fd.fd(), &mut messages, flags.get(), timeout.get())?;
                let n = messages[0].received.len;
                check(&room[..n.min(room.len())]);
            }
            Self::Poll(which, timeout) => {
                let fd = |(which, events): &(Which, u8)| {
                    let events = [POLLIN, POLLOUT, POLLIN | POLLOUT, PollFlags::NONE]
                        [usize::from(events % 4)];
                    PollFd::new(which.fd(), events)
                };
                let mut fds: Vec<_> = which.iter().take(8).map(fd).collect();
                let found = ppoll(&mut fds, timeout.finite())?;
                let ready = |fd: &&PollFd| fd.revents != PollFlags::NONE;
                assert_eq!(found, fds.iter().filter(ready).count());
            }
            Self::Select(read, write, timeout) => {
                let set = |which: &[Which]| -> Result<FdSet, Errno> {
                    let mut set = FdSet::new();
                    for which in which.iter().take(8) {
                        set.insert(which.fd())?;
                    }
                    Ok(set)
                };
                let (mut read, mut write) = (set(read)?, set(write)?);
                let nfds = FIRST + COUNT as Fd;
                select(
                    nfds,
                    Some(&mut read),
                    Some(&mut write),
                    None,
                    timeout.finite(),
                )?;
            }
            _ => {}
        }
        Ok(())
    }
}

impl Opt {
    fn set(self, fd: Fd) -> Result<(), Errno> {
        let seconds = |n: u8| Duration::from_secs(n.into());
        match self {
            Self::RcvTimeo(t) => setsockopt(fd, sockopt::RcvTimeo, t.get()),
            Self::SndTimeo(t) => setsockopt(fd, sockopt::SndTimeo, t.get()),
            Self::Linger(t) => setsockopt(fd, sockopt::Linger, t.get()),
            Self::RcvBuf(n) => setsockopt(fd, sockopt::RcvBuf, Some(n)),
            Self::SndBuf(n) => setsockopt(fd, sockopt::SndBuf, Some(n)),
            Self::RcvLowat(n) => setsockopt(fd, sockopt::RcvLowat, n),
            Self::KeepAlive(on) => setsockopt(fd, sockopt::KeepAlive, on),
            Self::KeepIdle(n) => setsockopt(fd, sockopt::KeepIdle, seconds(n)),
            Self::KeepIntvl(n) => setsockopt(fd, sockopt::KeepIntvl, seconds(n)),
            Self::KeepCnt(n) => setsockopt(fd, sockopt::KeepCnt, n),
            Self::NoDelay(on) => setsockopt(fd, sockopt::NoDelay, on),
            Self::Cork(on) => setsockopt(fd, sockopt::TcpCork, on),
            Self::QuickAck(on) => setsockopt(fd, sockopt::TcpQuickAck, on),
            Self::MaxSeg(n) => setsockopt(fd, sockopt::MaxSeg, n),
            Self::SynCnt(n) => setsockopt(fd, sockopt::SynCnt, n),
            Self::UserTimeout(t) => setsockopt(fd, sockopt::UserTimeout, t.get()),
            Self::DeferAccept(t) => setsockopt(fd, sockopt::DeferAccept, t.get()),
            Self::NewReno => setsockopt(fd, sockopt::Congestion, CongestionControl::NewReno),
            Self::ReuseAddr(on) => setsockopt(fd, sockopt::ReuseAddr, on),
            Self::Broadcast(on) => setsockopt(fd, sockopt::Broadcast, on),
            Self::Tos(n) => setsockopt(fd, sockopt::Tos, n),
        }
    }
}

fn both_ends(listening: Fd, nonblocking: bool) -> Result<(), Errno> {
    bind(listening, (Ipv4Addr::LOCALHOST, 0).into())?;
    listen(listening, 1)?;
    let client = socket(AF_INET, kind(SOCK_STREAM, nonblocking), IPPROTO_TCP)?;
    match connect(client, getsockname(listening)?) {
        Ok(()) | Err(Errno::EINPROGRESS) => accept(listening).map(drop),
        Err(errno) => Err(errno),
    }
}

/// Everything that only asks.
fn ask(fd: Fd) -> Result<(), Errno> {
    let _ = getsockname(fd);
    let _ = getpeername(fd);
    let _ = getsockopt(fd, sockopt::Error);
    let _ = getsockopt(fd, sockopt::Info);
    let _ = getsockopt(fd, sockopt::AcceptConn);
    let _ = ioctl(fd, Ioctl::SiocOutQ);
    ioctl(fd, Ioctl::FionRead).map(drop)
}
