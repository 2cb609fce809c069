//! The calls that an input consists of. Descriptors are named by their place among those opened so
//! far, or are none at all.
use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use arbitrary::Arbitrary;
use gannet_sockets::Via;
use gannet_sockets::bsd::sockopt::Membership;
use gannet_sockets::bsd::*;
use gannet_sockets::packet::{EtherType, NetifId};

use crate::forged::Forged;
use crate::options::Setting;
use crate::port;

const NONE: MsgFlags = MsgFlags::NONE;

/// Every byte that is sent, so that one received can only have been sent.
pub const BYTE: u8 = 0xa5;
/// The address of the link.
pub const OWN: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 1);
/// A group to join.
const GROUP: Ipv4Addr = Ipv4Addr::new(239, 1, 2, 3);
/// Those that a raw socket is for, and one that nobody speaks.
const PROTOCOLS: [Protocol; 5] = [
    IPPROTO_ICMP,
    IPPROTO_UDP,
    IPPROTO_TCP,
    Protocol::Ip(2),
    Protocol::Ip(253),
];
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
    pub(crate) fn finite(self) -> Option<Duration> {
        self.get().or(Some(Duration::from_secs(100)))
    }

    pub(crate) fn get(self) -> Option<Duration> {
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
    Group,
    AllHosts,
}

impl Place {
    fn ip(self) -> Ipv4Addr {
        match self.host {
            Host::Any => Ipv4Addr::UNSPECIFIED,
            Host::Loopback => Ipv4Addr::LOCALHOST,
            Host::Own => OWN,
            Host::Silent => Ipv4Addr::new(10, 0, 0, 2),
            Host::Broadcast => Ipv4Addr::BROADCAST,
            Host::Unreachable => Ipv4Addr::new(192, 0, 2, 1),
            Host::Group => GROUP,
            Host::AllHosts => Ipv4Addr::new(224, 0, 0, 1),
        }
    }

    fn addr(self) -> SocketAddr {
        (self.ip(), u16::from(self.port % 4)).into()
    }

    /// What joining a group needs: mostly one that is joined elsewhere, too.
    pub(crate) fn membership(self) -> Membership {
        let group = match self.port {
            0..200 => GROUP,
            other => Ipv4Addr::new(other, 0, 0, other),
        };
        Membership {
            group,
            interface: self.via(),
        }
    }

    pub(crate) fn via(self) -> Via {
        match self.port % 4 {
            0 => Via::Route,
            1 => Via::Netif(netif(self.port)),
            _ => Via::Addr(self.ip()),
        }
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
            MSG_ERRQUEUE,
            MSG_WAITFORONE,
        ];
        let chosen = all.iter().zip(0..).filter(|(_, n)| self.0 >> n & 1 != 0);
        chosen.fold(MsgFlags::NONE, |sum, (flag, _)| sum | *flag)
    }
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
    /// A pair of local sockets for datagrams.
    DatagramPair(bool),
    /// A raw socket of one of a few protocols.
    Raw(u8, bool),
    /// A raw socket that sends headers of its own.
    RawWithHeader(u8),
    /// A packet socket for one of a few filters.
    Packet(u8, bool),
    #[allow(missing_docs)]
    Event(u8, bool),
    /// A UDP socket that is bound, member of a group, and asks for errors.
    Member(Place, bool),
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
    Dup2(Which, Which),
    /// Which frames a packet socket sees, and of which interface.
    BindFrames(Which, u8, Option<u8>),
    #[allow(missing_docs)]
    Send(Which, u16, Flags),
    #[allow(missing_docs)]
    SendTo(Which, u16, Flags, Place),
    #[allow(missing_docs)]
    SendMany(Which, u8, Flags),
    /// A message of another protocol from a raw socket, with an IP header or without.
    SendForged(Which, Forged, Place, Option<u16>),
    /// A packet from a packet socket, out of an interface.
    SendFrame(Which, Forged, Place, u16, u8, Flags),
    #[allow(missing_docs)]
    RecvFrame(Which, u16, Flags),
    /// Takes an ICMP error.
    TakeError(Which),
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

fn kind(kind: Type, nonblocking: bool) -> SocketType {
    kind | match nonblocking {
        true => SOCK_NONBLOCK,
        false => SocketFlags::NONE,
    }
}

/// An interface: loopback, that of the link, or one that is not there.
fn netif(n: u8) -> NetifId {
    match n {
        0..150 => NetifId::LOOPBACK,
        _ => NetifId::with_index(n % 3),
    }
}

/// What a packet socket is to see.
fn frames(n: u8) -> Protocol {
    [ETH_P_ALL, ETH_P_IP, ETH_P_ARP, IPPROTO_UDP][usize::from(n % 4)]
}

