//! Addresses as text: `inet_pton`, `inet_ntop`, and `getaddrinfo` for numeric hosts.
use core::fmt::{self, Write};
use core::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use super::errno::Errno;
use super::socket::{Domain, Protocol, Type};

/// Reads an address of the family: `192.0.2.1`, `2001:db8::1`.
///
/// # Errors
/// `EINVAL`: not an address (`inet_pton` of C returns 0). `EAFNOSUPPORT`: no family of addresses.
pub fn inet_pton(domain: Domain, text: &str) -> Result<IpAddr, Errno> {
    match domain {
        Domain::Inet => text
            .parse::<Ipv4Addr>()
            .map(IpAddr::V4)
            .map_err(|_| Errno::EINVAL),
        Domain::Inet6 => text
            .parse::<Ipv6Addr>()
            .map(IpAddr::V6)
            .map_err(|_| Errno::EINVAL),
        Domain::Unix | Domain::Packet => Err(Errno::EAFNOSUPPORT),
    }
}

/// Writes `addr` into `buf` and returns the text; 46 bytes are enough for any
/// (`INET6_ADDRSTRLEN`).
///
/// # Errors
/// `ENOSPC`: `buf` is too short.
#[doc(alias = "INET_ADDRSTRLEN")]
pub fn inet_ntop(addr: IpAddr, buf: &mut [u8]) -> Result<&str, Errno> {
    let mut text = Text { buf, len: 0 };
    write!(text, "{addr}").map_err(|_| Errno::ENOSPC)?;
    let Text { buf, len } = text;
    let written = buf.get(..len).ok_or(Errno::ENOSPC)?;
    // Addresses are ASCII.
    core::str::from_utf8(written).map_err(|_| Errno::EINVAL)
}

struct Text<'a> {
    buf: &'a mut [u8],
    len: usize,
}

impl Write for Text<'_> {
    fn write_str(&mut self, part: &str) -> fmt::Result {
        let end = self.len + part.len();
        self.buf
            .get_mut(self.len..end)
            .ok_or(fmt::Error)?
            .copy_from_slice(part.as_bytes());
        self.len = end;
        Ok(())
    }
}

super::flags::flags! {
    /// How [`getaddrinfo`] looks: `AI_...`.
    AiFlags(u32) {
        /// Without a host: the address to listen on, instead of loopback.
        AI_PASSIVE = 0x1;
        /// The host is an address, never a name.
        AI_NUMERICHOST = 0x4;
        /// The service is a number, never a name.
        AI_NUMERICSERV = 0x400;
    }
}

/// What [`getaddrinfo`] is to find.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Hints {
    /// How to look.
    pub flags: AiFlags,
    /// Only this family; `None`: any (`AF_UNSPEC`).
    pub family: Option<Domain>,
    /// Only this type; `None`: streams and datagrams.
    pub socktype: Option<Type>,
}

/// One way to reach a service (`struct addrinfo`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AddrInfo {
    /// For [`socket`](super::socket()).
    pub family: Domain,
    /// For [`socket`](super::socket()).
    pub socktype: Type,
    /// For [`socket`](super::socket()).
    pub protocol: Protocol,
    /// For [`connect`](super::connect) or [`bind`](super::bind).
    pub addr: SocketAddr,
}

/// Why [`getaddrinfo`] found nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum EaiError {
    /// No such host; names are not resolved here (`EAI_NONAME`).
    NoName,
    /// No such service, or none of the type (`EAI_SERVICE`).
    Service,
    /// The host has no address of the family, or there is no such family (`EAI_FAMILY`).
    Family,
    /// There is no such type (`EAI_SOCKTYPE`).
    SockType,
}

impl fmt::Display for EaiError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NoName => "name or service not known",
            Self::Service => "service not supported",
            Self::Family => "address family not supported",
            Self::SockType => "socket type not supported",
        })
    }
}

impl core::error::Error for EaiError {}

/// What [`getaddrinfo`] found; nothing to free.
pub type AddrInfos = core::iter::Flatten<core::array::IntoIter<Option<AddrInfo>, 2>>;

/// Ways to reach `service` (a number) at `host` (an address; `None`: this host).
///
/// # Errors
/// See [`EaiError`].
///
/// ```
/// use gannet_sockets::bsd::{Hints, SOCK_STREAM, getaddrinfo};
///
/// let hints = Hints { socktype: Some(SOCK_STREAM), ..Hints::default() };
/// let mut found = getaddrinfo(Some("192.0.2.1"), Some("80"), &hints)?;
/// assert_eq!(found.next().unwrap().addr, "192.0.2.1:80".parse().unwrap());
/// # use gannet_port_std as _;
/// # Ok::<(), gannet_sockets::bsd::EaiError>(())
/// ```
#[doc(alias = "lwip_getaddrinfo")]
pub fn getaddrinfo(
    host: Option<&str>,
    service: Option<&str>,
    hints: &Hints,
) -> Result<AddrInfos, EaiError> {
    if host.is_none() && service.is_none() {
        return Err(EaiError::NoName);
    }
    let port = service.map_or(Ok(0), |service| {
        service.parse::<u16>().map_err(|_| EaiError::Service)
    })?;
    let v6 = hints.family == Some(Domain::Inet6);
    let ip: IpAddr = match (host, hints.flags.contains(AI_PASSIVE)) {
        (Some(host), _) => host.parse().map_err(|_| EaiError::NoName)?,
        (None, true) if v6 => Ipv6Addr::UNSPECIFIED.into(),
        (None, true) => Ipv4Addr::UNSPECIFIED.into(),
        (None, false) if v6 => Ipv6Addr::LOCALHOST.into(),
        (None, false) => Ipv4Addr::LOCALHOST.into(),
    };
    let family = if ip.is_ipv4() {
        Domain::Inet
    } else {
        Domain::Inet6
    };
    if hints.family.is_some_and(|wanted| wanted != family) {
        return Err(EaiError::Family);
    }
    let info = |socktype, protocol| {
        let is_wanted = hints.socktype.is_none_or(|wanted| wanted == socktype);
        is_wanted.then(|| AddrInfo {
            family,
            socktype,
            protocol,
            addr: (ip, port).into(),
        })
    };
    if hints.socktype == Some(Type::Raw) {
        return Err(EaiError::SockType);
    }
    let both = [
        info(Type::Stream, Protocol::Tcp),
        info(Type::Dgram, Protocol::Udp),
    ];
    Ok(both.into_iter().flatten())
}