/// Calls `receive`, which says how many bytes of the buffer it has filled. They are those that
/// tasks send, unless `fd` is, or meanwhile becomes, a socket that receives headers.
fn check(
    fd: Fd,
    room: &mut [u8],
    receive: impl FnOnce(&mut [u8]) -> Result<usize, Errno>,
) -> Result<(), Errno> {
    let has_headers = || getsockopt(fd, sockopt::SocketType) == Ok(SOCK_RAW);
    let before = has_headers();
    let n = receive(room)?;
    let data = &room[..n.min(room.len())];
    assert!(
        before || has_headers() || data.iter().all(|byte| *byte == BYTE),
        "received what nobody sent: {data:?}"
    );
    Ok(())
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
            Self::DatagramPair(nb) => {
                socketpair(AF_UNIX, kind(SOCK_DGRAM, nb), IPPROTO_IP).map(drop)
            }
            Self::Raw(protocol, nb) => raw(protocol, nb).map(drop),
            Self::RawWithHeader(protocol) => {
                setsockopt(raw(protocol, true)?, sockopt::HdrIncl, true)
            }
            Self::Packet(filter, nb) => {
                socket(AF_PACKET, kind(SOCK_RAW, nb), frames(filter)).map(drop)
            }
            Self::Member(place, nb) => {
                let fd = socket(AF_INET, kind(SOCK_DGRAM, nb), IPPROTO_UDP)?;
                setsockopt(fd, sockopt::ReuseAddr, true)?;
                setsockopt(fd, sockopt::RecvErr, true)?;
                setsockopt(fd, sockopt::AddMembership, place.membership())?;
                bind(fd, (Ipv4Addr::UNSPECIFIED, place.addr().port()).into())
            }
            Self::BindFrames(fd, filter, on) => bind_ll(fd.fd(), frames(filter), on.map(netif)),
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
            Self::Dup2(fd, to) => dup2(fd.fd(), to.fd()).map(drop),
            Self::EventRead(fd) => eventfd_read(fd.fd()).map(drop),
            Self::EventWrite(fd, n) => eventfd_write(fd.fd(), n.into()),
            Self::Nonblocking(fd, nb) => ioctl(fd.fd(), Ioctl::FionBio(nb)).map(drop),
            Self::Set(fd, setting) => setting.set(fd.fd()),
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
            Self::SendForged(fd, forged, place, fragment) => {
                // Others would carry headers to where only data is expected.
                if getsockopt(fd.fd(), sockopt::SocketType)? != SOCK_RAW {
                    return Err(Errno::EOPNOTSUPP);
                }
                let data = match fragment {
                    None => forged.message(place.ip()),
                    Some(fragment) => forged.packet(place.ip(), *fragment),
                };
                sendto(fd.fd(), &data, NONE, Some(place.addr()))?;
            }
            Self::SendFrame(fd, forged, place, fragment, n, flags) => {
                let frame = forged.packet(place.ip(), *fragment);
                sendto_ll(fd.fd(), &frame, flags.get(), netif(*n))?;
            }
            Self::RecvFrame(fd, n, flags) => {
                let room = &mut room[..usize::from(*n) % 2048];
                let (n, of) = recvfrom_ll(fd.fd(), room, flags.get())?;
                // Nothing on these links is anything else.
                assert_eq!(of.ethertype, EtherType::IPV4);
                assert!(n <= room.len() || flags.get().contains(MSG_TRUNC));
            }
            Self::TakeError(fd) => {
                let error = recvmsg(fd.fd(), &mut [&mut room], MSG_ERRQUEUE)?;
                assert_eq!((error.len, error.flags), (0, MSG_ERRQUEUE));
                assert!(error.error.is_some() && error.from.is_some());
            }
            Self::Recv(fd, n, flags) => {
                let room = &mut room[..usize::from(*n) % 8192];
                check(fd.fd(), room, |room| recv(fd.fd(), room, flags.get()))?;
            }
            Self::RecvFrom(fd, n, flags) => {
                let room = &mut room[..usize::from(*n) % 2048];
                let receive = |room: &mut [u8]| Ok(recvfrom(fd.fd(), room, flags.get())?.0);
                check(fd.fd(), room, receive)?;
            }
            Self::RecvMany(fd, n, flags, timeout) => {
                check(fd.fd(), &mut room, |room| {
                    let (first, second) = room.split_at_mut(usize::from(*n));
                    let mut iov = [&mut *first, second];
                    let mut messages = [RecvMsg {
                        iov: &mut iov,
                        received: ReceivedMsg::default(),
                    }];
                    recvmmsg(fd.fd(), &mut messages, flags.get(), timeout.get())?;
                    Ok(messages[0].received.len)
                })?;
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

fn raw(protocol: u8, nonblocking: bool) -> Result<Fd, Errno> {
    let protocol = PROTOCOLS[usize::from(protocol) % PROTOCOLS.len()];
    socket(AF_INET, kind(SOCK_RAW, nonblocking), protocol)
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
    let _ = getsockopt(fd, sockopt::MulticastIf);
    let _ = getsockopt(fd, sockopt::SocketProtocol);
    let _ = ioctl(fd, Ioctl::SiocOutQ);
    ioctl(fd, Ioctl::FionRead).map(drop)
}
